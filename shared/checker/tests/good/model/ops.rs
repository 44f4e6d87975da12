//! What happens in a chat, at random.

use proptest::prelude::*;

/// What happens next; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
pub enum Op {
    Send {
        user: usize,
        room: usize,
        text: String,
        fate: Fate,
    },
    /// Does something to a message.
    Change {
        user: usize,
        room: usize,
        message: usize,
        to: To,
        fate: Fate,
    },
    /// Has read up to an entry.
    Read {
        user: usize,
        room: usize,
        entry: usize,
    },
    Leave {
        user: usize,
        room: usize,
    },
    Join {
        user: usize,
        room: usize,
    },
    Disconnect {
        device: usize,
    },
    /// Comes back, with a position that is that many entries old.
    Reconnect {
        device: usize,
        stale: usize,
    },
    NewDevice {
        user: usize,
    },
}

/// What becomes of a message.
#[derive(Debug, Clone)]
pub enum To {
    Text(String),
    Nothing,
    Reaction(usize, bool),
}

#[derive(Debug, Clone, Copy)]
pub enum Fate {
    Accepted,
    AcceptedOnRetry,
    Refused,
    LostOnTheWay,
    StoredUnanswered,
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    let n = || 0_usize..60;
    let fate = || {
        prop_oneof![
            6 => Just(Fate::Accepted),
            1 => Just(Fate::AcceptedOnRetry),
            1 => Just(Fate::Refused),
            1 => Just(Fate::LostOnTheWay),
            1 => Just(Fate::StoredUnanswered),
        ]
    };
    let to = prop_oneof![
        2 => "\\PC{0,12}".prop_map(To::Text),
        1 => Just(To::Nothing),
        3 => (0_usize..3, prop::bool::weighted(0.7)).prop_map(|(which, on)| To::Reaction(which, on)),
    ];
    let change = (n(), n(), n(), to, fate());
    let op = prop_oneof![
        12 => (n(), n(), "\\PC{0,12}", fate()).prop_map(|(user, room, text, fate)| Op::Send { user, room, text, fate }),
        6 => change.prop_map(|(user, room, message, to, fate)| Op::Change { user, room, message, to, fate }),
        2 => (n(), n(), n()).prop_map(|(user, room, entry)| Op::Read { user, room, entry }),
        1 => (n(), n()).prop_map(|(user, room)| Op::Leave { user, room }),
        1 => (n(), n()).prop_map(|(user, room)| Op::Join { user, room }),
        2 => n().prop_map(|device| Op::Disconnect { device }),
        3 => (n(), 0_usize..3).prop_map(|(device, stale)| Op::Reconnect { device, stale }),
        1 => n().prop_map(|user| Op::NewDevice { user }),
    ];
    prop::collection::vec(op, 1..80)
}
