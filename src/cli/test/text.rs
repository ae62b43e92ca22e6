//! What a trial came to, in a few lines.

use std::fmt::Write as _;

use super::{
    super::hook_words::{command, last_lines},
    pods::Subject,
};
use crate::{
    report::Style,
    trial::{Outcome, Proposal, Run, Said, Tried, Verdict, said, word},
    velero::{ExecHook, HookPhase},
};

pub fn text(subject: &Subject, tried: &Tried) -> String {
    let mut text = Style::Strong.paint(subject.title());
    if let Some(policies) = &subject.policies {
        let _ = write!(text, "  {policies}");
    }
    text.push('\n');
    for run in &tried.runs {
        if let Some(hook) = tried.hook(run.phase) {
            of_run(&mut text, subject, hook, run);
        }
    }
    let verdict = tried.verdict();
    let head = match verdict {
        Verdict::Works => Style::Good,
        Verdict::Stopped | Verdict::NoHooks => Style::Careful,
        Verdict::Fails | Verdict::NotUndone => Style::Bad,
    };
    let _ = write!(text, "verdict  {}", head.paint(verdict.words()));
    for (phase, proposal) in tried.proposals() {
        let timeout = tried.hook(phase).map(|hook| hook.timeout.text());
        let timeout = timeout.unwrap_or_default();
        let hook = match phase {
            HookPhase::Pre => "timeout",
            HookPhase::Post | HookPhase::PostRestore => "timeout of post",
        };
        let _ = match proposal {
            Proposal::Lower { times, to } => write!(
                text,
                "; {hook} {timeout} is {times} times what it needs ({} would do)",
                to.text()
            ),
            Proposal::Raise { to } => {
                write!(text, "; {hook} {timeout} is short, {} is safe", to.text())
            }
            Proposal::TooLong => write!(
                text,
                "; it needs most of the {timeout} that Velero gives a hook at most"
            ),
        };
    }
    text.push('\n');
    for note in tried.notes() {
        let _ = writeln!(text, "       {} {note}", Style::Careful.paint("!"));
    }
    text
}

fn of_run(text: &mut String, subject: &Subject, hook: &ExecHook, run: &Run) {
    let container = subject.container(hook).unwrap_or_default();
    let (outcome, style) = match &run.outcome {
        Outcome::Exited(0) => ("ok".to_owned(), Style::Good),
        Outcome::Exited(code) => (format!("exit {code}"), Style::Bad),
        Outcome::NotRun(why) => (format!("did not run: {why}"), Style::Bad),
        Outcome::TimedOut => (format!("timed out after {}", hook.timeout), Style::Bad),
        Outcome::Interrupted => ("stopped".to_owned(), Style::Careful),
        Outcome::Lost(why) => (format!("lost: {why}"), Style::Bad),
    };
    let said = said(&run.stdout);
    let words: Vec<String> = said.iter().map(Said::words).collect();
    let line = format!(
        "{:<5}  {container}  {}  {}  {}  {}",
        word(run.phase),
        command(hook.command.iter().map(String::as_str)),
        seconds(run),
        style.paint(outcome),
        words.join("; "),
    );
    let _ = writeln!(text, "{}", line.trim_end());
    // What a hook of ours says of itself stands in that line already.
    if !run.outcome.is_good() || said.is_empty() {
        for line in last_lines(&run.stdout, &run.stderr) {
            let _ = writeln!(text, "       {}", Style::Faint.paint(line));
        }
    }
}

fn seconds(run: &Run) -> String {
    format!("{:.1} s", run.took.as_secs_f64())
}
