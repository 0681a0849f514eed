//! The corner that needs C: signal dispositions, the signal mask, `signalfd`, `close_range` and `fork`.
//!
//! rustix leaves these out on purpose, because a multi-threaded program cannot use them well. The guard has one thread.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
};

use rustix::process::Pid;

/// The highest signal number of Linux.
const SIGNALS: libc::c_int = 64;

/// Closes every descriptor from 3 up, whatever the parent forgot to mark.
///
/// # Safety
/// Nothing in this process may own a descriptor yet.
pub(super) unsafe fn close_inherited() {
    // SAFETY: plain numbers; the caller promises that no owner is robbed. An old kernel refuses, which loses only hygiene.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
}

/// Gives every signal its default meaning, so that neither we nor our children inherit "ignored" from whoever started
/// the gateway. An ignored SIGCHLD would even hide how children end.
pub(super) fn reset_dispositions() {
    // The kernel's own `struct sigaction`, larger than on any architecture; all zero means SIG_DFL without flags.
    let default = [0_u64; 8];
    for signal in 1..=SIGNALS {
        // SIGSEGV and SIGBUS keep the standard library's stack overflow handler; executing resets those by itself.
        if signal != libc::SIGSEGV && signal != libc::SIGBUS {
            // SAFETY: the kernel reads a valid structure and writes none; what cannot be changed it refuses. Past the C
            // library, which hides two signals that may have come ignored like any other.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    default.as_ptr(),
                    ptr::null::<u64>(),
                    size_of::<u64>(),
                )
            };
        }
    }
}

/// Blocks every signal of the calling thread.
pub(super) fn block_all() -> io::Result<()> {
    set_mask(&full_set())
}

/// Lets every signal of the calling thread through. Only makes system calls: fit for the moment between fork and exec.
pub(super) fn unblock_all() -> io::Result<()> {
    set_mask(&empty_set())
}

fn set_mask(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised and outlives the call; no old mask is asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn empty_set() -> libc::sigset_t {
    let mut set = mem::MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set it is given and cannot fail for a valid pointer.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn full_set() -> libc::sigset_t {
    let mut set = mem::MaybeUninit::uninit();
    // SAFETY: sigfillset initialises the set it is given and cannot fail for a valid pointer.
    unsafe {
        libc::sigfillset(set.as_mut_ptr());
        set.assume_init()
    }
}

/// Becomes readable when a child ended or the parent died.
#[derive(Debug)]
pub(super) struct SignalFd(OwnedFd);

impl SignalFd {
    /// Listens for SIGCHLD and SIGCONT, which must be blocked.
    pub(super) fn new() -> io::Result<Self> {
        let mut set = empty_set();
        // SAFETY: the set is initialised, both numbers are signals; a descriptor that is returned is new and ours.
        let fd = unsafe {
            libc::sigaddset(&raw mut set, libc::SIGCHLD);
            libc::sigaddset(&raw mut set, libc::SIGCONT);
            libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` was just opened and nobody else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Takes what is queued: the next poll waits for a new signal.
    pub(super) fn drain(&self) {
        let mut queued = [0_u8; 4 * size_of::<libc::signalfd_siginfo>()];
        while rustix::io::read(&self.0, &mut queued).is_ok_and(|length| length > 0) {}
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        debug_assert!(
            self.0.as_raw_fd() > 2,
            "the guard's descriptors stay clear of the child's three"
        );
        self.0.as_fd()
    }
}

/// Which side of a fork this is.
pub(super) enum Fork {
    /// The new process.
    Child,
    /// The old process; the pid is the new one's.
    Parent(Pid),
}

/// Forks.
///
/// # Safety
/// The process must have one thread only: the new one would inherit locks that other threads hold, without the threads.
pub(super) unsafe fn fork() -> io::Result<Fork> {
    // SAFETY: the caller promises a single thread, so memory is consistent on both sides.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(
            Pid::from_raw(pid).expect("fork returns a positive pid to the parent"),
        )),
    }
}
