//! `quiescent controller --watch-backups` on a real API server, with Velero's own kinds and the rights that
//! deploy/ gives it: what it says of hooks once a backup has ended.
//!
//! There is no Velero and no object storage. Their parts are played by hand: Backups are written as Velero
//! writes them, and a DownloadRequest is answered with the address of a log that Velero has written.
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};

use super::{
    ApiServer,
    alertmanager::Alertmanager,
    controller::{SOON, leads},
    kit::{Process, eventually},
    missed::events,
    there_is_an_api_server, try_all, velero_rendered,
};
use crate::deploy;

/// What Velero 1.18.3 wrote of a backup of pods whose hooks work, fail and hang.
const LOG: &str = include_str!("../../../src/results/backup.log");

const TOKEN: &str = "a-secret-token";

type Scenario = fn(&mut Stage);

#[test]
fn a_controller_says_what_became_of_hooks() {
    if !there_is_an_api_server() || !velero_rendered::there_is_a_velero() {
        return;
    }
    let mut stage = Stage::new();
    let scenarios: [(&str, Scenario); 8] = [
        (
            "Velero's kinds may come later than the controller",
            kinds_come_later,
        ),
        (
            "a backup that ends is measured, and owners and the backup are told",
            a_backup_is_measured_and_told_of,
        ),
        (
            "a notification that was refused comes again, once and with its token",
            a_notification_comes_once,
        ),
        (
            "whoever leads next knows the same, and tells nobody again",
            the_next_one_knows_the_same,
        ),
        (
            "an Alertmanager takes the alerts by TLS, from whoever knows its authority",
            an_alertmanager_takes_the_alerts,
        ),
        (
            "what could not be notified before a kill is notified after it",
            nothing_is_forgotten,
        ),
        (
            "verdicts of verifications are measured",
            verdicts_are_measured,
        ),
        (
            "a pod that is gone is measured no more, and no right is there too many",
            what_is_gone_is_gone,
        ),
    ];
    try_all(&scenarios, |scenario| scenario(&mut stage));
}

struct Stage {
    controller: Option<Process>,
    outside: Outside,
    kubeconfig: String,
    token: tempfile::NamedTempFile,
    api: ApiServer,
}

/// The object storage, and whoever is notified.
#[derive(Clone)]
struct Outside {
    address: String,
    heard: Arc<Mutex<Vec<Value>>>,
    refuses: Arc<AtomicBool>,
}

impl Outside {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let outside = Self {
            address: listener.local_addr().unwrap().to_string(),
            heard: Arc::default(),
            refuses: Arc::default(),
        };
        let own = outside.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                own.answer(stream);
            }
        });
        outside
    }

    fn answer(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut line, mut length, mut token) = (String::new(), 0, None);
        if reader.read_line(&mut line).is_err() {
            return;
        }
        let request = line.clone();
        loop {
            line.clear();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim().split_once(": ") else {
                break;
            };
            match &*name.to_lowercase() {
                "content-length" => length = value.parse().unwrap(),
                "authorization" => token = Some(value.to_owned()),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let (status, answer) = if request.starts_with("POST /notify ") {
            let mut said: Value = serde_json::from_slice(&body).unwrap();
            said["token"] = token.into();
            let refuses = self.refuses.load(Ordering::SeqCst);
            said["refused"] = refuses.into();
            self.heard.lock().unwrap().push(said);
            (if refuses { 503 } else { 200 }, Vec::new())
        } else if request.starts_with("GET /log?signature=") {
            // The storage is no cluster, and is shown no token of one.
            assert_eq!(token, None);
            let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
            packer.write_all(LOG.as_bytes()).unwrap();
            (200, packer.finish().unwrap())
        } else if request.starts_with("GET /volumes?signature=") {
            (200, b"[]".to_vec())
        } else {
            (404, Vec::new())
        };
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            answer.len()
        );
        let _ = stream.write_all(&answer);
    }

    /// What was said of a backup, and not refused.
    fn notified(&self, backup: &str) -> Vec<Value> {
        let heard = self.heard.lock().unwrap();
        let of_it = heard
            .iter()
            .filter(|it| it["name"] == backup && it["refused"] == false);
        of_it.cloned().collect()
    }

    fn refused(&self, backup: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .any(|it| it["name"] == backup && it["refused"] == true)
    }
}

impl Stage {
    fn new() -> Self {
        let api = ApiServer::start(&[]);
        let mut objects = deploy::overlay("opt-in");
        objects.retain(|object| object["kind"] != "MutatingWebhookConfiguration");
        api.apply(&objects);
        api.namespace("velero", &json!({}));
        let rights =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/components/watch-backups/rbac.yaml");
        api.kubectl.run(&format!("apply -f {}", rights.display()));
        api.namespace("shop", &json!({"quiescent.dev/inject": "enabled"}));
        let token = tempfile::NamedTempFile::new().unwrap();
        fs::write(token.path(), format!("{TOKEN}\n")).unwrap();
        Self {
            controller: None,
            outside: Outside::start(),
            kubeconfig: api.kubeconfig_of("quiescent", "quiescent-controller"),
            token,
            api,
        }
    }

    fn start(&mut self) {
        let notify = format!("http://{}/notify", self.outside.address);
        let token = self.token.path().display().to_string();
        self.start_notifying(&[
            "--notify-format=json",
            "--notify-url",
            &notify,
            "--notify-token-file",
            &token,
        ]);
    }

    fn start_notifying(&mut self, notify: &[&str]) {
        let (controller, _) = Process::start(
            "controller",
            [
                "--admin=127.0.0.1:0",
                "--mode=opt-in",
                "--lease-namespace=quiescent",
                "--lease-duration=4s",
                "--interval=2s",
                "--watch-backups",
                "--kubeconfig",
                &self.kubeconfig,
            ]
            .iter()
            .chain(notify),
        );
        controller.ready();
        eventually("it leads", SOON, || leads(&controller).then_some(()));
        self.controller = Some(controller);
    }

    fn kill(&mut self) {
        self.controller.take().unwrap().kill();
    }

    fn controller(&self) -> &Process {
        self.controller.as_ref().unwrap()
    }

    /// What the controller measures, without comments.
    fn measured(&self) -> Vec<String> {
        let metrics = self.controller().admin("/metrics").unwrap_or_default();
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    #[track_caller]
    fn measures(&self, expected: &str) {
        self.with_velero(expected, |stage| {
            stage.measured().iter().any(|it| it == expected)
        });
    }

    /// Does what Velero would do, until something is so.
    #[track_caller]
    fn with_velero(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        eventually(what, SOON, || {
            self.answer_requests();
            is_so(self).then_some(())
        });
    }

    /// Writes into each DownloadRequest where its file is.
    fn answer_requests(&self) {
        let kubectl = &self.api.kubectl;
        let list = "get -n velero downloadrequests.velero.io -o json";
        let Ok(list) = kubectl.attempt(list, "") else {
            return;
        };
        let list: Value = serde_json::from_str(&list).unwrap();
        for request in list["items"].as_array().unwrap() {
            let file = match request["spec"]["target"]["kind"].as_str().unwrap() {
                "BackupLog" => "log",
                "BackupVolumeInfos" => "volumes",
                other => panic!("{other}"),
            };
            let url = format!("http://{}/{file}?signature=x", self.outside.address);
            let status = json!({"status": {"phase": "Processed", "downloadURL": url}});
            let name = request["metadata"]["name"].as_str().unwrap();
            let patch =
                format!("patch -n velero downloadrequests.velero.io {name} --type=merge -p");
            let status = status.to_string();
            // It may be gone by now.
            let _ = kubectl.attempt_args(patch.split_whitespace().chain([&*status]), "");
        }
    }

    /// A backup as Velero leaves it, that has ended just now.
    fn backup(&self, name: &str) {
        let now = k8s_openapi::jiff::Timestamp::now();
        let now = k8s_openapi::jiff::Timestamp::from_second(now.as_second()).unwrap();
        let backup = json!({
            "apiVersion": "velero.io/v1", "kind": "Backup",
            "metadata": {
                "name": name, "namespace": "velero", "labels": {"velero.io/schedule-name": "nightly"},
            },
            "spec": {"includedNamespaces": ["shop"]},
            "status": {
                "phase": "PartiallyFailed",
                "startTimestamp": now.to_string(), "completionTimestamp": now.to_string(),
                "hookStatus": {"hooksAttempted": 10, "hooksFailed": 4},
            },
        });
        self.api.kubectl.apply("create -f -", &backup.to_string());
    }

    fn pod(&self, name: &str) -> Value {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "containers": [{
                    "name": "postgres", "image": "postgres:17",
                    "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
                }],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": name}}],
            },
        });
        self.api.create("shop", &pod.to_string())
    }

    /// Events about hooks in a namespace.
    fn told(&self, namespace: &str) -> Vec<(String, String)> {
        let mut told = events(&self.api, namespace);
        told.retain(|(about, _)| about.contains("HookFailed") || about.contains("PostMissing"));
        told
    }
}

const DUMP: &str =
    r#"quiescent_last_good_dump_timestamp_seconds{namespace="shop",pod="pg-0"} 1795300390"#;

const FAILED: &str = r#"quiescent_hooks_failed{namespace="shop",policy="",phase="pre"} 3"#;

fn kinds_come_later(stage: &mut Stage) {
    stage.start();
    for pod in ["pg-0", "fails", "hangs"] {
        stage.pod(pod);
    }
    eventually("it has asked in vain", SOON, || {
        let log = stage.controller().log();
        log.contains("the API server has no backups yet")
            .then_some(())
    });
    velero_rendered::install_kinds(&stage.api);
}

fn a_backup_is_measured_and_told_of(stage: &mut Stage) {
    stage.outside.refuses.store(true, Ordering::SeqCst);
    stage.backup("b1");
    stage.measures(FAILED);
    // A pod is known by its own watch, maybe later.
    for expected in [
        DUMP,
        r#"quiescent_hook_duration_seconds{namespace="shop",policy="",phase="pre"} 2"#,
        r#"quiescent_hook_duration_seconds{namespace="shop",policy="postgresql-dump",phase="pre"} 1"#,
        r#"quiescent_hooks_failed{namespace="shop",policy="postgresql-dump",phase="pre"} 0"#,
        r#"quiescent_posts_missing{namespace="shop"} 2"#,
        r#"quiescent_hook_failures_total{namespace="shop",policy="",phase="post"} 1"#,
        r#"quiescent_post_missing_total{namespace="shop"} 2"#,
    ] {
        stage.measures(expected);
    }
    stage.with_velero("all are told", |stage| {
        stage.told("shop").len() >= 3 && stage.told("velero").len() >= 2
    });
    let next = "; next: quiescent results backup/b1";
    let left_out =
        "no post hook ran: Velero runs none after a pre hook that failed with on-error=Fail";
    let of_pods = [
        (
            "Pod/fails Warning HookFailed",
            "fails: the pre hook failed: command terminated with exit code 3".to_owned(),
        ),
        (
            "Pod/hangs Warning HookFailed",
            "hangs: the pre hook failed: timed out after 2s".to_owned(),
        ),
        (
            "Pod/hangs Warning PostMissing",
            format!("hangs: {left_out}"),
        ),
    ];
    let of_pods =
        of_pods.map(|(about, says)| (about.to_owned(), format!("backup/b1: {says}{next}")));
    assert_eq!(stage.told("shop"), of_pods);
    let of_backup: Vec<String> = stage.told("velero").into_iter().map(|it| it.0).collect();
    let expected = [
        "Backup/b1 Warning HookFailed",
        "Backup/b1 Warning PostMissing",
    ];
    assert_eq!(of_backup, expected);
    let requests = "get -n velero downloadrequests.velero.io -o name";
    assert_eq!(stage.api.kubectl.run(requests), "", "none is left behind");
}

fn a_notification_comes_once(stage: &mut Stage) {
    stage.with_velero("it was refused", |stage| stage.outside.refused("b1"));
    stage.outside.refuses.store(false, Ordering::SeqCst);
    stage.with_velero("it comes again", |stage| {
        !stage.outside.notified("b1").is_empty()
    });
    let notified = stage.outside.notified("b1");
    let said = &notified[0];
    assert_eq!(said["token"], format!("Bearer {TOKEN}"));
    assert_eq!(
        (&said["count"], &said["schedule"]),
        (&json!(6), &json!("nightly"))
    );
    assert_eq!(said["problems"][0]["reason"], "HookFailed");
    let log = stage.controller().log();
    assert!(!log.contains(TOKEN), "{log}");
    // Once it is noted, nobody will say it again.
    stage.with_velero("it is noted", |stage| {
        let note = "get configmap -n quiescent quiescent-told -o json";
        stage.api.kubectl.attempt(note, "").is_ok()
    });
}

fn the_next_one_knows_the_same(stage: &mut Stage) {
    let told = |stage: &Stage| (stage.told("shop"), stage.told("velero"));
    let before = told(stage);
    stage.kill();
    stage.start();
    stage.measures(FAILED);
    stage.measures(DUMP);
    assert!(
        !stage
            .measured()
            .iter()
            .any(|it| it.starts_with("quiescent_hook_failures_total{")),
        "what was counted before is not counted again"
    );
    assert_eq!(told(stage), before);
    assert_eq!(stage.outside.notified("b1").len(), 1);
}

fn an_alertmanager_takes_the_alerts(stage: &mut Stage) {
    let Some(alertmanager) = Alertmanager::start() else {
        return;
    };
    let (url, ca) = (alertmanager.url(), alertmanager.ca().display().to_string());
    stage.kill();
    stage.start_notifying(&["--notify-url", &url]);
    stage.backup("alerts");
    stage.with_velero("nobody known has signed its certificate", |stage| {
        let log = stage.controller().log();
        log.contains("invalid peer certificate: UnknownIssuer")
    });
    assert_eq!(alertmanager.alerts(), Some(Vec::new()));

    stage.kill();
    stage.start_notifying(&["--notify-url", &url, "--notify-ca", &ca]);
    stage.with_velero("it has the alerts", |_| {
        alertmanager.alerts().is_some_and(|it| it.len() == 6)
    });
    let alerts = alertmanager.alerts().unwrap();
    let label = |alert: &Value, key: &str| alert["labels"][key].as_str().map(str::to_owned);
    for alert in &alerts {
        assert_eq!(alert["status"]["state"], "active", "{alert:#}");
        assert_eq!(
            label(alert, "backup").as_deref(),
            Some("alerts"),
            "{alert:#}"
        );
        assert_eq!(
            label(alert, "schedule").as_deref(),
            Some("nightly"),
            "{alert:#}"
        );
        assert_eq!(
            alert["annotations"]["description"],
            "quiescent results backup/alerts"
        );
    }
    let of_hangs: BTreeSet<_> = alerts
        .iter()
        .filter(|it| it["labels"]["pod"] == "hangs")
        .map(|it| label(it, "alertname").unwrap())
        .collect();
    assert!(
        of_hangs.contains("QuiescentHookFailed") && of_hangs.contains("QuiescentPostMissing"),
        "{alerts:#?}"
    );
    stage.kill();
    stage.start();
}

fn nothing_is_forgotten(stage: &mut Stage) {
    stage.outside.refuses.store(true, Ordering::SeqCst);
    stage.backup("b2");
    stage.with_velero("it was refused", |stage| stage.outside.refused("b2"));
    stage.kill();
    stage.outside.refuses.store(false, Ordering::SeqCst);
    stage.start();
    stage.with_velero("the next one says it", |stage| {
        !stage.outside.notified("b2").is_empty()
    });
    // Whoever has told of this one has passed the others.
    stage.backup("b3");
    stage.with_velero("it goes on", |stage| {
        !stage.outside.notified("b3").is_empty()
    });
    for backup in ["b1", "b2", "b3"] {
        assert_eq!(stage.outside.notified(backup).len(), 1, "{backup}");
    }
}

fn verdicts_are_measured(stage: &mut Stage) {
    let annotate = |backup: &str, verdict: &str, at: &str| {
        stage.api.kubectl.run(&format!(
            "annotate -n velero backups.velero.io {backup} \
             verify.quiescent.dev/verdict={verdict} verify.quiescent.dev/finished-at={at}"
        ));
    };
    annotate("b1", "passed", "2026-11-21T22:31:13Z");
    stage.measures(
        r#"quiescent_verification_last_success_timestamp_seconds{schedule="nightly"} 1795300273"#,
    );
    stage.measures(r#"quiescent_verification_failed{schedule="nightly"} 0"#);
    annotate("b2", "failed", "2026-11-21T23:31:13Z");
    stage.measures(r#"quiescent_verification_failed{schedule="nightly"} 1"#);
}

fn what_is_gone_is_gone(stage: &mut Stage) {
    stage
        .api
        .kubectl
        .run("delete pod -n shop pg-0 --force --grace-period=0");
    stage.with_velero("its dump is not measured", |stage| {
        !stage.measured().is_empty() && !stage.measured().iter().any(|it| it.starts_with(DUMP))
    });
    // A restore has its hooks in the log of Velero's pod, which no kubelet gives us here.
    let server = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "velero", "namespace": "velero", "labels": {"deploy": "velero"}},
        "spec": {"containers": [{"name": "velero", "image": "velero"}]},
    });
    stage.api.create("velero", &server.to_string());
    let now = k8s_openapi::jiff::Timestamp::now().to_string();
    let restore = json!({
        "apiVersion": "velero.io/v1", "kind": "Restore",
        "metadata": {"name": "r1", "namespace": "velero"},
        "spec": {"backupName": "b1"},
        "status": {"phase": "Completed", "completionTimestamp": now},
    });
    stage.api.kubectl.apply("create -f -", &restore.to_string());
    eventually("its log was asked for", SOON, || {
        let asked = stage.api.asked_by("quiescent-controller");
        asked
            .contains(&("pods/log".to_owned(), "get".to_owned()))
            .then_some(())
    });
    let allowed = stage
        .api
        .allowed_by(&["role -n velero quiescent-watch-backups"]);
    let asked = stage.api.asked_by("quiescent-controller");
    let too_many: BTreeSet<_> = allowed.difference(&asked).collect();
    assert!(too_many.is_empty(), "{too_many:?}");
    let log = stage.controller().log();
    assert!(!log.contains("forbidden"), "{log}");
}
