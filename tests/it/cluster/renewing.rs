//! cert-manager makes a new certificate and a new authority every 30 seconds, the controller follows, and
//! no review fails.
use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Steps, installation::sees_the_label, load::Load, node::Node};
use crate::stress;

/// For as long as `QUIESCENT_STRESS` says: the kubelet alone takes a minute to bring a Secret to a pod.
pub fn no_review_fails(node: &Node, steps: &Steps) {
    let Some(span) = stress::span() else {
        return;
    };
    let kubectl = &node.kubectl;
    node.namespace(
        "renewed",
        "quiescent.dev/inject=enabled quiescent.dev/enforce=true",
    );
    sees_the_label(node, "renewed");
    let load = Load::of_dry_runs(node, "renewed");
    // An hour is the least that cert-manager accepts.
    let often = r#"{"spec":{"duration":"1h","renewBefore":"59m30s","privateKey":{"rotationPolicy":"Always"}}}"#;
    for certificate in ["quiescent-ca", "quiescent"] {
        let patch = "patch certificate -n quiescent --type=merge";
        let words = patch.split_whitespace().chain([certificate, "-p", often]);
        kubectl.attempt_args(words, "").unwrap();
    }
    goes_on_for(span);
    load.goes_on();
    let answered = load.ends_well();
    let revisions = kubectl.run(
        "get certificate -n quiescent -o custom-columns=N:.metadata.name,R:.status.revision --no-headers",
    );
    steps.done(&format!(
        "renewed for {span:?} and followed: {answered} pods of an enforced namespace, none refused; made: {}",
        revisions.split_whitespace().collect::<Vec<_>>().join(" ")
    ));
}

/// Nothing says that it is enough: the longer, the more has been renewed.
fn goes_on_for(span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until {
        thread::sleep(Duration::from_secs(1));
    }
}
