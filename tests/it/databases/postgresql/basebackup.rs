//! The physical copy: what it refuses, and that it goes back into an empty directory only.

use std::{
    fs,
    os::unix::fs::{MetadataExt, chown, symlink},
    path::Path,
    process,
};

use super::Postgres;
use crate::databases::{
    harness::{Container, NOBODY, Outcome, Phase, Pod, eventually, is_root, pod, which},
    installation::Installation,
    server::{Place, place},
};

/// Runs `restore.sh` into a directory that is not there yet, as an init container of a fresh pod.
pub(super) fn put_back(backup: &Pod, container: &Container) -> (Place, Outcome) {
    let place = place();
    if is_root() {
        chown(place.0.path(), Some(container.uid), Some(container.uid)).unwrap();
    }
    let outcome = put_into(&place.0.path().join("data"), backup, container);
    (place, outcome)
}

fn put_into(data: &Path, backup: &Pod, container: &Container) -> Outcome {
    let mut fresh = pod("postgres:15", &[("PGDATA", data.to_str().unwrap())]);
    fresh["metadata"]["labels"]["quiescent.dev/method"] = "physical".into();
    let fresh = Pod::inject(&fresh, &[]).restored_from(backup);
    fresh.run_script("restore.sh", container)
}

fn start() -> (Postgres, Pod) {
    let server = Postgres::start();
    server.sql(
        "postgres",
        "create table t as select generate_series(1, 1000) n",
    );
    let pod = Pod::inject(&server.pod_for("physical", &[]), &[]);
    (server, pod)
}

fn survives(container: &Container) {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = start();
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();
    assert_eq!(pod.manifest().unwrap()["tablespaces"], "0");

    // The data directory is a volume too, for an init container.
    let init_container = Container {
        read_only: false,
        ..container.clone()
    };
    let (restored, outcome) = put_back(&pod, &init_container);
    outcome.is_ok();
    let data = restored.0.path().join("data");
    let owner = fs::metadata(&data).unwrap();
    assert_eq!(owner.mode() & 0o7777, 0o700);
    // The test's server is nobody's.
    if is_root() {
        let moved = std::process::Command::new("chown")
            .args(["-R", "nobody:"])
            .arg(restored.0.path())
            .status();
        assert!(moved.unwrap().success());
    }
    let restored = Postgres::serve(&Installation::own(), restored).unwrap();
    assert_eq!(restored.everything(), server.everything());
}

#[test]
fn a_copy_survives_as_the_servers_user() {
    survives(&Container::of_user(NOBODY));
}

#[test]
fn a_copy_survives_as_any_user_with_a_root_that_is_read_only() {
    survives(&Container {
        read_only: true,
        ..Container::of_user(4242).with_shell("bash")
    });
}

#[test]
fn a_copy_survives_with_busybox_alone() {
    if !Postgres::at_hand() {
        return;
    }
    let applets = super::restore::busybox_alone();
    let servers_own = which("postgres").unwrap();
    let servers_own = servers_own.parent().unwrap().display();
    survives(&Container {
        path: format!("{}:{servers_own}", applets.path().display()),
        ..Container::of_user(NOBODY).with_shell("busybox")
    });
}

/// Root may restore where it can give the data to the server's user: the owner of the directory.
#[test]
fn what_root_restores_belongs_to_the_owner_of_the_directory() {
    if !Postgres::at_hand() || !is_root() {
        return;
    }
    let (server, pod) = start();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let restored = place();
    let data = restored.0.path().join("data");
    fs::create_dir(&data).unwrap();
    chown(&data, Some(NOBODY), Some(NOBODY)).unwrap();
    put_into(&data, &pod, &Container::of_user(0)).is_ok();
    let restored = Postgres::serve(&Installation::own(), restored).unwrap();
    assert_eq!(restored.everything(), server.everything());
}

#[test]
fn a_directory_with_data_is_left_alone_and_a_second_run_changes_nothing() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = start();
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let other = Postgres::start();
    let data = other.0.folder.path().join("data");
    put_into(&data, &pod, &Container::default()).failed(6, &["has data", "were not touched"]);
    assert_eq!(other.sql("postgres", "select 1"), "1");

    // Its own cluster is no reason to keep a pod from starting.
    let data = server.0.folder.path().join("data");
    put_into(&data, &pod, &Container::default()).is_skipped("already-there");
    assert_eq!(server.sql("postgres", "select count(*) from t"), "1000");

    let place = place();
    let data = place.0.path().join("data");
    let variables = [("PGDATA", data.to_str().unwrap())];
    let fresh = Pod::inject(&other.pod_for("physical", &variables), &[]).restored_from(&pod);
    let again = || fresh.run_script("restore.sh", &Container::default());
    again().is_ok();
    again().is_skipped("already-there");
    let restored = Postgres::serve(&Installation::own(), place).unwrap();
    restored.sql("postgres", "insert into t values (1001)");
    again().is_skipped("already-there");
    assert_eq!(restored.sql("postgres", "select count(*) from t"), "1001");
}

/// What a restore has written when it is half done.
fn begin_to_restore(data: &Path) {
    let half = data.join("quiescent.part/data");
    fs::create_dir_all(&half).unwrap();
    fs::create_dir(data.join("base")).unwrap();
    fs::write(half.join("PG_VERSION"), "15\n").unwrap();
    fs::write(data.join("quiescent.part/claimed"), "").unwrap();
    if is_root() {
        chown(data, Some(NOBODY), Some(NOBODY)).unwrap();
        for folder in [&half, &data.join("base"), &data.join("quiescent.part")] {
            chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
}

#[test]
fn a_restore_that_was_cut_off_is_begun_anew() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = start();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let place = place();
    let data = place.0.path().join("data");
    begin_to_restore(&data);
    let outcome = put_into(&data, &pod, &Container::default());
    outcome.is_ok();
    assert!(outcome.said.contains("was cut off"), "{outcome:?}");
    let restored = Postgres::serve(&Installation::own(), place).unwrap();
    assert_eq!(restored.everything(), server.everything());
}

#[test]
fn a_second_restore_at_once_leaves_the_first_one_alone() {
    if !Postgres::at_hand() {
        return;
    }
    let (_server, pod) = start();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let place = place();
    let data = place.0.path().join("data");
    begin_to_restore(&data);
    // This process holds the lock of the first one.
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let started = fields.split(' ').nth(19).unwrap();
    let owner = format!("{}-{started}", process::id());
    symlink(owner, pod.store().join("lock")).unwrap();

    put_into(&data, &pod, &Container::default()).failed(3, &["another run", "is active"]);
    assert!(data.join("quiescent.part/data/PG_VERSION").exists());
    assert!(data.join("base").exists());
}

#[test]
fn a_copy_that_was_damaged_is_not_restored() {
    if !Postgres::at_hand() {
        return;
    }
    let (_server, pod) = start();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let archive = pod.finished().join("base.tar.gz");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&archive, bytes).unwrap();
    let (place, outcome) = put_back(&pod, &Container::default());
    outcome.failed(1, &["not what was written"]);
    assert!(!place.0.path().join("data/PG_VERSION").exists());

    fs::remove_file(pod.finished().join("checksums")).unwrap();
    let (place, outcome) = put_back(&pod, &Container::default());
    outcome.failed(1, &["base.tar.gz"]);
    assert_eq!(
        fs::read_dir(place.0.path().join("data")).unwrap().count(),
        0
    );
}

#[test]
fn tablespaces_return_to_where_they_were() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = start();
    let elsewhere = place();
    let location = elsewhere.0.path().display();
    server.sql(
        "postgres",
        &format!("create tablespace far location '{location}'"),
    );
    server.sql(
        "postgres",
        "create table there tablespace far as select * from t",
    );
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_eq!(pod.manifest().unwrap()["tablespaces"], "1");
    let was = server.everything();

    let (_, outcome) = put_back(&pod, &Container::default());
    outcome.failed(6, &[&location.to_string(), "has data"]);
    drop(server);
    for entry in fs::read_dir(elsewhere.0.path()).unwrap() {
        fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let (restored, outcome) = put_back(&pod, &Container::default());
    outcome.is_ok();
    let restored = Postgres::serve(&Installation::own(), restored).unwrap();
    assert_eq!(restored.everything(), was);
}

#[test]
fn a_standby_is_skipped_or_copied_and_comes_back_as_a_primary() {
    if !Postgres::at_hand() {
        return;
    }
    let (primary, _) = start();
    let standby = primary.standby();
    let mut wish = standby.pod_for("physical", &[]);
    let pod = Pod::inject(&wish, &[]);
    pod.run(Phase::Pre, &Container::default())
        .is_skipped("role=standby");

    wish["metadata"]["annotations"]["quiescent.dev/postgresql-basebackup.standby"] = "dump".into();
    let pod = Pod::inject(&wish, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert_eq!(pod.manifest().unwrap()["role"], "standby");
    let was = primary.everything();
    drop((standby, primary));
    let (restored, outcome) = put_back(&pod, &Container::default());
    outcome.is_ok();
    let restored = Postgres::serve(&Installation::own(), restored).unwrap();
    assert_eq!(restored.sql("postgres", "select pg_is_in_recovery()"), "f");
    assert_eq!(restored.everything(), was);
}

#[test]
fn what_does_not_deduplicate_is_left_out_where_asked() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, _) = start();
    let mut wish = server.pod_for("physical", &[]);
    wish["metadata"]["annotations"]["quiescent.dev/postgresql-basebackup.compression"] =
        "none".into();
    let pod = Pod::inject(&wish, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert!(pod.finished().join("base.tar").exists());
    let (restored, outcome) = put_back(&pod, &Container::default());
    outcome.is_ok();
    let restored = Postgres::serve(&Installation::own(), restored).unwrap();
    assert_eq!(restored.everything(), server.everything());
}

#[test]
fn a_full_volume_is_said_and_keeps_the_last_copy() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, pod) = start();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let good = pod.files();
    let used: usize = good.values().map(Vec::len).sum();
    let small = Container {
        volume: Some(u32::try_from(used / 1024).unwrap() + 1024),
        ..Container::default()
    };
    pod.run(Phase::Pre, &small)
        .failed(1, &["are needed for a copy of a cluster", "sizeLimit"]);
    assert_eq!(pod.files(), good);

    // Data that gzip does not make smaller are more than the last copy lets expect.
    server.sql(
        "postgres",
        "create table noise as select gen_random_uuid() a, gen_random_uuid() b from generate_series(1, 100000)",
    );
    let larger = Container {
        volume: Some(u32::try_from(used / 1024).unwrap() + 5 * 1024),
        ..Container::default()
    };
    pod.run(Phase::Pre, &larger).failed(1, &["sizeLimit"]);
    assert_eq!(pod.files(), good);
}

#[test]
fn a_missing_right_is_said() {
    if !Postgres::at_hand() {
        return;
    }
    let (server, _) = start();
    server.sql("postgres", "create role backup login password 'b'");
    let hba = server.0.folder.path().join("data/pg_hba.conf");
    let mut wish = server.pod_for("physical", &[]);
    wish["metadata"]["annotations"]["quiescent.dev/postgresql-basebackup.user"] = "backup".into();
    let pod = Pod::inject(&wish, &[]);
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["ALTER ROLE \"backup\" REPLICATION"]);
    server.sql("postgres", "alter role backup replication");
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let run = || pod.run(Phase::Pre, &Container::default());
    let reads = |rules: &str, code| {
        fs::write(&hba, rules).unwrap();
        server.sql("postgres", "select pg_reload_conf()");
        eventually("the rules are read", || run().code == Some(code));
    };
    reads("host all all 127.0.0.1/32 trust\n", 2);
    run().failed(
        2,
        &[
            "not for replication",
            "host replication backup 127.0.0.1/32",
        ],
    );
    reads("host all,replication all 127.0.0.1/32 trust\n", 0);

    server.sql(
        "postgres",
        "revoke connect on database template1 from public",
    );
    let said = run();
    said.is_ok();
    assert!(said.said.contains("pg_read_all_stats"), "{said:?}");
    server.sql("postgres", "grant pg_read_all_stats to backup");
    let said = run();
    said.is_ok();
    assert!(!said.said.contains("pg_read_all_stats"), "{said:?}");
}
