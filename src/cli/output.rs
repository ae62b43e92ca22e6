//! Printing. A reader that went away, such as `head`, is no error.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;

use super::Ended;
use crate::report::{self, diagnostics};

/// Prints words for people to standard output, without colours where nobody would see them.
pub fn print(text: &str) -> anyhow::Result<Ended> {
    write(anstream::stdout().lock(), text)
}

/// The same, in lines that fit the terminal.
pub fn print_folded(text: &str) -> anyhow::Result<Ended> {
    match terminal() {
        Some(width) => print(&report::fold(text, width)),
        None => print(text),
    }
}

/// How wide the lines of a source may be that are shown beside findings.
pub fn width() -> usize {
    terminal().unwrap_or(diagnostics::WIDTH)
}

/// How many columns the terminal has, where standard output is one.
pub fn terminal() -> Option<usize> {
    let stdout = io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| terminal_size::terminal_size_of(stdout))??;
    // A terminal that does not know says nothing.
    Some(usize::from(size.0.0)).filter(|width| *width > 0)
}

/// Prints something for programs to standard output, byte for byte.
pub fn print_raw(text: &str) -> anyhow::Result<Ended> {
    write(io::stdout().lock(), text)
}

fn write(mut out: impl io::Write, text: &str) -> anyhow::Result<Ended> {
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
    let options = serde_saphyr::ser_options! {
        prefer_block_scalars: !begins_with_a_tab(value),
    };
    let text = serde_saphyr::to_string_with_options(value, options);
    let mut text = text.context("failed to write YAML")?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// Whether some text has a tab before its first word: kubectl takes that for the indentation when
/// the text stands in a block of its own.
fn begins_with_a_tab(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => {
            text.trim_start_matches(['\n', '\r', ' ']).starts_with('\t')
        }
        serde_json::Value::Array(items) => items.iter().any(begins_with_a_tab),
        serde_json::Value::Object(entries) => entries.values().any(begins_with_a_tab),
        _ => false,
    }
}
