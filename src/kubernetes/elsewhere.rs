//! Asks servers that are no cluster, without anything that only a cluster is to know.
use std::time::Duration;

use anyhow::Context as _;
use hyper::{Request, Response};
use kube::{Client, Config, client::Body};

/// Some address, and how it is asked.
pub struct Elsewhere {
    client: Client,
    pub host: String,
    path: String,
}

impl Elsewhere {
    /// An `http` or `https` address. Its certificate is judged by the given authorities, as DER, or else
    /// by those of the system. Who says nothing for as long as `patience` is not waited for.
    pub fn new(
        url: &str,
        authorities: Option<Vec<Vec<u8>>>,
        patience: Duration,
    ) -> anyhow::Result<Self> {
        const UNREADABLE: &str = "its address cannot be read";
        let url: hyper::Uri = url.parse().context(UNREADABLE)?;
        let host = url.authority().context(UNREADABLE)?.to_string();
        let path = url.path_and_query().map_or("/", |it| it.as_str());
        let path = path.to_owned();
        let mut origin = url.into_parts();
        origin.path_and_query = Some("/".parse().context(UNREADABLE)?);
        let origin = hyper::Uri::from_parts(origin).context(UNREADABLE)?;
        let mut config = Config::new(origin);
        config.root_cert = authorities;
        config.connect_timeout = Some(patience);
        config.read_timeout = Some(patience);
        config.default_retry = false;
        let client = Client::try_from(config)?;
        Ok(Self { client, host, path })
    }

    pub async fn get(&self) -> anyhow::Result<Response<Body>> {
        self.send(Request::get(&*self.path).body(Body::empty())?)
            .await
    }

    /// Sends JSON, and a token to whoever asks for one.
    pub async fn post(&self, body: Vec<u8>, token: Option<&str>) -> anyhow::Result<Response<Body>> {
        let mut request =
            Request::post(&*self.path).header(hyper::header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            let mut token: hyper::header::HeaderValue = format!("Bearer {token}")
                .parse()
                .context("the token cannot stand in a header")?;
            token.set_sensitive(true);
            request = request.header(hyper::header::AUTHORIZATION, token);
        }
        self.send(request.body(Body::from(body))?).await
    }

    async fn send(&self, request: Request<Body>) -> anyhow::Result<Response<Body>> {
        let answer = self.client.send(request).await;
        answer.with_context(|| format!("no answer from {}", self.host))
    }
}
