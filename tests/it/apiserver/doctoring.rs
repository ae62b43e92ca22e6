//! `quiescent doctor` of an installation as `deploy` makes it, with two replicas behind the Service and
//! Velero's objects beside them: nothing is wrong; then each fault is made, found and mended.
//!
//! Nobody runs the Deployments here: what their pods would say of themselves is written by hand.
use std::{cell::RefCell, fs, net::IpAddr, process::Command, time::Duration};

use serde_json::{Value, json};

use super::{
    ApiServer,
    certificates::{beyond_loopback, in_tree, port},
    kit::{Webhook, eventually, run},
    there_is_an_api_server, try_all,
};
use crate::{
    deploy,
    support::{self, quiescent},
};

/// How long a watch of the API server or of a replica may take on a machine that is busy.
const SOON: Duration = Duration::from_mins(2);

/// Velero's kinds as its CustomResourceDefinitions name them.
const KINDS: [(&str, &str, &str); 3] = [
    ("Schedule", "schedule", "schedules"),
    ("Backup", "backup", "backups"),
    (
        "BackupStorageLocation",
        "backupstoragelocation",
        "backupstoragelocations",
    ),
];

const VELERO: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: velero}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: velero, namespace: velero}
spec:
  selector: {matchLabels: {deploy: velero}}
  template:
    metadata: {labels: {deploy: velero}}
    spec:
      containers:
        - {name: velero, image: "velero/velero:v1.18.3", command: [/velero], args: [server]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-agent, namespace: velero}
spec:
  selector: {matchLabels: {name: node-agent}}
  template:
    metadata: {labels: {name: node-agent}}
    spec: {containers: [{name: node-agent, image: "velero/velero:v1.18.3"}]}
"#;

const OBJECTS: &str = r#"
apiVersion: velero.io/v1
kind: BackupStorageLocation
metadata: {name: default, namespace: velero}
status: {phase: Available}
---
apiVersion: velero.io/v1
kind: Schedule
metadata: {name: nightly, namespace: velero}
spec: {schedule: "0 1 * * *", template: {includedNamespaces: ["*"]}}
status: {phase: Enabled}
---
apiVersion: velero.io/v1
kind: Backup
metadata: {name: nightly-1, namespace: velero, labels: {velero.io/schedule-name: nightly}}
status: {phase: Completed, startTimestamp: "2026-01-01T01:00:00Z", hookStatus: {hooksAttempted: 2}}
"#;

struct Stage {
    api: ApiServer,
    host: IpAddr,
    pki: tempfile::TempDir,
    /// The objects of deploy/.
    shipped: Vec<Value>,
    replicas: RefCell<Vec<Webhook>>,
}

type Scenario = fn(&Stage);

#[test]
fn a_doctor_finds_what_is_wrong() {
    let host = beyond_loopback();
    if !there_is_an_api_server() || !support::require(host.is_some(), "an address beyond loopback")
    {
        return;
    }
    let stage = Stage::new(host.unwrap());
    // The last ones leave calls behind that failed.
    let scenarios: [(&str, Scenario); 11] = [
        ("as it is shipped all is well", all_is_well),
        (
            "entries that leave kube-system in",
            system_namespaces_are_left_out,
        ),
        ("a right that was taken away", rights_are_missing),
        ("labels that mean nothing", labels_are_misspelt),
        (
            "Velero's flags, policies, storage and backups",
            velero_is_not_as_it_should_be,
        ),
        ("no Velero at all", there_is_no_velero),
        ("a leader that is gone", nobody_leads),
        ("scripts that are missing", scripts_are_missing),
        ("who may see nothing is told so", nobody_sees_nothing),
        (
            "a certificate for another name, and a caBundle of another authority",
            certificates_do_not_fit,
        ),
        ("replicas that are gone", replicas_are_gone),
    ];
    try_all(&scenarios, |scenario| scenario(&stage));
}

impl Stage {
    fn new(host: IpAddr) -> Self {
        let api = ApiServer::start(&["--enable-aggregator-routing=true".to_owned()]);
        let pki = tempfile::tempdir().unwrap();
        let stage = Self {
            api,
            host,
            pki,
            shipped: deploy::with_components(&["components/guard"]),
            replicas: RefCell::default(),
        };
        stage.certificate("quiescent.quiescent.svc");
        stage.api.apply(&stage.shipped);
        for number in [0, 1] {
            stage.replica(number);
        }
        stage.register();
        stage.velero();
        for (name, kind) in [
            ("quiescent", "deployment"),
            ("quiescent-controller", "deployment"),
        ] {
            stage.status(
                "quiescent",
                kind,
                name,
                &json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 2}),
            );
        }
        stage.lease(&now());
        stage
            .api
            .namespace("shop", &json!({"quiescent.dev/inject": "enabled"}));
        stage
    }

    fn certificate(&self, name: &str) {
        run(Command::new(in_tree("certs/make"))
            .arg(self.pki.path())
            .arg(name))
        .unwrap();
    }

    /// Behind the Service; one of them has a pod, which the API server can be a proxy to.
    fn replica(&self, number: usize) {
        let kubectl = &self.api.kubectl;
        let (listen, kubeconfig) = (
            format!("{}:0", self.host),
            self.api.kubeconfig_of_the_webhook(),
        );
        let webhook = Webhook::start([
            "--admin",
            &listen,
            "--reload=100ms",
            "--listen",
            &listen,
            "--cert-dir",
            self.pki.path().to_str().unwrap(),
            "--kubeconfig",
            &kubeconfig,
        ]);
        let name = format!("quiescent-{number}");
        let mut endpoint = json!({"addresses": [self.host.to_string()], "conditions": {"ready": true, "serving": true}});
        if number == 0 {
            let mut pod =
                kubectl.json("get deployment -n quiescent quiescent", "")["spec"]["template"]
                    .clone();
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            pod["metadata"]["name"] = name.as_str().into();
            let ports = pod["spec"]["containers"][0]["ports"]
                .as_array_mut()
                .unwrap();
            let admin = ports.iter_mut().find(|it| it["name"] == "admin").unwrap();
            admin["containerPort"] = webhook.admin_port().into();
            kubectl.apply("create -n quiescent -f -", &pod.to_string());
            let host = self.host.to_string();
            self.status(
                "quiescent",
                "pod",
                &name,
                &json!({"phase": "Running", "podIP": host, "podIPs": [{"ip": host}]}),
            );
            endpoint["targetRef"] = json!({"kind": "Pod", "name": name, "namespace": "quiescent"});
        }
        let family = if self.host.is_ipv4() { "IPv4" } else { "IPv6" };
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"name": name, "namespace": "quiescent", "labels": {"kubernetes.io/service-name": "quiescent"}},
            "ports": [{"name": "webhook", "protocol": "TCP", "port": port(&webhook)}],
            "endpoints": [endpoint],
        });
        kubectl.apply("create -f -", &slice.to_string());
        self.replicas.borrow_mut().push(webhook);
    }

    /// The entries as they are shipped, whatever became of them.
    fn register(&self) {
        let ca = super::base64(&fs::read_to_string(self.pki.path().join("ca.crt")).unwrap());
        let webhooks = self.shipped.iter().filter(|it| it["webhooks"].is_array());
        let mut webhooks: Vec<Value> = webhooks.cloned().collect();
        for entry in webhooks
            .iter_mut()
            .flat_map(|it| it["webhooks"].as_array_mut().unwrap())
        {
            entry["clientConfig"]["caBundle"] = ca.as_str().into();
        }
        self.api.apply(&webhooks);
    }

    fn velero(&self) {
        let kubectl = &self.api.kubectl;
        for (kind, singular, plural) in KINDS {
            let definition = json!({
                "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": format!("{plural}.velero.io")},
                "spec": {
                    "group": "velero.io", "scope": "Namespaced",
                    "names": {"kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": singular},
                    "versions": [{
                        "name": "v1", "served": true, "storage": true,
                        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
                    }],
                },
            });
            kubectl.apply("create -f -", &definition.to_string());
        }
        self.velero_runs();
        self.status("velero", "daemonset", "node-agent", &json!({
            "currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1,
        }));
        eventually("the API server knows Velero's kinds", SOON, || {
            kubectl.attempt("apply -f -", OBJECTS).ok()
        });
    }

    fn velero_runs(&self) {
        self.api.kubectl.apply("apply -f -", VELERO);
        self.status(
            "velero",
            "deployment",
            "velero",
            &json!({"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}),
        );
    }

    fn status(&self, namespace: &str, kind: &str, name: &str, status: &Value) {
        let patch = json!({"status": status}).to_string();
        let arguments = [
            "patch",
            kind,
            name,
            "-n",
            namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            &patch,
        ];
        self.api.kubectl.attempt_args(arguments, "").unwrap();
    }

    fn patch(&self, what: &str, patch: &Value) {
        let patch = patch.to_string();
        let mut arguments: Vec<&str> = vec!["patch"];
        arguments.extend(what.split_whitespace());
        let how = if patch.starts_with('[') {
            "--type=json"
        } else {
            "--type=merge"
        };
        arguments.extend([how, "-p", &patch]);
        self.api.kubectl.attempt_args(arguments, "").unwrap();
    }

    fn lease(&self, renewed: &str) {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "quiescent-controller", "namespace": "quiescent"},
            "spec": {"holderIdentity": "quiescent-controller-a", "leaseDurationSeconds": 3600, "renewTime": renewed},
        });
        self.api.kubectl.apply("apply -f -", &lease.to_string());
    }

    fn doctor(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        doctor(&self.api.kubeconfig(), arguments)
    }

    /// Waits until exactly these are found, and says what is said of the first.
    #[track_caller]
    fn only(&self, findings: &[&str], code: i32) -> String {
        self.until(&[], code, |found| found == findings)
    }

    /// Waits until this is found, whatever else is.
    #[track_caller]
    fn among(&self, arguments: &[&str], finding: &str) -> String {
        let until = |found: &[&str]| found.contains(&finding);
        let (told, code) = self.seen(arguments, until);
        assert_eq!(code, Some(1), "{told:#}");
        message(&told, finding)
    }

    #[track_caller]
    fn until(&self, arguments: &[&str], code: i32, until: impl Fn(&[&str]) -> bool) -> String {
        let (told, ended) = self.seen(arguments, until);
        assert_eq!(ended, Some(code), "{told:#}");
        findings(&told)
            .first()
            .map_or_else(String::new, |first| message(&told, first))
    }

    #[track_caller]
    fn seen(&self, arguments: &[&str], until: impl Fn(&[&str]) -> bool) -> (Value, Option<i32>) {
        let mut last = Value::Null;
        let deadline = std::time::Instant::now() + SOON;
        loop {
            let (code, told) = self.doctor(arguments);
            if until(&findings(&told)) {
                return (told, code);
            }
            assert!(std::time::Instant::now() < deadline, "{last:#}");
            last = told;
        }
    }
}

fn doctor(kubeconfig: &str, arguments: &[&str]) -> (Option<i32>, Value) {
    let given = [
        &["doctor", "--kubeconfig", kubeconfig, "-o", "json"],
        arguments,
    ]
    .concat();
    let output = quiescent(&given).output().unwrap();
    let told = serde_json::from_slice(&output.stdout);
    let told =
        told.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), told)
}

fn findings(told: &Value) -> Vec<&str> {
    let checks = told["checks"].as_array().unwrap().iter();
    checks.filter_map(|it| it["finding"].as_str()).collect()
}

fn message(told: &Value, finding: &str) -> String {
    let checks = told["checks"].as_array().unwrap();
    let found = checks.iter().find(|it| it["finding"] == finding).unwrap();
    assert!(found["do"].is_string(), "{found:#}");
    found["message"].as_str().unwrap().to_owned()
}

/// What is said of a check where nothing is wrong.
fn fine(told: &Value, check: &str) -> String {
    let checks = told["checks"].as_array().unwrap();
    let found = checks.iter().find(|it| it["check"] == check);
    let found = found.unwrap_or_else(|| panic!("{check} is not in {told:#}"));
    assert_eq!(found["verdict"], "fine", "{found:#}");
    found["message"].as_str().unwrap().to_owned()
}

fn now() -> String {
    let now = run(Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%S.000000Z"])).unwrap();
    now.trim().to_owned()
}

fn all_is_well(stage: &Stage) {
    stage.only(&[], 0);
    let (code, told) = stage.doctor(&[]);
    assert_eq!(code, Some(0));
    assert_eq!(told["summary"]["unknown"], 0, "{told:#}");
    for (check, part) in [
        (
            "entries",
            "3 entries, for namespaces that say quiescent.dev/inject=enabled",
        ),
        ("certificate", "trusts what 2 replicas show, which ends in"),
        ("replicas", "2 are ready, quiescent:"),
        ("proof", "a pod in shop gets its hooks"),
        ("calls", "0 of "),
        ("rights", "that webhook and controller need"),
        ("namespaces", "1 of "),
        ("controller", "quiescent-controller-a leads"),
        ("velero", "1.18.3"),
        ("node_agent", "ready on 1 node"),
        ("storage", "default available"),
        ("schedules", "1 Schedule, the last backup completed"),
    ] {
        let says = fine(&told, check);
        assert!(says.contains(part), "{check}: {says}");
    }
    // What the certificate of the one with a pod was asked for.
    let port = stage.replicas.borrow()[0].admin_port();
    let page = format!("/api/v1/namespaces/quiescent/pods/http:quiescent-0:{port}/proxy/chain.pem");
    let page = stage.api.kubectl.run(&format!("get --raw {page}"));
    assert!(page.contains("BEGIN CERTIFICATE"), "{page}");
    // A dry run stores nothing.
    let pods = stage.api.kubectl.json("get pods -n shop", "");
    assert_eq!(pods["items"], json!([]));
    // A namespace that says nothing, since the pod does.
    stage.api.namespace("plain", &json!({}));
    let (_, told) = stage.doctor(&["--namespace", "plain"]);
    assert!(fine(&told, "proof").contains("a pod in plain"));

    let kubeconfig = stage.api.kubeconfig();
    let text = quiescent(&["doctor", "--kubeconfig", &kubeconfig])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.lines().all(|line| line.starts_with("✔ ")), "{text}");
    println!("{text}");
}

fn system_namespaces_are_left_out(stage: &Stage) {
    let values = "/webhooks/0/namespaceSelector/matchExpressions/2/values";
    let without = json!([{"op": "replace", "path": values, "value": ["velero", "quiescent"]}]);
    stage.patch("mutatingwebhookconfiguration quiescent", &without);
    let says = stage.only(&["covers_too_much"], 0);
    assert!(
        says.contains("does not leave out the namespace kube-system"),
        "{says}"
    );

    let values = values.replace("/0/", "/2/");
    let without = json!([{"op": "replace", "path": values, "value": ["velero"]}]);
    stage.register();
    stage.patch("mutatingwebhookconfiguration quiescent", &without);
    let says = stage.only(&["waits_for_itself"], 1);
    assert!(says.starts_with("enforce.quiescent.dev (Fail)"), "{says}");
    stage.register();
    stage.only(&[], 0);
}

fn rights_are_missing(stage: &Stage) {
    stage
        .api
        .kubectl
        .run("delete clusterrolebinding quiescent-controller");
    let (told, code) = stage.seen(&[], |found| found.contains(&"right_missing"));
    assert_eq!(code, Some(1));
    assert!(message(&told, "right_missing").contains("quiescent/quiescent-controller may not"));
    let bindings = stage
        .shipped
        .iter()
        .filter(|it| it["kind"] == "ClusterRoleBinding");
    stage.api.apply(&bindings.cloned().collect::<Vec<_>>());
    stage.only(&[], 0);
}

fn labels_are_misspelt(stage: &Stage) {
    stage
        .api
        .namespace("typo", &json!({"quiescent.dev/inject": "true"}));
    let says = stage.only(&["label_unknown"], 0);
    assert!(
        says.contains("typo says quiescent.dev/inject=true"),
        "{says}"
    );
    stage
        .api
        .kubectl
        .run("label namespace typo quiescent.dev/inject-");
    stage.only(&[], 0);
}

fn velero_is_not_as_it_should_be(stage: &Stage) {
    let kubectl = &stage.api.kubectl;
    let args = "/spec/template/spec/containers/0/args/-";
    let flag = json!([{"op": "add", "path": args, "value": "--default-volumes-to-fs-backup"}]);
    stage.patch("deployment velero -n velero", &flag);
    let says = stage.only(&["copies_by_default"], 1);
    assert!(says.contains("copied live in nightly"), "{says}");
    stage.velero_runs();

    let policy = "version: v1\nvolumePolicies:\n- conditions: {volumeTypes: [emptyDir]}\n  action: {type: skip}\n";
    let config_map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "skip", "namespace": "velero"},
        "data": {"policy.yaml": policy},
    });
    kubectl.apply("create -f -", &config_map.to_string());
    let named =
        json!({"spec": {"template": {"resourcePolicy": {"kind": "configmap", "name": "skip"}}}});
    stage.patch("schedules.velero.io nightly -n velero", &named);
    let says = stage.only(&["dump_dropped"], 1);
    assert!(
        says.contains("velero/skip (skip of emptyDir) drops quiescent-dump in nightly"),
        "{says}"
    );
    kubectl.run("delete configmap skip -n velero");
    stage.only(&["volume_policy_unreadable"], 1);
    stage.patch(
        "schedules.velero.io nightly -n velero",
        &json!({"spec": {"template": {"resourcePolicy": null}}}),
    );

    stage.patch(
        "backupstoragelocations.velero.io default -n velero",
        &json!({"status": {"phase": "Unavailable"}}),
    );
    stage.only(&["storage_unavailable"], 1);
    stage.patch(
        "backupstoragelocations.velero.io default -n velero",
        &json!({"status": {"phase": "Available"}}),
    );

    stage.status(
        "velero",
        "daemonset",
        "node-agent",
        &json!({"numberReady": 0}),
    );
    stage.only(&["node_agent_unready"], 1);
    stage.status(
        "velero",
        "daemonset",
        "node-agent",
        &json!({"numberReady": 1}),
    );

    let failed = json!({"status": {"phase": "PartiallyFailed", "hookStatus": {"hooksFailed": 1}}});
    stage.patch("backups.velero.io nightly-1 -n velero", &failed);
    let says = stage.only(&["hooks_failed"], 1);
    assert_eq!(
        says,
        "1 of 2 hooks failed in nightly-1, the last backup of nightly"
    );
    let completed = json!({"status": {"phase": "Completed", "hookStatus": {"hooksFailed": null}}});
    stage.patch("backups.velero.io nightly-1 -n velero", &completed);

    stage.patch(
        "schedules.velero.io nightly -n velero",
        &json!({"spec": {"paused": true}}),
    );
    stage.only(&["schedule_paused"], 0);
    stage.patch(
        "schedules.velero.io nightly -n velero",
        &json!({"spec": {"paused": null}}),
    );
    stage.only(&[], 0);
}

fn there_is_no_velero(stage: &Stage) {
    let elsewhere = ["--velero-namespace", "nowhere"];
    let says = stage.until(&elsewhere, 1, |found| found.contains(&"no_velero"));
    assert!(!says.is_empty());
}

fn nobody_leads(stage: &Stage) {
    stage.lease("2026-01-01T00:00:00.000000Z");
    let says = stage.only(&["leaderless"], 1);
    assert!(
        says.contains("quiescent-controller-a has not renewed"),
        "{says}"
    );
    stage
        .api
        .kubectl
        .run("delete lease -n quiescent quiescent-controller");
    stage.only(&["leaderless"], 1);
    stage.lease(&now());
    stage.only(&[], 0);
}

fn scripts_are_missing(stage: &Stage) {
    stage.api.create("shop", &super::pod_named("pg"));
    let says = stage.only(&["scripts_missing"], 1);
    assert!(
        says.contains("no ConfigMap shop/quiescent-postgresql-dump-"),
        "{says}"
    );
    // Its own words mend it.
    let scripts = quiescent(&["scripts", "-n", "shop"]).output().unwrap();
    let scripts = String::from_utf8(scripts.stdout).unwrap();
    stage.api.kubectl.apply("apply -f -", &scripts);
    stage.only(&[], 0);
}

fn nobody_sees_nothing(stage: &Stage) {
    stage
        .api
        .kubectl
        .run("create serviceaccount nobody -n shop");
    let (code, told) = doctor(
        &stage.api.kubeconfig_of("shop", "nobody"),
        &["--namespace", "shop"],
    );
    assert_eq!(code, Some(0), "{told:#}");
    assert_eq!(findings(&told), Vec::<&str>::new());
    assert_eq!(told["summary"]["fine"], 0, "{told:#}");
    let proof = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["check"] == "proof");
    assert_eq!(
        proof.unwrap()["message"],
        "we may not create pods, not even as a dry run"
    );

    let nowhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(nowhere.path(), "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: u, user: {token: t}}]}").unwrap();
    let output = quiescent(&["doctor", "--kubeconfig", nowhere.path().to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("the cluster cannot be asked"), "{told}");
}

fn certificates_do_not_fit(stage: &Stage) {
    stage.certificate("elsewhere.example");
    let says = stage.among(&[], "wrong_name");
    assert!(
        says.contains("is for elsewhere.example, not for quiescent.quiescent.svc"),
        "{says}"
    );
    stage.certificate("quiescent.quiescent.svc");
    stage.seen(&[], |found| !found.contains(&"wrong_name"));

    let another = tempfile::tempdir().unwrap();
    let ca = run(Command::new(in_tree("certs/make")).arg(another.path())).unwrap();
    let bundle =
        json!([{"op": "replace", "path": "/webhooks/0/clientConfig/caBundle", "value": ca.trim()}]);
    stage.patch("mutatingwebhookconfiguration quiescent", &bundle);
    let says = stage.among(&[], "not_trusted");
    assert!(
        says.contains("namespaces.quiescent.dev: the caBundle does not trust the certificate of"),
        "{says}"
    );

    // The API server keeps connections that it trusted, and calls a replica anew when it has none.
    let bundle = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]);
    stage.patch("mutatingwebhookconfiguration quiescent", &bundle);
    stage.among(&[], "bundle_absent");
    stage.register();
    stage.seen(&[], |found| {
        !found.contains(&"bundle_absent") && !found.contains(&"no_hooks")
    });
}

fn replicas_are_gone(stage: &Stage) {
    let kubectl = &stage.api.kubectl;
    let all = json!({"quiescent.dev/inject": "enabled", "quiescent.dev/enforce": "true"});
    stage.api.namespace("strict", &all);
    stage.replicas.borrow_mut().clear();
    let says = stage.among(&["--namespace", "shop"], "no_hooks");
    assert!(
        says.contains("the call failed, and the entry says Ignore"),
        "{says}"
    );
    let (told, _) = stage.seen(&["--namespace", "strict"], |found| {
        found.contains(&"call_failed")
    });
    let says = message(&told, "failed_open");
    assert!(
        says.contains("of namespaces.quiescent.dev failed open"),
        "{says}"
    );
    let says = message(&told, "call_failed");
    assert!(
        says.contains("failed calling webhook \"enforce.quiescent.dev\""),
        "{says}"
    );
    stage.among(&["--namespace", "strict"], "calls_refused");

    // What calls come to was seen.
    let untried = ["--namespace", "nowhere"];
    kubectl.run("delete endpointslices -n quiescent --all");
    let says = stage.among(&untried, "nobody_answers");
    assert_eq!(says, "the Service has no endpoint");
    kubectl.run("delete service -n quiescent quiescent");
    stage.among(&untried, "service_absent");
    kubectl.run("delete mutatingwebhookconfiguration quiescent");
    stage.among(&untried, "not_registered");
}
