//! The hook of a volume snapshot looks after the server and holds nothing.

use tempfile::TempDir;

use super::Postgres;
use crate::databases::{
    harness::{Container, NOBODY, Phase, Pod, is_root},
    installation::Installation,
};

#[test]
fn a_checkpoint_is_made_and_a_server_that_is_down_is_said() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    let pod = Pod::inject(&server.pod_for("snapshot", &[]), &[]);

    let redo = "select redo_lsn from pg_control_checkpoint()";
    server.sql("postgres", "create table t ()");
    let before = server.sql("postgres", redo);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert_ne!(server.sql("postgres", redo), before);
    server.sql("postgres", "create table written_meanwhile ()");

    drop(server);
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["does not answer on 127.0.0.1"]);
}

/// A folder of the server's on another volume than its data: in memory.
fn another_volume() -> TempDir {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    if is_root() {
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    folder
}

#[test]
fn a_log_on_another_volume_than_the_data_is_refused() {
    if !Postgres::at_hand() {
        return;
    }
    let volume = another_volume();
    let log = volume.path().join("wal");
    let own = Installation::own();
    let elsewhere = format!("--waldir={}", log.display());
    let server = Postgres::initialised(&own, "trust", "unused", &[&elsewhere]);
    let pod = Pod::inject(&server.pod_for("snapshot", &[]), &[]);
    pod.run(Phase::Pre, &Container::default()).failed(
        2,
        &["pg_wal lies on another volume", "quiescent.dev/method=dump"],
    );
}

#[test]
fn a_tablespace_on_another_volume_than_the_data_is_refused() {
    if !Postgres::at_hand() {
        return;
    }
    let volume = another_volume();
    let server = Postgres::start();
    let location = volume.path().display();
    server.sql(
        "postgres",
        &format!("create tablespace far location '{location}'"),
    );
    let pod = Pod::inject(&server.pod_for("snapshot", &[]), &[]);
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &[&format!("{location} lies on another volume")]);
}

#[test]
fn who_may_not_look_at_the_files_or_make_a_checkpoint_is_told() {
    if !Postgres::at_hand() || !is_root() {
        return;
    }
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create role checker login in role pg_read_all_settings",
    );
    let pod = server.pod_for("snapshot", &[("PGUSER", "checker")]);
    let pod = Pod::inject(&pod, &[]);
    let told = pod.run(Phase::Pre, &Container::of_user(4242));
    told.is_ok();
    for words in ["may not look into", "may not run CHECKPOINT"] {
        assert!(told.said.contains(words), "{told:?}");
    }
    server.sql("postgres", "grant pg_checkpoint to checker");
    let told = pod.run(Phase::Pre, &Container::default());
    told.is_ok();
    assert!(!told.said.contains("may not"), "{told:?}");
}
