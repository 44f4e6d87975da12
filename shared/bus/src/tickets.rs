//! Single-use tickets, shared by all gateways.

use async_nats::jetstream::stream::LastRawMessageErrorKind;

use crate::{Bus, subjects};

impl Bus {
    /// Keeps a ticket's contents under its id, until redeemed or expired.
    ///
    /// # Errors
    /// A sentence, when the bucket cannot be reached.
    pub async fn keep_ticket(&self, id: &str, contents: String) -> Result<(), String> {
        let bucket = self.bucket(subjects::TICKETS_BUCKET).await?;
        bucket.create(id, contents.into()).await.map(drop).map_err(|error| error.to_string())
    }

    /// Takes a ticket's contents, once: `None` when there is no such ticket or somebody else, on
    /// any gateway, took it before.
    ///
    /// # Errors
    /// A sentence, when the bucket cannot be reached.
    pub async fn redeem_ticket(&self, id: &str) -> Result<Option<String>, String> {
        let legal = !id.is_empty()
            && id.len() <= 128
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !legal {
            return Ok(None);
        }
        let bucket = self.bucket(subjects::TICKETS_BUCKET).await?;
        // From the leader: another server may not have yet what a gateway was told a moment ago.
        let entry = match bucket.stream.get_last_raw_message_by_subject(&format!("{}{id}", bucket.prefix)).await {
            Ok(entry) => entry,
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        // A ticket that was taken has left a mark in its place.
        if entry.headers.get("KV-Operation").is_some() {
            return Ok(None);
        }
        // Deleting exactly this revision succeeds for one redeemer only.
        if bucket.delete_expect_revision(id, Some(entry.sequence)).await.is_err() {
            return Ok(None);
        }
        Ok(String::from_utf8(entry.payload.to_vec()).ok())
    }

    pub(crate) async fn bucket(&self, name: &str) -> Result<async_nats::jetstream::kv::Store, String> {
        self.shared.jetstream.get_key_value(name).await.map_err(|error| error.to_string())
    }
}
