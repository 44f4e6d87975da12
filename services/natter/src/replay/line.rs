//! One line of a channel log.
//!
//! ```text
//! [HH:MM] <nick> text                        a message
//! [HH:MM]  * nick text                       an action; said like a message
//! === nick [host]  has joined #channel       also: has left, has quit, was kicked off
//! === nick is now known as other
//! === anything else                          no concern of a replay
//! ```
//!
//! Only a line feed ends a line: every other byte after the one space behind the nick is text,
//! control characters and spaces included. A text that is no UTF-8 is read as ISO 8859-1, as IRC
//! clients do: each byte is the character of the same number. Names lose the spaces around them.

use std::borrow::Cow;

/// Minutes since midnight, by the log's clock.
pub(super) type Minute = u16;

/// What a line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    /// A message or an action.
    Said { minute: Minute, nick: String, text: String },
    /// Somebody comes.
    Joined { nick: String },
    /// Somebody goes, or is made to.
    Left { nick: String },
    /// Somebody changes their name.
    Renamed { from: String, to: String },
    /// Anything else that the channel tells.
    Other,
    /// Not a line of this form.
    Unreadable,
}

impl Line {
    /// Reads a line, without the line feed at its end.
    pub fn parse(bytes: &[u8]) -> Self {
        if let Some(rest) = bytes.strip_prefix(b"===") {
            return happening(&decode(rest));
        }
        said(bytes).unwrap_or(Self::Unreadable)
    }
}

/// UTF-8, or else ISO 8859-1.
fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().copied().map(char::from).collect::<String>().into(),
    }
}

/// The parts before and after the first place where `mark` stands.
fn cut<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let place = bytes.windows(mark.len()).position(|window| window == mark)?;
    Some((&bytes[..place], &bytes[place + mark.len()..]))
}

fn said(bytes: &[u8]) -> Option<Line> {
    let (clock, rest) = bytes.strip_prefix(b"[")?.split_at_checked(5)?;
    let rest = rest.strip_prefix(b"]")?;
    let (nick, text) = match rest.strip_prefix(b"  * ") {
        Some(action) => cut(action, b" ").unwrap_or((action, b"")),
        None => {
            let rest = rest.strip_prefix(b" <")?;
            // A line without text may have lost the space at its end.
            cut(rest, b"> ").or_else(|| Some((rest.strip_suffix(b">")?, &b""[..])))?
        }
    };
    let nick = name(&decode(nick))?;
    Some(Line::Said { minute: minute(clock)?, nick, text: decode(text).into_owned() })
}

fn minute(clock: &[u8]) -> Option<Minute> {
    let [h1, h2, b':', m1, m2] = clock else { return None };
    let number = |tens: &u8, ones: &u8| {
        let digit = |byte: &u8| byte.is_ascii_digit().then(|| Minute::from(byte - b'0'));
        Some(digit(tens)? * 10 + digit(ones)?)
    };
    let (hour, minute) = (number(h1, h2)?, number(m1, m2)?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

fn name(text: &str) -> Option<String> {
    let name = text.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn happening(text: &str) -> Line {
    let Some(text) = text.strip_prefix(' ') else { return Line::Other };
    if let Some((from, to)) = text.split_once(" is now known as ")
        && let (Some(from), Some(to)) = (name(from), name(to))
        && ![&from, &to].iter().any(|name| name.contains(' '))
    {
        return Line::Renamed { from, to };
    }
    coming_or_going(text).unwrap_or(Line::Other)
}

fn coming_or_going(text: &str) -> Option<Line> {
    if let Some((nick, _)) = text.split_once(" was kicked off ") {
        let nick = name(nick).filter(|nick| !nick.contains(' '))?;
        return Some(Line::Left { nick });
    }
    let (nick, rest) = text.split_once(" [")?;
    let (_, what) = rest.split_once(']')?;
    let nick = name(nick)?;
    match what.trim_start() {
        what if what.starts_with("has joined ") => Some(Line::Joined { nick }),
        what if what.starts_with("has left ") || what.starts_with("has quit") => Some(Line::Left { nick }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &[u8]) -> Option<(Minute, String, String)> {
        match Line::parse(line) {
            Line::Said { minute, nick, text } => Some((minute, nick, text)),
            _ => None,
        }
    }

    fn texts(line: &[u8]) -> (String, String) {
        said(line).map(|(_, nick, text)| (nick, text)).unwrap_or_default()
    }

    fn pair(nick: &str, text: &str) -> (String, String) {
        (nick.to_owned(), text.to_owned())
    }

    #[test]
    fn texts_are_taken_byte_for_byte() {
        assert_eq!(said(b"[23:59] <ann> hello"), Some((1439, "ann".to_owned(), "hello".to_owned())));
        assert_eq!(texts(b"[01:02] <ann>  two  spaces and a tab\t "), pair("ann", " two  spaces and a tab\t "));
        assert_eq!(texts(b"[01:02] <ann> \x01\x02bold\x0f\x00\r"), pair("ann", "\x01\x02bold\x0f\0\r"));
        assert_eq!(texts(b"[01:02] <ann> <bob> said > that [01:02]"), pair("ann", "<bob> said > that [01:02]"));
        assert_eq!(texts("[01:02] <ann> « ça » 🦀".as_bytes()), pair("ann", "« ça » 🦀"));
    }

    #[test]
    fn nothing_said_is_said_too() {
        assert_eq!(texts(b"[01:02] <ann> "), pair("ann", ""));
        assert_eq!(texts(b"[01:02] <ann>"), pair("ann", ""));
        assert_eq!(texts(b"[01:02]  * ann"), pair("ann", ""));
        assert_eq!(texts(b"[01:02] <ann>  "), pair("ann", " "));
    }

    #[test]
    fn what_is_no_utf8_is_latin_1() {
        assert_eq!(texts(b"[01:02] <ann> caf\xe9 \xff"), pair("ann", "café ÿ"));
    }

    #[test]
    fn actions_are_said() {
        assert_eq!(texts(b"[01:02]  * ann_-x waves  at all"), pair("ann_-x", "waves  at all"));
    }

    #[test]
    fn odd_names_are_names() {
        assert_eq!(texts(b"[01:02] <[x]^`|> hi"), pair("[x]^`|", "hi"));
        assert_eq!(texts(b"[01:02] <padded[1] > hi"), pair("padded[1]", "hi"));
        assert_eq!(Line::parse(b"=== [x] [n=x@1.2.3.4]  has joined #room"), Line::Joined { nick: "[x]".to_owned() });
    }

    #[test]
    fn people_come_and_go() {
        let left = Line::Left { nick: "ann".to_owned() };
        assert_eq!(Line::parse(b"=== ann [host]  has joined #Room"), Line::Joined { nick: "ann".to_owned() });
        assert_eq!(Line::parse(b"=== ann [host]  has left #room [\"] bye\"] "), left);
        assert_eq!(Line::parse(b"=== ann [host] has quit [Ping timeout]"), left);
        assert_eq!(Line::parse(b"=== ann was kicked off #room by bob (rude)"), left);
        assert_eq!(
            Line::parse(b"=== ann is now known as ann|away"),
            Line::Renamed { from: "ann".to_owned(), to: "ann|away".to_owned() }
        );
    }

    #[test]
    fn other_things_of_the_channel_are_known_as_such() {
        for line in [
            "=== mode/#room [host]  by ann",
            "=== ..[topic/#room:ann] : nobody has joined #room",
            "=== ann laughs",
            "=== the tea is now known as the coffee",
            "===",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Other, "{line}");
        }
    }

    #[test]
    fn what_has_no_such_form_is_unreadable() {
        for line in [
            "",
            "hello",
            "[1:02] <a> x",
            "[24:00] <a> x",
            "[01:02] a: x",
            "[01:02] <> x",
            "[01:0",
            "[\u{e9}\u{e9}:2] <a> x",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Unreadable, "{line}");
        }
    }
}
