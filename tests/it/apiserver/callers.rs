//! The certificate that an API server shows to webhooks, as `docs/operations.md` says.
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;

use super::{
    ApiServer,
    kit::{Webhook, eventually},
    pod_named,
    stored::has_all_hooks,
};
use crate::stress::fixture::{self, Pair};

/// Writes what `--admission-control-config-file` names: every webhook that asks is shown `identity`.
pub fn admission(directory: &Path, identity: &Pair) -> PathBuf {
    fixture::write(directory, identity);
    let user = json!({
        "client-certificate": directory.join("tls.crt"),
        "client-key": directory.join("tls.key"),
    });
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config",
        // By its name a user is for one host; this one is for all, since our ports are not known yet.
        "users": [{"name": "*", "user": user}],
    });
    let configuration = json!({
        "apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": [{
            "name": "MutatingAdmissionWebhook",
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration",
                "kubeConfigFile": directory.join("webhooks.kubeconfig"),
            },
        }],
    });
    let path = directory.join("admission.yaml");
    fs::write(
        directory.join("webhooks.kubeconfig"),
        kubeconfig.to_string(),
    )
    .expect("a kubeconfig");
    fs::write(&path, configuration.to_string()).expect("a configuration");
    path
}

/// A webhook that answers those whom the root of `callers` has signed.
fn webhook(callers: &Pair) -> (Webhook, tempfile::TempDir) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fixture::write(directory.path(), callers);
    let ca = directory.path().join("ca.crt").display().to_string();
    let listen = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let webhook = Webhook::start(listen.into_iter().chain(["--client-ca", &ca]));
    (webhook, directory)
}

pub fn the_client_ca_decides(api: &ApiServer, _: &Webhook) {
    let (ours, _directory) = webhook(&api.identity);
    api.namespace("known-caller", &json!({}));
    api.register(&ours, "known-caller", "Fail");
    has_all_hooks(&api.create("known-caller", &pod_named("pg")), "postgres");

    let (another, _directory) = webhook(&fixture::with_intermediate());
    api.namespace("strange-caller", &json!({}));
    api.configure("strange-caller", &another, "strange-caller", "Fail");
    let refused = eventually(
        "the API server is turned away",
        Duration::from_secs(30),
        || api.dry_run("strange-caller", &pod_named("pg")).err(),
    );
    assert!(refused.contains("remote error: tls: "), "{refused}");
    another.logged(&["a caller's certificate is not accepted"]);
}
