//! `quiescent completions`: scripts that complete commands in a shell.

use super::{Ended, output};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  quiescent completions bash > ~/.bash_completion.d/quiescent
  quiescent completions zsh > ~/.zfunc/_quiescent
  quiescent completions fish > ~/.config/fish/completions/quiescent.fish")]
pub struct Args {
    /// The shell that is to complete them
    shell: clap_complete::Shell,
}

pub fn run(args: &Args, mut command: clap::Command) -> anyhow::Result<Ended> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "quiescent", &mut script);
    output::print_raw(&String::from_utf8_lossy(&script))
}
