//! A container beside a database that holds something between two hooks or makes their calls, and how it
//! is asked.

use super::{Calls, Hook, call::Call, file};
use crate::{pod::Container, velero::Timeout};

/// What a policy with a coordinator brings into a pod.
#[derive(Clone, Debug, PartialEq)]
pub struct Coordinator {
    /// The name of its container.
    pub name: String,
    /// Its image, where that is not the one of the chosen container.
    pub image: Option<String>,
    /// None where the hooks of the policy call.
    pub session: Option<Session>,
    pub resources: file::Resources,
}

/// What is held from one hook to the next.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// What holds until its standard input ends.
    pub hook: Hook,
    /// The longest that it holds.
    pub limit: Timeout,
    /// Names of variables of the chosen container.
    pub env: Vec<String>,
    pub port: Option<u16>,
    pub token: Option<file::SecretKey>,
}

/// The volume that the coordinator has for itself, and where it is mounted.
pub const VOLUME: &str = "quiescent-coordinator";
pub const FOLDER: &str = "/quiescent/coordinator";

/// Where the program lies, for the container has another image than the one that brings it.
pub const PROGRAM: &str = "/quiescent/coordinator/program";

/// The init container that puts the program there.
pub const INSTALLER: &str = "quiescent-program";

/// The name of the container where a policy says none.
pub(super) const NAME: &str = "quiescent-coordinator";

/// What a hook asks of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    Start,
    Stop,
}

/// The program with its loader, before its arguments.
#[must_use]
pub fn program() -> Vec<String> {
    vec![
        format!("{PROGRAM}/ld.so"),
        "--library-path".to_owned(),
        PROGRAM.to_owned(),
        format!("{PROGRAM}/quiescent"),
        "coordinator".to_owned(),
    ]
}

impl Request {
    /// What Velero runs for it in the coordinator's container.
    pub(super) fn argv(self, seconds: u64) -> Vec<String> {
        let mut argv = program();
        let request = match self {
            Self::Start => "start",
            Self::Stop => "stop",
        };
        argv.extend([request.to_owned(), format!("--timeout={seconds}s")]);
        argv
    }
}

/// What Velero runs in the coordinator's container for a hook that calls: for the call of a pre hook, that
/// of the post hook is there too, which undoes it.
pub(super) fn call_argv(policy: &str, calls: &Calls) -> Vec<String> {
    let mut argv = program();
    let calls = serde_json::to_string(calls).expect("a call has no keys but texts");
    argv.extend(["call".to_owned(), format!("--name={policy}"), calls]);
    argv
}

/// What a command asks of a coordinator, in a word or two, where it is such a command.
#[must_use]
pub fn asked(argv: &[String]) -> Option<String> {
    let asked = argv.strip_prefix(program().as_slice())?;
    match asked {
        [request, _, calls] if request == "call" => {
            let calls: Calls = serde_json::from_str(calls).ok()?;
            calls.all().next().map(Call::to_string)
        }
        [request, ..] => Some(format!("coordinator {request}")),
        [] => None,
    }
}

/// Whether a container is one that a policy's coordinator has, of whatever version: that beside the
/// database, or the one that brings the program.
#[must_use]
pub fn is_coordinators(container: &Container<'_>) -> bool {
    let words = container.words();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    is_ours(&container.name, &words)
}

/// The same by its name and by the words of its command and arguments.
#[must_use]
pub fn is_ours(name: &str, words: &[&str]) -> bool {
    let installs = name == INSTALLER && words == ["coordinator", "install", PROGRAM];
    let ours = program();
    let runs = words.len() > ours.len() && words.iter().zip(&ours).all(|(one, other)| one == other);
    installs || runs
}
