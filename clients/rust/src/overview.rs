//! The user's list of conversations.

use natter_ids::ConversationId;
use natter_protocol::{
    ArrangementDraft, ArrangementView, OverviewCursor, OverviewItem, OverviewPage, OverviewPosition, Request,
    ServerFrame, ShowRequests,
};

use crate::{Client, RequestError};

type Result<T> = std::result::Result<T, RequestError>;

/// The user's whole list, or everything that has changed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overview {
    /// Pinned ones first, then by last activity.
    pub conversations: Vec<OverviewItem>,
    /// Those that the user is no member of any more.
    pub gone: Vec<ConversationId>,
    /// What to ask since next time.
    pub position: OverviewPosition,
}

impl Client {
    /// The user's conversations by last activity, with what is unread: all, or those in which anything
    /// has changed since an earlier answer. Mostly one request.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn overview(&self, since: Option<&OverviewPosition>) -> Result<Overview> {
        self.overview_showing(ShowRequests::Without, since).await
    }

    /// Like [`Client::overview`], with requests of strangers among the others, or those alone.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn overview_showing(&self, requests: ShowRequests, since: Option<&OverviewPosition>) -> Result<Overview> {
        let first = self.page_showing(requests, since, None, None).await?;
        let OverviewPage { conversations, gone, position, mut next } = first;
        let mut all = Overview { conversations, gone, position };
        while let Some(after) = next {
            let page = self.page_showing(requests, since, Some(&after), None).await?;
            all.conversations.extend(page.conversations);
            next = page.next;
        }
        Ok(all)
    }

    /// A page of [`Client::overview`], from where the one before ended.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn overview_page(
        &self,
        since: Option<&OverviewPosition>,
        after: Option<&OverviewCursor>,
        limit: Option<u32>,
    ) -> Result<OverviewPage> {
        self.page_showing(ShowRequests::Without, since, after, limit).await
    }

    async fn page_showing(
        &self,
        requests: ShowRequests,
        since: Option<&OverviewPosition>,
        after: Option<&OverviewCursor>,
        limit: Option<u32>,
    ) -> Result<OverviewPage> {
        let request = Request::Overview { since: since.cloned(), after: after.cloned(), limit, requests };
        match self.request(request).await? {
            ServerFrame::Overview { page, .. } => Ok(page),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }

    /// Accepts a request of a stranger, for all devices.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn accept(&self, conversation: &ConversationId) -> Result<ArrangementView> {
        self.arrange(conversation, ArrangementDraft { accepted: Some(true), ..ArrangementDraft::default() }).await
    }

    /// Mutes, pins or puts away a conversation in the user's list, on all their devices.
    ///
    /// # Errors
    /// [`RequestError`].
    pub async fn arrange(&self, conversation: &ConversationId, draft: ArrangementDraft) -> Result<ArrangementView> {
        match self.request(Request::Arrange { conversation: conversation.clone(), draft }).await? {
            ServerFrame::Arranged { arranged, .. } => Ok(arranged),
            _ => Err(RequestError::UnexpectedAnswer),
        }
    }
}
