//! Signals, descendants and full pipes.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, getpgid, getsid, kill_process, test_kill_process};

use serde_json::json;

use super::driver::{Mock, PATIENCE, command};

fn pid_of(number: u64) -> Pid {
    Pid::from_raw(i32::try_from(number).expect("a pid is small")).expect("a pid is not 0")
}

#[test]
fn neither_sigterm_nor_the_end_of_input_ends_a_deaf_server() {
    let mut mock = Mock::start(&["--ignore-sigterm", "--ignore-eof"]);
    mock.request("ping", json!({}));
    let pid = pid_of(mock.child.id().into());
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(
        mock.stderr.recv_timeout(PATIENCE).unwrap(),
        "mock-server: SIGTERM ignored"
    );
    mock.request("ping", json!({}));
    mock.close();
    // What it says to a second signal, it says after the end of its input, or at least in spite of it.
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(
        mock.stderr.recv_timeout(PATIENCE).unwrap(),
        "mock-server: SIGTERM ignored"
    );
    assert!(mock.child.try_wait().unwrap().is_none());
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(mock.wait().signal(), Some(9));

    let mut mock = Mock::start(&[]);
    mock.request("ping", json!({}));
    kill_process(pid_of(mock.child.id().into()), Signal::TERM).unwrap();
    assert_eq!(mock.wait().signal(), Some(15));
}

#[test]
fn descendants_stay_behind_in_the_group_and_outside_of_it() {
    let mut mock = Mock::started(command(&["--grandchild", "--daemon"]).process_group(0));
    let state = mock.state();
    let pids: Vec<Pid> = state["descendants"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pid| pid_of(pid.as_u64().unwrap()))
        .collect();
    let leader = pid_of(mock.child.id().into());
    assert_eq!(getpgid(Some(pids[0])).unwrap(), leader);
    assert_eq!(getsid(Some(pids[1])).unwrap(), pids[1]);
    mock.child.kill().unwrap();
    mock.child.wait().unwrap();
    for pid in &pids {
        test_kill_process(*pid).expect("a descendant outlives its parent");
    }
    assert_eq!(
        mock.stdout.recv_timeout(Duration::from_millis(50)),
        Err(RecvTimeoutError::Timeout)
    );
    for pid in &pids {
        kill_process(*pid, Signal::KILL).unwrap();
    }
    mock.expect_end_of_output();
}

#[test]
fn a_server_that_stops_reading_backs_up_its_client() {
    let mut mock = Mock::start(&["--stop-reading-after", "2"]);
    mock.request("ping", json!({}));
    mock.request("ping", json!({}));
    let mut stdin = mock.stdin.take().unwrap();
    fcntl_setfl(&stdin, OFlags::NONBLOCK).unwrap();
    let chunk = [b' '; 4096];
    let mut written = 0;
    let full = loop {
        match stdin.write(&chunk) {
            Ok(count) => written += count,
            Err(error) => break error,
        }
        assert!(written < 64 << 20, "the mock goes on reading");
    };
    assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
    let mut files = [PollFd::new(&stdin, PollFlags::OUT)];
    let while_waiting = Timespec {
        tv_sec: 0,
        tv_nsec: 300_000_000,
    };
    assert_eq!(
        poll(&mut files, Some(&while_waiting)).unwrap(),
        0,
        "the mock goes on reading"
    );
    assert!(mock.child.try_wait().unwrap().is_none());
}
