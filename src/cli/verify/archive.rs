//! The archive of a backup: its pods, and what is known of their namespaces.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::velero::objects::in_archive;

/// Archives are made of blocks of so many bytes.
const BLOCK: usize = 512;

/// An object of the API server is never larger.
const LARGEST: u64 = 8 << 20;

/// What matters in a backup.
#[derive(Debug, Default)]
pub struct Contents {
    /// Each as the backup has it.
    pub pods: Vec<String>,
    /// Labels and annotations by name.
    pub namespaces: BTreeMap<String, [BTreeMap<String, String>; 2]>,
}

/// Reads an archive, packed with gzip.
pub fn contents(packed: &[u8]) -> anyhow::Result<Contents> {
    let mut contents = Contents::default();
    let mut archive = Archive(MultiGzDecoder::new(packed));
    while let Some((path, size)) = archive.next().context("the archive cannot be read")? {
        match in_archive(&path) {
            Some(("pods", Some(_))) => contents.pods.push(archive.text(size)?),
            Some(("namespaces", None)) => {
                let object: Value = serde_json::from_str(&archive.text(size)?)
                    .with_context(|| format!("{path} in the archive is no object"))?;
                let metadata = &object["metadata"];
                let texts = |key: &str| {
                    let texts = metadata[key].as_object().into_iter().flatten();
                    texts
                        .filter_map(|(key, it)| Some((key.clone(), it.as_str()?.to_owned())))
                        .collect()
                };
                let name = metadata["name"].as_str().unwrap_or_default().to_owned();
                let about = [texts("labels"), texts("annotations")];
                contents.namespaces.insert(name, about);
            }
            _ => archive.skip(size)?,
        }
    }
    Ok(contents)
}

/// A tar file, from its first member to its last.
struct Archive<R>(R);

impl<R: Read> Archive<R> {
    /// Path and size of the next file; nothing at the end.
    fn next(&mut self) -> anyhow::Result<Option<(String, u64)>> {
        let mut long = None;
        loop {
            let mut header = [0; BLOCK];
            self.0.read_exact(&mut header)?;
            // The mark of the end: without it something is missing.
            if header.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let size = u64::from_str_radix(field(&header[124..136]).trim(), 8);
            let size = size.context("the size of a member is no number")?;
            match header[156] {
                // What does not fit into the header stands before it.
                b'x' => long = path_of_pax(&self.text(size)?),
                b'0' | 0 => {
                    let (prefix, name) = (field(&header[345..500]), field(&header[..100]));
                    let short = match &*prefix {
                        "" => name,
                        prefix => format!("{prefix}/{name}"),
                    };
                    return Ok(Some((long.unwrap_or(short), size)));
                }
                _ => self.skip(size)?,
            }
        }
    }

    /// The whole member, and what fills up its last block.
    fn text(&mut self, size: u64) -> anyhow::Result<String> {
        if size > LARGEST {
            bail!("a member of {size} bytes is no object");
        }
        let mut bytes = vec![0; usize::try_from(size).unwrap_or_default()];
        self.0.read_exact(&mut bytes)?;
        self.skip_bytes(padding(size))?;
        Ok(String::from_utf8(bytes)?)
    }

    fn skip(&mut self, size: u64) -> anyhow::Result<()> {
        self.skip_bytes(size + padding(size))
    }

    fn skip_bytes(&mut self, many: u64) -> anyhow::Result<()> {
        let skipped = io::copy(&mut self.0.by_ref().take(many), &mut io::sink())?;
        if skipped < many {
            bail!("it ends in the middle");
        }
        Ok(())
    }
}

const fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

/// A text that ends where zeros begin.
fn field(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// Lines of their length, a key and a value.
fn path_of_pax(records: &str) -> Option<String> {
    let mut lines = records.lines();
    lines.find_map(|line| Some(line.split_once(" path=")?.1.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, process::Command};

    use flate2::{Compression, write::GzEncoder};

    use super::contents;

    /// Made by tar itself, with the long names in both of the ways that it has for them.
    #[test]
    fn pods_and_namespaces_are_found_whatever_the_length_of_their_names() {
        let long = "p".repeat(150);
        for format in ["ustar", "pax"] {
            let folder = tempfile::tempdir().unwrap();
            let put = |path: &str, text: &str| {
                let path = folder.path().join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            };
            put("metadata/version", "1.1.0");
            put("resources/pods/namespaces/shop/pg-0.json", r#"{"pod": 0}"#);
            let name = match format {
                "pax" => &*long,
                _ => &long[..90],
            };
            put(
                &format!("resources/pods/namespaces/a-namespace-of-some-length/{name}.json"),
                r#"{"pod": 1}"#,
            );
            put(
                "resources/pods/v1-preferredversion/namespaces/shop/pg-0.json",
                r#"{"pod": 0}"#,
            );
            put(
                "resources/secrets/namespaces/shop/a.json",
                &"x".repeat(2000),
            );
            put(
                "resources/namespaces/cluster/shop.json",
                r#"{"metadata": {"name": "shop", "labels": {"a": "b"}, "annotations": {"c": "d"}}}"#,
            );
            let tar = Command::new("tar")
                .args(["--format", format, "-c", "-C"])
                .arg(folder.path())
                .args(["metadata", "resources"])
                .output()
                .unwrap();
            assert!(tar.status.success(), "{tar:?}");
            let packed = |bytes: &[u8]| {
                let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
                packer.write_all(bytes).unwrap();
                packer.finish().unwrap()
            };
            let mut found = contents(&packed(&tar.stdout)).unwrap();
            found.pods.sort();
            assert_eq!(found.pods, [r#"{"pod": 0}"#, r#"{"pod": 1}"#]);
            let [labels, annotations] = &found.namespaces["shop"];
            assert_eq!((&*labels["a"], &*annotations["c"]), ("b", "d"));
            let half = packed(&tar.stdout);
            assert!(contents(&half[..half.len() / 2]).is_err());
        }
    }
}
