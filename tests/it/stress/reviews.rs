//! Reviews as bodies, and what must be true of every answer.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::body::Bytes;
use serde_json::{Value, json};

/// A review of a new PostgreSQL, with so many bytes in its environment.
pub fn review(uid: &str, size: usize) -> Bytes {
    let padding = "x".repeat(size);
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "pg-0", "labels": {"app": "pg"}},
                "spec": {"containers": [{
                    "name": "postgres",
                    "image": "postgres:17",
                    "env": [{"name": "PADDING", "value": padding}],
                }]},
            },
        },
    })
    .to_string()
    .into()
}

/// The operations that the answer to this review has, which must be an answer to it.
pub fn patch(uid: &str, body: &[u8]) -> Vec<Value> {
    let answer: Value = serde_json::from_slice(body).unwrap();
    let response = &answer["response"];
    assert_eq!(response["uid"], uid, "an answer to another review");
    assert_eq!(response["allowed"], true, "{answer}");
    let patch = response["patch"].as_str().expect("the pod gets something");
    serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap()
}
