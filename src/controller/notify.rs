//! Notifies somebody outside of the cluster's Events: Alertmanager, or whoever takes JSON.
use std::{fs, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::time;

use crate::{
    kubernetes::{Elsewhere, with_causes},
    results::notice::Format,
};

/// Who does not answer by then is asked again later.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who is notified, and how.
#[derive(Clone)]
pub struct Notifier {
    pub url: String,
    pub format: Format,
    /// Authorities of its certificate, as DER; those of the system when absent.
    pub authorities: Option<Vec<Vec<u8>>>,
    /// A file with a token for it, which is read each time: tokens are renewed.
    pub token: Option<PathBuf>,
}

impl Notifier {
    /// Sends one notification. An error names the host and no more of the address: what follows may be a
    /// secret.
    pub async fn send(&self, body: &Value) -> Result<(), String> {
        let sent = time::timeout(PATIENCE, self.post(body));
        match sent.await {
            Ok(sent) => sent,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn post(&self, body: &Value) -> Result<(), String> {
        let token = match &self.token {
            Some(path) => Some(fs::read_to_string(path).map_err(|because| {
                format!("the token {} cannot be read: {because}", path.display())
            })?),
            None => None,
        };
        let said = |error: anyhow::Error| with_causes(&*error);
        let to = Elsewhere::new(&self.url, self.authorities.clone(), PATIENCE).map_err(said)?;
        let body = body.to_string().into_bytes();
        let answer = to.post(body, token.as_deref().map(str::trim)).await;
        let status = answer.map_err(said)?.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("{} answered {status}", to.host))
        }
    }
}
