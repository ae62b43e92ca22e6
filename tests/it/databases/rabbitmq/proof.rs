//! RabbitMQ proven: copies and snapshots of the data volume under write load come back, and so do the
//! definitions.

use quiescent::library::Capture;
use serde_json::Value;

use super::{DEFINITIONS, NOTHING, Rabbit};
use crate::databases::{
    harness::{Container, Phase, Pod},
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS},
};

const OLD: usize = 500;

/// Half of the writers have a queue of either kind.
const fn kind(writer: usize) -> &'static str {
    if writer.is_multiple_of(2) {
        "classic"
    } else {
        "quorum"
    }
}

impl Engine for Rabbit {
    fn start(_: &Installation) -> Self {
        Self::start(DEFINITIONS)
    }

    fn open(_: &Installation, place: Place) -> Result<Self, String> {
        Self::open(place)
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        format!("RabbitMQ {}", self.control(&["version"]))
    }

    fn pod(&self) -> Value {
        self.pod()
    }

    fn fill(&self) {
        let mut client = self.client();
        for number in 0..OLD {
            client.put(
                "old",
                "classic",
                &format!("{number} 😀 '\" {}", "x".repeat(2000)),
            );
        }
    }

    fn session(&self, writer: usize) -> Session {
        let mut client = self.client();
        Box::new(move |number| client.put(&format!("w{writer}"), kind(writer), &number.to_string()))
    }

    fn written(&self) -> Result<Record, String> {
        let mut client = self.client();
        let old = client.take_all("old", "classic");
        let as_filled = |(number, message): (usize, &String)| {
            message.starts_with(&format!("{number} 😀 '\" xxx"))
        };
        if old.len() != OLD || !old.iter().enumerate().all(as_filled) {
            return Err(format!("of {OLD} old messages there are {}", old.len()));
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            for message in client.take_all(&format!("w{writer}"), kind(writer)) {
                let number: u64 = message.parse().unwrap();
                if number != *last + 1 {
                    return Err(format!("writer {writer}: {number} follows {last}"));
                }
                *last = number;
            }
        }
        Ok(record)
    }
}

fn prove_with(capture: Capture) {
    if Rabbit::at_hand() {
        prove::<Rabbit>("rabbitmq-copy", &Installation::own(), capture);
    }
}

#[test]
fn a_file_copy_under_write_load_has_every_confirmed_message() {
    prove_with(Capture::FileCopy);
}

#[test]
fn a_snapshot_under_write_load_has_every_confirmed_message() {
    prove_with(Capture::Block);
}

#[test]
fn files_copied_without_a_hook() {
    if Rabbit::at_hand() {
        naked::<Rabbit>("rabbitmq-copy", &Installation::own(), Capture::FileCopy);
        naked::<Rabbit>("rabbitmq-copy", &Installation::own(), Capture::Block);
    }
}

#[test]
fn definitions_are_imported_by_hand_into_a_new_node() {
    if !Rabbit::at_hand() {
        return;
    }
    let node = Rabbit::start(DEFINITIONS);
    let pod = Pod::inject(&node.pod(), &[]);
    pod.run(Phase::Pre, &Container::default()).is_ok();
    pod.run(Phase::Post, &Container::default()).is_ok();

    let fresh = Rabbit::start(NOTHING);
    let file = pod.finished().join("definitions.json");
    let readable = fresh.server.folder.path().join("dump.json");
    std::fs::copy(&file, &readable).unwrap();
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&readable, permissions).unwrap();
    fresh.control(&[
        "import_definitions",
        "--format",
        "json",
        readable.to_str().unwrap(),
    ]);
    let again = Pod::inject(&fresh.pod(), &[]);
    again.run(Phase::Pre, &Container::default()).is_ok();
    let definitions = |file: &std::path::Path| {
        let text = std::fs::read_to_string(file).unwrap();
        let mut definitions: Value = serde_json::from_str(&text).unwrap();
        for list in definitions.as_object_mut().unwrap().values_mut() {
            if let Some(list) = list.as_array_mut() {
                list.sort_by_key(Value::to_string);
            }
        }
        definitions
    };
    let (then, now) = (
        definitions(&file),
        definitions(&again.finished().join("definitions.json")),
    );
    for key in [
        "users",
        "vhosts",
        "permissions",
        "policies",
        "queues",
        "exchanges",
        "bindings",
    ] {
        assert_eq!(now[key], then[key], "{key}");
        assert_ne!(then[key], serde_json::json!([]), "{key}");
    }
}
