//! ZooKeeper proven: copies and snapshots of its volume under write load come back.

use quiescent::library::Capture;
use serde_json::Value;

use super::Zookeeper;
use crate::databases::{
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS},
};

const BIG: usize = 2000;

impl Engine for Zookeeper {
    fn start(_: &Installation) -> Self {
        Self::start("")
    }

    fn open(_: &Installation, place: Place) -> Result<Self, String> {
        Self::serve(place, "")
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        format!("ZooKeeper {}", Self::version())
    }

    fn pod(&self) -> Value {
        self.pod()
    }

    fn fill(&self) {
        let mut client = self.client();
        client.create("/awkward \"node' ü", "a\n😀");
        client.create("/big", "");
        for number in 0..BIG {
            client.create(&format!("/big/{number}"), &"x".repeat(1000));
        }
        for writer in 0..WRITERS {
            client.create(&format!("/w{writer}"), "0");
        }
    }

    /// A transaction makes a node below the writer's and counts it there.
    fn session(&self, writer: usize) -> Session {
        let mut client = self.client();
        Box::new(move |number| {
            let parent = format!("/w{writer}");
            let number = number.to_string();
            client.create_and_set((&format!("{parent}/{number}"), "new"), (&parent, &number));
        })
    }

    fn written(&self) -> Result<Record, String> {
        let mut client = self.client();
        if client.get("/awkward \"node' ü") != "a\n😀" || client.children("/big").len() != BIG {
            return Err("what was there before the writers is not".to_owned());
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let parent = format!("/w{writer}");
            let counted: u64 = client.get(&parent).parse().unwrap();
            let mut numbers: Vec<u64> = client
                .children(&parent)
                .iter()
                .map(|name| name.parse().unwrap())
                .collect();
            numbers.sort_unstable();
            if !numbers.iter().copied().eq(1..=counted) {
                return Err(format!("writer {writer}: {} of {counted}", numbers.len()));
            }
            *last = counted;
        }
        Ok(record)
    }
}

#[test]
fn a_file_copy_under_write_load_has_every_acknowledged_write() {
    if Zookeeper::at_hand() {
        prove::<Zookeeper>("zookeeper-copy", &Installation::own(), Capture::FileCopy);
    }
}

#[test]
fn a_snapshot_under_write_load_has_every_acknowledged_write() {
    if Zookeeper::at_hand() {
        prove::<Zookeeper>("zookeeper-copy", &Installation::own(), Capture::Block);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Zookeeper::at_hand() {
        naked::<Zookeeper>("zookeeper-copy", &Installation::own(), Capture::FileCopy);
        naked::<Zookeeper>("zookeeper-copy", &Installation::own(), Capture::Block);
    }
}
