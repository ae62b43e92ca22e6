//! Writers that note what a server has acknowledged, and when, so that a test can tell what a backup
//! must have and for how long nobody could write.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::harness::eventually;

pub const WRITERS: usize = 4;

/// For each writer the number of its last acknowledged transaction.
pub type Record = [u64; WRITERS];

/// Writes the transaction of a number, and returns once the server has acknowledged it.
pub type Session = Box<dyn FnMut(u64) + Send>;

/// Writers at work, each in a session of its own.
pub struct Writers {
    acknowledged: Arc<[AtomicU64; WRITERS]>,
    times: Arc<Mutex<Vec<(usize, Instant)>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    pub fn start(session: impl Fn(usize) -> Session) -> Self {
        let acknowledged = Arc::new([const { AtomicU64::new(0) }; WRITERS]);
        let times = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..WRITERS).map(|writer| {
            let (acknowledged, times) = (Arc::clone(&acknowledged), Arc::clone(&times));
            let stop = Arc::clone(&stop);
            let mut write = session(writer);
            thread::spawn(move || {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    write(number);
                    acknowledged[writer].store(number, Ordering::SeqCst);
                    times.lock().unwrap().push((writer, Instant::now()));
                }
            })
        });
        Self {
            threads: threads.collect(),
            acknowledged,
            times,
            stop,
        }
    }

    /// Waits until each writer has written so often, counted from now.
    pub fn have_written(&self, transactions: u64) {
        let goal = self.record().map(|number| number + transactions);
        eventually("the writers write", || {
            let dead = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!dead, "a writer lost its session");
            self.record()
                .iter()
                .zip(goal)
                .all(|(number, goal)| *number >= goal)
        });
    }

    /// What has been acknowledged up to now.
    pub fn record(&self) -> Record {
        std::array::from_fn(|writer| self.acknowledged[writer].load(Ordering::SeqCst))
    }

    /// What had been acknowledged at a moment.
    pub fn record_at(&self, moment: Instant) -> Record {
        let times = self.times.lock().unwrap();
        let mut record = [0; WRITERS];
        for (writer, _) in times.iter().filter(|(_, time)| *time <= moment) {
            record[*writer] += 1;
        }
        record
    }

    /// How the writers fared between two moments.
    pub fn pace(&self, from: Instant, to: Instant) -> Pace {
        let times = self.times.lock().unwrap();
        let mut last = from;
        let mut longest = Duration::ZERO;
        let mut count = 0_u32;
        let acknowledged = times.iter().map(|(_, time)| time);
        for time in acknowledged.filter(|time| (from..=to).contains(*time)) {
            longest = longest.max(*time - last);
            last = *time;
            count += 1;
        }
        Pace {
            silence: longest.max(to - last),
            rate: f64::from(count) / (to - from).as_secs_f64(),
        }
    }

    /// What was acknowledged until they lost their server.
    pub fn lost(self) -> Record {
        for writer in self.threads {
            let _ = writer.join();
        }
        std::array::from_fn(|writer| self.acknowledged[writer].load(Ordering::SeqCst))
    }

    /// Ends the sessions after the transactions that they are in.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for writer in self.threads {
            writer.join().unwrap();
        }
    }
}

/// How writers fared for a while.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The longest time in which nobody's transaction was acknowledged.
    pub silence: Duration,
    /// Acknowledged transactions a second, of all writers.
    pub rate: f64,
}

/// A session of a client that reads statements from a pipe. `transaction` makes the lines for a
/// writer's transaction of a number; they end with one that makes the client print `ack` and the number.
pub fn session(
    mut client: Command,
    writer: usize,
    transaction: fn(usize, u64) -> String,
) -> Session {
    let mut child = client
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut says = BufReader::new(child.stdout.take().unwrap()).lines();
    let asks = child.stdin.take();
    let mut client = Client { child, asks };
    Box::new(move |number| {
        let asks = client.asks.as_mut().unwrap();
        asks.write_all(transaction(writer, number).as_bytes())
            .unwrap();
        let ack = format!("ack {number}");
        let answered = says
            .by_ref()
            .map(Result::unwrap)
            .any(|line| line.trim_matches('"') == ack);
        assert!(answered, "writer {writer} lost its session");
    })
}

/// A client that ends with its input.
struct Client {
    child: std::process::Child,
    asks: Option<std::process::ChildStdin>,
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.asks.take());
        let _ = self.child.wait();
    }
}
