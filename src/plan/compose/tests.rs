//! The runner is tried by running it, under every shell that is here.

use std::{
    borrow::Cow,
    process::{Command, Output},
};

use super::{AUTHOR, Origin, Step, Undo, compose, origin, with_variable};
use crate::{
    policy::Invocation,
    velero::{HookPhase, OnError, Timeout},
};

fn shell(script: &str, arguments: &[&str]) -> Cow<'static, Invocation> {
    let argv = ["/bin/sh", "-c", script].into_iter();
    let argv = argv.chain(arguments.iter().copied()).map(str::to_owned);
    Cow::Owned(Invocation::new(argv.collect()))
}

fn step(name: &str, script: &str, on_error: OnError) -> Step<'static> {
    Step {
        name: name.to_owned().into(),
        run: shell(script, &[]),
        timeout: Timeout::from_seconds(10),
        limit: 9,
        on_error,
        attempts: 1,
        delay: 0,
        undo: None,
    }
}

fn undone_by(step: Step<'static>, script: &str) -> Step<'static> {
    let run = shell(script, &[]);
    Step {
        undo: Some(Undo { run, limit: 5 }),
        ..step
    }
}

/// Runs composed steps under every shell, and demands the same of each.
fn run(phase: HookPhase, steps: &[Step<'_>]) -> (String, Option<i32>) {
    let run = compose(phase, steps);
    let shells: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];
    let outputs: Vec<(String, Option<i32>)> = shells
        .iter()
        .filter_map(|shell| under(shell, &run.argv).ok())
        .map(|output| {
            (
                String::from_utf8(output.stdout).unwrap(),
                output.status.code(),
            )
        })
        .collect();
    assert!(!outputs.is_empty(), "there must be one shell at least");
    assert!(
        outputs.windows(2).all(|pair| pair[0] == pair[1]),
        "{outputs:?}"
    );
    outputs.into_iter().next().unwrap()
}

fn under(shell: &[&str], argv: &[String]) -> std::io::Result<Output> {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(&argv[1..]).output()
}

use OnError::{Continue, Fail};

#[test]
fn one_step_needs_no_runner() {
    let only = step("one", "exit 0", Fail);
    assert_eq!(
        compose(HookPhase::Pre, std::slice::from_ref(&only)),
        only.run
    );
}

#[test]
fn steps_run_in_order_with_their_arguments_unharmed() {
    let arguments = ["sh", "a b", "$HOME", "'", "", "*"];
    let quoted = Step {
        run: shell("printf '%s|' \"$@\"", &arguments),
        ..step("one", "", Fail)
    };
    let two = step("two", "echo two", Fail);
    let (out, code) = run(HookPhase::Pre, &[quoted, two]);
    assert_eq!((out.as_str(), code), ("a b|$HOME|'||*|two\n", Some(0)));
}

#[test]
fn a_failing_pre_step_stops_and_what_was_done_is_undone_in_reverse() {
    let one = undone_by(step("one", "echo one", Fail), "echo no-one");
    let two = undone_by(step("two", "echo two", Fail), "echo no-two");
    let three = undone_by(step("three", "exit 7", Fail), "echo never");
    let four = step("four", "echo never", Fail);
    let (out, code) = run(HookPhase::Pre, &[one, two, three, four]);
    assert_eq!(
        (out.as_str(), code),
        ("one\ntwo\nno-two\nno-one\n", Some(7))
    );
}

#[test]
fn a_step_that_may_fail_costs_only_itself() {
    let one = undone_by(step("one", "exit 3", Continue), "echo never");
    let two = undone_by(step("two", "echo two", Fail), "echo never");
    assert_eq!(
        run(HookPhase::Pre, &[one.clone(), two]),
        ("two\n".to_owned(), Some(0))
    );
    // When no step's failure counts, Velero may as well know of it.
    let two = step("two", "echo two", Continue);
    assert_eq!(
        run(HookPhase::Pre, &[one, two]),
        ("two\n".to_owned(), Some(3))
    );
}

#[test]
fn every_post_step_runs_whatever_the_others_did() {
    let one = step("one", "echo one; exit 4", Fail);
    let two = step("two", "echo two", Continue);
    assert_eq!(
        run(HookPhase::Post, &[one, two]),
        ("one\ntwo\n".to_owned(), Some(4))
    );
}

#[test]
fn a_step_is_tried_as_often_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("tried").display().to_string();
    let script = format!("echo try; if rm {mark} 2>/dev/null; then exit 0; fi; : >{mark}; exit 1");
    let retried = Step {
        attempts: 3,
        ..step("one", &script, Fail)
    };
    let (out, code) = run(HookPhase::Pre, std::slice::from_ref(&retried));
    assert_eq!((out.as_str(), code), ("try\ntry\n", Some(0)));
    let hopeless = Step {
        attempts: 3,
        ..step("one", "echo try; exit 5", Fail)
    };
    assert_eq!(
        run(HookPhase::Pre, &[hopeless]),
        ("try\n".repeat(3), Some(5))
    );
}

#[test]
fn a_step_that_hangs_is_ended_within_its_limit() {
    let hanging = Step {
        limit: 1,
        attempts: 2,
        delay: 5,
        ..step("one", "echo one; exec sleep 30", Fail)
    };
    let (out, code) = run(HookPhase::Pre, &[hanging, step("two", "echo never", Fail)]);
    assert_eq!(out, "one\n");
    // GNU's timeout says 124, busybox what the signal made of the program.
    assert_ne!(code, Some(0));
}

#[test]
fn the_author_is_found_again_in_what_was_composed() {
    let author = undone_by(step(AUTHOR, "echo author", Fail), "echo back");
    let author = Step {
        timeout: Timeout::from_seconds(9),
        ..author
    };
    let ours = step("ours", "echo ours", Fail);
    let composed = compose(HookPhase::Pre, &[author.clone(), ours.clone()]);
    assert_eq!(
        origin(&composed.argv),
        Origin::Composed(Some(Box::new(author)))
    );
    let without = compose(HookPhase::Pre, &[ours.clone(), ours.clone()]);
    assert_eq!(origin(&without.argv), Origin::Composed(None));
    assert_eq!(origin(&ours.run.argv), Origin::Elsewhere);
    let cut: Vec<String> = composed.argv[..composed.argv.len() - 1].to_vec();
    assert_eq!(origin(&cut), Origin::Composed(origin_of(&composed.argv)));
}

fn origin_of(argv: &[String]) -> Option<Box<Step<'static>>> {
    match origin(argv) {
        Origin::Composed(step) => step,
        Origin::Elsewhere => None,
    }
}

#[test]
fn each_script_of_ours_in_a_hook_gets_a_variable_and_nothing_else_does() {
    let script = |name: &str| {
        let script = format!("/quiescent/{name}/pre.sh");
        let argv = ["/usr/bin/env", "QUIESCENT_TIMEOUT=25", "/bin/sh", &script];
        Cow::Owned(Invocation::new(argv.map(str::to_owned).into()))
    };
    let of = |name: &str| Step {
        run: script(name),
        ..undone_by(step(name, ":", OnError::Fail), "undo it")
    };
    let variable = "QUIESCENT_GROUP=yes";
    let said = |argv: &[String]| argv.iter().filter(|it| *it == variable).count();

    let alone = with_variable(&of("pg").run.argv, variable);
    assert_eq!((said(&alone), alone[2].as_str()), (1, variable));
    let authors = shell("freeze", &[]);
    assert_eq!(with_variable(&authors.argv, variable), authors.argv);

    let steps = [
        of("pg"),
        step(AUTHOR, "freeze", OnError::Fail),
        of("freeze"),
    ];
    let whole = compose(HookPhase::Pre, &steps).into_owned().argv;
    let told = with_variable(&whole, variable);
    assert_eq!(said(&told), 2);
    assert_eq!(told.len(), whole.len() + 2);
    assert!(matches!(origin(&told), Origin::Composed(Some(_))));
    let back: Vec<String> = told.iter().filter(|it| *it != variable).cloned().collect();
    let counts = |argv: &[String]| argv.iter().filter(|it| *it == "5").count();
    assert_eq!(counts(&back), counts(&whole) + 2, "{told:?}");
}
