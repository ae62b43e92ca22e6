//! Files that Velero keeps beside its backups: it is asked where one is, and it is fetched from there.

use std::{
    io::{BufRead, BufReader, Read as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, Limited};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use tokio::{
    task,
    time::{self, Instant},
};

use crate::{
    kubernetes::Elsewhere,
    velero::objects::{DOWNLOAD_REQUESTS, File, Kind, download_request},
};

/// Velero answers within seconds, when it runs.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

/// A log may be as large as this, packed, and as this when it is unpacked.
pub const PACKED: usize = 64 << 20;
const UNPACKED: u64 = 1 << 30;

/// A line may be as long as this where only some are wanted.
const LINE: u64 = 1 << 20;

/// How much of a file is taken, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// As it is stored.
    pub packed: usize,
    /// Of what is kept of it.
    pub kept: usize,
}

/// The text of a file.
pub async fn file(
    client: &Client,
    namespace: &str,
    kind: Kind,
    name: &str,
    file: File,
) -> anyhow::Result<String> {
    unpacked(&packed(client, namespace, kind, name, file, PACKED).await?)
}

/// Those lines of a file that somebody wants. There is never more of it in memory than the limits say,
/// and one line.
pub async fn lines(
    client: &Client,
    namespace: &str,
    kind: Kind,
    name: &str,
    file: File,
    limits: Limits,
    wanted: fn(&str) -> bool,
) -> anyhow::Result<String> {
    let packed = packed(client, namespace, kind, name, file, limits.packed).await?;
    // It takes a second for the largest, and others wait for this thread.
    let kept = task::spawn_blocking(move || kept(&packed, limits.kept, wanted));
    kept.await.context("the file was not read to its end")?
}

/// A file as it is stored, where that is at most so large.
pub async fn packed(
    client: &Client,
    namespace: &str,
    kind: Kind,
    name: &str,
    file: File,
    most: usize,
) -> anyhow::Result<Vec<u8>> {
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
    fetch(&found?, most).await.with_context(|| {
        format!(
            "failed to fetch the file from the object storage of {} {name}",
            kind.word()
        )
    })
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

/// What is there.
async fn fetch(url: &str, most: usize) -> anyhow::Result<Vec<u8>> {
    let storage = Elsewhere::new(url, None, PATIENCE)?;
    let host = &storage.host;
    let answer = storage.get().await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), most).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("{host} broke off: {error}"))?;
    if !status.is_success() {
        bail!("{host} answered {status}");
    }
    Ok(body.to_bytes().to_vec())
}

/// Velero packs its files; a store may unpack them on the way.
fn reader(bytes: &[u8]) -> Box<dyn BufRead + '_> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    if bytes.starts_with(&GZIP) {
        Box::new(BufReader::new(MultiGzDecoder::new(bytes).take(UNPACKED)))
    } else {
        Box::new(bytes)
    }
}

const UNREADABLE: &str = "the file is packed in a way that cannot be read";

fn unpacked(bytes: &[u8]) -> anyhow::Result<String> {
    let mut text = Vec::new();
    reader(bytes).read_to_end(&mut text).context(UNREADABLE)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn kept(bytes: &[u8], most: usize, wanted: fn(&str) -> bool) -> anyhow::Result<String> {
    let (mut reader, mut kept, mut line) = (reader(bytes), String::new(), Vec::new());
    loop {
        line.clear();
        // What is longer is cut, and what follows is no line that anybody wants.
        let read = (&mut reader).take(LINE).read_until(b'\n', &mut line);
        if read.context(UNREADABLE)? == 0 {
            return Ok(kept);
        }
        let text = String::from_utf8_lossy(&line);
        if wanted(text.trim_end()) {
            if kept.len() + text.len() > most {
                bail!("it tells more than {most} bytes of hooks: quiescent results reads it");
            }
            kept.push_str(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::{LINE, kept, unpacked};

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

    #[test]
    fn of_a_file_only_what_is_wanted_is_kept() {
        let wanted: fn(&str) -> bool = |line| line.ends_with("hook") || line.ends_with("hooks");
        let long = "x".repeat(usize::try_from(LINE).unwrap() + 10);
        let text = format!("one hook\n{long}\nnothing\ntwo hooks");
        assert_eq!(
            kept(text.as_bytes(), 100, wanted).unwrap(),
            "one hook\ntwo hooks"
        );
        let refused = kept(text.as_bytes(), 10, wanted).unwrap_err().to_string();
        assert!(refused.contains("more than 10 bytes"), "{refused}");
    }
}
