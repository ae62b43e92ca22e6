//! What policies and an audit say of the pods of a namespace.
use std::collections::BTreeSet;

use super::{Kind, Space, State, User};
use crate::{
    audit::{Around, Backups},
    inject::inject,
    missed::{self, Standing},
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Namespace, Settings, namespace_left_alone, select},
};

impl Space {
    /// Asks the policies again about everybody.
    pub(super) fn judge(&mut self, namespace: &str, asked: Asked<'_>) {
        let mut users = std::mem::take(&mut self.users);
        for (key, user) in &mut users {
            self.judge_user(namespace, key, user, asked);
        }
        self.users = users;
    }

    pub(super) fn judge_user(
        &self,
        namespace: &str,
        key: &(Kind, String),
        user: &mut User,
        asked: Asked<'_>,
    ) {
        let Some(pod) = user.pod.as_deref() else {
            return;
        };
        let facts = self.facts(namespace, key, asked.settings);
        let wants = wants(asked.policies, pod, facts);
        if let Some(running) = &mut user.running {
            let standing = || self.look(namespace, key, pod, asked);
            running.standing = (!running.going).then(standing).flatten();
        }
        let running = user.running.as_ref();
        let is_database = running.is_some_and(|it| it.standing.is_some());
        if wants.is_none() && !is_database {
            user.pod = None;
        }
        user.wants = wants.unwrap_or_default();
    }

    /// How a pod stands; nothing is said of those in namespaces that are left alone.
    pub(super) fn look(
        &self,
        namespace: &str,
        key: &(Kind, String),
        pod: &str,
        asked: Asked<'_>,
    ) -> Option<Standing> {
        let Asked {
            policies,
            settings,
            scripts_known,
        } = asked;
        if namespace_left_alone(namespace, settings).is_some() {
            return None;
        }
        let scripts = || self.scripts.keys().cloned().collect::<BTreeSet<_>>();
        let scripts = scripts_known.then(scripts);
        let around = Around {
            facts: self.facts(namespace, key, settings),
            backups: Backups::Unknown,
            config_maps: scripts.as_ref(),
        };
        missed::look(policies, pod, around)
    }

    pub(super) fn facts<'a>(
        &'a self,
        namespace: &'a str,
        (kind, name): &'a (Kind, String),
        settings: &'a Settings,
    ) -> Facts<'a> {
        Facts {
            namespace,
            about_namespace: match &self.about {
                Some(about) => Namespace::Known {
                    labels: &about.metadata.labels,
                    annotations: &about.metadata.annotations,
                },
                None => Namespace::NotSeen,
            },
            owner: (*kind != Kind::Pods).then_some((kind.name(), &**name)),
            settings,
        }
    }
}

/// Who is asked about pods, and what is known beside them.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    policies: &'a PolicySet,
    settings: &'a Settings,
    /// Whether the ConfigMaps have been listed.
    scripts_known: bool,
}

impl<'a> Asked<'a> {
    pub fn new(policies: &'a PolicySet, settings: &'a Settings, state: &State) -> Self {
        Self {
            policies,
            settings,
            scripts_known: state.synced.contains(&Kind::ConfigMaps),
        }
    }
}

/// The names of the ConfigMaps that a pod gets; `None` when no policy can select it, whatever may
/// become of its namespace.
fn wants(policies: &PolicySet, pod: &str, facts: Facts<'_>) -> Option<Box<[String]>> {
    let pod = PodView::parse(pod).ok()?;
    if select(policies, &pod, facts).is_empty() {
        return None;
    }
    let injection = inject(policies, &pod, facts);
    let applied = injection.plan.applied.iter();
    let names = applied.filter_map(|it| it.policy.config_map());
    Some(names.map(str::to_owned).collect())
}
