//! What was dumped is what is restored, whoever the container's user and whatever its shell is.

use std::fs;

use tempfile::TempDir;

use super::Postgres;
use crate::databases::{
    by_hand::printed,
    harness::{Container, NOBODY, Phase, Pod, eventually, overwriting, path},
};

/// Names that break scripts, owners, settings, and objects that a plain copy of tables forgets.
fn furnish(server: &Postgres) {
    server.sql("postgres", "create role app login password 'secret'");
    server.sql("postgres", r#"create role "odd ""role""""#);
    for statement in [
        "create database shop owner app",
        r#"create database "we ird'db=1""#,
        r#"create database "a""b$c\d host=elsewhere""#,
        "create database \"-d\"",
        "alter database shop set work_mem = '7MB'",
        "alter database postgres set work_mem = '8MB'",
        "grant create on database postgres to app",
    ] {
        server.sql("postgres", statement);
    }
    server.sql("postgres", "create table \"Q\" (id serial, note text); insert into \"Q\" (note) values (E'\\u00e9\\U0001F600 ''')");
    server.sql(
        "we ird'db=1",
        "create table t (x bytea); insert into t values ('\\x00ff'), (null)",
    );
    server.sql(
        "shop",
        "create extension hstore; create table item (id int primary key, tags hstore);
         insert into item select id, 'a=>1' from generate_series(1, 5000) id;
         create view cheap as select * from item where id < 10;
         create materialized view counted as select count(*) from item;
         select lo_from_bytea(4711, 'large')",
    );
}

fn survives(container: &Container) {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, container).is_ok();
    pod.run(Phase::Post, container).is_ok();
    assert_eq!(pod.manifest().unwrap()["databases"], "6");

    // The image has made the database that POSTGRES_DB names, empty and with another owner.
    let fresh = Postgres::start();
    fresh.sql("postgres", "create database shop");
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored.run(Phase::Restore, container).is_ok();
    assert_eq!(fresh.everything(), server.everything());

    fresh.sql("shop", "insert into item values (5001)");
    restored
        .run(Phase::Restore, container)
        .is_skipped("already-loaded");
    assert_eq!(fresh.sql("shop", "select count(*) from item"), "5001");
}

#[test]
fn a_dump_survives_as_the_servers_user() {
    survives(&Container::of_user(NOBODY));
}

#[test]
fn a_dump_survives_as_root_with_bash() {
    survives(&Container::of_user(0).with_shell("bash"));
}

/// The tools of an image whose tools are busybox's alone, as on Alpine.
pub(super) fn busybox_alone() -> TempDir {
    let applets = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(applets.path(), mode).unwrap();
    let installed = std::process::Command::new("busybox")
        .args(["--install", "-s"])
        .arg(applets.path())
        .status();
    assert!(installed.unwrap().success());
    applets
}

/// As on Alpine, and on OpenShift, where the user has no name.
#[test]
fn a_dump_survives_as_any_user_with_busybox_alone() {
    if !Postgres::at_hand() {
        return;
    }
    let applets = busybox_alone();
    let servers_own = path().split(':').next().unwrap().to_owned();
    survives(&Container {
        path: format!("{}:{servers_own}", applets.path().display()),
        ..Container::of_user(4242).with_shell("busybox")
    });
}

#[test]
fn a_dump_survives_as_any_user_with_a_root_that_is_read_only() {
    survives(&Container {
        read_only: true,
        ..Container::of_user(4242)
    });
}

#[test]
fn user_data_are_never_overwritten() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Postgres::start();
    fresh.sql("postgres", "create database shop");
    fresh.sql("shop", "create table orders (id int)");
    let before = fresh.everything();
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &Container::default())
        .failed(6, &["\"shop\"", "nothing was changed"]);
    assert_eq!(fresh.everything(), before);

    let told = overwriting(fresh.pod(&[]), "postgresql-dump");
    let told = Pod::inject(&told, &[]).restored_from(&pod);
    told.run(Phase::Restore, &Container::default()).is_ok();
    assert_eq!(fresh.everything(), server.everything());
}

#[test]
fn a_database_with_anything_in_it_is_not_dropped() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    server.sql("postgres", "create database shop");
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    for (made, look) in [
        (
            "select lo_from_bytea(4711, 'large')",
            "select length(lo_get(4711))",
        ),
        (
            "create function five() returns int language sql as 'select 5'",
            "select five()",
        ),
    ] {
        let fresh = Postgres::start();
        fresh.sql("postgres", "create database shop");
        // What an extension brings is nobody's data.
        fresh.sql("shop", "create extension hstore");
        fresh.sql("shop", made);
        let before = fresh.sql("shop", look);
        let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
        restored
            .run(Phase::Restore, &Container::default())
            .failed(6, &["\"shop\" has 1 objects", "nothing was changed"]);
        assert_eq!(fresh.sql("shop", look), before);
    }
}

#[test]
fn a_dump_without_its_mark_or_with_a_cut_file_is_not_loaded() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let fresh = Postgres::start();
    let before = fresh.everything();

    let cut = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    let largest = fs::read_dir(cut.finished())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let largest = largest
        .max_by_key(|file| fs::metadata(file).unwrap().len())
        .unwrap();
    let size = fs::metadata(&largest).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&largest)
        .unwrap()
        .set_len(size / 2)
        .unwrap();
    cut.run(Phase::Restore, &Container::default())
        .failed(1, &["not what was written"]);

    let unmarked = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    fs::remove_file(unmarked.finished().join("manifest")).unwrap();
    unmarked
        .run(Phase::Restore, &Container::default())
        .failed(1, &["no mark of completion"]);
    assert_eq!(fresh.everything(), before);

    let nothing = Pod::inject(&fresh.pod(&[]), &[]);
    nothing
        .run(Phase::Restore, &Container::default())
        .is_skipped("no-dump");
}

/// Whether it was killed while a database grew, or after its last step but one.
#[test]
fn a_restore_that_was_killed_is_finished_by_the_next() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    furnish(&server);
    server.sql(
        "shop",
        "create table big as select n, repeat('x', 500) as t from generate_series(1, 200000) n",
    );
    let container = Container::default();
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &container).is_ok();

    let fresh = Postgres::start();
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    let running = restored.start(Phase::Restore, &container);
    let growing = "select count(*) from pg_stat_activity where datname like 'quiescent-restore-%'";
    eventually("a database grows aside", || {
        fresh.sql("postgres", growing) != "0"
    });
    running.kill();
    restored.run(Phase::Restore, &container).is_ok();
    assert_eq!(fresh.everything(), server.everything());

    // The note that it is loaded was not written any more.
    let notes = restored.store().join("loaded");
    let lines = fs::read_to_string(&notes).unwrap();
    let oid = server.sql(
        "postgres",
        "select oid from pg_database where datname = 'shop'",
    );
    let (of_shop, others): (Vec<&str>, Vec<&str>) = lines
        .lines()
        .partition(|line| line.ends_with(&format!(" {oid}")));
    let grown = fresh.sql(
        "postgres",
        "select oid from pg_database where datname = 'shop'",
    );
    fs::write(&notes, others.join("\n") + "\n").unwrap();
    fs::write(
        restored.store().join("growing"),
        format!("{} {grown}\n", of_shop[0]),
    )
    .unwrap();
    fresh.sql("shop", "insert into item values (5001)");
    restored
        .run(Phase::Restore, &container)
        .is_skipped("already-loaded");
    assert_eq!(fresh.sql("shop", "select count(*) from item"), "5001");
}

/// A superuser's password is that of the Secret, which may have changed since the dump.
#[test]
fn the_restore_keeps_the_password_that_the_container_knows() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start_with_password("of then");
    let pod = Pod::inject(&server.pod(&[("POSTGRES_PASSWORD", "of then")]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Postgres::start_with_password("of now");
    let now = [("POSTGRES_PASSWORD", "of now")];
    let restored = Pod::inject(&fresh.pod(&now), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).is_ok();
    restored.run(Phase::Pre, &Container::default()).is_ok();
}

#[test]
fn a_dump_comes_back_by_hand_as_the_page_prints_it() {
    if !Postgres::at_hand() {
        return;
    }
    let server = Postgres::start();
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();

    let fresh = Postgres::start();
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    let port = fresh.0.port.to_string();
    let at = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port),
        ("PGUSER", "postgres"),
    ];
    let run = |commands: &str| {
        let done = restored.run_by_hand(commands, &at, &Container::default());
        assert_eq!(done.code, Some(0), "{done:?}");
    };
    run(&printed("library/postgresql-dump.md", "Restore by hand"));
    assert_eq!(fresh.everything(), server.everything());

    fresh.sql(
        "shop",
        "drop view cheap; drop materialized view counted; drop table item",
    );
    let one = printed("databases/postgresql.md", "The way back without Quiescent");
    run(&format!(
        "cd /quiescent/dump; {}",
        one.replace("orders", "item")
    ));
    assert_eq!(fresh.sql("aside", "select count(*) from item"), "5000");
}
