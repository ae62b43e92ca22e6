//! How a backup gets at the files of a server that goes on writing.

use std::{
    collections::BTreeSet,
    fs,
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use super::{
    harness::is_root,
    server::{Place, Server, output, place},
};

/// The files of a server as they are at one instant, as a snapshot of their volume has them: none of
/// its processes runs while they are copied.
pub fn at_one_instant(server: &Server) -> Place {
    let copy = place();
    let stopped = Stopped::all_of(server.pid());
    copy_all(server.folder.path(), copy.0.path());
    drop(stopped);
    copy
}

/// The files of a server one after another while it writes, as a file-system backup reads them: in the
/// order of their names, or in reverse, at the speed of a slow network.
pub fn one_after_another(server: &Server, reverse: bool) -> Place {
    let copy = place();
    copy_slowly(server.folder.path(), copy.0.path(), reverse);
    copy
}

/// Makes a folder what another one is.
pub fn copy_all(from: &Path, to: &Path) {
    output(Command::new("cp").arg("-a").arg(from.join(".")).arg(to));
}

const PIECE: usize = 256 * 1024;

fn copy_slowly(from: &Path, to: &Path, reverse: bool) {
    // What comes while we read is not seen, what goes is passed over.
    let mut entries: Vec<PathBuf> = match fs::read_dir(from) {
        Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
        Err(error) => return gone(from, &error),
    };
    entries.sort();
    if reverse {
        entries.reverse();
    }
    for entry in entries {
        let target = to.join(entry.file_name().unwrap());
        let metadata = match fs::symlink_metadata(&entry) {
            Ok(metadata) => metadata,
            Err(error) => {
                gone(&entry, &error);
                continue;
            }
        };
        if metadata.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_slowly(&entry, &target, reverse);
        } else if metadata.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&entry).unwrap(), &target).unwrap();
        } else if metadata.is_file() {
            copy_file(&entry, &target);
        } else {
            continue;
        }
        if !metadata.is_symlink() && target.exists() {
            fs::set_permissions(&target, metadata.permissions()).unwrap();
            if is_root() {
                let (user, group) = (metadata.uid(), metadata.gid());
                std::os::unix::fs::chown(&target, Some(user), Some(group)).unwrap();
            }
        }
    }
}

fn copy_file(from: &Path, to: &Path) {
    let mut reader = match fs::File::open(from) {
        Ok(reader) => reader,
        Err(error) => return gone(from, &error),
    };
    let mut writer = fs::File::create(to).unwrap();
    let mut piece = vec![0; PIECE];
    loop {
        let length = reader.read(&mut piece).unwrap();
        if length == 0 {
            return;
        }
        writer.write_all(&piece[..length]).unwrap();
        thread::sleep(Duration::from_millis(5));
    }
}

fn gone(path: &Path, error: &std::io::Error) {
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", path.display());
}

/// Processes that do nothing until this is dropped.
pub struct Stopped(BTreeSet<u32>);

impl Stopped {
    /// A process and all that came from it.
    pub fn all_of(process: u32) -> Self {
        let mut stopped = Self(BTreeSet::new());
        // What one of them starts before it is stopped itself is found the next time.
        loop {
            let mut new = descendants(process);
            new.retain(|process| !stopped.0.contains(process));
            if new.is_empty() {
                return stopped;
            }
            signal("-STOP", &new);
            stopped.0.extend(new);
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("-CONT", &self.0.iter().copied().collect::<Vec<_>>());
    }
}

fn signal(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    // One may have ended meanwhile.
    let _ = Command::new("kill").arg(signal).args(processes).output();
}

fn descendants(process: u32) -> Vec<u32> {
    let mut all = vec![process];
    let mut position = 0;
    while position < all.len() {
        let tasks = fs::read_dir(format!("/proc/{}/task", all[position]));
        for task in tasks.into_iter().flatten().flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .map(|it| it.parse::<u32>().unwrap()),
            );
        }
        position += 1;
    }
    all
}

/// How many bytes the files of a folder have.
pub fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => size(&entry.path()),
            metadata => metadata.len(),
        })
        .sum()
}
