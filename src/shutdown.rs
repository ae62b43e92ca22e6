//! The way from the first signal to the end: running, draining, aborted.
//!
//! Nothing here ends the process; whoever holds a [`Shutdown`] decides what a phase means.
use std::{future, io};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// How far the way out has been gone. Only ever moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Running,
    /// Finish what was begun, take leave of those who come again.
    Draining,
    /// Stop at once: somebody asked twice.
    Aborted,
}

/// Moves the phase forward; the signals do, and tests.
#[derive(Debug)]
pub struct Trigger(watch::Sender<Phase>);

/// Tells everybody who holds a clone which phase we are in.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<Phase>);

pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Trigger(sender), Shutdown(receiver))
}

/// Listens for SIGTERM and SIGINT: the first one drains, the second one aborts.
///
/// Must be called within a tokio runtime.
pub fn on_signals() -> io::Result<Shutdown> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    let (trigger, shutdown) = channel();
    tokio::spawn(async move {
        let name = signals.next().await;
        tracing::info!(
            signal = name,
            "shutting down; a second signal stops at once"
        );
        trigger.drain();
        let name = signals.next().await;
        tracing::warn!(signal = name, "stopping at once");
        trigger.abort();
    });
    Ok(shutdown)
}

impl Trigger {
    pub fn drain(&self) {
        self.advance(Phase::Draining);
    }

    pub fn abort(&self) {
        self.advance(Phase::Aborted);
    }

    fn advance(&self, next: Phase) {
        self.0.send_if_modified(|phase| {
            let forward = *phase < next;
            if forward {
                *phase = next;
            }
            forward
        });
    }
}

impl Shutdown {
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Waits until the first signal; returns at once when it has come already.
    pub async fn draining(&self) {
        self.reached(Phase::Draining).await;
    }

    /// Waits until the second signal.
    pub async fn aborted(&self) {
        self.reached(Phase::Aborted).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|now| *now >= phase).await.is_err() {
            // The trigger is gone, so the phase will never come. Waiting for ever is right:
            // a dropped trigger must not look like a signal.
            future::pending::<()>().await;
        }
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn the_phase_only_moves_forward() {
        let (trigger, shutdown) = channel();
        assert_eq!(shutdown.phase(), Phase::Running);
        trigger.abort();
        trigger.drain();
        assert_eq!(shutdown.phase(), Phase::Aborted);
    }

    #[tokio::test]
    async fn draining_wakes_those_who_wait_and_those_who_come_later() {
        let (trigger, shutdown) = channel();
        let early = shutdown.clone();
        let waiting = tokio::spawn(async move { early.draining().await });
        trigger.drain();
        waiting.await.unwrap();
        shutdown.draining().await;
        assert!(shutdown.aborted().now_or_never().is_none());
    }

    #[tokio::test]
    async fn a_dropped_trigger_is_no_signal() {
        let (trigger, shutdown) = channel();
        drop(trigger);
        assert!(shutdown.draining().now_or_never().is_none());
    }
}
