//! Where a token or ticket comes from.

use crate::Secret;

/// What somebody presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Bearer(Secret),
    /// The id of a ticket.
    Ticket(Secret),
}

/// A parsed `Sec-WebSocket-Protocol` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubprotocolOffer<'a> {
    /// The real subprotocols, in the client's order.
    pub protocols: Vec<&'a str>,
    /// The credential hidden among them.
    pub credential: Option<Credential>,
}

/// The token of an `Authorization` header (RFC 6750, section 2.1).
pub fn bearer_of_authorization(value: &str) -> Option<Credential> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| Credential::Bearer(Secret::new(token)))
}

/// Splits a `Sec-WebSocket-Protocol` header. Browsers can set no other, so a token or ticket may
/// hide in it behind a prefix; it is never echoed.
pub fn parse_subprotocols<'a>(value: &'a str, bearer_prefix: &str, ticket_prefix: &str) -> SubprotocolOffer<'a> {
    let mut offer = SubprotocolOffer { protocols: Vec::new(), credential: None };
    for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        if let Some(token) = item.strip_prefix(bearer_prefix) {
            offer.credential = Some(Credential::Bearer(Secret::new(token)));
        } else if let Some(ticket) = item.strip_prefix(ticket_prefix) {
            offer.credential = Some(Credential::Ticket(Secret::new(ticket)));
        } else {
            offer.protocols.push(item);
        }
    }
    offer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorization_takes_bearer_only() {
        let token = |value| bearer_of_authorization(value);
        assert_eq!(token("bearer  abc "), Some(Credential::Bearer(Secret::new("abc"))));
        assert_eq!(token("Basic abc"), None);
        assert_eq!(token("Bearer"), None);
        assert_eq!(token("Bearer "), None);
    }

    #[test]
    fn credentials_hide_among_subprotocols() {
        let offer = parse_subprotocols("natter.v2, natter.bearer.x.y.z ,natter.v1", "natter.bearer.", "natter.ticket.");
        assert_eq!(offer.protocols, ["natter.v2", "natter.v1"]);
        assert_eq!(offer.credential, Some(Credential::Bearer(Secret::new("x.y.z"))));
        assert!(!format!("{offer:?}").contains("x.y.z"));
    }
}
