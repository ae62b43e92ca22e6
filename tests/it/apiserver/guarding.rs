//! The guard of `deploy/components/guard`: hooks that no policy gives are named or refused, on the way in
//! and later, and no other pod waits for it.
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ApiServer, base64,
    kit::{Webhook, eventually},
    pod_named,
    stored::has_all_hooks,
};
use crate::deploy;

const COMMAND: &str = "pre.hook.backup.velero.io/command";

pub fn strange_hooks_are_named_or_refused(api: &ApiServer, webhook: &Webhook) {
    for (namespace, guard) in [("guarded", "enforce"), ("watched", "warn")] {
        api.namespace(namespace, &json!({"quiescent.dev/guard": guard}));
        api.register(webhook, namespace, "Fail");
    }
    guard(api, webhook);

    eventually("the guard is in force", Duration::from_secs(30), || {
        api.dry_run("guarded", &with_hook("probe")).err()
    });
    let refused = api.dry_run("guarded", &with_hook("web")).unwrap_err();
    let sentence =
        format!("{COMMAND} is not what a policy gives: none gives this pod hooks, as no policy");
    assert!(refused.contains(&sentence), "{refused}");
    let warned = "create --warnings-as-errors --validate=false -n watched -f -";
    let warned = api.kubectl.attempt(warned, &with_hook("web")).unwrap_err();
    assert!(
        warned.contains(&format!("Warning: quiescent: {COMMAND}")),
        "{warned}"
    );
    api.kubectl.run("get pod -n watched web");

    a_pod_with_our_hooks_is_left_in_peace(api, webhook);
    a_restore_brings_the_hooks_of_its_day(api);
    api.kubectl
        .run("delete validatingwebhookconfiguration quiescent");
}

/// Applies the component, with the address of the test's webhook in it.
fn guard(api: &ApiServer, webhook: &Webhook) {
    let objects = deploy::with_components(&["components/guard"]);
    let mut guard = objects
        .into_iter()
        .find(|object| object["kind"] == "ValidatingWebhookConfiguration")
        .expect("the guard's entries");
    for entry in guard["webhooks"].as_array_mut().unwrap() {
        let path = entry["clientConfig"]["service"]["path"].as_str().unwrap();
        let url = webhook.url.replace("/mutate", path);
        entry["clientConfig"] = json!({"url": url, "caBundle": base64(&webhook.ca())});
    }
    api.kubectl
        .apply("create --warnings-as-errors -f -", &guard.to_string());
}

fn with_hook(name: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "annotations": {COMMAND: "[\"/bin/date\"]"}},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    })
    .to_string()
}

fn a_pod_with_our_hooks_is_left_in_peace(api: &ApiServer, webhook: &Webhook) {
    has_all_hooks(&api.create("guarded", &pod_named("pg")), "postgres");
    let asked = reviews(webhook);
    api.kubectl.run("label pod -n guarded pg tier=db");
    api.kubectl.run("annotate pod -n guarded pg note=x");
    assert_eq!(
        reviews(webhook),
        asked,
        "nobody waits who says nothing new of hooks"
    );

    for change in [
        format!("{COMMAND}=[\"/bin/date\"]"),
        "pre.hook.backup.velero.io/container-".to_owned(),
        "init.hook.restore.velero.io/container-image=other".to_owned(),
    ] {
        let annotate = format!("annotate --overwrite pod -n guarded pg {change}");
        let refused = api.kubectl.attempt(&annotate, "").unwrap_err();
        assert!(refused.contains("is not what a policy gives"), "{refused}");
    }
    let hooks = ["command", "container", "on-error", "timeout"];
    let hooks = hooks.map(|key| format!("pre.hook.backup.velero.io/{key}-"));
    api.kubectl
        .run(&format!("annotate pod -n guarded pg {}", hooks.join(" ")));
}

fn a_restore_brings_the_hooks_of_its_day(api: &ApiServer) {
    api.kubectl.run("create clusterrolebinding velero --clusterrole=cluster-admin --serviceaccount=velero:velero");
    let mut pod: Value = serde_json::from_str(&with_hook("restored")).unwrap();
    pod["metadata"]["labels"] = json!({"velero.io/restore-name": "nightly"});
    let refused = api.dry_run("guarded", &pod.to_string()).unwrap_err();
    assert!(refused.contains("is not what a policy gives"), "{refused}");
    let create = "create --validate=false -n guarded --as=system:serviceaccount:velero:velero -f -";
    api.kubectl.apply(create, &pod.to_string());
}

/// How many reviews the guard has had.
fn reviews(webhook: &Webhook) -> u64 {
    let metrics = webhook.admin("/metrics").expect("/metrics");
    let counted = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("quiescent_guarded_total{"));
    counted
        .map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
        .sum()
}
