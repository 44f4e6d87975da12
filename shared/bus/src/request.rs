//! Typed request/reply with storage.

use std::{future::Future, time::Instant};

use futures_util::StreamExt;
use natter_telemetry::{Trace, metrics};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::{
    Bus, spans,
    storage_api::{StorageFault, StorageRequest},
    subjects,
};

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The service answered that it cannot.
    #[error(transparent)]
    Refused(StorageFault),
    /// Nobody answered, or not in time.
    #[error("storage does not answer: {0}")]
    Unreachable(String),
}

#[derive(Serialize, Deserialize)]
enum Reply<T> {
    #[serde(rename = "ok")]
    Ok(T),
    #[serde(rename = "fault")]
    Fault(StorageFault),
}

impl Bus {
    /// Asks storage.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask<R: StorageRequest>(&self, request: &R) -> Result<R::Reply, AskError> {
        let unreachable = |error: String| AskError::Unreachable(error);
        let payload = serde_json::to_vec(request).map_err(|error| unreachable(error.to_string()))?;
        let span = spans::ask(R::NAME);
        let subject = subjects::storage_request(R::NAME);
        let asked = async {
            match Trace::current() {
                Some(trace) => {
                    let headers = spans::header(&trace);
                    self.shared.client.request_with_headers(subject, headers, payload.into()).await
                }
                None => self.shared.client.request(subject, payload.into()).await,
            }
        };
        // The client's own limit does not cover waiting for room in its queue.
        let answer = tokio::time::timeout(self.request_timeout(), asked.instrument(span))
            .await
            .map_err(|_| unreachable("no answer in time".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
        match serde_json::from_slice(&answer.payload).map_err(|error| unreachable(error.to_string()))? {
            Reply::Ok(reply) => Ok(reply),
            Reply::Fault(fault) => Err(AskError::Refused(fault)),
        }
    }

    /// Answers requests of one kind until cancelled; replicas share them. At most `concurrency`
    /// run at once; more wait in the subscription, whose overflow the asker sees as no answer.
    /// Once cancelled, it still answers what had come before.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn respond<R, F, Fut>(
        &self,
        concurrency: usize,
        cancel: CancellationToken,
        handler: F,
    ) -> Result<(), String>
    where
        R: StorageRequest + 'static,
        F: Fn(R) -> Fut + Send + Sync,
        Fut: Future<Output = Result<R::Reply, StorageFault>> + Send + 'static,
    {
        let client = &self.shared.client;
        let subscribed = client.queue_subscribe(subjects::storage_request(R::NAME), "storage".to_owned()).await;
        let mut requests = subscribed.map_err(|error| error.to_string())?;
        let mut running = JoinSet::new();
        while let Some(message) = cancel.run_until_cancelled(requests.next()).await.flatten() {
            self.answer_one(message, concurrency, &mut running, &handler).await;
        }
        // From here on nothing more comes; what has come is answered.
        if requests.drain().await.is_ok() {
            while let Ok(Some(message)) = tokio::time::timeout(self.request_timeout(), requests.next()).await {
                self.answer_one(message, concurrency, &mut running, &handler).await;
            }
        }
        while running.join_next().await.is_some() {}
        Ok(())
    }

    async fn answer_one<R, F, Fut>(
        &self,
        message: async_nats::Message,
        concurrency: usize,
        running: &mut JoinSet<()>,
        handler: &F,
    ) where
        R: StorageRequest + 'static,
        F: Fn(R) -> Fut,
        Fut: Future<Output = Result<R::Reply, StorageFault>> + Send + 'static,
    {
        let Some(reply_to) = message.reply else { return };
        while running.len() >= concurrency {
            running.join_next().await;
        }
        while running.try_join_next().is_some() {}
        let span = spans::answer(R::NAME, message.headers.as_ref());
        let began = Instant::now();
        let answer = span.in_scope(|| serde_json::from_slice::<R>(&message.payload).map(handler));
        let client = self.shared.client.clone();
        let answered = async move {
            let reply = match answer {
                Ok(answer) => answer.await.map_or_else(Reply::Fault, Reply::Ok),
                Err(_) => Reply::Fault(StorageFault::Malformed),
            };
            let outcome = match &reply {
                Reply::Ok(_) => "ok",
                Reply::Fault(fault) => fault.name(),
            };
            metrics::STORAGE_REQUESTS.add(1, [R::NAME.into(), outcome.into()]);
            metrics::STORAGE_REQUEST.took(began.elapsed(), [R::NAME.into()]);
            if let Ok(bytes) = serde_json::to_vec(&reply)
                && let Err(error) = client.publish(reply_to, bytes.into()).await
            {
                tracing::debug!(%error, "an answer could not be sent");
            }
        };
        running.spawn(answered.instrument(span));
    }
}
