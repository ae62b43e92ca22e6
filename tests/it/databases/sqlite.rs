//! SQLite: files of an application for a test, and what the hooks must do with them.

mod faults;
pub mod proof;
mod restore;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    server::{Place, Server, output, place, unprivileged},
};

/// An application with one database file. The writers are its processes.
pub struct Sqlite {
    server: Server,
}

impl Sqlite {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["sqlite3", "python3"])
    }

    /// Starts an application with a file of this journal mode.
    fn start(journal: &str) -> Self {
        let application = Self::open(place());
        application.sql(&format!(
            "pragma journal_mode={journal}; create table t (n);"
        ));
        application
    }

    /// Starts an application on the files in a place.
    fn open((folder, port): Place) -> Self {
        let mut command = unprivileged("sleep", folder.path());
        command.arg("infinity");
        Self {
            server: Server::start(command, (folder, port), "-TERM", || true),
        }
    }

    fn folder(&self) -> &Path {
        self.server.folder.path()
    }

    fn file(&self) -> PathBuf {
        self.folder().join("it's an app.db")
    }

    /// A pod beside this application, as its users write it.
    fn pod(&self) -> Value {
        Self::pod_of(&[&self.file()])
    }

    fn pod_of(files: &[&Path]) -> Value {
        let files: Vec<String> = files.iter().map(|it| it.display().to_string()).collect();
        let mut pod = pod("registry.example.com/shop/wiki:2.1", &[]);
        pod["metadata"]["labels"] = json!({ "quiescent.dev/database": "sqlite" });
        pod["metadata"]["annotations"] =
            json!({ "quiescent.dev/sqlite-dump.files": files.join(":") });
        pod
    }

    /// A shell on the file, as the application's user.
    fn client(&self) -> Command {
        let mut command = unprivileged("sqlite3", self.folder());
        command
            .args(["-batch", "-bail", "-cmd", ".timeout 60000"])
            .arg(self.file());
        command
    }

    #[track_caller]
    fn sql(&self, statements: &str) -> String {
        output(self.client().arg(statements).stderr(Stdio::inherit()))
    }

    /// The sum of all that is in the file, whatever its order on disk.
    fn digest(&self) -> String {
        self.sql(".sha3sum --schema")
    }
}
