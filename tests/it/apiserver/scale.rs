//! 5,000 namespaces and 20,000 pods on a real API server: what the webhook and the controller take of
//! memory, and how long until they are ready. Only with `QUIESCENT_STRESS`, since it takes minutes:
//!
//! `QUIESCENT_STRESS=1s cargo test --release --test it apiserver::scale -- --nocapture`
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    ApiServer,
    kit::{Process, eventually},
    there_is_an_api_server,
};
use crate::{deploy, stress};

const NAMESPACES: usize = 5_000;
const PODS: usize = 20_000;
const CALLERS: usize = 32;
const PATIENCE: Duration = Duration::from_mins(20);

/// Resident at most: half of what the Deployments allow.
const MOST: u64 = 128 << 20;

#[test]
fn many_namespaces_and_pods_take_little() {
    if stress::span().is_none() || !there_is_an_api_server() {
        eprintln!("skipped: takes minutes, and runs with QUIESCENT_STRESS");
        return;
    }
    let api = ApiServer::start(&[]);
    let mut objects = deploy::overlay("opt-in");
    objects.retain(|object| object["kind"] != "MutatingWebhookConfiguration");
    api.apply(&objects);
    let began = Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill(&api));
    println!(
        "{NAMESPACES} namespaces and {PODS} pods, made in {:.0?}",
        began.elapsed()
    );

    let webhook = api.kubeconfig_of_the_webhook();
    let webhook = ["--kubeconfig", &webhook, "--watch-policies"];
    measure("serve", &webhook);
    let controller = api.kubeconfig_of("quiescent", "quiescent-controller");
    let controller = [
        "--kubeconfig",
        &controller,
        "--watch-policies",
        "--mode=opt-in",
        "--lease-namespace=quiescent",
    ];
    let controller = measure("controller", &controller);
    eventually("it has gone through everything", PATIENCE, || {
        let page = controller.admin("/metrics")?;
        let passed = "quiescent_controller_last_pass_timestamp_seconds ";
        let passed = page.lines().find_map(|line| line.strip_prefix(passed))?;
        (passed.parse::<f64>().ok()? > 0.0).then_some(())
    });
    let page = controller.admin("/metrics").unwrap();
    for line in page.lines().filter(|line| {
        line.starts_with("quiescent_controller_")
            || line.starts_with("quiescent_scripts_steps_total")
    }) {
        println!("    {line}");
    }
    println!("controller after its first pass: {}", told(&controller));
    assert!(controller.memory("VmRSS") <= MOST, "{}", told(&controller));
}

/// Starts a command and tells when it was ready, and what it took.
fn measure(command: &'static str, arguments: &[&str]) -> Process {
    let began = Instant::now();
    let ports: &[&str] = match command {
        "serve" => &["--listen=127.0.0.1:0", "--admin=127.0.0.1:0"],
        _ => &["--admin=127.0.0.1:0"],
    };
    let (process, _) = Process::start(command, ports.iter().chain(arguments));
    eventually("it is ready", PATIENCE, || process.admin("/readyz"));
    println!(
        "{command}: ready after {:.2?}, {}",
        began.elapsed(),
        told(&process)
    );
    assert!(
        process.memory("VmRSS") <= MOST,
        "{command}: {}",
        told(&process)
    );
    process
}

fn told(process: &Process) -> String {
    let [now, most] = ["VmRSS", "VmHWM"].map(|line| process.memory(line) >> 20);
    format!("{now} MiB resident, {most} MiB at most")
}

/// Every second namespace asks for hooks, and every fifth pod is a database.
async fn fill(api: &ApiServer) {
    let kubeconfig = Kubeconfig::read_from(&api.kubectl.kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let client = Client::try_from(config.unwrap()).unwrap();
    in_parallel(NAMESPACES, &client, async |client, number| {
        let name = format!("team-{number}");
        let labels = match number % 2 {
            0 => json!({"quiescent.dev/inject": "enabled", "team": name}),
            _ => json!({"team": name}),
        };
        let namespace = json!({"metadata": {"name": name, "labels": labels}});
        create(Api::<Namespace>::all(client.clone()), namespace).await;
        // There is no controller manager that would make it.
        let account = json!({"metadata": {"name": "default"}});
        create(Api::<ServiceAccount>::namespaced(client, &name), account).await;
    })
    .await;
    in_parallel(PODS, &client, async |client, number| {
        let namespace = format!("team-{}", number % NAMESPACES);
        create(Api::<Pod>::namespaced(client, &namespace), pod(number)).await;
    })
    .await;
}

async fn create<K>(api: Api<K>, object: Value)
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let object = serde_json::from_value(object).unwrap();
    api.create(&PostParams::default(), &object).await.unwrap();
}

async fn in_parallel(
    count: usize,
    client: &Client,
    make: impl AsyncFn(Client, usize) + Copy + Send + 'static,
) {
    let runtime = tokio::task::LocalSet::new();
    runtime
        .run_until(async {
            let mut callers = JoinSet::new();
            for caller in 0..CALLERS {
                let client = client.clone();
                callers.spawn_local(async move {
                    for number in (caller..count).step_by(CALLERS) {
                        make(client.clone(), number).await;
                    }
                });
            }
            callers.join_all().await;
        })
        .await;
}

/// As large as pods are: an application with a sidecar, or a database.
fn pod(number: usize) -> Value {
    let image = match number % 5 {
        0 => "postgres:17",
        _ => "registry.example/shop/front:2.4.1",
    };
    let variables: Vec<_> = (0..20)
        .map(|it| json!({"name": format!("SETTING_{it}"), "value": format!("value-{it}-of-{number}")}))
        .collect();
    let container = |name: &str, image: &str| {
        json!({
            "name": name, "image": image, "env": variables,
            "ports": [{"name": "http", "containerPort": 8080}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}},
        })
    };
    json!({
        "metadata": {
            "name": format!("app-{number}"),
            "labels": {
                "app.kubernetes.io/name": "app", "app.kubernetes.io/part-of": "shop",
                "pod-template-hash": format!("{number:x}"),
            },
            "annotations": {"prometheus.io/scrape": "true", "example.com/config": "0".repeat(64)},
        },
        "spec": {
            "containers": [container("app", image), container("proxy", "registry.example/mesh/proxy:1.20.3")],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": format!("data-{number}")}}],
        },
    })
}
