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
    for step in steps {
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
        whole.push(name.to_string());
        whole.extend([
            limit.to_string(),
            on_error.to_string(),
            attempts.to_string(),
            delay.to_string(),
            undo_limit.to_string(),
            argv.len().to_string(),
            undo.len().to_string(),
        ]);
        whole.extend_from_slice(argv);
        whole.extend_from_slice(undo);
    }
    whole
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
    let [shell, flag, _runner, name, _phase, _overall, rest @ ..] = argv else {
        return None;
    };
    if shell != "/bin/sh" || flag != "-c" || name != RUNNER_NAME {
        return None;
    }
    let mut rest = rest;
    while !rest.is_empty() {
        let (step, after) = take_step(rest)?;
        if step.name == AUTHOR {
            return Some(Within(Some(step)));
        }
        rest = after;
    }
    Some(Within(None))
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
