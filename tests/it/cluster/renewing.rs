//! cert-manager makes a new certificate and a new authority every 30 seconds: with the controller that
//! follows no review fails, and with cert-manager's own injector in its place many do.
use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    Steps,
    installation::sees_the_label,
    load::{Load, Outcome},
    node::{Node, SOON},
};
use crate::{apiserver::kit::eventually, stress};

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

    let load = Load::of_dry_runs(node, "renewed");
    kubectl.run("scale -n quiescent deployment/quiescent-controller --replicas 0");
    eventually("nobody follows", SOON, || {
        node.pods("quiescent-controller").is_empty().then_some(())
    });
    kubectl.run(
        "annotate mutatingwebhookconfiguration quiescent cert-manager.io/inject-ca-from=quiescent/quiescent",
    );
    goes_on_for(span);
    let Outcome { hooked, without } = load.end();
    let refused: Vec<_> = without
        .iter()
        .filter_map(|it| it.refused.as_deref())
        .collect();
    let first = refused.first().expect("the injector leaves a gap");
    assert!(first.contains("x509"), "{first}");
    steps.done(&format!(
        "renewed for {span:?} with cert-manager's injector: {hooked} pods with hooks, {} refused, such as: {first}",
        refused.len()
    ));
}

/// Nothing says that it is enough: the longer, the more has been renewed.
fn goes_on_for(span: Duration) {
    let until = Instant::now() + span;
    while Instant::now() < until {
        thread::sleep(Duration::from_secs(1));
    }
}
