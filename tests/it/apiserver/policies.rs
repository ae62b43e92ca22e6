//! Policies as objects of a real API server: what it refuses, and how the webhook follows them with the
//! rights that deploy/ gives it and no more.
use std::{cell::RefCell, fs, path::Path, time::Duration};

use quiescent::{library, policy::resource::manifests};
use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{Webhook, eventually},
    pod_named,
    stored::{annotation, has_hooks},
    there_is_an_api_server, try_all,
};
use crate::{deploy, support::quiescent};

/// How long a watch may take on a machine that is busy.
const SOON: Duration = Duration::from_mins(2);

struct Stage {
    api: ApiServer,
    policies: tempfile::TempDir,
    webhook: RefCell<Option<Webhook>>,
}

type Scenario = fn(&Stage);

#[test]
fn policies_of_the_cluster_are_followed() {
    if !there_is_an_api_server() {
        return;
    }
    let stage = Stage::new();
    let scenarios: [(&str, Scenario); 7] = [
        (
            "without the resources the webhook is ready, and says that there are none",
            absent_resources_are_none,
        ),
        (
            "every policy of the library is accepted as an object",
            the_library_is_accepted,
        ),
        (
            "what the schema can say is refused at once, with a sentence",
            the_schema_refuses,
        ),
        (
            "a policy of a namespace selects pods there and nowhere else",
            a_namespace_has_its_own,
        ),
        (
            "an update counts, a bad one leaves the last good one, and what is deleted is gone",
            changes_are_followed,
        ),
        (
            "a policy of the cluster takes the place of a file, and gives it back",
            the_cluster_comes_before_files,
        ),
        (
            "the rights that deploy/ gives it are those that are used",
            no_right_too_many,
        ),
    ];
    try_all(&scenarios, |scenario| scenario(&stage));
}

impl Stage {
    fn new() -> Self {
        let api = ApiServer::start(&[]);
        // The resources come later, and the webhook's entries are those of the test.
        let mut objects = deploy::overlay("opt-in");
        let kinds = ["CustomResourceDefinition", "MutatingWebhookConfiguration"];
        objects.retain(|object| !kinds.iter().any(|kind| object["kind"] == *kind));
        api.apply(&objects);
        let policies = tempfile::tempdir().unwrap();
        let file = policy("HookPolicy", "", "files", "1m");
        fs::write(policies.path().join("files.yaml"), file.to_string()).unwrap();
        Self {
            api,
            policies,
            webhook: RefCell::default(),
        }
    }

    /// What a new pod of the namespace would follow.
    fn followed(&self, namespace: &str) -> Option<String> {
        let pod = self.api.dry_run(namespace, &pod_named("pg")).unwrap();
        assert_eq!(has_hooks(&pod), annotation(&pod, PROVENANCE).is_some());
        annotation(&pod, PROVENANCE).map(str::to_owned)
    }

    /// Waits until new pods of the namespace have a hook of this timeout.
    #[track_caller]
    fn becomes(&self, namespace: &str, timeout: &str) {
        eventually(&format!("{timeout} in {namespace}"), SOON, || {
            let pod = self.api.dry_run(namespace, &pod_named("pg")).unwrap();
            (annotation(&pod, "pre.hook.backup.velero.io/timeout") == Some(timeout)).then_some(())
        });
    }

    fn apply(&self, object: &Value) {
        self.api
            .kubectl
            .apply("apply --warnings-as-errors -f -", &object.to_string());
    }

    /// What is said about an object that is refused.
    #[track_caller]
    fn refusal(&self, object: &Value) -> String {
        let create = "create --dry-run=server --validate=strict -f -";
        let refused = self.api.kubectl.attempt(create, &object.to_string());
        refused.expect_err("it is refused")
    }
}

const PROVENANCE: &str = "quiescent.dev/policies";

fn crds() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/base/crds.yaml");
    fs::read_to_string(file).unwrap()
}

/// For images of PostgreSQL; all of a name differ by their timeout.
fn policy(kind: &str, namespace: &str, name: &str, timeout: &str) -> Value {
    let mut policy = json!({
        "apiVersion": "quiescent.dev/v1", "kind": kind, "metadata": {"name": name},
        "spec": {
            "match": {"images": ["postgres"]},
            "hooks": {
                "pre": {"command": ["/bin/true"], "timeout": timeout, "onError": "Fail"},
                "post": {"command": ["/bin/true"], "timeout": "10s", "onError": "Continue"},
            },
        },
    });
    if !namespace.is_empty() {
        policy["metadata"]["namespace"] = namespace.into();
    }
    policy
}

fn absent_resources_are_none(stage: &Stage) {
    let policies = stage.policies.path().to_str().unwrap().to_owned();
    let webhook = Webhook::start([
        "--listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
        "--watch-policies",
        "--reload=100ms",
        "--kubeconfig",
        &stage.api.kubeconfig_of_the_webhook(),
        "--policies",
        &policies,
    ]);
    webhook.logged(&["no hookpolicies yet"]);
    webhook.logged(&["no clusterhookpolicies yet"]);
    for namespace in ["shop", "web"] {
        stage.api.namespace(namespace, &json!({}));
        stage.api.register(&webhook, namespace, "Fail");
        let followed = stage.followed(namespace).unwrap();
        assert!(followed.starts_with("files@"), "{followed}");
    }
    *stage.webhook.borrow_mut() = Some(webhook);
}

fn the_library_is_accepted(stage: &Stage) {
    let kubectl = &stage.api.kubectl;
    kubectl.apply("apply --warnings-as-errors -f -", &crds());
    let established = "wait --for=condition=Established --timeout=60s crd";
    for name in ["hookpolicies", "clusterhookpolicies"] {
        kubectl.run(&format!("{established} {name}.quiescent.dev"));
    }
    let objects = library::FOLDERS.iter();
    let objects = objects.flat_map(|folder| {
        let input = folder.input();
        [manifests(&input, None), manifests(&input, Some("library"))].concat()
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects.collect::<Vec<_>>()});
    stage.api.namespace("library", &json!({}));
    let create = "create --dry-run=server --validate=strict --warnings-as-errors -f -";
    let created = kubectl.apply(create, &list.to_string());
    assert_eq!(created.lines().count(), 2 * library::FOLDERS.len());
}

fn the_schema_refuses(stage: &Stage) {
    let changed = |pointer: &str, value: Value| {
        let mut object = policy("HookPolicy", "shop", "pg", "1m");
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[key] = value;
        object
    };
    for (pointer, value, sentence) in [
        (
            "/metadata/name",
            json!("a.b"),
            "the name of a policy has small letters",
        ),
        ("/metadata/name", json!("author"), "and is not author"),
        ("/metadata/name", json!("a".repeat(41)), "at most 40"),
        (
            "/spec/match",
            json!({}),
            "nothing says in which container the hooks run",
        ),
        (
            "/spec/hooks/pre/script",
            json!("pre.sh"),
            "spec.hooks.pre: Invalid value: a hook is one of script, command and http",
        ),
        (
            "/spec/hooks/post",
            json!({"timeout": "1m", "onError": "Fail"}),
            "spec.hooks.post: Invalid value: a hook is one of",
        ),
        (
            "/spec/hooks/restore",
            json!({"post": {"execTimeout": "1m", "waitTimeout": "1m", "onError": "Fail"}}),
            "spec.hooks.restore.post: Invalid value: a hook runs one of",
        ),
        (
            "/spec/hooks/pre",
            json!({"script": "pre.sh", "timeout": "1m", "onError": "Fail"}),
            "hooks.pre.script is none of scriptFiles",
        ),
        (
            "/spec/hooks/post",
            json!({"script": "p.sh", "timeout": "1m", "onError": "Fail"}),
            "hooks.post.script is none of scriptFiles",
        ),
        (
            "/spec/hooks/restore",
            json!({"post": {"script": "r.sh", "execTimeout": "1m", "waitTimeout": "1m", "onError": "Fail"}}),
            "hooks.restore.post.script is none of scriptFiles",
        ),
        (
            "/spec/coordinator",
            json!({}),
            "a coordinator has a session, or the hooks call over HTTP",
        ),
        (
            "/spec/coordinator",
            json!({"session": "hold.sh"}),
            "startTimeout, stopTimeout, limit and onError belong to a session",
        ),
        (
            "/spec/coordinator",
            json!({"limit": "5m"}),
            "startTimeout, stopTimeout, limit and onError belong to a session",
        ),
        (
            "/spec/coordinator",
            json!({"session": "hold.sh", "startTimeout": "1m", "stopTimeout": "1m", "limit": "5m", "onError": "Fail"}),
            "coordinator.session is none of scriptFiles",
        ),
        (
            "/spec/container",
            json!({"name": "db", "port": 5432}),
            "one of name, image and port",
        ),
        ("/spec/container", json!({}), "one of name, image and port"),
        (
            "/spec/volumes",
            json!({"v": {"mountPath": "/v"}}),
            "a volume is one of emptyDir and ephemeral",
        ),
        (
            "/spec/hooks/pre/timeout",
            json!("5"),
            "spec.hooks.pre.timeout",
        ),
        (
            "/spec/onConflict",
            json!("Merge"),
            "\"Keep\", \"Override\", \"Compose\", \"Deny\"",
        ),
        (
            "/spec/hooks/pre/onerror",
            json!("Fail"),
            "unknown field \"spec.hooks.pre.onerror\"",
        ),
    ] {
        let refusal = stage.refusal(&changed(pointer, value));
        assert!(refusal.contains(sentence), "{sentence}: {refusal}");
    }
}

fn a_namespace_has_its_own(stage: &Stage) {
    stage.apply(&policy("HookPolicy", "shop", "own", "2m"));
    eventually("both are followed in shop", SOON, || {
        stage.followed("shop").filter(|it| it.contains("own@"))
    });
    let elsewhere = stage.followed("web").unwrap();
    assert!(!elsewhere.contains("own@"), "{elsewhere}");

    // An audit asks them too, by the same rights as for pods.
    let files = stage.policies.path().to_str().unwrap();
    stage.api.create("shop", &pod_named("audited"));
    let audited = {
        let kubeconfig = stage.api.kubeconfig();
        let arguments = [
            "audit",
            "-n",
            "shop",
            "-o",
            "json",
            "--policies",
            files,
            "--mode=opt-out",
        ];
        let arguments = [&arguments[..], &["--kubeconfig", &kubeconfig]].concat();
        let output = quiescent(&arguments).output().unwrap();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        value
    };
    let found = &audited["databases"][0];
    assert_eq!(found["reason"], "hooked", "{found:#}");
    assert!(found["policies"].to_string().contains("own@"), "{found:#}");
    stage.api.kubectl.run("delete hookpolicy -n shop own");
    eventually("it is gone", SOON, || {
        stage.followed("shop").filter(|it| !it.contains("own@"))
    });
}

fn changes_are_followed(stage: &Stage) {
    let own = |timeout: &str| policy("HookPolicy", "shop", "files", timeout);
    stage.apply(&own("2m"));
    stage.becomes("shop", "2m");
    stage.becomes("web", "1m");
    stage.apply(&own("3m"));
    stage.becomes("shop", "3m");

    // The schema takes it, the parser does not.
    stage.apply(&own("5h"));
    let webhook = stage.webhook.borrow();
    let webhook = webhook.as_ref().unwrap();
    webhook.logged(&["LastGoodInForce", "QP008 at spec.hooks.pre.timeout"]);
    eventually("it is counted", SOON, || {
        let metrics = webhook.admin("/metrics").unwrap();
        metrics
            .contains("quiescent_policy_resources_refused 1\n")
            .then_some(())
    });
    stage.becomes("shop", "3m");
    // A bad one keeps no other away.
    stage.apply(&policy("HookPolicy", "web", "files", "4m"));
    stage.becomes("web", "4m");
    stage.apply(&own("6m"));
    stage.becomes("shop", "6m");
    for namespace in ["shop", "web"] {
        stage
            .api
            .kubectl
            .run(&format!("delete hookpolicy -n {namespace} files"));
        stage.becomes(namespace, "1m");
    }
}

fn the_cluster_comes_before_files(stage: &Stage) {
    stage.apply(&policy("ClusterHookPolicy", "", "files", "7m"));
    stage.becomes("shop", "7m");
    stage.becomes("web", "7m");
    stage.apply(&policy("HookPolicy", "shop", "files", "8m"));
    stage.becomes("shop", "8m");
    stage.becomes("web", "7m");
    // Files change meanwhile, and count where nothing of the cluster does.
    let file = policy("HookPolicy", "", "files", "9m");
    fs::write(stage.policies.path().join("files.yaml"), file.to_string()).unwrap();
    stage.api.kubectl.run("delete clusterhookpolicy files");
    stage.becomes("web", "9m");
    stage.becomes("shop", "8m");
}

/// What the API server was asked for by our account, and what the account may do.
fn no_right_too_many(stage: &Stage) {
    assert_eq!(
        stage.api.asked_by("quiescent"),
        stage.api.allowed_by(&["clusterrole quiescent"])
    );
}
