//! Who may call at all, when `--client-ca` says so.

use std::fs;

use hyper::StatusCode;

use super::{
    caller::{Caller, showing, trusting},
    fixture,
    process::Process,
    reviews::review,
};
use crate::support::quiescent;

fn failures(reason: &str) -> String {
    format!("webhook_tls_handshake_failures_total{{reason=\"{reason}\"}}")
}

#[tokio::test]
async fn only_callers_with_a_certificate_of_the_client_ca_are_answered() {
    let (right, wrong) = (fixture::with_intermediate(), fixture::with_intermediate());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("callers.crt");
    fs::write(&file, right.ca.as_ref().unwrap()).unwrap();
    let process = Process::start(&["--client-ca", file.to_str().unwrap()]);
    let served = process.get("/ca.pem").await.1;
    assert!(process.is_ready().await, "probes need no certificate");

    let mut known = Caller::new(&showing(&right, &[&served]));
    let answer = known
        .send(process.webhook, review("known", 10))
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK);

    let logged = process.log().len();
    let mut nobody = Caller::new(&trusting(&[&served]));
    let answer = nobody.send(process.webhook, review("nobody", 10)).await;
    let lost = answer.err().unwrap().to_string();
    assert!(lost.contains("CertificateRequired"), "{lost}");
    process
        .until_metric(&failures("client_certificate_missing"), 1)
        .await;
    process.until_logged(logged, "shows no certificate").await;

    // Whoever has been answered since makes the next failure worth a word again.
    known.leave();
    known
        .send(process.webhook, review("known", 10))
        .await
        .unwrap();
    let mut stranger = Caller::new(&showing(&wrong, &[&served]));
    let answer = stranger.send(process.webhook, review("stranger", 10)).await;
    let lost = answer.err().unwrap().to_string();
    assert!(lost.contains("AlertReceived"), "{lost}");
    process
        .until_metric(&failures("client_certificate_refused"), 1)
        .await;
    process
        .until_logged(logged, "a caller's certificate is not accepted")
        .await;

    known.leave();
    let answer = known
        .send(process.webhook, review("known", 10))
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    let answered = "webhook_requests_total{class=\"2xx\",reason=\"answered\"}";
    assert_eq!(process.metric(answered).await, 3);
}

#[test]
fn what_cannot_be_served_with_is_named_at_the_start() {
    let told = |arguments: &[&str]| {
        let mut command =
            quiescent(&["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let run = command.args(arguments).output().unwrap();
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8(run.stderr).unwrap()
    };
    let missing = told(&["--client-ca", "/nowhere/callers.crt"]);
    assert!(
        missing.contains("client CA /nowhere/callers.crt cannot be read"),
        "{missing}"
    );
    let small = told(&["--body-memory", "4Mi"]);
    assert!(small.contains("one review alone may have 8Mi"), "{small}");
    let strange = told(&["--body-memory", "much"]);
    assert!(strange.contains("such as 32Mi"), "{strange}");
}
