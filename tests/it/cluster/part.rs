//! A program of the kit that is a process of this machine.
use std::{
    fs::{self, OpenOptions},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::node::{Node, SOON};
use crate::apiserver::kit::{eventually, run};

pub struct Part {
    file: PathBuf,
}

/// One that stands still until this is dropped.
pub struct Still(u32);

impl Drop for Still {
    fn drop(&mut self) {
        signal(self.0, "CONT");
    }
}

impl Part {
    /// By the name of its pid file in the directory of the cluster.
    pub fn of(node: &Node, name: &str) -> Self {
        Self {
            file: node.directory().join(name).with_extension("pid"),
        }
    }

    fn process(&self) -> u32 {
        let text = fs::read_to_string(&self.file).unwrap();
        text.trim().parse().unwrap()
    }

    pub fn stands_still(&self) -> Still {
        let process = self.process();
        signal(process, "STOP");
        Still(process)
    }

    /// Kills it. What is given back starts it as it was started before.
    pub fn killed(&self) -> impl FnOnce() + use<> {
        let process = self.process();
        let of = |what: &str| PathBuf::from(format!("/proc/{process}/{what}"));
        let words = fs::read_to_string(of("cmdline")).unwrap();
        let words: Vec<String> = words.split_terminator('\0').map(str::to_owned).collect();
        let directory = fs::read_link(of("cwd")).unwrap();
        let program = fs::read_link(of("exe")).unwrap();
        signal(process, "KILL");
        eventually("it is gone", SOON, || (!of("exe").exists()).then_some(()));
        let file = self.file.clone();
        move || {
            let log = OpenOptions::new()
                .append(true)
                .open(file.with_extension("log"));
            let log = log.unwrap();
            // It is nobody's child, as those that the kit starts.
            let started = Command::new("setsid")
                .args(["--fork", "sh", "-c", r#"echo $$ >"$0"; exec "$@""#])
                .args([&file, &program])
                .args(&words[1..])
                .current_dir(directory)
                .stdin(Stdio::null())
                .stdout(log.try_clone().unwrap())
                .stderr(log)
                .status();
            assert!(started.unwrap().success());
        }
    }
}

pub fn signal(process: u32, name: &str) {
    run(Command::new("kill").args(["-s", name, &process.to_string()])).unwrap();
}
