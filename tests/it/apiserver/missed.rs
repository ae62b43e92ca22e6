//! Pods that were made without the webhook, on a real API server: counted, told of, put right in place,
//! and made anew where somebody asked for that.
//!
//! There is no controller manager and no kubelet: owners, their status and that of pods are written by hand.
use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    ApiServer,
    controller::{SOON, Stage, leads},
    kit::{Process, Webhook, eventually},
};
use crate::support::run;

/// A StatefulSet, a ReplicaSet of a Deployment and the like, made by hand.
fn owner(stage: &Stage, namespace: &str, object: &Value) -> Value {
    let create = format!("create -n {namespace} -f -");
    let made = stage.api.kubectl.json(&create, &object.to_string());
    let field = |field: &str| made["metadata"][field].clone();
    json!({
        "apiVersion": made["apiVersion"], "kind": made["kind"],
        "name": field("name"), "uid": field("uid"), "controller": true,
    })
}

/// What makes pods of PostgreSQL with their data in a claim.
fn workload(kind: &str, name: &str) -> Value {
    let labels = json!({"app": name});
    let mut spec = postgres(name)["spec"].clone();
    if kind == "StatefulSet" {
        spec.as_object_mut().unwrap().remove("volumes");
    }
    let template = json!({"metadata": {"labels": labels}, "spec": spec});
    let mut workload = json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    });
    if kind == "StatefulSet" {
        workload["spec"]["serviceName"] = json!(name);
        workload["spec"]["volumeClaimTemplates"] = json!([{
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        }]);
    }
    workload
}

fn postgres(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "containers": [{
                "name": "postgres", "image": "postgres:17",
                "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": format!("data-{name}")}}],
        },
    })
}

/// A pod as its owner makes it, without the webhook or with it, that runs and is ready.
fn pod(stage: &Stage, namespace: &str, name: &str, owner: Option<&Value>) -> Value {
    let mut pod = postgres(name);
    if let Some(owner) = owner {
        pod["metadata"]["ownerReferences"] = json!([owner]);
        pod["metadata"]["labels"] = json!({"app": owner["name"]});
    }
    let pod = stage.api.create(namespace, &pod.to_string());
    let ready = json!({"status": {
        "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
    }});
    status(stage, namespace, &format!("pod {name}"), &ready);
    pod
}

fn status(stage: &Stage, namespace: &str, what: &str, patch: &Value) {
    let kubectl = &stage.api.kubectl;
    let patch = patch.to_string();
    let words = format!("patch -n {namespace} {what} --subresource=status --type=merge -p");
    let words = words.split_whitespace().chain([&*patch]);
    kubectl.attempt_args(words, "").unwrap();
}

fn stored(stage: &Stage, namespace: &str, pod: &str) -> Option<Value> {
    let get = format!("get pod -n {namespace} {pod} -o json");
    let text = stage.api.kubectl.attempt(&get, "").ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// What `kubectl get events` has of a namespace, as `KIND/NAME TYPE REASON`, with the message.
pub fn events(api: &ApiServer, namespace: &str) -> Vec<(String, String)> {
    let list = api.kubectl.json(&format!("get events -n {namespace}"), "");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let events = list["items"].as_array().unwrap().iter().map(|event| {
        let about = &event["involvedObject"];
        let words = [
            &about["kind"],
            &about["name"],
            &event["type"],
            &event["reason"],
        ];
        let [kind, name, severity, reason] = words.map(text);
        (
            format!("{kind}/{name} {severity} {reason}"),
            text(&event["message"]),
        )
    });
    let mut events: Vec<_> = events.collect();
    events.sort();
    events
}

/// How many pods a replica counts in a namespace, by reason.
fn counted(replica: &Process, namespace: &str) -> Vec<String> {
    let metrics = replica.admin("/metrics").unwrap_or_default();
    let head = format!("quiescent_pods_unprotected{{namespace=\"{namespace}\",");
    let lines = metrics.lines().filter_map(|line| line.strip_prefix(&head));
    lines.map(str::to_owned).collect()
}

/// Waits until every replica counts these.
fn all_count(stage: &Stage, namespace: &str, expected: &[&str]) {
    for replica in &*stage.replicas.borrow() {
        let what = format!("{expected:?} in {namespace}");
        eventually(&what, SOON, || {
            (counted(replica, namespace) == expected).then_some(())
        });
    }
}

const TOLD: &str = "it was made before the policy, or while the webhook was away; next: kubectl -n missed rollout restart";

pub fn they_are_counted_and_told_of(stage: &Stage) {
    let enabled = json!({"quiescent.dev/inject": "enabled"});
    stage.api.namespace("missed", &enabled);
    stage.api.namespace("unasked", &json!({}));
    let set = owner(stage, "missed", &workload("StatefulSet", "pg"));
    pod(stage, "missed", "pg-0", Some(&set));
    pod(stage, "missed", "pg-1", Some(&set));
    let deployment = owner(stage, "missed", &workload("Deployment", "shop"));
    let mut replicas = workload("ReplicaSet", "shop-6d8f");
    replicas["metadata"]["ownerReferences"] = json!([deployment]);
    let replicas = owner(stage, "missed", &replicas);
    let mut pod_of_replicas = postgres("shop-6d8f-x");
    pod_of_replicas["metadata"]["ownerReferences"] = json!([replicas]);
    pod_of_replicas["metadata"]["labels"] = json!({"pod-template-hash": "6d8f"});
    stage.api.create("missed", &pod_of_replicas.to_string());
    pod(stage, "missed", "alone", None);
    pod(stage, "unasked", "pg-0", None);

    all_count(
        stage,
        "missed",
        &[r#"policy="postgresql-dump",reason="missed"} 4"#],
    );
    all_count(stage, "unasked", &[r#"policy="",reason="not_enabled"} 1"#]);
    let expected = [
        (
            "Deployment/shop Warning Missed",
            format!("shop-6d8f-x: {TOLD} deployment/shop"),
        ),
        (
            "Pod/alone Warning Missed",
            "alone: it was made before the policy, or while the webhook was away; next: make pod missed/alone anew"
                .to_owned(),
        ),
        (
            "StatefulSet/pg Warning Missed",
            format!("pg-0, pg-1: {TOLD} statefulset/pg"),
        ),
    ];
    let expected = expected.map(|(about, message)| (about.to_owned(), message));
    eventually("each owner is told", SOON, || {
        (events(&stage.api, "missed").len() >= expected.len()).then_some(())
    });
    assert_eq!(events(&stage.api, "missed"), expected);
}

pub fn they_are_told_of_once_and_by_the_leader(stage: &Stage) {
    let before = events(&stage.api, "missed");
    let enabled = json!({"quiescent.dev/inject": "enabled"});
    stage.api.namespace("later", &enabled);
    pod(stage, "later", "alone", None);
    // Whoever has looked at this one twice has looked at those again.
    eventually("the owner is told", SOON, || {
        (!events(&stage.api, "later").is_empty()).then_some(())
    });
    assert_eq!(events(&stage.api, "missed"), before);
    assert_eq!(events(&stage.api, "unasked"), []);
    for replica in stage.replicas.borrow().iter().filter(|it| !leads(it)) {
        assert!(!replica.log().contains("missed hooks"), "{}", replica.log());
    }
    stage
        .api
        .kubectl
        .run("delete pod -n later alone --force --grace-period=0");
    all_count(stage, "later", &[]);
}

/// A pod as `quiescent inject` makes it.
fn hooked(stage: &Stage, pod: &Value) -> Value {
    let policies = stage.policies.path().to_str().unwrap();
    let output = run(
        &["inject", "-f", "-", "--policies", policies],
        &pod.to_string(),
    );
    assert!(output.status.success(), "{output:?}");
    // The ConfigMap with the scripts comes behind it.
    let mut documents = serde_json::Deserializer::from_slice(&output.stdout).into_iter();
    documents.next().unwrap().unwrap()
}

pub fn annotations_are_put_right_in_place(stage: &Stage) {
    let enabled = json!({"quiescent.dev/inject": "enabled"});
    stage.opted_in("mended");
    // With their scripts they are as they should be.
    stage.there("mended", None);
    stage.api.namespace("fixed", &enabled);
    let [pg, out] = ["pg-0", "out-0"].map(|name| {
        let pod = hooked(stage, &postgres(name));
        stage.api.create("mended", &pod.to_string())
    });
    let bare = pod(stage, "mended", "bare-0", None);
    let pre = "pre.hook.backup.velero.io";
    let kubectl = &stage.api.kubectl;
    kubectl.run("label pod -n mended out-0 quiescent.dev/inject=disabled");
    for pod in ["out-0", "pg-0"] {
        kubectl.run(&format!("annotate pod -n mended {pod} note=mine"));
        kubectl.run(&format!("annotate pod -n mended {pod} {pre}/command-"));
    }
    let mended = eventually("the hook is back", SOON, || {
        let now = stored(stage, "mended", "pg-0")?;
        (now["metadata"]["annotations"][format!("{pre}/command")].is_string()).then_some(now)
    });
    let mut expected = pg["metadata"]["annotations"].clone();
    expected["note"] = json!("mine");
    assert_eq!(mended["metadata"]["annotations"], expected);
    assert_eq!(mended["metadata"]["uid"], pg["metadata"]["uid"]);
    assert_eq!(mended["spec"], pg["spec"]);
    kubectl.run(&format!(
        "annotate pod -n mended pg-0 --overwrite {pre}/timeout=1s"
    ));
    eventually("its time is as the policy says", SOON, || {
        let now = stored(stage, "mended", "pg-0")?;
        (now["metadata"]["annotations"] == expected).then_some(())
    });

    let out_now = stored(stage, "mended", "out-0").unwrap();
    let mut expected = out["metadata"]["annotations"].clone();
    expected["note"] = json!("mine");
    let gone = expected.as_object_mut().unwrap();
    gone.remove(&format!("{pre}/command"));
    assert_eq!(out_now["metadata"]["annotations"], expected);
    let bare_now = stored(stage, "mended", "bare-0").unwrap();
    assert_eq!(
        bare_now["metadata"]["annotations"],
        bare["metadata"]["annotations"]
    );
    all_count(
        stage,
        "mended",
        &[r#"policy="postgresql-dump",reason="missed"} 1"#],
    );
}

/// Replicas that heal take the place of those that do not.
fn healers(stage: &Stage) {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components/heal/rbac.yaml");
    let manifest = fs::read_to_string(manifest).unwrap();
    let kubectl = &stage.api.kubectl;
    kubectl.apply("apply --warnings-as-errors -f -", &manifest);
    stage.replicas.borrow_mut().clear();
    for _ in 0..2 {
        let replica = stage.replica_with(&stage.kubeconfig, &["--heal"]);
        replica.ready();
        stage.replicas.borrow_mut().push(replica);
    }
    stage.leader();
}

/// Waits until a replica says why a pod is not healed.
fn not_healed(stage: &Stage, words: &[&str]) {
    eventually(&format!("{words:?} in a log"), SOON, || {
        let replicas = stage.replicas.borrow();
        let said = replicas.iter().any(|replica| {
            let log = replica.log();
            let mut lines = log.lines();
            lines.any(|line| words.iter().all(|word| line.contains(word)))
        });
        said.then_some(())
    });
}

fn ready(stage: &Stage, set: &str, ready: u64) {
    let status_now =
        json!({"status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": ready}});
    status(stage, "healing", &format!("statefulset {set}"), &status_now);
}

fn allowed(stage: &Stage, disruptions: u64) {
    let budget = json!({"status": {
        "observedGeneration": 1, "disruptionsAllowed": disruptions, "disruptedPods": null,
        "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2,
    }});
    status(stage, "healing", "poddisruptionbudget pg", &budget);
}

pub fn pods_are_made_anew_one_by_one(stage: &Stage) {
    let enabled = json!({"quiescent.dev/inject": "enabled"});
    stage.api.namespace("healing", &enabled);
    let mut set = workload("StatefulSet", "pg");
    set["spec"]["replicas"] = json!(2);
    let set = owner(stage, "healing", &set);
    let missed = ["pg-0", "pg-1"].map(|name| pod(stage, "healing", name, Some(&set)));
    let alone = pod(stage, "healing", "alone", None);
    let daemons = owner(stage, "healing", &workload("DaemonSet", "agent"));
    pod(stage, "healing", "agent-x", Some(&daemons));
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "pg"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "pg"}}},
    });
    let kubectl = &stage.api.kubectl;
    kubectl.apply("create -n healing -f -", &budget.to_string());
    allowed(stage, 1);
    let uid = |pod: &Value| pod["metadata"]["uid"].clone();
    let same = |name: &str, pod: &Value| {
        stored(stage, "healing", name).is_some_and(|now| uid(&now) == uid(pod))
    };

    // All speaks for it, and nobody has asked for it.
    ready(stage, "pg", 2);
    all_count(
        stage,
        "healing",
        &[r#"policy="postgresql-dump",reason="missed"} 4"#],
    );
    eventually("owners are told", SOON, || {
        (!events(&stage.api, "healing").is_empty()).then_some(())
    });
    assert!(same("pg-0", &missed[0]) && same("pg-1", &missed[1]));

    healers(stage);
    not_healed(stage, &["healing", "pg-1", "would not get its hooks now"]);
    not_healed(
        stage,
        &["healing", "agent-x", "not all pods of its owner are ready"],
    );
    allowed(stage, 0);
    let policies = stage.policies.path().to_str().unwrap();
    let webhook = Webhook::start([
        "--listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
        "--kubeconfig",
        &stage.api.kubeconfig(),
        "--policies",
        policies,
    ]);
    stage.api.register(&webhook, "healing", "Ignore");
    not_healed(
        stage,
        &[
            "healing",
            "pg-1",
            "PodDisruptionBudget allows no disruption",
        ],
    );
    assert!(same("pg-0", &missed[0]) && same("pg-1", &missed[1]));

    allowed(stage, 1);
    let gone = |name: &str| {
        eventually(&format!("{name} is evicted"), SOON, || {
            stored(stage, "healing", name).is_none().then_some(())
        });
    };
    gone("pg-1");
    // The budget would allow the next, and the first has not come back.
    ready(stage, "pg", 1);
    allowed(stage, 1);
    not_healed(stage, &["nothing else is healed before"]);
    assert!(same("pg-0", &missed[0]));
    pod(stage, "healing", "pg-1", Some(&set));
    ready(stage, "pg", 2);
    allowed(stage, 1);
    gone("pg-0");
    not_again(stage, &webhook, &set);

    assert!(same("alone", &alone));
    assert!(stored(stage, "missed", "pg-0").is_some());
    let hooks = stored(stage, "healing", "pg-1").unwrap();
    assert!(hooks["metadata"]["annotations"]["quiescent.dev/policies"].is_string());
}

/// One that came back without hooks stays, also for a leader that is new; others are healed.
fn not_again(stage: &Stage, webhook: &Webhook, set: &Value) {
    let kubectl = &stage.api.kubectl;
    kubectl.run("delete mutatingwebhookconfiguration healing");
    eventually("pods come without hooks", SOON, || {
        let tried = stage.api.dry_run("healing", &postgres("pg-0").to_string());
        let tried = tried.unwrap();
        tried["metadata"]["annotations"].is_null().then_some(())
    });
    let again = pod(stage, "healing", "pg-0", Some(set));
    let mut other = workload("StatefulSet", "other");
    other["spec"]["replicas"] = json!(2);
    let other = owner(stage, "healing", &other);
    pod(stage, "healing", "other-0", Some(&other));
    ready(stage, "pg", 2);
    ready(stage, "other", 2);
    allowed(stage, 1);
    let leader = stage.leader();
    stage.replicas.borrow_mut().remove(leader);
    stage.api.register(webhook, "healing", "Ignore");
    eventually("the other is evicted", SOON, || {
        stored(stage, "healing", "other-0").is_none().then_some(())
    });
    let now = stored(stage, "healing", "pg-0").expect("it is not healed again");
    assert_eq!(now["metadata"]["uid"], again["metadata"]["uid"]);
    let notes = "get configmap -n quiescent quiescent-healed";
    let notes = kubectl.json(notes, "");
    assert_eq!(notes["data"].as_object().unwrap().len(), 2, "{notes:#}");
}
