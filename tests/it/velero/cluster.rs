//! The kit's cluster with Velero, and the webhook beside it.
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use serde_json::{Value, json};

use super::Steps;
use crate::{
    apiserver::kit::{self, Kubectl, Webhook, kit, run, run_with_input},
    deploy,
};

/// Where a process of this machine is reached by the API server and by pods: the kit's bridge.
const HOST: &str = "10.244.0.1";

/// The kit's cluster with Velero in it. It is taken away when this is dropped, whatever happened.
pub struct Cluster {
    pub kubectl: Kubectl,
    velero: PathBuf,
    started: Started,
}

struct Started(tempfile::TempDir);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = Command::new(kit("cluster/down"))
            .arg(self.0.path())
            .stdout(Stdio::null())
            .status();
    }
}

pub fn can_be_started() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let installed =
        |program: &&str| run(Command::new("sh").args(["-c", "command -v \"$0\"", program])).is_ok();
    let programs = [
        "kube-apiserver",
        "etcd",
        "kubectl",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
    ];
    root && [
        "containerd",
        "runc",
        "mmdebstrap",
        "nft",
        "ip",
        "conntrack",
        "openssl",
    ]
    .iter()
    .all(installed)
        && kit::built("envtest/build", &programs)
        && kit::built("cluster/images/build", &[])
        && kit::built("cluster/velero/build", &[])
}

impl Cluster {
    pub fn start(steps: &Steps) -> Self {
        let started = Started(tempfile::tempdir().expect("a temporary directory"));
        let directory = started.0.path();
        let kubeconfig =
            run(Command::new(kit("cluster/up")).arg(directory)).expect("the cluster starts");
        steps.done("a cluster of one node");
        let programs = run(Command::new(kit("cluster/velero/install")).arg(directory))
            .expect("Velero is installed");
        steps.done("Velero with its node agent and an S3 server");
        Self {
            kubectl: Kubectl::new(PathBuf::from(kubeconfig.trim())),
            velero: Path::new(programs.trim()).join("velero"),
            started,
        }
    }

    /// The webhook as a process of this machine, behind a Service without a selector.
    pub fn install_quiescent(&self) -> Webhook {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let pki = self.started.0.path().join("pki");
        let bundle = run(Command::new(root.join("certs/make")).arg(&pki)).expect("certs/make");
        let webhook = Webhook::start([
            "--listen",
            &format!("{HOST}:8443"),
            "--admin",
            "127.0.0.1:0",
            "--cert-dir",
            &pki.display().to_string(),
            "--kubeconfig",
            &self.kubectl.kubeconfig.display().to_string(),
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
        self.kubectl.apply("apply -f -", &objects.to_string());
        let server = json!({
            "service": {"name": "quiescent", "namespace": "quiescent", "path": "/mutate", "port": 443},
            "caBundle": bundle.trim(),
        });
        let entries = deploy::entries("opt-in", &server);
        self.kubectl.apply("apply -f -", &entries.to_string());
        webhook
    }

    fn velero(&self, arguments: &str) {
        let mut command = Command::new("timeout");
        command
            .arg("300")
            .arg(&self.velero)
            .args(arguments.split_whitespace());
        command.env("KUBECONFIG", &self.kubectl.kubeconfig);
        if let Err(error) = run_with_input(&mut command, "") {
            panic!("velero {arguments}: {error}");
        }
    }

    pub fn backup(&self, name: &str, namespace: &str) -> Value {
        self.velero(&format!(
            "backup create {name} --include-namespaces {namespace} --wait"
        ));
        self.kubectl
            .json(&format!("get -n velero backups.velero.io {name}"), "")
    }

    pub fn restore(&self, backup: &str) -> Value {
        self.velero(&format!(
            "restore create {backup} --from-backup {backup} --wait"
        ));
        self.kubectl
            .json(&format!("get -n velero restores.velero.io {backup}"), "")
    }

    /// The volumes that were copied for a backup.
    pub fn uploads(&self, backup: &str) -> Vec<Value> {
        let arguments =
            format!("get -n velero podvolumebackups.velero.io -l velero.io/backup-name={backup}");
        self.kubectl.json(&arguments, "")["items"]
            .as_array()
            .cloned()
            .unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        // What somebody would look at first, while it is still there.
        for arguments in [
            "get pods -A -o wide",
            "get events -A --sort-by .lastTimestamp",
            "logs -n velero deployment/velero -c velero --tail 40",
        ] {
            match self.kubectl.attempt(arguments, "") {
                Ok(output) | Err(output) => println!("kubectl {arguments}\n{output}"),
            }
        }
    }
}
