//! What was dumped is what is restored, and nothing else is touched.

use super::Mongo;
use crate::databases::harness::{Phase, Pod, overwriting};

#[test]
fn a_dump_survives_with_any_shell_a_password_and_users() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let environment = [
        ("MONGO_INITDB_ROOT_USERNAME", "root"),
        ("MONGO_INITDB_ROOT_PASSWORD", "p\"w \\x"),
    ];
    for shell in ["busybox", "bash"] {
        let container = installation.container().with_shell(shell);
        let server = Mongo::with_password(&installation, "p\"w \\x");
        server.ask(
            "var shop = db.getSiblingDB('shop');
            shop.orders.insert({_id: 1, text: '😀'});
            shop.createUser({user: 'app', pwd: 'app', roles: ['readWrite']})",
        );
        let pod = Pod::inject(&server.pod("dump", &environment), &[]);
        pod.run(Phase::Pre, &container).is_ok();
        drop(server);

        let fresh = Mongo::with_password(&installation, "p\"w \\x");
        let restored = Pod::inject(&fresh.pod("dump", &environment), &[]).restored_from(&pod);
        restored.run(Phase::Restore, &container).is_ok();
        let answer = fresh.ask(
            "var shop = db.getSiblingDB('shop');
            print(shop.orders.findOne().text + shop.auth('app', 'app'))",
        );
        assert_eq!(answer, "😀1");
        fresh.ask("db.getSiblingDB('shop').orders.insert({_id: 2})");
        restored
            .run(Phase::Restore, &container)
            .is_skipped("already-loaded");
        assert_eq!(
            fresh.ask("print(db.getSiblingDB('shop').orders.count())"),
            "2"
        );
    }
}

#[test]
fn databases_of_others_are_never_overwritten() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let container = installation.container();
    let server = Mongo::of(&installation);
    server.ask("db.getSiblingDB('shop').orders.insert({_id: 1})");
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    pod.run(Phase::Pre, &container).is_ok();

    let other = Mongo::of(&installation);
    other.ask("db.getSiblingDB('mine').things.insert({_id: 1})");
    Pod::inject(&other.pod("dump", &[]), &[])
        .restored_from(&pod)
        .run(Phase::Restore, &container)
        .failed(6, &["mine", "nothing was changed"]);
    assert_eq!(
        other.ask("print(db.getSiblingDB('shop').orders.count())"),
        "0"
    );

    let told = overwriting(other.pod("dump", &[]), "mongodb-dump");
    let told = Pod::inject(&told, &[]).restored_from(&pod);
    told.run(Phase::Restore, &container).is_ok();
    assert_eq!(
        other.ask(
            "print(db.getSiblingDB('shop').orders.count(), db.getSiblingDB('mine').things.count())"
        ),
        "1 0"
    );
}

/// Not of one moment, and it says so.
#[test]
fn a_server_without_a_set_is_dumped_without_an_oplog() {
    let Some(installation) = Mongo::at_hand() else {
        return;
    };
    let container = installation.container();
    let server = Mongo::alone(&installation, &[]);
    server.ask("db.getSiblingDB('shop').orders.insert({_id: 1})");
    let pod = Pod::inject(&server.pod("dump", &[]), &[]);
    let dumped = pod.run(Phase::Pre, &container);
    dumped.is_ok();
    assert!(dumped.said.contains("not at one moment"), "{dumped:?}");

    let fresh = Mongo::alone(&installation, &[]);
    Pod::inject(&fresh.pod("dump", &[]), &[])
        .restored_from(&pod)
        .run(Phase::Restore, &container)
        .is_ok();
    assert_eq!(
        fresh.ask("print(db.getSiblingDB('shop').orders.count())"),
        "1"
    );
}
