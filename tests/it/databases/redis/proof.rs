//! Redis proven: what its policies back up under write load comes back.

use quiescent::library::Capture;
use serde_json::Value;

use super::Redis;
use crate::databases::{
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server, place},
    writers::{Record, Session, WRITERS, session},
};

const APPEND_ONLY: [&str; 6] = [
    "--appendonly",
    "yes",
    "--auto-aof-rewrite-percentage",
    "30",
    "--auto-aof-rewrite-min-size",
    "8mb",
];

/// Coins move, a list grows, and a counter all writers share counts the transactions.
fn transaction(writer: usize, number: u64) -> String {
    format!(
        "MULTI\nDECR purse:{}\nINCR purse:{}\nRPUSH written:{writer} {number}\nINCR counter\nEXEC\nECHO \"ack {number}\"\n",
        number % 10,
        (number + 3) % 10
    )
}

impl Engine for Redis {
    fn start(installation: &Installation) -> Self {
        Self::serve(installation, place(), "", &APPEND_ONLY).unwrap()
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Self::serve(installation, place, "", &APPEND_ONLY)
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        let info = self.ask(&["info", "server"]);
        let version = info
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        format!("Redis {}", version.unwrap().trim())
    }

    fn pod(&self) -> Value {
        self.pod(&[])
    }

    fn fill(&self) {
        self.ask(&["debug", "populate", "20000", "key", "200"]);
        self.ask(&["set", "awk\"ward \\ key", "😀\n'"]);
    }

    fn session(&self, writer: usize) -> Session {
        session(self.session(), writer, transaction)
    }

    fn written(&self) -> Result<Record, String> {
        let number = |command: &[&str]| self.ask(command).parse::<i64>().unwrap_or(0);
        if self.ask(&["get", "awk\"ward \\ key"]) != "😀\n'" {
            return Err("the awkward key is not what it was".to_owned());
        }
        let coins: i64 = (0..10)
            .map(|purse| number(&["get", &format!("purse:{purse}")]))
            .sum();
        if coins != 0 {
            return Err(format!("{coins} coins came from nowhere"));
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let list = format!("written:{writer}");
            let length = number(&["llen", &list]);
            if number(&["lindex", &list, "-1"]) != length {
                return Err(format!("writer {writer}: there are gaps"));
            }
            *last = length.unsigned_abs();
        }
        let counted = number(&["get", "counter"]).unsigned_abs();
        if counted != record.iter().sum::<u64>() {
            return Err(format!("{counted} transactions, but {record:?}"));
        }
        Ok(record)
    }
}

#[test]
fn a_dump_under_write_load_has_every_acknowledged_write() {
    if Redis::at_hand() {
        prove::<Redis>("redis-dump", &Installation::own(), Capture::Dump);
    }
}

#[test]
fn a_dump_of_redis_8_under_write_load_has_every_acknowledged_write() {
    if Redis::at_hand()
        && let Some(installation) = Installation::named("redis-8.0")
    {
        prove::<Redis>("redis-dump", &installation, Capture::Dump);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Redis::at_hand() {
        naked::<Redis>("redis-dump", &Installation::own(), Capture::Block);
        naked::<Redis>("redis-dump", &Installation::own(), Capture::FileCopy);
    }
}
