//! A real kube-apiserver calls the webhook for pods of many shapes; what it then has stored is read
//! back and checked. Scenarios share one API server, each with a namespace of its own.
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    stress::fixture::{self, Pair},
    support,
};

mod alertmanager;
mod auditing;
mod backups;
mod callers;
mod certificates;
mod changing;
mod controller;
mod doctoring;
mod entries;
mod failing;
mod guarding;
mod installing;
pub mod kit;
mod lost;
mod missed;
mod policies;
mod rendered;
mod scale;
mod shapes;
mod snapshots;
mod snapshotting;
mod stored;
mod velero_rendered;

use kit::{Kubectl, Webhook, eventually, kit, run};

/// Gets the API server and a webhook with the library's policies.
type Scenario = fn(&ApiServer, &Webhook);

#[test]
fn a_real_api_server_gets_pods_with_hooks() {
    if !there_is_an_api_server() {
        return;
    }
    let api = ApiServer::start(&[]);
    let library = Webhook::start([
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--kubeconfig",
        &api.kubeconfig(),
    ]);
    let scenarios: [(&str, Scenario); 19] = [
        (
            "the chart is installed and taken away, and nothing is left",
            installing::a_chart_leaves_nothing,
        ),
        (
            "all that deploy/ renders is accepted, and its pods are restricted",
            installing::all_that_is_rendered_is_accepted,
        ),
        (
            "databases get hooks, and nothing else changes",
            shapes::databases_get_hooks,
        ),
        (
            "other pods stay as they are, each for its reason",
            shapes::others_stay_as_they_are,
        ),
        (
            "a pod that is restricted stays one",
            shapes::a_restricted_pod_stays_one,
        ),
        (
            "an author's hooks are kept",
            shapes::an_authors_hooks_are_kept,
        ),
        (
            "a volume of the author stays in backup-volumes",
            shapes::backup_volumes_are_merged,
        ),
        (
            "a pod that Velero restores is not changed again",
            shapes::a_restored_pod_is_unchanged,
        ),
        (
            "a dry run shows the hooks and stores nothing",
            shapes::a_dry_run_stores_nothing,
        ),
        (
            "templates stay as they are, their pods do not",
            shapes::templates_stay_as_they_are,
        ),
        (
            "two webhooks and a proxy injector agree",
            changing::two_webhooks_agree,
        ),
        (
            "labels of a namespace count from one pod to the next",
            changing::namespace_labels_are_watched,
        ),
        (
            "a bad policy file leaves the last good ones in force",
            changing::bad_policies_leave_the_last_good_ones,
        ),
        (
            "with a client CA, the API server shows its certificate or is turned away",
            callers::the_client_ca_decides,
        ),
        (
            "an audit finds what has no hook, no scripts and no Schedule, and says what it may not see",
            auditing::an_audit_tells_what_is_protected,
        ),
        (
            "hooks that no policy gives are named or refused where a namespace is guarded",
            guarding::strange_hooks_are_named_or_refused,
        ),
        (
            "the entries show the webhook those pods alone that it may change",
            entries::only_pods_of_interest_are_shown,
        ),
        (
            "without its server Ignore lets pods pass",
            failing::ignore_lets_pods_pass,
        ),
        (
            "without its server Fail refuses pods",
            failing::fail_refuses_pods,
        ),
    ];
    try_all(&scenarios, |scenario| scenario(&api, &library));
}

fn there_is_an_api_server() -> bool {
    let built = kit::built("envtest/build", &["kube-apiserver", "etcd", "kubectl"]);
    support::require(
        built,
        "a kube-apiserver (tests/kit/envtest/build makes it, once, in 3 minutes)",
    )
}

/// One broken claim must not hide the next: all are tried, then the test fails.
fn try_all<S>(scenarios: &[(&str, S)], mut run: impl FnMut(&S)) {
    let mut failed = Vec::new();
    for (claim, scenario) in scenarios {
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| run(scenario)));
        let took = began.elapsed();
        println!(
            "{} {claim} ({took:.1?})",
            if outcome.is_ok() { "ok    " } else { "FAILED" }
        );
        if outcome.is_err() {
            failed.push(claim);
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// etcd and kube-apiserver, until it is dropped.
pub struct ApiServer {
    kubectl: Kubectl,
    // Removed after the processes have gone: fields are dropped after Drop::drop.
    directory: tempfile::TempDir,
    /// What it shows to webhooks that ask for a certificate.
    identity: Pair,
    /// Files that kube-apiserver reads, and the log of what our accounts asked for.
    configuration: tempfile::TempDir,
}

impl ApiServer {
    /// With more flags for kube-apiserver.
    fn start(flags: &[String]) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let configuration = tempfile::tempdir().expect("a temporary directory");
        let of_ours = json!({
            "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
            "rules": [
                {"level": "Metadata", "userGroups": ["system:serviceaccounts:quiescent"]},
                {"level": "None"},
            ],
        });
        let audited = configuration.path().join("audit.yaml");
        fs::write(&audited, of_ours.to_string()).expect("a policy");
        let identity = fixture::with_intermediate();
        let mut start = Command::new(kit("envtest/start"));
        start
            .arg(directory.path())
            .arg("--admission-control-config-file")
            .arg(callers::admission(configuration.path(), &identity))
            .arg("--audit-policy-file")
            .arg(audited)
            .arg("--audit-log-path")
            .arg(configuration.path().join("audit.log"))
            .args(flags);
        let kubeconfig = run(&mut start).expect("the API server starts");
        Self {
            kubectl: Kubectl::new(PathBuf::from(kubeconfig.trim())),
            directory,
            identity,
            configuration,
        }
    }

    fn kubeconfig(&self) -> String {
        self.kubectl.kubeconfig.display().to_string()
    }

    /// Applies objects of deploy/.
    #[track_caller]
    fn apply(&self, objects: &[Value]) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.kubectl
            .apply("apply --warnings-as-errors -f -", &list.to_string());
    }

    /// Which verbs a ServiceAccount of ours asked for, on which resources.
    fn asked_by(&self, account: &str) -> BTreeSet<(String, String)> {
        let log = fs::read_to_string(self.configuration.path().join("audit.log")).unwrap();
        let events = log
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let user = format!("system:serviceaccount:quiescent:{account}");
        events
            .filter(|event| event["user"]["username"] == user.as_str())
            .map(|event| {
                let object = &event["objectRef"];
                let resource = match &*text(&object["subresource"]) {
                    "" => text(&object["resource"]),
                    part => format!("{}/{part}", text(&object["resource"])),
                };
                (resource, text(&event["verb"]))
            })
            .collect()
    }

    /// Which verbs some roles allow, on which resources.
    fn allowed_by(&self, roles: &[&str]) -> BTreeSet<(String, String)> {
        let mut allowed = BTreeSet::new();
        for role in roles {
            let role = self.kubectl.json(&format!("get {role}"), "");
            for rule in role["rules"].as_array().unwrap() {
                for resource in rule["resources"].as_array().unwrap() {
                    let verbs = rule["verbs"].as_array().unwrap().iter();
                    allowed.extend(verbs.map(|verb| (text(resource), text(verb))));
                }
            }
        }
        allowed
    }

    /// The kubeconfig of the webhook's ServiceAccount, which must be there.
    fn kubeconfig_of_the_webhook(&self) -> String {
        self.kubeconfig_of("quiescent", "quiescent")
    }

    /// The kubeconfig of a ServiceAccount, which must be there.
    fn kubeconfig_of(&self, namespace: &str, account: &str) -> String {
        let token = self
            .kubectl
            .run(&format!("create token -n {namespace} {account}"));
        let admin = fs::read_to_string(&self.kubectl.kubeconfig).expect("the kubeconfig");
        let (head, _) = admin
            .split_once("token: ")
            .expect("the kit's kubeconfig has a token");
        // Beside the other: both name the CA's file relative to themselves.
        let name = format!("{namespace}-{account}.kubeconfig");
        let path = self.kubectl.kubeconfig.with_file_name(name);
        fs::write(&path, format!("{head}token: {}}}}}]\n", token.trim())).expect("a kubeconfig");
        path.display().to_string()
    }

    /// A namespace that pods can be created in.
    fn namespace(&self, name: &str, labels: &Value) {
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}},
        ]});
        self.kubectl.apply("apply -f -", &objects.to_string());
    }

    /// Has the API server call `webhook` for the pods of one namespace, from now on.
    fn register(&self, webhook: &Webhook, namespace: &str, failure_policy: &str) {
        self.register_as(namespace, webhook, namespace, failure_policy);
    }

    fn register_as(&self, name: &str, webhook: &Webhook, namespace: &str, failure_policy: &str) {
        self.configure(name, webhook, namespace, failure_policy);
        // The API server learns of it by a watch. Its first call has come when the log names the pod.
        let probe = format!("probe-{name}");
        let pod = pod_named(&probe);
        eventually(
            "the API server calls the webhook",
            Duration::from_secs(30),
            || {
                self.dry_run(namespace, &pod).ok()?;
                webhook.log().contains(namespace).then_some(())
            },
        );
    }

    fn configure(&self, name: &str, webhook: &Webhook, namespace: &str, failure_policy: &str) {
        let ca = base64(&webhook.ca());
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": name},
            "webhooks": [{
                "name": "pods.quiescent.dev",
                "clientConfig": {"url": webhook.url, "caBundle": ca},
                "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "failurePolicy": failure_policy,
                "reinvocationPolicy": "IfNeeded",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 5,
            }],
        });
        self.kubectl
            .apply("create -f -", &configuration.to_string());
    }

    /// What would be stored.
    fn dry_run(&self, namespace: &str, pod: &str) -> Result<Value, String> {
        let arguments =
            format!("create --dry-run=server --validate=false -n {namespace} -o json -f -");
        let output = self.kubectl.attempt(&arguments, pod)?;
        Ok(serde_json::from_str(&output).expect("kubectl prints JSON"))
    }

    /// Creates a pod and reads back what was stored.
    #[track_caller]
    fn create(&self, namespace: &str, pod: &str) -> Value {
        let created = self
            .kubectl
            .json(&format!("create --validate=false -n {namespace} -f -"), pod);
        let name = created["metadata"]["name"]
            .as_str()
            .expect("a stored pod has a name");
        self.kubectl
            .json(&format!("get pod -n {namespace} {name}"), "")
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        let _ = Command::new(kit("envtest/stop"))
            .arg(self.directory.path())
            .stdout(Stdio::null())
            .status();
    }
}

/// The smallest pod that the library's `postgresql-dump` selects.
fn pod_named(name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "postgres", "image": "postgres:16"}]},
    })
    .to_string()
}

/// The manifests of a folder beside this file, by name.
fn manifests(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/apiserver/pods")
        .join(folder);
    let mut found: Vec<_> = fs::read_dir(&folder)
        .expect("the folder of manifests")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(&path).expect("a manifest"))
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{}", folder.display());
    found
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn base64(text: &str) -> String {
    use ::base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(text)
}
