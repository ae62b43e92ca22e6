//! The custom resources of snapshots as they are written: one that is wanted, and hooks of one claim.

mod hook;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use hook::{ClaimHooks, HOOK, HOOKS, Named, Said, said};

use super::Terms;
use crate::{policy::file::LabelSelector, velero::Timeout};

/// A request for snapshots.
pub const REQUEST: &str = "ConsistentSnapshot";
pub const REQUESTS: &str = "consistentsnapshots";

/// What is wanted. It never changes: another snapshot is another object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// What is to be snapshot, in the namespace of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Wanted>,
    /// All claims of the running pods with these labels, in place of a target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The VolumeSnapshotClass, else the default one of the driver of each claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_class_name: Option<String>,
    /// Whether several claims are cut in one moment, as a VolumeGroupSnapshot.
    #[serde(default)]
    pub group: Group,
    /// How long to wait until all is cut, while pods may be held.
    #[serde(default = "cut_timeout")]
    pub cut_timeout: Timeout,
    /// How long to wait until the snapshots can be restored; nothing is held then.
    #[serde(default = "ready_timeout")]
    pub timeout: Timeout,
    /// How far the clock of the storage may be from that of the API server.
    #[serde(default = "skew")]
    pub skew: Timeout,
    /// After success, what is older than the newest so many consistent ones of the same target is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub keep: Option<u32>,
    /// Run no hooks: what is taken is as after a power cut, and labelled so.
    #[serde(default)]
    pub without_hooks: bool,
    /// What becomes of snapshots that are not consistent.
    #[serde(default)]
    pub on_unusable: OnUnusable,
    /// So long after its end this object is deleted; its snapshots stay. Never, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<u32>,
}

/// One of these.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Wanted {
    /// All claims of a pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// One claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// All claims of all its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful_set: Option<String>,
    /// All claims of all its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// All claims of all its pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon_set: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Group {
    /// Where it can be done.
    #[default]
    Auto,
    /// Or not at all.
    Always,
    /// One by one.
    Never,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnUnusable {
    /// They are labelled so.
    #[default]
    Label,
    /// They are deleted.
    Delete,
}

const fn cut_timeout() -> Timeout {
    Timeout::from_seconds(60)
}

const fn ready_timeout() -> Timeout {
    Timeout::from_seconds(600)
}

const fn skew() -> Timeout {
    Timeout::from_seconds(2)
}

impl Request {
    /// That of an object.
    ///
    /// # Errors
    /// What in it cannot be read.
    pub fn of(object: &Value) -> Result<Self, String> {
        let request: Self = serde_json::from_value(object["spec"].clone())
            .map_err(|error| format!("its spec cannot be read: {error}"))?;
        if request.selector.is_none() && request.target.as_ref().and_then(Wanted::text).is_none() {
            return Err("it names neither a target nor a selector".to_owned());
        }
        Ok(request)
    }

    #[must_use]
    pub fn terms(&self) -> Terms {
        Terms {
            cut: self.cut_timeout.to_std(),
            ready: self.timeout.to_std(),
            skew: self.skew.to_std(),
            delete_unusable: self.on_unusable == OnUnusable::Delete,
        }
    }
}

impl Wanted {
    /// As kubectl writes it: `statefulset/pg`.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let Self {
            pod,
            claim,
            stateful_set,
            deployment,
            daemon_set,
        } = self;
        let mut ways = [
            ("pod", pod),
            ("pvc", claim),
            ("statefulset", stateful_set),
            ("deployment", deployment),
            ("daemonset", daemon_set),
        ]
        .into_iter();
        ways.find_map(|(kind, name)| Some(format!("{kind}/{}", name.as_deref()?)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_says_what_and_for_how_long() {
        let object = |spec: Value| json!({"spec": spec});
        let request = Request::of(&object(json!({
            "target": {"statefulSet": "pg"}, "cutTimeout": "5s", "onUnusable": "Delete",
            "group": "Never",
        })));
        let request = request.unwrap();
        assert_eq!(request.group, Group::Never);
        assert_eq!(
            request.target.as_ref().unwrap().text().unwrap(),
            "statefulset/pg"
        );
        let terms = request.terms();
        assert_eq!((terms.cut.as_secs(), terms.ready.as_secs()), (5, 600));
        assert!(terms.delete_unusable);
        for (spec, why) in [
            (json!({}), "neither a target nor a selector"),
            (json!({"target": {}}), "neither a target nor a selector"),
            (
                json!({"target": {"pod": "a"}, "timeout": "5 minutes"}),
                "cannot be read",
            ),
        ] {
            let said = Request::of(&object(spec)).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
