//! The verbs, and who does them.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::super::ConfigArgs;
use super::client::AdminClient;
use super::failure::Failure;
use super::target::Target;
use super::{events, servers, sessions, status};

/// The commands that talk to a running gateway.
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Shows what the running gateway holds: sessions, streams, requests in flight, tasks of its runtime
    Status(FormArgs),
    /// Lists the servers of the running gateway
    Servers(FormArgs),
    /// Shows, registers, removes or orders about one server of the running gateway
    #[command(subcommand)]
    Server(ServerVerb),
    /// Lists the sessions of the running gateway, or ends one
    Sessions {
        /// End the session with this handle
        #[arg(long, value_name = "HANDLE", conflicts_with = "json")]
        end: Option<String>,
        /// How it is printed
        #[command(flatten)]
        form: FormArgs,
    },
    /// Follows what happens to the servers of the running gateway
    Events {
        /// Only the events of this server
        #[arg(long, value_name = "NAME")]
        server: Option<crate::config::ServerName>,
        /// Begin after the event with this number, as far as the gateway remembers; 0 is the beginning
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// How it is printed
        #[command(flatten)]
        form: FormArgs,
    },
    /// Prints the last lines that the processes of a server wrote to stderr
    Stderr {
        /// The server
        name: String,
    },
}

/// What is done to one server.
#[derive(Debug, Subcommand)]
pub enum ServerVerb {
    /// Prints everything about it, as JSON
    Show {
        /// The server
        name: String,
    },
    /// Registers the server that a file describes (needs admin.allow-commands = true)
    Register {
        /// A JSON object with `name`, `command` and other keys of a server; `-` is standard input
        file: PathBuf,
    },
    /// Removes it and ends its sessions and processes
    Unregister {
        /// The server
        name: String,
    },
    /// Starts its processes and waits until they are ready
    Start {
        /// The server
        name: String,
    },
    /// Ends its processes; the next request starts them again
    Stop {
        /// The server
        name: String,
    },
    /// Ends its processes and starts them again
    Restart {
        /// The server
        name: String,
    },
    /// Enables it
    Enable {
        /// The server
        name: String,
    },
    /// Disables it and ends its sessions and processes
    Disable {
        /// The server
        name: String,
    },
}

/// How something is printed.
#[derive(Debug, Clone, Args)]
pub struct FormArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Table,
    Json,
}

impl FormArgs {
    pub(super) fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Table }
    }
}

/// What a server can be told to do without further words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Start,
    Stop,
    Restart,
    Enable,
    Disable,
}

impl Order {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

/// Runs a command; what goes wrong is printed.
///
/// # Errors
/// The runtime cannot be started.
pub fn run(args: &ConfigArgs, command: AdminCommand) -> anyhow::Result<ExitCode> {
    connected(args, async |client| perform(client, command).await)
}

/// Does something with a client of the gateway that the arguments mean; what goes wrong is printed.
pub(super) fn connected(
    args: &ConfigArgs,
    action: impl AsyncFnOnce(&AdminClient) -> Result<(), Failure>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = Target::find(args).and_then(|target| {
        let client = AdminClient::new(target);
        runtime.block_on(action(&client))
    });
    Ok(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    })
}

async fn perform(client: &AdminClient, command: AdminCommand) -> Result<(), Failure> {
    match command {
        AdminCommand::Status(form) => status::show(client, form.form()).await,
        AdminCommand::Servers(form) => servers::list(client, form.form()).await,
        AdminCommand::Server(verb) => perform_on_server(client, verb).await,
        AdminCommand::Sessions {
            end: Some(handle), ..
        } => sessions::end(client, &handle).await,
        AdminCommand::Sessions { end: None, form } => sessions::list(client, form.form()).await,
        AdminCommand::Events { server, after, form } => {
            let server = server.as_ref().map(crate::config::ServerName::as_str);
            events::follow(client, server, after, form.form()).await
        }
        AdminCommand::Stderr { name } => servers::stderr(client, &name).await,
    }
}

async fn perform_on_server(client: &AdminClient, verb: ServerVerb) -> Result<(), Failure> {
    let (order, name) = match verb {
        ServerVerb::Show { name } => return servers::show(client, &name).await,
        ServerVerb::Register { file } => return servers::register(client, &file).await,
        ServerVerb::Unregister { name } => return servers::unregister(client, &name).await,
        ServerVerb::Start { name } => (Order::Start, name),
        ServerVerb::Stop { name } => (Order::Stop, name),
        ServerVerb::Restart { name } => (Order::Restart, name),
        ServerVerb::Enable { name } => (Order::Enable, name),
        ServerVerb::Disable { name } => (Order::Disable, name),
    };
    servers::order(client, order, &name).await
}
