//! `quiescent controller` on a real API server, with the rights that deploy/ gives it and no more, and
//! with those of its component heal where it heals.
//!
//! There is no controller manager: what a StatefulSet would make is made by hand, and a deleted
//! namespace stays what it is on its way to be.
use std::{
    cell::RefCell,
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    time::Duration,
};

use quiescent::{library, policy::resource::manifests};
use serde_json::{Value, json};

use super::{
    ApiServer,
    kit::{Process, eventually, kit, run},
    missed, there_is_an_api_server, try_all,
};
use crate::{deploy, support::quiescent};

/// How long a watch, a lease and a pause may take on a machine that is busy.
pub const SOON: Duration = Duration::from_mins(2);

/// What the scenarios share: they run one after the other, and the later ones end processes.
pub struct Stage {
    pub api: ApiServer,
    pub policies: tempfile::TempDir,
    pub kubeconfig: String,
    pub replicas: RefCell<Vec<Process>>,
    /// The API server that was started again, if it was.
    restarted: RefCell<Option<Child>>,
}

type Scenario = fn(&Stage);

#[test]
fn a_controller_keeps_the_scripts() {
    if !there_is_an_api_server() {
        return;
    }
    let stage = Stage::new();
    let scenarios: [(&str, Scenario); 20] = [
        (
            "a namespace with a database gets what quiescent scripts prints",
            scripts_are_there,
        ),
        ("a namespace gets them when it opts in", opting_in_counts),
        ("what is deleted comes back", what_is_deleted_comes_back),
        ("what was changed by hand is put right", changes_are_undone),
        (
            "excluded and terminating namespaces are left alone",
            others_are_left_alone,
        ),
        (
            "an old version stays while a pod uses it, is marked, and goes",
            old_versions_go,
        ),
        (
            "files of policies that turn bad leave the last good ones, and an Event says so",
            bad_files_are_told_of,
        ),
        (
            "pods made without the webhook are counted, and their owners told",
            missed::they_are_counted_and_told_of,
        ),
        (
            "they are told once, and by the leader alone",
            missed::they_are_told_of_once_and_by_the_leader,
        ),
        (
            "annotations of running pods are put right, and nothing that needs a volume",
            missed::annotations_are_put_right_in_place,
        ),
        (
            "a policy of the cluster says whether it is in force, and its scripts are there",
            |stage| {
                policies_say_whether_they_are_in_force(stage, "told");
            },
        ),
        (
            "when the leader is killed the other one takes over",
            the_other_takes_over,
        ),
        (
            "a leader that slept does not write any more",
            whoever_slept_does_not_write,
        ),
        (
            "an API server that does not answer is waited for",
            the_api_server_may_be_silent,
        ),
        ("the API server may go and come back", the_api_server_may_go),
        ("policies of the cluster are followed as before", |stage| {
            policies_say_whether_they_are_in_force(stage, "told-again");
        }),
        (
            "who may not read is not ready, and says why",
            who_may_not_read_says_so,
        ),
        (
            "pods are made anew one by one, where asked for, allowed and of use",
            missed::pods_are_made_anew_one_by_one,
        ),
        (
            "a leader that is told to stop gives the lease back",
            the_lease_is_given_back,
        ),
        (
            "the rights that deploy/ gives it are those that are used",
            no_right_too_many,
        ),
    ];
    try_all(&scenarios, |scenario| scenario(&stage));
}

impl Stage {
    fn new() -> Self {
        let api = ApiServer::start(&[]);
        // Without the webhook's entries: it is not there.
        let mut objects = deploy::overlay("opt-in");
        objects.retain(|object| object["kind"] != "MutatingWebhookConfiguration");
        api.apply(&objects);
        let kubeconfig = api.kubeconfig_of("quiescent", "quiescent-controller");
        let policies = tempfile::tempdir().unwrap();
        let folder = policies.path().join("postgresql-dump");
        let folder = folder.to_str().unwrap();
        let exported = quiescent(&["library", "export", "postgresql-dump", folder]).output();
        assert!(exported.unwrap().status.success());

        let stage = Self {
            api,
            policies,
            kubeconfig,
            replicas: RefCell::default(),
            restarted: RefCell::default(),
        };
        // It goes before anybody looks at it.
        stage.database("leaving", &json!({"quiescent.dev/inject": "enabled"}));
        stage
            .api
            .kubectl
            .run("delete namespace leaving --wait=false");
        for _ in 0..2 {
            let replica = stage.replica(&stage.kubeconfig);
            replica.ready();
            stage.replicas.borrow_mut().push(replica);
        }
        stage
    }

    fn replica(&self, kubeconfig: &str) -> Process {
        self.replica_with(kubeconfig, &[])
    }

    pub fn replica_with(&self, kubeconfig: &str, more: &[&str]) -> Process {
        let policies = self.policies.path().to_str().unwrap();
        let arguments = [
            "--admin=127.0.0.1:0",
            "--mode=opt-in",
            "--watch-policies",
            "--lease-namespace=quiescent",
            "--lease-duration=8s",
            "--interval=2s",
            "--reload=100ms",
            "--keep-scripts=1s",
            "--kubeconfig",
            kubeconfig,
            "--policies",
            policies,
        ];
        Process::start("controller", arguments.iter().chain(more)).0
    }

    /// A namespace with a StatefulSet of PostgreSQL.
    fn database(&self, namespace: &str, labels: &Value) {
        self.api.namespace(namespace, labels);
        let labels = json!({"app": "pg"});
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "pg"},
            "spec": {
                "selector": {"matchLabels": labels}, "serviceName": "pg",
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "postgres", "image": "postgres:17"}]},
                },
            },
        });
        let create = format!("create -n {namespace} -f -");
        self.api.kubectl.apply(&create, &set.to_string());
    }

    pub fn opted_in(&self, namespace: &str) {
        self.database(namespace, &json!({"quiescent.dev/inject": "enabled"}));
    }

    /// What the program prints for a namespace, for the policies as they are now.
    fn printed(&self, namespace: &str) -> Value {
        let policies = self.policies.path().to_str().unwrap();
        let print = ["scripts", "-n", namespace, "-o", "json", "--policies"];
        let output = quiescent(&[&print[..], &[policies]].concat()).output();
        let list: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        list["items"][0].clone()
    }

    fn name(&self) -> String {
        let printed = self.printed("any");
        printed["metadata"]["name"].as_str().unwrap().to_owned()
    }

    fn config_map(&self, namespace: &str, name: &str) -> Option<Value> {
        let get = format!("get configmap -n {namespace} {name} -o json");
        let text = self.api.kubectl.attempt(&get, "").ok()?;
        Some(serde_json::from_str(&text).unwrap())
    }

    /// Waits until the object is there, with another uid than one that was there before.
    #[track_caller]
    pub fn there(&self, namespace: &str, before: Option<&Value>) -> Value {
        let name = self.name();
        let uid = before.map(|it| it["metadata"]["uid"].clone());
        eventually(&format!("{name} is in {namespace}"), SOON, || {
            self.config_map(namespace, &name)
                .filter(|now| Some(&now["metadata"]["uid"]) != uid.as_ref())
        })
    }

    /// Deletes the scripts of a namespace and waits until they are back.
    #[track_caller]
    fn comes_back(&self, namespace: &str) -> Value {
        let name = self.name();
        let before = self.there(namespace, None);
        self.api
            .kubectl
            .run(&format!("delete configmap -n {namespace} {name}"));
        self.there(namespace, Some(&before))
    }

    fn ours(&self, namespace: &str) -> Vec<Value> {
        let ours = "-l app.kubernetes.io/managed-by=quiescent";
        let get = format!("get configmap -n {namespace} {ours}");
        let list = self.api.kubectl.json(&get, "");
        list["items"].as_array().unwrap().clone()
    }

    /// The position of the replica that leads.
    pub fn leader(&self) -> usize {
        eventually("one replica leads", SOON, || {
            let replicas = self.replicas.borrow();
            replicas.iter().position(leads)
        })
    }

    /// Sends a signal to all replicas.
    fn all(&self, signal: &str) {
        for replica in &*self.replicas.borrow() {
            replica.signal(signal);
        }
    }

    fn holder(&self) -> Value {
        let lease = "get lease -n quiescent quiescent-controller";
        let lease = self.api.kubectl.json(lease, "");
        lease["spec"]["holderIdentity"].clone()
    }
}

fn metric(replica: &Process, name: &str) -> Option<f64> {
    let metrics = replica.admin("/metrics")?;
    let line = metrics.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

pub fn leads(replica: &Process) -> bool {
    metric(replica, "quiescent_controller_leader ") == Some(1.0)
}

fn put_right(replica: &Process) -> usize {
    replica.log().matches("scripts put right").count()
}

fn scripts_are_there(stage: &Stage) {
    stage.opted_in("shop");
    let mut made = stage.there("shop", None);
    let printed = stage.printed("shop");
    let metadata = made["metadata"].as_object_mut().unwrap();
    for of_the_server in [
        "uid",
        "resourceVersion",
        "creationTimestamp",
        "managedFields",
    ] {
        metadata.remove(of_the_server);
    }
    assert_eq!(made, printed);
}

fn opting_in_counts(stage: &Stage) {
    stage.database("quiet", &json!({}));
    // Whoever knows of this one has heard of that one before.
    stage.opted_in("loud");
    stage.there("loud", None);
    assert_eq!(stage.ours("quiet"), Vec::<Value>::new());
    stage
        .api
        .kubectl
        .run("label namespace quiet quiescent.dev/inject=enabled");
    stage.there("quiet", None);
}

fn what_is_deleted_comes_back(stage: &Stage) {
    stage.opted_in("deleted");
    stage.comes_back("deleted");
}

fn changes_are_undone(stage: &Stage) {
    stage.opted_in("changed");
    let kubectl = &stage.api.kubectl;
    let name = stage.name();
    let made = stage.there("changed", None);
    let printed = stage.printed("changed");

    // Immutable: who changes it makes another one, and must be faster than we are.
    let mut other = printed.clone();
    other["data"]["pre.sh"] = "exit 0\n".into();
    stage.all("STOP");
    kubectl.apply("replace --force -f -", &other.to_string());
    stage.all("CONT");
    let now = eventually("it says what its name says", SOON, || {
        stage
            .config_map("changed", &name)
            .filter(|now| now["data"] == printed["data"])
    });
    assert_ne!(now["metadata"]["uid"], made["metadata"]["uid"]);

    // Nobody would find it again.
    kubectl.run(&format!(
        "label configmap -n changed {name} app.kubernetes.io/managed-by-"
    ));
    eventually("it has its labels again", SOON, || {
        stage
            .config_map("changed", &name)
            .filter(|now| now["metadata"]["labels"] == printed["metadata"]["labels"])
    });
}

fn others_are_left_alone(stage: &Stage) {
    for namespace in ["kube-data", "velero"] {
        stage.opted_in(namespace);
    }
    // Whoever knows of this one has heard of those before.
    stage.opted_in("witness");
    stage.there("witness", None);
    for namespace in ["kube-data", "velero", "leaving"] {
        assert_eq!(stage.ours(namespace), Vec::<Value>::new(), "{namespace}");
        for replica in &*stage.replicas.borrow() {
            let field = format!("\"namespace\":\"{namespace}\"");
            assert!(!replica.log().contains(&field), "{}", replica.log());
        }
    }
}

fn old_versions_go(stage: &Stage) {
    stage.opted_in("ageing");
    let kubectl = &stage.api.kubectl;
    let old = stage.name();
    stage.there("ageing", None);
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pg-0"},
        "spec": {
            "containers": [{"name": "postgres", "image": "postgres:17"}],
            "volumes": [{"name": "quiescent-postgresql-dump", "configMap": {"name": old, "optional": true}}],
        },
    });
    kubectl.apply("create -n ageing -f -", &pod.to_string());

    let script = stage.policies.path().join("postgresql-dump/scripts/pre.sh");
    let text = fs::read_to_string(&script).unwrap();
    fs::write(&script, text + "# another version\n").unwrap();
    assert_ne!(stage.name(), old);
    stage.there("ageing", None);
    // Others had it too, and nothing that uses it: there it is gone when its time is over.
    eventually("the old version is gone where nobody uses it", SOON, || {
        stage.config_map("shop", &old).is_none().then_some(())
    });
    let kept = stage.config_map("ageing", &old).expect("a pod uses it");
    assert_eq!(kept["metadata"]["annotations"], Value::Null);

    kubectl.run("delete pod -n ageing pg-0 --force --grace-period=0");
    eventually("the old version is gone", SOON, || {
        stage.config_map("ageing", &old).is_none().then_some(())
    });
    let leader = stage.leader();
    let replicas = stage.replicas.borrow();
    for step in ["mark_unused", "delete"] {
        replicas[leader].logged(&["ageing", &old, step]);
    }
}

fn policies_say_whether_they_are_in_force(stage: &Stage, namespace: &str) {
    stage.opted_in(namespace);
    stage.there(namespace, None);
    let kubectl = &stage.api.kubectl;
    let apply = "apply --warnings-as-errors -f -";
    let mut folders = library::FOLDERS.iter();
    let folder = folders.find(|it| it.name == "postgresql-dump");
    let mut own = manifests(&folder.unwrap().input(), Some(namespace)).remove(0);
    own["spec"]["scriptFiles"]["pre.sh"] = "exit 0\n".into();
    kubectl.apply(apply, &own.to_string());
    let condition = |reason: &str| {
        eventually(&format!("it says {reason}"), SOON, || {
            let get = format!("get hookpolicy -n {namespace} postgresql-dump");
            let object = kubectl.json(&get, "");
            let condition = object["status"]["conditions"][0].clone();
            let current = condition["observedGeneration"] == object["metadata"]["generation"];
            (current && condition["reason"] == reason).then_some(condition)
        })
    };
    let accepted = condition("Accepted");
    assert_eq!(accepted["status"], "True");
    let message = accepted["message"].as_str().unwrap();
    assert!(message.contains("in place of"), "{message}");
    // The scripts of the namespace's own policy are there, beside those of the file's until they go.
    let made = || {
        let ours = stage.ours(namespace);
        ours.into_iter()
            .find(|it| it["data"]["pre.sh"] == "exit 0\n")
    };
    eventually("its scripts are there", SOON, made);

    own["spec"]["hooks"]["pre"]["timeout"] = "5h".into();
    kubectl.apply(apply, &own.to_string());
    let refused = condition("LastGoodInForce");
    assert_eq!(refused["status"], "False");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.starts_with("QP008 at spec.hooks.pre.timeout: "),
        "{message}"
    );

    let mut never_good = own.clone();
    never_good["kind"] = "ClusterHookPolicy".into();
    never_good["metadata"] = json!({"name": namespace});
    kubectl.apply(apply, &never_good.to_string());
    eventually("it says that it is not in force", SOON, || {
        let object = kubectl.json(&format!("get clusterhookpolicy {namespace}"), "");
        (object["status"]["conditions"][0]["reason"] == "Invalid").then_some(())
    });

    own["spec"]["hooks"]["pre"]["timeout"] = "5m".into();
    own["spec"]["hooks"].as_object_mut().unwrap().remove("post");
    kubectl.apply(apply, &own.to_string());
    let warned = condition("AcceptedWithWarnings");
    let message = warned["message"].as_str().unwrap();
    assert!(
        message.contains("QP026 (warning) at spec.hooks.pre: "),
        "{message}"
    );

    kubectl.run(&format!("delete clusterhookpolicy {namespace}"));
    kubectl.run(&format!("delete hookpolicy -n {namespace} postgresql-dump"));
    stage.there(namespace, None);
    eventually("its scripts are gone", SOON, || {
        made().is_none().then_some(())
    });
}

fn bad_files_are_told_of(stage: &Stage) {
    let file = stage.policies.path().join("postgresql-dump/policy.yaml");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{good}---\nkind: Nothing\n  bad")).unwrap();
    eventually("an Event says that the files are refused", SOON, || {
        let events = stage.api.kubectl.json("get events -n quiescent", "");
        let events = events["items"].as_array().unwrap().clone();
        let told = |event: &Value| {
            event["reason"] == "PoliciesRefused"
                && event["involvedObject"]["kind"] == "Lease"
                && event["message"]
                    .to_string()
                    .contains("the last good ones stay in force")
        };
        events.iter().any(told).then_some(())
    });
    fs::write(&file, good).unwrap();
}

fn the_other_takes_over(stage: &Stage) {
    stage.opted_in("inherited");
    stage.there("inherited", None);
    let leader = stage.leader();
    let mut killed = stage.replicas.borrow_mut().remove(leader);
    let holder = stage.holder();
    killed.kill();
    stage.comes_back("inherited");
    assert_ne!(stage.holder(), holder);
    stage.leader();
}

fn whoever_slept_does_not_write(stage: &Stage) {
    stage.opted_in("awake");
    stage.there("awake", None);
    let sleeper = stage.leader();
    let sleeper = stage.replicas.borrow_mut().remove(sleeper);
    let written = put_right(&sleeper);
    sleeper.signal("STOP");
    let other = stage.replica(&stage.kubeconfig);
    stage.replicas.borrow_mut().push(other);
    stage.comes_back("awake");
    // It wakes up in the belief that it leads, and with news of something to do.
    stage.opted_in("tempting");
    sleeper.signal("CONT");
    sleeper.logged(&["not leading any more"]);
    stage.there("tempting", None);
    stage.comes_back("awake");
    assert_eq!(put_right(&sleeper), written, "{}", sleeper.log());
    stage.replicas.borrow_mut().push(sleeper);
}

fn the_api_server_may_be_silent(stage: &Stage) {
    stage.opted_in("silent");
    stage.there("silent", None);
    let pid = stage.api.directory.path().join("kube-apiserver.pid");
    let pid = fs::read_to_string(pid).unwrap();
    let signal = |name| run(Command::new("kill").args(["-s", name, pid.trim()])).unwrap();
    signal("STOP");
    for replica in &*stage.replicas.borrow() {
        eventually("nobody leads", SOON, || (!leads(replica)).then_some(()));
        assert!(replica.admin("/livez").is_some());
        assert!(replica.admin("/readyz").is_some());
    }
    signal("CONT");
    stage.comes_back("silent");
}

fn the_api_server_may_go(stage: &Stage) {
    stage.opted_in("patient");
    stage.there("patient", None);
    let directory = stage.api.directory.path();
    let pid = directory.join("kube-apiserver.pid");
    let words = fs::read_to_string(&pid).unwrap();
    let words = fs::read(format!("/proc/{}/cmdline", words.trim())).unwrap();
    let words: Vec<String> = words
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .filter(|word| !word.is_empty())
        .collect();
    run(Command::new(kit("envtest/stop"))
        .arg(directory)
        .arg("kube-apiserver"))
    .unwrap();
    for replica in &*stage.replicas.borrow() {
        replica.logged(&["the watch of pods broke"]);
        eventually("nobody leads", SOON, || (!leads(replica)).then_some(()));
        assert!(replica.admin("/livez").is_some());
    }
    let log = fs::File::create(directory.join("kube-apiserver.log")).unwrap();
    let again = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap();
    fs::write(pid, again.id().to_string()).unwrap();
    *stage.restarted.borrow_mut() = Some(again);
    eventually("the API server is back", SOON, || {
        stage.api.kubectl.attempt("get --raw /readyz", "").ok()
    });
    stage.comes_back("patient");
    for replica in &*stage.replicas.borrow() {
        eventually("the watch of pods works again", SOON, || {
            let log = replica.log();
            log.contains("the watch of pods works again").then_some(())
        });
        replica.ready();
    }
}

fn who_may_not_read_says_so(stage: &Stage) {
    stage.api.namespace("powerless", &json!({}));
    let powerless = stage.replica(&stage.api.kubeconfig_of("powerless", "default"));
    powerless.logged(&["may we list and watch statefulsets?"]);
    powerless.logged(&["may we get, create and update leases in its namespace?"]);
    let (status, sentence) = powerless.answer("/readyz").unwrap();
    assert_eq!(status, "503");
    assert!(
        sentence.starts_with("not ready: namespaces, configmaps, pods"),
        "{sentence}"
    );
}

fn the_lease_is_given_back(stage: &Stage) {
    let leader = stage.leader();
    let mut replicas = stage.replicas.borrow_mut();
    let mut leader = replicas.remove(leader);
    // With nobody else there it stays given back.
    replicas.clear();
    leader.signal("TERM");
    assert!(leader.ended(), "{}", leader.log());
    assert_eq!(stage.holder(), "");
}

/// What the API server was asked for by our account, and what the account may do.
fn no_right_too_many(stage: &Stage) {
    let roles = [
        "clusterrole quiescent-controller",
        "clusterrole quiescent-heal",
        "role -n quiescent quiescent-controller",
    ];
    assert_eq!(
        stage.api.asked_by("quiescent-controller"),
        stage.api.allowed_by(&roles)
    );
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.replicas.borrow_mut().clear();
        if let Some(mut server) = self.restarted.borrow_mut().take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}
