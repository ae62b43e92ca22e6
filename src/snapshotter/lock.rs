//! One request at a time for each claim: a Lease beside it says who has it.
//!
//! It is renewed as long as something may be held, so that it outlives a holder that is gone by half a
//! minute. A holder that is only slow finds out that another has it, since each write says which version
//! it replaces; what it undoes then it tells the other, who cannot rely on what it holds any more. All
//! times are those of the API server.

mod tenure;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams, Preconditions},
};
use serde_json::Value;
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
    time::{self, Instant},
};

use self::tenure::LASTS;
use super::{
    Clock, Plan,
    patience::{in_time, patiently},
    plan::cut,
};
use crate::snapshot::{Nanos, PATIENCE, claims};

/// How far the clocks of two API servers may be apart.
const SKEW: Duration = Duration::from_secs(5);

/// So often it is renewed.
const RENEWAL: Duration = Duration::from_secs(8);

/// So often somebody else may be faster before we give up.
const TRIES: usize = 5;

/// The claims of a plan are ours until this is released. Dropped, they are free when the Leases end.
#[derive(Debug)]
pub struct Lock {
    leases: Arc<Leases>,
    /// Ends with us.
    renewing: JoinSet<()>,
}

#[derive(Debug)]
struct Leases {
    api: Api<Lease>,
    set: String,
    clock: Clock,
    all: Mutex<Vec<Taken>>,
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
struct Taken {
    claim: String,
    /// As it was written last; nothing where it is not ours.
    lease: Option<Lease>,
}

#[derive(Clone, Debug)]
struct State {
    /// Before that nobody else can have taken a claim.
    sure_until: Instant,
    /// Why what the pods hold may not be what we made them hold.
    lost: Option<String>,
}

/// Somebody else has a claim.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("claim {claim} is taken by snapshot {holder}, and free from {} on if that is gone", at(*.until))]
pub struct Busy {
    pub claim: String,
    /// The name of the set that is being taken.
    pub holder: String,
    pub until: Nanos,
}

impl Lock {
    /// Takes all claims that the pods of a plan mount.
    ///
    /// # Errors
    /// [`Busy`], where somebody else has one, and then nothing is taken; else what went wrong.
    pub async fn take(client: &Client, plan: &Plan) -> anyhow::Result<Self> {
        let asked = Instant::now();
        let leases = Leases::none(client, plan);
        let mut all = Vec::new();
        for claim in locked(plan) {
            match leases.take(&claim).await {
                Ok((lease, _)) => all.push(Taken {
                    claim,
                    lease: Some(lease),
                }),
                Err(error) => {
                    Self::of(leases, all, asked).give_up().await;
                    return Err(error);
                }
            }
        }
        Ok(Self::of(leases, all, asked))
    }

    /// Takes what another process has taken for the same snapshot. It never waits, because something is to
    /// be undone: what cannot be had, or was not its own all the time, is lost.
    pub async fn take_on(client: &Client, plan: &Plan) -> Self {
        let asked = Instant::now();
        let leases = Leases::none(client, plan);
        let mut all = Vec::new();
        for claim in locked(plan) {
            let (lease, why) = match leases.take(&claim).await {
                Ok((lease, true)) => (Some(lease), None),
                Ok((lease, false)) => {
                    let why = format!("claim {claim} was not its own all the time");
                    (Some(lease), Some(why))
                }
                Err(error) => (None, Some(format!("{error:#}"))),
            };
            leases.lose(why);
            all.push(Taken { claim, lease });
        }
        Self::of(leases, all, asked)
    }

    fn of(mut leases: Leases, all: Vec<Taken>, asked: Instant) -> Self {
        *leases.all.get_mut() = all;
        leases.is_sure_since(asked);
        let leases = Arc::new(leases);
        let mut renewing = JoinSet::new();
        let renewed = Arc::clone(&leases);
        renewing.spawn(async move {
            loop {
                time::sleep(RENEWAL).await;
                renewed.renew().await;
            }
        });
        Self { leases, renewing }
    }

    /// Why they are not ours any more, as far as is known.
    pub fn lost(&self) -> Option<String> {
        self.leases.state.borrow().lost.clone()
    }

    /// Waits until they are not ours any more.
    pub async fn until_lost(&self) -> String {
        let mut state = self.leases.state.subscribe();
        let lost = state.wait_for(|it| it.lost.is_some()).await;
        // The sender lives as long as we do.
        let lost = lost.ok().and_then(|it| it.lost.clone());
        lost.unwrap_or_default()
    }

    /// Whether they are ours at this moment, before something is held or made. Asks nobody, where that is sure.
    ///
    /// # Errors
    /// Why they are not, or why that is not known.
    pub async fn is_ours(&self) -> Result<(), String> {
        self.look_if_unsure().await;
        match self.lost() {
            Some(why) => Err(why),
            None if self.is_sure() => Ok(()),
            None => Err("whether its claims are still its own is not known".to_owned()),
        }
    }

    /// To be called before what pods hold is let go of: it may be another's by now, and is told then. Asks
    /// nobody, where they are surely ours.
    /// What is held is worse than what the other does not know yet: it is told again when all is given back.
    pub async fn about_to_undo(&self) {
        self.look_if_unsure().await;
        if self.lost().is_none() {
            return;
        }
        if let Err(error) = self.leases.tell_others().await {
            tracing::warn!(
                reason = format!("{error:#}"),
                "who has the claims now is not told yet"
            );
        }
    }

    /// Gives all of it back, when nothing is held any more. `undid` is whether something was let go of.
    ///
    /// # Errors
    /// Why they were not ours all the time, or why that is not known.
    pub async fn release(mut self, undid: bool) -> Result<(), String> {
        self.renewing.shutdown().await;
        self.give_back(PATIENCE).await;
        let Some(why) = self.lost() else {
            return Ok(());
        };
        if undid {
            let told = patiently(PATIENCE, || self.leases.tell_others()).await;
            if let Err(error) = told {
                tracing::warn!(
                    reason = format!("{error:#}"),
                    "who has the claims now is not told"
                );
            }
        }
        Err(why)
    }

    /// Gives back what can be given back at once: nothing was begun.
    pub async fn give_up(mut self) {
        self.renewing.shutdown().await;
        self.give_back(Duration::ZERO).await;
    }

    async fn give_back(&self, patience: Duration) {
        for taken in self.leases.all.lock().await.iter_mut() {
            let Some(lease) = taken.lease.take() else {
                continue;
            };
            let why = self.leases.give_back(&taken.claim, lease, patience).await;
            self.leases.lose(why);
        }
    }

    async fn look_if_unsure(&self) {
        if !self.is_sure() {
            self.leases.renew().await;
        }
    }

    fn is_sure(&self) -> bool {
        Instant::now() < self.leases.state.borrow().sure_until
    }
}

impl Leases {
    fn none(client: &Client, plan: &Plan) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &plan.namespace),
            set: plan.set.clone(),
            clock: plan.clock,
            all: Mutex::default(),
            state: watch::Sender::new(State {
                sure_until: Instant::now(),
                lost: None,
            }),
        }
    }

    fn is_sure_since(&self, asked: Instant) {
        let until = asked + LASTS.saturating_sub(SKEW);
        self.state.send_modify(|it| it.sure_until = until);
    }

    fn lose(&self, why: Option<String>) {
        if let Some(why) = why {
            self.state.send_modify(|it| {
                it.lost.get_or_insert(why);
            });
        }
    }

    /// The Lease of a claim, which is ours now, and whether it was that of this set all the time.
    async fn take(&self, claim: &str) -> anyhow::Result<(Lease, bool)> {
        let name = name(claim);
        let failed = || {
            format!(
                "failed to take Lease {name}: may we get, create, update and delete leases in its namespace?"
            )
        };
        let parameters = PostParams::default();
        for _ in 0..TRIES {
            let before = in_time(self.api.get_opt(&name)).await;
            let before = before.with_context(failed)?;
            let now = self.clock.now();
            let (asked, is_the_same) = match before {
                None => {
                    let lease = tenure::first(&name, &self.set, now);
                    (in_time(self.api.create(&parameters, &lease)).await, false)
                }
                Some(lease) => {
                    if let Some((holder, until)) = tenure::held(&lease, &self.set, now) {
                        return Err(Busy {
                            claim: claim.to_owned(),
                            holder,
                            until,
                        }
                        .into());
                    }
                    let holder = tenure::holder(&lease).map(str::to_owned);
                    let is_ours = holder.as_deref() == Some(&*self.set);
                    if let Some(holder) = holder.filter(|_| !is_ours) {
                        tracing::warn!(
                            claim,
                            holder,
                            "a claim is taken over from a snapshot that is not heard of any more"
                        );
                    }
                    let is_the_same = is_ours && tenure::disturbed_by(&lease).is_none();
                    // With the version that was read: if somebody was faster, nothing is written.
                    let lease = tenure::taken(lease, &self.set, now);
                    let asked = self.api.replace(&name, &parameters, &lease);
                    (in_time(asked).await, is_the_same)
                }
            };
            match asked {
                Ok(lease) => return Ok((lease, is_the_same)),
                Err(error) if has_changed(&error) => {}
                Err(error) => return Err(error).with_context(failed),
            }
        }
        anyhow::bail!("claim {claim} is taken and released again and again by others")
    }

    async fn renew(&self) {
        let asked = Instant::now();
        let mut is_known = true;
        for taken in self.all.lock().await.iter_mut() {
            let Some(lease) = taken.lease.clone() else {
                continue;
            };
            match self.renew_one(&taken.claim, lease).await {
                Ok((lease, why)) => {
                    taken.lease = lease;
                    self.lose(why);
                }
                Err(error) => {
                    is_known = false;
                    let (claim, reason) = (&taken.claim, format!("{error:#}"));
                    tracing::warn!(claim, reason, "a lease could not be renewed");
                }
            }
        }
        if is_known {
            self.is_sure_since(asked);
        }
    }

    /// As [`tenure::since`].
    async fn renew_one(
        &self,
        claim: &str,
        mut lease: Lease,
    ) -> anyhow::Result<(Option<Lease>, Option<String>)> {
        let name = name(claim);
        let mut why = None;
        for _ in 0..TRIES {
            let next = tenure::renewed(&lease, self.clock.now());
            let parameters = PostParams::default();
            match in_time(self.api.replace(&name, &parameters, &next)).await {
                Ok(renewed) => return Ok((Some(renewed), why)),
                Err(error) if has_changed(&error) => {}
                Err(error) => return Err(error),
            }
            let now = in_time(self.api.get_opt(&name)).await?;
            let (found, because) = tenure::since(&lease, now, claim);
            why = why.or(because);
            match found {
                Some(found) => lease = found,
                None => return Ok((None, why)),
            }
        }
        anyhow::bail!("the Lease of claim {claim} is written again and again by others")
    }

    /// Returns why it was not ours all the time, or why that is not known.
    async fn give_back(&self, claim: &str, mut lease: Lease, patience: Duration) -> Option<String> {
        let name = name(claim);
        let mut why = None;
        for _ in 0..TRIES {
            let as_written = DeleteParams::default().preconditions(Preconditions {
                resource_version: lease.metadata.resource_version.clone(),
                uid: lease.metadata.uid.clone(),
            });
            let deleted = patiently(patience, || in_time(self.api.delete(&name, &as_written)));
            let Err(error) = deleted.await else {
                return why;
            };
            if !has_changed(&error) {
                let reason = format!("{error:#}");
                tracing::warn!(
                    lease = name,
                    reason,
                    "a lease could not be given back, the next one has to wait for its end"
                );
                break;
            }
            let now = patiently(patience, || in_time(self.api.get_opt(&name))).await;
            let Ok(now) = now else { break };
            let (found, because) = tenure::since(&lease, now, claim);
            why = why.or(because);
            match found {
                Some(found) => lease = found,
                None => return why,
            }
        }
        why.or_else(|| {
            Some(format!(
                "whether claim {claim} was its own to the end is not known"
            ))
        })
    }

    /// Writes on the Leases that others have that we let go of what the pods hold.
    async fn tell_others(&self) -> anyhow::Result<()> {
        for taken in self.all.lock().await.iter() {
            if taken.lease.is_none() {
                self.tell_other(&taken.claim).await?;
            }
        }
        Ok(())
    }

    async fn tell_other(&self, claim: &str) -> anyhow::Result<()> {
        let name = name(claim);
        for _ in 0..TRIES {
            let Some(lease) = in_time(self.api.get_opt(&name)).await? else {
                return Ok(());
            };
            if tenure::disturbed_by(&lease) == Some(&*self.set) {
                return Ok(());
            }
            let told = tenure::disturbed(lease, &self.set);
            let parameters = PostParams::default();
            match in_time(self.api.replace(&name, &parameters, &told)).await {
                Err(error) if has_changed(&error) => {}
                written => return written.map(|_| ()),
            }
        }
        anyhow::bail!("the Lease of claim {claim} is written again and again by others")
    }
}

/// Whether somebody else has written or deleted it, or made it first.
fn has_changed(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<kube::Error>();
    error.is_some_and(
        |it| matches!(it, kube::Error::Api(status) if matches!(status.code, 404 | 409)),
    )
}

/// Those that are snapshot, and all others of the pods whose hooks run: two requests for one pod have one
/// claim in common. In order, so that two of them never wait for each other.
fn locked(plan: &Plan) -> BTreeSet<String> {
    let wanted = plan.claims.iter().map(|it| it.name.clone());
    let of_pods = plan.members.iter().flat_map(|it| {
        let pod: Value = serde_json::from_str(&it.pod).unwrap_or_default();
        claims(&pod).into_iter().map(|(claim, _)| claim)
    });
    // Two whose names begin with the same 237 letters have one Lease in common.
    let short = |it: String| cut(&it, 237).to_owned();
    wanted.chain(of_pods).map(short).collect()
}

fn name(claim: &str) -> String {
    format!("quiescent-{claim}")
}

/// As people read it, to the second.
fn at(until: Nanos) -> String {
    let time = tenure::time(until).unwrap_or_default();
    time.strftime("%H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_claim_is_named() {
        let said = Busy {
            claim: "data".to_owned(),
            holder: "them".to_owned(),
            until: 130_000_000_000,
        };
        assert_eq!(
            said.to_string(),
            "claim data is taken by snapshot them, and free from 00:02:10 UTC on if that is gone"
        );
    }
}
