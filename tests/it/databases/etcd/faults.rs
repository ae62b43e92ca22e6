//! What goes wrong is said in a sentence, and the last good dump stays.

use super::Etcd;
use crate::databases::{
    capture::Stopped,
    harness::{Container, Phase, Pod, eventually},
    installation::Installation,
};

#[test]
fn a_password_that_is_missing_or_wrong_and_a_user_who_may_not_are_said() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    for arguments in [
        &["user", "add", "root:s3cret:x"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "guest:guest"],
        &["auth", "enable"],
    ] {
        server.ask(arguments);
    }
    for method in ["dump", "snapshot"] {
        for environment in [&[][..], &[("ETCD_ROOT_PASSWORD", "wrong")]] {
            let pod = Pod::inject(&server.pod(method, environment), &[]);
            pod.run(Phase::Pre, &Container::default())
                .failed(2, &["does not let us in", "passwordEnv"]);
        }
        let known = server.pod(method, &[("ETCD_ROOT_PASSWORD", "s3cret:x")]);
        let pod = Pod::inject(&known, &[]);
        let hook = pod.run(Phase::Pre, &Container::default());
        hook.is_ok();
        assert!(!(hook.said + &hook.complained).contains("s3cret"));
        pod.run(Phase::Post, &Container::default()).is_ok();
    }
    let mut guest = server.pod("dump", &[("GUEST", "guest")]);
    guest["metadata"]["annotations"]["quiescent.dev/etcd-dump.user"] = "guest".into();
    guest["metadata"]["annotations"]["quiescent.dev/etcd-dump.passwordEnv"] = "GUEST".into();
    let pod = Pod::inject(&guest, &[]);
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["needs the role root"]);
    assert_eq!(pod.manifest(), None);
}

/// The client itself would wait for a server for ever.
#[test]
fn a_server_that_does_not_answer_and_one_that_is_down_are_said() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    let checked = Pod::inject(&server.pod("snapshot", &[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let refused = || {
        for pod in [&pod, &checked] {
            pod.run(Phase::Pre, &Container::default())
                .failed(1, &["etcd does not answer at http://127.0.0.1"]);
        }
        assert_eq!(pod.files(), good);
    };
    let stopped = Stopped::all_of(server.server.pid());
    refused();
    drop(stopped);
    drop(server);
    refused();
}

#[test]
fn a_second_run_at_once_says_so_and_a_killed_one_leaves_the_last_dump() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.manifest();

    let stopped = Stopped::all_of(server.server.pid());
    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("the hook waits for the server", || {
        pod.store().join("new").is_dir()
    });
    pod.run(Phase::Pre, &Container::default())
        .failed(3, &["another run", "is active"]);
    hook.kill();
    drop(stopped);
    assert_eq!(pod.manifest(), good);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_ne!(pod.manifest(), good);
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    server.ask(&["put", "key", "value"]);
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    let small = Container {
        volume: Some(500),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    for key in ["a", "b", "c"] {
        server.ask(&["put", key, &"x".repeat(100_000)]);
        server.ask(&["put", key, &"y".repeat(100_000)]);
    }
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn data_and_log_on_two_places_are_told_apart() {
    if !Etcd::at_hand() {
        return;
    }
    let elsewhere = crate::databases::server::place();
    let log = elsewhere.0.path().join("wal");
    let place = crate::databases::server::place();
    let flags = ["--wal-dir", log.to_str().unwrap()];
    let server = Etcd::serve(&Installation::own(), place, &flags).unwrap();
    let unknown = Pod::inject(&server.pod("snapshot", &[]), &[]);
    unknown
        .run(Phase::Pre, &Container::default())
        .failed(2, &["there is no log in", "ETCD_WAL_DIR"]);
    let known = server.pod("snapshot", &[("ETCD_WAL_DIR", log.to_str().unwrap())]);
    Pod::inject(&known, &[])
        .run(Phase::Pre, &Container::default())
        .is_ok();
}

#[test]
fn without_the_client_it_says_so() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    let container = Container {
        path: "/nowhere".into(),
        ..Container::default().with_shell("busybox")
    };
    pod.run(Phase::Pre, &container)
        .failed(2, &["this container has no etcdctl"]);
}
