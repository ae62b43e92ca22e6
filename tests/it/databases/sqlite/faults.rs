//! What goes wrong is said in a sentence, and the last good copy stays.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
};

use super::Sqlite;
use crate::databases::harness::{Container, Phase, Pod};

/// A writer in the middle of a transaction.
fn in_a_transaction(application: &Sqlite) -> Child {
    let mut writer = application
        .client()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = "begin exclusive; insert into t values (0); select 'begun';\n";
    let mut asks = writer.stdin.as_ref().unwrap();
    asks.write_all(lines.as_bytes()).unwrap();
    let says = BufReader::new(writer.stdout.as_mut().unwrap());
    assert_eq!(says.lines().next().unwrap().unwrap(), "begun");
    writer
}

fn ends(mut writer: Child) {
    drop(writer.stdin.take());
    writer.wait().unwrap();
}

#[test]
fn a_file_that_is_not_there_or_none_named_is_said() {
    if !Sqlite::at_hand() {
        return;
    }
    let application = Sqlite::start("wal");
    let nowhere = application.folder().join("nowhere.db");
    let pod = Pod::inject(&Sqlite::pod_of(&[&nowhere]), &[]);
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["there is no file", "nowhere.db"]);
    assert!(!nowhere.exists(), "nothing is made of a name");

    for (files, words) in [("", "no file is named"), ("app.db", "no absolute path")] {
        let mut pod = application.pod();
        pod["metadata"]["annotations"]["quiescent.dev/sqlite-dump.files"] = files.into();
        let pod = Pod::inject(&pod, &[]);
        pod.run(Phase::Pre, &Container::default())
            .failed(2, &[words]);
        pod.run(Phase::Post, &Container::default())
            .failed(1, &["no finished dump"]);
    }
}

#[test]
fn a_file_that_is_no_database_or_not_for_us_is_said_and_costs_no_dump() {
    if !Sqlite::at_hand() {
        return;
    }
    let application = Sqlite::start("wal");
    let pod = Pod::inject(&application.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();

    let file = application.file();
    let healthy = fs::read(&file).unwrap();
    fs::write(
        &file,
        "no database, but longer than a header of one hundred bytes. ".repeat(9),
    )
    .unwrap();
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["is no SQLite file"]);
    fs::write(&file, healthy).unwrap();
    assert_eq!(pod.files(), good);

    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let another = Pod::inject(&application.pod(), &[]);
    another
        .run(Phase::Pre, &Container::of_user(4242))
        .failed(2, &["user 4242 cannot read"]);
}

#[test]
fn a_damaged_file_is_said_and_costs_no_dump() {
    if !Sqlite::at_hand() {
        return;
    }
    let application = Sqlite::start("delete");
    application.sql(
        "create table big (n integer primary key, t text); create index big_t on big (t);
         with recursive c(n) as (select 1 union all select n + 1 from c where n < 2000)
         insert into big select n, hex(randomblob(50)) from c",
    );
    let pod = Pod::inject(&application.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let mut bytes = fs::read(application.file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    fs::write(application.file(), bytes).unwrap();
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["itself is damaged"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_writer_that_never_ends_is_said_and_costs_no_dump() {
    if !Sqlite::at_hand() {
        return;
    }
    let application = Sqlite::start("delete");
    let mut pod = application.pod();
    pod["metadata"]["annotations"]["quiescent.dev/sqlite-dump.lockWait"] = "1s".into();
    let pod = Pod::inject(&pod, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let writer = in_a_transaction(&application);
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["was locked by a writer for longer than 1 s"]);
    assert_eq!(pod.files(), good);
    ends(writer);
    pod.run(Phase::Pre, &Container::default()).is_ok();
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_dump() {
    if !Sqlite::at_hand() {
        return;
    }
    let application = Sqlite::start("wal");
    let pod = Pod::inject(&application.pod(), &[]);
    let small = Container {
        volume: Some(300),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small).is_ok();
    let good = pod.files();
    application.sql("insert into t values (randomblob(1000000))");
    pod.run(Phase::Pre, &small)
        .failed(1, &["is full", "sizeLimit"]);
    assert_eq!(pod.files(), good);
}
