//! The kit's cluster of one node, and what is in it.
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use crate::apiserver::kit::{self, Kubectl, eventually, kit, run};

/// How long anything may take on a machine that is busy.
pub const SOON: Duration = Duration::from_mins(3);

/// A cluster. It is taken away when this is dropped, whatever happened.
pub struct Node {
    pub kubectl: Kubectl,
    started: Started,
}

/// There is one network for them on a machine.
static ONE: Mutex<()> = Mutex::new(());

struct Started(
    tempfile::TempDir,
    #[expect(dead_code, reason = "the next one waits for it")] MutexGuard<'static, ()>,
);

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
        "strip",
        // storage with snapshots
        "mkfs.btrfs",
        "mkfs.ext4",
        // clients of the databases in pods
        "psql",
        "mariadb",
        "redis-cli",
    ]
    .iter()
    .all(installed)
        && kit::built("envtest/build", &programs)
        && kit::built("cluster/images/build", &[])
        && kit::built("cluster/velero/build", &[])
        && kit::built("cluster/csi/build", &[])
        && kit::built("helm/build", &[])
        && kit::built("cluster/cert-manager/build", &[])
}

impl Node {
    pub fn start() -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let started = Started(tempfile::tempdir().expect("a temporary directory"), one);
        let kubeconfig =
            run(Command::new(kit("cluster/up")).arg(started.0.path())).expect("the cluster starts");
        let kubectl = Kubectl::new(PathBuf::from(kubeconfig.trim()));
        // The last of what comes by itself.
        eventually("the node has its lease", SOON, || {
            let get = "get lease -n kube-node-lease node";
            kubectl.attempt(get, "").ok()
        });
        Self { kubectl, started }
    }

    /// Where its files are.
    pub fn directory(&self) -> &Path {
        self.started.0.path()
    }

    /// The program under test, as the image that deploy/ names.
    pub fn import_quiescent(&self) {
        let script = r#"set -eu
            "$1" "docker.io/library/quiescent:$2" "$3" >"$4/image.tar"
            ctr --address "$4/node/containerd.sock" --namespace k8s.io images import "$4/image.tar"
            rm "$4/image.tar""#;
        run(Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(kit("cluster/images/program"))
            .args([env!("CARGO_PKG_VERSION"), env!("CARGO_BIN_EXE_quiescent")])
            .arg(self.directory()))
        .expect("an image of the program");
    }

    pub fn install_cert_manager(&self) {
        run(Command::new(kit("cluster/cert-manager/install")).arg(self.directory()))
            .expect("cert-manager is installed");
    }

    /// A namespace in which pods can be created.
    pub fn namespace(&self, name: &str, labels: &str) {
        let kubectl = &self.kubectl;
        kubectl.run(&format!("create namespace {name}"));
        if !labels.is_empty() {
            kubectl.run(&format!("label namespace {name} {labels}"));
        }
        eventually("its service account is there", SOON, || {
            let get = format!("get serviceaccount -n {name} default");
            kubectl.attempt(&get, "").ok()
        });
    }

    /// The pods of a Deployment of ours that run and are not on their way out.
    pub fn pods(&self, deployment: &str) -> Vec<Value> {
        let get = format!("get pods -n quiescent -l app.kubernetes.io/name={deployment}");
        let list = self.kubectl.json(&get, "");
        let pods = list["items"].as_array().unwrap().iter();
        pods.filter(|pod| {
            pod["status"]["phase"] == "Running" && pod["metadata"]["deletionTimestamp"].is_null()
        })
        .cloned()
        .collect()
    }

    /// The page `/metrics` of each replica of a Deployment of ours.
    pub fn metrics(&self, deployment: &str) -> Vec<String> {
        let pods = self.pods(deployment).into_iter();
        pods.filter_map(|pod| {
            let address = pod["status"]["podIP"].as_str()?;
            let (status, page) = kit::page(&format!("{address}:9090"), "/metrics")?;
            (status == "200").then_some(page)
        })
        .collect()
    }

    /// Kills the process of a program in a pod.
    pub fn kill(pod: &Value, program: &str) {
        let process = Self::process(pod, program).to_string();
        run(Command::new("kill").args(["-s", "KILL", &process])).unwrap();
    }

    /// As this machine numbers it.
    pub fn process(pod: &Value, program: &str) -> u32 {
        let uid = pod["metadata"]["uid"].as_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut found = processes.filter_map(|entry| {
            let number = entry.file_name().to_str()?.parse().ok()?;
            let groups = fs::read_to_string(entry.path().join("cgroup")).ok()?;
            let words = fs::read_to_string(entry.path().join("cmdline")).ok()?;
            (groups.contains(uid) && words.contains(program)).then_some(number)
        });
        found.next().expect("the pod has a process")
    }

    /// Waits until there is no object that was not there before.
    #[track_caller]
    pub fn nothing_is_left(&self, before: &BTreeSet<String>) {
        let left = || &self.kubectl.everything() - before;
        let mut last = left();
        // Pods end, and what belongs to what was deleted follows.
        for _ in 0..60 {
            if last.is_empty() {
                return;
            }
            thread::sleep(Duration::from_millis(500));
            last = left();
        }
        assert!(last.is_empty(), "left: {last:#?}");
    }
}

/// A StatefulSet with one PostgreSQL, and not one annotation.
pub fn database() -> String {
    let labels = json!({"app": "pg"});
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "pg"},
        "spec": {
            "serviceName": "pg", "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "postgres", "image": "quiescent.test/postgres:15",
                        "env": [{"name": "POSTGRES_PASSWORD", "value": "secret"}],
                    }],
                },
            },
        },
    })
    .to_string()
}

impl Drop for Node {
    fn drop(&mut self) {
        if !thread::panicking() {
            return;
        }
        // What somebody would look at first, while it is still there.
        for arguments in [
            "get pods -A -o wide",
            "get events -A --sort-by .lastTimestamp",
            "logs -n quiescent -l app.kubernetes.io/name=quiescent-controller --tail 20",
            "logs -n quiescent -l app.kubernetes.io/name=quiescent --tail 20",
            "logs -n velero deployment/velero -c velero --tail 40",
        ] {
            match self.kubectl.attempt(arguments, "") {
                Ok(output) | Err(output) => println!("kubectl {arguments}\n{output}"),
            }
        }
    }
}
