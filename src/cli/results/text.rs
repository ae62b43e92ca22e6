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
    let of_hooks = hooks.iter().map(|it| whose(&it.namespace, Some(&it.pod)));
    let of_volumes = volumes
        .iter()
        .map(|it| whose(&it.namespace, it.pod.as_deref()));
    let width = of_hooks
        .chain(of_volumes)
        .map(|it| it.chars().count())
        .max();
    let width = width.unwrap_or_default();
    for run in hooks {
        hook(&mut text, run, width);
    }
    for flag in flags {
        let whose = whose(&flag.namespace, Some(&flag.pod));
        let says = Style::Bad.paint(flag.says);
        let _ = writeln!(text, "{whose:<width$}  {:<7}  {says}", "post");
    }
    for volume in volumes {
        let whose = whose(&volume.namespace, volume.pod.as_deref());
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
            "{whose:<width$}  {:<7}  {}  {}",
            "volume",
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

fn whose(namespace: &str, pod: Option<&str>) -> String {
    match pod {
        Some(pod) => format!("{namespace}/{pod}"),
        None => namespace.to_owned(),
    }
}

fn hook(text: &mut String, run: &HookRun, width: usize) {
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
        Some(format!("{:<width$}", whose(namespace, Some(pod)))),
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

#[cfg(test)]
mod tests {
    use anstream::adapter::strip_str;

    use super::{super::value, Results, text};
    use crate::{
        results::{Volume, Way, hooks, never_undone},
        velero::objects::Kind,
    };

    fn results() -> Results {
        let hooks = hooks(include_str!("../../results/backup.log"));
        let volume = |name: &str, way, bytes| Volume {
            namespace: "shop".to_owned(),
            pod: matches!(way, Way::FileCopy).then(|| "pg-0".to_owned()),
            name: name.to_owned(),
            phase: matches!(way, Way::FileCopy).then(|| "Completed".to_owned()),
            way,
            bytes,
        };
        Results {
            kind: Kind::Backup,
            name: "nightly".to_owned(),
            phase: "PartiallyFailed".to_owned(),
            attempted: Some(9),
            failed: Some(4),
            flags: never_undone(&hooks),
            hooks,
            volumes: vec![
                volume("quiescent-dump", Way::FileCopy, Some(4_509_739)),
                volume("data", Way::Snapshot, Some(1 << 30)),
                volume("wal", Way::Skipped("opted out".to_owned()), None),
            ],
            notes: vec!["something is not known".to_owned()],
        }
    }

    #[test]
    fn each_hook_and_volume_has_a_line() {
        let text = strip_str(&text(&results())).to_string();
        assert_eq!(text, include_str!("backup.txt"), "\n{text}");
    }

    #[test]
    fn a_backup_that_failed_is_not_good_though_its_hooks_are() {
        let of = |phase: &str| Results {
            phase: phase.to_owned(),
            failed: Some(0),
            flags: Vec::new(),
            hooks: Vec::new(),
            ..results()
        };
        assert!(of("Completed").is_good());
        assert!(!of("PartiallyFailed").is_good());
        assert!(!of("Failed").is_good());
    }

    #[test]
    fn programs_are_told_the_same() {
        let value = value(&results());
        let text = format!("{value:#}\n");
        assert_eq!(text, include_str!("backup.json"), "\n{text}");
    }
}
