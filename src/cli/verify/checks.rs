//! Runs the checks of policies in restored pods.

use std::collections::BTreeMap;

use anyhow::anyhow;
use kube::Client;
use tokio::time::{self, Instant};

use crate::{
    kubernetes::{Exit, Place, exec},
    plan,
    pod::PodView,
    policy::PolicySet,
    select::{Facts, Namespace, Settings},
    trial::Outcome,
    verify::{Checked, Pod},
};

pub struct Checks<'c> {
    pub client: &'c Client,
    pub policies: &'c PolicySet,
    /// Labels and annotations of the original namespaces.
    pub namespaces: &'c BTreeMap<String, [BTreeMap<String, String>; 2]>,
}

impl Checks<'_> {
    /// Those of the policies that gave this pod its hooks, one after the other.
    pub async fn run(&self, pod: &Pod) -> anyhow::Result<Vec<Checked>> {
        let subject = &pod.subject;
        let view = PodView::parse(&subject.object).map_err(|error| anyhow!("{}", error.what()))?;
        let settings = Settings::default();
        let about = self.namespaces.get(&subject.namespace);
        let facts = Facts {
            namespace: &subject.namespace,
            about_namespace: about.map_or(Namespace::Unknown, |[labels, annotations]| {
                Namespace::Known {
                    labels,
                    annotations,
                }
            }),
            owner: None,
            settings: &settings,
        };
        let first = view.containers().first();
        let first = first.map_or("", |container| &*container.name);
        let mut checked = Vec::new();
        for name in &subject.policies {
            let policy = self.policies.get(name, &subject.namespace);
            let Some((check, container)) = policy.and_then(|it| plan::check(it, &view, facts))
            else {
                continue;
            };
            let usual = subject.container.as_deref().unwrap_or(first);
            let place = Place {
                namespace: &pod.namespace,
                pod: &subject.name,
                container: container.as_deref().unwrap_or(usual),
            };
            let began = Instant::now();
            let mut running = exec(self.client, place, &check.argv);
            let ended = time::timeout(check.timeout.to_std(), running.ended()).await;
            let took = began.elapsed();
            let (outcome, stdout, stderr) = match ended {
                Ok(ended) => {
                    let outcome = match ended.exit {
                        Exit::Code(code) => Outcome::Exited(code),
                        Exit::NotRun(why) => Outcome::NotRun(why),
                        Exit::Lost(why) => Outcome::Lost(why),
                    };
                    (outcome, ended.stdout.end, ended.stderr.end)
                }
                Err(_) => (Outcome::TimedOut, String::new(), String::new()),
            };
            checked.push(Checked {
                policy: name.clone(),
                outcome,
                took,
                stdout,
                stderr,
            });
        }
        Ok(checked)
    }
}
