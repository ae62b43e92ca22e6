//! RabbitMQ: a node for a test, and what its hooks must do.

mod faults;
mod proof;
mod stomp;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{
    harness::{pod, possible},
    server::{Place, Server, output, place, unprivileged},
};

pub struct Rabbit {
    server: Server,
    /// Where the files of a node that was copied have been, for it knows them by their paths.
    was: Option<PathBuf>,
    /// Tells clients where the node listens; it must end last.
    epmd: Server,
}

/// What an operator would have set up.
const DEFINITIONS: &str = r#"{
    "users": [
        {"name": "guest", "password": "guest", "tags": "administrator"},
        {"name": "o'brien \"x\" 😀", "password": "ä'\"", "tags": ""}
    ],
    "vhosts": [{"name": "/"}, {"name": "odd \"vhost' 😀"}],
    "permissions": [
        {"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
        {"user": "o'brien \"x\" 😀", "vhost": "odd \"vhost' 😀", "configure": "", "write": "a|b", "read": ".*"}
    ],
    "policies": [{"vhost": "/", "name": "long", "pattern": "^long\\.", "apply-to": "queues",
        "definition": {"max-length": 1000}, "priority": 1}],
    "queues": [{"name": "long.waiting ü", "vhost": "/", "durable": true, "auto_delete": false,
        "arguments": {"x-max-priority": 5}}],
    "exchanges": [{"name": "orders", "vhost": "/", "type": "topic", "durable": true,
        "auto_delete": false, "internal": false, "arguments": {}}],
    "bindings": [{"source": "orders", "vhost": "/", "destination": "long.waiting ü",
        "destination_type": "queue", "routing_key": "a.#", "arguments": {"x": "1"}}]
}"#;

/// A node must know its first user.
const NOTHING: &str = r#"{
    "users": [{"name": "guest", "password": "guest", "tags": "administrator"}],
    "vhosts": [{"name": "/"}],
    "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}]
}"#;

impl Rabbit {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["rabbitmq-server", "rabbitmqctl", "epmd"])
    }

    /// A new node with these definitions.
    fn start(definitions: &str) -> Self {
        let place = place();
        let file = place.0.path().join("definitions.json");
        fs::write(&file, definitions).unwrap();
        let load = format!("load_definitions = {}\n", file.display());
        Self::serve(place, None, &load).unwrap()
    }

    /// Starts a node on the files of another one, which are found where they have been.
    fn open(place: Place) -> Result<Self, String> {
        let home = fs::read_to_string(place.0.path().join("home")).unwrap();
        std::os::unix::fs::symlink(place.0.path(), &home).unwrap();
        Self::serve(place, Some(home.into()), "")
    }

    fn serve((folder, port): Place, was: Option<PathBuf>, settings: &str) -> Result<Self, String> {
        let home = was.as_deref().unwrap_or(folder.path());
        let write = |name: &str, text: &str| fs::write(home.join(name), text).unwrap();
        write("home", home.to_str().unwrap());
        write("plugins", "[rabbitmq_stomp].\n");
        write(
            "rabbitmq.conf",
            &format!("listeners.tcp = none\nstomp.listeners.tcp.1 = 127.0.0.1:{port}\n{settings}"),
        );
        let epmd_place = place();
        let epmd_port = epmd_place.1;
        let mut epmd = unprivileged("epmd", epmd_place.0.path());
        epmd.args(["-port", &epmd_port.to_string(), "-address", "127.0.0.1"]);
        let epmd = Server::start(epmd, epmd_place, "-KILL", || {
            std::net::TcpStream::connect(("127.0.0.1", epmd_port)).is_ok()
        });

        let mut command = unprivileged("rabbitmq-server", home);
        let file = |name: &str| home.join(name).display().to_string();
        command.envs(variables(home, epmd_port));
        command.envs([
            ("RABBITMQ_DIST_PORT", place().1.to_string()),
            ("RABBITMQ_MNESIA_BASE", file("mnesia")),
            ("RABBITMQ_LOG_BASE", file("logs")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            // One process, which is the one that we started.
            ("RABBITMQ_ALLOW_INPUT", "true".to_owned()),
            ("RABBITMQ_SERVER_START_ARGS", "-noshell -noinput".to_owned()),
        ]);
        let ready = || stomp::Client::try_connect(port).is_some();
        let server = Server::try_start(command, (folder, port), "-KILL", ready)?;
        let node = Self { server, was, epmd };
        // It answers clients a moment before it answers its tools.
        node.control(&["await_startup"]);
        Ok(node)
    }

    /// A pod beside this node.
    fn pod(&self) -> Value {
        Self::pod_of(self.server.folder.path(), self.epmd.port)
    }

    /// A pod with its home and its node there.
    fn pod_of(home: &Path, epmd: u16) -> Value {
        let variables = variables(home, epmd);
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        pod("rabbitmq:3.13", &variables)
    }

    fn client(&self) -> stomp::Client {
        stomp::Client::connect(self.server.port)
    }

    #[track_caller]
    fn control(&self, arguments: &[&str]) -> String {
        let home = self.server.folder.path();
        let mut command = unprivileged("rabbitmqctl", home);
        output(
            command
                .envs(variables(home, self.epmd.port))
                .arg("-q")
                .args(arguments),
        )
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        if let Some(was) = &self.was {
            let _ = fs::remove_file(was);
        }
    }
}

/// What tools and node must agree upon.
fn variables(home: &Path, epmd: u16) -> [(&'static str, String); 4] {
    [
        ("HOME", home.display().to_string()),
        ("RABBITMQ_NODENAME", "rb@localhost".to_owned()),
        ("ERL_EPMD_PORT", epmd.to_string()),
        ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
    ]
}
