//! What is said: in the order typed, under one id however often it is tried, and to whom it is addressed.

use std::{sync::Arc, time::Instant};

use natter_client::{Client, RequestError};
use natter_ids::{ClientId, ConversationId, Seq, UserId};
use natter_protocol::{MENTIONS_MAX, MessageDraft};
use tokio::sync::mpsc;

use super::{answers::Answer, requests, session::Session, style};

/// A message on its way to be sent.
#[derive(Debug)]
pub struct Draft {
    pub id: ClientId,
    pub conversation: ConversationId,
    pub text: String,
    pub reply_to: Option<Seq>,
}

/// Sends messages one after the other, so that they stay in the order typed.
pub async fn send_all(client: Arc<Client>, mut drafts: mpsc::Receiver<Draft>, answer: mpsc::Sender<Answer>) {
    while let Some(Draft { id, conversation, text, reply_to }) = drafts.recv().await {
        let mentions = mentioned(&client, &conversation, &text).await;
        let draft = MessageDraft { client_id: id, text, reply_to, mentions };
        let sent = client.send_draft(conversation, draft).await;
        if answer.send(Answer::Sent(id, sent)).await.is_err() {
            return;
        }
    }
}

/// Which members a text names, as `@name`.
pub async fn mentioned(client: &Client, of: &ConversationId, text: &str) -> Vec<UserId> {
    while text.contains('@') {
        match requests::member_list(client, of).await {
            Ok(members) => return mentions(text, members.into_iter().map(|member| member.user).collect()),
            // Like the message itself: for as long as it takes.
            Err(RequestError::Timeout) => {}
            Err(_) => break,
        }
    }
    Vec::new()
}

/// The users among these whom a text names. Names may hold spaces, so the longest that fits is meant.
pub fn mentions(text: &str, mut members: Vec<UserId>) -> Vec<UserId> {
    members.sort_by_key(|user| std::cmp::Reverse(user.as_str().len()));
    let mut found: Vec<UserId> = Vec::new();
    for (at, _) in text.match_indices('@') {
        // What stands within a word is an address, say.
        if text[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
            continue;
        }
        let rest = &text[at + 1..];
        let ends = |user: &&UserId| {
            let after = rest.strip_prefix(user.as_str());
            after.is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-'))
        };
        if let Some(user) = members.iter().find(ends)
            && !found.contains(user)
            && found.len() < MENTIONS_MAX
        {
            found.push(user.clone());
        }
    }
    found
}

impl Session {
    /// Says something, perhaps in answer to a message.
    pub(super) fn say(&mut self, text: String, reply_to: Option<Seq>, conversation: ConversationId) {
        let id = self.client.new_client_id();
        let shown = format!("{}{text}", reply_to.map(style::answers).unwrap_or_default());
        if !self.outbox.add(id, shown, Instant::now())
            || self.drafts.try_send(Draft { id, conversation, text: text.clone(), reply_to }).is_err()
        {
            self.outbox.refused(id);
            self.fail(&format!("too many messages wait to be sent; not sent: {text}"));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn members_are_meant_by_their_names() {
        let members = ["bob", "bob the builder", "carol", "dave-2"];
        let named = |text: &str| {
            let members = members.iter().map(|name| UserId::new(name).unwrap()).collect();
            mentions(text, members).iter().map(|user| user.as_str().to_owned()).collect::<Vec<_>>().join("|")
        };
        assert_eq!(named("@bob, are you there?"), "bob");
        assert_eq!(named("hi @bob the builder and (@carol)"), "bob the builder|carol");
        assert_eq!(named("@carol @bob @carol"), "carol|bob");
        assert_eq!(named("@bobby @dave @eve bob@carol.example carol"), "");
        assert_eq!(named("@dave-2!"), "dave-2");
    }
}
