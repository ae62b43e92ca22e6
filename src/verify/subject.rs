//! Which pods of a backup are copied, and which cannot be.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    plan::PROVENANCE,
    velero::{HookPhase, LEGACY_PRE},
};

/// A pod of a backup whose hooks are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub namespace: String,
    pub name: String,
    pub labels: BTreeMap<String, String>,
    /// The names of the policies that gave it its hooks.
    pub policies: Vec<String>,
    /// The container that its hooks ran in, where they name one.
    pub container: Option<String>,
    /// As the backup has it.
    pub object: String,
}

/// A pod of a backup that must not run twice, or cannot be restored alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    pub namespace: String,
    pub name: String,
    pub why: String,
}

/// Kinds of volumes that are another one in each pod, or that hold what a backup brings.
const OWN: [&str; 7] = [
    "emptyDir",
    "persistentVolumeClaim",
    "ephemeral",
    "configMap",
    "secret",
    "projected",
    "downwardAPI",
];

/// The pods of these texts that have hooks of ours, in these namespaces or, where none is named, in all.
///
/// # Errors
/// Where a text is no pod.
pub fn subjects(
    pods: &[String],
    namespaces: &BTreeSet<String>,
) -> Result<(Vec<Subject>, Vec<Unfit>), serde_json::Error> {
    let (mut subjects, mut unfit) = (Vec::new(), Vec::new());
    for text in pods {
        let pod: Value = serde_json::from_str(text)?;
        let metadata = &pod["metadata"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (namespace, name) = (word(&metadata["namespace"]), word(&metadata["name"]));
        let over = ["Succeeded", "Failed"].contains(&&*word(&pod["status"]["phase"]));
        let meant = namespaces.is_empty() || namespaces.contains(&namespace);
        let Some(provenance) = metadata["annotations"][PROVENANCE].as_str() else {
            continue;
        };
        if over || !meant {
            continue;
        }
        if let Some(why) = why_not(&pod) {
            unfit.push(Unfit {
                namespace,
                name,
                why,
            });
            continue;
        }
        subjects.push(Subject {
            labels: labels(&pod),
            policies: policies(provenance),
            container: container(&pod),
            object: text.clone(),
            namespace,
            name,
        });
    }
    Ok((subjects, unfit))
}

#[must_use]
pub fn labels(pod: &Value) -> BTreeMap<String, String> {
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten();
    labels
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The names of policies in their versions.
#[must_use]
pub fn policies(provenance: &str) -> Vec<String> {
    let entries = provenance.split(',').map(str::trim);
    let names = entries.map(|entry| entry.split('@').next().unwrap_or(entry));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The container that its hooks run in, where an annotation names one.
#[must_use]
pub fn container(pod: &Value) -> Option<String> {
    let hooks = HookPhase::ALL.map(HookPhase::keys);
    let mut keys = hooks.iter().chain([&LEGACY_PRE]).map(|keys| keys.container);
    keys.find_map(|key| pod["metadata"]["annotations"][key].as_str())
        .map(str::to_owned)
}

/// Why two of this pod would meet, or Velero cannot restore it alone.
fn why_not(pod: &Value) -> Option<String> {
    if labels(pod).is_empty() {
        return Some("it has no label by which Velero could tell it from other pods".to_owned());
    }
    meets(pod)
}

/// Why two of a pod would meet.
#[must_use]
pub fn meets(pod: &Value) -> Option<String> {
    let spec = &pod["spec"];
    for (key, what) in [
        ("hostNetwork", "the network"),
        ("hostPID", "the processes"),
        ("hostIPC", "the memory"),
    ] {
        if spec[key] == true {
            return Some(format!("it uses {what} of its node ({key})"));
        }
    }
    let containers = spec["containers"].as_array().into_iter().flatten();
    let mut ports = containers.flat_map(|it| it["ports"].as_array().into_iter().flatten());
    if let Some(port) = ports.find_map(|it| it["hostPort"].as_u64().filter(|port| *port > 0)) {
        return Some(format!("it takes the port {port} of its node (hostPort)"));
    }
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let mut shared = volumes.filter_map(|volume| {
        let keys = volume.as_object().into_iter().flatten().map(|(key, _)| key);
        let kind = keys.into_iter().find(|key| *key != "name")?;
        let own = OWN.contains(&kind.as_str());
        (!own).then(|| (volume["name"].as_str().unwrap_or_default(), kind))
    });
    let (name, kind) = shared.next()?;
    Some(format!(
        "its volume {name} ({kind}) would be the very one that the original writes to"
    ))
}
