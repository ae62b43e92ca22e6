//! Finds pods with hooks whose scripts are not in their namespace. Of a pod only these names are kept.

use std::collections::BTreeSet;

use serde_json::Value;

use super::look::each;
use crate::{
    doctor::Seen,
    kubernetes::{Asker, Objects},
    plan::PROVENANCE,
};

/// What the ConfigMaps with scripts are labelled with.
const SCRIPTS: &str = "app.kubernetes.io/managed-by=quiescent";

type Name = (String, String);

pub async fn look(asker: &Asker) -> Seen<BTreeSet<Name>> {
    let pods = Objects {
        path: "/api/v1/pods",
        labels: None,
        metadata_only: false,
    };
    let config_maps = Objects {
        path: "/api/v1/configmaps",
        labels: Some(SCRIPTS),
        metadata_only: true,
    };
    let named = |text: &str| {
        let object: Value = serde_json::from_str(text).unwrap_or_default();
        let text = |field: &str| {
            object["metadata"][field]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (text("namespace"), text("name"))
    };
    let (used, there) = tokio::join!(each(asker, pods, used), each(asker, config_maps, named));
    match (used, there) {
        (Seen::Known(used), Seen::Known(there)) => {
            let there: BTreeSet<Name> = there.into_iter().collect();
            let used = used.into_iter().flatten();
            Seen::Known(used.filter(|it| !there.contains(it)).collect())
        }
        (Seen::Known(_), unseen) => unseen.map(|_| BTreeSet::new()),
        (unseen, _) => unseen.map(|_| BTreeSet::new()),
    }
}

/// The ConfigMaps with scripts that a pod uses, if it has hooks of ours.
fn used(pod: &str) -> Vec<Name> {
    // Most pods have none, and need not be read.
    if !pod.contains(PROVENANCE) {
        return Vec::new();
    }
    let pod: Value = serde_json::from_str(pod).unwrap_or_default();
    let metadata = &pod["metadata"];
    if !metadata["annotations"][PROVENANCE].is_string() {
        return Vec::new();
    }
    let namespace = metadata["namespace"].as_str().unwrap_or_default();
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let ours = volumes.filter_map(|it| it["configMap"]["name"].as_str());
    let ours = ours.filter(|it| it.starts_with("quiescent-"));
    ours.map(|name| (namespace.to_owned(), name.to_owned()))
        .collect()
}
