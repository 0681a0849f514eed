//! Why a command was not done, and which exit code says so.

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use thiserror::Error;

use crate::app::state_dir::StateError;

/// Why a command was not done.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The gateway refuses it, and says why.
    #[error("{message} ({code})")]
    Refused {
        /// The public code.
        code: String,
        /// What is wrong and what to do about it.
        message: String,
    },
    /// The order was carried out, but the server is not running now.
    #[error("{0}")]
    NotUp(String),
    /// What the command was given cannot be used.
    #[error("{0:#}")]
    Input(anyhow::Error),
    /// The token or the address of the gateway cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// Nobody answers.
    #[error("no gateway answers at {address}: {source}")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The connection broke, or whoever answers is no gateway.
    #[error("the gateway at {address}: {message}")]
    Broken {
        /// Where.
        address: SocketAddr,
        /// What happened.
        message: String,
    },
    /// Nobody takes the output any more, or it cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// Prints what there is to say and returns the exit code.
    #[expect(clippy::print_stderr, reason = "the last word of a command that ends")]
    pub(super) fn report(&self) -> ExitCode {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS; // as with `| head`: the reader has enough
        }
        eprintln!("portcullis: {self}");
        ExitCode::from(match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::State(StateError::NotRunning(_)) => 3,
            _ => 1,
        })
    }
}
