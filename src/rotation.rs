//! What to do next about the webhook's certificate, decided from what is there.
//!
//! Every replica is trusted at every moment: a new authority is trusted beside the old one before it
//! signs anything, and the old one is forgotten only when all replicas show a certificate of the new
//! one. Who to trust stands in the entries of the webhook (`caBundle`) and nowhere else, so that whoever
//! goes on after a restart finds it there.

use std::{collections::BTreeSet, time::Duration};

/// Seconds since 1970.
pub type Time = i64;

/// SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// A certificate, as far as the decision needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub id: Fingerprint,
    pub from: Time,
    pub until: Time,
}

impl Held {
    /// When two thirds of its life are over, which leaves time to notice that nobody renews it.
    const fn renewal(&self) -> Time {
        self.from + (self.until - self.from) / 3 * 2
    }
}

/// What the Secret holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Absent too where it cannot be served: a wrong key, another authority, a name that is missing.
    pub leaf: Option<Held>,
    /// Whom to trust for it.
    pub authorities: Vec<Held>,
    /// The authority that signs next, made and not yet used.
    pub next: Option<Held>,
}

/// What one entry of the webhook trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bundle {
    Trusts(Vec<Held>),
    /// Nothing that is a certificate, or nothing at all.
    Unreadable,
}

#[derive(Clone, Debug)]
pub struct Observed<'a> {
    pub kept: &'a Kept,
    pub bundles: &'a [Bundle],
    /// The leaves that the replicas show; none where one of them could not be asked.
    pub shown: Option<&'a BTreeSet<Fingerprint>>,
    /// Since when all entries have trusted all that they should.
    pub trusted_since: Option<Time>,
    pub now: Time,
}

/// Who makes the certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// This program, into a Secret of its own.
    Ourselves,
    /// Somebody else, such as cert-manager: what they write is followed.
    Another,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make an authority and a leaf.
    Issue,
    /// Have all entries trust exactly these.
    Trust(BTreeSet<Fingerprint>),
    /// Make the authority that signs next.
    Prepare,
    /// Have the next authority sign a leaf, and take its predecessor's place.
    Promote,
    /// Have the authority sign another leaf.
    Renew,
    /// Nothing before this time, unless something changes.
    Wait(Time),
    /// Whoever makes the certificate has not made it.
    Absent,
}

impl Step {
    pub const NAMES: [&'static str; 5] = ["issue", "trust", "prepare", "promote", "renew"];

    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Trust(_) => "trust",
            Self::Prepare => "prepare",
            Self::Promote => "promote",
            Self::Renew => "renew",
            Self::Wait(_) => "wait",
            Self::Absent => "absent",
        }
    }
}

/// Whether nobody of yesterday is trusted, so that it does not matter what the replicas show.
#[must_use]
pub fn is_settled(kept: &Kept, bundles: &[Bundle]) -> bool {
    let ours: BTreeSet<_> = ids(&kept.authorities).chain(ids(&kept.next)).collect();
    trusted(bundles).all(|held| ours.contains(&held.id))
}

/// Says what to do next. `settle` is how long every API server may take to hear of a changed entry.
#[must_use]
pub fn next(issuer: Issuer, observed: &Observed<'_>, settle: Duration) -> Step {
    let Observed {
        kept,
        bundles,
        trusted_since,
        now,
        ..
    } = *observed;
    let alive = |held: &&Held| held.until > now;
    let leaf = kept.leaf.as_ref().filter(alive);
    let authority = kept.authorities.iter().find(alive);
    let (Some(leaf), Some(authority)) = (leaf, authority) else {
        return match issuer {
            Issuer::Another => Step::Absent,
            Issuer::Ourselves if authority.is_some() => Step::Renew,
            Issuer::Ourselves => Step::Issue,
        };
    };

    let wanted = wanted(observed);
    let as_wanted = |bundle: &Bundle| match bundle {
        Bundle::Trusts(held) => ids(held).collect::<BTreeSet<_>>() == wanted,
        Bundle::Unreadable => false,
    };
    if !bundles.iter().all(as_wanted) {
        return Step::Trust(wanted);
    }
    if issuer == Issuer::Another {
        return Step::Wait(Time::MAX);
    }

    if kept.next.is_some() {
        let settle = Time::try_from(settle.as_secs()).unwrap_or(Time::MAX);
        let settled = trusted_since.unwrap_or(now).saturating_add(settle);
        return if settled <= now {
            Step::Promote
        } else {
            Step::Wait(settled)
        };
    }
    if authority.renewal() <= now {
        return Step::Prepare;
    }
    if leaf.renewal() <= now {
        return Step::Renew;
    }
    Step::Wait(authority.renewal().min(leaf.renewal()))
}

/// Whom to trust: the authorities of today and tomorrow, and those of yesterday while a replica may
/// still show a certificate of theirs.
fn wanted(observed: &Observed<'_>) -> BTreeSet<Fingerprint> {
    let Observed {
        kept,
        bundles,
        shown,
        now,
        ..
    } = *observed;
    let mut wanted: BTreeSet<_> = ids(&kept.authorities).chain(ids(&kept.next)).collect();
    let leaf = kept.leaf.map(|leaf| leaf.id);
    let all_show_it = shown.is_some_and(|shown| shown.iter().copied().eq(leaf));
    if !all_show_it {
        let alive = trusted(bundles).filter(|held| held.until > now);
        wanted.extend(alive.map(|held| held.id));
    }
    wanted
}

fn trusted(bundles: &[Bundle]) -> impl Iterator<Item = &Held> {
    bundles.iter().flat_map(|bundle| match bundle {
        Bundle::Trusts(held) => held.as_slice(),
        Bundle::Unreadable => &[],
    })
}

fn ids<'a>(held: impl IntoIterator<Item = &'a Held>) -> impl Iterator<Item = Fingerprint> {
    held.into_iter().map(|held| held.id)
}

#[cfg(test)]
mod tests;
