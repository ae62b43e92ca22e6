//! What to do about errors that happen to everybody: of the file system, and where no cluster is.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
};

use super::names;
use crate::{files::FileError, kubernetes::ClientError, library, policy_files::ReadError};

/// What to do, where the error is one that happens to everybody.
pub fn on(error: &anyhow::Error) -> Option<String> {
    if let Some(ClientError::NoCluster(_)) = error.downcast_ref() {
        return Some(
            "name a cluster with --kubeconfig; audit and render take manifests with -f too"
                .to_owned(),
        );
    }
    let file = error.chain().find_map(|it| {
        let of_policies = || match it.downcast_ref() {
            Some(ReadError::File(error)) => Some(error),
            _ => None,
        };
        it.downcast_ref().or_else(of_policies)
    });
    match file? {
        FileError::Read { path, source } => read(path, source),
        FileError::Write { path, source } => written(path, source),
        FileError::NotText { .. } => Some(
            "manifests are UTF-8: iconv -f LATIN1 -t UTF-8 converts the commonest other".to_owned(),
        ),
        FileError::Changed(_) => Some("run it again".to_owned()),
    }
}

fn read(path: &Path, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::NotFound => {
            let (folder, missing) = nearest_folder(path);
            if library::FOLDERS.iter().any(|it| it.name == missing) {
                return Some(format!(
                    "{missing} is a policy of the library, which takes part by itself; quiescent library export {missing} DIR writes it out"
                ));
            }
            let entries = fs::read_dir(&folder).ok()?;
            let names = entries.flatten().map(|it| it.file_name());
            let names = names.filter_map(|name| name.into_string().ok());
            let name = names::meant(&missing, names)?;
            let meant = if folder == Path::new(".") && !path.starts_with(".") {
                name
            } else {
                folder.join(name).display().to_string()
            };
            Some(format!("did you mean {meant}?"))
        }
        io::ErrorKind::PermissionDenied => rights(path),
        _ => None,
    }
}

fn written(path: &Path, error: &io::Error) -> Option<String> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => rights(path),
        io::ErrorKind::StorageFull => Some("there is no space left where it lies".to_owned()),
        _ => None,
    }
}

/// The folder that is there, and the name that is not in it.
fn nearest_folder(path: &Path) -> (std::path::PathBuf, String) {
    let mut missing = path;
    loop {
        let folder = match missing.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => Path::new("/"),
        };
        if folder.is_dir() || missing.parent().is_none() {
            let name = missing.file_name().unwrap_or_default();
            return (folder.to_owned(), name.to_string_lossy().into_owned());
        }
        missing = folder;
    }
}

/// To whom the first thing on the way belongs that keeps us out.
fn rights(path: &Path) -> Option<String> {
    let seen = path
        .ancestors()
        .find_map(|it| Some((it, fs::metadata(it).ok()?)));
    let (what, metadata) = seen?;
    Some(format!(
        "{} belongs to user {} and group {} with mode {:04o}: run it as one who may, or change the mode",
        what.display(),
        metadata.uid(),
        metadata.gid(),
        metadata.permissions().mode() & 0o7777,
    ))
}
