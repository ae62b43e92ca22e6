use super::*;

/// What Velero 1.18.3 wrote of a backup of pods whose hooks work, fail and hang.
const BACKUP: &str = include_str!("backup.log");

fn shown(runs: &[HookRun]) -> Vec<String> {
    let line = |run: &HookRun| {
        let why = run.error.as_deref().unwrap_or("ok");
        let took = run.seconds.unwrap_or(-1);
        let HookRun {
            pod,
            phase,
            container,
            ..
        } = run;
        format!("{pod} {phase} {container} {took} {why}")
    };
    runs.iter().map(line).collect()
}

#[test]
fn each_hook_of_a_backup_is_told_with_its_pod_and_its_end() {
    let runs = hooks(BACKUP);
    assert_eq!(
        shown(&runs),
        [
            "badpost pre main 0 ok",
            "badpost post main 1 command terminated with exit code 1",
            "fails pre main 0 command terminated with exit code 3",
            "fails post main 0 ok",
            "failsfail pre main 0 command terminated with exit code 3",
            "hangs pre main 2 timed out after 2s",
            "locks pre main 0 ok",
            "locks post main 0 ok",
            "pg-0 pre postgres 1 ok",
            "pg-0 post postgres 0 ok",
        ]
    );
    let exits: Vec<_> = runs.iter().map(HookRun::exit).collect();
    assert_eq!(exits[1..6], [Some(1), Some(3), Some(0), Some(3), None]);
    assert_eq!(runs[4].stderr, "no way\n");
    assert_eq!(
        runs[7].command,
        "/bin/sh -c echo unlocking >&2; rm /tmp/lock"
    );
    assert_eq!(runs[8].results()[0].value("bytes"), Some("4509739"));
}

#[test]
fn a_post_hook_that_never_ran_is_flagged() {
    let flags = never_undone(&hooks(BACKUP));
    let pods: Vec<&str> = flags.iter().map(|flag| flag.pod.as_str()).collect();
    assert_eq!(pods, ["failsfail", "hangs"]);
    assert!(flags[0].says.contains("on-error=Fail"));
}

#[test]
fn a_log_that_ends_in_a_hook_says_so() {
    let until = BACKUP.find("stdout: quiescent result=ok").unwrap();
    let whole_lines = BACKUP[..until].rfind('\n').unwrap();
    let runs = hooks(&BACKUP[..whole_lines]);
    let last = runs.last().unwrap();
    assert!(last.is_open() && last.exit().is_none());
    let flags = never_undone(&runs);
    let says: Vec<&str> = flags.iter().map(|flag| flag.says).collect();
    assert!(says.contains(&"no post hook ran, and the log ends in the pre hook"));
}

#[test]
fn the_hooks_of_a_restore_name_their_pod() {
    let log = r#"time="2026-11-21T22:33:36Z" level=info msg="running exec hook" hookCommand="[/bin/true]" hookContainer=db hookName=load hookOnError=Continue hookPhase=post hookSource=restoreSpec hookType=exec pod=shop/pg-0 restore=r1
time="2026-11-21T22:33:38Z" level=info msg="stdout: loaded\n" hookCommand="[/bin/true]" hookContainer=db hookName=load hookPhase=post hookSource=restoreSpec hookType=exec pod=shop/pg-0 restore=r1
time="2026-11-21T22:33:39Z" level=error msg="not executed: context canceled" hookPhase=post hookSource=annotation hookType=exec pod=shop/pg-1 restore=r1
"#;
    let runs = hooks(log);
    assert_eq!(
        shown(&runs),
        [
            "pg-0 post db 2 ok",
            "pg-1 post  -1 not executed: context canceled",
        ]
    );
    assert_eq!(runs[0].source, "load");
    assert!(!runs[1].began());
}

#[test]
fn of_a_block_with_several_pods_nothing_is_guessed() {
    let line = |message: &str, rest: &str| {
        format!("time=\"2026-11-21T22:33:36Z\" level=info msg=\"{message}\" {rest}\n")
    };
    let hook = "hookCommand=\"[a]\" hookContainer=db hookPhase=pre hookType=exec";
    let hook = line("running exec hook", hook);
    let pod = |name: &str| {
        let rest = format!("name={name} namespace=shop resource=pods");
        line("Backing up item", &rest)
    };
    let names = |log: &str| -> Vec<String> { hooks(log).into_iter().map(|it| it.pod).collect() };
    let two = hook.repeat(2) + &pod("a") + &pod("b");
    assert_eq!(names(&two), ["a", "b"]);
    let one = hook + &pod("a") + &pod("b");
    assert_eq!(names(&one), [""]);
}

#[test]
fn a_pod_without_hooks_takes_none_from_the_pod_before_it() {
    let line = |message: &str, rest: &str| {
        format!("time=\"2026-11-21T22:33:36Z\" level=info msg=\"{message}\" {rest}\n")
    };
    let hook = |phase: &str| {
        let rest = "hookCommand=\"[a]\" hookContainer=db hookType=exec";
        line("running exec hook", &format!("{rest} hookPhase={phase}"))
    };
    let pod = |name: &str| {
        let rest = format!("name={name} namespace=shop resource=pods");
        line("Backing up item", &rest)
    };
    let log = hook("pre") + &pod("a") + &hook("post") + &pod("web") + &hook("pre") + &pod("b");
    let names: Vec<_> = hooks(&log).into_iter().map(|it| it.pod).collect();
    assert_eq!(names, ["a", "a", "b"]);
}

#[test]
fn volumes_say_which_way_they_went() {
    let infos = r#"[
        {"backupMethod":"PodVolumeBackup","snapshotDataMoved":false,"skipped":false,"result":"succeeded",
         "pvbInfo":{"snapshotHandle":"f0","size":4509739,"uploaderType":"kopia","volumeName":"quiescent-dump",
                    "podName":"pg-0","podNamespace":"shop","nodeName":"node","Phase":"Completed"}},
        {"pvcName":"data","pvcNamespace":"shop","pvName":"pv-1","backupMethod":"CSISnapshot","snapshotDataMoved":false,
         "skipped":false,"csiSnapshotInfo":{"snapshotHandle":"s","size":1073741824,"driver":"d","vscName":"v"}},
        {"pvcName":"wal","pvcNamespace":"shop","pvName":"pv-2","snapshotDataMoved":false,"skipped":true,
         "skippedReason":"opted out due to annotation"}
    ]"#;
    let listed = volumes(infos).unwrap();
    let shown: Vec<_> = listed
        .iter()
        .map(|it| (it.pod.as_deref(), &*it.name, it.way.as_str(), it.bytes))
        .collect();
    assert_eq!(
        shown,
        [
            (Some("pg-0"), "quiescent-dump", "file_copy", Some(4_509_739)),
            (None, "data", "snapshot", Some(1 << 30)),
            (None, "wal", "skipped", None),
        ]
    );
    assert_eq!(listed[0].phase.as_deref(), Some("Completed"));
    assert_eq!(volumes("null").unwrap(), []);
    assert!(volumes("{}").is_err());
}

#[test]
fn a_volume_of_a_restore_that_is_of_no_claim_is_known_by_its_object() {
    let object = |restore: &str, volume: &str| {
        serde_json::json!({
            "metadata": {
                "name": "nightly-x", "namespace": "velero",
                "ownerReferences": [{"apiVersion": "velero.io/v1", "kind": "Restore", "name": restore, "uid": "u"}],
            },
            "spec": {"pod": {"kind": "Pod", "namespace": "shop", "name": "pg-0"}, "volume": volume},
            "status": {"phase": "Completed", "progress": {"totalBytes": 4096, "bytesDone": 4096}},
        })
        .to_string()
    };
    let copied = |volume| copied_back(&object("nightly", volume), "nightly").unwrap();
    assert_eq!(
        copied_back(&object("another", "data"), "nightly").unwrap(),
        None
    );
    assert!(copied_back("{}", "nightly").is_err());

    let listed = r#"[
        {"pvcName":"wal","pvcNamespace":"shop","pvName":"pv-2","restoreMethod":"CSISnapshot"},
        {"pvcName":"data-pg-0","pvcNamespace":"shop","restoreMethod":"PodVolumeRestore",
         "pvrInfo":{"size":1,"volumeName":"data","podName":"pg-0","podNamespace":"shop"}}
    ]"#;
    let copied = ["data", "quiescent-dump"].map(|it| copied(it).unwrap());
    let all = together(volumes(listed).unwrap(), copied.into());
    let shown: Vec<_> = all
        .iter()
        .map(|it| (it.pod.as_deref(), &*it.name, it.bytes, it.phase.as_deref()))
        .collect();
    let done = Some("Completed");
    assert_eq!(
        shown,
        [
            (None, "wal", None, None),
            (Some("pg-0"), "data", Some(4096), done),
            (Some("pg-0"), "quiescent-dump", Some(4096), done),
        ]
    );
}

#[test]
fn the_lines_that_tell_of_hooks_tell_all() {
    let noise = "time=\"2026-11-21T22:33:06Z\" level=info msg=\"Backing up item\" name=x resource=services\n";
    let log = BACKUP.replace('\n', &format!("\n{noise}"));
    let told: String = log
        .lines()
        .filter(|line| tells_of_hooks(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert_eq!(hooks(&told), hooks(BACKUP));
    assert!(told.len() <= BACKUP.len());
}
