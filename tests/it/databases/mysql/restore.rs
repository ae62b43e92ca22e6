//! What was dumped is what is restored, and nothing else is touched.

use std::fs;

use super::{MySql, at_hand};
use crate::databases::{
    by_hand::printed,
    harness::{Container, Phase, Pod, overwriting},
    server::output,
};

fn survives(server: &str, as_run: impl Fn(Container) -> Container) {
    let Some(installation) = at_hand(server) else {
        return;
    };
    let container = as_run(installation.container());
    let server = MySql::start(&installation, "of then", &[]);
    server.load(include_str!("awkward.sql"));
    server.sql("create user healthcheck@localhost identified by 'of another server'");
    let pod = Pod::inject(&server.pod("of then"), &[]);
    pod.run(Phase::Pre, &container).is_ok();
    pod.run(Phase::Post, &container).is_ok();

    // The fresh server's own users, whose passwords its image has written down, keep them.
    let fresh = MySql::start(&installation, "of now", &[]);
    fresh.sql("create user healthcheck@localhost identified by 'of the image'");
    let users = "select user, authentication_string from mysql.user
        where user in ('healthcheck', 'root') and host = 'localhost' order by user";
    let settings = "select @@global.max_allowed_packet, @@global.automatic_sp_privileges";
    let before = [fresh.sql(users), fresh.sql(settings)];
    let restored = Pod::inject(&fresh.pod("of now"), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &container).is_ok();
    assert_eq!(fresh.everything(), server.everything());
    assert_eq!([fresh.sql(users), fresh.sql(settings)], before);
    let mut application = fresh.session();
    application.args(["--user=app", "-e", "select count(*) from `sh op-é`.t"]);
    assert_eq!(
        output(application.env("MYSQL_PWD", "of the application")),
        "4"
    );

    fresh.sql("insert into other.numbers values (3, 0)");
    restored
        .run(Phase::Restore, &container)
        .is_skipped("already-loaded");
    assert_eq!(fresh.sql("select count(*) from other.numbers"), "3");
}

#[test]
fn a_dump_of_mariadb_10_11_survives_as_the_servers_user() {
    survives("mariadb", |container| container);
}

#[test]
fn a_dump_of_mariadb_11_8_survives_as_any_user_with_busybox() {
    survives("mariadb-11.8", |container| {
        Container {
            uid: 4242,
            ..container
        }
        .with_shell("busybox")
    });
}

#[test]
fn a_dump_of_mysql_8_0_survives_as_the_servers_user() {
    survives("mysql-8.0", |container| container);
}

#[test]
fn a_dump_of_mysql_8_4_survives_as_root_with_bash() {
    survives("mysql-8.4", |container| {
        Container {
            uid: 0,
            ..container
        }
        .with_shell("bash")
    });
}

#[test]
fn a_dump_of_mysql_9_survives_as_any_user_with_busybox() {
    survives("mysql-9", |container| {
        Container {
            uid: 4242,
            ..container
        }
        .with_shell("busybox")
    });
}

#[test]
fn user_data_are_never_overwritten() {
    let Some(installation) = at_hand("mariadb") else {
        return;
    };
    let server = MySql::start(&installation, "secret", &[]);
    server.sql("create database shop; create table shop.t (id int)");
    let pod = Pod::inject(&server.pod("secret"), &[]);
    pod.run(Phase::Pre, &server.container()).is_ok();

    let fresh = MySql::start(&installation, "secret", &[]);
    fresh.sql("create database other; create table other.orders (id int)");
    let before = fresh.everything();
    let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &server.container())
        .failed(6, &["1 tables", "nothing was changed"]);
    assert_eq!(fresh.everything(), before);

    fresh.sql("create database `with ``tick`; create table `with ``tick`.t (id int)");
    let told = overwriting(fresh.pod("secret"), "mariadb-dump");
    let told = Pod::inject(&told, &[]).restored_from(&pod);
    told.run(Phase::Restore, &server.container()).is_ok();
    assert_eq!(fresh.everything(), server.everything());
}

#[test]
fn a_dump_of_another_series_is_refused() {
    let (Some(old), Some(new)) = (at_hand("mysql-8.0"), at_hand("mysql-8.4")) else {
        return;
    };
    let server = MySql::start(&old, "secret", &[]);
    let pod = Pod::inject(&server.pod("secret"), &[]);
    pod.run(Phase::Pre, &server.container()).is_ok();
    let fresh = MySql::start(&new, "secret", &[]);
    let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &fresh.container()).failed(
        2,
        &["the dump is of server 8.0", "start the version of the dump"],
    );
}

/// As the page of its policy and that of its engine print it.
fn comes_back_by_hand(server: &str, engine: &str) {
    let Some(installation) = at_hand(server) else {
        return;
    };
    let container = Container {
        uid: 0,
        ..installation.container()
    };
    let server = MySql::start(&installation, "of both", &[]);
    server.load(include_str!("awkward.sql"));
    let pod = Pod::inject(&server.pod("of both"), &[]);
    pod.run(Phase::Pre, &container).is_ok();

    let fresh = MySql::start(&installation, "of both", &["--max-allowed-packet=1G"]);
    let restored = Pod::inject(&fresh.pod("of both"), &[]).restored_from(&pod);
    let home = fresh.home();
    let options = format!("[client]\nsocket={}\n", home.join("socket").display());
    fs::write(home.join(".my.cnf"), options).unwrap();
    let at = [("HOME", home.to_str().unwrap()), ("MYSQL_PWD", "of both")];
    let run = |commands: &str| {
        let done = restored.run_by_hand(commands, &at, &container);
        assert_eq!(done.code, Some(0), "{done:?}");
    };
    run(&printed(
        &format!("library/{engine}-dump.md"),
        "Restore by hand",
    ));
    assert!(
        fresh.everything() == server.everything(),
        "something is missing"
    );

    let count = "select count(*) from other.numbers";
    let before = fresh.sql(count);
    fresh.sql("drop database other; create table `sh op-é`.stays (id int)");
    let one = printed(
        &format!("databases/{engine}.md"),
        "The way back without Quiescent",
    );
    run(&format!(
        "cd /quiescent/dump; {}",
        one.replace("shop", "other")
    ));
    assert_eq!(fresh.sql(count), before);
    fresh.sql("select * from `sh op-é`.stays");
}

#[test]
fn a_dump_of_mysql_comes_back_by_hand() {
    comes_back_by_hand("mysql-8.4", "mysql");
}

#[test]
fn a_dump_of_mariadb_comes_back_by_hand() {
    comes_back_by_hand("mariadb", "mariadb");
}
