//! Why a session ended or none began, and what follows from it: one table.

use std::time::Duration;

use natter_protocol::{CloseCode, ErrorBody, ErrorCode, RetryAdvice};
use tokio::time::Instant;

use crate::{DisconnectReason, Fatal, backoff::spread};

/// Why a session ended, or none began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    Lost(String),
    Silent,
    Hole,
    /// Announced; when to connect again.
    GoingAway(Instant),
    /// Closed by the gateway, with this code.
    Closed(u16),
    /// With the wait asked for.
    Unreachable {
        why: String,
        asked: Option<Duration>,
    },
    /// The session as such was refused. With the wait asked for outside of the error.
    Refused {
        error: ErrorBody,
        asked: Option<Duration>,
    },
    NoToken(String),
}

/// What happens next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Connecting again, not before the time asked for.
    Again {
        reason: DisconnectReason,
        asked: Duration,
        token: TokenAfter,
    },
    /// Connecting again without the position; giving up when none was presented.
    Anew {
        reason: DisconnectReason,
        otherwise: Fatal,
    },
    GiveUp(Fatal),
}

/// Whether the token is still of use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum TokenAfter {
    Kept,
    /// There is none, or it has expired.
    Needed,
    /// Refused; why to give up when others are, too.
    Refused(Fatal),
}

impl Ending {
    pub(super) fn next(self) -> Next {
        let again = |reason| Next::Again { reason, asked: Duration::ZERO, token: TokenAfter::Kept };
        match self {
            Self::Lost(why) => again(DisconnectReason::Lost(why)),
            Self::Silent => again(DisconnectReason::Silent),
            Self::Hole => again(DisconnectReason::Hole),
            Self::GoingAway(at) => Next::Again {
                reason: DisconnectReason::GoingAway,
                // Differs from client to client already.
                asked: at.saturating_duration_since(Instant::now()),
                token: TokenAfter::Kept,
            },
            Self::Closed(number) => closed(number),
            Self::Unreachable { why, asked } => Next::Again {
                reason: DisconnectReason::Unreachable(why),
                asked: spread(asked.unwrap_or_default()),
                token: TokenAfter::Kept,
            },
            Self::Refused { error, asked } => refused(error, asked),
            Self::NoToken(why) => {
                Next::Again { reason: DisconnectReason::NoToken(why), asked: Duration::ZERO, token: TokenAfter::Needed }
            }
        }
    }
}

fn closed(number: u16) -> Next {
    let again = |reason, token| Next::Again { reason, asked: Duration::ZERO, token };
    let Some(code) = CloseCode::from_number(number) else {
        return match number {
            4500..=4999 => Next::GiveUp(Fatal::ClosedUnknown(number)),
            _ => again(DisconnectReason::Lost(format!("closed with {number}")), TokenAfter::Kept),
        };
    };
    let reason = DisconnectReason::Closed(code);
    match code {
        CloseCode::TokenExpired => again(reason, TokenAfter::Needed),
        CloseCode::InvalidPosition => Next::Anew { reason, otherwise: Fatal::Closed(code) },
        // A new token is the change that makes coming back of use.
        CloseCode::Unauthenticated => again(reason, TokenAfter::Refused(Fatal::Closed(code))),
        code if code.reconnect() => again(reason, TokenAfter::Kept),
        code => Next::GiveUp(Fatal::Closed(code)),
    }
}

fn refused(error: ErrorBody, asked: Option<Duration>) -> Next {
    if error.code == ErrorCode::InvalidPosition {
        return Next::Anew { otherwise: Fatal::Refused(error.clone()), reason: DisconnectReason::Refused(error) };
    }
    let (ms, token) = match error.code.advice() {
        RetryAdvice::Changed => return Next::GiveUp(Fatal::Refused(error)),
        RetryAdvice::After { ms } => (error.retry_after_ms.unwrap_or(ms), TokenAfter::Kept),
        RetryAdvice::NewToken => (0, TokenAfter::Refused(Fatal::Refused(error.clone()))),
    };
    // The header is the error's own wait, in whole seconds.
    let wait = error.retry_after_ms.is_none().then_some(asked).flatten();
    let wait = wait.unwrap_or_else(|| Duration::from_millis(ms.into()));
    Next::Again { reason: DisconnectReason::Refused(error), asked: spread(wait), token }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A close code says by its range what to do, known or not.
    #[test]
    fn ranges_decide() {
        for number in 4000..=4999 {
            let gives_up = matches!(Ending::Closed(number).next(), Next::GiveUp(_));
            // What a new token, or no position, changes.
            let changes = [CloseCode::Unauthenticated, CloseCode::InvalidPosition];
            let changed = changes.iter().any(|code| code.number() == number);
            assert_eq!(gives_up, number >= 4500 && !changed, "{number}");
        }
        for number in [1000, 1001, 1006, 1009, 1011, 1012, 3000] {
            assert!(matches!(Ending::Closed(number).next(), Next::Again { .. }), "{number}");
        }
    }

    #[test]
    fn refusals_follow_the_table_of_codes() {
        for &code in ErrorCode::ALL {
            let error = ErrorBody::new(code);
            let next = Ending::Refused { error: error.clone(), asked: None }.next();
            match code.advice() {
                RetryAdvice::Changed if code == ErrorCode::InvalidPosition => {
                    assert!(matches!(next, Next::Anew { .. }), "{next:?}");
                }
                RetryAdvice::Changed => assert_eq!(next, Next::GiveUp(Fatal::Refused(error))),
                RetryAdvice::After { ms } => {
                    let Next::Again { asked, token: TokenAfter::Kept, .. } = next else { panic!("{code}: {next:?}") };
                    assert!(asked >= Duration::from_millis(ms.into()), "{code}: {asked:?}");
                }
                RetryAdvice::NewToken => {
                    assert!(matches!(next, Next::Again { token: TokenAfter::Refused(_), .. }), "{code}: {next:?}");
                }
            }
        }
    }

    #[test]
    fn the_wait_asked_for_is_kept() {
        let seconds = Duration::from_secs;
        let unreachable = Ending::Unreachable { why: String::new(), asked: Some(seconds(7)) };
        let Next::Again { asked, .. } = unreachable.next() else { panic!() };
        assert!(asked >= seconds(7) && asked <= seconds(9), "{asked:?}");
        let error = ErrorBody::new(ErrorCode::RateLimited).retry_after_ms(200);
        let Next::Again { asked, .. } = (Ending::Refused { error, asked: Some(seconds(1)) }).next() else { panic!() };
        assert!(asked >= Duration::from_millis(200) && asked <= Duration::from_millis(250), "{asked:?}");
    }
}
