//! Replicas that go and come while reviews are sent.
//!
//! The model is a rolling update of `deploy/base/server.yaml`: two replicas behind a Service, a new one
//! takes part when it is ready, then an old one is told to go, and the Service hears of it late.
//! The Service chooses once for each connection; the callers are those of `caller.rs`.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use hyper::body::Bytes;

use super::{
    Choices,
    caller::{Answer, Caller, Why, trusting},
    end,
    fixture::{self, Volume},
    load::{KEPT, Load, Route},
    process::Process,
    reviews::{patch, review},
    until,
};

const RESTARTS: usize = 10;

/// So many new connections still lead to a replica after its readiness has gone: whoever balances
/// learns of it late.
const LATE: usize = 20;

/// The addresses that connections are led to, as a Service's endpoints.
#[derive(Clone)]
struct Endpoints(Arc<Mutex<(Vec<Endpoint>, Choices)>>);

#[derive(Clone)]
struct Endpoint {
    address: SocketAddr,
    chosen: Arc<AtomicUsize>,
}

impl Endpoints {
    fn none(choices: Choices) -> Self {
        Self(Arc::new(Mutex::new((Vec::new(), choices))))
    }

    fn add(&self, address: SocketAddr) -> Endpoint {
        let endpoint = Endpoint {
            address,
            chosen: Arc::default(),
        };
        self.0.lock().unwrap().0.push(endpoint.clone());
        endpoint
    }

    fn remove(&self, address: SocketAddr) {
        let endpoints = &mut self.0.lock().unwrap().0;
        endpoints.retain(|endpoint| endpoint.address != address);
    }

    fn route(&self) -> Box<Route> {
        let endpoints = self.clone();
        Box::new(move || {
            let (endpoints, choices) = &mut *endpoints.0.lock().unwrap();
            let endpoint = &endpoints[choices.below(endpoints.len())];
            endpoint.chosen.fetch_add(1, Ordering::Relaxed);
            endpoint.address
        })
    }
}

/// Serves with the certificate of `volume`, and takes part when it is ready.
async fn replica(volume: &Volume, endpoints: &Endpoints) -> (Process, Endpoint) {
    let directory = volume.path().to_str().unwrap();
    let process = Process::start(&["--cert-dir", directory, "--drain", "2s"]);
    process.until_ready().await;
    let endpoint = endpoints.add(process.webhook);
    (process, endpoint)
}

fn is_whole(uid: &str, answer: &Answer) {
    assert!(!patch(uid, &answer.body).is_empty());
}

#[tokio::test]
async fn a_rolling_update_loses_no_review() {
    let pair = fixture::fresh();
    let volume = Volume::of(&pair);
    let endpoints = Endpoints::none(Choices::seeded("restarts"));
    let mut serving = Vec::new();
    for _ in 0..2 {
        serving.push(replica(&volume, &endpoints).await);
    }
    let tls = trusting(&[&pair.chain]);
    let mut load = Load::start(&tls, endpoints.route(), Box::new(is_whole));
    load.answers(200).await;

    let end = end();
    let mut leaving = Vec::new();
    let mut restarts = 0;
    while restarts < RESTARTS || Instant::now() < end {
        serving.push(replica(&volume, &endpoints).await);
        let (old, endpoint) = serving.remove(0);
        old.signal("TERM");
        until("the replica to say that it goes", async || {
            (!old.is_ready().await).then_some(())
        })
        .await;
        let before = endpoint.chosen.load(Ordering::Relaxed);
        until("connections to a replica that goes", async || {
            (endpoint.chosen.load(Ordering::Relaxed) >= before + LATE).then_some(())
        })
        .await;
        endpoints.remove(old.webhook);
        load.answers(100).await;
        leaving.push(old);
        restarts += 1;
    }
    for old in &mut leaving {
        let status = old.ended().await;
        assert!(status.success(), "{status}: {}", old.log());
    }
    let answered = load.stop_without_loss().await;
    eprintln!("restarts: {restarts}, answered: {answered}, lost: none");
}

#[tokio::test]
async fn a_killed_replica_loses_only_what_it_had_begun() {
    let pair = fixture::fresh();
    let volume = Volume::of(&pair);
    let endpoints = Endpoints::none(Choices::seeded("kills"));
    let (survivor, _) = replica(&volume, &endpoints).await;
    let (mut victim, _) = replica(&volume, &endpoints).await;
    let tls = trusting(&[&pair.chain]);
    let mut load = Load::start(&tls, endpoints.route(), Box::new(is_whole));
    load.answers(500).await;

    // No new connection leads there any more, so that only what is under way can be lost.
    let address = victim.webhook;
    endpoints.remove(address);
    load.answers(100).await;
    victim.signal("KILL");
    assert_eq!(victim.ended().await.code(), None);
    load.answers(500).await;

    let (at, admin) = (address.to_string(), victim.admin.to_string());
    let directory = volume.path().to_str().unwrap();
    let successor = Process::start(&["--cert-dir", directory, "--listen", &at, "--admin", &admin]);
    assert_eq!(successor.webhook, address);
    endpoints.add(address);
    load.answers(500).await;
    successor
        .until_metric(
            "webhook_requests_total{class=\"2xx\",reason=\"answered\"}",
            1,
        )
        .await;

    let (answered, lost) = load.stop().await;
    for lost in &lost {
        let begun = matches!(lost.why, Why::Broken(_));
        assert!(begun && lost.by == address, "{lost}");
    }
    assert!(lost.len() <= KEPT, "{} lost", lost.len());
    eprintln!("kills: 1, answered: {answered}, lost: {}", lost.len());

    // What was lost is sent again, and the answer is that of the one who has lived on.
    let mut caller = Caller::new(&tls);
    let mut answers = Vec::<Bytes>::new();
    for to in [address, survivor.webhook] {
        caller.leave();
        answers.push(caller.send(to, review("again", 10)).await.unwrap().body);
    }
    assert_eq!(answers[0], answers[1]);
}
