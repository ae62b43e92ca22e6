//! Printing. A reader that went away, such as `head`, is no error.

use std::io::{self, Write as _};

use anyhow::Context as _;

use super::Ended;

/// Prints to standard output, without colours where nobody would see them.
pub fn print(text: &str) -> anyhow::Result<Ended> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ended::Fine),
        result => {
            result.context("failed to write to standard output")?;
            Ok(Ended::Fine)
        }
    }
}

/// A value as readable JSON.
pub fn json(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// A value as one YAML document, without its `---`.
pub fn yaml(value: &serde_json::Value) -> anyhow::Result<String> {
    let mut text = serde_saphyr::to_string(value).context("failed to write YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
