//! A backup restored beside the original, to know whether it is one: which pods are copied and where to,
//! what keeps the copy to itself, and what all that was seen of it comes to.
//!
//! Pure: whoever restores, waits and runs the checks tells what became of each.
mod init;
mod subject;
mod verdict;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use init::completed;
pub use subject::{Subject, Unfit, container, labels, meets, policies, subjects};
pub use verdict::{Checked, Pod, Seen, Stage, Verified, unready};

use crate::{
    policy::{INJECT_LABEL, fingerprint},
    velero::{copy::Copy, verification::VERIFICATION_LABEL},
};

/// So long the id of a verification is.
const ID: usize = 5;

/// So long the name of a namespace may be.
const LONGEST_NAME: usize = 63;

/// Five letters that depend on a number.
#[must_use]
pub fn id(mut seed: u64) -> String {
    let mut letters = String::with_capacity(ID);
    for _ in 0..ID {
        letters.push(char::from(
            b'a' + u8::try_from(seed % 26).unwrap_or_default(),
        ));
        seed /= 26;
    }
    letters
}

/// What the namespaces of a copy are called.
#[must_use]
pub fn mapping<'n>(
    namespaces: impl IntoIterator<Item = &'n str>,
    id: &str,
) -> BTreeMap<String, String> {
    let name = |namespace: &str| {
        let end = format!("-verify-{id}");
        let room = LONGEST_NAME - end.len();
        if namespace.len() <= room {
            return format!("{namespace}{end}");
        }
        // Two that begin alike must not become one.
        let digest = fingerprint([namespace.as_bytes()], 6);
        let kept = &namespace[..room - digest.len() - 1];
        format!("{kept}-{digest}{end}")
    };
    let namespaces = namespaces.into_iter();
    namespaces
        .map(|namespace| (namespace.to_owned(), name(namespace)))
        .collect()
}

/// A namespace for a copy: no backup takes it, and no pod in it gets hooks.
#[must_use]
pub fn namespace(copy: &Copy, name: &str) -> Value {
    let mut namespace = copy.namespace(name);
    namespace["metadata"]["labels"][INJECT_LABEL] = "disabled".into();
    namespace
}

/// What keeps a copy to itself: its pods reach each other and ask for names, and nothing else; nobody
/// reaches them.
#[must_use]
pub fn isolation(copy: &Copy, namespace: &str) -> Value {
    let each_other = json!([{"podSelector": {}}]);
    let names: Vec<Value> = ["UDP", "TCP"]
        .map(|protocol| json!({"protocol": protocol, "port": 53}))
        .into();
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": "quiescent-verify",
            "namespace": namespace,
            "labels": {VERIFICATION_LABEL: copy.id},
        },
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": each_other}],
            "egress": [{"to": each_other}, {"ports": names}],
        },
    })
}

#[cfg(test)]
mod tests;
