//! What a snapshot holds back while it is taken, it lets go of on every way out.

use std::{fs, path::PathBuf};

use serde_json::Value;

use super::Redis;
use crate::databases::{
    capture::Stopped,
    harness::{Container, Phase, Pod, eventually},
};

const APPEND_ONLY: [&str; 4] = ["--appendonly", "yes", "--auto-aof-rewrite-percentage", "42"];

impl Redis {
    fn snapshot_pod(&self) -> Value {
        self.pod_for("snapshot", &[])
    }

    fn percentage(&self) -> String {
        self.setting("auto-aof-rewrite-percentage")
    }
}

fn hold_limit(mut pod: Value, limit: &str) -> Value {
    pod["metadata"]["annotations"]["quiescent.dev/redis-snapshot.holdLimit"] = limit.into();
    pod
}

fn held(pod: &Pod) -> PathBuf {
    pod.folder("quiescent-state").join("redis-snapshot/held")
}

#[test]
fn rewrites_wait_until_the_snapshot_is_taken_and_get_back_what_they_had() {
    if !Redis::at_hand() {
        return;
    }
    for container in [
        Container::default(),
        Container::of_user(0).with_shell("bash"),
        Container::of_user(4242).with_shell("busybox"),
    ] {
        let server = Redis::start("", &APPEND_ONLY);
        server.ask(&["set", "key", "value"]);
        let pod = Pod::inject(&server.snapshot_pod(), &[]);
        pod.run(Phase::Pre, &container).is_ok();
        assert_eq!(server.percentage(), "0");
        assert!(server.server.folder.path().join("dump.rdb").is_file());
        pod.run(Phase::Post, &container).is_ok();
        assert_eq!(server.percentage(), "42");
        assert!(!held(&pod).exists());
    }
}

#[test]
fn without_an_append_only_file_nothing_is_held() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &[]);
    server.ask(&["set", "key", "value"]);
    let pod = Pod::inject(&server.snapshot_pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert!(server.server.folder.path().join("dump.rdb").is_file());
    assert_eq!(server.percentage(), "100");
    pod.run(Phase::Post, &Container::default()).is_ok();
}

#[test]
fn pre_twice_is_let_go_of_by_one_post() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    let pod = Pod::inject(&hold_limit(server.snapshot_pod(), "09m"), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert_eq!(server.percentage(), "42");
}

#[test]
fn without_post_rewrites_begin_again_by_themselves_and_a_late_post_says_so() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    let pod = Pod::inject(&hold_limit(server.snapshot_pod(), "3s"), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    eventually("rewrites may begin again", || server.percentage() == "42");
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["this backup is not good", "holdLimit"]);
    // And the next snapshot is a good one again.
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert_eq!(server.percentage(), "42");
}

#[test]
fn a_rewrite_meanwhile_makes_the_backup_bad() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    server.ask(&["debug", "populate", "100"]);
    let pod = Pod::inject(&server.snapshot_pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    server.ask(&["set", "key", "value"]);
    server.ask(&["bgrewriteaof"]);
    eventually("the file was rewritten", || {
        server.field("aof_rewrites") != "0" && server.field("aof_rewrite_in_progress") == "0"
    });
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["this backup is not good"]);
    assert_eq!(server.percentage(), "42");
}

#[test]
fn a_killed_pre_is_undone_by_the_next() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    // The save takes some seconds.
    server.ask(&["debug", "populate", "2000", "key", "100"]);
    server.ask(&["config", "set", "rdb-key-save-delay", "2000"]);
    let pod = Pod::inject(&server.snapshot_pod(), &[]);
    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("rewrites are held back", || server.percentage() == "0");
    pod.run(Phase::Pre, &Container::default())
        .failed(3, &["another run", "is active"]);
    hook.kill();
    assert_eq!(server.percentage(), "0");
    server.ask(&["config", "set", "rdb-key-save-delay", "0"]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert_eq!(server.percentage(), "42");
}

#[test]
fn a_save_that_fails_is_said_and_holds_nothing() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    server.ask(&["set", "key", "value"]);
    // A file cannot be renamed to a folder.
    let folder = server.server.folder.path();
    fs::create_dir(folder.join("dump.rdb")).unwrap();
    let pod = Pod::inject(&server.snapshot_pod(), &[]);
    pod.run(Phase::Pre, &Container::default())
        .failed(1, &["the BGSAVE failed", "look at the log"]);
    assert_eq!(server.percentage(), "42");
    assert!(!held(&pod).exists());
}

#[test]
fn a_save_that_takes_too_long_is_said_and_holds_nothing() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    server.ask(&["debug", "populate", "2000", "key", "100"]);
    server.ask(&["config", "set", "rdb-key-save-delay", "20000"]);
    let pod = Pod::inject(&server.snapshot_pod(), &[]);
    pod.run(Phase::Pre, &Container::default().within(8))
        .failed(4, &["the BGSAVE was not done within 8 s"]);
    assert_eq!(server.percentage(), "42");
}

/// Also when the limit is over while it does not answer.
#[test]
fn a_server_that_stands_still_gets_back_what_it_had_when_it_goes_on() {
    if !Redis::at_hand() {
        return;
    }
    for limit in ["5s", "30s"] {
        let server = Redis::start("", &APPEND_ONLY);
        server.ask(&["debug", "populate", "2000", "key", "100"]);
        server.ask(&["config", "set", "rdb-key-save-delay", "20000"]);
        let pod = Pod::inject(&hold_limit(server.snapshot_pod(), limit), &[]);
        let hook = pod.start(Phase::Pre, &Container::default().within(8));
        eventually("rewrites are held back", || server.percentage() == "0");
        let stopped = Stopped::all_of(server.server.pid());
        let ended = hook.finish();
        ended.failed(4, &["was not done within 8 s"]);
        assert!(ended.said.contains("in the background"), "{ended:?}");
        // Longer than one try of the process in the background.
        pod.run(Phase::Pre, &Container::default().within(12))
            .failed(1, &["does not answer on 127.0.0.1"]);
        drop(stopped);
        eventually("rewrites may begin again", || server.percentage() == "42");
    }
}

#[test]
fn what_has_expired_but_could_not_be_put_back_is_known_to_the_next_hook() {
    if !Redis::at_hand() {
        return;
    }
    let server = Redis::start("", &APPEND_ONLY);
    let pod = Pod::inject(&server.snapshot_pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();

    let expire = || {
        let state = format!("run={}\npercentage=42\n", server.field("run_id"));
        fs::write(held(&pod).with_file_name("expired"), state).unwrap();
        server.ask(&["config", "set", "auto-aof-rewrite-percentage", "0"]);
    };
    expire();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert_eq!(server.percentage(), "42");
    expire();
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["this backup is not good"]);
    assert_eq!(server.percentage(), "42");
}
