//! The kit's cluster with Velero, and the webhook beside it.
use std::{
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    apiserver::kit::{Webhook, kit, run, run_with_input},
    cluster::node::Node,
    deploy,
};

/// Where a process of this machine is reached by the API server and by pods: the kit's bridge.
const HOST: &str = "10.244.0.1";

/// The kit's cluster with Velero in it. It is taken away when this is dropped, whatever happened.
pub struct Cluster {
    pub node: Node,
    pub velero: PathBuf,
}

impl Cluster {
    pub fn of(node: Node) -> Self {
        let programs = run(Command::new(kit("cluster/velero/install")).arg(node.directory()))
            .expect("Velero is installed");
        Self {
            velero: Path::new(programs.trim()).join("velero"),
            node,
        }
    }

    /// The webhook as a process of this machine, behind a Service without a selector.
    pub fn install_quiescent(&self) -> Webhook {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let pki = self.node.directory().join("pki");
        let bundle = run(Command::new(root.join("certs/make")).arg(&pki)).expect("certs/make");
        let webhook = Webhook::start([
            "--listen",
            &format!("{HOST}:8443"),
            "--admin",
            "127.0.0.1:0",
            "--cert-dir",
            &pki.display().to_string(),
            "--kubeconfig",
            &self.node.kubectl.kubeconfig.display().to_string(),
        ]);
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

    fn velero(&self, arguments: &str) {
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
