//! The results in lines: each hook, what is missing, each volume, and the sum.

use std::fmt::Write as _;

use super::{
    super::hook_words::{command, last_lines},
    Results,
};
use crate::{
    report::Style,
    results::{HookRun, Way},
    trial::{Said, size},
};

pub fn text(results: &Results) -> String {
    let Results {
        kind,
        name,
        phase,
        attempted,
        failed,
        hooks,
        flags,
        volumes,
        notes,
    } = results;
    let mut text = format!(
        "{} {phase}\n",
        Style::Strong.paint(format!("{}/{name}", kind.word()))
    );
    for run in hooks {
        hook(&mut text, run);
    }
    for flag in flags {
        let (namespace, pod) = (&flag.namespace, &flag.pod);
        let says = Style::Bad.paint(flag.says);
        let _ = writeln!(text, "{namespace}/{pod}  post     {says}");
    }
    for volume in volumes {
        let whose = match &volume.pod {
            Some(pod) => format!("{}/{pod}", volume.namespace),
            None => volume.namespace.clone(),
        };
        let way = match &volume.way {
            Way::FileCopy => "by file copy".to_owned(),
            Way::Snapshot => "by snapshot".to_owned(),
            Way::MovedSnapshot => "by snapshot, its data uploaded".to_owned(),
            Way::Skipped(why) if why.is_empty() => "skipped".to_owned(),
            Way::Skipped(why) => format!("skipped: {why}"),
            Way::Unknown => "nothing is known of its way".to_owned(),
        };
        let mut words = vec![way];
        words.extend(volume.bytes.map(size));
        words.extend(volume.phase.clone());
        let _ = writeln!(
            text,
            "{whose}  volume   {}  {}",
            volume.name,
            words.join(", ")
        );
    }
    let _ = writeln!(text, "{}", sum(hooks, *attempted, *failed));
    for note in notes {
        let _ = writeln!(text, "{} {note}", Style::Careful.paint("!"));
    }
    text
}

fn hook(text: &mut String, run: &HookRun) {
    let HookRun {
        namespace,
        pod,
        phase,
        container,
        error,
        seconds,
        ..
    } = run;
    let outcome = match error {
        Some(error) => Style::Bad.paint(error),
        None if run.is_open() => Style::Bad.paint("the log does not say how it ended"),
        None => Style::Good.paint("ok"),
    };
    let took = seconds.map(|it| format!("{it} s"));
    let results = run.results();
    let words: Vec<String> = results.iter().map(Said::words).collect();
    let parts = [
        Some(format!("{namespace}/{pod}")),
        Some(format!("{phase:<7}")),
        Some(container.clone()),
        Some(command(run.command.split(' '))),
        took,
        Some(outcome),
        Some(words.join("; ")),
    ];
    let parts = parts.into_iter().flatten().filter(|it| !it.is_empty());
    let _ = writeln!(text, "{}", parts.collect::<Vec<_>>().join("  "));
    if error.is_some() || results.is_empty() {
        for line in last_lines(&run.stdout, &run.stderr) {
            let _ = writeln!(text, "    {}", Style::Faint.paint(line));
        }
    }
}

fn sum(hooks: &[HookRun], attempted: Option<u64>, failed: Option<u64>) -> String {
    let bad = hooks.iter().filter(|it| it.error.is_some()).count();
    let ours = format!("{} hooks in the log, {bad} failed", hooks.len());
    match (attempted, failed) {
        (Some(attempted), Some(failed)) => {
            format!("{ours}; Velero counts {attempted}, {failed} failed")
        }
        _ => ours,
    }
}
