//! The kit's cluster with Velero and snapshots of volumes, and the webhook beside it.
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    apiserver::kit::{Webhook, eventually, kit, run, run_with_input},
    cluster::node::Node,
    deploy,
};

/// Where a process of this machine is reached by the API server and by pods: the kit's bridge.
const HOST: &str = "10.244.0.1";

const FREEZE: &str = "filesystem-freeze";

/// The kit's cluster with Velero in it. It is taken away when this is dropped, whatever happened.
pub struct Cluster {
    pub node: Node,
    pub velero: PathBuf,
}

impl Cluster {
    pub fn of(node: Node) -> Self {
        run(Command::new(kit("cluster/csi/install")).arg(node.directory()))
            .expect("storage with snapshots is installed");
        let programs = run(Command::new(kit("cluster/velero/install"))
            .arg(node.directory())
            .args(["--features", "EnableCSI"]))
        .expect("Velero is installed");
        run(Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["library", "export", FREEZE])
            .arg(node.directory().join(FREEZE)))
        .expect("a policy that is not on by itself");
        Self {
            velero: Path::new(programs.trim()).join("velero"),
            node,
        }
    }

    /// What makes a command know the library, and the one policy that has to be named.
    fn policies(&self) -> [String; 3] {
        let exported = self.node.directory().join(FREEZE);
        let exported = exported.display().to_string();
        ["--library".into(), "--policies".into(), exported]
    }

    /// The webhook as a process of this machine, behind a Service without a selector.
    pub fn install_quiescent(&self) -> Webhook {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let pki = self.node.directory().join("pki");
        let bundle = run(Command::new(root.join("certs/make")).arg(&pki)).expect("certs/make");
        let arguments = [
            "--listen",
            &format!("{HOST}:8443"),
            "--admin",
            "127.0.0.1:0",
            "--cert-dir",
            &pki.display().to_string(),
            "--kubeconfig",
            &self.node.kubectl.kubeconfig.display().to_string(),
        ];
        let policies = self.policies();
        let policies = policies.iter().map(String::as_str);
        let webhook = Webhook::start(arguments.into_iter().chain(policies));
        let objects = json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "quiescent"}},
            {
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": "quiescent", "namespace": "quiescent"},
                "spec": {"ports": [{"port": 443, "targetPort": 8443}]},
            },
            {
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {
                    "name": "quiescent-host", "namespace": "quiescent",
                    "labels": {"kubernetes.io/service-name": "quiescent"},
                },
                "addressType": "IPv4",
                "ports": [{"name": "", "port": 8443, "protocol": "TCP"}],
                "endpoints": [{"addresses": [HOST]}],
            },
        ]});
        self.node.kubectl.apply("apply -f -", &objects.to_string());
        let server = json!({
            "service": {"name": "quiescent", "namespace": "quiescent", "path": "/mutate", "port": 443},
            "caBundle": bundle.trim(),
        });
        let entries = deploy::entries("opt-in", &server);
        self.node.kubectl.apply("apply -f -", &entries.to_string());
        webhook
    }

    /// A namespace whose pods get hooks, with their scripts in it.
    pub fn namespace_with_hooks(&self, namespace: &str) {
        let kubectl = &self.node.kubectl;
        kubectl.run(&format!("create namespace {namespace}"));
        kubectl.run(&format!(
            "label namespace {namespace} quiescent.dev/inject=enabled"
        ));
        let mut scripts = Command::new(env!("CARGO_BIN_EXE_quiescent"));
        let scripts = scripts.args(["scripts", "-n", namespace]);
        let scripts = run(scripts.args(self.policies())).expect("quiescent scripts");
        kubectl.apply("apply -f -", &scripts);
        // Both are seen by watches: the label by the API server, the account by its admission.
        let probe = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"},
            "spec": {"containers": [{"name": "postgres", "image": "quiescent.test/postgres:15"}]},
        });
        eventually(
            "pods of the namespace get hooks",
            Duration::from_secs(30),
            || {
                let arguments = format!("create --dry-run=server -n {namespace} -o json -f -");
                let shown = kubectl.attempt(&arguments, &probe.to_string()).ok()?;
                shown
                    .contains("pre.hook.backup.velero.io/command")
                    .then_some(())
            },
        );
    }

    /// Makes a pod of what its author wrote beside its name.
    pub fn create(&self, namespace: &str, name: &str, mut pod: Value) {
        pod["apiVersion"] = "v1".into();
        pod["kind"] = "Pod".into();
        pod["metadata"]["name"] = name.into();
        pod["metadata"]["labels"]["app"] = name.into();
        pod["spec"]["terminationGracePeriodSeconds"] = 5.into();
        let create = format!("create -n {namespace} -f -");
        self.node.kubectl.apply(&create, &pod.to_string());
    }

    /// A claim of a class of the kit's storage, whose snapshots Velero takes with this class.
    pub fn claim(&self, namespace: &str, name: &str, class: &str, snapshots: &str) {
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "annotations": {"velero.io/csi-volumesnapshot-class": snapshots}},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "512Mi"}},
            },
        });
        let create = format!("create -n {namespace} -f -");
        self.node.kubectl.apply(&create, &claim.to_string());
    }

    /// The log of Velero's server.
    pub fn log(&self) -> String {
        self.node
            .kubectl
            .run("logs -n velero deployment/velero -c velero")
    }

    pub fn velero(&self, arguments: &str) {
        let mut command = Command::new("timeout");
        command
            .arg("300")
            .arg(&self.velero)
            .args(arguments.split_whitespace());
        command.env("KUBECONFIG", &self.node.kubectl.kubeconfig);
        if let Err(error) = run_with_input(&mut command, "") {
            panic!("velero {arguments}: {error}");
        }
    }

    pub fn backup(&self, name: &str, namespace: &str) -> Value {
        self.velero(&format!(
            "backup create {name} --include-namespaces {namespace} --wait"
        ));
        self.node
            .kubectl
            .json(&format!("get -n velero backups.velero.io {name}"), "")
    }

    pub fn restore(&self, backup: &str) -> Value {
        self.velero(&format!(
            "restore create {backup} --from-backup {backup} --wait"
        ));
        self.node
            .kubectl
            .json(&format!("get -n velero restores.velero.io {backup}"), "")
    }

    /// What `quiescent results` says, and with which exit code.
    pub fn results(&self, target: &str) -> (i32, Value) {
        let output = Command::new(env!("CARGO_BIN_EXE_quiescent"))
            .args(["results", target, "-o", "json", "--kubeconfig"])
            .arg(&self.node.kubectl.kubeconfig)
            .output()
            .unwrap();
        let found: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code().unwrap(), found)
    }

    /// The volumes that were copied for a backup.
    pub fn uploads(&self, backup: &str) -> Vec<Value> {
        let arguments =
            format!("get -n velero podvolumebackups.velero.io -l velero.io/backup-name={backup}");
        self.node.kubectl.json(&arguments, "")["items"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}
