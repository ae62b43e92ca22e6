//! NATS proven: copies and snapshots of the store under write load come back.

use quiescent::library::Capture;
use serde_json::Value;

use super::Nats;
use crate::databases::{
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS},
};

const OLD: usize = 3000;

impl Engine for Nats {
    fn start(installation: &Installation) -> Self {
        Self::start(installation)
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Self::serve(installation, place, true)
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        let mut server = self.installation.client("nats-server");
        let said = super::super::server::output(server.arg("--version"));
        said.replace("nats-server: v", "NATS ")
    }

    fn pod(&self) -> Value {
        self.pod()
    }

    fn fill(&self) {
        let mut client = self.client();
        for stream in [
            "{\"name\":\"WRITTEN\",\"subjects\":[\"written.*\"],\"storage\":\"file\"}",
            "{\"name\":\"LAST\",\"subjects\":[\"last.*\"],\"storage\":\"file\",\"max_msgs_per_subject\":1}",
            "{\"name\":\"OLD\",\"subjects\":[\"old.>\"],\"storage\":\"file\"}",
        ] {
            let name = stream.split('"').nth(3).unwrap();
            client.ask(&format!("$JS.API.STREAM.CREATE.{name}"), stream);
        }
        for number in 0..OLD {
            let payload = format!("{number} 😀 '\" {}", "x".repeat(500));
            client.ask(&format!("old.{}.ä", number % 7), &payload);
        }
    }

    /// A transaction is a message in a stream that grows, and one in a stream that keeps the last.
    fn session(&self, writer: usize) -> Session {
        let mut client = self.client();
        Box::new(move |number| {
            client.ask(&format!("written.{writer}"), &format!("{writer} {number}"));
            client.ask(&format!("last.{writer}"), &format!("{writer} {number}"));
        })
    }

    fn written(&self) -> Result<Record, String> {
        let mut client = self.client();
        let old = client.all("OLD");
        let as_filled = |(number, payload): (usize, &String)| {
            payload.starts_with(&format!("{number} 😀 '\" xxx"))
        };
        if old.len() != OLD || !old.iter().enumerate().all(as_filled) {
            return Err(format!("of {OLD} old messages there are {}", old.len()));
        }
        let parse = |payload: &String| {
            let (writer, number) = payload.split_once(' ').unwrap();
            (
                writer.parse::<usize>().unwrap(),
                number.parse::<u64>().unwrap(),
            )
        };
        let mut record: Record = [0; WRITERS];
        for (writer, number) in client.all("WRITTEN").iter().map(parse) {
            if number != record[writer] + 1 {
                return Err(format!(
                    "writer {writer}: {number} follows {}",
                    record[writer]
                ));
            }
            record[writer] = number;
        }
        let mut last: Record = [0; WRITERS];
        for (writer, number) in client.all("LAST").iter().map(parse) {
            last[writer] = number;
        }
        Ok(std::array::from_fn(|writer| {
            record[writer].min(last[writer])
        }))
    }
}

fn prove_on(installation: &Installation, capture: Capture) {
    prove::<Nats>("nats-copy", installation, capture);
}

#[test]
fn a_file_copy_under_write_load_has_every_acknowledged_write() {
    if Nats::at_hand() {
        prove_on(&Installation::own(), Capture::FileCopy);
    }
}

#[test]
fn a_snapshot_under_write_load_has_every_acknowledged_write() {
    if Nats::at_hand() {
        prove_on(&Installation::own(), Capture::Block);
    }
}

#[test]
fn copies_and_snapshots_of_2_10_under_write_load_have_every_acknowledged_write() {
    if Nats::at_hand()
        && let Some(installation) = Installation::named("nats-2.10")
    {
        prove_on(&installation, Capture::FileCopy);
        prove_on(&installation, Capture::Block);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Nats::at_hand() {
        naked::<Nats>("nats-copy", &Installation::own(), Capture::FileCopy);
        naked::<Nats>("nats-copy", &Installation::own(), Capture::Block);
    }
}
