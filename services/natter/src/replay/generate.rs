//! Makes logs of the form that a replay reads, the same for the same seed for ever.

use std::io::{self, Write};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    /// The same seed gives the same log.
    pub seed: u64,
    /// How many lines are said, events besides.
    pub lines: usize,
    /// How many people there are.
    pub speakers: usize,
}

/// SplitMix64 (Steele, Lea, Flood 2014). The generators of the `rand` crate may change what they
/// give for a seed from one version to the next; logs named in a report have to stay what they are.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `count - 1`; 0 when there is none.
    fn below(&mut self, count: usize) -> usize {
        let count = u64::try_from(count).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % count).unwrap_or(0)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

const WORDS: &[&str] = &[
    "the", "a", "is", "it", "how", "does", "anyone", "know", "why", "my", "kernel", "module", "driver", "screen",
    "works", "broken", "again", "try", "restart", "install", "with", "without", "sudo", "package", "and", "then",
    "thanks", "no", "yes", "maybe", "here", "now", "file", "disk", "sound", "card", "help", "please", "what", "about",
];

/// Real channels hold all of these: links, smileys, other scripts, combining marks, terminal and
/// IRC control characters, JSON and SQL, spaces at both ends.
const ODDITIES: &[&[u8]] = &[
    b"http://example.org/~user/?q=a%20b&c=[1]#top",
    b":-) >.< \\o/",
    "« ça va très bien »".as_bytes(),
    "привет, 世界, سلام".as_bytes(),
    "🦀👩‍👩‍👧 e\u{301}".as_bytes(),
    b"\x02bold\x02 \x0304red\x03 \x1funder\x1f\x0f",
    b"\x01VERSION\x01",
    b"root\tALL=(ALL) ALL",
    b"  indented, and a space at the end ",
    b"{\"type\":\"event\",\"text\":\"\\u0000\"}",
    b"'; DROP TABLE messages; --",
    b"$ grep -v '^#' /etc/fstab | awk '{print $2}'",
    "\u{200f}\u{202e}right to left".as_bytes(),
    b"carriage return\r",
    b"nul \0 and escape \x1b[31m",
    b"[12:00] <nobody> === a log in a log",
    // ISO 8859-1, as old clients send.
    b"caf\xe9 na\xefve",
];

const SYLLABLES: &[&str] = &["ka", "lo", "mi", "ra", "te", "zu", "no", "bi", "sha", "ren", "qu", "ix"];
const TAILS: &[&str] = &["", "", "", "_", "-work", "|afk", "^", "`", "[1]", "2008"];

struct Person {
    name: String,
    here: bool,
    renames: usize,
}

struct Channel<W> {
    random: Random,
    people: Vec<Person>,
    out: W,
}

/// Writes a log.
///
/// # Errors
/// Only those of the writer.
pub(super) fn write(recipe: Recipe, out: impl Write) -> io::Result<()> {
    let mut random = Random(recipe.seed);
    // A third is there at the start.
    let person = |number: usize, random: &mut Random| {
        let name = format!("{}{}{number}{}", random.pick(SYLLABLES), random.pick(SYLLABLES), random.pick(TAILS));
        Person { name, here: number.is_multiple_of(3), renames: 0 }
    };
    let people = (0..recipe.speakers.max(1)).map(|number| person(number, &mut random)).collect();
    let mut channel = Channel { random, people, out };
    let mut minute = 11 * 60 + 22;
    for number in 0..recipe.lines {
        // Everybody says something when there is room for it.
        let who = if number < recipe.speakers { number } else { channel.random.below(recipe.speakers) };
        channel.event()?;
        channel.say(minute, who)?;
        if channel.random.one_in(20) {
            minute += 1 + channel.random.below(2);
        }
    }
    channel.out.flush()
}

impl<W: Write> Channel<W> {
    fn event(&mut self) -> io::Result<()> {
        let who = self.random.below(self.people.len());
        match self.random.below(16) {
            0 => self.join(who),
            1 => self.leave(who),
            2 if self.random.one_in(3) => self.rename(who),
            3 if self.random.one_in(3) => writeln!(self.out, "=== mode/#room [host]  by ChanServ"),
            4 if self.random.one_in(8) => writeln!(self.out, "=== ..[topic/#room:ChanServ] : be kind"),
            _ => Ok(()),
        }
    }

    fn join(&mut self, who: usize) -> io::Result<()> {
        let person = &mut self.people[who];
        if std::mem::replace(&mut person.here, true) {
            return Ok(());
        }
        writeln!(self.out, "=== {} [host]  has joined #room", person.name)
    }

    fn leave(&mut self, who: usize) -> io::Result<()> {
        let kicked = self.random.one_in(10);
        let person = &mut self.people[who];
        if !std::mem::replace(&mut person.here, false) {
            return Ok(());
        }
        if kicked {
            return writeln!(self.out, "=== {} was kicked off #room by ChanServ (later)", person.name);
        }
        writeln!(self.out, "=== {} [host]  has left #room [\"bye\"] ", person.name)
    }

    fn rename(&mut self, who: usize) -> io::Result<()> {
        let person = &mut self.people[who];
        person.renames += 1;
        // The number in it is nobody else's.
        let new = format!("guest{who}-{}", person.renames);
        let old = std::mem::replace(&mut person.name, new);
        writeln!(self.out, "=== {old} is now known as {}", person.name)
    }

    fn say(&mut self, minute: usize, who: usize) -> io::Result<()> {
        // Now and then somebody speaks whom the log has not seen come.
        if !self.random.one_in(20) {
            self.join(who)?;
        }
        let text = self.text();
        // The clock has twelve hours, from 01 to 12.
        let (hour, minute) = ((minute / 60 + 11) % 12 + 1, minute % 60);
        let name = &self.people[who].name;
        if self.random.one_in(30) {
            write!(self.out, "[{hour:02}:{minute:02}]  * {name} ")?;
        } else {
            write!(self.out, "[{hour:02}:{minute:02}] <{name}> ")?;
        }
        self.out.write_all(&text)?;
        self.out.write_all(b"\n")
    }

    fn text(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        if self.random.one_in(3) {
            let addressed = self.random.below(self.people.len());
            text.extend_from_slice(self.people[addressed].name.as_bytes());
            text.extend_from_slice(b": ");
        }
        for number in 0..1 + self.random.below(14) {
            if number > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(self.random.pick(WORDS).as_bytes());
        }
        if self.random.one_in(8) {
            text.push(b' ');
            text.extend_from_slice(self.random.pick::<&[u8]>(ODDITIES));
        }
        text
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::replay::log::{Act, Log};

    fn made(seed: u64, lines: usize, speakers: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(Recipe { seed, lines, speakers }, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_made_can_be_read() {
        let log = Log::read(&made(7, 2_000, 120));
        assert_eq!((log.said(), log.speakers.len()), (2_000, 120));
        assert!(log.unreadable.is_empty());
        let count = |act: &Act| log.steps.iter().filter(|step| step.act == *act).count();
        assert!(count(&Act::Join) > 50, "{}", count(&Act::Join));
        assert!(count(&Act::Leave) > 50, "{}", count(&Act::Leave));
        assert!(!log.absent_at_start().is_empty());
        let texts =
            || log.steps.iter().filter_map(|step| if let Act::Say(text) = &step.act { Some(text) } else { None });
        assert!(texts().any(|text| text.contains("café naïve")), "bytes of ISO 8859-1");
        assert!(texts().any(|text| text.contains('\u{2}')), "control characters");
        assert!(texts().any(|text| text.contains('🦀')));
    }

    #[test]
    fn the_seed_decides_all() {
        assert_eq!(made(1, 500, 40), made(1, 500, 40));
        assert_ne!(made(1, 500, 40), made(2, 500, 40));
        // Logs are named by their seeds in reports: a change here makes others of them.
        let first = made(1, 3, 3);
        assert_eq!(String::from_utf8_lossy(&first), FIRST);
    }

    #[test]
    fn small_orders_are_met() {
        assert_eq!(Log::read(&made(1, 0, 10)).said(), 0);
        let log = Log::read(&made(1, 5, 1));
        assert_eq!((log.said(), log.speakers.len()), (5, 1));
    }

    const FIRST: &str = "\
[11:22] <zubi0> install card a works file anyone how does help package about
=== ixren1[1] [host]  has joined #room
[11:22] <ixren1[1]> with screen
=== renren2 [host]  has joined #room
[11:22] <renren2> file what what install restart driver
";
}
