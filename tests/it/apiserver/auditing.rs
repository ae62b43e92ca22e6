//! `quiescent audit` of a real cluster: with and without the webhook's hooks, with and without Velero,
//! and for accounts that may not see everything.
use std::{process::Output, time::Duration};

use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{Webhook, eventually},
    pod_named,
};
use crate::support::quiescent;

/// Velero's kind as its CustomResourceDefinition names it.
const SCHEDULES: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: schedules.velero.io}
spec:
  group: velero.io
  names: {kind: Schedule, listKind: ScheduleList, plural: schedules, singular: schedule}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// One account that may list pods and namespaces, and one that may see nothing.
const ACCOUNTS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: reader, namespace: audited}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: nobody, namespace: audited}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: audit-reader}
rules: [{apiGroups: [""], resources: [pods, namespaces], verbs: [list, get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: audit-reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: audit-reader}
subjects: [{kind: ServiceAccount, name: reader, namespace: audited}]
"#;

struct Audit(Output);

impl Audit {
    fn run(kubeconfig: &str, arguments: &[&str]) -> Self {
        let given = [&["audit", "--kubeconfig", kubeconfig], arguments].concat();
        Self(quiescent(&given).output().expect("quiescent runs"))
    }

    fn json(kubeconfig: &str, arguments: &[&str]) -> (Option<i32>, Value, String) {
        let Self(output) = Self::run(kubeconfig, &[arguments, &["-o", "json"]].concat());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let value = serde_json::from_slice(&output.stdout);
        let value = value.unwrap_or_else(|error| panic!("{error}: {told}"));
        (output.status.code(), value, told)
    }
}

/// The reason of one pod.
fn reason(audit: &Value, pod: &str) -> String {
    let databases = audit["databases"].as_array().expect("a list");
    let found = databases.iter().find(|it| it["pod"] == pod);
    let found = found.unwrap_or_else(|| panic!("{pod} is not in {audit:#}"));
    found["reason"].as_str().expect("a reason").to_owned()
}

pub fn an_audit_tells_what_is_protected(api: &ApiServer, library: &Webhook) {
    let admin = api.kubeconfig();
    let shop = ["-n", "audited"];
    api.namespace("audited", &json!({"quiescent.dev/inject": "enabled"}));
    api.create("audited", &pod_named("missed"));
    api.create(
        "audited",
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "example.com/web:1"}]}}"#,
    );
    api.register(library, "audited", "Fail");
    let stored = api.create("audited", &pod_named("pg"));

    // No Velero yet.
    let (code, found, told) = Audit::json(&admin, &shop);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("there is no Velero in this cluster"),
        "{told}"
    );
    assert_eq!(
        found["databases"].as_array().map(Vec::len),
        Some(2),
        "{found:#}"
    );
    assert_eq!(reason(&found, "missed"), "missed");
    assert_eq!(reason(&found, "pg"), "missing_scripts");
    assert_eq!(
        found["databases"][1]["policies"][0],
        stored["metadata"]["annotations"]["quiescent.dev/policies"]
    );

    // Its own words mend it.
    let scripts = quiescent(&["scripts", "-n", "audited"])
        .output()
        .expect("scripts");
    let scripts = String::from_utf8(scripts.stdout).expect("text");
    api.kubectl.apply("apply -f -", &scripts);
    api.kubectl.apply("create -f -", SCHEDULES);
    let serves = || api.kubectl.attempt("get schedules.velero.io -A", "").ok();
    eventually(
        "the API server knows Schedules",
        Duration::from_secs(30),
        serves,
    );
    let (_, found, told) = Audit::json(&admin, &shop);
    assert_eq!(
        (reason(&found, "pg").as_str(), told.as_str()),
        ("no_schedule", "")
    );
    let schedule = json!({
        "apiVersion": "velero.io/v1", "kind": "Schedule",
        "metadata": {"name": "nightly", "namespace": "audited"},
        "spec": {"schedule": "0 1 * * *", "template": {"includedNamespaces": ["audited"]}},
    });
    api.kubectl.apply("create -f -", &schedule.to_string());
    let (code, found, _) = Audit::json(&admin, &shop);
    assert_eq!((code, reason(&found, "pg").as_str()), (Some(1), "hooked"));
    assert_eq!(found["databases"][1]["schedules"], json!(["nightly"]));
    let Audit(table) = Audit::run(&admin, &shop);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(
        table.contains("2 databases: 1 protected, 1 unprotected"),
        "{table}"
    );

    // Labels choose, and what is left is fine.
    api.kubectl.run("label pod -n audited pg app=pg");
    let (code, found, _) = Audit::json(&admin, &["-n", "audited", "-l", "app=pg"]);
    assert_eq!((code, reason(&found, "pg").as_str()), (Some(0), "hooked"));

    // All namespaces are asked for by default; this one among them.
    let (_, everywhere, _) = Audit::json(&admin, &[]);
    assert_eq!(reason(&everywhere, "missed"), "missed");

    // A list of more than one page.
    many_pods(api);
    let (_, all, _) = Audit::json(&admin, &["-n", "crowded"]);
    assert_eq!(all["databases"].as_array().map(Vec::len), Some(501));

    // Without the right to see them, Schedules are unknown and not none.
    api.kubectl.apply("create -f -", ACCOUNTS);
    let reader = api.kubeconfig_of("audited", "reader");
    let (_, found, told) = Audit::json(&reader, &shop);
    assert_eq!(reason(&found, "pg"), "hooked");
    assert_eq!(found["databases"][1]["schedules"], Value::Null);
    assert!(
        told.contains("may not list Schedules") && told.contains("may not list ConfigMaps"),
        "{told}"
    );
    let nobody = api.kubeconfig_of("audited", "nobody");
    let Audit(output) = Audit::run(&nobody, &shop);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("does not let us see /api/v1/namespaces/audited/pods"),
        "{told}"
    );
}

fn many_pods(api: &ApiServer) {
    api.namespace("crowded", &json!({}));
    let pods: Vec<Value> = (0..501)
        .map(|number| {
            let pod = pod_named(&format!("pg-{number}"));
            serde_json::from_str(&pod).expect("JSON")
        })
        .collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": pods});
    api.kubectl
        .apply("create --validate=false -n crowded -f -", &list.to_string());
}
