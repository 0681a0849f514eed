//! Windows: a Job Object per child, through `process-wrap`.
//!
//! Closing the job, which happens with the handle and with the end of the gateway in any way, ends everything in it;
//! a process cannot leave it. There is no SIGTERM: the supervisor's ladder goes from end of file to the kill.

use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject, KillOnDrop};

use super::{
    ChildProcess, EndFuture, Exit, Launch, LaunchError, LaunchFuture, LaunchSpec, Launched, ProcessEnd, piped,
};

/// Starts every process in a Job Object of its own.
#[derive(Debug, Clone, Copy)]
pub struct JobLaunch;

impl JobLaunch {
    /// Launches of this platform.
    ///
    /// # Errors
    /// None; the signature is that of every platform.
    pub fn new() -> Result<Self, LaunchError> {
        Ok(Self)
    }
}

impl Launch for JobLaunch {
    fn launch<'a>(&'a self, spec: &'a LaunchSpec) -> LaunchFuture<'a> {
        Box::pin(std::future::ready(start(spec)))
    }
}

fn start(spec: &LaunchSpec) -> Result<Launched, LaunchError> {
    let spawned = CommandWrap::from(piped::command(spec)?)
        .wrap(KillOnDrop)
        .wrap(JobObject)
        .spawn();
    let mut child = spawned.map_err(|error| LaunchError::of_program(&spec.program, error))?;
    let pipes = (child.stdin().take(), child.stdout().take(), child.stderr().take());
    let process = JobChild {
        pid: child.id().unwrap_or_default(),
        child,
        end: None,
    };
    Ok(piped::launched(pipes, process))
}

struct JobChild {
    child: Box<dyn ChildWrapper>,
    pid: u32,
    end: Option<ProcessEnd>,
}

impl ChildProcess for JobChild {
    fn pid(&self) -> Option<u32> {
        Some(self.pid)
    }

    fn terminate(&mut self) {}

    fn kill(&mut self) {
        // Refused only when the job has ended already.
        let _ = self.child.start_kill();
    }

    fn wait(&mut self) -> EndFuture<'_> {
        Box::pin(async move {
            if self.end.is_none() {
                let exit = self
                    .child
                    .inner_mut()
                    .wait()
                    .await
                    .map_or(Exit::Unknown, Exit::from);
                // What the process left in its job goes with it; nobody here can count it.
                let _ = self.child.start_kill();
                let _ = self.child.wait().await;
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
