//! Who takes a snapshot and is slow, gone, or not alone with the pod, at a real API server: the hooks are calls
//! to an application on this machine, and the test plays the driver.
use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, UdpSocket},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{self, eventually, kit, run},
    snapshotting::{a_database, status},
    there_is_an_api_server,
};
use crate::support::{self, quiescent};

const SOON: Duration = Duration::from_mins(2);

const NAMESPACE: &str = "shop";

const CLAIM: &str = "data-pg-0";

#[test]
fn who_loses_a_claim_calls_nothing_consistent_and_who_has_it_is_told() {
    let kinds = kit::built("cluster/csi/build", &[]);
    let what = "the kinds of CSI snapshots (tests/kit/cluster/csi/build makes them, once)";
    if !there_is_an_api_server() || !support::require(kinds, what) {
        return;
    }
    let stage = Stage::new();
    a_backup_is_waited_for(&stage);
    stage.has_no_hooks_of_an_author();
    a_slow_one_loses_the_claim_and_tells_the_next(&stage);
    after_one_that_is_gone_the_next_is_consistent(&stage);
}

struct Stage {
    api: ApiServer,
    application: Application,
    policies: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let api = ApiServer::start(&[]);
        let programs = run(&mut Command::new(kit("cluster/csi/build"))).expect("the kinds");
        let kinds = Path::new(programs.trim()).join("crds.yaml");
        api.kubectl.run(&format!("create -f {}", kinds.display()));
        api.namespace(NAMESPACE, &json!({}));
        eventually("the API server knows snapshots", SOON, || {
            api.kubectl.attempt("get volumesnapshots -A", "").ok()
        });
        a_database(&api, NAMESPACE);
        let application = Application::start();
        let policies = tempfile::tempdir().unwrap();
        let call = |path: &str| {
            let url = format!("{}/{path}", application.url);
            json!({"http": {"url": url}, "timeout": "30s", "onError": "Fail"})
        };
        let policy = json!({
            "apiVersion": "quiescent.dev/v1", "kind": "HookPolicy",
            "metadata": {"name": "called", "annotations": {"quiescent.dev/blocks": "writes"}},
            "spec": {
                "match": {"images": ["postgres"]},
                "hooks": {"pre": call("hold"), "post": call("let-go")},
            },
        });
        fs::write(policies.path().join("called.yaml"), policy.to_string()).unwrap();
        Self {
            api,
            application,
            policies,
        }
    }

    fn has_no_hooks_of_an_author(&self) {
        let hooks = ["pre", "post"].map(|it| format!("{it}.hook.backup.velero.io/command-"));
        let annotate = format!("annotate -n {NAMESPACE} pod pg-0 {}", hooks.join(" "));
        self.api.kubectl.run(&annotate);
    }

    /// A snapshot of the claim with calls as hooks.
    fn begin(&self, more: &[&str]) -> Child {
        let policies = self.policies.path().to_str().unwrap();
        self.snapshot(&[&["--policies", policies], more].concat())
    }

    fn snapshot(&self, more: &[&str]) -> Child {
        quiescent(&["snapshot", "-o", "json", "-n", NAMESPACE, "--kubeconfig"])
            .arg(self.api.kubeconfig())
            .arg(format!("pvc/{CLAIM}"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The names of the snapshots that were asked for, waiting until there are so many.
    fn asked_for(&self, many: usize) -> Vec<String> {
        eventually(&format!("{many} snapshots are asked for"), SOON, || {
            let all = format!("get volumesnapshots -n {NAMESPACE}");
            let all = self.api.kubectl.json(&all, "");
            let names = all["items"].as_array().unwrap().iter();
            let names = names.map(|it| it["metadata"]["name"].as_str().unwrap().to_owned());
            Some(names.collect::<Vec<_>>()).filter(|it| it.len() == many)
        })
    }

    /// Plays the driver, at this moment.
    fn cut(&self, snapshot: &str) {
        let now = Timestamp::now();
        let content = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotContent",
            "metadata": {"name": "content-1"},
            "spec": {
                "driver": "csi.example.com", "deletionPolicy": "Retain",
                "source": {"volumeHandle": "1"},
                "volumeSnapshotRef": {"name": snapshot, "namespace": NAMESPACE},
            },
        });
        self.api.kubectl.apply("create -f -", &content.to_string());
        let nanoseconds = i64::try_from(now.as_nanosecond()).unwrap();
        let of_content = json!({"readyToUse": true, "creationTime": nanoseconds});
        status(
            &self.api,
            NAMESPACE,
            "volumesnapshotcontent content-1",
            &of_content,
        );
        let of_snapshot = json!({
            "boundVolumeSnapshotContentName": "content-1", "readyToUse": true,
            "creationTime": Timestamp::from_second(now.as_second()).unwrap().to_string(),
        });
        status(
            &self.api,
            NAMESPACE,
            &format!("volumesnapshot {snapshot}"),
            &of_snapshot,
        );
    }

    fn label_of(&self, snapshot: &str) -> Value {
        let get = format!("get volumesnapshot -n {NAMESPACE} {snapshot}");
        let found = self.api.kubectl.json(&get, "");
        found["metadata"]["labels"]["quiescent.dev/consistent"].clone()
    }
}

fn signal(child: &Child, name: &str) {
    let told = Command::new("kill")
        .args(["-s", name, &child.id().to_string()])
        .status();
    assert!(told.is_ok_and(|status| status.success()), "kill -s {name}");
}

/// What a run says of itself, which ends with this code.
#[track_caller]
fn ended(child: Child, code: i32) -> Value {
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    // Long lines are folded.
    let complained = String::from_utf8_lossy(&stderr);
    let complained = complained.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(status.code(), Some(code), "{complained}");
    serde_json::from_slice(&stdout).unwrap_or_else(|_| complained.into())
}

#[track_caller]
fn because(said: &Value, why: &str) {
    let mut reasons = said["reasons"].as_array().unwrap().iter();
    let is_why = |it: &Value| it.as_str().unwrap().contains(why);
    assert!(reasons.any(is_why), "{said:#}");
}

fn a_backup_is_waited_for(stage: &Stage) {
    let kubectl = &stage.api.kubectl;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "backups.velero.io"},
        "spec": {
            "group": "velero.io", "scope": "Namespaced",
            "names": {"kind": "Backup", "plural": "backups", "singular": "backup", "listKind": "BackupList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
            }}}],
        },
    });
    kubectl.apply("create -f -", &definition.to_string());
    kubectl.run("wait --for condition=Established crd/backups.velero.io --timeout 60s");
    stage.api.namespace("velero", &json!({}));
    let backup = |phase: &str| {
        let object = json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {"name": "nightly", "namespace": "velero"},
            "spec": {"includedNamespaces": [NAMESPACE]}, "status": {"phase": phase},
        });
        eventually("the backup is there", SOON, || {
            kubectl.attempt("apply -f -", &object.to_string()).ok()
        });
    };
    backup("InProgress");
    let refused = ended(stage.snapshot(&[]), 2);
    let why = "Velero's backup velero/nightly is under way, and runs hooks in pod shop/pg-0";
    assert!(
        refused.as_str().is_some_and(|it| it.contains(why)),
        "{refused}"
    );
    backup("Completed");
    // No kubelet runs the hook.
    assert_eq!(ended(stage.snapshot(&[]), 2)["verdict"], "undone");
}

fn a_slow_one_loses_the_claim_and_tells_the_next(stage: &Stage) {
    let application = &stage.application;
    let slow = stage.begin(&[]);
    application.was_called("hold", 1);
    stage.asked_for(1);
    signal(&slow, "STOP");
    let paused = Timestamp::now().as_second();
    eventually("snapshots of now have another name", SOON, || {
        (Timestamp::now().as_second() > paused + 1).then_some(())
    });
    // As if half a minute had passed.
    let past = json!({"spec": {"renewTime": "2026-01-31T02:00:00.000000Z"}});
    stage.api.kubectl.run(&format!(
        "patch lease -n {NAMESPACE} quiescent-{CLAIM} --type merge -p {past}"
    ));
    let next = stage.begin(&[]);
    application.was_called("hold", 2);
    stage.asked_for(2);
    signal(&slow, "CONT");
    let slow = ended(slow, 2);
    assert_eq!(slow["verdict"], "undone", "{slow:#}");
    because(
        &slow,
        "claim data-pg-0 was taken over by snapshot data-pg-0-",
    );
    let next = ended(next, 2);
    assert_eq!(next["verdict"], "undone", "{next:#}");
    because(
        &next,
        "which had lost claim data-pg-0, let go of what its pods held",
    );
    application.was_called("let-go", 2);
    stage.asked_for(0);
}

fn after_one_that_is_gone_the_next_is_consistent(stage: &Stage) {
    let application = &stage.application;
    let mut gone = stage.begin(&[]);
    application.was_called("hold", 3);
    let left = stage.asked_for(1);
    gone.kill().unwrap();
    gone.wait().unwrap();
    let refused = ended(stage.begin(&[]), 2);
    let why = "claim data-pg-0 is taken by snapshot";
    assert!(
        refused.as_str().is_some_and(|it| it.contains(why)),
        "{refused}"
    );
    let next = stage.begin(&["--wait=2m"]);
    application.was_called("hold", 4);
    let asked_for = stage.asked_for(2);
    let own = asked_for.iter().find(|it| **it != left[0]).unwrap();
    stage.cut(own);
    let next = ended(next, 0);
    assert_eq!(next["verdict"], "consistent", "{next:#}");
    assert_eq!(stage.label_of(own), "true");
    assert_eq!(stage.label_of(&left[0]), "false");
}

/// Counts how often it is called.
struct Application {
    url: String,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Application {
    /// On an address of the machine: a policy does not call its loopback.
    fn start() -> Self {
        let route = UdpSocket::bind("0.0.0.0:0").unwrap();
        // Nothing is sent: it finds out which address would be used.
        route
            .connect("198.51.100.1:9")
            .expect("this machine has a way to others");
        let address = route.local_addr().unwrap().ip();
        let listener = TcpListener::bind((address, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&calls);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                let rest = lines.map_while(Result::ok);
                rest.take_while(|it| !it.is_empty()).for_each(drop);
                heard.lock().unwrap().push(first);
                let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, calls }
    }

    fn was_called(&self, path: &str, times: usize) {
        let call = format!("POST /{path} ");
        eventually(&format!("{path} is called {times} times"), SOON, || {
            let calls = self.calls.lock().unwrap();
            let many = calls.iter().filter(|it| it.starts_with(&call)).count();
            (many >= times).then_some(())
        });
    }
}
