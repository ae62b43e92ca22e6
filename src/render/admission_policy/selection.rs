//! Which pods a policy selects: the gates, what it matches, and the one container that it means.

use super::{
    cel::{all, any, glob, list, matches, quote, regex},
    image,
};
use crate::{
    policy::{
        CONTAINER_ANNOTATION, ContainerChoice, Criteria, INJECT_LABEL, ImagePattern, METHOD_LABEL,
        Policy, Role, Selector,
        file::{LabelOperator, Owner},
    },
    recognise::{self, Evidence},
    select::{Mode, Settings},
};

/// What expressions are made of, each by its name.
pub type Variables = Vec<(&'static str, String)>;

/// What all policies ask about a pod and its namespace.
fn common(settings: &Settings) -> Variables {
    let map = |owner: &str, field: &str| {
        format!("has({owner}.metadata.{field}) ? {owner}.metadata.{field} : {{}}")
    };
    let method = format!(
        "{key} in variables.labels ? variables.labels[{key}] : {key} in variables.namespaceLabels ? variables.namespaceLabels[{key}] : {}",
        quote(&settings.default_method),
        key = quote(METHOD_LABEL),
    );
    vec![
        ("labels", map("object", "labels")),
        ("annotations", map("object", "annotations")),
        ("namespaceLabels", map("namespaceObject", "labels")),
        (
            "namespaceAnnotations",
            map("namespaceObject", "annotations"),
        ),
        (
            "owners",
            "has(object.metadata.ownerReferences) ? object.metadata.ownerReferences : []"
                .to_owned(),
        ),
        ("method", method),
        ("considered", considered(settings)),
    ]
}

/// Whether any policy is asked about the pod.
fn considered(settings: &Settings) -> String {
    let Settings {
        mode,
        default_method: _,
        own_namespace,
        velero_namespace,
        image: _,
    } = settings;
    let label = |of: &str| {
        let key = quote(INJECT_LABEL);
        format!("({key} in {of} ? {of}[{key}] : \"\")")
    };
    let (pod, namespace) = (
        label("variables.labels"),
        label("variables.namespaceLabels"),
    );
    let by_namespace = match mode {
        Mode::OptIn => format!("{namespace} == \"enabled\""),
        Mode::OptOut => format!("{namespace} != \"disabled\""),
    };
    all(vec![
        "!(\"kubernetes.io/config.mirror\" in variables.annotations)".to_owned(),
        "!(has(object.spec.os) && object.spec.os.name == \"windows\")".to_owned(),
        "!(has(object.spec.nodeSelector) && \"kubernetes.io/os\" in object.spec.nodeSelector && object.spec.nodeSelector[\"kubernetes.io/os\"] == \"windows\")".to_owned(),
        "!request.namespace.startsWith(\"kube-\")".to_owned(),
        format!("!(request.namespace in {})", list([own_namespace, velero_namespace])),
        format!("({pod} == \"enabled\" || ({pod} != \"disabled\" && {by_namespace}))"),
        "(!has(object.spec.restartPolicy) || object.spec.restartPolicy == \"Always\")".to_owned(),
        "!variables.owners.exists(o, o.kind in [\"Job\", \"CronJob\"])".to_owned(),
        "variables.method != \"off\"".to_owned(),
    ])
}

/// The variables of a policy. `selected` says whether it selects the pod, `container` into which one
/// its hooks belong.
pub fn variables(policy: &Policy, settings: &Settings) -> Variables {
    let mut variables = common(settings);
    let mut selects = vec![
        "variables.considered".to_owned(),
        criteria(&policy.matching),
    ];
    if !policy.leave_alone.is_empty() {
        variables.push(("recognised", recognised_pod(&policy.leave_alone)));
        selects.push("!variables.recognised".to_owned());
    }
    let excluded = policy.exclude.iter().map(criteria);
    selects.extend(excluded.map(|excluded| format!("!{excluded}")));
    let meant = all(vec![
        means(&policy.container),
        format!("!{}", recognised_container(&policy.leave_alone)),
    ]);
    variables.push((
        "meant",
        format!("object.spec.containers.filter(c, {meant}).map(c, c.name)"),
    ));
    let key = quote(CONTAINER_ANNOTATION);
    variables.push(("container", format!(
        "size(variables.meant) == 1 ? variables.meant[0] : {key} in variables.annotations && variables.annotations[{key}] in variables.meant ? variables.annotations[{key}] : \"\""
    )));
    selects.push("variables.container != \"\"".to_owned());
    variables.push(("selected", all(selects)));
    variables
}

fn criteria(criteria: &Criteria) -> String {
    let Criteria {
        pod_selector,
        namespace_selector,
        namespaces,
        images,
        owners,
    } = criteria;
    let mut parts = Vec::new();
    if !namespaces.is_empty() {
        let named = namespaces.iter();
        parts.push(any(named.map(|it| glob(it, "request.namespace")).collect()));
    }
    parts.extend(selector(pod_selector, "variables.labels"));
    parts.extend(selector(namespace_selector, "variables.namespaceLabels"));
    if !owners.is_empty() {
        parts.push(any(owners.iter().map(made_by).collect()));
    }
    if !images.is_empty() {
        parts.push(format!(
            "object.spec.containers.exists(c, {})",
            runs(images)
        ));
    }
    all(parts)
}

/// The requirements of a label selector. A pod's method may be its namespace's or the operator's.
fn selector<'s>(selector: &'s Selector, labels: &'s str) -> impl Iterator<Item = String> + 's {
    let Selector { pairs, expressions } = selector;
    let is_method = move |key: &str| key == METHOD_LABEL && labels == "variables.labels";
    let pairs = pairs.iter().map(move |(key, value)| {
        let value = quote(value);
        if is_method(key) {
            return format!("variables.method == {value}");
        }
        let key = quote(key);
        format!("({key} in {labels} && {labels}[{key}] == {value})")
    });
    let expressions = expressions.iter().map(move |requirement| {
        let (there, label) = if is_method(&requirement.key) {
            ("true".to_owned(), "variables.method".to_owned())
        } else {
            let key = quote(&requirement.key);
            (format!("{key} in {labels}"), format!("{labels}[{key}]"))
        };
        let listed = format!("({there} && {label} in {})", list(&requirement.values));
        match requirement.operator {
            LabelOperator::In => listed,
            LabelOperator::NotIn => format!("!{listed}"),
            LabelOperator::Exists => there,
            LabelOperator::DoesNotExist => format!("!({there})"),
        }
    });
    pairs.chain(expressions)
}

/// The Deployment behind a ReplicaSet is known by the hash in its name.
fn made_by(owner: &Owner) -> String {
    let name = owner.name.as_deref().unwrap_or("*");
    let direct = all(vec![
        format!("o.kind == {}", quote(&owner.kind)),
        glob(name, "o.name"),
    ]);
    if owner.kind != "Deployment" {
        return format!("variables.owners.exists(o, {direct})");
    }
    let hash = "variables.labels[\"pod-template-hash\"]";
    let behind = all(vec![
        "o.kind == \"ReplicaSet\"".to_owned(),
        "\"pod-template-hash\" in variables.labels".to_owned(),
        format!("o.name.endsWith(\"-\" + {hash})"),
        glob(
            name,
            &format!("o.name.substring(0, size(o.name) - size({hash}) - 1)"),
        ),
    ]);
    format!("variables.owners.exists(o, {direct} || {behind})")
}

/// Whether the hooks may belong into a container `c`.
fn means(choice: &ContainerChoice) -> String {
    match choice {
        ContainerChoice::Name(name) => format!("c.name == {}", quote(name)),
        ContainerChoice::Image(images) => runs(images),
        ContainerChoice::Port(port) => {
            format!("(has(c.ports) && c.ports.exists(p, p.containerPort == {port}))")
        }
    }
}

/// Whether the image of a container `c` is one of these.
fn runs(images: &[ImagePattern]) -> String {
    of_image(&any(images.iter().map(|it| image::is(it, "i")).collect()))
}

fn of_image(holds: &str) -> String {
    format!("[has(c.image) ? c.image : \"\"].exists(i, {holds})")
}

/// What the policy leaves a pod alone for, by its labels, its annotations and what runs in it.
fn recognised_pod(roles: &[Role]) -> String {
    let mut labels = Vec::new();
    let mut annotations = Vec::new();
    let mut beside = Vec::new();
    for evidence in evidence(roles) {
        match evidence {
            Evidence::Label(key, value) => labels.push(label(key, value)),
            Evidence::Labels((key, value), (other, its)) => {
                labels.push(all(vec![label(key, value), label(other, its)]));
            }
            Evidence::Annotation(prefix) => {
                annotations.push(format!("key.startsWith({})", quote(prefix)));
            }
            Evidence::Beside(name) => beside.push(named(name)),
            Evidence::Image(_) | Evidence::Program(_) | Evidence::Argument(_) => {}
        }
    }
    if !annotations.is_empty() {
        labels.push(format!(
            "variables.annotations.exists(key, {})",
            any(annotations)
        ));
    }
    if !beside.is_empty() {
        let beside = of_image(&any(beside));
        labels.push(format!("object.spec.containers.exists(c, {beside})"));
    }
    any(labels)
}

fn label(key: &str, value: &str) -> String {
    let key = quote(key);
    let there = format!("{key} in variables.labels");
    match value {
        "*" => there,
        value => all(vec![
            there,
            glob(value, &format!("variables.labels[{key}]")),
        ]),
    }
}

/// Whether the last component of an image `i` is what a pattern says.
fn named(name: &str) -> String {
    let name = regex(name, "[^/@:]*");
    matches(&format!("(?:^|/){name}(?::[^/@]*)?(?:@.*)?$"), "i")
}

/// What the policy leaves a container `c` alone for. What a shell runs is beyond an expression.
fn recognised_container(roles: &[Role]) -> String {
    let (mut images, mut programs, mut arguments) = (Vec::new(), Vec::new(), Vec::new());
    for evidence in evidence(roles) {
        match evidence {
            Evidence::Image(name) => images.push(named(name)),
            Evidence::Program(program) => programs.push(*program),
            Evidence::Argument(argument) => arguments.push(*argument),
            _ => {}
        }
    }
    let words = "((has(c.command) ? c.command : []) + (has(c.args) ? c.args : []))";
    let mut parts = Vec::new();
    if !images.is_empty() {
        parts.push(of_image(&any(images)));
    }
    if !programs.is_empty() {
        let behind = list(recognise::WRAPPERS);
        let bare = format!(
            "{words}.map(w, w.substring(w.lastIndexOf(\"/\") + 1)).filter(w, !(w in {behind}))"
        );
        let (of_shell, others) = (programs.contains(&"sh"), list(&programs));
        let shells = list(recognise::SHELLS);
        parts.push(format!(
            "[{bare}].exists(w, size(w) > 0 && (w[0] in {shells} ? {of_shell} && size(w) == 1 : w[0] in {others}))"
        ));
    }
    if !arguments.is_empty() {
        parts.push(format!("{words}.exists(w, w in {})", list(&arguments)));
    }
    any(parts)
}

fn evidence(roles: &[Role]) -> impl Iterator<Item = &'static Evidence> + '_ {
    let known = recognise::all().iter();
    let known = known.filter(|known| roles.contains(&known.role));
    known.flat_map(|known| known.evidence)
}
