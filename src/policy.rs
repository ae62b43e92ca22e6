//! Policies: from a text with scripts beside it to what the engine asks.
//!
//! Everything that can be wrong with a policy is found here, so that nothing after it can fail.

pub mod call;
pub mod coordinator;
pub mod crd;
pub mod file;
mod fingerprint;
pub mod glob;
mod image;
mod invocation;
mod lint;
pub mod name;
mod parse;
pub mod resource;
mod rule;
mod scripts;
mod selector;
mod set;

use std::{borrow::Cow, collections::BTreeMap};

pub use coordinator::Coordinator;
pub use file::{Delivery, OnConflict, ParameterType, Role};
pub use fingerprint::fingerprint;
pub use image::{Comparison, Image, ImagePattern, Version, Wanted};
pub use invocation::{Invocation, TIMEOUT_VARIABLE, Usual, limit};
pub use parse::{Input, parse};
pub use rule::Rule;
pub use scripts::{SHELL_LIBRARY, ScriptFile, Scripts, shell_library};
pub use selector::Selector;
pub use set::{Place, PolicySet};

use serde::{Deserialize, Serialize};

use self::call::Call;
use crate::velero::{HookPhase, OnError, RestoreWait, Timeout};

/// The label with which a pod or a namespace opts in or out.
pub const INJECT_LABEL: &str = "quiescent.dev/inject";

/// The label that says how a database is captured: `dump`, `snapshot`, `physical`, `lock` or `off`.
pub const METHOD_LABEL: &str = "quiescent.dev/method";

/// The annotation with which a pod settles which of several like containers is meant.
pub const CONTAINER_ANNOTATION: &str = "quiescent.dev/container";

/// The prefix of the annotations that set parameters.
pub const PARAMETER_PREFIX: &str = "quiescent.dev/";

/// The labels of the ConfigMaps with scripts.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const MANAGER: &str = "quiescent";
const POLICY_LABEL: &str = "quiescent.dev/policy";

/// What the names of volumes and ConfigMaps with scripts begin with.
const PREFIX: &str = "quiescent-";

/// A policy without anything wrong in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub name: String,
    /// The only one whose pods it selects; those of all when absent.
    pub namespace: Option<Box<str>>,
    pub priority: i32,
    /// The first 12 hexadecimal digits of the SHA-256 of all that the policy says, its scripts included.
    pub digest: String,
    /// What other objects call this policy and what it brings.
    names: Names,
    pub about: About,
    pub matching: Criteria,
    pub exclude: Vec<Criteria>,
    pub leave_alone: Vec<Role>,
    pub container: ContainerChoice,
    pub parameters: BTreeMap<String, Parameter>,
    pub hooks: Hooks,
    /// Where the hooks of a backup run, if not in the container that is chosen.
    pub coordinator: Option<Box<Coordinator>>,
    pub delivery: Delivery,
    pub scripts: Scripts,
    pub volumes: Vec<Volume>,
    /// Names for Velero's `backup-volumes`, in the order of the policy.
    pub backup_volumes: Vec<String>,
    pub on_conflict: OnConflict,
}

/// What a policy tells about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    pub description: String,
    pub engine: String,
    /// The servers on which a restore was proven; `None` for a policy that takes part only when named.
    pub proven: Option<String>,
    /// What waits while the hook runs, in a word or two.
    pub blocks: String,
    /// The programs that the image must have.
    pub needs: String,
}

/// Properties of a pod, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Criteria {
    pub pod_selector: Selector,
    pub namespace_selector: Selector,
    pub namespaces: Vec<String>,
    pub images: Vec<ImagePattern>,
    pub owners: Vec<file::Owner>,
}

/// Which container the hooks run in.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerChoice {
    Name(String),
    Image(Vec<ImagePattern>),
    Port(u16),
}

#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub kind: ParameterType,
    pub default: String,
    pub allowed: Vec<String>,
    pub description: String,
    /// The name of the environment variable in which a script finds it.
    pub variable: String,
    /// The key of the annotation that sets it.
    pub annotation: String,
}

impl Parameter {
    /// Whether somebody may set the parameter to this.
    #[must_use]
    pub fn accepts(&self, value: &str) -> bool {
        let typed = match self.kind {
            ParameterType::String => true,
            ParameterType::Integer => value.parse::<i64>().is_ok(),
            ParameterType::Boolean => matches!(value, "true" | "false"),
            ParameterType::Duration => value.parse::<Timeout>().is_ok_and(Timeout::is_positive),
        };
        typed && (self.allowed.is_empty() || self.allowed.iter().any(|allowed| allowed == value))
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hooks {
    pub pre: Option<Hook>,
    pub post: Option<Hook>,
    pub restore: Option<(Hook, RestoreWait)>,
    /// In an init container of the restored pod.
    pub init: Option<Hook>,
    pub check: Option<Check>,
    /// What is called before and after. Velero makes no calls: `pre` and `post` are there beside them where
    /// a coordinator does.
    pub calls: Calls,
}

/// What is called over HTTP before and after the volumes of a pod are taken. Few policies call, and so it
/// takes no room in the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calls {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre: Option<Box<Call>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<Box<Call>>,
}

impl Calls {
    pub const fn is_empty(&self) -> bool {
        self.pre.is_none() && self.post.is_none()
    }

    /// In the order of the hooks.
    pub fn all(&self) -> impl Iterator<Item = &Call> + Clone {
        self.pre.iter().chain(&self.post).map(|it| &**it)
    }

    /// Without that of the pre hook, as the post hook makes it.
    fn of_post(&self) -> Self {
        Self {
            pre: None,
            post: self.post.clone(),
        }
    }
}

impl Hooks {
    /// Those that Velero runs. A check brings its script with it.
    fn all(&self) -> impl Iterator<Item = &Hook> {
        let Self {
            pre,
            post,
            restore,
            init,
            check: _,
            calls: _,
        } = self;
        let restore = restore.as_ref().map(|(hook, _)| hook);
        let all = [pre.as_ref(), post.as_ref(), restore, init.as_ref()];
        all.into_iter().flatten()
    }
}

/// What says whether a restored server is sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub hook: Hook,
    /// That of the other hooks where none is named.
    pub container: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Hook {
    pub action: Action,
    pub timeout: Timeout,
    pub on_error: OnError,
    pub retry: Option<file::Retry>,
    pub usual: Usual,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A file among the policy's scripts.
    Script(String),
    Command(Vec<String>),
    /// A request to the coordinator.
    Coordinator(coordinator::Request),
    /// The call of the policy for this phase of a backup, made by the coordinator.
    Call(HookPhase),
}

/// A volume that the pod gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Volume {
    pub name: String,
    pub mount_path: String,
    pub source: VolumeSource,
}

#[derive(Clone, Debug, PartialEq)]
pub enum VolumeSource {
    EmptyDir(file::EmptyDir),
    Ephemeral(file::Ephemeral),
}

/// Names that follow from a policy's own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Names {
    scripts_volume: String,
    scripts_path: String,
    config_map: String,
    provenance: String,
}

impl Names {
    fn new(policy: &str, digest: &str, scripts: &Scripts) -> Self {
        let scripts_volume = format!("{PREFIX}{policy}");
        Self {
            config_map: config_map_name(policy, scripts.digest()),
            scripts_volume,
            scripts_path: format!("/quiescent/{policy}"),
            provenance: format!("{policy}@{digest}"),
        }
    }
}

impl Policy {
    /// The name of the volume with the scripts.
    #[must_use]
    pub fn scripts_volume(&self) -> &str {
        &self.names.scripts_volume
    }

    /// The folder that it is mounted at.
    #[must_use]
    pub fn scripts_path(&self) -> &str {
        &self.names.scripts_path
    }

    /// The name of the ConfigMap with the scripts, new with each change of them.
    #[must_use]
    pub fn config_map(&self) -> Option<&str> {
        let mounted = self.delivery == Delivery::ConfigMap && self.runs_scripts();
        mounted.then_some(&self.names.config_map)
    }

    /// The same policy, with its scripts in the commands of its hooks.
    #[must_use]
    pub fn inlined(&self) -> Self {
        let mut policy = self.clone();
        policy.delivery = Delivery::Inline;
        let Hooks {
            pre,
            post,
            restore,
            init,
            check,
            calls: _,
        } = &mut policy.hooks;
        let restore = restore.as_mut().map(|(hook, _)| hook);
        let check = check.as_mut().map(|check| &mut check.hook);
        let hooks = [pre.as_mut(), post.as_mut(), restore, init.as_mut(), check];
        for hook in hooks.into_iter().flatten() {
            hook.usual = Usual::default();
        }
        let coordinator = policy.coordinator.as_mut();
        if let Some(session) = coordinator.and_then(|it| it.session.as_mut()) {
            session.hook.usual = Usual::default();
        }
        policy
    }

    /// Whether a ConfigMap has scripts of this policy, of this version of it or another.
    #[must_use]
    pub fn is_config_map(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.scripts_volume());
        rest.is_some_and(|rest| rest.starts_with('-'))
    }

    /// How people tell it from others of its name: `pg`, or `shop/pg` when it is of a namespace.
    #[must_use]
    pub fn title(&self) -> Cow<'_, str> {
        match &self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name).into(),
            None => Cow::Borrowed(&self.name),
        }
    }

    /// Whether writes wait from its pre hook to its post hook, by what it says of itself.
    #[must_use]
    pub fn holds_writes(&self) -> bool {
        !matches!(self.about.blocks.as_str(), "" | "nothing" | "fork")
    }

    /// Whether its hooks call, and Velero has no part in that: no coordinator makes the calls.
    #[must_use]
    pub const fn calls_without_velero(&self) -> bool {
        !self.hooks.calls.is_empty() && self.coordinator.is_none()
    }

    /// Whether it leaves a dump in a volume of its own.
    #[must_use]
    pub fn dumps(&self) -> bool {
        !self.backup_volumes.is_empty()
    }

    /// Whether Velero runs one of its scripts.
    fn runs_scripts(&self) -> bool {
        let sessions = self.coordinator.iter().flat_map(|it| &it.session);
        let mut hooks = self.hooks.all().chain(sessions.map(|it| &it.hook));
        hooks.any(|hook| matches!(hook.action, Action::Script(_)))
    }

    /// The ConfigMap with the scripts, for one namespace.
    #[must_use]
    pub fn config_map_manifest(&self, namespace: Option<&str>) -> Option<serde_json::Value> {
        let name = self.config_map()?;
        let mut manifest = serde_json::json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "labels": {
                    MANAGED_BY: MANAGER,
                    POLICY_LABEL: self.name,
                },
            },
            "immutable": true,
            "data": self.scripts.files(),
        });
        if let Some(namespace) = namespace {
            manifest["metadata"]["namespace"] = namespace.into();
        }
        Some(manifest)
    }

    /// How a pod's provenance annotation names this policy.
    #[must_use]
    pub fn provenance(&self) -> &str {
        &self.names.provenance
    }
}

fn config_map_name(policy: &str, digest: &str) -> String {
    format!("{PREFIX}{policy}-{digest}")
}

/// Whether a ConfigMap of this name may have scripts, of whatever policy.
#[must_use]
pub fn may_have_scripts(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Whether a ConfigMap of scripts, by its name and labels, says what that name stands for; `None`
/// when it is another.
#[must_use]
pub fn is_whole(
    name: &str,
    labels: &BTreeMap<String, String>,
    files: &BTreeMap<String, String>,
) -> Option<bool> {
    let policy = labels.get(POLICY_LABEL)?;
    let ours = labels.get(MANAGED_BY)? == MANAGER;
    let digest = name.strip_prefix(&config_map_name(policy, ""))?;
    let files = files.iter().map(|(name, text)| (&**name, &**text));
    ours.then(|| scripts::digest(files) == digest)
}

/// Whether an object is a ConfigMap with the scripts of a policy, this version of it or another.
#[must_use]
pub fn is_scripts_config_map(object: &serde_json::Value) -> bool {
    let metadata = &object["metadata"];
    let labels = &metadata["labels"];
    let name = metadata["name"].as_str().unwrap_or_default();
    object["kind"] == "ConfigMap"
        && labels[MANAGED_BY] == MANAGER
        && labels[POLICY_LABEL]
            .as_str()
            .is_some_and(|policy| name.starts_with(&config_map_name(policy, "")))
}
