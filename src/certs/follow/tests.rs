//! What a follower makes of a directory that changes below it.
use std::fs;

use super::*;
use crate::{
    certs::fixture::{Pair, Volume, fresh, self_signed, with_intermediate},
    telemetry::metrics::Metrics,
};

struct Following {
    follower: Follower,
    served: Arc<Served>,
    metrics: Metrics,
}

fn follow(volume: &Volume) -> Following {
    follow_after(volume, Duration::ZERO)
}

fn follow_after(volume: &Volume, trust_delay: Duration) -> Following {
    let mut metrics = Metrics::new("it");
    let counted = CertificateMetrics::register(metrics.registry());
    let directory = Directory::new(volume.path());
    let files = directory.files().unwrap();
    let certificate = files.certificate(SystemTime::now()).unwrap();
    let served = Served::new(certificate, counted);
    Following {
        follower: Follower::new(directory, files, Arc::clone(&served), trust_delay),
        served,
        metrics,
    }
}

impl Following {
    fn poll(&mut self) -> Poll {
        self.follower.poll(SystemTime::now())
    }

    fn serves(&self) -> String {
        self.served.current().fingerprint().to_owned()
    }

    fn check_kept(&mut self, part: &str) {
        match self.poll() {
            Poll::Kept(failure) => {
                assert!(failure.to_string().contains(part), "{failure}");
            }
            other => panic!("{other:?} instead of {part:?}"),
        }
        assert!(matches!(self.poll(), Poll::Unchanged), "told twice");
    }
}

#[test]
fn a_swapped_volume_is_served() {
    let mut volume = Volume::of(&fresh());
    let mut following = follow(&volume);
    let first = following.serves();
    assert!(matches!(following.poll(), Poll::Unchanged));

    volume.swap(&with_intermediate());
    assert!(matches!(following.poll(), Poll::Swapped));
    assert_ne!(following.serves(), first);
    assert!(matches!(following.poll(), Poll::Unchanged));

    let text = following.metrics.encode().unwrap();
    assert!(
        text.contains("it_certificate_reloads_total{result=\"swapped\"} 1\n"),
        "{text}"
    );
    let end = unix_seconds(following.served.current().not_after());
    assert!(
        text.contains(&format!("it_certificate_not_after_seconds {end}\n")),
        "{text}"
    );
}

#[test]
fn a_half_written_pair_keeps_the_old_one_until_it_is_whole() {
    let mut volume = Volume::of(&fresh());
    let mut following = follow(&volume);
    let first = following.serves();

    let next = fresh();
    volume.swap(&Pair {
        key: fresh().key,
        ..next.clone()
    });
    following.check_kept("does not fit");
    volume.swap(&Pair {
        key: String::new(),
        ..next.clone()
    });
    following.check_kept("tls.key does not exist");
    let half = next.chain[..next.chain.len() / 2].to_owned();
    volume.swap(&Pair {
        chain: half,
        ..next.clone()
    });
    following.check_kept("no END line");
    assert_eq!(following.serves(), first);

    volume.swap(&next);
    assert!(matches!(following.poll(), Poll::Swapped));
    assert_ne!(following.serves(), first);
    let text = following.metrics.encode().unwrap();
    assert!(
        text.contains("it_certificate_reloads_total{result=\"refused\"} 3\n"),
        "{text}"
    );
}

#[test]
fn an_expired_pair_and_a_vanished_directory_keep_the_old_one() {
    let mut volume = Volume::of(&fresh());
    let mut following = follow(&volume);
    let first = following.serves();

    volume.swap(&self_signed(SystemTime::now() - Duration::from_hours(1)));
    following.check_kept("expired");
    fs::remove_dir_all(volume.path()).unwrap();
    following.check_kept("tls.crt does not exist");
    assert_eq!(following.serves(), first);
}

#[test]
fn a_certificate_of_another_authority_waits_for_its_callers() {
    const DELAY: Duration = Duration::from_secs(10);
    let mut volume = Volume::of(&with_intermediate());
    let mut following = follow_after(&volume, DELAY);
    let first = following.serves();
    let seen = SystemTime::now();
    let poll = |following: &mut Following, after| {
        following.follower.poll(seen + Duration::from_secs(after))
    };

    volume.swap(&with_intermediate());
    assert!(matches!(poll(&mut following, 0), Poll::Waits));
    assert!(matches!(poll(&mut following, 9), Poll::Waits));
    // Another one that comes meanwhile waits for as long.
    volume.swap(&with_intermediate());
    assert!(matches!(poll(&mut following, 10), Poll::Waits));
    assert_eq!(following.serves(), first);
    assert!(matches!(poll(&mut following, 20), Poll::Swapped));
    assert_ne!(following.serves(), first);
    assert!(matches!(poll(&mut following, 21), Poll::Unchanged));
}

#[test]
fn a_certificate_that_ends_is_not_shown_while_another_waits() {
    let soon = SystemTime::now() + Duration::from_secs(9);
    let mut volume = Volume::of(&self_signed(soon));
    let mut following = follow_after(&volume, Duration::from_secs(10));
    volume.swap(&fresh());
    assert!(matches!(following.poll(), Poll::Swapped));
}

#[tokio::test]
async fn the_directory_is_looked_at_again_and_again() {
    let mut volume = Volume::of(&fresh());
    let following = follow(&volume);
    let first = following.serves();
    volume.swap(&fresh());

    let served = Arc::clone(&following.served);
    let changed = async {
        while served.current().fingerprint() == first {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        panic = following.follower.run(Duration::from_millis(1)) => panic!("{panic}"),
        () = changed => {}
    }
}
