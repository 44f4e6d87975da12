//! Traces: which trace something belongs to, and how that travels (W3C Trace Context,
//! Recommendation of 2021-11-23).
//!
//! Whether a trace is recorded is decided once, where a client's request enters. Only what is
//! recorded carries a `traceparent` from there on: all the rest costs nothing.

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::sampling;

/// The header and the field of frames that carry a trace.
pub const TRACEPARENT: &str = "traceparent";

/// A span of a trace, as others refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace(SpanContext);

impl Trace {
    /// The span that is entered now, if it is recorded.
    pub fn current() -> Option<Self> {
        Self::of(&Span::current())
    }

    /// A span, if it is recorded.
    pub fn of(span: &Span) -> Option<Self> {
        if span.is_disabled() {
            return None;
        }
        let context = span.context().span().span_context().clone();
        (context.is_valid() && context.is_sampled()).then_some(Self(context))
    }

    /// Reads a `traceparent`; nothing when it is none.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let mut parts = traceparent.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let hex =
            |text: &str, length| text.len() == length && text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        let known = hex(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
        if !known || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) {
            return None;
        }
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
        let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        context.is_valid().then_some(Self(context))
    }

    /// The `traceparent` of it.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-{:02x}", self.0.trace_id(), self.0.span_id(), self.0.trace_flags().to_u8())
    }

    /// Makes a span, which must not have been entered yet, a part of this trace, and writes the
    /// trace's id into its field `trace_id`, for the log.
    pub fn adopt(&self, span: &Span) {
        // Fails only when traces are not exported at all.
        let _ = span.set_parent(Context::new().with_remote_span_context(self.0.clone()));
        span.record("trace_id", self.0.trace_id().to_string());
    }

    /// Points from a span to this one, which is part of another trace or branch.
    pub fn link_from(&self, span: &Span) {
        span.add_link(self.0.clone());
    }
}

/// What a client's request is traced by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ingress {
    /// Not at all.
    Untraced,
    /// As the beginning of a trace.
    Root,
    /// In the trace that the client named; recorded only if that was decided here.
    Within(Trace),
}

impl Ingress {
    /// Decides about a request. What the client says of sampling is not trusted: otherwise every
    /// client could make every request be recorded. Its `tracestate` is not taken over at all.
    pub fn decide(traceparent: Option<&str>) -> Self {
        let recorded = sampling::decide();
        let flags = if recorded { TraceFlags::SAMPLED } else { TraceFlags::default() };
        match traceparent.and_then(Trace::parse) {
            Some(Trace(said)) => {
                let context = SpanContext::new(said.trace_id(), said.span_id(), flags, true, TraceState::NONE);
                Self::Within(Trace(context))
            }
            None if recorded => Self::Root,
            None => Self::Untraced,
        }
    }

    /// Makes the span of the request; `make` is not called for what is not traced. The span needs
    /// an empty field `trace_id`.
    pub fn span(&self, make: impl FnOnce() -> Span) -> Span {
        match self {
            Self::Untraced => Span::none(),
            Self::Root => {
                let span = make();
                let context = span.context();
                span.record("trace_id", context.span().span_context().trace_id().to_string());
                span
            }
            Self::Within(trace) => {
                let span = make();
                trace.adopt(&span);
                span
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_comes_back_through_its_header() {
        assert_eq!(Trace::parse(PARENT).unwrap().traceparent(), PARENT);
        // A later version may have more parts.
        let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
        assert_eq!(Trace::parse(later).unwrap().traceparent(), PARENT);
    }

    #[test]
    fn malformed_headers_give_no_trace() {
        let long = PARENT.repeat(1000);
        let longer = format!("{PARENT}-00");
        let upper = PARENT.to_uppercase();
        for parent in [
            "",
            "00",
            "zz-xx-yy-01",
            &PARENT[..50],
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            &long,
            &longer,
            &upper,
        ] {
            assert_eq!(Trace::parse(parent), None, "{parent}");
        }
    }

    #[test]
    fn a_client_does_not_decide_what_is_recorded() {
        // Without an exporter nothing is recorded, whatever the client's flag says.
        let Ingress::Within(Trace(context)) = Ingress::decide(Some(PARENT)) else { panic!("the trace was named") };
        assert!(!context.is_sampled());
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(Ingress::decide(None), Ingress::Untraced);
        assert_eq!(Ingress::decide(Some("nonsense")), Ingress::Untraced);
    }

    #[test]
    fn outside_of_a_span_there_is_no_trace() {
        assert_eq!(Trace::current(), None);
    }
}
