//! What injection has put into a pod, told by its provenance and its content, and how it goes out again.

use std::{collections::BTreeSet, fmt};

use serde_json::Value;

use super::{
    PROVENANCE, WRITTEN,
    coordinator::{self, ContainerList},
    hooks::{self, Authors, Present},
    init::{self, Asked},
    volumes::{Wanted, wanted},
};
use crate::{
    pod::{PodView, same_path},
    policy::{Policy, PolicySet, coordinator::VOLUME},
    select::Facts,
    velero::{
        BACKUP_VOLUMES, HookPhase, INIT_COMMAND, INIT_IMAGE, INIT_PREFIX, LEGACY_PRE,
        RESTORE_WAIT_FOR_READY, RESTORE_WAIT_TIMEOUT, backup_volumes, decode_command,
        encode_command,
    },
};

/// What is to be taken out of one pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withdrawal {
    /// The policies that the pod's provenance names.
    pub policies: Vec<String>,
    pub removals: Vec<Removal>,
    /// What may be ours and stays.
    pub kept: Vec<Kept>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// An annotation that goes, or goes back to what its author wrote.
    Annotation { key: String, back: Option<String> },
    /// Positions in `spec.containers` and in the container's `volumeMounts`.
    Mount { container: usize, mount: usize },
    /// A position in `spec.volumes`.
    Volume(usize),
    /// A container of a coordinator, by its position.
    Container(ContainerList, usize),
}

/// What is not taken out, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The policy is not among those that are asked, so nobody knows what else it brought.
    UnknownPolicy(String),
    /// The hook, by its prefix, is none that a policy of the provenance writes.
    Hook(&'static str),
    /// The volume has another use or another content.
    Volume(String),
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPolicy(name) => write!(
                f,
                "policy {name} is not known here: volumes and commands that only it can tell stay; name it with --policies"
            ),
            Self::Hook(prefix) => write!(f, "{prefix} left alone: it is not ours"),
            Self::Volume(name) => write!(
                f,
                "volume {name} left alone: it is used or written otherwise than we do"
            ),
        }
    }
}

/// A policy of the provenance.
struct Named<'p> {
    name: &'p str,
    policy: Option<&'p Policy>,
    /// The policy is the very version that was injected.
    exact: bool,
}

/// Finds what was injected into a pod. Without a provenance that is nothing.
#[must_use]
pub fn withdraw(
    policies: &PolicySet,
    pod: &Value,
    view: &PodView<'_>,
    facts: Facts<'_>,
) -> Withdrawal {
    let Some(provenance) = view.annotation(PROVENANCE) else {
        return Withdrawal::default();
    };
    let named: Vec<Named<'_>> = provenance
        .split(',')
        .map(|one| {
            let (name, digest) = one.split_once('@').unwrap_or((one, ""));
            let policy = policies.get(name, facts.namespace);
            Named {
                name,
                policy,
                exact: policy.is_some_and(|policy| policy.digest == digest),
            }
        })
        .collect();
    let mut withdrawal = Withdrawal {
        policies: named.iter().map(|it| it.name.to_owned()).collect(),
        ..Withdrawal::default()
    };
    let unknown = named.iter().filter(|it| it.policy.is_none());
    let unknown = unknown.map(|it| Kept::UnknownPolicy(it.name.to_owned()));
    withdrawal.kept.extend(unknown);
    for phase in HookPhase::ALL {
        take_hook(&mut withdrawal, phase, &named, view, facts);
    }
    take_init(&mut withdrawal, &named, view, facts);
    let volumes = take_volumes(&mut withdrawal, &named, pod);
    take_backup_volumes(&mut withdrawal, &named, view, &volumes);
    withdrawal.annotation(view, PROVENANCE, None);
    withdrawal.annotation(view, WRITTEN, None);
    withdrawal
}

impl Withdrawal {
    fn annotation(&mut self, view: &PodView<'_>, key: &str, back: Option<String>) {
        let there = view.annotation(key);
        if there.is_some() && there != back.as_deref() {
            self.removals.push(Removal::Annotation {
                key: key.to_owned(),
                back,
            });
        }
    }
}

fn take_hook(
    withdrawal: &mut Withdrawal,
    phase: HookPhase,
    named: &[Named<'_>],
    view: &PodView<'_>,
    facts: Facts<'_>,
) {
    let keys = phase.keys();
    if view.annotation(keys.command).is_none() {
        return;
    }
    let of_policy = |argv: &[String]| {
        let policies = named.iter().filter_map(|it| it.policy);
        let mut steps = policies.filter_map(|policy| hooks::step(policy, phase, view, facts));
        steps.any(|step| step.run.argv == argv)
    };
    let author = match hooks::present(view, phase, of_policy) {
        Present::Nothing | Present::Fragment => return,
        Present::Authors(_) => {
            withdrawal.kept.push(Kept::Hook(phase.prefix()));
            return;
        }
        Present::Ours(author) => author,
    };
    // The author's hook in its oldest form was never touched.
    let author = author.filter(|Authors { step, .. }| {
        let legacy = view.annotation(LEGACY_PRE.command).and_then(decode_command);
        phase != HookPhase::Pre || legacy.as_ref() != Some(&step.run.argv)
    });
    let [command, on_error, timeout] = match &author {
        Some(Authors { step, .. }) => [
            command_text(&step.run.argv),
            step.on_error.to_string(),
            step.timeout.to_string(),
        ]
        .map(Some),
        None => [None, None, None],
    };
    let container = author.map(|Authors { container, .. }| container);
    withdrawal.annotation(view, keys.command, command);
    withdrawal.annotation(view, keys.container, container);
    withdrawal.annotation(view, keys.on_error, on_error);
    withdrawal.annotation(view, keys.timeout, timeout);
    if phase == HookPhase::PostRestore {
        withdrawal.annotation(view, RESTORE_WAIT_TIMEOUT, None);
        withdrawal.annotation(view, RESTORE_WAIT_FOR_READY, None);
    }
}

/// Takes out what asks Velero for an init container.
fn take_init(
    withdrawal: &mut Withdrawal,
    named: &[Named<'_>],
    view: &PodView<'_>,
    facts: Facts<'_>,
) {
    let of_policy = |argv: &[String]| {
        let policies = named.iter().filter_map(|it| it.policy);
        let mut runs = policies.filter_map(|policy| init::invocation(policy, view, facts));
        runs.any(|run| run.argv == argv)
    };
    match init::asked(view, of_policy) {
        Asked::Nobody => {}
        Asked::Author => withdrawal.kept.push(Kept::Hook(INIT_PREFIX)),
        Asked::Us => {
            withdrawal.annotation(view, INIT_COMMAND, None);
            withdrawal.annotation(view, INIT_IMAGE, None);
        }
    }
}

/// An author's argv: a single word needs no array, and rarely has one.
fn command_text(argv: &[String]) -> String {
    match argv {
        [word] if !word.is_empty() && !word.starts_with('[') => word.clone(),
        _ => encode_command(argv),
    }
}

/// Takes out mounts and volumes, and says which volumes go.
fn take_volumes(withdrawal: &mut Withdrawal, named: &[Named<'_>], pod: &Value) -> BTreeSet<String> {
    let list = |pointer: &str| {
        let list = pod.pointer(pointer).and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    };
    let containers = list("/spec/containers");
    let ours: Vec<Ours<'_>> = named.iter().flat_map(|it| of_policy(it)).collect();
    let mut taken = BTreeSet::new();
    for (list, all) in [
        (ContainerList::Init, list("/spec/initContainers")),
        (ContainerList::Main, containers),
    ] {
        let ours = coordinator::positions(all);
        let removals = ours.map(|at| Removal::Container(list, at));
        withdrawal.removals.extend(removals);
    }
    for (container, value) in containers.iter().enumerate() {
        if coordinator::is_ours_json(value) {
            continue;
        }
        for (mount, there) in mounts(value).iter().enumerate() {
            if ours.iter().any(|ours| ours.mounts(there)) {
                taken.insert((container, mount));
            }
        }
    }
    let uses = |name: &str| {
        let in_containers = containers.iter().enumerate().any(|(container, value)| {
            if coordinator::is_ours_json(value) {
                return false;
            }
            let mut rest = mounts(value).iter().enumerate();
            rest.any(|(mount, it)| it["name"] == name && !taken.contains(&(container, mount)))
        });
        let others = ["/spec/initContainers", "/spec/ephemeralContainers"];
        let mut others = others
            .iter()
            .flat_map(|pointer| list(pointer))
            .filter(|it| !coordinator::is_ours_json(it));
        in_containers || others.any(|it| mounts(it).iter().any(|it| it["name"] == name))
    };
    let mut gone = BTreeSet::new();
    let has_coordinator = named
        .iter()
        .any(|it| it.policy.is_some_and(|policy| policy.coordinator.is_some()));
    for (position, volume) in list("/spec/volumes").iter().enumerate() {
        let name = volume["name"].as_str().unwrap_or_default();
        let of_coordinator = has_coordinator && name == VOLUME && volume.get("emptyDir").is_some();
        if of_coordinator && !uses(name) {
            withdrawal.removals.push(Removal::Volume(position));
            continue;
        }
        let mut named_so = ours.iter().filter(|ours| ours.name == name).peekable();
        if named_so.peek().is_none() {
            continue;
        }
        if named_so.any(|ours| (ours.is_volume)(volume)) && !uses(name) {
            withdrawal.removals.push(Removal::Volume(position));
            gone.insert(name.to_owned());
        } else {
            withdrawal.kept.push(Kept::Volume(name.to_owned()));
        }
    }
    let taken = taken.into_iter();
    let taken = taken.map(|(container, mount)| Removal::Mount { container, mount });
    withdrawal.removals.extend(taken);
    gone
}

fn mounts(container: &Value) -> &[Value] {
    let mounts = container.get("volumeMounts").and_then(Value::as_array);
    mounts.map(Vec::as_slice).unwrap_or_default()
}

type Test<'p> = Box<dyn Fn(&Value) -> bool + 'p>;

/// A volume that a policy brings, and what tells it from an author's.
struct Ours<'p> {
    name: String,
    path: String,
    mount: Test<'p>,
    is_volume: Test<'p>,
}

impl Ours<'_> {
    fn mounts(&self, there: &Value) -> bool {
        let path = there["mountPath"].as_str();
        path.is_some_and(|path| same_path(path, &self.path)) && (self.mount)(there)
    }
}

fn of_policy<'p>(named: &'p Named<'_>) -> Vec<Ours<'p>> {
    let Named {
        name,
        policy,
        exact,
    } = named;
    let Some(policy) = policy else {
        // Every policy keeps its scripts in one way.
        let volume = format!("quiescent-{name}");
        return vec![Ours {
            path: format!("/quiescent/{name}"),
            mount: Box::new({
                let volume = volume.clone();
                move |it| {
                    it["name"] == *volume && it["readOnly"] == true && it.get("subPath").is_none()
                }
            }),
            is_volume: Box::new(move |it| {
                let prefix = format!("quiescent-{name}-");
                config_map(it).is_some_and(|name| name.starts_with(&prefix))
            }),
            name: volume,
        }];
    };
    wanted(policy, 0)
        .map(|wanted| {
            let Wanted {
                policy,
                volume,
                mount,
            } = wanted;
            let written = volume.json();
            Ours {
                name: volume.name.to_owned(),
                path: mount.path.to_owned(),
                mount: Box::new(move |it| {
                    let mut like_ours = mount.json();
                    like_ours["mountPath"] = it["mountPath"].clone();
                    *it == like_ours
                }),
                is_volume: Box::new(move |it| match volume.source {
                    super::Source::Scripts { .. } => {
                        config_map(it).is_some_and(|name| policy.is_config_map(name))
                    }
                    // Another version of the policy may have said another size.
                    super::Source::Policy(_) if !exact => {
                        keys(it).is_some_and(|it| Some(it) == keys(&written))
                    }
                    super::Source::Policy(_) => *it == written,
                }),
            }
        })
        .collect()
}

fn config_map(volume: &Value) -> Option<&str> {
    volume.pointer("/configMap/name").and_then(Value::as_str)
}

fn keys(value: &Value) -> Option<BTreeSet<&String>> {
    value.as_object().map(|entries| entries.keys().collect())
}

fn take_backup_volumes(
    withdrawal: &mut Withdrawal,
    named: &[Named<'_>],
    view: &PodView<'_>,
    gone: &BTreeSet<String>,
) {
    let Some(value) = view.annotation(BACKUP_VOLUMES) else {
        return;
    };
    let listed: Vec<&str> = backup_volumes(value).collect();
    let mut ours: Vec<&str> = Vec::new();
    let policies = named.iter().filter_map(|it| it.policy);
    for name in policies.flat_map(|policy| &policy.backup_volumes) {
        if listed.contains(&name.as_str()) && !ours.contains(&name.as_str()) {
            ours.push(name);
        }
    }
    let authors = authors_part(&listed, &ours, gone);
    if authors.len() < listed.len() {
        let back = (!authors.is_empty()).then(|| authors.join(","));
        withdrawal.annotation(view, BACKUP_VOLUMES, back);
    }
}

/// What an author may have listed, so that what is listed now comes of it.
///
/// Where several lists may have been, it is the longest without a volume that goes: a name too many
/// is one volume in a backup, a name too few is data lost.
fn authors_part<'v>(listed: &[&'v str], ours: &[&'v str], gone: &BTreeSet<String>) -> Vec<&'v str> {
    let stays = |name: &&str| !gone.contains(*name);
    let candidates = (0..=listed.len()).rev().map(|length| &listed[..length]);
    let fits = |authors: &&[&str]| {
        let added = ours.iter().filter(|name| !authors.contains(name));
        authors.iter().all(stays) && authors.iter().chain(added).eq(listed)
    };
    match candidates.into_iter().find(fits) {
        Some(authors) => authors.to_vec(),
        None => listed.iter().copied().filter(stays).collect(),
    }
}
