//! What a driver keeps from one session to the next.

use std::sync::Arc;

use natter_ids::{ConversationId, Partition, Position, UserId};
use natter_protocol::{Event, MarkDraft, MarkedView, MarksView};

use super::{Ending, outlet::Outlet};
use crate::{
    Notification,
    chains::{Chains, Verdict},
    intake::Intake,
    known::{Known, of_user},
    options::Options,
    outbound::Outbound,
    shared::{Shared, count},
};

/// What outlives a session.
pub(crate) struct State {
    pub options: Arc<Options>,
    pub shared: Arc<Shared>,
    pub intake: Arc<Intake>,
    pub outbound: Outbound,
    pub chains: Chains,
    pub outlet: Outlet,
    /// Position of the last event told: presented to the next gateway. The application's own,
    /// [`Shared::position`], follows when it has read that event.
    pub position: Option<Position>,
    /// Up to where marks were told; the application's own follows in the same way.
    pub marks_position: Option<Position>,
    /// The token in use; `None` when a new one is needed.
    pub token: Option<String>,
    /// Whose presence the application watches.
    pub watched: Vec<UserId>,
    /// The marks that were told.
    pub known: Known,
}

impl State {
    /// Tells the application of an event, if it is the next one.
    ///
    /// # Errors
    /// [`Ending::Hole`] when something before it is missing.
    pub fn on_event(&mut self, position: Position, event: Event) -> Result<(), Ending> {
        let verdict = self.chains.judge(&event, self.shared.user.get());
        if self.is_next(verdict, &event.conversation)? {
            self.keep(&position);
            self.outlet.tell(Notification::Event(Box::new(event), position));
        }
        Ok(())
    }

    /// Tells the application of marks, as far as they are news.
    pub fn on_marks(&mut self, marks: MarksView) {
        if let Some(news) = self.known.rise(marks) {
            self.outlet.tell(Notification::MarksChanged(news));
        }
    }

    /// Tells the application what of the user's own marks it has not said itself: another device has.
    pub fn on_marked(&mut self, said: &MarkDraft, stored: MarkedView) {
        let Some(me) = self.shared.user.get() else { return };
        let MarkDraft { delivered, read } = *said;
        // What is read is delivered.
        let delivered = delivered.max(read).unwrap_or_default();
        let said = MarkedView { conversation: stored.conversation.clone(), delivered, read: read.unwrap_or_default() };
        self.known.rise(of_user(me, said));
        self.on_marks(of_user(me, stored));
    }

    /// Marks were told up to here.
    pub fn keep_marks_position(&mut self, position: Option<Position>) {
        self.marks_position.clone_from(&position);
        self.outlet.reach_marks(position);
    }

    /// Whether to tell an event; counts what it is otherwise.
    pub fn is_next(&mut self, verdict: Verdict, conversation: &ConversationId) -> Result<bool, Ending> {
        let counters = &self.shared.counters;
        match verdict {
            Verdict::Next => return Ok(true),
            Verdict::RepeatInSession => count(&counters.repeats_in_session),
            Verdict::RepeatAcrossSessions => count(&counters.repeats_across_sessions),
            Verdict::Hole => {
                count(&counters.holes);
                self.rewind(conversation);
                return Err(Ending::Hole);
            }
        }
        Ok(false)
    }

    /// Moves the position; never back.
    pub fn keep(&mut self, position: &Position) {
        match &mut self.position {
            Some(kept) if kept.partitions() == position.partitions() => {
                for (partition, seq) in Partition::all(position.partitions()).zip(position.seqs()) {
                    kept.advance(partition, *seq);
                }
            }
            kept => *kept = Some(position.clone()),
        }
    }

    /// Begins as a new device: of what was received before nothing is known any more.
    pub fn forget_position(&mut self) {
        self.position = None;
        self.chains.forget();
        self.outlet.tell(Notification::PositionRefused);
    }

    /// Moves the position back to what was received of a conversation. An event of another one
    /// may have moved it past what is missing.
    pub fn rewind(&mut self, conversation: &ConversationId) {
        if let (Some(position), Some(reached)) = (&mut self.position, self.chains.reached(conversation)) {
            let mut seqs: Box<[_]> = position.seqs().into();
            let partition = Partition::of(conversation, position.partitions());
            if let Some(seq) = seqs.get_mut(partition.index()) {
                *seq = reached.min(*seq);
            }
            *position = Position::from_seqs(seqs);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // Whoever asks the ended driver hears it.
        self.intake.close();
    }
}
