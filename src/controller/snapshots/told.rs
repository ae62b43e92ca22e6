//! Says on a ConsistentSnapshot, by an Event, what became of it.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType};

use super::{
    super::{asking::Halt, telling::tell},
    Snapshots,
    keeper::Object,
};
use crate::{
    policy::crd::{GROUP, VERSION},
    snapshot::{Verdict, resource::REQUEST},
};

impl Snapshots {
    /// What cannot be said stands in its status.
    pub(super) async fn told(
        &self,
        object: &Object<'_>,
        namespace: &str,
        verdict: Option<Verdict>,
        note: &str,
    ) {
        let is_good = verdict.is_some_and(Verdict::is_good);
        let event = Event {
            type_: if is_good {
                EventType::Normal
            } else {
                EventType::Warning
            },
            reason: if is_good {
                "SnapshotTaken"
            } else {
                "SnapshotFailed"
            }
            .to_owned(),
            note: Some(note.to_owned()),
            action: "Snapshot".to_owned(),
            secondary: None,
        };
        let about = ObjectReference {
            api_version: Some(format!("{GROUP}/{VERSION}")),
            kind: Some(REQUEST.to_owned()),
            name: Some(object.name.clone()),
            namespace: Some(namespace.to_owned()),
            uid: Some(object.uid.clone()),
            ..ObjectReference::default()
        };
        if let Err(Halt::Failed(failure, reason)) =
            tell(&self.client, &self.asking, event, &about).await
        {
            tracing::warn!(
                failure = failure.as_str(),
                reason,
                "no Event says what became of a ConsistentSnapshot"
            );
        }
    }
}
