//! In an official image PostgreSQL is PID 1: it adopts what a hook that was killed leaves behind, and
//! must not take the end of that for the crash of a backend.

use std::{collections::BTreeMap, fs, process::Command};

use super::Postgres;
use crate::{
    databases::{
        harness::{Container, Phase, Pod, eventually, is_root},
        installation::Installation,
    },
    support,
};

/// A server that is PID 1 of its container, and its process.
fn first_process() -> (Postgres, u32) {
    let own = Installation::own();
    let place = Postgres::initialise(&own, "trust", "unused", &[]);
    let server = Postgres::command(&own, &place);
    // Tests that run in the background of a shell are born ignoring the signal that ends the server.
    let mut command = Command::new("env");
    command.arg("--default-signal=QUIT");
    // When the process that the test ends is gone, so is everything in there.
    command.args(["unshare", "--pid", "--fork", "--mount-proc", "setpriv"]);
    command
        .args(["--pdeathsig", "KILL"])
        .args(server.get_args());
    command.env_clear();
    let variables = server.get_envs();
    command.envs(variables.filter_map(|(name, value)| Some((name, value?))));
    let server = Postgres::run(&own, command, place).unwrap();
    let outer = server.0.pid();
    let children = format!("/proc/{outer}/task/{outer}/children");
    let inner = fs::read_to_string(children).unwrap();
    (server, inner.trim().parse().unwrap())
}

/// The process of a hook's script in a container, without what it forked.
fn script(first_process: u32) -> u32 {
    let namespace = |process: u32| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let container = namespace(first_process);
    let mut parents = BTreeMap::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let Ok(process) = name.parse() else { continue };
        let argv = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        if !argv.ends_with("/pre.sh\0") || namespace(process) != container {
            continue;
        }
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
        if let Some(parent) = parent {
            parents.insert(process, parent.trim().parse::<u32>().unwrap());
        }
    }
    let scripts = parents.iter();
    let mut scripts = scripts.filter(|(_, parent)| !parents.contains_key(parent));
    *scripts.next().expect("the hook runs").0
}

#[test]
fn a_server_lives_on_when_a_hook_is_killed_and_its_tools_run_out_of_time() {
    if !Postgres::at_hand() || !support::require(is_root(), "root, to make a container's PID 1") {
        return;
    }
    let (server, first_process) = first_process();
    server.sql("postgres", "create table t ()");
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let container = Container {
        first_process: Some(first_process),
        ..Container::default().within(17)
    };
    let lock = server.lock("postgres", "t");
    let hook = pod.start(Phase::Pre, &container);
    let waits = "select count(*) from pg_locks where not granted";
    eventually("the dump waits for the table", || {
        server.sql("postgres", waits) == "1"
    });
    let killed = Command::new("kill")
        .args(["-KILL", &script(first_process).to_string()])
        .status();
    assert!(killed.unwrap().success());
    // Until the time limit ends what it left behind.
    hook.finish();

    let held = "select count(*) from pg_locks
        where relation = 't'::regclass and mode = 'AccessExclusiveLock' and granted";
    assert_eq!(server.sql("postgres", held), "1", "nobody was thrown out");
    drop(lock);
    assert_eq!(pod.manifest(), None);
}
