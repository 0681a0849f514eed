//! One generation of the child: its process, its pipes and the tasks that serve them, all of which end with it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument, Span, debug};

use super::connection::Connection;
use super::error::UpstreamError;
use super::handshake::shake_hands;
use super::ladder::Ladder;
use super::launch::{BoxReader, BoxWriter, ChildProcess, Launched, ProcessEnd};
use super::stderr::{StderrTail, follow};
use crate::config::ServerSpec;
use crate::protocol::framing::LineDecoder;
use crate::protocol::mcp::InitializeParams;

/// How long output is still read after the process has ended, in case something else holds the pipe; and how long the
/// exit status, the better explanation, is waited for after the output has ended.
pub(super) const READ_AFTER_EXIT: Duration = Duration::from_secs(1);

/// How far the generation has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// The handshake is under way.
    Handshaking,
    /// It serves requests since then.
    Running {
        /// When it became ready.
        since: Instant,
    },
    /// It is being ended, for a reason that was wanted or not.
    Stopping(Ladder),
    /// The process has ended; what it wrote before is still read, until then.
    Exited {
        /// When to stop reading.
        read_until: Instant,
    },
}

/// What the tasks of a generation tell its supervisor.
#[derive(Debug)]
pub(super) enum GenerationEvent {
    /// The process ended.
    Exited(ProcessEnd),
    /// Its stdout ended.
    OutputEnded,
    /// Its stderr ended.
    ErrorsEnded,
    /// Its stdin broke, or was closed as asked.
    InputEnded(io::Result<()>),
    /// The handshake is over.
    Handshake(Result<(), String>),
}

pub(super) struct Generation {
    pub(super) connection: Arc<Connection>,
    pub(super) stage: Stage,
    /// Since when nothing more can be read.
    pub(super) output_ended: Option<Instant>,
    /// Whether its last words on stderr have been read.
    pub(super) errors_ended: bool,
    pub(super) end: Option<ProcessEnd>,
    /// Held until the handshake is over: so many servers start at once.
    pub(super) permit: Option<OwnedSemaphorePermit>,
    process: Box<dyn ChildProcess>,
    events: mpsc::Receiver<GenerationEvent>,
    /// Aborted when the generation is dropped.
    tasks: JoinSet<()>,
}

/// What a generation needs besides its process.
pub(super) struct GenerationOptions {
    pub(super) connection: Arc<Connection>,
    pub(super) spec: Arc<ServerSpec>,
    pub(super) facts: Arc<InitializeParams>,
    pub(super) tail: Arc<StderrTail>,
    pub(super) permit: OwnedSemaphorePermit,
}

impl Generation {
    /// Starts the tasks that serve the pipes, and the handshake.
    pub(super) fn start(launched: Launched, options: GenerationOptions, span: &Span) -> Self {
        let GenerationOptions {
            connection,
            spec,
            facts,
            tail,
            permit,
        } = options;
        // Four tasks, each of which sends one event: none of them ever waits for room.
        let (events_tx, events) = mpsc::channel(8);
        let mut tasks = JoinSet::new();
        let Launched {
            stdin,
            stdout,
            stderr,
            process,
        } = launched;
        let reader = read(stdout, connection.clone(), spec.line_max, events_tx.clone());
        tasks.spawn(reader.instrument(span.clone()));
        tasks.spawn(write(stdin, connection.clone(), events_tx.clone()).instrument(span.clone()));
        let (errors_tx, rate) = (events_tx.clone(), spec.stderr_rate);
        let errors = async move {
            follow(stderr, tail, rate).await;
            let _ = errors_tx.send(GenerationEvent::ErrorsEnded).await;
        };
        let handshake = shake_hands(connection.clone(), facts, spec.handshake_timeout);
        tasks.spawn(errors.instrument(span.clone()));
        tasks.spawn(
            async move {
                let _ = events_tx.send(GenerationEvent::Handshake(handshake.await)).await;
            }
            .instrument(span.clone()),
        );
        Self {
            connection,
            stage: Stage::Handshaking,
            output_ended: None,
            errors_ended: false,
            end: None,
            permit: Some(permit),
            process,
            events,
            tasks,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Returns whether all that the process wrote has been read.
    pub(super) fn is_read(&self) -> bool {
        self.output_ended.is_some() && self.errors_ended
    }

    /// Returns when whoever still waits must be told that no answer will come, although the process lives.
    pub(super) fn hopeless_at(&self) -> Option<Instant> {
        let ended = self.output_ended.filter(|_| self.connection.in_flight() > 0)?;
        Some(ended + READ_AFTER_EXIT)
    }

    pub(super) fn terminate(&mut self) {
        self.process.terminate();
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    /// Waits for the next thing that happens to this generation. Cancel safe.
    pub(super) async fn next_event(&mut self) -> GenerationEvent {
        let exited = self.end.is_some();
        loop {
            tokio::select! {
                biased; // what a server wrote counts before its end
                Some(event) = self.events.recv() => return event,
                end = self.process.wait(), if !exited => return GenerationEvent::Exited(end),
                Some(result) = self.tasks.join_next() => {
                    if let Err(error) = result && error.is_panic() {
                        tracing::error!(%error, "a task of this server panicked");
                        return GenerationEvent::OutputEnded;
                    }
                }
                else => std::future::pending().await,
            }
        }
    }
}

/// Whatever ended it, also a panic of its supervisor: nobody waits for ever, nobody writes into the void.
impl Drop for Generation {
    fn drop(&mut self) {
        self.connection
            .close(&UpstreamError::Ended("its supervision ended".into()));
        self.connection.outbound.close();
    }
}

async fn read(
    mut pipe: BoxReader,
    connection: Arc<Connection>,
    line_max: usize,
    events: mpsc::Sender<GenerationEvent>,
) {
    let mut decoder = LineDecoder::new(line_max);
    loop {
        match pipe.read_buf(decoder.buffer()).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                debug!(%error, "stdout broke");
                break;
            }
        }
        while let Some(frame) = decoder.next_frame() {
            connection.take(frame);
            if let Some(relief) = connection.inbound().congestion() {
                relief.await;
            }
        }
    }
    if let Some(frame) = decoder.finish() {
        connection.take(frame);
    }
    let _ = events.send(GenerationEvent::OutputEnded).await;
}

async fn write(pipe: BoxWriter, connection: Arc<Connection>, events: mpsc::Sender<GenerationEvent>) {
    let result = connection.outbound.write_to(pipe).await;
    let _ = events.send(GenerationEvent::InputEnded(result)).await;
}
