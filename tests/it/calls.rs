//! The policy of docs/http-hooks.md, whose hooks call HTTP: every command says that Velero has no part in it,
//! and none writes anything on a pod. With a coordinator a pod gets a container that makes the calls.
use std::{fs, path::Path, process::Output};

use quiescent::yaml;
use serde_json::json;

use crate::support::quiescent;

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: orders-0}
spec:
  containers: [{name: orders, image: example.com/orders:1}]
";

/// What a command says with that policy of that pod: exit code, stdout and stderr.
fn said(arguments: &[&str]) -> (i32, String, String) {
    said_of(&policy(), arguments)
}

/// The same where a coordinator makes the calls.
fn said_beside(arguments: &[&str]) -> (i32, String, String) {
    said_of(&with_coordinator(), arguments)
}

pub fn with_coordinator() -> String {
    policy().replace("\nspec:\n", "\nspec:\n  coordinator: {}\n")
}

fn policy() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http-hooks.md");
    let page = fs::read_to_string(page).unwrap();
    let policy = page.split("```yaml\n").nth(1).unwrap();
    policy.split("```").next().unwrap().to_owned()
}

fn said_of(policy: &str, arguments: &[&str]) -> (i32, String, String) {
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
        stdout.contains("add coordinator: {} to its spec"),
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

#[test]
fn a_coordinator_makes_the_calls_for_velero() {
    let (code, stdout, _) = said_beside(&["lint", "orders"]);
    assert_eq!((code, stdout.contains("QP")), (0, false), "{stdout}");

    let (_, stdout, _) = said_beside(&["explain", "pod.yaml", "--policies", "orders"]);
    assert!(
        stdout.contains("POST :8080/admin/pause, container=quiescent-coordinator"),
        "{stdout}"
    );

    let arguments = [
        "inject",
        "pod.yaml",
        "--policies",
        "orders",
        "--image",
        "registry.test/quiescent:1",
    ];
    let (code, stdout, stderr) = said_beside(&arguments);
    assert_eq!(code, 0, "{stderr}");
    let pod = yaml::parse(&stdout).unwrap()[0]
        .root
        .as_ref()
        .unwrap()
        .to_json();
    let containers = &pod["spec"]["containers"];
    let beside = &containers[1];
    assert_eq!(beside["name"], "quiescent-coordinator");
    assert_eq!(
        beside["command"].as_array().unwrap().last().unwrap(),
        "wait"
    );
    let [token] = beside["env"].as_array().unwrap().as_slice() else {
        panic!("one Secret is named, twice: {beside}");
    };
    let of = json!({"name": "orders-admin", "key": "token", "optional": true});
    assert_eq!(token["valueFrom"], json!({"secretKeyRef": of}));
    assert_eq!(
        containers[0],
        json!({"name": "orders", "image": "example.com/orders:1"})
    );
    assert_eq!(
        pod["spec"]["initContainers"][0]["image"],
        "registry.test/quiescent:1"
    );
    let annotations = &pod["metadata"]["annotations"];
    for (key, value) in [
        (
            "pre.hook.backup.velero.io/container",
            "quiescent-coordinator",
        ),
        ("pre.hook.backup.velero.io/on-error", "Fail"),
        // 30s, 10s for an answer that comes late, and twice 1m to undo it.
        ("pre.hook.backup.velero.io/timeout", "2m40s"),
        (
            "post.hook.backup.velero.io/container",
            "quiescent-coordinator",
        ),
        ("post.hook.backup.velero.io/timeout", "1m"),
    ] {
        assert_eq!(annotations[key], value, "{key}");
    }

    // What was put in is taken out.
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("made.yaml");
    fs::write(&made, stdout).unwrap();
    let (code, back, stderr) =
        said_beside(&["uninject", made.to_str().unwrap(), "--policies", "orders"]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(back, POD);
    let (again, stdout) = (
        folder.path().join("made.yaml"),
        fs::read_to_string(&made).unwrap(),
    );
    let arguments = ["inject", again.to_str().unwrap(), "--policies", "orders"];
    assert_eq!(said_beside(&arguments).1, stdout);
}

#[test]
fn a_coordinator_calls_or_has_a_session() {
    let policy = with_coordinator();
    let session = "coordinator: {session: hold.sh, startTimeout: 1m, stopTimeout: 1m, limit: 5m, onError: Fail}";
    let script = "\n  scriptFiles: {hold.sh: cat}\n";
    for (policy, code, complaints) in [
        (
            policy.replace("coordinator: {}", &format!("{session}{script}")),
            1,
            &[
                "the coordinator has the pre hook of this policy",
                "take this hook out, or the coordinator's session",
            ][..],
        ),
        (
            policy.replace(
                "coordinator: {}",
                "coordinator: {limit: 5m, env: [TOKEN], port: 80}",
            ),
            1,
            &[
                "limit is of a session",
                "env is of a session",
                "port is of a session",
            ],
        ),
        (
            policy.replace("coordinator: {}", "coordinator: {session: hold.sh}"),
            1,
            &[
                "a session needs startTimeout: beside it",
                "a session needs onError: beside it",
            ],
        ),
        (
            policy.split("  hooks:").next().unwrap().to_owned() + "  hooks: {}\n",
            1,
            &["this coordinator has nothing to do: there is no session, and no hook calls"],
        ),
        (
            policy.split("    post:").next().unwrap().to_owned(),
            0,
            &[
                "a pre hook without a post hook",
                "add a post hook that calls",
            ],
        ),
        (
            policy.replacen(
                "headers:",
                &format!(
                    "body: {{value: {:?}}}\n        headers:",
                    "x".repeat(60_000)
                ),
                2,
            ),
            1,
            &["bytes of a command, and 100000 are left to them"],
        ),
    ] {
        let (ended, stdout, _) = said_of(&policy, &["lint", "orders"]);
        assert_eq!(ended, code, "{stdout}");
        for complaint in complaints {
            assert!(stdout.contains(complaint), "{complaint}: {stdout}");
        }
    }
}
