//! The webhook's entries: which pods the API server shows us, and what happens without an answer.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{
    Check, Finding, Labels, Names, Observed, Seen, Told,
    object::{list, name, named, some, texts},
};
use crate::{
    guard,
    policy::{
        INJECT_LABEL, Selector,
        file::{LabelOperator, LabelSelector},
    },
};

/// The label that every namespace has from the API server.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The label of namespaces that would rather have no pod than one without hooks.
pub const ENFORCE_LABEL: &str = "quiescent.dev/enforce";

const APPLY: &str = "kubectl apply -k deploy, or the overlay that you use";

/// The longest time that a pod should wait for one webhook, in seconds.
const PATIENCE: i64 = 10;

pub fn judge(observed: &Observed) -> Vec<Told> {
    let mut told = match &observed.mutating {
        Seen::Known(all) => registered(observed, all),
        unseen => vec![Told::unseen(
            Check::Entries,
            "MutatingWebhookConfigurations",
            unseen,
        )],
    };
    told.extend(guarded(observed));
    told.extend(others(observed));
    told
}

fn entries(configuration: &Value) -> impl Iterator<Item = &Value> {
    list(&configuration["webhooks"])
}

/// Namespace and name of the Service that an entry calls.
fn service(entry: &Value) -> Option<(&str, &str)> {
    let service = &entry["clientConfig"]["service"];
    Some((service["namespace"].as_str()?, service["name"].as_str()?))
}

/// The Services that must answer before a pod may start, ours among them.
#[must_use]
pub fn services(names: &Names, mutating: &[Value], validating: &[Value]) -> Vec<(String, String)> {
    let all = mutating.iter().chain(validating).flat_map(entries);
    let needed = all.filter(|it| is_fail(it) && creates_pods(it));
    let mut services: Vec<_> = needed
        .filter_map(service)
        .map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
        .collect();
    services.push((names.own_namespace.clone(), names.service.clone()));
    services.sort();
    services.dedup();
    services
}

/// What our entries trust, by their names: of both kinds. Nothing where nothing is said.
#[must_use]
pub fn bundles(
    names: &Names,
    mutating: &[Value],
    validating: &[Value],
) -> BTreeMap<String, Vec<u8>> {
    let ours = named(mutating, &names.webhook).into_iter();
    let ours = ours.chain(named(validating, &names.webhook));
    ours.flat_map(entries)
        .map(|entry| {
            let text = entry["clientConfig"]["caBundle"].as_str();
            let bytes = text.and_then(|text| STANDARD.decode(text).ok());
            (name_of(entry).to_owned(), bytes.unwrap_or_default())
        })
        .collect()
}

fn name_of(entry: &Value) -> &str {
    entry["name"].as_str().unwrap_or_default()
}

fn is_fail(entry: &Value) -> bool {
    // What the API server takes where nothing is said.
    entry["failurePolicy"].as_str().unwrap_or("Fail") == "Fail"
}

fn creates_pods(entry: &Value) -> bool {
    list(&entry["rules"]).any(|rule| {
        let has = |field: &str, wanted: &[&str]| texts(&rule[field]).any(|it| wanted.contains(&it));
        has("apiGroups", &["", "*"])
            && has("apiVersions", &["v1", "*"])
            && has("resources", &["pods", "*", "*/*"])
            && has("operations", &["CREATE", "*"])
    })
}

fn selector(entry: &Value, field: &str) -> Option<Selector> {
    let written = entry.get(field).filter(|it| !it.is_null());
    let written = written.map_or_else(
        || Some(LabelSelector::default()),
        |it| serde_json::from_value(it.clone()).ok(),
    );
    written.map(|it| Selector::from(&it))
}

/// Whether it covers a namespace with these labels, and pods without any.
fn covers(entry: &Value, namespace: &Labels) -> bool {
    let holds = |field: &str, labels: &Labels| {
        let get = |key: &str| labels.get(key).map(String::as_str);
        selector(entry, field).is_some_and(|it| it.matches(get))
    };
    holds("namespaceSelector", namespace) && holds("objectSelector", &Labels::new())
}

/// Whether it covers a namespace of this name if somebody labels that one so.
fn may_cover(entry: &Value, namespace: &str) -> bool {
    let Some(selector) = selector(entry, "namespaceSelector") else {
        return false;
    };
    let get = |key: &str| (key == NAME_LABEL).then_some(namespace);
    let about_names = |key: &str| key == NAME_LABEL;
    let pairs = selector.pairs.iter();
    let mut pairs = pairs.filter(|(key, _)| about_names(key));
    let expressions = selector.expressions.iter();
    let mut expressions = expressions.filter(|it| about_names(&it.key));
    pairs.all(|(_, value)| **value == *namespace) && expressions.all(|it| it.holds(get))
}

fn asks_for(entry: &Value, key: &str, value: &str) -> bool {
    selector(entry, "namespaceSelector").is_some_and(|it| {
        let mut expressions = it.expressions.iter().filter(|it| it.key == key);
        it.pair(key) == Some(value)
            || expressions.any(|it| it.operator == LabelOperator::In && it.values == [value])
    })
}

fn labelled(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn registered(observed: &Observed, all: &[Value]) -> Vec<Told> {
    let names = &observed.names;
    let Some(configuration) = named(all, &names.webhook) else {
        return vec![Told::finding(
            Finding::NotRegistered,
            format!("there is no MutatingWebhookConfiguration {}", names.webhook),
            "kubectl apply -k deploy; --webhook names one that is called otherwise",
        )];
    };
    let ours: Vec<&Value> = entries(configuration).collect();
    let mut told: Vec<Told> = ours
        .iter()
        .flat_map(|entry| entry_is(entry, names))
        .collect();
    if !ours.iter().any(|entry| creates_pods(entry)) {
        let says = "no entry has a rule for pods and CREATE";
        told.push(Told::finding(Finding::NoPods, says, APPLY));
    }
    told.extend(enforced(observed, &ours));
    told.extend(twice(names, all));
    if told.is_empty() {
        told.push(Told::fine(Check::Entries, as_it_is(&ours)));
    }
    told
}

fn are_cluster_wide(ours: &[&Value]) -> bool {
    let labels = labelled(&[(NAME_LABEL, "some")]);
    ours.iter()
        .any(|entry| creates_pods(entry) && covers(entry, &labels))
}

/// Whether pods are shown to us whose namespace says nothing.
#[must_use]
pub fn is_cluster_wide(names: &Names, mutating: &Seen<Vec<Value>>) -> bool {
    let all = mutating.known();
    let ours = all.and_then(|all| named(all, &names.webhook));
    ours.is_some_and(|it| are_cluster_wide(&entries(it).collect::<Vec<_>>()))
}

/// How many there are, and for whom.
fn as_it_is(ours: &[&Value]) -> String {
    let enabled = labelled(&[(NAME_LABEL, "some"), (INJECT_LABEL, "enabled")]);
    let mode = if are_cluster_wide(ours) {
        "the whole cluster but what says quiescent.dev/inject=disabled"
    } else if ours.iter().any(|entry| covers(entry, &enabled)) {
        "namespaces that say quiescent.dev/inject=enabled"
    } else {
        "namespaces of a selector of its own"
    };
    let number = ours.len();
    let entries = if number == 1 { "entry" } else { "entries" };
    format!("{number} {entries}, for {mode}")
}

fn entry_is(entry: &Value, names: &Names) -> Vec<Told> {
    let Names {
        own_namespace,
        velero_namespace,
        service: own_service,
        ..
    } = names;
    let who = name_of(entry);
    let mut told = Vec::new();
    let called = service(entry);
    if called != Some((own_namespace, own_service)) {
        let what = match (called, entry["clientConfig"]["url"].as_str()) {
            (Some((namespace, name)), _) => format!("the Service {namespace}/{name}"),
            (None, Some(url)) => url.to_owned(),
            (None, None) => "nobody".to_owned(),
        };
        told.push(Told::finding(
            Finding::ElsewhereCalled,
            format!("{who} calls {what}, not the Service {own_namespace}/{own_service}"),
            "kubectl get services -A shows where it is; --own-namespace and --service name it",
        ));
    }
    let reserved = [own_namespace.as_str(), "kube-system", velero_namespace];
    let covered: Vec<&str> = reserved
        .into_iter()
        .filter(|it| may_cover(entry, it))
        .collect();
    if !covered.is_empty() && creates_pods(entry) {
        let (finding, policy) = if is_fail(entry) {
            (Finding::WaitsForItself, "Fail")
        } else {
            (Finding::CoversTooMuch, "Ignore")
        };
        told.push(Told::finding(
            finding,
            format!(
                "{who} ({policy}) does not leave out the {} {}",
                if covered.len() == 1 { "namespace" } else { "namespaces" },
                covered.join(", ")
            ),
            format!(
                "in its namespaceSelector: {{key: {NAME_LABEL}, operator: NotIn, values: [kube-system, kube-public, kube-node-lease, {velero_namespace}, {own_namespace}]}}"
            ),
        ));
    }
    if is_fail(entry) && !asks_for(entry, ENFORCE_LABEL, "true") {
        told.push(Told::finding(
            Finding::FailsUnasked,
            format!("{who} refuses pods without an answer in namespaces that do not say {ENFORCE_LABEL}=true"),
            APPLY,
        ));
    }
    let unusual = unusual(entry);
    if !unusual.is_empty() {
        let says = format!("{who} has {}", unusual.join(", "));
        told.push(Told::finding(Finding::EntryUnusual, says, APPLY));
    }
    told
}

/// Settings that make it miss pods, wait too long, or spoil dry runs.
fn unusual(entry: &Value) -> Vec<String> {
    let text = |field: &str, otherwise| entry[field].as_str().unwrap_or(otherwise).to_owned();
    let mut unusual = Vec::new();
    for (field, otherwise, wanted) in [
        ("matchPolicy", "Equivalent", "Equivalent"),
        ("reinvocationPolicy", "Never", "IfNeeded"),
        ("sideEffects", "Unknown", "None"),
    ] {
        let has = text(field, otherwise);
        if has != wanted {
            unusual.push(format!("{field} {has} instead of {wanted}"));
        }
    }
    let timeout = entry["timeoutSeconds"].as_i64().unwrap_or(PATIENCE);
    if timeout > PATIENCE {
        unusual.push(format!(
            "timeoutSeconds {timeout}, which every pod waits while nobody answers"
        ));
    }
    unusual
}

/// Namespaces that would rather have no pod than one without hooks, and get one all the same.
fn enforced(observed: &Observed, ours: &[&Value]) -> Option<Told> {
    let namespaces = observed.namespaces.known()?;
    let wanting = namespaces.iter().filter(|(_, labels)| {
        labels.get(ENFORCE_LABEL).is_some_and(|it| it == "true")
            && labels.get(INJECT_LABEL).is_some_and(|it| it == "enabled")
    });
    let ignored = wanting.filter(|(name, labels)| {
        let mut labels = (*labels).clone();
        labels
            .entry(NAME_LABEL.to_owned())
            .or_insert_with(|| (*name).clone());
        !ours
            .iter()
            .any(|it| is_fail(it) && creates_pods(it) && covers(it, &labels))
    });
    let ignored: Vec<&str> = ignored.map(|(name, _)| name.as_str()).collect();
    (!ignored.is_empty()).then(|| {
        Told::finding(
            Finding::EnforceIgnored,
            format!(
                "no entry refuses pods of {} without an answer",
                some(ignored)
            ),
            APPLY,
        )
    })
}

fn twice(names: &Names, all: &[Value]) -> Option<Told> {
    let ours = Some((names.own_namespace.as_str(), names.service.as_str()));
    let others = all.iter().filter(|it| name(it) != names.webhook);
    let mut twins = others.filter(|it| entries(it).any(|entry| service(entry) == ours));
    let twin = name(twins.next()?);
    Some(Told::finding(
        Finding::RegisteredTwice,
        format!("the MutatingWebhookConfiguration {twin} calls the same Service"),
        format!("kubectl delete mutatingwebhookconfiguration {twin}"),
    ))
}

/// Namespaces that ask for the guard, and whether somebody answers them.
fn guarded(observed: &Observed) -> Vec<Told> {
    let Some(namespaces) = observed.namespaces.known() else {
        return Vec::new();
    };
    let asking = |value: &str| -> Vec<&str> {
        let all = namespaces.iter();
        let asking =
            all.filter(|(_, labels)| labels.get(guard::LABEL).is_some_and(|it| it == value));
        asking.map(|(name, _)| name.as_str()).collect()
    };
    let all = match &observed.validating {
        Seen::Known(all) => all,
        _ if asking("warn").is_empty() && asking("enforce").is_empty() => return Vec::new(),
        unseen => {
            let what = "ValidatingWebhookConfigurations";
            return vec![Told::unseen(Check::Guard, what, unseen)];
        }
    };
    let guard = named(all, &observed.names.webhook);
    let mut told = Vec::new();
    for value in ["warn", "enforce"] {
        let asking = asking(value);
        let answered = guard.into_iter().flat_map(entries).any(|entry| {
            let labels = labelled(&[(NAME_LABEL, "some"), (guard::LABEL, value)]);
            creates_pods(entry) && covers(entry, &labels)
        });
        if !asking.is_empty() && !answered {
            told.push(Told::finding(
                Finding::GuardUnusual,
                format!(
                    "{} says {}={value}, and no entry is for it",
                    some(asking),
                    guard::LABEL
                ),
                "kubectl apply -k your folder with deploy/components/guard",
            ));
        }
    }
    if told.is_empty() && guard.is_some() {
        let number = asking("warn").len() + asking("enforce").len();
        told.push(Told::fine(
            Check::Guard,
            match number {
                0 => "registered, and no namespace asks for it".to_owned(),
                1 => "1 namespace is guarded".to_owned(),
                _ => format!("{number} namespaces are guarded"),
            },
        ));
    }
    told
}

/// Webhooks of others that keep our own pods from starting while nobody is behind them.
fn others(observed: &Observed) -> Vec<Told> {
    let own = &observed.names.own_namespace;
    let labels = observed.namespaces.known().and_then(|all| all.get(own));
    // Without the labels nobody can tell whether a selector means our namespace.
    let Some(labels) = labels else {
        return Vec::new();
    };
    let mut labels = labels.clone();
    labels.insert(NAME_LABEL.to_owned(), own.clone());
    let kinds = [
        (&observed.mutating, "mutatingwebhookconfiguration"),
        (&observed.validating, "validatingwebhookconfiguration"),
    ];
    let mut told = Vec::new();
    for (configurations, kind) in kinds {
        for configuration in configurations.known().into_iter().flatten() {
            let dead = entries(configuration).find(|entry| {
                let Some((namespace, service)) = service(entry) else {
                    return false;
                };
                let key = (namespace.to_owned(), service.to_owned());
                let nobody = match observed.services.get(&key) {
                    Some(Seen::Known(endpoints)) => endpoints.ready() == 0,
                    Some(Seen::Absent) => true,
                    Some(Seen::Forbidden | Seen::Failed(_)) | None => false,
                };
                let conditional = list(&entry["matchConditions"]).next().is_some();
                nobody
                    && name(configuration) != observed.names.webhook
                    && is_fail(entry)
                    && creates_pods(entry)
                    && !conditional
                    && covers(entry, &labels)
            });
            if let Some(entry) = dead {
                let configuration = name(configuration);
                told.push(Told::finding(
                    Finding::BlockedByAnother,
                    format!(
                        "{} of {configuration} (Fail) covers the namespace {own}, and nobody answers it: our pods do not start",
                        name_of(entry)
                    ),
                    format!("kubectl describe {kind} {configuration}"),
                ));
            }
        }
    }
    told
}
