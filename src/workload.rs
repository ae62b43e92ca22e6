//! Where the pods are in a manifest: a Pod, the template of a controller, the items of a List.

use serde_json::{Value, json};

/// A pod or pod template inside a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The JSON pointer to the pod inside of the document.
    pub pointer: String,
    pub kind: String,
    pub name: String,
    pub namespace: Option<String>,
    /// What will own the pods; a Pod of its own has none.
    pub owner: Option<(String, String)>,
    /// Whether the kind is one whose template we know, and not just one that looks like it.
    pub known: bool,
}

/// Every pod of a document, in order.
#[must_use]
pub fn places(document: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    search(document, "", &mut places);
    places
}

/// The pod of a place, with the volumes that a StatefulSet makes of its claim templates.
#[must_use]
pub fn pod(document: &Value, place: &Place) -> Option<Value> {
    const TEMPLATE: &str = "/spec/template";
    let mut pod = document.pointer(&place.pointer)?.clone();
    let owner = place.pointer.strip_suffix(TEMPLATE);
    let owner = owner.and_then(|pointer| document.pointer(pointer));
    let claims = owner.and_then(|owner| owner.pointer("/spec/volumeClaimTemplates")?.as_array());
    let names = claims.into_iter().flatten();
    let names = names.filter_map(|claim| claim.pointer("/metadata/name")?.as_str());
    for name in names {
        let volume = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
        match pod.pointer_mut("/spec/volumes") {
            Some(Value::Array(volumes)) => volumes.push(volume),
            Some(_) => return Some(pod),
            None => pod["spec"]["volumes"] = json!([volume]),
        }
    }
    Some(pod)
}

fn search(object: &Value, pointer: &str, places: &mut Vec<Place>) {
    let text = |field: &str| object.pointer(field).and_then(Value::as_str);
    let Some(kind) = text("/kind") else { return };
    if let Some(items) = object.get("items").and_then(Value::as_array) {
        for (index, item) in items.iter().enumerate() {
            search(item, &format!("{pointer}/items/{index}"), places);
        }
        return;
    }
    let (below, known) = match (text("/apiVersion").unwrap_or_default(), kind) {
        ("v1", "Pod") => ("", true),
        ("apps/v1", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("batch/v1", "Job")
        | ("v1", "ReplicationController") => ("/spec/template", true),
        ("batch/v1", "CronJob") => ("/spec/jobTemplate/spec/template", true),
        _ => ("/spec/template", false),
    };
    let Some(template) = object.pointer(below) else {
        return;
    };
    let has_containers = template
        .pointer("/spec/containers")
        .is_some_and(Value::is_array);
    if !known && !has_containers {
        return;
    }
    let generated = text("/metadata/generateName").map(|name| format!("{name}*"));
    let name = text("/metadata/name").map(str::to_owned).or(generated);
    let name = name.unwrap_or_default();
    places.push(Place {
        pointer: format!("{pointer}{below}"),
        kind: kind.to_owned(),
        namespace: text("/metadata/namespace").map(str::to_owned),
        owner: (!below.is_empty()).then(|| (kind.to_owned(), name.clone())),
        name,
        known,
    });
}

#[cfg(test)]
mod tests;
