//! The tables of error and close codes keep the rules that clients rely on.

use std::collections::HashSet;

use natter_protocol::{CloseCode, ErrorBody, ErrorCode, RetryAdvice};

fn is_snake_case(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && !text.starts_with('_')
        && !text.ends_with('_')
}

#[test]
fn error_codes_are_unique_and_read_as_written() {
    let mut seen = HashSet::new();
    for code in ErrorCode::ALL {
        assert!(seen.insert(code.as_str()), "{code} twice");
        assert!(is_snake_case(code.as_str()), "{code}");
        assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{code}\""));
        assert_eq!(serde_json::from_str::<ErrorCode>(&format!("\"{code}\"")).unwrap(), *code);
    }
}

/// A client that knows only HTTP decides by the status; it must come to the same decision as one
/// that knows the code.
#[test]
fn the_http_status_fits_the_advice() {
    for code in ErrorCode::ALL {
        let status = code.http_status();
        match code.advice() {
            RetryAdvice::After { ms } => {
                assert!(matches!(status, 429 | 500 | 503), "{code}: {status} does not say `later`");
                assert!(ms >= 100, "{code}: a wait of {ms} ms makes clients hammer");
                assert!(code.is_retryable());
            }
            RetryAdvice::Changed => {
                assert!(matches!(status, 400 | 403 | 404 | 409 | 413), "{code}: {status} does not say `changed`");
                assert!(!code.is_retryable());
            }
            RetryAdvice::NewToken => {
                assert_eq!(status, 401, "{code}");
                assert!(!code.is_retryable());
            }
        }
    }
}

#[test]
fn a_refusal_names_a_wait_exactly_when_repeating_is_of_use() {
    for code in ErrorCode::ALL {
        let body = ErrorBody::new(*code);
        assert_eq!(body.retry_after_ms.is_some(), code.is_retryable(), "{code}");
        assert!(body.message.ends_with('.'), "{code}: {}", body.message);
    }
}

#[test]
fn close_codes_are_unique_and_in_their_range() {
    let (mut numbers, mut reasons) = (HashSet::new(), HashSet::new());
    for code in CloseCode::ALL {
        let (number, reason) = (code.number(), code.reason());
        assert!(numbers.insert(number), "{number} twice");
        assert!(reasons.insert(reason), "{reason} twice");
        assert!((4000..=4999).contains(&number), "{number} is not for applications");
        assert_eq!(code.reconnect(), number <= 4499, "{number}");
        assert!(is_snake_case(reason), "{reason}");
        // RFC 6455, section 5.5: a control frame carries 125 bytes, two of them the code.
        assert!(reason.len() <= 123, "{reason}");
        assert_eq!(CloseCode::from_number(number), Some(*code));
    }
    for number in [1000, 1006, 3999, 4999] {
        assert_eq!(CloseCode::from_number(number), None);
    }
}

/// The numbers are promises to clients that are installed already.
#[test]
fn the_numbers_are_pinned() {
    let table: Vec<_> = CloseCode::ALL.iter().map(|code| (code.number(), code.reason())).collect();
    let pinned = [
        (4000, "going_away"),
        (4001, "slow_consumer"),
        (4002, "silent"),
        (4003, "unavailable"),
        (4004, "token_expired"),
        (4005, "hello_timeout"),
        (4500, "unauthenticated"),
        (4501, "protocol_error"),
        (4502, "frame_too_large"),
        (4503, "invalid_position"),
        (4504, "device_revoked"),
        (4505, "too_many_devices"),
    ];
    assert_eq!(table, pinned);
    let statuses: Vec<_> = ErrorCode::ALL.iter().map(|code| (code.as_str(), code.http_status())).collect();
    let pinned = [
        ("malformed", 400),
        ("unknown_type", 400),
        ("out_of_state", 409),
        ("too_large", 413),
        ("invalid_position", 400),
        ("unauthenticated", 401),
        ("token_expired", 401),
        ("origin_forbidden", 403),
        ("not_a_member", 403),
        ("not_allowed", 403),
        ("too_late", 403),
        ("no_such_message", 404),
        ("message_deleted", 409),
        ("not_found", 404),
        ("client_id_conflict", 409),
        ("client_id_in_future", 400),
        ("no_such_invite", 404),
        ("group_full", 409),
        ("device_revoked", 403),
        ("too_many_devices", 409),
        ("rate_limited", 429),
        ("overloaded", 503),
        ("unavailable", 503),
        ("internal", 500),
    ];
    assert_eq!(statuses, pinned);
}
