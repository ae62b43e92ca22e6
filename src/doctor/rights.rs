//! The rights that the accounts of webhook and controller need: one list, and what breaks without each.

use serde_json::Value;

use super::{
    Check, Finding, Names, Observed, Seen, Told,
    replicas::{deployment, own_setting},
};

/// Whose right it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    Webhook,
    Controller,
}

/// When it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    Always,
    /// By a controller that makes the certificate, or follows one.
    Certificates,
    /// By a controller that makes the certificate.
    Issuing,
    /// By a controller that puts annotations of running pods right, as it does by default.
    Repairing,
    /// By a controller that makes pods anew.
    Healing,
    /// By a controller that follows Velero's backups.
    WatchingBackups,
}

/// Where it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Cluster,
    OurNamespace,
    VeleroNamespace,
}

/// What an account does with objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub account: Account,
    pub needed: Needed,
    pub place: Place,
    pub group: &'static str,
    pub resource: &'static str,
    /// The one object that it is about.
    pub name: Option<&'static str>,
    pub verbs: &'static [&'static str],
    /// What does not work without it.
    pub breaks: &'static str,
}

impl Right {
    /// The one object that it is about, as it is named here.
    #[must_use]
    pub fn object<'a>(&self, names: &'a Names) -> Option<&'a str>
    where
        Self: 'a,
    {
        let shipped = self.name?;
        Some(match self.resource {
            "secrets" => &names.secret,
            "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => &names.webhook,
            _ => shipped,
        })
    }
}

impl Account {
    /// The name of its ServiceAccount as it is shipped.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "quiescent",
            Self::Controller => "quiescent-controller",
        }
    }

    /// The command that it runs.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Webhook => "serve",
            Self::Controller => "controller",
        }
    }
}

macro_rules! rights {
    ($($account:ident $needed:ident $place:ident $group:literal $resource:literal $name:expr, [$($verb:literal)+] $breaks:literal;)*) => {
        /// All of them.
        pub const RIGHTS: &[Right] = &[$(Right {
            account: Account::$account,
            needed: Needed::$needed,
            place: Place::$place,
            group: $group,
            resource: $resource,
            name: $name,
            verbs: &[$($verb),+],
            breaks: $breaks,
        },)*];
    };
}

rights! {
    Webhook Always Cluster "" "namespaces" None, ["list" "watch"]
        "labels of namespaces are not known, and replicas do not become ready";
    Webhook Always Cluster "quiescent.dev" "clusterhookpolicies" None, ["list" "watch"]
        "policies of the cluster are not in force";
    Webhook Always Cluster "quiescent.dev" "hookpolicies" None, ["list" "watch"]
        "policies of namespaces are not in force";
    Controller Always Cluster "" "namespaces" None, ["list" "watch"]
        "it does not become ready, and no scripts are written";
    Controller Always Cluster "" "pods" None, ["list" "watch"]
        "it does not become ready, and no scripts are written";
    Controller Always Cluster "apps" "daemonsets" None, ["list" "watch"]
        "it does not become ready, and no scripts are written";
    Controller Always Cluster "apps" "deployments" None, ["list" "watch"]
        "it does not become ready, and no scripts are written";
    Controller Always Cluster "apps" "replicasets" None, ["list" "watch"]
        "it does not become ready, and no scripts are written";
    Controller Always Cluster "apps" "statefulsets" None, ["list" "watch"]
        "it does not become ready, and no scripts are written";
    Controller Always Cluster "" "configmaps" None, ["create" "delete" "get" "list" "patch" "watch"]
        "scripts are not written, or old ones stay for ever";
    Controller Always Cluster "apps" "replicasets" None, ["get"]
        "Deployments are not told of pods without hooks";
    Controller Always Cluster "events.k8s.io" "events" None, ["create"]
        "owners are not told of pods without hooks";
    Controller Always Cluster "quiescent.dev" "clusterhookpolicies" None, ["list" "watch"]
        "policies of the cluster are not in force";
    Controller Always Cluster "quiescent.dev" "hookpolicies" None, ["list" "watch"]
        "policies of namespaces are not in force";
    Controller Always Cluster "quiescent.dev" "clusterhookpolicies/status" None, ["patch"]
        "policies do not say whether they are in force";
    Controller Always Cluster "quiescent.dev" "hookpolicies/status" None, ["patch"]
        "policies do not say whether they are in force";
    Controller Repairing Cluster "" "pods" None, ["patch"]
        "hooks of running pods are not put right";
    Controller Healing Cluster "" "pods" None, ["create"]
        "no pod without hooks is made anew";
    Controller Healing Cluster "" "pods/eviction" None, ["create"]
        "no pod without hooks is made anew";
    Controller Healing Cluster "apps" "daemonsets" None, ["get"]
        "no pod of a DaemonSet is made anew";
    Controller Healing Cluster "apps" "statefulsets" None, ["get"]
        "no pod of a StatefulSet is made anew";
    Controller Always OurNamespace "coordination.k8s.io" "leases" Some("quiescent-controller"), ["get" "update"]
        "nobody leads, and nothing is written";
    Controller Issuing OurNamespace "" "secrets" Some("quiescent-tls"), ["patch"]
        "the certificate is not renewed";
    Controller Certificates OurNamespace "" "secrets" Some("quiescent-tls"), ["get" "list" "watch"]
        "the certificate is not known";
    Controller Certificates OurNamespace "discovery.k8s.io" "endpointslices" None, ["list"]
        "old authorities stay trusted";
    Controller Certificates Cluster "admissionregistration.k8s.io" "mutatingwebhookconfigurations" Some("quiescent"), ["get" "list" "patch" "watch"]
        "entries do not trust a renewed certificate";
    Controller Certificates Cluster "admissionregistration.k8s.io" "validatingwebhookconfigurations" Some("quiescent"), ["get" "list" "patch" "watch"]
        "entries of the guard do not trust a renewed certificate";
    Controller WatchingBackups VeleroNamespace "velero.io" "backups" None, ["list" "watch"]
        "nothing is said of the hooks of backups";
    Controller WatchingBackups VeleroNamespace "velero.io" "restores" None, ["list" "watch"]
        "nothing is said of the hooks of restores";
    Controller WatchingBackups VeleroNamespace "velero.io" "downloadrequests" None, ["create" "delete" "get"]
        "nothing is said of the hooks of backups";
    Controller WatchingBackups VeleroNamespace "" "pods" None, ["list"]
        "nothing is said of the hooks of restores";
    Controller WatchingBackups VeleroNamespace "" "pods/log" None, ["get"]
        "nothing is said of the hooks of restores";
}

/// The rights that this installation needs, as far as its Deployments tell.
pub fn needed(deployments: &Seen<Vec<Value>>) -> impl Iterator<Item = &'static Right> {
    let has_controller = deployment(deployments, "controller").is_some();
    let certificates = own_setting(deployments, "controller", "certificates");
    let issues = certificates == Some("issue");
    let repairs = own_setting(deployments, "controller", "repair") != Some("off");
    let heals = own_setting(deployments, "controller", "heal") == Some("true");
    let watches = own_setting(deployments, "controller", "watch-backups") == Some("true");
    let follows = issues || certificates == Some("follow");
    RIGHTS.iter().filter(move |it| {
        let of_one_that_is_there = it.account == Account::Webhook || has_controller;
        of_one_that_is_there
            && match it.needed {
                Needed::Always => true,
                Needed::Certificates => follows,
                Needed::Issuing => issues,
                Needed::Repairing => repairs,
                Needed::Healing => heals,
                Needed::WatchingBackups => watches,
            }
    })
}

pub fn judge(observed: &Observed) -> Vec<Told> {
    let asked = match &observed.rights {
        Seen::Known(asked) => asked,
        Seen::Forbidden => {
            let says = "we may not ask what the accounts may do (create subjectaccessreviews)";
            return vec![Told::unknown(Check::Rights, says)];
        }
        unseen => return vec![Told::unseen(Check::Rights, "the accounts' rights", unseen)],
    };
    let own = &observed.names.own_namespace;
    let missing = asked.iter().filter(|(_, _, given)| !given);
    let mut told: Vec<Told> = Vec::new();
    let mut last: Option<&Right> = None;
    for (right, ..) in missing {
        if last == Some(*right) {
            continue;
        }
        last = Some(right);
        let missing = asked
            .iter()
            .filter(|(other, _, given)| other == right && !given);
        let verbs: Vec<&str> = missing.map(|(_, verb, _)| *verb).collect();
        let account = account(&observed.deployments, right.account);
        let named = right
            .object(&observed.names)
            .map_or_else(String::new, |it| format!(" {it}"));
        let scope = match right.place {
            Place::Cluster => String::new(),
            Place::OurNamespace => format!(" -n {own}"),
            Place::VeleroNamespace => format!(" -n {}", observed.names.velero_namespace),
        };
        told.push(Told::finding(
            Finding::RightMissing,
            format!(
                "{own}/{account} may not {} {}{named}: {}",
                verbs.join(", "),
                right.resource,
                right.breaks
            ),
            format!(
                "kubectl apply -k deploy; kubectl auth can-i --list{scope} --as system:serviceaccount:{own}:{account} shows what is there"
            ),
        ));
    }
    if told.is_empty() {
        let says = format!("all {} that webhook and controller need", asked.len());
        told.push(Told::fine(Check::Rights, says));
    }
    told
}

/// The ServiceAccount that a command runs as.
#[must_use]
pub fn account(deployments: &Seen<Vec<Value>>, account: Account) -> String {
    let deployment = deployment(deployments, account.command());
    let named =
        deployment.and_then(|it| it["spec"]["template"]["spec"]["serviceAccountName"].as_str());
    named.unwrap_or(account.name()).to_owned()
}
