//! Traces and metrics reach a collector over OTLP/HTTP, with the names that were asked for; log
//! lines carry the trace; a scrape shows the same metrics.
#![allow(clippy::unwrap_used)]

use natter_telemetry::{Config, Ingress, Trace, metrics};
use natter_testkit::Collector;
use tracing::field;

// Inside a runtime, as in the binary: the exporters must not depend on it, nor break in it.
#[tokio::test(flavor = "multi_thread")]
async fn the_guard_sends_the_last_traces_and_metrics() {
    let collector = Collector::start().await;
    let config = Config { otlp_endpoint: Some(collector.url().to_owned()), trace_ratio: 1.0, ..Config::default() };
    let guard = natter_telemetry::init(&config, "delivery").unwrap();
    let make =
        || tracing::info_span!(target: "natter_test", "a_span_to_find", otel.kind = "server", trace_id = field::Empty);
    let of_the_log = tracing::info_span!(target: "natter_test", "a_span_for_the_log").entered();
    let span = Ingress::decide(None).span(make);
    let trace = Trace::of(&span).unwrap().traceparent();
    span.in_scope(|| tracing::info!("inside"));
    drop((span, of_the_log));
    metrics::CONNECTION_CLOSES.add(2, ["going_away".into()]);
    metrics::RESUME.record(0.25, []);
    metrics::CONSUMER_LAG.set(7.0, ["storage".into(), "0".into()]);
    metrics::CONSUMER_LAG.set(8.0, ["storage".into(), "1".into()]);
    scraped(&["natter_consumer_lag_entries{partition=\"1\",service=\"storage\"} 8"], &[]);
    metrics::CONSUMER_LAG.forget(&["storage".into(), "1".into()]);
    scraped(
        &[
            "natter_connection_closes_total{code=\"going_away\"} 2",
            "natter_resume_seconds_bucket{le=\"0.3\"} 1",
            "natter_resume_seconds_count 1",
            "natter_consumer_lag_entries{partition=\"0\",service=\"storage\"} 7",
            // What has no labels is there before anything happens.
            "natter_delivery_poison_total 0",
            "natter_connection_sessions 0",
            "process_resident_memory_bytes",
        ],
        &["partition=\"1\"", "otel_scope"],
    );
    tokio::task::spawn_blocking(|| drop(guard)).await.unwrap();
    let spans = collector.spans();
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert_eq!((spans[0].name.as_str(), spans[0].service.as_str()), ("a_span_to_find", "natter-delivery"));
    assert!(trace.contains(&spans[0].trace) && trace.contains(&spans[0].id), "{trace}");
    let sent = collector.metrics();
    assert!(sent.contains("natter_resume_seconds") && sent.contains("natter_consumer_lag_entries"), "{sent:?}");
}

fn scraped(present: &[&str], absent: &[&str]) {
    let text = String::from_utf8(metrics::exposition()).unwrap();
    for line in present {
        assert!(text.contains(line), "{line} is missing in:\n{text}");
    }
    for part in absent {
        assert!(!text.contains(part), "{part} is in:\n{text}");
    }
}
