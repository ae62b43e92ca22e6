//! Claims that are cut in one moment: objects of the API of group snapshots.

use serde_json::{Value, json};

use super::{Class, GROUP};

/// The versions of the API that we can speak, which say the same of what we ask for; the best first.
const VERSIONS: [&str; 3] = ["v1", "v1beta2", "v1beta1"];

/// A class with this annotation is for groups of its driver that name none.
const IS_DEFAULT: &str = "groupsnapshot.storage.kubernetes.io/is-default-class";

const KIND: &str = "VolumeGroupSnapshot";

/// A label of the claims that are in a group, while it is cut: its name.
pub const MEMBER: &str = "quiescent.dev/group";

/// The name of the API.
#[must_use]
pub fn api() -> String {
    format!("group{GROUP}")
}

/// Where it says in which versions it is there.
#[must_use]
pub fn root() -> String {
    format!("/apis/{}", api())
}

/// The version to speak, of those that are there.
#[must_use]
pub fn version(root: &Value) -> Option<&'static str> {
    let there = root["versions"].as_array()?;
    let is_there = |version: &&str| there.iter().any(|it| it["version"] == **version);
    VERSIONS.into_iter().find(is_there)
}

/// Where the groups of a namespace are.
#[must_use]
pub fn groups(version: &str, namespace: &str) -> String {
    format!(
        "{}/{version}/namespaces/{namespace}/volumegroupsnapshots",
        root()
    )
}

#[must_use]
pub fn classes(version: &str) -> String {
    format!("{}/{version}/volumegroupsnapshotclasses", root())
}

#[must_use]
pub fn class(object: &Value) -> Option<Class> {
    let is_default = object["metadata"]["annotations"][IS_DEFAULT] == "true";
    super::class(object).map(|it| Class { is_default, ..it })
}

/// A group that is to be made of all claims with its name on them.
#[derive(Clone, Debug)]
pub struct Wanted<'w> {
    pub version: &'w str,
    pub namespace: &'w str,
    pub name: &'w str,
    pub class: &'w str,
    pub target: &'w str,
}

impl Wanted<'_> {
    #[must_use]
    pub fn object(&self) -> Value {
        let Self {
            version,
            namespace,
            name,
            class,
            target,
        } = self;
        json!({
            "apiVersion": format!("{}/{version}", api()),
            "kind": KIND,
            "metadata": super::unfinished(namespace, name, name, target),
            "spec": {
                "volumeGroupSnapshotClassName": class,
                "source": {"selector": {"matchLabels": {MEMBER: name}}},
            },
        })
    }
}

/// The group that a VolumeSnapshot belongs to.
#[must_use]
pub fn of(snapshot: &Value) -> Option<&str> {
    let mut owners = snapshot["metadata"]["ownerReferences"].as_array()?.iter();
    owners.find(|it| it["kind"] == KIND)?["name"].as_str()
}

/// The claim that a VolumeSnapshot is of.
#[must_use]
pub fn claim(snapshot: &Value) -> Option<&str> {
    snapshot["spec"]["source"]["persistentVolumeClaimName"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_version_that_is_there_is_spoken() {
        let there = |versions: &[&str]| {
            let versions: Vec<Value> = versions.iter().map(|it| json!({"version": it})).collect();
            version(&json!({"versions": versions}))
        };
        assert_eq!(there(&["v1beta1", "v1beta2"]), Some("v1beta2"));
        assert_eq!(there(&["v1beta1", "v1"]), Some("v1"));
        assert_eq!(there(&["v1alpha1"]), None);
        assert_eq!(version(&json!({})), None);
    }

    #[test]
    fn a_member_knows_its_group_and_its_claim() {
        let member = json!({
            "metadata": {"ownerReferences": [{"kind": "Other", "name": "x"}, {"kind": KIND, "name": "pg-1"}]},
            "spec": {"source": {"persistentVolumeClaimName": "data-pg-0"}},
        });
        assert_eq!(
            (of(&member), claim(&member)),
            (Some("pg-1"), Some("data-pg-0"))
        );
        assert_eq!(of(&json!({"metadata": {}})), None);
    }

    #[test]
    fn a_class_of_groups_has_a_mark_of_its_own() {
        let is_default = |key: &str| {
            let object =
                json!({"metadata": {"name": "a", "annotations": {key: "true"}}, "driver": "d"});
            class(&object).unwrap().is_default
        };
        assert!(is_default(IS_DEFAULT) && !is_default(super::super::IS_DEFAULT));
    }
}
