//! Encoding of arbitrary text as one NATS subject token.

/// Encodes any text as one subject token: letters, digits, `-` and `_` stay, every other byte
/// becomes `=` and two upper-case hex digits (the scheme of RFC 2045, section 6.7).
///
/// The result holds no `.`, `*`, `>` or space, is never empty for a non-empty text, and
/// [`decode_token`] returns the text. It is a valid key of a NATS key-value bucket too.
pub fn encode_token(text: &str) -> String {
    use std::fmt::Write;
    let mut token = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => token.push(char::from(byte)),
            // Writing to a String cannot fail.
            other => drop(write!(token, "={other:02X}")),
        }
    }
    token
}

/// Decodes what [`encode_token`] made. `None` for anything it cannot have made.
pub fn decode_token(token: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(token.len());
    let mut rest = token.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first != b'=' {
            bytes.push(first);
            continue;
        }
        let hex = rest.get(..2).and_then(|hex| std::str::from_utf8(hex).ok())?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        rest = &rest[2..];
    }
    let text = String::from_utf8(bytes).ok()?;
    (encode_token(&text) == token).then_some(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_survives_and_is_one_token(text in ".{0,40}") {
            let token = encode_token(&text);
            prop_assert!(!token.contains(['.', '*', '>', ' ', '\t', '\r', '\n']));
            prop_assert_eq!(decode_token(&token).unwrap(), text);
        }

        #[test]
        fn mangled_tokens_never_panic(token in "[=0-9A-Fa-f.*]{0,20}") {
            let _ = decode_token(&token);
        }
    }

    #[test]
    fn plain_names_stay_readable() {
        assert_eq!(encode_token("alice-1_B"), "alice-1_B");
        assert_eq!(encode_token("a.b"), "a=2Eb");
        assert_eq!(encode_token("*"), "=2A");
    }

    #[test]
    fn only_the_canonical_form_decodes() {
        assert_eq!(decode_token("=61"), None, "`a` is never escaped");
        assert_eq!(decode_token("=2e"), None, "hex digits are upper case");
        assert_eq!(decode_token("a.b"), None);
    }
}
