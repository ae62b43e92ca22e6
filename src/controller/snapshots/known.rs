//! What a ConsistentSnapshot says that is known without asking, and whether something is to be done about it.

use k8s_openapi::jiff::Timestamp;
use kube::api::DynamicObject;

use crate::snapshot::Phase;

/// An object with it is not gone before what was held for it is let go of.
pub const FINALIZER: &str = "quiescent.dev/undo";

/// Namespace and name.
pub type Key = (String, String);

/// What is known of an object without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub is_deleted: bool,
    pub has_finalizer: bool,
    /// When it has ended, in seconds since 1970.
    pub ended: Option<i64>,
    /// Whether it ended well.
    pub is_good: bool,
    /// When it is to be deleted.
    pub goes: Option<i64>,
}

impl Known {
    pub fn of(object: &DynamicObject) -> Self {
        let status = &object.data["status"];
        let finalizers = object.metadata.finalizers.as_deref().unwrap_or_default();
        let ended = status["completionTime"].as_str();
        let ended = ended.and_then(|it| it.parse::<Timestamp>().ok());
        let ended = ended.map(Timestamp::as_second);
        let lasts = object.data["spec"]["ttlSecondsAfterFinished"].as_i64();
        Self {
            is_deleted: object.metadata.deletion_timestamp.is_some(),
            has_finalizer: finalizers.iter().any(|it| it == FINALIZER),
            ended,
            is_good: status["phase"] == Phase::Ready.as_str(),
            goes: ended.zip(lasts).map(|(ended, lasts)| ended + lasts),
        }
    }

    /// Whether there is something to be done about it.
    pub fn is_due(&self, now: i64) -> bool {
        let Self {
            is_deleted,
            has_finalizer,
            ended,
            is_good: _,
            goes,
        } = self;
        if ended.is_some() {
            return *has_finalizer || (!is_deleted && goes.is_some_and(|it| it <= now));
        }
        *has_finalizer || !is_deleted
    }
}

pub fn key(object: &DynamicObject) -> Key {
    let metadata = &object.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (text(&metadata.namespace), text(&metadata.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_goes_when_its_time_has_come_and_nothing_goes_before_it_is_undone() {
        let known = |is_deleted, has_finalizer, goes: Option<i64>, has_ended: bool| Known {
            is_deleted,
            has_finalizer,
            ended: has_ended.then_some(1),
            is_good: false,
            goes,
        };
        for (seen, due) in [
            (known(false, false, None, false), true),
            (known(true, true, None, false), true),
            (known(true, false, None, false), false),
            (known(false, false, None, true), false),
            (known(false, true, None, true), true),
            (known(false, false, Some(10), true), true),
            (known(false, false, Some(11), true), false),
            (known(true, false, Some(10), true), false),
        ] {
            assert_eq!(seen.is_due(10), due, "{seen:?}");
        }
    }
}
