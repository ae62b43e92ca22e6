//! Files that Velero keeps beside its backups: it is asked where one is, and it is fetched from there.

use std::{io::Read as _, time::Duration};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use kube::{
    Api, Client, Config,
    api::{DeleteParams, DynamicObject, PostParams},
    client::Body,
    core::{ApiResource, GroupVersionKind},
};
use tokio::time::{self, Instant};

use crate::velero::objects::{DOWNLOAD_REQUESTS, File, Kind, download_request};

/// Velero answers within seconds, when it runs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A log may be as large as this, packed, and as this when it is unpacked.
const PACKED: usize = 64 << 20;
const UNPACKED: u64 = 1 << 30;

/// The text of a file.
pub async fn file(
    client: &Client,
    namespace: &str,
    kind: Kind,
    name: &str,
    file: File,
) -> anyhow::Result<String> {
    let kind_of_request = GroupVersionKind::gvk("velero.io", "v1", "DownloadRequest");
    let resource = ApiResource::from_gvk_with_plural(&kind_of_request, DOWNLOAD_REQUESTS);
    let requests: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
    let request: DynamicObject = serde_json::from_value(download_request(kind, name, file))
        .context("a DownloadRequest of ours cannot be read")?;
    let created = requests.create(&PostParams::default(), &request).await;
    let created = created.context("failed to ask Velero for a file by a DownloadRequest")?;
    let of_request = created.metadata.name.unwrap_or_default();
    let found = place(&requests, &of_request).await;
    // Velero deletes those that expire; this one is not needed any more.
    let _ = requests
        .delete(&of_request, &DeleteParams::background())
        .await;
    let packed = fetch(&found?).await.with_context(|| {
        format!(
            "failed to fetch the file from the object storage of {} {name}",
            kind.word()
        )
    })?;
    unpacked(&packed)
}

/// Where the file is, when Velero has said it.
async fn place(requests: &Api<DynamicObject>, name: &str) -> anyhow::Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let request = requests.get(name).await;
        let request = request.context("failed to read a DownloadRequest")?;
        let url = request.data["status"]["downloadURL"].as_str();
        if let Some(url) = url.filter(|url| !url.is_empty()) {
            return Ok(url.to_owned());
        }
        if Instant::now() > deadline {
            bail!(
                "Velero has not said within {} s where its file is: does it run, and is the file there?",
                PATIENCE.as_secs()
            );
        }
        time::sleep(PAUSE).await;
    }
}

/// What is there. The client is that of clusters, without anything that only a cluster is to know.
async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let url: hyper::Uri = url.parse().context("its address cannot be read")?;
    let host = url.authority().map(ToString::to_string).unwrap_or_default();
    let mut origin = url.clone().into_parts();
    origin.path_and_query = Some("/".parse().context("its address cannot be read")?);
    let origin = hyper::Uri::from_parts(origin).context("its address cannot be read")?;
    let path = url.path_and_query().map_or("/", |it| it.as_str());
    let mut config = Config::new(origin);
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(PATIENCE);
    let storage = Client::try_from(config)?;
    let request = Request::get(path).body(Body::empty())?;
    let answer = storage
        .send(request)
        .await
        .with_context(|| format!("no answer from {host}"))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), PACKED).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{host} broke off: {error}"))?;
    if !status.is_success() {
        bail!("{host} answered {status}");
    }
    Ok(body.to_bytes().to_vec())
}

/// Velero packs its files; a store may unpack them on the way.
fn unpacked(bytes: &[u8]) -> anyhow::Result<String> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let mut text = Vec::new();
    if bytes.starts_with(&GZIP) {
        let unpacked = MultiGzDecoder::new(bytes)
            .take(UNPACKED)
            .read_to_end(&mut text);
        unpacked.context("the file is packed in a way that cannot be read")?;
    } else {
        text.extend_from_slice(bytes);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::unpacked;

    #[test]
    fn a_file_is_read_packed_or_not() {
        let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
        packer.write_all(b"level=info").unwrap();
        let gzipped = packer.finish().unwrap();
        assert_eq!(unpacked(&gzipped).unwrap(), "level=info");
        assert_eq!(unpacked(b"level=info").unwrap(), "level=info");
        let cut = &gzipped[..gzipped.len() - 9];
        assert!(unpacked(cut).is_err());
    }
}
