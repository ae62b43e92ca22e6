//! Lists of objects by pages, each object as the text that the API server sent.
use kube::{
    Client,
    api::{GetParams, ListParams},
    core::Request,
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// How many objects one answer has at most.
const PAGE: u32 = 500;

/// How often a list is begun again that the API server has forgotten half-way.
const TRIES: usize = 3;

/// Objects of one kind.
#[derive(Clone, Copy, Debug)]
pub struct Objects<'a> {
    /// Where they are: `/api/v1/namespaces/shop/pods`.
    pub path: &'a str,
    pub labels: Option<&'a str>,
    /// Whether nothing but their metadata is asked for.
    pub metadata_only: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("the API server does not let us see {path}")]
    Forbidden { path: String },
    /// Nobody has told the API server of this kind, or there is no such object.
    #[error("the API server knows no {path}")]
    Absent { path: String },
    #[error("failed to read {path}")]
    Failed { path: String, source: kube::Error },
    #[error("the answer about {path} cannot be read")]
    Unreadable {
        path: String,
        source: serde_json::Error,
    },
}

impl ListError {
    fn of(path: &str, error: kube::Error) -> Self {
        let path = path.to_owned();
        match &error {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden { path },
            kube::Error::Api(status) if status.code == 404 => Self::Absent { path },
            _ => Self::Failed {
                path,
                source: error,
            },
        }
    }

    fn is_expired(&self) -> bool {
        let Self::Failed { source, .. } = self else {
            return false;
        };
        matches!(source, kube::Error::Api(status) if status.code == 410)
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(default)]
    metadata: PageMetadata,
    /// An empty list of metadata has `null` here.
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

/// Goes through all of them, and keeps what `each` makes of their texts. Of the texts themselves
/// there is never more than one page.
pub async fn list<T>(
    client: &Client,
    objects: Objects<'_>,
    mut each: impl FnMut(&str) -> T,
) -> Result<Vec<T>, ListError> {
    let mut tries = 1;
    loop {
        match from_the_start(client, objects, &mut each).await {
            Err(error) if error.is_expired() && tries < TRIES => tries += 1,
            outcome => return outcome,
        }
    }
}

async fn from_the_start<T>(
    client: &Client,
    objects: Objects<'_>,
    each: &mut impl FnMut(&str) -> T,
) -> Result<Vec<T>, ListError> {
    let Objects {
        path,
        labels,
        metadata_only,
    } = objects;
    let request = Request::new(path);
    let mut parameters = ListParams::default().limit(PAGE);
    if let Some(labels) = labels {
        parameters = parameters.labels(labels);
    }
    let mut kept = Vec::new();
    loop {
        let page = if metadata_only {
            request.list_metadata(&parameters)
        } else {
            request.list(&parameters)
        };
        let page = page.map_err(kube::Error::BuildRequest);
        let page = page.map_err(|error| ListError::of(path, error))?;
        let text = client.request_text(page).await;
        let text = text.map_err(|error| ListError::of(path, error))?;
        let page: Page<'_> =
            serde_json::from_str(&text).map_err(|source| ListError::Unreadable {
                path: path.to_owned(),
                source,
            })?;
        let items = page.items.into_iter().flatten();
        kept.extend(items.map(|item| each(item.get())));
        match page.metadata.token.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(kept),
        }
    }
}

/// The text of one object.
pub async fn object(client: &Client, path: &str, name: &str) -> Result<String, ListError> {
    let request = Request::new(path).get(name, &GetParams::default());
    let request = request.map_err(kube::Error::BuildRequest);
    let request = request.map_err(|error| ListError::of(path, error))?;
    let text = client.request_text(request).await;
    text.map_err(|error| ListError::of(path, error))
}
