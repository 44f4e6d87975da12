//! How far the user has come, on its way to the gateway; it only rises.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use natter_ids::{ConversationId, Position, Seq, UserId};
use natter_protocol::{
    MarkDraft, MarkPage, MarkedView, ReceiptPage, Request, ServerFrame, SettingsDraft, SettingsView, Strangers,
};
use tokio::sync::{Notify, oneshot};

use crate::{
    Client, RequestError,
    intake::Intake,
    outbound::{Asker, Outstanding},
};

/// Marks on their way at once, of different conversations.
const AT_ONCE: usize = 4;

/// Marks that the gateway is to store: for each conversation at most one request on its way, and the
/// largest of what came since.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    state: Mutex<State>,
    changed: Notify,
    answered: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Every conversation with a mark that is on its way or waits; what waits.
    waiting: HashMap<ConversationId, MarkDraft>,
    /// Those whose mark may go.
    ready: VecDeque<ConversationId>,
}

impl Outgoing {
    /// Takes a mark in.
    pub fn put(&self, conversation: &ConversationId, delivered: Option<Seq>, read: Option<Seq>) {
        let mut state = self.lock();
        match state.waiting.entry(conversation.clone()) {
            Entry::Occupied(mut waiting) => {
                let waiting = waiting.get_mut();
                waiting.delivered = waiting.delivered.max(delivered);
                waiting.read = waiting.read.max(read);
            }
            Entry::Vacant(free) => {
                free.insert(MarkDraft { delivered, read });
                state.ready.push_back(conversation.clone());
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    fn take(&self) -> Option<(ConversationId, MarkDraft)> {
        let mut state = self.lock();
        let conversation = state.ready.pop_front()?;
        let waiting = state.waiting.get_mut(&conversation)?;
        let mark = std::mem::replace(waiting, MarkDraft { delivered: None, read: None });
        Some((conversation, mark))
    }

    /// A mark has been answered.
    fn done(&self, conversation: ConversationId) {
        let mut state = self.lock();
        if state.waiting.get(&conversation).is_some_and(|mark| mark.delivered.max(mark.read).is_some()) {
            state.ready.push_back(conversation);
        } else {
            state.waiting.remove(&conversation);
        }
        drop(state);
        self.answered.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until every mark has been answered. Safe to drop while it waits.
    pub async fn idle(&self) {
        loop {
            let answered = self.answered.notified();
            if self.lock().waiting.is_empty() {
                return;
            }
            answered.await;
        }
    }

    /// Sends marks until the client has ended.
    pub async fn run(self: Arc<Self>, intake: Arc<Intake>) {
        let mut on_way = FuturesUnordered::new();
        loop {
            while on_way.len() < AT_ONCE
                && let Some((conversation, MarkDraft { delivered, read })) = self.take()
            {
                let (reply, answer) = oneshot::channel();
                let request = Request::Mark { conversation: conversation.clone(), delivered, read };
                if !intake.put(Outstanding::new(request, Asker::Marks(reply))) {
                    return;
                }
                on_way.push(async move { (conversation, answer.await) });
            }
            tokio::select! {
                () = self.changed.notified(), if on_way.len() < AT_ONCE => {}
                Some((conversation, answer)) = on_way.next() => {
                    if let Ok(Err(error)) = answer {
                        // It can only be told again with the next one: the user is no member now, say.
                        tracing::debug!(%error, "a mark is not stored");
                    }
                    self.done(conversation);
                }
            }
        }
    }
}

type Result<T> = std::result::Result<T, RequestError>;

impl Client {
    /// The user has read a conversation up to this number. Returns at once; the client tells the
    /// gateway, in few requests however often this is called, across lost connections.
    pub fn read(&self, conversation: &ConversationId, upto: Seq) {
        self.outgoing.put(conversation, None, Some(upto));
    }

    /// Stores how far the user has come, and waits for the answer; see [`Client::read`], which is
    /// what an application mostly needs.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn mark(&self, of: &ConversationId, delivered: Option<Seq>, read: Option<Seq>) -> Result<MarkedView> {
        match self.request(Request::Mark { conversation: of.clone(), delivered, read }).await? {
            ServerFrame::Marked { marked, .. } => Ok(marked),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Which marks have changed since an earlier answer. The client does this by itself after each
    /// connection, unless it was built without receipts.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn marks(&self, since: Option<&Position>, limit: Option<u32>) -> Result<MarkPage> {
        match self.request(Request::Marks { since: since.cloned(), limit }).await? {
            ServerFrame::Marks { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Who of the other members has received and read an entry, and how many.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn receipts(
        &self,
        of: &ConversationId,
        seq: Seq,
        after: Option<&UserId>,
        limit: Option<u32>,
    ) -> Result<ReceiptPage> {
        let request = Request::Receipts { conversation: of.clone(), seq, after: after.cloned(), limit };
        match self.request(request).await? {
            ServerFrame::Receipts { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Reads the user's settings, or changes those that are given.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn settings(&self, read_receipts: Option<bool>) -> Result<SettingsView> {
        self.change_settings(SettingsDraft { read_receipts, ..SettingsDraft::default() }).await
    }

    /// Says what conversations are that strangers begin from now on.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn set_strangers(&self, strangers: Strangers) -> Result<SettingsView> {
        self.change_settings(SettingsDraft { strangers: Some(strangers), ..SettingsDraft::default() }).await
    }

    async fn change_settings(&self, draft: SettingsDraft) -> Result<SettingsView> {
        match self.request(Request::ChangeSettings { draft }).await? {
            ServerFrame::Settings { settings, .. } => Ok(settings),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn conversation(peer: &str) -> ConversationId {
        ConversationId::direct(&UserId::new("alice").unwrap(), &UserId::new(peer).unwrap())
    }

    #[test]
    fn what_comes_while_one_is_on_its_way_becomes_one() {
        let (outgoing, bob, carol) = (Outgoing::default(), conversation("bob"), conversation("carol"));
        outgoing.put(&bob, None, Some(1));
        assert_eq!(outgoing.take().unwrap().1, MarkDraft { delivered: None, read: Some(1) });
        for number in [4, 9, 3] {
            outgoing.put(&bob, Some(number + 1), Some(number));
        }
        outgoing.put(&carol, Some(2), None);
        assert_eq!(outgoing.take().unwrap(), (carol.clone(), MarkDraft { delivered: Some(2), read: None }));
        assert_eq!(outgoing.take(), None, "one request for each conversation");
        outgoing.done(bob.clone());
        assert_eq!(outgoing.take().unwrap(), (bob.clone(), MarkDraft { delivered: Some(10), read: Some(9) }));
        outgoing.done(bob);
        outgoing.done(carol);
        assert!(outgoing.lock().waiting.is_empty(), "what is told leaves nothing behind");
    }
}
