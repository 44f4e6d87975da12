//! An issuer that publishes its keys over HTTP.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{Router, http::StatusCode, routing::get};
use natter_auth::{Config, Verifier};
use serde_json::Value;
use tokio::task::JoinSet;

#[derive(Default)]
struct Published {
    body: Mutex<String>,
    down: AtomicBool,
    /// Takes a request and never answers.
    hangs: AtomicBool,
    asked: AtomicUsize,
}

pub struct Issuer {
    url: String,
    published: Arc<Published>,
    /// Stops the server when dropped.
    _server: JoinSet<()>,
}

impl Issuer {
    pub async fn start(keys: &Value) -> Self {
        let published = Arc::new(Published::default());
        let shared = Arc::clone(&published);
        let answer = move || {
            let published = Arc::clone(&shared);
            async move {
                published.asked.fetch_add(1, Ordering::SeqCst);
                if published.hangs.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                let body = published.body.lock().unwrap().clone();
                let down = published.down.load(Ordering::SeqCst);
                (if down { StatusCode::BAD_GATEWAY } else { StatusCode::OK }, body)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, Router::new().route("/keys", get(answer))).await.unwrap() });
        let issuer = Self { url, published, _server: server };
        issuer.publish(keys);
        issuer
    }

    pub fn publish(&self, keys: &Value) {
        *self.published.body.lock().unwrap() = keys.to_string();
    }

    pub fn set_down(&self, down: bool) {
        self.published.down.store(down, Ordering::SeqCst);
    }

    pub fn set_hanging(&self, hangs: bool) {
        self.published.hangs.store(hangs, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.published.asked.load(Ordering::SeqCst)
    }

    pub fn config(&self) -> Config {
        Config { jwks_url: Some(self.url.clone()), ..Config::default() }
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::new(self.config()).unwrap()
    }
}
