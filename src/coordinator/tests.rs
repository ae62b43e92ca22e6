use std::time::Duration;

use super::{Act, Coordinator, Event, Line, Reply, Request, State, Why};

const LIMIT: Duration = Duration::from_mins(10);

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn request(caller: u64) -> Request {
    Request {
        caller,
        id: format!("request-{caller}"),
        within: at(60),
    }
}

fn line(text: &str) -> Event {
    Event::Said(Line {
        text: text.to_owned(),
        complaint: false,
    })
}

fn idle() -> Coordinator {
    Coordinator::new("pg".to_owned(), LIMIT, State::Idle)
}

fn held() -> Coordinator {
    let mut coordinator = idle();
    coordinator.step(at(0), Event::Start(request(1)));
    coordinator.step(at(2), line("quiescent result=ok policy=pg"));
    coordinator
}

/// The only answer among some acts.
#[track_caller]
fn answer(acts: &[Act]) -> &Reply {
    let mut answers = acts.iter().filter_map(|act| match act {
        Act::Answer(_, reply) => Some(reply),
        _ => None,
    });
    let reply = answers.next().expect("somebody is answered");
    assert!(answers.next().is_none());
    reply
}

fn kept(acts: &[Act]) -> Vec<&State> {
    let kept = acts.iter().filter_map(|act| match act {
        Act::Keep(state) => Some(state),
        _ => None,
    });
    kept.collect()
}

#[test]
fn a_hold_is_kept_before_the_session_begins_and_before_anybody_is_told() {
    let mut coordinator = idle();
    let id = "request-1".to_owned();
    let starting = State::Starting { id: id.clone() };
    assert_eq!(
        coordinator.step(at(0), Event::Start(request(1))),
        [Act::Keep(starting), Act::Begin]
    );
    assert_eq!(
        coordinator.step(at(1), line("quiescent: waiting for the server")),
        []
    );
    let acts = coordinator.step(at(2), line("quiescent result=ok policy=pg lsn=7"));
    assert_eq!(acts[0], Act::Keep(State::Held { id: id.clone() }));
    let Act::Answer(1, reply) = &acts[1] else {
        panic!("{acts:?}")
    };
    assert_eq!((reply.code, &reply.id, reply.said.len()), (0, &id, 2));
    assert_eq!(coordinator.state(), State::Held { id });
}

#[test]
fn a_stop_waits_for_the_end_of_the_session_and_has_its_code() {
    for (code, last) in [
        (0, "quiescent result=ok policy=pg"),
        (5, "quiescent result=failed"),
    ] {
        let mut coordinator = held();
        let acts = coordinator.step(at(9), Event::Stop(request(2)));
        let id = "request-1".to_owned();
        assert_eq!(acts, [Act::Keep(State::Stopping { id }), Act::Release]);
        coordinator.step(at(10), line(last));
        let acts = coordinator.step(at(11), Event::Ended(code));
        assert_eq!(kept(&acts), [&State::Idle]);
        let reply = answer(&acts);
        assert_eq!((reply.code, &*reply.id), (code, "request-2"));
        let held = if code == 0 { " held=9" } else { "" };
        assert_eq!(reply.said[0].text, format!("{last}{held}"));
    }
}

#[test]
fn a_session_that_ends_by_itself_is_lost_until_the_next_start() {
    let mut coordinator = held();
    let acts = coordinator.step(at(5), Event::Ended(0));
    let (id, why) = ("request-1".to_owned(), Why::Ended);
    assert_eq!(acts, [Act::Keep(State::Lost { id, why })]);
    for caller in [2, 3] {
        let acts = coordinator.step(at(6), Event::Stop(request(caller)));
        let reply = answer(&acts);
        assert_eq!(reply.code, 5);
        assert!(reply.said[0].text.contains("ended by itself"), "{reply:?}");
    }
    assert_eq!(coordinator.step(at(7), Event::Start(request(4))).len(), 2);
}

#[test]
fn nobody_comes_back_and_the_limit_ends_the_hold() {
    let mut coordinator = held();
    assert_eq!(coordinator.deadline(), Some(at(2) + LIMIT));
    let acts = coordinator.step(at(602), Event::Tick);
    let (id, why) = ("request-1".to_owned(), Why::Limit);
    let lost = State::Lost { id, why };
    assert_eq!(acts, [Act::Keep(lost.clone()), Act::Release]);
    // Before the session has ended, and after.
    assert_eq!(
        answer(&coordinator.step(at(603), Event::Stop(request(2)))).code,
        5
    );
    assert_eq!(coordinator.step(at(604), Event::Ended(0)), []);
    assert_eq!(coordinator.state(), lost);
    assert_eq!(
        answer(&coordinator.step(at(605), Event::Stop(request(3)))).code,
        5
    );
}

#[test]
fn what_was_under_way_at_a_restart_is_lost() {
    let id = "yesterday".to_owned();
    let all = [
        State::Starting { id: id.clone() },
        State::Held { id: id.clone() },
        State::Stopping { id: id.clone() },
    ];
    for state in all {
        let found = state.after_restart();
        let why = Why::Restarted;
        assert_eq!(
            found,
            State::Lost {
                id: id.clone(),
                why
            }
        );
        let mut coordinator = Coordinator::new("pg".to_owned(), LIMIT, found);
        assert_eq!(
            answer(&coordinator.step(at(0), Event::Stop(request(1)))).code,
            5
        );
    }
    assert_eq!(State::Idle.after_restart(), State::Idle);
}

#[test]
fn a_start_that_fails_says_so_with_the_code_of_the_session() {
    for (said, code, wanted) in [
        ("quiescent result=failed policy=pg code=2", 2, 2),
        ("good morning", 0, 1),
        ("quiescent result=skipped role=replica", 0, 0),
    ] {
        let mut coordinator = idle();
        coordinator.step(at(0), Event::Start(request(1)));
        coordinator.step(at(1), line(said));
        let acts = coordinator.step(at(1), Event::Ended(code));
        assert_eq!(kept(&acts), [&State::Idle]);
        assert_eq!(answer(&acts).code, wanted, "{said}");
        // Whatever came of it, nothing is held.
        assert_eq!(
            answer(&coordinator.step(at(2), Event::Stop(request(2)))).code,
            5
        );
    }
}

#[test]
fn a_start_that_takes_too_long_or_that_nobody_waits_for_is_undone() {
    let mut coordinator = idle();
    coordinator.step(at(0), Event::Start(request(1)));
    assert_eq!(coordinator.deadline(), Some(at(60)));
    let acts = coordinator.step(at(60), Event::Tick);
    assert!(acts.contains(&Act::Release));
    assert_eq!(answer(&acts).code, 4);
    // What it says now is too late.
    assert_eq!(coordinator.step(at(61), line("quiescent result=ok")), []);
    assert_eq!(coordinator.state(), State::Idle);

    let mut coordinator = idle();
    coordinator.step(at(0), Event::Start(request(1)));
    assert_eq!(coordinator.step(at(1), Event::Gone(7)), []);
    assert!(
        coordinator
            .step(at(1), Event::Gone(1))
            .contains(&Act::Release)
    );
}

#[test]
fn two_do_not_start_at_once_and_a_second_start_takes_the_place_of_a_hold() {
    let mut coordinator = idle();
    coordinator.step(at(0), Event::Start(request(1)));
    assert_eq!(
        answer(&coordinator.step(at(1), Event::Start(request(2)))).code,
        3
    );
    assert_eq!(
        answer(&coordinator.step(at(1), Event::Stop(request(3)))).code,
        3
    );
    coordinator.step(at(2), line("quiescent result=ok policy=pg"));

    let acts = coordinator.step(at(3), Event::Start(request(4)));
    let (id, why) = ("request-1".to_owned(), Why::Replaced);
    assert_eq!(acts, [Act::Keep(State::Lost { id, why }), Act::Release]);
    let acts = coordinator.step(at(4), Event::Ended(0));
    let id = "request-4".to_owned();
    assert_eq!(acts, [Act::Keep(State::Starting { id }), Act::Begin]);
}

#[test]
fn what_does_not_end_ends_with_its_container() {
    let mut stopped = held();
    stopped.step(at(3), Event::Stop(request(2)));
    let acts = stopped.step(at(63), Event::Tick);
    assert_eq!(answer(&acts).code, 4);
    assert_eq!(acts.last(), Some(&Act::Exit));

    let mut expired = held();
    expired.step(at(602), Event::Tick);
    assert_eq!(expired.deadline(), Some(at(612)));
    assert_eq!(expired.step(at(612), Event::Tick), [Act::Exit]);
}

#[test]
fn a_pod_that_ends_lets_go_first() {
    assert_eq!(idle().step(at(0), Event::Terminate), [Act::Exit]);
    let mut coordinator = held();
    let acts = coordinator.step(at(3), Event::Terminate);
    let (id, why) = ("request-1".to_owned(), Why::Terminated);
    assert_eq!(acts, [Act::Keep(State::Lost { id, why }), Act::Release]);
    assert_eq!(
        answer(&coordinator.step(at(3), Event::Start(request(9)))).code,
        3
    );
    assert_eq!(coordinator.step(at(4), Event::Ended(0)), [Act::Exit]);

    let mut stopping = held();
    stopping.step(at(3), Event::Stop(request(2)));
    assert_eq!(stopping.step(at(3), Event::Terminate), []);
    assert_eq!(
        stopping.step(at(4), Event::Ended(0)).last(),
        Some(&Act::Exit)
    );
}
