//! Why a handshake came to nothing: a closed list, for the log and the metrics.
use crate::telemetry::metrics::Closed;

/// Why a handshake came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The caller went away, as port scanners and TCP probes do.
    Disconnected,
    /// The caller does not trust our certificate.
    CertificateRefused,
    /// The caller shows no certificate, and must.
    ClientCertificateMissing,
    /// The caller's certificate is not one of the client CA, or not valid now.
    ClientCertificateRefused,
    /// No common version, cipher or group.
    Incompatible,
    /// Somebody speaks HTTP without TLS.
    PlainHttp,
    NotTls,
    TimedOut,
}

impl Closed for Failure {
    const ALL: &'static [Self] = &[
        Self::Disconnected,
        Self::CertificateRefused,
        Self::ClientCertificateMissing,
        Self::ClientCertificateRefused,
        Self::Incompatible,
        Self::PlainHttp,
        Self::NotTls,
        Self::TimedOut,
    ];

    fn labels(self) -> Vec<(&'static str, &'static str)> {
        let reason = match self {
            Self::Disconnected => "disconnected",
            Self::CertificateRefused => "certificate_refused",
            Self::ClientCertificateMissing => "client_certificate_missing",
            Self::ClientCertificateRefused => "client_certificate_refused",
            Self::Incompatible => "incompatible",
            Self::PlainHttp => "plain_http",
            Self::NotTls => "not_tls",
            Self::TimedOut => "timed_out",
        };
        vec![("reason", reason)]
    }
}
