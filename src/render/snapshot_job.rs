//! What runs `quiescent snapshot` in a cluster: a Job or a CronJob, its account, and no right that it does
//! not use.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{csi, policy::crd::GROUP};

/// From the moment a Job is made until its program runs: a node is found, an image is pulled.
const START: Duration = Duration::from_mins(5);

/// So long the API server may be away altogether, with what is asked of it beside hooks and cuts.
const REQUESTS: Duration = Duration::from_mins(5);

/// A run of a CronJob that could not begin for so long is left to the next one.
const STARTING_DEADLINE: Duration = Duration::from_mins(10);

/// So long a Job that nobody made by a CronJob is kept when it is over.
const KEPT: Duration = Duration::from_hours(24);

/// Where policies are mounted.
const FOLDER: &str = "/policies";

const RBAC: &str = "rbac.authorization.k8s.io";

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotJob<'j> {
    pub name: &'j str,
    pub namespace: &'j str,
    pub image: &'j str,
    /// What stands behind `quiescent snapshot`.
    pub args: &'j [String],
    pub of: Of<'j>,
    pub runs_hooks: bool,
    /// Whether several claims may be cut as a group.
    pub groups: bool,
    pub limits: Limits,
    /// Those of its own beside or in place of the library.
    pub policies: &'j [PolicyFile<'j>],
    /// When, and by the clocks of which zone; without it is a Job.
    pub schedule: Option<(&'j str, Option<&'j str>)>,
}

/// What a snapshot is taken of, as far as it tells which objects may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of<'j> {
    Pod(&'j str),
    Claim(&'j str),
    /// All pods of what makes them, given by its plural.
    Owner {
        plural: &'j str,
        name: &'j str,
    },
    Labels,
}

/// A policy file with the scripts beside it, by their names.
#[derive(Clone, Debug)]
pub struct PolicyFile<'j> {
    pub text: &'j str,
    pub scripts: Vec<(&'j str, &'j str)>,
}

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many pods run their hooks, one after the other.
    pub pods: u32,
    pub pre: Duration,
    pub post: Duration,
    pub cut: Duration,
    pub ready: Duration,
    /// For how long a pre hook is waited for that did not end in its time.
    pub linger: Duration,
    /// For how long another run for the same claims is waited for.
    pub wait: Duration,
}

impl Limits {
    /// All post hooks, then one of them again after a pre hook that ended late.
    fn undo(&self) -> Duration {
        self.post * (self.pods + 1) + self.linger
    }

    /// When the Job is ended, at the latest. What it held is undone after that.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        START + self.wait + self.pre * self.pods + self.cut + self.undo() + self.ready + REQUESTS
    }

    /// From being told to stop until being killed: whatever it was at, the undo fits in.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.undo() + REQUESTS
    }

    /// How both add up, each in a line.
    #[must_use]
    pub fn lines(&self) -> [String; 2] {
        let seconds = |time: Duration| time.as_secs();
        let Self {
            pods,
            pre,
            post,
            cut,
            ready,
            linger,
            wait,
        } = *self;
        let undo = format!(
            "{} x {} post, {} for a pre hook that ends late",
            pods + 1,
            seconds(post),
            seconds(linger)
        );
        let requests = format!("{} for the API server", seconds(REQUESTS));
        [
            format!(
                "activeDeadlineSeconds {}: {} to start, {} to wait, {pods} x {} pre, {} cut, {undo}, {} ready, {requests}",
                seconds(self.deadline()),
                seconds(START),
                seconds(wait),
                seconds(pre),
                seconds(cut),
                seconds(ready),
            ),
            format!(
                "terminationGracePeriodSeconds {}: {undo}, {requests}",
                seconds(self.grace())
            ),
        ]
    }
}

impl SnapshotJob<'_> {
    /// All objects, in the order in which they are made.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        let (own, wide) = (self.metadata(), self.wide_metadata());
        let account = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": own,
            "automountServiceAccountToken": false,
        });
        let mut objects = vec![
            account,
            role("Role", &own, &self.rules()),
            self.binding("Role", &own),
            role("ClusterRole", &wide, &self.wide_rules()),
            self.binding("ClusterRole", &wide),
        ];
        objects.extend(self.config_map());
        objects.push(self.job());
        objects
    }

    fn metadata(&self) -> Value {
        json!({"name": self.name, "namespace": self.namespace, "labels": self.labels()})
    }

    /// Of what is in no namespace. No other namespace has the name: theirs have no dots.
    fn wide_metadata(&self) -> Value {
        let name = format!("{}.{}", self.name, self.namespace);
        json!({"name": name, "labels": self.labels()})
    }

    fn labels(&self) -> Value {
        json!({
            "app.kubernetes.io/name": "quiescent-snapshot",
            "app.kubernetes.io/instance": self.name,
            "app.kubernetes.io/managed-by": "quiescent",
        })
    }

    /// Gives the account the role of the same name.
    fn binding(&self, role: &str, metadata: &Value) -> Value {
        json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": format!("{role}Binding"),
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC, "kind": role, "name": metadata["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}],
        })
    }

    /// What it does in its namespace.
    fn rules(&self) -> Vec<Value> {
        let (pod, claim, owner) = match self.of {
            Of::Pod(name) => (Some(name), None, None),
            Of::Claim(name) => (None, Some(name), None),
            Of::Owner { plural, name } => (None, None, Some((plural, name))),
            Of::Labels => (None, None, None),
        };
        let mut rules = vec![rule("", "pods", &["list"], None)];
        if self.runs_hooks {
            // An exec over a websocket is a get; API servers from 1.35 on ask for create beside it.
            rules.push(rule("", "pods/exec", &["create", "get"], pod));
            rules.push(rule("", "namespaces", &["get"], Some(self.namespace)));
            rules.push(rule(GROUP, "snapshothooks", &["list"], None));
        }
        rules.push(rule("", "persistentvolumeclaims", &["get"], claim));
        rules.extend(owner.map(|(plural, name)| rule("apps", plural, &["get"], Some(name))));
        let verbs = ["create", "delete", "list", "patch", "watch"];
        rules.push(rule(csi::GROUP, "volumesnapshots", &verbs, None));
        if self.cuts_groups() {
            rules.push(rule("", "persistentvolumeclaims", &["patch"], None));
            rules.push(rule(
                &csi::groups::api(),
                "volumegroupsnapshots",
                &verbs,
                None,
            ));
        }
        // One claim, one run at a time.
        let verbs = ["create", "delete", "get", "update"];
        rules.push(rule("coordination.k8s.io", "leases", &verbs, None));
        rules
    }

    /// What it asks of objects that are in no namespace.
    fn wide_rules(&self) -> Vec<Value> {
        let mut rules = vec![
            rule("", "persistentvolumes", &["get"], None),
            rule(csi::GROUP, "volumesnapshotclasses", &["list"], None),
            rule(csi::GROUP, "volumesnapshotcontents", &["get"], None),
        ];
        if self.cuts_groups() {
            let classes = "volumegroupsnapshotclasses";
            rules.push(rule(&csi::groups::api(), classes, &["list"], None));
        }
        rules
    }

    const fn cuts_groups(&self) -> bool {
        self.groups && !matches!(self.of, Of::Claim(_))
    }

    fn config_map(&self) -> Option<Value> {
        let files = self.files();
        if files.is_empty() {
            return None;
        }
        let data: Map<String, Value> = files
            .into_iter()
            .map(|File { key, text, .. }| (key, text.into()))
            .collect();
        Some(
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata(), "data": data}),
        )
    }

    /// Each policy file in a folder of its own, for the scripts of two may have the same names.
    fn files(&self) -> Vec<File<'_>> {
        let each = self.policies.iter().enumerate().flat_map(|(at, policy)| {
            let file = File {
                key: format!("{at}.policy.yaml"),
                path: format!("{at}/policy.yaml"),
                text: policy.text,
            };
            let scripts = policy.scripts.iter().map(move |(name, text)| File {
                key: format!("{at}.{name}"),
                path: format!("{at}/scripts/{name}"),
                text,
            });
            std::iter::once(file).chain(scripts)
        });
        each.collect()
    }

    fn job(&self) -> Value {
        let mut job = json!({
            // What failed is to be looked at, not tried again.
            "backoffLimit": 0,
            "activeDeadlineSeconds": self.limits.deadline().as_secs(),
            "template": {"metadata": {"labels": self.labels()}, "spec": self.pod()},
        });
        let object = |kind: &str, spec: Value| {
            let metadata = self.metadata();
            json!({"apiVersion": "batch/v1", "kind": kind, "metadata": metadata, "spec": spec})
        };
        let Some((schedule, zone)) = self.schedule else {
            job["ttlSecondsAfterFinished"] = KEPT.as_secs().into();
            return object("Job", job);
        };
        let mut spec = json!({
            "schedule": schedule,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": STARTING_DEADLINE.as_secs(),
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {"metadata": {"labels": self.labels()}, "spec": job},
        });
        if let Some(zone) = zone {
            spec["timeZone"] = zone.into();
        }
        object("CronJob", spec)
    }

    fn pod(&self) -> Value {
        let mut container = json!({
            "name": "snapshot",
            "image": self.image,
            "args": self.container_args(),
            "env": [{
                "name": "QUIESCENT_NAMESPACE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            }],
            "resources": {
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"memory": "128Mi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            },
        });
        let mut spec = json!({
            "serviceAccountName": self.name,
            "automountServiceAccountToken": true,
            // A Service has variables that begin with its name, and so have our settings.
            "enableServiceLinks": false,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": self.limits.grace().as_secs(),
            "securityContext": {
                "runAsNonRoot": true,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        });
        let files = self.files();
        if !files.is_empty() {
            let items: Vec<Value> = files
                .iter()
                .map(|it| json!({"key": it.key, "path": it.path}))
                .collect();
            container["volumeMounts"] =
                json!([{"name": "policies", "mountPath": FOLDER, "readOnly": true}]);
            spec["volumes"] =
                json!([{"name": "policies", "configMap": {"name": self.name, "items": items}}]);
        }
        spec["containers"] = json!([container]);
        spec
    }

    fn container_args(&self) -> Vec<String> {
        let policies = (!self.policies.is_empty()).then(|| format!("--policies={FOLDER}"));
        let head = std::iter::once("snapshot".to_owned());
        head.chain(self.args.iter().cloned())
            .chain(policies)
            .collect()
    }
}

/// An entry of the ConfigMap, and where it is mounted.
struct File<'f> {
    key: String,
    path: String,
    text: &'f str,
}

fn role(kind: &str, metadata: &Value, rules: &[Value]) -> Value {
    let version = format!("{RBAC}/v1");
    json!({"apiVersion": version, "kind": kind, "metadata": metadata, "rules": rules})
}

fn rule(group: &str, resource: &str, verbs: &[&str], name: Option<&str>) -> Value {
    let mut rule = json!({"apiGroups": [group], "resources": [resource], "verbs": verbs});
    if let Some(name) = name {
        rule["resourceNames"] = json!([name]);
    }
    rule
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn limits(pods: u32) -> Limits {
        Limits {
            pods,
            pre: 5 * MINUTE,
            post: MINUTE / 2,
            cut: MINUTE,
            ready: 10 * MINUTE,
            linger: MINUTE / 6,
            wait: 2 * MINUTE,
        }
    }

    #[test]
    fn the_undo_fits_in_when_the_deadline_ends_it() {
        for pods in [1, 3] {
            let limits = limits(pods);
            let undo = limits.post * (pods + 1) + limits.linger;
            assert!(limits.grace() > undo);
            assert!(limits.deadline() > limits.pre * pods + limits.cut + undo + limits.ready);
            let [deadline, grace] = limits.lines();
            for (line, said) in [(deadline, limits.deadline()), (grace, limits.grace())] {
                let (head, terms) = line.split_once(": ").unwrap();
                assert!(head.ends_with(&format!(" {}", said.as_secs())), "{line}");
                let number = |word: &str| word.parse::<u64>().ok();
                let sum: u64 = terms
                    .split(", ")
                    .map(|term| {
                        let words: Vec<&str> = term.split(' ').collect();
                        match words[..] {
                            [many, "x", each, ..] => number(many).unwrap() * number(each).unwrap(),
                            _ => number(words[0]).unwrap(),
                        }
                    })
                    .sum();
                assert_eq!(sum, said.as_secs(), "{line}");
            }
        }
    }
}
