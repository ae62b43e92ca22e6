//! The certificate that the webhook shows, and whether the API server trusts it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Check, Finding, Observed, Seen, Told, bundles,
    object::{named, setting, some},
};

/// What cert-manager writes on the Secrets that it fills.
const OF_CERT_MANAGER: &str = "cert-manager.io/certificate-name";

/// What has cert-manager fill in a caBundle.
const INJECTS: &str = "cert-manager.io/inject-ca-from";

/// A day in seconds.
const DAY: i64 = 24 * 60 * 60;

/// A certificate that was seen.
#[derive(Clone, Debug)]
pub struct Shown {
    pub source: Source,
    pub from: i64,
    pub until: i64,
    /// The DNS names that it is for.
    pub names: Vec<String>,
    /// What each of the entries makes of it, by its name.
    pub trust: BTreeMap<String, Trust>,
}

/// Where it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// At a replica, by its pod or its address.
    Replica(String),
    /// In the Secret, which a replica may not have taken up.
    Secret(String),
}

impl Source {
    fn says(&self) -> String {
        match self {
            Self::Replica(name) => format!("the certificate of {name}"),
            Self::Secret(name) => format!("the certificate in the Secret {name}"),
        }
    }
}

/// What somebody with a caBundle makes of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    Trusted,
    /// Another authority signed it.
    NotTrusted,
    WrongName,
    /// It has ended, or has not begun.
    NotValidNow,
    /// Nobody is named whom to trust.
    NoBundle,
    /// What is there is no certificate.
    UnreadableBundle,
}

pub fn judge(observed: &Observed) -> Vec<Told> {
    let mut told: Vec<Told> = Vec::new();
    for it in observed
        .shown
        .iter()
        .flat_map(|it| distrusted(observed, it))
    {
        // What all replicas have in common is said once.
        if !told.contains(&it) {
            told.push(it);
        }
    }
    if observed.shown.is_empty() {
        told.extend(bundles_alone(observed));
    }
    told.extend(followed(observed));
    if told.is_empty() {
        told.push(alright(observed));
    }
    told
}

fn distrusted(observed: &Observed, shown: &Shown) -> Vec<Told> {
    let whose = shown.source.says();
    let mut told = Vec::new();
    let by_trust = |wanted: Trust| -> Vec<&str> {
        let those = shown.trust.iter().filter(|(_, trust)| **trust == wanted);
        those.map(|(entry, _)| entry.as_str()).collect()
    };
    let host = observed.names.host();
    let get = format!(
        "kubectl get mutatingwebhookconfiguration {} -o jsonpath='{{.webhooks[*].clientConfig.caBundle}}'",
        observed.names.webhook
    );
    for trust in [
        Trust::NoBundle,
        Trust::UnreadableBundle,
        Trust::NotTrusted,
        Trust::WrongName,
    ] {
        let entries = by_trust(trust);
        if entries.is_empty() {
            continue;
        }
        let entries = some(entries);
        told.push(match trust {
            Trust::NoBundle => Told::finding(Finding::BundleAbsent, format!("{entries}: no caBundle"), get.clone()),
            Trust::UnreadableBundle => Told::finding(Finding::BundleUnreadable, format!("{entries}: the caBundle holds no certificate that can be read"), get.clone()),
            Trust::WrongName => Told::finding(
                Finding::WrongName,
                format!("{whose} is for {}, not for {host}", listed(&shown.names)),
                format!("have it made for {host}: certs/make, or dnsNames of cert-manager's Certificate"),
            ),
            _ => Told::finding(
                Finding::NotTrusted,
                format!("{entries}: the caBundle does not trust {whose}"),
                format!("kubectl -n {} get secret {} -o jsonpath='{{.data.ca\\.crt}}' has the authority, which belongs into the caBundle", observed.names.own_namespace, observed.names.secret),
            ),
        });
    }
    let Shown { from, until, .. } = shown;
    let log = format!(
        "kubectl -n {} logs -l app.kubernetes.io/name=quiescent-controller | grep certificate",
        observed.names.own_namespace
    );
    if *until <= observed.now {
        told.push(Told::finding(
            Finding::CertificateEnded,
            format!("{whose} ended {} ago", age(observed.now - until)),
            log,
        ));
    } else if *from > observed.now {
        told.push(Told::finding(
            Finding::CertificateEnded,
            format!("{whose} is valid only in {}", age(from - observed.now)),
            "timedatectl status",
        ));
    } else if (until - observed.now) < (until - from) / 4 {
        told.push(Told::finding(
            Finding::CertificateEnds,
            format!(
                "{whose} ends in {}, and should have been renewed",
                age(until - observed.now)
            ),
            log,
        ));
    }
    told
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "no name".to_owned(),
        names => some(names.iter().map(String::as_str)),
    }
}

/// What can be said of the bundles where no certificate was seen.
fn bundles_alone(observed: &Observed) -> Vec<Told> {
    let (Some(mutating), validating) = (observed.mutating.known(), observed.validating.known())
    else {
        return Vec::new();
    };
    let validating = validating.map_or(&[][..], Vec::as_slice);
    let bundles = bundles(&observed.names, mutating, validating);
    let empty: Vec<&str> = bundles
        .iter()
        .filter(|(_, bundle)| bundle.is_empty())
        .map(|(entry, _)| entry.as_str())
        .collect();
    if empty.is_empty() {
        return Vec::new();
    }
    vec![Told::finding(
        Finding::BundleAbsent,
        format!("{}: no caBundle", some(empty)),
        "run the controller with --certificates issue, or annotate the configuration for cert-manager",
    )]
}

/// Whether somebody writes the entries when cert-manager changes its authority.
fn followed(observed: &Observed) -> Option<Told> {
    let Seen::Known(annotations) = &observed.secret else {
        return None;
    };
    let of_cert_manager = annotations.contains_key(OF_CERT_MANAGER);
    let configuration = named(observed.mutating.known()?, &observed.names.webhook)?;
    let injected = configuration["metadata"]["annotations"][INJECTS].is_string();
    let mut controllers = observed.deployments.known()?.iter();
    let follows = controllers.any(|it| setting(it, "certificates") == Some("follow"));
    (of_cert_manager && !injected && !follows).then(|| {
        Told::finding(
            Finding::NobodyFollows,
            "cert-manager makes the certificate, and nobody writes its authority into the entries",
            format!(
                "kubectl annotate mutatingwebhookconfiguration {} {INJECTS}={}/CERTIFICATE",
                observed.names.webhook, observed.names.own_namespace
            ),
        )
    })
}

fn alright(observed: &Observed) -> Told {
    let soonest = observed.shown.iter().map(|it| it.until).min();
    let Some(soonest) = soonest else {
        let secret = match observed.secret {
            Seen::Known(_) => "there is none that can be read in",
            Seen::Absent => "there is no Secret",
            Seen::Forbidden | Seen::Failed(_) => "we may not read the Secret",
        };
        return Told::unknown(
            Check::Certificate,
            format!(
                "no replica shows us its own, and {secret} {}",
                observed.names.secret
            ),
        );
    };
    let ends = age(soonest - observed.now);
    let replicas: BTreeSet<String> = observed
        .shown
        .iter()
        .filter_map(|it| match &it.source {
            Source::Replica(name) => Some(name.clone()),
            Source::Secret(_) => None,
        })
        .collect();
    let trusting = observed.shown.iter().any(|it| !it.trust.is_empty());
    let trusted = if trusting {
        "the caBundle of every entry trusts"
    } else {
        "no entry is known that trusts"
    };
    Told::fine(
        Check::Certificate,
        match replicas.len() {
            0 => format!(
                "{trusted} the one in the Secret, which ends in {ends}; no replica shows us its own"
            ),
            1 => format!("{trusted} the one that the replica shows, which ends in {ends}"),
            number => format!("{trusted} what {number} replicas show, which ends in {ends}"),
        },
    )
}

/// A time in seconds, in the unit that fits.
pub fn age(seconds: i64) -> String {
    match seconds.abs() {
        days if days >= 2 * DAY => format!("{} d", days / DAY),
        hours if hours >= 2 * 3600 => format!("{} h", hours / 3600),
        minutes if minutes >= 120 => format!("{} min", minutes / 60),
        seconds => format!("{seconds} s"),
    }
}
