//! The controller: whether it is there, whether one leads, and whether scripts are where pods need them.

use super::{
    Check, Finding, Observed, Seen, Told,
    certificate::age,
    object::{count, name, some},
    replicas::deployment,
};

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    pub holder: String,
    /// How many seconds ago it was renewed, by the API server's clock where that is known.
    pub age: Option<i64>,
    pub seconds: i64,
}

pub fn judge(observed: &Observed) -> Vec<Told> {
    let mut told = leading(observed);
    told.push(scripts(observed));
    told
}

fn leading(observed: &Observed) -> Vec<Told> {
    let own = &observed.names.own_namespace;
    match &observed.deployments {
        Seen::Known(_) => {}
        unseen => return vec![Told::unseen(Check::Controller, "Deployments", unseen)],
    }
    let Some(controller) = deployment(&observed.deployments, "controller") else {
        return vec![Told::finding(
            Finding::NoController,
            format!("there is no controller in {own}: scripts are put into namespaces by hand"),
            "kubectl apply -k deploy",
        )];
    };
    let logs = format!("kubectl -n {own} logs deployment/{}", name(controller));
    let ready = controller["status"]["readyReplicas"].as_u64().unwrap_or(0);
    if ready == 0 {
        return vec![Told::finding(
            Finding::ControllerDown,
            format!("no replica of {own}/{} is ready", name(controller)),
            logs,
        )];
    }
    let ready = usize::try_from(ready).unwrap_or(usize::MAX);
    vec![match &observed.lease {
        Seen::Known(Lease {
            holder,
            age: since,
            seconds,
        }) => {
            let stale = since.filter(|since| since > seconds);
            if holder.is_empty() {
                Told::finding(
                    Finding::Leaderless,
                    "nobody holds the controller's lease",
                    logs,
                )
            } else if let Some(since) = stale {
                Told::finding(
                    Finding::Leaderless,
                    format!(
                        "{holder} has not renewed the controller's lease for {}",
                        age(since)
                    ),
                    logs,
                )
            } else {
                Told::fine(
                    Check::Controller,
                    format!("{} ready, {holder} leads", count(ready, "replica")),
                )
            }
        }
        Seen::Absent => Told::finding(
            Finding::Leaderless,
            "there is no lease of the controller",
            logs,
        ),
        unseen => Told::unseen(Check::Controller, "the controller's lease", unseen),
    }]
}

fn scripts(observed: &Observed) -> Told {
    match &observed.missing_scripts {
        Seen::Known(missing) if missing.is_empty() => {
            Told::fine(Check::Scripts, "there for every pod with hooks")
        }
        Seen::Known(missing) => {
            let names: Vec<String> = missing
                .iter()
                .map(|(namespace, name)| format!("{namespace}/{name}"))
                .collect();
            let (namespace, _) = missing.first().expect("it is not empty");
            Told::finding(
                Finding::ScriptsMissing,
                format!(
                    "pods have hooks, and no ConfigMap {}",
                    some(names.iter().map(String::as_str))
                ),
                format!("quiescent scripts -n {namespace} | kubectl apply -f -"),
            )
        }
        unseen => Told::unseen(Check::Scripts, "pods and ConfigMaps", unseen),
    }
}
