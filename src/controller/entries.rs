//! The entries of the webhook, of both kinds: whom the API server trusts, and what they must say.
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{PartialObjectMeta, Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::asking::{Asking, Halt};
use crate::{entries, kubernetes::follow};

/// The configurations of one name.
pub struct Entries {
    pub client: Client,
    pub name: String,
}

/// One of them as it was seen.
#[derive(Debug)]
pub struct Configured {
    kind: Kind,
    version: Option<String>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// As the API has it.
    whole: Value,
    /// Whom it trusts.
    bundle: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The entries that have hooks written.
    Mutating,
    /// Those that guard.
    Validating,
}

/// What both kinds have in common.
trait Configuration: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug {
    const KIND: Kind;
    const PLURAL: &str;

    fn entries(&self) -> Vec<Entry>;
}

impl Configuration for MutatingWebhookConfiguration {
    const KIND: Kind = Kind::Mutating;
    const PLURAL: &str = "mutatingwebhookconfigurations";

    fn entries(&self) -> Vec<Entry> {
        let entries = self.webhooks.iter().flatten();
        entries
            .map(|it| Entry::new(json!(it), it.client_config.ca_bundle.as_ref()))
            .collect()
    }
}

impl Configuration for ValidatingWebhookConfiguration {
    const KIND: Kind = Kind::Validating;
    const PLURAL: &str = "validatingwebhookconfigurations";

    fn entries(&self) -> Vec<Entry> {
        let entries = self.webhooks.iter().flatten();
        entries
            .map(|it| Entry::new(json!(it), it.client_config.ca_bundle.as_ref()))
            .collect()
    }
}

impl Entry {
    fn new(whole: Value, bundle: Option<&ByteString>) -> Self {
        Self {
            whole,
            bundle: bundle.map_or_else(Vec::new, |bytes| bytes.0.clone()),
        }
    }

    /// This entry with changed fields, as a strategic merge patch finds it.
    fn with(&self, mut fields: Map<String, Value>) -> Value {
        fields.insert("name".to_owned(), self.whole["name"].clone());
        fields.into()
    }
}

impl Configured {
    /// What each entry trusts.
    pub fn bundles(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().map(|entry| entry.bundle.as_slice())
    }
}

impl Entries {
    /// Tells of every change, and never ends.
    pub async fn watch(&self, stirred: impl Fn()) {
        tokio::join!(
            self.watch_one::<MutatingWebhookConfiguration>(&stirred),
            self.watch_one::<ValidatingWebhookConfiguration>(&stirred),
        );
    }

    async fn watch_one<K: Configuration + Send + 'static>(&self, stirred: impl Fn()) {
        let named = format!("metadata.name={}", self.name);
        let named = watcher::Config::default().fields(&named);
        let all = Api::<PartialObjectMeta<K>>::all(self.client.clone());
        let changes = watcher(all, named).default_backoff();
        follow(K::PLURAL, changes, |_| stirred()).await;
    }

    /// Those that are there.
    pub async fn look(&self, asking: &Asking) -> Result<Vec<Configured>, Halt> {
        let mutating = self.look_at::<MutatingWebhookConfiguration>(asking).await?;
        let validating = self
            .look_at::<ValidatingWebhookConfiguration>(asking)
            .await?;
        Ok(mutating.into_iter().chain(validating).collect())
    }

    async fn look_at<K: Configuration>(&self, asking: &Asking) -> Result<Option<Configured>, Halt> {
        let api = Api::<K>::all(self.client.clone());
        let found = asking.ask(api.get_opt(&self.name)).await?;
        Ok(found.map(|found| Configured {
            kind: K::KIND,
            version: found.resource_version(),
            entries: found.entries(),
        }))
    }

    /// Puts right what an entry may not say otherwise, and tells whether there was any such thing.
    pub async fn mend(
        &self,
        asking: &Asking,
        seen: &[Configured],
        left_out: &[&str],
    ) -> Result<bool, Halt> {
        let mut mended = false;
        for configured in seen {
            let entries = configured.entries.iter().filter_map(|entry| {
                let changes = entries::mended(&entry.whole, left_out);
                (!changes.is_empty()).then(|| entry.with(changes))
            });
            let entries: Vec<Value> = entries.collect();
            mended |= !entries.is_empty();
            self.change(asking, configured, entries).await?;
        }
        Ok(mended)
    }

    /// Has every entry trust exactly this.
    pub async fn trust(
        &self,
        asking: &Asking,
        seen: &[Configured],
        bundle: &ByteString,
    ) -> Result<(), Halt> {
        for configured in seen {
            let others = configured.entries.iter();
            let others = others.filter(|entry| entry.bundle != bundle.0);
            let trusting = [("clientConfig".to_owned(), json!({"caBundle": bundle}))];
            let trusting = others.map(|entry| entry.with(trusting.clone().into_iter().collect()));
            let trusting = trusting.collect();
            self.change(asking, configured, trusting).await?;
        }
        Ok(())
    }

    /// Changes the configuration that was seen and no later one.
    async fn change(
        &self,
        asking: &Asking,
        seen: &Configured,
        entries: Vec<Value>,
    ) -> Result<(), Halt> {
        if entries.is_empty() {
            return Ok(());
        }
        let patch = json!({"metadata": {"resourceVersion": seen.version}, "webhooks": entries});
        match seen.kind {
            Kind::Mutating => {
                self.patch::<MutatingWebhookConfiguration>(asking, patch)
                    .await
            }
            Kind::Validating => {
                self.patch::<ValidatingWebhookConfiguration>(asking, patch)
                    .await
            }
        }
    }

    async fn patch<K: Configuration>(&self, asking: &Asking, patch: Value) -> Result<(), Halt> {
        let api = Api::<K>::all(self.client.clone());
        let (how, patch) = (PatchParams::default(), Patch::Strategic(patch));
        asking.ask(api.patch(&self.name, &how, &patch)).await?;
        Ok(())
    }
}
