//! A MariaDB that a coordinator beside it holds still while its files are copied one after another: by
//! `quiescent snapshot` on storage that does so, and by Velero. All that had been acknowledged comes back;
//! where the coordinator is killed meanwhile, post says so, and nothing is called good.
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::{cluster::Cluster, found, names, was_injected_once};
use crate::{
    apiserver::kit::eventually,
    cluster::{
        Steps,
        node::{Node, SOON},
        part::Part,
        server::{self, Engine, Server},
    },
    databases::writers::{Record, WRITERS, Writers},
    support,
};

const NAMESPACE: &str = "locked";

const POLICY: &str = "mariadb-lock";

const COORDINATOR: &str = "quiescent-coordinator";

/// What a coordinator may take for itself, in bytes.
const MEMORY: u64 = 10 << 20;

/// The words of the process beside those of the requests to it.
const SERVES: &str = "coordinator\0serve";

pub fn files_are_copied_while_it_holds(cluster: &Cluster, steps: &Steps) {
    let maria = Maria::start(cluster);
    let before = maria.server.pod();
    let writers = maria.server.writers();
    steps.done("a MariaDB with a coordinator beside it, by the webhook, and four writers");

    maria.is_snapshot_file_by_file(&writers, steps);
    let due = maria.is_backed_up(&writers, steps);
    maria.is_killed_in_a_backup(&writers);
    steps.done("the coordinator killed while Velero copies: post ends with 5, the backup is PartiallyFailed, and writes go on");

    writers.stop();
    let kubectl = &cluster.node.kubectl;
    kubectl.run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
    let restore = cluster.restore("locked-1");
    assert_eq!(restore["status"]["phase"], "Completed", "{restore:#}");
    maria.server.is_ready();
    is_there(due, &maria.server);
    let after = maria.server.pod();
    was_injected_once(&before, &after);
    let containers = |pod: &Value| names(&pod["spec"]["containers"]);
    assert_eq!(containers(&after), containers(&before));
    steps.done("deleted and restored with its coordinator, every acknowledged write is there");

    maria.is_killed_in_a_snapshot();
    kubectl.run(&format!("delete namespace {NAMESPACE} --wait=false"));
    steps.done("the coordinator killed while a snapshot is cut: post ends with 5, and nothing is called consistent");
}

struct Maria<'c> {
    cluster: &'c Cluster,
    server: Server<'c>,
}

impl<'c> Maria<'c> {
    fn start(cluster: &'c Cluster) -> Self {
        cluster.namespace_with_hooks(NAMESPACE);
        let [mut pod, secret] = server::locked("maria");
        let create = format!("create -n {NAMESPACE} -f -");
        cluster.node.kubectl.apply(&create, &secret.to_string());
        cluster.claim(NAMESPACE, "maria-data", "csi", "csi");
        pod["metadata"]["annotations"] = json!({"backup.velero.io/backup-volumes": "data"});
        cluster.create(NAMESPACE, "maria", pod);
        let server = Server {
            node: &cluster.node,
            namespace: NAMESPACE,
            pod: "maria",
            engine: Engine::MariaDb,
        };
        server.is_ready();
        server.fill();
        Self { cluster, server }
    }

    fn is_snapshot_file_by_file(&self, writers: &Writers, steps: &Steps) {
        writers.have_written(20);
        let taking = self.snapshot();
        self.comes_to("held");
        // Nobody writes from then on.
        let due = writers.record();
        let memory = self.memory();
        let (code, taken) = found(taking);
        let verdict = (code, &taken["verdict"]);
        assert_eq!(verdict, (0, &"consistent".into()), "{taken:#}");
        writers.have_written(20);

        let snapshot = &taken["snapshots"][0]["name"];
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "again-data"},
            "spec": {
                "storageClassName": "csi", "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "512Mi"}},
                "dataSource": {
                    "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": snapshot,
                },
            },
        });
        let kubectl = &self.cluster.node.kubectl;
        let create = format!("create -n {NAMESPACE} -f -");
        kubectl.apply(&create, &claim.to_string());
        let labels = json!({"quiescent.dev/inject": "disabled"});
        let again = server::with_one_claim("again", Engine::MariaDb, &labels);
        self.cluster.create(NAMESPACE, "again", again);
        let again = Server {
            pod: "again",
            ..self.server
        };
        again.is_ready();
        is_there(due, &again);
        for what in [
            "pod again",
            "pvc again-data",
            "volumesnapshots --all",
            "leases --all",
        ] {
            kubectl.run(&format!("delete -n {NAMESPACE} {what} --timeout 60s"));
        }
        steps.done(&format!(
            "a snapshot of csi-copy is consistent, held for {:.1} s, and restored every acknowledged write is there ({memory})",
            taken["heldSeconds"].as_f64().unwrap()
        ));
    }

    /// Returns what had been acknowledged when it was held.
    fn is_backed_up(&self, writers: &Writers, steps: &Steps) -> Record {
        self.begins_backup("locked-1");
        self.comes_to("held");
        // Nobody writes from then on.
        let due = writers.record();
        let backup = self.backup_ended("locked-1");
        assert_eq!(backup["status"]["phase"], "Completed", "{backup:#}");
        let (code, results) = self.cluster.results("backup/locked-1");
        assert_eq!(code, 0, "{results:#}");
        for hook in results["hooks"].as_array().unwrap() {
            assert_eq!(hook["results"][0]["policy"], POLICY, "{results:#}");
        }
        let uploads = self.cluster.uploads("locked-1");
        assert_eq!(uploads.len(), 1, "{uploads:#?}");
        assert_eq!(uploads[0]["spec"]["volume"], "data");
        writers.have_written(20);
        steps.done(&format!(
            "Velero copies its files while it is held: Completed, {}",
            results["hooks"][1]["results"][0]["values"]
        ));
        due
    }

    fn is_killed_in_a_backup(&self, writers: &Writers) {
        self.begins_backup("locked-2");
        self.comes_to("held");
        self.is_killed();
        let backup = self.backup_ended("locked-2");
        assert_eq!(backup["status"]["phase"], "PartiallyFailed", "{backup:#}");
        let (code, results) = self.cluster.results("backup/locked-2");
        let post = &results["hooks"][1];
        assert_eq!((code, &post["exit"]), (1, &5.into()), "{results:#}");
        writers.have_written(20);
    }

    /// The driver stands still, so that nothing is cut before.
    fn is_killed_in_a_snapshot(&self) {
        let driver = Part::of(&self.cluster.node, "node/driver").stands_still();
        let taking = self.snapshot();
        self.comes_to("held");
        self.is_killed();
        // It would wait for what is held.
        self.server.ask(&["insert into shop.aside values (1)"]);
        drop(driver);
        let (code, taken) = found(taking);
        let verdict = (code, &taken["verdict"]);
        assert_eq!(verdict, (1, &"unusable".into()), "{taken:#}");
        let post = &taken["pods"][0]["hooks"][1];
        assert_eq!(post["exit"], 5, "{taken:#}");
        let good = format!("get volumesnapshots -n {NAMESPACE} -l quiescent.dev/consistent=true");
        let good = self.cluster.node.kubectl.json(&good, "");
        assert_eq!(good["items"], json!([]), "{good:#}");
    }

    fn snapshot(&self) -> Child {
        Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["snapshot", "-n", NAMESPACE, "pod/maria", "-o", "json"])
            .args(["--snapshot-class", "csi-copy", "--kubeconfig"])
            .arg(&self.cluster.node.kubectl.kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn begins_backup(&self, name: &str) {
        self.cluster.velero(&format!(
            "backup create {name} --include-namespaces {NAMESPACE}"
        ));
    }

    fn backup_ended(&self, name: &str) -> Value {
        eventually(&format!("{name} has ended"), SOON, || {
            let get = format!("get -n velero backups.velero.io {name}");
            let backup = self.cluster.node.kubectl.json(&get, "");
            backup["status"]["completionTimestamp"]
                .is_string()
                .then_some(backup)
        })
    }

    /// Kills the coordinator, and waits until there is one again.
    fn is_killed(&self) {
        Node::kill(&self.server.pod(), SERVES);
        assert_eq!(self.comes_to("lost")["why"], "restarted");
    }

    fn comes_to(&self, state: &str) -> Value {
        let pod = self.server.pod();
        let containers = pod["spec"]["containers"].as_array().unwrap();
        let beside = containers.iter().find(|it| it["name"] == COORDINATOR);
        let words = beside.unwrap()["command"].as_array().unwrap().iter();
        let words = words.map(|it| it.as_str().unwrap());
        let program = words.take_while(|word| *word != "serve");
        let ask: Vec<&str> = program.chain(["status"]).collect();
        eventually(&format!("the coordinator says {state}"), SOON, || {
            let kubectl = &self.cluster.node.kubectl;
            let said = kubectl.exec(NAMESPACE, "maria", COORDINATOR, &ask).ok()?;
            let said: Value = serde_json::from_str(&said).ok()?;
            (said["state"] == state).then_some(said)
        })
    }

    /// What it takes for itself, which is little, and all of its container.
    fn memory(&self) -> String {
        let process = Node::process(&self.server.pod(), SERVES);
        let own = support::memory(process, "RssAnon");
        assert!(own < MEMORY, "{own} bytes of memory");
        let usage = "cd /sys/fs/cgroup; cat memory.current || cat memory/memory.usage_in_bytes";
        let kubectl = &self.cluster.node.kubectl;
        let whole = kubectl.exec(
            NAMESPACE,
            "maria",
            COORDINATOR,
            &["sh", "-c", &format!("{usage} 2>/dev/null")],
        );
        let whole: u64 = whole.unwrap().trim().parse().unwrap();
        format!(
            "the coordinator has {} KiB of its own, its container {} KiB",
            own >> 10,
            whole >> 10
        )
    }
}

/// Of what had been acknowledged nothing is missing.
fn is_there(due: Record, server: &Server<'_>) {
    let written = server.record().unwrap_or_else(|why| panic!("{why}"));
    let all = (0..WRITERS).all(|writer| written[writer] >= due[writer]);
    assert!(all, "{due:?} {written:?}");
}
