//! What happens when the server is gone.
use serde_json::json;

use super::{
    ApiServer,
    kit::Webhook,
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
