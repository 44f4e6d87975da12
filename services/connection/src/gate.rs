//! Who somebody is, from what they present.

use natter_auth::{AuthError, Credential, TICKET_TTL_MS, Ticket, new_ticket_id};
use natter_ids::UserId;
use natter_protocol::{ErrorBody, ErrorCode, TicketGrant};

use crate::server::Shared;

/// A user and until when that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) user: UserId,
    /// In milliseconds since 1970 UTC.
    pub(crate) expires_at: u64,
}

impl Shared {
    pub(crate) async fn identify(&self, credential: &Credential) -> Result<Identity, ErrorBody> {
        match credential {
            Credential::Bearer(token) => self.identify_token(token.reveal()).await,
            Credential::Ticket(id) => self.identify_ticket(id.reveal()).await,
        }
    }

    pub(crate) async fn identify_token(&self, token: &str) -> Result<Identity, ErrorBody> {
        let claims = self.live.get().verifier.verify_at(token, self.bus.now_ms()).await.map_err(refusal)?;
        identity(&claims.subject, claims.expires_at)
    }

    async fn identify_ticket(&self, id: &str) -> Result<Identity, ErrorBody> {
        let unavailable = |error: String| {
            tracing::warn!(error, "tickets cannot be redeemed");
            ErrorBody::new(ErrorCode::Unavailable)
        };
        let contents = self.bus.redeem_ticket(id).await.map_err(unavailable)?;
        let refused =
            || ErrorBody::new(ErrorCode::Unauthenticated).because("The ticket is not valid, was used, or has expired.");
        let ticket: Ticket = contents.and_then(|json| serde_json::from_str(&json).ok()).ok_or_else(refused)?;
        if ticket.expires_at <= self.bus.now_ms() {
            return Err(refused());
        }
        identity(&ticket.subject, ticket.token_expires_at)
    }

    /// Exchanges a valid token for a single-use ticket.
    pub(crate) async fn grant_ticket(&self, identity: &Identity) -> Result<TicketGrant, ErrorBody> {
        let id = new_ticket_id();
        let ticket = Ticket {
            subject: identity.user.as_str().to_owned(),
            expires_at: self.bus.now_ms() + u64::from(TICKET_TTL_MS),
            token_expires_at: identity.expires_at,
        };
        let contents = serde_json::to_string(&ticket).map_err(|_| ErrorBody::new(ErrorCode::Internal))?;
        self.bus.keep_ticket(&id, contents).await.map_err(|error| {
            tracing::warn!(error, "tickets cannot be kept");
            ErrorBody::new(ErrorCode::Unavailable)
        })?;
        Ok(TicketGrant { ticket: id, expires_in_ms: TICKET_TTL_MS })
    }
}

fn identity(subject: &str, expires_at: u64) -> Result<Identity, ErrorBody> {
    let user = UserId::new(subject)
        .map_err(|error| ErrorBody::new(ErrorCode::Unauthenticated).because(format!("The token's `sub`: {error}.")))?;
    Ok(Identity { user, expires_at })
}

fn refusal(error: AuthError) -> ErrorBody {
    let code = match error {
        AuthError::Expired => ErrorCode::TokenExpired,
        AuthError::KeysUnavailable => ErrorCode::Unavailable,
        _ => ErrorCode::Unauthenticated,
    };
    ErrorBody::new(code).because(error.to_string())
}
