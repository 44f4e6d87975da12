//! Marks on their way: from storage, which has stored them, over delivery, which knows who is
//! online, into inboxes. Nothing is kept: who misses some asks storage what has changed since.

use futures_util::StreamExt;
use natter_ids::{ConversationId, Seq, UserId};
use natter_protocol::{ArrangementView, MarkView, MarksView, SettingsView};
use serde::{Deserialize, Serialize};

use crate::{Bus, subjects};

/// A member's marks, as they are stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMark {
    /// Whose.
    pub user: UserId,
    /// A device has every entry up to here.
    pub delivered: Seq,
    /// What they have read: for themselves alone.
    pub read: Seq,
    /// What of it others are shown.
    pub shown: Seq,
}

impl StoredMark {
    /// What a user is shown of it.
    pub fn view(&self, for_user: &UserId, sees_read: bool) -> MarkView {
        let read = match (*for_user == self.user, sees_read) {
            (true, _) => self.read,
            (false, true) => self.shown,
            (false, false) => 0,
        };
        MarkView { user: self.user.clone(), delivered: self.delivered, read }
    }
}

/// Who is told of a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Who.
    pub user: UserId,
    /// Whether they are shown what others have read.
    pub sees_read: bool,
}

/// Marks of one conversation that have just risen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarksChange {
    /// Where.
    pub conversation: ConversationId,
    /// The marks.
    pub marks: Vec<StoredMark>,
    /// Everybody to tell.
    pub recipients: Vec<Recipient>,
}

impl MarksChange {
    /// What one of the recipients is told.
    pub fn view(&self, recipient: &Recipient) -> MarksView {
        let marks = self.marks.iter().map(|mark| mark.view(&recipient.user, recipient.sees_read)).collect();
        MarksView { conversation: self.conversation.clone(), marks }
    }
}

/// What delivery is asked to send to whoever is online.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notice {
    /// Marks have risen.
    Marks(MarksChange),
    /// A user has arranged a conversation.
    Arrangement {
        /// Whose list it is.
        user: UserId,
        /// How the conversation is arranged.
        arranged: ArrangementView,
    },
    /// A user has changed their settings.
    Settings {
        /// Whose.
        user: UserId,
        /// What holds now.
        settings: SettingsView,
    },
}

/// What a user's devices are told besides events: may be lost, and can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// Marks of a conversation.
    Marks(MarksView),
    /// How the user has arranged a conversation.
    Arrangement(ArrangementView),
    /// The user's own settings.
    Settings(SettingsView),
}

/// What storage has to tell, shared by the replicas of delivery.
pub struct Notices(async_nats::Subscriber);

impl Notices {
    /// The next one; `None` when the connection to NATS was closed for good. Cancel safe.
    pub async fn next(&mut self) -> Option<Notice> {
        loop {
            let message = self.0.next().await?;
            match serde_json::from_slice(&message.payload) {
                Ok(notice) => return Some(notice),
                Err(error) => tracing::warn!(%error, "a notice could not be read"),
            }
        }
    }
}

impl Bus {
    /// Asks delivery to tell whoever is online.
    ///
    /// # Errors
    /// A sentence, when the connection is closed or away.
    pub async fn notify(&self, notice: &Notice) -> Result<(), String> {
        if !self.is_connected() {
            // It would wait in the client's buffer and be news no more.
            return Err("not connected to NATS".to_owned());
        }
        self.publish_json(subjects::NOTICES.to_owned(), notice).await
    }

    /// Subscribes to this replica's share of what storage has to tell.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn notices(&self) -> Result<Notices, String> {
        let subscription = self.shared.client.queue_subscribe(subjects::NOTICES, "delivery".to_owned()).await;
        subscription.map(Notices).map_err(|error| error.to_string())
    }

    /// Sends a note into a user's inbox.
    ///
    /// # Errors
    /// A sentence, when the connection is closed.
    pub async fn send_note(&self, user: &UserId, note: &Note) -> Result<(), String> {
        let mut bytes = b"N\n".to_vec();
        serde_json::to_writer(&mut bytes, note).map_err(|error| error.to_string())?;
        let sent = self.shared.client.publish(subjects::inbox(user), bytes.into()).await;
        sent.map_err(|error| error.to_string())
    }
}
