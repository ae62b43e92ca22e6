//! Asks something of the API server while we lead, and tells apart why it was not done.
use std::{fmt, time::Duration};

use tokio::time;

use crate::kubernetes::{Leadership, with_causes};

/// After the first failure; twice as long after each further one, up to the interval.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// Who asks.
#[derive(Clone)]
pub struct Asking {
    pub leadership: Leadership,
    /// How long a request may take: less than the lease lasts when it is not renewed any more.
    pub patience: Duration,
}

/// Why the API server did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    Forbidden,
    /// Somebody else was faster.
    Conflict,
    /// It does not take what we wrote.
    Invalid,
    TooManyRequests,
    /// An error of its own.
    Server,
    Unreachable,
    TimedOut,
}

impl Failure {
    pub const ALL: &'static [Self] = &[
        Self::Forbidden,
        Self::Conflict,
        Self::Invalid,
        Self::TooManyRequests,
        Self::Server,
        Self::Unreachable,
        Self::TimedOut,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "forbidden",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::TooManyRequests => "too_many_requests",
            Self::Server => "server",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed_out",
        }
    }
}

/// Why something is left as it is for now.
#[derive(Debug)]
pub enum Halt {
    /// Somebody else leads, or will soon.
    NotLeading,
    /// The object or its namespace is gone, or on its way.
    Gone,
    Failed(Failure, String),
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLeading => f.write_str("this controller does not lead any more"),
            Self::Gone => f.write_str("it is gone"),
            Self::Failed(failure, reason) => write!(f, "{}: {reason}", failure.as_str()),
        }
    }
}

impl Asking {
    /// Asks the API server while we lead, and waits no longer than we do for sure.
    pub async fn ask<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Halt> {
        if !self.leadership.is_held() {
            return Err(Halt::NotLeading);
        }
        match time::timeout(self.patience, request).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(halt(&error)),
            Err(_) => Err(Halt::Failed(
                Failure::TimedOut,
                format!("no answer within {:?}", self.patience),
            )),
        }
    }
}

/// How long to wait after so many failures in a row.
pub fn pause(failures: u32, at_most: Duration) -> Duration {
    FIRST_PAUSE
        .saturating_mul(1 << failures.min(16))
        .min(at_most)
}

fn halt(error: &kube::Error) -> Halt {
    let kube::Error::Api(status) = error else {
        return Halt::Failed(Failure::Unreachable, with_causes(error));
    };
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let terminating = causes
        .clone()
        .any(|cause| cause.reason == "NamespaceTerminating");
    let failure = match status.code {
        404 => return Halt::Gone,
        403 if terminating => return Halt::Gone,
        401 | 403 => Failure::Forbidden,
        409 => Failure::Conflict,
        429 => Failure::TooManyRequests,
        400..=499 => Failure::Invalid,
        _ => Failure::Server,
    };
    Halt::Failed(failure, status.message.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(code: u16, cause: Option<&str>) -> String {
        let status = json!({
            "status": "Failure", "code": code, "message": "because", "reason": "R",
            "details": {"causes": cause.map(|it| json!({"reason": it})).into_iter().collect::<Vec<_>>()},
        });
        let status = serde_json::from_value(status).unwrap();
        match halt(&kube::Error::Api(Box::new(status))) {
            Halt::NotLeading => "not leading".to_owned(),
            Halt::Gone => "gone".to_owned(),
            Halt::Failed(failure, reason) => format!("{} {reason}", failure.as_str()),
        }
    }

    #[test]
    fn a_namespace_that_goes_is_no_failure() {
        assert_eq!(check(404, None), "gone");
        assert_eq!(check(403, Some("NamespaceTerminating")), "gone");
    }

    #[test]
    fn answers_of_the_api_server_have_their_reason() {
        for (code, reason) in [
            (401, "forbidden because"),
            (403, "forbidden because"),
            (409, "conflict because"),
            (422, "invalid because"),
            (429, "too_many_requests because"),
            (500, "server because"),
            (503, "server because"),
        ] {
            assert_eq!(check(code, None), reason);
        }
    }

    #[test]
    fn pauses_grow_to_the_interval() {
        let pauses = [0, 1, 2, 99].map(|failures| pause(failures, Duration::from_mins(1)));
        let seconds = pauses.map(|it| it.as_secs_f32().to_string());
        assert_eq!(seconds, ["0.5", "1", "2", "60"]);
    }
}
