//! Copies of whole streams, by JetStream's snapshots: the client library has no call for them.

use std::{fmt::Display, time::Duration};

use futures_util::StreamExt;
use natter_ids::Partition;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{Bus, definitions, subjects};

/// After so long without a word from the server a copy is given up.
const SILENT: Duration = Duration::from_secs(60);
const CHUNK_BYTES: usize = 128 * 1024;

/// A stream cannot be copied or put back.
#[derive(Debug, thiserror::Error)]
#[error("stream {stream}: {reason}")]
pub struct SnapshotError {
    /// Which.
    stream: String,
    /// Why.
    reason: String,
}

/// A stream's settings and extent, as the server tells them with a copy and wants them back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamCopy {
    /// Its settings.
    pub config: Value,
    /// What it holds.
    pub state: Value,
}

#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
    config: Option<Value>,
    state: Option<Value>,
    deliver_subject: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    description: String,
}

impl Bus {
    /// The streams that a backup keeps: the log, when people were last seen, and what
    /// gateways know of them, so that a device which was revoked stays so. The others hold
    /// what is learnt again or ends within a minute.
    pub fn kept_streams(&self) -> Vec<String> {
        let log = Partition::all(self.partitions()).map(subjects::stream);
        log.chain([subjects::LAST_SEEN_BUCKET, subjects::USERS_BUCKET].map(|bucket| format!("KV_{bucket}"))).collect()
    }

    /// Whether there is such a stream.
    ///
    /// # Errors
    /// [`SnapshotError`].
    pub async fn has_stream(&self, stream: &str) -> Result<bool, SnapshotError> {
        let found = definitions::found_stream(self, stream).await.map_err(|reason| failed(stream, reason))?;
        Ok(found.is_some())
    }

    /// Copies a stream as of now, piece by piece.
    ///
    /// # Errors
    /// [`SnapshotError`]; what was written until then is no copy.
    pub async fn save_stream(
        &self,
        stream: &str,
        mut write: impl FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<StreamCopy, SnapshotError> {
        let client = &self.shared.client;
        let inbox = client.new_inbox();
        let mut chunks = client.subscribe(inbox.clone()).await.map_err(|error| failed(stream, error))?;
        let request = json!({ "deliver_subject": inbox, "no_consumers": true, "chunk_size": CHUNK_BYTES });
        let answer = self.ask_server(stream, format!("$JS.API.STREAM.SNAPSHOT.{stream}"), &request).await?;
        let (Some(config), Some(state)) = (answer.config, answer.state) else {
            return Err(failed(stream, "the server does not tell what it copies"));
        };
        loop {
            let next = timeout(SILENT, chunks.next()).await.map_err(|_| failed(stream, "the server is silent"))?;
            let chunk = next.ok_or_else(|| failed(stream, "the connection is closed"))?;
            if chunk.payload.is_empty() {
                // The end, or the server's reason for it.
                return match chunk.status.filter(|status| status.as_u16() >= 300) {
                    Some(status) => {
                        let why = chunk.description.unwrap_or_default();
                        Err(failed(stream, format!("the server broke off: {status} {why}")))
                    }
                    None => Ok(StreamCopy { config, state }),
                };
            }
            write(&chunk.payload).map_err(|error| failed(stream, error))?;
            if let Some(reply) = chunk.reply {
                client.publish(reply, "".into()).await.map_err(|error| failed(stream, error))?;
            }
        }
    }

    /// Makes a stream again that does not exist, from a copy. It gets the number of replicas that
    /// is configured now.
    ///
    /// # Errors
    /// [`SnapshotError`]; there is no such stream then.
    pub async fn load_stream(
        &self,
        stream: &str,
        mut copy: StreamCopy,
        mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
    ) -> Result<(), SnapshotError> {
        if let Some(config) = copy.config.as_object_mut() {
            config.insert("num_replicas".to_owned(), self.config().replicas.into());
            // Logs of earlier releases took no deletion, and no server changes that later.
            config.remove("deny_delete");
        }
        let answer = self.ask_server(stream, format!("$JS.API.STREAM.RESTORE.{stream}"), &copy).await?;
        let Some(to) = answer.deliver_subject else { return Err(failed(stream, "the server takes no copy")) };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = read(&mut chunk).map_err(|error| failed(stream, error))?;
            let sent = self.shared.client.request(to.clone(), chunk[..length].to_vec().into());
            let answer = timeout(SILENT, sent).await.map_err(|_| failed(stream, "the server is silent"))?;
            let answer = answer.map_err(|error| failed(stream, error))?;
            if answer.payload.is_empty() && length > 0 {
                continue;
            }
            let said: Answer = serde_json::from_slice(&answer.payload)
                .map_err(|_| failed(stream, String::from_utf8_lossy(&answer.payload)))?;
            return match said.error {
                Some(refusal) => Err(failed(stream, refusal.description)),
                None if length > 0 => Err(failed(stream, "the server wants no more of the copy")),
                None => Ok(()),
            };
        }
    }

    async fn ask_server(
        &self,
        stream: &str,
        subject: String,
        request: &impl Serialize,
    ) -> Result<Answer, SnapshotError> {
        let payload = serde_json::to_vec(request).map_err(|error| failed(stream, error))?;
        let answer = timeout(SILENT, self.shared.client.request(subject, payload.into())).await;
        let answer = answer.map_err(|_| failed(stream, "the server is silent"))?.map_err(|e| failed(stream, e))?;
        let answer: Answer = serde_json::from_slice(&answer.payload).map_err(|error| failed(stream, error))?;
        match answer.error {
            Some(refusal) => Err(failed(stream, refusal.description)),
            None => Ok(answer),
        }
    }
}

fn failed(stream: &str, reason: impl Display) -> SnapshotError {
    SnapshotError { stream: stream.to_owned(), reason: reason.to_string() }
}
