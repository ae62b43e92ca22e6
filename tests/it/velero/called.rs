//! Hooks that call HTTP, on a live pod whose application listens on its loopback alone: `quiescent snapshot`
//! calls it through the API server, with a token from a Secret and with no more rights than docs/http-hooks.md
//! names; under Velero a coordinator in the pod makes the calls.
use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::{cluster::Cluster, hook_of};
use crate::{
    apiserver::kit::{eventually, run_with_input},
    cluster::{
        Steps,
        node::{Node, SOON},
    },
    support::quiescent,
};

const TOKEN: &str = "s3cr3t-0f-the-0rders";

/// It answers with the token that it was given, so that it would be seen if that was shown.
const APPLICATION: &str = r#"
use IO::Socket::INET;
$| = 1;
my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 8) or die $!;
my $paused = "false";
while (my $client = $server->accept) {
    my ($method, $path) = split " ", scalar <$client>;
    my ($token, $length, $body) = ("", 0, "");
    while (my $line = <$client>) {
        last if $line =~ /^\r?\n$/;
        $token = $1 if $line =~ /^authorization: Bearer (\S+)/i;
        $length = $1 if $line =~ /^content-length: (\d+)/i;
    }
    read $client, $body, $length;
    my $status = $token eq $ENV{TOKEN} ? "200 OK" : "401 Unauthorized";
    $paused = $path eq "/pause" ? "true" : "false" if $status eq "200 OK";
    print "$method $path $body $status\n";
    my $answer = "{\"paused\": $paused, \"token\": \"$token\"}";
    print $client "HTTP/1.1 $status\r\ncontent-length: ", length $answer, "\r\nconnection: close\r\n\r\n$answer";
    close $client;
}
"#;

/// What differs from one policy to the next.
#[derive(Clone, Copy)]
struct Policy {
    port: u16,
    key: &'static str,
    paused: bool,
    /// A container in the pod makes the calls.
    coordinator: bool,
}

const GOOD: Policy = Policy {
    port: 8080,
    key: "token",
    paused: true,
    coordinator: false,
};

pub fn hooks_call_a_pod(cluster: &Cluster, steps: &Steps) {
    let orders = Orders::start(&cluster.node);
    steps.done("an application on the loopback of its pod, with a claim");

    let (code, taken) = orders.snapshot(GOOD);
    assert_eq!(
        (code, &taken["verdict"]),
        (0, &"consistent".into()),
        "{taken:#}"
    );
    let hooks = &taken["pods"][0]["hooks"];
    assert_eq!(hooks[0]["call"], "POST :8080/pause", "{taken:#}");
    assert_eq!(hooks[1]["call"], "POST :8080/resume", "{taken:#}");
    orders.was_asked(
        0,
        &["POST /pause why=backup 200 OK", "POST /resume  200 OK"],
    );
    steps.done("quiescent snapshot: paused and resumed by HTTP, consistent");

    for (policy, outcome, said, calls) in [
        (
            Policy {
                key: "stale",
                ..GOOD
            },
            "failed",
            "status 401, expected 2xx",
            &[
                "POST /pause why=backup 401 Unauthorized",
                "POST /resume  401 Unauthorized",
            ][..],
        ),
        (
            Policy {
                paused: false,
                ..GOOD
            },
            "failed",
            "status 200, and /paused is not false",
            &["POST /pause why=backup 200 OK", "POST /resume  200 OK"],
        ),
        (Policy { port: 8081, ..GOOD }, "not_run", "8081", &[]),
        (
            Policy {
                key: "none",
                ..GOOD
            },
            "not_run",
            "\"none\"",
            &[],
        ),
    ] {
        let before = orders.log(CALLED).len();
        let (code, taken) = orders.snapshot(policy);
        let pre = &taken["pods"][0]["hooks"][0];
        assert_eq!((code, &pre["outcome"]), (2, &outcome.into()), "{taken:#}");
        let why = format!("{}{}", pre["because"], pre["stderr"]);
        assert!(why.replace('\\', "").contains(said), "{taken:#}");
        orders.was_asked(before, calls);
    }
    steps.done("a wrong token, another answer, a closed port and a Secret without the key: no snapshot, each with its reason");

    orders.write(GOOD);
    let (code, tried) = orders.run(&[
        "test",
        "pod/orders-0",
        "--policy",
        "orders",
        "--hold",
        "100ms",
    ]);
    let tried = &tried["pods"][0];
    assert_eq!((code, &tried["verdict"]), (0, &"works".into()), "{tried:#}");
    steps.done("quiescent test --policy makes the same calls");

    under_velero_a_coordinator_calls(cluster, &orders);
    steps.done("Velero: a coordinator in the pod makes the calls, and undoes a pre hook that was not answered as expected");
    let kubectl = &cluster.node.kubectl;
    kubectl.run("delete namespace orders --wait=false");
}

/// Each pod is made with the hooks of another policy, and both are in one backup.
fn under_velero_a_coordinator_calls(cluster: &Cluster, orders: &Orders) {
    let kubectl = &cluster.node.kubectl;
    for (pod, paused) in [("orders-1", true), ("orders-2", false)] {
        orders.write(Policy {
            paused,
            coordinator: true,
            ..GOOD
        });
        let mut inject = Command::new(env!("CARGO_BIN_EXE_quiescent"));
        inject.args(["inject", "-f", "-", "-o", "json", "--policies"]);
        let written = application(pod, &json!({"emptyDir": {}})).to_string();
        let injected = run_with_input(inject.arg(orders.policies()), &written);
        kubectl.apply("apply -n orders -f -", &injected.expect("quiescent inject"));
    }
    kubectl.run("wait -n orders --for condition=Ready pod/orders-1 pod/orders-2 --timeout 180s");
    cluster
        .velero("backup create called --include-namespaces orders --include-resources pods --wait");
    let (_, results) = cluster.results("backup/called");
    for (pod, phase, exit) in [
        ("orders-1", "pre", 0),
        ("orders-1", "post", 0),
        ("orders-2", "pre", 1),
    ] {
        assert_eq!(hook_of(&results, pod, phase)["exit"], exit, "{results:#}");
    }
    let pause = "POST /pause why=backup 200 OK";
    let resume = "POST /resume  200 OK";
    assert_eq!(orders.log("orders-1"), [pause, resume]);
    assert_eq!(orders.log("orders-2")[..2], [pause, resume]);
    assert!(!results.to_string().contains(TOKEN), "{results:#}");
}

/// The pod that is called directly.
const CALLED: &str = "orders-0";

fn application(name: &str, volume: &Value) -> Value {
    let token = json!({"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "orders-admin", "key": "token"}}});
    let mut data = volume.clone();
    data["name"] = "data".into();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "orders"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "orders", "image": "quiescent.test/postgres:15",
                "command": ["perl", "-e", APPLICATION], "env": [token],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [data],
        },
    })
}

struct Orders<'n> {
    node: &'n Node,
    kubeconfig: PathBuf,
}

impl<'n> Orders<'n> {
    fn start(node: &'n Node) -> Self {
        node.namespace("orders", "");
        let allow = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        let snapshots = "snapshot.storage.k8s.io";
        let mut secret = allow("", &["secrets"], &["get"]);
        secret["resourceNames"] = json!(["orders-admin"]);
        let own = [
            allow("", &["pods"], &["get", "list"]),
            allow("", &["pods/portforward"], &["get", "create"]),
            secret,
            allow("", &["persistentvolumeclaims"], &["get"]),
            allow(
                snapshots,
                &["volumesnapshots"],
                &["create", "list", "watch", "patch", "delete"],
            ),
            allow("quiescent.dev", &["snapshothooks"], &["list"]),
            allow(
                "coordination.k8s.io",
                &["leases"],
                &["get", "create", "update", "delete"],
            ),
        ];
        let of_all = [
            allow("", &["persistentvolumes", "namespaces"], &["get"]),
            allow(snapshots, &["volumesnapshotclasses"], &["list"]),
            allow(snapshots, &["volumesnapshotcontents"], &["get"]),
        ];
        let bound = |role: &str, kind: &str| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"),
                "metadata": {"name": role},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
                "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "orders"}],
            })
        };
        let role = |name: &str, kind: &str, rules: &[Value]| {
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind,
                "metadata": {"name": name}, "rules": rules,
            })
        };
        let items = [
            role("orders-snapshot", "Role", &own),
            bound("orders-snapshot", "Role"),
            role("orders-snapshot", "ClusterRole", &of_all),
            bound("orders-snapshot", "ClusterRole"),
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "orders-admin"},
                "stringData": {"token": TOKEN, "stale": format!("{TOKEN}-of-yesterday")},
            }),
            json!({
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "orders"},
                "spec": {
                    "storageClassName": "csi", "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "64Mi"}},
                },
            }),
            application(
                CALLED,
                &json!({"persistentVolumeClaim": {"claimName": "orders"}}),
            ),
        ];
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        let kubectl = &node.kubectl;
        kubectl.apply("apply -n orders -f -", &list.to_string());
        kubectl.run("wait -n orders --for condition=Ready pod/orders-0 --timeout 180s");
        let mut config = kubectl.json("config view --raw", "");
        config["users"][0]["user"]["as"] = "system:serviceaccount:orders:default".into();
        let kubeconfig = kubectl.kubeconfig.with_extension("orders");
        fs::write(&kubeconfig, config.to_string()).unwrap();
        Self { node, kubeconfig }
    }

    fn policies(&self) -> PathBuf {
        self.node.directory().join("orders")
    }

    fn write(&self, policy: Policy) {
        let Policy {
            port,
            key,
            paused,
            coordinator,
        } = policy;
        let call = |path: &str, paused: bool| {
            json!({
                "http": {
                    "port": port, "path": path,
                    "headers": {"Authorization": {
                        "value": "Bearer ", "secretKeyRef": {"name": "orders-admin", "key": key},
                    }},
                    "expect": {"json": [{"path": "/paused", "equals": paused}]},
                },
                "timeout": "30s", "onError": "Fail",
            })
        };
        let (mut pre, post) = (call("/pause", paused), call("/resume", false));
        pre["http"]["body"] = json!({"value": "why=backup"});
        let mut policy = json!({
            "apiVersion": "quiescent.dev/v1", "kind": "HookPolicy",
            "metadata": {"name": "orders", "annotations": {"quiescent.dev/blocks": "writes"}},
            "spec": {
                "match": {"podSelector": {"matchLabels": {"app": "orders"}}},
                "container": {"name": "orders"},
                "hooks": {"pre": pre, "post": post},
            },
        });
        if coordinator {
            policy["spec"]["coordinator"] = json!({});
        }
        fs::create_dir_all(self.policies()).unwrap();
        fs::write(self.policies().join("policy.yaml"), policy.to_string()).unwrap();
    }

    fn snapshot(&self, policy: Policy) -> (i32, Value) {
        self.write(policy);
        self.run(&["snapshot", "pod/orders-0", "--snapshot-class", "csi"])
    }

    /// The exit code, and what was printed for programs: nothing of it is the token.
    fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let Output {
            status,
            stdout,
            stderr,
        } = quiescent(arguments)
            .args(["-n", "orders", "-o", "json", "--policies"])
            .arg(self.policies())
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .output()
            .unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&stdout),
            String::from_utf8_lossy(&stderr),
        );
        assert!(
            !stdout.contains(TOKEN) && !stderr.contains(TOKEN),
            "{stdout}{stderr}"
        );
        let found = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stderr}"));
        (status.code().unwrap(), found)
    }

    /// What comes out of a pod is in its log a moment later.
    fn was_asked(&self, before: usize, calls: &[&str]) {
        eventually(&format!("the application logs {calls:?}"), SOON, || {
            (self.log(CALLED)[before..] == *calls).then_some(())
        });
    }

    /// What was asked of the application of a pod.
    fn log(&self, pod: &str) -> Vec<String> {
        let log = self
            .node
            .kubectl
            .run(&format!("logs -n orders {pod} -c orders"));
        log.lines().map(str::to_owned).collect()
    }
}
