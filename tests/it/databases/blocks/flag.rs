//! A maintenance flag is there from pre to post, and never for good.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

use super::{asking, containers, inject, open_folder, possible};
use crate::databases::harness::{Container, Phase, Pod, eventually, is_root};

const POLICY: &str = "maintenance-flag";

/// A pod, its flag, and the folder that the flag is in.
fn pod(parameters: &[(&str, &str)]) -> (Pod, PathBuf, TempDir) {
    let folder = open_folder();
    let flag = folder.path().join("maintenance");
    let path = ("path", flag.to_str().unwrap());
    let pod = inject(&asking(POLICY, &[&[path], parameters].concat(), &[]));
    (pod, flag, folder)
}

#[test]
fn a_flag_is_there_from_pre_to_post() {
    if !possible(&[]) {
        return;
    }
    for container in containers() {
        let (pod, flag, _folder) = pod(&[]);
        pod.run(Phase::Pre, &container).is_ok();
        assert!(flag.exists());
        pod.run(Phase::Post, &container).is_ok();
        assert!(!flag.exists());
        pod.run(Phase::Post, &container)
            .failed(5, &["nothing is held", "not good"]);
    }
}

#[test]
fn a_flag_that_was_there_before_stays() {
    if !possible(&[]) {
        return;
    }
    let (pod, flag, _folder) = pod(&[]);
    fs::write(&flag, "the team's own\n").unwrap();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    pod.run(Phase::Restore, &Container::default())
        .is_skipped("no-flag-of-ours");
    assert_eq!(fs::read_to_string(&flag).unwrap(), "the team's own\n");

    pod.run(Phase::Pre, &Container::default()).is_ok();
    fs::remove_file(&flag).unwrap();
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["has been taken away", "not good"]);
}

#[test]
fn a_flag_that_somebody_took_away_is_no_good_backup() {
    if !possible(&[]) {
        return;
    }
    let (pod, flag, _folder) = pod(&[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    fs::remove_file(&flag).unwrap();
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["has been taken away"]);

    pod.run(Phase::Pre, &Container::default()).is_ok();
    fs::write(&flag, "somebody else's\n").unwrap();
    pod.run(Phase::Post, &Container::default())
        .failed(5, &["somebody else"]);
    assert!(flag.exists());
}

#[test]
fn without_a_post_hook_the_flag_goes_after_the_limit() {
    if !possible(&[]) {
        return;
    }
    for container in containers() {
        let (pod, flag, _folder) = pod(&[("limit", "2s")]);
        pod.run(Phase::Pre, &container).is_ok();
        eventually("the flag goes", || !flag.exists());
        pod.run(Phase::Post, &container)
            .failed(5, &["limit of 2 s", "not good"]);
    }
}

#[test]
fn pre_twice_and_post_once_leave_nothing() {
    if !possible(&[]) {
        return;
    }
    let (pod, flag, _folder) = pod(&[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Pre, &Container::default()).is_ok();
    assert!(flag.exists());
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert!(!flag.exists());
}

#[test]
fn a_hook_that_is_killed_while_it_waits_leaves_no_flag() {
    if !possible(&[]) {
        return;
    }
    for container in containers() {
        let (pod, flag, _folder) = pod(&[("wait", "2m")]);
        let hook = pod.start(Phase::Pre, &container);
        eventually("the flag comes", || flag.exists());
        pod.run(Phase::Pre, &container).failed(3, &["another run"]);
        hook.kill_alone();
        eventually("the flag goes", || !flag.exists());
        pod.run(Phase::Post, &container)
            .failed(5, &["killed", "not good"]);
    }
}

/// As when the kernel ends all of a container.
#[test]
fn what_was_killed_with_all_its_processes_is_ended_by_the_next_run() {
    if !possible(&[]) {
        return;
    }
    let (pod, flag, _folder) = pod(&[("wait", "2s")]);
    let hook = pod.start(Phase::Pre, &Container::default());
    eventually("the flag comes", || flag.exists());
    hook.kill();
    assert!(flag.exists());
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();
    assert!(!flag.exists());
}

#[test]
fn a_flag_that_came_with_the_backup_is_taken_away() {
    if !possible(&[]) {
        return;
    }
    let (pod, flag, _folder) = pod(&[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    let captured = fs::read(&flag).unwrap();
    pod.run(Phase::Post, &Container::default()).is_ok();

    fs::write(&flag, captured).unwrap();
    pod.run(Phase::Restore, &Container::default()).is_ok();
    assert!(!flag.exists());
    pod.run(Phase::Restore, &Container::default())
        .is_skipped("no-flag-of-ours");
}

#[test]
fn what_cannot_work_is_said_before_anything_is_done() {
    if !possible(&[]) {
        return;
    }
    for (parameters, words) in [
        (&[][..], &["parameter path is empty"][..]),
        (&[("path", "flag")], &["whole path"]),
        (&[("path", "/nope/flag")], &["/nope", "parameter path"]),
    ] {
        let pod = inject(&asking(POLICY, parameters, &[]));
        pod.run(Phase::Pre, &Container::default()).failed(2, words);
    }
    if is_root() {
        let (pod, _, folder) = pod(&[]);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), mode).unwrap();
        pod.run(Phase::Pre, &Container::default())
            .failed(1, &["cannot create the flag", "65534"]);
        pod.run(Phase::Post, &Container::default())
            .failed(5, &["nothing is held"]);
    }
}
