//! A standby has nothing to dump, and nothing to restore.

use super::Postgres;
use crate::databases::harness::{Container, Phase, Pod};

#[test]
fn a_standby_is_skipped_and_its_old_dump_is_not_loaded() {
    if !Postgres::at_hand() {
        return;
    }
    let primary = Postgres::start();
    let standby = primary.standby();

    // A dump of the time when this server was the primary.
    let old = Pod::inject(&primary.pod(&[]), &[]);
    old.run(Phase::Pre, &Container::default()).is_ok();

    let pod = Pod::inject(&standby.pod(&[]), &[]).restored_from(&old);
    let done = pod.run(Phase::Restore, &Container::default());
    done.is_skipped("role=standby");
    assert!(
        done.said.contains("was not loaded, but the dump"),
        "{done:?}"
    );
    pod.run(Phase::Pre, &Container::default())
        .is_skipped("role=standby");
    pod.run(Phase::Post, &Container::default())
        .is_skipped("skipped-at-backup");

    let fresh = Postgres::start();
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored
        .run(Phase::Restore, &Container::default())
        .is_skipped("skipped-at-backup");
}

#[test]
fn a_standby_dumps_where_it_is_asked_to() {
    if !Postgres::at_hand() {
        return;
    }
    let primary = Postgres::start();
    primary.sql(
        "postgres",
        "create table t as select generate_series(1, 100) n",
    );
    let standby = primary.standby();
    let mut pod = standby.pod(&[]);
    pod["metadata"]["annotations"]["quiescent.dev/postgresql-dump.standby"] = "dump".into();
    let pod = Pod::inject(&pod, &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let manifest = pod.manifest().unwrap();
    assert_eq!(manifest["role"], "standby");
    assert!(manifest["position"].contains('/'), "{manifest:?}");

    let fresh = Postgres::start();
    let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
    restored.run(Phase::Restore, &Container::default()).is_ok();
    assert_eq!(fresh.sql("postgres", "select sum(n) from t"), "5050");
}
