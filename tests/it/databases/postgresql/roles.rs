//! A standby has nothing to dump, and nothing to restore.

use super::Postgres;
use crate::databases::{
    harness::{Container, Phase, Pod},
    server::{output, place, unprivileged},
};

#[test]
fn a_standby_is_skipped_and_its_old_dump_is_not_loaded() {
    if !Postgres::at_hand() {
        return;
    }
    let primary = Postgres::start();
    let (folder, port) = place();
    output(
        unprivileged("pg_basebackup", folder.path())
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &primary.0.port.to_string(),
                "-U",
                "postgres",
            ])
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "-D",
            ])
            .arg(folder.path().join("data")),
    );
    let standby = Postgres::serve((folder, port));

    // A dump of the time when this server was the primary.
    let old = Pod::inject(&primary.pod(&[]), &[]);
    old.run(Phase::Pre, &Container::default()).is_ok();

    let pod = Pod::inject(&standby.pod(&[]), &[]).restored_from(&old);
    pod.run(Phase::Restore, &Container::default())
        .is_skipped("role=standby");
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
