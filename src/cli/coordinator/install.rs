//! The program for containers of other images: with its loader and libraries, since their C library may
//! be another one, or none.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};

use crate::cli::Ended;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder that it is copied into
    dir: PathBuf,
}

/// What is copied from, and what of it is mapped into a process.
const PROGRAM: &str = "/proc/self/exe";
const MAPPED: &str = "/proc/self/maps";

pub fn run(args: &Args) -> anyhow::Result<Ended> {
    let Args { dir } = args;
    fs::create_dir_all(dir).with_context(|| format!("failed to create {}", dir.display()))?;
    let maps = fs::read_to_string(MAPPED).with_context(|| format!("failed to read {MAPPED}"))?;
    let mut loader = false;
    for library in libraries(&maps) {
        let name = library.rsplit('/').next().unwrap_or_default();
        let is_loader = name.starts_with("ld-") || name.starts_with("ld.");
        loader |= is_loader;
        copy(library, &dir.join(if is_loader { "ld.so" } else { name }))?;
    }
    ensure!(
        loader,
        "this program is linked without a loader, and needs none: copy it by itself"
    );
    copy(PROGRAM, &dir.join("quiescent"))?;
    Ok(Ended::Fine)
}

/// The shared objects that a process has mapped.
fn libraries(maps: &str) -> BTreeSet<&str> {
    let paths = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]));
    let is_library = |path: &&str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        Path::new(name).extension().is_some_and(|it| it == "so") || name.contains(".so.")
    };
    paths.filter(is_library).collect()
}

/// Whoever runs what was there before goes on running it.
fn copy(from: &str, to: &Path) -> anyhow::Result<()> {
    let failed = || format!("failed to copy {from} to {}", to.display());
    let new = to.with_extension("new");
    fs::copy(from, &new).with_context(failed)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).with_context(failed)?;
    fs::rename(&new, to).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::libraries;

    #[test]
    fn what_a_program_is_linked_with_stands_in_its_maps() {
        let maps = "\
5600-5700 r--p 00000000 08:01 11 /usr/local/bin/quiescent
7f00-7f01 r--p 00000000 08:01 12 /lib/x86_64-linux-gnu/libc.so.6
7f01-7f02 r-xp 00001000 08:01 12 /lib/x86_64-linux-gnu/libc.so.6
7f03-7f04 r--p 00000000 08:01 13 /lib64/ld-linux-x86-64.so.2
7f05-7f06 rw-p 00000000 00:00 0
7ffd-7ffe rw-p 00000000 00:00 0 [stack]";
        let found: Vec<&str> = libraries(maps).into_iter().collect();
        assert_eq!(
            found,
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }
}
