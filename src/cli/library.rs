//! `quiescent library`: the policies that are compiled in.

use std::{fmt::Write as _, fs, path::PathBuf};

use anyhow::{Context as _, bail};

use super::{Ended, names, output};
use crate::{
    library::{FOLDERS, Folder, policies},
    policy::{Action, Hook, METHOD_LABEL, Policy, SHELL_LIBRARY, shell_library},
    report::Style,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent library list
  quiescent library show postgresql-dump
  quiescent library export postgresql-dump fresh && quiescent lint fresh")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List all policies
    List,
    /// Show what a policy matches, runs and needs
    Show {
        /// One of those that list names
        name: String,
    },
    /// Write a policy and its scripts into a folder, to be changed
    Export {
        /// One of those that list names
        name: String,
        /// A folder that does not exist yet, or is empty
        dir: PathBuf,
    },
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    match &args.command {
        Command::List => output::print_folded(&list()),
        Command::Show { name } => output::print_folded(&show(&policy(name)?)),
        Command::Export { name, dir } => {
            policy(name)?;
            export(name, dir)
        }
    }
}

fn policy(name: &str) -> anyhow::Result<Policy> {
    let mut places = policies();
    if let Some(position) = places.iter().position(|place| place.policy.name == name) {
        return Ok(*places.swap_remove(position).policy);
    }
    let names: Vec<String> = places.into_iter().map(|place| place.policy.name).collect();
    match names::meant(name, &names) {
        Some(nearest) => {
            bail!("there is no policy {name:?} in the library, did you mean {nearest:?}?")
        }
        None => bail!(
            "there is no policy {name:?} in the library: {}",
            names.join(", ")
        ),
    }
}

fn list() -> String {
    let mut rows =
        vec![["POLICY", "ENGINE", "METHOD", "PROVEN ON", "DESCRIPTION"].map(str::to_owned)];
    rows.extend(policies().iter().map(|place| row(&place.policy)));
    let widths: [usize; 5] = std::array::from_fn(|column| {
        let cells = rows.iter().map(|row| row[column].len());
        cells.max().unwrap_or_default()
    });
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(widths);
        let line: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        let line = line.join("  ");
        let line = line.trim_end();
        let _ = match number {
            0 => writeln!(text, "{}", Style::Strong.paint(line)),
            _ => writeln!(text, "{line}"),
        };
    }
    text
}

fn row(policy: &Policy) -> [String; 5] {
    let about = &policy.about;
    [
        policy.name.clone(),
        about.engine.clone(),
        method(policy).to_owned(),
        about
            .proven
            .clone()
            .unwrap_or_else(|| "unproven".to_owned()),
        about.description.clone(),
    ]
}

fn method(policy: &Policy) -> &str {
    let asked = policy.matching.pod_selector.pair(METHOD_LABEL);
    asked.unwrap_or("-")
}

fn show(policy: &Policy) -> String {
    let mut text = format!(
        "{}: {}\n\n",
        Style::Strong.paint(&policy.name),
        policy.about.description
    );
    let mut say = |what: &str, value: String| {
        let _ = writeln!(text, "{what:<14} {value}");
    };
    say("engine", policy.about.engine.clone());
    say(
        "method",
        format!("{} (label {METHOD_LABEL})", method(policy)),
    );
    say(
        "proven on",
        policy
            .about
            .proven
            .clone()
            .unwrap_or_else(|| "unproven: takes part only when named".to_owned()),
    );
    say("priority", policy.priority.to_string());
    for image in &policy.matching.images {
        say("image", image.to_string());
    }
    let hooks = &policy.hooks;
    let restore = hooks.restore.as_ref();
    let phases = [
        ("pre", hooks.pre.as_ref()),
        ("post", hooks.post.as_ref()),
        ("restore", restore.map(|(hook, _)| hook)),
    ];
    for (phase, hook) in phases {
        if let Some(hook) = hook {
            say(phase, action(hook));
        }
    }
    for volume in &policy.volumes {
        say(
            "volume",
            format!("{} at {}", volume.name, volume.mount_path),
        );
    }
    if !policy.backup_volumes.is_empty() {
        say("backs up", policy.backup_volumes.join(", "));
    }
    if !policy.parameters.is_empty() {
        let _ = writeln!(
            text,
            "\nparameters, set on a pod or its namespace by quiescent.dev/{}.<parameter>",
            policy.name
        );
        for (name, parameter) in &policy.parameters {
            let default = match parameter.default.as_str() {
                "" => "nothing by default".to_owned(),
                default => format!("default {default}"),
            };
            let _ = writeln!(text, "  {name:<12} {} ({default})", parameter.description);
        }
    }
    let _ = writeln!(
        text,
        "\nquiescent library export {} DIR writes it out to be changed.",
        policy.name
    );
    text
}

fn action(hook: &Hook) -> String {
    let runs = match &hook.action {
        Action::Script(name) => name.clone(),
        Action::Command(command) => command.join(" "),
    };
    format!(
        "{runs}, timeout {}, on error {}",
        hook.timeout, hook.on_error
    )
}

fn export(name: &str, dir: &PathBuf) -> anyhow::Result<Ended> {
    let folder: &Folder = FOLDERS
        .iter()
        .find(|folder| folder.name == name)
        .context("every policy of the library has a folder of its name")?;
    let taken = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        bail!(
            "{} is not empty: name another folder, so that nothing of yours is overwritten",
            dir.display()
        );
    }
    let scripts = dir.join("scripts");
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    fs::create_dir_all(&scripts)
        .with_context(|| format!("failed to create {}", scripts.display()))?;
    write(dir.join("policy.yaml"), folder.policy)?;
    for (name, text) in folder.scripts {
        write(scripts.join(name), text)?;
    }
    if !folder.scripts.is_empty() {
        write(scripts.join(SHELL_LIBRARY), shell_library())?;
    }
    anstream::eprintln!("written to {}: quiescent lint {0}", dir.display());
    Ok(Ended::Fine)
}
