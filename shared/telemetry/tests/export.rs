//! Traces reach a collector over OTLP/HTTP, with the headers and names that were asked for.
#![allow(clippy::unwrap_used)]

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

/// Takes one request and answers it; returns the head and the body.
fn collect_one(listener: &TcpListener) -> (String, Vec<u8>) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut received = Vec::new();
    let head_end = loop {
        read_some(&mut stream, &mut received);
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = String::from_utf8(received[..head_end].to_vec()).unwrap();
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let length: usize = length.unwrap().parse().unwrap();
    while received.len() < head_end + length {
        read_some(&mut stream, &mut received);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    (head, received.split_off(head_end))
}

fn read_some(stream: &mut TcpStream, into: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).unwrap();
    assert!(count > 0, "the exporter closed the connection");
    into.extend_from_slice(&buffer[..count]);
}

// Inside a runtime, as in the binary: the exporter must not depend on it, nor break in it.
#[tokio::test]
async fn the_guard_sends_the_last_traces_to_the_configured_endpoint() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    #[allow(clippy::disallowed_methods, reason = "joined below")]
    let collector = std::thread::spawn(move || collect_one(&listener));
    let config = natter_telemetry::Config { otlp_endpoint: Some(endpoint), ..natter_telemetry::Config::default() };
    let guard = natter_telemetry::init(&config, "delivery").unwrap();
    tracing::info_span!("a_span_to_find").in_scope(|| tracing::info!("inside"));
    drop(guard);
    let (head, body) = collector.join().unwrap();
    assert!(head.starts_with("POST /v1/traces "), "{head}");
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("a_span_to_find"), "{body}");
    assert!(body.contains("natter-delivery"), "{body}");
}
