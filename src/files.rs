//! Files below a folder, their text, and files that are replaced. No word of ours in it.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
};

/// What could not be done with a file or folder.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("failed to read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not UTF-8 text: byte {} is none", path.display(), valid + 1)]
    NotText { path: PathBuf, valid: usize },
    #[error("failed to write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{} has changed since it was read, and stays as it is", .0.display())]
    Changed(PathBuf),
}

impl FileError {
    /// What to say of a path that cannot be read.
    pub fn read(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    fn write(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

/// The text of a file.
pub fn text(path: &Path) -> Result<String, FileError> {
    let bytes = fs::read(path).map_err(FileError::read(path))?;
    String::from_utf8(bytes).map_err(|error| FileError::NotText {
        path: path.to_owned(),
        valid: error.utf8_error().valid_up_to(),
    })
}

/// The files with one of these endings below a folder, in the order of their names. What is no folder
/// is the only file, whatever its ending.
///
/// Hidden names are left out: `..data` and its kin hold the same files of a mounted ConfigMap again.
/// So is a link back up, which would be followed for ever.
pub fn below(
    path: &Path,
    endings: &[&str],
    skipped: &dyn Fn(&Path) -> bool,
) -> Result<Vec<PathBuf>, FileError> {
    let mut files = Vec::new();
    if fs::metadata(path).map_err(FileError::read(path))?.is_dir() {
        walk(path, endings, skipped, &mut Vec::new(), &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    Ok(files)
}

fn walk(
    folder: &Path,
    endings: &[&str],
    skipped: &dyn Fn(&Path) -> bool,
    above: &mut Vec<PathBuf>,
    files: &mut Vec<PathBuf>,
) -> Result<(), FileError> {
    let failed = FileError::read(folder);
    let real = fs::canonicalize(folder).map_err(&failed)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(&failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || skipped(&path) {
            continue;
        }
        let kind = entry.file_type().map_err(FileError::read(&path))?;
        let ending = path.extension().and_then(|it| it.to_str());
        if kind.is_dir() || kind.is_symlink() && path.is_dir() {
            walk(&path, endings, skipped, above, files)?;
        } else if ending.is_some_and(|it| endings.contains(&it)) {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// Puts another text into a file that still has the one that was read, all of it or nothing. Mode
/// and owner stay; a link stays one, and the file that it leads to changes.
///
/// The file is a new one under the old name: its other hard links keep the old text, and access
/// control lists and extended attributes are gone.
pub fn replace(path: &Path, was: &str, new: &str) -> Result<(), FileError> {
    let failed = FileError::write(path);
    let real = fs::canonicalize(path).map_err(&failed)?;
    // A rename asks for the right to write the folder; whoever protects a file means the file.
    let file = OpenOptions::new().write(true).open(&real);
    let metadata = file.and_then(|file| file.metadata()).map_err(&failed)?;
    let (Some(folder), Some(name)) = (real.parent(), real.file_name()) else {
        return Err(failed(io::ErrorKind::InvalidFilename.into()));
    };
    let beside = format!(".{}.{}", name.to_string_lossy(), std::process::id());
    let beside = folder.join(beside);
    // One that is there already is somebody else's, and is not taken away below.
    let fresh = File::create_new(&beside).map_err(FileError::write(&beside))?;
    let swap = || {
        fill(fresh, &beside, &metadata, new).map_err(&failed)?;
        if text(path)? != was {
            return Err(FileError::Changed(path.to_owned()));
        }
        fs::rename(&beside, &real).map_err(&failed)
    };
    let outcome = swap();
    if outcome.is_err() {
        // Nothing of it is left behind, if it can be helped.
        let _ = fs::remove_file(&beside);
    }
    outcome
}

/// Makes a new file like another one, written through to the disk.
fn fill(mut file: File, path: &Path, like: &Metadata, text: &str) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        chown(path, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
