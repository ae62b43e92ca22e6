//! Gate by gate: what happens to a pod, and why.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::{Value, json};

use super::{Style, opening};
use crate::{
    inject::Injection,
    plan::{Change, ContainerList, NewContainer, NewMount, NewVolume, Part, Plan, Source},
    pod::PodView,
    policy::{ContainerChoice, Policy, VolumeSource, coordinator},
    recognise::{self, Known, Spread},
    select::{Facts, Mode, Namespace, Reason, Verdict, method, recognised},
    velero::{BACKUP_VOLUMES, HookPhase, INIT_COMMAND, INIT_IMAGE, INIT_PREFIX, decode_command},
};

/// How wide the column with policies, hooks and volumes is.
const COLUMN: usize = 32;

/// What happens to one pod, as text.
#[must_use]
pub fn text(
    title: &str,
    injection: &Injection<'_>,
    pod: &PodView<'_>,
    spread: &[Spread],
    facts: Facts<'_>,
) -> String {
    let mut out = format!("{}\n", Style::Strong.paint(title));
    if let Some(reason) = injection.gate {
        line(&mut out, Mark::No, "considered", reason.sentence());
        next(&mut out, opening::gate(reason, pod, facts));
        return out;
    }
    line(&mut out, Mark::Yes, "considered", &considered(pod, facts));
    let mut alike = Alike::default();
    for verdict in &injection.verdicts {
        match verdict {
            Verdict::Selected(policy, container) => {
                let name = &pod.containers()[*container].name;
                let because = because(policy, pod, *container);
                line(
                    &mut out,
                    Mark::Yes,
                    &policy.title(),
                    &format!("{because}; container {name}"),
                );
            }
            Verdict::Passed(policy, reason) => {
                let because = passed(policy, *reason, pod, facts);
                match opens(injection, policy, *reason, pod, facts) {
                    Some(opening) => {
                        line(&mut out, Mark::Passed, &policy.title(), &because);
                        next(&mut out, Some(opening));
                    }
                    None => alike.add(policy.title(), because),
                }
            }
        }
    }
    for (names, because) in &alike.0 {
        line(&mut out, Mark::Passed, &several(names), because);
    }
    for (subject, known) in unmeant(injection, pod) {
        line(&mut out, Mark::Passed, &subject, &known.to_string());
        next(&mut out, Some(known.advice.to_owned()));
    }
    let plan = &injection.plan;
    for (policy, reason) in &plan.passed {
        line(&mut out, Mark::No, &policy.title(), reason.sentence());
        next(&mut out, opening::policy(policy, *reason, pod, facts));
    }
    if let Some(policy) = plan.denied {
        line(
            &mut out,
            Mark::No,
            &policy.title(),
            Reason::Denied.sentence(),
        );
        next(
            &mut out,
            opening::policy(policy, Reason::Denied, pod, facts),
        );
        return out;
    }
    changes(&mut out, plan, pod);
    if !plan.notes.is_empty() || !spread.is_empty() {
        out.push_str("\n  beware\n");
    }
    for note in &plan.notes {
        line(&mut out, Mark::Beware, note.subject, note.reason.sentence());
    }
    for found in spread {
        let subject = format!("claims {}", found.names());
        let text = format!("{APART} ({})", found.engine.name);
        line(&mut out, Mark::Beware, &subject, &text);
        next(&mut out, Some(against(plan).to_owned()));
    }
    out
}

/// What SnapshotHooks of its claims mean for a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfClaim {
    /// This one runs in it.
    Runs { name: String, claim: String },
    /// It runs in other pods of the claim.
    Elsewhere { name: String, claim: String },
    /// Several want to.
    Refused(String),
}

impl OfClaim {
    /// A line below the others.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = "\n  snapshots without Velero\n".to_owned();
        match self {
            Self::Runs { name, claim } => line(
                &mut out,
                Mark::Yes,
                &format!("SnapshotHook {name}"),
                &format!("runs for claim {claim}, in place of policies and annotations"),
            ),
            Self::Elsewhere { name, claim } => line(
                &mut out,
                Mark::Passed,
                &format!("SnapshotHook {name}"),
                &format!("runs for claim {claim} in pods with other labels, and nothing runs here"),
            ),
            Self::Refused(why) => line(&mut out, Mark::No, "SnapshotHooks", why),
        }
        out
    }

    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Runs { name, claim } => json!({"name": name, "claim": claim, "runs": true}),
            Self::Elsewhere { name, claim } => json!({"name": name, "claim": claim, "runs": false}),
            Self::Refused(why) => json!({"refused": why}),
        }
    }
}

/// What is wrong with snapshots of claims that belong together.
const APART: &str = "belong together, and Velero takes their snapshots seconds apart";

/// What to do about them.
fn against(plan: &Plan<'_>) -> &'static str {
    let policies = || plan.applied.iter().map(|it| it.policy);
    if policies().any(Policy::dumps) {
        "the dump is right all the same: restore it into empty claims"
    } else if policies().any(Policy::holds_writes) {
        "they are of one moment as long as writes are held; compare the data after a restore"
    } else {
        "dump instead (quiescent.dev/method=dump), or keep the data on one claim"
    }
}

/// Policies that nothing can be done about, by why they passed the pod over.
#[derive(Default)]
struct Alike<'p>(Vec<(Vec<Cow<'p, str>>, String)>);

impl<'p> Alike<'p> {
    fn add(&mut self, policy: Cow<'p, str>, because: String) {
        match self.0.iter_mut().find(|(_, other)| *other == because) {
            Some((policies, _)) => policies.push(policy),
            None => self.0.push((vec![policy], because)),
        }
    }
}

/// The first of them, and how many more.
fn several(names: &[Cow<'_, str>]) -> String {
    match names {
        [one] => one.to_string(),
        [one, others @ ..] => format!("{one} and {} more", others.len()),
        [] => String::new(),
    }
}

#[derive(Clone, Copy)]
enum Mark {
    Yes,
    No,
    Passed,
    Add,
    Change,
    Beware,
}

fn line(out: &mut String, mark: Mark, subject: &str, text: &str) {
    let mark = match mark {
        Mark::Yes => Style::Good.paint('✔'),
        Mark::No => Style::Bad.paint('✘'),
        Mark::Passed => Style::Faint.paint('–'),
        Mark::Add => Style::Good.paint('+'),
        Mark::Change => Style::Careful.paint('~'),
        Mark::Beware => Style::Careful.paint('!'),
    };
    let _ = writeln!(out, "  {mark} {subject:<COLUMN$}  {text}");
}

/// What to do about the line before.
fn next(out: &mut String, what: Option<String>) {
    if let Some(what) = what {
        let _ = writeln!(out, "    → {what}");
    }
}

/// What would make a policy follow the pod. Another method or label is no way where a policy is in use,
/// or where another one for this engine leaves the pod out on purpose.
fn opens(
    injection: &Injection<'_>,
    policy: &Policy,
    reason: Reason,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<String> {
    let settled = injection.verdicts.iter().any(|verdict| match verdict {
        Verdict::Selected(..) => true,
        Verdict::Passed(other, reason) => {
            matches!(reason, Reason::Excluded | Reason::Recognised)
                && other.about.engine == policy.about.engine
        }
    });
    if settled && matches!(reason, Reason::Method | Reason::PodLabels) {
        return None;
    }
    opening::policy(policy, reason, pod, facts)
}

/// What is recognised in a pod that no policy means, and where.
fn unmeant(injection: &Injection<'_>, pod: &PodView<'_>) -> Vec<(String, &'static Known)> {
    let meant = injection.verdicts.iter().any(|verdict| {
        matches!(
            verdict,
            Verdict::Selected(..) | Verdict::Passed(_, Reason::Recognised)
        )
    });
    if meant {
        return Vec::new();
    }
    recognisable(pod)
}

/// What there is to recognise in a pod, and where.
fn recognisable(pod: &PodView<'_>) -> Vec<(String, &'static Known)> {
    if let Some(known) = recognise::pod(pod) {
        return vec![("pod".to_owned(), known)];
    }
    let containers = pod.containers().iter();
    let known = containers.filter_map(|container| {
        let known = recognise::container(container)?;
        Some((format!("container {}", container.name), known))
    });
    known.collect()
}

fn considered(pod: &PodView<'_>, facts: Facts<'_>) -> String {
    let inject = crate::policy::INJECT_LABEL;
    let said_by = |whose: &str, value: &str| format!("{whose} label {inject}={value}");
    let of_namespace = match facts.about_namespace {
        Namespace::Known { labels, .. } => labels.get(inject).map(String::as_str),
        Namespace::Unknown | Namespace::NotSeen => None,
    };
    let why = match (pod.label(inject), of_namespace, facts.settings.mode) {
        (Some(value), ..) => said_by("pod's", value),
        (None, Some(value), _) => said_by("namespace's", value),
        (None, None, Mode::OptOut | Mode::OptIn) => format!("mode {}", facts.settings.mode),
    };
    format!(
        "namespace {}: {why}; method {}",
        facts.namespace,
        method(pod, facts)
    )
}

/// What made a policy select the pod.
fn because(policy: &Policy, pod: &PodView<'_>, container: usize) -> String {
    let container = &pod.containers()[container];
    let image = container.image.as_deref().unwrap_or_default();
    match &policy.container {
        ContainerChoice::Image(patterns) => {
            let parsed = crate::policy::Image::parse(image);
            let pattern = patterns.iter().find(|pattern| pattern.matches(&parsed));
            match pattern {
                Some(pattern) => format!("image {image:?} is {:?}", pattern.to_string()),
                None => format!("image {image:?}"),
            }
        }
        ContainerChoice::Name(name) => format!("container is named {name:?}"),
        ContainerChoice::Port(port) => format!("container has the port {port}"),
    }
}

/// Why a policy passed over the pod, with what would have to be there.
fn passed(policy: &Policy, reason: Reason, pod: &PodView<'_>, facts: Facts<'_>) -> String {
    match reason {
        Reason::Method => {
            let asked: Vec<String> = (policy.matching.pod_selector.methods())
                .map(|method| format!("{method:?}"))
                .collect();
            format!(
                "method is {:?}, not {} (label {})",
                method(pod, facts),
                asked.join(" or "),
                crate::policy::METHOD_LABEL,
            )
        }
        Reason::Recognised => match recognised(policy, pod) {
            Some(known) => known.to_string(),
            None => reason.sentence().to_owned(),
        },
        Reason::Image => match opening::resembling(&policy.matching.images, pod) {
            Some(image) => format!(
                "image {image:?} is none of {}",
                opening::some(&policy.matching.images)
            ),
            None => reason.sentence().to_owned(),
        },
        Reason::NamespaceName => format!(
            "namespace {:?} is none of {}",
            facts.namespace,
            policy.matching.namespaces.join(", ")
        ),
        _ => reason.sentence().to_owned(),
    }
}

fn changes(out: &mut String, plan: &Plan<'_>, pod: &PodView<'_>) {
    if plan.is_empty() && plan.applied.is_empty() {
        out.push_str("\n  nothing to do: no policy applies\n");
        return;
    }
    if plan.is_empty() {
        out.push_str("\n  nothing to do: the pod has it all already\n");
        return;
    }
    out.push_str("\n  would add\n");
    for phase in HookPhase::ALL {
        hook(out, plan, phase);
    }
    init(out, plan, pod);
    for change in &plan.changes {
        match change {
            Change::Volume(volume) => {
                let mounts = plan.changes.iter().filter_map(|change| match change {
                    Change::Mount(mount) if mount.volume == volume.name => Some(mount),
                    _ => None,
                });
                let mut text = source(volume);
                for NewMount {
                    container, path, ..
                } in mounts
                {
                    let _ = write!(text, ", in {} at {path}", pod.containers()[*container].name);
                }
                line(out, Mark::Add, &format!("volume {}", volume.name), &text);
            }
            Change::Scripts {
                name, config_map, ..
            } => {
                line(
                    out,
                    Mark::Change,
                    &format!("volume {name}"),
                    &format!("ConfigMap {config_map}"),
                );
            }
            Change::Mount(NewMount {
                container,
                volume,
                path,
                ..
            }) => {
                let with_its_volume = plan
                    .changes
                    .iter()
                    .any(|change| matches!(change, Change::Volume(it) if it.name == *volume));
                if !with_its_volume {
                    let name = &pod.containers()[*container].name;
                    line(
                        out,
                        Mark::Add,
                        &format!("mount {volume}"),
                        &format!("in {name} at {path}"),
                    );
                }
            }
            Change::Container(container) => beside(out, container),
            Change::Complete(_) => {}
            Change::NoAnnotation {
                key: INIT_COMMAND, ..
            } => line(
                out,
                Mark::Change,
                INIT_PREFIX,
                "taken out: no policy has it any more",
            ),
            Change::NoAnnotation { key, .. } => {
                let phase = HookPhase::ALL
                    .into_iter()
                    .find(|phase| phase.keys().command == *key);
                if let Some(phase) = phase {
                    line(
                        out,
                        Mark::Change,
                        phase.prefix(),
                        "taken out: no policy has it any more",
                    );
                }
            }
            Change::Annotation {
                key,
                value,
                instead_of,
            } => {
                if *key == BACKUP_VOLUMES {
                    let (mark, text) = match instead_of {
                        Some(before) => (Mark::Change, format!("{before} → {value}")),
                        None => (Mark::Add, value.to_string()),
                    };
                    line(out, mark, "backup-volumes", &text);
                }
            }
        }
    }
}

/// A container of a coordinator.
fn beside(out: &mut String, container: &NewContainer) {
    let NewContainer { list, name, json } = container;
    let image = json["image"].as_str().unwrap_or_default();
    let kind = match list {
        ContainerList::Init => "init",
        ContainerList::Main => "container",
    };
    let subject = format!("{kind} {name}");
    line(out, Mark::Add, &subject, &format!("image {image}"));
}

/// The value that an annotation gets, and whether it had another.
fn annotated<'p>(plan: &'p Plan<'_>, wanted: &str) -> Option<(&'p str, bool)> {
    plan.changes.iter().find_map(|change| match change {
        Change::Annotation {
            key,
            value,
            instead_of,
        } if *key == wanted => Some((&**value, instead_of.is_some())),
        _ => None,
    })
}

/// What init container Velero is to make, and what one that it has made gets.
fn init(out: &mut String, plan: &Plan<'_>, pod: &PodView<'_>) {
    let image = annotated(plan, INIT_IMAGE);
    let command = annotated(plan, INIT_COMMAND);
    let changed = [image, command].into_iter().flatten().any(|(_, it)| it);
    let mut words = Vec::new();
    if let Some((command, _)) = command {
        let argv = decode_command(command).unwrap_or_default();
        words.extend(argv.last().map(|last| shortened(last)));
    }
    words.extend(image.map(|(image, _)| format!("container-image={image}")));
    if !words.is_empty() {
        let mark = if changed { Mark::Change } else { Mark::Add };
        line(out, mark, INIT_PREFIX, &words.join(", "));
    }
    for (position, init) in pod.init_containers().enumerate() {
        let parts = plan.changes.iter().filter_map(|change| match change {
            Change::Complete(it) if it.init == position => Some(it.part),
            _ => None,
        });
        let mut words = Vec::new();
        let mut mounts = 0;
        for part in parts {
            match part {
                Part::Field(key) => words.push(key.to_owned()),
                Part::Mount => mounts += 1,
                Part::Mounts => {}
            }
        }
        match mounts {
            0 => {}
            1 => words.insert(0, "1 mount".to_owned()),
            _ => words.insert(0, format!("{mounts} mounts")),
        }
        if !words.is_empty() {
            let subject = format!("init {}", init.name);
            line(out, Mark::Change, &subject, &words.join(", "));
        }
    }
}

fn hook(out: &mut String, plan: &Plan<'_>, phase: HookPhase) {
    let keys = phase.keys();
    let set = |wanted: &str| annotated(plan, wanted);
    let parts = [
        ("container", keys.container),
        ("on-error", keys.on_error),
        ("timeout", keys.timeout),
    ];
    let mut changed = false;
    let mut words = Vec::new();
    if let Some((command, replaced)) = set(keys.command) {
        changed |= replaced;
        let argv = decode_command(command).unwrap_or_default();
        let last = || argv.last().map_or_else(String::new, |last| shortened(last));
        words.push(coordinator::asked(&argv).unwrap_or_else(last));
    }
    for (word, key) in parts {
        if let Some((value, replaced)) = set(key) {
            changed |= replaced;
            words.push(format!("{word}={value}"));
        }
    }
    if !words.is_empty() {
        let mark = if changed { Mark::Change } else { Mark::Add };
        line(out, mark, phase.prefix(), &words.join(", "));
    }
}

fn shortened(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    if first.chars().count() <= 60 && first == text {
        return first.to_owned();
    }
    first.chars().take(60).chain(['…']).collect()
}

fn source(volume: &NewVolume) -> String {
    match &volume.source {
        Source::Scripts { config_map } => format!("ConfigMap {config_map}"),
        Source::Policy(VolumeSource::EmptyDir(empty_dir)) => {
            let size = empty_dir.size_limit.as_deref().unwrap_or("without a limit");
            format!("emptyDir {size}")
        }
        Source::Policy(VolumeSource::Ephemeral(ephemeral)) => {
            format!("ephemeral claim of {}", ephemeral.size)
        }
    }
}

/// The same for programs.
#[must_use]
pub fn value(
    kind: &str,
    name: &str,
    injection: &Injection<'_>,
    pod: &PodView<'_>,
    spread: &[Spread],
    facts: Facts<'_>,
) -> Value {
    let verdicts: Vec<Value> = injection
        .verdicts
        .iter()
        .map(|verdict| match verdict {
            Verdict::Selected(policy, container) => json!({
                "policy": policy.title(),
                "selected": true,
                "container": &*pod.containers()[*container].name,
            }),
            Verdict::Passed(policy, reason) => json!({
                "policy": policy.title(),
                "selected": false,
                "reason": reason.as_str(),
                "opens": opens(injection, policy, *reason, pod, facts),
            }),
        })
        .collect();
    let left_alone = injection.recognised(pod);
    let mut recognised = recognisable(pod);
    recognised.retain(|(_, known)| left_alone.is_some_and(|it| std::ptr::eq(it, *known)));
    let recognised = unmeant(injection, pod)
        .into_iter()
        .chain(recognised)
        .map(|(subject, known)| {
            json!({
                "subject": subject,
                "role": known.role,
                "name": known.name,
                "advice": known.advice,
            })
        })
        .collect::<Vec<_>>();
    let plan = &injection.plan;
    let applied = plan.applied.iter();
    let applied: Vec<Value> = applied
        .map(|it| json!({"policy": it.policy.provenance(), "container": it.container}))
        .collect();
    let passed = plan.passed.iter();
    let passed: Vec<Value> = passed
        .map(|(policy, reason)| {
            json!({
                "policy": policy.title(),
                "reason": reason.as_str(),
                "opens": opening::policy(policy, *reason, pod, facts),
            })
        })
        .collect();
    let apart = spread.iter().map(|found| {
        let claims: Vec<&str> = found.claims.iter().map(|it| &*it.volume).collect();
        json!({
            "engine": found.engine.name,
            "container": found.container,
            "claims": claims,
            "message": APART,
            "next": against(plan),
        })
    });
    let apart: Vec<Value> = apart.collect();
    json!({
        "kind": kind,
        "name": name,
        "namespace": facts.namespace,
        "reason": injection.reason().map(Reason::as_str),
        "opens": injection.gate.and_then(|reason| opening::gate(reason, pod, facts)),
        "verdicts": verdicts,
        "recognised": recognised,
        "applied": applied,
        "notApplied": passed,
        "denied": plan.denied.map(Policy::title),
        "apart": apart,
        "patch": injection.patch(pod).to_json(""),
    })
}
