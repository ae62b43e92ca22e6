//! SQLite proven: what its policy backs up under write load comes back.

use std::{fs, os::unix::fs::symlink};

use quiescent::library::Capture;
use serde_json::Value;

use super::Sqlite;
use crate::databases::{
    harness::Pod,
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server, place},
    writers::{Record, Session, WRITERS, session},
};

/// Money moves, a random row of a big table changes, a row is added, and a counter all writers share
/// counts the transactions.
fn transaction(writer: usize, number: u64) -> String {
    format!(
        "begin immediate;\n\
         update account set amount = amount - 1 where id = {number} % 10;\n\
         update account set amount = amount + 1 where id = ({number} + 3) % 10;\n\
         update big set t = hex(randomblob(50)) where id = abs(random()) % 20000;\n\
         insert into written values ({writer}, {number});\n\
         update counter set n = n + 1;\n\
         commit;\n\
         select 'ack {number}';\n"
    )
}

/// An application whose file has this journal mode.
pub struct WithJournal<const WAL: bool>(Sqlite);

impl<const WAL: bool> Engine for WithJournal<WAL> {
    fn start(_: &Installation) -> Self {
        Self(Sqlite::start(if WAL { "wal" } else { "delete" }))
    }

    fn open(_: &Installation, place: Place) -> Result<Self, String> {
        Ok(Self(Sqlite::open(place)))
    }

    fn server(&self) -> &Server {
        &self.0.server
    }

    fn version(&self) -> String {
        let journal = if WAL { "" } else { " with a rollback journal" };
        format!("SQLite{journal} {}", self.0.sql("select sqlite_version()"))
    }

    fn pod(&self) -> Value {
        self.0.pod()
    }

    fn fill(&self) {
        self.0.sql(
            "begin;
             create table account (id integer primary key, amount int);
             create table big (id integer primary key, t text, awkward text default '😀 ''\"');
             create index big_t on big (t);
             create table written (writer int, number int, primary key (writer, number));
             create table counter (n int); insert into counter values (0);
             with recursive c(n) as (select 0 union all select n + 1 from c where n < 9)
                 insert into account select n, 100 from c;
             with recursive c(n) as (select 0 union all select n + 1 from c where n < 19999)
                 insert into big (id, t) select n, hex(randomblob(50)) from c;
             commit;",
        );
    }

    fn session(&self, writer: usize) -> Session {
        session(self.0.client(), writer, transaction)
    }

    fn written(&self) -> Result<Record, String> {
        let look = |question: &str| {
            let done = self.0.client().arg(question).output().unwrap();
            if done.status.success() {
                Ok(String::from_utf8(done.stdout)
                    .unwrap()
                    .trim_end()
                    .to_owned())
            } else {
                Err(String::from_utf8_lossy(&done.stderr).into_owned())
            }
        };
        let facts = look(
            "pragma integrity_check; select sum(amount) from account;
             select count(*), min(awkward), max(awkward) from big;
             select (select n from counter) - (select count(*) from written)",
        )?;
        if facts != "ok\n1000\n20000|😀 '\"|😀 '\"\n0" {
            return Err(facts);
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let of_writer = format!(
                "select count(*), coalesce(max(number), 0) from written where writer = {writer}"
            );
            let numbers = look(&of_writer)?;
            let (count, max) = numbers.split_once('|').unwrap();
            if count != max {
                return Err(format!("writer {writer}: {count} of {max}"));
            }
            *last = max.parse().unwrap();
        }
        Ok(record)
    }

    /// The script puts the file where it was, before there is an application.
    fn restore(installation: &Installation, backup: &Pod) -> Result<Self, String> {
        let was = fs::read_to_string(backup.finished().join("1.path")).unwrap();
        let was = std::path::Path::new(was.trim_end()).parent().unwrap();
        let fresh = place();
        symlink(fresh.0.path(), was).unwrap();
        let outcome = backup.run_script("restore.sh", &installation.container());
        fs::remove_file(was).unwrap();
        if outcome.code == Some(0) {
            Self::open(installation, fresh)
        } else {
            Err(format!("{outcome:?}"))
        }
    }
}

#[test]
fn a_copy_of_a_file_with_a_log_has_every_acknowledged_write() {
    if Sqlite::at_hand() {
        prove::<WithJournal<true>>("sqlite-dump", &Installation::own(), Capture::Dump);
    }
}

#[test]
fn a_copy_of_a_file_with_a_rollback_journal_has_every_acknowledged_write() {
    if Sqlite::at_hand() {
        prove::<WithJournal<false>>("sqlite-dump", &Installation::own(), Capture::Dump);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Sqlite::at_hand() {
        naked::<WithJournal<true>>("sqlite-dump", &Installation::own(), Capture::FileCopy);
        naked::<WithJournal<false>>("sqlite-dump", &Installation::own(), Capture::FileCopy);
    }
}
