//! OpenLDAP proven: what its policy backs up under write load comes back.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    process::Stdio,
};

use quiescent::library::Capture;
use serde_json::Value;

use super::{ADMIN, Configured, Slapd, config, configure, pod_of};
use crate::databases::{
    harness::Pod,
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server, output, place},
    writers::{Record, Session, WRITERS},
};

const BIG: u64 = 2000;

impl Engine for Slapd {
    fn start(installation: &Installation) -> Self {
        Self::open(installation, place()).unwrap()
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        let home = place.0.path().to_owned();
        configure(installation, &home, Configured::File, "");
        Self::serve(installation, place, &home, Configured::File)
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        let mut slapd = self.installation.client("slapd");
        let done = slapd.arg("-VV").output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        let version = said.split("slapd ").nth(1).unwrap();
        let digits = version.find(|it: char| !it.is_ascii_digit() && it != '.');
        format!("OpenLDAP {}", &version[..digits.unwrap()])
    }

    fn pod(&self) -> Value {
        self.pod()
    }

    fn fill(&self) {
        let mut ldif = String::from(
            "dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: 😀 \"'\ndc: example\n\n",
        );
        for writer in 0..WRITERS {
            let unit = "objectClass: organizationalUnit";
            writeln!(
                ldif,
                "dn: ou=w{writer},dc=example,dc=org\n{unit}\nou: w{writer}\n"
            )
            .unwrap();
        }
        for big in 0..BIG {
            let device = "objectClass: device";
            let text = "x".repeat(300);
            writeln!(
                ldif,
                "dn: cn=big{big},dc=example,dc=org\n{device}\ncn: big{big}\ndescription: {text}\n"
            )
            .unwrap();
        }
        self.add(ADMIN, &ldif);
    }

    /// A transaction adds an entry and changes one of the big ones. The client says a line before and
    /// an empty one after each, and ends when the server refuses.
    fn session(&self, writer: usize) -> Session {
        let tool = self.client("ldapmodify", ADMIN);
        let mut unbuffered = std::process::Command::new("stdbuf");
        unbuffered
            .arg("-oL")
            .arg(tool.get_program())
            .args(tool.get_args());
        let mut child = unbuffered
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut says = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut asks = child.stdin.take().unwrap();
        let mut client = Ended(child);
        Box::new(move |number| {
            let _ = &mut client;
            let ldif = format!(
                "dn: cn={number},ou=w{writer},dc=example,dc=org\nchangetype: add\nobjectClass: device\n\
                 cn: {number}\nserialNumber: {number}\n\n\
                 dn: cn=big{},dc=example,dc=org\nchangetype: modify\nreplace: serialNumber\n\
                 serialNumber: {writer} {number}\n\n",
                (number * 7 + u64::try_from(writer).unwrap()) % BIG
            );
            asks.write_all(ldif.as_bytes()).unwrap();
            let done = says.by_ref().map(Result::unwrap).filter(String::is_empty);
            assert_eq!(done.take(2).count(), 2, "writer {writer} lost its session");
        })
    }

    fn written(&self) -> Result<Record, String> {
        let mut slapcat = self
            .installation
            .unprivileged("slapcat", self.server.folder.path());
        slapcat.arg("-f").arg(&self.config).args(["-n", "1"]);
        let done = slapcat.output().unwrap();
        if !done.status.success() {
            return Err(String::from_utf8_lossy(&done.stderr).into_owned());
        }
        let entries = String::from_utf8(done.stdout).unwrap();
        let big = entries.matches("dn: cn=big").count();
        if u64::try_from(big).unwrap() != BIG {
            return Err(format!("of {BIG} big entries there are {big}"));
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let base = format!("ou=w{writer},dc=example,dc=org");
            let found = output(self.client("ldapsearch", ADMIN).args([
                "-LLL",
                "-s",
                "one",
                "-b",
                &base,
                "(objectClass=device)",
                "cn",
            ]));
            let mut numbers: Vec<u64> = found
                .lines()
                .filter_map(|line| line.strip_prefix("cn: ")?.parse().ok())
                .collect();
            numbers.sort_unstable();
            let max = numbers.last().copied().unwrap_or_default();
            if u64::try_from(numbers.len()).unwrap() != max {
                return Err(format!("writer {writer}: {} of {max}", numbers.len()));
            }
            *last = max;
        }
        Ok(record)
    }

    /// The script loads it, before there is a server.
    fn restore(installation: &Installation, backup: &Pod) -> Result<Self, String> {
        let fresh = place();
        let home = fresh.0.path().to_owned();
        configure(installation, &home, Configured::File, "");
        let described = pod_of(&config(&home, Configured::File));
        let pod = Pod::inject(&described, &[]).restored_from(backup);
        let outcome = pod.run_script("restore.sh", &installation.container());
        if outcome.code == Some(0) {
            Self::serve(installation, fresh, &home, Configured::File)
        } else {
            Err(format!("{outcome:?}"))
        }
    }
}

/// A client that is waited for.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_dump_under_write_load_has_every_acknowledged_write() {
    if Slapd::at_hand() {
        prove::<Slapd>("openldap-dump", &Installation::own(), Capture::Dump);
    }
}

#[test]
fn a_dump_of_slapd_2_6_under_write_load_has_every_acknowledged_write() {
    if Slapd::at_hand()
        && let Some(installation) = Installation::named("slapd-2.6")
    {
        prove::<Slapd>("openldap-dump", &installation, Capture::Dump);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Slapd::at_hand() {
        naked::<Slapd>("openldap-dump", &Installation::own(), Capture::FileCopy);
        naked::<Slapd>("openldap-dump", &Installation::own(), Capture::Block);
    }
}
