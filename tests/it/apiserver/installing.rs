//! `deploy/` on a real API server: what kustomize renders, what the chart installs, and what each
//! account may do.
use std::{collections::BTreeSet, process::Command};

use super::{
    ApiServer,
    kit::{Webhook, run},
};
use crate::deploy;

/// The API server of the tests has no resources of others.
const OF_OTHERS: [&str; 2] = ["cert-manager.io/v1", "monitoring.coreos.com/v1"];

/// In a namespace of its own name.
pub fn a_chart_leaves_nothing(api: &ApiServer, _: &Webhook) {
    if !deploy::there_are_kubectl_and_helm() {
        return;
    }
    api.namespace("charted", &serde_json::json!({}));
    let before = api.kubectl.everything();
    let packed = tempfile::tempdir().unwrap();
    run(deploy::helm()
        .args(["package", "deploy/helm/quiescent", "--destination"])
        .arg(packed.path())
        .current_dir(env!("CARGO_MANIFEST_DIR")))
    .unwrap();
    let chart = packed
        .path()
        .join(concat!("quiescent-", env!("CARGO_PKG_VERSION"), ".tgz"));
    let helm = |arguments: &[&str]| {
        let mut helm: Command = deploy::helm();
        helm.args(arguments)
            .args(["quiescent", "--namespace", "charted"]);
        helm.env("KUBECONFIG", api.kubeconfig());
        helm
    };
    let said = run(helm(&["install"]).arg(&chart)).unwrap();
    assert!(
        said.contains("kubectl label namespace NAME quiescent.dev/inject=enabled"),
        "{said}"
    );
    let secret = |api: &ApiServer| api.kubectl.json("get secret -n charted quiescent-tls", "");
    // As the controller does; an upgrade must leave it there.
    let data = r#"{"data":{"tls.crt":"b25l"}}"#;
    api.kubectl.run(&format!(
        "patch secret -n charted quiescent-tls --type=merge -p {data}"
    ));
    run(helm(&["upgrade"])
        .arg(&chart)
        .args(["--set", "mode=cluster-wide"]))
    .unwrap();
    assert_eq!(secret(api)["data"]["tls.crt"], "b25l");
    let added = &api.kubectl.everything() - &before;
    assert!(added.len() > 15, "{added:#?}");
    run(&mut helm(&["uninstall"])).unwrap();
    let left = &api.kubectl.everything() - &before;
    assert_eq!(left, BTreeSet::new());
}

pub fn all_that_is_rendered_is_accepted(api: &ApiServer, _: &Webhook) {
    // All but the entries, which would have every pod of the other scenarios wait for nobody.
    let mut installed = deploy::overlay("opt-in");
    installed.retain(|object| object["kind"] != "MutatingWebhookConfiguration");
    api.apply(&installed);
    let ways = deploy::WAYS.map(|(way, _)| (way, deploy::overlay(way)));
    let more = deploy::with_components(&["components/guard", "components/policies"]);
    for (way, mut objects) in ways.into_iter().chain([("with more components", more)]) {
        objects.retain(|object| !OF_OTHERS.contains(&object["apiVersion"].as_str().unwrap()));
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let dry = "apply --dry-run=server --validate=strict --warnings-as-errors -f -";
        println!("       {way}");
        api.kubectl.apply(dry, &list.to_string());

        // The namespace takes only pods that are restricted, and ours have to be among them.
        for deployment in objects.iter().filter(|it| it["kind"] == "Deployment") {
            let mut pod = deployment["spec"]["template"].clone();
            pod["apiVersion"] = "v1".into();
            pod["kind"] = "Pod".into();
            pod["metadata"]["name"] = "one".into();
            api.dry_run("quiescent", &pod.to_string())
                .expect("the pod of the Deployment is accepted");
        }
    }
}
