//! `quiescent snapshot` on a real cluster, with storage that takes real snapshots: what it calls consistent
//! is restored and looked into, and what can go wrong goes wrong.
//!
//! `cargo test --test it snapshots:: -- --nocapture` shows each step with its time. `QUIESCENT_ROUNDS=20`
//! takes and restores so often, prints what came of it, and leaves the faults out; with 0 there are the
//! faults alone. `QUIESCENT_STRESS=10m` stops and kills the command at its steps for so long.
use crate::{
    cluster::{Steps, node, node::Node},
    support,
};

mod faults;
mod ground;
mod groups;
mod rounds;
mod stops;

use ground::Ground;

#[test]
fn what_is_called_consistent_is_and_nothing_stays_held() {
    if !support::require(
        node::can_be_started(),
        "what a cluster with storage that takes snapshots needs (root, and all that tests/kit/README.md says)",
    ) {
        return;
    }
    let ground = Ground::of(Node::start());
    let steps = Steps::begin();
    let wanted = rounds::wanted();
    if wanted != Some(0) {
        rounds::every_acknowledged_write_comes_back(&ground, &steps);
        groups::several_claims_are_one_moment(&ground, &steps);
    }
    if wanted.is_none_or(|it| it == 0) {
        faults::nothing_stays_held_and_nothing_is_called_what_it_is_not(&ground, &steps);
    }
}
