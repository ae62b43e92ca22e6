//! `quiescent render job` and `cronjob`: an account with few rights, and times that add up.

use std::{fs, path::Path};

use serde_json::Value;

use super::folder;
use crate::support::{golden, quiescent};

/// What is printed and said, and the exit code.
fn render(arguments: &[&str], dir: &Path) -> (String, String, Option<i32>) {
    let output = quiescent(&[&["render"], arguments].concat())
        .current_dir(dir)
        .output()
        .unwrap();
    let [printed, said] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    (printed, said, output.status.code())
}

#[test]
fn a_cron_job_and_a_job_with_policies_of_its_own() {
    for (name, arguments) in [
        (
            "cronjob",
            &[
                "cronjob",
                "-n",
                "shop",
                "statefulset/pg",
                "--schedule",
                "0 2 * * *",
                "--time-zone",
                "Europe/Berlin",
                "--keep",
                "7",
                "--pods",
                "3",
                "--snapshot-class",
                "fast",
            ][..],
        ),
        (
            "job",
            &[
                "job",
                "-n",
                "shop",
                "-l",
                "app=pg",
                "--policies",
                "policies.yaml",
                "--library",
            ],
        ),
        (
            "job-without-hooks",
            &[
                "job",
                "-n",
                "shop",
                "pvc/data.pg-0",
                "--without-hooks",
                "--timeout",
                "1h",
            ],
        ),
    ] {
        let (printed, said, code) = render(arguments, &folder());
        assert_eq!((said.as_str(), code), ("", Some(0)));
        golden(&folder().join(format!("{name}.yaml")), &printed);
    }
}

/// What is mounted is read as it was read here.
#[test]
fn policies_come_with_their_scripts() {
    let dir = tempfile::tempdir().unwrap();
    for policy in ["postgresql-snapshot", "redis-snapshot"] {
        let exported = quiescent(&["library", "export", policy])
            .arg(dir.path().join("mine").join(policy))
            .output()
            .unwrap();
        assert!(exported.status.success(), "{exported:?}");
    }
    let job = [
        "job",
        "-n",
        "shop",
        "pod/pg-0",
        "--policies",
        "mine",
        "-o",
        "json",
    ];
    let (printed, said, code) = render(&job, dir.path());
    assert_eq!((said.as_str(), code), ("", Some(0)));
    let list: Value = serde_json::from_str(&printed).unwrap();
    let items = list["items"].as_array().unwrap();
    let of = |kind: &str| items.iter().find(|it| it["kind"] == kind).unwrap();
    let pod = &of("Job")["spec"]["template"]["spec"];
    for item in pod["volumes"][0]["configMap"]["items"].as_array().unwrap() {
        let text = &of("ConfigMap")["data"][item["key"].as_str().unwrap()];
        let path = dir
            .path()
            .join("mounted")
            .join(item["path"].as_str().unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text.as_str().unwrap()).unwrap();
    }
    let schema = |folder: &str| {
        let scripts = quiescent(&["scripts", "-n", "shop", "--policies", folder])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(scripts.status.success(), "{scripts:?}");
        String::from_utf8(scripts.stdout).unwrap()
    };
    assert_eq!(schema("mounted"), schema("mine"));
}

#[test]
fn what_cannot_be_a_cron_job_is_refused() {
    for (arguments, told) in [
        (&["cronjob", "-n", "shop", "pod/pg"][..], "--schedule"),
        (
            &["cronjob", "-n", "shop", "pod/pg", "--schedule", "daily"],
            "has not five fields",
        ),
        (
            &[
                "cronjob",
                "-n",
                "shop",
                "pod/pg",
                "--schedule",
                "TZ=UTC 0 2 * * *",
            ],
            "--time-zone",
        ),
        (&["job", "-n", "shop"], "TARGET"),
        (&["job", "pod/pg"], "--namespace"),
        (
            &["job", "-n", "A b", "pod/pg"],
            "cannot be a namespace's name",
        ),
        (&["job", "-n", "shop", "job/pg"], "makes no pods"),
        (
            &[
                "job",
                "-n",
                "shop",
                "pod/pg",
                "--name",
                "a-name-that-is-longer-than-what-a-cron-job-can-be-called",
            ],
            "at most 52",
        ),
    ] {
        let (_, said, code) = render(arguments, &folder());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
}
