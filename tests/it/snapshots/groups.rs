//! A PostgreSQL with its log on a claim of its own, and an application beside it, in one group: nobody holds
//! writes, and all that had been acknowledged is there, since all claims are cut in one moment.
//!
//! With `QUIESCENT_ROUNDS` so often.
use std::time::Duration;

use serde_json::{Value, json};

use super::{
    ground::{Ground, Taken},
    rounds::{lost, wanted},
};
use crate::{
    apiserver::kit::eventually,
    cluster::{
        Steps,
        node::SOON,
        server::{Engine, Server, with_two_claims},
    },
};

const NAMESPACE: &str = "groups";

const DATABASE: &str = "database";

/// It comes later by its name, and before the database by its priority.
const MAIL: &str = "mail";

const VOLUMES: [&str; 2] = ["data", "wal"];

const BOTH: [&str; 2] = ["-l", "groups=yes"];

pub fn several_claims_are_one_moment(ground: &Ground, steps: &Steps) {
    ground.node.namespace(NAMESPACE, "");
    for volume in VOLUMES {
        ground.claim(NAMESPACE, &format!("{DATABASE}-{volume}"), "csi", None);
    }
    ground.claim(NAMESPACE, MAIL, "csi", None);
    ground.create(NAMESPACE, DATABASE, database());
    ground.create(NAMESPACE, MAIL, mail());
    let server = Server {
        node: &ground.node,
        namespace: NAMESPACE,
        pod: DATABASE,
        engine: Engine::PostgreSql,
    };
    server.is_ready();
    server.fill();
    ground.node.kubectl.run(&format!(
        "wait -n {NAMESPACE} --for condition=Ready pod/{MAIL} --timeout 180s"
    ));
    let writers = server.writers();
    one_after_the_other_is_refused(ground);
    for number in 1..=wanted().unwrap_or(1) {
        writers.have_written(20);
        let due = writers.record();
        let taken = taken(ground, &["--group", "always"]);
        let again = restored(ground, &server, &taken);
        let written = again.record().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(lost(due, written), 0, "{due:?} {written:?}");
        goes(ground);
        steps.done(&format!(
            "a group of three claims, round {number}: cut after {:.2?}, held for {:.2?}, restored, all is there",
            taken.seconds("cutSeconds"),
            taken.seconds("heldSeconds")
        ));
        // Also where nobody says so, and what is older goes with all its snapshots.
        self::taken(ground, &["--keep", "1"]);
        eventually("the group before is gone", SOON, || {
            let counts = [groups(ground).len(), ground.snapshots(NAMESPACE).len()];
            (counts == [1, 3]).then_some(())
        });
    }
    is_withdrawn(ground);
    writers.have_written(20);
    writers.stop();
    let kubectl = &ground.node.kubectl;
    kubectl.run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
    steps.done("groups: what is older goes, and what is not cut in time is withdrawn");
}

fn database() -> Value {
    let labels = json!({"quiescent.dev/method": "snapshot", "groups": "yes"});
    with_two_claims(DATABASE, &labels)
}

fn mail() -> Value {
    let command =
        |phase: &str| json!(["/bin/sh", "-c", format!("echo {phase} >>/data/log")]).to_string();
    json!({
        "metadata": {
            "labels": {"groups": "yes"},
            "annotations": {
                "quiescent.dev/priority": "-10",
                "pre.hook.backup.velero.io/command": command("pre"),
                "post.hook.backup.velero.io/command": command("post"),
            },
        },
        "spec": {
            "containers": [{
                "name": "mail", "image": "quiescent.test/postgres:15",
                "command": ["sleep", "infinity"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": MAIL}}],
        },
    })
}

fn one_after_the_other_is_refused(ground: &Ground) {
    let one_by_one = ["--snapshot-class", "csi"];
    let never = ["--snapshot-class", "csi", "--group", "never"];
    for words in [&one_by_one[..], &never] {
        let refused = ground.snapshot(NAMESPACE, &[&BOTH[..], words].concat());
        assert!(
            refused.code == Some(2) && refused.complained.contains("files on several claims"),
            "{refused:#?}"
        );
    }
    let torn = [
        "pod/database",
        "--snapshot-class",
        "csi",
        "--group",
        "always",
    ];
    let refused = ground.snapshot(NAMESPACE, &torn);
    assert!(
        refused
            .complained
            .contains("a group takes no VolumeSnapshotClass"),
        "{refused:#?}"
    );
}

/// One of both pods, which is consistent, and of which nothing stays behind on claims.
#[track_caller]
fn taken(ground: &Ground, more: &[&str]) -> Taken {
    let taken = ground.snapshot(NAMESPACE, &[&BOTH[..], more].concat());
    taken.is("consistent", 0);
    let set = &taken.said["set"];
    assert_eq!(taken.said["group"], *set, "{taken:#?}");
    let pods = taken.said["pods"].as_array().unwrap().iter();
    let pods: Vec<&Value> = pods.map(|it| &it["pod"]).collect();
    assert_eq!(pods, [MAIL, DATABASE]);
    let labels = json!({"quiescent.dev/snapshot": set, "quiescent.dev/consistent": "true"});
    let group = groups(ground)
        .into_iter()
        .find(|it| it["metadata"]["name"] == *set);
    assert_eq!(group.unwrap()["metadata"]["labels"], labels);
    for [claim, name, _] in taken.snapshots() {
        let snapshots = ground.snapshots(NAMESPACE);
        let found = snapshots.iter().find(|it| it["metadata"]["name"] == name);
        let found = found.unwrap_or_else(|| panic!("{claim}: no {name}"));
        assert_eq!(found["metadata"]["labels"], labels, "{claim}");
        assert_eq!(found["spec"]["source"]["persistentVolumeClaimName"], claim);
    }
    is_let_go(ground);
    taken
}

#[track_caller]
fn is_let_go(ground: &Ground) {
    let kubectl = &ground.node.kubectl;
    let claims = kubectl.run(&format!(
        "get pvc -n {NAMESPACE} -l quiescent.dev/group -o name"
    ));
    let leases = kubectl.run(&format!("get leases -n {NAMESPACE} -o name"));
    assert_eq!((&*claims, &*leases), ("", ""));
}

fn groups(ground: &Ground) -> Vec<Value> {
    let get = format!("get volumegroupsnapshots -n {NAMESPACE}");
    let found = ground.node.kubectl.json(&get, "");
    found["items"].as_array().unwrap().clone()
}

/// A database of what was taken, beside the one that goes on.
fn restored<'g>(ground: &'g Ground, server: &Server<'g>, taken: &Taken) -> Server<'g> {
    for [claim, snapshot, _] in taken.snapshots() {
        if let Some(volume) = claim.strip_prefix("database-") {
            let again = format!("again-{volume}");
            ground.claim(NAMESPACE, &again, "csi", Some(snapshot));
        }
    }
    ground.create(NAMESPACE, "again", with_two_claims("again", &json!({})));
    let again = Server {
        pod: "again",
        ..*server
    };
    again.is_ready();
    again
}

fn goes(ground: &Ground) {
    let kubectl = &ground.node.kubectl;
    kubectl.run(&format!("delete pod again -n {NAMESPACE} --timeout 60s"));
    kubectl.run(&format!(
        "delete pvc again-data again-wal -n {NAMESPACE} --timeout 60s"
    ));
}

/// What is not cut in time leaves nothing, neither a group nor a hold.
fn is_withdrawn(ground: &Ground) {
    let still = ground.part("node/driver").stands_still();
    let words = [&BOTH[..], &["--cut-timeout", "3s"]].concat();
    let taken = ground.snapshot(NAMESPACE, &words);
    taken.is("undone", 2);
    taken.because("not cut within");
    is_let_go(ground);
    drop(still);
    eventually("the group is withdrawn", Duration::from_mins(2), || {
        (groups(ground).len() == 1).then_some(())
    });
}
