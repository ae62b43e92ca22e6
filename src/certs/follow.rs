//! Keeps the served certificate the one that lies in the directory, as long as that one is good.
use std::{
    fmt,
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use prometheus_client::{metrics::gauge::Gauge, registry::Registry};
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::{
    task::{self, JoinError},
    time::{self, MissedTickBehavior},
};

use super::{Certificate, Directory, Files, LoadError, certificate::unix_seconds};
use crate::telemetry::metrics::{Closed, Counters};

/// The certificate of every new handshake; open connections keep theirs.
pub struct Served {
    current: ArcSwap<Certificate>,
    metrics: CertificateMetrics,
}

impl Served {
    pub fn new(certificate: Certificate, metrics: CertificateMetrics) -> Arc<Self> {
        metrics.describe(&certificate);
        let current = ArcSwap::from_pointee(certificate);
        Arc::new(Self { current, metrics })
    }

    pub fn current(&self) -> Arc<Certificate> {
        self.current.load_full()
    }

    fn swap(&self, certificate: Certificate) {
        self.metrics.describe(&certificate);
        self.current.store(Arc::new(certificate));
    }
}

impl ResolvesServerCert for Served {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().key))
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let certificate = self.current.load();
        f.debug_tuple("Served")
            .field(&certificate.fingerprint())
            .finish()
    }
}

/// What one look at the directory led to.
#[derive(Debug)]
pub enum Poll {
    /// Nothing that had not been seen before.
    Unchanged,
    /// A certificate of another authority, which is shown when callers have had time to hear of it.
    Waits,
    Swapped,
    /// What lies there now cannot be served, so the old one stays.
    Kept(LoadError),
}

/// Looks at the directory again and again.
pub struct Follower {
    directory: Directory,
    served: Arc<Served>,
    seen: Seen,
    trust_delay: Duration,
    /// What is shown next, and when.
    waiting: Option<(Certificate, SystemTime)>,
}

/// What the last look saw, so that the same thing is reported once.
enum Seen {
    Files(Files),
    Failure(String),
}

impl Follower {
    /// Follows `directory`; `files` are those that the served certificate came from. A certificate
    /// whose authority is not that of the one before waits for `trust_delay`, unless that one ends sooner.
    pub fn new(
        directory: Directory,
        files: Files,
        served: Arc<Served>,
        trust_delay: Duration,
    ) -> Self {
        let seen = Seen::Files(files);
        Self {
            directory,
            served,
            seen,
            trust_delay,
            waiting: None,
        }
    }

    /// Looks once.
    pub fn poll(&mut self, now: SystemTime) -> Poll {
        let seen = match self.directory.files() {
            Ok(files) => {
                if matches!(&self.seen, Seen::Files(before) if *before == files) {
                    return self.end_of_waiting(now);
                }
                self.waiting = None;
                let certificate = files.certificate(now);
                self.seen = Seen::Files(files);
                certificate
            }
            Err(failure) => {
                let sentence = failure.to_string();
                self.waiting = None;
                if matches!(&self.seen, Seen::Failure(before) if *before == sentence) {
                    return Poll::Unchanged;
                }
                self.seen = Seen::Failure(sentence);
                Err(failure)
            }
        };
        match seen {
            Ok(certificate) => {
                let current = self.served.current();
                let due = now + self.trust_delay;
                if certificate.ca_pem() == current.ca_pem() || current.not_after() <= due {
                    return self.swap(certificate);
                }
                self.waiting = Some((certificate, due));
                self.end_of_waiting(now)
            }
            Err(failure) => {
                tracing::warn!(
                    reason = %failure,
                    fingerprint = self.served.current().fingerprint(),
                    "the new certificate cannot be served, the old one stays"
                );
                self.served.metrics.reloads.increment(Reload::Refused);
                Poll::Kept(failure)
            }
        }
    }

    /// Shows what has waited for long enough.
    fn end_of_waiting(&mut self, now: SystemTime) -> Poll {
        match self.waiting.take() {
            None => Poll::Unchanged,
            Some((certificate, due)) if due <= now => self.swap(certificate),
            waiting => {
                self.waiting = waiting;
                Poll::Waits
            }
        }
    }

    fn swap(&self, certificate: Certificate) -> Poll {
        tracing::info!(
            directory = %self.directory.path().display(),
            fingerprint = certificate.fingerprint(),
            not_after = unix_seconds(certificate.not_after()),
            "certificate reloaded"
        );
        self.served.swap(certificate);
        self.served.metrics.reloads.increment(Reload::Swapped);
        Poll::Swapped
    }

    /// Looks every `interval`, for as long as it is polled. Returns only when looking panicked.
    pub async fn run(mut self, interval: Duration) -> JoinError {
        let mut ticks = time::interval(interval);
        // After a machine has slept one look is enough.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Reading may block for long where the directory is a network's.
            let look = task::spawn_blocking(move || {
                self.poll(SystemTime::now());
                self
            });
            self = match look.await {
                Ok(follower) => follower,
                Err(panic) => return panic,
            };
        }
    }
}

/// When the certificate ends and how reloading goes.
#[derive(Clone, Debug)]
pub struct CertificateMetrics {
    not_after: Gauge<i64, AtomicI64>,
    reloads: Counters<Reload>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reload {
    Swapped,
    Refused,
}

impl Closed for Reload {
    const ALL: &'static [Self] = &[Self::Swapped, Self::Refused];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let result = match self {
            Self::Swapped => "swapped",
            Self::Refused => "refused",
        };
        vec![("result", result)]
    }
}

impl CertificateMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let not_after = Gauge::default();
        registry.register(
            "certificate_not_after_seconds",
            "When the served certificate expires, in seconds since 1970",
            not_after.clone(),
        );
        let reloads = Counters::register(
            registry,
            "certificate_reloads",
            "Changes seen in the certificate directory, by what came of them",
        );
        Self { not_after, reloads }
    }

    fn describe(&self, certificate: &Certificate) {
        self.not_after.set(unix_seconds(certificate.not_after()));
    }
}

#[cfg(test)]
mod tests;
