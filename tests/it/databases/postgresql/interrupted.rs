//! Hooks that are killed, run twice at once, or run out of time: no dump ever looks finished that is not.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use tempfile::TempDir;

use super::{
    Postgres,
    deliveries::{argument, exported},
};
use crate::databases::harness::{Container, Phase, Pod, eventually};

fn with_a_table() -> (Postgres, Pod) {
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table t as select md5(id::text) from generate_series(1, 20000) id",
    );
    let pod = Pod::inject(&server.pod(&[]), &[]);
    (server, pod)
}

/// Waits until a hook has begun to write its dump.
fn is_writing(pod: &Pod) {
    eventually("the hook writes", || {
        pod.store().join("new/globals.sql").exists()
    });
}

#[test]
fn a_killed_hook_leaves_the_last_dump_and_the_next_one_tidies_up() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = with_a_table();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.manifest();

    let lock = server.lock("postgres", "t");
    let hook = pod.start(Phase::Pre, &Container::default());
    is_writing(&pod);
    hook.kill();
    drop(lock);
    assert_eq!(pod.manifest(), good);

    let next = pod.run(Phase::Pre, &Container::default());
    next.is_ok();
    assert!(next.said.contains("was cut off"), "{next:?}");
    assert_ne!(pod.manifest(), good);
    let left: Vec<_> = fs::read_dir(pod.store())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["current"]);
}

#[test]
fn a_hook_killed_at_any_moment_leaves_a_dump_that_is_whole() {
    if !Postgres::at_hand() {
        return;
    }
    let (_server, pod) = with_a_table();
    survives_kills(&pod);
}

/// Kills a hook again and again, and looks each time whether a whole dump is there.
pub(super) fn survives_kills(pod: &Pod) {
    pod.run(Phase::Pre, &Container::default()).is_ok();
    for tenths in 1..=20 {
        let hook = pod.start(Phase::Pre, &Container::default());
        // Not a wait for something: the moment is meant to be a random one.
        thread::sleep(Duration::from_millis(tenths * 40));
        hook.kill();
        let dumps = ["current", "previous"].map(|name| pod.store().join(name));
        let whole = dumps
            .iter()
            .filter(|dump| dump.join("manifest").exists())
            .inspect(|dump| is_whole(dump));
        assert_ne!(
            whole.count(),
            0,
            "killed after {tenths} × 40 ms, no dump is left"
        );
    }
    pod.run(Phase::Pre, &Container::default()).is_ok();
    is_whole(&pod.finished());
}

fn is_whole(dump: &Path) {
    let checked = Command::new("sha256sum")
        .args(["--check", "--quiet", "checksums"])
        .current_dir(dump)
        .status();
    assert!(checked.unwrap().success(), "{}", dump.display());
}

#[test]
fn a_second_run_at_once_says_so_and_the_first_goes_on() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = with_a_table();
    let lock = server.lock("postgres", "t");
    let first = pod.start(Phase::Pre, &Container::default());
    is_writing(&pod);
    pod.run(Phase::Pre, &Container::default())
        .failed(3, &["another run", "is active"]);
    drop(lock);
    first.finish().is_ok();
    assert!(pod.manifest().is_some());
}

/// The library's own policy, with this much time.
pub(super) fn hurried(timeout: &str) -> TempDir {
    exported(|text| text.replace("timeout: 10m", &format!("timeout: {timeout}")))
}

#[test]
fn a_hook_out_of_time_ends_by_itself_and_says_so() {
    if !Postgres::at_hand() {
        return;
    }
    let hurried = hurried("10s");
    let server = Postgres::start();
    server.sql("postgres", "create table t ()");
    let pod = Pod::inject(&server.pod(&[]), &argument(hurried.path()));
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let _lock = server.lock("postgres", "t");
    pod.run(Phase::Pre, &Container::default())
        .failed(4, &["was not done within", "raise the timeout"]);
    assert_eq!(pod.files(), good);
}
