//! Which pods are tried, and with which hooks.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::{Context as _, anyhow, bail};
use kube::Client;
use serde::Deserialize;
use serde_json::Value;

use super::Args;
use crate::{
    inject::inject,
    kubernetes::{ListError, object},
    live::{Subject, Target, meant, named, selector},
    missed::in_place,
    plan::{Change, PROVENANCE, WRITTEN},
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Mode, Namespace},
    trial::Hooks,
    velero::{hook_of, of_pods::Labels},
};

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
            running(namespace, &pod.metadata.name, &pod.status.phase)?;
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
        let (policies, hooks) = match &policy {
            Some(policy) => policy.hooks(&text, &pod.metadata.name)?,
            None => of(&pod.metadata.annotations.unwrap_or_default()),
        };
        Ok(Subject {
            namespace: namespace.to_owned(),
            name: pod.metadata.name,
            policies,
            hooks,
            labels: pod.metadata.labels.unwrap_or_default(),
            pod: text,
        })
    });
    Ok((subjects.collect::<anyhow::Result<_>>()?, notes))
}

/// What Velero would run, and on account of which policies.
fn of(annotations: &BTreeMap<String, String>) -> (Option<String>, Hooks) {
    (
        annotations.get(PROVENANCE).cloned(),
        Hooks::of(|key| annotations.get(key).map(String::as_str)),
    )
}

/// Whether a hook can run there at all.
fn running(namespace: &str, name: &str, phase: &str) -> anyhow::Result<()> {
    if phase != "Running" {
        bail!("pod {namespace}/{name} is {phase}: Velero runs hooks in running pods alone");
    }
    Ok(())
}

fn read(text: &str) -> anyhow::Result<Pod> {
    serde_json::from_str(text).context("the API server sent a pod that cannot be read")
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

    /// What the policy would have run in a pod without hooks, or calls itself. Volumes cannot be added to
    /// one that runs.
    fn hooks(&self, pod: &str, name: &str) -> anyhow::Result<(Option<String>, Hooks)> {
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
        let view = PodView::parse(&text).map_err(|error| anyhow!("{}", error.what()))?;
        let injection = inject(alone, &view, facts);
        if let Some(policy) = injection.plan.callers().next() {
            let calls = Hooks::calls(&policy.hooks.calls);
            return Ok((Some(policy.provenance().to_owned()), calls));
        }
        if let Some(annotations) = in_place(alone, &text, facts) {
            let set = annotations.into_iter();
            return Ok(of(&set
                .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                .collect()));
        }
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
                Change::Container(it) => Some(it.name.as_str()),
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
