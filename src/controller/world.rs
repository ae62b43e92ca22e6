//! The cluster as last heard of, by namespace, and what policies say about it.
//!
//! Of a pod is kept what a policy and an audit may read, and that only of pods that a policy may select
//! or that look like a database.
mod judging;
mod running;

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

use self::{judging::Asked, running::Running};
use super::workloads::Workload;
use crate::{
    audit::Reason,
    kubernetes::{Heard, Metadata},
    missed::{self, Annotations, Found, Owner, Standing},
    policy::{PARAMETER_PREFIX, is_whole, may_have_scripts},
    policy_files::InForce,
    replica::{self, Action, Moment, Observed, Present, Step, UNUSED_SINCE},
    select::{Settings, namespace_left_alone},
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
    /// What is read of it, where a policy may select it or it looks like a database.
    pod: Option<Box<str>>,
    /// Of a pod, and of nothing that makes pods.
    running: Option<Box<Running>>,
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

/// What is to be written on a running pod.
pub struct Repair {
    pub uid: String,
    /// The version that this is for, and no other.
    pub version: String,
    pub annotations: Annotations,
}

/// Namespace, policy and reason of pods that are counted.
pub type Group = (String, String, Reason);

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
        self.judge_all();
        let mut state = self.state();
        state.stirred = state.spaces.keys().cloned().collect();
        drop(state);
        self.stirred.notify_one();
        // What no policy meant was not kept: it has to be listed again.
        self.reloads.send_replace(());
    }

    fn judge_all(&self) {
        let policies = self.policies.get();
        let mut guard = self.state();
        let state = &mut *guard;
        let asked = Asked::new(&policies, &self.settings, state);
        for (name, space) in &mut state.spaces {
            space.judge(name, asked);
        }
    }

    /// How many pods lack what they should have. Nothing until everything is known.
    pub fn unprotected(&self) -> BTreeMap<Group, usize> {
        let mut groups = BTreeMap::new();
        if self.is_whole() {
            self.each_running(|namespace, _, running| {
                let counted = running.standing.as_ref().filter(|it| it.is_counted());
                if let Some(Standing { reason, policy, .. }) = counted {
                    let policy = policy.as_deref().unwrap_or_default();
                    let group = (namespace.to_owned(), policy.to_owned(), *reason);
                    *groups.entry(group).or_default() += 1;
                }
            });
        }
        groups
    }

    /// The pods about which something is to be said or done.
    pub fn missed(&self) -> Vec<Found> {
        let mut missed = Vec::new();
        self.each_running(|namespace, pod, running| missed.extend(running.found(namespace, pod)));
        missed
    }

    /// What owns a pod, or the pod where nothing does.
    pub fn owner(&self, namespace: &str, pod: &str) -> Option<Owner> {
        let state = self.state();
        let key = (Kind::Pods, pod.to_owned());
        let user = state.spaces.get(namespace)?.users.get(&key)?;
        Some(user.running.as_ref()?.owner(pod))
    }

    pub fn has_pod(&self, namespace: &str, pod: &str) -> bool {
        self.owner(namespace, pod).is_some()
    }

    /// Whether a pod of an owner, given by its uid, is on its way out: it may be ready to the end.
    pub fn has_one_going(&self, owner: &str) -> bool {
        let mut going = false;
        self.each_running(|_, _, running| going |= running.going && running.is_of(owner));
        going
    }

    /// What a pod is to get in place, as it was heard of last.
    pub fn repair(&self, namespace: &str, pod: &str) -> Option<Repair> {
        let policies = self.policies.get();
        let state = self.state();
        let space = state.spaces.get(namespace)?;
        let key = (Kind::Pods, pod.to_owned());
        let user = space.users.get(&key)?;
        let running = user.running.as_ref()?;
        let facts = space.facts(namespace, &key, &self.settings);
        Some(Repair {
            uid: running.uid().to_owned(),
            version: running.version.to_string(),
            annotations: missed::in_place(&policies, user.pod.as_deref()?, facts)?,
        })
    }

    /// How a pod would stand in a namespace, given as its JSON.
    pub fn standing(&self, namespace: &str, pod: &str) -> Option<Standing> {
        let policies = self.policies.get();
        let state = self.state();
        let space = state.spaces.get(namespace)?;
        let asked = Asked::new(&policies, &self.settings, &state);
        let key = (Kind::Pods, String::new());
        space.look(namespace, &key, pod, asked)
    }

    /// Every running pod with its namespace and name, of namespaces that are there.
    fn each_running(&self, mut see: impl FnMut(&str, &str, &Running)) {
        let state = self.state();
        for (namespace, space) in state.spaces.iter().filter(|(_, it)| it.about.is_some()) {
            for ((_, pod), user) in &space.users {
                if let Some(running) = &user.running {
                    see(namespace, pod, running);
                }
            }
        }
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
        let policies = self.policies.get();
        let mut guard = self.state();
        let state = &mut *guard;
        let list = state.list(Kind::ConfigMaps);
        let script = object.and_then(|object| Script::new(object, list));
        let asked = Asked::new(&policies, &self.settings, state);
        if let Some(space) = state.spaces.get_mut(namespace) {
            space.put(namespace, name, script, asked);
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
        let asked = Asked::new(&policies, &self.settings, &self.state());
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
                    space.judge(&name, asked);
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
        let asked = Asked::new(&policies, &self.settings, &self.state());
        let namespace = |object: &Workload| object.metadata.namespace.clone();
        let key = |object: &Workload| (kind, object.metadata.name.clone().unwrap_or_default());
        self.hear(
            kind,
            heard,
            namespace,
            |space, object, list| {
                let namespace = namespace(&object).unwrap_or_default();
                let key = key(&object);
                let mut user = User::new(kind, &object, list);
                space.judge_user(&namespace, &key, &mut user, asked);
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
        let policies = self.policies.get();
        let asked = Asked::new(&policies, &self.settings, &self.state());
        let name = |object: &ConfigMap| object.metadata.name.clone().unwrap_or_default();
        let namespace = |object: &ConfigMap| object.metadata.namespace.clone();
        let listed = matches!(heard, Heard::Event(Event::InitDone));
        self.hear(
            Kind::ConfigMaps,
            heard,
            namespace,
            |space, object, list| {
                if let Some(script) = Script::new(&object, list) {
                    let namespace = namespace(&object).unwrap_or_default();
                    space.put(&namespace, &name(&object), Some(script), asked);
                }
            },
            |space, object| {
                let namespace = namespace(&object).unwrap_or_default();
                space.put(&namespace, &name(&object), None, asked);
            },
            |space, list| space.scripts.retain(|_, script| script.list >= list),
        );
        if listed {
            // Which scripts are missing is known from now on, or has changed unheard.
            self.judge_all();
        }
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

    /// Notes that a ConfigMap with scripts is there, or that it is not.
    fn put(&mut self, namespace: &str, name: &str, script: Option<Script>, asked: Asked<'_>) {
        let is_there = script.is_some();
        let before = match script {
            Some(script) => self.scripts.insert(name.to_owned(), script),
            None => self.scripts.remove(name),
        };
        // An audit asks for no more than its name.
        if before.is_some() != is_there {
            self.judge(namespace, asked);
        }
    }
}

impl User {
    fn new(kind: Kind, object: &Workload, list: u64) -> Self {
        let uses = object.config_maps().filter(|name| may_have_scripts(name));
        Self {
            list,
            pod: Some(object.pod().into()),
            running: (kind == Kind::Pods)
                .then(|| Running::new(object).map(Box::new))
                .flatten(),
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
