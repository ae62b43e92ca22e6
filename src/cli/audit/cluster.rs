//! Audits a cluster: its pods page by page, with what may be seen of namespaces, Schedules and
//! ConfigMaps. What may not be seen is unknown, and said so.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kube::Client;
use serde::Deserialize;

use super::{Args, Audited};
use crate::{
    audit::{self, Around, Backup, Backups},
    kubernetes::{self, ListError, Objects, list, object},
    policy::{
        Policy, PolicySet,
        crd::{CLUSTER_PLURAL, GROUP, PLURAL, VERSION},
        file::{CLUSTER_KIND, KIND},
        resource::{Judged, judge},
    },
    select::{Facts, Mode, Namespace},
};

pub type Labels = BTreeMap<String, String>;

/// The ConfigMaps with scripts.
const SCRIPTS: &str = "app.kubernetes.io/managed-by=quiescent";

/// What every object says of itself.
#[derive(Default, Deserialize)]
struct Object {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    labels: Option<Labels>,
    #[serde(default)]
    annotations: Option<Labels>,
}

impl Metadata {
    fn title(&self) -> String {
        if self.namespace.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.namespace, self.name)
        }
    }
}

fn metadata(text: &str) -> Metadata {
    let read = serde_json::from_str::<Object>(text);
    read.unwrap_or_default().metadata
}

/// What is known beside the pods, as far as we may see it.
struct Beside {
    namespaces: Option<BTreeMap<String, (Labels, Labels)>>,
    schedules: Schedules,
    /// Those with scripts, by namespace.
    config_maps: Option<BTreeMap<String, BTreeSet<String>>>,
}

enum Schedules {
    Known(Vec<Backup>),
    NoVelero,
    Unknown,
}

pub(super) fn audit(args: &Args, policies: &PolicySet) -> anyhow::Result<Audited> {
    crate::cli::block_on(look(args, policies))
}

async fn look(args: &Args, policies: &PolicySet) -> anyhow::Result<Audited> {
    let client =
        kubernetes::current_client(args.kubeconfig.as_deref(), args.context.as_deref()).await?;
    let settings = args.settings(Mode::OptIn);
    let mut notes = Vec::new();
    let within = args.namespace.as_deref();
    let of_cluster = resources(&client, within, &mut notes).await?;
    let policies = &policies.with(&of_cluster);
    let beside = Beside {
        namespaces: namespaces(&client, within, &mut notes).await?,
        schedules: schedules(&client, &settings.velero_namespace, &mut notes).await?,
        config_maps: config_maps(&client, within, &mut notes).await?,
    };
    let none = BTreeSet::new();
    let judge = |text: &str| {
        let Metadata {
            name, namespace, ..
        } = metadata(text);
        let known = beside.namespaces.as_ref();
        let about = known.map_or(Namespace::Unknown, |all| match all.get(&namespace) {
            Some((labels, annotations)) => Namespace::Known {
                labels,
                annotations,
            },
            None => Namespace::NotSeen,
        });
        let around = Around {
            facts: Facts {
                namespace: &namespace,
                about_namespace: about,
                owner: None,
                settings: &settings,
            },
            backups: match &beside.schedules {
                Schedules::Known(all) => Backups::Known(all),
                Schedules::NoVelero => Backups::NoVelero,
                Schedules::Unknown => Backups::Unknown,
            },
            config_maps: beside
                .config_maps
                .as_ref()
                .map(|all| all.get(&namespace).unwrap_or(&none)),
        };
        let found = audit::audit(policies, text, around);
        found.map_err(|error| format!("Pod {namespace}/{name}: {}", error.what()))
    };
    let path = path(within, "pods");
    let pods = Objects {
        path: &path,
        labels: args.selector.as_deref(),
        metadata_only: false,
    };
    let mut audited = Audited {
        notes,
        ..Audited::default()
    };
    for judged in list(&client, pods, judge).await? {
        match judged {
            Ok(found) => audited.findings.extend(found),
            Err(why) => audited.unreadable.push(why),
        }
    }
    Ok(audited)
}

/// Objects of the core API, of one namespace or of all.
pub fn path(namespace: Option<&str>, kind: &str) -> String {
    match namespace {
        Some(namespace) => format!("/api/v1/namespaces/{namespace}/{kind}"),
        None => format!("/api/v1/{kind}"),
    }
}

/// Labels and annotations of namespaces, by name, if we may see them.
pub async fn namespaces(
    client: &Client,
    only: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<BTreeMap<String, (Labels, Labels)>>, ListError> {
    const PATH: &str = "/api/v1/namespaces";
    let found = if let Some(name) = only {
        let text = object(client, PATH, name).await;
        text.map(|text| vec![metadata(&text)])
    } else {
        let objects = Objects {
            path: PATH,
            labels: None,
            metadata_only: true,
        };
        list(client, objects, metadata).await
    };
    let Some(found) = seen(found)? else {
        notes.push("we may not see namespaces: what their labels say is unknown".to_owned());
        return Ok(None);
    };
    let known = found.into_iter().map(|it| {
        let labels = it.labels.unwrap_or_default();
        (it.name, (labels, it.annotations.unwrap_or_default()))
    });
    Ok(Some(known.collect()))
}

/// All of the cluster, or those of Velero's namespace where we may see no others.
async fn schedules(
    client: &Client,
    velero: &str,
    notes: &mut Vec<String>,
) -> Result<Schedules, ListError> {
    let everywhere = "/apis/velero.io/v1/schedules".to_owned();
    let its_own = format!("/apis/velero.io/v1/namespaces/{velero}/schedules");
    for path in [everywhere, its_own] {
        let objects = Objects {
            path: &path,
            labels: None,
            metadata_only: false,
        };
        let read = |text: &str| {
            let object = serde_json::from_str(text).unwrap_or_default();
            Backup::of_schedule(&object)
        };
        match list(client, objects, read).await {
            Ok(all) => return Ok(Schedules::Known(all)),
            Err(ListError::Forbidden { .. }) => {}
            Err(ListError::Absent { .. }) => {
                notes.push(
                    "there is no Velero in this cluster: nothing is known of its backups"
                        .to_owned(),
                );
                return Ok(Schedules::NoVelero);
            }
            Err(error) => return Err(error),
        }
    }
    notes.push("we may not list Schedules of Velero: what they take is unknown".to_owned());
    Ok(Schedules::Unknown)
}

async fn config_maps(
    client: &Client,
    within: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<BTreeMap<String, BTreeSet<String>>>, ListError> {
    let path = path(within, "configmaps");
    let objects = Objects {
        path: &path,
        labels: Some(SCRIPTS),
        metadata_only: true,
    };
    let Some(found) = seen(list(client, objects, metadata).await)? else {
        notes.push("we may not list ConfigMaps: whether scripts are missing is unknown".to_owned());
        return Ok(None);
    };
    let mut by_namespace: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for it in found {
        by_namespace
            .entry(it.namespace)
            .or_default()
            .insert(it.name);
    }
    Ok(Some(by_namespace))
}

/// The policies that are objects of the cluster, as far as they are sound.
pub async fn resources(
    client: &Client,
    within: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Vec<Arc<Policy>>, ListError> {
    let api = format!("/apis/{GROUP}/{VERSION}");
    let own = match within {
        Some(namespace) => format!("{api}/namespaces/{namespace}/{PLURAL}"),
        None => format!("{api}/{PLURAL}"),
    };
    let mut policies = Vec::new();
    for (kind, path) in [
        (KIND, own),
        (CLUSTER_KIND, format!("{api}/{CLUSTER_PLURAL}")),
    ] {
        let objects = Objects {
            path: &path,
            labels: None,
            metadata_only: false,
        };
        let read = |text: &str| {
            let object = serde_json::from_str(text).unwrap_or_default();
            (metadata(text), judge(&object))
        };
        let listed = match list(client, objects, read).await {
            Err(ListError::Absent { .. }) => continue,
            listed => seen(listed)?,
        };
        let Some(listed) = listed else {
            notes.push(format!(
                "we may not list {kind}: those of the cluster are unknown"
            ));
            continue;
        };
        for (metadata, Judged { policy, remark }) in listed {
            match (policy, remark) {
                (Some(policy), _) => policies.push(Arc::new(policy)),
                (None, remark) => notes.push(format!(
                    "{kind} {}: {}",
                    metadata.title(),
                    remark.unwrap_or_default()
                )),
            }
        }
    }
    Ok(policies)
}

/// What was listed; nothing where we may not see it.
pub fn seen<T>(listed: Result<T, ListError>) -> Result<Option<T>, ListError> {
    match listed {
        Ok(listed) => Ok(Some(listed)),
        Err(ListError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
