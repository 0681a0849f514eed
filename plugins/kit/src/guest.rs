//! What a component has to bring along that does without the standard library: memory, and its last words.

use alloc::format;
use core::panic::Location;

use dlmalloc::GlobalDlmalloc;

/// The allocator of the standard library.
#[global_allocator]
static MEMORY: GlobalDlmalloc = GlobalDlmalloc;

/// Logs where a policy has panicked, and ends the instance; without it, all that one would read is "unreachable".
///
/// What the panic says is not told: as long as nobody reads the messages of panics, the linker leaves out all of them and
/// whatever they are put together with, a tenth of a plugin.
pub fn end(place: Option<&Location<'_>>, log: impl Fn(&str)) -> ! {
    if let Some(place) = place {
        log(&format!("panicked at {}:{}", place.file(), place.line()));
    }
    core::arch::wasm32::unreachable()
}

/// Logs by a function of the policy where it has panicked, should it.
#[macro_export]
macro_rules! last_words {
    ($log:expr) => {
        // Inlined, so that the linker sees how little of it is read.
        #[panic_handler]
        #[inline(always)]
        fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
            $crate::guest::end(panic.location(), $log)
        }
    };
}
