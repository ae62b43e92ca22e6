//! `quiescent coordinator call`: a hook that calls over HTTP, as a command that Velero runs.

use super::ask::say;
use crate::{
    cli::{Ended, block_on},
    coordinator::{Line, failure, success},
    live::call_within,
    policy::{Calls, limit},
    trial::{Hook, Late, Outcome, Run, Tried, word},
    velero::HookPhase,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// What messages call it
    #[arg(long, value_name = "NAME", default_value = "coordinator")]
    name: String,
    /// The call of the hook, as an annotation has it; beside that of a pre hook the one that undoes it
    #[arg(value_name = "CALLS", value_parser = calls)]
    calls: Calls,
}

fn calls(text: &str) -> Result<Calls, String> {
    let calls: Calls = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if calls.is_empty() {
        return Err("there is no call in it".to_owned());
    }
    Ok(calls)
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let Args { name, calls } = args;
    let tried = block_on(async { Ok(call_within(calls).await) })?;
    let Some(first) = tried.runs.first() else {
        return Ok(Ended::Fine);
    };
    let phase = word(first.phase);
    let code = match &first.outcome {
        Outcome::Exited(0) => {
            say(&[success(name, phase, first.took.as_secs())]);
            return Ok(Ended::Hook(0));
        }
        Outcome::TimedOut | Outcome::Interrupted => 4,
        Outcome::Exited(_) | Outcome::NotRun(_) | Outcome::Lost(_) => 1,
    };
    let problem = problem(&tried, first) + &undone(&tried);
    let mut said: Vec<Line> = failure(name, phase, code, &problem).into();
    said.splice(0..0, answer(name, first));
    say(&said);
    Ok(Ended::Hook(code))
}

/// What was called, and what came of it.
fn problem(tried: &Tried, run: &Run) -> String {
    let call = tried.hook(run.phase).and_then(Hook::call);
    let Some(call) = call else {
        return String::new();
    };
    let came = match &run.outcome {
        Outcome::Exited(_) => run.stderr.clone(),
        Outcome::NotRun(why) | Outcome::Lost(why) => why.clone(),
        Outcome::TimedOut | Outcome::Interrupted => {
            format!("no answer within {} s", limit(call.timeout))
        }
    };
    format!("{call}: {came}")
}

/// What became of the post hook that was called since the pre hook had failed.
fn undone(tried: &Tried) -> String {
    let post = tried.last(HookPhase::Post);
    let Some(post) = post.filter(|_| tried.last(HookPhase::Pre).is_some()) else {
        return String::new();
    };
    if !post.outcome.is_good() {
        return format!("; and it could not be undone: {}", problem(tried, post));
    }
    match tried.late {
        Late::Running => {
            "; post was called, and what comes of pre after that nobody undoes".to_owned()
        }
        Late::No | Late::Ended => "; post was called to undo it".to_owned(),
    }
}

/// The beginning of an answer that was not the expected one.
fn answer(name: &str, run: &Run) -> Option<Line> {
    let words: Vec<&str> = run.stdout.split_whitespace().collect();
    (!words.is_empty()).then(|| Line {
        text: format!(
            "quiescent: {name} {} was answered: {}",
            word(run.phase),
            words.join(" ")
        ),
        complaint: true,
    })
}
