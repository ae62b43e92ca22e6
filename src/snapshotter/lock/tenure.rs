//! What a Lease says of who has a claim. Pure.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::api::ObjectMeta;

use crate::snapshot::Nanos;

/// So long a claim is somebody's after he was heard of.
pub const LASTS: Duration = Duration::from_secs(30);

/// A label of every Lease.
const MANAGED: [&str; 2] = ["app.kubernetes.io/managed-by", "quiescent"];

/// An annotation: the snapshot that lost the claim, and has let go of what its pods hold since.
const DISTURBED: &str = "quiescent.dev/let-go-by";

/// The first Lease of a claim.
pub fn first(name: &str, set: &str, now: Nanos) -> Lease {
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some([MANAGED.map(str::to_owned).into()].into()),
            ..ObjectMeta::default()
        },
        spec: None,
    };
    taken(lease, set, now)
}

/// The same as another one's, from now on.
pub fn taken(mut lease: Lease, set: &str, now: Nanos) -> Lease {
    let before = lease.spec.take().unwrap_or_default();
    let now = time(now).map(MicroTime);
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(set.to_owned()),
        lease_duration_seconds: i32::try_from(LASTS.as_secs()).ok(),
        acquire_time: now.clone(),
        renew_time: now,
        lease_transitions: Some(before.lease_transitions.unwrap_or(0).saturating_add(1)),
        ..LeaseSpec::default()
    });
    if let Some(annotations) = &mut lease.metadata.annotations {
        annotations.remove(DISTURBED);
    }
    lease
}

/// The same for another while.
pub fn renewed(lease: &Lease, now: Nanos) -> Lease {
    let mut lease = lease.clone();
    lease.spec.get_or_insert_default().renew_time = time(now).map(MicroTime);
    lease
}

/// The same, which tells that this set has let go of what the pods of the claim hold.
pub fn disturbed(mut lease: Lease, by: &str) -> Lease {
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.insert(DISTURBED.to_owned(), by.to_owned());
    lease
}

pub fn disturbed_by(lease: &Lease) -> Option<&str> {
    let annotations = lease.metadata.annotations.as_ref()?;
    annotations.get(DISTURBED).map(String::as_str)
}

/// The set that took it last, if it did not give it back.
pub fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref();
    holder.filter(|it| !it.is_empty())
}

/// Who else has it at this moment, and until when.
pub fn held(lease: &Lease, us: &str, now: Nanos) -> Option<(String, Nanos)> {
    let holder = holder(lease).filter(|it| *it != us)?;
    let spec = lease.spec.as_ref()?;
    let MicroTime(since) = spec.renew_time.as_ref()?;
    let most = Duration::from_secs(u64::try_from(spec.lease_duration_seconds?).ok()?);
    let until = Nanos::try_from((*since + most).as_nanosecond()).ok()?;
    (now < until).then(|| (holder.to_owned(), until))
}

/// What has become of a Lease of ours that somebody else has written: the Lease, where it is still ours,
/// and why what its pods hold may not be what we made them hold.
pub fn since(then: &Lease, now: Option<Lease>, claim: &str) -> (Option<Lease>, Option<String>) {
    let Some(now) = now else {
        let why = format!("the Lease of claim {claim} was deleted meanwhile");
        return (None, Some(why));
    };
    if !is_one_tenure(then, &now) {
        let by = holder(&now).unwrap_or("another");
        let why = format!("claim {claim} was taken over by snapshot {by} meanwhile");
        return (None, Some(why));
    }
    let why = disturbed_by(&now).map(|by| {
        format!(
            "snapshot {by}, which had lost claim {claim}, let go of what its pods held meanwhile"
        )
    });
    (Some(now), why)
}

/// Whether nobody has taken it in between.
fn is_one_tenure(then: &Lease, now: &Lease) -> bool {
    let transitions = |lease: &Lease| lease.spec.as_ref().and_then(|it| it.lease_transitions);
    then.metadata.uid == now.metadata.uid
        && holder(then) == holder(now)
        && transitions(then) == transitions(now)
}

pub fn time(at: Nanos) -> Option<Timestamp> {
    Timestamp::from_nanosecond(at.into()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;
    const THEN: Nanos = 100 * SECOND;

    fn lease(set: &str) -> Lease {
        first("quiescent-data", set, THEN)
    }

    #[test]
    fn a_claim_is_anothers_as_long_as_he_is_heard_of() {
        let theirs = lease("them");
        let until = THEN + 30 * SECOND;
        let by = |until| Some(("them".to_owned(), until));
        assert_eq!(held(&theirs, "us", THEN), by(until));
        assert_eq!(held(&theirs, "us", until - 1), by(until));
        assert_eq!(held(&theirs, "us", until), None);
        assert_eq!(held(&theirs, "them", THEN), None);
        let later = renewed(&theirs, until);
        assert_eq!(held(&later, "us", until), by(until + 30 * SECOND));
    }

    #[test]
    fn a_lease_that_says_nothing_holds_nothing() {
        assert_eq!(held(&Lease::default(), "us", 0), None);
        assert_eq!(held(&lease(""), "us", THEN), None);
    }

    #[test]
    fn who_was_slow_finds_that_another_has_taken_it() {
        let ours = lease("us");
        let again = renewed(&ours, THEN + SECOND);
        assert_eq!(
            since(&ours, Some(again.clone()), "data"),
            (Some(again), None)
        );
        let theirs = taken(ours.clone(), "them", THEN + 31 * SECOND);
        let (lease, why) = since(&ours, Some(theirs.clone()), "data");
        assert_eq!(lease, None);
        assert!(why.unwrap().contains("taken over by snapshot them"));
        // Another process that goes on with the same snapshot is another one too.
        let same = taken(theirs, "us", THEN + 70 * SECOND);
        assert_eq!(since(&ours, Some(same), "data").0, None);
        assert!(since(&ours, None, "data").1.unwrap().contains("deleted"));
    }

    #[test]
    fn who_lost_it_tells_the_other_what_he_does() {
        let theirs = taken(lease("us"), "them", THEN);
        let told = disturbed(theirs.clone(), "us");
        assert_eq!(disturbed_by(&told), Some("us"));
        let (lease, why) = since(&theirs, Some(told.clone()), "data");
        assert_eq!(lease, Some(told.clone()));
        assert!(why.unwrap().contains("snapshot us"));
        assert_eq!(disturbed_by(&taken(told, "next", THEN)), None);
    }
}
