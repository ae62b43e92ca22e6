//! Which failures are over when the API server is back.

/// Whether the same request may succeed later. A refusal stays one.
#[must_use]
pub fn passes(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => matches!(status.code, 408 | 429) || status.code >= 500,
        kube::Error::BuildRequest(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stays_one() {
        let api = |code| {
            let status = kube::core::Status::failure("no", "").with_code(code);
            kube::Error::Api(Box::new(status))
        };
        for (code, again) in [
            (403, false),
            (404, false),
            (409, false),
            (429, true),
            (500, true),
            (503, true),
        ] {
            assert_eq!(passes(&api(code)), again, "{code}");
        }
        let away = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert!(passes(&kube::Error::Service(Box::new(away))));
    }
}
