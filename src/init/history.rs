//! Past events in bounded memory, for `foster events`.
//!
//! An event is stored as the line that clients get, so that it is encoded once, and with the fields that filters use.
//! Events are numbered without gaps, so that a late reader knows how many it has missed.

use std::collections::VecDeque;
use std::ops::Range;

use foster_core::action::{EventName, StateName};

/// The most bytes of events: about two hundred events.
const CAPACITY: usize = 64 * 1024;

/// The last events.
#[derive(Debug, Default)]
pub(super) struct History {
    records: VecDeque<EventRecord>,
    size: usize,
    /// The number of all events so far, which is that of the last one.
    count: u64,
}

/// An event.
#[derive(Debug)]
pub(super) struct EventRecord {
    /// Its subject; `None`: the container.
    pub(super) about: Option<Subject>,
    /// Its name.
    pub(super) event: EventName,
    /// Its line in the control protocol.
    pub(super) line: Box<[u8]>,
}

/// The instances of an event, by name, because ids are not stable across updates.
#[derive(Debug)]
pub(super) struct Subject {
    /// The program.
    pub(super) program: Box<str>,
    /// Its instances.
    pub(super) instances: Range<u16>,
    /// The new state, if it has changed.
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
    /// Adds an event, and drops the oldest ones if there is no room.
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

    /// The stored events after the one with this number, each with its number.
    pub(super) fn after(&self, number: u64) -> impl DoubleEndedIterator<Item = (u64, &EventRecord)> {
        let first = self.first();
        let skipped = usize::try_from(number.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.records.iter().enumerate().skip(skipped).map(move |(place, kept)| (first + place as u64, kept))
    }

    /// The number of events after the one with this number that were dropped.
    pub(super) fn missed(&self, number: u64) -> u64 {
        self.first().saturating_sub(number.saturating_add(1))
    }

    /// The number of the oldest stored event, or of the next one if none is stored.
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
    fn a_reader_continues_after_the_last_event_it_has_seen() {
        let mut history = History::default();
        assert!(numbers(&history, 0).is_empty());
        (0..3).for_each(|_| history.keep(event(10)));
        assert_eq!(numbers(&history, 0), [1, 2, 3]);
        assert_eq!(numbers(&history, 2), [3]);
        assert!(numbers(&history, 3).is_empty() && numbers(&history, u64::MAX).is_empty());
        assert_eq!((history.last(), history.missed(0)), (3, 0));
    }

    #[test]
    fn the_size_is_bounded_and_a_late_reader_gets_the_number_of_missed_events() {
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
