//! What goes wrong around a hook, the same for every policy that is on by default. In each case it
//! succeeds rightly or fails with a sentence, nothing stays locked, and no dump looks finished that is
//! not. What an engine says beside that, and what happens to it alone, is in its own folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use quiescent::library::{Capture, defaults};

use super::{
    capture::{Stopped, at_one_instant},
    harness::{Container, Outcome, Phase, Pod, Running, eventually, is_root},
    installation::Installation,
    proof::Engine,
    server::output,
    writers::{WRITERS, Writers},
    *,
};
use crate::stress::Choices;

/// What the faults come to for a policy.
#[derive(Clone, Copy)]
struct Faults {
    capture: Capture,
    /// The server stands still, or is down.
    still: Comes,
    /// The image has a shell and its tools, and nothing of the engine.
    bare: Comes,
    /// The hook runs as another user than the server.
    stranger: Comes,
    /// There was no pre hook.
    post_alone: Comes,
}

/// What comes of a fault.
#[derive(Clone, Copy)]
enum Comes {
    /// The hook does what it is for all the same.
    Right,
    /// It fails with this code and a sentence that has these words.
    Fails(i32, &'static str),
}
use Comes::{Fails, Right};

impl Comes {
    #[track_caller]
    fn of(self, outcome: &Outcome) {
        match self {
            Right => outcome.is_ok(),
            Fails(code, words) => outcome.failed(code, &[words]),
        }
    }
}

const DUMP: Faults = Faults {
    capture: Capture::Dump,
    still: Fails(1, "does not answer"),
    bare: Right,
    stranger: Right,
    post_alone: Fails(1, "no finished dump"),
};

/// A look at the server, which leaves nothing behind.
const LOOK: Faults = Faults {
    capture: Capture::Block,
    post_alone: Right,
    ..DUMP
};

fn lacks(tool: &'static str) -> Comes {
    Fails(2, tool)
}

fn own(at_hand: bool) -> Option<Installation> {
    at_hand.then(Installation::own)
}

macro_rules! policies {
    ($($name:ident: $engine:ty, $at_hand:expr, $faults:expr;)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(mod $name {
            use super::*;

            fn with(fault: impl Fn(&Installation, &Faults)) {
                if let Some(installation) = $at_hand {
                    fault(&installation, &$faults);
                }
            }

            #[test]
            fn a_hook_killed_at_any_moment_leaves_a_whole_dump_and_nothing_locked() {
                with(killed::<$engine>);
            }

            #[test]
            fn a_server_that_stands_still_or_is_down_is_said_and_costs_no_dump() {
                with(unanswered::<$engine>);
            }

            #[test]
            fn a_container_of_another_kind_is_enough_or_what_it_lacks_is_said() {
                with(contained::<$engine>);
            }

            #[test]
            fn hooks_at_once_or_out_of_order_tell_the_truth() {
                with(disordered::<$engine>);
            }
        })*
    };
}

policies! {
    consul_dump: consul::Consul, consul::Consul::at_hand(),
        Faults { bare: lacks("consul"), ..DUMP };
    etcd_dump: etcd::proof::Policed<{ etcd::proof::DUMP }>, own(etcd::Etcd::at_hand()),
        Faults { bare: lacks("etcdctl"), ..DUMP };
    etcd_snapshot: etcd::proof::Policed<{ etcd::proof::SNAPSHOT }>, own(etcd::Etcd::at_hand()),
        Faults { bare: lacks("etcdctl"), stranger: Fails(2, "cannot look into"), ..LOOK };
    influxdb_dump: influxdb::Influx, own(influxdb::Influx::at_hand()),
        Faults { bare: lacks("influx"), ..DUMP };
    mariadb_dump: mysql::MySql, mysql::at_hand("mariadb"),
        Faults { bare: lacks("mariadb"), ..DUMP };
    mariadb_snapshot: mysql::proof::Labelled<{ mysql::proof::SNAPSHOT }>, mysql::at_hand("mariadb"),
        Faults { bare: lacks("mariadb"), stranger: Fails(2, "cannot look into"), ..LOOK };
    mariadb_backup: mysql::proof::Labelled<{ mysql::proof::PHYSICAL }>, mysql::at_hand("mariadb"),
        Faults { bare: lacks("mariadb"), stranger: Fails(2, "as the user of the server"), ..DUMP };
    mongodb_dump: mongodb::proof::Dumped, mongodb::Mongo::at_hand(),
        Faults { bare: lacks("mongo"), ..DUMP };
    mongodb_snapshot: mongodb::proof::Snapshot, mongodb::Mongo::at_hand(),
        Faults { bare: lacks("mongo"), ..LOOK };
    mysql_dump: mysql::MySql, mysql::at_hand("mysql-8.4"),
        Faults { bare: lacks("mysql"), ..DUMP };
    mysql_snapshot: mysql::proof::Labelled<{ mysql::proof::SNAPSHOT }>, mysql::at_hand("mysql-8.4"),
        Faults { bare: lacks("mysql"), stranger: Fails(2, "cannot look into"), ..LOOK };
    mysql_clone: mysql::proof::Labelled<{ mysql::proof::PHYSICAL }>, mysql::at_hand("mysql-8.4"),
        Faults { bare: lacks("mysql"), stranger: Fails(2, "as the user of the server"), ..DUMP };
    nats_copy: nats::Nats, own(nats::Nats::at_hand()), LOOK;
    openldap_dump: openldap::Slapd, own(openldap::Slapd::at_hand()),
        // It looks for slapcat where no PATH leads.
        Faults { still: Right, stranger: Fails(2, "cannot read slapd's files"), ..DUMP };
    postgresql_dump: postgresql::proof::Backed<postgresql::proof::Dump>, own(postgresql::Postgres::at_hand()),
        Faults { bare: lacks("psql"), ..DUMP };
    postgresql_snapshot: postgresql::proof::Backed<postgresql::proof::Snapshot>, own(postgresql::Postgres::at_hand()),
        Faults { bare: lacks("psql"), ..LOOK };
    postgresql_basebackup: postgresql::proof::Backed<postgresql::proof::Physical>, own(postgresql::Postgres::at_hand()),
        Faults { bare: lacks("psql"), ..DUMP };
    rabbitmq_copy: rabbitmq::Rabbit, own(rabbitmq::Rabbit::at_hand()),
        Faults { capture: Capture::Block, still: Fails(1, "look at"), bare: lacks("rabbitmqctl"), stranger: Fails(1, ".erlang.cookie"), ..DUMP };
    redis_dump: redis::proof::Dumped, own(redis::Redis::at_hand()),
        Faults { bare: lacks("redis-cli"), ..DUMP };
    redis_snapshot: redis::proof::Snapshot, own(redis::Redis::at_hand()),
        Faults { bare: lacks("redis-cli"), post_alone: Fails(1, "was held back"), ..LOOK };
    sqlite_dump: sqlite::proof::WithJournal<true>, own(sqlite::Sqlite::at_hand()),
        Faults { still: Right, bare: lacks("sqlite3"), stranger: Fails(2, "as the application's user"), ..DUMP };
    zookeeper_copy: zookeeper::Zookeeper, own(zookeeper::Zookeeper::at_hand()), LOOK;
}

/// It is a command of the vendor's in an image without a shell: there is no script that could go wrong.
const WITHOUT_A_SHELL: &str = "etcd_dump_distroless";

#[test]
fn a_command_without_a_shell_killed_at_any_moment_leaves_a_whole_dump() {
    if etcd::Etcd::at_hand()
        && let Some(installation) = Installation::named("etcd-3.5")
    {
        killed::<etcd::proof::Policed<{ etcd::proof::DISTROLESS }>>(&installation, &DUMP);
    }
}

#[test]
fn every_policy_that_is_on_by_default_is_among_them() {
    let defaults = defaults();
    let scripted = defaults
        .iter()
        // What a coordinator holds has faults of its own, in its tests.
        .filter(|place| place.policy.coordinator.is_none())
        .map(|place| place.policy.name.replace('-', "_"))
        .filter(|name| name != WITHOUT_A_SHELL);
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(scripted.collect::<Vec<_>>(), names);
}

/// A fresh server and a pod beside it.
fn pair<E: Engine>(installation: &Installation) -> (E, Pod) {
    let server = E::start(installation);
    let pod = Pod::inject(&server.pod(), &[]);
    server.mount(&pod);
    (server, pod)
}

fn killed<E: Engine>(installation: &Installation, faults: &Faults) {
    let container = installation.container();
    let (server, pod) = pair::<E>(installation);
    server.fill();
    let writers = Writers::start(|writer| server.session(writer));
    writers.have_written(10);
    let began = Instant::now();
    pod.run(Phase::Pre, &container).is_ok();
    let usual = began.elapsed();
    let dumps = !whole_dumps(&pod).is_empty();

    let mut choices = Choices::seeded("a hook killed at any moment");
    for number in 0..20 {
        let hook = pod.start(Phase::Pre, &container);
        // Not a wait for something: the moment is meant to be a random one.
        thread::sleep(usual * u32::try_from(choices.below(1100)).unwrap() / 1000);
        if number % 4 == 3 {
            hook.kill_alone();
        } else {
            hook.kill();
        }
        assert_eq!(!whole_dumps(&pod).is_empty(), dumps, "no dump is left");
        if number % 4 == 0 {
            let post = pod.run(Phase::Post, &container);
            if post.code != Some(0) {
                post.failed(1, &[]);
            }
        }
        writers.have_written(2);
    }
    let before = writers.record();
    // What a tool does whose hook is gone may take its time.
    eventually("the next one does it", || {
        let next = pod.run(Phase::Pre, &container);
        eprintln!("{next:?}");
        next.code == Some(0)
    });
    let after = writers.record();
    if dumps {
        let entries = fs::read_dir(pod.store()).unwrap();
        let left: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["current"]);
    }
    let captured =
        matches!(faults.capture, Capture::Block).then(|| at_one_instant(server.server()));
    writers.have_written(2);
    pod.run(Phase::Post, &container).is_ok();
    writers.stop();
    drop(server);

    let least = if E::DURABLE && captured.is_some() {
        after
    } else {
        before
    };
    let restored = match captured {
        Some(place) => E::open(installation, place),
        None => E::restore(installation, &pod),
    };
    let written = restored.and_then(|server| server.written()).unwrap();
    for writer in 0..WRITERS {
        assert!(
            written[writer] >= least[writer],
            "{written:?}, not {least:?}"
        );
    }
}

/// Every dump of the pod that has the mark of completion. It must be what was written.
fn whole_dumps(pod: &Pod) -> Vec<PathBuf> {
    let dumps = ["current", "previous", "new"].map(|name| pod.store().join(name));
    let marked = dumps
        .into_iter()
        .filter(|dump| dump.join("manifest").exists());
    marked.inspect(|dump| is_whole(dump)).collect()
}

fn is_whole(dump: &Path) {
    output(
        Command::new("sha256sum")
            .args(["--check", "--quiet", "checksums"])
            .current_dir(dump),
    );
}

fn unanswered<E: Engine>(installation: &Installation, faults: &Faults) {
    let (server, pod) = pair::<E>(installation);
    let container = installation.container();
    let began = Instant::now();
    pod.run(Phase::Pre, &container).is_ok();
    let usual = began.elapsed();
    let good = pod.files();

    let given_up = |outcome: &Outcome| match outcome.code {
        Some(4) => outcome.failed(4, &["was not done within"]),
        _ => faults.still.of(outcome),
    };
    let stopped = Stopped::all_of(server.server().pid());
    given_up(&pod.run(Phase::Pre, &container.clone().within(2)));
    drop(stopped);
    if let Fails(..) = faults.still {
        assert_eq!(pod.files(), good);
    }

    let hook = pod.start(Phase::Pre, &container.clone().within(3));
    thread::sleep(usual / 2);
    let stopped = Stopped::all_of(server.server().pid());
    let ended = hook.finish();
    drop(stopped);
    match ended.code {
        Some(0) => {}
        Some(code @ (1 | 4)) => {
            ended.failed(code, &[]);
            assert_eq!(pod.files(), good);
        }
        _ => panic!("{ended:?}"),
    }
    pod.run(Phase::Pre, &container).is_ok();
    pod.run(Phase::Post, &container).is_ok();

    if let Fails(..) = faults.still {
        let good = pod.files();
        let process = server.server().pid().to_string();
        output(Command::new("kill").args(["-KILL", &process]));
        given_up(&pod.run(Phase::Pre, &container));
        assert_eq!(pod.files(), good);
    }
}

fn contained<E: Engine>(installation: &Installation, faults: &Faults) {
    let (server, pod) = pair::<E>(installation);
    let read_only = |server: &E| Container {
        read_only: true,
        data: Some(server.server().folder.path().to_owned()),
        ..installation.container()
    };
    let container = read_only(&server);
    pod.run(Phase::Pre, &container).is_ok();
    pod.run(Phase::Post, &container).is_ok();
    let good = pod.files();

    let tools = tempfile::tempdir().unwrap();
    let bare = Container::of_a_small_image(tools.path(), &[]);
    faults.bare.of(&pod.run(Phase::Pre, &bare));
    if let Fails(..) = faults.bare {
        assert_eq!(pod.files(), good);
    }

    if is_root() {
        let other = Pod::inject(&server.pod(), &[]);
        server.mount(&other);
        let stranger = Container {
            uid: 12345,
            ..installation.container()
        };
        faults.stranger.of(&other.run(Phase::Pre, &stranger));
        match faults.stranger {
            Right => other.run(Phase::Post, &stranger).is_ok(),
            Fails(..) => assert!(whole_dumps(&other).is_empty()),
        }
    }

    drop(server);
    if pod.has(Phase::Restore) {
        let (server, fresh) = pair::<E>(installation);
        let restored = fresh.restored_from(&pod);
        let outcome = restored.run(Phase::Restore, &read_only(&server));
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
    }
}

fn disordered<E: Engine>(installation: &Installation, faults: &Faults) {
    let (_server, pod) = pair::<E>(installation);
    let container = installation.container();
    faults.post_alone.of(&pod.run(Phase::Post, &container));

    let (first, stopped) = halfway(&pod, &container);
    let second = pod.run(Phase::Pre, &container);
    if pod.lock().is_some() {
        second.failed(3, &["another run", "is active"]);
    } else {
        second.is_ok();
    }
    drop(stopped);
    first.finish().is_ok();
    whole_dumps(&pod);
    pod.run(Phase::Pre, &container).is_ok();
    pod.run(Phase::Post, &container).is_ok();
}

/// A hook at work that does not come to its end now: one that locks something has done so.
fn halfway(pod: &Pod, container: &Container) -> (Running, Stopped) {
    let locked = || pod.lock().is_none_or(|lock| lock.is_symlink());
    loop {
        let hook = pod.start(Phase::Pre, container);
        eventually("the hook has begun", || {
            locked() || pod.manifest().is_some()
        });
        let stopped = Stopped::all_of(hook.pid());
        if locked() {
            return (hook, stopped);
        }
        drop(stopped);
        hook.finish().is_ok();
    }
}
