//! What goes wrong is said in a sentence, and the last good dump stays.

use super::Mongo;
use crate::databases::harness::{Container, Phase, Pod};

#[test]
fn a_password_that_is_missing_or_wrong_is_said_and_the_roles_of_the_page_are_enough() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let server = Mongo::with_password(&installation, "p\"w \\x");
    let container = installation.container();
    for method in ["dump", "snapshot"] {
        let wrong = [
            ("MONGO_INITDB_ROOT_USERNAME", "root"),
            ("MONGO_INITDB_ROOT_PASSWORD", "wrong"),
        ];
        for environment in [&[][..], &wrong] {
            let pod = Pod::inject(&server.pod(method, environment), &[]);
            pod.run(Phase::Pre, &container)
                .failed(2, &["does not let us in", "passwordEnv"]);
        }
        let right = [("MONGODB_ROOT_PASSWORD", "p\"w \\x")];
        let pod = Pod::inject(&server.pod(method, &right), &[]);
        let hook = pod.run(Phase::Pre, &container);
        hook.is_ok();
        assert!(!(hook.said + &hook.complained).contains("p\"w"));
        pod.run(Phase::Post, &container).is_ok();
    }

    server.ask(
        "var admin = db.getSiblingDB('admin');
        admin.createUser({user: 'little', pwd: 'x', roles: []});
        admin.createUser({user: 'backup', pwd: 'x', roles: ['backup', 'clusterMonitor', 'hostManager']})",
    );
    for method in ["dump", "snapshot"] {
        for (user, enough) in [("little", false), ("backup", true)] {
            let mut pod = server.pod(method, &[("SECRET", "x")]);
            let annotations = &mut pod["metadata"]["annotations"];
            annotations[format!("quiescent.dev/mongodb-{method}.user")] = user.into();
            annotations[format!("quiescent.dev/mongodb-{method}.passwordEnv")] = "SECRET".into();
            let pod = Pod::inject(&pod, &[]);
            let hook = pod.run(Phase::Pre, &container);
            if enough {
                hook.is_ok();
            } else {
                hook.failed(2, &[]);
            }
        }
    }
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let server = Mongo::of(&installation);
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    let small = Container {
        volume: Some(300),
        ..installation.container()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    server.ask("db.getSiblingDB('shop').big.insert({text: new Array(1000000).join('x')})");
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_server_without_a_journal_is_not_for_snapshots() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let server = Mongo::alone(&installation, &["--nojournal"]);
    Pod::inject(&server.pod("snapshot", &[]), &[])
        .run(Phase::Pre, &installation.container())
        .failed(2, &["keeps no journal", "quiescent.dev/method=dump"]);
}
