//! `quiescent library`: the policies that are compiled in.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::{Ended, names, output};
use crate::{
    library::{Entry, entries, page},
    policy::{SHELL_LIBRARY, resource::manifests, shell_library},
    report::Style,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent library list
  quiescent library list -o wide
  quiescent library show postgresql-dump
  quiescent library show mysql-dump -o resource | kubectl apply -f -
  quiescent library export postgresql-dump fresh && quiescent lint fresh")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List all policies
    List {
        /// What is printed: a table, a table with what each needs and does, or JSON with everything
        #[arg(short, long, value_name = "FORMAT", default_value = "table")]
        output: Format,
    },
    /// Show the page of a policy: what it matches, runs, needs and was proven on
    Show {
        /// One of those that list names
        name: String,
        /// What is printed: the page, or an object for the cluster with the scripts in it
        #[arg(short, long, value_name = "FORMAT", default_value = "page")]
        output: Shown,
        /// Print a HookPolicy for this namespace rather than a ClusterHookPolicy
        #[arg(short, long, value_name = "NAMESPACE")]
        namespace: Option<String>,
    },
    /// Write a policy and its scripts into a folder, to be changed
    Export {
        /// One of those that list names
        name: String,
        /// A folder that does not exist yet, or is empty
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Shown {
    Page,
    Resource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Wide,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    match &args.command {
        Command::List { output } => match output {
            Format::Table => output::print_folded(&table(&HEADINGS[..NARROW])),
            Format::Wide => output::print_folded(&table(&HEADINGS)),
            Format::Json => {
                let values = entries().iter().map(Entry::value).collect::<Vec<_>>();
                output::print_raw(&output::json(&values.into()))
            }
        },
        Command::Show {
            name,
            output,
            namespace,
        } => match output {
            Shown::Page => output::print_folded(&show(&entry(name)?)),
            Shown::Resource => resource(&entry(name)?, namespace.as_deref()),
        },
        Command::Export { name, dir } => export(&entry(name)?, dir),
    }
}

fn entry(name: &str) -> anyhow::Result<Entry> {
    let mut entries = entries();
    let position = entries.iter().position(|it| it.folder.name == name);
    if let Some(position) = position {
        return Ok(entries.swap_remove(position));
    }
    let names: Vec<&str> = entries.iter().map(|it| it.folder.name).collect();
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

const HEADINGS: [&str; 8] = [
    "POLICY",
    "ENGINE",
    "METHOD",
    "DEFAULT",
    "BLOCKS",
    "PROVEN ON",
    "NEEDS",
    "DESCRIPTION",
];

/// So many columns come first and fit most terminals.
const NARROW: usize = 6;

/// All policies below these of the headings.
fn table(headings: &[&str]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(entries().iter().map(row));
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells = row.iter().zip(&widths);
        let line: Vec<String> = cells
            .map(|(cell, &width)| format!("{cell:<width$}"))
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

fn row(entry: &Entry) -> [String; 8] {
    let about = &entry.policy.about;
    let default = if entry.is_default() { "yes" } else { "no" };
    [
        entry.policy.name.clone(),
        about.engine.clone(),
        entry.method(),
        default.to_owned(),
        entry.blocks(),
        entry.proven(),
        about.needs.clone(),
        about.description.clone(),
    ]
}

fn show(entry: &Entry) -> String {
    let mut text = String::new();
    for line in page::page(entry).lines() {
        let _ = if line.starts_with('#') {
            writeln!(text, "{}", Style::Strong.paint(line))
        } else {
            writeln!(text, "{line}")
        };
    }
    let name = entry.folder.name;
    let _ = writeln!(
        text,
        "\nquiescent library export {name} DIR writes it out to be changed."
    );
    text
}

fn resource(entry: &Entry, namespace: Option<&str>) -> anyhow::Result<Ended> {
    let manifests = manifests(&entry.folder.input(), namespace);
    let documents: anyhow::Result<Vec<String>> = manifests.iter().map(output::yaml).collect();
    output::print_raw(&documents?.join("---\n"))
}

fn export(entry: &Entry, dir: &Path) -> anyhow::Result<Ended> {
    let taken = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if taken {
        bail!(
            "{} is not empty: name another folder, so that nothing of yours is overwritten",
            dir.display()
        );
    }
    let folder = entry.folder;
    let scripts = dir.join("scripts");
    let write = |path: PathBuf, text: &str| {
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    };
    fs::create_dir_all(&scripts)
        .with_context(|| format!("failed to create {}", scripts.display()))?;
    write(dir.join("policy.yaml"), folder.policy)?;
    write(dir.join("about.md"), folder.about)?;
    for (name, text) in folder.scripts {
        write(scripts.join(name), text)?;
    }
    if !folder.scripts.is_empty() {
        write(scripts.join(SHELL_LIBRARY), shell_library())?;
    }
    anstream::eprintln!("written to {}: quiescent lint {0}", dir.display());
    Ok(Ended::Fine)
}
