//! etcd proven: what its policies back up under write load comes back.

use quiescent::library::Capture;
use serde_json::{Value, json};

use super::{Etcd, address, call, encoded, pod_at, put};
use crate::databases::{
    harness::{Pod, pod},
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server, output, place},
    writers::{Record, Session, WRITERS},
};

pub const DUMP: u8 = 0;
pub const SNAPSHOT: u8 = 1;
pub const DISTROLESS: u8 = 2;

/// A member whose pod is for one of the policies.
pub struct Policed<const POLICY: u8>(Etcd);

impl<const POLICY: u8> Engine for Policed<POLICY> {
    fn start(installation: &Installation) -> Self {
        Self(Etcd::of(installation))
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Etcd::serve(installation, place, &[]).map(Self)
    }

    fn server(&self) -> &Server {
        &self.0.server
    }

    fn version(&self) -> String {
        let (_, answer) = self.0.http().request("GET", "/version", "").unwrap();
        let version: Value = serde_json::from_str(&answer).unwrap();
        format!("etcd {}", version["etcdserver"].as_str().unwrap())
    }

    fn pod(&self) -> Value {
        match POLICY {
            DISTROLESS => pod(
                "gcr.io/etcd-development/etcd:v3.5.16",
                &[("ETCDCTL_ENDPOINTS", &address(self.0.server.port))],
            ),
            SNAPSHOT => self.0.pod("snapshot", &[]),
            _ => self.0.pod("dump", &[]),
        }
    }

    fn fill(&self) {
        let mut http = self.0.http();
        let mut number = |key: &[u8], value: &[u8]| {
            call(
                &mut http,
                "/v3/kv/txn",
                &json!({ "success": [put(key, value)] }),
            );
        };
        number(b"\0\xff 'awk\"ward\\\n", "😀\0".as_bytes());
        number(b"big", &vec![b'x'; 1_000_000]);
        for key in 0..200 {
            number(format!("fill/{key}").as_bytes(), &[b'y'; 1000]);
        }
    }

    /// Coins move between the two purses of a writer, and each transaction leaves a line.
    fn session(&self, writer: usize) -> Session {
        let mut http = self.0.http();
        Box::new(move |number| {
            let all = [
                put(format!("purse/{writer}/a"), number.to_string()),
                put(format!("purse/{writer}/b"), format!("-{number}")),
                put(format!("written/{writer}/{number:09}"), "x".repeat(100)),
            ];
            let done = call(&mut http, "/v3/kv/txn", &json!({ "success": all }));
            assert_eq!(done["succeeded"], true);
        })
    }

    fn written(&self) -> Result<Record, String> {
        let healthy = self.0.client().args(["endpoint", "health"]).output();
        let healthy = healthy.unwrap();
        if !healthy.status.success() {
            return Err(String::from_utf8_lossy(&healthy.stderr).into_owned());
        }
        let mut http = self.0.http();
        let mut value = |key: &[u8]| {
            let range = call(&mut http, "/v3/kv/range", &json!({ "key": encoded(key) }));
            range["kvs"][0]["value"].clone()
        };
        if value(b"\0\xff 'awk\"ward\\\n") != encoded("😀\0")
            || value(b"big") != encoded(vec![b'x'; 1_000_000])
        {
            return Err("the awkward keys are not what they were".to_owned());
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let purse = value(format!("purse/{writer}/a").as_bytes());
            let other = value(format!("purse/{writer}/b").as_bytes());
            let lines = json!({
                "key": encoded(format!("written/{writer}/")),
                "range_end": encoded(format!("written/{writer}0")),
                "count_only": true,
            });
            let lines = call(&mut self.0.http(), "/v3/kv/range", &lines);
            let count = lines["count"].as_str().unwrap_or("0");
            if purse != encoded(count) || other != encoded(format!("-{count}")) {
                return Err(format!(
                    "writer {writer}: {count} lines, but {purse}, {other}"
                ));
            }
            *last = count.parse().unwrap();
        }
        Ok(record)
    }

    /// The server must not run yet: by hand, as an init container would.
    fn restore(installation: &Installation, backup: &Pod) -> Result<Self, String> {
        let place = place();
        if POLICY == DISTROLESS {
            output(
                installation
                    .unprivileged("etcdutl", place.0.path())
                    .args(["snapshot", "restore"])
                    .arg(backup.volume().join("etcd-dump-distroless.db"))
                    .arg("--data-dir")
                    .arg(place.0.path().join("data")),
            );
        } else {
            let pod = pod_at((place.0.path(), place.1), "dump", &[]);
            let pod = Pod::inject(&pod, &[]).restored_from(backup);
            let outcome = pod.run_script("restore.sh", &installation.container());
            if outcome.code != Some(0) {
                return Err(format!("{outcome:?}"));
            }
        }
        Self::open(installation, place)
    }
}

/// This machine's own version, and the other one if it is at hand.
pub fn installations() -> impl Iterator<Item = Installation> {
    std::iter::once(Installation::own()).chain(Installation::named("etcd-3.5"))
}

macro_rules! proofs {
    ($($version:ident: $installation:expr;)*) => {$(
        mod $version {
            use super::*;

            #[test]
            fn a_dump_under_write_load_has_every_acknowledged_write() {
                proven::<DUMP>("etcd-dump", $installation, Capture::Dump);
            }

            #[test]
            fn a_snapshot_under_write_load_has_every_acknowledged_write() {
                proven::<SNAPSHOT>("etcd-snapshot", $installation, Capture::Block);
            }
        }
    )*};
}

proofs! {
    etcd_3_4: Some(Installation::own());
    etcd_3_5: Installation::named("etcd-3.5");
}

#[test]
fn a_dump_without_a_shell_has_every_acknowledged_write() {
    let installation = Installation::named("etcd-3.5");
    proven::<DISTROLESS>("etcd-dump-distroless", installation, Capture::Dump);
}

fn proven<const POLICY: u8>(policy: &str, installation: Option<Installation>, capture: Capture) {
    if Etcd::at_hand()
        && let Some(installation) = installation
    {
        prove::<Policed<POLICY>>(policy, &installation, capture);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Etcd::at_hand() {
        naked::<Policed<DUMP>>("etcd-dump", &Installation::own(), Capture::FileCopy);
        naked::<Policed<SNAPSHOT>>("etcd-snapshot", &Installation::own(), Capture::Block);
    }
}
