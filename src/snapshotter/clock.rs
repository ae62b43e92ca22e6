//! The clock of the API server, by which what happens here is held against what happens on the storage.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::time::Instant;

use crate::{
    kubernetes::Asker,
    snapshot::{Nanos, Taken},
};

/// How long a single question may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

const SECOND: Nanos = 1_000_000_000;

/// It tells whole seconds, so that ours is within half of one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    then: Timestamp,
    at: Instant,
}

impl Clock {
    pub async fn of(client: &Client) -> anyhow::Result<Self> {
        let asker = Asker {
            client: client.clone(),
            patience: PATIENCE,
        };
        let answer = asker.get("/version").await;
        let answer = answer.map_err(|why| anyhow!("the cluster cannot be asked: {why}"))?;
        let at = Instant::now();
        let date = answer
            .date
            .context("the API server does not say what time it is")?;
        let then = date + Duration::from_millis(500);
        Ok(Self { then, at })
    }

    #[cfg(test)]
    pub fn fixed() -> Self {
        let (then, at) = (Timestamp::UNIX_EPOCH, Instant::now());
        Self { then, at }
    }

    pub fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    pub fn at(&self, instant: Instant) -> Nanos {
        nanos(self.then + instant.duration_since(self.at))
    }

    /// As names have it: `20260131-020000`.
    pub fn stamp(&self) -> String {
        let now = self.then + self.at.elapsed();
        now.strftime("%Y%m%d-%H%M%S").to_string()
    }
}

fn nanos(time: Timestamp) -> Nanos {
    i64::try_from(time.as_nanosecond()).unwrap_or_default()
}

/// An instant that is known to the second.
pub fn second(text: &str) -> Option<Taken> {
    let time: Timestamp = text.parse().ok()?;
    Some(Taken {
        from: nanos(time),
        within: SECOND - 1,
    })
}
