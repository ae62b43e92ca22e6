//! Asks the API server what the accounts of webhook and controller may do.

use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::look::seen;
use crate::{
    doctor::{self, Names, Place, Right, Seen},
    kubernetes::Asker,
};

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// So many questions at once.
const AT_ONCE: usize = 8;

type Asked = (&'static Right, &'static str, bool);

pub async fn look(
    asker: &Asker,
    names: &Names,
    deployments: &Seen<Vec<Value>>,
) -> Seen<Vec<Asked>> {
    let wanted = doctor::needed(deployments);
    let wanted = wanted.flat_map(|right| right.verbs.iter().map(move |verb| (right, *verb)));
    let answers = stream::iter(wanted).map(|(right, verb)| async move {
        let account = doctor::account(deployments, right.account);
        let review = review(right, verb, &account, names);
        let answer = seen(asker.post(REVIEWS, &review).await);
        answer.map(|answer| {
            let said: Value = serde_json::from_str(&answer.text).unwrap_or_default();
            (right, verb, said["status"]["allowed"] == true)
        })
    });
    let mut answers = answers.buffered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(one) = answers.next().await {
        match one {
            Seen::Known(one) => all.push(one),
            Seen::Absent => return Seen::Absent,
            Seen::Forbidden => return Seen::Forbidden,
            Seen::Failed(why) => return Seen::Failed(why),
        }
    }
    Seen::Known(all)
}

fn review(right: &Right, verb: &str, account: &str, names: &Names) -> Value {
    let own = &names.own_namespace;
    let (resource, subresource) = right
        .resource
        .split_once('/')
        .unwrap_or((right.resource, ""));
    let mut attributes = json!({
        "group": right.group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
    });
    let namespace = match right.place {
        Place::Cluster => None,
        Place::OurNamespace => Some(own),
        Place::VeleroNamespace => Some(&names.velero_namespace),
    };
    if let Some(namespace) = namespace {
        attributes["namespace"] = namespace.as_str().into();
    }
    if let Some(name) = right.object(names) {
        attributes["name"] = name.into();
    }
    json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": format!("system:serviceaccount:{own}:{account}"),
            "groups": [
                "system:serviceaccounts",
                format!("system:serviceaccounts:{own}"),
                "system:authenticated",
            ],
            "resourceAttributes": attributes,
        },
    })
}
