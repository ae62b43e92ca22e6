//! `quiescent lint`: what is wrong with policy files.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Ended, output};
use crate::{
    diagnostic::any_error,
    policy::{PolicySet, parse},
    policy_files::read,
    report::diagnostics,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Policy files, or folders with such files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let mut found = Vec::new();
    let mut places = Vec::new();
    let mut files = 0;
    for input in read(&args.paths)? {
        files += 1;
        let (policies, diagnostics) = parse(&input);
        places.extend(policies);
        found.extend(diagnostics);
    }
    let (_, contradictions) = PolicySet::new(places);
    found.extend(contradictions);
    match args.output {
        Format::Text => {
            let findings = found.iter().map(|found| diagnostics::text(found) + "\n\n");
            let summary = diagnostics::summary(files, &found);
            output::print(&(findings.collect::<String>() + &summary + "\n"))?;
        }
        Format::Json => {
            let findings: Vec<Value> = found.iter().map(diagnostics::value).collect();
            output::print_raw(&output::json(
                &json!({"files": files, "findings": findings}),
            ))?;
        }
    }
    Ok(if any_error(&found) {
        Ended::Findings
    } else {
        Ended::Fine
    })
}
