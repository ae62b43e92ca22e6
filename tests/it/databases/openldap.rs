//! OpenLDAP: a slapd for a test, and what its hooks must do.

mod faults;
mod proof;
mod restore;

use std::{
    fs,
    io::Write as _,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    harness::{pod, possible},
    installation::Installation,
    server::{Place, Server, client, output, place},
};

/// How slapd is told what it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Configured {
    File,
    Folder,
}

pub struct Slapd {
    server: Server,
    config: PathBuf,
    installation: Installation,
}

const ADMIN: &str = "cn=admin,dc=example,dc=org";
const OTHER_ADMIN: &str = "cn=admin,o=other corp";

impl Slapd {
    /// Whether this machine has what the tests need.
    pub fn at_hand() -> bool {
        possible(&["slapd", "slapcat", "ldapmodify"])
    }

    /// A new server with two databases, whose files are in a folder.
    fn start(home: &Path, configured: Configured, further: &str) -> Self {
        let installation = Installation::own();
        configure(&installation, home, configured, further);
        Self::serve(&installation, place(), home, configured).unwrap()
    }

    /// Starts a server on the files in a folder.
    fn serve(
        installation: &Installation,
        (folder, port): Place,
        home: &Path,
        configured: Configured,
    ) -> Result<Self, String> {
        let config = config(home, configured);
        let mut command = installation.unprivileged("slapd", folder.path());
        command.arg(option(configured)).arg(&config).args([
            "-h",
            &format!("ldap://127.0.0.1:{port}"),
            "-d",
            "0",
        ]);
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        Ok(Self {
            server: Server::try_start(command, (folder, port), "-TERM", listens)?,
            config,
            installation: installation.clone(),
        })
    }

    /// A pod beside this server.
    fn pod(&self) -> Value {
        pod_of(&self.config)
    }

    fn client(&self, tool: &str, admin: &str) -> Command {
        let mut command = client(tool);
        let url = format!("ldap://127.0.0.1:{}", self.server.port);
        command.args(["-x", "-H", &url, "-D", admin, "-w", "secret"]);
        command
    }

    /// Adds entries.
    #[track_caller]
    fn add(&self, admin: &str, ldif: &str) {
        let mut child = self
            .client("ldapadd", admin)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(ldif.as_bytes()).unwrap();
        drop(input);
        assert!(child.wait().unwrap().success());
    }

    /// What is below a name, operational attributes included.
    #[track_caller]
    fn search(&self, admin: &str, base: &str) -> String {
        output(self.client("ldapsearch", admin).args([
            "-LLL",
            "-b",
            base,
            "(objectClass=*)",
            "*",
            "+",
        ]))
    }

    /// All that one can see. What a slapd makes of a file is new at each start.
    fn all(&self) -> Vec<String> {
        let mut all = vec![
            self.search(ADMIN, "dc=example,dc=org"),
            self.search(OTHER_ADMIN, "o=other corp"),
        ];
        if self.config.is_dir() {
            all.push(self.search("cn=config", "cn=config"));
        }
        all
    }
}

/// A pod whose slapd has its configuration there.
fn pod_of(config: &Path) -> Value {
    let mut pod = pod("osixia/openldap:1.5.0", &[]);
    pod["metadata"]["annotations"] =
        json!({ "quiescent.dev/openldap-dump.config": config.display().to_string() });
    pod
}

fn config(home: &Path, configured: Configured) -> PathBuf {
    home.join(match configured {
        Configured::File => "slapd.conf",
        Configured::Folder => "slapd.d",
    })
}

const fn option(configured: Configured) -> &'static str {
    match configured {
        Configured::File => "-f",
        Configured::Folder => "-F",
    }
}

/// Writes the configuration of a server into a folder; `further` belongs to its first database.
fn configure(installation: &Installation, home: &Path, configured: Configured, further: &str) {
    let root = installation.root();
    let schema = root.join("etc/ldap/schema");
    let settings = format!(
        "include {schema}/core.schema\ninclude {schema}/cosine.schema\n\
         include {schema}/inetorgperson.schema\n\
         modulepath {modules}\nmoduleload back_mdb\n\
         database config\nrootpw secret\n\
         database mdb\nsuffix dc=example,dc=org\nrootdn {ADMIN}\nrootpw secret\n\
         directory {home}/first\nmaxsize 268435456\nsizelimit unlimited\n{further}\n\
         database mdb\nsuffix \"o=other corp\"\nrootdn \"{OTHER_ADMIN}\"\nrootpw secret\n\
         directory {home}/second\nmaxsize 268435456\n",
        schema = schema.display(),
        modules = root.join("usr/lib/ldap").display(),
        home = home.display(),
    );
    let file = config(home, Configured::File);
    fs::write(&file, settings).unwrap();
    let run = |program: &str, arguments: &[&Path]| {
        output(installation.unprivileged(program, home).args(arguments));
    };
    for folder in ["first", "second"] {
        run("mkdir", &["-p".as_ref(), &home.join(folder)]);
    }
    if configured == Configured::Folder {
        let folder = config(home, Configured::Folder);
        run("mkdir", &[&folder]);
        // It complains that the databases are not there yet.
        let mut convert = installation.unprivileged("slaptest", home);
        convert.arg("-f").arg(&file).arg("-F").arg(&folder);
        convert.output().unwrap();
        fs::remove_file(file).unwrap();
    }
}
