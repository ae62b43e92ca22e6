//! The init container that Velero puts into a restored pod, so that the data are in place before the
//! server starts: what a pod says for it before the backup, and what Velero leaves out of it.

use super::{
    Applied, Change, Note, Plan,
    hooks::{INIT, Record, is_recorded},
    is_restored, set,
};
use crate::{
    json::{List, Raw},
    pod::{Container, PodView, same_path},
    policy::{Invocation, Policy},
    select::{Facts, Reason},
    velero::{
        HookPhase, INIT_COMMAND, INIT_CONTAINER, INIT_IMAGE, INIT_NAME, INIT_PREFIX,
        decode_command, encode_command,
    },
};

/// Whose init container a pod's annotations ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Nobody,
    Us,
    Author,
}

/// Reads the annotations of a pod; what one of these argvs starts is ours.
pub fn asked(pod: &PodView<'_>, wanted: impl Fn(&[String]) -> bool) -> Asked {
    let Some(command) = pod.annotation(INIT_COMMAND) else {
        return match pod.annotation(INIT_IMAGE) {
            Some(_) => Asked::Author,
            None => Asked::Nobody,
        };
    };
    let argv = decode_command(command).unwrap_or_default();
    let ours =
        is_recorded(pod, INIT, command) || Invocation::is_of_a_script(&argv) || wanted(&argv);
    if ours { Asked::Us } else { Asked::Author }
}

/// How the init container of a policy is started.
#[must_use]
pub fn invocation<'a>(
    policy: &'a Policy,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<std::borrow::Cow<'a, Invocation>> {
    let hook = policy.hooks.init.as_ref()?;
    Some(super::hooks::invocation(policy, hook, pod, facts))
}

/// Says in the pod's annotations what Velero is to make the container of.
pub fn annotate<'a>(
    plan: &mut Plan<'a>,
    followed: &[Applied<'a>],
    override_authors: bool,
    written: &mut Record,
    pod: &'a PodView<'_>,
    facts: Facts<'_>,
) {
    let mut runs = followed
        .iter()
        .filter_map(|it| Some((it, invocation(it.policy, pod, facts)?)));
    let first = runs.next();
    let others = runs.map(|(it, _)| Note {
        subject: &it.policy.name,
        reason: Reason::OneInit,
    });
    plan.notes.extend(others);
    let is_first = |argv: &[String]| first.as_ref().is_some_and(|(_, run)| run.argv == argv);
    let author = match asked(pod, is_first) {
        Asked::Author => true,
        Asked::Us | Asked::Nobody => false,
    };
    if author && !override_authors {
        if first.is_some() {
            plan.notes.push(Note {
                subject: INIT_PREFIX,
                reason: Reason::AuthorsHooks,
            });
        }
        return;
    }
    let image = first.as_ref().and_then(|(applied, _)| {
        let mut containers = pod.containers().iter();
        let container = containers.find(|it| *it.name == *applied.container)?;
        container.image.as_deref()
    });
    if let (Some((_, run)), Some(image)) = (first, image) {
        written.add(INIT, &run);
        set(&mut plan.changes, pod, INIT_IMAGE, image.into());
        let command = match run {
            std::borrow::Cow::Borrowed(run) => run.command.as_str().into(),
            std::borrow::Cow::Owned(run) => run.command.into(),
        };
        set(&mut plan.changes, pod, INIT_COMMAND, command);
        // A name of the author's is for the author's container.
        if author {
            remove(plan, pod, &[INIT_NAME]);
        }
    } else if !author {
        remove(plan, pod, &[INIT_IMAGE, INIT_COMMAND]);
    }
}

fn remove<'a>(plan: &mut Plan<'a>, pod: &'a PodView<'_>, keys: &[&'static str]) {
    for key in keys {
        if let Some(was) = pod.annotation(key) {
            plan.changes.push(Change::NoAnnotation { key, was });
        }
    }
}

/// A part of an init container that Velero left out: it has a name, an image and a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completion<'a> {
    /// The position in `spec.initContainers`.
    pub init: usize,
    pub part: Part,
    /// As the container of the hooks has it.
    pub value: &'a str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Field(&'static str),
    /// The list of mounts, which is not there yet.
    Mounts,
    Mount,
}

/// Gives the init containers that Velero made for us in a restored pod what they need: the mounts,
/// the environment, the user and the bounds of the container of the hooks, which has the same image.
/// What they have already stays.
#[must_use]
pub fn complete<'a>(pod: &'a PodView<'_>) -> Vec<Change<'a>> {
    let mut changes = Vec::new();
    if !is_restored(pod) {
        return changes;
    }
    for (position, init) in pod.init_containers().enumerate() {
        if init.name.starts_with(INIT_CONTAINER)
            && let Some(model) = model(&init, pod)
        {
            let parts = missing(&init, model);
            changes.extend(parts.map(|(part, value)| {
                Change::Complete(Completion {
                    init: position,
                    part,
                    value,
                })
            }));
        }
    }
    changes
}

/// The container whose part an init container of ours does beforehand.
fn model<'p, 'v>(init: &Container<'_>, pod: &'p PodView<'v>) -> Option<&'p Container<'v>> {
    let argv: Vec<String> = init
        .command
        .iter()
        .flat_map(List::iter)
        .map(|it| it.to_string())
        .collect();
    let folder = Invocation::folder(&argv);
    if folder.is_none() && !is_recorded(pod, INIT, &encode_command(&argv)) {
        return None;
    }
    let has_folder = |container: &&Container<'_>| {
        let mut mounts = container.volume_mounts.iter().flat_map(List::iter);
        folder.is_some_and(|folder| mounts.any(|it| same_path(&it.mount_path, folder)))
    };
    let mut containers = pod.containers().iter();
    containers.clone().find(has_folder).or_else(|| {
        let name = HookPhase::ALL
            .iter()
            .find_map(|phase| pod.annotation(phase.keys().container))?;
        containers.find(|it| *it.name == *name)
    })
}

/// What the one has and the other has not.
fn missing<'v>(
    init: &Container<'_>,
    model: &Container<'v>,
) -> impl Iterator<Item = (Part, &'v str)> {
    let empty = |part: Option<Raw<'_>>| part.is_none_or(|Raw(text)| matches!(text, "{}" | "[]"));
    let fields = [
        ("env", init.env, model.env),
        ("envFrom", init.env_from, model.env_from),
        ("resources", init.resources, model.resources),
        (
            "securityContext",
            init.security_context,
            model.security_context,
        ),
    ];
    let fields = fields
        .into_iter()
        .filter(move |(_, there, wanted)| empty(*there) && !empty(*wanted))
        .filter_map(|(key, _, wanted)| Some((Part::Field(key), wanted?.0)));
    // The API server has made one up before anybody is asked.
    let pull = model
        .image_pull_policy
        .filter(|wanted| init.image_pull_policy != Some(*wanted));
    let pull = pull.map(|Raw(text)| (Part::Field("imagePullPolicy"), text));
    let taken: Vec<String> = init
        .volume_mounts
        .iter()
        .flat_map(List::iter)
        .map(|mount| mount.mount_path.to_string())
        .collect();
    let mounts = model
        .volume_mounts
        .iter()
        .flat_map(|list| list.iter().zip(list.raw()));
    let mounts: Vec<&str> = mounts
        .filter(|(mount, _)| !taken.iter().any(|path| same_path(path, &mount.mount_path)))
        .map(|(_, raw)| raw)
        .collect();
    let list = (init.volume_mounts.is_none() && !mounts.is_empty()).then_some((Part::Mounts, "[]"));
    let mounts = mounts.into_iter().map(|raw| (Part::Mount, raw));
    fields.chain(pull).chain(list).chain(mounts)
}
