//! Unix without guards (macOS and the BSDs): a process group that is killed with its handle.
//!
//! These systems have neither subreapers nor parent-death signals. What leaves the group escapes, and a gateway that is
//! killed leaves its servers to their end of file.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

use super::{
    ChildProcess, EndFuture, Exit, Launch, LaunchError, LaunchFuture, LaunchSpec, Launched, ProcessEnd, piped,
};

/// Starts every process in a group of its own.
#[derive(Debug, Clone, Copy)]
pub struct GroupLaunch;

impl GroupLaunch {
    /// Launches of this platform.
    ///
    /// # Errors
    /// None; the signature is that of every platform.
    pub fn new() -> Result<Self, LaunchError> {
        Ok(Self)
    }
}

impl Launch for GroupLaunch {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> LaunchFuture<'a> {
        Box::pin(std::future::ready(start(spec)))
    }
}

fn start(spec: &LaunchSpec) -> Result<Launched, LaunchError> {
    let spawned = piped::command(spec)?.process_group(0).spawn();
    let mut child = spawned.map_err(|error| LaunchError::of_program(&spec.program, error))?;
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let process = GroupChild {
        pid: child.id().expect("it was not waited for yet"),
        child,
        end: None,
    };
    Ok(piped::launched(pipes, process))
}

#[derive(Debug)]
struct GroupChild {
    child: Child,
    pid: u32,
    end: Option<ProcessEnd>,
}

impl GroupChild {
    fn signal(&self, signal: Signal) {
        // Once the process was waited for, its number may belong to a stranger.
        if let (None, Some(group)) = (self.end, Pid::from_raw(self.pid.cast_signed())) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl ChildProcess for GroupChild {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
    }

    fn wait(&mut self) -> EndFuture<'_> {
        Box::pin(async move {
            if self.end.is_none() {
                let exit = self.child.wait().await.map_or(Exit::Unknown, Exit::from);
                // The rest of the group keeps its number reserved, if there is a rest; nobody here can count it.
                self.signal(Signal::KILL);
                self.end = Some(ProcessEnd {
                    exit,
                    stragglers: 0,
                    survivors: 0,
                });
            }
            self.end.expect("it was set just now")
        })
    }
}

impl Drop for GroupChild {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::upstream::launch::PidNamespace;

    fn shell(script: &str) -> LaunchSpec {
        let mut spec = LaunchSpec::new("/bin/sh");
        spec.args = vec!["-c".into(), script.into()];
        spec.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
        spec
    }

    #[tokio::test]
    async fn the_group_ends_with_its_leader_and_with_the_handle() {
        for wait in [true, false] {
            let script = if wait {
                "sleep 1000 & echo up"
            } else {
                "sleep 1000 & echo up; wait"
            };
            let launch = GroupLaunch::new().expect("it needs nothing");
            let mut launched = launch.launch(&shell(script)).await.expect("a shell starts");
            let mut text = [0; 3];
            launched
                .stdout
                .read_exact(&mut text)
                .await
                .expect("the shell speaks");
            if wait {
                assert_eq!(launched.process.wait().await.exit, Exit::Code(0));
            } else {
                drop(launched.process);
            }
            // The grandchild holds the pipe: end of file says that it is gone.
            assert_eq!(launched.stdout.read(&mut text).await.expect("end of file"), 0);
        }
    }

    #[test]
    fn what_cannot_start_says_why() {
        let refusal = |spec: LaunchSpec| start(&spec).expect_err("it cannot start");
        assert!(matches!(
            refusal(LaunchSpec::new("/no/such/program")),
            LaunchError::NotFound { .. }
        ));
        assert!(matches!(
            refusal(LaunchSpec::new("/etc/passwd")),
            LaunchError::PermissionDenied { .. }
        ));
        let elsewhere = LaunchSpec {
            cwd: Some("/no/such/directory".into()),
            ..shell("true")
        };
        assert!(matches!(refusal(elsewhere), LaunchError::Cwd { .. }));
        let apart = LaunchSpec {
            pid_namespace: PidNamespace::Required,
            ..shell("true")
        };
        assert!(matches!(refusal(apart), LaunchError::Namespace { .. }));
    }
}
