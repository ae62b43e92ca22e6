//! A replica leaves the backup to its primary, unless it is asked for one.

use super::{MySql, at_hand, is_mariadb};
use crate::databases::harness::{Phase, Pod, eventually};

/// A primary with a table, and a replica that has caught up with it.
fn pair(name: &str) -> Option<(MySql, MySql)> {
    let installation = at_hand(name)?;
    let settings = |id: &'static str| [id, "--log-bin=log"];
    let primary = MySql::start(&installation, "secret", &settings("--server-id=1"));
    let replica = MySql::start(&installation, "secret", &settings("--server-id=2"));
    let port = primary.server.port;
    replica.sql(&if is_mariadb(&installation) {
        format!(
            "change master to master_host='127.0.0.1', master_port={port}, master_user='root',
             master_password='secret', master_use_gtid=slave_pos; start slave"
        )
    } else {
        format!(
            "change replication source to source_host='127.0.0.1', source_port={port}, source_user='root',
             source_password='secret', get_source_public_key=1; start replica"
        )
    });
    primary
        .sql("create database shop; create table shop.t (id int); insert into shop.t values (7)");
    eventually("the replica has caught up", || {
        let tables = replica
            .sql("select count(*) from information_schema.tables where table_schema = 'shop'");
        tables == "1" && replica.sql("select id from shop.t") == "7"
    });
    Some((primary, replica))
}

#[test]
fn a_replica_is_skipped_unless_a_dump_there_is_asked_for() {
    for (name, policy) in [("mariadb", "mariadb-dump"), ("mysql-8.4", "mysql-dump")] {
        let Some((primary, replica)) = pair(name) else {
            return;
        };
        let pod = Pod::inject(&replica.pod("secret"), &[]);
        pod.run(Phase::Pre, &replica.container())
            .is_skipped("role=replica");
        pod.run(Phase::Post, &replica.container())
            .is_skipped("skipped-at-backup");

        let mut asked = replica.pod("secret");
        asked["metadata"]["annotations"][format!("quiescent.dev/{policy}.replicas")] =
            "dump".into();
        let asked = Pod::inject(&asked, &[]);
        asked.run(Phase::Pre, &replica.container()).is_ok();
        assert_eq!(asked.manifest().unwrap()["role"], "replica");
        let done = asked.run(Phase::Restore, &replica.container());
        done.is_skipped("role=replica");
        assert!(
            done.said.contains("was not loaded, but the dump"),
            "{done:?}"
        );

        // What comes of it is a server of its own.
        let fresh = MySql::start(&replica.installation, "secret", &[]);
        let restored = Pod::inject(&fresh.pod("secret"), &[]).restored_from(&asked);
        restored.run(Phase::Restore, &fresh.container()).is_ok();
        assert_eq!(fresh.everything(), primary.everything());
        assert_eq!(fresh.sql("show replica status"), "");

        let primary = Pod::inject(&primary.pod("secret"), &[]);
        primary.run(Phase::Pre, &replica.container()).is_ok();
        assert_eq!(primary.manifest().unwrap()["role"], "primary");
    }
}

#[test]
fn a_snapshot_is_looked_after_on_a_replica_too_and_files_are_not_copied() {
    for name in ["mariadb", "mysql-8.4"] {
        let Some((_primary, replica)) = pair(name) else {
            return;
        };
        let snapshot = replica
            .pod_by("snapshot")
            .run(Phase::Pre, &replica.container());
        snapshot.is_ok();
        assert!(snapshot.said.contains("role=replica"), "{snapshot:?}");
        replica
            .pod_by("physical")
            .run(Phase::Pre, &replica.container())
            .is_skipped("role=replica");
    }
}
