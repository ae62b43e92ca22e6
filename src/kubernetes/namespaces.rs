//! The labels of all namespaces, and some of their annotations, kept up to date by one watch.
//!
//! Only metadata is asked for, and looking up asks nobody.
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::Stream;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client,
    api::{ObjectMeta, PartialObjectMeta},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};

use super::watch::{self, Heard};

/// What is kept of one namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// Of the annotations, those whose key begins with `annotation_prefix`.
    pub fn new(meta: ObjectMeta, annotation_prefix: &str) -> Self {
        let mut annotations = meta.annotations.unwrap_or_default();
        annotations.retain(|key, _| key.starts_with(annotation_prefix));
        Self {
            labels: meta.labels.unwrap_or_default(),
            annotations,
        }
    }
}

/// What is known about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    Known(Arc<Metadata>),
    /// There is no such namespace, or it is so new that we have not heard of it.
    Unknown,
    /// The first list of namespaces has not arrived.
    NotSynced,
}

/// All namespaces as last heard of. A clone looks at the same ones.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    synced: AtomicBool,
    known: RwLock<Known>,
}

type Known = HashMap<String, Arc<Metadata>>;

impl Namespaces {
    /// Namespaces that are known when `watch` runs. Of their annotations, those whose key begins
    /// with `annotation_prefix` are kept: others can be large and nobody asks for them.
    pub fn watch(client: Client, annotation_prefix: &'static str) -> (Self, NamespaceWatch) {
        let namespaces = Self::default();
        let watch = NamespaceWatch {
            client,
            keeper: Keeper {
                namespaces: namespaces.clone(),
                annotation_prefix,
                listed: Known::new(),
            },
        };
        (namespaces, watch)
    }

    pub fn get(&self, name: &str) -> Lookup {
        if !self.is_synced() {
            return Lookup::NotSynced;
        }
        match self.read().get(name) {
            Some(metadata) => Lookup::Known(Arc::clone(metadata)),
            None => Lookup::Unknown,
        }
    }

    /// Whether the first list has arrived. Stays true when the watch breaks later: what was true a
    /// minute ago is a better answer than none.
    pub fn is_synced(&self) -> bool {
        self.0.synced.load(Ordering::Acquire)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        // A panic elsewhere leaves the map whole: every change is one call.
        self.0.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        change(&mut self.0.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The watch behind [`Namespaces`], which does nothing until it is run.
pub struct NamespaceWatch {
    client: Client,
    keeper: Keeper,
}

impl NamespaceWatch {
    /// Watches for as long as it is polled; a watch that breaks is begun again, with growing pauses.
    pub async fn run(self) {
        let Self { client, mut keeper } = self;
        let api = Api::<PartialObjectMeta<Namespace>>::all(client);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        keeper.follow(events).await;
    }
}

/// Turns events into what is known.
struct Keeper {
    namespaces: Namespaces,
    annotation_prefix: &'static str,
    /// What the list under way has brought, to take the place of everything when it is complete.
    listed: Known,
}

impl Keeper {
    async fn follow(
        &mut self,
        events: impl Stream<Item = watcher::Result<Event<PartialObjectMeta<Namespace>>>>,
    ) {
        watch::follow("namespaces", events, |heard| match heard {
            Heard::Event(event) => self.note(event),
            Heard::Broke => {}
        })
        .await;
    }

    fn note(&mut self, event: Event<PartialObjectMeta<Namespace>>) {
        match event {
            Event::Init => self.listed = Known::new(),
            Event::InitApply(namespace) => {
                if let Some((name, metadata)) = self.kept(namespace) {
                    self.listed.insert(name, metadata);
                }
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                let count = listed.len();
                self.namespaces.change(|known| *known = listed);
                if !self.namespaces.0.synced.swap(true, Ordering::AcqRel) {
                    tracing::info!(count, "namespaces are known");
                }
            }
            Event::Apply(namespace) => {
                if let Some((name, metadata)) = self.kept(namespace) {
                    self.namespaces.change(|known| {
                        known.insert(name, metadata);
                    });
                }
            }
            Event::Delete(namespace) => {
                if let Some(name) = namespace.metadata.name {
                    self.namespaces.change(|known| {
                        known.remove(&name);
                    });
                }
            }
        }
    }

    fn kept(&self, namespace: PartialObjectMeta<Namespace>) -> Option<(String, Arc<Metadata>)> {
        let mut meta = namespace.metadata;
        let name = meta.name.take()?;
        Some((name, Arc::new(Metadata::new(meta, self.annotation_prefix))))
    }
}

#[cfg(test)]
mod tests;
