use proptest::prelude::*;

use super::*;

const SECOND: Nanos = 1_000_000_000;

fn terms(delete_unusable: bool) -> Terms {
    Terms {
        cut: Duration::from_mins(1),
        ready: Duration::from_mins(10),
        skew: Duration::from_secs(2),
        delete_unusable,
    }
}

fn hooks(pre: bool, post: bool) -> Hooks {
    Hooks::of(|key| match key {
        "pre.hook.backup.velero.io/command" if pre => Some("pre"),
        "post.hook.backup.velero.io/command" if post => Some("post"),
        _ => None,
    })
}

/// The same where a failure of either is let pass by whoever runs them.
fn lenient(pre: bool, post: bool) -> Hooks {
    Hooks {
        obeys_on_error: true,
        ..hooks(pre, post)
    }
}

fn run(phase: HookPhase, outcome: Outcome) -> Run {
    Run {
        phase,
        outcome,
        took: Duration::from_secs(1),
        stdout: String::new(),
        stderr: "quiescent: a note\n".to_owned(),
        printed: 18,
    }
}

/// A world in which each thing happens as it is told, and time goes on by a second with each.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a thing that may go wrong by itself"
)]
struct World {
    pre: Outcome,
    post: Outcome,
    /// Which member's pre hook ends so, where that is not well.
    member: usize,
    /// Whether a pre hook that was not waited for ends in time.
    ends_later: bool,
    /// Why nothing is cut.
    no_cut: bool,
    not_ready: bool,
    /// By how much the clock of the storage is ahead.
    ahead: Nanos,
    withdrawn: bool,
    marked: bool,
    /// Until when post hooks are lost on the way.
    away: Nanos,
    /// Before which step somebody wants to stop.
    stop: Option<usize>,
    /// In the middle of which step whoever carries it out is gone.
    gone: Option<usize>,
    /// Before which step the state could not be kept.
    unkept: Option<usize>,
    /// Before which step somebody else has taken the claims.
    lost: Option<usize>,
    /// Whether it is found only when they are given back that somebody else had them.
    lost_unseen: bool,
    /// Whether somebody else has them when another process goes on with it.
    lost_when_gone: bool,
}

const WELL: World = World {
    pre: Outcome::Exited(0),
    post: Outcome::Exited(0),
    member: 0,
    ends_later: true,
    no_cut: false,
    not_ready: false,
    ahead: 0,
    withdrawn: true,
    marked: true,
    away: 0,
    stop: None,
    gone: None,
    unkept: None,
    lost: None,
    lost_unseen: false,
    lost_when_gone: false,
};

/// What was done to the world, and what came of it.
#[derive(Default)]
struct Seen {
    steps: Vec<String>,
    pre: Vec<usize>,
    post: Vec<usize>,
    cut: bool,
    /// Whether somebody else had the claims while they were still ours to lose.
    lost: bool,
}

impl Seen {
    fn loses(&mut self, snapshot: &mut Snapshot) {
        self.lost |= snapshot.may_hold() || snapshot.phase() == Phase::Pending;
        snapshot.advance(lost());
    }
}

fn lost() -> Event {
    Event::Lost("claim data was taken over".to_owned())
}

fn go(world: &World, snapshot: &mut Snapshot) -> Seen {
    let mut seen = Seen::default();
    let mut now = 100 * SECOND;
    let mut given_back = false;
    for at in 0.. {
        assert!(at < 1000, "it never ends: {:?}", seen.steps);
        if world.stop == Some(at) {
            snapshot.advance(Event::Stopped);
        }
        if world.lost == Some(at) {
            seen.loses(snapshot);
        }
        let step = snapshot.next_step();
        let may_hold = matches!(step, Step::Run { .. } | Step::Linger { .. } | Step::Cut(_));
        if !may_hold && !given_back {
            given_back = true;
            if world.lost_unseen {
                seen.lost = true;
                snapshot.advance(lost());
            }
        }
        now += SECOND;
        let begins = match &step {
            Step::Run { hook, .. } => hook.phase() == HookPhase::Pre,
            step => matches!(step, Step::Cut(_)),
        };
        if world.unkept == Some(at) && begins {
            snapshot.advance(Event::GaveUp("not kept".to_owned()));
            continue;
        }
        if let Step::Run {
            after,
            member,
            hook,
        } = &step
        {
            now += Nanos::try_from(after.as_nanos()).unwrap();
            let all = if hook.phase() == HookPhase::Pre {
                &mut seen.pre
            } else {
                &mut seen.post
            };
            all.push(*member);
        }
        seen.steps.push(match &step {
            Step::Run { member, hook, .. } => format!("{} {member}", word(hook.phase())),
            Step::Linger { member, .. } => format!("linger {member}"),
            Step::Cut(_) => "cut".to_owned(),
            Step::Examine => "examine".to_owned(),
            Step::AwaitReady(_) => "wait".to_owned(),
            Step::Withdraw => "withdraw".to_owned(),
            Step::Mark => "mark".to_owned(),
            Step::Done => return seen,
        });
        if world.gone == Some(at) {
            let kept = serde_json::to_string(snapshot).unwrap();
            *snapshot = serde_json::from_str(&kept).unwrap();
            snapshot.recover(now);
            if world.lost_when_gone {
                seen.loses(snapshot);
            }
            continue;
        }
        for event in events(world, &step, now, snapshot.cuts().len()) {
            seen.cut |= matches!(step, Step::Cut(_)) && matches!(event, Event::Seen { .. });
            snapshot.advance(event);
        }
    }
    unreachable!()
}

fn events(world: &World, step: &Step, now: Nanos, claims: usize) -> Vec<Event> {
    let cut = |ready| Cut {
        name: None,
        content: Some("content".to_owned()),
        at: Some(Taken {
            from: now + world.ahead,
            within: 0,
        }),
        ready,
        error: None,
    };
    let all = |ready| {
        let each = (0..claims).map(|claim| Event::Seen {
            claim,
            cut: cut(ready),
        });
        each.collect()
    };
    match step {
        Step::Run { member, hook, .. } => {
            let outcome = match hook.phase() {
                HookPhase::Pre if *member == world.member => world.pre.clone(),
                HookPhase::Pre => Outcome::Exited(0),
                _ if now < world.away => Outcome::Lost("away".to_owned()),
                _ => world.post.clone(),
            };
            vec![Event::Ran {
                member: *member,
                run: run(hook.phase(), outcome),
                time: (now, now),
            }]
        }
        Step::Linger { member, .. } => vec![Event::Lingered {
            member: *member,
            ended: world.ends_later,
        }],
        Step::Cut(_) if world.no_cut => vec![Event::GaveUp("no driver".to_owned())],
        Step::Cut(_) => all(false),
        Step::Examine => vec![Event::Examined(vec![None; claims])],
        Step::AwaitReady(_) if world.not_ready => vec![Event::GaveUp("too late".to_owned())],
        Step::AwaitReady(_) => all(true),
        Step::Withdraw => vec![Event::Withdrawn(said(world.withdrawn))],
        Step::Mark => vec![Event::Marked(said(world.marked))],
        Step::Done => Vec::new(),
    }
}

fn said(well: bool) -> Result<(), String> {
    if well { Ok(()) } else { Err("no".to_owned()) }
}

fn check(world: &World, hooks: &[(bool, bool)], steps: &str, verdict: Verdict) -> Snapshot {
    let members = hooks.iter().enumerate();
    let members = members.map(|(at, (pre, post))| (format!("shop/{at}"), self::hooks(*pre, *post)));
    let mut snapshot = Snapshot::new(terms(false), members.collect(), 2);
    assert_eq!(snapshot.phase(), Phase::Pending);
    let seen = go(world, &mut snapshot);
    assert_eq!(
        (&*seen.steps.join(", "), snapshot.verdict()),
        (steps, verdict),
        "{world:?}"
    );
    let ended = if verdict.is_good() {
        Phase::Ready
    } else {
        Phase::Failed
    };
    assert_eq!(snapshot.phase(), ended);
    assert_eq!(
        verdict.is_good(),
        snapshot.reasons().is_empty(),
        "{:?}",
        snapshot.reasons()
    );
    snapshot
}

const BOTH: (bool, bool) = (true, true);

#[test]
fn pods_hold_in_order_and_let_go_in_the_other() {
    let snapshot = check(
        &WELL,
        &[BOTH, BOTH],
        "pre 0, pre 1, cut, post 1, post 0, examine, wait, mark",
        Verdict::Consistent,
    );
    assert_eq!(snapshot.held(), Some(Duration::from_secs(4)));
    assert_eq!(snapshot.cutting(), Some(Duration::from_secs(2)));
}

#[test]
fn a_pre_hook_that_fails_undoes_all_that_began_and_none_else() {
    let fails = World {
        pre: Outcome::Exited(3),
        member: 1,
        ..WELL
    };
    let snapshot = check(
        &fails,
        &[BOTH, BOTH, BOTH],
        "pre 0, pre 1, post 1, post 0",
        Verdict::Undone,
    );
    assert_eq!(
        snapshot.reasons(),
        ["pre of shop/1: exit 3: quiescent: a note"]
    );
    let hangs = World {
        pre: Outcome::TimedOut,
        ..WELL
    };
    check(
        &hangs,
        &[BOTH, BOTH],
        "pre 0, post 0, linger 0, post 0",
        Verdict::Undone,
    );
    let stays = World {
        ends_later: false,
        ..hangs
    };
    check(
        &stays,
        &[BOTH],
        "pre 0, post 0, linger 0",
        Verdict::NotUndone,
    );
}

#[test]
fn a_post_hook_that_is_lost_is_run_again_and_the_others_meanwhile() {
    let away = World {
        away: 108 * SECOND,
        ..WELL
    };
    let snapshot = check(
        &away,
        &[BOTH, BOTH],
        "pre 0, pre 1, cut, post 1, post 0, post 1, post 0, post 1, post 0, examine, wait, mark",
        Verdict::Consistent,
    );
    let notes: Vec<String> = snapshot.notes().collect();
    assert!(
        notes[0].contains("post of shop/0 was lost 2 times"),
        "{notes:?}"
    );
    assert_eq!(snapshot.members()[0].tried().runs.len(), 2);
}

#[test]
fn a_post_hook_that_stays_lost_ends_when_patience_does() {
    let away = World {
        away: Nanos::MAX,
        no_cut: true,
        ..WELL
    };
    let mut snapshot = Snapshot::new(
        terms(false),
        vec![("shop/0".to_owned(), hooks(true, true))],
        1,
    );
    go(&away, &mut snapshot);
    assert_eq!(snapshot.verdict(), Verdict::NotUndone);
    let held = snapshot.held().unwrap();
    assert!(
        held > PATIENCE && held < PATIENCE + Duration::from_secs(10),
        "{held:?}"
    );
}

#[test]
fn what_never_began_leaves_nothing() {
    let no_shell = || Outcome::NotRun("no shell".to_owned());
    let nothing = World {
        pre: no_shell(),
        post: no_shell(),
        ..WELL
    };
    check(&nothing, &[BOTH], "pre 0, post 0", Verdict::Undone);
}

#[test]
fn what_is_not_cut_is_let_go_of_and_withdrawn() {
    let never = World {
        no_cut: true,
        ..WELL
    };
    check(
        &never,
        &[BOTH],
        "pre 0, cut, post 0, withdraw",
        Verdict::Undone,
    );
    let stopped = World {
        stop: Some(1),
        ..WELL
    };
    check(&stopped, &[BOTH, BOTH], "pre 0, post 0", Verdict::Stopped);
    let at_once = World {
        stop: Some(0),
        ..WELL
    };
    check(&at_once, &[BOTH], "", Verdict::Stopped);
}

#[test]
fn a_pre_hook_whose_runner_is_gone_is_undone_twice() {
    let gone = World {
        gone: Some(0),
        ..WELL
    };
    let snapshot = check(
        &gone,
        &[BOTH, BOTH],
        "pre 0, post 0, linger 0, post 0",
        Verdict::Undone,
    );
    assert!(snapshot.reasons()[0].contains("gone before its end"));
}

#[test]
fn what_cannot_be_kept_is_not_begun() {
    let at = |unkept| World {
        unkept: Some(unkept),
        ..WELL
    };
    check(&at(0), &[BOTH, BOTH], "", Verdict::Undone);
    check(&at(1), &[BOTH, BOTH], "pre 0, post 0", Verdict::Undone);
    let steps = "pre 0, post 0, withdraw";
    let snapshot = check(&at(1), &[BOTH], steps, Verdict::Undone);
    assert_eq!(snapshot.reasons(), ["not kept"]);
}

#[test]
fn what_is_kept_has_the_end_of_what_was_printed() {
    let mut snapshot = check(
        &WELL,
        &[BOTH],
        "pre 0, cut, post 0, examine, wait, mark",
        Verdict::Consistent,
    );
    snapshot = snapshot.shortened(5);
    let tried = snapshot.members()[0].tried();
    assert!(tried.runs.iter().all(|it| it.stderr == "note\n"));
}

#[test]
fn what_was_not_held_to_the_end_is_not_consistent() {
    let steps = "pre 0, cut, post 0, examine, mark";
    let gone = World {
        post: Outcome::Exited(5),
        ..WELL
    };
    let snapshot = check(&gone, &[BOTH], steps, Verdict::Unusable);
    assert!(snapshot.reasons()[0].starts_with("what was held had gone before the end"));
    let fails = World {
        post: Outcome::TimedOut,
        ..WELL
    };
    check(&fails, &[BOTH], steps, Verdict::Unusable);
    for ahead in [-5 * SECOND, 5 * SECOND] {
        let clock = World { ahead, ..WELL };
        let snapshot = check(&clock, &[BOTH], steps, Verdict::Unusable);
        assert!(snapshot.reasons()[0].contains("by the clock of the storage"));
    }
    let near = World {
        ahead: 2 * SECOND,
        ..WELL
    };
    check(
        &near,
        &[BOTH],
        "pre 0, cut, post 0, examine, wait, mark",
        Verdict::Consistent,
    );
}

#[test]
fn what_somebody_else_could_let_go_of_is_let_go_of_and_not_consistent() {
    let before = |step| World {
        lost: Some(step),
        ..WELL
    };
    check(&before(0), &[BOTH], "", Verdict::Undone);
    check(&before(1), &[BOTH, BOTH], "pre 0, post 0", Verdict::Undone);
    let steps = "pre 0, cut, post 0, examine, mark";
    let late = check(&before(2), &[BOTH], steps, Verdict::Unusable);
    assert_eq!(late.reasons(), ["claim data was taken over"]);
    let unseen = World {
        lost_unseen: true,
        ..WELL
    };
    check(&unseen, &[BOTH], steps, Verdict::Unusable);
    let by_then = World {
        gone: Some(2),
        lost_when_gone: true,
        ..WELL
    };
    let steps = "pre 0, cut, post 0, post 0, examine, mark";
    check(&by_then, &[BOTH], steps, Verdict::Unusable);
}

#[test]
fn whoever_is_gone_at_any_step_leaves_nothing_held() {
    let well = [
        "pre 0", "pre 1", "cut", "post 1", "post 0", "examine", "wait", "mark",
    ];
    for (at, step) in well.iter().enumerate() {
        let gone = World {
            gone: Some(at),
            ..WELL
        };
        let members = (0..2).map(|it| (format!("shop/{it}"), hooks(true, true)));
        let mut snapshot = Snapshot::new(terms(false), members.collect(), 2);
        let seen = go(&gone, &mut snapshot);
        let post_is_last = |member: usize| {
            let of = |word: &str| {
                seen.steps
                    .iter()
                    .rposition(|it| *it == format!("{word} {member}"))
            };
            of("post") > of("pre") || of("pre").is_none()
        };
        assert!(post_is_last(0) && post_is_last(1), "{:?}", seen.steps);
        let verdict = if at < 3 {
            Verdict::Undone
        } else {
            Verdict::Consistent
        };
        assert_eq!(
            snapshot.verdict(),
            verdict,
            "gone in {step}: {:?}",
            seen.steps
        );
    }
}

#[test]
fn what_may_fail_ends_no_snapshot_and_is_never_called_what_it_is_not() {
    let go_on = |world: &World| {
        let members = ["shop/0", "shop/1"].map(|pod| (pod.to_owned(), lenient(true, true)));
        let mut snapshot = Snapshot::new(terms(false), members.to_vec(), 1);
        let seen = go(world, &mut snapshot);
        (seen.steps.join(", "), snapshot)
    };
    for pre in [
        Outcome::Exited(3),
        Outcome::NotRun("no shell".to_owned()),
        Outcome::Lost("away".to_owned()),
    ] {
        let (steps, snapshot) = go_on(&World { pre, ..WELL });
        assert_eq!(steps, "pre 0, pre 1, cut, post 1, post 0, examine, mark");
        assert_eq!(snapshot.verdict(), Verdict::Unusable);
        assert_eq!(snapshot.reasons()[1], "shop/0 did not hold");
    }
    let hangs = World {
        pre: Outcome::TimedOut,
        ..WELL
    };
    let (steps, snapshot) = go_on(&hangs);
    assert!(
        steps.contains("cut, post 1, post 0, linger 0, post 0"),
        "{steps}"
    );
    assert_eq!(snapshot.verdict(), Verdict::Unusable);

    let fails = World {
        post: Outcome::Exited(1),
        ..WELL
    };
    let (_, snapshot) = go_on(&fails);
    assert_eq!(snapshot.verdict(), Verdict::Consistent);
    let notes: Vec<String> = snapshot.notes().collect();
    assert!(
        notes.len() == 2 && notes[0].contains("post of shop/0: exit 1"),
        "{notes:?}"
    );
    let had_gone = World {
        post: Outcome::Exited(5),
        ..WELL
    };
    assert_eq!(go_on(&had_gone).1.verdict(), Verdict::Unusable);
    let nothing_is_cut = World {
        no_cut: true,
        ..fails
    };
    let (_, snapshot) = go_on(&nothing_is_cut);
    assert_eq!(snapshot.verdict(), Verdict::NotUndone);
    assert_eq!(snapshot.notes().count(), 0);

    for stops in [
        World {
            pre: Outcome::Interrupted,
            ..WELL
        },
        World {
            gone: Some(0),
            ..WELL
        },
    ] {
        let (steps, snapshot) = go_on(&stops);
        assert_eq!(steps, "pre 0, post 0, linger 0, post 0");
        assert!(!snapshot.verdict().is_good());
    }
}

#[test]
fn what_is_of_no_use_goes_where_that_is_wanted() {
    let gone = World {
        post: Outcome::Exited(5),
        ..WELL
    };
    let mut snapshot = Snapshot::new(
        terms(true),
        vec![("shop/0".to_owned(), hooks(true, true))],
        1,
    );
    let seen = go(&gone, &mut snapshot);
    assert_eq!(seen.steps.last().unwrap(), "withdraw");
    assert_eq!(snapshot.verdict(), Verdict::Deleted);
}

#[test]
fn without_hooks_it_is_never_called_consistent() {
    for hooks in [
        &[(false, false)][..],
        &[(false, true)],
        &[BOTH, (false, false)],
        &[],
    ] {
        let members = hooks
            .iter()
            .map(|(pre, post)| (String::new(), self::hooks(*pre, *post)));
        let mut snapshot = Snapshot::new(terms(false), members.collect(), 1);
        go(&WELL, &mut snapshot);
        assert_eq!(snapshot.verdict(), Verdict::CrashConsistent, "{hooks:?}");
    }
}

#[test]
fn what_is_not_ready_or_cannot_be_labelled_is_not_called_consistent() {
    let late = World {
        not_ready: true,
        ..WELL
    };
    let steps = "pre 0, cut, post 0, examine, wait, mark";
    check(&late, &[BOTH], steps, Verdict::NotReady);
    let unmarked = World {
        marked: false,
        ..WELL
    };
    check(&unmarked, &[BOTH], steps, Verdict::Unusable);
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Exited(0)),
        1 => (1..6).prop_map(Outcome::Exited),
        1 => Just(Outcome::NotRun("no".to_owned())),
        1 => Just(Outcome::TimedOut),
        1 => Just(Outcome::Interrupted),
        1 => Just(Outcome::Lost("gone".to_owned())),
    ]
}

prop_compose! {
    fn world()(
        pre in outcome(),
        post in outcome(),
        member in 0_usize..4,
        flags in any::<[bool; 5]>(),
        ahead in prop_oneof![4 => Just(0), 1 => -9 * SECOND..9 * SECOND],
        away in prop_oneof![2 => Just(0), 1 => 0..900 * SECOND],
        stop in proptest::option::weighted(0.3, 0_usize..12),
        gone in proptest::option::weighted(0.3, 0_usize..12),
        unkept in proptest::option::weighted(0.3, 0_usize..6),
        lost in proptest::option::weighted(0.2, 0_usize..12),
        lost_unseen in prop::bool::weighted(0.1),
        lost_when_gone in any::<bool>(),
    ) -> World {
        let [ends_later, no_cut, not_ready, withdrawn, marked] = flags;
        World {
            pre, post, member, ends_later, no_cut, not_ready: not_ready && !marked, ahead,
            withdrawn, marked, away, stop, gone, unkept, lost, lost_unseen,
            lost_when_gone,
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_post_runs_and_nothing_is_called_what_it_is_not(
        world in world(),
        pods in prop::collection::vec(any::<(bool, bool)>(), 0..4),
        claims in 1_usize..4,
        delete_unusable in any::<bool>(),
        obeys_on_error in any::<bool>(),
    ) {
        let members = pods.iter().enumerate();
        let members = members.map(|(at, (pre, post))| {
            (at.to_string(), Hooks { obeys_on_error, ..hooks(*pre, *post) })
        });
        let mut snapshot = Snapshot::new(terms(delete_unusable), members.collect(), claims);
        let seen = go(&world, &mut snapshot);

        for member in &seen.pre {
            let times = seen.pre.iter().filter(|it| *it == member).count();
            prop_assert_eq!(times, 1, "pre ran twice: {:?}", seen.steps);
            prop_assert!(!pods[*member].1 || seen.post.contains(member), "post never ran: {:?}", seen.steps);
        }
        if !seen.pre.is_empty() && snapshot.verdict() == Verdict::Consistent {
            prop_assert!(seen.cut && snapshot.cuts().iter().all(|it| it.is_cut() && it.ready));
            prop_assert!(world.ahead >= -4 * SECOND, "{:?}", world);
            let tells = pods.iter().any(|(_, post)| *post);
            prop_assert!(!tells || world.ahead <= 4 * SECOND, "{:?}", world);
            prop_assert_eq!(seen.pre.len(), pods.len());
            let passes = |run: &Run| {
                obeys_on_error && run.phase == HookPhase::Post && run.outcome != Outcome::Exited(5)
            };
            let held = |it: &Member| it.tried().runs.iter().all(|run| run.outcome.is_good() || passes(run));
            prop_assert!(snapshot.members().iter().all(held), "{:?}", world);
            prop_assert!(world.marked || world.gone.is_some());
            let cut = seen.steps.iter().position(|it| it == "cut").unwrap();
            let late = |it: &String| it.starts_with("pre");
            let early = |it: &String| it.starts_with("post");
            prop_assert!(!seen.steps[cut..].iter().any(late) && !seen.steps[..cut].iter().any(early));
        }
        prop_assert!(!seen.lost || !snapshot.verdict().is_good(), "{:?} {:?}", world, seen.steps);
        prop_assert_eq!(snapshot.verdict().is_good(), snapshot.phase() == Phase::Ready);
        if snapshot.verdict() == Verdict::Consistent {
            prop_assert!(!seen.pre.is_empty());
        }
    }
}
