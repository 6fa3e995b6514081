//! Past events in bounded memory, for `foster events`.
//!
//! Each is kept as the line that a client gets, so that many clients cost one encoding; beside it is what a filter
//! looks at. Events are numbered without gaps: a reader that comes too late knows how many it has missed.

use std::collections::VecDeque;
use std::ops::Range;

use foster_core::action::{EventName, StateName};

/// How many bytes of events are kept: some two hundred.
const CAPACITY: usize = 64 * 1024;

/// The last events.
#[derive(Debug, Default)]
pub(super) struct History {
    records: VecDeque<EventRecord>,
    size: usize,
    /// How many there were in all: the number of the last one.
    count: u64,
}

/// An event.
#[derive(Debug)]
pub(super) struct EventRecord {
    /// What it is about; `None`: the container.
    pub(super) about: Option<Subject>,
    /// Its name.
    pub(super) event: EventName,
    /// The line of the wire.
    pub(super) line: Box<[u8]>,
}

/// The instances that an event is about, by name: a number of the plan may mean another program after an update.
#[derive(Debug)]
pub(super) struct Subject {
    /// The program.
    pub(super) program: Box<str>,
    /// Which of its instances.
    pub(super) instances: Range<u16>,
    /// What state it is in from then on, where that changed.
    pub(super) state: Option<StateName>,
}

impl EventRecord {
    fn cost(&self) -> usize {
        size_of::<EventRecord>()
            + self.line.len()
            + self.about.as_ref().map_or(0, |about| about.program.len())
    }
}

impl History {
    /// Adds one, at the cost of the oldest.
    pub(super) fn keep(&mut self, event: EventRecord) {
        self.count += 1;
        self.size += event.cost();
        self.records.push_back(event);
        while self.size > CAPACITY {
            let Some(oldest) = self.records.pop_front() else { break };
            self.size -= oldest.cost();
        }
    }

    /// The number of the last event; 0 before the first.
    pub(super) fn last(&self) -> u64 {
        self.count
    }

    /// The events after the one with this number, each with its own, as far as they are kept.
    pub(super) fn after(&self, number: u64) -> impl DoubleEndedIterator<Item = (u64, &EventRecord)> {
        let first = self.first();
        let skipped = usize::try_from(number.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.records.iter().enumerate().skip(skipped).map(move |(place, kept)| (first + place as u64, kept))
    }

    /// How many events after the one with this number are kept no more.
    pub(super) fn missed(&self, number: u64) -> u64 {
        self.first().saturating_sub(number.saturating_add(1))
    }

    /// The number of the oldest that is kept, or would be.
    fn first(&self) -> u64 {
        self.count + 1 - self.records.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(length: usize) -> EventRecord {
        EventRecord { about: None, event: EventName::Shutdown, line: vec![b'x'; length].into() }
    }

    fn numbers(history: &History, after: u64) -> Vec<u64> {
        history.after(after).map(|(number, _)| number).collect()
    }

    #[test]
    fn a_reader_goes_on_after_the_last_event_it_has_seen() {
        let mut history = History::default();
        assert!(numbers(&history, 0).is_empty());
        (0..3).for_each(|_| history.keep(event(10)));
        assert_eq!(numbers(&history, 0), [1, 2, 3]);
        assert_eq!(numbers(&history, 2), [3]);
        assert!(numbers(&history, 3).is_empty() && numbers(&history, u64::MAX).is_empty());
        assert_eq!((history.last(), history.missed(0)), (3, 0));
    }

    #[test]
    fn it_never_outgrows_its_bound_and_a_late_reader_knows_what_it_missed() {
        let mut history = History::default();
        for _ in 0..1_000 {
            history.keep(event(1_000));
            assert!(history.size <= CAPACITY);
        }
        let kept = numbers(&history, 10);
        assert_eq!(kept.last(), Some(&1_000));
        assert_eq!(history.missed(10), kept[0] - 11);
        assert_eq!(history.missed(kept[0] - 1), 0);
        history.keep(event(2 * CAPACITY));
        assert_eq!(numbers(&history, 0), [] as [u64; 0]);
        assert_eq!((history.size, history.missed(1_001)), (0, 0));
    }
}
