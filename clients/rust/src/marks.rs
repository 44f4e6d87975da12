//! How far the user has come, on its way to the gateway, and how far others have, on its way to the
//! application: both only rise.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use natter_ids::{ConversationId, Position, Seq, UserId};
use natter_protocol::{
    MarkDraft, MarkPage, MarkView, MarkedView, MarksView, ReceiptPage, Request, ServerFrame, SettingsDraft,
    SettingsView, Strangers,
};
use tokio::sync::{Notify, oneshot};

use crate::{
    Client, RequestError,
    intake::Intake,
    outbound::{Asker, Outstanding},
};

/// Marks on their way at once, of different conversations.
const AT_ONCE: usize = 4;
/// Members whose marks are remembered; then all are forgotten, and an older mark that comes late may
/// be told once.
const KNOWN_MAX: usize = 16 * 1024;

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
                if !intake.put(Outstanding::new(request, Asker::Application(reply))) {
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

/// The largest marks that the application was told.
#[derive(Debug, Default)]
pub(crate) struct Known(HashMap<(ConversationId, UserId), (Seq, Seq)>);

impl Known {
    /// What of these marks is news; none of it goes below what was told before.
    pub fn rise(&mut self, marks: MarksView) -> Option<MarksView> {
        if self.0.len() + marks.marks.len() > KNOWN_MAX {
            self.0.clear();
        }
        let MarksView { conversation, marks } = marks;
        let mut news = Vec::new();
        for mut mark in marks {
            let known = self.0.entry((conversation.clone(), mark.user.clone())).or_default();
            let risen = (mark.delivered.max(known.0), mark.read.max(known.1));
            if risen != std::mem::replace(known, risen) {
                (mark.delivered, mark.read) = risen;
                news.push(mark);
            }
        }
        (!news.is_empty()).then_some(MarksView { conversation, marks: news })
    }

    /// What the application learns from an answer, of its user `me` or others: a note that comes after it
    /// and tells less is none.
    pub fn learn(&mut self, me: Option<&UserId>, answer: &ServerFrame) {
        let marks = match (answer, me) {
            (ServerFrame::Marked { marked, .. }, Some(me)) => {
                let MarkedView { conversation, delivered, read } = marked.clone();
                vec![MarksView { conversation, marks: vec![MarkView { user: me.clone(), delivered, read }] }]
            }
            (ServerFrame::Marks { page, .. }, _) => page.conversations.clone(),
            (ServerFrame::Receipts { page, .. }, _) => {
                vec![MarksView { conversation: page.conversation.clone(), marks: page.marks.clone() }]
            }
            _ => return,
        };
        for view in marks {
            self.rise(view);
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

    #[test]
    fn an_answer_is_not_taken_back_by_a_note_that_was_slower() {
        let (me, bob) = (UserId::new("alice").unwrap(), UserId::new("bob").unwrap());
        let mark = |user: &UserId, delivered, read| MarkView { user: user.clone(), delivered, read };
        let note = |mark| MarksView { conversation: conversation("bob"), marks: vec![mark] };
        let mut known = Known::default();
        let marked = MarkedView { conversation: conversation("bob"), delivered: 9, read: 8 };
        known.learn(Some(&me), &ServerFrame::Marked { id: 1, marked });
        assert_eq!(known.rise(note(mark(&me, 7, 7))), None);
        let page = ReceiptPage {
            conversation: conversation("bob"),
            seq: 4,
            members: 1,
            delivered: 1,
            read: 1,
            marks: vec![mark(&bob, 5, 4)],
            more: false,
        };
        known.learn(Some(&me), &ServerFrame::Receipts { id: 2, page });
        assert_eq!(known.rise(note(mark(&bob, 3, 3))), None);
        assert_eq!(known.rise(note(mark(&bob, 6, 3))), Some(note(mark(&bob, 6, 4))));
    }

    #[test]
    fn the_application_is_never_told_less() {
        let mut known = Known::default();
        let mut told = |delivered, read| {
            let mark = MarkView { user: UserId::new("bob").unwrap(), delivered, read };
            let news = known.rise(MarksView { conversation: conversation("bob"), marks: vec![mark] });
            news.map(|news| (news.marks[0].delivered, news.marks[0].read))
        };
        assert_eq!(
            [told(5, 3), told(5, 3), told(4, 1), told(4, 4), told(9, 0)],
            [Some((5, 3)), None, None, Some((5, 4)), Some((9, 4))]
        );
    }
}
