//! What was dumped is what is restored, and nothing else is touched.

use std::{fs, os::unix::fs::PermissionsExt};

use super::Redis;
use crate::databases::harness::{Container, Phase, Pod, overwriting, path, which};

fn furnish(server: &Redis) {
    server.ask(&["debug", "populate", "1000", "key", "30"]);
    server.ask(&["set", "short-lived", "x", "ex", "5000"]);
    server.ask(&["set", "awk\"ward \\ key", "😀\n'"]);
    server.ask(&["-n", "3", "hset", "elsewhere", "field", "value"]);
    server.ask(&["-n", "15", "zadd", "scores", "1.5", "a", "-inf", "b"]);
    server.ask(&[
        "eval",
        "redis.call('set', '\\0\\255\\r\\n', '\\0\\1'); return 'OK'",
        "0",
    ]);
    server.ask(&["setrange", "big", "9000000", "end"]);
    server.ask(&["pfadd", "distinct", "a", "b", "c"]);
    server.ask(&["geoadd", "places", "13.36", "38.11", "Palermo"]);
    server.ask(&["xadd", "stream", "1-1", "field", "value"]);
    server.ask(&["xgroup", "create", "stream", "readers", "0"]);
    server.ask(&[
        "xreadgroup",
        "group",
        "readers",
        "one",
        "streams",
        "stream",
        ">",
    ]);
}

/// Functions came with Redis 7.
const FUNCTION: &str =
    "#!lua name=shop\nredis.register_function('answer', function() return 42 end)";

#[test]
fn every_version_brings_back_all_kinds_of_keys() {
    if !Redis::at_hand() {
        return;
    }
    for installation in super::proof::installations() {
        let fast = ["--repl-diskless-sync-delay", "0"];
        let server = Redis::of(&installation, "", &fast);
        furnish(&server);
        let functions = !server.field("redis_version").starts_with("6.");
        if functions {
            server.ask(&["function", "load", FUNCTION]);
        }
        let pod = Pod::inject(&server.pod(&[]), &[]);
        pod.run(Phase::Pre, &server.container()).is_ok();

        let fresh = Redis::of(&installation, "", &["--appendonly", "yes"]);
        let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
        restored.run(Phase::Restore, &fresh.container()).is_ok();
        assert_eq!(
            fresh.ask(&["debug", "digest"]),
            server.ask(&["debug", "digest"])
        );
        if functions {
            assert_eq!(fresh.ask(&["fcall", "answer", "0"]), "42");
        }
    }
}

fn survives(container: &Container, password: &'static str, settings: &[&str]) {
    if !Redis::at_hand() {
        return;
    }
    let known = [("REDIS_PASSWORD", password)];
    let known = if password.is_empty() {
        &[][..]
    } else {
        &known[..]
    };
    let server = Redis::start(password, &[]);
    furnish(&server);
    let pod = Pod::inject(&server.pod(known), &[]);
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();

    let fresh = Redis::start(password, settings);
    let for_replicas = fresh.ask(&["config", "get", "masterauth"]);
    let restored = Pod::inject(&fresh.pod(known), &[]).restored_from(&pod);
    restored.run(Phase::Restore, container).is_ok();
    assert_eq!(
        fresh.ask(&["debug", "digest"]),
        server.ask(&["debug", "digest"])
    );
    let lives = fresh.ask(&["ttl", "short-lived"]).parse::<u32>().unwrap();
    assert!((4000..=5000).contains(&lives), "{lives}");
    assert_eq!(fresh.ask(&["config", "get", "masterauth"]), for_replicas);
    assert!(fresh.ask(&["role"]).starts_with("master"));

    fresh.ask(&["set", "since", "then"]);
    restored
        .run(Phase::Restore, container)
        .is_skipped("already-loaded");
    assert_eq!(fresh.ask(&["get", "since"]), "then");
}

#[test]
fn a_snapshot_survives_without_a_password() {
    survives(&Container::default(), "", &[]);
}

#[test]
fn a_snapshot_survives_as_root_with_bash_an_append_only_file_and_a_password() {
    survives(
        &Container::of_user(0).with_shell("bash"),
        "p\"w \\x",
        &["--appendonly", "yes"],
    );
}

#[test]
fn a_snapshot_survives_as_any_user_with_busybox_and_a_password_for_replicas() {
    let container = Container::of_user(4242).with_shell("busybox");
    survives(&container, "p\"w \\x", &["--masterauth", "an\\other\""]);
}

#[test]
fn keys_of_others_are_never_overwritten() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Redis::start("", &[]);
    fresh.ask(&["set", "mine", "1"]);
    let before = fresh.ask(&["debug", "digest"]);
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &Container::default())
        .failed(6, &["1 keys", "nothing was changed"]);
    assert_eq!(fresh.ask(&["debug", "digest"]), before);

    let told = overwriting(fresh.pod(&[]), "redis-dump");
    let told = Pod::inject(&told, &[]).restored_from(&pod);
    told.run(Phase::Restore, &Container::default()).is_ok();
    assert_eq!(
        fresh.ask(&["debug", "digest"]),
        server.ask(&["debug", "digest"])
    );
}

#[test]
fn keys_written_while_the_dump_is_read_are_never_overwritten() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    // An application that writes at the moment at which the second server starts.
    let fresh = Redis::start("", &[]);
    let tools = tempfile::tempdir().unwrap();
    let second = tools.path().join("redis-server");
    let program = which("redis-server").unwrap();
    let script = format!(
        "#!/bin/sh\nredis-cli -p {} set mine 1 >&2\nexec {} \"$@\"\n",
        fresh.server.port,
        program.display()
    );
    fs::write(&second, script).unwrap();
    for open in [tools.path(), &second] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let container = Container {
        path: format!("{}:{}", tools.path().display(), path()),
        ..Container::default()
    };
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &container)
        .failed(6, &["while the dump was read", "nothing was changed"]);
    assert_eq!(fresh.ask(&["get", "mine"]), "1");
    assert_eq!(fresh.ask(&["dbsize"]), "1");
    assert_eq!(fresh.setting("masterauth"), "");
}

#[test]
fn a_server_that_became_a_replica_is_told_where_the_dump_lies() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let primary = Redis::start("", &[]);
    let master = format!("127.0.0.1 {}", primary.server.port);
    let replica = Redis::start("", &["--replicaof", &master]);
    let restored = Pod::inject(&replica.pod(&[]), &[]).restored_from(&pod);
    let skipped = restored.run(Phase::Restore, &Container::default());
    skipped.is_skipped("role=replica");
    assert!(
        skipped.said.contains("load it there by hand"),
        "{skipped:?}"
    );
}

#[test]
fn a_replica_is_skipped() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    let replica = Redis::start(
        "",
        &["--replicaof", &format!("127.0.0.1 {}", server.server.port)],
    );
    let pod = Pod::inject(&replica.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default())
        .is_skipped("phase=pre role=replica ");
    pod.run(Phase::Restore, &Container::default())
        .is_skipped("skipped-at-backup");
}
