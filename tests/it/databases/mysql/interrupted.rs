//! Hooks that are killed, run twice at once, or run out of time: no dump ever looks finished that is not.

use std::{fs, path::Path, process::Command, thread, time::Duration};

use super::{MySql, at_hand};
use crate::databases::harness::{Phase, Pod, eventually};

fn on_both(test: impl Fn(&MySql, &Pod)) {
    for name in ["mariadb", "mysql-8.4"] {
        if let Some(installation) = at_hand(name) {
            let server = MySql::start(&installation, "secret", &[]);
            server.sql(
                "create database shop; create table shop.t (id int); insert into shop.t values (1)",
            );
            test(&server, &Pod::inject(&server.pod("secret"), &[]));
        }
    }
}

fn is_writing(pod: &Pod) {
    eventually("the hook writes", || {
        pod.store().join("new/all.sql").exists()
    });
}

#[test]
fn a_second_run_at_once_says_so_and_a_killed_one_leaves_the_last_dump() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        let good = pod.manifest();
        let lock = server.lock("shop.t");
        let hook = pod.start(Phase::Pre, &server.container());
        is_writing(pod);
        pod.run(Phase::Pre, &server.container())
            .failed(3, &["another run", "is active"]);
        hook.kill();
        assert_eq!(pod.manifest(), good);
        drop(lock);

        let next = pod.run(Phase::Pre, &server.container());
        next.is_ok();
        assert!(next.said.contains("was cut off"), "{next:?}");
        assert_ne!(pod.manifest(), good);
    });
}

#[test]
fn a_hook_killed_at_any_moment_leaves_a_dump_that_is_whole() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        for step in 1..12 {
            let hook = pod.start(Phase::Pre, &server.container());
            // Not a wait for something: the moment is meant to be a random one.
            thread::sleep(Duration::from_millis(step * 40));
            hook.kill();
            let dumps = ["current", "previous"].map(|name| pod.store().join(name));
            let whole = dumps
                .iter()
                .filter(|dump| dump.join("manifest").exists())
                .inspect(|dump| is_whole(dump));
            assert_ne!(
                whole.count(),
                0,
                "killed after {step} × 40 ms, no dump is left"
            );
        }
        pod.run(Phase::Pre, &server.container()).is_ok();
        is_whole(&pod.finished());
    });
}

fn is_whole(dump: &Path) {
    let checked = Command::new("sha256sum")
        .args(["--check", "--quiet", "checksums"])
        .current_dir(dump)
        .status();
    assert!(checked.unwrap().success(), "{}", dump.display());
}

/// A policy of the library with less time.
fn hurried(policy: &str, timeout: &str) -> tempfile::TempDir {
    let policies = tempfile::tempdir().unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("policies")
        .join(policy);
    let copied = Command::new("cp")
        .arg("-rL")
        .arg(library)
        .arg(policies.path())
        .status();
    assert!(copied.unwrap().success());
    let file = policies.path().join(policy).join("policy.yaml");
    let text = fs::read_to_string(&file).unwrap();
    let hurried = text.replace(
        "script: pre.sh, timeout: 10m",
        &format!("script: pre.sh, timeout: {timeout}"),
    );
    assert_ne!(hurried, text);
    fs::write(&file, hurried).unwrap();
    policies
}

#[test]
fn a_hook_out_of_time_ends_by_itself_and_says_so() {
    for (name, policy) in [("mariadb", "mariadb-dump"), ("mysql-8.4", "mysql-dump")] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "secret", &[]);
        server.sql("create database shop; create table shop.t (id int)");
        let policies = hurried(policy, "10s");
        let arguments = ["--policies", policies.path().to_str().unwrap()];
        let pod = Pod::inject(&server.pod("secret"), &arguments);
        pod.run(Phase::Pre, &server.container()).is_ok();
        let good = pod.files();
        let lock = server.lock("shop.t");
        pod.run(Phase::Pre, &server.container())
            .failed(4, &["was not done within", "raise the timeout"]);
        assert_eq!(pod.files(), good);
        drop(lock);
        // Nothing stays locked.
        server.sql("set lock_wait_timeout = 60; alter table shop.t add column n int");
    }
}

#[test]
fn a_lock_on_all_tables_is_not_waited_for_without_end() {
    for name in ["mariadb", "mysql-8.4"] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "secret", &[]);
        server.sql("create database shop; create table shop.old (id int) engine = myisam");
        let mut pod = server.pod("secret");
        for policy in ["mariadb-dump", "mysql-dump"] {
            pod["metadata"]["annotations"][format!("quiescent.dev/{policy}.lockWait")] =
                "1s".into();
        }
        let pod = Pod::inject(&pod, &[]);
        let lock = server.lock("shop.old");
        pod.run(Phase::Pre, &server.container())
            .failed(1, &["for longer than 1 s", "lockWait"]);
        drop(lock);
        // Nothing stays locked.
        server.sql("insert into shop.old values (1)");
        pod.run(Phase::Pre, &server.container()).is_ok();
    }
}
