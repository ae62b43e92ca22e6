//! Which hooks run in a pod: those of a SnapshotHook of its claim, else those that policies give it.

use anyhow::Context as _;
use kube::Client;
use serde_json::Value;

use crate::{
    kubernetes::{ListError, Objects, list},
    policy::crd::{GROUP, VERSION},
    select::Facts,
    snapshot::{
        Chosen, Hooked,
        resource::{HOOKS, Named, Said, said},
    },
};

/// The SnapshotHooks of a namespace, where the cluster knows such and we may see them.
pub async fn named(
    client: &Client,
    namespace: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<Named>> {
    let path = format!("/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{HOOKS}");
    let objects = Objects {
        path: &path,
        labels: None,
        metadata_only: false,
    };
    let found = list(client, objects, |text| {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        Named::of(&object)
    });
    match found.await {
        Ok(found) => {
            let found: Result<Vec<Named>, String> = found.into_iter().collect();
            found.map_err(anyhow::Error::msg)
        }
        Err(ListError::Absent { .. }) => Ok(Vec::new()),
        Err(ListError::Forbidden { .. }) => {
            notes.push(format!(
                "the SnapshotHooks of {namespace} may not be listed, and none is followed"
            ));
            Ok(Vec::new())
        }
        Err(error) => Err(error).context("the SnapshotHooks cannot be read"),
    }
}

/// Those of a pod, given as its JSON, for a snapshot of `claims` of it; nothing where they run in another pod.
pub fn of(
    pod: &str,
    claims: &[&str],
    named: &[Named],
    chosen: &Chosen,
    facts: Facts<'_>,
) -> Result<Option<Hooked>, String> {
    let object: Value = serde_json::from_str(pod).unwrap_or_default();
    match said(named, &object, claims)? {
        Said::Nothing => chosen.of(pod, facts).map(Some),
        Said::Hooks { named, hooks } => Ok(Some(Hooked {
            hooks: hooks.clone(),
            policies: Some(format!("snapshothook/{}", named.name)),
            holds_writes: true,
        })),
        Said::AnotherPod(_) => Ok(None),
    }
}
