//! The kit's cluster with snapshots of volumes, the command as its users run it, and what the storage and
//! the node say themselves.
use std::{
    fs,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    apiserver::kit::{eventually, kit, run, run_with_input},
    cluster::{
        node::{Node, SOON},
        part::{Part, signal},
    },
};

const FREEZE: &str = "filesystem-freeze";

/// A cluster without a webhook: pods get their hooks by `quiescent inject`.
pub struct Ground {
    pub node: Node,
}

impl Ground {
    pub fn of(node: Node) -> Self {
        run(Command::new(kit("cluster/csi/install")).arg(node.directory()))
            .expect("storage with snapshots is installed");
        run(Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["library", "export", FREEZE])
            .arg(node.directory().join(FREEZE)))
        .expect("a policy that is not on by itself");
        // Coordinators have their program from it.
        node.import_quiescent();
        let ground = Self { node };
        ground.class("csi-broken", &json!({"method": "none"}));
        ground.class("csi-upload", &json!({"upload": "1h"}));
        ground
    }

    /// What makes a command know the library, and the one policy that has to be named.
    fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quiescent"));
        command.args(words).args(["--library", "--policies"]);
        command.arg(self.node.directory().join(FREEZE));
        command
    }

    fn class(&self, name: &str, parameters: &Value) {
        let class = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass",
            "metadata": {"name": name}, "driver": "csi.quiescent.test",
            "deletionPolicy": "Delete", "parameters": parameters,
        });
        self.node.kubectl.apply("create -f -", &class.to_string());
    }

    /// Makes a pod of what its author wrote beside its name, with the hooks of the policies.
    pub fn create(&self, namespace: &str, name: &str, mut pod: Value) {
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["namespace"] = namespace.into();
        pod["spec"]["terminationGracePeriodSeconds"] = 1.into();
        let mut inject = self.program(&["inject", "-f", "-", "-o", "json"]);
        let injected = run_with_input(&mut inject, &pod.to_string()).expect("quiescent inject");
        self.node.kubectl.apply("apply -f -", &injected);
    }

    /// A claim, empty or of what a VolumeSnapshot has.
    pub fn claim(&self, namespace: &str, name: &str, class: &str, snapshot: Option<&str>) {
        let source = snapshot.map(
            |it| json!({"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": it}),
        );
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "512Mi"}}, "dataSource": source,
            },
        });
        let create = format!("create -n {namespace} -f -");
        self.node.kubectl.apply(&create, &claim.to_string());
    }

    /// Where the files of a claim of the class `csi` are.
    pub fn files(&self, namespace: &str, claim: &str) -> PathBuf {
        let get = format!("get pvc -n {namespace} {claim}");
        let volume = eventually("the claim has its volume", SOON, || {
            let claim = self.node.kubectl.json(&get, "");
            claim["spec"]["volumeName"].as_str().map(str::to_owned)
        });
        self.node.directory().join("node/csi/volumes").join(volume)
    }

    /// Starts `quiescent snapshot`.
    pub fn begin(&self, namespace: &str, words: &[&str]) -> Taking {
        let mut command = self.program(&["snapshot", "-n", namespace, "-o", "json"]);
        command
            .arg("--kubeconfig")
            .arg(&self.node.kubectl.kubeconfig);
        let child = command
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Taking(child)
    }

    pub fn snapshot(&self, namespace: &str, words: &[&str]) -> Taken {
        self.begin(namespace, words).ended()
    }

    /// The VolumeSnapshots of a namespace.
    pub fn snapshots(&self, namespace: &str) -> Vec<Value> {
        let get = format!("get volumesnapshots -n {namespace}");
        let found = self.node.kubectl.json(&get, "");
        found["items"].as_array().unwrap().clone()
    }

    /// Deletes the snapshots of a namespace, and waits until the storage has none.
    pub fn forgets(&self, namespace: &str) {
        // A snapshot of a group goes with its group alone.
        for kind in ["volumegroupsnapshots", "volumesnapshots"] {
            let delete = format!("delete {kind} -n {namespace} --all --timeout 60s");
            self.node.kubectl.run(&delete);
        }
        self.nothing_is_stored();
    }

    /// Ends what keeps others out after one that was killed; it would end by itself, later.
    pub fn frees_claims(&self, namespace: &str) {
        let leases = "leases -l app.kubernetes.io/managed-by=quiescent";
        self.node
            .kubectl
            .run(&format!("delete -n {namespace} {leases}"));
    }

    /// Waits until no snapshot is left, neither as an object nor on the storage.
    pub fn nothing_is_stored(&self) {
        let stored = self.node.directory().join("node/csi/snapshots");
        eventually("no snapshot is left", SOON, || {
            let objects = "get volumesnapshots,volumesnapshotcontents -A -o name";
            let objects = self.node.kubectl.run(objects);
            let files = fs::read_dir(&stored).unwrap().count();
            (objects.is_empty() && files == 0).then_some(())
        });
    }

    /// What the driver needed for the longest of what was cut, by its own log.
    pub fn cut_time(&self, namespace: &str, taken: &Taken) -> Duration {
        let names = if let Some(group) = taken.said["group"].as_str() {
            let get = format!("get volumegroupsnapshot -n {namespace} {group}");
            let group = self.node.kubectl.json(&get, "");
            let uid = group["metadata"]["uid"].as_str().unwrap();
            vec![format!("groupsnapshot-{uid}")]
        } else {
            let contents = taken.snapshots().into_iter().map(|it| it[2]);
            contents
                .map(|it| it.replace("snapcontent-", "snapshot-"))
                .collect()
        };
        let log = self.node.directory().join("node/driver.log");
        let log = fs::read_to_string(log).unwrap();
        let creates = |line: &&str| {
            ["/CreateSnapshot ", "/CreateVolumeGroupSnapshot "]
                .iter()
                .any(|call| line.contains(call))
                && names.iter().any(|name| line.contains(name))
        };
        let took = log.lines().filter(creates).filter_map(|line| {
            let (_, took) = line.rsplit_once(" took ")?;
            took.strip_suffix(" ms")?.parse::<f64>().ok()
        });
        Duration::from_secs_f64(took.fold(0.0, f64::max) / 1000.0)
    }

    /// A program of the kit that is a process of this machine, as its pid file is called.
    pub fn part(&self, name: &str) -> Part {
        Part::of(&self.node, name)
    }
}

/// A `quiescent snapshot` that runs.
pub struct Taking(Child);

impl Taking {
    pub fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    pub fn ended(self) -> Taken {
        let Output {
            status,
            stdout,
            stderr,
        } = self.0.wait_with_output().unwrap();
        Taken {
            code: status.code(),
            said: serde_json::from_slice(&stdout).unwrap_or_default(),
            complained: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

/// What one said.
#[derive(Debug)]
pub struct Taken {
    /// None when it was killed.
    pub code: Option<i32>,
    pub said: Value,
    pub complained: String,
}

impl Taken {
    pub fn verdict(&self) -> &str {
        self.said["verdict"].as_str().unwrap_or_default()
    }

    pub fn seconds(&self, key: &str) -> Duration {
        Duration::from_secs_f64(self.said[key].as_f64().unwrap())
    }

    /// Each claim with its VolumeSnapshot and its content; none when it was not begun.
    pub fn snapshots(&self) -> Vec<[&str; 3]> {
        let all = self.said["snapshots"].as_array();
        let all = all.into_iter().flatten();
        all.map(|it| ["claim", "name", "content"].map(|key| it[key].as_str().unwrap()))
            .collect()
    }

    #[track_caller]
    pub fn is(&self, verdict: &str, code: i32) {
        assert!(
            self.verdict() == verdict && self.code == Some(code),
            "{verdict} is due: {self:#?}"
        );
    }

    /// Whether one of its reasons says this.
    #[track_caller]
    pub fn because(&self, words: &str) {
        assert!(
            self.said["reasons"].to_string().contains(words),
            "{words}: {self:#?}"
        );
    }
}
