//! What a verification asks of Velero, and takes away again.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::scratch::{NAMESPACES, PAUSE, Scratch, done};
use crate::{
    csi,
    kubernetes::{Asker, Objects, list, object},
    velero::{
        copy::{Copy, Restored},
        objects::{Kind, path},
        verification::VERIFICATION_LABEL,
    },
};

/// So long a Restore that is under way may take to end before it is deleted.
const SETTLED: Duration = Duration::from_mins(1);

pub struct World<'w> {
    pub asker: &'w Asker,
    pub velero_namespace: &'w str,
}

impl World<'_> {
    pub const fn scratch(&self) -> Scratch<'_> {
        Scratch { asker: self.asker }
    }

    fn restores(&self) -> String {
        path(self.velero_namespace, Kind::Restore.plural())
    }

    fn config_maps(&self) -> String {
        format!("{NAMESPACES}/{}/configmaps", self.velero_namespace)
    }

    /// Where things of a verification are; its namespaces come last.
    fn places(&self) -> [String; 4] {
        let [restores, config_maps, contents] = self.makers();
        [restores, config_maps, contents, NAMESPACES.to_owned()]
    }

    /// Where that is of it which is outside of its namespaces. The contents of snapshots go when their
    /// snapshots have gone, and leave what is in the storage.
    fn makers(&self) -> [String; 3] {
        [self.restores(), self.config_maps(), csi::contents()]
    }

    /// The namespaces, closed before anything runs in them, and what Velero has to change on the way.
    pub async fn prepare(&self, copy: &Copy) -> anyhow::Result<()> {
        self.scratch().prepare(copy).await?;
        self.scratch()
            .create(&self.config_maps(), &copy.modifiers())
            .await
    }

    /// Asks Velero for a Restore, and tells its name.
    pub async fn ask(&self, restore: &Value) -> anyhow::Result<String> {
        self.scratch().create(&self.restores(), restore).await?;
        let name = restore["metadata"]["name"].as_str().unwrap_or_default();
        Ok(name.to_owned())
    }

    /// How far a Restore is.
    pub async fn restored(&self, name: &str) -> anyhow::Result<Restored> {
        let text = object(&self.asker.client, &self.restores(), name).await?;
        let restore: Value =
            serde_json::from_str(&text).context("the API server sent no object")?;
        Ok(Restored::read(&restore))
    }

    /// Writes what became of a backup on it.
    pub async fn annotate(&self, backup: &str, annotations: &Value) -> anyhow::Result<()> {
        let backup = format!(
            "{}/{backup}",
            path(self.velero_namespace, Kind::Backup.plural())
        );
        let patch = json!({"metadata": {"annotations": annotations}});
        done(&backup, self.asker.merge(&backup, &patch).await)
    }

    /// Takes away what made a copy, and leaves the copy.
    pub async fn leave(&self, copy: &Copy) -> anyhow::Result<()> {
        let labels = format!("{VERIFICATION_LABEL}={}", copy.id);
        self.scratch()
            .delete_all(&self.makers(), &labels, |_| true)
            .await?;
        Ok(())
    }

    /// Takes away all of a copy, and waits until it is gone.
    pub async fn remove(&self, copy: &Copy) -> anyhow::Result<()> {
        let labels = format!("{VERIFICATION_LABEL}={}", copy.id);
        // What goes wrong here goes wrong again below, where it is told.
        let _ = self.settle(&labels).await;
        self.scratch().remove(copy, &self.places()).await
    }

    /// Gives Restores a while to end. Velero goes on with one that was deleted, and waits for minutes for
    /// what was taken from under it, while every other Restore waits too.
    async fn settle(&self, labels: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + SETTLED;
        loop {
            let objects = Objects {
                path: &self.restores(),
                labels: Some(labels),
                metadata_only: false,
            };
            let over = list(&self.asker.client, objects, |text| {
                let restore: Value = serde_json::from_str(text).unwrap_or_default();
                Restored::read(&restore).is_over()
            });
            if over.await?.into_iter().all(|over| over) || Instant::now() > deadline {
                return Ok(());
            }
            time::sleep(PAUSE).await;
        }
    }

    /// Takes away what verifications have left that were killed; tells what that was.
    pub async fn sweep(&self) -> anyhow::Result<Vec<String>> {
        self.scratch().sweep(&self.places()).await
    }
}
