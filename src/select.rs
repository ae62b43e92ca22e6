//! Decides which policies select a pod, and why the others do not.
//!
//! Pure: the answer depends on the arguments alone.

mod gate;
mod reason;

use std::collections::BTreeMap;

pub use gate::{Mode, gate, left_alone as namespace_left_alone};
pub use reason::Reason;

use crate::{
    pod::{Container, PodView},
    policy::{
        CONTAINER_ANNOTATION, ContainerChoice, Criteria, Image, ImagePattern, METHOD_LABEL,
        Parameter, Policy, PolicySet, coordinator::is_coordinators, glob,
    },
    recognise::{self, Known},
};

/// What must be known beside the pod.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The request's namespace; that of the pod may be empty.
    pub namespace: &'a str,
    pub about_namespace: Namespace<'a>,
    /// The controller from whose template the pod is made, when that is known and the pod does not say.
    pub owner: Option<(&'a str, &'a str)>,
    pub settings: &'a Settings,
}

/// What is known of a namespace.
#[derive(Clone, Copy, Debug)]
pub enum Namespace<'a> {
    /// There is no cluster to ask.
    Unknown,
    /// There is one, and it has not told of this namespace yet.
    NotSeen,
    Known {
        labels: &'a BTreeMap<String, String>,
        annotations: &'a BTreeMap<String, String>,
    },
}

impl Namespace<'_> {
    /// Why nothing can be said of its labels, where nothing can.
    #[must_use]
    pub const fn why_unknown(self) -> Reason {
        match self {
            Self::NotSeen => Reason::NamespaceNotSeen,
            Self::Unknown | Self::Known { .. } => Reason::NamespaceUnknown,
        }
    }
}

/// What an operator decides once for all pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub mode: Mode,
    /// The method of pods and namespaces without a label for it.
    pub default_method: String,
    pub own_namespace: String,
    pub velero_namespace: String,
    /// The image with this program, for the containers of coordinators.
    pub image: String,
}

impl Settings {
    /// The namespaces that an API server must not even ask about: those that a cluster needs to come up,
    /// Velero's, and our own.
    #[must_use]
    pub fn left_out(&self) -> [&str; 5] {
        let Self {
            own_namespace,
            velero_namespace,
            ..
        } = self;
        [
            "kube-system",
            "kube-public",
            "kube-node-lease",
            velero_namespace,
            own_namespace,
        ]
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::OptOut,
            default_method: "dump".to_owned(),
            own_namespace: "quiescent".to_owned(),
            velero_namespace: "velero".to_owned(),
            image: IMAGE.to_owned(),
        }
    }
}

/// The image with this program, as deploy/ names it.
pub const IMAGE: &str = concat!("quiescent:", env!("CARGO_PKG_VERSION"));

/// What one policy says about one pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict<'p> {
    /// The hooks belong into the container at this position of `spec.containers`.
    Selected(&'p Policy, usize),
    Passed(&'p Policy, Reason),
}

impl<'p> Verdict<'p> {
    #[must_use]
    pub const fn policy(&self) -> &'p Policy {
        match self {
            Self::Selected(policy, _) | Self::Passed(policy, _) => policy,
        }
    }

    /// Where the hooks belong.
    #[must_use]
    pub const fn container(&self) -> Option<usize> {
        match self {
            Self::Selected(_, container) => Some(*container),
            Self::Passed(..) => None,
        }
    }
}

/// Asks the policies that may match, in the order of the set. Those left out cannot.
#[must_use]
pub fn select<'p>(
    policies: &'p PolicySet,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Vec<Verdict<'p>> {
    let images = images(pod);
    let names = images.iter().map(Image::name);
    policies
        .candidates(names, pod.labels(), facts.namespace)
        .map(|policy| judge(policies, policy, pod, &images, facts))
        .collect()
}

/// Asks every policy, for people who want to know why one was passed over.
#[must_use]
pub fn select_all<'p>(
    policies: &'p PolicySet,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Vec<Verdict<'p>> {
    let images = images(pod);
    let all = policies.iter();
    all.map(|policy| judge(policies, policy, pod, &images, facts))
        .collect()
}

fn judge<'p>(
    policies: &PolicySet,
    policy: &'p Policy,
    pod: &PodView<'_>,
    images: &[Image<'_>],
    facts: Facts<'_>,
) -> Verdict<'p> {
    if policies.is_replaced(policy, facts.namespace) {
        return Verdict::Passed(policy, Reason::Replaced);
    }
    if let Some(why) = mismatch(&policy.matching, pod, images, facts) {
        return Verdict::Passed(policy, why);
    }
    if recognised_pod(policy, pod).is_some() {
        return Verdict::Passed(policy, Reason::Recognised);
    }
    for criteria in &policy.exclude {
        match mismatch(criteria, pod, images, facts) {
            None => return Verdict::Passed(policy, Reason::Excluded),
            // It may be excluded: nobody knows.
            Some(why @ (Reason::NamespaceUnknown | Reason::NamespaceNotSeen)) => {
                return Verdict::Passed(policy, why);
            }
            Some(_) => {}
        }
    }
    if policy.parameters.values().any(|parameter| {
        let set = parameter_value(parameter, pod, facts);
        set.is_some_and(|value| !value.is_empty() && !parameter.accepts(value))
    }) {
        return Verdict::Passed(policy, Reason::BadParameter);
    }
    match container(policy, pod, images) {
        Ok(position) => Verdict::Selected(policy, position),
        Err(why) => Verdict::Passed(policy, why),
    }
}

/// The first thing that does not hold, the cheap ones first.
fn mismatch(
    criteria: &Criteria,
    pod: &PodView<'_>,
    images: &[Image<'_>],
    facts: Facts<'_>,
) -> Option<Reason> {
    let Criteria {
        pod_selector,
        namespace_selector,
        namespaces,
        images: wanted,
        owners,
    } = criteria;
    let named = |pattern: &String| glob::matches(pattern, facts.namespace);
    if !namespaces.is_empty() && !namespaces.iter().any(named) {
        return Some(Reason::NamespaceName);
    }
    if !pod_selector.matches(|key| pod_label(key, pod, facts)) {
        // With a method that it asks for, all of it would hold.
        let asked = pod_selector.methods().next();
        let only_the_method = asked.is_some()
            && pod_selector.matches(|key| match key {
                METHOD_LABEL => asked,
                _ => pod_label(key, pod, facts),
            });
        return Some(if only_the_method {
            Reason::Method
        } else {
            Reason::PodLabels
        });
    }
    // Without labels an empty selector still holds.
    match facts.about_namespace {
        Namespace::Known { labels, .. } => {
            if !namespace_selector.matches(|key| labels.get(key).map(String::as_str)) {
                return Some(Reason::NamespaceLabels);
            }
        }
        unknown => {
            if !namespace_selector.is_empty() {
                return Some(unknown.why_unknown());
            }
        }
    }
    let owned = |kind: &str, name: &str| {
        owners.iter().any(|owner| {
            let pattern = owner.name.as_deref().unwrap_or("*");
            owner.kind == kind && glob::matches(pattern, name)
        })
    };
    if !owners.is_empty() && !is_made_by(pod, facts, owned) {
        return Some(Reason::Owner);
    }
    if !wanted.is_empty() && !images.iter().any(|image| any_matches(wanted, image)) {
        return Some(Reason::Image);
    }
    None
}

fn images<'a>(pod: &'a PodView<'_>) -> Vec<Image<'a>> {
    let containers = pod.containers().iter();
    containers
        .map(|container| Image::parse(container.image.as_deref().unwrap_or_default()))
        .collect()
}

fn any_matches(patterns: &[ImagePattern], image: &Image<'_>) -> bool {
    patterns.iter().any(|pattern| pattern.matches(image))
}

/// A label of the pod. The method is its namespace's or the operator's, where the pod says none.
fn pod_label<'a>(key: &str, pod: &'a PodView<'_>, facts: Facts<'a>) -> Option<&'a str> {
    if key == METHOD_LABEL {
        return Some(method(pod, facts));
    }
    pod.label(key)
}

/// How the pod's database is to be captured.
#[must_use]
pub fn method<'a>(pod: &'a PodView<'_>, facts: Facts<'a>) -> &'a str {
    let of_namespace = || match facts.about_namespace {
        Namespace::Known { labels, .. } => labels.get(METHOD_LABEL).map(String::as_str),
        Namespace::Unknown | Namespace::NotSeen => None,
    };
    pod.label(METHOD_LABEL)
        .or_else(of_namespace)
        .unwrap_or(&facts.settings.default_method)
}

/// What a pod or its namespace sets a parameter to; the pod's word wins.
#[must_use]
pub fn parameter_value<'a>(
    parameter: &Parameter,
    pod: &'a PodView<'_>,
    facts: Facts<'a>,
) -> Option<&'a str> {
    let key = &parameter.annotation;
    let of_namespace = || match facts.about_namespace {
        Namespace::Known { annotations, .. } => annotations.get(key).map(String::as_str),
        Namespace::Unknown | Namespace::NotSeen => None,
    };
    pod.annotation(key).or_else(of_namespace)
}

/// Whether something that made the pod is what is wanted, by kind and name. The Deployment behind a
/// ReplicaSet is known by the hash in its name.
fn is_made_by(pod: &PodView<'_>, facts: Facts<'_>, wanted: impl Fn(&str, &str) -> bool) -> bool {
    let told = facts.owner.is_some_and(|(kind, name)| wanted(kind, name));
    told || pod.owners().any(|owner| {
        let deployment = pod
            .label("pod-template-hash")
            .filter(|_| &*owner.kind == "ReplicaSet")
            .and_then(|hash| owner.name.strip_suffix(hash)?.strip_suffix('-'));
        wanted(&owner.kind, &owner.name)
            || deployment.is_some_and(|name| wanted("Deployment", name))
    })
}

/// The one container that the policy means. Never the first for want of a better one.
fn container(policy: &Policy, pod: &PodView<'_>, images: &[Image<'_>]) -> Result<usize, Reason> {
    let containers = pod.containers();
    let is_named = |position: usize| means(policy, &containers[position], &images[position]);
    let is_meant = |position: &usize| {
        is_named(*position) && recognised_container(policy, &containers[*position]).is_none()
    };
    let mut meant = (0..containers.len()).filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(one), None) => Ok(one),
        (None, _) if (0..containers.len()).any(is_named) => Err(Reason::Recognised),
        (None, _) if is_native_sidecar(policy, pod) => Err(Reason::NativeSidecar),
        (None, _) => Err(Reason::NoContainer),
        (Some(_), Some(_)) => {
            let others = (0..containers.len()).filter(is_meant);
            // It has the image of the container that it stands beside.
            let mut others = others.filter(|at| !is_coordinators(&containers[*at]));
            if let (Some(one), None) = (others.next(), others.next()) {
                return Ok(one);
            }
            let settled = pod.annotation(CONTAINER_ANNOTATION);
            let settled = settled.and_then(|name| {
                let mut meant = (0..containers.len()).filter(is_meant);
                meant.find(|position| *containers[*position].name == *name)
            });
            settled.ok_or(Reason::SeveralContainers)
        }
    }
}

/// What a policy leaves a pod alone for: what the pod is, or what the container is that it means.
#[must_use]
pub fn recognised(policy: &Policy, pod: &PodView<'_>) -> Option<&'static Known> {
    recognised_pod(policy, pod).or_else(|| {
        let mut containers = pod.containers().iter();
        containers.find_map(|container| {
            let image = container.image.as_deref().unwrap_or_default();
            let meant = means(policy, container, &Image::parse(image));
            recognised_container(policy, container).filter(|_| meant)
        })
    })
}

fn recognised_pod(policy: &Policy, pod: &PodView<'_>) -> Option<&'static Known> {
    asked(policy)
        .then(|| recognise::pod(pod))?
        .filter(|known| left_alone(policy, known))
}

fn recognised_container(policy: &Policy, container: &Container<'_>) -> Option<&'static Known> {
    let known = asked(policy).then(|| recognise::container(container))?;
    known.filter(|known| left_alone(policy, known))
}

fn asked(policy: &Policy) -> bool {
    !policy.leave_alone.is_empty()
}

fn left_alone(policy: &Policy, known: &Known) -> bool {
    policy.leave_alone.contains(&known.role)
}

/// Whether a container, which runs this image, is one that the policy's hooks may belong into.
#[must_use]
pub fn means(policy: &Policy, container: &Container<'_>, image: &Image<'_>) -> bool {
    match &policy.container {
        ContainerChoice::Name(name) => *container.name == **name,
        ContainerChoice::Image(patterns) => any_matches(patterns, image),
        ContainerChoice::Port(port) => container.has_port(*port),
    }
}

/// Velero up to 1.18 does not look among init containers, native sidecars included.
fn is_native_sidecar(policy: &Policy, pod: &PodView<'_>) -> bool {
    let mut sidecars = pod.init_containers().filter(Container::is_native_sidecar);
    sidecars.any(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        means(policy, &container, &Image::parse(image))
    })
}
