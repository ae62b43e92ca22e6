//! What was copied is what is restored, and nothing else is touched.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use super::Sqlite;
use crate::databases::harness::{Container, Phase, Pod};

const AWKWARD: &str = "
    pragma application_id = 4711; pragma user_version = 12;
    create table people (id integer primary key, name text collate nocase unique, photo blob, score real,
        upper_name text generated always as (upper(name)) stored);
    insert into people (name, photo, score) values
        ('O''Brien \"x\"', x'00ff0a27', 1e308), ('😀 mañana', zeroblob(100000), -0.5), (null, null, null);
    create table \"odd; drop table 'x'\" (\"a b\" text, primary key (\"a b\")) without rowid;
    insert into \"odd; drop table 'x'\" values ('line' || char(10) || 'break');
    create virtual table words using fts5(body); insert into words values ('searching for something');
    create view names as select name from people;
    create table log (what text); insert into log values ('begun');
    create trigger noted after insert on people begin insert into log values (new.name); end;
    create table big (n integer primary key, t text);
    with recursive c(n) as (select 1 union all select n + 1 from c where n < 5000)
        insert into big select n, hex(randomblob(100)) from c;
    create index big_t on big (t desc) where n > 10;";

fn survives(container: &Container, journal: &str) {
    let application = Sqlite::start(journal);
    application.sql(AWKWARD);
    let file = application.file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let state = "pragma application_id; pragma user_version; pragma journal_mode; \
                 select count(*) from words where words match 'something'; pragma integrity_check";
    let (digest, settings) = (application.digest(), application.sql(state));
    let pod = Pod::inject(&application.pod(), &[]);
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();

    for ending in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{ending}", file.display()));
    }
    let restored = Pod::inject(&application.pod(), &[]).restored_from(&pod);
    restored.run_script("restore.sh", container).is_ok();
    assert_eq!(application.digest(), digest);
    assert_eq!(application.sql(state), settings);
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );

    application.sql("insert into log values ('since')");
    restored
        .run_script("restore.sh", container)
        .is_skipped("already-loaded");
    assert_ne!(application.digest(), digest);
}

#[test]
fn a_file_with_a_rollback_journal_survives() {
    if Sqlite::at_hand() {
        survives(&Container::default(), "delete");
    }
}

#[test]
fn a_file_with_a_log_survives_as_root_with_bash() {
    if Sqlite::at_hand() {
        survives(&Container::of_user(0).with_shell("bash"), "wal");
    }
}

#[test]
fn a_file_survives_where_python_is_all_there_is() {
    if !Sqlite::at_hand() {
        return;
    }
    for journal in ["wal", "truncate"] {
        let bin = tempfile::tempdir().unwrap();
        let python = [("python3", Path::new("/usr/bin/python3"))];
        survives(&Container::of_a_small_image(bin.path(), &python), journal);
    }
}

#[test]
fn several_files_are_put_back_and_none_that_is_there_is_touched() {
    if !Sqlite::at_hand() {
        return;
    }
    let one = Sqlite::start("wal");
    let other = Sqlite::start("delete");
    one.sql("insert into t values (1)");
    other.sql("insert into t values (2)");
    let both = Sqlite::pod_of(&[&one.file(), &other.file()]);
    let pod = Pod::inject(&both, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_eq!(pod.manifest().unwrap()["files"], "2");

    let digest = one.digest();
    fs::remove_file(one.file()).unwrap();
    other.sql("insert into t values (3)");
    let restored = Pod::inject(&both, &[]).restored_from(&pod);
    restored
        .run_script("restore.sh", &Container::default())
        .failed(6, &["is there", "nothing was changed"]);
    assert!(!one.file().exists());
    assert_eq!(other.sql("select sum(n) from t"), "5");

    fs::remove_file(other.file()).unwrap();
    restored
        .run_script("restore.sh", &Container::default())
        .is_ok();
    assert_eq!(one.digest(), digest);
    assert_eq!(other.sql("select sum(n) from t"), "2");
}

#[test]
fn a_restore_that_was_cut_off_between_two_files_is_finished_by_the_next() {
    if !Sqlite::at_hand() {
        return;
    }
    let one = Sqlite::start("delete");
    let other = Sqlite::start("delete");
    one.sql("insert into t values (1)");
    other.sql("insert into t values (2)");
    let both = Sqlite::pod_of(&[&one.file(), &other.file()]);
    let pod = Pod::inject(&both, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    fs::remove_file(one.file()).unwrap();
    fs::remove_file(other.file()).unwrap();
    pod.run_init(&Container::default()).is_ok();
    // As a run leaves it that was killed between the two.
    fs::remove_file(pod.store().join("loaded")).unwrap();
    fs::remove_file(other.file()).unwrap();
    pod.run_init(&Container::default()).is_ok();
    assert_eq!(one.sql("select sum(n) from t"), "1");
    assert_eq!(other.sql("select sum(n) from t"), "2");

    // With the dump of the next backup in the volume the application's file stays.
    fs::remove_file(pod.store().join("loaded")).unwrap();
    one.sql("insert into t values (10)");
    pod.run_init(&Container::default()).is_skipped("data-there");
    assert_eq!(one.sql("select sum(n) from t"), "11");
}

/// A log that lies there belongs to another file, and SQLite would play it into ours.
#[test]
fn a_log_without_its_file_is_not_taken_for_one_of_ours() {
    if !Sqlite::at_hand() {
        return;
    }
    let application = Sqlite::start("wal");
    let pod = Pod::inject(&application.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    fs::remove_file(application.file()).unwrap();
    fs::write(format!("{}-wal", application.file().display()), "x").unwrap();
    pod.run_script("restore.sh", &Container::default())
        .failed(6, &["-wal is there"]);
}
