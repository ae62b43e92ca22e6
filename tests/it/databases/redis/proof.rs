//! Redis and Valkey proven: what their policies back up under write load comes back.

use quiescent::library::Capture;
use serde_json::Value;

use super::{Redis, VERSIONS, kind};
use crate::databases::{
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
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
pub fn transaction(writer: usize, number: u64) -> String {
    format!(
        "MULTI\nDECR purse:{}\nINCR purse:{}\nRPUSH written:{writer} {number}\nINCR counter\nEXEC\nECHO \"ack {number}\"\n",
        number % 10,
        (number + 3) % 10
    )
}

/// What is there of the writers' work, when all that they counted agrees.
pub fn record(ask: impl Fn(&[&str]) -> String) -> Result<Record, String> {
    let number = |command: &[&str]| ask(command).parse::<i64>().unwrap_or(0);
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

/// A server whose pod has the label of a method.
pub struct Labelled<const SNAPSHOT: bool>(Redis);

pub type Dumped = Labelled<false>;
pub type Snapshot = Labelled<true>;

impl<const SNAPSHOT: bool> Engine for Labelled<SNAPSHOT> {
    // The append-only file is behind by up to two seconds (appendfsync everysec).
    const DURABLE: bool = false;

    fn start(installation: &Installation) -> Self {
        Self(Redis::of(installation, "", &APPEND_ONLY))
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Redis::serve(installation, place, "", &APPEND_ONLY).map(Self)
    }

    fn server(&self) -> &Server {
        &self.0.server
    }

    fn version(&self) -> String {
        if kind(&self.0.installation) == "valkey" {
            format!("Valkey {}", self.0.field("valkey_version"))
        } else {
            format!("Redis {}", self.0.field("redis_version"))
        }
    }

    fn pod(&self) -> Value {
        self.0
            .pod_for(if SNAPSHOT { "snapshot" } else { "dump" }, &[])
    }

    fn fill(&self) {
        self.0.ask(&["debug", "populate", "20000", "key", "200"]);
        self.0.ask(&["set", "awk\"ward \\ key", "😀\n'"]);
    }

    fn session(&self, writer: usize) -> Session {
        session(self.0.session(), writer, transaction)
    }

    fn written(&self) -> Result<Record, String> {
        if self.0.ask(&["get", "awk\"ward \\ key"]) != "😀\n'" {
            return Err("the awkward key is not what it was".to_owned());
        }
        record(|command| self.0.ask(command))
    }
}

/// This machine's own version, and the others that are at hand.
pub fn installations() -> Vec<Installation> {
    let others = VERSIONS.iter().filter_map(|name| Installation::named(name));
    std::iter::once(Installation::own()).chain(others).collect()
}

macro_rules! proofs {
    ($($version:ident: $installation:expr;)*) => {$(
        mod $version {
            use super::*;

            #[test]
            fn a_dump_under_write_load_has_every_acknowledged_write() {
                proven::<Dumped>("redis-dump", $installation, Capture::Dump);
            }

            #[test]
            fn a_snapshot_under_write_load_has_every_acknowledged_write() {
                proven::<Snapshot>("redis-snapshot", $installation, Capture::Block);
            }

            /// No snapshot is what the policy is for, but the files that it holds still stand it.
            #[test]
            fn files_copied_one_after_another_load_again() {
                proven::<Snapshot>("redis-snapshot", $installation, Capture::FileCopy);
            }
        }
    )*};
}

proofs! {
    redis_6_0: Installation::named("redis-6.0");
    redis_7_0: Some(Installation::own());
    redis_8_0: Installation::named("redis-8.0");
    valkey_8_1: Installation::named("valkey-8.1");
    valkey_9: Installation::named("valkey-9");
}

fn proven<E: Engine>(policy: &str, installation: Option<Installation>, capture: Capture) {
    if Redis::at_hand()
        && let Some(installation) = installation
    {
        prove::<E>(policy, &installation, capture);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Redis::at_hand() {
        naked::<Dumped>("redis-dump", &Installation::own(), Capture::Block);
        naked::<Dumped>("redis-dump", &Installation::own(), Capture::FileCopy);
    }
}
