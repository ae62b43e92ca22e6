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
    /// Which signal ends the server without leaving processes behind.
    end: &'static str,
}

impl Server {
    /// Starts `command`, which writes below `folder` and listens on `port`, and waits until it is ready.
    pub fn start(
        mut command: Command,
        (folder, port): (TempDir, u16),
        end: &'static str,
        ready: impl FnMut() -> bool,
    ) -> Self {
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let server = Self {
            child,
            port,
            folder,
            end,
        };
        eventually("the server is ready", ready);
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = Command::new("kill")
            .args([self.end, &self.child.id().to_string()])
            .status();
        assert!(
            ended.is_ok_and(|status| status.success()),
            "the server must still be there"
        );
        let _ = self.child.wait();
    }
}

/// A folder that the servers' user owns, and a port that nobody listens on.
pub fn place() -> (TempDir, u16) {
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
