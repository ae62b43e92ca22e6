//! Several hooks as one command, since Velero runs one a phase.

use std::{borrow::Cow, sync::LazyLock};

use crate::{
    policy::Invocation,
    velero::{HookPhase, OnError, Timeout},
};

/// The name under which a pod's own hook takes part.
pub const AUTHOR: &str = "author";

/// What marks a command as ours: the name that the shell knows the runner by.
const RUNNER_NAME: &str = "quiescent";

static RUNNER: LazyLock<String> = LazyLock::new(|| {
    let code = include_str!("run.sh").lines();
    let code: Vec<&str> = code.filter(|line| !line.starts_with('#')).collect();
    code.join("\n")
});

/// One hook of one policy, or the author's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    pub name: Cow<'a, str>,
    pub run: Cow<'a, Invocation>,
    /// What it counts for in the timeout of the whole hook.
    pub timeout: Timeout,
    /// The seconds after which the runner ends it.
    pub limit: u64,
    pub on_error: OnError,
    pub attempts: u8,
    pub delay: u64,
    pub undo: Option<Undo<'a>>,
}

/// What takes a step back when a later one fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo<'a> {
    pub run: Cow<'a, Invocation>,
    pub limit: u64,
}

/// The steps as one command. A single step that needs no runner is its own.
#[must_use]
pub fn compose<'a>(phase: HookPhase, steps: &[Step<'a>]) -> Cow<'a, Invocation> {
    match steps {
        [
            Step {
                run, attempts: 1, ..
            },
        ] => run.clone(),
        several => Cow::Owned(Invocation::new(under_runner(phase, several))),
    }
}

fn under_runner(phase: HookPhase, steps: &[Step<'_>]) -> Vec<String> {
    let phase = match phase {
        HookPhase::Pre => "pre",
        HookPhase::Post => "post",
        HookPhase::PostRestore => "restore",
    };
    let mut whole: Vec<String> = ["/bin/sh", "-c", &RUNNER, RUNNER_NAME, phase]
        .map(str::to_owned)
        .into();
    whole.push(overall(steps).to_string());
    whole.extend(steps.iter().flat_map(written));
    whole
}

/// A step as the runner reads it.
fn written(step: &Step<'_>) -> Vec<String> {
    let Step {
        name,
        run,
        timeout: _,
        limit,
        on_error,
        attempts,
        delay,
        undo,
    } = step;
    let argv = &run.argv;
    let (undo, undo_limit) = match undo {
        Some(Undo { run, limit }) => (run.argv.as_slice(), *limit),
        None => (&[][..], 0),
    };
    let mut step = vec![
        name.to_string(),
        limit.to_string(),
        on_error.to_string(),
        attempts.to_string(),
        delay.to_string(),
        undo_limit.to_string(),
        argv.len().to_string(),
        undo.len().to_string(),
    ];
    step.extend_from_slice(argv);
    step.extend_from_slice(undo);
    step
}

/// `Fail` if any step says so: Velero has one word for all of them.
#[must_use]
pub fn overall(steps: &[Step<'_>]) -> OnError {
    if steps.iter().any(|step| step.on_error == OnError::Fail) {
        OnError::Fail
    } else {
        OnError::Continue
    }
}

/// The argv of a hook in which each script of ours has one variable more.
#[must_use]
pub fn with_variable(argv: &[String], variable: &str) -> Vec<String> {
    let Some((head, steps)) = taken_apart(argv) else {
        return told(argv, variable);
    };
    let mut whole = head.to_vec();
    for mut step in steps {
        step.run = Cow::Owned(Invocation::new(told(&step.run.argv, variable)));
        whole.extend(written(&step));
    }
    whole
}

fn told(argv: &[String], variable: &str) -> Vec<String> {
    let mut argv = argv.to_vec();
    if Invocation::is_of_a_script(&argv) {
        // Beside the variable that each script has.
        argv.insert(2, variable.to_owned());
    }
    argv
}

/// Whose an argv is, as far as its form tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Composed here, with the author's step if that was taken in.
    Composed(Option<Box<Step<'static>>>),
    Elsewhere,
}

/// Looks for the author's step in a composed command.
#[must_use]
pub fn origin(argv: &[String]) -> Origin {
    match author_within(argv) {
        Some(Within(author)) => Origin::Composed(author.map(Box::new)),
        None => Origin::Elsewhere,
    }
}

/// The author's step in a composed command, if it has one.
struct Within(Option<Step<'static>>);

fn author_within(argv: &[String]) -> Option<Within> {
    let (_, mut rest) = after_runner(argv)?;
    while !rest.is_empty() {
        let (step, after) = take_step(rest)?;
        if step.name == AUTHOR {
            return Some(Within(Some(step)));
        }
        rest = after;
    }
    Some(Within(None))
}

/// A composed command as what starts the runner, and its steps.
fn taken_apart(argv: &[String]) -> Option<(&[String], Vec<Step<'static>>)> {
    let (head, mut rest) = after_runner(argv)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        let (step, after) = take_step(rest)?;
        steps.push(step);
        rest = after;
    }
    Some((head, steps))
}

/// What starts the runner, and what it is given.
fn after_runner(argv: &[String]) -> Option<(&[String], &[String])> {
    let (head, rest) = argv.split_at_checked(6)?;
    let [shell, flag, _runner, name, _phase, _overall] = head else {
        return None;
    };
    let is_ours = shell == "/bin/sh" && flag == "-c" && name == RUNNER_NAME;
    is_ours.then_some((head, rest))
}

fn take_step(argv: &[String]) -> Option<(Step<'static>, &[String])> {
    let [
        name,
        limit,
        on_error,
        attempts,
        delay,
        undo_limit,
        arguments,
        undo_arguments,
        rest @ ..,
    ] = argv
    else {
        return None;
    };
    let limit: u32 = limit.parse().ok()?;
    let (argv, rest) = rest.split_at_checked(arguments.parse().ok()?)?;
    let (undo, rest) = rest.split_at_checked(undo_arguments.parse().ok()?)?;
    let undo_limit = undo_limit.parse().ok()?;
    let step = Step {
        name: Cow::Owned(name.clone()),
        run: Cow::Owned(Invocation::new(argv.to_vec())),
        timeout: Timeout::from_seconds(limit),
        limit: limit.into(),
        on_error: if on_error == OnError::Fail.as_str() {
            OnError::Fail
        } else {
            OnError::Continue
        },
        attempts: attempts.parse().ok()?,
        delay: delay.parse().ok()?,
        undo: (!undo.is_empty()).then(|| Undo {
            run: Cow::Owned(Invocation::new(undo.to_vec())),
            limit: undo_limit,
        }),
    };
    Some((step, rest))
}

#[cfg(test)]
mod tests;
