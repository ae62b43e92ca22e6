//! The path of one review: checks of the request, the body, the reviewer, the answer.
use std::{
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, Response, header, request::Parts},
    response::IntoResponse as _,
};
use hyper::body::Incoming;
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};

use super::{
    Limits, Reviewers, body,
    connection::Site,
    deadline::allowance,
    metrics::ServerMetrics,
    reply::{Outcome, Refusal, Reply, Reviewer},
    room::Room,
};

pub(super) struct Webhook {
    reviewers: Reviewers,
    /// One permit for each review that may be under way.
    reviews: Semaphore,
    body_limit: usize,
    room: Room,
    deadline: Duration,
    metrics: ServerMetrics,
}

impl Webhook {
    pub(super) fn new(reviewers: Reviewers, limits: Limits, metrics: ServerMetrics) -> Self {
        Self {
            reviewers,
            reviews: Semaphore::new(limits.reviews),
            body_limit: limits.body,
            room: Room::new(limits.bodies),
            deadline: limits.deadline,
            metrics,
        }
    }
}

impl Site for Webhook {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        let mut reviewers = self.reviewers.iter();
        let reply = match reviewers.find(|(path, _)| *path == head.uri.path()) {
            None => Err(Refusal::Path),
            Some(_) if head.method != Method::POST => Err(Refusal::Method),
            Some((_, reviewer)) => self.review(&**reviewer, &head, &mut body).await,
        };
        match reply {
            Ok(reply) => {
                self.metrics.requests.increment(Outcome::of(&reply));
                reply.into_response()
            }
            Err(refusal) => self.refuse(refusal, &head.headers, body).await,
        }
    }
}

impl Webhook {
    async fn review(
        &self,
        reviewer: &dyn Reviewer,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Reply, Refusal> {
        let started = Instant::now();
        if !is_json(&head.headers) {
            return Err(Refusal::ContentType);
        }
        // Never waits: callers are better served by another replica than by a queue of ours.
        let _permit = self.reviews.try_acquire().map_err(|_| Refusal::Busy)?;
        let _in_flight = self.metrics.in_flight.enter();

        let deadline = started + allowance(&head.uri, self.deadline);
        let reading = body::read(body, self.body_limit, &self.room);
        let (body, _share) = time::timeout_at(deadline, reading)
            .await
            .map_err(|_| Refusal::Late)??;

        let reply = panic::catch_unwind(AssertUnwindSafe(|| reviewer.review(&body)))
            .map_err(|_| Refusal::Panicked)?;
        let now = Instant::now();
        self.metrics.duration.observe((now - started).as_secs_f64());
        if now > deadline {
            return Err(Refusal::Late);
        }
        Ok(reply)
    }

    async fn refuse(
        &self,
        refusal: Refusal,
        headers: &HeaderMap,
        body: Incoming,
    ) -> Response<Body> {
        self.metrics.requests.increment(Outcome::Refused(refusal));
        tracing::debug!(reason = ?refusal, "request refused");
        // Who asks before sending gets the answer instead of the permission to send, and for whom
        // there is no time left there is none to read on.
        let asks_first = headers.contains_key(header::EXPECT);
        if !asks_first && refusal != Refusal::Late {
            body::discard(body).await;
        }
        refusal.into_response()
    }
}

/// `application/json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
