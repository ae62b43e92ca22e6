//! Parameters of the policy reach the script through the pod's annotations.

use super::Postgres;
use crate::databases::harness::{Container, Phase, Pod};

#[test]
fn one_database_is_dumped_where_one_is_named() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql("postgres", "create database \"a shop\"");
    let mut pod = server.pod(&[]);
    pod["metadata"]["annotations"]["quiescent.dev/postgresql-dump.database"] = "a shop".into();
    let pod = Pod::inject(&pod, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_eq!(pod.manifest().unwrap()["databases"], "1");

    server.sql("postgres", "drop database \"a shop\"");
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["no database \"a shop\""]);
}

#[test]
fn a_table_locked_for_longer_than_allowed_is_said() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql("postgres", "create table t ()");
    let mut pod = server.pod(&[]);
    pod["metadata"]["annotations"]["quiescent.dev/postgresql-dump.lockWait"] = "1s".into();
    let pod = Pod::inject(&pod, &[]);
    let _lock = server.lock("postgres", "t");
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["was locked for longer than 1 s", "lockWait"]);
    assert_eq!(pod.manifest(), None);
}
