//! ZooKeeper: a server for a test, and what its hooks must do.

mod faults;
mod proof;
mod wire;

use std::{fs, io::Write as _, net::TcpStream, time::Duration};

use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    server::{Place, Server, place, unprivileged},
};

pub struct Zookeeper {
    server: Server,
}

impl Zookeeper {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["java"])
            && crate::support::require(
                fs::exists("/usr/share/java/zookeeper.jar").unwrap(),
                "zookeeper (apt-get install zookeeper)",
            )
    }

    fn start(settings: &str) -> Self {
        Self::serve(place(), settings).unwrap()
    }

    /// Starts a server on the files in a place.
    fn serve((folder, port): Place, settings: &str) -> Result<Self, String> {
        let home = folder.path();
        let file = home.join("zoo.cfg");
        let basic = format!(
            "dataDir={}/data\nclientPort={port}\nclientPortAddress=127.0.0.1\ntickTime=2000\n\
             maxClientCnxns=0\nadmin.enableServer=false\n{settings}",
            home.display()
        );
        fs::write(&file, basic).unwrap();
        let mut command = unprivileged("java", home);
        command
            .args([
                "-Xmx256m",
                "-Dzookeeper.snapCount=2000",
                "-Dzookeeper.preAllocSize=1024",
            ])
            .args(["-cp", "/usr/share/java/zookeeper.jar:/usr/share/java/*"])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(file);
        let alone = !settings.contains("server.1");
        let answers = || {
            let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut connection| {
                // One that is only just starting may take the question and never answer.
                connection.set_read_timeout(Some(Duration::from_secs(1)))?;
                connection.write_all(b"srvr")?;
                std::io::read_to_string(connection)
            });
            asked.is_ok_and(|said| !alone && !said.is_empty() || said.contains("Mode: "))
        };
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-KILL", answers)?,
        })
    }

    /// A pod beside this server.
    fn pod(&self) -> Value {
        let mut pod = pod("zookeeper:3.8", &[]);
        let config = self.server.folder.path().join("zoo.cfg");
        pod["metadata"]["annotations"] = json!({
            "quiescent.dev/zookeeper-copy.port": self.server.port.to_string(),
            "quiescent.dev/zookeeper-copy.config": config.display().to_string(),
        });
        pod
    }

    fn client(&self) -> wire::Client {
        wire::Client::connect(self.server.port)
    }

    fn version() -> String {
        let jars = fs::read_dir("/usr/share/java").unwrap();
        let names = jars.map(|jar| jar.unwrap().file_name().into_string().unwrap());
        let mut versions = names.filter_map(|name| {
            let version = name.strip_prefix("zookeeper-")?.strip_suffix(".jar")?;
            version
                .starts_with(|it: char| it.is_ascii_digit())
                .then(|| version.to_owned())
        });
        versions.next().expect("Debian names the jar's version")
    }
}
