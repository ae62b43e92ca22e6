//! Sets up the log: text for people, JSON for machines, always on standard error.
mod paced;

use std::{
    env,
    error::Error,
    fmt,
    io::{self, IsTerminal as _},
    panic::{self, PanicHookInfo},
    str::FromStr,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::counter::ConstCounter,
    registry::Registry,
};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{EnvFilter, filter::ParseError};

use paced::Paced;

/// How many lines may wait while nobody takes them from standard error.
const WAITING: usize = 4096;

/// What is logged when nobody says. The client tells of each failed connection too, and we say it once.
const USUAL: &str = "info,kube_client::client::builder=off";

/// What a log line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Json,
}

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error(
        "log level {directives:?} of {variable} cannot be read: {because}; write for example info or debug"
    )]
    Level {
        variable: String,
        directives: String,
        because: ParseError,
    },
    #[error("the log is set up already: {0}")]
    Install(Box<dyn Error + Send + Sync>),
}

#[derive(Debug, thiserror::Error)]
#[error("unknown log format {0:?}, write text or json")]
pub struct UnknownFormat(String);

/// The log at work: what waits is written when this is dropped.
#[derive(Debug)]
#[must_use = "without it nothing more is written"]
pub struct Log {
    _writer: WorkerGuard,
    lost: Lost,
}

/// How many lines nobody took in time.
#[derive(Clone, Debug)]
struct Lost(ErrorCounter);

impl Log {
    /// Registers the number of lines that were lost.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_collector(Box::new(self.lost.clone()));
    }
}

impl Collector for Lost {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let lost = ConstCounter::new(self.0.dropped_lines() as u64);
        let help = "Log lines that nobody took from standard error in time";
        lost.encode(encoder.encode_descriptor("log_lines_lost", help, None, lost.metric_type())?)
    }
}

/// Sends log lines of this program to standard error. Whoever logs never waits for who reads: lines
/// that nobody takes are lost, and counted.
///
/// The first of the environment `variables` that is set and not empty says what is logged
/// (`debug`, `info,hyper=debug`, …); without one it is `info`. Without a `format`, a terminal gets
/// text and everything else gets JSON. Panics become log lines too.
pub fn install(format: Option<Format>, variables: &[&str]) -> Result<Log, LogError> {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(WAITING)
        .thread_name("log")
        .finish(Paced::new(io::stderr()));
    let lost = Lost(writer.error_counter());
    let builder = tracing_subscriber::fmt()
        .with_writer(writer)
        .with_env_filter(filter(variables, |name| env::var(name).ok())?);
    match format.unwrap_or_else(Format::that_suits_stderr) {
        Format::Text => builder.with_ansi(colour()).try_init(),
        Format::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(LogError::Install)?;
    panic::set_hook(Box::new(log_panic));
    Ok(Log {
        _writer: guard,
        lost,
    })
}

fn filter(
    variables: &[&str],
    value_of: impl Fn(&str) -> Option<String>,
) -> Result<EnvFilter, LogError> {
    let chosen = variables.iter().find_map(|name| {
        value_of(name)
            .filter(|value| !value.is_empty())
            .map(|value| (name, value))
    });
    let Some((variable, directives)) = chosen else {
        return Ok(EnvFilter::new(USUAL));
    };
    EnvFilter::try_new(&directives).map_err(|because| LogError::Level {
        variable: (*variable).to_owned(),
        directives,
        because,
    })
}

/// Colour only where a person looks, and not where they said no: <https://no-color.org>.
fn colour() -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}

/// A formatted panic message may quote what was being read, and what we read has secrets in it:
/// only messages that stand in the source are repeated. The place says the rest.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload().downcast_ref::<&'static str>().copied();
    let place = panic.location().map(ToString::to_string);
    tracing::error!(
        place = place.as_deref().unwrap_or("unknown"),
        panic = message.unwrap_or("not told, because it may quote what was read"),
        "panicked; this is a bug"
    );
}

impl Format {
    fn that_suits_stderr() -> Self {
        if io::stderr().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(variables: &[(&str, &str)]) -> Result<String, LogError> {
        let value_of = |name: &str| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        filter(&["OURS", "RUST_LOG"], value_of).map(|filter| filter.to_string())
    }

    #[test]
    fn formats_are_read_as_they_are_written() {
        for format in [Format::Text, Format::Json] {
            assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        }
        assert!("yaml".parse::<Format>().is_err());
    }

    #[test]
    fn the_first_variable_that_is_set_decides() {
        assert_eq!(level(&[]).unwrap(), EnvFilter::new(USUAL).to_string());
        assert_eq!(level(&[("RUST_LOG", "debug")]).unwrap(), "debug");
        assert_eq!(
            level(&[("OURS", "warn"), ("RUST_LOG", "debug")]).unwrap(),
            "warn"
        );
        assert_eq!(
            level(&[("OURS", ""), ("RUST_LOG", "debug")]).unwrap(),
            "debug"
        );
    }

    #[test]
    fn a_level_that_cannot_be_read_names_its_variable() {
        let error = level(&[("RUST_LOG", "info,hyper=loud")]).unwrap_err();
        assert!(error.to_string().contains("RUST_LOG"), "{error}");
    }
}
