//! How many connections the limit of open files allows.

use std::fs;

/// Left for the admin port, for files that are read again, and for the runtime itself. Without them
/// nobody could ask whether we are alive.
const RESERVE: u32 = 64;

/// Not more than `wanted`, and fewer where the system allows fewer open files.
pub fn connections(wanted: u32) -> u32 {
    // Not every system has this file; those that have not run no cluster.
    let Ok(limits) = fs::read_to_string("/proc/self/limits") else {
        return wanted;
    };
    let Some(files) = open_files(&limits) else {
        return wanted;
    };
    let connections = wanted.min(files.saturating_sub(RESERVE).max(1));
    if connections < wanted {
        tracing::warn!(
            files,
            connections,
            "fewer connections than usual are taken, because of the limit of open files"
        );
    }
    connections
}

/// The soft limit; absent when there is none.
fn open_files(limits: &str) -> Option<u32> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_counts() {
        let limits = |soft: &str| {
            format!("Max processes   5   5   processes\nMax open files   {soft}   524288   files\n")
        };
        assert_eq!(open_files(&limits("1024")), Some(1024));
        assert_eq!(open_files(&limits("unlimited")), None);
        assert_eq!(open_files(""), None);
    }
}
