//! How far a run has come: on a terminal alone, on standard error, and only when it takes long.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// What is done in less than this says nothing of itself.
const PATIENCE: Duration = Duration::from_secs(1);
const EVERY: Duration = Duration::from_millis(100);

/// Does some work that counts what is done of it, and shows the count. The line is gone at the end.
pub fn shown<T>(what: &str, total: usize, done: &AtomicUsize, work: impl FnOnce() -> T) -> T {
    let knows_escapes = env::var_os("TERM").is_none_or(|term| term != "dumb");
    if !io::stderr().is_terminal() || !knows_escapes {
        return work();
    }
    // Dropped with the work, whichever way it ends.
    let (working, ended) = mpsc::channel::<()>();
    let show = move || {
        let mut wait = PATIENCE;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            let done = done.load(Ordering::Relaxed).min(total);
            say(&format!("\r\x1b[K{done} of {total} {what}"));
            wait = EVERY;
        }
        if wait == EVERY {
            say("\r\x1b[K");
        }
    };
    thread::scope(|scope| {
        scope.spawn(show);
        let work = move || {
            let _working = working;
            work()
        };
        work()
    })
}

/// A terminal that went away is no reason to stop.
fn say(text: &str) {
    let mut terminal = io::stderr().lock();
    let _ = terminal
        .write_all(text.as_bytes())
        .and_then(|()| terminal.flush());
}
