//! Processes stand still from pre to post, and never for good.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Command},
    sync::atomic::{AtomicU32, Ordering},
};

use tempfile::TempDir;

use super::{asking, containers, inject, open_folder, possible};
use crate::{
    databases::harness::{Container, NOBODY, Phase, Pod, eventually, is_root},
    support,
};

const POLICY: &str = "process-stop";

/// A program of a name that no other process here has, as another user would run it.
struct Program {
    name: String,
    folder: TempDir,
}

impl Program {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = open_folder();
        let name = format!("still{}-{count}", std::process::id());
        // By another process: one that is forked here meanwhile would hold it open.
        let copied = Command::new("cp")
            .arg("/usr/bin/sleep")
            .arg(folder.path().join(&name))
            .status();
        assert!(copied.unwrap().success());
        Self { name, folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    fn start(&self) -> Process {
        let mut command = Command::new(self.path());
        if is_root() {
            std::os::unix::process::CommandExt::uid(&mut command, NOBODY);
        }
        Process(command.arg("600").spawn().unwrap())
    }

    fn pod(&self, parameters: &[(&str, &str)]) -> Pod {
        let process = ("process", &*self.name);
        inject(&asking(POLICY, &[&[process], parameters].concat(), &[]))
    }
}

struct Process(Child);

impl Process {
    fn stands_still(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        stat.rsplit(") ").next().unwrap().starts_with('T')
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn processes_stand_still_from_pre_to_post() {
    if !possible(&[]) {
        return;
    }
    for container in containers() {
        // Only its own user, or root, may stop a process.
        let container = Container {
            uid: NOBODY,
            ..container
        };
        let program = Program::new();
        let both = [program.start(), program.start()];
        let pod = program.pod(&[]);
        pod.run(Phase::Pre, &container).is_ok();
        assert!(both.iter().all(Process::stands_still));
        pod.run(Phase::Post, &container).is_ok();
        assert!(!both.iter().any(Process::stands_still));
        pod.run(Phase::Post, &container)
            .failed(5, &["nothing is held"]);
    }
}

#[test]
fn without_a_post_hook_they_go_on_after_the_limit() {
    if !possible(&[]) {
        return;
    }
    let program = Program::new();
    let process = program.start();
    let pod = program.pod(&[("limit", "2s")]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    eventually("it goes on", || !process.stands_still());
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["limit of 2 s", "not good"]);
}

#[test]
fn what_was_killed_with_all_its_processes_is_ended_by_the_next_run() {
    if !possible(&[]) {
        return;
    }
    let program = Program::new();
    let process = program.start();
    let pod = program.pod(&[("limit", "1h")]);
    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("it stands still", || process.stands_still());
    hook.kill();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert!(process.stands_still());
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert!(!process.stands_still());
}

#[test]
fn one_that_stood_still_before_stays_so() {
    if !possible(&[]) {
        return;
    }
    let program = Program::new();
    let (still, other) = (program.start(), program.start());
    still.signal("-STOP");
    eventually("it stands still", || still.stands_still());
    let pod = program.pod(&[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert!(still.stands_still() && !other.stands_still());
}

#[test]
fn one_that_went_on_or_ended_is_no_good_backup() {
    if !possible(&[]) {
        return;
    }
    let program = Program::new();
    let process = program.start();
    let pod = program.pod(&[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    process.signal("-CONT");
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["did not stand still", "not good"]);

    pod.run(Phase::Pre, &Container::default()).is_ok();
    drop(process);
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["has ended", "not good"]);
}

/// Whether a process of this program runs, be it nobody's child.
fn runs(program: &Program) -> bool {
    let found = Command::new("pidof").arg(&program.name).output();
    found.unwrap().status.success()
}

fn commands(program: &Program) -> (String, String) {
    let stop = format!("kill $(pidof {})", program.name);
    // As a server that goes into the background by itself.
    let start = format!(
        "pidof {} >/dev/null || setsid {} 600 >/dev/null 2>&1 </dev/null &",
        program.name,
        program.path().display()
    );
    (stop, start)
}

#[test]
fn commands_stop_a_process_and_start_it_again() {
    if !possible(&["pidof", "setsid"]) {
        return;
    }
    for container in containers() {
        let container = Container {
            uid: NOBODY,
            ..container
        };
        let program = Program::new();
        let mut process = program.start();
        let (stop, start) = commands(&program);
        let pod = program.pod(&[("stop", &stop), ("start", &start)]);
        pod.run(Phase::Pre, &container).is_ok();
        process.0.wait().unwrap();
        assert!(!runs(&program));
        pod.run(Phase::Post, &container).is_ok();
        assert!(runs(&program));
        let ended = Command::new("pkill").arg("-x").arg(&program.name).status();
        assert!(ended.unwrap().success());
        // Its own process is gone already.
        std::mem::forget(process);
    }
}

#[test]
fn a_command_that_fails_or_is_killed_is_undone() {
    if !possible(&[]) {
        return;
    }
    let folder = open_folder();
    let started = folder.path().join("started");
    let start = format!("echo yes >{}", started.display());
    for (stop, words) in [
        ("echo no disk >&2; false", "no disk"),
        ("exit 7", "parameter stop failed"),
    ] {
        let pod = inject(&asking(POLICY, &[("stop", stop), ("start", &start)], &[]));
        pod.run(Phase::Pre, &Container::default())
            .failed(1, &[words]);
        fs::remove_file(&started).expect("what failed may have stopped something: it is started");
    }
    let stopping = folder.path().join("stopping");
    let stop = format!("echo yes >{}; sleep 600", stopping.display());
    let pod = inject(&asking(POLICY, &[("stop", &stop), ("start", &start)], &[]));
    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("the command runs", || stopping.exists());
    hook.kill_alone();
    eventually("what it stopped is started", || started.exists());
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["killed", "not good"]);
}

#[test]
fn what_cannot_work_is_said_before_anything_is_done() {
    if !possible(&[]) {
        return;
    }
    let program = Program::new();
    for (parameters, words) in [
        (&[][..], &["parameter process is empty"][..]),
        (&[("process", "nobody-has-it")], &["no process"]),
        (&[("stop", "true")], &["belong together"]),
    ] {
        let pod = inject(&asking(POLICY, parameters, &[]));
        pod.run(Phase::Pre, &Container::default()).failed(2, words);
    }
    let process = program.start();
    if support::require(is_root(), "root, to be another user") {
        program
            .pod(&[])
            .run(Phase::Pre, &Container::of_user(4242))
            .failed(2, &["may not stop", "4242"]);
        // Whoever is PID 1 here: nobody may not signal it either.
        let first = fs::read_to_string("/proc/1/comm").unwrap();
        inject(&asking(POLICY, &[("process", first.trim())], &[]))
            .run(Phase::Pre, &Container::default())
            .failed(2, &["PID 1", "shareProcessNamespace"]);
    }
    assert!(!process.stands_still());
}
