//! What happens when the server is gone, and the manifests that decide it.
use std::{fs, path::Path, process::Command};

use serde_json::json;

use super::{
    ApiServer,
    kit::{Webhook, run},
    pod_named,
    stored::{has_all_hooks, has_hooks},
};

/// A webhook that was in force in `namespace` and is killed in the middle of its life.
fn killed(api: &ApiServer, namespace: &str, failure_policy: &str) {
    let mut webhook = Webhook::start(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    api.namespace(namespace, &json!({}));
    api.register(&webhook, namespace, failure_policy);
    has_all_hooks(&api.create(namespace, &pod_named("before")), "postgres");
    webhook.kill();
}

pub fn ignore_lets_pods_pass(api: &ApiServer, _: &Webhook) {
    killed(api, "ignoring", "Ignore");
    let stored = api.create("ignoring", &pod_named("after"));
    assert!(!has_hooks(&stored), "{stored:#}");
}

pub fn fail_refuses_pods(api: &ApiServer, _: &Webhook) {
    killed(api, "enforcing", "Fail");
    let refused = api
        .dry_run("enforcing", &pod_named("after"))
        .expect_err("nobody answers");
    assert!(refused.contains("failed calling webhook"), "{refused}");
}

pub fn our_manifests_are_accepted(api: &ApiServer, _: &Webhook) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = |path: &str| fs::read_to_string(root.join(path)).expect("a manifest");
    for (file, name) in [
        ("deploy/server.yaml", "quiescent"),
        ("deploy/controller.yaml", "quiescent-controller"),
    ] {
        api.kubectl
            .apply("apply --warnings-as-errors -f -", &manifest(file));

        // The namespace takes only pods that are restricted, and ours has to be one of them.
        let deployment = format!("get deployment -n quiescent {name}");
        let deployment = api.kubectl.json(&deployment, "");
        let mut pod = deployment["spec"]["template"].clone();
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = name.into();
        api.dry_run("quiescent", &pod.to_string())
            .expect("the pod of the Deployment is accepted");
    }

    let webhook = manifest("deploy/webhook.yaml");
    let placeholder = api
        .kubectl
        .attempt("create --dry-run=server -f -", &webhook);
    assert!(
        placeholder.is_err_and(|refused| refused.contains("base64")),
        "the placeholder must be replaced"
    );
    let pki = tempfile::tempdir().expect("a temporary directory");
    let bundle = run(Command::new(root.join("certs/make")).arg(pki.path())).expect("certs/make");
    let webhook = webhook.replace("@CA_BUNDLE@", bundle.trim());
    api.kubectl.apply(
        "create --dry-run=server --warnings-as-errors -f -",
        &webhook,
    );
}
