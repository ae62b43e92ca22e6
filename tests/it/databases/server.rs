//! A database server for one test: an unprivileged process with a folder and a port of its own.

use std::{
    ffi::OsStr,
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::harness::{NOBODY, eventually, is_root, path};

pub struct Server {
    child: Child,
    pub port: u16,
    pub folder: TempDir,
    /// Which signal ends the server without leaving processes behind; none for one that has ended.
    end: Option<&'static str>,
}

impl Server {
    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts `command`, which writes below `folder` and listens on `port`, and waits until it is ready.
    pub fn start(
        command: Command,
        place: Place,
        end: &'static str,
        ready: impl FnMut() -> bool,
    ) -> Self {
        Self::try_start(command, place, end, ready).unwrap()
    }

    /// As `start`, for files that a server may not come up on.
    ///
    /// # Errors
    /// The end of the log of a server that ended.
    pub fn try_start(
        mut command: Command,
        (folder, port): Place,
        end: &'static str,
        mut ready: impl FnMut() -> bool,
    ) -> Result<Self, String> {
        let log = folder.path().join("log");
        let file = fs::File::create(&log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut server = Self {
            child,
            port,
            folder,
            end: Some(end),
        };
        let mut ended = false;
        eventually("the server is ready, or has ended", || {
            ended = server.child.try_wait().unwrap().is_some();
            ended || ready()
        });
        if !ended {
            return Ok(server);
        }
        server.end = None;
        let said = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let last = said.lines().rev().take(5).collect::<Vec<_>>();
        Err(last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(signal) = self.end else {
            return;
        };
        let ended = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(
            ended.is_ok_and(|status| status.success()),
            "the server must still be there"
        );
        let _ = self.child.wait();
    }
}

/// A folder for a server's files, and a port for it.
pub type Place = (TempDir, u16);

/// A folder that the servers' user owns, and a port that nobody listens on.
pub fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    if is_root() {
        std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(folder.path(), permissions).unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    (folder, port)
}

/// A command as the servers' user: databases refuse to be started by root.
pub fn unprivileged(program: &str, home: &Path) -> Command {
    let mut command = Command::new("setpriv");
    if is_root() {
        let ids = [format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")];
        command.args(ids).args(["--clear-groups", program]);
    } else {
        command = Command::new(program);
    }
    command.env_clear().env("PATH", path()).env("HOME", home);
    // A MariaDB that starts removes the temporary tables of every other in the same folder.
    command.env("TMPDIR", home);
    command
}

/// What a command prints; it must succeed.
#[track_caller]
pub fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// A client of this machine, with nothing of our environment.
pub fn client(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path())
        .env("HOME", "/nonexistent");
    command
}
