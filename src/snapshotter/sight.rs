//! What the objects of the cluster say of the cuts that a plan has made. Pure.

use serde_json::Value;

use super::{Plan, clock};
use crate::{
    csi::{self, groups},
    snapshot::Cut,
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

    /// What a VolumeSnapshot says of the claim that it is of.
    pub fn snapshot(&self, object: &Value) -> Option<(usize, Cut)> {
        let name = object["metadata"]["name"].as_str()?;
        let mut claims = self.claims.iter();
        match &self.group {
            None => {
                let at = claims.position(|(_, snapshot)| snapshot == name)?;
                Some((at, cut(object)))
            }
            Some(group) => {
                if groups::of(object) != Some(group) {
                    return None;
                }
                let of = groups::claim(object)?;
                let at = claims.position(|(claim, _)| claim == of)?;
                let name = Some(name.to_owned());
                Some((
                    at,
                    Cut {
                        name,
                        ..cut(object)
                    },
                ))
            }
        }
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
        (0..self.claims.len()).map(|at| (at, cut.clone())).collect()
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
        let (at, cut) = sight(None).snapshot(&object).unwrap();
        assert!(at == 1 && cut.is_cut() && cut.ready && cut.name.is_none());
        assert_eq!(sight(Some("set")).snapshot(&object), None);
        let other = json!({"metadata": {"name": "wal-2"}});
        assert_eq!(sight(None).snapshot(&other), None);
    }

    #[test]
    fn a_member_of_a_group_is_known_by_its_claim() {
        let member = |group: &str| {
            json!({
                "metadata": {
                    "name": "snapshot-0af1",
                    "ownerReferences": [{"kind": "VolumeGroupSnapshot", "name": group}],
                },
                "spec": {"source": {"persistentVolumeClaimName": "data"}},
                "status": status(),
            })
        };
        let (at, cut) = sight(Some("set")).snapshot(&member("set")).unwrap();
        assert_eq!((at, cut.name.as_deref()), (0, Some("snapshot-0af1")));
        assert_eq!(sight(Some("set")).snapshot(&member("other")), None);
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
