//! The registry of metrics, and counters whose labels are known when the program is built.
use std::{fmt, sync::Arc};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, text},
    metrics::{MetricType, counter::Counter, histogram::Histogram},
    registry::Registry,
};

/// What `/metrics` must be served as.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything this process counts.
#[derive(Debug)]
pub struct Metrics(Registry);

impl Metrics {
    /// Nothing yet; every name registered will begin with `prefix` and an underscore.
    pub fn new(prefix: &str) -> Self {
        Self(Registry::with_prefix(prefix))
    }

    /// Where each part registers its own, before the first is asked for.
    pub fn registry(&mut self) -> &mut Registry {
        &mut self.0
    }

    /// All of them as [`CONTENT_TYPE`] says.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.0)?;
        Ok(text)
    }
}

/// A label set with a known number of values: an enum that can name all of them.
pub trait Closed: Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    const ALL: &'static [Self];

    /// The labels of one value, the same keys for each.
    fn labels(self) -> Vec<(&'static str, &'static str)>;
}

/// One counter for each value of a closed label set.
///
/// All of them exist from the start, so that a rate can be computed over the first increment too,
/// and counting never looks a label up by its text.
#[derive(Clone, Debug)]
pub struct Counters<L>(Arc<[(L, Counter)]>);

impl<L: Closed> Counters<L> {
    /// Registers them under `name`, to which the text format adds `_total`.
    pub fn register(registry: &mut Registry, name: &str, help: &str) -> Self {
        let counters = L::ALL.iter().map(|value| (*value, Counter::default()));
        let counters = Self(counters.collect());
        registry.register(name, help, counters.clone());
        counters
    }

    pub fn increment(&self, value: L) {
        if let Some(counter) = self.of(value) {
            counter.inc();
        }
    }

    pub fn count(&self, value: L) -> u64 {
        self.of(value).map_or(0, Counter::get)
    }

    fn of(&self, value: L) -> Option<&Counter> {
        let found = self.0.iter().find(|(each, _)| *each == value);
        debug_assert!(found.is_some(), "`Closed::ALL` leaves out {value:?}");
        found.map(|(_, counter)| counter)
    }
}

impl<L: Closed> EncodeMetric for Counters<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, counter) in &*self.0 {
            let labels = value.labels();
            counter.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Counter
    }
}

/// One histogram for each value of a closed label set. All of them exist from the start.
#[derive(Clone, Debug)]
pub struct Histograms<L>(Arc<[(L, Histogram)]>);

impl<L: Closed> Histograms<L> {
    /// Registers them under `name`, with buckets up to these bounds.
    pub fn register(registry: &mut Registry, name: &str, help: &str, bounds: &[f64]) -> Self {
        let histogram = || Histogram::new(bounds.iter().copied());
        let histograms = L::ALL.iter().map(|value| (*value, histogram()));
        let histograms = Self(histograms.collect());
        registry.register(name, help, histograms.clone());
        histograms
    }

    pub fn observe(&self, value: L, seen: f64) {
        let found = self.0.iter().find(|(each, _)| *each == value);
        debug_assert!(found.is_some(), "`Closed::ALL` leaves out {value:?}");
        if let Some((_, histogram)) = found {
            histogram.observe(seen);
        }
    }
}

impl<L: Closed> EncodeMetric for Histograms<L> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        for (value, histogram) in &*self.0 {
            let labels = value.labels();
            histogram.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Colour {
        Red,
        Green,
    }

    impl Closed for Colour {
        const ALL: &'static [Self] = &[Self::Red, Self::Green];

        fn labels(self) -> Vec<(&'static str, &'static str)> {
            let name = match self {
                Self::Red => "red",
                Self::Green => "green",
            };
            vec![("colour", name)]
        }
    }

    #[test]
    fn every_value_is_there_before_it_was_counted() {
        let mut metrics = Metrics::new("paint");
        let pots = Counters::register(metrics.registry(), "pots", "Pots used");
        pots.increment(Colour::Green);
        let text = metrics.encode().unwrap();
        let red = "paint_pots_total{colour=\"red\"} 0\n";
        let green = "paint_pots_total{colour=\"green\"} 1\n";
        assert!(text.contains(&format!("{red}{green}")), "{text}");
        assert!(text.ends_with("# EOF\n"));
        assert_eq!(pots.count(Colour::Green), 1);
    }

    #[test]
    fn what_is_seen_is_in_the_histogram_of_its_value() {
        let mut metrics = Metrics::new("paint");
        let dried = Histograms::register(metrics.registry(), "dried", "How long", &[1.0, 5.0]);
        dried.observe(Colour::Red, 2.0);
        let text = metrics.encode().unwrap();
        for line in [
            r#"paint_dried_bucket{le="1.0",colour="red"} 0"#,
            r#"paint_dried_bucket{le="5.0",colour="red"} 1"#,
            r#"paint_dried_count{colour="green"} 0"#,
            "# TYPE paint_dried histogram",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
