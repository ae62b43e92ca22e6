//! What was dumped is what is restored, and nothing else is touched.

use super::MariaDb;
use crate::databases::{
    harness::{Container, Phase, Pod},
    server::output,
};

fn furnish(server: &MariaDb) {
    server.sql(
        "create database `sh'op x` character set utf8mb4; use `sh'op x`;
         create table t (id int primary key, note longtext, raw blob);
         insert into t values (1, '😀\"''', unhex('00ff27')), (2, 'b', null);
         create view seen as select * from t;
         create procedure p() select 1;
         create trigger touched before insert on t for each row set new.note = upper(new.note);
         create user healthcheck@localhost identified by 'of another server';
         create user app@'%' identified by 'of the application';
         grant all on `sh'op x`.* to app@'%'",
    );
}

fn survives(container: &Container) {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("of then");
    furnish(&server);
    let pod = Pod::inject(&server.pod("of then"), &[]);
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();

    // The fresh server's own users, whose passwords its image has written down, keep them.
    let fresh = MariaDb::start("of now");
    fresh.sql("create user healthcheck@localhost identified by 'of the image'");
    let users = "select user, password from mysql.user
        where user in ('healthcheck', 'root') and host = 'localhost' order by user";
    let before = fresh.sql(users);
    let restored = Pod::inject(&fresh.pod("of now"), &[]).restored_from(&pod);
    restored.run(Phase::Restore, container).is_ok();
    assert_eq!(fresh.everything(), server.everything());
    assert_eq!(fresh.sql(users), before);
    let mut application = fresh.session();
    application.args([
        "--user=app",
        "-e",
        "select note from `sh'op x`.t where id = 2",
    ]);
    assert_eq!(
        output(application.env("MYSQL_PWD", "of the application")),
        "b"
    );

    fresh.sql("insert into `sh'op x`.t values (3, 'since', null)");
    restored
        .run(Phase::Restore, container)
        .is_skipped("already-loaded");
    assert_eq!(fresh.sql("select count(*) from `sh'op x`.t"), "3");
}

#[test]
fn a_dump_survives_as_the_servers_user() {
    survives(&Container::default());
}

#[test]
fn a_dump_survives_as_root_with_bash() {
    survives(&Container::of_user(0).with_shell("bash"));
}

#[test]
fn a_dump_survives_as_any_user_with_busybox() {
    survives(&Container::of_user(4242).with_shell("busybox"));
}

#[test]
fn user_data_are_never_overwritten() {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("secret");
    furnish(&server);
    let pod = Pod::inject(&server.pod("secret"), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = MariaDb::start("secret");
    fresh.sql("create database other; create table other.orders (id int)");
    let before = fresh.everything();
    let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &Container::default())
        .failed(6, &["1 tables", "nothing was changed"]);
    assert_eq!(fresh.everything(), before);
}
