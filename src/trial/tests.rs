use super::*;
use crate::{
    policy::{
        call::{Call, Statuses, Target, Text},
        file::{Method, SecretKeyRef},
    },
    velero::Timeout,
};

const PRE: &str = "pre.hook.backup.velero.io";
const POST: &str = "post.hook.backup.velero.io";

fn hooks(pre: bool, post: bool) -> Hooks {
    let command = |prefix: &str, is_there: bool| is_there.then(|| format!("{prefix}/command"));
    let there = [command(PRE, pre), command(POST, post)];
    let fail = format!("{PRE}/on-error");
    Hooks::of(|key| match key {
        _ if there.iter().flatten().any(|it| it == key) => Some(r#"["true"]"#),
        _ if key == fail => Some("Fail"),
        _ => None,
    })
}

fn run(phase: HookPhase, outcome: Outcome) -> Run {
    Run {
        phase,
        outcome,
        took: Duration::from_secs(1),
        stdout: String::new(),
        stderr: String::new(),
        printed: 0,
    }
}

/// Goes through a trial in which pre ends so; says which steps there were.
fn check(pre: &Outcome, ends_later: bool, post: &Outcome) -> (String, Tried) {
    let mut trial = Trial::new(hooks(true, true), Duration::from_secs(5));
    let mut steps = Vec::new();
    loop {
        match trial.next() {
            Step::Run(hook) => {
                let phase = hook.phase();
                steps.push(word(phase));
                let outcome = if phase == HookPhase::Pre { pre } else { post };
                trial.ran(run(phase, outcome.clone()));
            }
            Step::Hold(time) => {
                assert_eq!(time, Duration::from_secs(5));
                steps.push("hold");
                trial.held(false);
            }
            Step::Linger(_) => {
                steps.push("linger");
                trial.lingered(ends_later);
            }
            Step::Done => return (steps.join(" "), trial.outcome()),
        }
    }
}

#[test]
fn post_runs_whatever_became_of_pre() {
    let ok = Outcome::Exited(0);
    let lost = || Outcome::Lost("gone".to_owned());
    for (pre, ends_later, steps, verdict) in [
        (ok.clone(), false, "pre hold post", Verdict::Works),
        (Outcome::Exited(3), false, "pre post", Verdict::Fails),
        (lost(), false, "pre post", Verdict::Fails),
        (
            Outcome::NotRun("no shell".to_owned()),
            false,
            "pre post",
            Verdict::Fails,
        ),
        (
            Outcome::TimedOut,
            true,
            "pre post linger post",
            Verdict::Fails,
        ),
        (
            Outcome::TimedOut,
            false,
            "pre post linger",
            Verdict::NotUndone,
        ),
        (
            Outcome::Interrupted,
            true,
            "pre post linger post",
            Verdict::Stopped,
        ),
        (
            Outcome::Interrupted,
            false,
            "pre post linger",
            Verdict::NotUndone,
        ),
    ] {
        let (found, tried) = check(&pre, ends_later, &ok);
        assert_eq!((&*found, tried.verdict()), (steps, verdict), "{pre:?}");
    }
}

#[test]
fn a_post_hook_that_fails_undoes_nothing() {
    for post in [
        Outcome::Exited(1),
        Outcome::TimedOut,
        Outcome::NotRun(String::new()),
    ] {
        let (_, tried) = check(&Outcome::Exited(0), false, &post);
        assert_eq!(tried.verdict(), Verdict::NotUndone);
    }
}

#[test]
fn whoever_stops_while_it_holds_has_it_undone_at_once() {
    let mut trial = Trial::new(hooks(true, true), Duration::from_secs(5));
    trial.ran(run(HookPhase::Pre, Outcome::Exited(0)));
    trial.held(true);
    assert!(matches!(trial.next(), Step::Run(hook) if hook.phase() == HookPhase::Post));
    trial.ran(run(HookPhase::Post, Outcome::Exited(0)));
    assert_eq!(trial.next(), Step::Done);
    assert_eq!(trial.outcome().verdict(), Verdict::Stopped);
}

#[test]
fn one_hook_alone_is_run_alone() {
    let mut trial = Trial::new(hooks(true, false), Duration::from_secs(5));
    trial.ran(run(HookPhase::Pre, Outcome::Exited(0)));
    assert_eq!(trial.next(), Step::Done);
    let tried = trial.outcome();
    assert_eq!(tried.verdict(), Verdict::Works);
    assert_eq!(
        tried.notes(),
        ["there is no post hook: what pre does, nothing undoes"]
    );

    let mut trial = Trial::new(hooks(false, true), Duration::from_secs(5));
    trial.ran(run(HookPhase::Post, Outcome::Exited(0)));
    assert_eq!(trial.next(), Step::Done);

    let trial = Trial::new(hooks(false, false), Duration::from_secs(5));
    assert_eq!(trial.next(), Step::Done);
    assert_eq!(trial.outcome().verdict(), Verdict::NoHooks);
}

#[test]
fn what_velero_would_do_otherwise_is_said() {
    let (_, tried) = check(&Outcome::TimedOut, true, &Outcome::Exited(0));
    let notes = tried.notes();
    assert!(
        notes[0].starts_with("after 30s Velero waits for pre no longer"),
        "{notes:?}"
    );
    assert!(
        notes[1].starts_with("with on-error=Fail Velero runs no post"),
        "{notes:?}"
    );
    assert!(notes[2].contains("once more"), "{notes:?}");
    let (_, tried) = check(&Outcome::TimedOut, false, &Outcome::Exited(0));
    assert!(tried.notes()[2].contains("still runs"));
}

#[test]
fn only_what_ended_well_says_something_about_time() {
    let (_, mut tried) = check(&Outcome::Exited(0), false, &Outcome::Exited(0));
    let Some(Hook::Exec(pre)) = &mut tried.hooks.pre else {
        panic!("it is a command");
    };
    pre.timeout = Timeout::from_seconds(600);
    assert_eq!(
        tried.proposals(),
        [(
            HookPhase::Pre,
            Proposal::Lower {
                times: 600,
                to: Timeout::from_seconds(30)
            }
        )]
    );
    let (_, tried) = check(&Outcome::TimedOut, true, &Outcome::Exited(0));
    assert_eq!(tried.proposals(), []);
}

#[test]
fn a_container_that_is_not_there_is_named() {
    let pod = r#"{"spec":{"containers":[{"name":"proxy"},{"name":"db"}],
        "initContainers":[{"name":"setup"},{"name":"agent","restartPolicy":"Always"}]}}"#;
    let pod = PodView::parse(pod).unwrap();
    let mut hook = hooks(true, false).pre.unwrap().exec().unwrap().clone();
    assert_eq!(container(&hook, &pod), Ok("proxy"));
    for (named, is_there) in [
        ("db", true),
        ("agent", true),
        ("setup", false),
        ("dv", false),
    ] {
        hook.container = Some(named.to_owned());
        assert_eq!(container(&hook, &pod).is_ok(), is_there, "{named}");
    }
    let why = container(&hook, &pod).unwrap_err();
    assert_eq!(why, "no such container: \"dv\"; there are proxy, db");
}

fn calls() -> Hooks {
    let call = Call {
        method: Method::Post,
        target: Target::Pod {
            port: 8080,
            path: "/pause".to_owned(),
        },
        headers: vec![(
            "Authorization".to_owned(),
            Text {
                literal: "Bearer ".to_owned(),
                secret: Some(SecretKeyRef {
                    name: "shop-admin".to_owned(),
                    key: "token".to_owned(),
                }),
            },
        )],
        body: None,
        statuses: vec![Statuses::GOOD],
        fields: Vec::new(),
        ca: None,
        timeout: Timeout::from_seconds(30),
        on_error: OnError::Fail,
        retry: None,
    };
    Hooks::calls(&Calls {
        pre: Some(Box::new(call.clone())),
        post: Some(Box::new(call)),
    })
}

#[test]
fn a_state_that_was_kept_has_commands_as_ever_and_calls_by_reference() {
    let commands = hooks(true, true);
    let kept = serde_json::to_value(&commands).unwrap();
    let exec = commands.pre.as_ref().and_then(Hook::exec);
    assert_eq!(kept["pre"], serde_json::to_value(exec).unwrap());
    assert_eq!(serde_json::from_value::<Hooks>(kept).unwrap(), commands);
    let calls = calls();
    let kept = serde_json::to_string(&calls).unwrap();
    assert_eq!(serde_json::from_str::<Hooks>(&kept).unwrap(), calls);
}

#[test]
fn of_a_call_nothing_is_said_that_velero_does() {
    let mut trial = Trial::new(calls(), Duration::ZERO);
    trial.ran(run(HookPhase::Pre, Outcome::TimedOut));
    trial.ran(run(HookPhase::Post, Outcome::Exited(0)));
    assert_eq!(trial.next(), Step::Linger(LINGER));
    trial.lingered(false);
    let tried = trial.outcome();
    assert_eq!(tried.verdict(), Verdict::NotUndone);
    let notes = tried.notes();
    assert!(notes[0].contains("pre is not answered yet"), "{notes:?}");
    assert_eq!(notes.len(), 1);
}
