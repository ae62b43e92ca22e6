//! What goes wrong is said in a sentence, and the last good dump stays.

use super::{Postgres, restore::busybox_alone};
use crate::databases::{
    capture::Stopped,
    harness::{Container, Phase, Pod},
};

#[test]
fn a_wrong_password_is_said_and_costs_no_dump() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start_with_password("right");
    let pod = Pod::inject(&server.pod(&[("POSTGRES_PASSWORD", "wrong")]), &[]);
    let refused = pod.run(Phase::Pre, &Container::default());
    refused.failed(
        2,
        &["does not let user \"postgres\" in", "POSTGRES_PASSWORD"],
    );
    assert_eq!(pod.manifest(), None);
    pod.run(Phase::Post, &Container::default())
        .failed(1, &["no finished dump"]);

    let pod = Pod::inject(&server.pod(&[("POSTGRES_PASSWORD", "right")]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    server.sql_with("right", "alter role postgres password 'changed'");
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["password authentication failed"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_server_that_is_down_is_said_and_costs_no_dump() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    drop(server);
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["does not answer on 127.0.0.1"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_server_that_does_not_answer_is_said_and_costs_no_dump() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let stopped = Stopped::all_of(server.0.pid());
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["does not answer on 127.0.0.1"]);
    drop(stopped);
    assert_eq!(pod.files(), good);
    pod.run(Phase::Pre, &Container::default()).is_ok();
}

#[test]
fn what_an_application_has_set_for_itself_stops_no_dump() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table t as select md5(id::text) from generate_series(1, 100000) id",
    );
    for setting in [
        "statement_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "default_transaction_read_only = on",
    ] {
        server.sql("postgres", &format!("alter role postgres set {setting}"));
    }
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table t as select md5(id::text) from generate_series(1, 1000) id",
    );
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let small = Container {
        volume: Some(300),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();

    server.sql(
        "postgres",
        "insert into t select md5(id::text) from generate_series(1001, 20000) id",
    );
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_volume_without_room_for_a_second_dump_is_said_before_the_dump() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table t as select md5(id::text) from generate_series(1, 6000) id",
    );
    let pod = Pod::inject(&server.pod(&[]), &[]);
    let small = Container {
        volume: Some(250),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    pod.run(Phase::Pre, &small)
        .failed(1, &["are needed beside the last dump", "sizeLimit"]);
    assert!(pod.manifest().is_some());
}

#[test]
fn a_missing_tool_is_said() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    let pod = Pod::inject(&server.pod(&[]), &[]);
    // Debian's own pg_dump, a wrapper in /usr/bin, must not stand in.
    let tools = busybox_alone();
    let container = Container {
        path: tools.path().to_str().unwrap().into(),
        ..Container::default()
    };
    pod.run(Phase::Pre, &container).failed(2, &["has no psql"]);
}
