//! What would have to change for a pod to get hooks where it gets none: the next thing to do.

use crate::{
    plan::taken_volume,
    pod::PodView,
    policy::{
        CONTAINER_ANNOTATION, ContainerChoice, Criteria, INJECT_LABEL, Image, ImagePattern,
        METHOD_LABEL, Policy, Selector,
        file::{LabelOperator, LabelRequirement, Owner},
    },
    recognise,
    select::{Facts, Namespace, Reason, means, method, parameter_value, recognised},
};

/// What opens the gate that keeps every policy away, if anything does.
#[must_use]
pub fn gate(reason: Reason, pod: &PodView<'_>, facts: Facts<'_>) -> Option<String> {
    let namespace = facts.namespace;
    let says = match reason {
        Reason::DisabledByPod => {
            format!("take the label off the pod, or make it {INJECT_LABEL}=enabled")
        }
        Reason::DisabledByNamespace => format!(
            "kubectl label namespace {namespace} {INJECT_LABEL}=enabled --overwrite, or give the pod that label"
        ),
        Reason::NotEnabled => format!(
            "kubectl label namespace {namespace} {INJECT_LABEL}=enabled, or give the pod that label"
        ),
        Reason::NamespaceUnknown => {
            format!("--namespace-labels {INJECT_LABEL}=enabled, if namespace {namespace} has it")
        }
        Reason::MethodOff if pod.label(METHOD_LABEL).is_some() => {
            format!("take the label off the pod, or make it {METHOD_LABEL}=dump")
        }
        Reason::MethodOff if of_namespace(METHOD_LABEL, facts).is_some() => format!(
            "kubectl label namespace {namespace} {METHOD_LABEL}=dump --overwrite, or give the pod that label"
        ),
        Reason::MethodOff => {
            format!("label the pod {METHOD_LABEL}=dump, or say --default-method dump")
        }
        Reason::EndsByItself => {
            "hooks belong to the pod of the server whose data are to be saved".to_owned()
        }
        Reason::SystemNamespace => "move the database into a namespace of its own".to_owned(),
        Reason::OwnNamespace => "--own-namespace NAME, if this is another one".to_owned(),
        Reason::VeleroNamespace => "--velero-namespace NAME, if this is another one".to_owned(),
        // Nothing opens these, or they are no gates.
        Reason::NotCreate
        | Reason::MirrorPod
        | Reason::WindowsPod
        | Reason::NamespaceNotSeen
        | Reason::NoPolicyMatches
        | Reason::Replaced
        | Reason::Excluded
        | Reason::Recognised
        | Reason::NamespaceName
        | Reason::NamespaceLabels
        | Reason::PodLabels
        | Reason::Method
        | Reason::Owner
        | Reason::Image
        | Reason::BadParameter
        | Reason::Unreadable
        | Reason::NoContainer
        | Reason::SeveralContainers
        | Reason::NativeSidecar
        | Reason::AuthorsHooks
        | Reason::Denied
        | Reason::OtherContainer
        | Reason::VolumeTaken
        | Reason::MountPathTaken
        | Reason::ContainerTaken
        | Reason::LiteralValue
        | Reason::OneInit
        | Reason::NoSuchVolume
        | Reason::TooLong
        | Reason::CallsHttp
        | Reason::ManyAnnotations
        | Reason::Restored
        | Reason::Unprovable => return None,
    };
    Some(says)
}

/// What would make a policy follow the pod, where it came near to that.
#[must_use]
pub fn policy(
    policy: &Policy,
    reason: Reason,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> Option<String> {
    let criteria = &policy.matching;
    let images = &criteria.images;
    if reason != Reason::Image && !images.is_empty() && !runs(images, pod) {
        return None;
    }
    let namespace = facts.namespace;
    let says = match reason {
        Reason::Method => {
            let asked = criteria.pod_selector.methods().next()?;
            format!("label the pod {METHOD_LABEL}={asked}")
        }
        Reason::PodLabels => {
            let label = |key: &str| match key {
                METHOD_LABEL => Some(method(pod, facts)),
                _ => pod.label(key),
            };
            format!("label the pod: {}", missing(&criteria.pod_selector, label)?)
        }
        Reason::NamespaceLabels => {
            let label = |key: &str| of_namespace(key, facts);
            let wanted = missing(&criteria.namespace_selector, label)?;
            format!("label the namespace {namespace}: {wanted}")
        }
        Reason::NamespaceUnknown | Reason::NamespaceNotSeen => {
            let wanted = missing(&criteria.namespace_selector, |_| None);
            let wanted = wanted.unwrap_or_else(|| "key=value,…".to_owned());
            format!("tell the labels of namespace {namespace} with --namespace-labels; it asks for {wanted}")
        }
        Reason::NamespaceName if policy.namespace.is_some() => return None,
        Reason::NamespaceName => format!("put {namespace} into its spec.match.namespaces"),
        Reason::Owner => {
            let owners = criteria.owners.iter().map(owner);
            format!("it is for pods of {}", list(owners))
        }
        Reason::Image => image(images, pod)?,
        Reason::Recognised => recognised(policy, pod)?.advice.to_owned(),
        Reason::Excluded => {
            let excluded = policy.exclude.iter().map(described);
            format!("its spec.exclude names {}", list(excluded))
        }
        Reason::BadParameter => bad_parameter(policy, pod, facts)?,
        Reason::NoContainer => {
            let there = pod.containers().iter().map(|it| it.name.to_string());
            format!("it looks for {}; the pod has {}", wanted(policy), list(there))
        }
        Reason::SeveralContainers => {
            let first = candidates(policy, pod).next()?;
            let names = list(candidates(policy, pod).map(str::to_owned));
            format!("annotate the pod {CONTAINER_ANNOTATION}={first}, or another of {names}")
        }
        Reason::NativeSidecar => "put the server into spec.containers".to_owned(),
        Reason::AuthorsHooks => {
            "take the pod's own hook annotations out, or set spec.onConflict of the policy to Compose or Override".to_owned()
        }
        Reason::Denied => {
            "take the pod's own hook annotations out, or set spec.onConflict of the policy to Keep or Compose".to_owned()
        }
        Reason::OtherContainer => {
            "let both policies name one container, or take one of them off the pod".to_owned()
        }
        Reason::VolumeTaken => {
            format!("give the pod's volume {:?} another name", taken_volume(policy, pod)?)
        }
        Reason::MountPathTaken => {
            let own = policy.volumes.iter().map(|volume| volume.mount_path.clone());
            format!("mount the pod's volume elsewhere; the policy needs {}", list(own.chain([policy.scripts_path().to_owned()])))
        }
        Reason::ContainerTaken => "give the pod's container another name".to_owned(),
        Reason::LiteralValue => "put the value into a Secret, and name that by valueFrom".to_owned(),
        Reason::OneInit => {
            "put what both do before the server starts into one policy".to_owned()
        }
        Reason::NoSuchVolume => "name a volume of the pod in its backupVolumes".to_owned(),
        Reason::TooLong => "shorten the timeout of one of the policies".to_owned(),
        Reason::CallsHttp => {
            "for backups by Velero, add coordinator: {} to its spec, a container that makes the calls".to_owned()
        }
        Reason::Restored => "nothing: the pods that follow this one get them".to_owned(),
        // Nothing helps with these, or they are no policy's.
        Reason::NotCreate
        | Reason::MirrorPod
        | Reason::WindowsPod
        | Reason::SystemNamespace
        | Reason::OwnNamespace
        | Reason::VeleroNamespace
        | Reason::DisabledByPod
        | Reason::DisabledByNamespace
        | Reason::NotEnabled
        | Reason::MethodOff
        | Reason::EndsByItself
        | Reason::NoPolicyMatches
        | Reason::Replaced
        | Reason::Unreadable
        | Reason::ManyAnnotations
        | Reason::Unprovable => return None,
    };
    Some(says)
}

/// What to do about an image that no pattern of a policy takes, but one resembles.
fn image(images: &[ImagePattern], pod: &PodView<'_>) -> Option<String> {
    let name = Image::parse(resembling(images, pod)?).name();
    if images.iter().any(|it| it.literal_name() == Some(name)) {
        return None;
    }
    Some(format!(
        "if that server is in it, write a policy of your own for \"*/{name}\": quiescent library export writes one out to begin with"
    ))
}

/// The image of the pod that comes near to these patterns.
#[must_use]
pub fn resembling<'v>(patterns: &[ImagePattern], pod: &'v PodView<'_>) -> Option<&'v str> {
    let names = || patterns.iter().filter_map(ImagePattern::literal_name);
    let resembles = |image: &&str| names().any(|name| Image::parse(image).name().contains(name));
    let containers = pod.containers().iter();
    let others = containers.filter(|container| recognise::container(container).is_none());
    let mut images = others.filter_map(|container| container.image.as_deref());
    images.find(resembles)
}

/// Some of many patterns, and how many more there are.
#[must_use]
pub fn some(patterns: &[ImagePattern]) -> String {
    const SHOWN: usize = 3;
    let shown = list(patterns.iter().take(SHOWN).map(ToString::to_string));
    match patterns.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn images<'v>(pod: &'v PodView<'_>) -> impl Iterator<Item = &'v str> {
    let containers = pod.containers().iter();
    containers.filter_map(|container| container.image.as_deref())
}

fn runs(patterns: &[ImagePattern], pod: &PodView<'_>) -> bool {
    let mut images = images(pod).map(Image::parse);
    images.any(|image| patterns.iter().any(|pattern| pattern.matches(&image)))
}

fn of_namespace<'a>(key: &str, facts: Facts<'a>) -> Option<&'a str> {
    match facts.about_namespace {
        Namespace::Known { labels, .. } => labels.get(key).map(String::as_str),
        Namespace::Unknown | Namespace::NotSeen => None,
    }
}

/// The first thing that a selector asks for and that is not there.
fn missing<'a>(selector: &Selector, label: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    let mut pairs = selector.pairs.iter();
    if let Some((key, value)) = pairs.find(|(key, value)| label(key) != Some(value)) {
        return Some(format!("{key}={value}"));
    }
    let mut expressions = selector.expressions.iter();
    expressions.find(|it| !it.holds(&label)).map(asked)
}

fn asked(requirement: &LabelRequirement) -> String {
    let LabelRequirement {
        key,
        operator,
        values,
    } = requirement;
    let values = list(values.iter().cloned());
    match operator {
        LabelOperator::In => format!("{key} is one of {values}"),
        LabelOperator::NotIn => format!("{key} is none of {values}"),
        LabelOperator::Exists => format!("{key}=…"),
        LabelOperator::DoesNotExist => format!("no {key}"),
    }
}

/// Pods as criteria describe them.
fn described(criteria: &Criteria) -> String {
    let Criteria {
        pod_selector,
        namespace_selector,
        namespaces,
        images,
        owners,
    } = criteria;
    let asks =
        |whose: &str, selector| missing(selector, |_| None).map(|it| format!("{whose} {it}"));
    let mut parts: Vec<String> = asks("label", pod_selector).into_iter().collect();
    parts.extend(asks("the namespace's label", namespace_selector));
    parts.extend(namespaces.iter().map(|name| format!("namespace {name}")));
    if !images.is_empty() {
        parts.push(format!("image {}", some(images)));
    }
    parts.extend(owners.iter().map(owner));
    parts.join(" and ")
}

fn owner(owner: &Owner) -> String {
    format!("{} {}", owner.kind, owner.name.as_deref().unwrap_or("*"))
}

fn bad_parameter(policy: &Policy, pod: &PodView<'_>, facts: Facts<'_>) -> Option<String> {
    policy.parameters.values().find_map(|parameter| {
        let value = parameter_value(parameter, pod, facts)?;
        if value.is_empty() || parameter.accepts(value) {
            return None;
        }
        let key = &parameter.annotation;
        let kind = match parameter.allowed.as_slice() {
            [] => format!("a {}", format!("{:?}", parameter.kind).to_lowercase()),
            allowed => list(allowed.iter().cloned()),
        };
        Some(format!("set {key} to {kind}: it is {value:?}"))
    })
}

fn wanted(policy: &Policy) -> String {
    match &policy.container {
        ContainerChoice::Name(name) => format!("a container named {name:?}"),
        ContainerChoice::Port(port) => format!("a container with the port {port}"),
        ContainerChoice::Image(patterns) => {
            format!("a container whose image is {}", some(patterns))
        }
    }
}

/// The containers that the policy may mean.
fn candidates<'v>(policy: &Policy, pod: &'v PodView<'_>) -> impl Iterator<Item = &'v str> {
    let containers = pod.containers().iter();
    let meant = containers.filter(|container| {
        let image = container.image.as_deref().unwrap_or_default();
        means(policy, container, &Image::parse(image))
    });
    meant.map(|container| &*container.name)
}

fn list(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
