use super::*;

const SETTLE: Duration = Duration::from_mins(1);
const NOW: Time = 1_000_000;

/// A certificate of 900 seconds, of which these are over.
const fn held(id: u8, age: Time) -> Held {
    Held {
        id: [id; 32],
        from: NOW - age,
        until: NOW - age + 900,
    }
}

/// A webhook with two entries, and all that is known of it.
struct World {
    kept: Kept,
    bundles: [Bundle; 2],
    shown: Option<BTreeSet<Fingerprint>>,
    trusted_since: Option<Time>,
}

impl World {
    /// Authority 1 has signed leaf 2, which all replicas show; nothing is to be done.
    fn at_rest() -> Self {
        Self {
            kept: Kept {
                leaf: Some(held(2, 10)),
                authorities: vec![held(1, 20)],
                next: None,
            },
            bundles: [(); 2].map(|()| Bundle::Trusts(vec![held(1, 20)])),
            shown: Some(BTreeSet::from([[2; 32]])),
            trusted_since: Some(NOW - 5),
        }
    }

    fn trusting(self, trusted: &[Held]) -> Self {
        let bundles = [(); 2].map(|()| Bundle::Trusts(trusted.to_vec()));
        Self { bundles, ..self }
    }

    fn next(&self, issuer: Issuer) -> Step {
        let observed = Observed {
            kept: &self.kept,
            bundles: &self.bundles,
            shown: self.shown.as_ref(),
            trusted_since: self.trusted_since,
            now: NOW,
        };
        super::next(issuer, &observed, SETTLE)
    }
}

fn trust(ids: &[u8]) -> Step {
    Step::Trust(ids.iter().map(|id| [*id; 32]).collect())
}

#[test]
fn nothing_happens_before_two_thirds_of_a_life_are_over() {
    let world = World::at_rest();
    assert_eq!(world.next(Issuer::Ourselves), Step::Wait(NOW + 580));
    assert_eq!(world.next(Issuer::Another), Step::Wait(Time::MAX));
}

#[test]
fn without_a_pair_that_can_be_served_one_is_made_or_waited_for() {
    type Damage = fn(&mut Kept);
    let damages: [(Damage, Step); 4] = [
        (|kept| kept.leaf = None, Step::Renew),
        (|kept| kept.leaf = Some(held(2, 901)), Step::Renew),
        (|kept| kept.authorities.clear(), Step::Issue),
        (|kept| kept.authorities = vec![held(1, 901)], Step::Issue),
    ];
    for (damage, step) in damages {
        let mut world = World::at_rest();
        damage(&mut world.kept);
        assert_eq!(world.next(Issuer::Ourselves), step);
        assert_eq!(world.next(Issuer::Another), Step::Absent);
    }
}

#[test]
fn an_entry_that_was_changed_by_hand_is_put_right() {
    for bundle in [
        Bundle::Unreadable,
        Bundle::Trusts(vec![]),
        Bundle::Trusts(vec![held(7, 0)]),
        Bundle::Trusts(vec![held(1, 20), held(7, 0)]),
    ] {
        let mut world = World::at_rest();
        world.bundles[1] = bundle;
        for issuer in [Issuer::Ourselves, Issuer::Another] {
            assert_eq!(world.next(issuer), trust(&[1]));
        }
    }
}

#[test]
fn a_new_authority_is_trusted_before_it_signs() {
    let mut world = World::at_rest();
    world.kept.authorities = vec![held(1, 601)];
    assert_eq!(world.next(Issuer::Ourselves), Step::Prepare);

    world.kept.next = Some(held(3, 0));
    assert_eq!(world.next(Issuer::Ourselves), trust(&[1, 3]));

    let mut world = world.trusting(&[held(1, 601), held(3, 0)]);
    for (since, step) in [
        (None, Step::Wait(NOW + 60)),
        (Some(NOW - 59), Step::Wait(NOW + 1)),
        (Some(NOW - 60), Step::Promote),
    ] {
        world.trusted_since = since;
        assert_eq!(world.next(Issuer::Ourselves), step);
    }
}

#[test]
fn an_old_authority_is_forgotten_when_no_replica_needs_it() {
    let mut world = World::at_rest().trusting(&[held(1, 601), held(3, 0)]);
    world.kept.authorities = vec![held(3, 0)];
    world.kept.leaf = Some(held(4, 0));
    for (shown, step) in [
        (None, Step::Wait(NOW + 600)),
        (Some(vec![]), Step::Wait(NOW + 600)),
        (Some(vec![2]), Step::Wait(NOW + 600)),
        (Some(vec![2, 4]), Step::Wait(NOW + 600)),
        (Some(vec![4]), trust(&[3])),
    ] {
        world.shown = shown.map(|ids| ids.into_iter().map(|id| [id; 32]).collect());
        assert_eq!(world.next(Issuer::Ourselves), step, "{:?}", world.shown);
    }
}

#[test]
fn an_authority_that_has_ended_is_forgotten_whoever_needs_it() {
    let mut world = World::at_rest().trusting(&[held(1, 20), held(7, 901)]);
    world.shown = None;
    assert_eq!(world.next(Issuer::Ourselves), trust(&[1]));
}

#[test]
fn a_leaf_is_renewed_without_a_new_authority() {
    let mut world = World::at_rest();
    world.kept.leaf = Some(held(2, 600));
    assert_eq!(world.next(Issuer::Ourselves), Step::Renew);
    assert_eq!(world.next(Issuer::Another), Step::Wait(Time::MAX));
}

#[test]
fn an_authority_that_another_renews_is_trusted_beside_the_old_one() {
    let mut world = World::at_rest();
    world.kept.authorities = vec![held(3, 0)];
    world.kept.leaf = Some(held(4, 0));
    assert_eq!(world.next(Issuer::Another), trust(&[1, 3]));
}

/// However the world came to be, and whatever fails between, the steps end in rest, and no replica
/// ever shows a leaf that an entry does not trust.
#[test]
fn a_whole_renewal_never_leaves_a_replica_untrusted() {
    let mut world = World::at_rest();
    world.kept.authorities = vec![held(1, 601)];
    let mut world = world.trusting(&[held(1, 601)]);
    let mut signer = 1;
    let mut steps = Vec::new();
    for _ in 0..20 {
        let step = world.next(Issuer::Ourselves);
        match &step {
            Step::Prepare => world.kept.next = Some(held(3, 0)),
            Step::Trust(ids) => {
                let known = [held(1, 601), held(3, 0)];
                let trusted: Vec<Held> = known
                    .into_iter()
                    .filter(|it| ids.contains(&it.id))
                    .collect();
                world = world.trusting(&trusted);
                world.trusted_since = Some(NOW - 60);
            }
            Step::Promote => {
                world.kept.authorities = vec![world.kept.next.take().unwrap()];
                world.kept.leaf = Some(held(4, 0));
            }
            // The replicas hear of the new leaf only now.
            Step::Wait(_) if signer == 1 => {
                world.shown = Some(BTreeSet::from([[4; 32]]));
                signer = 3;
            }
            Step::Wait(_) => break,
            other => panic!("{other:?} is no part of a renewal"),
        }
        let trusts_signer = |bundle: &Bundle| match bundle {
            Bundle::Trusts(held) => held.iter().any(|it| it.id == [signer; 32]),
            Bundle::Unreadable => false,
        };
        assert!(world.bundles.iter().all(trusts_signer), "after {step:?}");
        steps.push(step);
    }
    assert_eq!(
        steps,
        [
            Step::Prepare,
            trust(&[1, 3]),
            Step::Promote,
            Step::Wait(NOW + 600),
            trust(&[3]),
        ]
    );
}
