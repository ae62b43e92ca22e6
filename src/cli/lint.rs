//! `quiescent lint`: what is wrong with policy files, with hooks in manifests, and with Velero's
//! own objects.

mod fix;
mod read;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::bail;
use serde_json::{Value, json};

use self::{
    fix::Mended,
    read::{Given, Judged, Stream},
};
use super::{Ended, output};
use crate::{
    diagnostic::{Diagnostic, Fix, any_error},
    lint::{self, Allowed, File, Rule, engines::EVIDENCE, manual},
    policy::{self, PolicySet},
    report::{diagnostics, manual as page},
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A comment `# quiescent: allow QV012 because …` on a line, or on the line above, accepts a finding. \
--fix writes a file whole or not at all, and asks nothing: --diff shows what it would do.

Examples:
  quiescent lint manifests
  quiescent lint --diff manifests
  quiescent lint --fix manifests
  quiescent lint --explain QV015
  quiescent lint --select QV015,QP --ignore QV012 manifests
  quiescent lint -o sarif manifests > lint.sarif
  helm template shop ./chart | quiescent lint -
  kubectl get backups,schedules -A -o yaml | quiescent lint -")]
pub struct Args {
    /// Policy files and manifests, folders with such files, or - for standard input
    #[arg(required_unless_present = "explain", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Mend in the files what needs no question; of standard input, print what it becomes
    #[arg(long)]
    fix: bool,
    /// Print what --fix would change, and change nothing
    #[arg(long, conflicts_with_all = ["fix", "output"])]
    diff: bool,
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Judge by these codes alone, or by those that begin like this: QV015,QP
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    select: Vec<String>,
    /// Leave these codes out
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Say why a rule is one, with a wrong and a right example
    #[arg(long, value_name = "CODE", conflicts_with_all = ["paths", "select", "ignore", "fix", "diff"])]
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
        fix,
        diff,
        output: format,
        select,
        ignore,
        explain,
    } = args;
    if let Some(code) = explain {
        return self::explain(code, *format);
    }
    let filter = Filter {
        select: codes(select)?,
        ignore: codes(ignore)?,
    };
    let mut given = Given::below(paths)?;
    let mut looked = Looked::at(&given, &filter);
    let mut mended = None;
    if *diff {
        looked.say_what_was_not_judged();
        return fix::diff(&given, &looked);
    }
    if *fix {
        let done = fix::mend(&mut given, &looked)?;
        if done.changed {
            looked = Looked::at(&given, &filter);
        }
        mended = Some(done);
    }
    looked.say_what_was_not_judged();
    if let Some(mended) = mended.as_ref().filter(|_| *format != Format::Text) {
        mended.say_what_was_not_written();
    }
    let text = rendered(*format, &looked, mended.as_ref());
    match (mended, &given.standard_input) {
        (Some(mended), Some(fixed)) => {
            anstream::eprint!("{text}");
            output::print_raw(fixed)?;
            Ok(looked.ended.max(mended.ended()))
        }
        (mended, _) => {
            match format {
                Format::Text => output::print(&text)?,
                Format::Json | Format::Github | Format::Sarif => output::print_raw(&text)?,
            };
            Ok(mended.map_or(looked.ended, |mended| looked.ended.max(mended.ended())))
        }
    }
}

fn rendered(format: Format, looked: &Looked, mended: Option<&Mended>) -> String {
    let found = &looked.found;
    match format {
        Format::Text => {
            let findings = found
                .iter()
                .map(|found| diagnostics::text(found, output::width()) + "\n\n");
            let mended_text = mended.map_or_else(String::new, Mended::text);
            let fixable = found
                .iter()
                .filter(|it| it.fix.as_ref().is_some_and(Fix::is_a_change));
            let fixable = match fixable.count() {
                0 => String::new(),
                _ if mended.is_some() => String::new(),
                many => format!("--fix mends {many} of them, --diff shows how\n"),
            };
            let mut explained = found.iter().filter(|it| Rule::of_code(it.code).is_some());
            let why = explained.next().map_or_else(String::new, |found| {
                format!("why: quiescent lint --explain {}\n", found.code)
            });
            let summary = match (looked.files(), looked.ended) {
                (0, Ended::Undone) => String::new(),
                (files, _) => diagnostics::summary(files, found) + "\n",
            };
            findings.collect::<String>() + &mended_text + &summary + &fixable + &why
        }
        Format::Json => {
            let findings: Vec<Value> = found.iter().map(diagnostics::value).collect();
            let mut told = json!({"files": looked.files(), "findings": findings});
            if let Some(mended) = mended {
                (told["fixed"], told["left"]) = mended.values();
            }
            output::json(&told)
        }
        Format::Github => found.iter().map(diagnostics::github).collect(),
        Format::Sarif => output::json(&diagnostics::sarif(found, |code| {
            let rule = Rule::of_code(code)?;
            Some(manual::page(rule).title)
        })),
    }
}

/// Which findings count.
struct Filter {
    select: Vec<String>,
    ignore: Vec<String>,
}

impl Filter {
    fn takes(&self, found: &Diagnostic) -> bool {
        let Self { select, ignore } = self;
        let named = |codes: &[String]| codes.iter().any(|code| found.code.starts_with(code));
        (select.is_empty() || named(select)) && !named(ignore)
    }
}

/// What a look at all files led to.
struct Looked {
    /// The files that were judged, by the names that findings have for them.
    paths: BTreeMap<String, PathBuf>,
    found: Vec<Diagnostic>,
    not_judged: Vec<String>,
    ended: Ended,
}

impl Looked {
    fn at(given: &Given, filter: &Filter) -> Self {
        let mut ended = Ended::Fine;
        let mut paths = BTreeMap::new();
        let mut not_judged = Vec::new();
        let mut judged = Vec::new();
        for one in given.judge() {
            match one {
                Ok(one) => {
                    if let Stream::Nothing(why) = one.stream {
                        not_judged.push(format!("{}: {why}, nothing was judged", one.source.name));
                        continue;
                    }
                    paths.insert(one.source.name.clone(), one.path.clone());
                    judged.push(one);
                }
                Err(error) => {
                    ended = Ended::Undone;
                    not_judged.push(super::problem(&error));
                }
            }
        }
        let mut found = all(judged, filter);
        found.retain(|found| filter.takes(found));
        if any_error(&found) {
            ended = ended.max(Ended::Findings);
        }
        Self {
            paths,
            found,
            not_judged,
            ended,
        }
    }

    fn files(&self) -> usize {
        self.paths.len()
    }

    fn say_what_was_not_judged(&self) {
        for line in &self.not_judged {
            anstream::eprintln!("{line}");
        }
    }
}

/// What was found in all files, in their order; what shows only in several comes with its file.
fn all(judged: Vec<Judged>, filter: &Filter) -> Vec<Diagnostic> {
    let mut streams: Vec<(Vec<Diagnostic>, Allowed, Option<usize>)> = Vec::new();
    let mut places = Vec::new();
    let mut files: Vec<File> = Vec::new();
    let mut stream_of = BTreeMap::new();
    for Judged {
        found,
        allowed,
        stream,
        source: _,
        path: _,
    } in judged
    {
        let mut manifest = None;
        match stream {
            Stream::Policies(policies) => places.extend(policies),
            Stream::Nothing(_) => continue,
            Stream::Manifest(file) => {
                stream_of.insert(Arc::as_ptr(&file.source), streams.len());
                manifest = Some(files.len());
                files.push(file);
            }
        }
        streams.push((found, allowed, manifest));
    }
    for found in lint::together(&files) {
        if let Some(stream) = stream_of.get(&Arc::as_ptr(&found.source)) {
            streams[*stream].0.push(found);
        }
    }
    let (_, contradictions) = PolicySet::new(places);
    let settled = streams
        .into_iter()
        .flat_map(|(mut found, allowed, manifest)| {
            found.retain(|found| !allowed.accepts(found));
            // What is wrong with a policy is said in the order of its fields.
            let Some(manifest) = manifest else {
                return found;
            };
            lint::hold_back(&files[manifest], &mut found, |it| filter.takes(it));
            lint::in_order(found)
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
    let all = || {
        let hooks = Rule::ALL.last().map_or("", |rule| rule.code());
        let policies = policy::Rule::ALL.last().map_or("", |rule| rule.code());
        format!("rules are QV000 to {hooks} for hooks, QP001 to {policies} for policies")
    };
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
        fix,
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
        fix,
        source,
        later,
        evidence: evidence(rule),
    };
    output::print(&match format {
        Format::Text | Format::Github => page::text(&told, output::terminal()),
        Format::Json | Format::Sarif => output::json(&page::value(&told)),
    })
}
