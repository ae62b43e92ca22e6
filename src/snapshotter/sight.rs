//! What the objects of the cluster say of the cuts that a plan has made. Pure.

use serde_json::Value;

use super::{Plan, clock};
use crate::{
    csi::{self, groups},
    snapshot::{Cut, Nanos, Taken},
};

/// Knows the snapshots of a plan when it sees them.
#[derive(Clone, Debug)]
pub struct Sight {
    /// The group that they are in.
    group: Option<String>,
    /// Each with the name of its snapshot, where that is ours to choose.
    claims: Vec<(String, String)>,
}

impl Sight {
    pub fn of(plan: &Plan) -> Self {
        let claims = plan.claims.iter();
        Self {
            group: plan.group.as_ref().map(|_| plan.set.clone()),
            claims: claims
                .map(|it| (it.name.clone(), it.snapshot.clone()))
                .collect(),
        }
    }

    /// What a VolumeSnapshot says of the claim that it is of. One that a group has made says of all claims
    /// that they are cut, long before the group does: it comes when the storage has answered.
    pub fn snapshot(&self, object: &Value) -> Vec<(usize, Cut)> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let Some(group) = &self.group else {
            let at = self.claims.iter().position(|(_, it)| it == name);
            return at.map(|at| (at, cut(object))).into_iter().collect();
        };
        if groups::of(object) != Some(group) {
            return Vec::new();
        }
        let created = object["metadata"]["creationTimestamp"].as_str();
        let all = Cut {
            content: Some(group.clone()),
            at: created.and_then(clock::second).map(before),
            ..Cut::default()
        };
        let mut seen = self.each(&all);
        let of = groups::claim(object).unwrap_or_default();
        if let Some(at) = self.claims.iter().position(|(claim, _)| claim == of) {
            let name = Some(name.to_owned());
            seen.push((
                at,
                Cut {
                    name,
                    ..cut(object)
                },
            ));
        }
        seen
    }

    /// What a VolumeGroupSnapshot says of each claim. Whether one can be restored its own snapshot says.
    pub fn group(&self, object: &Value) -> Vec<(usize, Cut)> {
        if self.group.as_deref() != object["metadata"]["name"].as_str() {
            return Vec::new();
        }
        let cut = Cut {
            ready: false,
            ..cut(object)
        };
        self.each(&cut)
    }

    fn each(&self, cut: &Cut) -> Vec<(usize, Cut)> {
        (0..self.claims.len()).map(|at| (at, cut.clone())).collect()
    }
}

/// Some time before what is seen came: the storage may have needed a minute for its answer.
const fn before(seen: Taken) -> Taken {
    const MINUTE: Nanos = 60 * 1_000_000_000;
    Taken {
        from: seen.from - MINUTE,
        within: seen.within + MINUTE,
    }
}

fn cut(object: &Value) -> Cut {
    let csi::Status {
        content,
        created,
        ready,
        error,
    } = csi::status(object);
    Cut {
        name: None,
        content,
        at: created.as_deref().and_then(clock::second),
        ready,
        error,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sight(group: Option<&str>) -> Sight {
        let claim = |name: &str| (name.to_owned(), format!("{name}-1"));
        Sight {
            group: group.map(str::to_owned),
            claims: vec![claim("data"), claim("wal")],
        }
    }

    fn status() -> Value {
        json!({
            "boundVolumeSnapshotContentName": "content", "creationTime": "2026-01-01T00:00:00Z",
            "readyToUse": true,
        })
    }

    #[test]
    fn a_snapshot_is_known_by_its_name() {
        let object = json!({"metadata": {"name": "wal-1"}, "status": status()});
        let [(at, cut)] = &sight(None).snapshot(&object)[..] else {
            panic!("one claim is seen");
        };
        assert!(*at == 1 && cut.is_cut() && cut.ready && cut.name.is_none());
        assert_eq!(sight(Some("set")).snapshot(&object), []);
        let other = json!({"metadata": {"name": "wal-2"}});
        assert_eq!(sight(None).snapshot(&other), []);
    }

    #[test]
    fn a_member_of_a_group_is_known_by_its_claim_and_tells_that_all_are_cut() {
        let member = |group: &str| {
            json!({
                "metadata": {
                    "name": "snapshot-0af1", "creationTimestamp": "2026-01-01T00:00:05Z",
                    "ownerReferences": [{"kind": "VolumeGroupSnapshot", "name": group}],
                },
                "spec": {"source": {"persistentVolumeClaimName": "data"}},
                "status": status(),
            })
        };
        let seen = sight(Some("set")).snapshot(&member("set"));
        let of = |at: usize| seen.iter().filter(move |it| it.0 == at).map(|it| &it.1);
        assert!(of(1).all(|it| it.is_cut() && !it.ready && it.name.is_none()));
        let own = of(0).next_back().unwrap();
        assert_eq!(own.name.as_deref(), Some("snapshot-0af1"));
        let (all, own) = (of(1).next_back().unwrap().at.unwrap(), own.at.unwrap());
        assert!(all.from < own.from && own.from + own.within < all.from + all.within);
        assert_eq!(sight(Some("set")).snapshot(&member("other")), []);
    }

    #[test]
    fn a_group_says_when_all_were_cut_and_not_that_they_are_ready() {
        let mut status = status();
        status["boundVolumeGroupSnapshotContentName"] =
            status["boundVolumeSnapshotContentName"].take();
        let group = json!({"metadata": {"name": "set"}, "status": status});
        let seen = sight(Some("set")).group(&group);
        assert_eq!(seen.len(), 2);
        assert!(
            seen.iter().all(|(_, cut)| cut.is_cut() && !cut.ready),
            "{seen:?}"
        );
        assert_eq!(sight(Some("other")).group(&group), []);
    }
}
