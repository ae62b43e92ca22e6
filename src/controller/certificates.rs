//! Keeps the webhook's certificate, and what its entries trust: observes, asks `rotation`, does one step.
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    time::{Duration, SystemTime},
};

use k8s_openapi::{
    ByteString,
    api::{core::v1::Secret, discovery::v1::EndpointSlice},
};
use kube::{
    Api, Client,
    api::{ListParams, ObjectMeta, PartialObjectMeta, Patch, PatchParams, PostParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use serde_json::json;
use tokio::{
    sync::Notify,
    time::{self, Instant},
};

use super::{
    asking::{Asking, Failure, Halt, pause},
    entries::{Configured, Entries},
    metrics::RotationMetrics,
};
use crate::{
    certs::{self, CA, CA_KEY, CHAIN, KEY, NEXT, NEXT_KEY},
    kubernetes::follow,
    policy::{MANAGED_BY, MANAGER},
    rotation::{self, Bundle, Fingerprint, Issuer, Kept, Observed, Step, Time},
    shutdown::Shutdown,
};

/// Steps that follow each other at once; a renewal takes five.
const STEPS: usize = 10;

/// The step that puts entries right, beside those of the rotation.
pub const MENDED: &str = "mend";

/// Whoever has this annotation is written by cert-manager.
const OF_CERT_MANAGER: &str = "cert-manager.io/certificate-name";

/// What an operator decides about certificates.
#[derive(Clone, Debug)]
pub struct CertificatePlan {
    pub issuer: Issuer,
    /// Where the Secret and the Service are.
    pub namespace: String,
    pub secret: String,
    pub service: String,
    /// The webhook configurations whose entries trust the certificate.
    pub webhook: String,
    pub life: Duration,
    pub authority_life: Duration,
    /// How long every API server may take to hear of whom to trust.
    pub settle: Duration,
}

pub struct Certificates {
    pub client: Client,
    pub plan: CertificatePlan,
    /// The namespaces that no entry of the webhook may mean.
    pub left_out: Vec<String>,
    pub asking: Asking,
    pub interval: Duration,
    pub metrics: RotationMetrics,
}

/// What was there when it was looked at.
struct Seen {
    secret: Option<Secret>,
    webhooks: Vec<Configured>,
    kept: Kept,
    bundles: Vec<Bundle>,
    shown: Option<BTreeSet<Fingerprint>>,
}

impl Certificates {
    /// Looks at what was heard of at once and at everything once in an interval, until the first signal.
    pub async fn run(self, shutdown: Shutdown) {
        let stirred = Notify::new();
        tokio::select! {
            () = self.watch(&stirred) => {}
            () = self.keep(&stirred, shutdown) => {}
        }
    }

    /// Says when the Secret or the webhook's entries have changed.
    async fn watch(&self, stirred: &Notify) {
        let CertificatePlan {
            namespace, secret, ..
        } = &self.plan;
        let named = watcher::Config::default().fields(&format!("metadata.name={secret}"));
        let secrets = Api::<PartialObjectMeta<Secret>>::namespaced(self.client.clone(), namespace);
        let secrets = watcher(secrets, named).default_backoff();
        let entries = self.entries();
        tokio::join!(
            follow("secrets", secrets, |_| stirred.notify_one()),
            entries.watch(|| stirred.notify_one()),
        );
    }

    async fn keep(&self, stirred: &Notify, shutdown: Shutdown) {
        let mut leadership = self.asking.leadership.clone();
        let mut due = Instant::now();
        let mut failures = 0;
        let mut trusted_since = None;
        loop {
            let held = leadership.is_held();
            tokio::select! {
                () = shutdown.draining() => return,
                () = leadership.changed() => if held == leadership.is_held() { continue },
                () = stirred.notified() => {}
                () = time::sleep_until(due) => {}
            }
            if !leadership.is_held() {
                trusted_since = None;
                due = Instant::now() + self.interval;
                continue;
            }
            let passed = tokio::select! {
                passed = self.pass(&mut trusted_since) => passed,
                () = shutdown.aborted() => return,
            };
            let rest = match passed {
                Ok(rest) => {
                    failures = 0;
                    rest.min(self.interval)
                }
                Err(Halt::NotLeading | Halt::Gone) => self.interval,
                Err(Halt::Failed(failure, reason)) => {
                    self.metrics.failed(failure);
                    let again = pause(failures, self.interval);
                    failures += 1;
                    tracing::warn!(
                        failure = failure.as_str(),
                        reason,
                        ?again,
                        "the webhook's certificate is not as it should be"
                    );
                    again
                }
            };
            due = Instant::now() + rest;
        }
    }

    /// Does what is to be done now, and says how long nothing will be.
    async fn pass(&self, trusted_since: &mut Option<Time>) -> Result<Duration, Halt> {
        for _ in 0..STEPS {
            let seen = self.look().await?;
            if self.mended(&seen).await? {
                continue;
            }
            let now = unix_seconds();
            let observed = Observed {
                kept: &seen.kept,
                bundles: &seen.bundles,
                shown: seen.shown.as_ref(),
                trusted_since: *trusted_since,
                now,
            };
            let step = rotation::next(self.plan.issuer, &observed, self.plan.settle);
            self.metrics.looked(&seen.kept);
            match &step {
                Step::Trust(_) => *trusted_since = None,
                _ => *trusted_since = trusted_since.or(Some(now)),
            }
            match step {
                Step::Wait(until) => {
                    let rest = u64::try_from(until.saturating_sub(now)).unwrap_or_default();
                    return Ok(Duration::from_secs(rest));
                }
                Step::Absent => {
                    tracing::info!(
                        secret = self.plan.secret,
                        "there is no certificate yet that can be served"
                    );
                    return Ok(self.interval);
                }
                step => {
                    self.perform(&seen, &step).await?;
                    self.metrics.done(step.as_str());
                    tracing::info!(step = step.as_str(), "the webhook's certificate");
                }
            }
        }
        Ok(self.interval)
    }

    /// Puts the webhook's entries right where somebody changed what they must say.
    async fn mended(&self, seen: &Seen) -> Result<bool, Halt> {
        let left_out: Vec<&str> = self.left_out.iter().map(String::as_str).collect();
        let entries = self.entries();
        let mended = entries.mend(&self.asking, &seen.webhooks, &left_out);
        let mended = mended.await?;
        if mended {
            self.metrics.done(MENDED);
            tracing::info!(
                step = MENDED,
                "the webhook's entries were not as they must be"
            );
        }
        Ok(mended)
    }

    async fn look(&self) -> Result<Seen, Halt> {
        let CertificatePlan { issuer, secret, .. } = &self.plan;
        let secret = self.asking.ask(self.secrets().get_opt(secret)).await?;
        let webhooks = self.entries().look(&self.asking).await?;
        let data = secret.as_ref().and_then(|it| it.data.as_ref());
        let get = |key: &str| Some(data?.get(key)?.0.as_slice());
        let kept = certs::kept(*issuer, &[self.name()], get, SystemTime::now());
        let bundles: Vec<Bundle> = bundles(&webhooks).map(certs::bundle).collect();
        let shown = if rotation::is_settled(&kept, &bundles) {
            None
        } else {
            self.shown().await?
        };
        Ok(Seen {
            secret,
            webhooks,
            kept,
            bundles,
            shown,
        })
    }

    /// The certificates that the replicas show; none where one cannot be asked.
    async fn shown(&self) -> Result<Option<BTreeSet<Fingerprint>>, Halt> {
        let slices = Api::<EndpointSlice>::namespaced(self.client.clone(), &self.plan.namespace);
        let of_service = format!("kubernetes.io/service-name={}", self.plan.service);
        let listed = ListParams::default().labels(&of_service);
        let slices = self.asking.ask(slices.list(&listed)).await?;
        let mut shown = BTreeSet::new();
        for address in slices.items.iter().flat_map(addresses) {
            match certs::shown(address, &self.name()).await {
                Ok(id) => shown.insert(id),
                Err(reason) => {
                    tracing::debug!(%address, %reason, "a replica does not show its certificate, all authorities stay trusted");
                    return Ok(None);
                }
            };
        }
        Ok(Some(shown))
    }

    async fn perform(&self, seen: &Seen, step: &Step) -> Result<(), Halt> {
        match step {
            Step::Trust(wanted) => self.trust(seen, wanted).await,
            step => {
                let changes = self.changes(seen, step)?;
                self.write(seen.secret.as_ref(), changes).await
            }
        }
    }

    /// What a step changes in the Secret's data; none takes a key away.
    fn changes(&self, seen: &Seen, step: &Step) -> Result<Changes, Halt> {
        let CertificatePlan {
            life,
            authority_life,
            ..
        } = self.plan;
        let now = SystemTime::now();
        let kept = |certificate: &str, key: &str| certs::Pair {
            certificate: text(seen.secret.as_ref(), certificate),
            key: text(seen.secret.as_ref(), key),
        };
        let make = || certs::authority(authority_life, now).map_err(|error| cannot(&error));
        let signer = match step {
            Step::Prepare => {
                let next = make()?;
                return Ok([(NEXT, Some(next.certificate)), (NEXT_KEY, Some(next.key))].into());
            }
            Step::Promote => kept(NEXT, NEXT_KEY),
            Step::Renew => kept(CA, CA_KEY),
            _ => make()?,
        };
        let leaf =
            certs::leaf(&signer, &[self.name()], life, now).map_err(|error| cannot(&error))?;
        Ok([
            (CA, Some(signer.certificate)),
            (CA_KEY, Some(signer.key)),
            (CHAIN, Some(leaf.certificate)),
            (KEY, Some(leaf.key)),
            (NEXT, None),
            (NEXT_KEY, None),
        ]
        .into())
    }

    /// Changes the Secret that was seen and no later one, or makes it.
    async fn write(&self, secret: Option<&Secret>, changes: Changes) -> Result<(), Halt> {
        let Some(secret) = secret else {
            let data = changes
                .into_iter()
                .filter_map(|(key, text)| Some((key.to_owned(), ByteString(text?.into_bytes()))));
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(self.plan.secret.clone()),
                    labels: Some([(MANAGED_BY.to_owned(), MANAGER.to_owned())].into()),
                    ..ObjectMeta::default()
                },
                type_: Some("kubernetes.io/tls".to_owned()),
                data: Some(data.collect()),
                ..Secret::default()
            };
            let made = self.secrets();
            self.asking
                .ask(made.create(&PostParams::default(), &secret))
                .await?;
            return Ok(());
        };
        let annotations = secret.metadata.annotations.as_ref();
        if annotations.is_some_and(|all| all.contains_key(OF_CERT_MANAGER)) {
            return Err(Halt::Failed(
                Failure::Invalid,
                format!(
                    "the Secret {} is cert-manager's; run with --certificates follow, or name another by --tls-secret",
                    self.plan.secret
                ),
            ));
        }
        let data: BTreeMap<_, _> = changes
            .into_iter()
            .map(|(key, text)| (key, text.map(|text| ByteString(text.into_bytes()))))
            .collect();
        let version = secret.metadata.resource_version.as_ref();
        let patch = json!({"metadata": {"resourceVersion": version}, "data": data});
        self.asking
            .ask(self.secrets().patch(
                &self.plan.secret,
                &PatchParams::default(),
                &Patch::Merge(patch),
            ))
            .await?;
        Ok(())
    }

    /// Has every entry of the webhook trust exactly these.
    async fn trust(&self, seen: &Seen, wanted: &BTreeSet<Fingerprint>) -> Result<(), Halt> {
        let secret = [CA, NEXT].map(|key| text(seen.secret.as_ref(), key));
        let texts = secret.iter().map(String::as_bytes);
        let texts = texts.chain(bundles(&seen.webhooks));
        let bundle = certs::trusting(texts, |id| wanted.contains(id));
        let bundle = ByteString(bundle.into_bytes());
        let entries = self.entries();
        entries.trust(&self.asking, &seen.webhooks, &bundle).await
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.plan.namespace)
    }

    fn entries(&self) -> Entries {
        Entries {
            client: self.client.clone(),
            name: self.plan.webhook.clone(),
        }
    }

    /// What the API server calls the webhook.
    fn name(&self) -> String {
        format!("{}.{}.svc", self.plan.service, self.plan.namespace)
    }
}

/// What becomes of keys of the Secret's data.
type Changes = BTreeMap<&'static str, Option<String>>;

/// What each entry trusts.
fn bundles(webhooks: &[Configured]) -> impl Iterator<Item = &[u8]> {
    webhooks.iter().flat_map(Configured::bundles)
}

fn addresses(slice: &EndpointSlice) -> Vec<SocketAddr> {
    let ports = slice.ports.iter().flatten();
    let ports: Vec<u16> = ports
        .filter_map(|port| u16::try_from(port.port?).ok())
        .collect();
    let serving = slice.endpoints.iter().filter(|endpoint| {
        let conditions = endpoint.conditions.as_ref();
        conditions.and_then(|it| it.serving) != Some(false)
    });
    let hosts = serving.filter_map(|endpoint| endpoint.addresses.first()?.parse::<IpAddr>().ok());
    hosts
        .flat_map(|host| ports.iter().map(move |port| SocketAddr::new(host, *port)))
        .collect()
}

fn text(secret: Option<&Secret>, key: &str) -> String {
    let data = secret.and_then(|it| it.data.as_ref());
    let bytes = data.and_then(|data| data.get(key));
    bytes.map_or_else(String::new, |bytes| {
        String::from_utf8_lossy(&bytes.0).into_owned()
    })
}

fn cannot(error: &certs::MakeError) -> Halt {
    Halt::Failed(Failure::Invalid, error.to_string())
}

fn unix_seconds() -> Time {
    k8s_openapi::jiff::Timestamp::now().as_second()
}
