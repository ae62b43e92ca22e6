//! What was dumped is what is restored, and nothing else is touched.

use std::fs;

use super::{Etcd, pod_at};
use crate::databases::{
    harness::{Container, Phase, Pod},
    installation::Installation,
    server::place,
};

#[test]
fn a_snapshot_becomes_a_data_directory_with_any_shell_and_user() {
    if !Etcd::at_hand() {
        return;
    }
    for container in [
        Container::default().with_shell("busybox"),
        Container::default().with_shell("bash"),
    ] {
        let server = Etcd::start();
        server.ask(&["put", "key", "value"]);
        let lease = server.ask(&["lease", "grant", "5000"]);
        let lease = lease.split(' ').nth(1).unwrap().to_owned();
        server.ask(&["put", &format!("--lease={lease}"), "short-lived", "x"]);
        let pod = Pod::inject(&server.pod("dump", &[]), &[]);
        pod.run(Phase::Pre, &container).is_ok();
        pod.run(Phase::Post, &container).is_ok();

        let (folder, port) = place();
        let log = folder.path().join("log-of-its-own");
        let environment = [("ETCD_WAL_DIR", log.to_str().unwrap())];
        let fresh = pod_at((folder.path(), port), "dump", &environment);
        let fresh = Pod::inject(&fresh, &[]).restored_from(&pod);
        fresh.run_script("restore.sh", &container).is_ok();
        fresh
            .run_script("restore.sh", &container)
            .is_skipped("already-loaded");
        let flags = ["--wal-dir", log.to_str().unwrap()];
        let restored = Etcd::serve(&Installation::own(), (folder, port), &flags).unwrap();
        assert_eq!(restored.ask(&["get", "key"]), "key\nvalue");
        assert!(restored.ask(&["lease", "list"]).contains(&lease));
    }
}

/// Cut off between the log and the directory, or after both: the next run of the init container goes on.
#[test]
fn a_restore_that_was_cut_off_while_it_moved_is_finished_by_the_next() {
    if !Etcd::at_hand() {
        return;
    }
    let container = Container::default();
    let server = Etcd::start();
    server.ask(&["put", "key", "value"]);
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    pod.run(Phase::Pre, &container).is_ok();
    let (folder, port) = place();
    let log = folder.path().join("log-of-its-own");
    let environment = [("ETCD_WAL_DIR", log.to_str().unwrap())];
    let fresh = pod_at((folder.path(), port), "dump", &environment);
    let fresh = Pod::inject(&fresh, &[]).restored_from(&pod);
    fresh.run_init(&container).is_ok();
    let note = |name: &str| fresh.store().join(name);
    fs::rename(note("loaded"), note("loading")).unwrap();
    fresh.run_init(&container).is_skipped("already-loaded");
    fs::rename(note("loaded"), note("loading")).unwrap();
    fs::remove_dir_all(folder.path().join("data/member")).unwrap();
    fresh.run_init(&container).is_ok();
    fs::remove_file(note("loaded")).unwrap();
    fresh.run_init(&container).is_skipped("data-there");
    let flags = ["--wal-dir", log.to_str().unwrap()];
    let restored = Etcd::serve(&Installation::own(), (folder, port), &flags).unwrap();
    assert_eq!(restored.ask(&["get", "key"]), "key\nvalue");
}

#[test]
fn a_filled_directory_is_never_touched() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    pod.run_script("restore.sh", &Container::default())
        .is_skipped("no-dump");
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run_script("restore.sh", &Container::default())
        .failed(6, &["there are data in", "nothing was changed"]);
}

/// Each would get the keys of another moment.
#[test]
fn members_of_a_cluster_are_not_restored_each_from_its_own_dump() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let (folder, port) = place();
    let cluster = [("ETCD_INITIAL_CLUSTER", "a=http://a:2380,b=http://b:2380")];
    let member = pod_at((folder.path(), port), "dump", &cluster);
    Pod::inject(&member, &[])
        .restored_from(&pod)
        .run_script("restore.sh", &Container::default())
        .failed(2, &["one and the same snapshot"]);
    Pod::inject(&member, &[])
        .restored_from(&pod)
        .run_init(&Container::default())
        .is_skipped("several-members");
    assert!(!folder.path().join("data/member").exists());
}

#[test]
fn a_damaged_dump_is_not_loaded() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let file = pod.finished().join("snapshot.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(&file, bytes).unwrap();
    let (folder, port) = place();
    let fresh = pod_at((folder.path(), port), "dump", &[]);
    Pod::inject(&fresh, &[])
        .restored_from(&pod)
        .run_script("restore.sh", &Container::default())
        .failed(1, &["not what was written"]);
    assert!(!folder.path().join("data/member").exists());
}
