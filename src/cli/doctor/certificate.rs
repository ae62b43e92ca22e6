//! Looks at the certificates that the replicas show: by the API server's proxy, which reaches them from
//! anywhere, else by a handshake from here, else in the Secret.

use std::{collections::BTreeMap, net::SocketAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use futures::future::join_all;
use serde_json::Value;

use crate::{
    certs::{self, CHAIN_PAGE},
    doctor::{Endpoint, Endpoints, Names, Shown, Source},
    kubernetes::Asker,
};

/// Where the admin port is when the pod does not name it.
const ADMIN: u64 = 9090;

/// What is needed to look.
pub struct Sight<'a> {
    pub asker: &'a Asker,
    pub names: &'a Names,
    pub endpoints: &'a Endpoints,
    pub pods: &'a [Value],
    pub secret: Option<&'a Value>,
    pub bundles: &'a BTreeMap<String, Vec<u8>>,
    /// Seconds since 1970.
    pub now: i64,
}

pub async fn look(sight: Sight<'_>) -> Vec<Shown> {
    let Endpoints(all) = sight.endpoints;
    let ready = all.iter().filter(|it| it.ready);
    let shown = join_all(ready.map(|it| at_replica(&sight, it))).await;
    let shown: Vec<Shown> = shown.into_iter().flatten().collect();
    if shown.is_empty() {
        in_secret(&sight).into_iter().collect()
    } else {
        shown
    }
}

async fn at_replica(sight: &Sight<'_>, endpoint: &Endpoint) -> Option<Shown> {
    let Endpoint {
        address, port, pod, ..
    } = endpoint;
    let named = pod.as_deref().unwrap_or(address);
    let chain = if let Some(pem) = proxied(sight, pod.as_deref()).await {
        certs::chain_of(pem.as_bytes())
    } else {
        let address = SocketAddr::new(address.parse().ok()?, *port);
        let shown = certs::chain(address, &sight.names.host()).await;
        shown.ok()?
    };
    let source = Source::Replica(named.to_owned());
    certs::looked_at(
        source,
        &chain,
        sight.bundles,
        &sight.names.host(),
        sight.now,
    )
}

/// What the replica's admin port says, asked through the API server.
async fn proxied(sight: &Sight<'_>, pod: Option<&str>) -> Option<String> {
    let pod = pod?;
    let object = sight.pods.iter().find(|it| it["metadata"]["name"] == pod);
    let containers = object.and_then(|it| it["spec"]["containers"].as_array());
    let ports = containers
        .into_iter()
        .flatten()
        .filter_map(|it| it["ports"].as_array());
    let admin = ports.flatten().find(|it| it["name"] == "admin");
    let port = admin
        .and_then(|it| it["containerPort"].as_u64())
        .unwrap_or(ADMIN);
    let own = &sight.names.own_namespace;
    let path = format!("/api/v1/namespaces/{own}/pods/http:{pod}:{port}/proxy{CHAIN_PAGE}");
    let answer = sight.asker.get(&path).await.ok()?;
    answer.is_success().then_some(answer.text)
}

fn in_secret(sight: &Sight<'_>) -> Option<Shown> {
    let pem = sight.secret?["data"][certs::CHAIN].as_str()?;
    let chain = certs::chain_of(&STANDARD.decode(pem).ok()?);
    let source = Source::Secret(sight.names.secret.clone());
    certs::looked_at(
        source,
        &chain,
        sight.bundles,
        &sight.names.host(),
        sight.now,
    )
}
