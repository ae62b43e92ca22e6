//! MongoDB proven: what its policies back up under write load comes back.

use quiescent::library::Capture;
use serde_json::Value;

use super::Mongo;
use crate::databases::{
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server},
    writers::{Record, Session, WRITERS, session},
};

/// A line in a journal of its own, then the coins of the writer's purse: there are no transactions of
/// several documents in this version.
fn transaction(writer: usize, number: u64) -> String {
    let options = "writeConcern: {w: 1, j: true}";
    format!(
        "if (db.lines.insert({{_id: '{writer}-{number}', writer: {writer}, number: {number}, text: new Array(50).join('x')}}, {{{options}}}).nInserted !== 1) quit(1); \
         if (db.purse.update({{_id: {writer}}}, {{$set: {{a: {number}, b: -{number}}}}}, {{upsert: true, {options}}}).hasWriteError()) quit(1); \
         print('ack {number}')\n"
    )
}

const FILL: &str = r#"
    var shop = db.getSiblingDB('shop'), all = [];
    for (var i = 0; i < 2000; i++) all.push({_id: i, text: new Array(500).join('y')});
    shop.fill.insert(all);
    shop.fill.createIndex({text: 1, _id: -1}, {name: 'odd "name"'});
    shop['awk"ward \\ name.with.dots'].insert({_id: '😀\0', n: NumberLong('9007199254740993'), b: BinData(0, '/wA='), d: NumberDecimal('0.1'), big: new Array(3000000).join('z')});
    shop.createView('view', 'fill', [{$match: {_id: 7}}]);
    shop.createUser({user: 'app', pwd: 'app', roles: ['readWrite']});
"#;

const CHECK: &str = r#"
    var shop = db.getSiblingDB('shop'), odd = shop['awk"ward \\ name.with.dots'].findOne({_id: '😀\0'});
    if (!odd || odd.n.toString() !== 'NumberLong("9007199254740993")' || odd.b.base64() !== '/wA=' || odd.big.length !== 2999999) throw 'the awkward document is not what it was';
    if (shop.fill.find().itcount() !== 2000 || shop.fill.getIndexes().length !== 2) throw 'the collection is not what it was';
    if (shop.view.findOne()._id !== 7) throw 'the view is not what it was';
    ['fill', 'lines', 'purse'].forEach(function(name) { if (!shop[name].validate(true).valid) throw name + ' is not valid' });
    var result = [];
    for (var writer = 0; writer < 4; writer++) {
        var purse = shop.purse.findOne({_id: writer});
        if (purse.a + purse.b !== 0) throw 'coins came from nowhere';
        var lines = shop.lines.count({writer: writer, number: {$lte: purse.a}}), more = shop.lines.count({writer: writer}) - lines;
        if (lines !== purse.a || more > 1) throw 'writer ' + writer + ': ' + lines + ' and ' + more + ' lines of ' + purse.a;
        result.push(purse.a);
    }
    print(result.join(' '));
"#;

/// A server whose pod has the label of a method.
pub struct Labelled<const SNAPSHOT: bool>(Mongo);

pub type Dumped = Labelled<false>;
pub type Snapshot = Labelled<true>;

impl<const SNAPSHOT: bool> Engine for Labelled<SNAPSHOT> {
    fn start(installation: &Installation) -> Self {
        Self(Mongo::of(installation))
    }

    /// Alone: the set knows the server by its address, which is another one here.
    fn open(installation: &Installation, place: Place) -> Result<Self, String> {
        Mongo::serve(installation, "mongod", place, &[]).map(Self)
    }

    fn server(&self) -> &Server {
        &self.0.server
    }

    fn version(&self) -> String {
        format!("MongoDB {}", self.0.ask("print(db.version())"))
    }

    fn pod(&self) -> Value {
        let method = if SNAPSHOT { "snapshot" } else { "dump" };
        self.0.pod(method, &[])
    }

    fn fill(&self) {
        self.0.ask(FILL);
    }

    fn session(&self, writer: usize) -> Session {
        let mut client = self.0.client();
        client.arg("shop");
        session(client, writer, transaction)
    }

    fn written(&self) -> Result<Record, String> {
        let done = self.0.client().args(["--eval", CHECK]).output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        let numbers: Vec<u64> = said
            .split_whitespace()
            .map_while(|it| it.parse().ok())
            .collect();
        <[u64; WRITERS]>::try_from(numbers).map_err(|_| said)
    }
}

#[test]
fn a_dump_under_write_load_has_every_acknowledged_write() {
    if let Some(installation) = Mongo::at_hand() {
        prove::<Dumped>("mongodb-dump", &installation, Capture::Dump);
    }
}

#[test]
fn a_snapshot_under_write_load_has_every_acknowledged_write() {
    if let Some(installation) = Mongo::at_hand() {
        prove::<Snapshot>("mongodb-snapshot", &installation, Capture::Block);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if let Some(installation) = Mongo::at_hand() {
        naked::<Dumped>("mongodb-dump", &installation, Capture::FileCopy);
        naked::<Snapshot>("mongodb-snapshot", &installation, Capture::Block);
    }
}
