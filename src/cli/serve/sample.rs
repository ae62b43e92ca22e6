//! A review to try a webhook with: the API server's about a database's first pod.

use serde_json::{Value, json};

pub fn review() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "7f2b3c1e-5a64-4d0f-9f43-0c5c3f6a1d11",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": "shop",
            "operation": "CREATE",
            "dryRun": true,
            "object": {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "pg-0", "labels": {"app": "pg"}},
                "spec": {
                    "containers": [{
                        "name": "postgres",
                        "image": "postgres:17",
                        "env": [{"name": "POSTGRES_PASSWORD", "valueFrom": {
                            "secretKeyRef": {"name": "pg", "key": "password"},
                        }}],
                        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
                    }],
                    "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-pg-0"}}],
                },
            },
        },
    })
}
