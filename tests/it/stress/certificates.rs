//! The certificate's directory, swapped again and again under load, with good pairs and bad ones.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustls::ClientConfig;
use tokio::net::TcpStream;

use super::{
    Choices,
    caller::{certificates, shake_hands, trusting},
    end,
    fixture::{self, Pair, Volume},
    load::{KEPT, Load},
    process::Process,
    reviews::patch,
};

const REFUSED: &str = "certificate_reloads_total{result=\"refused\"}";
const SWAPPED: &str = "certificate_reloads_total{result=\"swapped\"}";

/// One way in which a directory can be bad, and a word of the sentence that says so.
type Flaw = (&'static str, fn(&mut Volume, &Pair));

const FLAWS: &[Flaw] = &[
    ("does not fit", |volume, served| {
        let key = served.key.clone();
        volume.swap(&Pair {
            key,
            ..fixture::fresh()
        });
    }),
    // As by `cp`, which changes one file after the other: the new chain beside the old key.
    ("does not fit", |volume, _| {
        fs::write(volume.path().join("tls.crt"), fixture::fresh().chain).unwrap();
    }),
    ("no END line", |volume, served| {
        let half = served.chain.len() / 2;
        fs::write(volume.path().join("tls.crt"), &served.chain[..half]).unwrap();
    }),
    ("is no PEM file", |volume, _| {
        fs::write(volume.path().join("tls.key"), "").unwrap();
    }),
    ("expired", |volume, _| {
        let yesterday = SystemTime::now() - Duration::from_hours(24);
        volume.swap(&fixture::self_signed(yesterday));
    }),
    ("does not exist", |volume, _| {
        let key = String::new();
        volume.swap(&Pair {
            key,
            ..fixture::fresh()
        });
    }),
    ("is no PEM file", |volume, served| {
        let chain = "no certificate".to_owned();
        volume.swap(&Pair {
            chain,
            ..served.clone()
        });
    }),
];

/// What a caller must trust to accept this pair.
fn root(pair: &Pair) -> &str {
    pair.ca.as_ref().unwrap_or(&pair.chain)
}

/// The pairs that are served in turn, and callers who know all of their roots.
fn good() -> (Vec<Pair>, Arc<ClientConfig>) {
    let pairs = vec![
        fixture::fresh(),
        fixture::with_intermediate(),
        fixture::fresh(),
        fixture::with_intermediate(),
    ];
    let roots: Vec<&str> = pairs.iter().map(root).collect();
    let tls = trusting(&roots);
    (pairs, tls)
}

#[tokio::test]
async fn no_handshake_fails_that_the_old_pair_could_have_served() {
    let mut choices = Choices::seeded("certificates");
    let (pairs, tls) = good();
    let mut served = &pairs[0];
    let mut volume = Volume::of(served);
    let directory = volume.path().to_str().unwrap().to_owned();
    let process = Process::start(&["--cert-dir", &directory, "--reload", "50ms"]);
    let address = process.webhook;
    let mut load = Load::start(
        &tls,
        Box::new(move || address),
        Box::new(|uid, answer| assert!(!patch(uid, &answer.body).is_empty())),
    );
    load.answers(100).await;

    let end = end();
    let (mut swaps, mut refused) = (0, 0);
    while swaps < FLAWS.len() || Instant::now() < end {
        // Every flaw in the first round, any of them afterwards.
        let at_random = choices.below(FLAWS.len());
        let (sentence, spoil) = FLAWS.get(swaps).unwrap_or(&FLAWS[at_random]);
        let logged = process.log().len();
        refused = process.metric(REFUSED).await;
        spoil(&mut volume, served);
        process.until_metric(REFUSED, refused + 1).await;
        load.answers(50).await;
        process.until_logged(logged, sentence).await;
        assert!(shows(&process, &tls, served).await, "the old pair stays");
        assert!(process.is_ready().await);

        let swapped = process.metric(SWAPPED).await;
        served = &pairs[(swaps + 1) % pairs.len()];
        volume.swap(served);
        process.until_metric(SWAPPED, swapped + 1).await;
        assert!(shows(&process, &tls, served).await, "the new pair comes");
        load.answers(50).await;
        swaps += 1;
    }
    let answered = load.stop_without_loss().await;
    let accepted = process.metric("webhook_connections_accepted_total").await;
    assert!(accepted > KEPT as u64, "{accepted} connections");
    eprintln!(
        "certificates: {swaps} swaps, {refused} refused, {accepted} handshakes, {answered} answers, lost: none"
    );
}

/// Whether a new caller is shown the chain of this pair.
async fn shows(process: &Process, tls: &Arc<ClientConfig>, pair: &Pair) -> bool {
    let stream = TcpStream::connect(process.webhook).await.unwrap();
    let stream = shake_hands(tls, stream).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    shown == certificates(&pair.chain)
}
