//! What goes wrong is said in a sentence, and the last good dump stays.

use super::Postgres;
use crate::databases::harness::{Container, Phase, Pod};

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
fn a_hook_out_of_time_ends_by_itself_and_says_so() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql("postgres", "create table t ()");
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let _lock = server.lock("postgres", "t");
    pod.run(Phase::Pre, &Container::default().within(8))
        .failed(4, &["was not done within", "raise the timeout"]);
    assert_eq!(pod.files(), good);
}
