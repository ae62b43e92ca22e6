//! Callers that go on sending reviews until they are told to stop, and say which were lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper::StatusCode;
use rustls::ClientConfig;
use tokio::{
    task::JoinSet,
    time::{self, MissedTickBehavior},
};

use super::{
    caller::{Answer, Caller, Lost},
    reviews::review,
    until,
};

/// The API server keeps so many idle connections to one webhook.
pub const KEPT: usize = 25;

/// Who opens a new connection for each review beside them.
const NEW: usize = 3;

/// Between two reviews of one caller.
const PACE: Duration = Duration::from_millis(10);

/// Where a new connection leads to, as a Service decides it.
pub type Route = dyn Fn() -> SocketAddr + Send + Sync;

/// What is held against every answer.
pub type Judge = dyn Fn(&str, &Answer) + Send + Sync;

/// Callers under way.
pub struct Load {
    callers: JoinSet<()>,
    shared: Arc<Shared>,
}

struct Shared {
    stop: AtomicBool,
    answered: AtomicU64,
    lost: Mutex<Vec<Lost>>,
    route: Box<Route>,
    judge: Box<Judge>,
}

impl Load {
    /// Callers on kept connections, and a few on new ones.
    pub fn start(tls: &Arc<ClientConfig>, route: Box<Route>, judge: Box<Judge>) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            lost: Mutex::new(Vec::new()),
            route,
            judge,
        });
        let mut callers = JoinSet::new();
        for number in 0..KEPT + NEW {
            let shared = Arc::clone(&shared);
            let caller = Caller::new(tls);
            callers.spawn(async move { shared.send(number, caller).await });
        }
        Self { callers, shared }
    }

    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Waits for so many answers more, so that a state of the server was met by many reviews.
    pub async fn answers(&mut self, more: u64) {
        let wanted = self.answered() + more;
        until(format_args!("{wanted} answers"), async || {
            if let Some(ended) = self.callers.try_join_next() {
                ended.unwrap();
            }
            (self.answered() >= wanted).then_some(())
        })
        .await;
    }

    /// Ends when the reviews under way are answered, which all must be: how many were.
    pub async fn stop_without_loss(self) -> u64 {
        let (answered, lost) = self.stop().await;
        let lost: Vec<String> = lost.iter().map(ToString::to_string).collect();
        assert!(lost.is_empty(), "of {answered} answers: {lost:#?}");
        answered
    }

    /// Ends when the reviews under way are answered or lost: how many were answered, and the lost.
    pub async fn stop(mut self) -> (u64, Vec<Lost>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.callers.join_next().await {
            ended.unwrap();
        }
        let lost = std::mem::take(&mut *self.shared.lost.lock().unwrap());
        (self.answered(), lost)
    }
}

impl Shared {
    async fn send(&self, number: usize, mut caller: Caller) {
        let mut pace = time::interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for count in 0_u64.. {
            pace.tick().await;
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            if number >= KEPT {
                caller.leave();
            }
            let uid = format!("{number}-{count}");
            match caller.send((self.route)(), review(&uid, 2_000)).await {
                Ok(answer) => {
                    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
                    (self.judge)(&uid, &answer);
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(lost) => self.lost.lock().unwrap().push(lost),
            }
        }
    }
}
