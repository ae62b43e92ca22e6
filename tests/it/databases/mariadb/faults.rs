//! What goes wrong is said in a sentence, and the last good dump stays.

use std::{io::Write as _, process::Stdio};

use super::MariaDb;
use crate::databases::harness::{Container, Phase, Pod, eventually};

#[test]
fn a_wrong_password_is_said_and_costs_no_dump() {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("right");
    let pod = Pod::inject(&server.pod("wrong"), &[]);
    let refused = pod.run(Phase::Pre, &Container::default());
    refused.failed(2, &["does not let user \"root\" in", "Access denied"]);
    assert_eq!(pod.manifest(), None);
    pod.run(Phase::Post, &Container::default())
        .failed(1, &["no finished dump"]);
}

#[test]
fn a_server_that_is_down_is_said_and_costs_no_dump() {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("secret");
    let pod = Pod::inject(&server.pod("secret"), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    drop(server);
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["does not answer on 127.0.0.1"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("secret");
    let pod = Pod::inject(&server.pod("secret"), &[]);
    let small = Container {
        volume: Some(8000),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    server.sql("create database shop; use shop; create table t as select repeat(md5(seq), 16) from seq_1_to_20000");
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_second_run_at_once_says_so_and_a_killed_one_leaves_the_last_dump() {
    if !MariaDb::at_hand() {
        return;
    }
    let server = MariaDb::start("secret");
    server.sql("create database shop; create table shop.t (id int); insert into shop.t values (1)");
    let pod = Pod::inject(&server.pod("secret"), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.manifest();

    let mut session = server
        .session()
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    session
        .stdin
        .as_mut()
        .unwrap()
        .write_all(b"lock tables shop.t write;\n")
        .unwrap();
    eventually("the table is locked", || {
        server
            .sql("show open tables where in_use > 0")
            .contains("shop")
    });

    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("the hook writes", || {
        pod.store().join("new/all.sql").exists()
    });
    pod.run(Phase::Pre, &Container::default())
        .failed(3, &["another run", "is active"]);
    hook.kill();
    assert_eq!(pod.manifest(), good);
    drop(session.stdin.take());
    session.wait().unwrap();

    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_ne!(pod.manifest(), good);
}
