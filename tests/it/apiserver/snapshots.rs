//! ConsistentSnapshots and SnapshotHooks at a real API server: what it refuses, and what the controller does
//! with the rights of deploy/ where no kubelet runs a hook and no driver cuts: it undoes, and says why.
use std::{fs, path::Path, process::Command, time::Duration};

use quiescent::yaml;
use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{self, Process, eventually, kit, run},
    there_is_an_api_server, try_all,
};
use crate::support;

const SOON: Duration = Duration::from_mins(2);

/// Claims of this many, so that each request has its own.
const CLAIMS: [&str; 5] = ["exec", "cut", "deleted", "killed", "kept"];

struct Stage {
    api: ApiServer,
    kubeconfig: String,
}

type Scenario = fn(&Stage);

#[test]
fn snapshots_are_asked_for_by_objects() {
    let built = kit::built("cluster/csi/build", &[]);
    let parts = "the definitions of CSI snapshots (tests/kit/cluster/csi/build makes them, once)";
    if !there_is_an_api_server() || !support::require(built, parts) {
        return;
    }
    let stage = Stage::new();
    let scenarios: [(&str, Scenario); 9] = [
        (
            "what the schema can say is refused at once, with a sentence, and a spec never changes",
            the_schema_refuses,
        ),
        (
            "a cluster without VolumeSnapshots, and a pod that is not there, are refused with the reason",
            what_cannot_be_is_refused,
        ),
        (
            "a hook that cannot run holds nothing, and its post hook is tried",
            a_hook_that_cannot_run_is_undone,
        ),
        (
            "a SnapshotHook says whether it is in force, where, and why not, and is written when that changes",
            a_hook_says_whether_it_is_in_force,
        ),
        (
            "a SnapshotHook that calls reads the Secrets that a Role gives it, and one that may fail ends no snapshot",
            a_hook_that_calls,
        ),
        (
            "what no driver cuts is withdrawn",
            what_is_not_cut_is_withdrawn,
        ),
        (
            "one that is deleted meanwhile is undone before it is gone",
            a_deleted_one_is_undone_first,
        ),
        (
            "one whose controller is killed is undone by the next, and a second one of its claim waits",
            a_killed_one_is_undone_by_the_next,
        ),
        (
            "who does not lead does nothing, and what nobody can read is not gone on with",
            who_does_not_lead_does_nothing,
        ),
    ];
    try_all(&scenarios, |scenario| scenario(&stage));
}

impl Stage {
    fn new() -> Self {
        let api = ApiServer::start(&[]);
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
        api.namespace("quiescent", &json!({}));
        for file in [
            "base/crds.yaml",
            "base/rbac.yaml",
            "components/snapshots/crds.yaml",
            "components/snapshots/rbac.yaml",
        ] {
            let path = deploy.join(file);
            api.kubectl.run(&format!("apply -f {}", path.display()));
        }
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "quiescent-controller", "namespace": "quiescent"},
        });
        api.kubectl.apply("apply -f -", &lease.to_string());
        for kind in ["consistentsnapshots", "snapshothooks"] {
            api.kubectl.run(&format!(
                "wait --for condition=Established crd/{kind}.quiescent.dev --timeout 60s"
            ));
        }
        api.namespace("shop", &json!({}));
        let kubeconfig = api.kubeconfig_of("quiescent", "quiescent-controller");
        Self { api, kubeconfig }
    }

    fn controller(&self) -> Process {
        let (controller, _) = Process::start(
            "controller",
            [
                "--admin=127.0.0.1:0",
                "--snapshots",
                "--lease-namespace=quiescent",
                "--lease-duration=4s",
                "--interval=5s",
                "--kubeconfig",
                &self.kubeconfig,
            ],
        );
        controller
    }

    fn get(&self, what: &str) -> Value {
        self.api.kubectl.json(&format!("get -n shop {what}"), "")
    }

    fn ask(&self, name: &str, spec: &Value) {
        let object = object("ConsistentSnapshot", name, spec);
        let kubectl = &self.api.kubectl;
        kubectl.apply("create -f -", &object.to_string());
    }

    /// Waits until the status of one is so.
    #[track_caller]
    fn says(&self, name: &str, key: &str, value: &str) -> Value {
        eventually(&format!("{name}: {key} is {value}"), SOON, || {
            let found = self.get(&format!("consistentsnapshot {name}"));
            (found["status"][key] == value).then_some(found)
        })
    }

    fn snapshots_of(&self, claim: &str) -> Vec<Value> {
        let all = self.get("volumesnapshots.snapshot.storage.k8s.io");
        let all = all["items"].as_array().unwrap().iter();
        let of = |it: &&Value| it["spec"]["source"]["persistentVolumeClaimName"] == claim;
        all.filter(of).cloned().collect()
    }

    /// Snapshots of one moment can be asked for, though nobody takes them.
    fn storage(&self) {
        let kubectl = &self.api.kubectl;
        let built = run(&mut Command::new(kit("cluster/csi/build"))).unwrap();
        let crds = Path::new(built.trim()).join("crds.yaml");
        kubectl.run(&format!("apply -f {}", crds.display()));
        kubectl.run(&format!(
            "wait --for condition=Established -f {} --timeout 60s",
            crds.display()
        ));
        let mut items = vec![json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
            "metadata": {"name": "fast"}, "driver": "test.example.com", "deletionPolicy": "Delete",
        })];
        for name in CLAIMS {
            let common = json!({
                "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            });
            let mut volume = json!({
                "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": "1Gi"},
                    "csi": {"driver": "test.example.com", "volumeHandle": name},
                },
            });
            let mut claim = json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"volumeName": name, "resources": {"requests": {"storage": "1Gi"}}},
            });
            for object in [&mut volume, &mut claim] {
                let spec = object["spec"].as_object_mut().unwrap();
                spec.extend(common.as_object().unwrap().clone());
            }
            items.extend([volume, claim]);
        }
        let command = |script: &str| json!(["/bin/sh", "-c", script]).to_string();
        items.push(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "holder", "namespace": "shop",
                "annotations": {
                    "pre.hook.backup.velero.io/command": command("hold"),
                    "post.hook.backup.velero.io/command": command("let go"),
                },
            },
            "spec": {
                "nodeName": "nowhere",
                "containers": [{"name": "main", "image": "example.com/own:1"}],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "exec"}}],
            },
        }));
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        kubectl.apply("apply -f -", &list.to_string());
        let runs = json!({"status": {"phase": "Running"}});
        kubectl.run(&format!(
            "patch -n shop pod holder --subresource status --type merge -p {runs}"
        ));
    }
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "quiescent.dev/v1", "kind": kind,
        "metadata": {"name": name, "namespace": "shop"}, "spec": spec,
    })
}

fn the_schema_refuses(stage: &Stage) {
    wrong_requests(stage);
    wrong_hooks(stage);
    stage.ask("fixed", &json!({"target": {"pod": "a"}}));
    let stored = stage.get("consistentsnapshot fixed");
    assert_eq!(stored["spec"]["cutTimeout"], "1m", "{stored:#}");
    assert_eq!(stored["spec"]["group"], "Auto", "{stored:#}");
    let kubectl = &stage.api.kubectl;
    let patch =
        r#"patch -n shop consistentsnapshot fixed --type merge -p {"spec":{"target":{"pod":"b"}}}"#;
    let said = kubectl.attempt(patch, "").unwrap_err();
    assert!(said.contains("create another"), "{said}");
    kubectl.run("delete -n shop consistentsnapshot fixed");
}

fn is_refused(stage: &Stage, kind: &str, spec: &Value, why: &str) {
    let create = "create --dry-run=server --validate=strict -f -";
    let wrong = object(kind, "wrong", spec).to_string();
    let said = stage.api.kubectl.attempt(create, &wrong);
    let said = said.expect_err("it is refused");
    assert!(said.contains(why), "{spec}: {said}");
}

fn wrong_requests(stage: &Stage) {
    for (spec, why) in [
        (json!({}), "one of target and selector"),
        (
            json!({"target": {"pod": "a"}, "selector": {"matchLabels": {"a": "b"}}}),
            "one of target and selector",
        ),
        (
            json!({"target": {"pod": "a", "claim": "b"}}),
            "a target is one of",
        ),
        (json!({"target": {}}), "a target is one of"),
        (
            json!({"target": {"pod": "a"}, "cutTimeout": "soon"}),
            "spec.cutTimeout",
        ),
        (json!({"target": {"pod": "a"}, "keep": 0}), "spec.keep"),
        (
            json!({"target": {"pod": "a"}, "group": "Sometimes"}),
            "spec.group",
        ),
        (
            json!({"target": {"pod": "a"}, "group": "Always", "snapshotClassName": "fast"}),
            "a group takes no snapshotClassName",
        ),
        (
            json!({"target": {"pod": "a"}, "onUnusable": "Keep"}),
            "spec.onUnusable",
        ),
        (
            json!({"target": {"pod": "a"}, "wait": true}),
            "unknown field",
        ),
    ] {
        is_refused(stage, "ConsistentSnapshot", &spec, why);
    }
}

fn wrong_hooks(stage: &Stage) {
    let hook = json!({"exec": {"command": ["true"]}});
    let call = |call: Value| json!({"targetPVC": "data", "postHook": {"http": call}});
    for (spec, why) in [
        (
            json!({"targetPVC": "data", "preHook": {}}),
            "a hook is one of exec and http",
        ),
        (
            json!({"targetPVC": "data", "preHook": {"exec": {"command": ["a"]}, "http": {"port": 80}}}),
            "a hook is one of exec and http",
        ),
        (
            json!({"targetPVC": "data", "preHook": {
                "exec": {"command": ["a"]}, "retry": {"attempts": 2, "delay": "1s"},
            }}),
            "only calls are made again",
        ),
        (
            json!({"targetPVC": "data", "preHook": {"exec": {"command": ["a"]}, "onError": "Ignore"}}),
            "spec.preHook.onError",
        ),
        (
            call(json!({"path": "/pause"})),
            "a call has a url, or a port",
        ),
        (
            call(json!({"port": 80, "url": "http://shop/"})),
            "a call has a url, or a port",
        ),
        (call(json!({"port": 70000})), "spec.postHook.http.port"),
        (
            call(json!({"url": "shop/pause"})),
            "an address begins with http",
        ),
        (
            call(json!({"port": 80, "method": "LIST"})),
            "spec.postHook.http.method",
        ),
        (
            call(json!({"port": 80, "caSecretRef": {"name": "a", "key": "b"}})),
            "only https",
        ),
        (call(json!({"port": 80, "query": "a"})), "unknown field"),
        (json!({"targetPVC": "data"}), "nothing runs"),
        (json!({"preHook": hook}), "targetPVC"),
        (
            json!({"targetPVC": "data", "preHook": {"exec": {"command": []}}}),
            "spec.preHook.exec.command",
        ),
        (
            json!({"targetPVC": "data", "preHook": {"exec": {"command": ["a"]}, "timeoutSeconds": 0}}),
            "timeoutSeconds",
        ),
    ] {
        is_refused(stage, "SnapshotHook", &spec, why);
    }
}

fn what_cannot_be_is_refused(stage: &Stage) {
    let controller = stage.controller();
    stage.ask("early", &json!({"target": {"claim": "exec"}}));
    let refused = stage.says("early", "phase", "Failed");
    let status = &refused["status"];
    assert_eq!(status["verdict"], "refused", "{refused:#}");
    let why = status["message"].as_str().unwrap();
    assert!(why.contains("knows no VolumeSnapshots"), "{why}");
    assert!(refused["metadata"]["finalizers"].is_null(), "{refused:#}");
    stage.storage();
    stage.ask("nobody", &json!({"target": {"pod": "nobody"}}));
    let refused = stage.says("nobody", "phase", "Failed");
    assert_eq!(refused["status"]["message"], "there is no pod shop/nobody");
    // A claim that no running pod mounts: nobody knows what would hold it.
    stage.ask("idle", &json!({"target": {"claim": "cut"}}));
    let refused = stage.says("idle", "phase", "Failed");
    let why = refused["status"]["message"].as_str().unwrap();
    assert!(why.contains("no running pod mounts cut"), "{why}");
    eventually("it is told", SOON, || {
        let events = stage.get("events")["items"].clone();
        let told = events.as_array().unwrap().iter();
        let mut told = told.filter(|it| it["reason"] == "SnapshotFailed");
        told.any(|it| it["involvedObject"]["name"] == "idle")
            .then_some(())
    });
    let metrics = controller.admin("/metrics").unwrap();
    assert!(
        metrics.contains("quiescent_snapshots_total{verdict=\"refused\"} 3\n"),
        "{metrics}"
    );
}

fn a_hook_that_cannot_run_is_undone(stage: &Stage) {
    let _controller = stage.controller();
    stage.ask("exec", &json!({"target": {"pod": "holder"}}));
    let failed = stage.says("exec", "phase", "Failed");
    let status = &failed["status"];
    assert!(["undone", "not_undone"].contains(&status["verdict"].as_str().unwrap()));
    let why = status["reasons"][0].as_str().unwrap();
    assert!(why.starts_with("pre of shop/holder: "), "{failed:#}");
    assert!(status["state"].is_null() && status["holder"].is_null());
    assert!(stage.snapshots_of("exec").is_empty());
}

impl Stage {
    fn hook(&self, name: &str, spec: &Value) {
        let object = object("SnapshotHook", name, spec);
        self.api.kubectl.apply("apply -f -", &object.to_string());
    }

    /// Waits until a SnapshotHook says so of the version that stands there.
    #[track_caller]
    fn stands(&self, name: &str, status: &str, reason: &str) -> Value {
        eventually(&format!("{name}: {reason}"), SOON, || {
            let found = self.get(&format!("snapshothook {name}"));
            let condition = &found["status"]["conditions"][0];
            let is_so = condition["status"] == status
                && condition["reason"] == reason
                && condition["observedGeneration"] == found["metadata"]["generation"];
            is_so.then_some(found)
        })
    }
}

fn a_hook_says_whether_it_is_in_force(stage: &Stage) {
    let _controller = stage.controller();
    let kubectl = &stage.api.kubectl;
    let exec = |claim: &str, container: &str| {
        json!({
            "targetPVC": claim, "container": container,
            "preHook": {"exec": {"command": ["hold"]}},
        })
    };
    let message = |found: &Value| {
        let message = &found["status"]["conditions"][0]["message"];
        message.as_str().unwrap().to_owned()
    };
    stage.hook("first", &exec("nothing", "main"));
    let found = stage.stands("first", "False", "NoSuchClaim");
    assert_eq!(message(&found), "there is no claim nothing");
    stage.hook("first", &exec("cut", "main"));
    stage.stands("first", "True", "NoPod");
    stage.hook("first", &exec("exec", "sidecar"));
    let found = stage.stands("first", "False", "NoSuchContainer");
    assert!(message(&found).contains("pod holder: no such container: \"sidecar\"; there are main"));
    stage.hook("first", &exec("exec", "main"));
    let found = stage.stands("first", "True", "Accepted");
    assert_eq!(found["status"]["pods"], json!(["holder"]));
    let shown = kubectl.run("get snapshothooks -n shop");
    let words: Vec<&str> = shown.split_whitespace().collect();
    let row = ["first", "exec", "True", "Accepted", "[\"holder\"]"];
    assert_eq!(
        words[..6],
        ["NAME", "CLAIM", "ACCEPTED", "REASON", "PODS", "AGE"]
    );
    assert_eq!(words[6..11], row, "{shown}");

    // Another one is heard of, and of this one nothing is new: it is not written.
    stage.hook("other", &exec("cut", "main"));
    stage.stands("other", "True", "NoPod");
    let version = |it: &Value| it["metadata"]["resourceVersion"].clone();
    let again = stage.get("snapshothook first");
    assert_eq!(version(&again), version(&found), "{again:#}");
    stage.hook("other", &exec("exec", "main"));
    let found = stage.stands("first", "False", "SeveralForOnePod");
    assert!(message(&found).contains("first (of exec), other (of exec)"));
    assert_eq!(found["status"]["pods"], json!([]));
    stage.stands("other", "False", "SeveralForOnePod");
    kubectl.run("delete -n shop snapshothook other");
    stage.stands("first", "True", "Accepted");

    let far = json!({
        "targetPVC": "exec", "preHook": {"http": {"url": "https://example.com/"}},
    });
    stage.hook("first", &far);
    let found = stage.stands("first", "True", "AcceptedWithWarnings");
    assert!(
        message(&found).contains("spec.preHook.http.url"),
        "{found:#}"
    );
    let here = json!({
        "targetPVC": "exec", "preHook": {"http": {"url": "http://localhost/"}},
    });
    stage.hook("first", &here);
    stage.stands("first", "False", "Invalid");
    stage.ask("here", &json!({"target": {"pod": "holder"}}));
    let failed = stage.says("here", "phase", "Failed");
    let why = failed["status"]["message"].as_str().unwrap();
    assert!(
        why.contains("SnapshotHook first: ") && why.contains("not to the pod"),
        "{why}"
    );
    kubectl.run("delete -n shop snapshothook first");
}

/// The objects of a page that give the controller a right.
fn of_the_page(kinds: &[&str]) -> Vec<Value> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/snapshot-controller.md");
    let text = fs::read_to_string(page).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|it| it.split("```").next());
    let documents = blocks.flat_map(|it| yaml::parse(it).unwrap());
    let objects = documents.filter_map(|it| Some(it.root?.to_json()));
    objects
        .filter(|it| kinds.iter().any(|kind| it["kind"] == *kind))
        .collect()
}

fn a_hook_that_calls(stage: &Stage) {
    let _controller = stage.controller();
    let kubectl = &stage.api.kubectl;
    let secret = json!({"name": "orders-admin", "key": "token"});
    let spec = json!({
        "targetPVC": "exec",
        "preHook": {
            "http": {
                "port": 8080, "path": "/pause",
                "headers": {"Authorization": {"value": "Bearer ", "secretKeyRef": secret}},
            },
        },
        "postHook": {"http": {"port": 8080, "path": "/resume"}, "onError": "Continue"},
    });
    stage.hook("calls", &spec);
    stage.stands("calls", "True", "Accepted");
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-admin", "namespace": "shop"},
        "stringData": {"token": "0815"},
    });
    kubectl.apply("apply -f -", &object.to_string());
    stage.ask("closed", &json!({"target": {"pod": "holder"}}));
    let reason = |name: &str| {
        let failed = stage.says(name, "phase", "Failed");
        failed["status"]["reasons"][0].as_str().unwrap().to_owned()
    };
    let why = reason("closed");
    assert!(
        why.contains("\"orders-admin\" cannot be read") && why.contains("does not let us see"),
        "{why}"
    );

    let given = of_the_page(&["Role", "RoleBinding"]);
    assert_eq!(given.len(), 2);
    for object in given {
        kubectl.apply("apply -f -", &object.to_string());
    }
    stage.ask("open", &json!({"target": {"pod": "holder"}}));
    let why = reason("open");
    assert!(
        !why.contains("Secret") && !why.contains("forbidden"),
        "{why}"
    );
    assert!(stage.snapshots_of("exec").is_empty());

    // By its onError the snapshot goes on, and it is the storage that does not cut.
    let mut spec = spec;
    spec["preHook"]["onError"] = "Continue".into();
    stage.hook("calls", &spec);
    stage.ask(
        "goes-on",
        &json!({"target": {"pod": "holder"}, "cutTimeout": "2s"}),
    );
    let failed = stage.says("goes-on", "phase", "Failed");
    let reasons = failed["status"]["reasons"].to_string();
    assert!(
        reasons.contains("pre of shop/holder") && reasons.contains("not cut within 2s"),
        "{reasons}"
    );
    assert!(stage.snapshots_of("exec").is_empty());
    kubectl.run("delete -n shop snapshothook calls");
}

fn what_is_not_cut_is_withdrawn(stage: &Stage) {
    let _controller = stage.controller();
    let spec = json!({
        "target": {"claim": "cut"}, "withoutHooks": true, "cutTimeout": "2s",
        "ttlSecondsAfterFinished": 15,
    });
    stage.ask("cut", &spec);
    let failed = stage.says("cut", "phase", "Failed");
    assert_eq!(failed["status"]["verdict"], "undone", "{failed:#}");
    let why = failed["status"]["message"].as_str().unwrap();
    assert!(why.contains("not cut within 2s"), "{why}");
    assert!(stage.snapshots_of("cut").is_empty());
    eventually("it goes when its time has come", SOON, || {
        let get = "get -n shop consistentsnapshot cut";
        stage.api.kubectl.attempt(get, "").err()
    });
}

/// Nobody cuts: it stays there until somebody wants to stop.
fn cutting(stage: &Stage, name: &str, claim: &str) {
    let spec = json!({"target": {"claim": claim}, "withoutHooks": true, "cutTimeout": "10m"});
    stage.ask(name, &spec);
    let found = stage.says(name, "phase", "Cutting");
    assert!(found["status"]["state"].is_string(), "{found:#}");
    assert_eq!(found["metadata"]["finalizers"][0], "quiescent.dev/undo");
    eventually("the snapshot is asked for", SOON, || {
        (stage.snapshots_of(claim).len() == 1).then_some(())
    });
}

fn a_deleted_one_is_undone_first(stage: &Stage) {
    let _controller = stage.controller();
    cutting(stage, "deleted", "deleted");
    let kubectl = &stage.api.kubectl;
    kubectl.run("delete -n shop consistentsnapshot deleted --timeout 60s");
    assert!(stage.snapshots_of("deleted").is_empty());
}

fn a_killed_one_is_undone_by_the_next(stage: &Stage) {
    let mut first = stage.controller();
    cutting(stage, "killed", "killed");
    stage.ask(
        "second",
        &json!({"target": {"claim": "killed"}, "withoutHooks": true, "cutTimeout": "1s"}),
    );
    let waits = stage.says("second", "phase", "Pending");
    assert_eq!(
        waits["status"]["message"],
        "ConsistentSnapshot killed is at claim killed"
    );
    first.kill();
    assert_eq!(stage.snapshots_of("killed").len(), 1);
    // Whoever has the claim by now is not waited for with what is to be undone.
    let taken = r#"{"spec":{"holderIdentity":"somebody","leaseDurationSeconds":3600}}"#;
    stage.api.kubectl.run(&format!(
        "patch lease -n shop quiescent-killed --type merge -p {taken}"
    ));
    let _next = stage.controller();
    let failed = stage.says("killed", "phase", "Failed");
    assert_eq!(failed["status"]["verdict"], "undone", "{failed:#}");
    let why = failed["status"]["message"].as_str().unwrap();
    assert!(why.contains("was gone before its end"), "{why}");
    assert!(stage.snapshots_of("killed").is_empty());
    let kubectl = &stage.api.kubectl;
    let lease = kubectl.json("get lease -n shop quiescent-killed", "");
    assert_eq!(lease["spec"]["holderIdentity"], "somebody", "{lease:#}");
    kubectl.run("delete lease -n shop quiescent-killed");
    stage.says("second", "phase", "Failed");
}

fn who_does_not_lead_does_nothing(stage: &Stage) {
    let kubectl = &stage.api.kubectl;
    let hold = |seconds: u32| {
        let spec = json!({"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": seconds}});
        kubectl.run(&format!(
            "patch -n quiescent lease quiescent-controller --type merge -p {spec}"
        ));
    };
    hold(3600);
    let waits = stage.controller();
    waits.ready();
    let began = waits.log();
    assert!(!began.contains("leading"), "{began}");
    let spec = json!({"target": {"claim": "kept"}, "withoutHooks": true});
    stage.ask("kept", &spec);
    let status = json!({"status": {"phase": "Cutting", "state": "unreadable"}});
    kubectl.run(&format!(
        "patch -n shop consistentsnapshot kept --subresource status --type merge -p {status}"
    ));
    assert!(stage.get("consistentsnapshot kept")["metadata"]["finalizers"].is_null());
    hold(1);
    let failed = stage.says("kept", "phase", "Failed");
    let why = failed["status"]["message"].as_str().unwrap();
    assert!(why.contains("another version of this program"), "{why}");
    assert!(stage.snapshots_of("kept").is_empty());
}
