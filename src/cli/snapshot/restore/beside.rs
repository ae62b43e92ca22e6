//! Starts a pod on restored claims beside its original, runs the checks of its policies, and takes all away.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    fmt::Write as _,
    hash::BuildHasher as _,
};

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Args, found::Found};
use crate::{
    cli::{
        Ended, output,
        snapshot::Format,
        verify::{
            checks::Checks,
            scratch::{NAMESPACES, Scratch, unless_aborted},
            text, value,
        },
    },
    csi,
    policy::PolicySet,
    report::Style,
    restore_snapshot::{
        Needs, Source, beside, content, copied, copied_account, named, needs, pairs, snapshot,
    },
    select::{Facts, Namespace, Settings},
    shutdown::Shutdown,
    snapshot::{Chosen, claims},
    velero::{
        copy::Copy,
        verification::{VERIFICATION_LABEL, Verdict},
    },
    verify::{
        Pod, Seen, Stage, Subject, Unfit, Verified, container, id, labels, mapping, policies,
    },
};

/// So much longer than its own time it may take until all is gone.
const CLEANING: SignedDuration = SignedDuration::from_mins(10);

/// Its labels and annotations.
type About = [BTreeMap<String, String>; 2];

/// All that is made, in the order in which it is: where, and what.
type Objects = Vec<(String, Value)>;

struct Report {
    what: String,
    namespace: String,
    sources: Vec<Source>,
    seen: Seen,
    verified: Verified,
    /// In whole seconds, from the first object until all checks were through.
    restore_seconds: Option<u64>,
    /// In whole seconds, at the beginning.
    data_age_seconds: Option<u64>,
    notes: Vec<String>,
}

pub async fn verify(
    args: &Args,
    found: &Found<'_>,
    shutdown: &Shutdown,
    sources: &[Source],
    mut notes: Vec<String>,
) -> anyhow::Result<Ended> {
    let set = args.policies.load()?;
    let began = Timestamp::now();
    let id = id(RandomState::new().hash_one(began.as_nanosecond()));
    let until = began + SignedDuration::try_from(args.timeout.to_std())? + CLEANING;
    let copy = Copy {
        mapping: mapping([found.namespace], &id),
        id,
        backup: args.what(),
        until: Some(until.to_string()),
        timeout: args.timeout,
        completed: Vec::new(),
    };
    let about = BTreeMap::from([(found.namespace.to_owned(), about(found).await?)]);
    let mut meant = Meant {
        found,
        copy: &copy,
        objects: Vec::new(),
        pods: Vec::new(),
        seen: Seen::default(),
    };
    meant
        .decide(args, sources, &set, &about[found.namespace])
        .await?;
    let Meant {
        objects,
        pods,
        mut seen,
        ..
    } = meant;
    let scratch = Scratch { asker: found.asker };
    let places = [csi::contents(), NAMESPACES.to_owned()];
    for swept in scratch.sweep(&places).await? {
        notes.push(format!("left by a verification that was killed: {swept}"));
    }
    let trial = Trial {
        scratch: &scratch,
        copy: &copy,
        objects: &objects,
        pods: &pods,
        checks: Checks {
            client: &found.asker.client,
            policies: &set,
            namespaces: &about,
        },
    };
    let start = Instant::now();
    let until = start + args.timeout.to_std();
    let stopped = tokio::select! {
        outcome = trial.run(&mut seen, start, until) => outcome.map(|()| false),
        () = shutdown.draining() => Ok(true),
    };
    match stopped {
        Ok(stopped) => seen.stopped = stopped,
        Err(error) => seen.broken = Some(format!("{error:#}")),
    }
    let took = start.elapsed().as_secs();
    let tidied = unless_aborted(shutdown, scratch.remove(&copy, &places)).await;
    if let Err(error) = tidied {
        notes.push(format!(
            "not all is gone that has the label {VERIFICATION_LABEL}={}: {error:#}",
            copy.id
        ));
    }
    let verified = seen.verdict();
    let report = Report {
        what: args.what(),
        namespace: found.namespace.to_owned(),
        sources: sources.to_vec(),
        restore_seconds: (verified.verdict == Verdict::Passed).then_some(took),
        data_age_seconds: age(sources, began),
        seen,
        verified,
        notes,
    };
    match args.output {
        Format::Text => output::print_folded(&report.text())?,
        Format::Json => output::print_raw(&output::json(&report.value()))?,
    };
    Ok(match report.verified.verdict {
        Verdict::Passed => Ended::Fine,
        Verdict::Failed => Ended::Findings,
        Verdict::Incomplete => Ended::Undone,
    })
}

/// What is made and asked, decided before.
struct Trial<'t> {
    scratch: &'t Scratch<'t>,
    copy: &'t Copy,
    objects: &'t Objects,
    pods: &'t Objects,
    checks: Checks<'t>,
}

impl Trial<'_> {
    /// Makes all of it, waits until the pods are ready, and runs their checks.
    async fn run(&self, seen: &mut Seen, start: Instant, until: Instant) -> anyhow::Result<()> {
        let Self {
            scratch,
            copy,
            objects,
            pods,
            checks,
        } = self;
        if seen.pods.is_empty() {
            return Ok(());
        }
        scratch.prepare(copy).await?;
        for (path, object) in *objects {
            scratch.create_if_absent(path, object).await?;
        }
        for (path, pod) in *pods {
            scratch.create(path, pod).await?;
        }
        seen.stage = Stage::Restored;
        scratch.until_ready(&mut seen.pods, start, until).await?;
        seen.stage = Stage::Waited;
        for pod in seen.pods.iter_mut().filter(|it| it.ready.is_some()) {
            pod.checks = checks.run(pod).await?;
        }
        seen.stage = Stage::Checked;
        Ok(())
    }
}

/// Of the oldest of them.
fn age(sources: &[Source], now: Timestamp) -> Option<u64> {
    let times = sources.iter().filter_map(|it| it.created.as_deref());
    let oldest: Timestamp = times.min()?.parse().ok()?;
    u64::try_from(now.duration_since(oldest).as_secs()).ok()
}

async fn about(found: &Found<'_>) -> anyhow::Result<About> {
    let namespace = found.there(NAMESPACES, found.namespace).await?;
    let namespace =
        namespace.with_context(|| format!("there is no namespace {}", found.namespace))?;
    let pairs =
        |key: &str| serde_json::from_value(namespace["metadata"][key].clone()).unwrap_or_default();
    Ok([pairs("labels"), pairs("annotations")])
}

/// What is to be made, decided before anything is.
struct Meant<'m> {
    found: &'m Found<'m>,
    copy: &'m Copy,
    objects: Objects,
    pods: Objects,
    seen: Seen,
}

impl Meant<'_> {
    async fn decide(
        &mut self,
        args: &Args,
        sources: &[Source],
        set: &PolicySet,
        about: &About,
    ) -> anyhow::Result<()> {
        let originals = self.originals(args, sources).await?;
        let chosen = Chosen::new(set.with(&[]));
        let settings = Settings {
            default_method: "snapshot".to_owned(),
            ..Settings::default()
        };
        let [labels, annotations] = about;
        let facts = Facts {
            namespace: self.found.namespace,
            about_namespace: Namespace::Known {
                labels,
                annotations,
            },
            owner: None,
            settings: &settings,
        };
        let mut filled = BTreeSet::new();
        for original in &originals {
            let subject = subject(original, sources, &chosen, facts);
            let fit = pairs(original, sources).and_then(|pairs| {
                let namespace = &self.copy.mapping[self.found.namespace];
                Ok((pairs, beside(original, self.copy, namespace)?))
            });
            let (pairs, pod) = match fit {
                Ok(fit) => fit,
                Err(why) => {
                    let Subject {
                        namespace, name, ..
                    } = subject;
                    self.seen.unfit.push(Unfit {
                        namespace,
                        name,
                        why,
                    });
                    continue;
                }
            };
            for (claim, source) in pairs {
                if filled.insert(claim.clone()) {
                    self.fill(args, &claim, source).await?;
                }
            }
            self.surroundings(&pod).await?;
            self.pods.push((self.within("pods"), pod));
            self.seen.pods.push(Pod {
                namespace: self.namespace().to_owned(),
                subject,
                ready: None,
                state: None,
                checks: Vec::new(),
            });
        }
        Ok(())
    }

    /// That of the copy.
    fn namespace(&self) -> &str {
        &self.copy.mapping[self.found.namespace]
    }

    fn within(&self, plural: &str) -> String {
        format!("{NAMESPACES}/{}/{plural}", self.namespace())
    }

    /// The pods that mount the claims, each claim by one of them; or the one that is named.
    async fn originals(&self, args: &Args, sources: &[Source]) -> anyhow::Result<Vec<Value>> {
        let path = self.found.path("pods");
        let namespace = self.found.namespace;
        if let Some(name) = &args.pod {
            let pod = self.found.there(&path, name).await?;
            return Ok(vec![
                pod.with_context(|| format!("there is no pod {namespace}/{name}"))?,
            ]);
        }
        let mut open: BTreeSet<&str> = sources
            .iter()
            .filter_map(|it| it.claim.as_deref())
            .collect();
        let mut found = Vec::new();
        for pod in self.found.all(&path, None).await? {
            let over = ["Succeeded", "Failed"].map(Value::from);
            if over.contains(&pod["status"]["phase"]) {
                continue;
            }
            let mounts = claims(&pod).into_iter();
            let covers = mounts.filter(|(claim, _)| open.remove(claim.as_str()));
            if covers.count() > 0 {
                found.push(pod);
            }
        }
        if found.is_empty() {
            let open = open.into_iter().collect::<Vec<_>>().join(", ");
            bail!("no pod in {namespace} mounts {open}: name one of its kind with --pod");
        }
        Ok(found)
    }

    /// A claim there, and the snapshot that it is filled from.
    async fn fill(&mut self, args: &Args, claim: &str, source: &Source) -> anyhow::Result<()> {
        let original = self.found.content(source).await?;
        let original = original.with_context(|| {
            let name = source.content.as_deref().unwrap_or_default();
            format!("volumesnapshotcontent {name} cannot be seen")
        })?;
        let namespace = self.namespace().to_owned();
        let name = format!("{namespace}-{}", self.objects.len());
        let content = content(&original, self.copy, &name, (&namespace, claim));
        let content = content.map_err(|why| anyhow!(why))?;
        let (asked, _) = self.found.claim(source, args.asked()).await?;
        let object = asked.object(&namespace, claim, claim, &source.name);
        let bound = snapshot(&content);
        self.objects.extend([
            (csi::contents(), content),
            (csi::snapshots(&namespace), bound),
            (self.within("persistentvolumeclaims"), object),
        ]);
        Ok(())
    }

    /// What a pod names of its namespace.
    async fn surroundings(&mut self, pod: &Value) -> anyhow::Result<()> {
        let Needs {
            secrets,
            config_maps,
            account,
            service,
        } = needs(pod);
        let namespace = self.namespace().to_owned();
        for (plural, names) in [("secrets", secrets), ("configmaps", config_maps)] {
            for name in names {
                // What is not there either may be optional.
                let there = self.found.there(&self.found.path(plural), &name).await?;
                let copied = there.and_then(|it| copied(&it, &namespace));
                self.objects
                    .extend(copied.map(|it| (self.within(plural), it)));
            }
        }
        let account = account.map(|it| copied_account(&it, &namespace));
        let account = account.map(|it| (self.within("serviceaccounts"), it));
        let service = service.map(|it| named(&it, self.copy, &namespace));
        let service = service.map(|it| (self.within("services"), it));
        self.objects.extend(account.into_iter().chain(service));
        Ok(())
    }
}

/// A pod with the policies whose hooks made its snapshots what they are; else those that would have.
fn subject(original: &Value, sources: &[Source], chosen: &Chosen, facts: Facts<'_>) -> Subject {
    let object = original.to_string();
    let hooked = chosen.of(&object, facts).unwrap_or_default();
    let ran: BTreeSet<String> = sources
        .iter()
        .filter_map(|it| it.policies.as_deref())
        .flat_map(policies)
        .collect();
    let of_hooks = hooked.hooks.pre.or(hooked.hooks.post);
    Subject {
        namespace: facts.namespace.to_owned(),
        name: original["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        labels: labels(original),
        policies: if ran.is_empty() {
            hooked.policies.as_deref().map(policies).unwrap_or_default()
        } else {
            ran.into_iter().collect()
        },
        container: of_hooks
            .and_then(|it| it.exec()?.container.clone())
            .or_else(|| container(original)),
        object,
    }
}

impl Report {
    fn text(&self) -> String {
        let mut text = format!(
            "{}\n",
            Style::Strong.paint(format!("{} in {}", self.what, self.namespace))
        );
        for pod in &self.seen.pods {
            text::pod(&mut text, pod);
        }
        for it in &self.seen.unfit {
            text::unfit(&mut text, it);
        }
        let times = text::times(self.restore_seconds, self.data_age_seconds);
        text::verdict(&mut text, &self.verified, times);
        for note in &self.notes {
            let _ = writeln!(text, "       {} {note}", Style::Careful.paint("!"));
        }
        text
    }

    fn value(&self) -> Value {
        json!({
            "namespace": self.namespace,
            "snapshots": self.sources.iter().map(|it| &it.name).collect::<Vec<_>>(),
            "verdict": self.verified.verdict.as_str(),
            "reason": self.verified.reason,
            "restoreSeconds": self.restore_seconds,
            "dataAgeSeconds": self.data_age_seconds,
            "pods": self.seen.pods.iter().map(value::pod).collect::<Vec<_>>(),
            "notCopied": self.seen.unfit.iter().map(value::unfit).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}
