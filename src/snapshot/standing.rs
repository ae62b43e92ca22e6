//! Whether a SnapshotHook is in force, and in which pods: what its status says.

use serde_json::{Value, json};

use super::{
    claims,
    resource::{Named, said},
};
use crate::{
    pod::PodView,
    policy::crd::ACCEPTED,
    trial::{Hook, Hooks, container},
};

/// So many pods are named.
pub const MOST_PODS: usize = 64;

/// What is to be said of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    reason: Reason,
    message: String,
    pods: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Accepted,
    AcceptedWithWarnings,
    /// It would run, and there is no pod for it.
    NoPod,
    Invalid,
    NoSuchClaim,
    SeveralForOnePod,
    NoSuchContainer,
}

impl Reason {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "Accepted",
            Self::AcceptedWithWarnings => "AcceptedWithWarnings",
            Self::NoPod => "NoPod",
            Self::Invalid => "Invalid",
            Self::NoSuchClaim => "NoSuchClaim",
            Self::SeveralForOnePod => "SeveralForOnePod",
            Self::NoSuchContainer => "NoSuchContainer",
        }
    }

    const fn is_accepted(self) -> bool {
        match self {
            Self::Accepted | Self::AcceptedWithWarnings | Self::NoPod => true,
            Self::Invalid | Self::NoSuchClaim | Self::SeveralForOnePod | Self::NoSuchContainer => {
                false
            }
        }
    }
}

impl Standing {
    /// Of an object that cannot be read.
    #[must_use]
    pub const fn unreadable(why: String) -> Self {
        Self::refused(Reason::Invalid, why)
    }

    /// Of one of all SnapshotHooks of its namespace, whose claim is there or not, with the running pods
    /// there, given as objects.
    #[must_use]
    pub fn of(named: &Named, all: &[Named], is_there: bool, pods: &[Value]) -> Self {
        let hooks = match &named.hooks {
            Ok(hooks) => hooks,
            Err(why) => return Self::refused(Reason::Invalid, why.clone()),
        };
        let claim = named.claim.as_str();
        if !is_there {
            return Self::refused(Reason::NoSuchClaim, format!("there is no claim {claim}"));
        }
        let mounts = |pod: &&Value| claims(pod).iter().any(|(it, _)| it == claim);
        let mounting: Vec<&Value> = pods.iter().filter(mounts).collect();
        let meant: Vec<&Value> = mounting
            .iter()
            .copied()
            .filter(|it| named.selects(it))
            .collect();
        for pod in &meant {
            let refused = |reason, why| Self::refused(reason, format!("pod {}: {why}", name(pod)));
            if let Err(why) = said(all, pod, &[claim]) {
                return refused(Reason::SeveralForOnePod, why);
            }
            if let Err(why) = containers(hooks, pod) {
                return refused(Reason::NoSuchContainer, why);
            }
        }
        let mut running: Vec<String> = meant.iter().map(|pod| name(pod).to_owned()).collect();
        running.sort();
        running.truncate(MOST_PODS);
        let beside = meant.iter().find_map(|pod| beside(all, pod));
        let (reason, message) = match (named.warning.clone().or(beside), meant.is_empty()) {
            (Some(warning), _) => (Reason::AcceptedWithWarnings, warning),
            (None, false) => (Reason::Accepted, "it runs, and no policy does".to_owned()),
            (None, true) if mounting.is_empty() => {
                let why = format!("no running pod mounts {claim}");
                (Reason::NoPod, why)
            }
            (None, true) => {
                let why = format!("no running pod that mounts {claim} has its podLabels");
                (Reason::NoPod, why)
            }
        };
        Self {
            reason,
            message,
            pods: running,
        }
    }

    const fn refused(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            pods: Vec::new(),
        }
    }

    /// The status of an object of this generation that says so, where what it says now is another.
    #[must_use]
    pub fn status(&self, generation: Option<i64>, before: &Value, now: &str) -> Option<Value> {
        let Self {
            reason,
            message,
            pods,
        } = self;
        let state = if reason.is_accepted() {
            "True"
        } else {
            "False"
        };
        let mut known = before["conditions"].as_array().into_iter().flatten();
        let known = known.find(|it| it["type"] == ACCEPTED && it["status"] == state);
        let since = known.and_then(|it| it["lastTransitionTime"].as_str());
        let status = json!({
            "observedGeneration": generation,
            "pods": pods,
            "conditions": [{
                "type": ACCEPTED, "status": state, "reason": reason.as_str(), "message": message,
                "observedGeneration": generation, "lastTransitionTime": since.unwrap_or(now),
            }],
        });
        (status != *before).then_some(status)
    }
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// Whether a pod has what commands run in.
fn containers(hooks: &Hooks, pod: &Value) -> Result<(), String> {
    let text = pod.to_string();
    let view = PodView::parse(&text).map_err(|error| error.what().clone())?;
    let each = [&hooks.pre, &hooks.post].into_iter().flatten();
    for hook in each.filter_map(Hook::exec) {
        container(hook, &view)?;
    }
    Ok(())
}

/// That a snapshot of all claims of a pod is refused.
fn beside(all: &[Named], pod: &Value) -> Option<String> {
    let claims = claims(pod);
    let claims: Vec<&str> = claims.iter().map(|(claim, _)| claim.as_str()).collect();
    let why = said(all, pod, &claims).err()?;
    let name = name(pod);
    Some(format!(
        "a snapshot of all claims of pod {name} is refused: {why}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, spec: &Value) -> Named {
        Named::of(&json!({"metadata": {"name": name}, "spec": spec})).unwrap()
    }

    fn hook(claim: &str) -> Value {
        json!({
            "targetPVC": claim, "container": "db", "podLabels": {"role": "primary"},
            "preHook": {"exec": {"command": ["hold"]}},
        })
    }

    fn pod(name: &str, role: &str, claims: &[&str]) -> Value {
        let claims = claims.iter();
        let volumes = claims
            .map(|it| json!({"name": it, "persistentVolumeClaim": {"claimName": it}}))
            .collect::<Vec<_>>();
        json!({
            "metadata": {"name": name, "labels": {"role": role}},
            "spec": {"containers": [{"name": "db", "image": "db"}], "volumes": volumes},
        })
    }

    /// One of these claims, beside others, with pods there that mount `data`, and one of them `wal`.
    fn check(spec: &Value, others: &[Named], is_there: bool, says: [&str; 2], pods: &[&str]) {
        let running = [
            pod("pg-1", "replica", &["data"]),
            pod("pg-0", "primary", &["data", "wal"]),
        ];
        let mut all = vec![named("one", spec)];
        all.extend_from_slice(others);
        let standing = Standing::of(&all[0], &all, is_there, &running);
        let [reason, message] = says;
        assert_eq!(standing.reason.as_str(), reason, "{spec}");
        assert!(standing.message.contains(message), "{}", standing.message);
        assert_eq!(standing.pods, pods, "{spec}");
    }

    fn with(key: &str, value: Value) -> Value {
        let mut spec = hook("data");
        spec[key] = value;
        spec
    }

    #[test]
    fn it_is_in_force_in_the_pods_that_it_means() {
        let check = |spec: &Value, others: &[Named], says, pods: &[&str]| {
            check(spec, others, true, says, pods);
        };
        check(&hook("data"), &[], ["Accepted", "it runs"], &["pg-0"]);
        let all = with("podLabels", json!({}));
        check(&all, &[], ["Accepted", "it runs"], &["pg-0", "pg-1"]);
        check(
            &hook("tmp"),
            &[],
            ["NoPod", "no running pod mounts tmp"],
            &[],
        );
        let nobody = with("podLabels", json!({"role": "witness"}));
        check(&nobody, &[], ["NoPod", "podLabels"], &[]);
        let far = with("postHook", json!({"http": {"url": "https://example.com/"}}));
        check(&far, &[], ["AcceptedWithWarnings", "no Service"], &["pg-0"]);
        let beside = [named("other", &hook("wal"))];
        let says = ["AcceptedWithWarnings", "all claims of pod pg-0 is refused"];
        check(&hook("data"), &beside, says, &["pg-0"]);
    }

    #[test]
    fn it_says_why_nobody_can_follow_it() {
        let check = |spec: &Value, others: &[Named], is_there, reason, message| {
            check(spec, others, is_there, [reason, message], &[]);
        };
        let fine = hook("data");
        check(&fine, &[], false, "NoSuchClaim", "no claim data");
        let elsewhere = with("container", json!("main"));
        let message = "pod pg-0: no such container: \"main\"";
        check(&elsewhere, &[], true, "NoSuchContainer", message);
        let twice = [named("other", &fine)];
        let message = "one (of data), other (of data)";
        check(&fine, &twice, true, "SeveralForOnePod", message);
        let empty = with("preHook", json!({"exec": {"command": []}}));
        check(&empty, &[], true, "Invalid", "is empty");
    }

    #[test]
    fn a_status_is_written_when_it_is_another_and_keeps_its_time_while_it_is_accepted() {
        let all = [named("one", &hook("data"))];
        let pods = [pod("pg-0", "primary", &["data"])];
        let standing = |pods| Standing::of(&all[0], &all, true, pods);
        let (first, later) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
        let status = standing(&pods)
            .status(Some(1), &Value::Null, first)
            .unwrap();
        assert_eq!(status["pods"], json!(["pg-0"]));
        assert_eq!(status["conditions"][0]["status"], "True");
        assert_eq!(standing(&pods).status(Some(1), &status, later), None);
        let anew = standing(&[]).status(Some(2), &status, later).unwrap();
        let condition = &anew["conditions"][0];
        assert_eq!(condition["reason"], "NoPod");
        assert_eq!(condition["lastTransitionTime"], first);
        assert_eq!(
            (
                &condition["observedGeneration"],
                &anew["observedGeneration"]
            ),
            (&json!(2), &json!(2))
        );
        let gone = Standing::of(&all[0], &all, false, &pods);
        let gone = gone.status(Some(2), &anew, later).unwrap();
        assert_eq!(gone["conditions"][0]["lastTransitionTime"], later);
        assert_eq!(gone["pods"], json!([]));
    }
}
