//! Which pod may be made anew next, so that it gets the hooks it lacks, and which may not be again.
//!
//! Only what makes its pods anew by itself is healed, with data that outlive them, and each of its pods
//! once: one that came after the healing and is unprotected too is left for a person.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Found, Mend, Owner};
use crate::replica::Moment;

/// What makes a deleted pod anew by itself, as it was.
const KINDS: [&str; 3] = ["StatefulSet", "ReplicaSet", "DaemonSet"];

/// A note is kept for a day at least, while pods come and go.
const KEPT: Moment = 24 * 60 * 60;

/// What is noted of an owner whose pods were healed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Healed {
    pub namespace: String,
    pub kind: String,
    pub name: String,
    /// What its pods should get.
    pub policies: String,
    /// When the youngest of its unprotected pods had been made. One that is younger has been healed.
    pub until: Moment,
    /// When this was noted last.
    pub at: Moment,
}

/// A pod that may be made anew, and the note to be made of its owner before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Healing<'f> {
    pub found: &'f Found,
    pub owner: &'f Owner,
    pub note: Healed,
}

/// Who can be healed, by owner and the youngest pod first, with the policies that it should get.
fn healable(found: &[Found]) -> impl Iterator<Item = (&Found, &Owner, &str)> {
    found.iter().filter_map(|found| {
        let owner = found.owner.as_ref()?;
        let known = owner.api_version == "apps/v1" && KINDS.contains(&&*owner.kind);
        match &found.standing.mend {
            Mend::Anew { policies } if known => Some((found, owner, &**policies)),
            Mend::Anew { .. } | Mend::InPlace | Mend::Nothing => None,
        }
    })
}

/// The pods that may be healed, one of each owner: the youngest, as a rollout begins.
///
/// `healed` is what was noted, by the owner's uid.
#[must_use]
pub fn candidates<'f>(
    found: &'f [Found],
    healed: &BTreeMap<String, Healed>,
    now: Moment,
) -> Vec<Healing<'f>> {
    let mut chosen: BTreeMap<&str, Healing<'f>> = BTreeMap::new();
    for (found, owner, policies) in healable(found) {
        let noted = healed
            .get(&owner.uid)
            .filter(|note| note.policies == policies);
        if noted.is_some_and(|note| found.created > note.until) {
            continue;
        }
        let order = |it: &Found| (it.created, it.pod.len(), it.pod.clone());
        let until = noted.map_or(found.created, |note| note.until);
        let this = Healing {
            found,
            owner,
            note: Healed {
                namespace: found.namespace.clone(),
                kind: owner.kind.clone(),
                name: owner.name.clone(),
                policies: policies.to_owned(),
                until,
                at: now,
            },
        };
        match chosen.get_mut(&*owner.uid) {
            Some(other) if order(other.found) >= order(found) => {}
            Some(other) => *other = this,
            None => {
                chosen.insert(&owner.uid, this);
            }
        }
    }
    chosen.into_values().collect()
}

/// Whose pod was healed last, by its uid, if that was not long ago.
#[must_use]
pub fn last(healed: &BTreeMap<String, Healed>, now: Moment) -> Option<(&str, &Healed)> {
    let lately = healed
        .iter()
        .filter(|(_, note)| now.saturating_sub(note.at) < KEPT);
    let last = lately.max_by_key(|(_, note)| note.at);
    last.map(|(uid, note)| (uid.as_str(), note))
}

/// The notes of owners that have had no unprotected pod for a day or more.
#[must_use]
pub fn to_forget(found: &[Found], healed: &BTreeMap<String, Healed>, now: Moment) -> Vec<String> {
    let unprotected = |uid: &str| {
        let mut owners = found.iter().filter_map(|it| it.owner.as_ref());
        owners.any(|owner| owner.uid == uid)
    };
    let old = healed
        .iter()
        .filter(|(uid, note)| now.saturating_sub(note.at) >= KEPT && !unprotected(uid));
    old.map(|(uid, _)| uid.clone()).collect()
}

/// Whether all pods of a StatefulSet, a ReplicaSet or a DaemonSet are there and ready, as it says itself.
#[must_use]
pub fn is_ready(owner: &Value) -> bool {
    let (spec, status) = (&owner["spec"], &owner["status"]);
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let going = !owner["metadata"]["deletionTimestamp"].is_null();
    let stale = count(&status["observedGeneration"]) < count(&owner["metadata"]["generation"]);
    let (wanted, ready) = match status["desiredNumberScheduled"].as_u64() {
        Some(wanted) => (wanted, &status["numberReady"]),
        None => (
            spec["replicas"].as_u64().unwrap_or(1),
            &status["readyReplicas"],
        ),
    };
    !going && !stale && count(ready) >= wanted
}

/// The pod that an owner makes in the place of one of its own, to be shown to the API server.
#[must_use]
pub fn anew(owner: &Value, of: &Owner, pod: &str) -> Value {
    let mut made = owner["spec"]["template"].clone();
    made["apiVersion"] = json!("v1");
    made["kind"] = json!("Pod");
    let metadata = &mut made["metadata"];
    metadata["generateName"] = json!(format!("{}-", of.name));
    metadata["ownerReferences"] = json!([{
        "apiVersion": of.api_version, "kind": of.kind, "name": of.name, "uid": of.uid, "controller": true,
    }]);
    let claims = owner["spec"]["volumeClaimTemplates"].as_array();
    let claims = claims.into_iter().flatten().filter_map(|claim| {
        let name = claim["metadata"]["name"].as_str()?;
        let claim = json!({"claimName": format!("{name}-{pod}")});
        Some(json!({"name": name, "persistentVolumeClaim": claim}))
    });
    let claims: Vec<Value> = claims.collect();
    if !claims.is_empty() {
        let mut volumes = made["spec"]["volumes"].as_array().cloned();
        let volumes = volumes.get_or_insert_default();
        volumes.extend(claims);
        made["spec"]["volumes"] = json!(volumes);
    }
    made
}
