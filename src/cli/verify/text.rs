//! A verification in lines: the Restores, each pod with its checks, the verdict with its two times.

use std::fmt::Write as _;

use super::{super::hook_words::last_lines, Report};
use crate::{
    report::Style,
    trial::{Outcome, Said, said},
    velero::verification::Verdict,
    verify::{Checked, Pod, Unfit, Verified},
};

pub fn text(report: &Report) -> String {
    let Report {
        backup,
        verified,
        seen,
        restore_seconds,
        data_age_seconds,
        kept,
        notes,
    } = report;
    let mut text = Style::Strong.paint(format!("backup/{backup}"));
    text.push('\n');
    for restored in &seen.restores {
        let style = if restored.is_complete() {
            Style::Good
        } else {
            Style::Bad
        };
        let mut words = vec![style.paint(&restored.phase)];
        for (many, what) in [(restored.errors, "error"), (restored.warnings, "warning")] {
            let plural = if many == 1 { "" } else { "s" };
            words.extend((many > 0).then(|| format!("{many} {what}{plural}")));
        }
        words.extend(restored.because.iter().cloned());
        let _ = writeln!(text, "restore  {}", words.join(", "));
    }
    for it in &seen.pods {
        pod(&mut text, it);
    }
    for it in &seen.unfit {
        unfit(&mut text, it);
    }
    // The first is the reason of the verdict.
    for hook in seen.hooks.iter().skip(1) {
        let _ = writeln!(text, "       {}", Style::Bad.paint(hook));
    }
    let times = times(*restore_seconds, Some(*data_age_seconds));
    verdict(&mut text, verified, times);
    if !kept.is_empty() {
        let _ = writeln!(
            text,
            "kept     {}; take it away with kubectl delete namespace {}",
            kept.join(", "),
            kept.join(" ")
        );
    }
    for note in notes {
        let _ = writeln!(text, "       {} {note}", Style::Careful.paint("!"));
    }
    text
}

pub fn unfit(text: &mut String, unfit: &Unfit) {
    let Unfit {
        namespace,
        name,
        why,
    } = unfit;
    let why = Style::Careful.paint(format!("not copied: {why}"));
    let _ = writeln!(text, "{namespace}/{name}  {why}");
}

/// How long it took, and how old the data were, as far as that is known.
pub fn times(restore_seconds: Option<u64>, data_age_seconds: Option<u64>) -> Vec<String> {
    let restored = restore_seconds.map(|it| format!("restored and checked in {} (RTO)", span(it)));
    let age = data_age_seconds.map(|it| format!("data {} old (RPO)", span(it)));
    restored.into_iter().chain(age).collect()
}

pub fn verdict(text: &mut String, verified: &Verified, times: Vec<String>) {
    let head = match verified.verdict {
        Verdict::Passed => Style::Good,
        Verdict::Failed => Style::Bad,
        Verdict::Incomplete => Style::Careful,
    };
    let mut words = vec![head.paint(verified.verdict.as_str())];
    words.extend(verified.reason.clone());
    words.extend(times);
    let _ = writeln!(text, "verdict  {}", words.join("; "));
}

pub fn pod(text: &mut String, pod: &Pod) {
    let Pod {
        subject,
        namespace: _,
        ready,
        state,
        checks,
    } = pod;
    let state = match (ready, state) {
        (Some(ready), _) => Style::Good.paint(format!("ready after {}", span(ready.as_secs()))),
        (None, Some(state)) => Style::Bad.paint(format!("not ready: {state}")),
        (None, None) => Style::Bad.paint("not there"),
    };
    let _ = writeln!(
        text,
        "{}/{}  {}  {state}",
        subject.namespace,
        subject.name,
        subject.policies.join(",")
    );
    for it in checks {
        check(text, it);
    }
    if ready.is_some() && checks.is_empty() {
        let none = Style::Faint.paint("no policy of it has a check: that it is ready is all");
        let _ = writeln!(text, "check  {none}");
    }
}

fn check(text: &mut String, check: &Checked) {
    let Checked {
        policy: _,
        outcome,
        took,
        stdout,
        stderr,
    } = check;
    let (words, style) = match outcome {
        Outcome::Exited(0) => ("ok".to_owned(), Style::Good),
        Outcome::Exited(code) => (format!("exit {code}"), Style::Bad),
        Outcome::NotRun(why) => (format!("did not run: {why}"), Style::Careful),
        Outcome::TimedOut => ("timed out".to_owned(), Style::Bad),
        Outcome::Interrupted => ("stopped".to_owned(), Style::Careful),
        Outcome::Lost(why) => (format!("lost: {why}"), Style::Careful),
    };
    let said = said(stdout);
    let results: Vec<String> = said.iter().map(Said::words).collect();
    let line = format!(
        "check  {:.1} s  {}  {}",
        took.as_secs_f64(),
        style.paint(words),
        results.join("; ")
    );
    let _ = writeln!(text, "{}", line.trim_end());
    if !outcome.is_good() || said.is_empty() {
        for line in last_lines(stdout, stderr) {
            let _ = writeln!(text, "       {}", Style::Faint.paint(line));
        }
    }
}

/// Seconds as people say them.
fn span(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match () {
        () if days > 1 => format!("{days} d {} h", hours % 24),
        () if hours > 0 => format!("{hours} h {} min", minutes % 60),
        () if minutes > 0 => format!("{minutes} min {} s", seconds % 60),
        () => format!("{seconds} s"),
    }
}
