use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
};

use super::{FileError, below, replace, text};

#[test]
fn files_come_in_the_order_of_their_names_and_links_back_up_are_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("b/inner")).unwrap();
    for file in ["b/x.yaml", "b/inner/y.yaml", "a.yaml", "c.txt", ".d.yaml"] {
        fs::write(root.join(file), "").unwrap();
    }
    symlink(root, root.join("b/up")).unwrap();
    symlink("..", root.join("b/inner/up.yaml")).unwrap();
    symlink("b", root.join("again")).unwrap();
    let files = below(root, &["yaml"], &|_| false).unwrap();
    let files: Vec<_> = files
        .iter()
        .map(|it| it.strip_prefix(root).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        files,
        [
            "a.yaml",
            "again/inner/y.yaml",
            "again/x.yaml",
            "b/inner/y.yaml",
            "b/x.yaml"
        ]
    );
}

#[test]
fn what_is_skipped_is_not_looked_into() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("cases")).unwrap();
    fs::write(dir.path().join("cases/x.yaml"), "").unwrap();
    let files = below(dir.path(), &["yaml"], &|it| it.ends_with("cases")).unwrap();
    assert!(files.is_empty());
}

#[test]
fn a_text_that_is_none_is_told_with_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latin.yaml");
    fs::write(&path, b"# Gr\xfc\xdfe\n").unwrap();
    let told = text(&path).unwrap_err().to_string();
    assert!(
        told.ends_with("latin.yaml is not UTF-8 text: byte 5 is none"),
        "{told}"
    );
}

#[test]
fn a_replaced_file_keeps_its_mode_and_a_link_stays_one() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", &link).unwrap();
    replace(&link, "old", "new").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

#[test]
fn a_file_of_somebody_else_under_the_name_of_the_new_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "old").unwrap();
    let taken = dir.path().join(format!(".file.{}", std::process::id()));
    fs::write(&taken, "theirs").unwrap();
    let refused = replace(&file, "old", "new").unwrap_err();
    let FileError::Write { path, .. } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(path, fs::canonicalize(&taken).unwrap());
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    assert_eq!(fs::read_to_string(&taken).unwrap(), "theirs");
}

#[test]
fn a_file_that_somebody_changed_meanwhile_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "theirs").unwrap();
    let refused = replace(&file, "old", "new");
    assert!(matches!(refused, Err(FileError::Changed(_))), "{refused:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
