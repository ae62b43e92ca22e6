//! The table of evidence: what databases do with the commands that people put into hooks.
//!
//! Every row was measured on a real server or read in its documentation. A rule about an engine is
//! a row here and nothing else.

use std::sync::LazyLock;

use super::Rule;
use crate::{
    policy::{Image, ImagePattern},
    recognise::major,
    velero::HookPhase,
};

/// One thing that is known not to work.
pub struct Evidence {
    pub rule: Rule,
    /// Images in which it is so, by pattern or as versions of an engine; none means whatever the image.
    pub images: &'static [&'static str],
    pub phases: &'static [HookPhase],
    /// What a command says, in small letters: all of these. The first is pointed at.
    pub says: &'static [&'static str],
    /// And none of these.
    pub unless: &'static [&'static str],
    /// Variables of the container with which it works.
    pub unless_set: &'static [&'static str],
    pub wrong: &'static str,
    pub help: &'static str,
    /// Who says so.
    pub proof: &'static str,
}

const BOTH: &[HookPhase] = &[HookPhase::Pre, HookPhase::Post];
const PRE: &[HookPhase] = &[HookPhase::Pre];
const POSTGRES_15: &[&str] = &["PostgreSQL >=15"];
const POSTGRES_14: &[&str] = &["PostgreSQL <15"];
const POSTGRES: &[&str] = &["*/postgres", "*/postgis", "*/pgvector", "*/timescaledb"];
const DISTROLESS: &[&str] = &[
    "*/etcd-development/etcd:>=3.6",
    "*/coreos/etcd:>=3.6",
    "*/distroless/*",
];
const REMOVED: &str = "PostgreSQL 15 has no such function any more";
const DUMP_POSTGRES: &str = "dump instead: pg_dump -Fc -f /dump/new.dump … && mv /dump/new.dump /dump/app.dump; or take a snapshot of one volume, which needs no backup mode";
const LABEL_IN_DOUBLE_QUOTES: Evidence = Evidence {
    rule: Rule::EngineRefuses,
    images: &[],
    phases: BOTH,
    says: &["pg_backup_start(\""],
    unless: &[],
    unless_set: &[],
    wrong: "double quotes are for names in SQL: this is a column, and there is none",
    help: "write the label in single quotes: ('label')",
    proof: "run on 15.18: column \"test\" does not exist",
};

pub static EVIDENCE: &[Evidence] = &[
    LABEL_IN_DOUBLE_QUOTES,
    Evidence {
        says: &["pg_backup_start(\\\""],
        ..LABEL_IN_DOUBLE_QUOTES
    },
    Evidence {
        says: &["pg_start_backup(\""],
        ..LABEL_IN_DOUBLE_QUOTES
    },
    Evidence {
        says: &["pg_start_backup(\\\""],
        ..LABEL_IN_DOUBLE_QUOTES
    },
    Evidence {
        rule: Rule::EngineRefuses,
        images: POSTGRES_15,
        phases: BOTH,
        says: &["pg_start_backup"],
        unless: &[],
        unless_set: &[],
        wrong: REMOVED,
        help: DUMP_POSTGRES,
        proof: "run on 15.18: function pg_start_backup(unknown, boolean, boolean) does not exist",
    },
    Evidence {
        rule: Rule::EngineRefuses,
        images: POSTGRES_15,
        phases: BOTH,
        says: &["pg_stop_backup"],
        unless: &[],
        unless_set: &[],
        wrong: REMOVED,
        help: DUMP_POSTGRES,
        proof: "run on 15.18",
    },
    Evidence {
        rule: Rule::EngineRefuses,
        images: POSTGRES_15,
        phases: BOTH,
        says: &["pg_is_in_backup"],
        unless: &[],
        unless_set: &[],
        wrong: REMOVED,
        help: "leave it out: it only ever knew the exclusive mode, which is gone too",
        proof: "run on 15.18",
    },
    Evidence {
        rule: Rule::EngineRefuses,
        images: POSTGRES_14,
        phases: BOTH,
        says: &["pg_backup_start"],
        unless: &[],
        unless_set: &[],
        wrong: "PostgreSQL has this function from version 15 on",
        help: DUMP_POSTGRES,
        proof: "release notes of PostgreSQL 15, which gave it this name",
    },
    Evidence {
        rule: Rule::EngineRefuses,
        images: POSTGRES,
        phases: BOTH,
        says: &["pg_ctl stop"],
        unless: &[],
        unless_set: &[],
        wrong: "as root pg_ctl refuses to run, and as postgres it ends process 1: the container restarts during the backup",
        help: "dump the running server instead: pg_dump",
        proof: "run on 15.18: cannot be run as root; as postgres the exec ends with 137",
    },
    Evidence {
        rule: Rule::EngineRefuses,
        images: POSTGRES,
        phases: BOTH,
        says: &["pg_ctl start"],
        unless: &[],
        unless_set: &[],
        wrong: "as root pg_ctl refuses to run, and a server that it starts is not the one the container waits for",
        help: "dump the running server instead: pg_dump",
        proof: "run on 15.18",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["pg_start_backup", "psql", "false)"],
        unless: &[],
        unless_set: &[],
        wrong: "backup mode ends with the session that began it, and this psql exits at once",
        help: DUMP_POSTGRES,
        proof: "run on 14 and 15: the stop says that no backup is in progress",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["pg_start_backup", "psql"],
        unless: &["false)"],
        unless_set: &[],
        wrong: "exclusive backup mode leaves backup_label behind: a server that stops meanwhile may not start again",
        help: DUMP_POSTGRES,
        proof: "release notes of PostgreSQL 15, where the mode is gone",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: POSTGRES_14,
        phases: PRE,
        says: &["pg_start_backup", "psql"],
        unless: &["true", "false"],
        unless_set: &[],
        wrong: "without its second argument this waits for a checkpoint that is spread over minutes, and the hook times out",
        help: DUMP_POSTGRES,
        proof: "documentation of PostgreSQL 14, pg_start_backup: fast",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: BOTH,
        says: &["echo ", "\necho "],
        unless: &["set -e", "&&", "exit ", "trap ", "||"],
        unless_set: &[],
        wrong: "this script goes on after a failure and ends with the status of its last line",
        help: "begin it with set -eu",
        proof: "run: the stop fails, echo ends with 0, and Velero counts a success",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["pg_backup_start", "psql"],
        unless: &["pg_backup_stop"],
        unless_set: &[],
        wrong: "backup mode ends with the session that began it, and this psql exits at once",
        help: DUMP_POSTGRES,
        proof: "run on 15.18: the stop says that no backup is in progress",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: POSTGRES,
        phases: BOTH,
        says: &["psql"],
        unless: &[
            "-u ",
            "-upostgres",
            "--username",
            "pguser",
            "postgresql://",
            "postgres://",
            "su ",
            "gosu ",
        ],
        unless_set: &["PGUSER"],
        wrong: "psql logs in as the user of the system, which is root here, and PostgreSQL has no such role",
        help: "name the user: psql -U \"$POSTGRES_USER\"",
        proof: "run as nobody: FATAL: role \"nobody\" does not exist",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["flush tables with read lock"],
        unless: &["system sleep", "do sleep(", "select sleep(", "mkfifo"],
        unless_set: &[],
        wrong: "the lock is gone when this client exits, and writes go on during the backup",
        help: "dump instead: mysqldump --single-transaction --all-databases --result-file=/dump/new.sql && mv /dump/new.sql /dump/all.sql",
        proof: "run on MySQL 8.0 and 8.4 and MariaDB 10.11: exit 0, and another session's INSERT is accepted",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: &[HookPhase::Post],
        says: &["unlock tables"],
        unless: &[],
        unless_set: &[],
        wrong: "this session holds no lock, so that nothing is unlocked and nothing is said",
        help: "take it out together with the lock of the pre hook",
        proof: "run on MySQL 8.4 and MariaDB 10.11: exit 0",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["backup stage start"],
        unless: &["backup stage end", "sleep"],
        unless_set: &[],
        wrong: "the stage ends with the session of this client, which exits at once",
        help: "dump instead: mariadb-dump --single-transaction --all-databases --result-file=/dump/new.sql",
        proof: "documentation of MariaDB: a stage belongs to its connection",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["&& sleep", "flush tables"],
        unless: &[],
        unless_set: &[],
        wrong: "the flush was done when its client ended: this waits for nothing",
        help: "leave it out",
        proof: "documentation of MySQL: FLUSH TABLES returns when the tables are closed",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["bgsave", "redis-cli"],
        unless: &["lastsave", "bgsave_in_progress"],
        unless_set: &[],
        wrong: "BGSAVE returns before anything is written, and redis-cli exits with 0 even when it is refused",
        help: "redis-cli --rdb /dump/new.rdb && mv /dump/new.rdb /dump/dump.rdb",
        proof: "run on Redis 7.0.15: NOAUTH, exit 0, no file; a save longer than the sleep leaves the old file",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: BOTH,
        says: &["fsynclock"],
        unless: &[
            "-u ",
            "--username",
            "-p ",
            "db.auth",
            "mongodb://",
            "issecondary",
            "ismaster",
            "hello()",
        ],
        unless_set: &[],
        wrong: "without a log-in nothing is locked, and on the primary of a set all writes stop",
        help: "dump a secondary instead: mongodump --oplog --archive=/dump/new --username … && mv /dump/new /dump/archive",
        proof: "run on MongoDB 3.6.8: no credentials, no lock, exit 0 with mongo; locks count, so that one unlock may leave it locked",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: PRE,
        says: &["vacuum", "psql"],
        unless: &["vacuum into"],
        unless_set: &[],
        wrong: "VACUUM makes no backup better and takes as long as the data are large: the hook times out, and it runs on",
        help: "leave it to autovacuum, or run it from a CronJob",
        proof: "Velero does not end the process of a hook that timed out",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: BOTH,
        says: &["curl", "-x post"],
        unless: &[
            "--fail",
            "curl -f",
            "curl -sf",
            "curl -fs",
            "curl -sfs",
            "-f ",
        ],
        unless_set: &[],
        wrong: "curl exits with 0 when the server answers with an error",
        help: "add -f: curl -fsS -X POST …",
        proof: "curl's manual: without --fail an HTTP error is no failure",
    },
    Evidence {
        rule: Rule::EngineIgnores,
        images: &[],
        phases: BOTH,
        says: &["/var/lib/postgresql/data/", "echo", ">"],
        unless: &[],
        unless_set: &[],
        wrong: "this writes into PostgreSQL's data directory, as root, and into every copy of it",
        help: "write to /tmp, or to standard output: Velero puts that into the backup's log",
        proof: "base backups copy every file of the directory",
    },
    Evidence {
        rule: Rule::Password,
        images: &[],
        phases: BOTH,
        says: &["-p$mysql", "mysql"],
        unless: &[],
        unless_set: &[],
        wrong: "a password as an argument can be seen by everybody in the container, and breaks at a blank or a $ in it",
        help: "MYSQL_PWD=\"$MYSQL_ROOT_PASSWORD\" mysql -u root …",
        proof: "run: ps shows it until the client has hidden it; MYSQL_PWD is never seen",
    },
    Evidence {
        rule: Rule::NotInImage,
        images: &["*/postgres", "*/mariadb", "*/redis", "*/valkey"],
        phases: BOTH,
        says: &["curl"],
        unless: &["command -v curl", "which curl"],
        unless_set: &[],
        wrong: "this image has no curl, and the hook fails where it is called",
        help: "let an alert on velero_backup_partial_failure_total tell of failed hooks",
        proof: "the images' build files",
    },
    Evidence {
        rule: Rule::NotInImage,
        images: DISTROLESS,
        phases: BOTH,
        says: &["sh -c"],
        unless: &[],
        unless_set: &[],
        wrong: "this image has no shell",
        help: "name the program itself: [\"etcdctl\",\"snapshot\",\"save\",\"/dump/snapshot.db\"]",
        proof: "the image's build files: nothing but the server and its tools",
    },
];

impl Evidence {
    /// Whether this is about such a command in such a container.
    pub fn holds(
        &self,
        said: &str,
        phase: HookPhase,
        image: Option<&Image<'_>>,
        sets: impl Fn(&str) -> bool,
    ) -> bool {
        self.phases.contains(&phase)
            && self.says.iter().all(|words| said.contains(words))
            && !self.unless.iter().any(|words| said.contains(words))
            && !self.unless_set.iter().any(|variable| sets(variable))
            && (self.images.is_empty() || image.is_some_and(|image| self.is_for(image)))
    }

    fn is_for(&self, image: &Image<'_>) -> bool {
        let row = EVIDENCE.iter().position(|row| std::ptr::eq(row, self));
        row.is_some_and(|row| MEANT[row].iter().any(|meant| meant.has(image)))
    }
}

/// Images that a row is about.
enum Meant {
    Images(ImagePattern),
    /// Those of an engine, from a version on or below one.
    From(&'static str, u32),
    Below(&'static str, u32),
}

impl Meant {
    fn of(text: &'static str) -> Self {
        let number = |text: &str| text.parse().expect("a version of this table");
        if let Some((engine, version)) = text.split_once(" >=") {
            Self::From(engine, number(version))
        } else if let Some((engine, version)) = text.split_once(" <") {
            Self::Below(engine, number(version))
        } else {
            Self::Images(text.parse().expect("a pattern of this table"))
        }
    }

    fn has(&self, image: &Image<'_>) -> bool {
        match self {
            Self::Images(pattern) => pattern.matches(image),
            Self::From(engine, version) => major(engine, image).is_some_and(|it| it >= *version),
            Self::Below(engine, version) => major(engine, image).is_some_and(|it| it < *version),
        }
    }
}

static MEANT: LazyLock<Vec<Vec<Meant>>> = LazyLock::new(|| {
    let meant = |row: &Evidence| row.images.iter().map(|text| Meant::of(text)).collect();
    EVIDENCE.iter().map(meant).collect()
});

/// Something that a command stops, and how it is started again.
pub struct Freeze {
    pub stops: &'static str,
    /// As people write it: help is made of the first.
    pub starts: &'static [&'static str],
    /// Whether it stays stopped when the command has ended.
    stays: bool,
    /// Words with which it does not, because a session holds it.
    session: &'static str,
}

impl Freeze {
    /// Whether what such a command stops is still stopped when it has ended.
    #[must_use]
    pub fn outlives(&self, said: &str) -> bool {
        self.stays && (self.session.is_empty() || !said.contains(self.session))
    }
}

pub const FREEZES: &[Freeze] = &[
    freeze(
        "fsfreeze --freeze",
        &["fsfreeze --unfreeze", "fsfreeze -u"],
        true,
    ),
    freeze("fsfreeze -f", &["fsfreeze --unfreeze", "fsfreeze -u"], true),
    freeze("fsynclock", &["db.fsyncUnlock()", "fsyncUnlock"], true),
    Freeze {
        session: "false)",
        ..freeze("pg_start_backup", &["pg_stop_backup"], true)
    },
    freeze("pg_backup_start", &["pg_backup_stop"], false),
    freeze("flush tables with read lock", &["UNLOCK TABLES"], false),
    freeze("backup stage start", &["BACKUP STAGE END"], false),
    freeze("maintenance:mode --on", &["maintenance:mode --off"], true),
    freeze("maintenance --on", &["maintenance --off"], true),
    freeze("super_read_only = on", &["super_read_only = off"], true),
    freeze("super_read_only=1", &["super_read_only=0"], true),
    freeze("stop_app", &["start_app"], true),
    freeze("supervisorctl stop", &["supervisorctl start"], true),
];

const fn freeze(stops: &'static str, starts: &'static [&'static str], stays: bool) -> Freeze {
    Freeze {
        stops,
        starts,
        stays,
        session: "",
    }
}

/// A program that writes a dump, and whether it does so to standard output unless told otherwise.
pub const DUMPS: &[(&str, bool)] = &[
    ("pg_dump", true),
    ("pg_dumpall", true),
    ("mysqldump", true),
    ("mariadb-dump", true),
    ("slapcat", true),
    ("mongodump", false),
    ("pg_basebackup", false),
    ("mariadb-backup", false),
    ("xtrabackup", false),
    ("etcdctl snapshot save", false),
    ("influxd backup", false),
    ("consul snapshot save", false),
];

/// Clients with which a restore hook speaks to a database, and what shows that one waits for it.
pub const CLIENTS: &[&str] = &[
    "psql",
    "pg_restore",
    "mysql",
    "mariadb",
    "mongorestore",
    "mongosh",
    "redis-cli",
    "valkey-cli",
];
pub const WAITS: &[&str] = &["pg_isready", "ping", "until ", "while ", "wait-for"];
