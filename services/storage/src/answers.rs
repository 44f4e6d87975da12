//! Answers requests, waiting for the archive where an answer depends on how far it has come.

use std::{future::Future, sync::Arc};

use natter_bus::{
    Bus,
    storage_api::{
        Acquaintances, Archived, Backlog, Conversations, FindMessage, History, Members, Membership, Roster,
        StorageFault, StorageRequest,
    },
};
use natter_ids::{ConversationId, Partition, Position, Seq};
use natter_runtime::{OnEnd, Scope};

use crate::{Config, Store};

#[derive(Clone)]
struct Answers {
    bus: Bus,
    store: Arc<Store>,
    config: Config,
}

pub(crate) fn start(config: &Config, bus: &Bus, store: &Arc<Store>, scope: &Scope) {
    let answers = Answers { bus: bus.clone(), store: Arc::clone(store), config: config.clone() };
    answers.serve(scope, |this: Answers, asked: Backlog| async move { this.backlog(asked).await });
    answers.serve(scope, |this: Answers, _: Archived| async move { this.archived().await });
    answers.serve(scope, |this: Answers, asked: History| async move { this.store.history(&asked).await });
    answers.serve(scope, |this: Answers, asked: Conversations| async move { this.store.conversations(&asked).await });
    answers.serve(scope, |this: Answers, asked: Members| async move { this.store.members(&asked).await });
    answers.serve(scope, |this: Answers, asked: Acquaintances| async move { this.store.acquaintances(&asked).await });
    answers.serve(scope, |this: Answers, asked: Membership| async move {
        this.wait(&asked.conversation, asked.at_least).await?;
        this.store.membership(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: Roster| async move {
        this.wait(&asked.conversation, asked.before.saturating_sub(1)).await?;
        this.store.roster(&asked).await
    });
    answers.serve(scope, |this: Answers, asked: FindMessage| async move {
        this.wait(&asked.conversation, asked.at_least).await?;
        this.store.find_message(&asked).await
    });
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
            let bus = this.bus.clone();
            let answered = bus.respond(at_once, cancel, |asked| handler(this.clone(), asked)).await;
            if let Err(error) = answered {
                tracing::error!(error, request = R::NAME, "requests cannot be answered");
            }
        });
    }

    async fn archived(&self) -> Result<Position, StorageFault> {
        let mut position = Position::start(self.bus.partitions());
        for (number, seq) in self.store.checkpoints().await? {
            position.advance(Partition(number), seq);
            self.bus.note_archived(Partition(number), seq);
        }
        Ok(position)
    }

    async fn backlog(&self, asked: Backlog) -> Result<natter_bus::storage_api::BacklogReply, StorageFault> {
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
        let reached = |known: &Position| Partition::all(known.partitions()).all(|p| known.get(p) >= wanted.get(p));
        let mut known = self.bus.watch_archived();
        if reached(&known.borrow_and_update()) {
            return Ok(());
        }
        // What another replica archived before this one started was never announced to it.
        self.archived().await?;
        let in_time = tokio::time::timeout(self.config.wait(), known.wait_for(|known| reached(known)));
        if matches!(in_time.await, Ok(Ok(_))) || reached(&self.archived().await?) {
            return Ok(());
        }
        Err(StorageFault::Behind)
    }
}
