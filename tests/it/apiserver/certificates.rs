//! The controller makes the webhook's certificate and renews it, its authority included, while an API
//! server calls two replicas behind a Service and none of its calls may fail.
//!
//! There is no kubelet: what it would do, bring a changed Secret into the volumes one after the other,
//! is done here. The API server finds the replicas by their EndpointSlices, as one does that has no
//! kube-proxy beside it.
use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, UdpSocket},
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use ::base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{Process, Webhook, eventually, run},
    pod_named, there_is_an_api_server,
};
use crate::{
    deploy,
    stress::fixture::{Pair, Volume},
    support,
};

/// How long a watch, a lease and a renewal may take on a machine that is busy.
const SOON: Duration = Duration::from_secs(90);

const NAME: &str = "quiescent.quiescent.svc";

#[test]
fn a_webhook_is_trusted_while_its_certificate_changes() {
    let host = beyond_loopback();
    if !there_is_an_api_server() || !support::require(host.is_some(), "an address beyond loopback")
    {
        return;
    }
    let stage = Stage::new(host.unwrap());
    let controller = stage.controller("issue");
    stage.secret();
    stage.fill_volumes();
    let replicas = [0, 1].map(|number| stage.webhook(number));
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                stage.fill_volumes();
            }
        });
        let guard = EndsThem(&ended);
        stage.called_while_authorities_change(&replicas, 3);
        stage.what_was_changed_by_hand_is_put_right();
        stage.entries_say_what_they_must();
        stage.a_key_that_is_lost_is_made_anew();
        drop(controller);
        stage.no_right_too_many();
        stage.another_authority_is_followed(&replicas);
        drop(guard);
    });
}

struct EndsThem<'a>(&'a AtomicBool);

impl Drop for EndsThem<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Stage {
    api: ApiServer,
    host: IpAddr,
    kubeconfig: String,
    volumes: [Mutex<Volume>; 2],
}

impl Stage {
    fn new(host: IpAddr) -> Self {
        let api = ApiServer::start(&["--enable-aggregator-routing=true".to_owned()]);
        api.apply(&deploy::with_components(&["components/guard"]));
        let all = json!({"quiescent.dev/inject": "enabled", "quiescent.dev/enforce": "true"});
        api.namespace("shop", &all);
        let kubeconfig = api.kubeconfig_of("quiescent", "quiescent-controller");
        let volumes = [(); 2].map(|()| Mutex::new(Volume::of(&Pair::default())));
        Self {
            api,
            host,
            kubeconfig,
            volumes,
        }
    }

    fn controller(&self, certificates: &str) -> Process {
        let (controller, _) = Process::start(
            "controller",
            [
                "--admin=127.0.0.1:0",
                "--lease-namespace=quiescent",
                "--lease-duration=4s",
                "--interval=1s",
                "--certificates",
                certificates,
                "--certificate-life=18s",
                "--authority-life=24s",
                "--trust-delay=2s",
                "--kubeconfig",
                &self.kubeconfig,
            ],
        );
        controller
    }

    /// A replica behind the Service.
    fn webhook(&self, number: usize) -> Webhook {
        let listen = format!("{}:0", self.host);
        let volume = self.volumes[number].lock().unwrap().path().to_owned();
        let kubeconfig = self.api.kubeconfig_of_the_webhook();
        let webhook = Webhook::start([
            "--admin=127.0.0.1:0",
            "--reload=100ms",
            "--listen",
            &listen,
            "--cert-dir",
            volume.to_str().unwrap(),
            "--kubeconfig",
            &kubeconfig,
        ]);
        let family = if self.host.is_ipv4() { "IPv4" } else { "IPv6" };
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {
                "name": format!("quiescent-{number}"), "namespace": "quiescent",
                "labels": {"kubernetes.io/service-name": "quiescent"},
            },
            "ports": [{"name": "webhook", "protocol": "TCP", "port": port(&webhook)}],
            "endpoints": [{"addresses": [self.host.to_string()], "conditions": {"ready": true, "serving": true}}],
        });
        self.api.kubectl.apply("create -f -", &slice.to_string());
        webhook
    }

    /// Waits for a Secret with a pair.
    fn secret(&self) -> Value {
        eventually("there is a certificate", SOON, || {
            let get = "get secret -n quiescent quiescent-tls -o json";
            let text = self.api.kubectl.attempt(get, "").ok()?;
            let secret: Value = serde_json::from_str(&text).unwrap();
            secret["data"]["tls.key"].is_string().then_some(secret)
        })
    }

    /// Brings the Secret into one volume after the other, as a kubelet does.
    fn fill_volumes(&self) {
        let secret = self.secret();
        let text = |key: &str| String::from_utf8(decoded(&secret["data"][key])).unwrap();
        let pair = Pair {
            chain: text("tls.crt"),
            key: text("tls.key"),
            ca: None,
        };
        for volume in &self.volumes {
            volume.lock().unwrap().swap(&pair);
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// What each entry of the webhook trusts.
    fn bundles(&self) -> Vec<Vec<u8>> {
        let webhooks = "get mutatingwebhookconfigurations,validatingwebhookconfigurations";
        let webhooks = self.api.kubectl.json(webhooks, "");
        let webhooks = webhooks["items"].as_array().unwrap().iter();
        let entries = webhooks.flat_map(|webhook| webhook["webhooks"].as_array().unwrap());
        entries
            .map(|entry| decoded(&entry["clientConfig"]["caBundle"]))
            .collect()
    }

    /// The one text that all entries have.
    fn bundle(&self) -> Option<Vec<u8>> {
        let mut bundles = self.bundles();
        let last = bundles.pop()?;
        bundles.iter().all(|other| *other == last).then_some(last)
    }

    /// Until so many authorities have come and all but the last are forgotten, every review is
    /// answered and every replica shows what the entries trust.
    fn called_while_authorities_change(&self, replicas: &[Webhook], authorities: usize) {
        let mut seen = BTreeSet::new();
        let mut reviews = 0;
        eventually("the authority has changed", 2 * SOON, || {
            let pod = self.api.dry_run("shop", &pod_named("pg"));
            let pod = pod.unwrap_or_else(|error| panic!("after {reviews} reviews: {error}"));
            let annotations = &pod["metadata"]["annotations"];
            assert!(annotations["pre.hook.backup.velero.io/command"].is_string());
            reviews += 1;

            for bundle in self.bundles() {
                for replica in replicas {
                    self.shows_what_is_trusted(replica, &bundle);
                }
                if certificates(&bundle) == 1 {
                    seen.insert(bundle);
                }
            }
            (seen.len() >= authorities).then_some(())
        });
    }

    fn shows_what_is_trusted(&self, replica: &Webhook, bundle: &[u8]) {
        let trusted = tempfile::NamedTempFile::new().unwrap();
        fs::write(trusted.path(), bundle).unwrap();
        let port = port(replica);
        let shown = run(Command::new("curl")
            .args(["--silent", "--show-error", "--cacert"])
            .arg(trusted.path())
            .args(["--resolve", &format!("{NAME}:{port}:{}", self.host)])
            .arg(format!("https://{NAME}:{port}/")));
        let bundle = String::from_utf8_lossy(bundle);
        assert!(shown.is_ok(), "{shown:?} with\n{bundle}");
    }

    fn what_was_changed_by_hand_is_put_right(&self) {
        let entries = json!({"webhooks": [
            {"name": "enforce.quiescent.dev", "clientConfig": {"caBundle": ""}},
        ]});
        let patch = format!("patch mutatingwebhookconfiguration quiescent -p {entries}");
        self.api.kubectl.run(&patch);
        let entries = json!({"webhooks": [
            {"name": "warn.guard.quiescent.dev", "clientConfig": {"caBundle": ""}},
        ]});
        let patch = format!("patch validatingwebhookconfiguration quiescent -p {entries}");
        self.api.kubectl.run(&patch);
        eventually("all entries trust the same again", SOON, || {
            let bundle = self.bundle()?;
            (certificates(&bundle) > 0).then_some(())
        });
    }

    /// What would hold the cluster up, or lose pods.
    fn entries_say_what_they_must(&self) {
        let entries = json!({"webhooks": [{
            "name": "namespaces.quiescent.dev", "failurePolicy": "Fail", "timeoutSeconds": 30,
            "namespaceSelector": {"matchExpressions": [
                {"key": "quiescent.dev/inject", "operator": "In", "values": ["enabled"]},
            ]},
        }]});
        let patch = format!("patch mutatingwebhookconfiguration quiescent -p {entries}");
        self.api.kubectl.run(&patch);
        eventually("the entry is as it must be", SOON, || {
            let webhook = "get mutatingwebhookconfiguration quiescent";
            let webhook = self.api.kubectl.json(webhook, "");
            let entry = &webhook["webhooks"][0];
            let asked = &entry["namespaceSelector"]["matchExpressions"];
            let right = entry["failurePolicy"] == "Ignore"
                && entry["timeoutSeconds"] == 3
                && asked[0]["key"] == "quiescent.dev/inject"
                && asked[1]["values"].to_string().contains("kube-system");
            right.then_some(())
        });
    }

    fn a_key_that_is_lost_is_made_anew(&self) {
        let before = self.secret();
        let data = json!({"data": {"tls.key": STANDARD.encode("lost")}});
        let patch = format!("patch secret -n quiescent quiescent-tls -p {data}");
        self.api.kubectl.run(&patch);
        eventually("there is another key", SOON, || {
            let key = &self.secret()["data"]["tls.key"];
            (key != &data["data"]["tls.key"] && key != &before["data"]["tls.key"]).then_some(())
        });
    }

    /// What the controller may do about certificates is what it asked for.
    fn no_right_too_many(&self) {
        let allowed = self.api.allowed_by(&[
            "role -n quiescent quiescent-certificates",
            "role -n quiescent quiescent-issuer",
            "clusterrole quiescent-certificates",
        ]);
        let mut used = self.api.asked_by("quiescent-controller");
        used.retain(|(resource, _)| allowed.iter().any(|(other, _)| other == resource));
        assert_eq!(used, allowed);
    }

    /// A certificate of somebody else is trusted beside that of before, which is forgotten when no
    /// replica shows it any more.
    fn another_authority_is_followed(&self, replicas: &[Webhook]) {
        let pki = tempfile::tempdir().unwrap();
        run(Command::new(in_tree("certs/make")).arg(pki.path())).unwrap();
        let read = |file: &str| STANDARD.encode(fs::read(pki.path().join(file)).unwrap());
        let own = fs::read(pki.path().join("ca.crt")).unwrap();

        let _controller = self.controller("follow");
        let data = json!({"data": {
            "tls.crt": read("tls.crt"), "tls.key": read("tls.key"), "ca.crt": read("ca.crt"),
            "ca.key": null, "next.crt": null, "next.key": null,
        }});
        let patch = format!("patch secret -n quiescent quiescent-tls -p {data}");
        self.api.kubectl.run(&patch);
        eventually("only the other authority is trusted", SOON, || {
            let bundle = self.bundle()?;
            let only = certificates(&bundle) == 1 && same(&bundle, &own);
            only.then_some(())
        });
        for replica in replicas {
            self.shows_what_is_trusted(replica, &own);
        }
    }
}

pub fn in_tree(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// An address of this machine that an EndpointSlice may have. Nothing is sent.
pub fn beyond_loopback() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback()).then_some(own)
}

pub fn port(webhook: &Webhook) -> u16 {
    let address = webhook.url.strip_prefix("https://").unwrap();
    let (address, _) = address.split_once('/').unwrap();
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}

fn decoded(base64: &Value) -> Vec<u8> {
    let text = base64.as_str().unwrap_or_default();
    STANDARD.decode(text).unwrap()
}

fn certificates(pem: &[u8]) -> usize {
    String::from_utf8_lossy(pem)
        .matches("BEGIN CERTIFICATE")
        .count()
}

/// Whether two texts have the same certificates, however their lines are.
fn same(one: &[u8], other: &[u8]) -> bool {
    let bare = |pem: &[u8]| {
        let text = String::from_utf8_lossy(pem);
        text.split_whitespace().collect::<String>()
    };
    bare(one) == bare(other)
}
