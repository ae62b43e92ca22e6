//! Writers that note what a server has acknowledged, so that a test can tell what a dump must have.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::harness::eventually;

pub const WRITERS: usize = 4;

/// For each writer the number of its last acknowledged transaction.
pub type Record = [u64; WRITERS];

/// Writers at work, each in a session of its own.
pub struct Writers {
    acknowledged: Arc<[AtomicU64; WRITERS]>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Writers {
    /// `transaction` makes the lines for a writer's transaction of a number; they end with one that
    /// makes the client print `ack` and the number.
    pub fn start(client: impl Fn() -> Command, transaction: fn(usize, u64) -> String) -> Self {
        let acknowledged = Arc::new([const { AtomicU64::new(0) }; WRITERS]);
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..WRITERS).map(|writer| {
            let (acknowledged, stop) = (Arc::clone(&acknowledged), Arc::clone(&stop));
            let mut session = client()
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap();
            thread::spawn(move || {
                let mut says = BufReader::new(session.stdout.take().unwrap()).lines();
                let mut asks = session.stdin.take().unwrap();
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    asks.write_all(transaction(writer, number).as_bytes())
                        .unwrap();
                    let ack = format!("ack {number}");
                    let answered = says
                        .by_ref()
                        .map(Result::unwrap)
                        .any(|line| line.trim_matches('"') == ack);
                    assert!(answered, "writer {writer} lost its session");
                    acknowledged[writer].store(number, Ordering::SeqCst);
                }
                drop(asks);
                session.wait().unwrap();
            })
        });
        Self {
            threads: threads.collect(),
            acknowledged,
            stop,
        }
    }

    /// Waits until each writer has written so often, counted from now.
    pub fn have_written(&self, transactions: u64) {
        let goal = self.record().map(|number| number + transactions);
        eventually("the writers write", || {
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

    /// Ends the sessions after the transactions that they are in.
    pub fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for writer in self.threads {
            writer.join().unwrap();
        }
    }
}
