//! The cluster as last heard of, by namespace, and what policies say about it.
//!
//! Of a pod is kept what a policy may read, and that only of pods that one may select.
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace as NamespaceObject},
    jiff::Timestamp,
};
use kube::{
    api::{PartialObjectMeta, Preconditions},
    core::ApiResource,
    runtime::watcher::Event,
};
use tokio::sync::{Notify, watch};

use super::workloads::Workload;
use crate::{
    inject::inject,
    kubernetes::{Heard, Metadata},
    pod::PodView,
    policy::{PARAMETER_PREFIX, PolicySet, is_whole, may_have_scripts},
    policy_files::InForce,
    replica::{self, Action, Moment, Observed, Present, Step, UNUSED_SINCE},
    select::{Facts, Namespace, Settings, namespace_left_alone, select},
};

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Namespaces,
    ConfigMaps,
    Pods,
    StatefulSets,
    Deployments,
    DaemonSets,
    ReplicaSets,
}

impl Kind {
    pub const ALL: &'static [Self] = &[
        Self::Namespaces,
        Self::ConfigMaps,
        Self::Pods,
        Self::StatefulSets,
        Self::Deployments,
        Self::DaemonSets,
        Self::ReplicaSets,
    ];

    /// What pods come from. Pods of Jobs end by themselves, and no policy selects such.
    pub const WORKLOADS: [Self; 5] = [
        Self::Pods,
        Self::StatefulSets,
        Self::Deployments,
        Self::DaemonSets,
        Self::ReplicaSets,
    ];

    /// The resource, as in an address of the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::ConfigMaps => "configmaps",
            Self::Pods => "pods",
            Self::StatefulSets => "statefulsets",
            Self::Deployments => "deployments",
            Self::DaemonSets => "daemonsets",
            Self::ReplicaSets => "replicasets",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Namespaces => "Namespace",
            Self::ConfigMaps => "ConfigMap",
            Self::Pods => "Pod",
            Self::StatefulSets => "StatefulSet",
            Self::Deployments => "Deployment",
            Self::DaemonSets => "DaemonSet",
            Self::ReplicaSets => "ReplicaSet",
        }
    }

    pub fn resource(self) -> ApiResource {
        let (group, api_version) = match self {
            Self::Namespaces | Self::ConfigMaps | Self::Pods => ("", "v1"),
            Self::StatefulSets | Self::Deployments | Self::DaemonSets | Self::ReplicaSets => {
                ("apps", "apps/v1")
            }
        };
        ApiResource {
            group: group.to_owned(),
            version: "v1".to_owned(),
            api_version: api_version.to_owned(),
            kind: self.name().to_owned(),
            plural: self.as_str().to_owned(),
        }
    }
}

/// What is known of the cluster, and of what has to be looked at again.
pub struct World {
    policies: InForce,
    settings: Settings,
    state: Mutex<State>,
    stirred: Notify,
    reloads: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    spaces: HashMap<String, Space>,
    /// Namespaces of which something was heard since somebody asked.
    stirred: BTreeSet<String>,
    synced: BTreeSet<Kind>,
    broken: BTreeSet<Kind>,
    /// How often each kind was listed.
    lists: BTreeMap<Kind, u64>,
}

/// One namespace.
#[derive(Default)]
struct Space {
    about: Option<About>,
    users: HashMap<(Kind, String), User>,
    scripts: BTreeMap<String, Script>,
}

struct About {
    list: u64,
    metadata: Metadata,
    terminating: bool,
}

/// A pod, or what makes pods.
struct User {
    list: u64,
    /// What a policy may read of it, where one may select it.
    pod: Option<Box<str>>,
    /// Names of the ConfigMaps that it would get if it were made now.
    wants: Box<[String]>,
    /// Names of those that it has among its volumes.
    uses: Box<[String]>,
}

/// A ConfigMap with scripts.
#[derive(Debug)]
pub struct Script {
    list: u64,
    pub present: Present,
    version: Preconditions,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub namespaces: usize,
    pub workloads: usize,
    pub scripts: usize,
}

impl World {
    pub fn new(policies: InForce, settings: Settings) -> Self {
        Self {
            policies,
            settings,
            state: Mutex::default(),
            stirred: Notify::new(),
            reloads: watch::channel(()).0,
        }
    }

    /// Whether the first list of this kind has arrived.
    pub fn is_synced(&self, kind: Kind) -> bool {
        self.state().synced.contains(&kind)
    }

    pub fn is_whole(&self) -> bool {
        self.state().synced.len() == Kind::ALL.len()
    }

    pub fn seen(&self) -> Seen {
        let state = self.state();
        let spaces = state.spaces.values();
        spaces.fold(Seen::default(), |seen, space| Seen {
            namespaces: seen.namespaces + usize::from(space.about.is_some()),
            workloads: seen.workloads + space.users.len(),
            scripts: seen.scripts + space.scripts.len(),
        })
    }

    /// Waits until there is something to look at.
    pub async fn stirred(&self) {
        self.stirred.notified().await;
    }

    /// The namespaces of which something was heard since the last time.
    pub fn take_stirred(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.state().stirred)
    }

    pub fn namespaces(&self) -> BTreeSet<String> {
        self.state().spaces.keys().cloned().collect()
    }

    /// Says that other policies are in force.
    pub fn reloaded(&self) {
        let policies = self.policies.get();
        let mut state = self.state();
        for (name, space) in &mut state.spaces {
            space.judge(name, &policies, &self.settings);
        }
        state.stirred = state.spaces.keys().cloned().collect();
        drop(state);
        self.stirred.notify_one();
        // What no policy meant was not kept: it has to be listed again.
        self.reloads.send_replace(());
    }

    pub fn reloads(&self) -> watch::Receiver<()> {
        self.reloads.subscribe()
    }

    /// What is to be done in a namespace; nothing where nothing may be done.
    pub fn steps(
        &self,
        namespace: &str,
        in_force: impl Fn(&str) -> bool,
        keep: Duration,
        now: Moment,
    ) -> Vec<Step> {
        let state = self.state();
        let space = state.spaces.get(namespace);
        let open = |space: &&Space| space.about.as_ref().is_some_and(|it| !it.terminating);
        let Some(space) = space.filter(open) else {
            return Vec::new();
        };
        if namespace_left_alone(namespace, &self.settings).is_some() {
            return Vec::new();
        }
        let mut steps = replica::steps(&space.observed(), in_force, keep, now);
        // A pod that uses it may have come unheard.
        steps.retain(|step| step.action != Action::Delete || state.broken.is_empty());
        steps
    }

    /// The version of a ConfigMap that was heard of last.
    pub fn version(&self, namespace: &str, name: &str) -> Option<Preconditions> {
        let state = self.state();
        let script = state.spaces.get(namespace)?.scripts.get(name)?;
        Some(script.version.clone())
    }

    /// What the API server said in answer to a step; the watch says it again, later.
    pub fn answered(&self, namespace: &str, name: &str, object: Option<&ConfigMap>) {
        let mut state = self.state();
        let list = state.list(Kind::ConfigMaps);
        let script = object.and_then(|object| Script::new(object, list));
        if let Some(space) = state.spaces.get_mut(namespace) {
            match script {
                Some(script) => {
                    space.scripts.insert(name.to_owned(), script);
                }
                None => {
                    space.scripts.remove(name);
                }
            }
        }
    }

    /// Notes that a namespace takes nothing any more, until the watch says otherwise.
    pub fn terminates(&self, namespace: &str) {
        let mut state = self.state();
        let space = state.spaces.get_mut(namespace);
        if let Some(about) = space.and_then(|space| space.about.as_mut()) {
            about.terminating = true;
        }
    }

    pub fn hear_namespace(&self, heard: Heard<PartialObjectMeta<NamespaceObject>>) {
        let policies = self.policies.get();
        self.hear(
            Kind::Namespaces,
            heard,
            |object| object.metadata.name.clone(),
            |space, object, list| {
                let name = object.metadata.name.clone().unwrap_or_default();
                let terminating = object.metadata.deletion_timestamp.is_some();
                let metadata = Metadata::new(object.metadata, PARAMETER_PREFIX);
                let before = space.about.replace(About {
                    list,
                    metadata,
                    terminating,
                });
                let same = |before: About| {
                    let now = space.about.as_ref();
                    now.is_some_and(|now| now.metadata == before.metadata)
                };
                if !before.is_some_and(same) {
                    space.judge(&name, &policies, &self.settings);
                }
            },
            |space, _| space.about = None,
            |space, list| {
                if space.about.as_ref().is_some_and(|about| about.list < list) {
                    space.about = None;
                }
            },
        );
    }

    pub fn hear_workload(&self, kind: Kind, heard: Heard<Workload>) {
        let policies = self.policies.get();
        let namespace = |object: &Workload| object.metadata.namespace.clone();
        let key = |object: &Workload| (kind, object.metadata.name.clone().unwrap_or_default());
        self.hear(
            kind,
            heard,
            namespace,
            |space, object, list| {
                let namespace = namespace(&object).unwrap_or_default();
                let key = key(&object);
                let mut user = User::new(&object, list);
                space.judge_user(&namespace, &key, &mut user, &policies, &self.settings);
                if user.pod.is_some() || !user.uses.is_empty() {
                    space.users.insert(key, user);
                } else {
                    space.users.remove(&key);
                }
            },
            |space, object| {
                space.users.remove(&key(&object));
            },
            |space, list| {
                let old = |(of, _): &(Kind, String), user: &User| *of == kind && user.list < list;
                space.users.retain(|key, user| !old(key, user));
            },
        );
    }

    pub fn hear_config_map(&self, heard: Heard<ConfigMap>) {
        let name = |object: &ConfigMap| object.metadata.name.clone().unwrap_or_default();
        self.hear(
            Kind::ConfigMaps,
            heard,
            |object| object.metadata.namespace.clone(),
            |space, object, list| {
                if let Some(script) = Script::new(&object, list) {
                    space.scripts.insert(name(&object), script);
                }
            },
            |space, object| {
                space.scripts.remove(&name(&object));
            },
            |space, list| space.scripts.retain(|_, script| script.list >= list),
        );
    }

    fn hear<K>(
        &self,
        kind: Kind,
        heard: Heard<K>,
        namespace: impl Fn(&K) -> Option<String>,
        apply: impl FnOnce(&mut Space, K, u64),
        delete: impl FnOnce(&mut Space, K),
        keep: impl Fn(&mut Space, u64),
    ) {
        let mut guard = self.state();
        let state = &mut *guard;
        let event = match heard {
            Heard::Event(event) => event,
            Heard::Broke => {
                state.broken.insert(kind);
                return;
            }
        };
        if !matches!(event, Event::Init) {
            state.broken.remove(&kind);
        }
        match event {
            Event::Init => *state.lists.entry(kind).or_default() += 1,
            Event::InitApply(object) | Event::Apply(object) => {
                let list = state.list(kind);
                if let Some(name) = namespace(&object) {
                    apply(state.spaces.entry(name.clone()).or_default(), object, list);
                    state.stir(name);
                }
            }
            Event::Delete(object) => {
                if let Some(name) = namespace(&object) {
                    if let Some(space) = state.spaces.get_mut(&name) {
                        delete(space, object);
                    }
                    state.stir(name);
                }
            }
            Event::InitDone => {
                let list = state.list(kind);
                for space in state.spaces.values_mut() {
                    keep(space, list);
                }
                state.spaces.retain(|_, space| !space.is_empty());
                state.stirred.extend(state.spaces.keys().cloned());
                if state.synced.insert(kind) {
                    tracing::info!("{} are known", kind.as_str());
                }
            }
        }
        drop(guard);
        self.stirred.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves each namespace as it was heard of last, or without its last news.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn list(&self, kind: Kind) -> u64 {
        self.lists.get(&kind).copied().unwrap_or(0)
    }

    fn stir(&mut self, name: String) {
        if self.spaces.get(&name).is_some_and(Space::is_empty) {
            self.spaces.remove(&name);
        } else {
            self.stirred.insert(name);
        }
    }
}

impl Space {
    fn is_empty(&self) -> bool {
        let Self {
            about,
            users,
            scripts,
        } = self;
        about.is_none() && users.is_empty() && scripts.is_empty()
    }

    fn observed(&self) -> Observed<'_> {
        let users = || self.users.values();
        Observed {
            wanted: users().flat_map(|it| &it.wants).map(|it| &**it).collect(),
            used: users().flat_map(|it| &it.uses).map(|it| &**it).collect(),
            present: self
                .scripts
                .iter()
                .map(|(name, script)| (&**name, script.present))
                .collect(),
        }
    }

    /// Asks the policies again about everybody.
    fn judge(&mut self, namespace: &str, policies: &PolicySet, settings: &Settings) {
        let mut users = std::mem::take(&mut self.users);
        for (key, user) in &mut users {
            self.judge_user(namespace, key, user, policies, settings);
        }
        self.users = users;
    }

    fn judge_user(
        &self,
        namespace: &str,
        (kind, name): &(Kind, String),
        user: &mut User,
        policies: &PolicySet,
        settings: &Settings,
    ) {
        let facts = Facts {
            namespace,
            about_namespace: match &self.about {
                Some(about) => Namespace::Known {
                    labels: &about.metadata.labels,
                    annotations: &about.metadata.annotations,
                },
                None => Namespace::NotSeen,
            },
            owner: (*kind != Kind::Pods).then_some((kind.name(), &**name)),
            settings,
        };
        let wants = user
            .pod
            .as_deref()
            .and_then(|pod| wants(policies, pod, facts));
        match wants {
            Some(wants) => user.wants = wants,
            None => user.pod = None,
        }
    }
}

/// The names of the ConfigMaps that a pod gets; `None` when no policy can select it, whatever may
/// become of its namespace.
fn wants(policies: &PolicySet, pod: &str, facts: Facts<'_>) -> Option<Box<[String]>> {
    let pod = PodView::parse(pod).ok()?;
    if select(policies, &pod, facts).is_empty() {
        return None;
    }
    let injection = inject(policies, &pod, facts);
    let applied = injection.plan.applied.iter();
    let names = applied.filter_map(|it| it.policy.config_map());
    Some(names.map(str::to_owned).collect())
}

impl User {
    fn new(object: &Workload, list: u64) -> Self {
        let uses = object.config_maps().filter(|name| may_have_scripts(name));
        Self {
            list,
            pod: Some(object.pod().into()),
            wants: Box::default(),
            uses: uses.map(str::to_owned).collect(),
        }
    }
}

impl Script {
    /// Of a ConfigMap with scripts, and of no other.
    pub fn new(object: &ConfigMap, list: u64) -> Option<Self> {
        let none = BTreeMap::new();
        let meta = &object.metadata;
        let labels = meta.labels.as_ref()?;
        let files = object.data.as_ref().unwrap_or(&none);
        let said = is_whole(meta.name.as_deref()?, labels, files)?;
        let immutable = object.immutable == Some(true);
        let nothing_else = object.binary_data.as_ref().is_none_or(BTreeMap::is_empty);
        let annotations = meta.annotations.as_ref();
        let since = annotations.and_then(|it| it.get(UNUSED_SINCE));
        // What cannot be read counts from now on, when it is noted anew.
        let since = since.and_then(|since| since.parse::<Timestamp>().ok());
        let created = meta.creation_timestamp.as_ref();
        Some(Self {
            list,
            present: Present {
                whole: said && immutable && nothing_else,
                created: created.map_or(0, |time| moment(time.0)),
                unused_since: since.map(moment),
            },
            version: version(object),
        })
    }
}

/// This version of an object and no other.
pub fn version(object: &ConfigMap) -> Preconditions {
    Preconditions {
        uid: object.metadata.uid.clone(),
        resource_version: object.metadata.resource_version.clone(),
    }
}

pub fn moment(time: Timestamp) -> Moment {
    u64::try_from(time.as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests;
