//! Whose hook a database has, and whether what it prepares gets into a backup.

use super::{
    Backups, Database, Holds, Looked, Reason, Saved, Verdict, Volume,
    authors::{self, Flaw},
    backups::is_left_out,
    volumes::volumes,
};
use crate::{
    plan::{Change, PROVENANCE, Source, Whose, whose},
    policy::{Policy, Role},
    recognise,
    select::{self, Reason as Because},
    velero::{BACKUP_VOLUMES, HookPhase, backup_volumes},
};

/// What is said of the hook.
pub struct Judged {
    pub reason: Reason,
    pub because: Option<Because>,
    pub hook: String,
    pub flaw: Option<Flaw>,
    /// ConfigMaps with scripts that are not there.
    pub missing: Vec<String>,
}

pub struct Judgement {
    pub judged: Judged,
    /// The volumes that the hook fills.
    pub dumps: Vec<String>,
    pub volumes: Vec<Volume>,
}

impl Judged {
    fn new(reason: Reason, hook: impl Into<String>) -> Self {
        Self {
            reason,
            because: None,
            hook: hook.into(),
            flaw: None,
            missing: Vec::new(),
        }
    }
}

impl Looked<'_> {
    /// The hook first, and then, if it is a good one, the backups that take its pod.
    pub fn judgement(&self, database: &Database<'_>, taking: Backups<'_>) -> Judgement {
        let mut judged = self.hook(database, taking);
        let dumps = self.dumps(judged.reason);
        let names: Vec<&str> = dumps.iter().map(String::as_str).collect();
        let mut spread = self.spread.iter();
        let spread = spread.find(|it| it.container == *database.container.name);
        let mut volumes = volumes(
            self.view,
            self.seen,
            database.container,
            database.known,
            &names,
            spread,
            taking,
        );
        let is_taken = !matches!(taking, Backups::Known([]));
        if judged.reason == Reason::WhenCreated && is_taken {
            // It lists its dump when it is made.
            let dumps = volumes.iter_mut().filter(|it| it.holds == Holds::Dump);
            dumps.for_each(|it| it.saved = Saved::FileCopy);
        }
        let verdict = judged.reason.verdict();
        if is_left_out(self.view) && (verdict == Verdict::Protected || verdict.is_bad()) {
            judged.reason = Reason::ExcludedFromBackup;
        } else if verdict == Verdict::Protected
            && let Some(reason) = self.not_saved(judged.reason, &volumes, taking)
        {
            judged.reason = reason;
        }
        Judgement {
            judged,
            dumps,
            volumes,
        }
    }

    fn hook(&self, database: &Database<'_>, taking: Backups<'_>) -> Judged {
        let facts = self.around.facts;
        let of = |phase| whose(self.view, phase, &self.injection.verdicts, facts);
        let pre = of(HookPhase::Pre);
        if pre == Whose::Ours {
            return self.ours(database);
        }
        if let Some(known) = recognise::pod(self.view).filter(|it| it.role == Role::Operator) {
            return Judged::new(Reason::Operator, format!("left to {}", known.name));
        }
        if pre == Whose::Nobodys
            && let Some(backup) = self.hooking(taking)
        {
            return Judged::new(Reason::BackupsHook, format!("of {backup}"));
        }
        match (pre, of(HookPhase::Post)) {
            (Whose::Authors, _) => self.authors(),
            (_, Whose::Authors) => Judged::new(Reason::NoPreHook, "author's: no pre hook"),
            _ => self.none(database),
        }
    }

    /// The first of the backups with a hook of its own for the pod.
    fn hooking<'b>(&self, taking: Backups<'b>) -> Option<&'b str> {
        let Backups::Known(all) = taking else {
            return None;
        };
        let namespace = self.around.facts.namespace;
        let mut all = all.iter();
        let first = all.find(|it| it.has_hook_for(self.view, namespace))?;
        Some(&first.name)
    }

    fn ours(&self, database: &Database<'_>) -> Judged {
        let text = self.view.annotation(PROVENANCE).unwrap_or("a policy's");
        let hook = short(text);
        let said = self.view.annotation(HookPhase::Pre.keys().container);
        let first = self.view.containers().first().map(|it| &*it.name);
        let runs_in = said.or(first).unwrap_or_default();
        let is_there = self.view.containers().iter().any(|it| *it.name == *runs_in);
        if !is_there {
            return Judged::new(
                Reason::WrongContainer,
                format!("{hook}: no container {runs_in:?}"),
            );
        }
        let ours = &*database.container.name;
        let mut applied = self.injection.plan.applied.iter();
        let wanted = applied.any(|it| it.container == ours);
        let mut applied = self.injection.plan.applied.iter();
        let as_planned =
            applied.any(|it| it.container == ours && it.runs_in(HookPhase::Pre) == runs_in);
        if runs_in != ours && !as_planned {
            return if wanted {
                let hook = format!("{hook}: runs in {runs_in}, not in {ours}");
                Judged::new(Reason::WrongContainer, hook)
            } else {
                passed_over(Because::OtherContainer)
            };
        }
        let missing = self.missing_scripts();
        if !missing.is_empty() {
            return Judged {
                missing,
                ..Judged::new(
                    Reason::MissingScripts,
                    format!("{hook}: its scripts are missing"),
                )
            };
        }
        let plan = &self.injection.plan;
        if !wanted {
            let restored = plan.passed.iter().any(|(_, why)| *why == Because::Restored);
            return if restored {
                Judged::new(Reason::Outdated, format!("{hook}, as it was backed up"))
            } else {
                Judged::new(Reason::OtherPolicy, hook)
            };
        }
        let current = plan.provenance() == text;
        // What a newer version brings beside is no loss; without its scripts no version runs.
        let is_gone = |change: &Change<'_>| match change {
            Change::Volume(volume) => current || matches!(volume.source, Source::Scripts { .. }),
            Change::Mount(_) | Change::Container(_) => current,
            Change::Annotation {
                key, instead_of, ..
            } => current && instead_of.is_none() && HookPhase::Pre.keys().all().contains(key),
            // The pod runs, so its init containers have run.
            Change::Scripts { .. } | Change::NoAnnotation { .. } | Change::Complete(_) => false,
        };
        let is_news = |change: &Change<'_>| !matches!(change, Change::Complete(_));
        if plan.changes.iter().any(is_gone) {
            Judged::new(Reason::Incomplete, format!("{hook}: a part of it is gone"))
        } else if !plan.changes.iter().any(is_news) {
            Judged::new(Reason::Hooked, hook)
        } else {
            Judged::new(Reason::Outdated, format!("{hook}: outdated"))
        }
    }

    /// The ConfigMaps that the pod mounts scripts from and that its namespace does not have.
    fn missing_scripts(&self) -> Vec<String> {
        let Some(there) = self.around.config_maps else {
            return Vec::new();
        };
        let provenance = self.view.annotation(PROVENANCE).unwrap_or_default();
        let ours = |volume: &str| {
            let policy = volume.strip_prefix("quiescent-");
            policy.is_some_and(|policy| {
                let mut named = provenance.split(',').filter_map(|it| it.split_once('@'));
                named.any(|(name, _)| name == policy)
            })
        };
        let mounted = self.seen.volumes().iter().filter(|it| ours(&it.name));
        let mounted = mounted.filter_map(|it| it.config_map.as_ref());
        let names = mounted.map(|it| it.name.to_string());
        names.filter(|name| !there.contains(name)).collect()
    }

    fn authors(&self) -> Judged {
        match authors::flaw(self.text) {
            Some(flaw) if flaw.rule == crate::lint::Rule::NoContainer => Judged {
                hook: format!("author's: {} {}", flaw.rule.code(), flaw.message),
                flaw: Some(flaw),
                ..Judged::new(Reason::WrongContainer, "")
            },
            Some(flaw) if flaw.rule == crate::lint::Rule::SeveralClaims => Judged {
                hook: format!("author's: {} holds no writes", flaw.rule.code()),
                flaw: Some(flaw),
                ..Judged::new(Reason::SeveralClaims, "")
            },
            Some(flaw) => Judged {
                hook: format!("author's: {} {}", flaw.rule.code(), flaw.message),
                flaw: Some(flaw),
                ..Judged::new(Reason::AuthorsHookFails, "")
            },
            None => Judged::new(Reason::AuthorsHook, "author's"),
        }
    }

    fn none(&self, database: &Database<'_>) -> Judged {
        let ours = &*database.container.name;
        let plan = &self.injection.plan;
        let mut applied = plan.applied.iter().filter(|it| it.container == ours);
        if let Some(first) = applied.next() {
            let names = applied.map(|it| it.policy.name.as_str());
            let names = std::iter::once(first.policy.name.as_str()).chain(names);
            let names = names.collect::<Vec<_>>().join(", ");
            return if self.seen.exists() {
                Judged::new(Reason::Missed, "none: made without the webhook")
            } else {
                Judged::new(Reason::WhenCreated, format!("{names}, when created"))
            };
        }
        if !plan.applied.is_empty() {
            return passed_over(Because::OtherContainer);
        }
        match self.injection.reason() {
            Some(Because::MethodOff) => Judged::new(Reason::MethodOff, "none: method off"),
            Some(Because::DisabledByPod | Because::DisabledByNamespace) => {
                Judged::new(Reason::Disabled, "none: disabled")
            }
            Some(Because::EndsByItself) => {
                Judged::new(Reason::EndsByItself, "none: the pod ends by itself")
            }
            Some(Because::OwnNamespace | Because::VeleroNamespace) => {
                Judged::new(Reason::ReservedNamespace, "none: left alone")
            }
            Some(Because::NotEnabled) => Judged::new(Reason::NotEnabled, "none: not enabled"),
            Some(Because::NoPolicyMatches) | None => {
                Judged::new(Reason::NoPolicy, "none: no policy for it")
            }
            Some(why) => passed_over(why),
        }
    }

    /// The policies of the hook that runs, or will run, as far as they are known.
    fn followed(&self, reason: Reason) -> Vec<&Policy> {
        if reason == Reason::WhenCreated {
            let applied = self.injection.plan.applied.iter();
            return applied.map(|it| it.policy).collect();
        }
        let provenance = self.view.annotation(PROVENANCE).unwrap_or_default();
        let names = provenance.split(',').filter_map(|it| it.split_once('@'));
        let namespace = self.around.facts.namespace;
        names
            .filter_map(|(name, _)| self.policies.get(name, namespace))
            .collect()
    }

    /// The volumes that the hook fills. Only the author knows those of an author's hook, and lists them.
    fn dumps(&self, reason: Reason) -> Vec<String> {
        let mut dumps: Vec<String> = match reason.verdict() {
            Verdict::Protected | Verdict::DoesNothing => {
                let followed = self.followed(reason).into_iter();
                followed
                    .flat_map(|policy| policy.backup_volumes.clone())
                    .collect()
            }
            Verdict::ByOperator | Verdict::Unprotected | Verdict::LeftAlone => Vec::new(),
        };
        if matches!(reason, Reason::AuthorsHook | Reason::BackupsHook) {
            let listed = self.view.annotation(BACKUP_VOLUMES).unwrap_or_default();
            let there = |name: &&str| self.seen.volumes().iter().any(|it| *it.name == **name);
            dumps.extend(backup_volumes(listed).filter(there).map(str::to_owned));
        }
        dumps.sort_unstable();
        dumps.dedup();
        dumps
    }

    /// What keeps the work of a good hook out of every backup.
    fn not_saved(&self, reason: Reason, volumes: &[Volume], taking: Backups<'_>) -> Option<Reason> {
        if matches!(taking, Backups::Known([])) {
            return Some(Reason::NoSchedule);
        }
        let of = |holds| volumes.iter().filter(move |it| it.holds == holds);
        if of(Holds::Dump).next().is_some() {
            let lost = of(Holds::Dump).any(|it| it.saved == Saved::Not);
            return lost.then_some(Reason::DumpNotSaved);
        }
        let saved = |volume: &Volume| volume.saved != Saved::Not;
        let followed = self.followed(reason);
        let for_snapshots = |policy: &&Policy| {
            let mut methods = policy.matching.pod_selector.methods();
            methods.next() == Some("snapshot") && methods.next().is_none()
        };
        if followed.iter().any(for_snapshots) {
            if of(Holds::Data).any(|it| it.saved == Saved::FileCopy) {
                return Some(Reason::FileCopy);
            }
            let apart = of(Holds::Data).filter(|it| it.apart && it.saved == Saved::Snapshot);
            if apart.count() > 1 && !followed.iter().any(|policy| policy.holds_writes()) {
                return Some(Reason::SeveralClaims);
            }
            return (!of(Holds::Data).any(saved)).then_some(Reason::DataNotSaved);
        }
        let elsewhere = matches!(reason, Reason::AuthorsHook | Reason::BackupsHook);
        let nothing = elsewhere && !volumes.iter().any(saved);
        nothing.then_some(Reason::DataNotSaved)
    }
}

fn passed_over(why: select::Reason) -> Judged {
    Judged {
        because: Some(why),
        ..Judged::new(Reason::NotSelected, format!("none: {why}"))
    }
}

/// `postgresql-dump 7b4b…`, of a provenance.
fn short(provenance: &str) -> String {
    let one = |entry: &str| match entry.split_once('@') {
        Some((name, digest)) => {
            let digest: String = digest.chars().take(4).collect();
            format!("{name} {digest}…")
        }
        None => entry.to_owned(),
    };
    provenance
        .split(',')
        .map(one)
        .collect::<Vec<_>>()
        .join(", ")
}
