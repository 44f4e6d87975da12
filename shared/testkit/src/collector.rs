//! An OpenTelemetry collector that keeps what it is sent, for tests: OTLP over HTTP with protobuf.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;

/// A span as it was received. Ids are in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// `service.name` of whoever sent it.
    pub service: String,
    /// Its name.
    pub name: String,
    /// Its kind, such as `Server`.
    pub kind: String,
    /// Its trace.
    pub trace: String,
    /// Its own id.
    pub id: String,
    /// Its parent's id; empty for the first one of a trace.
    pub parent: String,
    /// Trace and id of what it links to.
    pub links: Vec<(String, String)>,
    /// Attributes, as text.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Default)]
struct Received {
    spans: Vec<ReceivedSpan>,
    metrics: BTreeSet<String>,
}

/// Listens on a port of its own until dropped.
pub struct Collector {
    url: String,
    received: Arc<Mutex<Received>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Collector {
    /// Starts one.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let routes = Router::new()
            .route("/v1/traces", post(take_traces))
            .route("/v1/metrics", post(take_metrics))
            .with_state(Arc::clone(&received));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port for the collector");
        let url = format!("http://{}", listener.local_addr().expect("the collector's address"));
        #[allow(clippy::disallowed_methods, reason = "aborted when the collector is dropped")]
        let listening = tokio::spawn(async move { axum::serve(listener, routes).await.expect("the collector serves") });
        Self { url, received, listening }
    }

    /// What `telemetry.otlp_endpoint` is set to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Every span so far.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        lock(&self.received).spans.clone()
    }

    /// The names of all metrics so far.
    pub fn metrics(&self) -> BTreeSet<String> {
        lock(&self.received).metrics.clone()
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take_traces(State(received): State<Arc<Mutex<Received>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    for sent in request.resource_spans {
        let resource = sent.resource.map(|resource| attributes(resource.attributes)).unwrap_or_default();
        let service = resource.get("service.name").cloned().unwrap_or_default();
        let spans = sent.scope_spans.into_iter().flat_map(|scope| scope.spans);
        lock(&received).spans.extend(spans.map(|span| read(span, &service)));
    }
    StatusCode::OK
}

async fn take_metrics(State(received): State<Arc<Mutex<Received>>>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportMetricsServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    let scopes = request.resource_metrics.into_iter().flat_map(|sent| sent.scope_metrics);
    lock(&received).metrics.extend(scopes.flat_map(|scope| scope.metrics).map(|metric| metric.name));
    StatusCode::OK
}

fn read(span: Span, service: &str) -> ReceivedSpan {
    ReceivedSpan {
        service: service.to_owned(),
        kind: format!("{:?}", span.kind()),
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        name: span.name,
        attributes: attributes(span.attributes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        Value::StringValue(text) => text,
        other => format!("{other:?}"),
    };
    pairs.into_iter().filter_map(|pair| Some((pair.key, text(pair.value?.value?)))).collect()
}
