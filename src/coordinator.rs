//! What holds a database from one hook of a backup to the next: a session that begins with a request,
//! ends with another, and is never said to have held when it had not.
//!
//! Pure: whoever runs the session tells what happened and when, and does what comes out, in its order.
//! What is to be kept is kept before anything follows from it, so that whoever comes after a crash
//! knows what may have been held.
mod words;

pub use words::{failure, success};

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// How long a session may take to end that nobody waits for.
const GRACE: Duration = Duration::from_secs(10);

/// What the line begins with by which a session says that it holds.
const HOLDS: &str = "quiescent result=ok";

/// Exit codes as those of the library's scripts.
const FAILED: u8 = 1;
const BUSY: u8 = 3;
const OUT_OF_TIME: u8 = 4;
const LOST: u8 = 5;

/// What is held now, as it is kept on disk and told to whoever asks. `id` is the request's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum State {
    Idle,
    Starting {
        id: String,
    },
    Held {
        id: String,
    },
    /// On its way to `Idle` for a request to stop; whoever finds this after a crash takes it for lost.
    Stopping {
        id: String,
    },
    /// What was held had gone before anybody asked to stop it. So it stays until the next start.
    Lost {
        id: String,
        why: Why,
    },
}

/// What ended a hold too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Why {
    /// The coordinator's container, or its program, was started again.
    Restarted,
    /// The session ended by itself.
    Ended,
    /// Nobody asked to stop it within the limit.
    Limit,
    /// Another request to start came before one to stop.
    Replaced,
    /// The pod is going away.
    Terminated,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Restarted => "the coordinator was started again",
            Self::Ended => "its session ended by itself",
            Self::Limit => "its limit was over",
            Self::Replaced => "a new hold took its place",
            Self::Terminated => "the pod was told to end",
        })
    }
}

impl State {
    /// What a coordinator that starts makes of the state that it finds.
    #[must_use]
    pub fn after_restart(self) -> Self {
        match self {
            Self::Starting { id } | Self::Held { id } | Self::Stopping { id } => Self::Lost {
                id,
                why: Why::Restarted,
            },
            Self::Idle | Self::Lost { .. } => self,
        }
    }
}

/// Who asked, for as long as the connection is open.
pub type Caller = u64;

/// A line that the session wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    pub text: String,
    /// Whether it is for people alone: it came on standard error.
    pub complaint: bool,
}

/// A request to take or to end a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub caller: Caller,
    pub id: String,
    /// How long it may take.
    pub within: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Start(Request),
    Stop(Request),
    /// The caller closed its connection.
    Gone(Caller),
    Said(Line),
    /// The session has ended, with this exit code; all it wrote has been told.
    Ended(u8),
    /// The time that [`Coordinator::deadline`] names has come.
    Tick,
    Terminate,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Bring this to disk, or end.
    Keep(State),
    /// Start the session.
    Begin,
    /// Ask the session to end: close its standard input.
    Release,
    Answer(Caller, Reply),
    /// End the process, and with the container all that it ran.
    Exit,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// That of the request which is answered.
    pub id: String,
    /// As the exit code of a hook.
    pub code: u8,
    /// What the session wrote, and what is to be said beside it.
    pub said: Vec<Line>,
    pub state: State,
}

/// Who runs one session at a time.
#[derive(Debug)]
pub struct Coordinator {
    /// How messages call it.
    name: String,
    /// The longest that anything is held.
    limit: Duration,
    /// Whether the process is to end with its session.
    leaving: bool,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No session runs: `Idle` or `Lost`.
    Rest(State),
    Starting {
        request: Request,
        began: Duration,
        said: Vec<Line>,
    },
    Held {
        id: String,
        since: Duration,
        said: Vec<Line>,
    },
    /// The session was asked to end.
    Ending {
        end: End,
        until: Duration,
        said: Vec<Line>,
        /// What is so once it has ended.
        then: State,
    },
}

#[derive(Debug)]
enum End {
    /// For a request to stop what was held since then.
    Stop(Request, Duration),
    /// To make room for a new hold.
    Replace(Request),
    /// Nobody waits.
    Alone,
}

impl Coordinator {
    /// One that found this state, which has been through [`State::after_restart`].
    #[must_use]
    pub const fn new(name: String, limit: Duration, found: State) -> Self {
        Self {
            name,
            limit,
            leaving: false,
            phase: Phase::Rest(found),
        }
    }

    /// What is so now.
    #[must_use]
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::Rest(state) => state.clone(),
            Phase::Starting { request, .. } => State::Starting {
                id: request.id.clone(),
            },
            Phase::Held { id, .. } => State::Held { id: id.clone() },
            Phase::Ending { end, then, .. } => match end {
                End::Stop(request, _) => State::Stopping {
                    id: request.id.clone(),
                },
                End::Replace(_) | End::Alone => then.clone(),
            },
        }
    }

    /// When a [`Event::Tick`] is due, on the clock of `now`.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Rest(_) => None,
            Phase::Starting { request, began, .. } => Some(*began + request.within),
            Phase::Held { since, .. } => Some(*since + self.limit),
            Phase::Ending { until, .. } => Some(*until),
        }
    }

    /// Takes in what happened at `now`, a clock that only goes forward.
    pub fn step(&mut self, now: Duration, event: Event) -> Vec<Act> {
        match event {
            Event::Start(request) => self.start(now, request),
            Event::Stop(request) => self.stop(now, request),
            Event::Gone(caller) => self.gone(now, caller),
            Event::Said(line) => self.said(now, line),
            Event::Ended(code) => self.ended(now, code),
            Event::Tick => self.tick(now),
            Event::Terminate => self.terminate(now),
        }
    }

    fn start(&mut self, now: Duration, request: Request) -> Vec<Act> {
        match &mut self.phase {
            _ if self.leaving => vec![self.busy(&request, "pre")],
            Phase::Rest(_) => self.begin(now, request),
            Phase::Held { id, .. } => {
                let then = State::Lost {
                    id: id.clone(),
                    why: Why::Replaced,
                };
                let until = now + request.within.min(GRACE);
                self.phase = Phase::Ending {
                    end: End::Replace(request),
                    until,
                    said: Vec::new(),
                    then: then.clone(),
                };
                vec![Act::Keep(then), Act::Release]
            }
            Phase::Starting { .. } | Phase::Ending { .. } => vec![self.busy(&request, "pre")],
        }
    }

    fn begin(&mut self, now: Duration, request: Request) -> Vec<Act> {
        let id = request.id.clone();
        self.phase = Phase::Starting {
            request,
            began: now,
            said: Vec::new(),
        };
        vec![Act::Keep(State::Starting { id }), Act::Begin]
    }

    fn stop(&mut self, now: Duration, request: Request) -> Vec<Act> {
        match &mut self.phase {
            Phase::Rest(state) => {
                let problem = words::nothing_to_stop(state);
                vec![self.answer(&request, LOST, Vec::new(), "post", Some(problem))]
            }
            Phase::Held { id, since, said } => {
                let stopping = State::Stopping { id: id.clone() };
                let said = std::mem::take(said);
                self.phase = Phase::Ending {
                    until: now + request.within,
                    end: End::Stop(request, *since),
                    said,
                    then: State::Idle,
                };
                vec![Act::Keep(stopping), Act::Release]
            }
            Phase::Ending {
                end: End::Alone,
                then: then @ State::Lost { .. },
                ..
            } => {
                let problem = words::nothing_to_stop(then);
                vec![self.answer(&request, LOST, Vec::new(), "post", Some(problem))]
            }
            Phase::Starting { .. } | Phase::Ending { .. } => vec![self.busy(&request, "post")],
        }
    }

    fn busy(&self, request: &Request, phase: &str) -> Act {
        let problem =
            "another request is being carried out: wait for it to end, then try again".to_owned();
        self.answer(request, BUSY, Vec::new(), phase, Some(problem))
    }

    /// Whoever asked for a hold and went away ends it with no post hook.
    fn gone(&mut self, now: Duration, caller: Caller) -> Vec<Act> {
        match &self.phase {
            Phase::Starting { request, .. } if request.caller == caller => {
                self.end_alone(now, State::Idle)
            }
            Phase::Rest(_) | Phase::Starting { .. } | Phase::Held { .. } | Phase::Ending { .. } => {
                Vec::new()
            }
        }
    }

    fn end_alone(&mut self, now: Duration, then: State) -> Vec<Act> {
        self.phase = Phase::Ending {
            end: End::Alone,
            until: now + GRACE,
            said: Vec::new(),
            then: then.clone(),
        };
        vec![Act::Keep(then), Act::Release]
    }

    fn said(&mut self, now: Duration, line: Line) -> Vec<Act> {
        let holds = !line.complaint && line.text.starts_with(HOLDS);
        match &mut self.phase {
            Phase::Starting { request, said, .. } => {
                said.push(line);
                if !holds {
                    return Vec::new();
                }
                let (request, said) = (request.clone(), std::mem::take(said));
                let id = request.id.clone();
                self.phase = Phase::Held {
                    id: id.clone(),
                    since: now,
                    said: Vec::new(),
                };
                let reply = Act::Answer(
                    request.caller,
                    Reply {
                        id: request.id,
                        code: 0,
                        said,
                        state: self.state(),
                    },
                );
                vec![Act::Keep(State::Held { id }), reply]
            }
            Phase::Held { said, .. } | Phase::Ending { said, .. } => {
                said.push(line);
                Vec::new()
            }
            Phase::Rest(_) => Vec::new(),
        }
    }

    fn ended(&mut self, now: Duration, code: u8) -> Vec<Act> {
        let mut acts = match std::mem::replace(&mut self.phase, Phase::Rest(State::Idle)) {
            Phase::Rest(state) => {
                self.phase = Phase::Rest(state);
                Vec::new()
            }
            Phase::Starting { request, said, .. } => {
                let skipped = said.iter().any(words::is_skipped);
                let answer = if code == 0 && !skipped {
                    let problem = "the session ended and never said that it holds".to_owned();
                    self.answer(&request, FAILED, said, "pre", Some(problem))
                } else {
                    self.answer(&request, code, said, "pre", None)
                };
                vec![Act::Keep(State::Idle), answer]
            }
            Phase::Held { id, .. } => {
                let why = Why::Ended;
                self.phase = Phase::Rest(State::Lost { id, why });
                vec![Act::Keep(self.state())]
            }
            Phase::Ending {
                end, said, then, ..
            } => {
                self.phase = Phase::Rest(then);
                match end {
                    End::Stop(request, since) => {
                        let seconds = now.saturating_sub(since).as_secs();
                        let said = words::with_held(said, seconds);
                        let answer = self.answer(&request, code, said, "post", None);
                        vec![Act::Keep(State::Idle), answer]
                    }
                    End::Replace(request) if self.leaving => vec![self.busy(&request, "pre")],
                    End::Replace(request) => self.begin(now, request),
                    End::Alone => Vec::new(),
                }
            }
        };
        if self.leaving {
            acts.push(Act::Exit);
        }
        acts
    }

    fn tick(&mut self, now: Duration) -> Vec<Act> {
        match &mut self.phase {
            Phase::Rest(_) => Vec::new(),
            Phase::Starting { request, said, .. } => {
                let (request, said) = (request.clone(), std::mem::take(said));
                let mut acts = self.end_alone(now, State::Idle);
                let problem = format!(
                    "it does not hold after {} s: raise the timeout, or look for what the session waits for",
                    request.within.as_secs()
                );
                acts.push(self.answer(&request, OUT_OF_TIME, said, "pre", Some(problem)));
                acts
            }
            Phase::Held { id, .. } => {
                let why = Why::Limit;
                let lost = State::Lost {
                    id: id.clone(),
                    why,
                };
                self.end_alone(now, lost)
            }
            // Nothing but the end of the container is sure to end the session now.
            Phase::Ending { end, said, .. } => {
                let said = std::mem::take(said);
                let waiting = match end {
                    End::Stop(request, _) => Some((request.clone(), "post")),
                    End::Replace(request) => Some((request.clone(), "pre")),
                    End::Alone => None,
                };
                let answer = waiting.map(|(request, phase)| {
                    let problem = "the session does not end: its container ends with it".to_owned();
                    self.answer(&request, OUT_OF_TIME, said, phase, Some(problem))
                });
                answer.into_iter().chain([Act::Exit]).collect()
            }
        }
    }

    fn terminate(&mut self, now: Duration) -> Vec<Act> {
        self.leaving = true;
        match &self.phase {
            Phase::Rest(_) => vec![Act::Exit],
            Phase::Starting { .. } => self.end_alone(now, State::Idle),
            Phase::Held { id, .. } => {
                let lost = State::Lost {
                    id: id.clone(),
                    why: Why::Terminated,
                };
                self.end_alone(now, lost)
            }
            Phase::Ending { .. } => Vec::new(),
        }
    }

    /// An answer; with a problem, in the sentence and the line that a hook ends with.
    fn answer(
        &self,
        request: &Request,
        code: u8,
        mut said: Vec<Line>,
        phase: &str,
        problem: Option<String>,
    ) -> Act {
        if let Some(problem) = problem {
            said.extend(words::failure(&self.name, phase, code, &problem));
        }
        let Request { caller, id, .. } = request;
        let reply = Reply {
            id: id.clone(),
            code,
            said,
            state: self.state(),
        };
        Act::Answer(*caller, reply)
    }
}

#[cfg(test)]
mod tests;
