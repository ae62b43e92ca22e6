//! Namespaces that are made for a copy and taken away again, with whatever else has its label.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::jiff::Timestamp;
use serde_json::Value;
use tokio::time::{self, Instant};

use crate::{
    kubernetes::{Answer, Asker, ListError, Objects, list, object},
    shutdown::Shutdown,
    velero::{
        copy::Copy,
        verification::{UNTIL, VERIFICATION_LABEL},
    },
    verify::{Pod, isolation, namespace, unready},
};

/// Between two looks.
pub const PAUSE: Duration = Duration::from_secs(1);

/// So long a thing that was deleted may take to be gone.
const GONE: Duration = Duration::from_mins(5);

pub const NAMESPACES: &str = "/api/v1/namespaces";

#[derive(Clone, Copy)]
pub struct Scratch<'s> {
    pub asker: &'s Asker,
}

impl Scratch<'_> {
    /// The namespaces, closed before anything runs in them.
    pub async fn prepare(&self, copy: &Copy) -> anyhow::Result<()> {
        for name in copy.mapping.values() {
            self.create(NAMESPACES, &namespace(copy, name)).await?;
            let policies = format!("/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies");
            self.create(&policies, &isolation(copy, name)).await?;
        }
        Ok(())
    }

    /// Waits until every pod is ready, or the time is over.
    pub async fn until_ready(
        &self,
        pods: &mut [Pod],
        began: Instant,
        until: Instant,
    ) -> anyhow::Result<()> {
        loop {
            let mut all = true;
            for pod in pods.iter_mut().filter(|it| it.ready.is_none()) {
                let there = self.pod(&pod.namespace, &pod.subject.name).await?;
                let Some(there) = there else { continue };
                pod.state = unready(&there);
                if pod.state.is_none() {
                    pod.ready = Some(began.elapsed());
                } else {
                    all = false;
                }
            }
            // A pod that is not there will not come any more.
            if all || Instant::now() > until {
                return Ok(());
            }
            time::sleep(PAUSE).await;
        }
    }

    async fn pod(&self, namespace: &str, name: &str) -> anyhow::Result<Option<Value>> {
        let pods = format!("{NAMESPACES}/{namespace}/pods");
        match object(&self.asker.client, &pods, name).await {
            Ok(text) => Ok(serde_json::from_str(&text).context("the API server sent no object")?),
            Err(ListError::Absent { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes away all of a copy that is in these places, its namespaces last, and waits until it is gone.
    pub async fn remove(&self, copy: &Copy, places: &[String]) -> anyhow::Result<()> {
        let labels = format!("{VERIFICATION_LABEL}={}", copy.id);
        let deadline = Instant::now() + GONE;
        loop {
            let mut left = self.delete_all(places, &labels, |_| true).await?;
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

    /// Takes away what verifications have left that were killed; tells what that was.
    pub async fn sweep(&self, places: &[String]) -> anyhow::Result<Vec<String>> {
        let now = Timestamp::now();
        let over = |object: &Value| {
            let until = object["metadata"]["annotations"][UNTIL].as_str();
            until
                .and_then(|until| until.parse::<Timestamp>().ok())
                .is_some_and(|until| until < now)
        };
        self.delete_all(places, VERIFICATION_LABEL, over).await
    }

    /// Deletes what has these labels and is meant; tells what was still there.
    pub async fn delete_all(
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

    /// Whatever is there under its name already is as good.
    pub async fn create_if_absent(&self, path: &str, object: &Value) -> anyhow::Result<()> {
        match self.asker.post(path, object).await {
            Ok(answer) if answer.status == 409 => Ok(()),
            answer => done(path, answer),
        }
    }

    pub async fn create(&self, path: &str, object: &Value) -> anyhow::Result<()> {
        done(path, self.asker.post(path, object).await)
    }
}

/// Goes on after a first signal, and ends at a second.
pub async fn unless_aborted(
    shutdown: &Shutdown,
    work: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        outcome = work => outcome,
        () = shutdown.aborted() => Err(anyhow!("stopped at once")),
    }
}

/// What was written, or why it was not.
pub fn done(path: &str, answer: Result<Answer, String>) -> anyhow::Result<()> {
    let answer = answer.map_err(|why| anyhow!("failed to write {path}: {why}"))?;
    if !answer.is_success() {
        bail!("failed to write {path}: {}", answer.message());
    }
    Ok(())
}
