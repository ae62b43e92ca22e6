//! What came back is looked at: a sound member passes, one that lacks what was dumped does not.

use super::{Etcd, pod_at, proof};
use crate::databases::{
    harness::{Container, Phase, Pod},
    server::place,
};

const CHECK: &str = "check.sh";

#[test]
fn every_version_is_sound_after_a_restore_and_one_that_is_behind_is_found() {
    if !Etcd::at_hand() {
        return;
    }
    for installation in proof::installations() {
        let container = installation.container();
        let server = Etcd::of(&installation);
        for key in ["first", "second", "third"] {
            server.ask(&["put", key, "value"]);
        }
        server.ask(&["del", "second"]);
        let pod = Pod::inject(&server.pod("dump", &[]), &[]);
        pod.run_script(CHECK, &container)
            .failed(1, &["no finished dump came back"]);
        pod.run(Phase::Pre, &container).is_ok();

        let (folder, port) = place();
        let fresh = pod_at((folder.path(), port), "dump", &[]);
        let fresh = Pod::inject(&fresh, &[]).restored_from(&pod);
        fresh.run_init(&container).is_ok();
        let restored = Etcd::serve(&installation, (folder, port), &[]).unwrap();
        let sound = fresh.run_script(CHECK, &container);
        sound.is_ok();
        assert!(sound.said.contains("revision=5 recorded=5"), "{sound:?}");
        restored.ask(&["put", "fourth", "value"]);
        fresh.run_script(CHECK, &container).is_ok();

        // A member that has begun anew.
        let empty = Etcd::of(&installation);
        let empty = Pod::inject(&empty.pod("dump", &[]), &[]).restored_from(&pod);
        empty.run_script(CHECK, &container).failed(
            1,
            &["this member is at revision 1, the dump is of revision 5"],
        );
    }
}

#[test]
fn a_member_without_a_dump_and_one_that_is_not_there_are_told_apart() {
    if !Etcd::at_hand() {
        return;
    }
    let server = Etcd::start();
    server.ask(&["put", "key", "value"]);
    let pod = Pod::inject(&server.pod("snapshot", &[]), &[]);
    let container = Container::default();
    pod.run_script(CHECK, &container).is_ok();
    drop(server);
    pod.run_script(CHECK, &container.within(3))
        .failed(1, &["does not answer"]);
}
