//! The threads that serve connections, each with a runtime of its own. What the process does beside,
//! such as indexing new policies, runs elsewhere and so never stands in front of a review.
use std::{
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time,
};

/// A runtime wakes itself, by a system call, for each timer that is due before all others. With one
/// that is always due sooner than the deadline of a review, it does not.
const BEAT: Duration = Duration::from_millis(500);

/// Where the connections of one listener are served, in turn.
pub(super) struct Threads {
    runtimes: Vec<Handle>,
    next: AtomicUsize,
    /// The threads end, and what they still serve with them, when these are dropped.
    _running: Vec<oneshot::Sender<()>>,
}

impl Threads {
    /// Starts so many threads.
    pub(super) fn start(count: NonZeroUsize) -> io::Result<Self> {
        let started: io::Result<Vec<_>> = (0..count.get()).map(start).collect();
        let (runtimes, running) = started?.into_iter().unzip();
        Ok(Self {
            runtimes,
            next: AtomicUsize::new(0),
            _running: running,
        })
    }

    /// The caller's own runtime, for connections on which nothing depends.
    pub(super) fn of_caller() -> Self {
        Self {
            runtimes: vec![Handle::current()],
            next: AtomicUsize::new(0),
            _running: Vec::new(),
        }
    }

    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.runtimes.len();
        self.runtimes[turn].spawn(task);
    }
}

fn start(number: usize) -> io::Result<(Handle, oneshot::Sender<()>)> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (running, ended) = oneshot::channel::<()>();
    thread::Builder::new()
        .name(format!("reviews-{number}"))
        .spawn(move || runtime.block_on(until_dropped(ended)))?;
    Ok((handle, running))
}

/// Keeps a runtime turning for as long as there is a sender, which never sends.
async fn until_dropped(mut sender: oneshot::Receiver<()>) {
    let mut beats = time::interval(BEAT);
    loop {
        tokio::select! {
            _ = &mut sender => return,
            _ = beats.tick() => {}
        }
    }
}
