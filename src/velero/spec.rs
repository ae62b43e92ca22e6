//! Velero's Backup, Schedule and Restore as they are written, and the ConfigMap that chooses volumes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{OnError, RestoreWait, Timeout};

/// A command that Velero runs in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exec {
    pub container: String,
    pub argv: Vec<String>,
    pub on_error: OnError,
    pub timeout: Timeout,
}

/// What runs in a pod, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooks {
    pub pre: Vec<Exec>,
    pub post: Vec<Exec>,
    pub restore: Vec<(Exec, RestoreWait)>,
    /// Init containers of restored pods, as pods have them but for their names.
    pub init: Vec<Value>,
}

/// An entry of `spec.hooks.resources`: hooks, and the pods that they are for.
///
/// Velero goes through the entries as they are listed, post hooks too.
#[derive(Clone, Debug, PartialEq)]
pub struct HookSet {
    pub name: String,
    /// Names, in which `*` stands for any characters; all namespaces when there is none.
    pub included: Vec<String>,
    pub excluded: Vec<String>,
    /// A label selector as Kubernetes has it.
    pub selector: Value,
    pub hooks: Hooks,
}

/// What a Backup says beside its hooks; where nothing is said, Velero decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub namespaces: Vec<String>,
    pub ttl: Option<Timeout>,
    pub storage_location: Option<String>,
    /// By kind, names in their order with commas between them.
    pub ordered_resources: BTreeMap<String, String>,
    /// The name of the ConfigMap that chooses volumes.
    pub volume_policy: Option<String>,
}

/// Where a Restore takes things from, and where it puts them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct From {
    pub origin: Origin,
    pub namespaces: Vec<String>,
    /// New names of namespaces.
    pub mapping: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Backup(String),
    /// The latest backup of one.
    Schedule(String),
}

/// The volumes that a backup treats alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeRule {
    /// The data of claims with these labels are left out.
    SkipClaims(BTreeMap<String, String>),
    /// Every volume of the kind emptyDir is uploaded file by file.
    CopyEmptyDirs,
}

/// Name and namespace.
pub type Id<'a> = (&'a str, &'a str);

#[must_use]
pub fn backup(id: Id<'_>, options: &Options, hooks: &[HookSet]) -> Value {
    object("Backup", id, &backup_spec(options, hooks))
}

#[must_use]
pub fn schedule(id: Id<'_>, cron: &str, options: &Options, hooks: &[HookSet]) -> Value {
    let spec = json!({"schedule": cron, "template": backup_spec(options, hooks)});
    object("Schedule", id, &spec)
}

#[must_use]
pub fn restore(id: Id<'_>, from: &From, hooks: &[HookSet]) -> Value {
    let From {
        origin,
        namespaces,
        mapping,
    } = from;
    let mut spec = Map::new();
    let (key, name) = match origin {
        Origin::Backup(name) => ("backupName", name),
        Origin::Schedule(name) => ("scheduleName", name),
    };
    spec.insert(key.to_owned(), name.as_str().into());
    if !namespaces.is_empty() {
        spec.insert("includedNamespaces".to_owned(), json!(namespaces));
    }
    if !mapping.is_empty() {
        spec.insert("namespaceMapping".to_owned(), json!(mapping));
    }
    let resources: Vec<Value> = hooks
        .iter()
        .map(|set| {
            let Hooks { restore, init, .. } = &set.hooks;
            let init: Vec<Value> = init.iter().map(|it| named(it, name)).collect();
            let init = (!init.is_empty()).then(|| json!({"init": {"initContainers": init}}));
            let hooks = restore.iter().map(restore_hook).chain(init).collect();
            entry(set, [("postHooks", hooks)])
        })
        .collect();
    spec.insert("hooks".to_owned(), json!({"resources": resources}));
    object("Restore", id, &spec.into())
}

/// A restored pod keeps its init containers, and no two may have one name: what is restored from
/// another backup has another one.
fn named(init: &Value, origin: &str) -> Value {
    let plain = |letter: char| match letter {
        'a'..='z' | '0'..='9' => letter,
        _ => '-',
    };
    let origin: String = origin.chars().map(plain).take(40).collect();
    let mut init = init.clone();
    init["name"] = format!("quiescent-{}", origin.trim_end_matches('-')).into();
    init
}

/// The ConfigMap with rules for volumes, of which the first that fits counts.
#[must_use]
pub fn volume_policy((name, namespace): Id<'_>, rules: &[VolumeRule]) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| match rule {
            VolumeRule::SkipClaims(labels) => json!({
                "conditions": {"pvcLabels": labels}, "action": {"type": "skip"},
            }),
            VolumeRule::CopyEmptyDirs => json!({
                "conditions": {"volumeTypes": ["emptyDir"]}, "action": {"type": "fs-backup"},
            }),
        })
        .collect();
    // Velero reads YAML, of which JSON is a part.
    let text = format!("{:#}\n", json!({"version": "v1", "volumePolicies": rules}));
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": {"policy.yaml": text},
    })
}

fn object(kind: &str, (name, namespace): Id<'_>, spec: &Value) -> Value {
    json!({
        "apiVersion": "velero.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

fn backup_spec(options: &Options, hooks: &[HookSet]) -> Value {
    let Options {
        namespaces,
        ttl,
        storage_location,
        ordered_resources,
        volume_policy,
    } = options;
    let mut spec = Map::new();
    let mut say = |key: &str, value: Value| spec.insert(key.to_owned(), value);
    if !namespaces.is_empty() {
        say("includedNamespaces", json!(namespaces));
    }
    if let Some(ttl) = ttl {
        say("ttl", ttl.text().into());
    }
    if let Some(location) = storage_location {
        say("storageLocation", location.as_str().into());
    }
    if !ordered_resources.is_empty() {
        say("orderedResources", json!(ordered_resources));
    }
    if let Some(name) = volume_policy {
        say("resourcePolicy", json!({"kind": "configmap", "name": name}));
    }
    let resources: Vec<Value> = hooks
        .iter()
        .map(|set| {
            let all = |hooks: &[Exec]| hooks.iter().map(|it| json!({"exec": exec(it)})).collect();
            let Hooks { pre, post, .. } = &set.hooks;
            entry(set, [("pre", all(pre)), ("post", all(post))])
        })
        .collect();
    say("hooks", json!({"resources": resources}));
    spec.into()
}

fn entry<const N: usize>(set: &HookSet, hooks: [(&str, Vec<Value>); N]) -> Value {
    let HookSet {
        name,
        included,
        excluded,
        selector,
        hooks: _,
    } = set;
    let mut entry = json!({"name": name});
    for (key, names) in [
        ("includedNamespaces", included),
        ("excludedNamespaces", excluded),
    ] {
        if !names.is_empty() {
            entry[key] = json!(names);
        }
    }
    entry["labelSelector"] = selector.clone();
    for (key, hooks) in hooks {
        if !hooks.is_empty() {
            entry[key] = hooks.into();
        }
    }
    entry
}

fn exec(hook: &Exec) -> Value {
    let Exec {
        container,
        argv,
        on_error,
        timeout,
    } = hook;
    json!({
        "container": container,
        "command": argv,
        "onError": on_error.as_str(),
        "timeout": timeout.text(),
    })
}

fn restore_hook((hook, wait): &(Exec, RestoreWait)) -> Value {
    let Exec {
        container,
        argv,
        on_error,
        timeout,
    } = hook;
    json!({"exec": {
        "container": container,
        "command": argv,
        "onError": on_error.as_str(),
        "execTimeout": timeout.text(),
        "waitTimeout": wait.timeout.text(),
        "waitForReady": wait.for_ready,
    }})
}
