//! Kinds of entries that a later version knows.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use serde_json::{Map, Value};

/// Every `kind` that [`crate::Change`] knows; checked against the enum by a test.
pub(crate) const KINDS: &[&str] = &[
    "direct_opened",
    "group_created",
    "message",
    "member_added",
    "member_removed",
    "member_left",
    "member_joined",
    "member_banned",
    "member_unbanned",
    "role_changed",
    "group_changed",
    "invite_created",
    "invite_used",
    "invite_revoked",
    "edited",
    "deleted",
    "reacted",
    "pinned",
    "unpinned",
    "timer_set",
    "erased",
];

/// What happened, of a kind that this version does not know. It is kept, archived and delivered
/// as it is, so that services of neighbouring versions work beside each other; it is shown to
/// nobody by this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The kind.
    kind: String,
    /// Its fields.
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl Other {
    /// How the later version calls it.
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

impl<'de> Deserialize<'de> for Other {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Read {
            kind: String,
            #[serde(flatten)]
            fields: Map<String, Value>,
        }
        let Read { kind, fields } = Read::deserialize(deserializer)?;
        // A known kind comes here when its fields cannot be read.
        if KINDS.contains(&kind.as_str()) {
            return Err(D::Error::custom("an entry of a known kind has unreadable fields"));
        }
        Ok(Self { kind, fields })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{Change, Entry, Event};

    use super::*;

    const LATER: &str = r#"{"sender":"alice","client_id":"0190163d-8694-739b-aea5-966c26f8ad91","time":3,"kind":"applauded","loud":{"very":[1,2.5,null,true]},"whom":"bob"}"#;

    #[test]
    fn an_unknown_kind_is_kept_as_it_is() {
        let entry: Entry = serde_json::from_str(LATER).unwrap();
        assert!(matches!(&entry.change, Change::Other(other) if other.kind() == "applauded"), "{entry:?}");
        assert_eq!(serde_json::to_string(&entry).unwrap(), LATER);
        let event = LATER.replacen('{', r#"{"conversation":"dmI9aXkWZ1WSl4RCA8TA-tQ","seq":7,"prev":3,"#, 1);
        let read: Event = serde_json::from_str(&event).unwrap();
        assert_eq!((read.seq, &read.entry), (7, &entry));
        assert_eq!(serde_json::to_string(&read).unwrap(), event);
    }

    #[test]
    fn a_known_kind_that_cannot_be_read_is_no_other() {
        for broken in [
            r#"{"sender":"alice","time":3,"kind":"message"}"#,
            r#"{"sender":"alice","time":3,"kind":"message","text":7}"#,
            r#"{"sender":"alice","time":3,"kind":"deleted","target":"x"}"#,
            r#"{"sender":"alice","time":3}"#,
            r#"{"sender":"alice","time":3,"kind":4}"#,
            r#"{"time":3,"kind":"applauded"}"#,
        ] {
            assert!(serde_json::from_str::<Entry>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn the_list_of_kinds_is_that_of_the_enum() {
        let schema = serde_json::to_value(schemars::schema_for!(Change)).unwrap();
        let kind = |kind: &Value| kind.pointer("/properties/kind/const").and_then(Value::as_str).map(str::to_owned);
        let alternatives = ["oneOf", "anyOf"].iter().find_map(|key| schema[key].as_array()).unwrap();
        let of_the_enum: BTreeSet<_> = alternatives.iter().filter_map(kind).collect();
        let listed: BTreeSet<_> = KINDS.iter().map(|kind| (*kind).to_owned()).collect();
        assert_eq!(of_the_enum, listed);
    }
}
