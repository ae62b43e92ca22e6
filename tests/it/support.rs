//! What several tests need.

use std::{
    io::{ErrorKind, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

/// Whether a test can run here. In CI everything must; elsewhere it says why it does not.
pub fn require(there: bool, what: &str) -> bool {
    if !there {
        assert!(
            std::env::var_os("CI").is_none(),
            "{what} is missing, and in CI nothing may be skipped"
        );
        eprintln!("skipped: {what} is missing");
    }
    there
}

/// The program under test.
pub fn quiescent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quiescent"));
    command.args(arguments);
    command
}

/// Runs the program with a text on its standard input.
pub fn run(arguments: &[&str], input: &str) -> Output {
    let mut child = quiescent(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    // A run that ends at its arguments reads nothing.
    if let Err(error) = written {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
    child.wait_with_output().unwrap()
}

/// The program where another user can run it. Copied by another process: one that is forked here
/// meanwhile would hold it open, and nobody could run it.
pub fn copy_of_the_program(path: &Path) {
    let copied = Command::new("cp")
        .args([Path::new(env!("CARGO_BIN_EXE_quiescent")), path])
        .status();
    assert!(copied.unwrap().success());
}

/// A CA, and a certificate of it for both sides of a connection with `localhost`, as `ca.crt`, `tls.crt` and
/// `tls.key` in a folder.
pub fn certificates(folder: &Path) {
    let script = "
        key='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $key -keyout ca.key -out ca.crt -subj /CN=ca -days 2
        printf 'subjectAltName=DNS:localhost\\nextendedKeyUsage=serverAuth,clientAuth\\n' >extensions
        openssl req $key -keyout tls.key -out tls.csr -subj /CN=localhost
        openssl x509 -req -in tls.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
            -out tls.crt -days 2 -extfile extensions
        chmod 644 tls.key";
    let made = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
}

/// A line of `/proc/PID/status`, in bytes: `VmRSS` is in memory now (`RssAnon` without what is read from files), `VmHWM` was at most.
pub fn memory(process: u32, line: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let found = status.lines().find_map(|it| it.strip_prefix(line)).unwrap();
    let kib = found.trim_matches(|c: char| !c.is_ascii_digit());
    kib.parse::<u64>().unwrap() << 10
}

/// Holds a text against the one in a file. With `QUIESCENT_BLESS` set, writes the file instead.
pub fn golden(path: &Path, text: &str) {
    if std::env::var_os("QUIESCENT_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        expected == text,
        "{} is not what comes out now; QUIESCENT_BLESS=1 writes it anew\n--- expected\n{expected}\n--- now\n{text}",
        path.display()
    );
}

/// A text in which the versions of the library's scripts and policies do not show.
pub fn without_hashes(text: &str) -> String {
    let mut text = text.to_owned();
    for place in quiescent::library::policies() {
        text = text.replace(place.policy.scripts.digest(), "SCRIPTS");
        text = text.replace(&place.policy.digest, "POLICY");
    }
    text
}
