//! The pod of a trial: created as a dry run, which goes through everything and stores nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    doctor::{Labels, Names, Outcome, Seen, Trial},
    kubernetes::Asker,
    plan::PROVENANCE,
    policy::{INJECT_LABEL, METHOD_LABEL},
    select::{self, Mode, Settings},
};

/// The namespace to try in: the one that was named, else one that is switched on.
pub fn place(
    wanted: Option<&str>,
    namespaces: Option<&BTreeMap<String, Labels>>,
    names: &Names,
    cluster_wide: bool,
) -> Option<String> {
    if let Some(wanted) = wanted {
        return Some(wanted.to_owned());
    }
    let settings = Settings {
        mode: Mode::OptIn,
        default_method: "dump".to_owned(),
        own_namespace: names.own_namespace.clone(),
        velero_namespace: names.velero_namespace.clone(),
        ..Settings::default()
    };
    let namespaces = namespaces?.iter();
    let open =
        namespaces.filter(|(name, _)| select::namespace_left_alone(name, &settings).is_none());
    let says = |labels: &Labels| labels.get(INJECT_LABEL).cloned().unwrap_or_default();
    let enabled = open.clone().find(|(_, labels)| says(labels) == "enabled");
    let any = || {
        let mut open = open.clone();
        open.find(|(_, labels)| cluster_wide && says(labels).is_empty())
    };
    enabled.or_else(any).map(|(name, _)| name.clone())
}

pub async fn run(asker: &Asker, namespace: &str) -> Seen<Trial> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?dryRun=All");
    let began = Instant::now();
    let answer = match asker.post(&path, &pod()).await {
        Ok(answer) => answer,
        Err(why) => return Seen::Failed(why),
    };
    let milliseconds = began.elapsed().as_millis();
    let outcome = if answer.is_success() {
        let created: Value = serde_json::from_str(&answer.text).unwrap_or_default();
        if created["metadata"]["annotations"][PROVENANCE].is_string() {
            Outcome::Hooked
        } else {
            Outcome::Unhooked
        }
    } else {
        let why = answer.message();
        match answer.status {
            401 => return Seen::Forbidden,
            403 if why.contains("cannot create resource") => return Seen::Forbidden,
            404 => return Seen::Failed(why),
            _ => Outcome::Refused(why),
        }
    };
    Seen::Known(Trial {
        namespace: namespace.to_owned(),
        outcome,
        milliseconds,
        meanwhile: None,
    })
}

/// The smallest pod that a policy of the library means, and that a restricted namespace takes.
fn pod() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "quiescent-doctor-",
            "labels": {INJECT_LABEL: "enabled", METHOD_LABEL: "dump"},
        },
        "spec": {
            "automountServiceAccountToken": false,
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 999,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": "postgres",
                "image": "postgres:16",
                "resources": {
                    "requests": {"cpu": "1m", "memory": "1Mi"},
                    "limits": {"cpu": "10m", "memory": "16Mi"},
                },
                "securityContext": {
                    "allowPrivilegeEscalation": false,
                    "capabilities": {"drop": ["ALL"]},
                },
            }],
        },
    })
}
