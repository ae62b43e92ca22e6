use super::*;
use crate::results::{
    Reason, Volume, Way, hooks,
    notice::{About, Format, body, of_object, of_pods},
    outcomes,
};

/// What Velero 1.18.3 wrote of a backup of pods whose hooks work, fail and hang.
const BACKUP: &str = include_str!("../backup.log");

/// When that backup was over.
const ENDED: Time = 1_795_300_400;

fn key(name: &str) -> Key {
    Key {
        kind: Kind::Backup,
        name: name.to_owned(),
    }
}

fn ended(name: &str, schedule: &str, ended: Time) -> Object {
    Object {
        uid: format!("uid-{name}"),
        schedule: schedule.to_owned(),
        ended: Some(ended),
        has_hooks: true,
        ..Object::default()
    }
}

fn of_backup(volumes: &[Volume]) -> Vec<Outcome> {
    outcomes(Kind::Backup, &hooks(BACKUP), volumes, |policy, _| {
        (policy == "postgresql-dump").then_some(true)
    })
}

/// A ledger with one backup whose results were taken.
fn taken() -> Ledger {
    let mut ledger = Ledger::default();
    let first = key("b1");
    ledger.hear(first.clone(), ended("b1", "nightly", ENDED));
    assert_eq!(ledger.due(ENDED), Due::Now(first.clone(), Todo::Take));
    ledger.take(&first, of_backup(&[]), ENDED);
    ledger.prune(|_, pod| pod != "fails", ENDED);
    ledger
}

fn group(policy: &str, phase: Phase) -> Group {
    ("shop".to_owned(), policy.to_owned(), phase)
}

#[test]
fn what_hooks_did_is_measured_by_namespace_policy_and_phase() {
    let levels = taken().levels();
    let hooks = |seconds, failed| Hooks { seconds, failed };
    let expected = [
        (group("", Phase::Pre), hooks(2, 3)),
        (group("", Phase::Post), hooks(1, 1)),
        (group("postgresql-dump", Phase::Pre), hooks(1, 0)),
        (group("postgresql-dump", Phase::Post), hooks(0, 0)),
    ];
    assert_eq!(levels.hooks, expected.into());
    assert_eq!(levels.missing, [("shop".to_owned(), 2)].into());
    let pg = ("shop".to_owned(), "pg-0".to_owned());
    assert_eq!(levels.dumps, [(pg, 1_795_300_390)].into());
    assert_eq!(levels.failures[&group("", Phase::Pre)], 3);
    assert_eq!(levels.never_ran["shop"], 2);
}

#[test]
fn a_pod_that_is_gone_is_measured_no_more() {
    let mut ledger = taken();
    ledger.prune(|_, pod| pod == "pg-0", ENDED);
    let levels = ledger.levels();
    let policies: Vec<&str> = levels.hooks.keys().map(|(_, it, _)| it.as_str()).collect();
    // The one that was never seen as a pod may be there.
    assert_eq!(
        levels.hooks[&group("", Phase::Pre)].failed,
        1,
        "{policies:?}"
    );
    ledger.prune(|_, _| false, ENDED + UNSEEN + 1);
    let levels = ledger.levels();
    assert!(levels.hooks.is_empty() && levels.dumps.is_empty() && levels.missing.is_empty());
}

#[test]
fn a_dump_whose_volume_was_not_copied_is_none() {
    let volume = |pod: &str, phase: &str| Volume {
        namespace: "shop".to_owned(),
        pod: Some(pod.to_owned()),
        name: "quiescent-dump".to_owned(),
        way: Way::FileCopy,
        bytes: None,
        phase: Some(phase.to_owned()),
    };
    let dump = |volumes: &[Volume]| {
        let all = of_backup(volumes);
        all.iter().find(|it| it.pod == "pg-0").unwrap().dump
    };
    let good = Dump::Good(1_795_300_390);
    assert_eq!(dump(&[volume("pg-0", "Completed")]), good);
    assert_eq!(dump(&[volume("locks", "Failed")]), good);
    assert_eq!(dump(&[volume("pg-0", "Failed")]), Dump::Bad);
}

#[test]
fn the_last_good_dump_is_kept_when_the_next_one_fails() {
    let mut ledger = taken();
    let mut failed = of_backup(&[]);
    failed.retain(|it| it.pod == "pg-0");
    failed[0].dump = Dump::Bad;
    ledger.hear(key("b2"), ended("b2", "nightly", ENDED + 100));
    ledger.take(&key("b2"), failed.clone(), ENDED + 100);
    let pg = ("shop".to_owned(), "pg-0".to_owned());
    assert_eq!(ledger.levels().dumps[&pg], 1_795_300_390);

    // Where none is known to be good, that is said too.
    let mut ledger = Ledger::default();
    ledger.hear(key("b2"), ended("b2", "nightly", ENDED));
    ledger.take(&key("b2"), failed, ENDED);
    ledger.prune(|_, _| true, ENDED);
    assert_eq!(ledger.levels().dumps[&pg], 0);
}

#[test]
fn an_older_backup_that_is_read_later_changes_nothing_but_the_last_dump() {
    let mut ledger = taken();
    let before = ledger.levels();
    let mut old = of_backup(&[]);
    for outcome in &mut old {
        outcome.ran.truncate(1);
        outcome.ran[0].seconds = Some(900);
        outcome.missing = None;
    }
    ledger.hear(key("b0"), ended("b0", "nightly", ENDED - 2 * DAY));
    ledger.take(&key("b0"), old, ENDED);
    let after = ledger.levels();
    assert_eq!(after.hooks, before.hooks);
    assert_eq!(after.missing, before.missing);
}

#[test]
fn a_pre_hook_of_somebody_else_may_need_no_post_hook() {
    let all = of_backup(&[]);
    let missing = |pod: &str| all.iter().find(|it| it.pod == pod).unwrap().missing;
    assert!(missing("failsfail").is_some());
    let until = BACKUP.find("/quiescent/postgresql-dump/post.sh").unwrap();
    let lines = &BACKUP[..BACKUP[..until].rfind('\n').unwrap()];
    let without = |has_post: Option<bool>| {
        let all = outcomes(Kind::Backup, &hooks(lines), &[], |_, _| has_post);
        let pg = all.into_iter().find(|it| it.pod == "pg-0").unwrap();
        pg.missing.is_some()
    };
    assert!(without(Some(true)));
    assert!(!without(Some(false)));
    assert!(!without(None));
}

#[test]
fn of_each_schedule_the_newest_are_read_and_of_2000_backups_no_more_than_200() {
    let mut ledger = Ledger::default();
    let now = ENDED + 30 * DAY;
    for number in 0..2000 {
        let schedule = format!("s{}", number % 100);
        let at = now - 2 * DAY - number;
        let name = format!("b{number}");
        ledger.hear(key(&name), ended(&name, &schedule, at));
    }
    let weekly = key("weekly-1");
    ledger.hear(weekly.clone(), ended("weekly-1", "weekly", now - 7 * DAY));
    ledger.hear(
        key("running"),
        Object {
            ended: None,
            ..ended("running", "s1", 0)
        },
    );
    ledger.hear(
        key("plain"),
        Object {
            has_hooks: false,
            ..ended("plain", "s1", now)
        },
    );
    let mut read = Vec::new();
    while let Due::Now(key, todo) = ledger.due(now) {
        assert_eq!(todo, Todo::Take);
        ledger.take(&key, Vec::new(), now);
        read.push(key.name);
    }
    assert_eq!(read.len(), MOST);
    assert_eq!(read[0], "b0");
    assert_eq!(ledger.due(now), Due::Never);
    // Where there are fewer, each Schedule has its turn.
    ledger
        .known
        .retain(|key, _| key.name == "weekly-1" || key.name.len() < 4);
    assert_eq!(ledger.due(now), Due::Now(weekly, Todo::Take));
}

#[test]
fn everybody_is_told_once_and_in_order() {
    let mut ledger = taken();
    let first = key("b1");
    for todo in [Todo::Tell, Todo::Notify, Todo::Note] {
        assert_eq!(ledger.due(ENDED), Due::Now(first.clone(), todo));
        assert_eq!(ledger.problems(&first).len(), 6);
        if todo == Todo::Note {
            let told = ledger.told_with(&first, ENDED);
            assert_eq!(told, [("uid-b1".to_owned(), ENDED)].into());
            ledger.were_told(told);
        }
        ledger.done(&first);
    }
    assert_eq!(ledger.due(ENDED), Due::Never);
    assert!(ledger.problems(&first).is_empty());

    // Whoever leads next reads it again, and tells nobody.
    let mut next = Ledger::new(ledger.told.clone());
    next.hear(first.clone(), ended("b1", "nightly", ENDED));
    next.take(&first, of_backup(&[]), ENDED + 60);
    assert_eq!(next.due(ENDED + 60), Due::Never);
    assert_eq!(next.levels().hooks, taken().levels().hooks);
    assert!(next.levels().failures.is_empty());
    // One of that name that is made anew is another one.
    let anew = Object {
        uid: "another".to_owned(),
        ..ended("b1", "nightly", ENDED + 50)
    };
    next.hear(first.clone(), anew);
    next.take(&first, of_backup(&[]), ENDED + 60);
    assert_eq!(next.due(ENDED + 60), Due::Now(first, Todo::Tell));
}

#[test]
fn nobody_is_told_of_what_is_older_than_a_day() {
    let mut ledger = Ledger::default();
    ledger.hear(key("b1"), ended("b1", "nightly", ENDED));
    let now = ENDED + DAY + 1;
    ledger.take(&key("b1"), of_backup(&[]), now);
    assert_eq!(ledger.due(now), Due::Never);
    // And what was told is remembered no longer than that.
    let ledger = Ledger::new([("old".to_owned(), ENDED), ("new".to_owned(), now)].into());
    assert_eq!(ledger.told_with(&key("gone"), now).len(), 1);
}

#[test]
fn what_fails_is_tried_again_with_growing_pauses_and_not_for_ever() {
    let mut ledger = Ledger::default();
    let (first, other) = (key("b1"), key("b2"));
    ledger.hear(first.clone(), ended("b1", "", ENDED));
    let mut now = ENDED;
    assert!(ledger.failed(&first, now));
    assert_eq!(ledger.due(now), Due::At(now + 5));
    // Others do not wait for it.
    ledger.hear(other.clone(), ended("b2", "", ENDED - 5));
    assert_eq!(ledger.due(now), Due::Now(other.clone(), Todo::Take));
    ledger.take(&other, Vec::new(), now);
    let mut pauses = Vec::new();
    while let Due::At(at) = ledger.due(now) {
        pauses.push(at - now);
        now = at;
        ledger.failed(&first, now);
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]);
    assert_eq!(ledger.due(now), Due::Never);

    // Who cannot be told is told later, for a day.
    let mut ledger = taken();
    let mut now = ENDED;
    while ledger.failed(&first, now) {
        let Due::At(at) = ledger.due(now) else {
            panic!("it is tried again")
        };
        assert!(at - now <= LONGEST_PAUSE);
        now = at;
    }
    assert!(now > ENDED + DAY && now < ENDED + DAY + 2 * LONGEST_PAUSE);
}

#[test]
fn what_a_new_list_lacks_is_gone() {
    let mut ledger = Ledger::default();
    ledger.lists(Kind::Backup);
    ledger.hear(key("b1"), ended("b1", "", ENDED));
    ledger.hear(key("b2"), ended("b2", "", ENDED));
    ledger.listed(Kind::Backup);
    ledger.lists(Kind::Backup);
    ledger.hear(key("b2"), ended("b2", "", ENDED));
    ledger.lists(Kind::Restore);
    ledger.listed(Kind::Restore);
    assert!(ledger.object(&key("b1")).is_some());
    ledger.listed(Kind::Backup);
    assert!(ledger.object(&key("b1")).is_none() && ledger.object(&key("b2")).is_some());
}

#[test]
fn the_newest_verdict_counts_and_one_that_was_not_reached_says_nothing() {
    let mut ledger = Ledger::default();
    let mut hear = |name: &str, verdict, at| {
        let mut object = ended(name, "nightly", at);
        object.verified = Some((verdict, at));
        ledger.hear(key(name), object);
        ledger.levels().verified["nightly"]
    };
    let failed = hear("b1", Verdict::Failed, 100);
    assert_eq!((failed.passed, failed.failed), (0, true));
    let passed = hear("b2", Verdict::Passed, 200);
    assert_eq!((passed.passed, passed.failed), (200, false));
    let failed = hear("b3", Verdict::Failed, 300);
    assert_eq!((failed.passed, failed.failed), (200, true));
    let unknown = hear("b4", Verdict::Incomplete, 400);
    assert_eq!((unknown.passed, unknown.failed), (200, true));
    // A list tells of older ones again, in any order.
    let again = hear("b1", Verdict::Failed, 100);
    assert_eq!((again.passed, again.failed), (200, true));
}

fn about(key: &Key) -> About<'_> {
    About {
        key,
        schedule: "nightly",
        namespace: "velero",
    }
}

#[test]
fn owners_are_told_of_their_pods_and_the_backup_of_all() {
    let ledger = taken();
    let first = key("b1");
    let problems = ledger.problems(&first);
    let told = of_pods(about(&first), problems, |_, pod| {
        (pod != "hangs").then(|| if pod == "badpost" { "one" } else { "other" })
    });
    let told: Vec<_> = told
        .iter()
        .map(|(owner, it)| (*owner, it.reason, it.sentence.as_str()))
        .collect();
    let next = "next: quiescent results backup/b1";
    let failed = "command terminated with exit code";
    assert_eq!(
        told,
        [
            (
                "one",
                Reason::HookFailed,
                &*format!("backup/b1: badpost: the post hook failed: {failed} 1; {next}")
            ),
            (
                "other",
                Reason::HookFailed,
                &*format!(
                    "backup/b1: fails: the pre hook failed: {failed} 3; failsfail: the pre hook failed: {failed} 3; {next}"
                )
            ),
            (
                "other",
                Reason::PostMissing,
                &*format!(
                    "backup/b1: failsfail: no post hook ran: Velero runs none after a pre hook that failed with on-error=Fail; {next}"
                )
            ),
        ]
    );
    let beside = of_object(about(&first), problems);
    assert_eq!(beside.len(), 2);
    let (_, sentence) = &beside[0];
    assert!(
        sentence.starts_with("shop/badpost: the post hook failed"),
        "{sentence}"
    );
    assert!(
        sentence.ends_with(&format!("; and 1 more; {next}")),
        "{sentence}"
    );
}

#[test]
fn a_notification_has_each_problem() {
    let ledger = taken();
    let first = key("b1");
    let problems = ledger.problems(&first);
    let at = "2026-11-21T22:33:20Z";
    let alerts = body(Format::Alertmanager, about(&first), problems, at);
    assert_eq!(alerts.as_array().unwrap().len(), 6);
    let expected = serde_json::json!({
        "labels": {
            "alertname": "QuiescentHookFailed", "severity": "warning", "namespace": "shop",
            "pod": "badpost", "policy": "", "phase": "post", "backup": "b1", "schedule": "nightly",
        },
        "annotations": {
            "summary": "shop/badpost: the post hook failed: command terminated with exit code 1",
            "description": "quiescent results backup/b1",
        },
        "startsAt": at,
    });
    assert_eq!(alerts[0], expected);
    let one = body(Format::Json, about(&first), problems, at);
    assert_eq!(one["count"], 6);
    assert_eq!(one["problems"][0]["reason"], "HookFailed");
    assert_eq!(
        (&one["kind"], &one["schedule"]),
        (&"Backup".into(), &"nightly".into())
    );
}
