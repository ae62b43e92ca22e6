//! What goes wrong between the first pre hook and the last post hook: nothing stays held for longer than the
//! dead-man switch, nothing is called consistent that was not cut while all held, and nothing is lost.
//!
//! A PostgreSQL whose file systems are frozen, and beside it an application with hooks of its author, which
//! do what the test wants, and whose post hook runs first.
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    ground::{Ground, Taken, Taking},
    rounds::lost,
    stops,
};
use crate::{
    apiserver::kit::eventually,
    cluster::{
        Steps,
        node::SOON,
        server::{Engine, Server, frozen, with_two_claims},
    },
    databases::writers::Writers,
};

pub const NAMESPACE: &str = "faults";

const HELD: &str = "held";

/// Its hooks run after pre and before post of the other.
const MAIL: &str = "mail";

/// After so long the file systems thaw by themselves.
const LIMIT: Duration = Duration::from_secs(45);

/// Both pods.
pub const BOTH: [&str; 2] = ["-l", "faults=yes"];

pub fn nothing_stays_held_and_nothing_is_called_what_it_is_not(ground: &Ground, steps: &Steps) {
    let mut pair = Pair::start(ground, steps);
    pair.is_fine();
    steps.done("nothing goes wrong: both hold, both are consistent");
    pre_fails(&pair, steps);
    pre_hangs(&pair, steps);
    the_driver_never_cuts(&pair, steps);
    the_driver_fails(&pair, steps);
    stops::at_every_step(&pair, steps);
    two_at_once(&pair, steps);
    the_kubelet_is_away(&pair, steps);
    the_api_server_is_away(&pair, steps);
    the_pod_is_deleted(&mut pair, steps);
    pair.comes_back(steps);
}

/// The two pods, and writers at the database.
pub struct Pair<'g> {
    pub ground: &'g Ground,
    held: Server<'g>,
    writers: Option<Writers>,
    /// Where the hooks of the application are, and what they leave.
    mail: PathBuf,
}

impl<'g> Pair<'g> {
    fn start(ground: &'g Ground, steps: &Steps) -> Self {
        ground.node.namespace(NAMESPACE, "");
        for volume in ["data", "wal"] {
            ground.claim(NAMESPACE, &format!("{HELD}-{volume}"), "csi-ext4", None);
        }
        ground.claim(NAMESPACE, MAIL, "csi", None);
        let mail = ground.files(NAMESPACE, MAIL);
        eventually("the storage has the claim", SOON, || {
            mail.exists().then_some(())
        });
        let held = Server {
            node: &ground.node,
            namespace: NAMESPACE,
            pod: HELD,
            engine: Engine::PostgreSql,
        };
        let mut pair = Self {
            ground,
            held,
            writers: None,
            mail,
        };
        pair.hooks(":", ":");
        pair.create();
        ground.create(NAMESPACE, MAIL, application());
        ground.node.kubectl.run(&format!(
            "wait -n {NAMESPACE} --for condition=Ready pod/{MAIL} --timeout 180s"
        ));
        pair.held.fill();
        pair.writers = Some(pair.held.writers());
        steps.done("a PostgreSQL on two claims that are frozen, and an application with hooks of its author");
        pair
    }

    fn create(&self) {
        let limit = format!("{}s", LIMIT.as_secs());
        let mut pod = frozen(HELD, &limit);
        pod["metadata"]["labels"]["faults"] = "yes".into();
        self.ground.create(NAMESPACE, HELD, pod);
        self.held.is_ready();
    }

    /// What the hooks of the application do, in the words of a shell.
    pub fn hooks(&self, pre: &str, post: &str) {
        for (name, words) in [("pre", pre), ("post", post)] {
            let script = format!("echo {name} >>/data/log\n{words}\n");
            fs::write(self.mail.join(name), script).unwrap();
        }
        for left in ["log", "go"] {
            let _ = fs::remove_file(self.mail.join(left));
        }
    }

    /// Waits until a hook of the application has begun so often.
    pub fn has_begun(&self, hook: &str, times: usize) {
        eventually("the application's hook runs", SOON, || {
            let log = fs::read_to_string(self.mail.join("log")).ok()?;
            (log.lines().filter(|it| *it == hook).count() >= times).then_some(())
        });
    }

    /// A hook that waits for it goes on.
    pub fn go(&self) {
        fs::write(self.mail.join("go"), "").unwrap();
    }

    /// The hold that is in force, as the hooks of the database keep it.
    pub fn hold(&self) -> Option<String> {
        let uid = self.held.pod()["metadata"]["uid"].as_str()?.to_owned();
        let node = self.ground.node.directory().join("node/kubelet/pods");
        let state = node
            .join(uid)
            .join("volumes/kubernetes.io~empty-dir/quiescent-state/filesystem-freeze");
        let files = fs::read_dir(state).ok()?.flatten();
        let mut names = files.filter_map(|it| it.file_name().into_string().ok());
        names.find(|it| {
            ["taking.", "held.", "ending.", "expiring."]
                .iter()
                .any(|kind| it.starts_with(kind))
        })
    }

    pub fn is_held(&self) {
        eventually("it is held", SOON, || {
            self.hold().filter(|it| it.starts_with("held."))
        });
    }

    /// Waits until the request for the snapshots has been made.
    pub fn is_asked_for(&self) {
        eventually("the snapshots are asked for", SOON, || {
            (self.ground.snapshots(NAMESPACE).len() == 3).then_some(())
        });
    }

    /// How many acknowledged writes there are, and when.
    fn writers(&self) -> &Writers {
        self.writers.as_ref().unwrap()
    }

    /// Writers get on; nothing was held for longer than the dead-man switch allows, with what a busy machine
    /// needs. Returns how long they stood.
    #[track_caller]
    pub fn goes_on(&self, since: Instant) -> Duration {
        eventually("nothing is held", SOON, || {
            self.hold().is_none().then_some(())
        });
        self.writers().have_written(20);
        let stood = self.writers().pace(since, Instant::now()).silence;
        assert!(
            stood < LIMIT + Duration::from_secs(30),
            "writers stood for {stood:?}"
        );
        stood
    }

    /// No snapshot is labelled consistent, beside those of these runs that were.
    #[track_caller]
    pub fn none_is_called_consistent(&self) {
        for it in self.ground.snapshots(NAMESPACE) {
            let label = &it["metadata"]["labels"]["quiescent.dev/consistent"];
            assert_eq!(label, "false", "{it:#}");
        }
    }

    pub fn begin(&self, more: &[&str]) -> Taking {
        self.begin_of_class("csi", more)
    }

    pub fn begin_of_class(&self, class: &str, more: &[&str]) -> Taking {
        let words = [&BOTH[..], &["--snapshot-class", class], more].concat();
        self.ground.begin(NAMESPACE, &words)
    }

    /// A snapshot of both that nothing disturbs; it and all others are deleted.
    #[track_caller]
    pub fn is_fine(&self) {
        self.hooks(":", ":");
        let since = Instant::now();
        self.begin(&[]).ended().is("consistent", 0);
        self.goes_on(since);
        self.ground.forgets(NAMESPACE);
    }

    /// What was acknowledged up to now is in a snapshot that is taken now.
    fn comes_back(self, steps: &Steps) {
        let due = self.writers().record();
        let taken = self.begin(&[]).ended();
        taken.is("consistent", 0);
        self.writers.unwrap().stop();
        for [claim, snapshot, _] in taken.snapshots() {
            if let Some(volume) = claim.strip_prefix("held-") {
                let again = format!("again-{volume}");
                self.ground
                    .claim(NAMESPACE, &again, "csi-ext4", Some(snapshot));
            }
        }
        self.ground
            .create(NAMESPACE, "again", with_two_claims("again", &json!({})));
        let again = Server {
            pod: "again",
            ..self.held
        };
        again.is_ready();
        let written = again.record().unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(lost(due, written), 0, "{due:?} {written:?}");
        let kubectl = &self.ground.node.kubectl;
        kubectl.run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
        steps.done("after all faults: taken, restored, and every acknowledged write is there");
    }
}

fn application() -> Value {
    let command = |hook: &str| json!(["/bin/sh", "-c", format!(". /data/{hook}")]).to_string();
    json!({
        "metadata": {
            "labels": {"faults": "yes"},
            "annotations": {
                "pre.hook.backup.velero.io/command": command("pre"),
                "pre.hook.backup.velero.io/timeout": "10s",
                "pre.hook.backup.velero.io/on-error": "Fail",
                "post.hook.backup.velero.io/command": command("post"),
                "post.hook.backup.velero.io/timeout": "2m",
            },
        },
        "spec": {
            "containers": [{
                "name": "mail", "image": "quiescent.test/postgres:15",
                "command": ["sleep", "infinity"],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": MAIL}}],
        },
    })
}

/// What a hook does that waits until the test lets it go on.
pub const WAITS: &str = "until [ -e /data/go ]; do sleep 0.1; done";

/// Nothing was taken, nothing is left, and the hooks that held have let go.
#[track_caller]
fn nothing_came_of_it(pair: &Pair, taken: &Taken, since: Instant) {
    taken.is("undone", 2);
    pair.goes_on(since);
    pair.ground.nothing_is_stored();
}

fn pre_fails(pair: &Pair, steps: &Steps) {
    pair.hooks("echo no room for mail >&2; exit 3", ":");
    let since = Instant::now();
    let taken = pair.begin(&[]).ended();
    taken.because("no room for mail");
    nothing_came_of_it(pair, &taken, since);
    steps.done("a pre hook fails: the other is let go, no snapshot is made");
}

fn pre_hangs(pair: &Pair, steps: &Steps) {
    pair.hooks(WAITS, ":");
    let since = Instant::now();
    let taking = pair.begin(&[]);
    // It ends while it is waited for after all, so that post is run once more.
    pair.has_begun("post", 1);
    pair.go();
    pair.has_begun("post", 2);
    let taken = taking.ended();
    taken.because("timed out");
    nothing_came_of_it(pair, &taken, since);
    steps.done("a pre hook hangs beyond its timeout: undone, and once more when it ends late");
}

fn the_driver_never_cuts(pair: &Pair, steps: &Steps) {
    pair.hooks(":", ":");
    let since = Instant::now();
    let still = pair.ground.part("node/driver").stands_still();
    let taken = pair.begin(&["--cut-timeout", "5s"]).ended();
    taken.is("undone", 2);
    taken.because("not cut within 5s");
    let stood = pair.goes_on(since);
    drop(still);
    nothing_came_of_it(pair, &taken, since);
    steps.done(&format!(
        "a driver that does not cut: undone after {stood:.1?}, and what it cuts later is deleted"
    ));
}

fn the_driver_fails(pair: &Pair, steps: &Steps) {
    pair.hooks(":", ":");
    let since = Instant::now();
    let taken = pair
        .begin_of_class("csi-broken", &["--cut-timeout", "10s"])
        .ended();
    taken.because("no such method");
    nothing_came_of_it(pair, &taken, since);
    steps.done("a driver that fails: undone, and its words are told");
}

/// While the first holds, and waits for a cut.
fn two_at_once(pair: &Pair, steps: &Steps) {
    pair.hooks(":", ":");
    let since = Instant::now();
    let still = pair.ground.part("node/driver").stands_still();
    let first = pair.begin(&[]);
    pair.is_held();
    pair.is_asked_for();
    let hold = pair.hold();
    let mut second = pair.begin(&[]);
    // It is refused, takes over what the first holds, or waits for its end.
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until && !second.has_ended() && pair.hold() == hold {
        std::thread::sleep(Duration::from_millis(50));
    }
    let taken_over = pair.hold() != hold;
    drop(still);
    let (first, second) = (first.ended(), second.ended());
    if taken_over {
        assert_ne!(first.verdict(), "consistent", "{first:#?} {second:#?}");
    }
    for taken in [&first, &second] {
        for [_, name, _] in taken.snapshots() {
            let label = labelled(pair, name);
            assert_eq!(
                label == "true",
                taken.verdict() == "consistent",
                "{taken:#?}"
            );
        }
    }
    pair.goes_on(since);
    pair.ground.forgets(NAMESPACE);
    steps.done(&format!(
        "two at once: {} and {}",
        told(&first),
        told(&second)
    ));
}

fn labelled(pair: &Pair, snapshot: &str) -> String {
    let all = pair.ground.snapshots(NAMESPACE);
    let found = all.iter().find(|it| it["metadata"]["name"] == *snapshot);
    let label = found.and_then(|it| it["metadata"]["labels"]["quiescent.dev/consistent"].as_str());
    label.unwrap_or_default().to_owned()
}

/// What a run came to, or why it was not begun.
fn told(taken: &Taken) -> String {
    match taken.verdict() {
        "" => taken.complained.trim().to_owned(),
        verdict => verdict.to_owned(),
    }
}

/// It is killed while both hold, and started when the command has given up, or after a while.
fn the_kubelet_is_away(pair: &Pair, steps: &Steps) {
    pair.hooks(":", ":");
    let since = Instant::now();
    let still = pair.ground.part("node/driver").stands_still();
    let mut taking = pair.begin(&[]);
    pair.is_held();
    pair.is_asked_for();
    let start = pair.ground.part("node/kubelet").killed();
    drop(still);
    ends_or(&mut taking, Duration::from_secs(20));
    start();
    let taken = taking.ended();
    truthful(pair, &taken);
    let stood = pair.goes_on(since);
    is_ready_again(pair);
    pair.ground.forgets(NAMESPACE);
    pair.is_fine();
    steps.done(&format!(
        "the kubelet is killed while both hold, and started anew: {}, writers stood for {stood:.1?}",
        taken.verdict()
    ));
}

/// It is killed when all is cut and one post hook runs.
fn the_api_server_is_away(pair: &Pair, steps: &Steps) {
    pair.hooks(":", WAITS);
    let since = Instant::now();
    let mut taking = pair.begin(&[]);
    pair.has_begun("post", 1);
    let start = pair.ground.part("api/kube-apiserver").killed();
    pair.go();
    let away = Duration::from_secs(20);
    let killed = Instant::now();
    ends_or(&mut taking, away);
    std::thread::sleep(away.saturating_sub(killed.elapsed()));
    start();
    let kubectl = &pair.ground.node.kubectl;
    eventually("the API server is back", SOON, || {
        kubectl.attempt("get --raw /readyz", "").ok()
    });
    let taken = taking.ended();
    truthful(pair, &taken);
    let stood = pair.goes_on(since);
    is_ready_again(pair);
    pair.ground.forgets(NAMESPACE);
    pair.is_fine();
    steps.done(&format!(
        "the API server is killed after the cut, for 20 s: {}, writers stood for {stood:.1?}",
        taken.verdict()
    ));
}

fn ends_or(taking: &mut Taking, most: Duration) {
    let until = Instant::now() + most;
    while !taking.has_ended() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn is_ready_again(pair: &Pair) {
    let kubectl = &pair.ground.node.kubectl;
    for what in [
        "node/node".to_owned(),
        format!("-n {NAMESPACE} pod/{HELD} pod/{MAIL}"),
    ] {
        kubectl.run(&format!("wait --for condition=Ready {what} --timeout 180s"));
    }
}

/// What is called consistent had all post hooks run well; the label says the same as the verdict.
#[track_caller]
fn truthful(pair: &Pair, taken: &Taken) {
    let consistent = taken.verdict() == "consistent";
    if consistent {
        for pod in taken.said["pods"].as_array().unwrap() {
            let last = pod["hooks"].as_array().unwrap().last().unwrap();
            assert!(
                last["phase"] == "post" && last["outcome"] == "ok",
                "{taken:#?}"
            );
        }
    } else {
        assert_ne!(taken.code, Some(0), "{taken:#?}");
        pair.none_is_called_consistent();
    }
}

/// While it is frozen; another one is made on the same claims.
fn the_pod_is_deleted(pair: &mut Pair, steps: &Steps) {
    pair.hooks(":", ":");
    let writers = pair.writers.take().unwrap();
    let still = pair.ground.part("node/driver").stands_still();
    let taking = pair.begin(&[]);
    pair.is_held();
    pair.is_asked_for();
    let kubectl = &pair.ground.node.kubectl;
    kubectl.run(&format!("delete pod -n {NAMESPACE} {HELD} --wait=false"));
    let gone = format!("get pod -n {NAMESPACE} {HELD}");
    eventually("its containers have ended", SOON, || {
        match kubectl.attempt(&format!("{gone} -o json"), "") {
            Ok(pod) => {
                let pod: Value = serde_json::from_str(&pod).ok()?;
                let all = pod["status"]["containerStatuses"].as_array()?.clone();
                all.iter()
                    .all(|it| it["state"]["running"].is_null())
                    .then_some(())
            }
            Err(_) => Some(()),
        }
    });
    drop(still);
    let taken = taking.ended();
    assert_ne!(taken.verdict(), "consistent", "{taken:#?}");
    truthful(pair, &taken);
    let due = writers.lost();
    eventually("the pod is gone", SOON, || kubectl.attempt(&gone, "").err());
    pair.create();
    let written = pair.held.record().unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(lost(due, written), 0, "{due:?} {written:?}");
    pair.held
        .ask(&["truncate written; update counter set n = 0"]);
    pair.writers = Some(pair.held.writers());
    pair.ground.forgets(NAMESPACE);
    pair.is_fine();
    steps.done(&format!(
        "the pod is deleted while it is frozen: {}; its successor on the same claims has everything",
        taken.verdict()
    ));
}
