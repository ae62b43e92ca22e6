//! Pods with what is known beside them, from manifests or from a cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    cli::{
        input::{FileArgs, unreadable},
        manifests::items,
    },
    pod::PodView,
    policy::glob,
    render::velero::{Claim, Seen},
    select::{Facts, Namespace, Settings},
    workload::{Place, places, pod},
};

pub type Labels = BTreeMap<String, String>;

/// All pods of the namespaces that are taken.
#[derive(Default)]
pub struct Pods {
    pub all: Vec<Pod>,
    /// Labels and annotations.
    pub namespaces: BTreeMap<String, (Labels, Labels)>,
    pub claims: Claims,
}

pub struct Pod {
    pub title: String,
    pub namespace: String,
    pub object: Value,
    pub owner: Option<(String, String)>,
    /// By the names of its volumes, the positions of their claims.
    pub claims: BTreeMap<String, usize>,
}

/// Claims, and where each is by namespace and name.
#[derive(Default)]
pub struct Claims {
    pub all: Vec<Claim>,
    positions: BTreeMap<(String, String), usize>,
}

impl Claims {
    pub fn add(&mut self, labels: Labels) -> usize {
        self.all.push(Claim { labels });
        self.all.len() - 1
    }

    pub fn add_named(&mut self, namespace: &str, object: &Value) {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let position = self.add(pairs(&object["metadata"]["labels"]));
        let key = (namespace.to_owned(), name.to_owned());
        self.positions.insert(key, position);
    }

    /// The claims of a pod's volumes, as far as they are known.
    pub fn of(&self, namespace: &str, pod: &Value) -> BTreeMap<String, usize> {
        let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
        let claims = volumes.filter_map(|volume| {
            let name = volume["name"].as_str()?;
            let claim = volume["persistentVolumeClaim"]["claimName"].as_str()?;
            let key = (namespace.to_owned(), claim.to_owned());
            Some((name.to_owned(), *self.positions.get(&key)?))
        });
        claims.collect()
    }
}

pub fn pairs(map: &Value) -> Labels {
    let pairs = map.as_object().into_iter().flatten();
    let pairs = pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    pairs.collect()
}

/// Whether things of a namespace are taken.
pub fn is_taken(namespaces: &[String], namespace: &str) -> bool {
    let mut patterns = namespaces.iter();
    namespaces.is_empty() || patterns.any(|it| glob::matches(it, namespace))
}

/// Reads manifests. Objects without a namespace are in the only one that is taken, else in `default`.
pub fn of_manifests(files: &FileArgs, namespaces: &[String]) -> anyhow::Result<Pods> {
    let default = match namespaces {
        [only] if !glob::has_wildcard(only) => only.as_str(),
        _ => "default",
    };
    let manifests = files.read()?;
    let documents = || manifests.iter().flat_map(|it| &it.documents);
    let mut seen = Pods::default();
    for object in documents().flat_map(|document| items(&document.object)) {
        let metadata = &object["metadata"];
        match object["kind"].as_str() {
            Some("Namespace") => {
                let name = metadata["name"].as_str().unwrap_or_default();
                let known = (pairs(&metadata["labels"]), pairs(&metadata["annotations"]));
                seen.namespaces.insert(name.to_owned(), known);
            }
            Some("PersistentVolumeClaim") => {
                let namespace = metadata["namespace"].as_str().unwrap_or(default);
                if is_taken(namespaces, namespace) {
                    seen.claims.add_named(namespace, object);
                }
            }
            _ => {}
        }
    }
    for document in documents() {
        for place in places(&document.object) {
            let namespace = place.namespace.as_deref().unwrap_or(default);
            if !is_taken(namespaces, namespace) {
                continue;
            }
            let Some(pod) = pod(&document.object, &place) else {
                continue;
            };
            let mut claims = seen.claims.of(namespace, &pod);
            for (name, labels) in templates(&document.object, &place) {
                claims.insert(name, seen.claims.add(labels));
            }
            seen.all.push(Pod {
                title: format!("{} {namespace}/{}", place.kind, place.name),
                namespace: namespace.to_owned(),
                object: pod,
                owner: place.owner,
                claims,
            });
        }
    }
    Ok(seen)
}

/// The claims that a StatefulSet makes: with the labels of their templates, and with those by which it
/// knows its pods.
fn templates(document: &Value, place: &Place) -> Vec<(String, Labels)> {
    let owner = place.pointer.strip_suffix("/spec/template");
    let Some(spec) = owner.and_then(|owner| document.pointer(owner)?.get("spec")) else {
        return Vec::new();
    };
    let templates = spec["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten();
    let templates = templates.filter_map(|template| {
        let metadata = &template["metadata"];
        let mut labels = pairs(&metadata["labels"]);
        labels.extend(pairs(&spec["selector"]["matchLabels"]));
        Some((metadata["name"].as_str()?.to_owned(), labels))
    });
    templates.collect()
}

impl Pods {
    /// Hands all pods that can be read to `then`. The others are told.
    pub fn read<T>(&self, settings: &Settings, then: impl FnOnce(&[Seen<'_>]) -> T) -> T {
        let texts: Vec<String> = self.all.iter().map(|it| it.object.to_string()).collect();
        let views = self.all.iter().zip(&texts);
        let views: Vec<(&Pod, PodView<'_>)> = views
            .filter_map(|(pod, text)| match PodView::parse(text) {
                Ok(view) => Some((pod, view)),
                Err(error) => {
                    let why = unreadable(&pod.object, &error);
                    anstream::eprintln!("lost: {}: {why}", pod.title);
                    None
                }
            })
            .collect();
        let seen: Vec<Seen<'_>> = views
            .iter()
            .map(|(pod, view)| Seen {
                title: &pod.title,
                pod: view,
                facts: self.facts(pod, settings),
                claims: &pod.claims,
            })
            .collect();
        then(&seen)
    }

    fn facts<'a>(&'a self, pod: &'a Pod, settings: &'a Settings) -> Facts<'a> {
        let known = self.namespaces.get(&pod.namespace);
        let owner = pod.owner.as_ref();
        Facts {
            namespace: &pod.namespace,
            about_namespace: known.map_or(Namespace::Unknown, |(labels, annotations)| {
                Namespace::Known {
                    labels,
                    annotations,
                }
            }),
            owner: owner.map(|(kind, name)| (kind.as_str(), name.as_str())),
            settings,
        }
    }
}
