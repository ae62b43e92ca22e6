//! Audits manifests: workloads as the pods that they make, with the Schedules, ConfigMaps and
//! Namespaces that stand among them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Args, Audited};
use crate::{
    audit::{self, Around, Backup, Backups},
    cli::{
        input::{title, unreadable},
        manifests::items,
    },
    pod::PodView,
    policy::{PolicySet, is_scripts_config_map},
    select::{Facts, Mode, Namespace},
    workload::{places, pod},
};

type Labels = BTreeMap<String, String>;

/// What stands beside the pods.
#[derive(Default)]
struct Beside {
    namespaces: BTreeMap<String, (Labels, Labels)>,
    backups: Vec<Backup>,
    /// Those with scripts, by namespace.
    config_maps: BTreeMap<String, BTreeSet<String>>,
}

impl Beside {
    fn take(&mut self, object: &Value, default: &str) {
        let metadata = &object["metadata"];
        let text = |field: &str| metadata[field].as_str();
        let name = text("name").unwrap_or_default().to_owned();
        let pairs = |field: &str| {
            let pairs = metadata[field].as_object().into_iter().flatten();
            let pairs = pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?)));
            pairs
                .map(|(key, value)| (key, value.to_owned()))
                .collect::<Labels>()
        };
        if object["kind"] == "Namespace" {
            let known = (pairs("labels"), pairs("annotations"));
            self.namespaces.insert(name, known);
        } else if is_scripts_config_map(object) {
            let namespace = text("namespace").unwrap_or(default).to_owned();
            self.config_maps.entry(namespace).or_default().insert(name);
        } else {
            self.backups.extend(Backup::of(object));
        }
    }

    /// What is known of a namespace.
    fn about(&self, namespace: &str) -> Namespace<'_> {
        let known = self.namespaces.get(namespace);
        known.map_or(Namespace::Unknown, |(labels, annotations)| {
            Namespace::Known {
                labels,
                annotations,
            }
        })
    }
}

pub fn audit(args: &Args, policies: &PolicySet) -> anyhow::Result<Audited> {
    let settings = args.settings(Mode::OptOut);
    let default = args.namespace.as_deref().unwrap_or("default");
    let manifests = args.files.read()?;
    let documents = || manifests.iter().flat_map(|it| &it.documents);
    let mut beside = Beside::default();
    for object in documents().flat_map(|document| items(&document.object)) {
        beside.take(object, default);
    }
    let none = BTreeSet::new();
    let mut audited = Audited::default();
    for document in documents() {
        for place in places(&document.object) {
            let Some(pod) = pod(&document.object, &place) else {
                continue;
            };
            let namespace = place.namespace.as_deref().unwrap_or(default);
            let owner = place.owner.as_ref();
            let facts = Facts {
                namespace,
                about_namespace: beside.about(namespace),
                owner: owner.map(|(kind, name)| (kind.as_str(), name.as_str())),
                settings: &settings,
            };
            let around = Around {
                facts,
                backups: if beside.backups.is_empty() {
                    Backups::Unknown
                } else {
                    Backups::Known(&beside.backups)
                },
                // Who gives none of them means to apply them in another way.
                config_maps: (!beside.config_maps.is_empty())
                    .then(|| beside.config_maps.get(namespace).unwrap_or(&none)),
            };
            let text = pod.to_string();
            match audit::audit(policies, &text, around) {
                Ok(found) => audited.findings.extend(found),
                Err(error) => {
                    let why = PodView::parse(&text).err().unwrap_or(error);
                    let title = title(&place, facts);
                    let line = format!("{title}: {}", unreadable(&pod, &why));
                    audited.unreadable.push(line);
                }
            }
        }
    }
    Ok(audited)
}
