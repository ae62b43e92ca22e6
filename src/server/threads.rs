//! The threads that serve connections, each with a runtime of its own. What the process does beside,
//! such as indexing new policies, runs elsewhere and so never stands in front of a review.
use std::{
    io,
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

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

    /// The caller's own runtime, for connections of which nothing depends.
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
        .spawn(move || {
            // Nothing is ever sent: the end of the sender is the message.
            let _ = runtime.block_on(ended);
        })?;
    Ok((handle, running))
}
