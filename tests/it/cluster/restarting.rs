//! What a rollout, a killed replica of the webhook and a killed leader cost.
use std::time::Instant;

use super::{
    Steps,
    installation::{counted, missed, sees_the_label},
    load::{Load, Outcome},
    node::{Node, SOON},
};
use crate::apiserver::kit::eventually;

pub fn a_rollout_loses_nothing(node: &Node, steps: &Steps) {
    node.namespace("load", "quiescent.dev/inject=enabled");
    sees_the_label(node, "load");
    let load = Load::of_dry_runs(node, "load");
    let enforced = Load::of_dry_runs(node, "enforced");
    let began = Instant::now();
    let kubectl = &node.kubectl;
    kubectl.run("rollout restart -n quiescent deployment/quiescent");
    kubectl.run("rollout status -n quiescent deployment/quiescent --timeout 180s");
    eventually("the old replicas are gone", SOON, || {
        let get = "get pods -n quiescent -l app.kubernetes.io/name=quiescent -o name";
        (kubectl.run(get).lines().count() == 2).then_some(())
    });
    let took = began.elapsed();
    load.goes_on();
    let answered = load.ends_well() + enforced.ends_well();
    steps.done(&format!(
        "a rollout of the webhook in {took:.1?}: {answered} pods, each with its hooks"
    ));
}

pub fn a_killed_replica_loses_what_was_under_way(node: &Node, steps: &Steps) {
    node.namespace("killed", "quiescent.dev/inject=enabled");
    sees_the_label(node, "killed");
    let load = Load::of_pods(node, "killed");
    let victim = &node.pods("quiescent")[0];
    let name = victim["metadata"]["name"].as_str().unwrap();
    let killed = Instant::now();
    Node::kill(victim, "quiescent");
    eventually("it is ready again", SOON, || {
        let pod = node
            .kubectl
            .json(&format!("get pod -n quiescent {name}"), "");
        let status = &pod["status"]["containerStatuses"][0];
        (status["restartCount"] == 1 && status["ready"] == true).then_some(())
    });
    let ready = Instant::now();
    load.goes_on();
    let Outcome { hooked, without } = load.end();
    let refused = without.iter().find(|it| it.refused.is_some());
    assert!(refused.is_none(), "{refused:?}");
    let late: Vec<_> = without.iter().filter(|it| it.at > ready).collect();
    assert!(late.is_empty(), "after it was ready again: {late:#?}");
    let last = without.iter().map(|it| it.at - killed).max();
    let mut names: Vec<_> = without.into_iter().map(|it| it.pod).collect();
    names.sort();
    assert_eq!(missed(node, "killed"), names);
    let count = names.len() as u64;
    eventually("the gauge counts them", SOON, || {
        (counted(node, "killed") == [count, count]).then_some(())
    });
    steps.done(&format!(
        "one of two replicas killed: {hooked} pods with hooks, {count} without, the last of them after {:.2?}; it was \
         ready again after {:.1?}; audit and the gauge name these and no other",
        last.unwrap_or_default(),
        ready - killed
    ));
}

pub fn a_killed_leader_is_followed(node: &Node, steps: &Steps) {
    let holder = || {
        let lease = "get lease -n quiescent quiescent-controller";
        let lease = node.kubectl.json(lease, "");
        lease["spec"]["holderIdentity"].as_str().unwrap().to_owned()
    };
    let before = holder();
    let pods = node.pods("quiescent-controller");
    let leader = pods.iter().find(|pod| {
        let name = pod["metadata"]["name"].as_str().unwrap();
        before.starts_with(name)
    });
    let leader = leader.unwrap_or_else(|| panic!("{before} is none of the pods"));
    let killed = Instant::now();
    Node::kill(leader, "quiescent");
    let after = eventually("another one leads", SOON, || {
        let now = holder();
        (now != before).then_some(now)
    });
    let took = killed.elapsed();
    // It does what the other one did.
    let ours = "-n shop -l app.kubernetes.io/managed-by=quiescent";
    node.kubectl.run(&format!("delete configmap {ours}"));
    eventually("the scripts are back", SOON, || {
        let get = format!("get configmap {ours} -o name");
        (!node.kubectl.run(&get).is_empty()).then_some(())
    });
    steps.done(&format!(
        "the leader {before} killed: {after} leads after {took:.1?}, and makes what is deleted anew"
    ));
}
