//! The pages about the library, in Markdown: the same for `quiescent library show` and for `docs/library`.

use std::fmt::Write as _;

use super::{Capture, Entry, Row};
use crate::{
    policy::{
        ContainerChoice, Criteria, Hook, METHOD_LABEL, PARAMETER_PREFIX, Policy, VolumeSource,
        file::{LabelOperator, LabelRequirement},
    },
    recognise,
};

/// The page of one policy.
#[must_use]
pub fn page(entry: &Entry) -> String {
    let Policy { name, about, .. } = &entry.policy;
    let mut page = format!("# {name}\n\n{}.\n\n", about.description);
    let taking_part = if entry.is_default() {
        "takes part by default"
    } else {
        "takes part only when it is written out by `quiescent library export` and named by `--policies`"
    };
    let proven = match &about.proven {
        Some(proven) => format!("proven on {proven}"),
        None => "unproven".to_owned(),
    };
    let _ = writeln!(page, "- engine: {}", about.engine);
    let _ = writeln!(page, "- method: {}", entry.method());
    let _ = writeln!(page, "- {proven}: {taking_part}");
    let _ = writeln!(page, "- blocks: {}", entry.blocks());
    let _ = writeln!(page, "- needs in the image: {}", about.needs);
    page.push_str("\n## Recognition\n\n");
    recognition(&mut page, &entry.policy);
    page.push_str("\n## Hooks\n\n");
    hooks(&mut page, &entry.policy);
    parameters(&mut page, &entry.policy);
    let _ = write!(page, "\n{}", entry.folder.about);
    page.push_str("\n## Proof\n\n");
    if entry.rows.is_empty() {
        page.push_str("Nothing was measured yet: the tests go the whole way once.\n");
    } else {
        page.push_str(&proof(&[entry]));
        page.push_str("\nWhat the columns mean stands in [the proof of all policies](proof.md).\n");
    }
    page
}

/// The list of all policies.
#[must_use]
pub fn index(entries: &[Entry]) -> String {
    let mut table = vec![row(&[
        "policy",
        "engine",
        "method",
        "default",
        "blocks; writes stop at most",
        "needs in the image",
        "proven on",
    ])];
    table.extend(entries.iter().map(|entry| {
        let Policy { name, about, .. } = &entry.policy;
        row(&[
            &format!("[{name}]({name}.md)"),
            &about.engine,
            &entry.method(),
            yes(entry.is_default()),
            &entry.blocks(),
            &about.needs,
            &entry.proven(),
        ])
    }));
    format!(
        "# The library\n\n\
        The policies that are compiled into the program. The label `{METHOD_LABEL}` of a pod or its\n\
        namespace says which of an engine's policies is meant; without it, `dump`. A policy takes part by\n\
        default when a restore of it was proven: [the proof](proof.md). Some pods are\n\
        [recognised and left alone](recognised.md). The same from the program: `quiescent library list`,\n\
        `show` and `export`.\n\n{}",
        aligned(&table)
    )
}

/// Who is recognised and left alone.
#[must_use]
pub fn recognised() -> String {
    let mut table = vec![row(&["who", "what", "recognised by", "instead"])];
    table.extend(recognise::all().iter().map(|known| {
        let marks: Vec<String> = known.marks().collect();
        row(&[
            known.name,
            &format!("{:?}", known.role),
            &marks.join(", "),
            known.advice,
        ])
    }));
    format!(
        "# Recognised and left alone\n\n\
        What stands beside databases, and databases that somebody else backs up. A policy passes over what\n\
        its `leaveAlone` lists, as those of the library do; a policy of your own without it matches what it\n\
        names. `quiescent explain` says who was recognised in a pod. One mark is enough; those of operators\n\
        are about the whole pod, the others about one container, by the last part of its image's name or by\n\
        the program that its command runs, also behind `sh -c`.\n\n{}",
        aligned(&table)
    )
}

/// All that was measured.
#[must_use]
pub fn proofs(entries: &[Entry]) -> String {
    let measured: Vec<&Entry> = entries.iter().filter(|it| !it.rows.is_empty()).collect();
    let mut page = "# Proof\n\n\
        A real server under write load, backed up by the argv that the program injects, restored into a\n\
        fresh server, and held against the record of every write that was acknowledged. *Without* a hook\n\
        the data directory was copied in the same harness: that shows what the hook is worth.\n\n\
        - captured: `dump` is what the hook left in the dump volume, `block` the data directory at one\n  \
        instant, `file-copy` the same file by file while the server writes\n\
        - restored: rounds in which all was there, of all rounds\n\
        - lost: acknowledged writes that were missing, in the worst round after which the server came up\n\
        - writes stop: the longest time without an acknowledged write in the worst round, and just before\n\
        - throughput: writes a second during the hook, of those before\n\n"
        .to_owned();
    if measured.is_empty() {
        page.push_str("Nothing was measured yet: the tests go the whole way once.\n");
    } else {
        page.push_str(&proof(&measured));
    }
    page
}

fn recognition(page: &mut String, policy: &Policy) {
    for line in described(&policy.matching) {
        let _ = writeln!(page, "- {line}");
    }
    for criteria in &policy.exclude {
        let _ = writeln!(page, "- not: {}", described(criteria).join(", and "));
    }
    if !policy.leave_alone.is_empty() {
        let roles = policy.leave_alone.iter();
        let roles: Vec<String> = roles
            .map(|role| format!("{role:?}").to_lowercase())
            .collect();
        let _ = writeln!(
            page,
            "- left alone when recognised as: {}",
            roles.join(", ")
        );
    }
    let container = match &policy.container {
        ContainerChoice::Name(name) => format!("is named `{name}`"),
        ContainerChoice::Port(port) => format!("declares the port {port}"),
        ContainerChoice::Image(_) => "has such an image".to_owned(),
    };
    let _ = writeln!(page, "- the hooks run in the container that {container}");
}

fn described(criteria: &Criteria) -> Vec<String> {
    let Criteria {
        pod_selector,
        namespace_selector,
        namespaces,
        images,
        owners,
    } = criteria;
    let mut lines = Vec::new();
    for (whose, selector) in [
        ("the pod", pod_selector),
        ("the namespace", namespace_selector),
    ] {
        let pairs = selector.pairs.iter();
        lines.extend(pairs.map(|(key, value)| format!("{whose} has the label `{key}={value}`")));
        let expressions = selector.expressions.iter();
        lines.extend(expressions.map(|it| format!("{whose} has {}", asked(it))));
    }
    if !namespaces.is_empty() {
        lines.push(format!("the namespace is {}", one_of(namespaces)));
    }
    if !images.is_empty() {
        lines.push(format!("the image of a container is {}", one_of(images)));
    }
    for owner in owners {
        let name = owner.name.as_deref().unwrap_or("*");
        lines.push(format!("it is made by {} `{name}`", owner.kind));
    }
    lines
}

fn asked(requirement: &LabelRequirement) -> String {
    let LabelRequirement {
        key,
        operator,
        values,
    } = requirement;
    match operator {
        LabelOperator::In => format!("the label `{key}`: {}", one_of(values)),
        LabelOperator::NotIn => format!("no label `{key}`: {}", one_of(values)),
        LabelOperator::Exists => format!("the label `{key}`"),
        LabelOperator::DoesNotExist => format!("no label `{key}`"),
    }
}

fn one_of(names: &[impl ToString]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.to_string()))
        .collect();
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => names.concat(),
    }
}

fn hooks(page: &mut String, policy: &Policy) {
    let hooks = &policy.hooks;
    let mut add = |phase: &str, hook: &Hook, wait: &str| {
        let argv = policy.usual_invocation(hook).argv.join(" ");
        let Hook {
            timeout, on_error, ..
        } = hook;
        let _ = writeln!(
            page,
            "- {phase}: `{argv}`, timeout {timeout}{wait}, on error {on_error}"
        );
    };
    for (phase, hook) in [("pre", &hooks.pre), ("post", &hooks.post)] {
        if let Some(hook) = hook {
            add(phase, hook, "");
        }
    }
    if let Some((hook, wait)) = &hooks.restore {
        let wait = format!(" after at most {} of waiting", wait.timeout);
        add("restore", hook, &wait);
    }
    if let Some(hook) = &hooks.init {
        let argv = policy.usual_invocation(hook).argv.join(" ");
        let _ = writeln!(
            page,
            "- restore, before the server starts: `{argv}`, in an init container"
        );
    }
    if let Some(check) = &hooks.check {
        let argv = policy.usual_invocation(&check.hook).argv.join(" ");
        let timeout = check.hook.timeout;
        let _ = writeln!(
            page,
            "- check: `{argv}`, timeout {timeout}, by [quiescent verify](../verify.md)"
        );
    }
    for volume in &policy.volumes {
        let source = match &volume.source {
            VolumeSource::EmptyDir(empty) => match &empty.size_limit {
                Some(limit) => format!("an emptyDir of at most {limit}"),
                None => "an emptyDir".to_owned(),
            },
            VolumeSource::Ephemeral(claim) => format!("a claim of {}", claim.size),
        };
        let _ = write!(
            page,
            "\nThe volume `{}`, {source}, is mounted at `{}`",
            volume.name, volume.mount_path
        );
        let saved = policy.backup_volumes.contains(&volume.name);
        page.push_str(if saved { " and backed up.\n" } else { ".\n" });
    }
}

fn parameters(page: &mut String, policy: &Policy) {
    if policy.parameters.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "\n## Parameters\n\nSet by the annotation `{PARAMETER_PREFIX}{}.PARAMETER` of a pod or its namespace.\n\n",
        policy.name
    );
    for (name, parameter) in &policy.parameters {
        let _ = write!(page, "- `{name}`: {}", parameter.description);
        let _ = match parameter.default.as_str() {
            "" => writeln!(page),
            default => writeln!(page, "; `{default}` by default"),
        };
    }
}

fn proof(entries: &[&Entry]) -> String {
    let mut table = vec![row(&[
        "policy",
        "server",
        "captured",
        "restored",
        "lost",
        "writes stop",
        "throughput",
        "hook",
        "captured bytes",
        "date",
    ])];
    for entry in entries {
        for it in &entry.rows {
            let Row {
                server,
                capture,
                hook,
                rounds,
                restored,
                lost,
                stop_ms,
                quiet_ms,
                throughput,
                seconds,
                bytes,
                date,
            } = it;
            let capture = match capture {
                Capture::Dump => "dump",
                Capture::Block => "block",
                Capture::FileCopy => "file-copy",
            };
            let (name, took) = if *hook {
                (entry.policy.name.clone(), format!("{seconds:.1} s"))
            } else {
                (format!("*without {}*", entry.policy.name), "–".to_owned())
            };
            // Here an instant is had by stopping the server, which a snapshot of its volume does not do.
            let (stop, pace) = if *hook || capture != "block" {
                (
                    format!("{stop_ms} ms ({quiet_ms} ms)"),
                    format!("{throughput:.2}"),
                )
            } else {
                ("–".to_owned(), "–".to_owned())
            };
            table.push(row(&[
                &name,
                server,
                capture,
                &format!("{restored} of {rounds}"),
                &lost.to_string(),
                &stop,
                &pace,
                &took,
                &megabytes(*bytes),
                date,
            ]));
        }
    }
    aligned(&table)
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| cell.replace('|', "\\|")).collect()
}

/// A table of Markdown whose columns stand below each other, the first row its head.
fn aligned(table: &[Vec<String>]) -> String {
    let columns = table.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = table.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default().max(3)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for (number, row) in table.iter().enumerate() {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if number == 0 {
            let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}
