//! Which claims are meant, which pods mount them, with which hooks, and what the snapshots are called.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, Hasher as _, RandomState},
};

use anyhow::{Context as _, anyhow, bail};
use kube::Client;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Clock, Group, Grouping, Target,
    group::{self, Claims},
    hooks,
};
use crate::{
    csi::{self, Class},
    kubernetes::{ListError, Objects, list, object},
    live::{self, Subject, meant, named, selector},
    policy::PolicySet,
    select::{Facts, Namespace, Settings},
    snapshot::{Chosen, Cut, Hooked, Place, claims, parts, resource::Named},
    trial::Hooks,
};

/// What somebody wants.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'w> {
    /// Else that of the client.
    pub namespace: Option<&'w str>,
    pub target: Option<&'w Target>,
    /// Labels of pods, where there is no target.
    pub selector: Option<&'w str>,
    /// The VolumeSnapshotClass, else the default one of the driver of each claim.
    pub class: Option<&'w str>,
    pub group: Grouping,
}

/// What is to be done, decided before anything is.
#[derive(Debug)]
pub struct Plan {
    pub namespace: String,
    pub target: String,
    /// The label of all snapshots that are taken together.
    pub set: String,
    pub members: Vec<Subject>,
    pub claims: Vec<Claim>,
    /// If the claims are cut in one moment.
    pub group: Option<Group>,
    pub notes: Vec<String>,
    pub clock: Clock,
}

/// A claim that is snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    pub name: String,
    /// The name of its VolumeSnapshot.
    pub snapshot: String,
    pub class: String,
}

impl Claim {
    /// The name that its VolumeSnapshot has.
    #[must_use]
    pub fn snapshot<'c>(&'c self, cut: &'c Cut) -> &'c str {
        cut.name.as_deref().unwrap_or(&self.snapshot)
    }
}

/// A pod as the API server has it.
struct Pod {
    name: String,
    phase: String,
    /// Claims, each with its volume.
    claims: Vec<(String, String)>,
    /// Among those that hold together, or why it has none.
    place: Result<Place, String>,
    text: String,
}

impl Plan {
    /// With the hooks of these policies, or without any.
    pub async fn make(
        client: &Client,
        wanted: Wanted<'_>,
        policies: Option<PolicySet>,
    ) -> anyhow::Result<Self> {
        let clock = Clock::of(client).await?;
        let namespace = wanted.namespace;
        let namespace = namespace.unwrap_or_else(|| client.default_namespace());
        let path = format!("/api/v1/namespaces/{namespace}/pods");
        let objects = Objects {
            path: &path,
            labels: None,
            metadata_only: false,
        };
        let mut pods: Vec<Pod> = list(client, objects, pod).await?;
        pods.sort_by(|one, other| one.name.cmp(&other.name));
        let claims = meant_claims(client, wanted, namespace, &path, &pods).await?;
        let mounts = |pod: &&Pod| pod.claims.iter().any(|(claim, _)| claims.contains(claim));
        let users: Vec<&Pod> = pods.iter().filter(mounts).collect();
        let mut notes = Vec::new();
        let (running, others): (Vec<&Pod>, Vec<&Pod>) =
            users.into_iter().partition(|it| it.phase == "Running");
        for pod in others
            .iter()
            .filter(|it| it.phase != "Succeeded" && it.phase != "Failed")
        {
            notes.push(format!(
                "pod {namespace}/{} is {}: its hooks do not run",
                pod.name, pod.phase
            ));
        }
        let target = match wanted.target {
            Some(target) => target.to_string(),
            None => format!("-l {}", wanted.selector.unwrap_or_default()),
        };
        let stamp = clock.stamp();
        let classes = classes(client).await?;
        let mut drivers = Vec::new();
        for name in &claims {
            drivers.push(driver(client, namespace, name).await?);
        }
        let of = Claims {
            namespace,
            drivers: &drivers,
            class: wanted.class,
        };
        let group = group::chosen(client, wanted.group, of).await?;
        let mut taken = Vec::new();
        let mut copier = None;
        for (name, driver) in claims.iter().zip(&drivers) {
            let class = match &group {
                Some((_, class)) => class,
                None => csi::class_for(&classes, driver, wanted.class)
                    .map_err(|why| anyhow!("claim {namespace}/{name}: {why}"))?,
            };
            copier = copier.or(Some(class).filter(|it| it.copies_files));
            taken.push(Claim {
                name: name.clone(),
                snapshot: format!("{}-{stamp}", cut(name, 237)),
                class: class.name.clone(),
            });
        }
        let storage = Storage {
            claims: &claims,
            is_group: group.is_some(),
            copier,
        };
        let members = match policies {
            None => Vec::new(),
            Some(policies) => {
                let named = hooks::named(client, namespace, &mut notes).await?;
                let by = (Chosen::new(policies), named);
                members(client, by, namespace, &running, storage).await?
            }
        };
        Ok(Self {
            set: set(&target, &stamp),
            namespace: namespace.to_owned(),
            target,
            members,
            claims: taken,
            group: group.map(|(group, _)| group),
            notes,
            clock,
        })
    }
}

fn pod(text: &str) -> Pod {
    let pod: Value = serde_json::from_str(text).unwrap_or_default();
    let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Pod {
        name: said(&pod["metadata"]["name"]),
        phase: said(&pod["status"]["phase"]),
        claims: claims(&pod),
        place: Place::of(&pod),
        text: text.to_owned(),
    }
}

/// The claims that are to be snapshot, each once.
async fn meant_claims(
    client: &Client,
    wanted: Wanted<'_>,
    namespace: &str,
    path: &str,
    pods: &[Pod],
) -> anyhow::Result<Vec<String>> {
    let labels = match (wanted.target, wanted.selector) {
        (Some(Target::Claim(name)), _) => return Ok(vec![name.clone()]),
        (Some(Target::Pods(live::Target::Pod(name))), _) => {
            let Some(pod) = pods.iter().find(|it| it.name == *name) else {
                bail!("there is no pod {namespace}/{name}");
            };
            return of_pods(&[pod], namespace);
        }
        (Some(Target::Pods(live::Target::Owner { plural, name })), _) => {
            selector(client, namespace, plural, name).await?
        }
        (None, labels) => labels.unwrap_or_default().to_owned(),
    };
    let texts = meant(client, path, &labels).await?;
    let meant: Vec<Pod> = texts.iter().map(|it| pod(it)).collect();
    let meant: Vec<&Pod> = meant.iter().filter(|it| it.phase == "Running").collect();
    of_pods(&meant, namespace)
}

fn of_pods(pods: &[&Pod], namespace: &str) -> anyhow::Result<Vec<String>> {
    let mut claims: Vec<String> = Vec::new();
    for (claim, _) in pods.iter().flat_map(|it| &it.claims) {
        if !claims.contains(claim) {
            claims.push(claim.clone());
        }
    }
    if claims.is_empty() {
        bail!("no running pod in {namespace} that is meant mounts a claim");
    }
    Ok(claims)
}

/// How claims are cut.
struct Storage<'s> {
    claims: &'s [String],
    is_group: bool,
    /// The class that copies file by file.
    copier: Option<&'s Class>,
}

/// The pods whose hooks run, each with these, in the order in which they hold.
async fn members(
    client: &Client,
    (chosen, named): (Chosen, Vec<Named>),
    namespace: &str,
    running: &[&Pod],
    storage: Storage<'_>,
) -> anyhow::Result<Vec<Subject>> {
    let Storage {
        claims,
        is_group,
        copier,
    } = storage;
    if running.is_empty() {
        bail!(
            "no running pod mounts {}: say --without-hooks",
            claims.join(", ")
        );
    }
    let settings = Settings {
        default_method: "snapshot".to_owned(),
        ..Settings::default()
    };
    let around = namespace_of(client, namespace).await?;
    let facts = Facts {
        namespace,
        about_namespace: match &around {
            Some((labels, annotations)) => Namespace::Known {
                labels,
                annotations,
            },
            // What it says of itself is then unknown, and a policy that asks is passed over.
            None => Namespace::Unknown,
        },
        owner: None,
        settings: &settings,
    };
    let mut members = Vec::new();
    for pod in running {
        let title = format!("pod {namespace}/{}", pod.name);
        let place = pod.place.clone();
        let place = place.map_err(|why| anyhow!("{title}: {why}"))?;
        let refused = |why: String| anyhow!("{title}: {why}; or say --without-hooks");
        let of_pod = pod
            .claims
            .iter()
            .filter(|(claim, _)| claims.contains(claim));
        let meant: Vec<&str> = of_pod.map(|(claim, _)| claim.as_str()).collect();
        let hooked = hooks::of(&pod.text, &meant, &named, &chosen, facts).map_err(refused)?;
        let Some(hooked) = hooked else {
            continue;
        };
        let all_in_group = is_group && pod.claims.iter().all(|(it, _)| claims.contains(it));
        let Hooked {
            hooks,
            policies,
            holds_writes,
        } = if all_in_group {
            hooked.in_group()
        } else {
            hooked
        };
        if let Some(spread) = parts(&pod.text)
            && !holds_writes
            && !all_in_group
        {
            bail!(
                "{title}: its database has files on several claims ({}), which are cut one after the other, and nothing holds its writes meanwhile: cut all of them with --group always, put them on one claim, or back it up with a dump",
                spread.names()
            );
        }
        if let Some(Class { name, driver, .. }) = copier
            && !holds_writes
        {
            bail!(
                "{title}: class {name} of {driver} copies file by file, and nothing holds writes meanwhile: back it up with a dump"
            );
        }
        members.push((place, subject(namespace, pod, hooks, policies)));
    }
    if members.is_empty() {
        bail!(
            "no running pod that mounts {} has the labels that its SnapshotHook asks for",
            claims.join(", ")
        );
    }
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(members.into_iter().map(|(_, subject)| subject).collect())
}

fn subject(namespace: &str, pod: &Pod, hooks: Hooks, policies: Option<String>) -> Subject {
    Subject {
        namespace: namespace.to_owned(),
        name: pod.name.clone(),
        policies,
        hooks,
        labels: BTreeMap::new(),
        pod: pod.text.clone(),
    }
}

type Pairs = BTreeMap<String, String>;

/// Its labels and annotations, where we may see them.
async fn namespace_of(client: &Client, name: &str) -> anyhow::Result<Option<(Pairs, Pairs)>> {
    match object(client, "/api/v1/namespaces", name).await {
        Ok(text) => {
            let object: Value =
                serde_json::from_str(&text).context("the API server sent no object")?;
            let pairs = |key: &str| {
                let pairs = object["metadata"][key].clone();
                serde_json::from_value(pairs).unwrap_or_default()
            };
            Ok(Some((pairs("labels"), pairs("annotations"))))
        }
        Err(ListError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn classes(client: &Client) -> anyhow::Result<Vec<Class>> {
    let path = csi::classes();
    let objects = Objects {
        path: &path,
        labels: None,
        metadata_only: false,
    };
    let classes = list(client, objects, |text| {
        serde_json::from_str(text)
            .ok()
            .and_then(|object: Value| csi::class(&object))
    });
    match classes.await {
        Err(ListError::Absent { .. }) => {
            bail!(
                "this cluster knows no VolumeSnapshots: its CSI snapshot controller is not installed"
            )
        }
        classes => Ok(classes?.into_iter().flatten().collect()),
    }
}

/// The driver of the volume of a claim.
async fn driver(client: &Client, namespace: &str, claim: &str) -> anyhow::Result<String> {
    let what = format!("claim {namespace}/{claim}");
    let path = format!("/api/v1/namespaces/{namespace}/persistentvolumeclaims");
    let text = object(client, &path, claim).await;
    let text = text.map_err(|error| named(error, &what))?;
    let object_of = |text: &str| serde_json::from_str::<Value>(text);
    let found = object_of(&text).context("the API server sent no object")?;
    let volume = found["spec"]["volumeName"].as_str().unwrap_or_default();
    if volume.is_empty() {
        bail!("{what} has no volume yet");
    }
    let text = object(client, "/api/v1/persistentvolumes", volume).await?;
    let volume = object_of(&text).context("the API server sent no object")?;
    match csi::driver(&volume) {
        Some(driver) => Ok(driver.to_owned()),
        None => {
            bail!("the volume of {what} is not of a CSI driver, and such have no snapshots")
        }
    }
}

/// A value for a label that no other run has.
fn set(target: &str, stamp: &str) -> String {
    let (_, name) = target.rsplit_once('/').unwrap_or((target, "selected"));
    let name: String = name
        .chars()
        .filter(|it| it.is_ascii_alphanumeric() || *it == '-')
        .collect();
    let random = RandomState::new().build_hasher().finish();
    format!("{}-{stamp}-{:05x}", cut(&name, 40), random & 0xf_ffff)
}

pub(super) fn cut(name: &str, most: usize) -> &str {
    let short = &name[..name.len().min(most)];
    short.trim_end_matches(['-', '.'])
}
