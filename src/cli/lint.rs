//! `quiescent lint`: what is wrong with policy files, with hooks in manifests, and with Velero's
//! own objects.

mod read;

use std::{collections::BTreeMap, sync::Arc};

use anyhow::bail;
use serde_json::{Value, json};

use self::read::{Judged, Stream};
use super::{Ended, output};
use crate::{
    diagnostic::{Diagnostic, any_error},
    lint::{self, Allowed, File, Rule, engines::EVIDENCE, manual},
    policy::{self, PolicySet},
    report::{diagnostics, manual as page},
};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "A comment `# quiescent: allow QV012 because …` on a line, or on the line above, accepts a finding."
)]
pub struct Args {
    /// Policy files and manifests, folders with such files, or - for standard input
    #[arg(required_unless_present = "explain", value_name = "PATH")]
    paths: Vec<std::path::PathBuf>,
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Judge by these codes alone, or by those that begin like this: QV015,QP
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    select: Vec<String>,
    /// Leave these codes out
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Say why a rule is one, with a wrong and a right example
    #[arg(long, value_name = "CODE", conflicts_with_all = ["paths", "select", "ignore"])]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    /// Workflow commands, which GitHub shows beside the lines
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let Args {
        paths,
        output: format,
        select,
        ignore,
        explain,
    } = args;
    if let Some(code) = explain {
        return self::explain(code, *format);
    }
    let (select, ignore) = (codes(select)?, codes(ignore)?);
    let mut judged = read::judge(paths)?;
    judged.retain(|judged| match &judged.stream {
        Stream::Nothing(why) => {
            anstream::eprintln!("{}: {why}, nothing was judged", judged.name);
            false
        }
        Stream::Policies(_) | Stream::Manifest(_) => true,
    });
    let files = judged.len();
    let mut found = all(judged);
    found.retain(|found| {
        let named = |codes: &[String]| codes.iter().any(|code| found.code.starts_with(code));
        (select.is_empty() || named(&select)) && !named(&ignore)
    });
    let ended = if any_error(&found) {
        Ended::Findings
    } else {
        Ended::Fine
    };
    let text = match format {
        Format::Text => {
            let findings = found.iter().map(|found| diagnostics::text(found) + "\n\n");
            let mut explained = found.iter().filter(|it| Rule::of_code(it.code).is_some());
            let why = explained.next().map_or_else(String::new, |found| {
                format!("why: quiescent lint --explain {}\n", found.code)
            });
            findings.collect::<String>() + &diagnostics::summary(files, &found) + "\n" + &why
        }
        Format::Json => {
            let findings: Vec<Value> = found.iter().map(diagnostics::value).collect();
            output::json(&json!({"files": files, "findings": findings}))
        }
        Format::Github => found.iter().map(diagnostics::github).collect(),
        Format::Sarif => output::json(&diagnostics::sarif(&found, |code| {
            let rule = Rule::of_code(code)?;
            Some(manual::page(rule).title)
        })),
    };
    match format {
        Format::Text => output::print(&text)?,
        Format::Json | Format::Github | Format::Sarif => output::print_raw(&text)?,
    };
    Ok(ended)
}

/// What was found in all files, in their order; what shows only in several comes with its file.
fn all(judged: Vec<Judged>) -> Vec<Diagnostic> {
    let mut streams: Vec<(Vec<Diagnostic>, Allowed, bool)> = Vec::new();
    let mut places = Vec::new();
    let mut files: Vec<File> = Vec::new();
    let mut stream_of = BTreeMap::new();
    for Judged {
        found,
        allowed,
        stream,
        name: _,
    } in judged
    {
        let is_manifest = matches!(stream, Stream::Manifest(_));
        match stream {
            Stream::Policies(policies) => places.extend(policies),
            Stream::Nothing(_) => continue,
            Stream::Manifest(file) => {
                stream_of.insert(Arc::as_ptr(&file.source), streams.len());
                files.push(file);
            }
        }
        streams.push((found, allowed, is_manifest));
    }
    for found in lint::together(&files) {
        if let Some(stream) = stream_of.get(&Arc::as_ptr(&found.source)) {
            streams[*stream].0.push(found);
        }
    }
    let (_, contradictions) = PolicySet::new(places);
    let settled = streams
        .into_iter()
        .flat_map(|(mut found, allowed, is_manifest)| {
            found.retain(|found| !allowed.accepts(found));
            // What is wrong with a policy is said in the order of its fields.
            if is_manifest {
                lint::in_order(found)
            } else {
                found
            }
        });
    settled.chain(contradictions).collect()
}

/// Codes or their beginnings, each of which must be one.
fn codes(given: &[String]) -> anyhow::Result<Vec<String>> {
    let given = given.iter().map(|code| code.trim().to_ascii_uppercase());
    given
        .map(|code| {
            if !code.is_empty() && known().any(|known| known.starts_with(&code)) {
                return Ok(code);
            }
            bail!(unknown(&code));
        })
        .collect()
}

fn known() -> impl Iterator<Item = &'static str> {
    let policies = policy::Rule::ALL.iter().map(|rule| rule.code());
    Rule::ALL.iter().map(|rule| rule.code()).chain(policies)
}

fn unknown(code: &str) -> String {
    let digits: String = code.chars().filter(char::is_ascii_digit).collect();
    let meant = digits
        .parse::<u32>()
        .ok()
        .map(|number| format!("QV{number:03}"));
    let last = policy::Rule::ALL.last().map_or("", |rule| rule.code());
    let all = || format!("rules are QV000 to QV053 for hooks, QP001 to {last} for policies");
    let meant = meant.filter(|meant| known().any(|known| known == meant));
    let hint = meant.map_or_else(all, |meant| format!("did you mean {meant}?"));
    format!("there is no rule {code:?}: {hint}")
}

/// The rows of the table that this rule comes from.
fn evidence(rule: Rule) -> Vec<String> {
    let rows = EVIDENCE.iter().filter(|row| row.rule == rule);
    rows.map(|row| {
        let images = match row.images {
            [] => "any image".to_owned(),
            images => images.join(", "),
        };
        let (said, wrong, proof) = (row.says[0].trim(), row.wrong, row.proof);
        format!("{said} ({images}): {wrong}\n  {proof}")
    })
    .collect()
}

fn explain(code: &str, format: Format) -> anyhow::Result<Ended> {
    let Some(rule) = Rule::of_code(code) else {
        if known().any(|known| known.eq_ignore_ascii_case(code)) {
            bail!("{code} is about policy files: quiescent schema says what they take");
        }
        bail!(unknown(code));
    };
    let manual::Page {
        rule,
        title,
        why,
        wrong,
        right,
        source,
        later,
    } = manual::page(rule);
    let told = page::Page {
        code: rule.code(),
        severity: rule.severity(),
        title,
        why,
        wrong,
        right,
        source,
        later,
        evidence: evidence(rule),
    };
    output::print(&match format {
        Format::Text | Format::Github => page::text(&told),
        Format::Json | Format::Sarif => output::json(&page::value(&told)),
    })
}
