//! The CustomResourceDefinitions of policies, from the types behind the parser.
//!
//! What a schema can say the API server refuses at once; the rest is found by the parser, as in a file.

mod frame;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

pub(crate) use frame::{Frame, accepted, age, column};

use super::{
    file::{CLUSTER_KIND, KIND, Spec},
    name,
};

/// The group of the API, its version, and what a resource is called in an address.
pub const GROUP: &str = "quiescent.dev";
pub const VERSION: &str = "v1";
pub const PLURAL: &str = "hookpolicies";
pub const CLUSTER_PLURAL: &str = "clusterhookpolicies";

/// The condition that says whether a policy is in force.
pub const ACCEPTED: &str = "Accepted";

/// Bounds that a file does not have: the API server estimates what a rule costs by them.
const MOST_ITEMS: u32 = 256;

/// What must hold of a call, and what is said when it does not.
pub(crate) const WHO_IS_CALLED: (&str, &str) = (
    "has(self.url) != has(self.port) && (has(self.port) || !has(self.path))",
    "a call has a url, or a port of the pod with a path",
);

/// Where a rule stands below `spec`, what must hold there, and what is said when it does not.
const RULES: &[(&str, &str, &str)] = &[
    (
        "",
        "has(self.container) || has(self.match.images) && size(self.match.images) > 0",
        "nothing says in which container the hooks run: add container, or match.images",
    ),
    (
        "",
        "!has(self.hooks.pre) || !has(self.hooks.pre.script) || has(self.scriptFiles) && self.hooks.pre.script in self.scriptFiles",
        "hooks.pre.script is none of scriptFiles",
    ),
    (
        "",
        "!has(self.hooks.post) || !has(self.hooks.post.script) || has(self.scriptFiles) && self.hooks.post.script in self.scriptFiles",
        "hooks.post.script is none of scriptFiles",
    ),
    (
        "",
        "!has(self.hooks.restore) || !has(self.hooks.restore.post) || !has(self.hooks.restore.post.script) || has(self.scriptFiles) && self.hooks.restore.post.script in self.scriptFiles",
        "hooks.restore.post.script is none of scriptFiles",
    ),
    (
        "",
        "!has(self.hooks.restore) || !has(self.hooks.restore.init) || !has(self.hooks.restore.init.script) || has(self.scriptFiles) && self.hooks.restore.init.script in self.scriptFiles",
        "hooks.restore.init.script is none of scriptFiles",
    ),
    (
        "",
        "!has(self.hooks.check) || !has(self.hooks.check.script) || has(self.scriptFiles) && self.hooks.check.script in self.scriptFiles",
        "hooks.check.script is none of scriptFiles",
    ),
    (
        "",
        "!has(self.coordinator) || !has(self.coordinator.session) || has(self.scriptFiles) && self.coordinator.session in self.scriptFiles",
        "coordinator.session is none of scriptFiles",
    ),
    (
        "",
        "!has(self.coordinator) || has(self.coordinator.session) != ((has(self.hooks.pre) && has(self.hooks.pre.http)) || (has(self.hooks.post) && has(self.hooks.post.http)))",
        "a coordinator has a session, or the hooks call over HTTP",
    ),
    (
        "",
        "!has(self.coordinator) || !has(self.coordinator.session) || !has(self.hooks.pre) && !has(self.hooks.post)",
        "the coordinator has both hooks of a backup",
    ),
    (
        "/properties/coordinator",
        "has(self.session) ? has(self.startTimeout) && has(self.stopTimeout) && has(self.limit) && has(self.onError) : !has(self.startTimeout) && !has(self.stopTimeout) && !has(self.limit) && !has(self.onError) && !has(self.env) && !has(self.port) && !has(self.tokenSecret)",
        "startTimeout, stopTimeout, limit and onError belong to a session, and env, port and tokenSecret to no coordinator without one",
    ),
    (
        "/properties/hooks/properties/pre",
        "[has(self.script), has(self.command), has(self.http)].filter(it, it).size() == 1",
        "a hook is one of script, command and http",
    ),
    (
        "/properties/hooks/properties/post",
        "[has(self.script), has(self.command), has(self.http)].filter(it, it).size() == 1",
        "a hook is one of script, command and http",
    ),
    (
        "/properties/hooks/properties/pre/properties/http",
        WHO_IS_CALLED.0,
        WHO_IS_CALLED.1,
    ),
    (
        "/properties/hooks/properties/post/properties/http",
        WHO_IS_CALLED.0,
        WHO_IS_CALLED.1,
    ),
    (
        "/properties/hooks/properties/restore/properties/post",
        "has(self.script) != has(self.command)",
        "a hook runs one of script and command",
    ),
    (
        "/properties/hooks/properties/restore/properties/init",
        "has(self.script) != has(self.command)",
        "a hook runs one of script and command",
    ),
    (
        "/properties/hooks/properties/check",
        "has(self.script) != has(self.command)",
        "a hook runs one of script and command",
    ),
    (
        "/properties/container",
        "[has(self.name), has(self.image), has(self.port)].filter(it, it).size() == 1",
        "a container is chosen by one of name, image and port",
    ),
    (
        "/properties/volumes/additionalProperties",
        "has(self.emptyDir) != has(self.ephemeral)",
        "a volume is one of emptyDir and ephemeral",
    ),
];

/// Both definitions: of policies of a namespace, and of those for all.
#[must_use]
pub fn definitions() -> [Value; 2] {
    [
        definition(
            (KIND, PLURAL, "hp", "Namespaced"),
            "Which pods of its namespace get which Velero hooks, and what those hooks need in the pod.",
        ),
        definition(
            (CLUSTER_KIND, CLUSTER_PLURAL, "chp", "Cluster"),
            "Which pods, of whatever namespace, get which Velero hooks, and what those hooks need in the pod.",
        ),
    ]
}

fn definition((kind, plural, short, scope): (&str, &str, &str, &str), description: &str) -> Value {
    let engine = ".metadata.annotations.quiescent\\.dev/engine";
    let columns = vec![
        column("Accepted", "string", &accepted("status"), 0),
        column("Reason", "string", &accepted("reason"), 0),
        column("Priority", "integer", ".spec.priority", 0),
        column("Engine", "string", engine, 0),
        age(),
        column("Message", "string", &accepted("message"), 1),
    ];
    let mut definition = Frame {
        kind,
        plural,
        short,
        scope,
        description,
        columns,
        spec: spec(),
        status: status(),
    }
    .definition();
    let longest = name::LONGEST_POLICY;
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = json!([{
        "rule": format!("self.metadata.name.size() <= {longest} && !self.metadata.name.contains('.') && self.metadata.name != 'author'"),
        "message": format!("the name of a policy has small letters, digits and -, at most {longest}, and is not author"),
    }]);
    definition
}

fn spec() -> Value {
    schema_of::<Spec>(RULES)
}

/// The schema of a type as Kubernetes takes it, with rules that its parts have to keep.
pub(crate) fn schema_of<T: JsonSchema>(rules: &[(impl AsRef<str>, &str, &str)]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut spec = structural(schema.to_value());
    for (place, rule, message) in rules {
        let place = spec.pointer_mut(place.as_ref());
        let rules = place.and_then(Value::as_object_mut).map(|it| {
            it.entry("x-kubernetes-validations")
                .or_insert_with(|| json!([]))
        });
        if let Some(rules) = rules.and_then(Value::as_array_mut) {
            rules.push(json!({"rule": rule, "message": message}));
        }
    }
    spec
}

/// The one choice of two types that Kubernetes takes.
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

/// What Kubernetes takes of a schema: one type for each value, and no word about unknown fields, which
/// are pruned.
fn structural(schema: Value) -> Value {
    let Value::Object(schema) = schema else {
        // Any value at all.
        return json!({"x-kubernetes-preserve-unknown-fields": true});
    };
    if schema.contains_key(INT_OR_STRING) {
        return json!({INT_OR_STRING: true});
    }
    let mut kept = one_of_them(schema);
    for field in ["$schema", "title", "oneOf", "anyOf"] {
        kept.shift_remove(field);
    }
    if let Some(Value::Array(types)) = kept.get("type") {
        let some = types.iter().find(|it| *it != "null").cloned();
        kept.insert("type".to_owned(), some.unwrap_or_default());
    }
    let foreign = |format: &Value| format.as_str().is_some_and(|it| it.starts_with("uint"));
    if kept.get("format").is_some_and(foreign) {
        kept.shift_remove("format");
    }
    let empty = |it: &Value| match it {
        Value::Number(_) | Value::Bool(true) => false,
        Value::String(text) => text.is_empty(),
        _ => true,
    };
    if kept.get("default").is_some_and(empty) {
        kept.shift_remove("default");
    }
    if let Some(Value::Object(properties)) = kept.get_mut("properties") {
        for property in properties.values_mut() {
            *property = structural(property.take());
        }
    }
    // `false` stands beside properties alone: what is none of them is pruned anyway.
    if let Some(values @ Value::Object(_)) = kept.shift_remove("additionalProperties") {
        kept.insert("additionalProperties".to_owned(), structural(values));
        kept.insert("maxProperties".to_owned(), MOST_ITEMS.into());
    }
    if let Some(items) = kept.get_mut("items") {
        *items = structural(items.take());
        kept.insert("maxItems".to_owned(), MOST_ITEMS.into());
    }
    kept.into()
}

/// Of several schemas the one that has what the others say: of constants their list, of one item or many
/// the list, of something or null the something.
fn one_of_them(mut schema: Map<String, Value>) -> Map<String, Value> {
    let mut ways = ["oneOf", "anyOf"].iter();
    let several = ways.find_map(|way| schema.get(*way)?.as_array());
    let Some(several) = several.cloned() else {
        return schema;
    };
    let constants: Option<Vec<Vec<Value>>> = several.iter().map(constants).collect();
    if let Some(constants) = constants {
        schema.insert("type".to_owned(), "string".into());
        schema.insert("enum".to_owned(), constants.concat().into());
        return schema;
    }
    let list = several.iter().find(|it| it["type"] == "array");
    let some = several.iter().find(|it| it["type"] != "null");
    if let Some(Value::Object(chosen)) = list.or(some) {
        for (key, value) in one_of_them(chosen.clone()) {
            schema.entry(key).or_insert(value);
        }
    }
    schema
}

/// What a schema allows, if those are constants: one that is described, or all that are not.
fn constants(schema: &Value) -> Option<Vec<Value>> {
    let one = schema.get("const").map(|it| vec![it.clone()]);
    one.or_else(|| schema["enum"].as_array().cloned())
}

fn status() -> Value {
    json!({
        "type": "object",
        "properties": {"conditions": conditions()},
    })
}

/// The schema of conditions.
pub(crate) fn conditions() -> Value {
    json!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "reason", "message", "lastTransitionTime"],
            "properties": {
                "type": {"type": "string", "maxLength": 316},
                "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
                "reason": {"type": "string", "maxLength": 1024},
                "message": {"type": "string", "maxLength": 32768},
                "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
                "lastTransitionTime": {"type": "string", "format": "date-time"},
            },
        },
    })
}

#[cfg(test)]
mod tests;
