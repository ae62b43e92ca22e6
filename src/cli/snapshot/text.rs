//! What a snapshot came to, in a few lines.

use std::{fmt::Write as _, time::Duration};

use super::super::test::text::of_run;
use crate::{
    report::Style,
    snapshot::{Snapshot, Verdict},
    snapshotter::{Plan, Times},
    velero::HookPhase,
};

pub fn text(plan: &Plan, snapshot: &Snapshot, times: Times, notes: &[String]) -> String {
    let mut text = String::new();
    let all = || plan.members.iter().zip(snapshot.members());
    for (subject, _) in all() {
        let _ = write!(text, "{}", Style::Strong.paint(subject.title()));
        if let Some(policies) = &subject.policies {
            let _ = write!(text, "  {policies}");
        }
        text.push('\n');
    }
    let several = plan.members.len() > 1;
    let runs = |text: &mut String, is_pre: bool| {
        let mut members: Vec<_> = all().collect();
        if !is_pre {
            members.reverse();
        }
        for (subject, member) in members {
            let tried = member.tried();
            for run in &tried.runs {
                if let Some(hook) = tried.hook(run.phase)
                    && (run.phase == HookPhase::Pre) == is_pre
                {
                    if several {
                        let _ = write!(text, "{}  ", subject.name);
                    }
                    of_run(text, subject, hook, run);
                }
            }
        }
    };
    runs(&mut text, true);
    let gone = matches!(
        snapshot.verdict(),
        Verdict::Undone | Verdict::Stopped | Verdict::NotUndone | Verdict::Deleted
    );
    for (claim, cut) in plan.claims.iter().zip(snapshot.cuts()) {
        if times.cut.is_none() {
            continue;
        }
        let (word, style) = match (cut.is_cut(), gone) {
            (true, false) => ("ok", Style::Good),
            (true, true) => ("deleted", Style::Careful),
            (false, _) => ("not cut", Style::Bad),
        };
        let (of, name) = (&claim.name, claim.snapshot(cut));
        let _ = writeln!(
            text,
            "cut    {of}  volumesnapshot/{name}  {}  {}",
            claim.class,
            style.paint(word)
        );
    }
    runs(&mut text, false);
    let took = |time: Option<Duration>, what: &str| {
        time.map(|it| format!("{what} {:.2} s", it.as_secs_f64()))
    };
    let held = took(snapshot.held(), "from pre to post");
    let cut = took(times.cut.filter(|_| !gone), "cut after");
    let ready = took(times.ready, "ready after");
    let took: Vec<String> = [held, cut, ready].into_iter().flatten().collect();
    if !took.is_empty() {
        let _ = writeln!(text, "time   {}", took.join(", "));
    }
    let verdict = snapshot.verdict();
    let style = match verdict {
        Verdict::Consistent => Style::Good,
        Verdict::CrashConsistent | Verdict::Stopped => Style::Careful,
        _ => Style::Bad,
    };
    let _ = writeln!(text, "verdict  {}", style.paint(verdict.words()));
    for reason in snapshot.reasons().iter().chain(notes) {
        let _ = writeln!(text, "       {} {reason}", Style::Careful.paint("!"));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use anstream::adapter::strip_str;

    use super::{super::value::value, *};
    use crate::{
        live::Subject,
        snapshot::{Cut, Event, Nanos, Step, Taken, Terms},
        snapshotter::{Claim, Clock},
        trial::{Hooks, Outcome, Run},
    };

    const MILLISECOND: Nanos = 1_000_000;

    fn plan() -> Plan {
        let hooks = Hooks::of(|key| match key.split_once(".hook.backup.velero.io/")? {
            ("pre", "command") => Some(r#"["/bin/sh","/quiescent/pg/pre.sh"]"#),
            ("post", "command") => Some(r#"["/bin/sh","/quiescent/pg/post.sh"]"#),
            _ => None,
        });
        let subject = |name: &str| Subject {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            policies: Some("pg@1".to_owned()),
            hooks: hooks.clone(),
            labels: BTreeMap::new(),
            pod: r#"{"spec": {"containers": [{"name": "postgres"}]}}"#.to_owned(),
        };
        let claim = |name: &str| Claim {
            name: name.to_owned(),
            snapshot: format!("{name}-20260131-020000"),
            class: "fast".to_owned(),
        };
        Plan {
            namespace: "shop".to_owned(),
            target: "statefulsets/pg".to_owned(),
            set: "pg-20260131-020000-00000".to_owned(),
            members: vec![subject("pg-0"), subject("pg-1")],
            claims: vec![claim("data-pg-0"), claim("data-pg-1")],
            group: None,
            notes: Vec::new(),
            clock: Clock::fixed(),
        }
    }

    /// What it comes to when this is what pre of pg-1 and post of pg-0 end with.
    fn taken(plan: &Plan, pre: &Outcome, post: &Outcome) -> (Snapshot, Times) {
        let terms = Terms {
            cut: Duration::from_mins(1),
            ready: Duration::from_mins(10),
            skew: Duration::from_secs(2),
            delete_unusable: false,
        };
        let members = plan.members.iter();
        let members = members.map(|it| (it.title(), it.hooks.clone())).collect();
        let mut snapshot = Snapshot::new(terms, members, plan.claims.len());
        let (mut now, mut times) = (0, Times::default());
        loop {
            let step = snapshot.next_step();
            let began = now;
            now += 120 * MILLISECOND;
            let seen = |ready, at| {
                [0, 1].map(|claim| Event::Seen {
                    claim,
                    cut: Cut {
                        name: None,
                        content: Some(format!("snapcontent-{claim}")),
                        at: Some(Taken {
                            from: at,
                            within: 0,
                        }),
                        ready,
                        error: None,
                    },
                })
            };
            let events = match step {
                Step::Run { member, hook, .. } => {
                    let is_pre = hook.phase() == HookPhase::Pre;
                    let outcome = match (is_pre, member) {
                        (true, 1) => pre.clone(),
                        (false, 0) => post.clone(),
                        _ => Outcome::Exited(0),
                    };
                    let well = outcome.is_good();
                    let (stdout, stderr) = match well {
                        true if is_pre => (
                            "quiescent result=ok policy=pg phase=pre role=primary server=15.6 seconds=0\n",
                            "",
                        ),
                        true => (
                            "quiescent result=ok policy=pg phase=post held=1 seconds=0\n",
                            "",
                        ),
                        false => ("", "quiescent: pg failed: it had gone\n"),
                    };
                    let run = Run {
                        phase: hook.phase(),
                        outcome,
                        took: Duration::from_millis(120),
                        stdout: stdout.to_owned(),
                        stderr: stderr.to_owned(),
                        printed: (stdout.len() + stderr.len()) as u64,
                    };
                    vec![Event::Ran {
                        member,
                        run,
                        time: (began, now),
                    }]
                }
                Step::Cut(_) => {
                    times.cut = Some(Duration::from_millis(350));
                    seen(false, now).into()
                }
                Step::Examine => vec![Event::Examined(vec![None, None])],
                Step::AwaitReady(_) => seen(true, now).into(),
                Step::Mark => {
                    times.ready = Some(Duration::from_millis(1350));
                    vec![Event::Marked(Ok(()))]
                }
                Step::Linger { .. } | Step::Withdraw => unreachable!(),
                Step::Done => return (snapshot, times),
            };
            for event in events {
                snapshot.advance(event);
            }
        }
    }

    fn all() -> [(Snapshot, Times); 3] {
        let plan = plan();
        let ok = Outcome::Exited(0);
        [
            taken(&plan, &ok, &ok),
            taken(&plan, &ok, &Outcome::Exited(5)),
            taken(&plan, &Outcome::Exited(3), &ok),
        ]
    }

    #[test]
    fn a_snapshot_is_a_few_lines() {
        let notes = ["nothing is older than the 7 to keep".to_owned()];
        let each = all();
        let each = each.iter().map(|(snapshot, times)| {
            let notes = if snapshot.verdict().is_good() {
                &notes[..]
            } else {
                &[]
            };
            text(&plan(), snapshot, *times, notes)
        });
        let text = strip_str(&each.collect::<Vec<_>>().join("\n")).to_string();
        assert_eq!(text, include_str!("taken.txt"), "\n{text}");
    }

    #[test]
    fn programs_are_told_the_same() {
        let [_, (snapshot, times), _] = all();
        let text = format!("{:#}\n", value(&plan(), &snapshot, times, &[]));
        assert_eq!(text, include_str!("taken.json"), "\n{text}");
    }
}
