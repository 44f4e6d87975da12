//! W3C trace context (Recommendation of 2021-11-23): one function writes it, one reads it.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Which trace, and which span of it, something belongs to.
pub type TraceContext = opentelemetry::Context;

/// Writes `traceparent`, and `tracestate` when there is one, into headers of any kind. A context
/// without a trace writes nothing.
pub fn inject(context: &TraceContext, carrier: &mut dyn Injector) {
    TraceContextPropagator::new().inject_context(context, &mut Written(carrier));
}

/// Reads a trace context out of headers of any kind. Headers that are missing or malformed give a
/// context without a trace.
pub fn extract(carrier: &dyn Extractor) -> TraceContext {
    TraceContextPropagator::new().extract_with_context(&TraceContext::new(), carrier)
}

/// The trace context of the span that is entered now.
pub fn current() -> TraceContext {
    Span::current().context()
}

/// Makes a span, which must not have been entered yet, part of a trace that began elsewhere.
pub fn follow(span: &Span, context: TraceContext) {
    // Fails only when traces are not exported at all.
    let _ = span.set_parent(context);
}

/// Leaves out headers without a value: an empty `tracestate` says nothing.
struct Written<'a>(&'a mut dyn Injector);

impl Injector for Written<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.set(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use opentelemetry::trace::TraceContextExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_context_comes_back_through_headers() {
        for sent in
            [headers(&[("traceparent", PARENT)]), headers(&[("traceparent", PARENT), ("tracestate", "a=1,b=2")])]
        {
            let context = extract(&sent);
            assert_eq!(context.span().span_context().trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert!(context.span().span_context().is_remote());
            let mut received = HashMap::new();
            inject(&context, &mut received);
            assert_eq!(received, sent);
        }
    }

    #[test]
    fn malformed_headers_give_no_trace() {
        let long = PARENT.repeat(1000);
        for parent in
            ["", "00", "zz-xx-yy-01", &PARENT[..50], "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &long]
        {
            let context = extract(&headers(&[("traceparent", parent)]));
            assert!(!context.span().span_context().is_valid(), "{parent}");
        }
        assert!(!extract(&headers(&[])).span().span_context().is_valid());
    }

    #[test]
    fn without_a_trace_nothing_is_written() {
        let mut received = HashMap::new();
        inject(&TraceContext::new(), &mut received);
        assert!(received.is_empty());
    }
}
