//! The policy of docs/http-hooks.md, whose hooks call HTTP: every command says that Velero has no part in it,
//! and none writes anything on a pod.
use std::{fs, path::Path, process::Output};

use crate::support::quiescent;

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: orders-0}
spec:
  containers: [{name: orders, image: example.com/orders:1}]
";

/// What a command says with that policy of that pod: exit code, stdout and stderr.
fn said(arguments: &[&str]) -> (i32, String, String) {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http-hooks.md");
    let page = fs::read_to_string(page).unwrap();
    let policy = page.split("```yaml\n").nth(1).unwrap();
    let policy = policy.split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("orders")).unwrap();
    fs::write(folder.path().join("orders/policy.yaml"), policy).unwrap();
    fs::write(folder.path().join("pod.yaml"), POD).unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = quiescent(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn the_policy_is_sound_and_said_to_be_nothing_for_velero() {
    let (code, stdout, _) = said(&["lint", "orders"]);
    assert_eq!(code, 0, "{stdout}");
    assert_eq!(stdout.matches("[QP").count(), 1, "{stdout}");
    assert!(
        stdout.contains("warning[QP035]: Velero makes no calls"),
        "{stdout}"
    );
    let (_, stdout, _) = said(&["explain", "pod.yaml", "--policies", "orders"]);
    let stdout = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        stdout.contains("its hooks call HTTP, which Velero cannot"),
        "{stdout}"
    );
    assert!(
        stdout.contains("quiescent library show http-call"),
        "{stdout}"
    );
    assert!(stdout.contains("nothing to do"), "{stdout}");
}

#[test]
fn no_pod_is_changed_for_it_and_nothing_is_rendered() {
    let (code, stdout, stderr) = said(&["inject", "pod.yaml", "--policies", "orders"]);
    assert_eq!((code, stdout.as_str()), (0, POD), "{stderr}");
    let (code, stdout, stderr) = said(&["render", "admission-policy", "--policies", "orders"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(!stdout.contains("AdmissionPolicy"), "{stdout}");
    assert!(
        stderr.contains("its hooks call HTTP, which Velero cannot"),
        "{stderr}"
    );
    let (_, stdout, stderr) = said(&[
        "render",
        "backup",
        "--name",
        "nightly",
        "--policies",
        "orders",
    ]);
    assert!(!stdout.contains("exec"), "{stdout}");
    assert!(
        stderr.contains("no hook: it calls HTTP, which Velero cannot"),
        "{stderr}"
    );
}
