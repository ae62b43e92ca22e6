//! What the kernel has in memory is written to the disk, or the hook says why not.

use super::{asking, containers, inject, open_folder, possible, with_tools};
use crate::databases::harness::{Container, Phase};

const POLICY: &str = "filesystem-sync";

#[test]
fn file_systems_of_paths_are_written() {
    if !possible(&["sync"]) {
        return;
    }
    let folder = open_folder();
    let paths = format!("{0} {0}/data", folder.path().display());
    std::fs::write(folder.path().join("data"), "written\n").unwrap();
    let pod = inject(&asking(POLICY, &[("paths", &paths)], &[]));
    let (small, _tools) = with_tools(&[], &[]);
    for container in containers().into_iter().chain([small]) {
        let written = pod.run(Phase::Pre, &container);
        written.is_ok();
        assert!(
            written.said.contains("synced=filesystem paths=2"),
            "{written:?}"
        );
        pod.run(Phase::Post, &container).is_ok();
    }
}

#[test]
fn a_wrong_path_and_a_missing_tool_are_said() {
    if !possible(&["sync"]) {
        return;
    }
    let pod = inject(&asking(POLICY, &[("paths", "/nope")], &[]));
    pod.run(Phase::Pre, &Container::default())
        .failed(2, &["/nope is not there", "parameter paths"]);
    let (without, _tools) = with_tools(&["sync"], &[]);
    pod.run(Phase::Pre, &without).failed(2, &["no sync"]);
}
