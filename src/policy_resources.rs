//! Policies that are objects of the cluster: watched, judged as files are, and put in force together.
//!
//! An object with an error in it costs only itself: what it said before goes on, as long as we live.
mod known;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use tokio::{sync::Notify, time};

use self::known::Known;
pub use self::known::{Condition, Due, Standing};
use crate::{
    kubernetes::{Heard, follow, none_when_absent},
    policy::{
        PolicySet,
        crd::{CLUSTER_PLURAL, GROUP, PLURAL, VERSION},
        file::{CLUSTER_KIND, KIND},
    },
    policy_files::{InForce, Reload},
};

/// After so many seconds a watch is begun anew, so that one that died in silence is noticed.
const WATCH: u32 = 290;

/// Which of the two resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// For the pods of their namespace.
    Namespaced,
    /// For the pods of all namespaces.
    Cluster,
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Namespaced, Self::Cluster];

    /// The resource, as in an address of the API.
    const fn plural(self) -> &'static str {
        match self {
            Self::Namespaced => PLURAL,
            Self::Cluster => CLUSTER_PLURAL,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Namespaced => KIND,
            Self::Cluster => CLUSTER_KIND,
        }
    }

    #[must_use]
    pub fn resource(self) -> ApiResource {
        ApiResource {
            group: GROUP.to_owned(),
            version: VERSION.to_owned(),
            api_version: format!("{GROUP}/{VERSION}"),
            kind: self.as_str().to_owned(),
            plural: self.plural().to_owned(),
        }
    }
}

/// All objects as last heard of. A clone looks at the same ones.
#[derive(Clone, Debug, Default)]
pub struct Resources(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    known: Mutex<Known>,
    /// Whether what the first lists said is in force.
    synced: AtomicBool,
    /// Somebody has to put other policies in force.
    changed: Notify,
    /// Somebody has to look at the conditions.
    judged: Notify,
}

/// The watch behind [`Resources`], which does nothing until it is run.
pub struct ResourceWatch {
    client: Client,
    resources: Resources,
    in_force: InForce,
}

impl Resources {
    /// Policies that are put in force while `watch` runs.
    #[must_use]
    pub fn watch(client: Client, in_force: InForce) -> (Self, ResourceWatch) {
        let resources = Self::default();
        let watch = ResourceWatch {
            client,
            resources: resources.clone(),
            in_force,
        };
        (resources, watch)
    }

    /// Whether what the first lists said is in force. Stays true when a watch breaks later.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.0.synced.load(Ordering::Acquire)
    }

    /// How many have an error in them.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.known().refused()
    }

    /// Waits until there may be a condition that is not as it should be.
    pub async fn judged(&self) {
        self.0.judged.notified().await;
    }

    /// The conditions that are not as they should be.
    #[must_use]
    pub fn due(&self, in_force: &PolicySet) -> Vec<Due> {
        self.known().due(in_force)
    }

    /// Notes an object that the API server has answered with; the watch says it again, later.
    pub fn answered(&self, kind: Kind, object: DynamicObject) {
        self.hear(kind, Heard::Event(Event::Apply(object)));
    }

    fn hear(&self, kind: Kind, heard: Heard<DynamicObject>) {
        let Heard::Event(event) = heard else { return };
        let changed = self.known().hear(kind, event);
        if changed {
            self.0.changed.notify_one();
        }
        self.0.judged.notify_one();
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // A panic elsewhere leaves each object as it was heard of last.
        let known = self.0.known.lock();
        known.unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResourceWatch {
    /// Watches for as long as it is polled. What changes is put in force together with what follows it
    /// within `settle`, so that a hundred objects that are applied at once are one change.
    pub async fn run(self, settle: Duration, mut told: impl FnMut(Reload)) {
        let Self {
            client,
            resources,
            in_force,
        } = self;
        let watches = Kind::ALL.map(|kind| {
            let (client, resources) = (client.clone(), resources.clone());
            async move {
                let api = Api::<DynamicObject>::all_with(client, &kind.resource());
                let config = watcher::Config::default().timeout(WATCH);
                let events = watcher(api, config).default_backoff();
                let events = none_when_absent(kind.plural(), events);
                follow(kind.plural(), events, |heard| resources.hear(kind, heard)).await;
            }
        });
        let put = async {
            loop {
                resources.0.changed.notified().await;
                let first = !resources.is_synced();
                if !first {
                    time::sleep(settle).await;
                }
                let (policies, refused, changes) = {
                    let mut known = resources.known();
                    if !known.is_whole() {
                        continue;
                    }
                    (known.policies(), known.take_refused(), known.changes())
                };
                let nothing_new = first && policies.is_empty();
                if !nothing_new {
                    let count = policies.len();
                    in_force.replace_resources(policies);
                    tracing::info!(count, "policies of the cluster are in force");
                    told(Reload::Applied);
                }
                resources.known().are_in_force(changes);
                resources.0.synced.store(true, Ordering::Release);
                resources.0.judged.notify_one();
                if refused {
                    told(Reload::Refused);
                }
            }
        };
        tokio::join!(future::join_all(watches), put);
    }
}
