//! Requests that change messages. Each is repeated after a lost connection, under the same id, and
//! happens once.

use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{HistoryPage, MessageDraft, ReactorPage, Request, ServerFrame};

use crate::{
    Accepted, Client, RequestError, SendError,
    requests::{Result, accepted, page},
};

type Sent = std::result::Result<Accepted, SendError>;

impl Client {
    /// Gives a message of one's own another text, which mentions nobody; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn edit(&self, of: &ConversationId, target: Seq, text: &str) -> Result<Seq> {
        self.edit_mentioning(of, target, text, &[]).await
    }

    /// Like [`Client::edit`], with a text that mentions these members and nobody else.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn edit_mentioning(
        &self,
        of: &ConversationId,
        target: Seq,
        text: &str,
        mentions: &[UserId],
    ) -> Result<Seq> {
        let (conversation, client_id, text) = (of.clone(), self.new_client_id(), text.to_owned());
        self.change(Request::Edit { conversation, client_id, target, text, mentions: mentions.to_vec() }).await
    }

    /// Answers a message, and mentions members; like [`Client::send`].
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn reply(&self, to: &ConversationId, target: Seq, text: &str, mentions: &[UserId]) -> Sent {
        self.reply_with_id(to, self.new_client_id(), target, text, mentions).await
    }

    /// Like [`Client::reply`], under an id that was made, and perhaps tried, before.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn reply_with_id(
        &self,
        to: &ConversationId,
        client_id: ClientId,
        target: Seq,
        text: &str,
        mentions: &[UserId],
    ) -> Sent {
        let (text, mentions) = (text.to_owned(), mentions.to_vec());
        self.send_draft(to.clone(), MessageDraft { client_id, text, reply_to: Some(target), mentions }).await
    }

    /// Like [`Client::send_with_id`], of a message that may answer another and mention members.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send_draft(&self, to: ConversationId, draft: MessageDraft) -> Sent {
        let MessageDraft { client_id, text, reply_to, mentions } = draft;
        let request = Request::Send { conversation: to.clone(), client_id, text, reply_to, mentions };
        self.say(to, client_id, request).await
    }

    /// Says a message of one conversation again in another, like [`Client::send`]. Whose it is can be left
    /// untold.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn forward(&self, of: (&ConversationId, Seq), to: &ConversationId, hide_sender: bool) -> Sent {
        self.forward_with_id(of, to, self.new_client_id(), hide_sender).await
    }

    /// Like [`Client::forward`], under an id that was made, and perhaps tried, before.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn forward_with_id(
        &self,
        (from, target): (&ConversationId, Seq),
        to: &ConversationId,
        client_id: ClientId,
        hide_sender: bool,
    ) -> Sent {
        let request = Request::Forward { conversation: to.clone(), client_id, from: from.clone(), target, hide_sender };
        self.say(to.clone(), client_id, request).await
    }

    /// Deletes a message for everybody; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn delete(&self, of: &ConversationId, target: Seq) -> Result<Seq> {
        self.change(Request::Delete { conversation: of.clone(), client_id: self.new_client_id(), target }).await
    }

    /// Reacts to a message, or takes a reaction back; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn react(&self, of: &ConversationId, target: Seq, emoji: &str, on: bool) -> Result<Seq> {
        let (conversation, client_id, emoji) = (of.clone(), self.new_client_id(), emoji.to_owned());
        self.change(Request::React { conversation, client_id, target, emoji, on }).await
    }

    /// Pins a message; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn pin(&self, of: &ConversationId, target: Seq) -> Result<Seq> {
        self.change(Request::Pin { conversation: of.clone(), client_id: self.new_client_id(), target }).await
    }

    /// Takes a pinned message off; returns the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn unpin(&self, of: &ConversationId, target: Seq) -> Result<Seq> {
        self.change(Request::Unpin { conversation: of.clone(), client_id: self.new_client_id(), target }).await
    }

    /// Lets messages of a conversation disappear from now on, after so many seconds; 0: never. Returns
    /// the number of the entry that did.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_timer(&self, of: &ConversationId, seconds: u32) -> Result<Seq> {
        let (conversation, client_id) = (of.clone(), self.new_client_id());
        self.change(Request::SetTimer { conversation, client_id, seconds }).await
    }

    /// The pinned messages with the largest numbers, or those below one; oldest first.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn pinned(&self, of: &ConversationId, before: Option<Seq>, limit: Option<u32>) -> Result<HistoryPage> {
        page(self.request(Request::Pinned { conversation: of.clone(), before, limit }).await?)
    }

    /// Who has reacted to a message, with one emoji or with any, after the given user.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn reactors(
        &self,
        (of, target): (&ConversationId, Seq),
        emoji: Option<&str>,
        after: Option<&UserId>,
        limit: Option<u32>,
    ) -> Result<ReactorPage> {
        let (emoji, after) = (emoji.map(str::to_owned), after.cloned());
        match self.request(Request::Reactors { conversation: of.clone(), target, emoji, after, limit }).await? {
            ServerFrame::Reactors { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Like [`Client::history`], with every entry as it was first said, edits and reactions too.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn history_with_edits(
        &self,
        of: &ConversationId,
        before: Option<Seq>,
        after: Option<Seq>,
        limit: Option<u32>,
    ) -> Result<HistoryPage> {
        let conversation = of.clone();
        page(self.request(Request::History { conversation, before, after, limit, edits: true }).await?)
    }

    async fn change(&self, request: Request) -> Result<Seq> {
        accepted(self.request(request).await?)
    }
}
