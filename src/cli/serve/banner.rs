//! What `serve` says when it starts: what it loaded, where it listens, how to try it.

use std::{fmt::Write as _, net::SocketAddr, path::Path, time::SystemTime};

use crate::{
    certs::Certificate, policy::PolicySet, policy_files::Sources, report::Style, server::PATH,
};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;

pub struct Banner<'b> {
    pub policies: &'b PolicySet,
    pub sources: &'b Sources,
    pub webhook: SocketAddr,
    pub admin: SocketAddr,
    pub certificate: &'b Certificate,
    /// The folder of the certificate; absent when it was made in memory.
    pub from: Option<&'b Path>,
    pub cluster: bool,
}

impl Banner<'_> {
    pub fn text(&self, now: SystemTime) -> String {
        let Self {
            policies,
            sources,
            webhook,
            admin,
            certificate,
            from,
            cluster,
        } = self;
        let left = certificate
            .not_after()
            .duration_since(now)
            .unwrap_or_default();
        let days = (left.as_secs() + DAY / 2) / DAY;
        let origin = match from {
            Some(path) => format!("from {}", path.display()),
            None => "made in memory".to_owned(),
        };
        let fingerprint: String = certificate.fingerprint().chars().take(8).collect();
        let namespaces = if *cluster {
            "watched for their labels"
        } else {
            "labels unknown (no cluster): policies that ask for them are passed over"
        };
        let mut text = format!("quiescent {}\n", env!("CARGO_PKG_VERSION"));
        let mut line = |what: &str, says: &str, more: &str| {
            if more.is_empty() {
                let _ = writeln!(text, "  {what:<10} {says}");
            } else {
                let _ = writeln!(text, "  {what:<10} {says:<36} {}", Style::Faint.paint(more));
            }
        };
        line(
            "policies",
            &format!("{} of {sources}", policies.len()),
            "quiescent library list",
        );
        line(
            "webhook",
            &format!("https://{webhook}{PATH}"),
            &format!("certificate {origin}, sha256 {fingerprint}…, {days} days"),
        );
        line(
            "admin",
            &format!("http://{admin}"),
            "/livez /readyz /metrics /ca.pem (the caBundle)",
        );
        line("namespaces", namespaces, "");
        let _ = writeln!(
            text,
            "  try it     curl -s http://{admin}/sample | curl -sk https://{webhook}{PATH} -H 'content-type: application/json' -d @- \\\n             | grep -o '\"patch\":\"[^\"]*' | cut -d'\"' -f4 | base64 -d"
        );
        text
    }
}
