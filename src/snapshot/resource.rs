//! The custom resources of snapshots as they are written: one that is wanted, and hooks of one claim.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Terms;
use crate::{
    policy::file::LabelSelector,
    trial::{Hook, Hooks},
    velero::{ExecHook, HookPhase, OnError, Timeout},
};

/// A request for snapshots.
pub const REQUEST: &str = "ConsistentSnapshot";
pub const REQUESTS: &str = "consistentsnapshots";

/// Hooks of a claim.
pub const HOOK: &str = "SnapshotHook";
pub const HOOKS: &str = "snapshothooks";

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

/// What runs in the pods that mount a claim while a snapshot of it is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimHooks {
    /// The claim, in the namespace of the object.
    #[serde(rename = "targetPVC")]
    pub target_pvc: String,
    /// Before the snapshot. One that does not end with 0 ends it, and the post hook undoes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_hook: Option<ClaimHook>,
    /// As soon as the snapshot is cut, and whenever the pre hook has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_hook: Option<ClaimHook>,
    /// Where they run, else in the first container of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Labels of the one pod of several that mount the claim, as `role: primary`. Without it they run in all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClaimHook {
    pub exec: Exec,
    /// How long it is waited for.
    #[serde(default = "hook_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// A program and its arguments, run without a shell.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
}

const fn hook_timeout() -> u32 {
    30
}

/// A SnapshotHook by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    pub hooks: ClaimHooks,
}

impl Named {
    /// That of an object.
    ///
    /// # Errors
    /// What in it cannot be read.
    pub fn of(object: &Value) -> Result<Self, String> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let hooks = serde_json::from_value(object["spec"].clone());
        let hooks: ClaimHooks =
            hooks.map_err(|error| format!("SnapshotHook {name} cannot be read: {error}"))?;
        if hooks.pre_hook.is_none() && hooks.post_hook.is_none() {
            return Err(format!(
                "SnapshotHook {name} has neither preHook nor postHook"
            ));
        }
        let name = name.to_owned();
        Ok(Self { name, hooks })
    }

    /// What runs in a pod for it.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let ClaimHooks {
            pre_hook,
            post_hook,
            container,
            ..
        } = &self.hooks;
        let hook = |phase, hook: &Option<ClaimHook>| {
            hook.as_ref().map(|it| {
                Hook::Exec(ExecHook {
                    phase,
                    command: it.exec.command.clone(),
                    container: container.clone(),
                    on_error: OnError::Fail,
                    timeout: Timeout::from_seconds(it.timeout_seconds),
                    unread_timeout: None,
                })
            })
        };
        Hooks {
            pre: hook(HookPhase::Pre, pre_hook),
            post: hook(HookPhase::Post, post_hook),
        }
    }

    fn selects(&self, labels: &Value) -> bool {
        let mut wanted = self.hooks.pod_labels.iter();
        wanted.all(|(key, value)| labels[key] == value.as_str())
    }
}

/// What is said of a pod by SnapshotHooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'n> {
    /// None is of a claim of it.
    Nothing,
    /// This one says which hooks run, and no policy does.
    Hooks(&'n Named),
    /// Others of its claim are, for other pods.
    AnotherPod(&'n Named),
}

/// Which of these SnapshotHooks says what runs in a pod, given as an object, for a snapshot of `claims` of it.
///
/// # Errors
/// That several do.
pub fn said<'n>(all: &'n [Named], pod: &Value, claims: &[&str]) -> Result<Said<'n>, String> {
    let meant = all.iter();
    let meant = meant.filter(|it| claims.contains(&it.hooks.target_pvc.as_str()));
    let (selecting, others): (Vec<_>, Vec<_>) =
        meant.partition(|it| it.selects(&pod["metadata"]["labels"]));
    match (&selecting[..], others.first()) {
        ([], None) => Ok(Said::Nothing),
        ([], Some(other)) => Ok(Said::AnotherPod(other)),
        ([one], _) => Ok(Said::Hooks(one)),
        (several, _) => {
            let each = several.iter();
            let each = each.map(|it| format!("{} (of {})", it.name, it.hooks.target_pvc));
            Err(format!(
                "several SnapshotHooks say what runs in it: {}; a pod follows one",
                each.collect::<Vec<_>>().join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(name: &str, claim: &str, labels: &Value) -> Named {
        let object = json!({
            "metadata": {"name": name},
            "spec": {
                "targetPVC": claim, "container": "db", "podLabels": labels,
                "preHook": {"exec": {"command": ["hold"]}, "timeoutSeconds": 5},
                "postHook": {"exec": {"command": ["let", "go"]}},
            },
        });
        Named::of(&object).unwrap()
    }

    #[test]
    fn a_request_says_what_and_for_how_long() {
        let object = |spec: Value| json!({"spec": spec});
        let request = Request::of(&object(json!({
            "target": {"statefulSet": "pg"}, "cutTimeout": "5s", "onUnusable": "Delete",
        })));
        let request = request.unwrap();
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

    #[test]
    fn hooks_of_a_claim_are_run_as_any() {
        let hooks = named("one", "data", &json!({})).hooks();
        let exec = |hook: Option<Hook>| hook.unwrap().exec().unwrap().clone();
        let (pre, post) = (exec(hooks.pre), exec(hooks.post));
        assert_eq!(
            (pre.command, pre.timeout.seconds()),
            (vec!["hold".to_owned()], 5)
        );
        assert_eq!((post.command.len(), post.timeout.seconds()), (2, 30));
        assert_eq!(pre.container.as_deref(), Some("db"));
        let empty = json!({"metadata": {"name": "a"}, "spec": {"targetPVC": "data"}});
        assert!(Named::of(&empty).unwrap_err().contains("neither preHook"));
    }

    #[test]
    fn one_says_what_runs_in_a_pod_and_no_more() {
        let pod = json!({"metadata": {"labels": {"role": "primary"}}});
        let all = [
            named("mine", "data", &json!({"role": "primary"})),
            named("others", "data", &json!({"role": "replica"})),
            named("wal", "wal", &json!({})),
            named("logs", "logs", &json!({"role": "replica"})),
        ];
        let name = |claims: &[&str]| said(&all, &pod, claims).map(|it| format!("{it:?}"));
        for (claims, expected) in [
            (&["data"][..], "Hooks(Named { name: \"mine\""),
            (&["wal"], "Hooks(Named { name: \"wal\""),
            (&["logs"], "AnotherPod(Named { name: \"logs\""),
            (&["tmp"], "Nothing"),
        ] {
            let found = name(claims).unwrap();
            assert!(found.starts_with(expected), "{found}");
        }
        let why = name(&["data", "wal"]).unwrap_err();
        assert!(why.contains("mine (of data), wal (of wal)"), "{why}");
    }
}
