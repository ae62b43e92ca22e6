//! Which pods are tried, and with which hooks.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use super::Args;
use crate::{
    inject::inject,
    kubernetes::{ListError, Objects, list, object},
    missed::in_place,
    plan::{Change, PROVENANCE, WRITTEN},
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Mode, Namespace},
    trial::{self, Hooks},
    velero::{ExecHook, hook_of, of_pods::Labels},
};

/// What somebody wants tried, as kubectl writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Pod(String),
    /// What makes pods, by its plural.
    Owner {
        plural: &'static str,
        name: String,
    },
}

/// The names of kinds that kubectl knows, and their plurals.
const OWNERS: [(&[&str], &str); 4] = [
    (&["statefulset", "statefulsets", "sts"], "statefulsets"),
    (&["deployment", "deployments", "deploy"], "deployments"),
    (&["daemonset", "daemonsets", "ds"], "daemonsets"),
    (&["replicaset", "replicasets", "rs"], "replicasets"),
];

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod(name) => write!(f, "pod/{name}"),
            Self::Owner { plural, name } => write!(f, "{plural}/{name}"),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once('/').unwrap_or(("pod", text));
        if name.is_empty() || name.contains('/') {
            return Err("write pod/NAME or statefulset/NAME".to_owned());
        }
        let name = name.to_owned();
        if ["pod", "pods", "po"].contains(&kind) {
            return Ok(Self::Pod(name));
        }
        let mut owners = OWNERS.iter();
        let owner = owners.find(|(kinds, _)| kinds.contains(&kind));
        let (_, plural) = owner
            .ok_or_else(|| format!("{kind:?} makes no pods: write pod/NAME or statefulset/NAME"))?;
        Ok(Self::Owner { plural, name })
    }
}

/// A pod that is tried.
#[derive(Debug)]
pub struct Subject {
    pub namespace: String,
    pub name: String,
    /// The policies that it follows, as it says itself; the one that was named.
    pub policies: Option<String>,
    pub hooks: Hooks,
    pub labels: Labels,
    /// As the API server has it.
    pub pod: String,
}

impl Subject {
    pub fn title(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Where a hook of it runs, or why it cannot.
    pub fn container(&self, hook: &ExecHook) -> Result<String, String> {
        let pod = PodView::parse(&self.pod).map_err(|error| error.what().clone())?;
        trial::container(hook, &pod).map(str::to_owned)
    }
}

#[derive(Deserialize)]
struct Pod {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    #[serde(default)]
    labels: Option<Labels>,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    phase: String,
}

/// The pods that are meant, in order, and what is to be said of that.
pub async fn subjects(client: &Client, args: &Args) -> anyhow::Result<(Vec<Subject>, Vec<String>)> {
    let namespace = args.namespace.as_deref();
    let namespace = namespace.unwrap_or_else(|| client.default_namespace());
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let mut notes = Vec::new();
    let texts = match (&args.target, &args.selector) {
        (Some(Target::Pod(name)), _) => {
            let text = object(client, &path, name).await;
            let text = text.map_err(|error| named(error, &format!("pod {namespace}/{name}")))?;
            let pod = read(&text)?;
            super::live::running(namespace, &pod.metadata.name, &pod.status.phase)?;
            vec![text]
        }
        (Some(Target::Owner { plural, name }), _) => {
            let labels = selector(client, namespace, plural, name).await?;
            let all = meant(client, &path, &labels).await?;
            some(all, args.all, namespace, &mut notes)?
        }
        (None, Some(labels)) => {
            let all = meant(client, &path, labels).await?;
            some(all, args.all, namespace, &mut notes)?
        }
        (None, None) => bail!("name a pod, or labels of pods with -l"),
    };
    let policy = match &args.policy {
        Some(name) => Some(Named::load(client, args, name, namespace).await?),
        None => None,
    };
    let subjects = texts.into_iter().map(|text| {
        let pod = read(&text)?;
        let annotations = pod.metadata.annotations.unwrap_or_default();
        let annotations = match &policy {
            Some(policy) => policy.annotations(&text, &pod.metadata.name)?,
            None => annotations,
        };
        Ok(Subject {
            namespace: namespace.to_owned(),
            name: pod.metadata.name,
            policies: annotations.get(PROVENANCE).cloned(),
            hooks: Hooks::of(|key| annotations.get(key).map(String::as_str)),
            labels: pod.metadata.labels.unwrap_or_default(),
            pod: text,
        })
    });
    Ok((subjects.collect::<anyhow::Result<_>>()?, notes))
}

fn read(text: &str) -> anyhow::Result<Pod> {
    serde_json::from_str(text).context("the API server sent a pod that cannot be read")
}

/// What is not there is called by the name that its owner uses.
pub fn named(error: ListError, what: &str) -> anyhow::Error {
    match error {
        ListError::Absent { .. } => anyhow!("there is no {what}"),
        ListError::Forbidden { .. } | ListError::Failed { .. } | ListError::Unreadable { .. } => {
            error.into()
        }
    }
}

/// The pods with these labels, as texts.
pub async fn meant(client: &Client, path: &str, labels: &str) -> Result<Vec<String>, ListError> {
    let objects = Objects {
        path,
        labels: Some(labels),
        metadata_only: false,
    };
    list(client, objects, str::to_owned).await
}

/// The names of the pods with all these labels.
pub async fn named_with(
    client: &Client,
    namespace: &str,
    labels: &Labels,
) -> anyhow::Result<Vec<String>> {
    let path = format!("/api/v1/namespaces/{namespace}/pods");
    let labels: Vec<_> = labels
        .iter()
        .map(|(key, it)| format!("{key}={it}"))
        .collect();
    let pods = meant(client, &path, &labels.join(",")).await?;
    pods.iter()
        .map(|text| Ok(read(text)?.metadata.name))
        .collect()
}

/// Those that run, or the first of them.
fn some(
    texts: Vec<String>,
    all: bool,
    namespace: &str,
    notes: &mut Vec<String>,
) -> anyhow::Result<Vec<String>> {
    if texts.is_empty() {
        bail!("no pod in {namespace} is meant by this");
    }
    let (mut runs, mut not) = (BTreeMap::new(), Vec::new());
    for text in texts {
        let pod = read(&text)?;
        let (name, phase) = (pod.metadata.name, pod.status.phase);
        if phase == "Running" {
            runs.insert(name, text);
        } else {
            not.push(format!("{namespace}/{name} is {phase}"));
        }
    }
    if runs.is_empty() {
        bail!("none of the pods runs: {}", not.join(", "));
    }
    notes.extend(not.iter().map(|it| format!("passed over: {it}")));
    let many = runs.len();
    if many > 1 && !all {
        notes.push(format!("one of {many} pods is tried; --all tries them all"));
    }
    Ok(runs
        .into_values()
        .take(if all { many } else { 1 })
        .collect())
}

/// What selects the pods of an owner, as kubectl writes it.
pub async fn selector(
    client: &Client,
    namespace: &str,
    plural: &str,
    name: &str,
) -> anyhow::Result<String> {
    let path = format!("/apis/apps/v1/namespaces/{namespace}/{plural}");
    let text = object(client, &path, name).await;
    let text = text.map_err(|error| named(error, &format!("{plural}/{name} in {namespace}")))?;
    let owner: Value = serde_json::from_str(&text).context("the API server sent no object")?;
    Ok(labels(&owner["spec"]["selector"]))
}

/// A label selector in one line.
fn labels(selector: &Value) -> String {
    let equal = selector["matchLabels"].as_object().into_iter().flatten();
    let equal = equal.filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?)));
    let expressions = selector["matchExpressions"].as_array();
    let expressions = expressions.into_iter().flatten().filter_map(|it| {
        let key = it["key"].as_str()?;
        let values = it["values"].as_array().into_iter().flatten();
        let values: Vec<&str> = values.filter_map(Value::as_str).collect();
        let values = values.join(",");
        Some(match it["operator"].as_str()? {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        })
    });
    equal.chain(expressions).collect::<Vec<_>>().join(",")
}

/// A policy that is tried on pods that may not have it yet.
struct Named {
    alone: PolicySet,
    name: String,
    namespace: String,
    labels: Option<BTreeMap<String, String>>,
    settings: crate::select::Settings,
}

impl Named {
    async fn load(
        client: &Client,
        args: &Args,
        name: &str,
        namespace: &str,
    ) -> anyhow::Result<Self> {
        let policies = args.policies.load()?;
        let Some(policy) = policies.get(name, namespace) else {
            let known = policies.iter().map(|it| it.name.as_str());
            let meant = super::super::names::meant(name, known);
            let meant = meant.map_or_else(String::new, |it| format!("; did you mean {it}?"));
            bail!("there is no policy {name:?}{meant}");
        };
        let labels = match object(client, "/api/v1/namespaces", namespace).await {
            Ok(text) => {
                let object: Value = serde_json::from_str(&text).unwrap_or_default();
                let labels = object["metadata"]["labels"].clone();
                Some(serde_json::from_value(labels).unwrap_or_default())
            }
            // What it says of namespaces is then unknown, and a policy that asks is passed over.
            Err(ListError::Forbidden { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self {
            alone: PolicySet::default().with(&[Arc::new(policy.clone())]),
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            labels,
            settings: args.others.settings(Mode::OptOut),
        })
    }

    /// What the policy would write on a pod without hooks. Volumes cannot be added to one that runs.
    fn annotations(&self, pod: &str, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
        let Self {
            alone,
            name: policy,
            namespace,
            labels,
            settings,
        } = self;
        let mut without: Value = serde_json::from_str(pod).context("the pod cannot be read")?;
        if let Some(annotations) = without["metadata"]["annotations"].as_object_mut() {
            annotations
                .retain(|key, _| hook_of(key).is_none() && key != PROVENANCE && key != WRITTEN);
        }
        let none = BTreeMap::new();
        let facts = Facts {
            namespace,
            about_namespace: labels.as_ref().map_or(Namespace::Unknown, |labels| {
                Namespace::Known {
                    labels,
                    annotations: &none,
                }
            }),
            owner: None,
            settings,
        };
        let text = without.to_string();
        if let Some(annotations) = in_place(alone, &text, facts) {
            let set = annotations.into_iter();
            return Ok(set
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect());
        }
        let view = PodView::parse(&text).map_err(|error| anyhow!("{}", error.what()))?;
        let injection = inject(alone, &view, facts);
        if let Some(reason) = injection.reason() {
            bail!(
                "{policy} passes over pod {namespace}/{name}: {}",
                reason.sentence()
            );
        }
        let missing = injection
            .plan
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::Volume(volume) => Some(volume.name),
                Change::Scripts { name, .. } => Some(name),
                Change::Mount(mount) => Some(mount.volume),
                Change::Annotation { .. } | Change::NoAnnotation { .. } | Change::Complete(_) => {
                    None
                }
            });
        let mut missing: Vec<&str> = missing.collect();
        missing.sort_unstable();
        missing.dedup();
        bail!(
            "pod {namespace}/{name} lacks what {policy} brings ({}), and a running pod can get no volumes: \
             create it anew with the policy, and test it then",
            missing.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_is_what_kubectl_takes() {
        let pod = || Ok(Target::Pod("pg-0".to_owned()));
        let owner = |plural| {
            Ok(Target::Owner {
                plural,
                name: "pg".to_owned(),
            })
        };
        for (text, target) in [
            ("pg-0", pod()),
            ("pod/pg-0", pod()),
            ("statefulset/pg", owner("statefulsets")),
            ("sts/pg", owner("statefulsets")),
            ("deploy/pg", owner("deployments")),
        ] {
            assert_eq!(text.parse(), target, "{text}");
        }
        for text in ["", "pod/", "job/pg", "a/b/c"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_selector_is_one_line() {
        let selector = json!({
            "matchLabels": {"app": "pg", "tier": "data"},
            "matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a", "b"]},
                {"key": "role", "operator": "NotIn", "values": ["replica"]},
                {"key": "db", "operator": "Exists"},
                {"key": "old", "operator": "DoesNotExist"},
            ],
        });
        assert_eq!(
            labels(&selector),
            "app=pg,tier=data,zone in (a,b),role notin (replica),db,!old"
        );
    }
}
