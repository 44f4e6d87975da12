//! Single-use tickets, shared by all gateways.

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
        let Some(entry) = bucket.entry(id).await.map_err(|error| error.to_string())? else { return Ok(None) };
        if entry.operation != async_nats::jetstream::kv::Operation::Put {
            return Ok(None);
        }
        // Deleting exactly this revision succeeds for one redeemer only.
        if bucket.delete_expect_revision(id, Some(entry.revision)).await.is_err() {
            return Ok(None);
        }
        Ok(String::from_utf8(entry.value.to_vec()).ok())
    }

    pub(crate) async fn bucket(&self, name: &str) -> Result<async_nats::jetstream::kv::Store, String> {
        self.shared.jetstream.get_key_value(name).await.map_err(|error| error.to_string())
    }
}
