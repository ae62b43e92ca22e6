//! One of several processes leads: whoever holds a Lease (`coordination.k8s.io/v1`).
//!
//! Clocks of two machines are never compared. A lease counts as given up when it has not changed for
//! its whole duration by the clock of whoever looks; whoever holds it stops leading earlier than that
//! by its own, when it could not renew it.
use std::{
    fs,
    hash::{BuildHasher as _, Hasher as _, RandomState},
    pin::pin,
    time::Duration,
};

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::watch,
    time::{self, Instant},
};

use super::with_causes;

/// What is said when there is no answer.
const LATE: &str = "no answer in time";

/// Until when we lead, if we do. A clone looks at the same.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

impl Leadership {
    /// Whether we lead at this moment. To be asked before each write.
    pub fn is_held(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until the lease was gained, lost or renewed.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Which lease, and how long it lasts.
#[derive(Clone, Debug)]
pub struct Terms {
    pub namespace: String,
    pub name: String,
    /// In whole seconds.
    pub duration: Duration,
}

/// Takes part in the election until it is told to stop.
pub struct Election {
    api: Api<Lease>,
    name: String,
    duration: Duration,
    identity: String,
    /// The version that we saw last, and when we saw it first.
    seen: Option<(String, Instant)>,
    leads: watch::Sender<Option<Instant>>,
    failing: bool,
}

/// Whose a lease is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Ours,
    Nobodys,
    Anothers,
}

impl Election {
    pub fn new(client: Client, terms: Terms) -> (Self, Leadership) {
        let Terms {
            namespace,
            name,
            duration,
        } = terms;
        let (leads, leadership) = watch::channel(None);
        let election = Self {
            api: Api::namespaced(client, &namespace),
            name,
            duration,
            identity: identity(),
            seen: None,
            leads,
            failing: false,
        };
        (election, Leadership(leadership))
    }

    /// Takes the lease whenever it may be taken and renews it, until `stop`; then gives it back.
    ///
    /// Whoever writes as the leader must have ended before `stop` does.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = self.turn() => {}
                () = &mut stop => break,
            }
            tokio::select! {
                () = time::sleep(self.duration / 8) => {}
                () = &mut stop => break,
            }
        }
        if self.leads.send_replace(None).is_none() {
            return;
        }
        let reason = match time::timeout(self.duration / 3, self.give_back()).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => with_causes(&error),
            Err(_) => LATE.to_owned(),
        };
        tracing::warn!(lease = self.name, %reason, "the lease could not be given back, the next leader has to wait for its end");
    }

    async fn turn(&mut self) {
        let asked = Instant::now();
        // An answer that comes later is of no use.
        let tried = time::timeout(self.duration / 3, self.take_or_renew()).await;
        let reason = match tried {
            Ok(Ok(ours)) => {
                self.failing = false;
                return self.tell(ours.then(|| asked + self.duration * 2 / 3));
            }
            Ok(Err(error)) => with_causes(&error),
            Err(_) => LATE.to_owned(),
        };
        if !self.failing {
            tracing::warn!(lease = self.name, %reason, "the lease cannot be read or written; may we get, create and update leases in its namespace?");
            self.failing = true;
        }
        let until = *self.leads.borrow();
        if until.is_some_and(|until| until <= Instant::now()) {
            self.tell(None);
        }
    }

    fn tell(&self, until: Option<Instant>) {
        let before = self.leads.send_replace(until);
        match (before, until) {
            (None, Some(_)) => {
                tracing::info!(lease = self.name, identity = self.identity, "leading");
            }
            (Some(_), None) => tracing::warn!(lease = self.name, "not leading any more"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }

    /// Whether the lease is ours now.
    async fn take_or_renew(&mut self) -> kube::Result<bool> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.claim(None)),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        let since = match &self.seen {
            Some((seen, since)) if *seen == version => *since,
            _ => Instant::now(),
        };
        self.seen = Some((version, since));
        let spec = lease.spec.take();
        if whose(
            spec.as_ref(),
            &self.identity,
            self.duration,
            since.elapsed(),
        ) == Whose::Anothers
        {
            return Ok(false);
        }
        // With the version that was read: if somebody was faster, nothing is written.
        lease.spec = Some(self.claim(spec));
        won(self
            .api
            .replace(&self.name, &PostParams::default(), &lease)
            .await)
    }

    /// What the lease says when it is ours.
    fn claim(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = Some(MicroTime(Timestamp::now()));
        let before = before.unwrap_or_default();
        let renewed = before.holder_identity.as_ref() == Some(&self.identity);
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            acquire_time: if renewed {
                before.acquire_time
            } else {
                now.clone()
            },
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            lease_transitions: Some(if renewed {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            renew_time: now,
            ..before
        }
    }

    async fn give_back(&self) -> kube::Result<()> {
        let Some(mut lease) = self.api.get_opt(&self.name).await? else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_ref() == Some(&self.identity) {
            spec.holder_identity = Some(String::new());
            self.api
                .replace(&self.name, &PostParams::default(), &lease)
                .await?;
            tracing::info!(lease = self.name, "the lease is given back");
        }
        Ok(())
    }
}

/// Whether a write came first.
fn won(written: kube::Result<Lease>) -> kube::Result<bool> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whose a lease is that we have seen unchanged for some time.
fn whose(spec: Option<&LeaseSpec>, us: &str, ours: Duration, unchanged: Duration) -> Whose {
    let holder = spec.and_then(|it| it.holder_identity.as_deref());
    let Some(holder) = holder.filter(|it| !it.is_empty()) else {
        return Whose::Nobodys;
    };
    if holder == us {
        return Whose::Ours;
    }
    let seconds = spec.and_then(|it| it.lease_duration_seconds);
    let theirs = seconds.and_then(|it| u64::try_from(it).ok());
    if unchanged >= theirs.map_or(ours, Duration::from_secs) {
        Whose::Nobodys
    } else {
        Whose::Anothers
    }
}

/// The name of the machine, which is the pod's in a pod, and something that no other process has.
pub fn identity() -> String {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let chance = RandomState::new().build_hasher().finish();
    format!("{}_{chance:016x}", host.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Duration = Duration::from_secs(15);

    fn check(holder: Option<&str>, seconds: Option<i32>, unchanged: u64) -> Whose {
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: seconds,
            // Of another machine, and never looked at.
            renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        };
        whose(Some(&spec), "us", OURS, Duration::from_secs(unchanged))
    }

    #[test]
    fn a_lease_is_anothers_until_it_was_unchanged_for_its_duration() {
        assert_eq!(check(Some("them"), Some(20), 0), Whose::Anothers);
        assert_eq!(check(Some("them"), Some(20), 19), Whose::Anothers);
        assert_eq!(check(Some("them"), Some(20), 20), Whose::Nobodys);
        assert_eq!(check(Some("them"), None, 14), Whose::Anothers);
        assert_eq!(check(Some("them"), Some(-1), 15), Whose::Nobodys);
    }

    #[test]
    fn a_lease_without_a_holder_is_free() {
        assert_eq!(check(Some(""), Some(20), 0), Whose::Nobodys);
        assert_eq!(check(None, None, 0), Whose::Nobodys);
        assert_eq!(whose(None, "us", OURS, Duration::ZERO), Whose::Nobodys);
    }

    #[test]
    fn our_own_is_ours_however_old() {
        assert_eq!(check(Some("us"), Some(20), 100), Whose::Ours);
    }

    #[test]
    fn two_processes_of_one_machine_are_told_apart() {
        assert_ne!(identity(), identity());
    }
}
