//! What is resident with many policies, many connections and large bodies, and that it does not grow.

use std::{fmt::Write as _, fs, path::Path, time::Instant};

use hyper::StatusCode;
use tokio::task::JoinSet;

use super::{
    caller::{Caller, trusting_that_of},
    end,
    process::{Process, serve},
    reviews::{patch, review},
};

const POLICIES: usize = 10_000;
const CALLERS: usize = 64;
const BODY: usize = 199_000;

/// Reviews of each caller in one round.
const ROUND: usize = 5;

/// Resident with all that, at most, without the pages of the program itself, of which a build without
/// optimization has many times as many: 29 MiB of policies, 13 of bodies on their way, and some more.
/// Such a build has larger futures too.
const MOST: u64 = (if cfg!(debug_assertions) { 80 } else { 56 }) << 20;

/// What the allocator may keep more than after the first rounds.
const SLACK: u64 = 8 << 20;

#[tokio::test]
async fn ten_thousand_policies_and_large_bodies_stay_small_and_do_not_grow() {
    let directory = tempfile::tempdir().unwrap();
    write_policies(directory.path());
    let path = directory.path().to_str().unwrap();
    let mut command = serve(&["--library", "--policies", path]);
    // As in deploy/base/server.yaml.
    command.env("MALLOC_MMAP_THRESHOLD_", "131072");
    command.env("QUIESCENT_LOG_LEVEL", "warn");
    let process = Process::spawn(command);
    assert!(process.metric("policies").await > POLICIES as u64);
    let idle = process.memory("RssAnon");
    let tls = trusting_that_of(&process).await;
    let mut callers: Vec<Caller> = (0..CALLERS).map(|_| Caller::new(&tls)).collect();

    for _ in 0..3 {
        callers = round(&process, callers).await;
    }
    let warm = process.memory("RssAnon");
    let end = end();
    let mut rounds = 0;
    while rounds < 2 || Instant::now() < end {
        callers = round(&process, callers).await;
        rounds += 1;
    }
    let after = process.memory("RssAnon");
    let reviews = rounds * CALLERS * ROUND;
    eprintln!(
        "memory, in KiB: {} idle, {} warm, {} after {reviews} reviews more",
        idle >> 10,
        warm >> 10,
        after >> 10
    );
    assert!(after <= warm + SLACK, "it has grown");
    assert!(after <= MOST);
}

/// Reviews of all callers at once.
async fn round(process: &Process, callers: Vec<Caller>) -> Vec<Caller> {
    let address = process.webhook;
    let body = review("large", BODY);
    let mut sending = JoinSet::new();
    for mut caller in callers {
        let body = body.clone();
        sending.spawn(async move {
            for _ in 0..ROUND {
                let answer = caller.send(address, body.clone()).await.unwrap();
                assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
                assert!(!patch("large", &answer.body).is_empty());
            }
            caller
        });
    }
    sending.join_all().await
}

/// Policies for as many applications, a hundred in a file.
fn write_policies(directory: &Path) {
    for file in 0..POLICIES / 100 {
        let mut text = String::new();
        for number in file * 100..(file + 1) * 100 {
            let _ = write!(
                text,
                "---
apiVersion: quiescent.dev/v1
kind: HookPolicy
metadata: {{name: app-{number}}}
spec:
  match:
    podSelector: {{matchLabels: {{app: app-{number}}}}}
    images: [registry.example/app-{number}]
  hooks:
    pre: {{command: [/bin/dump, app-{number}], timeout: 10m, onError: Fail}}
    post: {{command: [/bin/report, app-{number}], timeout: 30s, onError: Continue}}
"
            );
        }
        fs::write(directory.join(format!("{file}.yaml")), text).unwrap();
    }
}
