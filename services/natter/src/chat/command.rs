//! What a typed line means.

use natter_ids::{DeviceId, Seq, UserId};
use natter_protocol::Strangers;

use super::{
    changes::{Deed, numbered},
    groups::GroupLine,
};

/// What `/help` shows.
pub const HELP: &str = "\
  /who             who is online
  /members         who belongs to the conversation
  /add USER        add a user to the group
  /remove USER     remove a user from the group
  /leave           leave the group
  /history         show what was said before
  /reply TEXT      answer the last message
  @USER in a text  mention a member
  /forward USER    say the last message again to a user; /relay USER without
                   telling whose it is
  /edit TEXT       give your last message another text
  /edits           what the last message said before it was edited
  /delete          delete your last message for everybody
  /react EMOJI     react to the last message; /unreact EMOJI takes it back
  /reactions       who has reacted to the last message, or with /reactions #7 to that one
  /pin, /unpin     pin the last message, or take it off; /pinned shows all
  /timer off|7d    let messages disappear so long after they are said
  /last            show the last messages with their numbers, for /edit #7 TEXT,
                   /delete #7, /react #7 EMOJI and so on
  /list            your conversations, with what is unread
  /seen            who has received and read your last message
  /requests        what strangers have begun, when you want to be asked
  /accept          accept the request that this conversation is
  /strangers ask|allow  whether you want to be asked before strangers are heard like others
  /top on|off      keep the conversation at the top of your list
  /mute on|off|2h  let nothing ring, for good or for so many s, m, h or d
  /archive on|off  put the conversation away
  /receipts on|off whether others see what you read, and you what they read
  /block USER      hear nothing more from a user, who is not told
  /unblock USER    lift a block
  /blocks          list whom you have blocked
  /away, /back     say that you are away, or here again
  /hide, /unhide   let nobody see whether you are online, or everybody you talk with
  /devices         list your devices
  /revoke DEVICE   sign one of your devices out, for good
  /quit            end the chat (or Ctrl-D)
  //text           say a line that begins with /";

/// A time such as `90s`, `30m`, `2h` or `7d`, in seconds.
pub fn seconds(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit).filter(|seconds| *seconds > 0)
}

/// A typed line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Line {
    /// Nothing was typed.
    Empty,
    /// Something to say.
    Say(String),
    Help,
    Who,
    Members,
    Add(UserId),
    Remove(UserId),
    Leave,
    /// About the group itself.
    Group(GroupLine),
    History,
    /// Answer a message; without a number, the last one.
    Reply(Option<Seq>, String),
    /// Do something to a message; without a number, to the last one.
    Change(Option<Seq>, Deed),
    Pinned,
    /// Who has reacted to a message; without a number, to the last one.
    Reactions(Option<Seq>),
    /// What a message said before; without a number, the last one.
    Edits(Option<Seq>),
    Last,
    Timer(u32),
    List,
    Seen,
    Top(bool),
    /// For so many seconds; 0: no longer.
    Mute(u64),
    Archive(bool),
    Receipts(bool),
    Requests,
    Accept,
    Strangers(Strangers),
    Block(UserId),
    Unblock(UserId),
    Blocks,
    Away(bool),
    Hide(bool),
    Devices,
    Revoke(DeviceId),
    Quit,
    /// Not understood; with the sentence to show.
    Wrong(String),
}

impl Line {
    /// Whether it concerns no conversation.
    pub fn is_of_the_account(&self) -> bool {
        matches!(
            self,
            Self::Block(_)
                | Self::Unblock(_)
                | Self::Blocks
                | Self::Away(_)
                | Self::Hide(_)
                | Self::Devices
                | Self::Revoke(_)
        )
    }

    /// Reads a line.
    pub fn parse(text: &str) -> Self {
        let Some(command) = text.strip_prefix('/') else {
            return if text.trim().is_empty() { Self::Empty } else { Self::Say(text.to_owned()) };
        };
        if command.starts_with('/') {
            return Self::Say(command.to_owned());
        }
        let (name, argument) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let user = |then: fn(UserId) -> Self| match UserId::new(argument.trim()) {
            Ok(user) => then(user),
            Err(_) => Self::Wrong(format!("/{name} needs the name of a user")),
        };
        let switch = |then: fn(bool) -> Self| match argument.trim() {
            "on" => then(true),
            "off" => then(false),
            _ => Self::Wrong(format!("/{name} needs `on` or `off`")),
        };
        match name {
            "help" | "?" => Self::Help,
            "who" => Self::Who,
            "members" => Self::Members,
            "add" => user(Self::Add),
            "remove" => user(Self::Remove),
            "leave" => Self::Leave,
            "history" => Self::History,
            "timer" => match (argument.trim(), seconds(argument.trim()).map(u32::try_from)) {
                ("off", _) => Self::Timer(0),
                (_, Some(Ok(seconds))) => Self::Timer(seconds),
                _ => Self::Wrong("/timer needs `off`, or a time such as 90s or 7d".to_owned()),
            },
            "pinned" => Self::Pinned,
            "last" => Self::Last,
            "list" => Self::List,
            "seen" => Self::Seen,
            "top" => switch(Self::Top),
            "mute" => match (argument.trim(), seconds(argument.trim())) {
                ("on", _) => Self::Mute(u64::MAX),
                ("off", _) => Self::Mute(0),
                (_, Some(seconds)) => Self::Mute(seconds),
                _ => Self::Wrong("/mute needs `on`, `off`, or a time such as 2h".to_owned()),
            },
            "archive" => switch(Self::Archive),
            "receipts" => switch(Self::Receipts),
            "requests" => Self::Requests,
            "accept" => Self::Accept,
            "strangers" => match argument.trim() {
                "ask" => Self::Strangers(Strangers::Request),
                "allow" => Self::Strangers(Strangers::Allow),
                _ => Self::Wrong("/strangers needs `ask` or `allow`".to_owned()),
            },
            "block" => user(Self::Block),
            "unblock" => user(Self::Unblock),
            "blocks" => Self::Blocks,
            "away" => Self::Away(true),
            "back" => Self::Away(false),
            "hide" => Self::Hide(true),
            "unhide" => Self::Hide(false),
            "devices" => Self::Devices,
            "revoke" => match DeviceId::new(argument.trim()) {
                Ok(device) => Self::Revoke(device),
                Err(_) => Self::Wrong("/revoke needs the id of a device; /devices lists them".to_owned()),
            },
            "quit" | "exit" | "q" => Self::Quit,
            name => Self::of_group_or_message(name, argument),
        }
    }

    fn of_group_or_message(name: &str, argument: &str) -> Self {
        let message = |then: fn(Option<Seq>) -> Self| match numbered(argument) {
            Ok((number, "")) => then(number),
            Ok((_, rest)) => Self::Wrong(format!("{rest} is no message; /last lists some")),
            Err(sentence) => Self::Wrong(sentence),
        };
        match name {
            "reply" => {
                return match numbered(argument) {
                    Ok((_, "")) => Self::Wrong("/reply needs a text".to_owned()),
                    Ok((number, text)) => Self::Reply(number, text.to_owned()),
                    Err(sentence) => Self::Wrong(sentence),
                };
            }
            "reactions" => return message(Self::Reactions),
            "edits" => return message(Self::Edits),
            _ => {}
        }
        if let Some(line) = GroupLine::parse(name, argument) {
            return line.map_or_else(Self::Wrong, Self::Group);
        }
        match Deed::parse(name, argument) {
            Some(Ok((number, deed))) => Self::Change(number, deed),
            Some(Err(sentence)) => Self::Wrong(sentence),
            None => Self::Wrong(format!("there is no /{name}; /help lists what there is")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_understood() {
        let user = |text| UserId::new(text).unwrap();
        let cases = [
            ("hello /help", Line::Say("hello /help".into())),
            ("  indented", Line::Say("  indented".into())),
            ("//etc/hosts", Line::Say("/etc/hosts".into())),
            ("   ", Line::Empty),
            ("/help", Line::Help),
            ("/add two words ", Line::Add(user("two words"))),
            ("/delete #7", Line::Change(Some(7), Deed::Delete)),
            ("/reactions", Line::Reactions(None)),
            ("/reactions #7", Line::Reactions(Some(7))),
            ("/reactions x", Line::Wrong("x is no message; /last lists some".into())),
            ("/timer 90s", Line::Timer(90)),
            ("/timer 7d", Line::Timer(7 * 24 * 3_600)),
            ("/timer 99999d", Line::Wrong("/timer needs `off`, or a time such as 90s or 7d".into())),
            ("/timer off", Line::Timer(0)),
            ("/remove bob", Line::Remove(user("bob"))),
            ("/block bob", Line::Block(user("bob"))),
            ("/devices", Line::Devices),
            ("/revoke abc-1", Line::Revoke(DeviceId::new("abc-1").unwrap())),
            ("/revoke", Line::Wrong("/revoke needs the id of a device; /devices lists them".into())),
            ("/add", Line::Wrong("/add needs the name of a user".into())),
            ("/strangers ask", Line::Strangers(Strangers::Request)),
            ("/strangers", Line::Wrong("/strangers needs `ask` or `allow`".into())),
            ("/reply #3 so be it", Line::Reply(Some(3), "so be it".into())),
            ("/reply #3", Line::Wrong("/reply needs a text".into())),
            ("/edits #7", Line::Edits(Some(7))),
            ("/mute on", Line::Mute(u64::MAX)),
            ("/mute 2h", Line::Mute(7_200)),
            ("/mute 2", Line::Wrong("/mute needs `on`, `off`, or a time such as 2h".into())),
            ("/top", Line::Wrong("/top needs `on` or `off`".into())),
            ("/dance", Line::Wrong("there is no /dance; /help lists what there is".into())),
        ];
        for (typed, line) in cases {
            assert_eq!(Line::parse(typed), line, "{typed}");
        }
    }
}
