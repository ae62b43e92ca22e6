//! Backups of files: what a server can be started on again.

use std::{fs, process::Command};

use super::{MySql, at_hand, is_mariadb};
use crate::databases::{
    harness::{self, Container, NOBODY, Phase, Pod, is_root},
    server::{Place, output, place},
};

/// Puts a backup into an empty data directory, as an init container of the same image does.
pub fn put_back(container: &Container, backup: &Pod) -> Result<Place, String> {
    let place = place();
    let outcome = init_container(&place, backup).run_script("restore.sh", container);
    if outcome.code == Some(0) {
        give_to_the_server(&place);
        Ok(place)
    } else {
        Err(format!("{outcome:?}"))
    }
}

/// What the entrypoint of an image does as root, before it becomes the server's user.
fn give_to_the_server((folder, _): &Place) {
    if is_root() {
        let owner = format!("{NOBODY}:{NOBODY}");
        output(
            Command::new("chown")
                .args(["-R", &owner])
                .arg(folder.path()),
        );
    }
}

/// The backup's pod, restored, with its data directory in this place.
fn init_container((folder, _): &Place, backup: &Pod) -> Pod {
    let data = folder.path().join("data");
    let variables = [("QUIESCENT_DATA_DIRECTORY", data.to_str().unwrap())];
    let mut pod = harness::pod(backup.image(), &variables);
    pod["metadata"]["labels"]["quiescent.dev/method"] = "physical".into();
    Pod::inject(&pod, &[]).restored_from(backup)
}

fn on_both(test: impl Fn(&MySql, &Pod)) {
    for name in ["mariadb", "mysql-8.4"] {
        if let Some(installation) = at_hand(name) {
            let server = MySql::start(&installation, "secret", &[]);
            server.load(include_str!("awkward.sql"));
            test(&server, &server.pod_by("physical"));
        }
    }
}

fn survives(name: &str, as_run: impl Fn(Container) -> Container) {
    let Some(installation) = at_hand(name) else {
        return;
    };
    let container = as_run(installation.container());
    let server = MySql::start(&installation, "secret", &[]);
    server.load(include_str!("awkward.sql"));
    let pod = server.pod_by("physical");
    pod.run(Phase::Pre, &container).is_ok();
    pod.run(Phase::Post, &container).is_ok();

    let place = put_back(&container, &pod).unwrap();
    let restored = MySql::serve(&installation, place, "secret", &[]).unwrap();
    assert_eq!(restored.everything(), server.everything());
}

#[test]
fn files_of_mariadb_survive_as_root_with_bash() {
    survives("mariadb", |container| {
        Container {
            uid: 0,
            ..container
        }
        .with_shell("bash")
    });
}

#[test]
fn files_of_mysql_survive_as_root_with_busybox() {
    survives("mysql-8.0", |container| {
        Container {
            uid: 0,
            ..container
        }
        .with_shell("busybox")
    });
}

#[test]
fn a_filled_data_directory_is_never_touched_and_a_second_run_changes_nothing() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        let place = place();
        let data = place.0.path().join("data");
        let init = init_container(&place, pod);
        fs::create_dir(&data).unwrap();
        fs::write(data.join("somebodys"), "data").unwrap();
        init.run_script("restore.sh", &server.container())
            .failed(6, &["is not empty", "nothing was changed"]);
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);

        fs::remove_dir_all(&data).unwrap();
        init.run_script("restore.sh", &server.container()).is_ok();
        init.run_script("restore.sh", &server.container())
            .is_skipped("already-loaded");
    });
}

#[test]
fn a_backup_put_back_halfway_is_begun_anew() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        let place = place();
        let data = place.0.path().join("data");
        let init = init_container(&place, pod);
        // What a run that was killed leaves.
        fs::create_dir(&data).unwrap();
        fs::write(data.join("ibdata1"), "half").unwrap();
        give_to_the_server(&place);
        fs::write(
            init.store().join("loading"),
            format!("{}\n", data.display()),
        )
        .unwrap();
        init.run_script("restore.sh", &server.container()).is_ok();
        let restored = MySql::serve(&server.installation, place, "secret", &[]).unwrap();
        assert_eq!(restored.everything(), server.everything());
    });
}

#[test]
fn velero_s_init_container_puts_the_files_back_and_keeps_what_is_there_at_the_next_start() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        let place = place();
        let init = init_container(&place, pod);
        init.run_init(&server.container()).is_ok();
        // A kill after the last step but one leaves both notes.
        let data = place.0.path().join("data");
        fs::write(
            init.store().join("loading"),
            format!("{}\n", data.display()),
        )
        .unwrap();
        give_to_the_server(&place);
        let restored = MySql::serve(&server.installation, place, "secret", &[]).unwrap();
        assert_eq!(restored.everything(), server.everything());
        restored.sql("create database since");
        init.run_init(&server.container())
            .is_skipped("already-loaded");
        // The next backup makes another dump in the volume.
        fs::remove_file(init.store().join("loaded")).unwrap();
        init.run_init(&server.container()).is_skipped("data-there");
        assert!(data.join("since").exists());
    });
}

#[test]
fn a_damaged_backup_is_not_put_back() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        let file = pod.finished().join("data/ibdata1");
        let mut bytes = fs::read(&file).unwrap();
        bytes[20_000] ^= 1;
        fs::write(&file, bytes).unwrap();
        let said = put_back(&server.container(), pod).unwrap_err();
        assert!(said.contains("are not what was written"), "{said}");
    });
}

#[test]
fn a_small_volume_is_said_beforehand_and_keeps_the_last_backup() {
    on_both(|server, pod| {
        pod.run(Phase::Pre, &server.container()).is_ok();
        let good = pod.manifest();
        let size: u32 = good.as_ref().unwrap()["bytes"].parse().unwrap();
        let small = Container {
            volume: Some(size / 1024 * 3 / 2),
            ..server.container()
        };
        pod.run(Phase::Pre, &small)
            .failed(1, &["KiB are needed", "sizeLimit"]);
        assert_eq!(pod.manifest(), good);
    });
}

#[test]
fn a_server_that_is_down_is_said_and_a_wrong_password_too() {
    for name in ["mariadb", "mysql-8.4"] {
        let Some(installation) = at_hand(name) else {
            return;
        };
        let server = MySql::start(&installation, "right", &[]);
        let mut wrong = server.pod("wrong");
        wrong["metadata"]["labels"]["quiescent.dev/method"] = "physical".into();
        Pod::inject(&wrong, &[])
            .run(Phase::Pre, &installation.container())
            .failed(2, &["Access denied"]);
        let pod = server.pod_by("physical");
        drop(server);
        pod.run(Phase::Pre, &installation.container())
            .failed(1, &["does not answer on 127.0.0.1"]);
    }
}

#[test]
fn tables_that_a_clone_would_leave_out_are_said() {
    on_both(|server, pod| {
        server.sql("create table other.old (id int) engine = myisam");
        let outcome = pod.run(Phase::Pre, &server.container());
        if is_mariadb(&server.installation) {
            outcome.is_ok();
        } else {
            outcome.failed(2, &["other.old in MyISAM", "method=dump"]);
            assert_eq!(pod.manifest(), None);
        }
    });
}
