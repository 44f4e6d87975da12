//! The catalogue as a page.

use std::fmt::Write;

use super::{Kind, Label, catalogue};

const HEAD: &str = "\
<!-- Made by `natter metrics`: edit shared/telemetry/src/metrics/ and run `./justw generate`. -->

# Metrics

Every process of Natter shows these on `/metrics` of its admin listener (`admin.listen`), in the format of Prometheus,
and sends them over OTLP where that is configured ([tracing.md](tracing.md) tells how). Each process shows what it
knows: gateways their sessions, storage the archive, and so on. Durations are in seconds, sizes in bytes.

No label has a value for a user, conversation, device or connection. The number of series is bounded by the
configuration; OpenTelemetry's own limit of 2,000 series for each metric stands behind that.

A process also shows `process_*` (CPU, memory, open files; on Linux) and `target_info`.

";

/// The page of all metrics and labels.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    page.push_str("| metric | kind | labels | meaning |\n|---|---|---|---|\n");
    for metric in catalogue::all() {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{}`", label.name())).collect();
        let (labels, meaning) = (labels.join(", "), metric.meaning.trim());
        let _ = writeln!(page, "| `{}` | {kind} | {labels} | {meaning} |", metric.name);
    }
    page.push_str("\n## Labels\n\n| label | values |\n|---|---|\n");
    for label in Label::ALL {
        let _ = writeln!(page, "| `{}` | {} |", label.name(), label.values());
    }
    page
}
