//! The requests of hooks, over the socket: one line of JSON there, one back.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use super::{Place, Request, SOCKET};
use crate::{
    cli::Ended,
    coordinator::{Line, Reply},
};

/// What is written to the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "camelCase")]
pub enum Asked {
    Start { id: String, seconds: u64 },
    Stop { id: String, seconds: u64 },
    Status,
}

/// The coordinator keeps to the time itself; this much later it is taken for dead.
const LATE: Duration = Duration::from_secs(5);

pub fn start(request: &Request) -> Ended {
    let (id, seconds) = (new_id(), seconds(request));
    let answer = ask(&request.place.state, &Asked::Start { id, seconds }, seconds);
    // Nobody answers: nothing is held.
    ended(answer, "pre", 1, "nothing is held")
}

pub fn stop(request: &Request) -> Ended {
    let (id, seconds) = (new_id(), seconds(request));
    let answer = ask(&request.place.state, &Asked::Stop { id, seconds }, seconds);
    // With the coordinator ended what it held.
    ended(
        answer,
        "post",
        5,
        "what it held has gone, this backup is not good",
    )
}

pub fn status(place: &Place) -> anyhow::Result<Ended> {
    let text = ask(&place.state, &Asked::Status, 0)?;
    crate::cli::output::print_raw(&text)
}

fn seconds(request: &Request) -> u64 {
    request.timeout.seconds().max(1)
}

/// A name that no other request has.
pub fn new_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default().as_nanos();
    format!("{now:x}-{}", std::process::id())
}

/// Asks, and waits so many seconds for the answer.
fn ask(state: &Path, asked: &Asked, seconds: u64) -> anyhow::Result<String> {
    let path = state.join(SOCKET);
    let failed = || format!("the coordinator does not answer at {}", path.display());
    let mut socket = UnixStream::connect(&path).with_context(failed)?;
    socket.set_read_timeout(Some(Duration::from_secs(seconds) + LATE))?;
    let question = serde_json::to_string(asked)?;
    socket
        .write_all(format!("{question}\n").as_bytes())
        .with_context(failed)?;
    let mut answer = String::new();
    BufReader::new(socket)
        .read_line(&mut answer)
        .with_context(failed)?;
    if answer.is_empty() {
        bail!("{}: it has ended", failed());
    }
    Ok(answer)
}

/// A reader that went away misses the words, not the exit code.
pub fn say(lines: &[Line]) {
    for Line { text, complaint } in lines {
        let _ = if *complaint {
            writeln!(io::stderr(), "{text}")
        } else {
            writeln!(io::stdout(), "{text}")
        };
    }
}

/// Says what the session said, and ends as a hook does.
fn ended(answer: anyhow::Result<String>, phase: &str, code: u8, then: &str) -> Ended {
    let reply = answer.and_then(|text| Ok(serde_json::from_str::<Reply>(&text)?));
    match reply {
        Ok(Reply { code, said, .. }) => {
            say(&said);
            Ended::Hook(code)
        }
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "quiescent: coordinator {phase} failed: {error:#}: {then}"
            );
            let _ = writeln!(
                io::stdout(),
                "quiescent result=failed policy=coordinator phase={phase} code={code}"
            );
            Ended::Hook(code)
        }
    }
}
