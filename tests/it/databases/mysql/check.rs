//! What came back is looked at: a sound server passes, damaged tables and missing ones are found.

use std::fs;

use super::{MySql, at_hand};
use crate::databases::harness::{Phase, Pod};

const CHECK: &str = "check.sh";

fn damage_is_found(server: &str) {
    let Some(installation) = at_hand(server) else {
        return;
    };
    let container = installation.container();
    let server = MySql::start(&installation, "secret", &[]);
    server.load(
        "create database `sh op-é`; use `sh op-é`;
         create table `awk``ward` (id int primary key) engine=InnoDB;
         create table old (id int primary key, note text) engine=MyISAM;
         insert into old values (1, 'a'), (2, 'b');",
    );
    let pod = Pod::inject(&server.pod("secret"), &[]);
    pod.run_script(CHECK, &container)
        .failed(1, &["no finished dump came back"]);
    pod.run(Phase::Pre, &container).is_ok();

    let fresh = MySql::start(&installation, "secret", &[]);
    let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&pod);
    restored
        .run_script(CHECK, &container)
        .failed(1, &["there are 0 tables, the dump has 2"]);
    restored.run(Phase::Restore, &container).is_ok();
    let sound = restored.run_script(CHECK, &container);
    sound.is_ok();
    assert!(sound.said.contains("tables=2 recorded=2"), "{sound:?}");

    fresh.sql("flush tables");
    let data = fresh.home().join("data");
    let folders = fs::read_dir(data).unwrap();
    let mut files = folders.map(|it| it.unwrap().path().join("old.MYD"));
    let rows = files.find(|it| it.is_file()).unwrap();
    let bytes = fs::read(&rows).unwrap();
    fs::write(&rows, &bytes[..bytes.len() / 2]).unwrap();
    restored
        .run_script(CHECK, &container)
        .failed(1, &["tables are damaged", "old"]);
}

#[test]
fn damage_of_mariadb_10_11_is_found() {
    damage_is_found("mariadb");
}

#[test]
fn damage_of_mariadb_11_8_is_found() {
    damage_is_found("mariadb-11.8");
}

#[test]
fn damage_of_mysql_8_4_is_found() {
    damage_is_found("mysql-8.4");
}
