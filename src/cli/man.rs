//! `quiescent man`: manual pages for `man`.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

use super::Ended;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent man ~/.local/share/man/man1
  quiescent man pages && man pages/quiescent-lint.1")]
pub struct Args {
    /// The folder that they are written into, such as ~/.local/share/man/man1
    dir: PathBuf,
}

pub fn run(args: &Args, command: clap::Command) -> anyhow::Result<Ended> {
    let Args { dir } = args;
    let failed = || format!("failed to write manual pages into {}", dir.display());
    fs::create_dir_all(dir).with_context(failed)?;
    clap_mangen::generate_to(command, dir).with_context(failed)?;
    anstream::eprintln!("written to {}: man quiescent-lint", dir.display());
    Ok(Ended::Fine)
}
