//! One request at a time for each claim: a Lease beside it says who has it.
//!
//! It lasts as long as what is held can last, and so outlives a holder that is gone by no more than
//! that. All times are those of the API server.

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, PostParams, Preconditions},
};
use serde_json::Value;

use super::{Plan, plan::cut};
use crate::{
    kubernetes::with_causes,
    snapshot::{Nanos, claims},
};

/// How far the clocks of two API servers may be apart.
const SKEW: Duration = Duration::from_secs(5);

/// So often somebody else may be faster before we give up.
const TRIES: usize = 5;

/// The claims of a plan are ours, until this is released or what is held cannot last any longer.
#[derive(Debug)]
pub struct Lock {
    api: Api<Lease>,
    taken: Vec<ObjectMeta>,
}

/// Somebody else has a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("claim {claim} is taken by snapshot {holder}, until {} at the latest", at(*.until))]
pub struct Busy {
    pub claim: String,
    /// The name of the set that is being taken.
    pub holder: String,
    pub until: Nanos,
}

impl Lock {
    /// Takes all claims that the pods of a plan mount, for so long at most. What the same set has taken
    /// before is taken on.
    ///
    /// # Errors
    /// [`Busy`], where somebody else has one, and then nothing is taken; else what went wrong.
    pub async fn take(client: &Client, plan: &Plan, most: Duration) -> anyhow::Result<Self> {
        let mut lock = Self {
            api: Api::namespaced(client.clone(), &plan.namespace),
            taken: Vec::new(),
        };
        for claim in locked(plan) {
            match lock.one(plan, &claim, most + SKEW).await {
                Ok(taken) => lock.taken.push(taken),
                Err(error) => {
                    lock.release().await;
                    return Err(error);
                }
            }
        }
        Ok(lock)
    }

    async fn one(&self, plan: &Plan, claim: &str, most: Duration) -> anyhow::Result<ObjectMeta> {
        let name = name(claim);
        let failed = || {
            let namespace = &plan.namespace;
            format!(
                "failed to take Lease {namespace}/{name}: may we get, create, update and delete leases there?"
            )
        };
        for _ in 0..TRIES {
            let before = self.api.get_opt(&name).await.with_context(failed)?;
            let mine = spec(&plan.set, plan.clock.now(), most);
            let asked = match before {
                None => {
                    let lease = Lease {
                        metadata: ObjectMeta {
                            name: Some(name.clone()),
                            labels: Some([MANAGED.map(str::to_owned).into()].into()),
                            ..ObjectMeta::default()
                        },
                        spec: Some(mine),
                    };
                    self.api.create(&PostParams::default(), &lease).await
                }
                Some(mut lease) => {
                    if let Some((holder, until)) =
                        held(lease.spec.as_ref(), &plan.set, plan.clock.now())
                    {
                        let claim = claim.to_owned();
                        return Err(Busy {
                            claim,
                            holder,
                            until,
                        }
                        .into());
                    }
                    // With the version that was read: if somebody was faster, nothing is written.
                    lease.spec = Some(mine);
                    self.api
                        .replace(&name, &PostParams::default(), &lease)
                        .await
                }
            };
            match asked {
                Ok(lease) => return Ok(lease.metadata),
                Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => {}
                Err(error) => return Err(error).with_context(failed),
            }
        }
        anyhow::bail!("claim {claim} is taken and released again and again by others")
    }

    /// Gives all of it back. What cannot be given back is free when its time is over.
    pub async fn release(self) {
        let Self { api, taken } = self;
        for ObjectMeta {
            name,
            uid,
            resource_version,
            ..
        } in taken
        {
            let name = name.unwrap_or_default();
            let as_taken = DeleteParams::default().preconditions(Preconditions {
                resource_version,
                uid,
            });
            match api.delete(&name, &as_taken).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => {}
                Err(error) => {
                    tracing::warn!(lease = name, reason = %with_causes(&error), "a lease could not be given back, the next one has to wait for its end");
                }
            }
        }
    }
}

/// A label of every Lease.
const MANAGED: [&str; 2] = ["app.kubernetes.io/managed-by", "quiescent"];

/// Those that are snapshot, and all others of the pods whose hooks run: two requests for one pod have one
/// claim in common. In order, so that two of them never wait for each other.
fn locked(plan: &Plan) -> BTreeSet<String> {
    let wanted = plan.claims.iter().map(|it| it.name.clone());
    let of_pods = plan.members.iter().flat_map(|it| {
        let pod: Value = serde_json::from_str(&it.pod).unwrap_or_default();
        claims(&pod).into_iter().map(|(claim, _)| claim)
    });
    wanted.chain(of_pods).collect()
}

/// Two claims whose names begin with the same two hundred letters have one in common.
fn name(claim: &str) -> String {
    format!("quiescent-{}", cut(claim, 237))
}

fn spec(set: &str, now: Nanos, most: Duration) -> LeaseSpec {
    let now = time(now).map(MicroTime);
    LeaseSpec {
        holder_identity: Some(set.to_owned()),
        lease_duration_seconds: i32::try_from(most.as_secs()).ok(),
        acquire_time: now.clone(),
        renew_time: now,
        ..LeaseSpec::default()
    }
}

/// Who else has it at this moment, and until when.
fn held(spec: Option<&LeaseSpec>, us: &str, now: Nanos) -> Option<(String, Nanos)> {
    let spec = spec?;
    let holder = spec.holder_identity.as_deref();
    let holder = holder.filter(|it| !it.is_empty() && *it != us)?;
    let MicroTime(since) = spec.renew_time.as_ref()?;
    let most = Duration::from_secs(u64::try_from(spec.lease_duration_seconds?).ok()?);
    let until = Nanos::try_from((*since + most).as_nanosecond()).ok()?;
    (now < until).then(|| (holder.to_owned(), until))
}

fn time(at: Nanos) -> Option<Timestamp> {
    Timestamp::from_nanosecond(at.into()).ok()
}

/// As people read it, to the second.
fn at(until: Nanos) -> String {
    let time = time(until).unwrap_or_default();
    time.strftime("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn a_claim_is_anothers_as_long_as_it_can_hold() {
        let most = Duration::from_secs(30);
        let theirs = spec("them", 100 * SECOND, most);
        let until = 130 * SECOND;
        let by = Some(("them".to_owned(), until));
        assert_eq!(held(Some(&theirs), "us", 100 * SECOND), by);
        assert_eq!(held(Some(&theirs), "us", until - 1), by);
        assert_eq!(held(Some(&theirs), "us", until), None);
        assert_eq!(held(Some(&theirs), "them", 101 * SECOND), None);
        let said = Busy {
            claim: "data".to_owned(),
            holder: "them".to_owned(),
            until,
        };
        assert_eq!(
            said.to_string(),
            "claim data is taken by snapshot them, until 00:02:10 UTC at the latest"
        );
    }

    #[test]
    fn a_lease_that_says_nothing_holds_nothing() {
        assert_eq!(held(None, "us", 0), None);
        assert_eq!(held(Some(&LeaseSpec::default()), "us", 0), None);
        let empty = spec("", 0, Duration::MAX);
        assert_eq!(held(Some(&empty), "us", 0), None);
    }
}
