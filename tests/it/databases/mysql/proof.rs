//! MySQL and MariaDB proven: what their policies back up under write load comes back.

use quiescent::library::Capture;
use serde_json::{Value, json};

use super::{MySql, at_hand, is_mariadb, physical};
use crate::databases::{
    harness::Pod,
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS, session},
};

/// Money moves, rows are changed and added, and a counter all writers share counts the transactions.
pub fn transaction(writer: usize, number: u64) -> String {
    let from = writer as u64 * 10 + number % 10;
    let to = writer as u64 * 10 + (number + 3) % 10;
    let touched = number * 7919 % 20_000;
    format!(
        "start transaction; update shop.account set balance = balance - 1 where id = {from}; \
         update shop.account set balance = balance + 1 where id = {to}; \
         update shop.big set note = '{number}' where id = {touched}; \
         insert into shop.written values ({writer}, {number}); \
         update shop.counter set n = n + 1; commit; select 'ack {number}';\n"
    )
}

/// What the writers write to.
pub const TABLES: &str = "create database shop; use shop;
    create table digit (d int); insert into digit values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
    create table account (id int primary key, balance int not null);
    insert into account select a.d * 10 + b.d, 100 from digit a, digit b where a.d < 4;
    create table big (id int primary key, note varchar(20), filler text, key (note));
    insert into big select a.d + b.d * 10 + c.d * 100 + d.d * 1000 + e.d * 10000, '', repeat(sha2(a.d, 256), 4)
        from digit a, digit b, digit c, digit d, digit e where e.d < 2;
    create table written (worker int, number int, primary key (worker, number));
    create table counter (n int); insert into counter values (0);";

/// What the awkward data come to.
const SUMS: &str =
    "checksum table `sh op-é`.parent, `sh op-é`.t, `sh op-é`.`sélect ``from```, other.numbers";

/// What is there of the writers' work, when every table and every sum is right.
pub fn record(sql: impl Fn(&str) -> String) -> Result<Record, String> {
    let is = |question: &str, answer: &str| {
        let now = sql(question);
        (now == answer)
            .then_some(())
            .ok_or_else(|| format!("{question}: {now}, not {answer}"))
    };
    let tables = sql(
        "select group_concat('`', table_schema, '`.`', replace(table_name, '`', '``'), '`') from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema in ('shop', 'other', 'sh op-é')",
    );
    let checked = sql(&format!("check table {tables} extended"));
    if checked.lines().count() < 5 || !checked.lines().all(|line| line.ends_with("\tOK")) {
        return Err(checked);
    }
    is("select sum(balance) from shop.account", "4000")?;
    is(
        "select n - (select count(*) from shop.written) from shop.counter",
        "0",
    )?;
    is("select count(*) from shop.big force index (note)", "20000")?;
    let mut record = [0; WRITERS];
    for (writer, last) in record.iter_mut().enumerate() {
        let of = format!("from shop.written where worker = {writer}");
        is(
            &format!("select coalesce(max(number), 0) - count(*) {of}"),
            "0",
        )?;
        *last = sql(&format!("select coalesce(max(number), 0) {of}"))
            .parse()
            .unwrap();
    }
    Ok(record)
}

impl Engine for MySql {
    fn start(installation: &Installation) -> Self {
        Self::start(installation, "secret", &[])
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Self::serve(installation, place, "secret", &[])
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        let version = self.sql("select version()");
        let number = version.split('-').next().unwrap();
        let name = if is_mariadb(&self.installation) {
            "MariaDB"
        } else {
            "MySQL"
        };
        format!("{name} {number}")
    }

    fn pod(&self) -> Value {
        self.pod(self.password)
    }

    fn fill(&self) {
        self.sql(TABLES);
        self.load(include_str!("awkward.sql"));
        let sums = self.sql(SUMS).replace('\'', "''");
        self.sql(&format!(
            "create table shop.seen (sums text); insert into shop.seen values ('{sums}')"
        ));
    }

    fn session(&self, writer: usize) -> Session {
        session(self.session(), writer, transaction)
    }

    fn written(&self) -> Result<Record, String> {
        let (seen, now) = (self.sql("select sums from shop.seen"), self.sql(SUMS));
        if seen != now {
            return Err(format!("the awkward data came to {seen}, and now to {now}"));
        }
        record(|statement| self.sql(statement))
    }
}

/// A server whose pod has the label of another method than the dump's.
pub struct Labelled<const METHOD: char>(MySql);

pub const SNAPSHOT: char = 's';
pub const PHYSICAL: char = 'p';
const LOCK: char = 'l';

impl<const METHOD: char> Engine for Labelled<METHOD> {
    fn start(installation: &Installation) -> Self {
        Self(Engine::start(installation))
    }

    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Engine::open(installation, place).map(Self)
    }

    fn server(&self) -> &Server {
        self.0.server()
    }

    fn version(&self) -> String {
        self.0.version()
    }

    fn pod(&self) -> Value {
        let mut pod = Engine::pod(&self.0);
        let method = match METHOD {
            SNAPSHOT => "snapshot",
            PHYSICAL => "physical",
            _ => "lock",
        };
        if METHOD == LOCK {
            // A coordinator gets nothing that is written in the pod.
            let env = pod["spec"]["containers"][0]["env"].as_array_mut();
            for variable in env.unwrap() {
                let key = variable["value"].take();
                let name = variable["name"].take();
                *variable = json!({
                    "name": name, "valueFrom": {"secretKeyRef": {"name": "test", "key": key}},
                });
            }
        }
        pod["metadata"]["labels"]["quiescent.dev/method"] = method.into();
        pod
    }

    fn mount(&self, pod: &Pod) {
        if METHOD != LOCK {
            self.0.mount(pod);
        }
    }

    fn fill(&self) {
        self.0.fill();
    }

    fn session(&self, writer: usize) -> Session {
        Engine::session(&self.0, writer)
    }

    fn written(&self) -> Result<Record, String> {
        self.0.written()
    }

    fn restore(installation: &Installation, backup: &Pod) -> Result<Self, String> {
        physical::put_back(&installation.container(), backup)
            .and_then(|place| Self::open(installation, place))
    }
}

fn dump(policy: &str, server: &str) {
    if let Some(installation) = at_hand(server) {
        prove::<MySql>(policy, &installation, Capture::Dump);
        naked::<MySql>(policy, &installation, Capture::FileCopy);
    }
}

fn snapshot(policy: &str, server: &str) {
    if let Some(installation) = at_hand(server) {
        prove::<Labelled<SNAPSHOT>>(policy, &installation, Capture::Block);
        naked::<Labelled<SNAPSHOT>>(policy, &installation, Capture::Block);
    }
}

fn by_physical(policy: &str, server: &str) {
    if let Some(installation) = at_hand(server) {
        prove::<Labelled<PHYSICAL>>(policy, &installation, Capture::Dump);
        naked::<Labelled<PHYSICAL>>(policy, &installation, Capture::FileCopy);
    }
}

fn by_lock(policy: &str, server: &str) {
    if let Some(installation) = at_hand(server) {
        prove::<Labelled<LOCK>>(policy, &installation, Capture::FileCopy);
        naked::<Labelled<LOCK>>(policy, &installation, Capture::FileCopy);
    }
}

macro_rules! claims {
    ($($name:ident: $what:ident($policy:literal, $server:literal);)*) => {
        $(#[test] fn $name() { $what($policy, $server); })*
    };
}

claims! {
    a_dump_of_mariadb_10_11_has_every_write: dump("mariadb-dump", "mariadb");
    a_dump_of_mariadb_11_8_has_every_write: dump("mariadb-dump", "mariadb-11.8");
    a_dump_of_mysql_8_0_has_every_write: dump("mysql-dump", "mysql-8.0");
    a_dump_of_mysql_8_4_has_every_write: dump("mysql-dump", "mysql-8.4");
    a_dump_of_mysql_9_has_every_write: dump("mysql-dump", "mysql-9");
    a_snapshot_of_mariadb_10_11_has_every_write: snapshot("mariadb-snapshot", "mariadb");
    a_snapshot_of_mariadb_11_8_has_every_write: snapshot("mariadb-snapshot", "mariadb-11.8");
    a_snapshot_of_mysql_8_0_has_every_write: snapshot("mysql-snapshot", "mysql-8.0");
    a_snapshot_of_mysql_8_4_has_every_write: snapshot("mysql-snapshot", "mysql-8.4");
    a_snapshot_of_mysql_9_has_every_write: snapshot("mysql-snapshot", "mysql-9");
    a_copy_by_mariadb_backup_10_11_has_every_write: by_physical("mariadb-backup", "mariadb");
    a_copy_by_mariadb_backup_11_8_has_every_write: by_physical("mariadb-backup", "mariadb-11.8");
    a_copy_of_a_locked_mariadb_10_11_has_every_write: by_lock("mariadb-lock", "mariadb");
    a_copy_of_a_locked_mariadb_11_8_has_every_write: by_lock("mariadb-lock", "mariadb-11.8");
    a_clone_of_mysql_8_0_has_every_write: by_physical("mysql-clone", "mysql-8.0");
    a_clone_of_mysql_8_4_has_every_write: by_physical("mysql-clone", "mysql-8.4");
    a_clone_of_mysql_9_has_every_write: by_physical("mysql-clone", "mysql-9");
}
