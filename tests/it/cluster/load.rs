//! Pods that are created without a pause, in namespaces that want hooks: what became of each.
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, Config, api::PostParams, config::KubeConfigOptions};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time};

use super::{
    installation::has_hooks,
    node::{Node, SOON},
};
use crate::apiserver::kit::eventually;

const CALLERS: usize = 8;

/// Between two pods of one caller.
const PACE: Duration = Duration::from_millis(80);

/// Goes on until it is ended.
pub struct Load {
    shared: Arc<Shared>,
    thread: JoinHandle<()>,
}

struct Shared {
    namespace: String,
    stored: bool,
    ended: AtomicBool,
    hooked: AtomicU64,
    without: Mutex<Vec<Without>>,
}

/// A pod that got no hooks.
#[derive(Clone, Debug)]
pub struct Without {
    pub at: Instant,
    pub pod: String,
    /// What the API server said, where it refused the pod.
    pub refused: Option<String>,
}

/// How many pods got hooks, and the others.
pub struct Outcome {
    pub hooked: u64,
    pub without: Vec<Without>,
}

/// A database that no scheduler places, so that it costs its node nothing.
pub fn pod(name: &str, waits: bool) -> Value {
    let gates = if waits {
        json!([{"name": "quiescent.test/never"}])
    } else {
        json!([])
    };
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "schedulingGates": gates,
            "containers": [{"name": "postgres", "image": "quiescent.test/postgres:15"}],
        },
    })
}

impl Load {
    /// Pods that are shown to the webhook and not stored.
    pub fn of_dry_runs(node: &Node, namespace: &str) -> Self {
        Self::start(node, namespace, false)
    }

    /// Pods that stay, and that nobody runs.
    pub fn of_pods(node: &Node, namespace: &str) -> Self {
        Self::start(node, namespace, true)
    }

    fn start(node: &Node, namespace: &str, stored: bool) -> Self {
        let shared = Arc::new(Shared {
            namespace: namespace.to_owned(),
            stored,
            ended: AtomicBool::new(false),
            hooked: AtomicU64::new(0),
            without: Mutex::default(),
        });
        let kubeconfig = kube::config::Kubeconfig::read_from(&node.kubectl.kubeconfig).unwrap();
        let of_the_callers = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.enable_all().worker_threads(2).build().unwrap();
            runtime.block_on(of_the_callers.call(kubeconfig));
        });
        let load = Self { shared, thread };
        load.goes_on();
        load
    }

    /// Waits until a hundred pods more have had hooks.
    pub fn goes_on(&self) {
        let until = self.shared.hooked.load(Ordering::Relaxed) + 100;
        eventually("pods get hooks", SOON, || {
            (self.shared.hooked.load(Ordering::Relaxed) >= until).then_some(())
        });
    }

    pub fn end(self) -> Outcome {
        self.shared.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        Outcome {
            hooked: self.shared.hooked.load(Ordering::Relaxed),
            without: self.shared.without.lock().unwrap().clone(),
        }
    }

    /// Ends it: every pod has had hooks.
    #[track_caller]
    pub fn ends_well(self) -> u64 {
        let Outcome { hooked, without } = self.end();
        let first = &without[..without.len().min(5)];
        assert!(
            without.is_empty(),
            "{} of {hooked} have none: {first:#?}",
            without.len()
        );
        hooked
    }
}

impl Shared {
    async fn call(self: Arc<Self>, kubeconfig: kube::config::Kubeconfig) {
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .unwrap();
        config.default_retry = false;
        let client = Client::try_from(config).unwrap();
        let mut callers = JoinSet::new();
        for number in 0..CALLERS {
            callers.spawn(Arc::clone(&self).create(number, client.clone()));
        }
        while let Some(ended) = callers.join_next().await {
            ended.unwrap();
        }
    }

    async fn create(self: Arc<Self>, caller: usize, client: Client) {
        let api: Api<Pod> = Api::namespaced(client, &self.namespace);
        let how = PostParams {
            dry_run: !self.stored,
            ..PostParams::default()
        };
        let mut pace = time::interval(PACE);
        pace.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        for count in 0_u64.. {
            pace.tick().await;
            if self.ended.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("pg-{caller}-{count}");
            let pod = serde_json::from_value(pod(&name, true)).unwrap();
            let refused = match api.create(&how, &pod).await {
                Ok(pod) if has_hooks(&serde_json::to_value(&pod).unwrap()) => {
                    self.hooked.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Ok(_) => None,
                Err(error) => Some(error.to_string()),
            };
            self.without.lock().unwrap().push(Without {
                at: Instant::now(),
                pod: name,
                refused,
            });
        }
    }
}
