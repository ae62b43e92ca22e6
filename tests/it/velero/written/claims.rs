//! PostgreSQL with its log on a claim of its own. Velero takes the two snapshots seconds apart: the hook that
//! holds nothing refuses, the one that holds all writes makes one moment of them, and what comes of no hook
//! is told, since it is chance.
use std::time::Instant;

use serde_json::json;

use super::{Cluster, Steps, Writers, began, faults, hook_of, missing};
use crate::{
    apiserver::kit::eventually,
    cluster::{
        node::SOON,
        server::{self, Engine, Server},
    },
    stress,
};

const NAMESPACE: &str = "claims";

/// Its file systems are frozen from the pre hook to the post hook, by a container beside it.
const HELD: &str = "held";

/// It is prepared for a snapshot of one volume.
const REFUSED: &str = "refused";

/// Nobody does anything.
const NAKED: &str = "naked";

pub fn several_are_one_moment_while_writes_are_held(cluster: &Cluster, steps: &Steps) {
    let until = stress::span().map(|span| Instant::now() + span);
    round(cluster, steps, 0, "csi");
    let mut number = 1;
    while until.is_some_and(|until| Instant::now() < until) {
        cluster
            .node
            .kubectl
            .run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
        round(cluster, steps, number, ["csi", "csi-copy"][number % 2]);
        number += 1;
    }
}

fn round(cluster: &Cluster, steps: &Steps, number: usize, snapshots: &str) {
    let kubectl = &cluster.node.kubectl;
    cluster.namespace_with_hooks(NAMESPACE);
    for pod in [HELD, REFUSED, NAKED] {
        for volume in ["data", "wal"] {
            let claim = format!("{pod}-{volume}");
            cluster.claim(NAMESPACE, &claim, "csi-ext4", snapshots);
        }
    }
    // A copy takes longer than a snapshot.
    let limit = if number == 0 { "30s" } else { "3m" };
    cluster.create(NAMESPACE, HELD, server::frozen(HELD, limit));
    cluster.create(
        NAMESPACE,
        REFUSED,
        server::with_two_claims(REFUSED, &json!({"quiescent.dev/method": "snapshot"})),
    );
    cluster.create(
        NAMESPACE,
        NAKED,
        server::with_two_claims(NAKED, &json!({"quiescent.dev/inject": "disabled"})),
    );
    let [held, refused, naked] = [HELD, REFUSED, NAKED].map(|pod| Server {
        node: &cluster.node,
        namespace: NAMESPACE,
        pod,
        engine: Engine::PostgreSql,
    });
    for server in [&held, &refused, &naked] {
        server.is_ready();
        server.fill();
    }
    let writers = [&held, &naked].map(Server::writers);
    go_on(&writers);
    if number == 0 {
        velero_is_killed_while_they_are_held(cluster, steps);
        go_on(&writers);
        // What Velero left behind when it was killed.
        kubectl.run(&format!("delete volumesnapshots -n {NAMESPACE} --all"));
        steps
            .done("Velero killed while writes were held: they go on by themselves after the limit");
    }

    let name = format!("claims-{number}");
    let from = Instant::now();
    let backup = cluster.backup(&name, NAMESPACE);
    let to = Instant::now();
    go_on(&writers);
    assert_eq!(backup["status"]["phase"], "PartiallyFailed", "{backup:#}");
    assert_eq!(
        backup["status"]["hookStatus"]["hooksFailed"], 1,
        "{backup:#}"
    );
    assert_eq!(
        backup["status"]["csiVolumeSnapshotsCompleted"], 6,
        "{backup:#}"
    );
    let (_, results) = cluster.results(&format!("backup/{name}"));
    let refusal = hook_of(&results, REFUSED, "pre");
    let said = refusal["stderr"].as_str().unwrap();
    assert!(
        refusal["exit"] == 2
            && said.contains("a snapshot of two volumes is not of one moment")
            && said.contains("quiescent.dev/method=dump"),
        "{results:#}"
    );
    for phase in ["pre", "post"] {
        assert_eq!(hook_of(&results, HELD, phase)["exit"], 0, "{results:#}");
    }
    let due = [
        writers[0].record_at(began(cluster, &name, "filesystem-freeze")),
        writers[1].record_at(from),
    ];
    let stood = writers[0].pace(from, to).silence;
    writers.into_iter().for_each(Writers::stop);

    kubectl.run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
    cluster.restore(&name);
    held.is_ready();
    let written = held.record().unwrap_or_else(|why| panic!("{HELD}: {why}"));
    assert_eq!(missing(due[0], written), 0, "{:?} {written:?}", due[0]);
    let chance = match naked.alone() {
        Ok(written) => format!("{} acknowledged writes missing", missing(due[1], written)),
        Err(why) => why.trim().replace('\n', "; "),
    };
    steps.done(&format!(
        "two claims, snapshots of {snapshots}: {REFUSED} by the hook for one; {HELD} for {stood:.1?}, and all is there; without a hook: {chance}"
    ));
}

fn go_on(writers: &[Writers]) {
    for writers in writers {
        writers.have_written(20);
    }
}

/// Frozen, nobody writes; nobody comes to thaw them.
fn velero_is_killed_while_they_are_held(cluster: &Cluster, steps: &Steps) {
    cluster.velero(&format!(
        "backup create faults-4 --include-namespaces {NAMESPACE} --selector app={HELD}"
    ));
    let look = ["sh", "-c", "ls /quiescent/state/filesystem-freeze/held.*"];
    eventually("writes are held", SOON, || {
        let kubectl = &cluster.node.kubectl;
        kubectl
            .exec(NAMESPACE, HELD, "quiescent-freeze", &look)
            .ok()
    });
    steps.done("writes of a database on two claims are held");
    faults::kill_velero(cluster);
}
