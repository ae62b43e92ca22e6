//! The policies that need no engine, on real processes, servers and file systems.

mod flag;
mod freeze;
mod http;
mod process;
mod sync;

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::harness::{self, Container, Pod, which};

/// Shells and users that a container may have.
fn containers() -> [Container; 3] {
    ["dash", "bash", "busybox"].map(|shell| Container::of_user(4242).with_shell(shell))
}

/// Whether hooks can run here, with these tools.
fn possible(tools: &[&str]) -> bool {
    harness::possible(&[tools, &["busybox", "bash", "dash"]].concat())
}

/// A pod that asks for a block, with these parameters.
fn asking(policy: &str, parameters: &[(&str, &str)], environment: &[(&str, &str)]) -> Value {
    let mut pod = harness::pod("shop/app:1", environment);
    pod["metadata"]["labels"] = json!({ format!("quiescent.dev/{policy}"): "enabled" });
    for (name, value) in parameters {
        let key = format!("quiescent.dev/{policy}.{name}");
        pod["metadata"]["annotations"][key] = (*value).into();
    }
    pod
}

pub(super) fn inject(pod: &Value) -> Pod {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    Pod::inject(pod, &["--policies", policies.to_str().unwrap()])
}

/// A folder that everybody may write to.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(folder.path(), mode).unwrap();
    folder
}

/// A container with busybox's tools, without those that are named, and these of the machine.
pub(super) fn with_tools(without: &[&str], with: &[&str]) -> (Container, TempDir) {
    let tools = open_folder();
    let installed = Command::new("busybox")
        .args(["--install", "-s"])
        .arg(tools.path())
        .status();
    assert!(installed.unwrap().success());
    for tool in without {
        fs::remove_file(tools.path().join(tool)).unwrap();
    }
    for tool in with {
        let link = tools.path().join(tool);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(which(tool).unwrap(), link).unwrap();
    }
    let container = Container {
        path: tools.path().to_str().unwrap().into(),
        ..Container::default()
    };
    (container, tools)
}
