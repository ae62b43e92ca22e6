//! `deploy/` on a real cluster, from its first object to its last: what an operator does with it, what
//! can happen to it, and the whole way of a backup. One cluster of one node serves all of it.
//!
//! `cargo test --test it cluster:: -- --nocapture` shows each step with its time. With
//! `QUIESCENT_STRESS=5m` cert-manager goes on renewing for so long, Velero snapshotting two claims, and the
//! controller being killed at each step of a snapshot.
use std::time::Instant;

use crate::{support, velero};

mod away;
mod installation;
mod installing;
mod load;
pub mod node;
pub mod part;
mod renewing;
mod restarting;
pub mod server;

use node::Node;

#[test]
fn quiescent_is_installed_used_broken_and_taken_away_and_velero_restores() {
    if !support::require(
        node::can_be_started(),
        "what a cluster with Velero and cert-manager needs (root, and all that tests/kit/README.md says)",
    ) {
        return;
    }
    let steps = Steps::begin();
    let node = Node::start();
    steps.done("a cluster of one node");
    node.import_quiescent();
    steps.done("an image of this build is on it");

    installing::by_kustomize(&node, &steps, || {
        away::pods_are_missed_and_named(&node, &steps);
        restarting::a_rollout_loses_nothing(&node, &steps);
        restarting::a_killed_replica_loses_what_was_under_way(&node, &steps);
        restarting::a_killed_leader_is_followed(&node, &steps);
    });
    node.install_cert_manager();
    steps.done("cert-manager");
    installing::by_the_chart(&node, &steps, || {
        renewing::no_review_fails(&node, &steps);
    });
    velero::backs_up_and_restores_a_database_that_nobody_annotated(node, &steps);
    steps.done("the cluster is gone");
}

/// Prints what has been done, and when.
pub struct Steps(Instant);

impl Steps {
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    pub fn done(&self, what: &str) {
        println!("{:>6.1} s  {what}", self.0.elapsed().as_secs_f32());
    }
}
