//! What a trial came to, in a few lines.

use std::fmt::Write as _;

use super::super::hook_words::{command, last_lines};
use crate::{
    live::Subject,
    report::Style,
    trial::{Hook, Outcome, Proposal, Run, Said, Tried, Verdict, said, word},
    velero::HookPhase,
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
        let timeout = tried.hook(phase).map(|hook| hook.timeout().text());
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

/// One hook that was run, in a line, and below it what it printed.
pub fn of_run(text: &mut String, subject: &Subject, hook: &Hook, run: &Run) {
    let what = match hook {
        Hook::Exec(hook) => format!(
            "{}  {}",
            subject.container(hook).unwrap_or_default(),
            command(hook.command.iter().map(String::as_str))
        ),
        Hook::Http(hook) => command([hook.call.to_string().as_str()]),
    };
    let (outcome, style) = match &run.outcome {
        Outcome::Exited(0) => ("ok".to_owned(), Style::Good),
        Outcome::Exited(_) if hook.call().is_some() => ("failed".to_owned(), Style::Bad),
        Outcome::Exited(code) => (format!("exit {code}"), Style::Bad),
        Outcome::NotRun(why) => (format!("did not run: {why}"), Style::Bad),
        Outcome::TimedOut => (format!("timed out after {}", hook.timeout()), Style::Bad),
        Outcome::Interrupted => ("stopped".to_owned(), Style::Careful),
        Outcome::Lost(why) => (format!("lost: {why}"), Style::Bad),
    };
    let said = said(&run.stdout);
    let words: Vec<String> = said.iter().map(Said::words).collect();
    let line = format!(
        "{:<5}  {what}  {}  {}  {}",
        word(run.phase),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anstream::adapter::strip_str;

    use super::{super::value::value, *};
    use crate::trial::{Hooks, Step, Trial};

    /// A trial on a pod whose pre hook ends so, and says so.
    fn tried(outcome: &Outcome, stdout: &str, stderr: &str) -> (Subject, Tried) {
        let hooks = Hooks::of(|key| match key.split_once(".hook.backup.velero.io/")? {
            ("pre", "command") => Some(r#"["/bin/sh","/quiescent/pg/pre.sh"]"#),
            ("pre", "timeout") => Some("10m"),
            ("pre", "on-error") => Some("Fail"),
            ("post", "command") => Some(r#"["/bin/sh","/quiescent/pg/post.sh"]"#),
            _ => None,
        });
        let mut trial = Trial::new(hooks.clone(), Duration::ZERO);
        loop {
            match trial.next() {
                Step::Run(hook) => {
                    let is_pre = hook.phase() == HookPhase::Pre;
                    let of_pre = |text: &str| {
                        if is_pre {
                            text.to_owned()
                        } else {
                            String::new()
                        }
                    };
                    let run = Run {
                        phase: hook.phase(),
                        outcome: if is_pre {
                            outcome.clone()
                        } else {
                            Outcome::Exited(0)
                        },
                        took: Duration::from_millis(if is_pre { 2345 } else { 60 }),
                        stdout: of_pre(stdout),
                        stderr: of_pre(stderr),
                        printed: if is_pre {
                            (stdout.len() + stderr.len()) as u64
                        } else {
                            0
                        },
                    };
                    trial.ran(run);
                }
                Step::Hold(_) => trial.held(false),
                Step::Linger(_) => trial.lingered(false),
                Step::Done => break,
            }
        }
        let subject = Subject {
            namespace: "shop".to_owned(),
            name: "pg-0".to_owned(),
            policies: Some("postgresql-dump".to_owned()),
            hooks,
            labels: [("app".to_owned(), "pg".to_owned())].into(),
            pod:
                r#"{"metadata": {"name": "pg-0"}, "spec": {"containers": [{"name": "postgres"}]}}"#
                    .to_owned(),
        };
        (subject, trial.outcome())
    }

    fn all() -> [(Subject, Tried); 3] {
        [
            tried(
                &Outcome::Exited(0),
                "quiescent result=ok policy=postgresql-dump phase=pre databases=2 bytes=4509739 seconds=2\n",
                "",
            ),
            tried(
                &Outcome::Exited(2),
                "",
                "the server does not let us in: name the container's variable\n",
            ),
            tried(&Outcome::TimedOut, "", ""),
        ]
    }

    #[test]
    fn a_pod_is_a_few_lines() {
        let text: String = all()
            .iter()
            .map(|(subject, tried)| text(subject, tried))
            .collect();
        let text = strip_str(&text).to_string();
        assert_eq!(text, include_str!("pods.txt"), "\n{text}");
    }

    #[test]
    fn programs_are_told_the_same() {
        let text = format!("{:#}\n", value(&all(), None, &[]));
        assert_eq!(text, include_str!("pods.json"), "\n{text}");
    }
}
