//! InfluxDB proven: what its policy backs up under write load comes back.

use std::net::TcpStream;

use quiescent::library::Capture;
use serde_json::Value;

use super::{Influx, write};
use crate::databases::{
    installation::Installation,
    proof::{Engine, naked, prove},
    server::{Place, Server, output},
    writers::{Record, Session, WRITERS},
};

impl Engine for Influx {
    fn start(_: &Installation) -> Self {
        Self::start("secret")
    }

    fn open(_: &Installation, place: Place) -> Result<Self, String> {
        Self::open(place, "secret")
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn version(&self) -> String {
        let version = output(std::process::Command::new("influxd").arg("version"));
        let version = version.strip_prefix("InfluxDB v").unwrap();
        format!("InfluxDB {}", version.split(['~', ' ']).next().unwrap())
    }

    fn pod(&self) -> Value {
        self.pod()
    }

    fn fill(&self) {
        self.ask("create database shop; create database \"odd \\\"db 😀\"");
        self.write("odd%20%22db%20%F0%9F%98%80", "m s=\"😀 '\\\"\" 1");
        let noise = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for day in 0..5 {
            let lines: Vec<String> = (0..10_000)
                .map(|n| {
                    let time = day * 14 * 86_400_000_000_000 + n;
                    format!("old,series={} v={}i {time}", n % 100, noise(n) >> 1)
                })
                .collect();
            self.write("shop", &lines.join("\n"));
        }
    }

    /// Each transaction is a point of the writer and one of a series that all share.
    fn session(&self, writer: usize) -> Session {
        let mut connection = TcpStream::connect(("127.0.0.1", self.server.port)).unwrap();
        let password = self.password;
        Box::new(move |number| {
            let time = number * 1000 + u64::try_from(writer).unwrap();
            let lines = format!(
                "written,writer={writer} n={number}i {time}\nshared,tag=a\\ b n={number}i,s=\"😀\" {time}\n"
            );
            write(&mut connection, "shop", password, &lines);
        })
    }

    fn written(&self) -> Result<Record, String> {
        let odd = self.ask_in("odd \"db 😀", "select s from m");
        if !odd.ends_with("😀 '\"\"\"") {
            return Err(format!("the odd database has {odd}"));
        }
        let old = self.ask("select count(v) from shop..old");
        if !old.ends_with(",50000") {
            return Err(format!("of 50000 old points there are {old}"));
        }
        let mut record = [0; WRITERS];
        for (writer, last) in record.iter_mut().enumerate() {
            let counted = self.ask(&format!(
                "select count(n), max(n) from shop..written where writer = '{writer}'"
            ));
            let mut fields = counted.lines().last().unwrap_or_default().rsplit(',');
            let (max, count) = (fields.next(), fields.next());
            if max != count {
                return Err(format!("writer {writer}: {counted}"));
            }
            *last = max.unwrap_or_default().parse().unwrap_or(0);
        }
        Ok(record)
    }
}

#[test]
fn a_dump_under_write_load_has_every_acknowledged_write() {
    if Influx::at_hand() {
        prove::<Influx>("influxdb-dump", &Installation::own(), Capture::Dump);
    }
}

#[test]
fn files_copied_without_a_hook() {
    if Influx::at_hand() {
        naked::<Influx>("influxdb-dump", &Installation::own(), Capture::FileCopy);
        naked::<Influx>("influxdb-dump", &Installation::own(), Capture::Block);
    }
}
