//! The hook of a volume snapshot looks whether one would be worth having, and holds nothing.

use std::{fs, os::unix::fs::symlink, process::Command};

use super::{MySql, at_hand};
use crate::databases::harness::{Container, Phase};

fn on_both(settings: &[&str], test: impl Fn(&MySql)) {
    for name in ["mariadb", "mysql-8.4"] {
        if let Some(installation) = at_hand(name) {
            let server = MySql::start(&installation, "secret", settings);
            server.sql("create database shop; create table shop.t (id int)");
            test(&server);
        }
    }
}

#[test]
fn root_may_look_too() {
    on_both(&[], |server| {
        let root = Container {
            uid: 0,
            ..server.container()
        };
        let pod = server.pod_by("snapshot");
        pod.run(Phase::Pre, &root).is_ok();
        pod.run(Phase::Post, &root).is_ok();
    });
}

#[test]
fn tables_that_do_not_survive_a_power_cut_are_said() {
    on_both(&[], |server| {
        let pod = server.pod_by("snapshot");
        server.sql("create table shop.in_memory (id int) engine = memory");
        pod.run(Phase::Pre, &server.container()).is_ok();
        server.sql("create table shop.old (id int) engine = myisam");
        pod.run(Phase::Pre, &server.container())
            .failed(2, &["not InnoDB", "shop.old in MyISAM", "method=dump"]);
    });
}

#[test]
fn pages_that_could_be_torn_are_said() {
    on_both(&["--skip-innodb-doublewrite"], |server| {
        server
            .pod_by("snapshot")
            .run(Phase::Pre, &server.container())
            .failed(2, &["innodb_doublewrite is off", "method=dump"]);
    });
}

#[test]
fn a_log_that_is_written_once_a_second_is_brought_to_disk() {
    on_both(&["--innodb-flush-log-at-trx-commit=0"], |server| {
        let pod = server.pod_by("snapshot");
        pod.run(Phase::Pre, &server.container()).is_ok();
        assert_ne!(
            server.sql("show global status like 'Com_flush'"),
            "Com_flush\t0"
        );
    });
}

#[test]
fn files_on_another_volume_are_said() {
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap();
    let there = elsewhere.path().join("log");
    fs::create_dir(&there).unwrap();
    let opened = Command::new("chmod")
        .arg("-R")
        .arg("0777")
        .arg(elsewhere.path())
        .status();
    assert!(opened.unwrap().success());
    let log = format!("--log-bin={}/log", there.display());
    on_both(&[&log], |server| {
        server
            .pod_by("snapshot")
            .run(Phase::Pre, &server.container())
            .failed(2, &["lies on another volume", "method=dump"]);
    });
    on_both(&[], |server| {
        symlink(&there, server.home().join("data/linked")).unwrap();
        server
            .pod_by("snapshot")
            .run(Phase::Pre, &server.container())
            .failed(2, &["data/linked", "lies on another volume"]);
    });
    let Some(installation) = at_hand("mariadb") else {
        return;
    };
    let server = MySql::start(&installation, "secret", &[]);
    server.sql(&format!(
        "create database shop; create table shop.far (id int) data directory = '{}'",
        there.display()
    ));
    server
        .pod_by("snapshot")
        .run(Phase::Pre, &server.container())
        .failed(2, &["shop/far.ibd lies on another volume"]);
}
