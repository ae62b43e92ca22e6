//! Whether somebody is there to answer: the Service, its endpoints, the Deployments, their pods.

use serde_json::Value;

use super::{
    Check, Finding, Observed, Seen, Told,
    object::{containers, count, list, name, setting},
};

/// After so many restarts somebody should look.
const RESTARTS: i64 = 5;

/// Who is behind a Service, ready or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints(pub Vec<Endpoint>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: String,
    pub port: u16,
    pub pod: Option<String>,
    pub ready: bool,
}

impl Endpoints {
    /// Reads the EndpointSlices of one Service.
    #[must_use]
    pub fn of_slices<'a>(slices: impl IntoIterator<Item = &'a Value>) -> Self {
        let endpoints = slices.into_iter().flat_map(|slice| {
            let port = list(&slice["ports"]).find_map(|it| it["port"].as_u64());
            let port = port
                .and_then(|it| u16::try_from(it).ok())
                .unwrap_or_default();
            list(&slice["endpoints"]).filter_map(move |endpoint| {
                let pod = &endpoint["targetRef"];
                Some(Endpoint {
                    address: list(&endpoint["addresses"]).next()?.as_str()?.to_owned(),
                    port,
                    pod: pod["name"]
                        .as_str()
                        .filter(|_| pod["kind"] == "Pod")
                        .map(str::to_owned),
                    // What is not said is true.
                    ready: endpoint["conditions"]["ready"] != false,
                })
            })
        });
        Self(endpoints.collect())
    }

    #[must_use]
    pub fn ready(&self) -> usize {
        self.0.iter().filter(|it| it.ready).count()
    }
}

pub fn judge(observed: &Observed) -> Vec<Told> {
    let names = &observed.names;
    let key = (names.own_namespace.clone(), names.service.clone());
    let mut told = Vec::new();
    match observed.services.get(&key) {
        Some(Seen::Known(endpoints)) => told.push(answering(observed, endpoints)),
        Some(Seen::Absent) => told.push(Told::finding(
            Finding::ServiceAbsent,
            format!(
                "there is no Service {}/{}",
                names.own_namespace, names.service
            ),
            "kubectl get services -A shows where it is; --own-namespace and --service name it",
        )),
        Some(unseen) => told.push(Told::unseen(
            Check::Replicas,
            "the webhook's endpoints",
            unseen,
        )),
        None => {}
    }
    told.extend(restarting(observed));
    told.extend(differing(observed));
    told
}

fn answering(observed: &Observed, endpoints: &Endpoints) -> Told {
    let own = &observed.names.own_namespace;
    let (ready, all) = (endpoints.ready(), endpoints.0.len());
    let look = format!("kubectl -n {own} get pods,events");
    match (ready, all) {
        (0, 0) => Told::finding(Finding::NobodyAnswers, "the Service has no endpoint", look),
        (0, all) => Told::finding(
            Finding::NobodyAnswers,
            format!("none of {} is ready", count(all, "replica")),
            look,
        ),
        (ready, all) if ready < all => Told::finding(
            Finding::ReplicasUnready,
            format!("{ready} of {all} replicas are ready"),
            look,
        ),
        (1, _) => Told::finding(
            Finding::OneReplica,
            "1 replica is ready, and there is no other",
            format!(
                "kubectl -n {own} scale deployment {} --replicas=2",
                observed.names.service
            ),
        ),
        (ready, _) => Told::fine(
            Check::Replicas,
            format!("{ready} are ready{}", versions(observed)),
        ),
    }
}

/// The images of our Deployments, each once.
fn images(observed: &Observed) -> Vec<&str> {
    let deployments = observed.deployments.known().into_iter().flatten();
    let ours = deployments.filter(|it| is_ours(it));
    let images = ours
        .flat_map(containers)
        .filter_map(|it| it["image"].as_str());
    let mut images: Vec<&str> = images.collect();
    images.sort_unstable();
    images.dedup();
    images
}

/// Whether a Deployment runs one of our commands.
fn is_ours(deployment: &Value) -> bool {
    let mut arguments = super::object::arguments(deployment);
    arguments.any(|it| it == "serve" || it == "controller")
}

fn versions(observed: &Observed) -> String {
    match images(observed).as_slice() {
        [image] => format!(", {image}"),
        _ => String::new(),
    }
}

fn differing(observed: &Observed) -> Option<Told> {
    let images = images(observed);
    (images.len() > 1).then(|| {
        Told::finding(
            Finding::VersionsDiffer,
            format!(
                "webhook and controller are of different images: {}",
                images.join(", ")
            ),
            format!(
                "kubectl -n {} get deployments -o wide",
                observed.names.own_namespace
            ),
        )
    })
}

fn restarting(observed: &Observed) -> Vec<Told> {
    let own = &observed.names.own_namespace;
    let pods = observed.pods.known().into_iter().flatten();
    let restarts = pods.filter_map(|pod| {
        let statuses = list(&pod["status"]["containerStatuses"]);
        let worst = statuses.max_by_key(|it| it["restartCount"].as_i64())?;
        let times = worst["restartCount"].as_i64()?;
        let because = worst["lastState"]["terminated"]["reason"].as_str();
        let because = because.map_or_else(String::new, |it| format!(", last: {it}"));
        (times > RESTARTS).then(|| {
            Told::finding(
                Finding::Restarts,
                format!("{own}/{} restarted {times} times{because}", name(pod)),
                format!("kubectl -n {own} logs {} --previous", name(pod)),
            )
        })
    });
    restarts.collect()
}

/// The Deployment that runs a command of ours.
pub fn deployment<'a>(deployments: &'a Seen<Vec<Value>>, command: &str) -> Option<&'a Value> {
    let mut deployments = deployments.known()?.iter();
    deployments.find(|it| super::object::arguments(it).any(|argument| argument == command))
}

/// What a setting of one of our commands is.
pub fn own_setting<'a>(
    deployments: &'a Seen<Vec<Value>>,
    command: &str,
    name: &str,
) -> Option<&'a str> {
    deployment(deployments, command).and_then(|it| setting(it, name))
}

/// The Secret that the webhook's Deployment takes its certificate from.
pub fn secret(deployments: &Seen<Vec<Value>>) -> Option<&str> {
    let webhook = deployment(deployments, "serve")?;
    let mut volumes = list(&webhook["spec"]["template"]["spec"]["volumes"]);
    volumes.find_map(|it| it["secret"]["secretName"].as_str())
}
