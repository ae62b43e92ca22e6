//! File systems are frozen from pre to post, and never for good. Real ones, on loop devices.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::json;
use tempfile::TempDir;

use super::{asking, inject, possible, with_tools};
use crate::{
    databases::harness::{Container, Phase, Pod, eventually, is_root, which},
    support,
};

const POLICY: &str = "filesystem-freeze";

/// An ext4 of its own, mounted where a pod's volume is.
struct Disk {
    mounted: PathBuf,
    _image: TempDir,
}

impl Disk {
    fn mount(at: &Path) -> Self {
        let image = tempfile::tempdir().unwrap();
        let file = image.path().join("disk");
        fs::File::create(&file).unwrap().set_len(16 << 20).unwrap();
        succeeds(Command::new("mkfs.ext4").arg("-q").arg(&file));
        succeeds(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(&file)
                .arg(at),
        );
        Self {
            mounted: at.to_owned(),
            _image: image,
        }
    }

    /// A file system can be frozen once.
    fn is_frozen(&self) -> bool {
        if self.freeze() {
            assert!(self.thaw());
            return false;
        }
        true
    }

    fn freeze(&self) -> bool {
        self.fsfreeze("--freeze")
    }

    fn thaw(&self) -> bool {
        self.fsfreeze("--unfreeze")
    }

    fn fsfreeze(&self, what: &str) -> bool {
        let done = Command::new("fsfreeze")
            .arg(what)
            .arg(&self.mounted)
            .output();
        done.unwrap().status.success()
    }

    /// Waits until somebody who writes gets through.
    fn takes_writes(&self) {
        let mut writer = Command::new("touch")
            .arg(self.mounted.join("written"))
            .spawn()
            .unwrap();
        eventually("a write gets through", || {
            writer.try_wait().unwrap().is_some()
        });
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.thaw();
        succeeds(Command::new("umount").arg("--lazy").arg(&self.mounted));
    }
}

fn succeeds(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {done:?}");
}

fn at_hand() -> bool {
    let tools = which("mkfs.ext4").is_some() && which("fsfreeze").is_some();
    possible(&[])
        && support::require(
            is_root() && tools && Path::new("/dev/loop-control").exists(),
            "root, loop devices, mkfs.ext4 and fsfreeze, to freeze a file system",
        )
}

/// A pod with a side container that sees two volumes.
fn pod(paths: &str, limit: &str) -> Pod {
    let mut pod = asking(POLICY, &[("paths", paths), ("limit", limit)], &[]);
    pod["metadata"]["labels"]["quiescent.dev/method"] = "snapshot".into();
    let container = &mut pod["spec"]["containers"][0];
    container["name"] = "quiescent-freeze".into();
    container["volumeMounts"] = json!([
        { "name": "data", "mountPath": "/data" },
        { "name": "log", "mountPath": "/log" },
    ]);
    pod["spec"]["volumes"] = json!([
        { "name": "data", "emptyDir": {} },
        { "name": "log", "emptyDir": {} },
    ]);
    inject(&pod)
}

fn root() -> Container {
    Container::of_user(0)
}

#[test]
fn two_file_systems_are_frozen_from_pre_to_post() {
    if !at_hand() {
        return;
    }
    let (busybox, _tools) = with_tools(&[], &[]);
    let small = Container { uid: 0, ..busybox }.with_shell("busybox");
    for container in [root(), root().with_shell("bash"), small] {
        let pod = pod("/data /log", "1m");
        let data = Disk::mount(&pod.folder("data"));
        let log = Disk::mount(&pod.folder("log"));
        pod.run(Phase::Pre, &container).is_ok();
        assert!(data.is_frozen() && log.is_frozen());
        pod.run(Phase::Post, &container).is_ok();
        assert!(!data.is_frozen() && !log.is_frozen());
        pod.run(Phase::Post, &container)
            .failed(5, &["nothing is held"]);
    }
}

#[test]
fn without_a_post_hook_they_thaw_after_the_limit() {
    if !at_hand() {
        return;
    }
    let pod = pod("/data", "2s");
    let data = Disk::mount(&pod.folder("data"));
    pod.run(Phase::Pre, &root()).is_ok();
    data.takes_writes();
    pod.run(Phase::Post, &root())
        .failed(5, &["limit of 2 s", "not good"]);
    assert!(!data.is_frozen());
}

#[test]
fn a_hook_killed_at_any_moment_freezes_nothing_for_good() {
    if !at_hand() {
        return;
    }
    let pod = pod("/data /log", "3s");
    let data = Disk::mount(&pod.folder("data"));
    let log = Disk::mount(&pod.folder("log"));
    for moment in 1..8 {
        let hook = pod.start(Phase::Pre, &root());
        // Not a wait for something: the moment is meant to be a random one.
        std::thread::sleep(std::time::Duration::from_millis(moment * 25));
        hook.kill_alone();
        data.takes_writes();
        log.takes_writes();
    }
}

#[test]
fn what_was_killed_with_all_its_processes_is_thawed_by_the_next_run() {
    if !at_hand() {
        return;
    }
    let pod = pod("/data", "10m");
    let data = Disk::mount(&pod.folder("data"));
    let hook = pod.start(Phase::Pre, &root());
    let noted = pod.folder("quiescent-state").join(POLICY).join("notes");
    eventually("the hook freezes it", || noted.exists());
    hook.kill();
    pod.run(Phase::Pre, &root()).is_ok();
    assert!(data.is_frozen());
    pod.run(Phase::Pre, &root()).is_ok();
    pod.run(Phase::Post, &root()).is_ok();
    assert!(!data.is_frozen());
}

#[test]
fn what_cannot_be_frozen_thaws_what_was() {
    if !at_hand() {
        return;
    }
    let pod = pod("/data /log", "1m");
    let data = Disk::mount(&pod.folder("data"));
    succeeds(
        Command::new("mount")
            .args(["-t", "tmpfs", "tmpfs"])
            .arg(pod.folder("log")),
    );
    let refused = pod.run(Phase::Pre, &root());
    succeeds(Command::new("umount").arg(pod.folder("log")));
    refused.failed(2, &["/log cannot be frozen", "not supported"]);
    assert!(!data.is_frozen());
}

#[test]
fn what_somebody_else_froze_or_thawed_is_told_from_ours() {
    if !at_hand() {
        return;
    }
    let pod = pod("/data", "1m");
    let data = Disk::mount(&pod.folder("data"));
    assert!(data.freeze());
    pod.run(Phase::Pre, &root())
        .failed(1, &["frozen by somebody else"]);
    assert!(data.thaw(), "it stays frozen");

    pod.run(Phase::Pre, &root()).is_ok();
    assert!(data.thaw());
    pod.run(Phase::Post, &root())
        .failed(5, &["frozen no more", "not good"]);
}

#[test]
fn what_would_stop_more_than_the_volume_is_refused() {
    if !at_hand() {
        return;
    }
    for (paths, words) in [
        ("", ["parameter paths is empty", "mount points"]),
        ("/", ["same file system", "root"]),
        ("/quiescent/state", ["same file system", "root"]),
        // Not a volume of its own: it lies where the volumes of the pod lie, on the node's disk.
        ("/data", ["same file system", "node"]),
        ("/nope", ["not the mount point", "parameter paths"]),
    ] {
        pod(paths, "1m").run(Phase::Pre, &root()).failed(2, &words);
    }
}

#[test]
fn who_may_not_freeze_is_told_what_it_takes() {
    if !at_hand() {
        return;
    }
    let pod = pod("/data", "1m");
    let data = Disk::mount(&pod.folder("data"));
    let refused = pod.run(Phase::Pre, &Container::default());
    refused.failed(2, &["SYS_ADMIN", "root"]);
    assert!(!refused.said.contains("cannot be undone"), "{refused:?}");
    assert!(!data.is_frozen());

    let (without, _tools) = with_tools(&["fsfreeze"], &[]);
    // Both are where the script looks beside the PATH.
    if !Path::new("/sbin/fsfreeze").exists() {
        pod.run(Phase::Pre, &without).failed(2, &["no fsfreeze"]);
    }
}
