//! What goes wrong is said in a sentence, and the last good dump stays.

use super::{MySql, at_hand};
use crate::databases::harness::{Container, Phase, Pod};

/// On one server of each kind.
fn on_both(test: impl Fn(&MySql)) {
    for name in ["mariadb", "mysql-8.4"] {
        if let Some(installation) = at_hand(name) {
            let server = MySql::start(&installation, "right", &[]);
            server.sql("create database shop; create table shop.t (id int)");
            test(&server);
        }
    }
}

#[test]
fn a_wrong_password_is_said_and_costs_no_dump() {
    on_both(|server| {
        let pod = Pod::inject(&server.pod("wrong"), &[]);
        pod.run(Phase::Pre, &server.container())
            .failed(2, &["does not let user \"root\" in", "Access denied"]);
        assert_eq!(pod.manifest(), None);
        pod.run(Phase::Post, &server.container())
            .failed(1, &["no finished dump"]);
    });
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    on_both(|server| {
        let pod = Pod::inject(&server.pod("right"), &[]);
        let small = Container {
            volume: Some(8000),
            ..server.container()
        };
        pod.run(Phase::Pre, &small).is_ok();
        let good = pod.files();
        server.sql("use shop; create table big (b longblob)");
        server.sql("insert into shop.big values (repeat('x', 3000000)), (repeat('y', 3000000))");
        pod.run(Phase::Pre, &small)
            .failed(1, &["is full", "sizeLimit"]);
        assert_eq!(pod.files(), good);
    });
}

#[test]
fn a_load_cut_off_is_said_and_begun_anew_once_it_is_cleared() {
    on_both(|server| {
        server.sql("insert into shop.t values (1); create table shop.u (b longblob)");
        for _ in 0..8 {
            server.sql("insert into shop.u values (repeat('x', 3000000))");
        }
        let pod = Pod::inject(&server.pod("right"), &[]);
        pod.run(Phase::Pre, &server.container()).is_ok();

        let fresh = MySql::start(&server.installation, "right", &[]);
        let restored = Pod::inject(&fresh.pod("right"), &[]).restored_from(&pod);
        let hook = restored.start(Phase::Restore, &fresh.container());
        crate::databases::harness::eventually("the load has come to its tables", || {
            fresh.sql("show databases").contains("shop")
        });
        hook.kill();
        // The server ends what the client had begun.
        crate::databases::harness::eventually("the load has ended", || {
            fresh.sql("select count(*) from information_schema.processlist where user = 'root'")
                == "1"
        });
        fresh.sql("drop database shop");
        restored.run(Phase::Restore, &fresh.container()).is_ok();
        assert_eq!(fresh.everything(), server.everything());
        let settings = "select @@global.max_allowed_packet, @@global.automatic_sp_privileges";
        assert_eq!(fresh.sql(settings), "4194304\t1");
    });
}

#[test]
fn a_hook_out_of_time_ends_by_itself_and_says_so() {
    for name in ["mariadb", "mysql-8.4"] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "secret", &[]);
        server.sql("create database shop; create table shop.t (id int)");
        let pod = Pod::inject(&server.pod("secret"), &[]);
        pod.run(Phase::Pre, &server.container()).is_ok();
        let good = pod.files();
        let lock = server.lock("shop.t");
        pod.run(Phase::Pre, &server.container().within(8))
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
