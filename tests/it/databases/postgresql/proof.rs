//! PostgreSQL proven: what its policies back up under write load comes back, on every version.

use std::marker::PhantomData;

use quiescent::library::Capture;
use serde_json::Value;

use super::{Postgres, awkward::furnish, basebackup::put_back, on_every_version};
use crate::databases::{
    harness::{Phase, Pod},
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS, session},
};

/// A method of the policies.
pub trait Method {
    const LABEL: &'static str;
}

pub struct Dump;
pub struct Snapshot;
pub struct Physical;

impl Method for Dump {
    const LABEL: &'static str = "dump";
}

impl Method for Snapshot {
    const LABEL: &'static str = "snapshot";
}

impl Method for Physical {
    const LABEL: &'static str = "physical";
}

/// A server backed up by a method.
pub struct Backed<M>(Postgres, PhantomData<M>);

impl<M> From<Postgres> for Backed<M> {
    fn from(server: Postgres) -> Self {
        Self(server, PhantomData)
    }
}

/// What the writers write to.
pub const TABLES: &str = "
create table account (id int primary key, balance int not null);
insert into account select id, 100 from generate_series(0, 39) id;
create table big (id int primary key, note text, filler text);
insert into big select id, '', repeat(md5(id::text), 8) from generate_series(0, 19999) id;
create table written (worker int, number int, primary key (worker, number));
create table counter (n int);
insert into counter values (0)";

/// Money moves, rows are changed and added, and a counter all writers share counts the transactions.
pub fn transaction(writer: usize, number: u64) -> String {
    let from = writer as u64 * 10 + number % 10;
    let to = writer as u64 * 10 + (number + 3) % 10;
    let touched = number * 7919 % 20_000;
    format!(
        "begin; update account set balance = balance - 1 where id = {from}; \
         update account set balance = balance + 1 where id = {to}; \
         update big set note = '{number}' where id = {touched}; \
         insert into written values ({writer}, {number}); \
         update counter set n = n + 1; commit; select 'ack {number}';\n"
    )
}

/// Statements that must answer `0`, or something is wrong with what the writers wrote.
const INVARIANTS: [&str; 3] = [
    "select sum(balance) - 4000 from account",
    "select n - (select count(*) from written) from counter",
    "select count(*) - 20000 from big where filler = repeat(md5(id::text), 8)",
];

/// The engine's own check, of every B-tree against its table.
const CHECK: &str = "
create extension if not exists amcheck;
select bt_index_parent_check(indexrelid, true) from pg_index
join pg_class on pg_class.oid = indexrelid join pg_am on pg_am.oid = relam
where amname = 'btree' and relkind = 'i' and relpersistence = 'p' and indisvalid";

/// What is there of the writers' work, when every B-tree and every sum is right.
pub fn record(sql: impl Fn(&str) -> String) -> Result<Record, String> {
    sql(CHECK);
    for invariant in INVARIANTS {
        let answer = sql(invariant);
        if answer != "0" {
            return Err(format!("{invariant}: {answer}"));
        }
    }
    let mut record = [0; WRITERS];
    for (writer, last) in record.iter_mut().enumerate() {
        let look = format!("select max(number), count(*) from written where worker = {writer}");
        let answer = sql(&look);
        let (highest, count) = answer.split_once('|').unwrap();
        if highest != count {
            return Err(format!("writer {writer}: {count} rows up to {highest}"));
        }
        *last = count.parse().unwrap();
    }
    Ok(record)
}

impl<M: Method> Engine for Backed<M> {
    fn start(installation: &Installation) -> Self {
        Postgres::of(installation).into()
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Postgres::serve(installation, place).map(Self::from)
    }

    fn server(&self) -> &Server {
        &self.0.0
    }

    fn version(&self) -> String {
        let version = self.0.sql("postgres", "show server_version");
        format!("PostgreSQL {}", version.split(' ').next().unwrap())
    }

    fn pod(&self) -> Value {
        self.0.pod_for(M::LABEL, &[])
    }

    fn fill(&self) {
        furnish(&self.0);
        self.0.sql("postgres", TABLES);
    }

    fn session(&self, writer: usize) -> Session {
        let mut psql = self.0.client("psql", "postgres");
        psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]);
        session(psql, writer, transaction)
    }

    fn written(&self) -> Result<Record, String> {
        let server = &self.0;
        server.sql("shop", CHECK);
        // Reads every row.
        server.everything();
        let large = "select count(*) from item where length(picture) = 960000";
        let whole = server.sql("shop", large) == "4"
            && server.sql("shop", "select length(lo_get(4711))") == "300000";
        if !whole {
            return Err("the large values are not what they were".to_owned());
        }
        record(|statement| server.sql("postgres", statement))
    }

    fn restore(installation: &Installation, backup: &Pod) -> Result<Self, String> {
        let (server, outcome) = if M::LABEL == Physical::LABEL {
            let (place, outcome) = put_back(backup, &installation.container());
            (Postgres::serve(installation, place)?, outcome)
        } else {
            let fresh = Postgres::of(installation);
            let pod = Pod::inject(&fresh.pod_for(M::LABEL, &[]), &[]).restored_from(backup);
            let outcome = pod.run(Phase::Restore, &installation.container());
            (fresh, outcome)
        };
        if outcome.code == Some(0) {
            Ok(server.into())
        } else {
            Err(format!("{outcome:?}"))
        }
    }
}

fn a_dump_under_write_load_has_every_acknowledged_write(installation: &Installation) {
    prove::<Backed<Dump>>("postgresql-dump", installation, Capture::Dump);
}
on_every_version!(a_dump_under_write_load_has_every_acknowledged_write);

fn a_base_backup_under_write_load_has_every_acknowledged_write(installation: &Installation) {
    prove::<Backed<Physical>>("postgresql-basebackup", installation, Capture::Dump);
}
on_every_version!(a_base_backup_under_write_load_has_every_acknowledged_write);

fn a_snapshot_under_write_load_has_every_acknowledged_write(installation: &Installation) {
    prove::<Backed<Snapshot>>("postgresql-snapshot", installation, Capture::Block);
}
on_every_version!(a_snapshot_under_write_load_has_every_acknowledged_write);

#[test]
fn files_copied_without_a_hook() {
    if Postgres::at_hand() {
        let own = Installation::own();
        naked::<Backed<Dump>>("postgresql-dump", &own, Capture::FileCopy);
        naked::<Backed<Snapshot>>("postgresql-snapshot", &own, Capture::Block);
    }
}
