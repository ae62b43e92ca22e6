//! A pod or a pod's template, with the places of what hooks are about.

use crate::{
    policy::Image,
    recognise::{self, Spread},
    velero::{BACKUP_VOLUMES, HOOK_DOMAINS},
    workload::{self, places},
    yaml::{Key, Node, Value},
};

/// A pod that a manifest makes.
#[derive(Clone, Copy, Debug)]
pub struct Pod<'d> {
    /// The object in whose manifest it stands; the pod itself, when it is one.
    pub object: &'d Node,
    /// What has the metadata and the spec of the pod.
    pub template: &'d Node,
}

/// A container of it.
#[derive(Clone, Copy, Debug)]
pub struct Container<'d> {
    pub node: &'d Node,
    pub name: &'d str,
}

/// A volume of it; those of a StatefulSet's claim templates are among them.
#[derive(Clone, Copy, Debug)]
pub struct Volume<'d> {
    pub node: &'d Node,
    pub name: &'d str,
    /// The field that says what it is: `emptyDir`, `persistentVolumeClaim`.
    pub kind: &'d str,
}

/// Every object of a document, those of Lists too.
pub fn objects(root: &Node) -> Vec<&Node> {
    match root.get("items").map(|items| &items.value) {
        Some(Value::Sequence(items)) => items.iter().flat_map(objects).collect(),
        _ => vec![root],
    }
}

pub fn text<'d>(node: &'d Node, path: &[&str]) -> Option<&'d str> {
    at(node, path)?.as_str()
}

/// The node at the end of a path of keys.
pub fn at<'d>(node: &'d Node, path: &[&str]) -> Option<&'d Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

pub fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| &node.value) {
        Some(Value::Sequence(items)) => items,
        _ => &[],
    }
}

pub fn entries(node: Option<&Node>) -> &[(Key, Node)] {
    match node.map(|node| &node.value) {
        Some(Value::Mapping(entries)) => entries,
        _ => &[],
    }
}

impl<'d> Pod<'d> {
    /// The pod that an object makes, if it makes one.
    pub fn of(object: &'d Node) -> Option<Self> {
        // Only `workload` knows which kinds have templates; its walk is by JSON.
        let pointer = places(&object.to_json()).into_iter().next()?.pointer;
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        Some(Self {
            object,
            template: object.nearest(&steps),
        })
    }

    pub fn is_template(&self) -> bool {
        !std::ptr::eq(self.object, self.template)
    }

    pub fn kind(&self) -> &'d str {
        text(self.object, &["kind"]).unwrap_or_default()
    }

    pub fn namespace(&self) -> &'d str {
        text(self.object, &["metadata", "namespace"]).unwrap_or("default")
    }

    pub fn annotations(&self) -> &'d [(Key, Node)] {
        entries(at(self.template, &["metadata", "annotations"]))
    }

    pub fn annotation(&self, key: &str) -> Option<&'d Node> {
        let found = self.annotations().iter().find(|(name, _)| name.name == key);
        found.map(|(_, value)| value)
    }

    pub fn has_hooks(&self) -> bool {
        self.annotations()
            .iter()
            .any(|(key, _)| is_hook_key(&key.name))
    }

    pub fn label(&self, key: &str) -> Option<&'d str> {
        text(self.template, &["metadata", "labels", key])
    }

    pub fn containers(&self) -> Vec<Container<'d>> {
        named(items(at(self.template, &["spec", "containers"])))
    }

    pub fn init_containers(&self) -> Vec<Container<'d>> {
        named(items(at(self.template, &["spec", "initContainers"])))
    }

    /// The container in which Velero runs a hook that names this one, or none.
    pub fn hook_container(&self, name: Option<&str>) -> Option<Container<'d>> {
        let containers = self.containers();
        match name {
            None => containers.first().copied(),
            Some(name) => containers.into_iter().find(|it| it.name == name),
        }
    }

    pub fn volumes(&self) -> Vec<Volume<'d>> {
        let own = items(at(self.template, &["spec", "volumes"])).iter();
        let own = own.filter_map(|node| {
            let kind = entries(Some(node))
                .iter()
                .map(|(key, _)| key.name.as_str())
                .find(|key| *key != "name");
            Some(Volume {
                node,
                name: text(node, &["name"])?,
                kind: kind.unwrap_or("emptyDir"),
            })
        });
        let claims = items(at(self.object, &["spec", "volumeClaimTemplates"])).iter();
        let claims = claims.filter_map(|node| {
            Some(Volume {
                node,
                name: text(node, &["metadata", "name"])?,
                kind: CLAIM,
            })
        });
        own.chain(claims).collect()
    }

    /// Its databases with files on several claims.
    pub fn spread(&self) -> Vec<Spread> {
        let object = self.object.to_json();
        let place = places(&object).into_iter().next();
        let pod = place.and_then(|place| workload::pod(&object, &place));
        // What is no pod of Kubernetes is named elsewhere.
        pod.and_then(|pod| recognise::spread(&pod.to_string()).ok())
            .unwrap_or_default()
    }

    /// The names in an annotation that lists volumes, empty ones too.
    pub fn listed_volumes(&self) -> Vec<&'d str> {
        let listed = self.annotation(BACKUP_VOLUMES).and_then(Node::as_str);
        listed.map_or_else(Vec::new, |listed| listed.split(',').collect())
    }
}

pub const CLAIM: &str = "persistentVolumeClaim";

impl<'d> Container<'d> {
    pub fn image(&self) -> Option<Image<'d>> {
        text(self.node, &["image"]).map(Image::parse)
    }

    /// Volume and path of each mount.
    pub fn mounts(&self) -> Vec<(&'d str, &'d str, &'d Node)> {
        items(self.node.get("volumeMounts"))
            .iter()
            .filter_map(|node| Some((text(node, &["name"])?, text(node, &["mountPath"])?, node)))
            .collect()
    }

    /// The volume that a path lies in.
    pub fn volume_of(&self, path: &str) -> Option<&'d str> {
        let mut mounts = self.mounts();
        mounts.sort_by_key(|(_, mount, _)| std::cmp::Reverse(mount.len()));
        let inside = |mount: &str| {
            let mount = mount.trim_end_matches('/');
            path.strip_prefix(mount)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let found = mounts.into_iter().find(|(_, mount, _)| inside(mount));
        found.map(|(volume, _, _)| volume)
    }

    pub fn sets(&self, variable: &str) -> bool {
        items(self.node.get("env"))
            .iter()
            .any(|it| text(it, &["name"]) == Some(variable))
            || self.node.get("envFrom").is_some()
    }

    pub fn is_native_sidecar(&self) -> bool {
        text(self.node, &["restartPolicy"]) == Some("Always")
    }
}

fn named(nodes: &[Node]) -> Vec<Container<'_>> {
    let containers = nodes.iter().map(|node| Container {
        node,
        name: text(node, &["name"]).unwrap_or_default(),
    });
    containers.collect()
}

/// Whether Velero's hooks have this key, or one that looks like theirs.
pub fn is_hook_key(key: &str) -> bool {
    key.split_once('/')
        .is_some_and(|(domain, _)| HOOK_DOMAINS.iter().any(|ours| domain.ends_with(ours)))
}
