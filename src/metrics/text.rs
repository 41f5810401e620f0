//! The answer to a scrape: Prometheus' text format 0.0.4, or OpenMetrics 1.0.
//!
//! They differ in that OpenMetrics names a counter's family without `_total`, tells units and when each series began (`_created`), and ends
//! in `# EOF`. In both, a backslash, a
//! quote and a line break in a label's value are escaped, so a value is never taken for another line.

use std::fmt::Write;
use std::sync::atomic::Ordering::Relaxed;

use super::families::{DURATION, FAMILIES, HISTOGRAM_BOUNDS};
use super::layout::{BUCKETS, VALUE};
use super::table::{Metrics, Series};

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
    /// `text/plain; version=0.0.4`.
    Prometheus,
}

/// A value that goes up and down, or an information with the value 1.
#[derive(Debug, Clone)]
pub struct Gauge {
    /// As it is written.
    pub name: String,
    /// A sentence.
    pub help: String,
    /// Labels, and the value.
    pub series: Vec<(Vec<(String, String)>, f64)>,
}

impl Metrics {
    /// All series, and these gauges before them.
    pub fn text(&self, format: Format, gauges: &[Gauge]) -> String {
        let mut text = String::with_capacity(1 << 16);
        for gauge in gauges {
            head(&mut text, &gauge.name, &gauge.help, "gauge");
            for (labels, value) in &gauge.series {
                text.push_str(&gauge.name);
                let labels = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                write_labels(&mut text, labels);
                let _ = writeln!(text, " {value}");
            }
        }
        for (family, series) in FAMILIES.iter().zip(self.counters()) {
            if series.is_empty() {
                continue;
            }
            let total = format!("{}_total", family.name);
            let named = if format == Format::OpenMetrics { family.name } else { &total };
            head(&mut text, named, family.help, "counter");
            for one in &series {
                let Some(values) = one.labels() else { continue };
                text.push_str(&total);
                write_labels(&mut text, family.labels.iter().copied().zip(values));
                let _ = writeln!(text, " {}", one.slot[VALUE].load(Relaxed));
                if format == Format::OpenMetrics
                    && let Some(values) = one.labels()
                {
                    let _ = write!(text, "{}_created", family.name);
                    write_labels(&mut text, family.labels.iter().copied().zip(values));
                    let _ = writeln!(text, " {}", one.born);
                }
            }
        }
        let histograms = self.histograms();
        if !histograms.is_empty() {
            head(&mut text, DURATION.name, DURATION.help, "histogram");
            if format == Format::OpenMetrics {
                let _ = writeln!(text, "# UNIT {} seconds", DURATION.name);
            }
            histograms.iter().for_each(|series| write_histogram(&mut text, series, format));
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: &str) {
    let _ = writeln!(
        text,
        "# HELP {name} {}\n# TYPE {name} {kind}",
        help.replace('\\', r"\\").replace('\n', r"\n")
    );
}

fn write_histogram(text: &mut String, series: &Series<'_>, format: Format) {
    let Some(values) = series.labels() else { return };
    let mut labels = String::new();
    for (name, value) in series.family.labels.iter().zip(values) {
        let _ = write!(labels, "{name}=\"");
        escape(&mut labels, value);
        labels.push_str("\",");
    }
    let labels = labels.trim_end_matches(',');
    let mut count = 0_u64;
    let bounds = HISTOGRAM_BOUNDS.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
    for (word, bound) in series.slot.iter().skip(BUCKETS).zip(bounds) {
        count = count.wrapping_add(word.load(Relaxed));
        let _ = writeln!(text, "{}_bucket{{{labels},le=\"{bound}\"}} {count}", DURATION.name);
    }
    let sum = series.slot[VALUE].load(Relaxed) as f64 / 1e6;
    let _ = writeln!(
        text,
        "{}_sum{{{labels}}} {sum}\n{}_count{{{labels}}} {count}",
        DURATION.name, DURATION.name
    );
    if format == Format::OpenMetrics {
        let _ = writeln!(text, "{}_created{{{labels}}} {}", DURATION.name, series.born);
    }
}

fn write_labels<'a>(text: &mut String, labels: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut is_first = true;
    for (name, value) in labels {
        text.push(if is_first { '{' } else { ',' });
        is_first = false;
        text.push_str(name);
        text.push_str("=\"");
        escape(text, value);
        text.push('"');
    }
    if !is_first {
        text.push('}');
    }
}

fn escape(text: &mut String, value: &str) {
    if !value.bytes().any(|byte| matches!(byte, b'\\' | b'"' | b'\n' | b'\r')) {
        return text.push_str(value);
    }
    for character in value.chars() {
        match character {
            '\\' => text.push_str(r"\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str(r"\n"),
            // Old readers take it for the end of a line.
            '\r' => text.push('\u{fffd}'),
            other => text.push(other),
        }
    }
}
