//! Velero's Schedules and Backups: which pods are in them, and how they take volumes.

use serde_json::Value;

use crate::{
    pod::PodView,
    policy::{Selector, file::LabelSelector, glob},
    velero::{EXCLUDE_LABEL, GROUP},
};

/// What is known of the backups that are made.
#[derive(Clone, Copy, Debug)]
pub enum Backups<'a> {
    /// All Schedules, or all that somebody has given.
    Known(&'a [Backup]),
    /// There is no Velero here.
    NoVelero,
    /// Somebody does not let us see them, or has given none.
    Unknown,
}

/// A Schedule, or a single Backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Backup {
    pub name: String,
    paused: bool,
    scope: Scope,
    /// The pods for which it has a pre hook of its own.
    hooks: Vec<Scope>,
    /// Whether volumes are copied file by file unless they are left out; unset is Velero's own default.
    pub copies_by_default: Option<bool>,
    pub takes_snapshots: Option<bool>,
}

/// Which pods are meant.
#[derive(Clone, Debug, PartialEq)]
struct Scope {
    namespaces: Listed,
    resources: Listed,
    /// A pod must match one of them, where there are any; none does where they cannot be read.
    selectors: Option<Vec<Selector>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Listed {
    included: Vec<String>,
    excluded: Vec<String>,
}

impl Listed {
    fn read(spec: &Value, included: &[&str], excluded: &[&str]) -> Self {
        let names = |fields: &[&str]| {
            let lists = fields.iter().filter_map(|field| spec[field].as_array());
            let names = lists.flatten().filter_map(Value::as_str);
            names.map(str::to_owned).collect()
        };
        Self {
            included: names(included),
            excluded: names(excluded),
        }
    }

    fn has(&self, named: impl Fn(&str) -> bool) -> bool {
        let listed = |names: &[String]| names.iter().any(|name| named(name));
        (self.included.is_empty() || listed(&self.included)) && !listed(&self.excluded)
    }
}

impl Backup {
    /// Reads an object, if it is a Schedule or a Backup.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        if !object["apiVersion"].as_str()?.starts_with(GROUP) {
            return None;
        }
        match object["kind"].as_str()? {
            "Schedule" => Some(Self::of_schedule(object)),
            "Backup" => Some(Self::of_backup(object)),
            _ => None,
        }
    }

    /// Reads a Backup; in lists no kind stands in it.
    #[must_use]
    pub fn of_backup(object: &Value) -> Self {
        Self::read(object, &object["spec"])
    }

    /// Reads a Schedule; in lists no kind stands in it.
    #[must_use]
    pub fn of_schedule(object: &Value) -> Self {
        Self::read(object, &object["spec"]["template"])
    }

    fn read(object: &Value, spec: &Value) -> Self {
        let hooks = spec["hooks"]["resources"].as_array().into_iter().flatten();
        let pre = |hook: &&Value| hook["pre"].as_array().is_some_and(|it| !it.is_empty());
        Self {
            name: object["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            paused: object["spec"]["paused"] == true,
            scope: Scope::read(spec),
            hooks: hooks.filter(pre).map(Scope::read).collect(),
            copies_by_default: spec["defaultVolumesToFsBackup"].as_bool(),
            takes_snapshots: spec["snapshotVolumes"].as_bool(),
        }
    }

    /// Whether a pod is in it.
    #[must_use]
    pub fn has(&self, pod: &PodView<'_>, namespace: &str) -> bool {
        !self.paused && self.scope.means(pod, namespace) && !is_left_out(pod)
    }

    /// Whether it has a pre hook of its own for a pod. An annotation of the pod hides it.
    #[must_use]
    pub fn has_hook_for(&self, pod: &PodView<'_>, namespace: &str) -> bool {
        self.hooks.iter().any(|hook| hook.means(pod, namespace))
    }
}

impl Scope {
    fn read(spec: &Value) -> Self {
        let one = spec.get("labelSelector").filter(|it| !it.is_null());
        let several = spec["orLabelSelectors"].as_array();
        let given = one.into_iter().chain(several.into_iter().flatten());
        let selectors = given.map(|selector| {
            let read = serde_json::from_value::<LabelSelector>(selector.clone());
            read.ok().map(|read| Selector::from(&read))
        });
        Self {
            namespaces: Listed::read(spec, &["includedNamespaces"], &["excludedNamespaces"]),
            resources: Listed::read(
                spec,
                &["includedResources", "includedNamespaceScopedResources"],
                &["excludedResources", "excludedNamespaceScopedResources"],
            ),
            selectors: selectors.collect(),
        }
    }

    fn means(&self, pod: &PodView<'_>, namespace: &str) -> bool {
        let pods = |name: &str| {
            let name = name.to_ascii_lowercase();
            matches!(name.as_str(), "pods" | "pod" | "po" | "*")
        };
        let selected = self.selectors.as_ref().is_some_and(|selectors| {
            let selects = |it: &Selector| it.matches(|key| pod.label(key));
            selectors.is_empty() || selectors.iter().any(selects)
        });
        self.namespaces.has(|name| glob::matches(name, namespace))
            && self.resources.has(pods)
            && selected
    }
}

/// Whether the pod itself says that no backup takes it.
#[must_use]
pub fn is_left_out(pod: &PodView<'_>) -> bool {
    pod.label(EXCLUDE_LABEL) == Some("true")
}
