//! Databases that are written to while their claims are snapshot: each snapshot that is called consistent is
//! restored beside the original, and of what had been acknowledged before nothing is missing.
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ground::{Ground, Taken};
use crate::{
    cluster::{
        Steps,
        server::{Engine, PASSWORD, Server, frozen, with_one_claim, with_two_claims},
    },
    databases::writers::{Record, WRITERS, Writers},
};

const NAMESPACE: &str = "taken";

/// PostgreSQL on one claim, on two that are frozen, and on two that nobody holds; MariaDB, MariaDB with a
/// coordinator that locks it, and Redis.
const PODS: [(&str, Engine, &[&str]); 6] = [
    ("pg", Engine::PostgreSql, &["data"]),
    (FROZEN, Engine::PostgreSql, &["data", "wal"]),
    (GROUPED, Engine::PostgreSql, &["data", "wal"]),
    ("mariadb", Engine::MariaDb, &["data"]),
    (LOCKED, Engine::MariaDb, &["data"]),
    ("redis", Engine::Redis, &["data"]),
];

const FROZEN: &str = "pg2";
const GROUPED: &str = "pg3";
const LOCKED: &str = "locked";

/// What is asked for, and what is restored from it.
struct Take {
    what: &'static str,
    words: &'static [&'static str],
    verdict: &'static str,
    /// Pods, each with the name of the one that is restored.
    of: &'static [(&'static str, &'static str)],
}

const TAKES: [Take; 7] = [
    Take {
        what: "PostgreSQL, one claim",
        words: &["pod/pg", "--snapshot-class", "csi"],
        verdict: "consistent",
        of: &[("pg", "pg-again")],
    },
    Take {
        what: "PostgreSQL, two claims, frozen",
        words: &["pod/pg2", "--snapshot-class", "csi"],
        verdict: "consistent",
        of: &[(FROZEN, "pg2-again")],
    },
    Take {
        what: "PostgreSQL, two claims, frozen, copied file by file",
        words: &[
            "pod/pg2",
            "--snapshot-class",
            "csi-copy",
            "--cut-timeout",
            "3m",
        ],
        verdict: "consistent",
        of: &[(FROZEN, "pg2-copied")],
    },
    Take {
        what: "PostgreSQL, two claims, as a group",
        words: &["pod/pg3", "--group", "always"],
        verdict: "consistent",
        of: &[(GROUPED, "pg3-again")],
    },
    Take {
        what: "MariaDB and Redis together",
        words: &["-l", "app in (mariadb,redis)", "--snapshot-class", "csi"],
        verdict: "consistent",
        of: &[("mariadb", "mariadb-again"), ("redis", "redis-again")],
    },
    Take {
        what: "MariaDB and Redis, as a group",
        words: &["-l", "app in (mariadb,redis)", "--group", "always"],
        verdict: "consistent",
        of: &[("mariadb", "mariadb-group"), ("redis", "redis-group")],
    },
    Take {
        what: "MariaDB, locked, copied file by file",
        words: &[
            "pod/locked",
            "--snapshot-class",
            "csi-copy",
            "--cut-timeout",
            "3m",
        ],
        verdict: "consistent",
        of: &[(LOCKED, "locked-copied")],
    },
];

/// The same without hooks, which proves that the load can break a snapshot.
const NAKED: [Take; 3] = [
    Take {
        what: "without hooks: PostgreSQL, one claim, copied file by file",
        words: &[
            "pod/pg",
            "--snapshot-class",
            "csi-copy",
            "--without-hooks",
            "--cut-timeout",
            "3m",
        ],
        verdict: "crash_consistent",
        of: &[("pg", "pg-naked")],
    },
    Take {
        what: "without hooks: PostgreSQL, two claims, copied file by file",
        words: &[
            "pod/pg2",
            "--snapshot-class",
            "csi-copy",
            "--without-hooks",
            "--cut-timeout",
            "3m",
        ],
        verdict: "crash_consistent",
        of: &[(FROZEN, "pg2-naked")],
    },
    Take {
        what: "without hooks: MariaDB, copied file by file",
        words: &[
            "pod/mariadb",
            "--snapshot-class",
            "csi-copy",
            "--without-hooks",
            "--cut-timeout",
            "3m",
        ],
        verdict: "crash_consistent",
        of: &[("mariadb", "mariadb-naked")],
    },
];

/// How many, when somebody said so.
pub fn wanted() -> Option<u32> {
    let rounds = std::env::var("QUIESCENT_ROUNDS").ok()?;
    Some(rounds.parse().expect("QUIESCENT_ROUNDS is a number"))
}

pub fn every_acknowledged_write_comes_back(ground: &Ground, steps: &Steps) {
    ground.node.namespace(NAMESPACE, "");
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": LOCKED},
        "stringData": {"root": PASSWORD},
    });
    let create = format!("create -n {NAMESPACE} -f -");
    ground.node.kubectl.apply(&create, &secret.to_string());
    for (pod, engine, volumes) in PODS {
        for volume in volumes {
            ground.claim(NAMESPACE, &format!("{pod}-{volume}"), class(pod), None);
        }
        ground.create(NAMESPACE, pod, original(pod, engine));
    }
    let databases = PODS.map(|(pod, engine, _)| server(ground, pod, engine));
    for server in &databases {
        server.is_ready();
        server.fill();
    }
    steps.done("three PostgreSQL, two MariaDB and a Redis, four writers at each");
    let load = databases.map(|server| {
        let writers = server.writers();
        (server, writers)
    });
    let takes: Vec<&Take> = match wanted() {
        Some(_) => TAKES.iter().chain(&NAKED).collect(),
        None => TAKES.iter().collect(),
    };
    let mut seen: Vec<Vec<Seen>> = takes.iter().map(|_| Vec::new()).collect();
    for number in 1..=wanted().unwrap_or(1) {
        let round: Vec<Seen> = takes
            .iter()
            .map(|take| taken(ground, take, &load))
            .collect();
        let judged = restored(ground, &takes, &round);
        for (at, (mut one, found)) in round.into_iter().zip(judged).enumerate() {
            if takes[at].verdict == "consistent" {
                assert_eq!(found, Ok(0), "{}: {:#?}", takes[at].what, one.taken);
            }
            one.found = found;
            steps.done(&format!("round {number}, {}: {one}", takes[at].what));
            seen[at].push(one);
        }
        ground.forgets(NAMESPACE);
    }
    for (_, writers) in load {
        writers.stop();
    }
    for (take, seen) in takes.iter().zip(&seen) {
        println!("{}", row(take, seen));
    }
    ground
        .node
        .kubectl
        .run(&format!("delete namespace {NAMESPACE} --timeout 180s"));
}

fn server<'g>(ground: &'g Ground, pod: &'static str, engine: Engine) -> Server<'g> {
    Server {
        node: &ground.node,
        namespace: NAMESPACE,
        pod,
        engine,
    }
}

fn class(pod: &str) -> &'static str {
    // What can be frozen alone is a file system of its own.
    if pod == FROZEN { "csi-ext4" } else { "csi" }
}

fn original(pod: &str, engine: Engine) -> Value {
    let mut spec = match pod {
        FROZEN => frozen(pod, "3m"),
        GROUPED => with_two_claims(pod, &json!({"quiescent.dev/method": "snapshot"})),
        LOCKED => with_one_claim(pod, engine, &json!({"quiescent.dev/method": "lock"})),
        _ => with_one_claim(pod, engine, &json!({"quiescent.dev/method": "snapshot"})),
    };
    spec["metadata"]["labels"]["app"] = pod.into();
    if pod == LOCKED {
        // What stands in the pod itself is not copied to a coordinator.
        spec["spec"]["containers"][0]["env"][0] = json!({
            "name": "MARIADB_ROOT_PASSWORD",
            "valueFrom": {"secretKeyRef": {"name": LOCKED, "key": "root"}},
        });
    }
    spec
}

/// What was seen of one snapshot.
struct Seen {
    taken: Taken,
    /// What had been acknowledged before the command was started, by each pod.
    due: Vec<Record>,
    /// The driver's part of the time.
    driver: Duration,
    /// The longest time in which no write to a pod was acknowledged.
    silence: Duration,
    found: Result<u64, String>,
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            taken,
            driver,
            silence,
            found,
            ..
        } = self;
        let held = match taken.said["heldSeconds"].as_f64() {
            Some(_) => format!("held {:.2?}, ", taken.seconds("heldSeconds")),
            None => String::new(),
        };
        let cut = taken.seconds("cutSeconds");
        write!(
            f,
            "{}, {held}cut after {cut:.2?}, of which the driver took {driver:.2?}; ",
            taken.verdict()
        )?;
        match found {
            Ok(0) => write!(f, "all is there")?,
            Ok(missing) => write!(f, "{missing} acknowledged writes missing")?,
            Err(why) => write!(f, "{why}")?,
        }
        write!(f, "; writers stood for {silence:.2?}")
    }
}

fn taken(ground: &Ground, take: &Take, load: &[(Server, Writers)]) -> Seen {
    let of: Vec<&Writers> = take.of.iter().map(|(pod, _)| &find(load, pod).1).collect();
    for writers in &of {
        writers.have_written(20);
    }
    let (from, due) = (Instant::now(), of.iter().map(|it| it.record()).collect());
    let taken = ground.snapshot(NAMESPACE, take.words);
    let to = Instant::now();
    taken.is(take.verdict, 0);
    for writers in &of {
        writers.have_written(20);
    }
    let labelled = |it: &Value| it["metadata"]["labels"]["quiescent.dev/consistent"].clone();
    for [_, name, content] in taken.snapshots() {
        let get = format!("get volumesnapshot -n {NAMESPACE} {name}");
        let label = labelled(&ground.node.kubectl.json(&get, ""));
        assert_eq!(
            label,
            (take.verdict == "consistent").to_string(),
            "{content}"
        );
    }
    Seen {
        driver: ground.cut_time(NAMESPACE, &taken),
        silence: of
            .iter()
            .map(|it| it.pace(from, to).silence)
            .max()
            .unwrap_or_default(),
        due,
        taken,
        found: Ok(0),
    }
}

fn find<'l, 'g>(load: &'l [(Server<'g>, Writers)], pod: &str) -> &'l (Server<'g>, Writers) {
    load.iter().find(|(server, _)| server.pod == pod).unwrap()
}

/// Of each snapshot the acknowledged writes that are missing, or what is damaged.
fn restored(ground: &Ground, takes: &[&Take], round: &[Seen]) -> Vec<Result<u64, String>> {
    let kubectl = &ground.node.kubectl;
    let mut pods = Vec::new();
    for (take, seen) in takes.iter().zip(round) {
        for (pod, again) in take.of {
            let (_, engine, volumes) = PODS.into_iter().find(|it| it.0 == *pod).unwrap();
            for volume in volumes {
                let claim = format!("{pod}-{volume}");
                let snapshots = seen.taken.snapshots();
                let [_, name, _] = snapshots.iter().find(|it| it[0] == claim).unwrap();
                ground.claim(
                    NAMESPACE,
                    &format!("{again}-{volume}"),
                    class(pod),
                    Some(name),
                );
            }
            let mut pod = match volumes {
                [_, _] => with_two_claims(again, &json!({})),
                _ => with_one_claim(again, engine, &json!({})),
            };
            pod["metadata"]["labels"] = json!({"restored": "yes"});
            ground.create(NAMESPACE, again, pod);
            pods.push(server(ground, again, engine));
        }
    }
    let mut servers = pods.iter();
    let found = takes.iter().zip(round).map(|(take, seen)| {
        let mut missing = Ok(0);
        for due in &seen.due {
            let server = servers.next().unwrap();
            let written = if take.verdict == "consistent" {
                server.is_ready();
                server.record()
            } else {
                server.alone()
            };
            missing = match (missing, written) {
                (Ok(before), Ok(written)) => Ok(before + lost(*due, written)),
                (Err(why), _) | (_, Err(why)) => Err(why.trim().replace('\n', "; ")),
            };
        }
        missing
    });
    let found = found.collect();
    kubectl.run(&format!(
        "delete pods -n {NAMESPACE} -l restored=yes --timeout 120s"
    ));
    let claims = pods
        .iter()
        .flat_map(|it| ["data", "wal"].map(|volume| format!("{}-{volume}", it.pod)));
    let claims: Vec<String> = claims.collect();
    kubectl.run(&format!(
        "delete pvc -n {NAMESPACE} --ignore-not-found --timeout 120s {}",
        claims.join(" ")
    ));
    found
}

/// How many acknowledged writes are missing.
pub fn lost(due: Record, written: Record) -> u64 {
    (0..WRITERS)
        .map(|writer| due[writer].saturating_sub(written[writer]))
        .sum()
}

/// A line of the table of docs/snapshot.md.
fn row(take: &Take, seen: &[Seen]) -> String {
    let right = seen.iter().filter(|it| it.found == Ok(0)).count();
    let milliseconds = |of: &dyn Fn(&Seen) -> Duration| {
        let mut all: Vec<u128> = seen.iter().map(|it| of(it).as_millis()).collect();
        all.sort_unstable();
        format!(
            "{} ({} to {})",
            all[all.len() / 2],
            all[0],
            all[all.len() - 1]
        )
    };
    let held = |it: &Seen| match it.taken.said["heldSeconds"].as_f64() {
        Some(_) => it.taken.seconds("heldSeconds"),
        None => Duration::ZERO,
    };
    let more = |it: &Seen| held(it).saturating_sub(it.driver);
    format!(
        "| {} | {} | {right} | {} | {} | {} |",
        take.what,
        seen.len(),
        milliseconds(&held),
        milliseconds(&|it| it.driver),
        milliseconds(&more),
    )
}
