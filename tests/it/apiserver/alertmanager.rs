//! A real Alertmanager that is spoken to by TLS alone.
use std::{
    fs,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    controller::SOON,
    kit::{eventually, run},
};
use crate::support::{certificates, require};

/// It sends nothing to anybody.
const CONFIGURATION: &str = "{route: {receiver: nobody}, receivers: [{name: nobody}]}";

pub struct Alertmanager {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Alertmanager {
    /// None where this machine has none.
    pub fn start() -> Option<Self> {
        let there = Command::new("prometheus-alertmanager")
            .arg("--version")
            .output();
        if !require(
            there.is_ok(),
            "Alertmanager (Debian's package prometheus-alertmanager)",
        ) {
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("configuration.yml", CONFIGURATION);
        write(
            "web.yml",
            "{tls_server_config: {cert_file: tls.crt, key_file: tls.key}}",
        );
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Command::new("prometheus-alertmanager")
            .args([
                "--config.file=configuration.yml",
                "--web.config.file=web.yml",
                "--storage.path=data",
                // Alone.
                "--cluster.listen-address=",
            ])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let alertmanager = Self {
            process,
            port,
            folder,
        };
        eventually("Alertmanager is there", SOON, || alertmanager.alerts());
        Some(alertmanager)
    }

    /// Where it takes alerts.
    pub fn url(&self) -> String {
        format!("https://localhost:{}/api/v2/alerts", self.port)
    }

    /// The authority of its certificate.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// The alerts that it has taken; nothing while it does not answer.
    pub fn alerts(&self) -> Option<Vec<Value>> {
        let mut ask = Command::new("curl");
        ask.args(["-sSf", "--cacert"]).arg(self.ca());
        let answer = run(ask.arg(self.url())).ok()?;
        serde_json::from_str(&answer).ok()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
