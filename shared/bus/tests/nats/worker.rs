//! A worker that writes down what it is given, and what must hold of what all replicas wrote.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use natter_bus::{Bus, LogRecord, PartitionWorker, Service, WorkError};
use natter_ids::{Partition, Seq};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// What happened, in the order in which it did, over all replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A replica took the partition over and reads on after the number.
    Began(Seq),
    /// It was handed this number; `true`: readable.
    Entry(Seq, bool),
    /// It refused the batch for now.
    Refused,
    /// It has done the batch up to the number.
    Done(Seq),
    /// It stopped.
    Ended,
}

/// A partition, the replica that worked on it, and what it did.
type Note = (Partition, &'static str, Step);

#[derive(Clone, Default)]
pub struct Journal(Arc<Mutex<Vec<Note>>>);

impl Journal {
    pub fn write(&self, partition: Partition, replica: &'static str, step: Step) {
        self.0.lock().unwrap().push((partition, replica, step));
    }

    pub fn of(&self, partition: Partition) -> Vec<(&'static str, Step)> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(at, ..)| *at == partition).map(|(_, replica, step)| (*replica, step.clone())).collect()
    }

    /// Up to which number a partition is done.
    pub fn done(&self, partition: Partition) -> Seq {
        let done = |step: &Step| if let Step::Done(seq) = step { Some(*seq) } else { None };
        self.of(partition).iter().filter_map(|(_, step)| done(step)).max().unwrap_or(0)
    }

    /// Who works on which partition now.
    pub fn owners(&self) -> BTreeMap<Partition, Vec<&'static str>> {
        let mut owners: BTreeMap<Partition, Vec<_>> = BTreeMap::new();
        for (partition, replica, step) in self.0.lock().unwrap().iter() {
            let of = owners.entry(*partition).or_default();
            match step {
                Step::Began(_) => of.push(*replica),
                Step::Ended => of.retain(|owner| owner != replica),
                _ => {}
            }
        }
        owners
    }

    /// Every number in order and none left out. What was done may come again, but only to a
    /// replica that has just begun; and only one replica works at a time.
    pub fn assert_in_order(&self, partition: Partition) {
        let steps = self.of(partition);
        let (mut done, mut last, mut owner) = (0, 0, None);
        for (at, (replica, step)) in steps.iter().enumerate() {
            let told = || format!("{replica} {step:?} at {at} of {steps:#?}");
            match step {
                Step::Began(after) => {
                    assert_eq!(owner, None, "two at a time: {}", told());
                    assert!(*after <= done, "begins too late: {}", told());
                    (owner, last) = (Some(replica), *after);
                }
                Step::Entry(seq, _) => {
                    assert_eq!(owner, Some(replica), "no owner: {}", told());
                    assert_eq!(*seq, last + 1, "out of order: {}", told());
                    last = *seq;
                }
                Step::Refused => last = done,
                Step::Done(seq) => {
                    assert_eq!(owner, Some(replica), "no owner: {}", told());
                    assert_eq!(*seq, last, "{}", told());
                    done = last;
                }
                Step::Ended => {
                    if owner == Some(replica) {
                        owner = None;
                    }
                }
            }
        }
    }
}

pub struct Worker {
    pub replica: &'static str,
    pub journal: Journal,
    /// How long a batch takes.
    pub pace: Duration,
    /// How often a batch is refused before it is done.
    pub refuse: Arc<Mutex<u32>>,
}

impl PartitionWorker for Worker {
    async fn begin(&self, _partition: Partition) -> Result<Option<Seq>, WorkError> {
        Ok(None)
    }

    async fn began(&self, partition: Partition, after: Seq) {
        self.journal.write(partition, self.replica, Step::Began(after));
    }

    async fn process(&self, partition: Partition, batch: &[LogRecord]) -> Result<(), WorkError> {
        for record in batch {
            assert_eq!(record.partition, partition);
            self.journal.write(partition, self.replica, Step::Entry(record.seq, record.body.is_ok()));
        }
        // The work: an owner that is replaced is stopped here.
        tokio::time::sleep(self.pace).await;
        let refused = {
            let mut left = self.refuse.lock().unwrap();
            let refused = *left > 0;
            *left = left.saturating_sub(1);
            refused
        };
        if refused {
            self.journal.write(partition, self.replica, Step::Refused);
            return Err(WorkError::Retry { after: Duration::from_millis(300), reason: "not now".into() });
        }
        self.journal.write(partition, self.replica, Step::Done(batch.last().unwrap().seq));
        Ok(())
    }

    fn ended(&self, partition: Partition) {
        self.journal.write(partition, self.replica, Step::Ended);
    }
}

/// A replica at work.
pub struct Replica {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Replica {
    pub fn start(bus: &Bus, replica: &'static str, journal: &Journal, pace: Duration) -> Self {
        let worker = Worker { replica, journal: journal.clone(), pace, refuse: Arc::default() };
        Self::run(bus, worker)
    }

    #[allow(clippy::disallowed_methods, reason = "joined or aborted by the test")]
    pub fn run(bus: &Bus, worker: Worker) -> Self {
        let (bus, cancel) = (bus.clone(), CancellationToken::new());
        let stop = cancel.clone();
        let worker = Arc::new(worker);
        let task = tokio::spawn(async move { bus.run_partitions(Service::Delivery, worker, stop).await });
        Self { cancel, task }
    }

    /// Ends it by itself: it gives back what it owns.
    pub async fn leave(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }

    /// Ends it as a crash does, as far as others can see: nothing is given back.
    pub async fn die(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
