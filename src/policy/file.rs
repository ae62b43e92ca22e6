//! The policy file as it is written: the types behind the parser and the JSON Schema.

mod http;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use http::{Expect, Field, Http, Method, SecretKeyRef, Status, Text};

use crate::velero::{OnError, Timeout};

pub const API_VERSION: &str = "quiescent.dev/v1";
pub const KIND: &str = "HookPolicy";

/// The kind of a policy for pods of all namespaces, where it is an object of the cluster.
pub const CLUSTER_KIND: &str = "ClusterHookPolicy";

/// Which pods get which Velero hooks, and what those hooks need in the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HookPolicy {
    /// Always `quiescent.dev/v1`.
    pub api_version: String,
    /// `HookPolicy`, or `ClusterHookPolicy` for one that can have no namespace.
    pub kind: String,
    pub metadata: Metadata,
    pub spec: Spec,
}

/// Who the policy is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Metadata {
    /// A DNS label of at most 40 characters; names of volumes and ConfigMaps are made from it.
    pub name: String,
    /// Only pods of this namespace are selected. Without one, in a file, those of all namespaces are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// For people and tools; `quiescent.dev/description`, `/engine`, `/blocks`, `/needs` and `/proven` are shown by `quiescent library`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// For people and tools; not read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// What the policy says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    /// Of several policies for one pod, the higher comes first; equal ones go by name.
    #[serde(default)]
    pub priority: i32,
    /// Selects a pod when all that is said here holds.
    pub r#match: Criteria,
    /// Passes over a pod that `match` selects when all that is said here holds, or all of one item of a list.
    #[serde(default, skip_serializing_if = "OneOrMany::is_empty")]
    pub exclude: OneOrMany<Criteria>,
    /// What is passed over where the program recognises it, whatever `match` says: pods of an operator, containers without a database of their own. `quiescent explain` says who was recognised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_alone: Vec<Role>,
    /// The container in which the hooks run. Without it, the one whose image `match.images` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// What a namespace or a pod may set by the annotation `quiescent.dev/<policy>.<parameter>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Parameter>,
    pub hooks: Hooks,
    /// A container that the pod gets beside that of the hooks: what no single hook can hold, a session or a lock, is held there from the pre hook to the post hook; or hooks that call over HTTP are called from there, as Velero cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinator: Option<Coordinator>,
    /// How the scripts come into the pod.
    #[serde(default)]
    pub scripts: Delivery,
    /// The scripts themselves, by file name, in place of the folder `scripts` beside the policy.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub script_files: BTreeMap<String, String>,
    /// Volumes that the pod gets, by name, mounted in the container of the hooks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Volume>,
    /// What Velero's file-system backup is to upload.
    #[serde(default)]
    pub backup_volumes: BackupVolumes,
    /// What to do where the pod's author has hooks already.
    #[serde(default)]
    pub on_conflict: OnConflict,
}

/// What a pod or a container is beside a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Role {
    /// A pod of an operator, which makes its backups itself.
    Operator,
    /// It measures a server.
    Exporter,
    /// It shares connections to a server.
    Pooler,
    /// It stands before servers.
    Proxy,
    /// It talks to a server from a container of its own.
    Client,
    /// It changes the schema of a server.
    Migration,
    /// It shows people what is in a server.
    Dashboard,
}

/// A list, or its only item.
#[derive(Clone, Debug, PartialEq, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl<T> OneOrMany<T> {
    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::One(item) => std::slice::from_ref(item),
            Self::Many(items) => items,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// As a list, whichever way it was written: both mean the same.
impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

/// By hand: serde's own untagged enums forget where in the text the trouble was.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> serde::de::Visitor<'de> for Visitor<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("one item or a list of them")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                T::deserialize(serde::de::value::StrDeserializer::new(text)).map(OneOrMany::One)
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                map: A,
            ) -> Result<Self::Value, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
                    .map(OneOrMany::One)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                seq: A,
            ) -> Result<Self::Value, A::Error> {
                Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
                    .map(OneOrMany::Many)
            }
        }

        deserializer.deserialize_any(Visitor(std::marker::PhantomData))
    }
}

/// Properties of a pod and its namespace; what is not said holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Criteria {
    /// By the pod's labels. A pod without `quiescent.dev/method` counts as having the default method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_selector: Option<LabelSelector>,
    /// By the labels of the pod's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// By the namespace's name; `*` stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// By the image of any container: repository globs without registry, with a tag or a range of tags (`postgres:>=15`) or a digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// By what created the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<Owner>,
}

/// A Kubernetes label selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelSelector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRequirement>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    /// For `In` and `NotIn` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// A controller of the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Owner {
    /// Such as `StatefulSet`. `Deployment` sees through the ReplicaSet in between.
    pub kind: String,
    /// `*` stands for any characters; any name when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// One way to tell the container of the hooks from the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Container {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Patterns as in `match.images`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<OneOrMany<String>>,
    /// A port that the container declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A value that reaches the scripts as `QUIESCENT_<NAME>` in their environment. Never a secret: Velero logs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Parameter {
    #[serde(default)]
    pub r#type: ParameterType,
    /// The value when nobody sets one; an empty one is not passed on.
    #[serde(default)]
    pub default: String,
    /// The only values allowed, when there are any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub r#enum: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    #[default]
    String,
    Integer,
    Boolean,
    Duration,
}

/// What runs when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hooks {
    /// Before the backup of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre: Option<Hook>,
    /// After its volumes were taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<Hook>,
    /// After a restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreHooks>,
    /// In a copy that `quiescent verify` has restored, to know whether it is sound. Velero never runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
}

/// What says whether a restored server is sound: it ends with 0 when it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Check {
    /// A file in the folder `scripts` beside the policy, or of `spec.scriptFiles`, run by `/bin/sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// A program and its arguments, run without a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// How long it may take.
    pub timeout: Timeout,
    /// The container that it runs in, where that is not the one of the other hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// A hook of a backup: a script, a command or a call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hook {
    /// A file in the folder `scripts` beside the policy, or of `spec.scriptFiles`, run by `/bin/sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// A program and its arguments, run without a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// A call over HTTP. Velero makes none: `quiescent snapshot` and `quiescent test` do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// How long all attempts together may take.
    pub timeout: Timeout,
    /// Whether a failure leaves the pod out of the backup.
    pub on_error: OnError,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Retry {
    /// The first one included.
    #[schemars(range(min = 1, max = 10))]
    pub attempts: u8,
    /// The pause between two.
    pub delay: Timeout,
}

/// The hooks of a restore.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RestoreHooks {
    /// In the running container of the restored pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<RestoreHook>,
    /// Before the containers of the restored pod start: in an init container with the image, the mounts, the environment and the user of the container of the hooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub init: Option<InitHook>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct InitHook {
    /// A file in the folder `scripts` beside the policy, or of `spec.scriptFiles`, run by `/bin/sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// A program and its arguments, run without a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// How long a script gives itself: neither Velero nor the kubelet ends an init container. One that fails is run again.
    pub timeout: Timeout,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RestoreHook {
    /// A file in the folder `scripts` beside the policy, or of `spec.scriptFiles`, run by `/bin/sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// A program and its arguments, run without a shell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// How long the hook may take once it runs.
    pub exec_timeout: Timeout,
    /// How long Velero waits for the container.
    pub wait_timeout: Timeout,
    /// Whether it waits until the container is ready, not only running.
    #[serde(default)]
    pub wait_for_ready: bool,
    /// Velero cancels the restore hooks of all other pods when one fails, whatever this says.
    pub on_error: OnError,
}

/// A container beside that of the hooks. With a session it holds something between two hooks of a backup, which it has in their place; without one it makes the calls of the policy's hooks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Coordinator {
    /// A file in the folder `scripts` beside the policy, or of `spec.scriptFiles`, run by `/bin/sh`. It says `quiescent result=ok` when it holds, and lets go when its standard input ends. What is said of a session below needs one, and `startTimeout`, `stopTimeout`, `limit` and `onError` stand beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How long the session may take until it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_timeout: Option<Timeout>,
    /// How long the session may take to let go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<Timeout>,
    /// The longest that the session holds; then it lets go by itself, and the post hook fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Timeout>,
    /// Whether a failure of the session leaves the pod out of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_error: Option<OnError>,
    /// The name of the container; `quiescent-coordinator` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its image; that of the container of the hooks when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Variables of the container of the hooks that the session gets too, where they come by `valueFrom`. A value that is written in the pod is never copied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// A port at which requests to start and stop the session are taken over HTTP: at the pod's address with a token, without one at 127.0.0.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The Secret with the token that requests over HTTP must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_secret: Option<SecretKey>,
    /// What it asks for and what it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
}

/// A key of a Secret in the pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SecretKey {
    pub name: String,
    pub key: String,
}

/// Quantities by the name of what is asked for, such as `memory`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Resources {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub limits: BTreeMap<String, String>,
}

/// How scripts come into the pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Delivery {
    /// As a read-only volume.
    #[default]
    ConfigMap,
    /// Inside the hook's command, for pods that may get no volume.
    Inline,
}

/// A volume for the pod.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Volume {
    pub mount_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
    /// A generic ephemeral volume: a claim that lives as long as the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EmptyDir {
    /// A Kubernetes quantity, such as `10Gi`. What exceeds it evicts the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub medium: Option<Medium>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Medium {
    Memory,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Ephemeral {
    /// The cluster's default class when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class: Option<String>,
    /// A Kubernetes quantity, such as `10Gi`.
    pub size: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct BackupVolumes {
    /// Names of volumes, of this policy or of the pod.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<String>,
}

/// What happens where the pod's author has hooks already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnConflict {
    /// The author's hooks stay, the policy keeps away.
    #[default]
    Keep,
    /// The policy's hooks take their place.
    Override,
    /// Both run: the author's before ours, and after ours when they undo.
    Compose,
    /// The pod is refused.
    Deny,
}
