//! What goes wrong is said in a sentence, and the last good dump stays.

use super::Etcd;
use crate::databases::{
    harness::{Container, Phase, Pod},
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
