//! What came back is looked at: a sound server passes, one that lacks keys does not.

use super::Redis;
use crate::databases::harness::{Phase, Pod};

const CHECK: &str = "check.sh";

#[test]
fn every_version_is_sound_after_a_restore_and_keys_that_are_missing_are_found() {
    if !Redis::at_hand() {
        return;
    }
    for installation in super::proof::installations() {
        let server = Redis::of(&installation, "", &[]);
        server.ask(&["debug", "populate", "1000", "key", "30"]);
        server.ask(&["-n", "3", "hset", "elsewhere", "field", "value"]);
        server.ask(&["-n", "3", "set", "short-lived", "x", "ex", "5000"]);
        let container = server.container();
        let pod = Pod::inject(&server.pod(&[]), &[]);
        pod.run_script(CHECK, &container)
            .failed(1, &["no finished dump came back"]);
        pod.run(Phase::Pre, &container).is_ok();

        let fresh = Redis::of(&installation, "", &[]);
        let restored = Pod::inject(&fresh.pod(&[]), &[]).restored_from(&pod);
        restored
            .run_script(CHECK, &container)
            .failed(1, &["there are 0 keys, the dump has 1002"]);
        restored.run(Phase::Restore, &container).is_ok();
        let sound = restored.run_script(CHECK, &container);
        sound.is_ok();
        assert!(sound.said.contains("keys=1002 recorded=1002"), "{sound:?}");

        // What may have expired is not missed, anything else is.
        fresh.ask(&["-n", "3", "del", "short-lived"]);
        restored.run_script(CHECK, &container).is_ok();
        fresh.ask(&["-n", "3", "del", "elsewhere"]);
        restored
            .run_script(CHECK, &container)
            .failed(1, &["there are 1000 keys, the dump has 1002, of which 1"]);
    }
}

#[test]
fn a_server_without_a_dump_and_one_that_is_not_there_are_told_apart() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    server.ask(&["set", "key", "value"]);
    let pod = Pod::inject(&server.pod_for("snapshot", &[]), &[]);
    pod.run_script(CHECK, &server.container()).is_ok();
    let container = server.container().within(3);
    drop(server);
    pod.run_script(CHECK, &container)
        .failed(1, &["does not answer"]);
}
