//! Pods that are created while no replica of the webhook is there.
use super::{
    Steps,
    installation::{counted, has_hooks, missed, sees_the_label},
    load,
    node::{Node, SOON, database},
};
use crate::apiserver::kit::eventually;

/// They start, and are named; in a namespace that would rather have none they are refused.
pub fn pods_are_missed_and_named(node: &Node, steps: &Steps) {
    let kubectl = &node.kubectl;
    node.namespace("away", "quiescent.dev/inject=enabled");
    node.namespace(
        "enforced",
        "quiescent.dev/inject=enabled quiescent.dev/enforce=true",
    );
    for namespace in ["away", "enforced"] {
        sees_the_label(node, namespace);
    }
    kubectl.run("scale -n quiescent deployment/quiescent --replicas 0");
    eventually("no replica is left", SOON, || {
        node.pods("quiescent").is_empty().then_some(())
    });
    eventually("the API server finds nobody", SOON, || {
        let probe = load::pod("probe", false).to_string();
        kubectl
            .attempt("create --dry-run=server -n enforced -f -", &probe)
            .err()
    });
    steps.done("the webhook has no replica");

    kubectl.apply("create -n away -f -", &database());
    kubectl.run("rollout status -n away statefulset/pg --timeout 120s");
    kubectl.apply(
        "create -n away -f -",
        &load::pod("alone", false).to_string(),
    );
    let pod = kubectl.json("get pod -n away pg-0", "");
    assert!(!has_hooks(&pod), "{pod:#}");
    let refused = kubectl
        .attempt(
            "create -n enforced -f -",
            &load::pod("alone", false).to_string(),
        )
        .expect_err("nobody answers");
    for words in [
        "failed calling webhook \"enforce.quiescent.dev\"",
        "https://quiescent.quiescent.svc:443/mutate",
    ] {
        assert!(refused.contains(words), "{refused}");
    }
    steps.done(&format!(
        "a StatefulSet's pod starts without hooks; where enforced: {}",
        refused.trim()
    ));

    assert_eq!(missed(node, "away"), ["alone", "pg-0"]);
    eventually("each replica of the controller counts them", SOON, || {
        (counted(node, "away") == [2, 2]).then_some(())
    });
    steps.done("audit and the gauge of both replicas of the controller name both");
    kubectl.run("scale -n quiescent deployment/quiescent --replicas 2");
    kubectl.run("rollout status -n quiescent deployment/quiescent --timeout 120s");
    sees_the_label(node, "away");
    kubectl.run("rollout restart -n away statefulset/pg");
    kubectl.run("rollout status -n away statefulset/pg --timeout 120s");
    kubectl.run("delete pod -n away alone --force --grace-period 0");
    assert_eq!(missed(node, "away"), Vec::<String>::new());
    eventually("nobody is counted any more", SOON, || {
        (counted(node, "away") == [0, 0]).then_some(())
    });
    steps.done("the webhook is back: made anew, nobody is named any more");
}
