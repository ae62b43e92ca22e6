//! What a review is answered with: the reviewer's reply, or the server's own refusal.
use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::telemetry::metrics::Closed;

pub const JSON: &str = "application/json";
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Answers reviews. Pure and quick: it runs on the thread that serves the connections.
///
/// A panic costs only the review that it happened in.
pub trait Reviewer: Send + Sync + 'static {
    fn review(&self, body: &[u8]) -> Reply;
}

impl<F> Reviewer for F
where
    F: Fn(&[u8]) -> Reply + Send + Sync + 'static,
{
    fn review(&self, body: &[u8]) -> Reply {
        self(body)
    }
}

/// The answer to one review, ready to be sent.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub content_type: &'static str,
    pub body: Bytes,
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let Self {
            status,
            content_type,
            body,
        } = self;
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
        response
    }
}

/// Why the server itself answers, without the reviewer or in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Path,
    Method,
    ContentType,
    BodyTooLarge,
    BodyBroken,
    Busy,
    NoRoom,
    Late,
    Panicked,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::Busy | Self::NoRoom => StatusCode::SERVICE_UNAVAILABLE,
            Self::Late => StatusCode::GATEWAY_TIMEOUT,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn sentence(self) -> &'static str {
        match self {
            Self::Path => {
                "there is nothing at this path: reviews go to POST /mutate, those of a guard to /guard/warn or /guard/enforce\n"
            }
            Self::Method => "reviews are sent with POST\n",
            Self::ContentType => "a review has the content type application/json\n",
            Self::BodyTooLarge => "the body is too large for a review\n",
            Self::BodyBroken => "the body broke off before its end\n",
            Self::Busy => "too many reviews at once, try again\n",
            Self::NoRoom => "the bodies of other reviews take all memory for them, try again\n",
            Self::Late => "the review took longer than the time given for it\n",
            Self::Panicked => "the review failed because of a bug, see the log\n",
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Reply {
            status: self.status(),
            content_type: TEXT,
            body: Bytes::from_static(self.sentence().as_bytes()),
        }
        .into_response();
        let headers = response.headers_mut();
        if self == Self::Method {
            headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        if matches!(self, Self::Busy | Self::NoRoom) {
            // client-go, and so the API server, tries a 5xx again only when it is told when:
            // up to ten times within the time of the review.
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// How a request ended, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The reviewer's own answers, by class.
    Answered,
    Rejected,
    Failed,
    Refused(Refusal),
}

impl Outcome {
    pub(super) fn of(reply: &Reply) -> Self {
        if reply.status.is_server_error() {
            Self::Failed
        } else if reply.status.is_client_error() {
            Self::Rejected
        } else {
            Self::Answered
        }
    }
}

impl Closed for Outcome {
    const ALL: &'static [Self] = &[
        Self::Answered,
        Self::Rejected,
        Self::Failed,
        Self::Refused(Refusal::Path),
        Self::Refused(Refusal::Method),
        Self::Refused(Refusal::ContentType),
        Self::Refused(Refusal::BodyTooLarge),
        Self::Refused(Refusal::BodyBroken),
        Self::Refused(Refusal::Busy),
        Self::Refused(Refusal::NoRoom),
        Self::Refused(Refusal::Late),
        Self::Refused(Refusal::Panicked),
    ];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let (class, reason) = match self {
            Self::Answered => ("2xx", "answered"),
            Self::Rejected => ("4xx", "rejected"),
            Self::Failed => ("5xx", "failed"),
            Self::Refused(Refusal::Path) => ("4xx", "path"),
            Self::Refused(Refusal::Method) => ("4xx", "method"),
            Self::Refused(Refusal::ContentType) => ("4xx", "content_type"),
            Self::Refused(Refusal::BodyTooLarge) => ("4xx", "body_too_large"),
            Self::Refused(Refusal::BodyBroken) => ("4xx", "body_broken"),
            Self::Refused(Refusal::Busy) => ("5xx", "busy"),
            Self::Refused(Refusal::NoRoom) => ("5xx", "no_room"),
            Self::Refused(Refusal::Late) => ("5xx", "deadline"),
            Self::Refused(Refusal::Panicked) => ("5xx", "panic"),
        };
        vec![("class", class), ("reason", reason)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_class_a_refusal_is_counted_under_is_that_of_its_status() {
        for outcome in Outcome::ALL {
            if let Outcome::Refused(refusal) = outcome {
                let class = format!("{}xx", refusal.status().as_u16() / 100);
                assert_eq!(outcome.labels()[0].1, class, "{refusal:?}");
            }
        }
    }
}
