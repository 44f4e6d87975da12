//! A recorded history, and its form as lines of JSON.

use crate::record::Record;

/// What clients tried, were answered and received, in the order in which it happened.
///
/// As text it is one JSON object per line, named by its only key: `attempt`, `outcome`, `member`,
/// `start`, `device`, `event`, `received`, `reading`, `read`, `state`, `reads`, `mark`, `at`, `bound`,
/// `broken`, or the text `mended`. The lines `device`, `event` and `reading` count from 0, each for
/// themselves; `received`, `read` and `state` call them by these numbers. Texts of messages are part of
/// it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub(crate) records: Vec<Record>,
}

/// A line is not one of a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not one of a history: {reason}")]
pub struct UnreadableLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl History {
    /// The history as lines of JSON, without line ends.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        // A record is made of strings, numbers and maps with string keys: JSON can hold it.
        self.records.iter().map(|record| serde_json::to_string(record).unwrap_or_default())
    }

    /// Reads what [`History::lines`] wrote.
    ///
    /// # Errors
    /// [`UnreadableLine`] names the first line that is no JSON of a known form, or that calls a
    /// device or event by a number which no line before it gave.
    pub fn from_lines<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Result<Self, UnreadableLine> {
        let (mut records, mut devices, mut events, mut readings) = (Vec::new(), 0, 0, 0);
        for (index, line) in lines.into_iter().enumerate() {
            let fail = |reason: String| UnreadableLine { line: index + 1, reason };
            let record = serde_json::from_str(line.as_ref()).map_err(|error| fail(error.to_string()))?;
            match &record {
                Record::Device(_) => devices += 1,
                Record::Event(_) => events += 1,
                Record::Received(receipt) if receipt.device >= devices => {
                    return Err(fail(format!("there is no device {} yet", receipt.device)));
                }
                Record::Received(receipt) if receipt.event >= events => {
                    return Err(fail(format!("there is no event {} yet", receipt.event)));
                }
                Record::Reading(_) => readings += 1,
                Record::Read { reading, .. } | Record::State { reading, .. } if *reading >= readings => {
                    return Err(fail(format!("there is no reading {reading} yet")));
                }
                Record::Read { event, .. } if *event >= events => {
                    return Err(fail(format!("there is no event {event} yet")));
                }
                _ => {}
            }
            records.push(record);
        }
        Ok(Self { records })
    }

    /// How many receipts it holds.
    pub fn receipts(&self) -> usize {
        self.records.iter().filter(|record| matches!(record, Record::Received(_))).count()
    }
}
