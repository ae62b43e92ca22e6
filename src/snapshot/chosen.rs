//! Which hooks run in a pod for a snapshot of its claims.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::Value;

use crate::{
    inject::{Injection, inject},
    plan::{Change, PROVENANCE, with_variable},
    pod::PodView,
    policy::{Policy, PolicySet},
    recognise::{Spread, spread},
    select::Facts,
    trial::{Hook, Hooks},
};

/// The policies in both of the ways in which a pod may have their scripts.
pub struct Chosen {
    mounted: PolicySet,
    inlined: PolicySet,
}

/// Tells a script of the library that all volumes of its pod are cut in one moment.
const GROUP: &str = "QUIESCENT_GROUP=yes";

/// What runs in a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hooked {
    pub hooks: Hooks,
    /// The policies that say so; none where the pod's author does.
    pub policies: Option<String>,
    /// Whether writes may wait from pre to post. Of an author's hooks nobody knows.
    pub holds_writes: bool,
}

impl Hooked {
    /// The same where all volumes of the pod are cut in one moment.
    #[must_use]
    pub fn in_group(mut self) -> Self {
        if let Some(Hook::Exec(pre)) = &mut self.hooks.pre {
            pre.command = with_variable(&pre.command, GROUP);
        }
        self
    }
}

impl Chosen {
    #[must_use]
    pub fn new(policies: PolicySet) -> Self {
        let inlined = policies.iter().map(|it| Arc::new(it.inlined()));
        Self {
            inlined: PolicySet::default().with(&inlined.collect::<Vec<_>>()),
            mounted: policies,
        }
    }

    /// The hooks of a pod, given as its JSON.
    ///
    /// # Errors
    /// Why none of them says when a snapshot is good, and what to do about it.
    pub fn of(&self, pod: &str, facts: Facts<'_>) -> Result<Hooked, String> {
        let view = PodView::parse(pod).map_err(|error| error.what().clone())?;
        let there = annotations(pod);
        let mounted = inject(&self.mounted, &view, facts);
        if let Some(policy) = caller(&mounted, &there)? {
            return Ok(Hooked {
                hooks: Hooks::calls(&policy.hooks.calls),
                policies: Some(policy.provenance().to_owned()),
                holds_writes: policy.holds_writes(),
            });
        }
        if mounted.plan.applied.is_empty() {
            return self.authors(&there, &mounted, facts);
        }
        if let Some(dump) = mounted.plan.applied.iter().find(|it| it.policy.dumps()) {
            return Err(dumps(&dump.policy.name));
        }
        if let Some(hooked) = followed(&mounted, &there) {
            return Ok(hooked);
        }
        let inlined = inject(&self.inlined, &view, facts);
        followed(&inlined, &there).ok_or_else(|| {
            format!(
                "a running pod can get no volumes, and {} brings some: label it quiescent.dev/method=snapshot, and create it anew",
                inlined.plan.provenance()
            )
        })
    }

    /// What the pod has without a policy that selects it now.
    fn authors(
        &self,
        there: &BTreeMap<String, String>,
        injection: &Injection<'_>,
        facts: Facts<'_>,
    ) -> Result<Hooked, String> {
        let hooks = Hooks::of(|key| there.get(key).map(String::as_str));
        let reason = injection.reason();
        if hooks.is_empty() {
            let why = reason.map_or("no hooks", |it| it.sentence());
            return Err(format!(
                "it has no hooks, and no policy has any for it: {why}"
            ));
        }
        let named = there.get(PROVENANCE);
        let dump = named
            .into_iter()
            .flat_map(|it| it.split(','))
            .find_map(|entry| {
                let (name, _) = entry.split_once('@')?;
                let policy: &Policy = self.mounted.get(name, facts.namespace)?;
                policy.dumps().then_some(name)
            });
        match dump {
            Some(name) => Err(dumps(name)),
            None => Ok(Hooked {
                hooks,
                policies: named.cloned(),
                holds_writes: true,
            }),
        }
    }
}

/// The policy that calls the pod. We make its calls ourselves, also where a coordinator makes them for
/// Velero: what its annotations run is not run then. Nothing puts its calls and the hooks of another in an
/// order.
fn caller<'p>(
    injection: &Injection<'p>,
    there: &BTreeMap<String, String>,
) -> Result<Option<&'p Policy>, String> {
    let plan = &injection.plan;
    let mut callers = plan.callers();
    let Some(policy) = callers.next() else {
        return Ok(None);
    };
    let mut applied = plan.applied.iter().map(|it| it.policy);
    let runs = applied.find(|it| it.hooks.calls.is_empty());
    // Those that run in a coordinator are the policy's own.
    let authors = policy.coordinator.is_none()
        && !Hooks::of(|key| there.get(key).map(String::as_str)).is_empty();
    let other = match callers.next().or(runs) {
        Some(other) => other.title(),
        None if authors => "its author".into(),
        None => return Ok(Some(policy)),
    };
    Err(format!(
        "{} calls it over HTTP, and {other} has hooks for it too: exclude it from one of them",
        policy.title()
    ))
}

fn dumps(policy: &str) -> String {
    format!(
        "it follows {policy}, and a dump is not what a snapshot captures: label it quiescent.dev/method=snapshot, or back it up with Velero"
    )
}

/// What a plan would have Velero run, where the pod has all the volumes for it.
fn followed(injection: &Injection<'_>, there: &BTreeMap<String, String>) -> Option<Hooked> {
    let plan = &injection.plan;
    let mut annotations = there.clone();
    for change in &plan.changes {
        match change {
            Change::Annotation { key, value, .. } => {
                annotations.insert((*key).to_owned(), value.to_string());
            }
            Change::NoAnnotation { key, .. } => {
                annotations.remove(*key);
            }
            // Init containers of a running pod have run.
            Change::Complete(_) => {}
            Change::Volume(_)
            | Change::Scripts { .. }
            | Change::Mount(_)
            | Change::Container(_) => return None,
        }
    }
    if plan.applied.is_empty() {
        return None;
    }
    Some(Hooked {
        hooks: Hooks::of(|key| annotations.get(key).map(String::as_str)),
        policies: Some(plan.provenance().into_owned()),
        holds_writes: plan.applied.iter().any(|it| it.policy.holds_writes()),
    })
}

fn annotations(pod: &str) -> BTreeMap<String, String> {
    let pod: Value = serde_json::from_str(pod).unwrap_or_default();
    serde_json::from_value(pod["metadata"]["annotations"].clone()).unwrap_or_default()
}

/// The claims of a pod with the volumes that mount them, without those that policies bring.
#[must_use]
pub fn claims(pod: &Value) -> Vec<(String, String)> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let claims = volumes.filter_map(|volume| {
        let of = volume["name"].as_str()?;
        if of.starts_with("quiescent-") {
            return None;
        }
        let claim = match volume["persistentVolumeClaim"]["claimName"].as_str() {
            Some(claim) => claim.to_owned(),
            None if volume.get("ephemeral").is_some() => format!("{name}-{of}"),
            None => return None,
        };
        Some((claim, of.to_owned()))
    });
    claims.collect()
}

/// A database in a pod, given as its JSON, with files on several claims: of these it needs one moment.
#[must_use]
pub fn parts(pod: &str) -> Option<Spread> {
    spread(pod).unwrap_or_default().into_iter().next()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        diagnostic::Source,
        library,
        policy::{Input, Invocation, parse},
        select::{Namespace, Settings},
        velero::HookPhase,
    };

    fn with_method(method: &str, ask: impl FnOnce(Facts<'_>)) {
        let settings = Settings {
            default_method: method.to_owned(),
            ..Settings::default()
        };
        ask(Facts {
            namespace: "shop",
            about_namespace: Namespace::Unknown,
            owner: None,
            settings: &settings,
        });
    }

    fn pod(image: &str, labels: &Value, annotations: &Value) -> Value {
        json!({
            "metadata": {"name": "db-0", "labels": labels, "annotations": annotations},
            "spec": {
                "containers": [{
                    "name": "db", "image": image,
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}],
            },
        })
    }

    fn plain(image: &str) -> Value {
        pod(image, &json!({}), &json!({}))
    }

    /// The same as the webhook makes it, where databases are dumped.
    fn hooked(pod: Value) -> Value {
        made_by(&PolicySet::new(library::defaults()).0, pod)
    }

    fn made_by(policies: &PolicySet, mut pod: Value) -> Value {
        with_method("dump", |facts| {
            let text = pod.to_string();
            let view = PodView::parse(&text).unwrap();
            let injection = inject(policies, &view, facts);
            assert!(!injection.plan.is_empty(), "{:?}", injection.reason());
            injection.patch(&view).apply(&mut pod, "").unwrap();
        });
        pod
    }

    fn chosen(pod: &Value) -> Result<Hooked, String> {
        let chosen = Chosen::new(PolicySet::new(library::defaults()).0);
        let mut found = None;
        with_method("snapshot", |facts| {
            found = Some(chosen.of(&pod.to_string(), facts));
        });
        found.unwrap()
    }

    fn pre(hooked: &Hooked) -> String {
        let pre = hooked.hooks.pre.as_ref().unwrap().exec().unwrap();
        assert_eq!(pre.phase, HookPhase::Pre);
        pre.command.join(" ")
    }

    #[test]
    fn a_pod_without_volumes_of_ours_gets_the_script_in_its_command() {
        for pod in [plain("postgres:16"), hooked(plain("postgres:16"))] {
            let found = chosen(&pod).unwrap();
            let policies = found.policies.as_deref().unwrap();
            assert!(policies.starts_with("postgresql-snapshot@"), "{policies}");
            assert!(pre(&found).contains("checkpoint"), "{}", pre(&found));
            assert!(found.hooks.post.is_some() && !found.holds_writes);
        }
    }

    #[test]
    fn a_script_is_told_of_a_group() {
        let found = chosen(&plain("postgres:16")).unwrap().in_group();
        let pre = found.hooks.pre.as_ref().and_then(Hook::exec);
        let command = &pre.unwrap().command;
        assert!(Invocation::is_of_a_script(command));
        assert_eq!(command[2], GROUP);
    }

    #[test]
    fn a_pod_that_was_made_for_snapshots_runs_what_it_has() {
        let labels = json!({"quiescent.dev/method": "snapshot"});
        let pod = hooked(pod("redis:7", &labels, &json!({})));
        let found = chosen(&pod).unwrap();
        assert!(pre(&found).contains("/quiescent/redis-snapshot/pre.sh"));
        let why = chosen(&plain("redis:7")).unwrap_err();
        assert!(why.contains("a running pod can get no volumes"), "{why}");
    }

    #[test]
    fn a_dump_is_not_what_a_snapshot_captures() {
        let labels = json!({"quiescent.dev/method": "dump"});
        for pod in [
            pod("postgres:16", &labels, &json!({})),
            hooked(pod("postgres:16", &labels, &json!({}))),
            hooked(plain("rabbitmq:3")),
        ] {
            let why = chosen(&pod).unwrap_err();
            assert!(
                why.contains("a dump is not what a snapshot captures"),
                "{why}"
            );
        }
    }

    /// The answer where these policies stand beside the library's.
    fn among(policies: &str, pod: &Value) -> Result<Hooked, String> {
        let chosen = Chosen::new(with_library(policies));
        let mut found = None;
        with_method("snapshot", |facts| {
            found = Some(chosen.of(&pod.to_string(), facts));
        });
        found.unwrap()
    }

    fn with_library(policies: &str) -> PolicySet {
        let source = Arc::new(Source {
            name: "policy.yaml".to_owned(),
            text: policies.to_owned(),
        });
        let (places, _) = parse(&Input {
            source,
            scripts: BTreeMap::new(),
        });
        let mut all = library::defaults();
        all.extend(places);
        PolicySet::new(all).0
    }

    fn calling(name: &str, image: &str) -> String {
        let call = "http: {port: 8080, path: /pause}, timeout: 30s, onError: Fail";
        format!(
            "apiVersion: quiescent.dev/v1\nkind: HookPolicy\nmetadata: {{name: {name}, annotations: {{quiescent.dev/blocks: writes}}}}\n\
             spec: {{match: {{images: [{image}]}}, hooks: {{pre: {{{call}}}, post: {{{call}}}}}}}\n---\n"
        )
    }

    #[test]
    fn a_pod_is_called_where_nobody_else_has_hooks_for_it() {
        let policy = calling("orders", "example.com/own");
        let found = among(&policy, &plain("example.com/own:1")).unwrap();
        let call = found.hooks.pre.as_ref().and_then(Hook::call).unwrap();
        assert_eq!(call.to_string(), "POST :8080/pause");
        assert!(found.hooks.post.is_some() && found.holds_writes);
        assert!(found.policies.unwrap().starts_with("orders@"));

        let own = json!({HookPhase::Pre.keys().command: "[\"fsfreeze\",\"-f\",\"/data\"]"});
        let authors = pod("example.com/own:1", &json!({}), &own);
        let twice = policy + &calling("bills", "example.com/*");
        let database = calling("orders", "postgres");
        for (policies, pod, other) in [
            (&twice, &plain("example.com/own:1"), "orders"),
            (
                &calling("orders", "example.com/own"),
                &authors,
                "its author",
            ),
            (&database, &plain("postgres:16"), "postgresql-snapshot"),
        ] {
            let why = among(policies, pod).unwrap_err();
            assert!(
                why.contains("calls it over HTTP") && why.contains(other),
                "{why}"
            );
        }
    }

    #[test]
    fn what_a_coordinator_calls_for_velero_is_called_by_us_and_never_twice() {
        let policy = calling("orders", "example.com/own");
        let beside = policy.replace("hooks:", "coordinator: {}, hooks:");
        let plain = plain("example.com/own:1");
        let made = made_by(&with_library(&beside), plain.clone());
        let annotated = &made["metadata"]["annotations"][HookPhase::Pre.keys().command];
        assert!(annotated.as_str().unwrap().contains("/pause"), "{made}");
        for pod in [&plain, &made] {
            let found = among(&beside, pod).unwrap();
            let call = found.hooks.pre.as_ref().and_then(Hook::call).unwrap();
            assert_eq!(call.to_string(), "POST :8080/pause");
            assert!(found.policies.unwrap().starts_with("orders@"));
        }
        let twice = beside + &calling("bills", "example.com/*");
        let why = among(&twice, &made).unwrap_err();
        assert!(
            why.contains("orders calls it") && why.contains("bills"),
            "{why}"
        );
    }

    #[test]
    fn an_author_knows_what_holds() {
        let own = json!({HookPhase::Pre.keys().command: "[\"fsfreeze\",\"-f\",\"/data\"]"});
        let found = chosen(&pod("example.com/own:1", &json!({}), &own)).unwrap();
        assert_eq!(
            (pre(&found).as_str(), &found.policies),
            ("fsfreeze -f /data", &None)
        );
        let why = chosen(&plain("example.com/own:1")).unwrap_err();
        assert!(why.contains("it has no hooks"), "{why}");
    }

    #[test]
    fn claims_are_those_of_the_pod_and_not_of_policies() {
        let mut pod = hooked(plain("postgres:16"));
        let volumes = pod["spec"]["volumes"].as_array_mut().unwrap();
        volumes.push(json!({"name": "wal", "ephemeral": {"volumeClaimTemplate": {}}}));
        volumes.push(json!({"name": "quiescent-dump-2", "ephemeral": {}}));
        volumes.push(json!({"name": "tmp", "emptyDir": {}}));
        let of = |claim: &str, volume: &str| (claim.to_owned(), volume.to_owned());
        assert_eq!(
            claims(&pod),
            [of("data-db-0", "data"), of("db-0-wal", "wal")]
        );
    }
}
