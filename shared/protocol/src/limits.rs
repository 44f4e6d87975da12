//! Limits that clients can meet, named as in the configuration and in errors: one table.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $default:expr;)*) => {
        /// What a client may send and ask for. Told in `welcome`; each can be configured.
        ///
        /// Unknown names are ignored, so that an older client reads a newer `welcome`.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(default)]
        pub struct Limits {
            $($(#[$doc])* pub $name: u32,)*
        }

        impl Default for Limits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Configured {
            $($name: u32,)*
        }

        impl Default for Configured {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl From<Configured> for Limits {
            fn from(configured: Configured) -> Self {
                Self { $($name: configured.$name,)* }
            }
        }
    };
}

limits! {
    /// Longest text of a message, in bytes of UTF-8.
    message_bytes_max = 64 * 1024;
    /// Longest frame that a client may send, in bytes. A text may grow sixfold in JSON (every
    /// byte a `\u00XX`) and still has to fit.
    frame_bytes_max = 400 * 1024;
    /// Most members of a group.
    group_members_max = 100_000;
    /// Most members that a group begins with; others are added, or come in by an invite.
    group_begun_members_max = 1000;
    /// Longest name of a group, in bytes.
    group_name_bytes_max = 256;
    /// Longest description of a group, in bytes.
    group_description_bytes_max = 4096;
    /// Longest reference to a group's picture, in bytes.
    group_avatar_bytes_max = 1024;
    /// Most invites of a group that hold at the same time.
    group_invites_max = 20;
    /// Most conversations, members or history entries in one page.
    page_items_max = 200;
    /// Most conversations in one page of an overview, at most 1000.
    overview_items_max = 500;
    /// Most users whose presence one session watches or asks for at once.
    presence_users_max = 200;
    /// Most devices of one user. A new one takes the place of the one unseen for longest, unless all are
    /// connected; 0: no new ones.
    devices_max = 50;
    /// Most users whom one user blocks.
    blocks_max = 1000;
    /// Longest name of a device, in bytes.
    device_name_bytes_max = 128;
}

/// Reads limits from a configuration, where an unknown name is a mistake; for
/// `#[serde(deserialize_with = "…")]`.
///
/// # Errors
/// A name that is no limit, or a value that is no number.
pub fn configured_limits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
    Configured::deserialize(deserializer).map(Limits::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_client_reads_a_newer_welcome() {
        let limits = serde_json::from_str::<Limits>(r#"{"message_bytes_max":5,"invented_later_max":1}"#);
        assert_eq!(limits.ok(), Some(Limits { message_bytes_max: 5, ..Limits::default() }));
    }

    #[test]
    fn a_configuration_with_an_unknown_name_is_refused() {
        let read = |text| configured_limits(&mut serde_json::Deserializer::from_str(text));
        assert!(read(r#"{"message_byte_max":5}"#).is_err_and(|error| error.to_string().contains("message_byte_max")));
        let read = read(r#"{"page_items_max":7}"#).ok();
        assert_eq!(read, Some(Limits { page_items_max: 7, ..Limits::default() }));
    }
}
