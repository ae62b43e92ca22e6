//! What goes wrong is said in a sentence, and the last good dump stays.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::Redis;
use crate::databases::harness::{Container, Phase, Pod, eventually};

#[test]
fn a_wrong_password_is_said_and_costs_no_dump() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("right", &[]);
    for environment in [&[][..], &[("REDIS_PASSWORD", "wrong")]] {
        let pod = Pod::inject(&server.pod(environment), &[]);
        let refused = pod.run(Phase::Pre, &Container::default());
        refused.failed(2, &["does not let us in", "passwordEnv"]);
        assert_eq!(pod.manifest(), None);
        pod.run(Phase::Post, &Container::default())
            .failed(1, &["no finished dump"]);
    }
}

#[test]
fn an_empty_file_with_a_password_is_passed_over() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("right", &[]);
    let environment = [
        ("REDIS_PASSWORD_FILE", "/dev/null"),
        ("VALKEY_PASSWORD", "right"),
    ];
    let pod = Pod::inject(&server.pod(&environment), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
}

/// Some images have no `timeout`.
#[test]
fn a_client_that_minds_no_signal_is_ended_without_the_tool_for_it() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let folder = tempfile::tempdir().unwrap();
    let client = folder.path().join("redis-cli");
    let check = ("redis-check-rdb", Path::new("/usr/bin/redis-check-rdb"));
    let container = Container::of_a_small_image(folder.path(), &[check]);
    fs::remove_file(folder.path().join("timeout")).unwrap();
    let script = "#!/bin/sh\ntrap '' TERM\nwhile :; do sleep 1; done\n";
    fs::write(&client, script).unwrap();
    fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
    pod.run(Phase::Pre, &container.within(4))
        .failed(1, &["does not answer"]);
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &["--repl-diskless-sync-delay", "0"]);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let small = Container {
        volume: Some(300),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    server.ask(&["debug", "populate", "20000", "key", "30"]);
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

/// A restore that was killed leaves the server a replica of one that nobody knows any more.
#[test]
fn a_killed_restore_is_undone_and_done_by_the_next() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &["--repl-diskless-sync-delay", "0"]);
    server.ask(&["debug", "populate", "1000", "key", "30"]);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Redis::start("", &[]);
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    let hook = restored.start(Phase::Restore, &Container::default());
    eventually("the server is a replica", || {
        fresh.ask(&["role"]).starts_with("slave") || restored.store().join("loaded").exists()
    });
    hook.kill();
    let again = restored.run(Phase::Restore, &Container::default());
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(fresh.ask(&["role"]).starts_with("master"));
    assert_eq!(fresh.ask(&["config", "get", "masterauth"]), "masterauth");
    assert_eq!(fresh.ask(&["dbsize"]), "1000");
}
