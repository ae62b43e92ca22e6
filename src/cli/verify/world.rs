//! What a verification makes in the cluster, sees of it, and takes away again.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use crate::{
    csi,
    kubernetes::{Answer, Asker, ListError, Objects, list, object},
    velero::{
        copy::{Copy, Restored},
        objects::{Kind, path},
        verification::{UNTIL, VERIFICATION_LABEL},
    },
    verify::{isolation, namespace},
};

/// Between two looks.
pub const PAUSE: Duration = Duration::from_secs(1);

/// So long a Restore that is under way may take to end before it is deleted.
const SETTLED: Duration = Duration::from_mins(1);

/// So long a thing that was deleted may take to be gone.
const GONE: Duration = Duration::from_mins(5);

const NAMESPACES: &str = "/api/v1/namespaces";

pub struct World<'w> {
    pub asker: &'w Asker,
    pub velero_namespace: &'w str,
}

impl World<'_> {
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
        for name in copy.mapping.values() {
            self.create(NAMESPACES, &namespace(copy, name)).await?;
            let policies = format!("/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies");
            self.create(&policies, &isolation(copy, name)).await?;
        }
        self.create(&self.config_maps(), &copy.modifiers()).await
    }

    /// Asks Velero for a Restore, and tells its name.
    pub async fn ask(&self, restore: &Value) -> anyhow::Result<String> {
        self.create(&self.restores(), restore).await?;
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

    pub async fn pod(&self, namespace: &str, name: &str) -> anyhow::Result<Option<Value>> {
        let pods = format!("{NAMESPACES}/{namespace}/pods");
        match object(&self.asker.client, &pods, name).await {
            Ok(text) => Ok(serde_json::from_str(&text).context("the API server sent no object")?),
            Err(ListError::Absent { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
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
        self.delete_all(&self.makers(), &labels, |_| true).await?;
        Ok(())
    }

    /// Takes away all of a copy, and waits until it is gone.
    pub async fn remove(&self, copy: &Copy) -> anyhow::Result<()> {
        let labels = format!("{VERIFICATION_LABEL}={}", copy.id);
        // What goes wrong here goes wrong again below, where it is told.
        let _ = self.settle(&labels).await;
        let deadline = Instant::now() + GONE;
        loop {
            let mut left = self.delete_all(&self.places(), &labels, |_| true).await?;
            // A Restore goes on when it is deleted, and makes a namespace anew that it does not find. While
            // it does, it is still there itself.
            for name in copy.mapping.values() {
                let namespace = format!("{NAMESPACES}/{name}");
                if self.delete(&namespace).await? {
                    left.push(format!("namespaces/{name}"));
                }
            }
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "still there after {} s: {}",
                    GONE.as_secs(),
                    left.join(", ")
                );
            }
            time::sleep(PAUSE).await;
        }
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
        let now = Timestamp::now();
        let over = |object: &Value| {
            let until = object["metadata"]["annotations"][UNTIL].as_str();
            until
                .and_then(|until| until.parse::<Timestamp>().ok())
                .is_some_and(|until| until < now)
        };
        self.delete_all(&self.places(), VERIFICATION_LABEL, over)
            .await
    }

    /// Deletes what has these labels and is meant; tells what was still there.
    async fn delete_all(
        &self,
        places: &[String],
        labels: &str,
        meant: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for path in places {
            let objects = Objects {
                path,
                labels: Some(labels),
                metadata_only: true,
            };
            let all = list(&self.asker.client, objects, |text| {
                serde_json::from_str::<Value>(text).unwrap_or_default()
            });
            let all = match all.await {
                // Not every cluster has snapshots.
                Err(ListError::Absent { .. }) => continue,
                all => all?,
            };
            for object in all.iter().filter(|it| meant(it)) {
                let metadata = &object["metadata"];
                let name = metadata["name"].as_str().unwrap_or_default();
                let plural = path.rsplit('/').next().unwrap_or_default();
                found.push(format!("{plural}/{name}"));
                if metadata["deletionTimestamp"].is_string() {
                    continue;
                }
                self.delete(&format!("{path}/{name}")).await?;
            }
        }
        Ok(found)
    }

    /// Whether there was such an object.
    async fn delete(&self, object: &str) -> anyhow::Result<bool> {
        match self.asker.delete(object).await {
            Ok(answer) if answer.status == 404 => Ok(false),
            // A namespace that goes already says so.
            Ok(answer) if answer.status == 409 => Ok(true),
            answer => done(object, answer).map(|()| true),
        }
    }

    async fn create(&self, path: &str, object: &Value) -> anyhow::Result<()> {
        done(path, self.asker.post(path, object).await)
    }
}

fn done(path: &str, answer: Result<Answer, String>) -> anyhow::Result<()> {
    let answer = answer.map_err(|why| anyhow!("failed to write {path}: {why}"))?;
    if !answer.is_success() {
        bail!("failed to write {path}: {}", answer.message());
    }
    Ok(())
}
