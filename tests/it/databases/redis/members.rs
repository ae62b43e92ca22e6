//! Replicas, sentinels and members of clusters, and users that may do little.

use super::Redis;
use crate::databases::harness::{Container, Phase, Pod};

/// What the page of redis-dump says a user of its own needs.
const DUMP: &str = "+ping +info +sync +psync +replconf";
/// As well for its restore.
const RESTORE: &str = "+config|get +config|set +replicaof";
/// What the page of redis-snapshot says a user of its own needs.
const SNAPSHOT: &str = "+ping +info +time +lastsave +bgsave +config|get +config|set";

fn as_user(server: &Redis, method: &str, rights: &str) -> Pod {
    let mut user = vec!["acl", "setuser", "backup", "on", ">s3cret"];
    user.extend(rights.split(' '));
    server.ask(&user);
    let mut pod = server.pod_for(method, &[("BACKUP_PASSWORD", "s3cret")]);
    let annotations = &mut pod["metadata"]["annotations"];
    annotations[format!("quiescent.dev/redis-{method}.user")] = "backup".into();
    annotations[format!("quiescent.dev/redis-{method}.passwordEnv")] = "BACKUP_PASSWORD".into();
    Pod::inject(&pod, &[])
}

#[test]
fn a_user_with_the_rights_of_the_page_is_enough() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("admin", &[]);
    server.ask(&["set", "key", "value"]);
    let dumped = as_user(&server, "dump", DUMP);
    dumped.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Redis::start("admin", &[]);
    let restored = as_user(&fresh, "dump", &format!("{DUMP} {RESTORE}")).restored_from(&dumped);
    restored.run(Phase::Restore, &Container::default()).is_ok();
    assert_eq!(fresh.ask(&["get", "key"]), "value");

    let server = Redis::start("admin", &["--appendonly", "yes"]);
    let pod = as_user(&server, "snapshot", SNAPSHOT);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
}

#[test]
fn each_right_that_is_missing_is_named() {
    if !Redis::at_hand() {
        return;
    }
    for right in SNAPSHOT.split(' ') {
        let server = Redis::start("admin", &["--appendonly", "yes"]);
        let others: Vec<&str> = SNAPSHOT.split(' ').filter(|it| *it != right).collect();
        let pod = as_user(&server, "snapshot", &others.join(" "));
        let word = if right == "+ping" { "ping" } else { right };
        pod.run(Phase::Pre, &Container::default())
            .failed(2, &[word]);
        assert_eq!(server.setting("auto-aof-rewrite-percentage"), "100");
    }
    let server = Redis::start("admin", &[]);
    for (rights, word) in [("-@all +ping", "+info"), ("+info", "+sync +psync")] {
        let pod = as_user(&server, "dump", rights);
        pod.run(Phase::Pre, &Container::default())
            .failed(2, &[word]);
        assert_eq!(pod.manifest(), None);
    }
}

#[test]
fn a_sentinel_has_nothing_to_back_up() {
    if !Redis::at_hand() {
        return;
    }
    for method in ["dump", "snapshot"] {
        let sentinel = Redis::start_as_sentinel();
        let pod = Pod::inject(&sentinel.pod_for(method, &[]), &[]);
        pod.run(Phase::Pre, &Container::default())
            .is_skipped("role=sentinel");
    }
}

#[test]
fn a_replica_saves_for_its_snapshot_and_says_what_it_is() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    let master = format!("127.0.0.1 {}", server.server.port);
    let replica = Redis::start("", &["--replicaof", &master]);
    let pod = Pod::inject(&replica.pod_for("snapshot", &[]), &[]);
    let saved = pod.run(Phase::Pre, &Container::default());
    saved.is_ok();
    assert!(saved.said.contains("role=replica"), "{saved:?}");
    assert!(replica.server.folder.path().join("dump.rdb").is_file());
}

/// Also where the server calls its mode by another name, as Valkey does.
#[test]
fn a_member_of_a_cluster_dumps_its_slots_and_refuses_to_load() {
    if !Redis::at_hand() {
        return;
    }
    for installation in super::proof::installations() {
        let cluster = [
            "--cluster-enabled",
            "yes",
            "--repl-diskless-sync-delay",
            "0",
        ];
        let member = Redis::of(&installation, "", &cluster);
        let pod = Pod::inject(&member.pod(&[]), &[]);
        pod.run(Phase::Pre, &member.container()).is_ok();
        let fresh = Redis::of(&installation, "", &cluster);
        Pod::inject(&fresh.pod(&[]), &[])
            .restored_from(&pod)
            .run(Phase::Restore, &fresh.container())
            .failed(2, &["a member of a cluster", "by hand"]);
    }
}
