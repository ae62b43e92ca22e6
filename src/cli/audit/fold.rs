//! Findings in the order in which people look for them, and the pods of one workload as one.

use crate::audit::Finding;

/// By namespace and name, `pg-2` before `pg-10`.
pub fn sort(findings: &mut [Finding]) {
    findings
        .sort_by_cached_key(|it| (it.namespace.clone(), natural(&it.pod), it.container.clone()));
}

/// A name in parts, of which numbers count as such.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (text, after) = rest.split_at(digits);
        let end = after
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(after.len());
        let (number, after) = after.split_at(end);
        parts.push((text.to_owned(), number.parse().unwrap_or(u64::MAX)));
        rest = after;
    }
    parts
}

/// Pods of one workload of which the same is said.
pub struct Row<'f> {
    pub finding: &'f Finding,
    pub last: Option<&'f Finding>,
}

pub fn rows(findings: &[Finding]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for finding in findings {
        match rows.iter_mut().find(|row| is_same(row.finding, finding)) {
            Some(row) => row.last = Some(finding),
            None => rows.push(Row {
                finding,
                last: None,
            }),
        }
    }
    rows
}

fn is_same(one: &Finding, other: &Finding) -> bool {
    one.owner.is_some()
        && one.exists
        && other.exists
        && one.namespace == other.namespace
        && one.owner == other.owner
        && one.container == other.container
        && (&one.engine, &one.version) == (&other.engine, &other.version)
        && (one.reason, one.because) == (other.reason, other.because)
        && one.hook == other.hook
        && one.schedules == other.schedules
        && one.volumes == other.volumes
}

impl Row<'_> {
    /// The pods, or what makes them where there are none yet.
    pub fn pods(&self) -> String {
        let Self { finding, last } = self;
        match (&finding.owner, last) {
            (Some((kind, name)), _) if !finding.exists => {
                format!("{}/{name}", kind.to_lowercase())
            }
            (_, Some(last)) => format!("{} … {}", finding.pod, last.pod),
            (_, None) => finding.pod.clone(),
        }
    }
}
