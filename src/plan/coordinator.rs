//! The containers of a coordinator: one that brings the program, and one that runs it beside the
//! container of the hooks, with that one's user, and with no variable that is a literal.

use serde_json::{Map, Value, json};

use super::{Change, NewVolume, Note, Source};
use crate::{
    pod::{Container, PodView},
    policy::{
        Calls, Coordinator, Policy, VolumeSource,
        call::{self, Call},
        coordinator::{
            FOLDER, INSTALLER, PROGRAM, Session, VOLUME, is_coordinators, is_ours, program,
        },
        file::{EmptyDir, SecretKeyRef},
    },
    select::{Facts, Reason},
};

/// The variable that has the token of requests over HTTP.
const TOKEN: &str = "QUIESCENT_COORDINATOR_TOKEN";

/// A container that a pod is to get.
#[derive(Clone, Debug, PartialEq)]
pub struct NewContainer {
    pub list: ContainerList,
    pub name: String,
    pub json: Value,
}

/// Where in a pod a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContainerList {
    Init,
    Main,
}

impl ContainerList {
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Init => "initContainers",
            Self::Main => "containers",
        }
    }
}

/// The volume of the state and the program.
static EMPTY_DIR: VolumeSource = VolumeSource::EmptyDir(EmptyDir {
    size_limit: None,
    medium: None,
});

/// The volume that a policy's coordinator has for itself.
pub fn volume(policy: &Policy) -> Option<NewVolume<'_>> {
    policy.coordinator.as_ref()?;
    Some(NewVolume {
        name: VOLUME,
        source: Source::Policy(&EMPTY_DIR),
    })
}

/// Whether a container is one of a coordinator, by its JSON.
pub fn is_ours_json(container: &Value) -> bool {
    let words = |field: &str| container[field].as_array().into_iter().flatten();
    let words: Vec<&str> = words("command")
        .chain(words("args"))
        .filter_map(Value::as_str)
        .collect();
    let name = container["name"].as_str().unwrap_or_default();
    is_ours(name, &words)
}

/// Whether the pod has room for the coordinator of a policy, or has it already.
pub fn fits(policy: &Policy, pod: &PodView<'_>) -> Result<(), Reason> {
    let Some(coordinator) = &policy.coordinator else {
        return Ok(());
    };
    let taken = |it: &Container<'_>| {
        (*it.name == *coordinator.name || *it.name == *INSTALLER) && !is_coordinators(it)
    };
    let inits = pod.init_containers().any(|it| taken(&it));
    if inits || pod.containers().iter().any(taken) {
        return Err(Reason::ContainerTaken);
    }
    Ok(())
}

/// The containers that a policy's coordinator lacks in a pod, whose hooks would else be those of `model`.
pub fn changes<'a>(
    policy: &'a Policy,
    model: &Container<'_>,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) -> (Vec<Change<'a>>, Vec<Note<'a>>) {
    let Some(coordinator) = &policy.coordinator else {
        return Default::default();
    };
    let mut changes = Vec::new();
    let mut notes = Vec::new();
    let mut add = |list, name: &str, json| {
        let name = name.to_owned();
        changes.push(Change::Container(Box::new(NewContainer {
            list,
            name,
            json,
        })));
    };
    if !pod.init_containers().any(|it| *it.name == *INSTALLER) {
        add(
            ContainerList::Init,
            INSTALLER,
            installer(coordinator, model, facts),
        );
    }
    let name = &coordinator.name;
    if !pod.containers().iter().any(|it| *it.name == **name) {
        let (env, left) = match &coordinator.session {
            Some(session) => variables(session, model),
            None => (secrets(&policy.hooks.calls), Vec::new()),
        };
        notes.extend(left.into_iter().map(|subject| Note {
            subject,
            reason: Reason::LiteralValue,
        }));
        let json = beside(policy, coordinator, model, pod, facts, env);
        add(ContainerList::Main, name, json);
    }
    (changes, notes)
}

fn installer(coordinator: &Coordinator, model: &Container<'_>, facts: Facts<'_>) -> Value {
    let mut container = json!({
        "name": INSTALLER,
        "image": facts.settings.image,
        "args": ["coordinator", "install", PROGRAM],
        "resources": coordinator.resources,
        "volumeMounts": [{"name": VOLUME, "mountPath": FOLDER}],
    });
    copy(&mut container, "securityContext", model.security_context);
    container
}

fn beside(
    policy: &Policy,
    coordinator: &Coordinator,
    model: &Container<'_>,
    pod: &PodView<'_>,
    facts: Facts<'_>,
    env: Vec<Value>,
) -> Value {
    let mut command = program();
    match &coordinator.session {
        Some(session) => serve(&mut command, policy, session, pod, facts),
        None => command.push("wait".to_owned()),
    }
    let image = coordinator.image.as_deref().or(model.image.as_deref());
    let mut container = json!({
        "name": coordinator.name,
        "image": image,
        "command": command,
        "resources": coordinator.resources,
    });
    if !env.is_empty() {
        container["env"] = env.into();
    }
    if coordinator.image.is_none() {
        copy(&mut container, "imagePullPolicy", model.image_pull_policy);
    }
    copy(&mut container, "securityContext", model.security_context);
    let mut mounts = vec![json!({"name": VOLUME, "mountPath": FOLDER})];
    if policy.config_map().is_some() {
        mounts.push(json!({
            "name": policy.scripts_volume(), "mountPath": policy.scripts_path(), "readOnly": true,
        }));
    }
    container["volumeMounts"] = mounts.into();
    container
}

/// Holds what the hooks ask for.
fn serve(
    command: &mut Vec<String>,
    policy: &Policy,
    session: &Session,
    pod: &PodView<'_>,
    facts: Facts<'_>,
) {
    let limit = format!("--limit={}", session.limit);
    let name = format!("--name={}", policy.name);
    command.extend(["serve".to_owned(), name, limit]);
    if let Some(port) = session.port {
        let host = if session.token.is_some() {
            "0.0.0.0"
        } else {
            "127.0.0.1"
        };
        command.push(format!("--listen={host}:{port}"));
    }
    command.push("--".to_owned());
    let holds = super::hooks::invocation(policy, &session.hook, pod, facts);
    command.extend(holds.argv.iter().cloned());
}

fn copy(container: &mut Value, field: &str, from: Option<crate::json::Raw<'_>>) {
    if let Some(value) = from.and_then(|raw| serde_json::from_str(raw.0).ok()) {
        container[field] = value;
    }
}

/// The variables that are copied, and the names of those that are not since they are literals.
fn variables<'c>(session: &'c Session, model: &Container<'_>) -> (Vec<Value>, Vec<&'c str>) {
    let there = model.env.map_or("[]", |raw| raw.0);
    let there: Vec<Map<String, Value>> = serde_json::from_str(there).unwrap_or_default();
    let mut env = Vec::new();
    let mut left = Vec::new();
    for name in &session.env {
        let named = there
            .iter()
            .find(|it| it.get("name").is_some_and(|it| it == name));
        match named {
            Some(variable) if variable.contains_key("valueFrom") => {
                env.push(Value::Object(variable.clone()));
            }
            Some(_) => left.push(name.as_str()),
            None => {}
        }
    }
    if let Some(key) = &session.token {
        let key = json!({"name": key.name, "key": key.key});
        env.push(json!({"name": TOKEN, "valueFrom": {"secretKeyRef": key}}));
    }
    (env, left)
}

/// What the calls send from Secrets. No pod waits for a Secret that is missing: its call says so.
fn secrets(calls: &Calls) -> Vec<Value> {
    let mut env: Vec<Value> = Vec::new();
    for secret in calls.all().flat_map(Call::secrets) {
        let SecretKeyRef { name, key } = secret;
        let of = json!({"secretKeyRef": {"name": name, "key": key, "optional": true}});
        let variable = json!({"name": call::variable(secret), "valueFrom": of});
        if !env.contains(&variable) {
            env.push(variable);
        }
    }
    env
}

/// The positions of what is ours in a list of containers.
pub fn positions(containers: &[Value]) -> impl Iterator<Item = usize> {
    let all = containers.iter().enumerate();
    all.filter(|(_, it)| is_ours_json(it)).map(|(at, _)| at)
}
