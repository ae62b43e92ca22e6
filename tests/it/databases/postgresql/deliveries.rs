//! The same hooks in other clothes: inside the command, and as one step of several.

use std::{fs, path::Path};

use tempfile::TempDir;

use super::Postgres;
use crate::{
    databases::harness::{Container, Phase, Pod},
    support,
};

/// The library's policy, changed.
pub(super) fn exported(change: impl Fn(String) -> String) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("mine");
    let export = [
        "library",
        "export",
        "postgresql-dump",
        folder.to_str().unwrap(),
    ];
    assert!(support::run(&export, "").status.success());
    let policy = folder.join("policy.yaml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(policy, change(text)).unwrap();
    dir
}

pub(super) fn argument(path: &Path) -> [&str; 2] {
    ["--policies", path.to_str().unwrap()]
}

#[test]
fn scripts_inside_the_command_dump_and_restore_as_well() {
    if !Postgres::at_hand() {
        return;
    }
    let inline = exported(|text| text.replace("spec:\n", "spec:\n  scripts: Inline\n"));
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table t as select generate_series(1, 100) n",
    );
    let pod = Pod::inject(&server.pod(&[]), &argument(inline.path()));
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert!(pod.manifest().is_some());

    let fresh = Postgres::start();
    let restored = Pod::inject(&fresh.pod(&[]), &argument(inline.path())).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).is_ok();
    assert_eq!(fresh.sql("postgres", "select sum(n) from t"), "5050");
}

/// A policy beside the library's, for the same pod.
fn beside(priority: i32, pre: &str, post: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let text = format!(
        "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {{name: beside}}\nspec:\n  priority: {priority}\n  match: {{images: [postgres]}}\n  hooks:\n    pre: {{command: [/bin/sh, -c, \"{pre}\"], timeout: 20s, onError: Fail, retry: {{attempts: 2, delay: 1s}}}}\n    post: {{command: [/bin/sh, -c, \"{post}\"], timeout: 20s, onError: Continue}}\n"
    );
    fs::write(dir.path().join("beside.yaml"), text).unwrap();
    dir
}

#[test]
fn several_policies_run_as_one_hook() {
    if !Postgres::at_hand() {
        return;
    }
    let first = beside(900, "echo first >/quiescent/dump/seen", "true");
    let server = Postgres::start();
    let arguments = [&["--library"][..], &argument(first.path())].concat();
    let pod = Pod::inject(&server.pod(&[]), &arguments);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert!(pod.volume().join("seen").exists());
    assert!(pod.manifest().is_some());
}

#[test]
fn a_step_that_fails_after_the_dump_fails_the_hook_and_undoes_what_came_before() {
    if !Postgres::at_hand() {
        return;
    }
    let last = beside(1, "exit 7", "echo never >/quiescent/dump/never");
    let before = beside(
        900,
        "echo taken >/quiescent/dump/taken",
        "rm /quiescent/dump/taken",
    );
    let policies = last.path().join("before.yaml");
    let text = fs::read_to_string(before.path().join("beside.yaml")).unwrap();
    fs::write(policies, text.replace("name: beside", "name: before")).unwrap();
    let server = Postgres::start();
    let arguments = [&["--library"][..], &argument(last.path())].concat();
    let pod = Pod::inject(&server.pod(&[]), &arguments);
    pod.run(Phase::Pre, &Container::default())
        .failed_together(7, &["step beside failed", "undoing step before"]);
    assert!(!pod.volume().join("taken").exists());
    assert!(!pod.volume().join("never").exists());
}
