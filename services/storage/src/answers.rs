//! Answers requests, waiting for the archive where an answer depends on how far it has come.

use std::{future::Future, sync::Arc, time::Duration};

use natter_bus::{
    Bus, Notice,
    storage_api::{
        Acquaintances, Archived, Arrange, Backlog, BacklogReply, Conversations, FindMessage, History, Invite, Invites,
        Latecomers, Marks, Members, Membership, Message, Overview, Pinned, Reactors, Receipts, Roster, Settings,
        StorageFault, StorageRequest, Unblocked, Withheld, WriteMarks,
    },
};
use natter_ids::{ConversationId, Partition, Position, Seq};
use natter_protocol::{ArrangementView, SettingsView};
use natter_runtime::{OnEnd, Scope};
use tokio::time::{Instant, timeout, timeout_at};

use crate::{Accepted, Config, Store, marker::Marker};

/// An announcement may be lost: a waiting request looks itself, first after this long, then
/// after twice as long each time.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Answers {
    bus: Bus,
    store: Arc<Store>,
    config: Config,
    marker: Arc<Marker>,
}

pub(crate) fn start(config: &Config, bus: &Bus, store: &Arc<Store>, scope: &Scope) {
    let marker = Arc::new(Marker::start(config, bus, store, scope));
    let answers = Answers { bus: bus.clone(), store: Arc::clone(store), config: config.clone(), marker };
    answers.serve(scope, |this: Answers, asked: Backlog| async move { this.backlog(asked).await });
    answers.serve(scope, |this: Answers, _: Archived| async move { this.archived().await });
    answers.serve(scope, |this: Answers, asked: History| async move { this.store.history(&asked).await });
    answers.serve(scope, |this: Answers, asked: Conversations| async move { this.store.conversations(&asked).await });
    answers.serve(scope, |this: Answers, asked: Members| async move { this.store.members(&asked).await });
    answers.serve(scope, |this: Answers, asked: Acquaintances| async move { this.store.acquaintances(&asked).await });
    answers.serve(scope, |this: Answers, asked: Withheld| async move { this.store.withheld(&asked).await });
    answers.serve(scope, |this: Answers, asked: Membership| async move {
        this.wait(&asked.conversation, asked.at_least).await?;
        this.store.membership(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: Roster| async move {
        this.wait(&asked.conversation, asked.before.saturating_sub(1)).await?;
        this.store.roster(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: Invites| async move { this.store.invites(&asked).await });
    answers.serve(scope, |this: Answers, asked: Invite| async move {
        this.wait(&asked.conversation, asked.at_least).await?;
        this.store.invite(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: Latecomers| async move {
        this.wait(&asked.conversation, asked.seq.saturating_sub(1)).await?;
        this.store.latecomers(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: Pinned| async move { this.store.pinned(&asked).await });
    answers.serve(scope, |this: Answers, asked: Reactors| async move { this.store.reactors(&asked).await });
    answers.serve(scope, |this: Answers, asked: Message| async move {
        this.wait(&asked.conversation, asked.at_least).await?;
        this.store.message(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: FindMessage| async move {
        this.wait(&asked.conversation, asked.at_least).await?;
        this.store.find_message(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: WriteMarks| async move { this.marker.write(asked).await });
    answers.serve(scope, |this: Answers, asked: Marks| async move {
        this.store.marks(&asked, this.config.marks_members_max).await
    });
    answers.serve(scope, |this: Answers, asked: Receipts| async move { this.store.receipts(&asked).await });
    answers.serve(scope, |this: Answers, asked: Overview| async move { this.store.overview(&asked).await });
    answers.serve(scope, |this: Answers, asked: Arrange| async move { this.arrange(asked).await });
    answers.serve(scope, |this: Answers, asked: Unblocked| async move { this.unblocked(asked).await });
    answers.serve(scope, |this: Answers, asked: Settings| async move { this.settings(asked).await });
}

impl Answers {
    fn serve<R, F, Fut>(&self, scope: &Scope, handler: F)
    where
        R: StorageRequest + 'static,
        F: Fn(Self, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R::Reply, StorageFault>> + Send + 'static,
    {
        let this = self.clone();
        let cancel = scope.cancel_token();
        scope.spawn("storage-answers", OnEnd::StopProcess, async move {
            let at_once = this.config.requests_at_once as usize;
            let limit = this.config.wait() + this.config.answer_limit();
            let bus = this.bus.clone();
            let answer = |asked| {
                let answer = handler(this.clone(), asked);
                // A database that went silent must not hold a place for ever.
                async move { timeout(limit, answer).await.unwrap_or(Err(StorageFault::Database)) }
            };
            if let Err(error) = bus.respond(at_once, cancel, answer).await {
                tracing::error!(error, request = R::NAME, "requests cannot be answered");
            }
        });
    }

    async fn arrange(&self, asked: Arrange) -> Result<ArrangementView, StorageFault> {
        let (arrangement, changed) = self.store.arrange(&asked).await?;
        let arranged = ArrangementView { conversation: asked.conversation, arrangement };
        if changed {
            let accepted = Accepted { user: asked.user.clone(), conversation: arranged.conversation.clone() };
            let notices = match asked.draft.accepted {
                Some(true) => self.store.accepted_notices(&accepted).await.unwrap_or_default(),
                _ => vec![Notice::Arrangement { user: asked.user, arranged: arranged.clone() }],
            };
            for notice in notices {
                self.notify(notice).await;
            }
        }
        Ok(arranged)
    }

    async fn unblocked(&self, asked: Unblocked) -> Result<(), StorageFault> {
        for notice in self.store.unblocked(&asked).await? {
            self.notify(notice).await;
        }
        Ok(())
    }

    async fn settings(&self, asked: Settings) -> Result<SettingsView, StorageFault> {
        let (settings, changed) = self.store.settings(&asked).await?;
        if changed {
            self.notify(Notice::Settings { user: asked.user, settings: settings.clone() }).await;
        }
        Ok(settings)
    }

    /// Tells the user's other devices, as far as that works: they ask when they come back.
    async fn notify(&self, notice: Notice) {
        if let Err(error) = self.bus.notify(&notice).await {
            tracing::debug!(error, "other devices are not told now");
        }
    }

    async fn archived(&self) -> Result<Position, StorageFault> {
        let position = self.store.archived().await?;
        for partition in Partition::all(position.partitions()) {
            self.bus.note_archived(partition, position.get(partition));
        }
        Ok(position)
    }

    async fn backlog(&self, asked: Backlog) -> Result<BacklogReply, StorageFault> {
        let upto = match &asked.upto {
            Some(upto) => {
                self.wait_position(upto).await?;
                upto.clone()
            }
            None => self.archived().await?,
        };
        self.store.backlog(&asked, &upto).await
    }

    async fn wait(&self, conversation: &ConversationId, at_least: Seq) -> Result<(), StorageFault> {
        let mut wanted = Position::start(self.bus.partitions());
        wanted.advance(Partition::of(conversation, self.bus.partitions()), at_least);
        self.wait_position(&wanted).await
    }

    /// Waits, bounded, until every partition is archived up to the position.
    async fn wait_position(&self, wanted: &Position) -> Result<(), StorageFault> {
        let deadline = Instant::now() + self.config.wait();
        let mut known = self.bus.watch_archived();
        let mut look = Duration::ZERO;
        loop {
            let next = deadline.min(Instant::now() + look);
            if timeout_at(next, known.wait_for(|known| reaches(known, wanted))).await.is_ok_and(|seen| seen.is_ok())
                || reaches(&self.archived().await?, wanted)
            {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(StorageFault::Behind);
            }
            look = (look * 2).max(LOOK);
        }
    }
}

fn reaches(known: &Position, wanted: &Position) -> bool {
    Partition::all(known.partitions()).all(|partition| known.get(partition) >= wanted.get(partition))
}
