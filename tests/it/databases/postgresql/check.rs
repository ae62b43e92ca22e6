//! What came back is looked at as a whole: a sound server passes, and each kind of damage is found.

use super::{Postgres, on_every_version};
use crate::databases::{
    harness::{Phase, Pod},
    installation::Installation,
};

const CHECK: &str = "check.sh";

fn furnish(server: &Postgres) {
    server.sql("postgres", "create database \"awk'ward \"\"name\"");
    server.sql(
        "awk'ward \"name",
        "create table orders as select id, md5(id::text) as item from generate_series(1, 2000) id;
         create index on orders (item)",
    );
    server.sql(
        "postgres",
        "create table people (id int primary key);
         create table parted (id int) partition by range (id);
         create table part partition of parted for values from (0) to (9)",
    );
}

fn damage_is_found(installation: &Installation) {
    let container = installation.container();
    let server = Postgres::of(installation);
    furnish(&server);
    let pod = Pod::inject(&server.pod(&[]), &[]);
    pod.run_script(CHECK, &container)
        .failed(1, &["no finished dump came back"]);
    pod.run(Phase::Pre, &container).is_ok();

    let fresh = Postgres::of(installation);
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored
        .run_script(CHECK, &container)
        .failed(1, &["check failed: database", "dump"]);
    restored.run(Phase::Restore, &container).is_ok();
    let sound = restored.run_script(CHECK, &container);
    sound.is_ok();
    // Theirs, template1 and postgres.
    assert!(sound.said.contains("recorded=3 "), "{sound:?}");
    assert!(sound.said.contains(" tables=4 "), "{sound:?}");

    fresh.sql("postgres", "drop table people");
    restored
        .run_script(CHECK, &container)
        .failed(1, &["has 2 tables, its dump has 3"]);
    fresh.sql("postgres", "create table people ()");
    restored.run_script(CHECK, &container).is_ok();
    fresh.sql(
        "awk'ward \"name",
        "delete from pg_attribute where attrelid = 'orders'::regclass and attname = 'item'",
    );
    restored
        .run_script(CHECK, &container)
        .failed(1, &["reading all of database", "awk'ward", "attribute"]);
}

on_every_version!(damage_is_found);

#[test]
fn a_server_without_a_dump_is_looked_at_too() {
    Postgres::on("", |installation| {
        let server = Postgres::of(installation);
        furnish(&server);
        let pod = Pod::inject(&server.pod_for("snapshot", &[]), &[]);
        let sound = pod.run_script(CHECK, &installation.container());
        sound.is_ok();
        assert!(sound.said.contains("recorded=0 amcheck=yes"), "{sound:?}");
    });
}
