//! Velero's Backups that are under way, and run hooks in the same pods.

use kube::Client;
use serde_json::Value;

use super::Plan;
use crate::{
    audit::Backup,
    kubernetes::{ListError, Objects, list},
    live::Subject,
    pod::PodView,
    trial::Hooks,
    velero::objects::{IN_PROGRESS, everywhere, path},
};

/// Where Velero is, if nobody lets us look everywhere.
const USUAL: &str = "velero";

/// Velero may be at the hooks of a pod.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Velero's backup {backup} is under way, and runs hooks in pod {pod}")]
pub struct BackedUp {
    pub backup: String,
    pub pod: String,
}

/// The first Backup that is under way and runs hooks where we do, as far as we may see them.
pub async fn backed_up(client: &Client, plan: &Plan) -> anyhow::Result<Option<BackedUp>> {
    if plan.members.is_empty() {
        return Ok(None);
    }
    for path in [everywhere("backups"), path(USUAL, "backups")] {
        let objects = Objects {
            path: &path,
            labels: None,
            metadata_only: false,
        };
        let found = list(client, objects, |text| {
            let object: Value = serde_json::from_str(text).unwrap_or_default();
            conflict(&object, &plan.members)
        });
        match found.await {
            Ok(found) => return Ok(found.into_iter().flatten().next()),
            Err(ListError::Forbidden { .. }) => {}
            Err(ListError::Absent { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

fn conflict(object: &Value, members: &[Subject]) -> Option<BackedUp> {
    if object["status"]["phase"] != IN_PROGRESS {
        return None;
    }
    let backup = Backup::of_backup(object);
    let mut pods = members.iter();
    let pod = pods.find(|it| runs_hooks_in(&backup, it))?;
    let namespace = object["metadata"]["namespace"].as_str();
    Some(BackedUp {
        backup: format!("{}/{}", namespace.unwrap_or_default(), backup.name),
        pod: pod.title(),
    })
}

fn runs_hooks_in(backup: &Backup, subject: &Subject) -> bool {
    let Ok(view) = PodView::parse(&subject.pod) else {
        return false;
    };
    let has_own = !Hooks::of(|key| view.annotation(key)).is_empty();
    backup.has(&view, &subject.namespace)
        && (has_own || backup.has_hook_for(&view, &subject.namespace))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::velero::HookPhase;

    fn subject(annotations: &Value) -> Subject {
        let pod = json!({
            "metadata": {"name": "db-0", "labels": {"app": "db"}, "annotations": annotations},
            "spec": {"containers": [{"name": "db", "image": "db"}]},
        });
        Subject {
            namespace: "shop".to_owned(),
            name: "db-0".to_owned(),
            policies: None,
            hooks: Hooks::default(),
            labels: BTreeMap::new(),
            pod: pod.to_string(),
        }
    }

    fn backup(phase: &str, spec: &Value) -> Value {
        json!({
            "metadata": {"name": "nightly", "namespace": "velero"},
            "spec": spec, "status": {"phase": phase},
        })
    }

    #[test]
    fn a_backup_that_runs_hooks_in_the_same_pod_is_named() {
        let hooked = [subject(&json!({HookPhase::Pre.keys().command: "freeze"}))];
        let plain = [subject(&json!({}))];
        let all = json!({});
        let found = conflict(&backup("InProgress", &all), &hooked).unwrap();
        assert_eq!(
            found.to_string(),
            "Velero's backup velero/nightly is under way, and runs hooks in pod shop/db-0"
        );
        let own = json!({"hooks": {"resources": [{"pre": [{"exec": {"command": ["true"]}}]}]}});
        assert!(conflict(&backup("InProgress", &own), &plain).is_some());
        for (object, pods) in [
            (backup("Completed", &all), &hooked),
            (backup("Finalizing", &all), &hooked),
            (backup("InProgress", &all), &plain),
            (
                backup("InProgress", &json!({"includedNamespaces": ["web"]})),
                &hooked,
            ),
            (
                backup(
                    "InProgress",
                    &json!({"labelSelector": {"matchLabels": {"app": "web"}}}),
                ),
                &hooked,
            ),
        ] {
            assert_eq!(conflict(&object, pods), None, "{object:#}");
        }
    }
}
