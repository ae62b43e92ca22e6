//! A Backup or Restore as it comes from a watch: nothing is read of it but what the ledger keeps.
use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};
use kube::{
    Resource,
    api::ObjectMeta,
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize;

use crate::{
    results::ledger::{Key, Object},
    velero::{
        objects::Kind,
        verification::{FINISHED_AT, SCHEDULE_LABEL, VERDICT, Verdict},
    },
};

#[derive(Clone, Debug, Deserialize)]
pub struct Slim {
    #[serde(deserialize_with = "slim")]
    metadata: ObjectMeta,
    #[serde(default)]
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    completion_timestamp: Option<Time>,
    #[serde(rename = "hookStatus")]
    hooks: Option<Hooks>,
}

#[derive(Clone, Debug, Deserialize)]
struct Hooks {
    /// Of zero Velero says nothing.
    #[serde(default, rename = "hooksAttempted")]
    attempted: u64,
}

/// The resource of a kind.
pub fn resource(kind: Kind) -> ApiResource {
    let of_velero = GroupVersionKind::gvk("velero.io", "v1", kind.as_str());
    ApiResource::from_gvk_with_plural(&of_velero, kind.plural())
}

impl Slim {
    pub fn key(&self, kind: Kind) -> Key {
        Key {
            kind,
            name: self.metadata.name.clone().unwrap_or_default(),
        }
    }

    /// What is kept of it.
    pub fn kept(self, kind: Kind) -> Object {
        let Self { metadata, status } = self;
        let Status {
            phase,
            completion_timestamp,
            hooks,
        } = status;
        let over = matches!(
            phase.as_deref(),
            Some("Completed" | "PartiallyFailed" | "Failed")
        );
        let attempted = hooks.map(|it| it.attempted > 0);
        let labels = metadata.labels.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default();
        let annotation = |key| annotations.get(key);
        let verdict = annotation(VERDICT).and_then(|it| Verdict::read(it));
        let at = annotation(FINISHED_AT).and_then(|it| it.parse::<Timestamp>().ok());
        Object {
            uid: metadata.uid.unwrap_or_default(),
            schedule: labels.get(SCHEDULE_LABEL).cloned().unwrap_or_default(),
            ended: completion_timestamp
                .filter(|_| over)
                .map(|time| time.0.as_second()),
            partly: phase.as_deref() == Some("PartiallyFailed"),
            // A restore may say nothing of hooks that ran, and older releases say nothing at all.
            has_hooks: match kind {
                Kind::Backup => attempted.unwrap_or(true),
                Kind::Restore => true,
            },
            verified: verdict.zip(at.map(Timestamp::as_second)),
        }
    }
}

fn slim<'de, D: serde::Deserializer<'de>>(from: D) -> Result<ObjectMeta, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Kept {
        name: Option<String>,
        namespace: Option<String>,
        uid: Option<String>,
        resource_version: Option<String>,
        labels: Option<BTreeMap<String, String>>,
        annotations: Option<BTreeMap<String, String>>,
    }
    let Kept {
        name,
        namespace,
        uid,
        resource_version,
        labels,
        annotations,
    } = Kept::deserialize(from)?;
    Ok(ObjectMeta {
        name,
        namespace,
        uid,
        resource_version,
        labels,
        annotations,
        ..ObjectMeta::default()
    })
}

impl Resource for Slim {
    type DynamicType = ApiResource;
    type Scope = kube::core::DynamicResourceScope;

    fn kind(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.kind)
    }

    fn group(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.group)
    }

    fn version(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.version)
    }

    fn plural(dt: &ApiResource) -> Cow<'_, str> {
        Cow::Borrowed(&dt.plural)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_backup_is_kept_how_it_ended_and_how_it_was_verified() {
        let object = |status: serde_json::Value| {
            let object = json!({
                "metadata": {
                    "name": "nightly-1", "uid": "u", "managedFields": [{}],
                    "labels": {SCHEDULE_LABEL: "nightly"},
                    "annotations": {VERDICT: "passed", FINISHED_AT: "2026-11-21T22:31:13Z"},
                },
                "spec": {"includedNamespaces": ["shop"]},
                "status": status,
            });
            let slim: Slim = serde_json::from_value(object).unwrap();
            assert_eq!(slim.key(Kind::Backup).name, "nightly-1");
            slim.kept(Kind::Backup)
        };
        let at = "2026-11-21T20:00:10Z";
        let ended = object(json!({
            "phase": "PartiallyFailed", "completionTimestamp": at, "hookStatus": {"hooksAttempted": 2},
        }));
        let expected = Object {
            uid: "u".to_owned(),
            schedule: "nightly".to_owned(),
            ended: Some(1_795_291_210),
            partly: true,
            has_hooks: true,
            verified: Some((Verdict::Passed, 1_795_300_273)),
        };
        assert_eq!(ended, expected);
        let under_way = object(json!({"phase": "Finalizing", "completionTimestamp": at}));
        assert_eq!(under_way.ended, None);
        let without =
            object(json!({"phase": "Completed", "completionTimestamp": at, "hookStatus": {}}));
        assert!(!without.has_hooks && !without.partly);
        assert_eq!(object(json!({})).ended, None);
    }
}
