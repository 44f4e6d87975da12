//! What a typed line means.

use natter_ids::{DeviceId, UserId};

/// What `/help` shows.
pub const HELP: &str = "\
  /who             who is online
  /members         who belongs to the conversation
  /add USER        add a user to the group
  /remove USER     remove a user from the group
  /leave           leave the group
  /history         show what was said before
  /block USER      hear nothing more from a user, who is not told
  /unblock USER    lift a block
  /blocks          list whom you have blocked
  /away, /back     say that you are away, or here again
  /hide, /unhide   let nobody see whether you are online, or everybody you talk with
  /devices         list your devices
  /revoke DEVICE   sign one of your devices out, for good
  /quit            end the chat (or Ctrl-D)
  //text           say a line that begins with /";

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
    History,
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
        match name {
            "help" | "?" => Self::Help,
            "who" => Self::Who,
            "members" => Self::Members,
            "add" => user(Self::Add),
            "remove" => user(Self::Remove),
            "leave" => Self::Leave,
            "history" => Self::History,
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
            _ => Self::Wrong(format!("there is no /{name}; /help lists what there is")),
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
            ("/remove bob", Line::Remove(user("bob"))),
            ("/block bob", Line::Block(user("bob"))),
            ("/devices", Line::Devices),
            ("/revoke abc-1", Line::Revoke(DeviceId::new("abc-1").unwrap())),
            ("/revoke", Line::Wrong("/revoke needs the id of a device; /devices lists them".into())),
            ("/add", Line::Wrong("/add needs the name of a user".into())),
            ("/dance", Line::Wrong("there is no /dance; /help lists what there is".into())),
        ];
        for (typed, line) in cases {
            assert_eq!(Line::parse(typed), line, "{typed}");
        }
    }
}
