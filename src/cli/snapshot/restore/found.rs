//! What a cluster has of snapshots, of the claims that they were taken of, and of what mounts these.

use anyhow::{Context as _, anyhow, bail};
use serde_json::Value;

use crate::{
    csi::{self, labels},
    kubernetes::{Asker, ListError, Objects, list, object},
    restore_snapshot::{Asked, Claim, Class, Source},
};

pub struct Found<'f> {
    pub asker: &'f Asker,
    pub namespace: &'f str,
}

impl Found<'_> {
    pub fn path(&self, plural: &str) -> String {
        format!("/api/v1/namespaces/{}/{plural}", self.namespace)
    }

    /// The snapshot of a name, or all of a set.
    pub async fn sources(
        &self,
        name: Option<&str>,
        set: Option<&str>,
    ) -> anyhow::Result<Vec<Source>> {
        let path = csi::snapshots(self.namespace);
        if let Some(name) = name {
            let found = self.there(&path, name).await?;
            let found = found
                .with_context(|| format!("there is no volumesnapshot {}/{name}", self.namespace))?;
            return Ok(vec![Source::read(&found)]);
        }
        let set = set.unwrap_or_default();
        let of_set = format!("{}={set}", labels::SET);
        let all = self.all(&path, Some(&of_set)).await?;
        if all.is_empty() {
            bail!(
                "there is no volumesnapshot of set {set} in {}",
                self.namespace
            );
        }
        Ok(all.iter().map(Source::read).collect())
    }

    /// What a claim made from a snapshot asks for, and its class where that is known.
    pub async fn claim(
        &self,
        source: &Source,
        asked: Asked<'_>,
    ) -> anyhow::Result<(Claim, Option<Class>)> {
        let original = match &source.claim {
            Some(name) => {
                let claims = self.path("persistentvolumeclaims");
                self.there(&claims, name).await?
            }
            None => None,
        };
        let claim = Claim::of(source, original.as_ref(), asked);
        let mut claim = claim.map_err(|why| anyhow!(why))?;
        let classes: Vec<Class> = match self
            .all("/apis/storage.k8s.io/v1/storageclasses", None)
            .await
        {
            Ok(classes) => classes.iter().map(Class::read).collect(),
            Err(ListError::Forbidden { .. }) => return Ok((claim, None)),
            Err(error) => return Err(error.into()),
        };
        if claim.class.is_none()
            && let Some(content) = self.content(source).await?
        {
            let driver = content["spec"]["driver"].as_str().unwrap_or_default();
            let class = Class::of_driver(&classes, driver);
            claim.class = Some(class.map_err(|why| anyhow!(why))?.name.clone());
        }
        let class = classes.into_iter().find(|it| match &claim.class {
            Some(name) => it.name == *name,
            None => it.is_default,
        });
        Ok((claim, class))
    }

    /// The content that a snapshot is bound to, where we may see it.
    pub async fn content(&self, source: &Source) -> anyhow::Result<Option<Value>> {
        let Some(name) = &source.content else {
            return Ok(None);
        };
        match self.there(&csi::contents(), name).await {
            Err(error) if error.downcast_ref().is_some_and(is_forbidden) => Ok(None),
            content => content,
        }
    }

    /// An object, where there is one.
    pub async fn there(&self, path: &str, name: &str) -> anyhow::Result<Option<Value>> {
        match object(&self.asker.client, path, name).await {
            Ok(text) => Ok(serde_json::from_str(&text).context("the API server sent no object")?),
            Err(ListError::Absent { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub async fn all(&self, path: &str, labels: Option<&str>) -> Result<Vec<Value>, ListError> {
        let objects = Objects {
            path,
            labels,
            metadata_only: false,
        };
        list(&self.asker.client, objects, |text| {
            serde_json::from_str(text).unwrap_or_default()
        })
        .await
    }
}

fn is_forbidden(error: &ListError) -> bool {
    matches!(error, ListError::Forbidden { .. })
}
