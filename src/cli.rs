//! The command line: reads what it is given, asks the engine, prints.

mod advice;
mod audit;
mod cluster;
mod completions;
mod controller;
mod coordinator;
mod doctor;
mod explain;
mod hook_words;
mod inject;
mod input;
mod library;
mod lint;
mod man;
mod manifests;
mod names;
mod output;
mod policies;
mod progress;
mod render;
mod results;
mod schema;
mod scripts;
mod serve;
mod snapshot;
mod test;
mod uninject;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{
    CommandFactory, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser as _},
};

use crate::{
    report::Style,
    select::{IMAGE, Mode, Settings},
};

/// Application-consistent Kubernetes backups by policy.
#[derive(Debug, Parser)]
#[command(
    name = "quiescent",
    version,
    about,
    after_help = "\
Exit codes: 0 fine, 1 there are findings, 2 it could not be done.

Examples:
  quiescent explain -f shop.yaml
  quiescent inject -f shop.yaml | kubectl apply -f -
  quiescent lint manifests
  quiescent serve",
    max_term_width = 100
)]
struct Args {
    /// When to use colours
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the admission webhook
    Serve(serve::Args),
    /// Keep scripts, certificates and the hooks of running pods in a cluster as they should be
    Controller(controller::Args),
    /// Print manifests with the hooks that policies give their pods
    Inject(inject::Args),
    /// Print manifests without what inject put into them
    Uninject(uninject::Args),
    /// Say what happens to each pod of a manifest, gate by gate, and why
    Explain(explain::Args),
    /// List every database of a cluster or of manifests, and whether a backup of it can be restored
    Audit(audit::Args),
    /// Say what is wrong with an installation in a cluster, and what to do
    Doctor(doctor::Args),
    /// Run the hooks of live pods as a backup would, undo them, and say what their timeouts should be
    Test(test::Args),
    /// Take CSI snapshots of claims while the hooks of their pods hold
    Snapshot(snapshot::Args),
    /// Say what became of the hooks and volumes of a backup or a restore of Velero
    Results(results::Args),
    /// Restore a backup beside the original, check what came back, say how long it took, and clean up
    Verify(verify::Args),
    /// Hold a database from one hook of a backup to the next, in a container beside it
    Coordinator(coordinator::Args),
    /// Find what is wrong with policies, with hooks in manifests and with Velero's objects
    Lint(lint::Args),
    /// Print the ConfigMaps with the hook scripts for a namespace
    Scripts(scripts::Args),
    /// Print the same policies as objects that need no webhook
    Render(render::Args),
    /// Show the policies that are compiled in
    Library(library::Args),
    /// Print the JSON Schema of policy files, or what a cluster must have to take policies as objects
    Schema(schema::Args),
    /// Print a script that completes commands in a shell
    Completions(completions::Args),
    /// Write manual pages, one for each command
    Man(man::Args),
    /// Print the version
    Version,
}

/// How a command ended, when nothing broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ended {
    Fine,
    /// There is something that a person should look at.
    Findings,
    /// Something was left undone, and said so.
    Undone,
    /// A hook ended with this code, and said why.
    Hook(u8),
}

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let Args { color, command } = Args::parse();
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let ended = match command {
        Command::Serve(args) => serve::run(args),
        Command::Controller(args) => controller::run(args),
        Command::Inject(args) => inject::run(&args),
        Command::Uninject(args) => uninject::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Test(args) => test::run(&args),
        Command::Snapshot(args) => snapshot::run(&args),
        Command::Results(args) => results::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Coordinator(args) => coordinator::run(args),
        Command::Lint(args) => lint::run(&args),
        Command::Scripts(args) => scripts::run(&args),
        Command::Render(args) => render::run(&args),
        Command::Library(args) => library::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => completions::run(&args, Args::command()),
        Command::Man(args) => man::run(&args, Args::command()),
        Command::Version => output::print(&format!("quiescent {}\n", env!("CARGO_PKG_VERSION"))),
    };
    match ended {
        Ok(Ended::Fine) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(1),
        Ok(Ended::Undone) => ExitCode::from(2),
        Ok(Ended::Hook(code)) => ExitCode::from(code),
        Err(error) => {
            anstream::eprintln!("{}", problem(&error));
            ExitCode::from(if error.is::<policies::BrokenPolicies>() {
                1
            } else {
                2
            })
        }
    }
}

/// What could not be done, in a line, and what to do about it in another.
fn problem(error: &anyhow::Error) -> String {
    let head = Style::Bad.paint("error:");
    match advice::on(error) {
        Some(advice) => format!(
            "{head} {error:#}\n{} {advice}",
            Style::Strong.paint("help:")
        ),
        None => format!("{head} {error:#}"),
    }
}

/// What an operator decides for all pods; the same for the webhook and for manifests.
#[derive(Debug, clap::Args)]
struct SettingsArgs {
    /// Which pods are considered when neither they nor their namespace have the label quiescent.dev/inject
    #[arg(long, value_name = "MODE", default_value = "opt-out", env = "QUIESCENT_MODE",
        value_parser = PossibleValuesParser::new(["opt-in", "opt-out"]).try_map(|it| it.parse::<Mode>()))]
    mode: Mode,
    #[command(flatten)]
    others: OtherSettings,
}

/// All of them but the mode, which has another default where a cluster is asked.
#[derive(Debug, clap::Args)]
struct OtherSettings {
    /// How databases without the label quiescent.dev/method are captured: dump, snapshot or off
    #[arg(long, value_name = "METHOD", default_value = "dump", env = "QUIESCENT_DEFAULT_METHOD", value_parser = ["dump", "snapshot", "off"])]
    default_method: String,
    /// The namespace that the webhook runs in
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "quiescent",
        env = "QUIESCENT_OWN_NAMESPACE"
    )]
    own_namespace: String,
    /// The namespace that Velero runs in
    #[arg(
        long,
        value_name = "NAMESPACE",
        default_value = "velero",
        env = "QUIESCENT_VELERO_NAMESPACE"
    )]
    velero_namespace: String,
    /// The image with this program, for the containers of coordinators
    #[arg(long, value_name = "IMAGE", default_value = IMAGE, env = "QUIESCENT_IMAGE")]
    image: String,
}

impl SettingsArgs {
    fn settings(&self) -> Settings {
        let Self { mode, others } = self;
        others.settings(*mode)
    }
}

/// Runs what asks a cluster to its end, on this thread.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("failed to start")?.block_on(work)
}

impl OtherSettings {
    fn settings(&self, mode: Mode) -> Settings {
        let Self {
            default_method,
            own_namespace,
            velero_namespace,
            image,
        } = self;
        Settings {
            mode,
            default_method: default_method.clone(),
            own_namespace: own_namespace.clone(),
            velero_namespace: velero_namespace.clone(),
            image: image.clone(),
        }
    }
}
