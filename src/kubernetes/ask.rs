//! Single questions to the API server: a path, an answer, and how long it may take.
use std::time::Duration;

use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use kube::{Client, client::Body};
use serde_json::Value;
use tokio::time;

use super::with_causes;

const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Whoever asks, and how long each answer may take.
#[derive(Clone)]
pub struct Asker {
    pub client: Client,
    pub patience: Duration,
}

/// What the API server said, whatever it was.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// By its own clock.
    pub date: Option<Timestamp>,
    pub text: String,
}

impl Answer {
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// What is said of an error.
    pub fn message(&self) -> String {
        let said = serde_json::from_str::<Value>(&self.text).unwrap_or_default();
        said["message"].as_str().map_or_else(
            || format!("status {}: {}", self.status, self.text.trim()),
            str::to_owned,
        )
    }
}

impl Asker {
    pub async fn get(&self, path: &str) -> Result<Answer, String> {
        self.ask(Method::GET, path, JSON, Vec::new()).await
    }

    pub async fn post(&self, path: &str, object: &Value) -> Result<Answer, String> {
        let body = object.to_string().into_bytes();
        self.ask(Method::POST, path, JSON, body).await
    }

    /// Puts these fields into an object, and takes out those that are null.
    pub async fn merge(&self, path: &str, fields: &Value) -> Result<Answer, String> {
        let body = fields.to_string().into_bytes();
        self.ask(Method::PATCH, path, MERGE_PATCH, body).await
    }

    pub async fn delete(&self, path: &str) -> Result<Answer, String> {
        self.ask(Method::DELETE, path, JSON, Vec::new()).await
    }

    /// Waits no longer for something than for an answer.
    pub async fn in_time<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, String> {
        let late = || format!("no answer within {:?}", self.patience);
        time::timeout(self.patience, work).await.map_err(|_| late())
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(Body::from(body))
            .map_err(|error| error.to_string())?;
        let answer = self.in_time(async {
            let response = self.client.send(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            let date = head.headers.get("date").and_then(|it| it.to_str().ok());
            let date = date.and_then(|it| rfc2822::parse(it).ok());
            Ok::<_, kube::Error>(Answer {
                status: head.status.as_u16(),
                date: date.map(|it| it.timestamp()),
                text: String::from_utf8_lossy(&body).into_owned(),
            })
        });
        answer.await?.map_err(|error| with_causes(&error))
    }
}
