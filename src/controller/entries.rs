//! Whom the API server trusts to be the webhook: the `caBundle` of every entry, of both kinds.
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
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
use serde_json::{Value, json};

use super::asking::{Asking, Halt};
use crate::kubernetes::follow;

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
    /// The name of each entry, and what it trusts.
    trusted: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The entries that have hooks written.
    Mutating,
    /// Those that guard.
    Validating,
}

/// What both kinds have in common.
trait Configuration:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug + Send
{
    const KIND: Kind;
    const PLURAL: &str;

    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)>;
}

impl Configuration for MutatingWebhookConfiguration {
    const KIND: Kind = Kind::Mutating;
    const PLURAL: &str = "mutatingwebhookconfigurations";

    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)> {
        let entries = self.webhooks.iter().flatten();
        entries.map(|it| (&*it.name, &it.client_config)).collect()
    }
}

impl Configuration for ValidatingWebhookConfiguration {
    const KIND: Kind = Kind::Validating;
    const PLURAL: &str = "validatingwebhookconfigurations";

    fn clients(&self) -> Vec<(&str, &WebhookClientConfig)> {
        let entries = self.webhooks.iter().flatten();
        entries.map(|it| (&*it.name, &it.client_config)).collect()
    }
}

impl Configured {
    /// What each entry trusts.
    pub fn bundles(&self) -> impl Iterator<Item = &[u8]> {
        self.trusted.iter().map(|(_, bundle)| bundle.as_slice())
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

    async fn watch_one<K: Configuration + 'static>(&self, stirred: impl Fn()) {
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
            trusted: found
                .clients()
                .into_iter()
                .map(|(name, client)| {
                    let bundle = client.ca_bundle.as_ref();
                    let bundle = bundle.map_or_else(Vec::new, |bytes| bytes.0.clone());
                    (name.to_owned(), bundle)
                })
                .collect(),
        }))
    }

    /// Has every entry that was seen, and no later one, trust exactly this.
    pub async fn trust(
        &self,
        asking: &Asking,
        seen: &[Configured],
        bundle: &ByteString,
    ) -> Result<(), Halt> {
        for configured in seen {
            let Configured {
                kind,
                version,
                trusted,
            } = configured;
            if trusted.iter().all(|(_, trusted)| *trusted == bundle.0) {
                continue;
            }
            let entries: Vec<Value> = trusted
                .iter()
                .map(|(name, _)| json!({"name": name, "clientConfig": {"caBundle": bundle}}))
                .collect();
            let patch = json!({"metadata": {"resourceVersion": version}, "webhooks": entries});
            match kind {
                Kind::Mutating => {
                    self.patch::<MutatingWebhookConfiguration>(asking, patch)
                        .await
                }
                Kind::Validating => {
                    self.patch::<ValidatingWebhookConfiguration>(asking, patch)
                        .await
                }
            }?;
        }
        Ok(())
    }

    async fn patch<K: Configuration>(&self, asking: &Asking, patch: Value) -> Result<(), Halt> {
        let api = Api::<K>::all(self.client.clone());
        let (how, patch) = (PatchParams::default(), Patch::Strategic(patch));
        asking.ask(api.patch(&self.name, &how, &patch)).await?;
        Ok(())
    }
}
