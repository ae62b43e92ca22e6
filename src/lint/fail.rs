//! `on-error: Fail` is for hooks that can work: a pod whose hook fails drops out of its backups with it.

use std::ops::Range;

use super::{
    File, Rule,
    hook::{self, Hook},
    objects::Run,
    pod::{self, Pod, entries},
};
use crate::{
    diagnostic::{Diagnostic, Fix, Severity},
    velero::HookPhase,
};

/// Why `Fail` is not written yet.
pub const TOO_EARLY: &str = "another error of this hook stays, and a pod whose hook fails drops out of its backups with Fail: mend that first";

/// Leaves `on-error: Fail` to a person wherever an error of the same hook stays: one without a fix,
/// or one whose fix is not `chosen`.
pub fn hold_back(file: &File, found: &mut [Diagnostic], chosen: impl Fn(&Diagnostic) -> bool) {
    let goes = |it: &Diagnostic| it.fix.as_ref().is_some_and(Fix::is_a_change) && chosen(it);
    for hook in hooks(file) {
        let parts = parts(&hook);
        let of_hook = |it: &Diagnostic| {
            let within =
                |part: &Range<usize>| part.start <= it.span.start && it.span.end <= part.end;
            parts.iter().any(within)
        };
        let stays = |it: &Diagnostic| it.severity == Severity::Error && of_hook(it) && !goes(it);
        if found.iter().any(stays) {
            for it in found.iter_mut().filter(|it| of_hook(it) && writes_fail(it)) {
                it.fix = Some(Fix::Person(TOO_EARLY));
            }
        }
    }
}

/// Whether the fix of a finding is `on-error: Fail`.
pub fn writes_fail(found: &Diagnostic) -> bool {
    let written = match &found.fix {
        Some(Fix::Text { text, .. } | Fix::Entry { text, .. }) => Some(text.as_str()),
        Some(Fix::Person(_)) | None => None,
    };
    found.code == Rule::OnError.code() && written == Some("Fail")
}

fn hooks(file: &File) -> Vec<Hook<'_>> {
    let mut hooks = Vec::new();
    for object in file.roots().flat_map(pod::objects) {
        if let Some(run) = Run::of(object) {
            let resources = hook::resources(run.spec).iter();
            hooks.extend(resources.flat_map(hook::of_resource));
        } else if let Some(pod) = Pod::of(object) {
            let phases = HookPhase::ALL.into_iter();
            hooks.extend(phases.filter_map(|phase| Hook::of_annotations(&pod, phase)));
        }
    }
    hooks
}

/// Where keys and values of a hook stand.
fn parts(hook: &Hook<'_>) -> Vec<Range<usize>> {
    let is_its = |key: &str| {
        hook.prefix.is_none_or(|prefix| {
            key.split_once('/')
                .is_some_and(|(domain, _)| domain == prefix)
        })
    };
    let entries = entries(hook.settings).iter();
    let its = entries.filter(|(key, _)| is_its(&key.name));
    its.flat_map(|(key, value)| [key.span.clone(), value.span.clone()])
        .collect()
}
