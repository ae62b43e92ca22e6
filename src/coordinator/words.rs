//! What the hooks of a coordinator say beside what its session said.
use super::{Line, State};

/// The line of a session that has nothing to hold.
pub fn is_skipped(line: &Line) -> bool {
    !line.complaint && line.text.starts_with("quiescent result=skipped")
}

/// Why there is nothing that a request could stop.
pub fn nothing_to_stop(state: &State) -> String {
    match state {
        State::Lost { why, .. } => {
            format!("what was held had gone before this hook, for {why}: this backup is not good")
        }
        State::Idle | State::Starting { .. } | State::Held { .. } | State::Stopping { .. } => {
            "nothing is held: pre did not run, or it failed: this backup is not good".to_owned()
        }
    }
}

/// The last line of a hook that did what it is for.
#[must_use]
pub fn success(name: &str, phase: &str, seconds: u64) -> Line {
    Line {
        text: format!(
            "{} policy={name} phase={phase} seconds={seconds}",
            super::HOLDS
        ),
        complaint: false,
    }
}

/// The sentence and the last line of a hook that failed.
#[must_use]
pub fn failure(name: &str, phase: &str, code: u8, problem: &str) -> [Line; 2] {
    [
        Line {
            text: format!("quiescent: {name} {phase} failed: {problem}"),
            complaint: true,
        },
        Line {
            text: format!("quiescent result=failed policy={name} phase={phase} code={code}"),
            complaint: false,
        },
    ]
}

/// Adds for how many seconds something was held to the line that says that all went well.
pub fn with_held(mut said: Vec<Line>, seconds: u64) -> Vec<Line> {
    let last = said.iter_mut().rev();
    let mut lines = last.filter(|it| !it.complaint && it.text.starts_with(super::HOLDS));
    if let Some(line) = lines.next() {
        line.text = format!("{} held={seconds}", line.text);
    }
    said
}
