//! Which databases a backup saves, which it only seems to save, and what to do.
//!
//! Judges one pod as it is, beside what it would be if it were made now. Pure: whoever lists pods,
//! Schedules and ConfigMaps hands over what was seen of them.

mod authors;
mod backups;
mod hook;
mod reason;
mod step;
mod view;
mod volumes;

use std::collections::BTreeSet;

pub use backups::{Backup, Backups};
pub use reason::{Reason, Verdict};
pub use volumes::{Holds, Saved, Volume};

use crate::{
    inject::{Injection, inject},
    json,
    pod::{Container, PodView},
    policy::PolicySet,
    recognise::{self, Clues, Engine, Spread, spread},
    select::{self, Facts},
};
use hook::{Judged, Judgement};
use view::Seen;

/// What is known beside the pod.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    pub facts: Facts<'a>,
    pub backups: Backups<'a>,
    /// The names of the ConfigMaps with scripts in the pod's namespace, if anybody knows them.
    pub config_maps: Option<&'a BTreeSet<String>>,
}

/// What was found out about one database. Nothing of its pod is borrowed.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub namespace: String,
    pub pod: String,
    /// Kind and name of what makes the pod, where something does.
    pub owner: Option<(String, String)>,
    pub container: String,
    pub engine: String,
    /// As far as the image's tag tells.
    pub version: Option<String>,
    /// What it was recognised by, each in words.
    pub evidence: Vec<String>,
    /// Whether there is such a pod, and not just a manifest of one.
    pub exists: bool,
    pub phase: Option<String>,
    pub reason: Reason,
    /// Why a policy passes it over, where that is the reason.
    pub because: Option<select::Reason>,
    /// The hook in a few words.
    pub hook: String,
    /// The policies whose hooks the pod has, each in its version.
    pub policies: Vec<String>,
    /// The code of what lint finds in the author's hook.
    pub lint: Option<&'static str>,
    /// The backups that take the pod; `None` where nobody knows.
    pub schedules: Option<Vec<String>>,
    pub volumes: Vec<Volume>,
    pub missing_scripts: Vec<String>,
    pub recreated: Recreated,
    /// What to do, where something is to be done.
    pub next: Option<String>,
}

/// What the pod would be if it were made now.
#[derive(Clone, Debug, PartialEq)]
pub enum Recreated {
    /// With the hooks of these policies, each in its version.
    Hooked(Vec<String>),
    /// As its author wrote it, and why.
    AsWritten(select::Reason),
}

impl Finding {
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    /// The database with its version: `PostgreSQL 16.4`.
    #[must_use]
    pub fn database(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.engine),
            None => self.engine.clone(),
        }
    }
}

/// Judges the databases of one pod, given as its JSON. A pod without any has no finding.
///
/// # Errors
/// When the text is no pod.
pub fn audit(
    policies: &PolicySet,
    pod: &str,
    around: Around<'_>,
) -> Result<Vec<Finding>, json::Error> {
    let view = PodView::parse(pod)?;
    let seen: Seen<'_> = json::read(pod)?;
    if seen.has_ended() {
        return Ok(Vec::new());
    }
    let injection = inject(policies, &view, around.facts);
    let init: Vec<Container<'_>> = view.init_containers().collect();
    let spread = spread(pod)?;
    let looked = Looked {
        policies,
        text: pod,
        view: &view,
        seen: &seen,
        init: &init,
        injection: &injection,
        spread: &spread,
        around,
    };
    let databases = looked.databases();
    let findings = databases.iter().map(|database| looked.judge(database));
    Ok(findings.collect())
}

/// A pod with everything that is known of it.
struct Looked<'a> {
    policies: &'a PolicySet,
    text: &'a str,
    view: &'a PodView<'a>,
    seen: &'a Seen<'a>,
    init: &'a [Container<'a>],
    injection: &'a Injection<'a>,
    /// Those of its databases that have files on several claims.
    spread: &'a [Spread],
    around: Around<'a>,
}

/// A database in a container.
struct Database<'a> {
    container: &'a Container<'a>,
    engine: String,
    /// Where it is one of the table.
    known: Option<&'static Engine>,
    version: Option<String>,
    evidence: Vec<String>,
}

impl<'a> Looked<'a> {
    /// What looks like a database, and what a policy takes for one.
    fn databases(&self) -> Vec<Database<'a>> {
        let spec = &self.seen.spec;
        let none = Clues::default();
        let recognised = |at: usize, container: &'a Container<'a>, all: &Option<Vec<Clues<'a>>>| {
            let clues = all.as_ref().and_then(|all| all.get(at));
            let server = recognise::server(container, clues.unwrap_or(&none))?;
            Some(Database {
                container,
                engine: server.engine.name.to_owned(),
                known: Some(server.engine),
                version: server.version,
                evidence: server.evidence.iter().map(ToString::to_string).collect(),
            })
        };
        let ordinary = self.view.containers().iter().enumerate();
        let ordinary = ordinary.filter_map(|(at, it)| recognised(at, it, &spec.containers));
        let sidecars = self.init.iter().enumerate();
        let sidecars = sidecars.filter(|(_, container)| container.is_native_sidecar());
        let sidecars = sidecars.filter_map(|(at, it)| recognised(at, it, &spec.init_containers));
        let mut databases: Vec<_> = ordinary.chain(sidecars).collect();
        if databases.is_empty() {
            databases.extend(self.by_policy());
        }
        databases
    }

    /// The container for which a policy has hooks, where nothing else gives a database away.
    fn by_policy(&self) -> Option<Database<'a>> {
        let applied = self.injection.plan.applied.first()?;
        let mut containers = self.view.containers().iter();
        let container = containers.find(|it| *it.name == *applied.container)?;
        let named = applied.policy.about.engine.as_str();
        let engine = match named {
            "" | "any" => "files",
            named => named,
        };
        Some(Database {
            container,
            engine: engine.to_owned(),
            known: None,
            version: None,
            evidence: vec![format!("policy {}", applied.policy.name)],
        })
    }

    fn judge(&self, database: &Database<'_>) -> Finding {
        let Around {
            facts,
            backups,
            config_maps: _,
        } = self.around;
        let schedules = match backups {
            Backups::Known(all) => {
                let taking = all.iter().filter(|it| it.has(self.view, facts.namespace));
                Some(taking.cloned().collect::<Vec<_>>())
            }
            Backups::NoVelero | Backups::Unknown => None,
        };
        let taking = match &schedules {
            Some(taking) => Backups::Known(taking),
            None => backups,
        };
        let Judgement {
            judged,
            dumps,
            volumes,
        } = self.judgement(database, taking);
        let Judged {
            reason,
            because,
            hook,
            flaw,
            missing,
        } = judged;
        let provenance = self.view.annotation(crate::plan::PROVENANCE);
        let owner = self.owner();
        let plan = &self.injection.plan;
        let recreated = match self.injection.reason() {
            None => {
                let applied = plan.applied.iter();
                let applied = applied.map(|it| it.policy.provenance().to_owned());
                Recreated::Hooked(applied.collect())
            }
            Some(why) => Recreated::AsWritten(why),
        };
        let mut finding = Finding {
            namespace: facts.namespace.to_owned(),
            pod: self.name(),
            owner,
            container: database.container.name.to_string(),
            engine: database.engine.clone(),
            version: database.version.clone(),
            evidence: database.evidence.clone(),
            exists: self.seen.exists(),
            phase: self.seen.phase().map(str::to_owned),
            reason,
            because,
            hook,
            policies: provenance.map_or_else(Vec::new, |text| {
                text.split(',').map(str::to_owned).collect()
            }),
            lint: flaw.map(|flaw| flaw.rule.code()),
            schedules: schedules.map(|taking| taking.into_iter().map(|it| it.name).collect()),
            volumes,
            missing_scripts: missing,
            recreated,
            next: None,
        };
        finding.next = step::next(&finding, &dumps);
        finding
    }

    fn name(&self) -> String {
        let metadata = self.view.metadata.as_ref();
        let named = metadata.and_then(|it| it.name.as_deref());
        let owner = || self.around.facts.owner.map(|(_, name)| name);
        named.or_else(owner).unwrap_or_default().to_owned()
    }

    /// What makes the pod. The Deployment behind a ReplicaSet is known by the hash in its name.
    fn owner(&self) -> Option<(String, String)> {
        if let Some((kind, name)) = self.around.facts.owner {
            return Some((kind.to_owned(), name.to_owned()));
        }
        let owner = self.view.owners().next()?;
        let hash = self.view.label("pod-template-hash");
        let deployment = hash
            .filter(|_| &*owner.kind == "ReplicaSet")
            .and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
        Some(deployment.map_or_else(
            || (owner.kind.to_string(), owner.name.to_string()),
            |name| ("Deployment".to_owned(), name.to_owned()),
        ))
    }
}

#[cfg(test)]
mod tests;
