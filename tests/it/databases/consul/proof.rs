//! Consul proven: what its policy backs up under write load comes back.

use quiescent::library::Capture;
use serde_json::Value;

use super::{Consul, set};
use crate::databases::{
    installation::Installation,
    proof::{Engine, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS},
};

impl Engine for Consul {
    fn start(installation: &Installation) -> Self {
        Self::of(installation)
    }

    fn open(_: &Installation, _: Place) -> Result<Self, String> {
        Err("there is no policy for its files".to_owned())
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        let (_, answer) = self.http().request("GET", "/v1/agent/self", "").unwrap();
        let agent: Value = serde_json::from_str(&answer).unwrap();
        format!("Consul {}", agent["Config"]["Version"].as_str().unwrap())
    }

    fn pod(&self) -> Value {
        self.pod(&[])
    }

    fn fill(&self) {
        let mut http = self.http();
        set(&mut http, &[("awk'ward/\"key\\", "😀\0\n"), ("empty", "")]);
        set(&mut http, &[("big", &"x".repeat(300_000))]);
        for key in 0..200 {
            set(&mut http, &[(&format!("fill/{key}"), &"y".repeat(1000))]);
        }
        let entry = r#"{"Kind": "service-defaults", "Name": "web", "Protocol": "http"}"#;
        let (status, _) = http.request("PUT", "/v1/config", entry).unwrap();
        assert_eq!(status, 200);
    }

    /// Coins move between the two purses of a writer, and each transaction leaves a line.
    fn session(&self, writer: usize) -> Session {
        let mut http = self.http();
        Box::new(move |number| {
            let all = [
                (format!("purse/{writer}/a"), number.to_string()),
                (format!("purse/{writer}/b"), format!("-{number}")),
                (format!("written/{writer}/{number:09}"), "x".repeat(100)),
            ];
            set(
                &mut http,
                &all.each_ref()
                    .map(|(key, value)| (key.as_str(), value.as_str())),
            );
        })
    }

    fn written(&self) -> Result<Record, String> {
        let awkward = self.value("awk%27ward/%22key%5C");
        if awkward != "😀\0\n" || self.value("big").len() != 300_000 {
            return Err("the awkward keys are not what they were".to_owned());
        }
        let (_, entry) = self
            .http()
            .request("GET", "/v1/config/service-defaults/web", "")
            .unwrap();
        if !entry.contains("http") {
            return Err("the configuration entry is not there".to_owned());
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let path = format!("/v1/kv/written/{writer}/?keys");
            let (_, lines) = self.http().request("GET", &path, "").unwrap();
            let lines: Vec<String> = serde_json::from_str(&lines).unwrap_or_default();
            let purse = self.value(&format!("purse/{writer}/a"));
            let other = self.value(&format!("purse/{writer}/b"));
            if purse != lines.len().to_string() || other != format!("-{purse}") {
                let count = lines.len();
                return Err(format!(
                    "writer {writer}: {count} lines, but {purse}, {other}"
                ));
            }
            *last = lines.len() as u64;
        }
        Ok(record)
    }
}

#[test]
fn a_dump_under_write_load_has_every_acknowledged_write() {
    if let Some(installation) = Consul::at_hand() {
        prove::<Consul>("consul-dump", &installation, Capture::Dump);
    }
}
