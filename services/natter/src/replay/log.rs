//! A channel log as a play: who there is, and what they do in which order.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use natter_ids::UserId;

use super::line::{Line, Minute};

/// A speaker, by their place in [`Log::speakers`].
pub(super) type SpeakerIndex = usize;

/// A log, read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Log {
    /// Everybody who says something, under the earliest of their names, in the order of their
    /// first lines.
    pub speakers: Vec<UserId>,
    /// What they do.
    pub steps: Vec<Step>,
    /// Numbers of the lines, from 1, that have no known form.
    pub unreadable: Vec<usize>,
}

/// One thing that a speaker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Number of its line, from 1.
    pub line: usize,
    /// When, counted from the first line. Lines of one minute are spread evenly over it.
    pub at: Duration,
    /// Who.
    pub speaker: SpeakerIndex,
    /// What.
    pub act: Act,
}

/// What a speaker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    /// Says something.
    Say(String),
    /// Comes.
    Join,
    /// Goes.
    Leave,
}

impl Log {
    /// Reads a whole log. Events of people who never say anything are left out.
    pub fn read(bytes: &[u8]) -> Self {
        // What follows the last line feed is a line only when there is something.
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        let lines: Vec<Line> = if bytes.is_empty() { Vec::new() } else { lines.map(Line::parse).collect() };
        let cast = Cast::new(&lines);
        let times = times(&lines);
        let mut log = Self::default();
        for ((number, line), at) in (1..).zip(lines).zip(times) {
            let (nick, act) = match line {
                Line::Said { nick, text, .. } => (nick, Act::Say(text)),
                Line::Joined { nick } => (nick, Act::Join),
                Line::Left { nick } => (nick, Act::Leave),
                Line::Renamed { .. } | Line::Other => continue,
                Line::Unreadable => {
                    log.unreadable.push(number);
                    continue;
                }
            };
            match cast.speaker(&nick) {
                Some(speaker) => log.steps.push(Step { line: number, at, speaker, act }),
                // Only of people who speak under a name that no user can have.
                None if matches!(act, Act::Say(_)) => log.unreadable.push(number),
                None => {}
            }
        }
        log.speakers = cast.speakers;
        log
    }

    /// How many lines are said.
    pub fn said(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step.act, Act::Say(_))).count()
    }

    /// The speakers who come before they do anything else, so that they are away at the start.
    pub fn absent_at_start(&self) -> Vec<SpeakerIndex> {
        let mut first: BTreeMap<SpeakerIndex, &Act> = BTreeMap::new();
        for step in &self.steps {
            first.entry(step.speaker).or_insert(&step.act);
        }
        first.into_iter().filter(|(_, act)| **act == Act::Join).map(|(speaker, _)| speaker).collect()
    }
}

/// Who is who: all names that changes link are one person.
struct Cast {
    /// A name that the same person had before, by name. Who is in no pair has one name.
    earlier: HashMap<String, String>,
    /// Speakers by their first name.
    known: HashMap<String, SpeakerIndex>,
    speakers: Vec<UserId>,
}

impl Cast {
    fn new(lines: &[Line]) -> Self {
        let mut cast = Self { earlier: HashMap::new(), known: HashMap::new(), speakers: Vec::new() };
        for line in lines {
            if let Line::Renamed { from, to } = line {
                let (from, to) = (cast.first_name(from), cast.first_name(to));
                if from != to {
                    cast.earlier.insert(to, from);
                }
            }
        }
        for line in lines {
            if let Line::Said { nick, .. } = line {
                let name = cast.first_name(nick);
                if let Ok(user) = UserId::new(&name)
                    && !cast.known.contains_key(&name)
                {
                    cast.known.insert(name, cast.speakers.len());
                    cast.speakers.push(user);
                }
            }
        }
        cast
    }

    fn first_name(&self, nick: &str) -> String {
        let mut name = nick;
        while let Some(earlier) = self.earlier.get(name) {
            name = earlier;
        }
        name.to_owned()
    }

    fn speaker(&self, nick: &str) -> Option<SpeakerIndex> {
        self.known.get(&self.first_name(nick)).copied()
    }
}

/// When each line happens. The clock shows minutes, of twelve hours or twenty-four; lines that
/// show none happen between their neighbours.
fn times(lines: &[Line]) -> Vec<Duration> {
    let mut minutes: Vec<u32> = Vec::with_capacity(lines.len());
    let (mut elapsed, mut last) = (0, None);
    for line in lines {
        if let Line::Said { minute, .. } = line {
            elapsed += last.map_or(0, |last| passed(last, *minute));
            last = Some(*minute);
        }
        minutes.push(elapsed);
    }
    let in_minute = |group: &[u32]| {
        let (minute, count) = (Duration::from_secs(60), u32::try_from(group.len()).unwrap_or(u32::MAX));
        let start = group.first().map_or(Duration::ZERO, |number| minute * *number);
        (0..count).map(move |place| start + minute * place / count)
    };
    minutes.chunk_by(|one, next| one == next).flat_map(in_minute).collect()
}

/// Minutes from one reading of the clock to the next. A step back is none.
fn passed(from: Minute, to: Minute) -> u32 {
    const HALF_DAY: u32 = 12 * 60;
    let minutes = (u32::from(to) + 2 * HALF_DAY - u32::from(from)) % HALF_DAY;
    if minutes < HALF_DAY / 2 { minutes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
[12:58] <ann> one
=== bob [host]  has joined #room
=== lurker [host]  has joined #room
[12:59] <ann> two
=== ann is now known as ann|away
=== mode/#room [host]  by ann
[01:00] <ann|away> three
[01:00] <bob> four
this is no line
=== ann|away is now known as ann
=== ann [host]  has left #room []
=== bob was kicked off #room by ann (fun)
[01:00]  * Robert five";

    fn acts(log: &Log) -> Vec<String> {
        let act = |step: &Step| match &step.act {
            Act::Say(text) => text.clone(),
            other => format!("{other:?}"),
        };
        log.steps.iter().map(|step| format!("{} {} {}", step.line, log.speakers[step.speaker], act(step))).collect()
    }

    #[test]
    fn people_keep_their_first_name() {
        let log = Log::read(LOG.as_bytes());
        assert_eq!(
            acts(&log),
            [
                "1 ann one",
                "2 bob Join",
                "4 ann two",
                "7 ann three",
                "8 bob four",
                "11 ann Leave",
                "12 bob Leave",
                "13 Robert five",
            ]
        );
        assert_eq!((log.said(), log.unreadable.clone(), log.absent_at_start()), (5, vec![9], vec![1]));
    }

    #[test]
    fn names_linked_in_any_order_are_one_person() {
        let log =
            Log::read(b"[00:00] <c> x\n=== b is now known as c\n=== a is now known as b\n=== c is now known as a\n");
        assert_eq!(log.speakers.len(), 1);
        let log = Log::read(b"[00:00] <a> x\n=== a is now known as a\n[00:00] <A> y");
        assert_eq!(log.speakers.len(), 2);
    }

    #[test]
    fn minutes_are_spread_and_never_run_back() {
        let log = Log::read(b"[12:59] <a> 1\n[12:59] <a> 2\n[01:00] <a> 3\n[00:59] <a> 4\n[01:01] <a> 5");
        let seconds: Vec<_> = log.steps.iter().map(|step| step.at.as_secs()).collect();
        assert_eq!(seconds, [0, 30, 60, 90, 180]);
        let night = Log::read(b"[23:59] <a> 1\n[00:01] <a> 2");
        assert_eq!(night.steps[1].at, Duration::from_secs(120));
    }

    #[test]
    fn an_empty_log_is_empty() {
        assert_eq!(Log::read(b""), Log::default());
        assert_eq!(Log::read(b"\n").unreadable, [1]);
    }
}
