//! Databases that are written to while their claims are snapshot: each snapshot that is called consistent is
//! restored beside the original, and of what had been acknowledged before nothing is missing.
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::ground::{Ground, Taken};
use crate::{
    cluster::{
        Steps,
        server::{Engine, Server, frozen, locked, with_one_claim, with_two_claims},
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
    /// Pods, each with the name of the one that is restored.
    of: &'static [(&'static str, &'static str)],
}

const TAKES: [Take; 7] = [
    Take {
        what: "PostgreSQL, one claim",
        words: &["pod/pg", "--snapshot-class", "csi"],
        of: &[("pg", "pg-again")],
    },
    Take {
        what: "PostgreSQL, two claims, frozen",
        words: &["pod/pg2", "--snapshot-class", "csi"],
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
        of: &[(FROZEN, "pg2-copied")],
    },
    Take {
        what: "PostgreSQL, two claims, as a group",
        words: &["pod/pg3", "--group", "always"],
        of: &[(GROUPED, "pg3-again")],
    },
    Take {
        what: "MariaDB and Redis together",
        words: &["-l", "app in (mariadb,redis)", "--snapshot-class", "csi"],
        of: &[("mariadb", "mariadb-again"), ("redis", "redis-again")],
    },
    Take {
        what: "MariaDB and Redis, as a group",
        words: &["-l", "app in (mariadb,redis)", "--group", "always"],
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
        of: &[(LOCKED, "locked-copied")],
    },
];

/// How many, when somebody said so.
pub fn wanted() -> Option<u32> {
    let rounds = std::env::var("QUIESCENT_ROUNDS").ok()?;
    Some(rounds.parse().expect("QUIESCENT_ROUNDS is a number"))
}

pub fn every_acknowledged_write_comes_back(ground: &Ground, steps: &Steps) {
    ground.node.namespace(NAMESPACE, "");
    let [_, secret] = locked(LOCKED);
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
    let mut seen = TAKES.map(|_| Vec::new());
    for number in 1..=wanted().unwrap_or(1) {
        let round = TAKES.map(|take| taken(ground, &take, &load));
        are_restored(ground, &round);
        for ((take, one), seen) in TAKES.iter().zip(round).zip(&mut seen) {
            steps.done(&format!("round {number}, {}: {one}", take.what));
            seen.push(one);
        }
        ground.forgets(NAMESPACE);
    }
    for (_, writers) in load {
        writers.stop();
    }
    for (take, seen) in TAKES.iter().zip(&seen) {
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
        LOCKED => locked(pod)[0].clone(),
        _ => with_one_claim(pod, engine, &json!({"quiescent.dev/method": "snapshot"})),
    };
    spec["metadata"]["labels"]["app"] = pod.into();
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
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "held {:.2?}, cut after {:.2?}, of which the driver took {:.2?}; all is there; writers stood for {:.2?}",
            self.held(),
            self.taken.seconds("cutSeconds"),
            self.driver,
            self.silence,
        )
    }
}

impl Seen {
    fn held(&self) -> Duration {
        self.taken.seconds("heldSeconds")
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
    taken.is("consistent", 0);
    for writers in &of {
        writers.have_written(20);
    }
    for [_, name, content] in taken.snapshots() {
        let get = format!("get volumesnapshot -n {NAMESPACE} {name}");
        let labels = &ground.node.kubectl.json(&get, "")["metadata"]["labels"];
        assert_eq!(labels["quiescent.dev/consistent"], "true", "{content}");
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
    }
}

fn find<'l, 'g>(load: &'l [(Server<'g>, Writers)], pod: &str) -> &'l (Server<'g>, Writers) {
    load.iter().find(|(server, _)| server.pod == pod).unwrap()
}

/// Of no snapshot an acknowledged write is missing, and nothing is damaged.
fn are_restored(ground: &Ground, round: &[Seen]) {
    let kubectl = &ground.node.kubectl;
    let mut pods = Vec::new();
    for (take, seen) in TAKES.iter().zip(round) {
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
    for (take, seen) in TAKES.iter().zip(round) {
        for due in &seen.due {
            let server = servers.next().unwrap();
            server.is_ready();
            let written = server
                .record()
                .unwrap_or_else(|why| panic!("{}: {why}", take.what));
            assert_eq!(lost(*due, written), 0, "{}: {:#?}", take.what, seen.taken);
        }
    }
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
}

/// How many acknowledged writes are missing.
pub fn lost(due: Record, written: Record) -> u64 {
    (0..WRITERS)
        .map(|writer| due[writer].saturating_sub(written[writer]))
        .sum()
}

/// How often, and in milliseconds the median (least to most) of what was held, of the driver's part of
/// that, of the rest, and of the time in which nobody could write.
fn row(take: &Take, seen: &[Seen]) -> String {
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
    let more = |it: &Seen| it.held().saturating_sub(it.driver);
    let stood = |it: &Seen| it.silence;
    format!(
        "| {} | {} | {} | {} | {} | {} |",
        take.what,
        seen.len(),
        milliseconds(&Seen::held),
        milliseconds(&|it| it.driver),
        milliseconds(&more),
        milliseconds(&stood),
    )
}
