//! The table: one row for each workload, then the counts and what mends the most.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{counts, fold};
use crate::{
    audit::{Finding, Holds, Recreated, Saved, Verdict, Volume},
    report::Style,
};

const HEADINGS: [&str; 10] = [
    "NAMESPACE",
    "POD",
    "DATABASE",
    "HOOK",
    "SCHEDULE",
    "VOLUMES",
    "CONTAINER",
    "REASON",
    "IF MADE NOW",
    "NEXT",
];

/// So many columns come first, and are what most people want to see.
const NARROW: usize = 6;

/// The column of the hook, in the colour of the verdict.
const HOOK: usize = 3;

/// How narrow each column becomes where the terminal is, and how narrow it may become at worst.
const NARROWER: [[usize; NARROW]; 2] = [[9, 14, 14, 32, 8, 22], [8, 10, 9, 16, 8, 9]];

const GAP: &str = "  ";

/// All findings in so many columns of a terminal, or all that there is to say of them.
pub fn text(findings: &[Finding], width: Option<usize>) -> String {
    let columns = width.map_or(HEADINGS.len(), |_| NARROW);
    let rows = fold::rows(findings);
    let mut cells = vec![HEADINGS.map(str::to_owned)];
    cells.extend(rows.iter().map(row));
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = cells.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        })
        .collect();
    if let Some(width) = width {
        narrow(&mut widths, width);
    }
    let mut text = String::new();
    for (number, row) in cells.iter().enumerate() {
        let verdict = number.checked_sub(1).map(|it| rows[it].finding.verdict());
        let cells = row.iter().zip(&widths).enumerate();
        let line: Vec<String> = cells
            .map(|(column, (cell, &width))| {
                let last = column + 1 == columns;
                let shown = cut(cell, width);
                let shown = if last {
                    shown
                } else {
                    format!("{shown:<width$}")
                };
                match (verdict, column) {
                    (None, _) => Style::Strong.paint(shown),
                    (Some(verdict), HOOK) => style(verdict).paint(shown),
                    _ => shown,
                }
            })
            .collect();
        let _ = writeln!(text, "{}", line.join(GAP).trim_end());
    }
    let _ = write!(text, "\n{}", summary(findings));
    text
}

/// Takes from the widest column that can spare something until all fit.
fn narrow(widths: &mut [usize], width: usize) {
    let gaps = GAP.len() * (widths.len() - 1);
    for least in NARROWER {
        while widths.iter().sum::<usize>() + gaps > width {
            let spare = widths.iter().zip(least).enumerate();
            let widest = spare
                .filter(|(_, (width, least))| **width > *least)
                .max_by_key(|(_, (width, least))| *width - least);
            let Some((column, _)) = widest else { break };
            widths[column] -= 1;
        }
    }
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    let kept: String = cell.chars().take(width.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

const fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Protected => Style::Good,
        Verdict::ByOperator | Verdict::LeftAlone => Style::Faint,
        Verdict::Unprotected | Verdict::DoesNothing => Style::Bad,
    }
}

fn row(row: &fold::Row<'_>) -> [String; 10] {
    let finding = row.finding;
    [
        finding.namespace.clone(),
        row.pods(),
        finding.database(),
        finding.hook.clone(),
        schedules(finding),
        volumes(finding),
        finding.container.clone(),
        finding.reason.as_str().to_owned(),
        recreated(finding),
        finding.next.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

fn schedules(finding: &Finding) -> String {
    if matches!(finding.verdict(), Verdict::ByOperator | Verdict::LeftAlone) {
        return "-".to_owned();
    }
    match finding.schedules.as_deref() {
        None => "unknown".to_owned(),
        Some([]) => "none".to_owned(),
        Some(names) => names.join(", "),
    }
}

fn volumes(finding: &Finding) -> String {
    if matches!(finding.verdict(), Verdict::ByOperator | Verdict::LeftAlone) {
        return "-".to_owned();
    }
    let dumped = finding.volumes.iter().any(|it| it.holds == Holds::Dump);
    let prepared = finding.verdict() == Verdict::Protected;
    let words = |volume: &Volume| match (volume.holds, volume.saved) {
        (Holds::Dump, Saved::FileCopy) => "dump saved",
        (Holds::Dump, Saved::Snapshot) => "dump by snapshot",
        (Holds::Dump, Saved::Not) => "dump not saved",
        (Holds::Dump, Saved::Unknown) => "dump unknown",
        (Holds::Data, Saved::FileCopy) if prepared => "data by file copy",
        (Holds::Data, Saved::FileCopy) => "data by file copy, unsafe",
        (Holds::Data, Saved::Snapshot) if volume.apart => "data by snapshots, seconds apart",
        (Holds::Data, Saved::Snapshot) => "data by snapshot",
        (Holds::Data, Saved::Not) if dumped && prepared => "data skipped",
        (Holds::Data, Saved::Not) => "data not saved",
        (Holds::Data, Saved::Unknown) => "data unknown",
    };
    let mut said: Vec<&str> = Vec::new();
    for words in finding.volumes.iter().map(words) {
        if !said.contains(&words) {
            said.push(words);
        }
    }
    if finding.volumes.iter().all(|it| it.holds == Holds::Dump) {
        said.push("data in no volume");
    }
    said.join(", ")
}

fn recreated(finding: &Finding) -> String {
    match &finding.recreated {
        Recreated::Hooked(policies) => policies.join(", "),
        Recreated::AsWritten(why) => format!("as written: {why}"),
    }
}

/// The last lines: how many there are of each kind, and what mends the most.
fn summary(findings: &[Finding]) -> String {
    let many = findings.len();
    let what = if many == 1 { "database" } else { "databases" };
    let counted = counts(findings);
    let counted = counted.iter().filter(|(_, many)| *many > 0);
    let counted = counted.map(|(verdict, many)| format!("{many} {}", verdict.words()));
    let counted = counted.collect::<Vec<_>>().join(", ");
    let mut text = format!("{many} {what}: {counted}\n");
    if let Some(next) = next(findings) {
        let _ = writeln!(text, "{} {next}", Style::Strong.paint("next:"));
    }
    text
}

/// What mends the most of what is bad; of the same number, what comes first.
fn next(findings: &[Finding]) -> Option<&str> {
    let bad = findings.iter().filter(|it| it.verdict().is_bad());
    let mut mends: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (place, next) in bad.filter_map(|it| it.next.as_deref()).enumerate() {
        mends.entry(next).or_insert((0, place)).0 += 1;
    }
    let most = mends
        .into_iter()
        .max_by_key(|(_, (many, place))| (*many, std::cmp::Reverse(*place)));
    most.map(|(next, _)| next)
}

#[cfg(test)]
mod tests;
