//! A hook that is a call over HTTP: what is sent where, and what makes an answer a good one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::{Deserialize, Serialize};

use super::{
    file::{Field, Method, Retry, SecretKeyRef},
    fingerprint,
};
use crate::velero::{OnError, Timeout};

/// A call without anything wrong in it. Of Secrets it knows no more than the name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub method: Method,
    pub target: Target,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, Text)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Text>,
    pub statuses: Vec<Statuses>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// The certificates to trust, where not those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretKeyRef>,
    /// For all attempts together.
    pub timeout: Timeout,
    pub on_error: OnError,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
}

/// Method and address, as people tell calls apart.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method.as_str(), self.target)
    }
}

impl Call {
    /// What it needs of Secrets, each named once.
    #[must_use]
    pub fn secrets(&self) -> Vec<&SecretKeyRef> {
        let texts = self.headers.iter().map(|(_, text)| text).chain(&self.body);
        let named = texts.filter_map(|it| it.secret.as_ref()).chain(&self.ca);
        let mut each: Vec<&SecretKeyRef> = Vec::new();
        for secret in named {
            if !each.contains(&secret) {
                each.push(secret);
            }
        }
        each
    }
}

/// The variable in which a container that calls has what stands under a key of a Secret.
#[must_use]
pub fn variable(secret: &SecretKeyRef) -> String {
    let SecretKeyRef { name, key } = secret;
    let short = fingerprint([name.as_bytes(), key.as_bytes()], 12);
    format!("QUIESCENT_SECRET_{}", short.to_ascii_uppercase())
}

/// So long a pre hook that was not waited for may still end, and have its doings undone once more.
pub const LINGER: Timeout = Timeout::from_seconds(10);

/// Who is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A port on the loopback of the pod.
    Pod { port: u16, path: String },
    /// An address that is reached from where we run.
    Url(Url),
}

impl Target {
    /// The path with the query.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Pod { path, .. } | Self::Url(Url { path, .. }) => path,
        }
    }

    /// As the header `Host` has it.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Pod { port, .. } => format!("127.0.0.1:{port}"),
            Self::Url(url) => url.authority(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pod { port, path } => write!(f, ":{port}{path}"),
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}

/// An address without a user, a password or a fragment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Url {
    pub https: bool,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
    pub path: String,
}

impl Url {
    /// Reads `http://` and `https://` addresses.
    ///
    /// # Errors
    /// Why it is none that can be called.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            (None, None) => return Err("an address begins with http:// or https://"),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err("an address has no user and no password: write a header from a Secret");
        }
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("a bracket is not closed")?;
                if host.parse::<Ipv6Addr>().is_err() {
                    return Err("between brackets stands an IPv6 address");
                }
                (
                    host,
                    port.strip_prefix(':').or(port.is_empty().then_some("")),
                )
            }
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, Some("")),
            },
        };
        let of_host = |it: char| it.is_ascii_alphanumeric() || "-._:".contains(it);
        if host.is_empty() || !host.chars().all(of_host) {
            return Err("an address has the name of a host");
        }
        let port = match port {
            Some("") if https => 443,
            Some("") => 80,
            Some(port) => port.parse().ok().filter(|it| *it > 0).unwrap_or(0),
            None => 0,
        };
        if port == 0 {
            return Err("a port is a number from 1 to 65535");
        }
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        };
        is_path(&path)?;
        Ok(Self {
            https,
            host: host.to_ascii_lowercase(),
            port,
            path,
        })
    }

    /// Host and port, the port where it is not the usual one.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self {
            https, host, port, ..
        } = self;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        match (https, port) {
            (true, 443) | (false, 80) => host,
            _ => format!("{host}:{port}"),
        }
    }

    /// Where a call of it goes.
    #[must_use]
    pub fn reach(&self) -> Reach {
        let Self { host, .. } = self;
        if let Ok(address) = host.parse::<IpAddr>() {
            return of_address(address);
        }
        let host = host.trim_end_matches('.');
        if host == "localhost" || host.ends_with(".localhost") {
            return Reach::Here;
        }
        // As `shop.db.svc.cluster.local`, or less of it.
        let mut labels = host.split('.').skip(1);
        if labels.any(|it| it == "svc") || !host.contains('.') {
            Reach::Cluster
        } else {
            Reach::Far
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// Where an address leads, by how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To the machine on which the program runs, or to what its network keeps there.
    Here,
    Cluster,
    Far,
}

fn of_address(address: IpAddr) -> Reach {
    let shared = |it: Ipv4Addr| it.octets()[0] == 100 && it.octets()[1] & 0xc0 == 64;
    let (here, within) = match address.to_canonical() {
        IpAddr::V4(it) => (
            it.is_loopback() || it.is_link_local() || it.is_unspecified(),
            it.is_private() || shared(it),
        ),
        IpAddr::V6(it) => (
            it.is_loopback() || it.is_unicast_link_local() || it.is_unspecified(),
            it.is_unique_local(),
        ),
    };
    match (here, within) {
        (true, _) => Reach::Here,
        (false, true) => Reach::Cluster,
        (false, false) => Reach::Far,
    }
}

/// # Errors
/// Why a request cannot have it for its path.
pub fn is_path(text: &str) -> Result<(), &'static str> {
    if !text.starts_with('/') {
        return Err("a path begins with /");
    }
    if text.contains('#') {
        return Err("a path that is called has no #");
    }
    if !text.bytes().all(|it| it.is_ascii_graphic()) {
        return Err(
            "a path has no blanks and no letters beside those of ASCII: write %20 and the like",
        );
    }
    Ok(())
}

/// A text that is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    pub literal: String,
    /// What follows, by name.
    pub secret: Option<SecretKeyRef>,
}

/// Statuses that are next to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statuses {
    pub from: u16,
    pub to: u16,
}

impl Statuses {
    pub const GOOD: Self = Self { from: 200, to: 299 };

    /// Reads `200` and `2xx`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (from, to) = if let Some(hundred) = text.strip_suffix("xx") {
            let from = hundred.parse::<u16>().ok()?.checked_mul(100)?;
            (from, from.checked_add(99)?)
        } else {
            let code = text.parse().ok()?;
            (code, code)
        };
        (100..=599).contains(&from).then_some(Self { from, to })
    }

    #[must_use]
    pub const fn contains(self, status: u16) -> bool {
        self.from <= status && status <= self.to
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        if from == to {
            write!(f, "{from}")
        } else {
            write!(f, "{}xx", from / 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written() {
        for (text, written, reach) in [
            ("http://shop", "http://shop/", Reach::Cluster),
            (
                "https://Shop.svc:8443/a?b=c",
                "https://shop.svc:8443/a?b=c",
                Reach::Cluster,
            ),
            (
                "https://shop.db.svc.cluster.local:443/",
                "https://shop.db.svc.cluster.local/",
                Reach::Cluster,
            ),
            ("http://10.1.2.3:80?x", "http://10.1.2.3/?x", Reach::Cluster),
            (
                "http://[fd00::1]:81/",
                "http://[fd00::1]:81/",
                Reach::Cluster,
            ),
            ("https://example.com/", "https://example.com/", Reach::Far),
            (
                "http://svc.example.com/",
                "http://svc.example.com/",
                Reach::Far,
            ),
            ("https://1.1.1.1/", "https://1.1.1.1/", Reach::Far),
            ("http://localhost:1/", "http://localhost:1/", Reach::Here),
            ("http://127.0.0.2/", "http://127.0.0.2/", Reach::Here),
            (
                "http://169.254.169.254/latest",
                "http://169.254.169.254/latest",
                Reach::Here,
            ),
            (
                "http://[::ffff:127.0.0.1]/",
                "http://[::ffff:127.0.0.1]/",
                Reach::Here,
            ),
        ] {
            let url = Url::parse(text).unwrap();
            assert_eq!((url.to_string().as_str(), url.reach()), (written, reach));
        }
        for text in [
            "shop/a",
            "ftp://shop/",
            "http:///a",
            "http://user:pass@shop/",
            "http://shop:0/",
            "http://shop:http/",
            "http://shop:99999/",
            "http://[::1/",
            "http://[shop]/",
            "http://[::1]x/",
            "http://shop/a b",
            "http://shop/a#b",
            "http://sh op/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_status_is_one_or_a_hundred() {
        for (text, from, to) in [("200", 200, 200), ("2xx", 200, 299), ("404", 404, 404)] {
            let statuses = Statuses::parse(text).unwrap();
            assert_eq!(statuses, Statuses { from, to });
            assert_eq!(statuses.to_string(), text);
        }
        for text in ["", "xx", "6xx", "20", "0xx", "2x", "two", "655xx", "99999"] {
            assert_eq!(Statuses::parse(text), None, "{text}");
        }
    }
}
