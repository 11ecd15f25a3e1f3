//! Families of metrics in the text format of Prometheus, by the crate of that name.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder, TextEncoder};

/// Metrics that are being collected.
#[derive(Debug, Default)]
pub(crate) struct Families(Vec<MetricFamily>);

/// A label: its name and value.
pub(crate) type Label<'a> = (&'static str, &'a str);

impl Families {
    /// Adds the values of a gauge, each with its labels. A gauge without values does not appear.
    pub(crate) fn gauge<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([Label<'a>; N], f64)>,
    ) {
        self.add(name, help, MetricType::GAUGE, values, |metric, value| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        });
    }

    /// The same for a counter. Its name ends in `_total`.
    pub(crate) fn counter<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = ([Label<'a>; N], f64)>,
    ) {
        self.add(name, help, MetricType::COUNTER, values, |metric, value| {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        });
    }

    fn add<'a, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        values: impl IntoIterator<Item = ([Label<'a>; N], f64)>,
        set: impl Fn(&mut Metric, f64),
    ) {
        let metric = |(labels, value): ([Label<'a>; N], f64)| {
            let mut metric = Metric::default();
            metric.set_label(labels.iter().map(|label| pair(*label)).collect());
            set(&mut metric, value);
            metric
        };
        let metrics: Vec<Metric> = values.into_iter().map(metric).collect();
        if metrics.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        family.set_metric(metrics);
        self.0.push(family);
    }

    /// Returns the text.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Every family has a metric, and a vector takes every byte: there is no error.
        let _ = TextEncoder::new().encode(&self.0, &mut text);
        text
    }
}

fn pair((name, value): Label<'_>) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
