//! The webhook's entries as `deploy/` has them: which pods they show to the webhook, and which not.
use std::time::Duration;

use quiescent::policy::{INJECT_LABEL, METHOD_LABEL};
use serde_json::{Value, json};

use super::{
    ApiServer, base64,
    kit::{Webhook, eventually},
    manifests, pod_named,
    stored::has_hooks,
};
use crate::deploy;

/// How long the API server may take to hear of a change.
const SOON: Duration = Duration::from_secs(30);

/// A pod, and whether an entry shows it.
type Case = (String, Value, bool);

pub fn only_pods_of_interest_are_shown(api: &ApiServer, _: &Webhook) {
    let mut webhook = Webhook::start([
        "--listen=127.0.0.1:0",
        "--admin=127.0.0.1:0",
        "--kubeconfig",
        &api.kubeconfig(),
    ]);
    let wanting = json!({"quiescent.dev/inject": "enabled"});
    let enforcing = json!({"quiescent.dev/inject": "enabled", "quiescent.dev/enforce": "true"});
    api.namespace("wanting", &wanting);
    api.namespace("enforced", &enforcing);
    api.namespace("quiet", &json!({}));
    api.namespace("declining", &json!({"quiescent.dev/inject": "disabled"}));
    for system in ["kube-public", "velero"] {
        api.namespace(system, &enforcing);
    }

    let server = json!({"url": webhook.url, "caBundle": base64(&webhook.ca())});
    let entries = deploy::entries("opt-in", &server);
    api.kubectl.apply("apply -f -", &entries.to_string());
    in_force(api, &["wanting", "enforced"]);
    for (name, pod, shown) in cases() {
        let asked = reviews(api, &webhook, "wanting", &pod);
        assert_eq!(asked, shown, "{name}");
    }
    let plain: Value = serde_json::from_str(&pod_named("plain")).unwrap();
    let mut asking = plain.clone();
    asking["metadata"]["labels"] = json!({INJECT_LABEL: "enabled"});
    for (namespace, asks) in [
        ("quiet", true),
        ("declining", true),
        ("velero", false),
        ("kube-public", false),
    ] {
        assert!(!reviews(api, &webhook, namespace, &plain), "{namespace}");
        assert_eq!(
            reviews(api, &webhook, namespace, &asking),
            asks,
            "{namespace}"
        );
    }

    let entries = deploy::entries("cluster-wide", &server);
    api.kubectl.apply("apply -f -", &entries.to_string());
    in_force(api, &["quiet"]);
    for (namespace, shown) in [
        ("wanting", true),
        ("enforced", true),
        ("declining", false),
        ("velero", false),
    ] {
        assert_eq!(
            reviews(api, &webhook, namespace, &plain),
            shown,
            "{namespace}"
        );
    }
    assert!(reviews(api, &webhook, "declining", &asking));

    // A condition that failed would refuse a pod here too.
    webhook.kill();
    for (name, pod, shown) in cases() {
        let outcome = api.dry_run("enforced", &pod.to_string());
        assert_eq!(outcome.is_err(), shown, "{name}: {outcome:?}");
        if let Err(refused) = outcome {
            assert!(
                refused.contains("failed calling webhook \"enforce.quiescent.dev\""),
                "{refused}"
            );
        }
    }
    api.kubectl
        .run("delete mutatingwebhookconfiguration quiescent");
}

/// Pods with and without each of the fields that an entry reads.
fn cases() -> Vec<Case> {
    const MIRROR: &str = "kubernetes.io/config.mirror";
    const OS: &str = "kubernetes.io/os";
    let cases = [
        ("/metadata/annotations", json!({}), true),
        ("/metadata/annotations", json!({"note": MIRROR}), true),
        ("/metadata/annotations", json!({MIRROR: ""}), false),
        ("/spec/os", json!({"name": "linux"}), true),
        ("/spec/os", json!({"name": "windows"}), false),
        ("/spec/nodeSelector", json!({"disk": "windows"}), true),
        ("/spec/nodeSelector", json!({OS: "linux"}), true),
        ("/spec/nodeSelector", json!({OS: "windows"}), false),
        ("/spec/restartPolicy", json!("Always"), true),
        ("/spec/restartPolicy", json!("OnFailure"), false),
        ("/spec/restartPolicy", json!("Never"), false),
        ("/metadata/labels", json!({INJECT_LABEL: "disabled"}), false),
        ("/metadata/labels", json!({INJECT_LABEL: "enabled"}), true),
        ("/metadata/labels", json!({METHOD_LABEL: "off"}), false),
        ("/metadata/labels", json!({METHOD_LABEL: "snapshot"}), true),
    ];
    let cases = cases.map(|(pointer, value, shown)| {
        let mut pod: Value = serde_json::from_str(&pod_named("pg")).unwrap();
        // A mirror pod is on a node already.
        pod["spec"]["nodeName"] = "node".into();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        let name = format!("{pointer} {value}");
        pod.pointer_mut(parent).unwrap()[field] = value;
        (name, pod, shown)
    });
    // What the webhook would change, whatever else is in it, is never kept from it.
    let hooked = manifests("hooked").into_iter().map(|(name, manifest)| {
        let document = quiescent::yaml::parse(&manifest).unwrap().remove(0);
        (name, document.root.unwrap().to_json(), true)
    });
    cases.into_iter().chain(hooked).collect()
}

fn in_force(api: &ApiServer, namespaces: &[&str]) {
    for namespace in namespaces {
        eventually("the entries are in force", SOON, || {
            let pod = api.dry_run(namespace, &pod_named("probe")).ok()?;
            has_hooks(&pod).then_some(())
        });
    }
}

/// Whether the webhook is asked when such a pod is created.
fn reviews(api: &ApiServer, webhook: &Webhook, namespace: &str, pod: &Value) -> bool {
    let count = || {
        let metrics = webhook.admin("/metrics").unwrap();
        let lines = metrics
            .lines()
            .filter(|line| line.starts_with("quiescent_webhook_requests_total{"));
        let counts = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap());
        counts.sum::<u64>()
    };
    let before = count();
    api.dry_run(namespace, &pod.to_string()).unwrap();
    count() > before
}
