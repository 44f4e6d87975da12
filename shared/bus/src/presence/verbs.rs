//! Reports, questions and changes, over NATS.

use std::future::Future;

use futures_util::StreamExt;
use natter_ids::UserId;
use natter_protocol::PresenceView;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::GatewayReport;
use crate::{Bus, subjects};

/// The reports of all gateways.
pub struct GatewayReports(async_nats::Subscriber);

impl GatewayReports {
    /// The next report; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<GatewayReport> {
        loop {
            let message = self.0.next().await?;
            if let Ok(report) = serde_json::from_slice(&message.payload) {
                return Some(report);
            }
            tracing::warn!("a gateway's report could not be read");
        }
    }
}

/// Requests for full reports.
pub struct RefreshRequests(async_nats::Subscriber);

impl RefreshRequests {
    /// The next request; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<()> {
        self.0.next().await.map(drop)
    }
}

/// The changes of every user's presence.
pub struct PresenceChanges(async_nats::Subscriber);

impl PresenceChanges {
    /// The next change; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<PresenceView> {
        loop {
            let message = self.0.next().await?;
            if let Ok(view) = serde_json::from_slice(&message.payload) {
                return Some(view);
            }
        }
    }
}

/// Every error here is a sentence for operators: the connection is closed or nobody answers.
impl Bus {
    /// Tells everybody who keeps a registry.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn report_presence(&self, report: &GatewayReport) -> Result<(), String> {
        self.publish_json(subjects::gateway_report(&report.gateway), report).await
    }

    /// Subscribes to the reports of all gateways.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn gateway_reports(&self) -> Result<GatewayReports, String> {
        let subscription = self.shared.client.subscribe(subjects::GATEWAY_REPORTS).await;
        subscription.map(GatewayReports).map_err(|error| error.to_string())
    }

    /// Asks every gateway for a full report.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn request_presence_refresh(&self) -> Result<(), String> {
        self.publish_json(subjects::GATEWAY_REFRESH.to_owned(), &()).await
    }

    /// Subscribes to requests for full reports.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn refresh_requests(&self) -> Result<RefreshRequests, String> {
        let subscription = self.shared.client.subscribe(subjects::GATEWAY_REFRESH).await;
        subscription.map(RefreshRequests).map_err(|error| error.to_string())
    }

    /// Asks presence about users.
    ///
    /// # Errors
    /// Nobody answers in time.
    pub async fn ask_presence(&self, users: &[UserId]) -> Result<Vec<PresenceView>, String> {
        let payload = serde_json::to_vec(users).map_err(|error| error.to_string())?;
        let asked = self.shared.client.request(subjects::PRESENCE_QUERY, payload.into());
        let answer =
            tokio::time::timeout(self.request_timeout(), asked).await.map_err(|_| "no answer in time".to_owned())?;
        let answer = answer.map_err(|error| error.to_string())?;
        serde_json::from_slice(&answer.payload).map_err(|error| error.to_string())
    }

    /// Answers questions about users until cancelled; replicas share them.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn respond_presence<F, Fut>(
        &self,
        at_once: usize,
        cancel: CancellationToken,
        answer: F,
    ) -> Result<(), String>
    where
        F: Fn(Vec<UserId>) -> Fut + Send + Sync,
        Fut: Future<Output = Vec<PresenceView>> + Send + 'static,
    {
        let client = &self.shared.client;
        let subscribed = client.queue_subscribe(subjects::PRESENCE_QUERY, "presence".to_owned()).await;
        let mut questions = subscribed.map_err(|error| error.to_string())?;
        let mut running = JoinSet::new();
        while let Some(Some(message)) = cancel.run_until_cancelled(questions.next()).await {
            let (Some(reply_to), Ok(users)) = (message.reply, serde_json::from_slice(&message.payload)) else {
                continue;
            };
            while running.len() >= at_once {
                running.join_next().await;
            }
            while running.try_join_next().is_some() {}
            let (client, answer) = (client.clone(), answer(users));
            running.spawn(async move {
                if let Ok(bytes) = serde_json::to_vec(&answer.await) {
                    let _ = client.publish(reply_to, bytes.into()).await;
                }
            });
        }
        Ok(())
    }

    /// Tells whoever watches the user.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn announce_presence(&self, view: &PresenceView) -> Result<(), String> {
        self.publish_json(subjects::presence_changed(&view.user), view).await
    }

    /// Subscribes to the changes of every user's presence: one subscription, whoever is watched.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn presence_changes(&self) -> Result<PresenceChanges, String> {
        let subscription = self.shared.client.subscribe(subjects::PRESENCE_CHANGES).await;
        subscription.map(PresenceChanges).map_err(|error| error.to_string())
    }

    /// Keeps when the user's last device went, in milliseconds since 1970 UTC.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn keep_last_seen(&self, user: &UserId, at: u64) -> Result<(), String> {
        let bucket = self.last_seen_bucket().await?;
        bucket.put(user.token(), at.to_string().into()).await.map(drop).map_err(|error| error.to_string())
    }

    /// Forgets when the user's last device went.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn forget_last_seen(&self, user: &UserId) -> Result<(), String> {
        self.keep_last_seen(user, 0).await
    }

    /// When the user's last device went, in milliseconds since 1970 UTC, if ever.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn last_seen(&self, user: &UserId) -> Result<Option<u64>, String> {
        let bucket = self.last_seen_bucket().await?;
        let value = bucket.get(user.token()).await.map_err(|error| error.to_string())?;
        let at = value.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.parse().ok());
        Ok(at.filter(|at| *at > 0))
    }

    /// Opened once: opening asks the server, and presence writes often.
    async fn last_seen_bucket(&self) -> Result<&async_nats::jetstream::kv::Store, String> {
        self.shared.last_seen.get_or_try_init(|| self.bucket(subjects::LAST_SEEN_BUCKET)).await
    }
}
