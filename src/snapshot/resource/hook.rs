//! A SnapshotHook as it is written, what runs for it, and in which pods.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    policy::{
        file::{self, Http, Retry},
        resource::{Called, judge_call},
    },
    trial::{Hook, Hooks},
    velero::{ExecHook, HookPhase, OnError, Timeout},
};

/// Hooks of a claim.
pub const HOOK: &str = "SnapshotHook";
pub const HOOKS: &str = "snapshothooks";

/// What runs in the pods that mount a claim while a snapshot of it is taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClaimHooks {
    /// The claim, in the namespace of the object.
    #[serde(rename = "targetPVC")]
    pub target_pvc: String,
    /// Before the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_hook: Option<ClaimHook>,
    /// As soon as the snapshot is cut, and whenever the pre hook has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post_hook: Option<ClaimHook>,
    /// Where commands run, else in the first container of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Labels of the one pod of several that mount the claim, as `role: primary`. Without it they run in all.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_labels: BTreeMap<String, String>,
}

/// A command, or a call over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClaimHook {
    /// A command in a container of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<Exec>,
    /// A call over HTTP, as the hook of a policy makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// How long it is waited for, all attempts together.
    #[serde(default = "hook_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: u32,
    /// What a failure means. Of the pre hook: with `Fail` there is no snapshot and the post hook undoes, with `Continue` there is one, never called consistent. Of the post hook: with `Fail` the snapshot is not called consistent, with `Continue` it says nothing about the snapshot.
    #[serde(default = "on_error")]
    pub on_error: OnError,
    /// How often a call is made that does not succeed. A pre hook is called again only when nobody has heard it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// A program and its arguments, run without a shell.
    #[schemars(length(min = 1))]
    pub command: Vec<String>,
}

const fn hook_timeout() -> u32 {
    30
}

const fn on_error() -> OnError {
    OnError::Fail
}

/// A SnapshotHook by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub name: String,
    /// The claim that it is of.
    pub claim: String,
    /// What runs, or why nothing can.
    pub hooks: Result<Hooks, String>,
    /// What is to be known of it all the same.
    pub warning: Option<String>,
    pod_labels: BTreeMap<String, String>,
}

impl Named {
    /// That of an object. One that nobody can follow is of its claim all the same.
    ///
    /// # Errors
    /// That it names no claim.
    pub fn of(object: &Value) -> Result<Self, String> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let spec = &object["spec"];
        let Some(claim) = spec["targetPVC"].as_str() else {
            return Err(format!("SnapshotHook {name} names no claim: add targetPVC"));
        };
        let labels = serde_json::from_value(spec["podLabels"].clone());
        let (hooks, warning) = match read(object) {
            Ok((hooks, warning)) => (Ok(hooks), warning),
            Err(why) => (Err(format!("SnapshotHook {name}: {why}")), None),
        };
        Ok(Self {
            name: name.to_owned(),
            claim: claim.to_owned(),
            hooks,
            warning,
            pod_labels: labels.unwrap_or_default(),
        })
    }

    /// Whether it is of a pod that mounts its claim, given as an object.
    #[must_use]
    pub fn selects(&self, pod: &Value) -> bool {
        let labels = &pod["metadata"]["labels"];
        let mut wanted = self.pod_labels.iter();
        wanted.all(|(key, value)| labels[key] == value.as_str())
    }
}

/// What runs for an object, and what is to be known of that.
fn read(object: &Value) -> Result<(Hooks, Option<String>), String> {
    let ClaimHooks {
        target_pvc: _,
        pre_hook,
        post_hook,
        container,
        pod_labels: _,
    } = serde_json::from_value(object["spec"].clone())
        .map_err(|error| format!("its spec cannot be read: {error}"))?;
    if pre_hook.is_none() && post_hook.is_none() {
        return Err("it has neither preHook nor postHook".to_owned());
    }
    let mut warnings = Vec::new();
    let mut hook = |phase, field, hook: Option<ClaimHook>| {
        let Some(hook) = hook else { return Ok(None) };
        let at = ["spec", field];
        let (hook, warning) = hook.read(object, &at, phase, container.as_ref())?;
        warnings.extend(warning);
        Ok::<_, String>(Some(hook))
    };
    let hooks = Hooks {
        pre: hook(HookPhase::Pre, "preHook", pre_hook)?,
        post: hook(HookPhase::Post, "postHook", post_hook)?,
        obeys_on_error: true,
    };
    Ok((hooks, warnings.into_iter().next()))
}

impl ClaimHook {
    fn read(
        self,
        object: &Value,
        at: &[&str],
        phase: HookPhase,
        container: Option<&String>,
    ) -> Result<(Hook, Option<String>), String> {
        let Self {
            exec,
            http,
            timeout_seconds,
            on_error,
            retry,
        } = self;
        let timeout = Timeout::from_seconds(timeout_seconds);
        match (exec, http) {
            (Some(Exec { command }), None) if retry.is_none() && !command.is_empty() => {
                let hook = ExecHook {
                    phase,
                    command,
                    container: container.cloned(),
                    on_error,
                    timeout,
                    unread_timeout: None,
                };
                Ok((Hook::Exec(hook), None))
            }
            (Some(_), None) if retry.is_some() => Err(format!(
                "{}.retry: only calls are made again, a command tries again by itself",
                at.join(".")
            )),
            (None, Some(http)) => {
                let hook = file::Hook {
                    script: None,
                    command: None,
                    http: Some(http),
                    timeout,
                    on_error,
                    retry,
                };
                let Called { call, warning } = judge_call(object, at, &hook)?;
                Ok((Hook::http(phase, &call), warning))
            }
            (Some(_), None) => Err(format!("{}.exec.command is empty", at.join("."))),
            (None, None) | (Some(_), Some(_)) => {
                Err(format!("{}: a hook is one of exec and http", at.join(".")))
            }
        }
    }
}

/// What is said of a pod by SnapshotHooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said<'n> {
    /// None is of a claim of it.
    Nothing,
    /// This one says which hooks run, and no policy does.
    Hooks { named: &'n Named, hooks: &'n Hooks },
    /// Others of its claim are, for other pods.
    AnotherPod(&'n Named),
}

/// Which of these SnapshotHooks says what runs in a pod, given as an object, for a snapshot of `claims` of it.
///
/// # Errors
/// That several do, or that nobody can follow the one that does.
pub fn said<'n>(all: &'n [Named], pod: &Value, claims: &[&str]) -> Result<Said<'n>, String> {
    let meant = all.iter();
    let meant = meant.filter(|it| claims.contains(&it.claim.as_str()));
    let (selecting, others): (Vec<_>, Vec<_>) = meant.partition(|it| it.selects(pod));
    match (&selecting[..], others.first()) {
        ([], None) => Ok(Said::Nothing),
        ([], Some(other)) => Ok(Said::AnotherPod(other)),
        ([named], _) => match &named.hooks {
            Ok(hooks) => Ok(Said::Hooks { named, hooks }),
            Err(why) => Err(why.clone()),
        },
        (several, _) => {
            let each = several.iter();
            let each = each.map(|it| format!("{} (of {})", it.name, it.claim));
            Err(format!(
                "several SnapshotHooks say what runs in it: {}; a pod follows one",
                each.collect::<Vec<_>>().join(", ")
            ))
        }
    }
}

#[cfg(test)]
mod tests;
