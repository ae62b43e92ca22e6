//! `quiescent coordinator`: in a container beside a database, it holds from one hook to the next what
//! no hook of its own can hold, and makes the calls that Velero cannot.

mod ask;
mod call;
mod http;
mod install;
mod kept;
mod serve;
mod session;

use std::path::PathBuf;

use super::Ended;
use crate::{shutdown, velero::Timeout};

/// Where a pod keeps what is held, and the socket to ask at.
const STATE: &str = "/quiescent/coordinator/state";

/// The name of the socket in that folder.
const SOCKET: &str = "socket";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes of start and stop are those of the library's hooks: 0 done,
1 failed, 3 another request is carried out, 4 out of time, 5 what was held had
gone, this backup is not good; or that of the session.

Examples:
  quiescent coordinator start --timeout 1m
  quiescent coordinator install program")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Run a session on request: it says that it holds, and holds until its standard input is closed
    #[command(after_help = "\
Examples:
  quiescent coordinator serve --state state -- /bin/sh hold.sh
  quiescent coordinator serve --listen 127.0.0.1:9091 --token-file token -- /bin/sh hold.sh")]
    Serve(serve::Args),
    /// Begin a hold, and wait until it is there
    #[command(after_help = "\
Examples:
  quiescent coordinator start --timeout 1m")]
    Start(Request),
    /// End the hold, and say whether it lasted until now
    #[command(after_help = "\
Examples:
  quiescent coordinator stop --timeout 30s")]
    Stop(Request),
    /// Print as JSON what is held
    #[command(after_help = "\
Examples:
  quiescent coordinator status --state state")]
    Status(Place),
    /// Make the call of a hook over HTTP; what Secrets have comes from variables
    #[command(after_help = "\
The exit code is 0 when the answer is the expected one, 1 when it is not, 4
when there is none in time. A pre hook that fails is undone by the call of the
post hook before it ends.

Examples:
  quiescent coordinator call --name orders \"$CALLS\"")]
    Call(Box<call::Args>),
    /// Hold nothing, and wait for the end: the container is there for hooks that run in it
    #[command(after_help = "\
Examples:
  quiescent coordinator wait")]
    Wait,
    /// Copy this program and what it is linked with into a folder, from which it runs in any container
    #[command(after_help = "\
Examples:
  quiescent coordinator install program
  program/ld.so --library-path program program/quiescent version")]
    Install(install::Args),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The folder of the state and of the socket
    #[arg(long, value_name = "DIR", default_value = STATE)]
    state: PathBuf,
}

#[derive(Debug, clap::Args)]
struct Request {
    #[command(flatten)]
    place: Place,
    /// How long it may take
    #[arg(long, value_name = "DURATION", default_value = "25s")]
    timeout: Timeout,
}

pub fn run(args: Args) -> anyhow::Result<Ended> {
    match args.command {
        Command::Serve(args) => serve::run(args),
        Command::Start(request) => Ok(ask::start(&request)),
        Command::Stop(request) => Ok(ask::stop(&request)),
        Command::Status(place) => ask::status(&place),
        Command::Call(args) => call::run(&args),
        Command::Wait => super::block_on(wait()),
        Command::Install(args) => install::run(&args),
    }
}

async fn wait() -> anyhow::Result<Ended> {
    shutdown::on_signals()?.draining().await;
    Ok(Ended::Fine)
}
