//! The router of the admin port, asked without a network.
use axum::{
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::shutdown::channel;

async fn check(router: &Router, path: &str, status: u16, body: &str) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status().as_u16(), status, "{path}");
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(String::from_utf8_lossy(&bytes), body, "{path}");
}

fn admin(readiness: Readiness, shutdown: Shutdown) -> Router {
    let metrics = Arc::new(Metrics::new("it"));
    let route = Route {
        path: "/sample",
        content_type: "application/json",
        body: Box::new(|| b"{}".to_vec()),
    };
    router(metrics, readiness, vec![route], shutdown)
}

#[tokio::test]
async fn every_path_answers_and_the_others_name_them() {
    let (_trigger, shutdown) = channel();
    let admin = admin(Readiness::default(), shutdown);
    check(&admin, "/livez", 200, "alive\n").await;
    check(&admin, "/readyz", 200, "ready\n").await;
    check(&admin, "/metrics", 200, "# EOF\n").await;
    check(&admin, "/sample", 200, "{}").await;
    let index = "there is nothing at this path; try /livez /readyz /metrics /sample\n";
    check(&admin, "/", 404, index).await;

    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let response = admin.oneshot(request).await.unwrap();
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        metrics::CONTENT_TYPE
    );
}

#[tokio::test]
async fn who_is_not_ready_is_named() {
    let (_trigger, shutdown) = channel();
    let readiness = Readiness::default()
        .with("namespaces", || false)
        .with("certificate", || true)
        .with("rules", || false);
    let admin = admin(readiness, shutdown);
    check(&admin, "/readyz", 503, "not ready: namespaces, rules\n").await;
    check(&admin, "/livez", 200, "alive\n").await;
}

#[tokio::test]
async fn who_leaves_is_alive_but_not_ready() {
    let (trigger, shutdown) = channel();
    let admin = admin(Readiness::default(), shutdown);
    trigger.drain();
    check(&admin, "/readyz", 503, "not ready: shutting down\n").await;
    check(&admin, "/livez", 200, "alive\n").await;
}
