//! What is known of each object, and what its condition should say.
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::{api::DynamicObject, runtime::watcher::Event};
use serde_json::{Value, json};

use super::Kind;
use crate::policy::{
    Policy, PolicySet,
    crd::ACCEPTED,
    resource::{Judged, judge},
};

/// Namespace and name.
type Id = (Option<String>, String);

/// All objects of both kinds.
#[derive(Debug, Default)]
pub struct Known {
    objects: BTreeMap<(Kind, Id), Object>,
    listed: BTreeSet<Kind>,
    /// What the lists under way have brought.
    listing: BTreeSet<(Kind, Id)>,
    /// Whether an object was refused since somebody asked.
    refused: bool,
    /// How many changes there were, and how many of them are in force.
    changes: u64,
    in_force: u64,
}

#[derive(Debug)]
struct Object {
    generation: Option<i64>,
    /// The last version without an error.
    policy: Option<Arc<Policy>>,
    standing: Standing,
    remark: Option<String>,
    /// The condition as the object has it, and since when.
    condition: Option<(Condition, String)>,
}

/// What became of an object, as its condition has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Accepted,
    AcceptedWithWarnings,
    /// There is an error in it, and what it said before goes on.
    LastGoodInForce,
    Invalid,
}

impl Standing {
    pub const ALL: &'static [Self] = &[
        Self::Accepted,
        Self::AcceptedWithWarnings,
        Self::LastGoodInForce,
        Self::Invalid,
    ];

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::AcceptedWithWarnings => "AcceptedWithWarnings",
            Self::LastGoodInForce => "LastGoodInForce",
            Self::Invalid => "Invalid",
        }
    }

    const fn is_accepted(self) -> bool {
        match self {
            Self::Accepted | Self::AcceptedWithWarnings => true,
            Self::LastGoodInForce | Self::Invalid => false,
        }
    }
}

/// What a condition says, without the time since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    accepted: bool,
    reason: String,
    message: String,
    generation: Option<i64>,
}

/// An object whose condition is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    pub kind: Kind,
    pub namespace: Option<String>,
    pub name: String,
    condition: Condition,
    /// Since when the condition has had its status, when that stays.
    since: Option<String>,
}

impl Due {
    /// The object with the condition alone, to be applied to its status.
    #[must_use]
    pub fn manifest(&self, now: &str) -> Value {
        let Condition {
            accepted,
            reason,
            message,
            generation,
        } = &self.condition;
        let resource = self.kind.resource();
        let mut manifest = json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": self.name},
            "status": {"conditions": [{
                "type": ACCEPTED,
                "status": if *accepted { "True" } else { "False" },
                "reason": reason,
                "message": message,
                "observedGeneration": generation,
                "lastTransitionTime": self.since.as_deref().unwrap_or(now),
            }]},
        });
        if let Some(namespace) = &self.namespace {
            manifest["metadata"]["namespace"] = namespace.as_str().into();
        }
        manifest
    }
}

impl Known {
    /// Whether both lists have arrived.
    pub fn is_whole(&self) -> bool {
        self.listed.len() == Kind::ALL.len()
    }

    /// The policies that are in force, those for all namespaces and those of one.
    pub fn policies(&self) -> Vec<Arc<Policy>> {
        let objects = self.objects.values();
        objects.filter_map(|it| it.policy.clone()).collect()
    }

    pub fn refused(&self) -> usize {
        let objects = self.objects.values();
        objects.filter(|it| !it.standing.is_accepted()).count()
    }

    /// The number of the last change, to be told when it is in force.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Notes that all up to this change are in force: before, no condition may say so.
    pub const fn are_in_force(&mut self, changes: u64) {
        self.in_force = changes;
    }

    pub fn take_refused(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Whether other policies are to be in force now, or those known are to be for the first time.
    pub fn hear(&mut self, kind: Kind, event: Event<DynamicObject>) -> bool {
        let changed = self.heard(kind, event);
        self.changes += u64::from(changed);
        changed
    }

    fn heard(&mut self, kind: Kind, event: Event<DynamicObject>) -> bool {
        match event {
            Event::Init => {
                self.listing.retain(|(of, _)| *of != kind);
                false
            }
            Event::InitApply(object) => {
                self.listing.insert((kind, id(&object)));
                self.note(kind, &object)
            }
            Event::Apply(object) => self.note(kind, &object),
            Event::Delete(object) => self.objects.remove(&(kind, id(&object))).is_some(),
            Event::InitDone => {
                let before = self.objects.len();
                let heard = std::mem::take(&mut self.listing);
                self.objects
                    .retain(|key, _| key.0 != kind || heard.contains(key));
                self.listing = heard.into_iter().filter(|(of, _)| *of != kind).collect();
                let whole = self.listed.insert(kind) && self.is_whole();
                whole || self.objects.len() != before
            }
        }
    }

    /// Judges an object; whether its policy or its standing is another now.
    pub fn note(&mut self, kind: Kind, object: &DynamicObject) -> bool {
        let key = (kind, id(object));
        let before = self.objects.remove(&key);
        let (was, last) = match before {
            Some(before) => (Some(before.standing), before.policy),
            None => (None, None),
        };
        let Judged { policy, remark } = judge(&whole(kind, object));
        let standing = match (&policy, &last, &remark) {
            (Some(_), _, None) => Standing::Accepted,
            (Some(_), _, Some(_)) => Standing::AcceptedWithWarnings,
            (None, Some(_), _) => Standing::LastGoodInForce,
            (None, None, _) => Standing::Invalid,
        };
        let same = policy.is_none() || policy.as_ref() == last.as_deref();
        let now = object.metadata.generation;
        if was != Some(standing) || !same {
            self.refused |= !standing.is_accepted();
            say(kind, &key.1, standing, remark.as_deref());
        }
        let changed = was != Some(standing) || !same;
        let policy = if same { last } else { policy.map(Arc::new) };
        self.objects.insert(
            key,
            Object {
                generation: now,
                policy,
                standing,
                remark,
                condition: condition(object),
            },
        );
        changed
    }

    /// The conditions that are not as they should be; none while a change is not in force yet.
    pub fn due(&self, in_force: &PolicySet) -> Vec<Due> {
        if self.in_force != self.changes {
            return Vec::new();
        }
        let objects = self.objects.iter();
        let due = objects.filter_map(|((kind, (namespace, name)), object)| {
            let condition = object.wanted(in_force);
            let there = object.condition.as_ref();
            if there.is_some_and(|(there, _)| *there == condition) {
                return None;
            }
            let same = there.filter(|(there, _)| there.accepted == condition.accepted);
            Some(Due {
                kind: *kind,
                namespace: namespace.clone(),
                name: name.clone(),
                condition,
                since: same.map(|(_, since)| since.clone()),
            })
        });
        due.collect()
    }
}

impl Object {
    fn wanted(&self, in_force: &PolicySet) -> Condition {
        let replaces = self
            .policy
            .as_deref()
            .is_some_and(|it| in_force.replaces(it));
        let place = if replaces {
            "in force, in its namespace in place of the policy of this name for all namespaces"
        } else {
            "in force"
        };
        let remark = self.remark.as_deref().unwrap_or_default();
        let message = match self.standing {
            Standing::Accepted => place.to_owned(),
            Standing::AcceptedWithWarnings => format!("{place}; {remark}"),
            Standing::LastGoodInForce => {
                format!("{remark}; the last version without an error stays {place}")
            }
            Standing::Invalid => remark.to_owned(),
        };
        Condition {
            accepted: self.standing.is_accepted(),
            reason: self.standing.as_str().to_owned(),
            message,
            generation: self.generation,
        }
    }
}

fn id(object: &DynamicObject) -> Id {
    let metadata = &object.metadata;
    let name = metadata.name.clone().unwrap_or_default();
    (metadata.namespace.clone(), name)
}

/// The object as its author wrote it: of the items of a list kind and version are said once for all.
fn whole(kind: Kind, object: &DynamicObject) -> Value {
    let metadata = &object.metadata;
    let mut own = json!({"name": metadata.name, "annotations": metadata.annotations});
    if let Some(namespace) = &metadata.namespace {
        own["namespace"] = namespace.as_str().into();
    }
    json!({
        "apiVersion": kind.resource().api_version,
        "kind": kind.as_str(),
        "metadata": own,
        "spec": object.data["spec"],
    })
}

fn condition(object: &DynamicObject) -> Option<(Condition, String)> {
    let conditions = object.data["status"]["conditions"].as_array()?;
    let ours = conditions.iter().find(|it| it["type"] == ACCEPTED)?;
    let text = |field: &str| ours[field].as_str().unwrap_or_default().to_owned();
    let condition = Condition {
        accepted: ours["status"] == "True",
        reason: text("reason"),
        message: text("message"),
        generation: ours["observedGeneration"].as_i64(),
    };
    Some((condition, text("lastTransitionTime")))
}

fn say(kind: Kind, (namespace, name): &Id, standing: Standing, remark: Option<&str>) {
    macro_rules! line {
        ($level:ident, $what:literal) => {
            tracing::$level!(
                kind = kind.as_str(),
                namespace,
                name,
                reason = standing.as_str(),
                remark,
                $what
            )
        };
    }
    match standing {
        Standing::Accepted | Standing::AcceptedWithWarnings => {
            line!(debug, "a policy of the cluster is sound");
        }
        Standing::LastGoodInForce => line!(
            warn,
            "a policy of the cluster has an error, its last good version stays in force"
        ),
        Standing::Invalid => line!(
            warn,
            "a policy of the cluster has an error and is not in force"
        ),
    }
}

#[cfg(test)]
mod tests;
