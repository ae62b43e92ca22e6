//! The same requests over HTTP, for what runs no command in a pod.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context as _, ensure};
use axum::{
    Router,
    extract::State as Shared,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

use super::{
    ask::{Asked, new_id},
    serve::Desk,
};
use crate::velero::Timeout;

/// The variable with the token, for whom a Secret gives no file.
pub const TOKEN: &str = "QUIESCENT_COORDINATOR_TOKEN";

/// Who may ask: whoever has the token, or everybody where there is none.
type Token = Option<[u8; 32]>;

struct Door {
    desk: Desk,
    token: Token,
    within: Timeout,
}

/// Answers at an address, to requests that take no longer than `within`.
pub async fn listen(
    address: SocketAddr,
    token: Option<&str>,
    within: Timeout,
    desk: Desk,
) -> anyhow::Result<impl Future<Output = std::io::Result<()>> + use<>> {
    ensure!(
        address.ip().is_loopback() || token.is_some(),
        "{address} can be reached from outside of the pod: name a file with a token, --token-file, or give it in {TOKEN}"
    );
    let token = token.map(|token| Sha256::digest(token).into());
    let door = Arc::new(Door {
        desk,
        token,
        within,
    });
    let router = Router::new()
        .route("/start", post(start))
        .route("/stop", post(stop))
        .route("/status", get(status))
        .with_state(door);
    let listener = TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}"))?;
    Ok(async move { axum::serve(listener, router).await })
}

/// The token in a file, or else in the variable.
pub fn token(file: Option<&Path>) -> anyhow::Result<Option<String>> {
    let Some(file) = file else {
        return Ok(std::env::var(TOKEN).ok().filter(|token| !token.is_empty()));
    };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read the token in {}", file.display()))?;
    let token = text.trim();
    ensure!(!token.is_empty(), "there is no token in {}", file.display());
    Ok(Some(token.to_owned()))
}

impl Door {
    /// Compares digests to their end, so that the time tells nothing of the token.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let Some(token) = self.token else { return true };
        let said = headers
            .get(AUTHORIZATION)
            .map_or(&b""[..], |it| it.as_bytes());
        let said = said.strip_prefix(b"Bearer ").unwrap_or_default();
        let said: [u8; 32] = Sha256::digest(said).into();
        let differ = token
            .iter()
            .zip(said)
            .fold(0, |all, (one, other)| all | (one ^ other));
        differ == 0
    }

    async fn ask(&self, headers: &HeaderMap, asked: Asked) -> Response {
        if !self.lets_in(headers) {
            let problem = "{\"problem\":\"the token is missing or another one\"}\n";
            return (StatusCode::UNAUTHORIZED, problem).into_response();
        }
        let Some((code, text)) = self.desk.ask(asked).await else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let status = match code {
            0 => StatusCode::OK,
            3 => StatusCode::CONFLICT,
            4 => StatusCode::GATEWAY_TIMEOUT,
            5 => StatusCode::GONE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let json = [("content-type", "application/json")];
        (status, json, text).into_response()
    }
}

async fn start(Shared(door): Shared<Arc<Door>>, headers: HeaderMap) -> Response {
    let seconds = door.within.seconds();
    let id = new_id();
    door.ask(&headers, Asked::Start { id, seconds }).await
}

async fn stop(Shared(door): Shared<Arc<Door>>, headers: HeaderMap) -> Response {
    let seconds = door.within.seconds();
    let id = new_id();
    door.ask(&headers, Asked::Stop { id, seconds }).await
}

async fn status(Shared(door): Shared<Arc<Door>>, headers: HeaderMap) -> Response {
    door.ask(&headers, Asked::Status).await
}
