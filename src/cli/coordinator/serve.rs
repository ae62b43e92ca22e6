//! `quiescent coordinator serve`: does what the state machine says, in one thread beside the session's.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ChildStdin,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{SOCKET, ask::Asked, http, kept::Kept, session};
use crate::{
    cli::Ended,
    coordinator::{Act, Caller, Coordinator, Event, Line, Reply, Request},
    velero::Timeout,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: super::Place,
    /// What messages call it
    #[arg(long, value_name = "NAME", default_value = "coordinator")]
    name: String,
    /// The longest that anything is held; what nobody has stopped by then is let go, and lost
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    limit: Timeout,
    /// Where requests are taken over HTTP: POST /start and /stop, GET /status
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// A file with the token that requests over HTTP must have, as Authorization: Bearer TOKEN; without it, the variable QUIESCENT_COORDINATOR_TOKEN
    #[arg(long, value_name = "FILE", requires = "listen")]
    token_file: Option<PathBuf>,
    /// How long a request over HTTP may take
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    timeout: Timeout,
    /// The program of the session and its arguments
    #[arg(required = true, last = true, value_name = "SESSION")]
    session: Vec<String>,
}

/// A request, and where its answer goes: the code of a hook, and the JSON.
struct Asking {
    caller: Caller,
    asked: Asked,
    answer: oneshot::Sender<(u8, String)>,
}

/// Where requests are handed in.
#[derive(Clone)]
pub struct Desk {
    requests: mpsc::UnboundedSender<Asking>,
    events: mpsc::UnboundedSender<Event>,
}

/// Tells the coordinator that nobody waits any more.
struct Waiting {
    caller: Caller,
    events: mpsc::UnboundedSender<Event>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.events.send(Event::Gone(self.caller));
    }
}

impl Desk {
    /// Asks, and waits for the answer; whoever stops waiting has gone.
    pub async fn ask(&self, asked: Asked) -> Option<(u8, String)> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CALLERS: AtomicU64 = AtomicU64::new(0);
        let caller = CALLERS.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting {
            caller,
            events: self.events.clone(),
        };
        let (answer, answered) = oneshot::channel();
        let asking = Asking {
            caller,
            asked,
            answer,
        };
        self.requests.send(asking).ok()?;
        answered.await.ok()
    }
}

pub fn run(args: Args) -> anyhow::Result<Ended> {
    crate::cli::block_on(serve(args))
}

async fn serve(args: Args) -> anyhow::Result<Ended> {
    let Args {
        place,
        name,
        limit,
        listen,
        token_file,
        timeout,
        session,
    } = args;
    ensure!(limit.seconds() > 0, "--limit must be a second at least");
    let folder = place.state;
    open(&folder)?;
    let kept = Kept::of(&folder);
    let found = kept.read()?.after_restart();
    kept.write(&found)?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let (requests, mut asked) = mpsc::unbounded_channel();
    let (events, mut happened) = mpsc::unbounded_channel();
    let desk = Desk {
        requests,
        events: events.clone(),
    };
    let listener = bind(&folder)?;
    if let Some(address) = listen {
        let token = http::token(token_file.as_deref())?;
        let door = http::listen(address, token.as_deref(), timeout, desk.clone()).await?;
        tokio::spawn(door);
    }
    let limit = Duration::from_secs(limit.seconds());
    let mut running = Running {
        coordinator: Coordinator::new(name, limit, found),
        began: Instant::now(),
        kept,
        argv: session,
        events,
        session: None,
        waiting: BTreeMap::new(),
    };
    eprintln!("quiescent: coordinator: {}", running.status());
    loop {
        let due = running.coordinator.deadline();
        let due = due.map(|due| running.began + due);
        let tick = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            // What the session said comes before a deadline that it kept.
            biased;
            Some(event) = happened.recv() => event,
            Some(asking) = asked.recv() => match running.take(asking) {
                Some(event) => event,
                None => continue,
            },
            Ok((socket, _)) = listener.accept() => {
                tokio::spawn(attend(socket, desk.clone()));
                continue;
            }
            _ = terminated.recv() => Event::Terminate,
            _ = interrupted.recv() => Event::Terminate,
            () = tick => Event::Tick,
        };
        if running.happened(event)? {
            // What was just answered is written by other tasks of this thread.
            tokio::time::sleep(Duration::from_millis(50)).await;
            return Ok(Ended::Fine);
        }
    }
}

/// Everything that the state machine acts upon.
struct Running {
    coordinator: Coordinator,
    began: Instant,
    kept: Kept,
    argv: Vec<String>,
    events: mpsc::UnboundedSender<Event>,
    /// The end of the session, once this is dropped.
    session: Option<ChildStdin>,
    waiting: BTreeMap<Caller, oneshot::Sender<(u8, String)>>,
}

impl Running {
    fn status(&self) -> String {
        json(&self.coordinator.state())
    }

    /// Answers a question at once, and makes an event of a request.
    fn take(&mut self, asking: Asking) -> Option<Event> {
        let Asking {
            caller,
            asked,
            answer,
        } = asking;
        let request = |id, seconds| Request {
            caller,
            id,
            within: Duration::from_secs(seconds),
        };
        let event = match asked {
            Asked::Status => {
                let _ = answer.send((0, self.status()));
                return None;
            }
            Asked::Start { id, seconds } => Event::Start(request(id, seconds)),
            Asked::Stop { id, seconds } => Event::Stop(request(id, seconds)),
        };
        self.waiting.insert(caller, answer);
        Some(event)
    }

    /// Does what follows from an event, and says whether it is time to end.
    fn happened(&mut self, event: Event) -> anyhow::Result<bool> {
        let before = self.coordinator.state();
        if let Event::Gone(caller) = event {
            self.waiting.remove(&caller);
        }
        let acts = self.coordinator.step(self.began.elapsed(), event);
        let state = self.coordinator.state();
        if state != before {
            eprintln!("quiescent: coordinator: {}", json(&state).trim_end());
        }
        let mut end = false;
        for act in acts {
            match act {
                Act::Keep(state) => self.kept.write(&state)?,
                Act::Begin => self.begin(),
                Act::Release => self.session = None,
                Act::Answer(caller, reply) => self.answer(caller, &reply),
                Act::Exit => end = true,
            }
        }
        Ok(end)
    }

    fn begin(&mut self) {
        match session::begin(&self.argv, self.events.clone()) {
            Ok(input) => self.session = Some(input),
            Err(error) => {
                let text = format!("quiescent: cannot start {:?}: {error}", self.argv);
                let line = Line {
                    text,
                    complaint: true,
                };
                let _ = self.events.send(Event::Said(line));
                let _ = self.events.send(Event::Ended(2));
            }
        }
    }

    fn answer(&mut self, caller: Caller, reply: &Reply) {
        if let Some(answer) = self.waiting.remove(&caller) {
            let _ = answer.send((reply.code, json(reply)));
        }
    }
}

fn json(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("it has no keys but texts");
    text.push('\n');
    text
}

/// Makes the folder, for this user alone.
fn open(folder: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to create {}", folder.display());
    fs::create_dir_all(folder).with_context(failed)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(failed)
}

/// Listens where a coordinator before this one did.
fn bind(folder: &Path) -> anyhow::Result<UnixListener> {
    let path = folder.join(SOCKET);
    ensure!(
        std::os::unix::net::UnixStream::connect(&path).is_err(),
        "another coordinator answers at {}",
        path.display()
    );
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("failed to remove {}", path.display()));
        }
        Ok(()) | Err(_) => {}
    }
    UnixListener::bind(&path).with_context(|| format!("failed to listen at {}", path.display()))
}

/// One request of one connection.
async fn attend(socket: UnixStream, desk: Desk) {
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader.take(4096));
    let mut line = String::new();
    if reader.read_line(&mut line).await.is_err() {
        return;
    }
    let Ok(asked) = serde_json::from_str::<Asked>(&line) else {
        return;
    };
    let mut rest = [0];
    tokio::select! {
        answer = desk.ask(asked) => {
            if let Some((_, text)) = answer {
                let _ = writer.write_all(text.as_bytes()).await;
            }
        }
        // Nothing more is ever written to us: this is the end of the connection.
        _ = reader.read(&mut rest) => {}
    }
}
