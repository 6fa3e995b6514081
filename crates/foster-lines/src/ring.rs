//! The last lines of a program, in bounded memory.
//!
//! For `foster logs` and the summary at the end. Lines are numbered in order over all programs, so that a follower can
//! ask for the lines after the last one it has seen. Nothing is allocated before the first line. Pure.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::SystemTime;

use crate::Stream;
use crate::lines::End;

/// The most bytes for a program's last lines.
pub const CAPACITY: usize = 64 * 1024;

/// The size of an entry without its text, counted so that empty lines are bounded too.
pub const OVERHEAD: usize = size_of::<Entry>();

/// The last lines of one program.
#[derive(Debug, Default)]
pub struct Ring {
    text: Bytes,
    entries: VecDeque<Entry>,
    /// The number of the last line that was dropped.
    dropped: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    at: SystemTime,
    origin: Origin,
    length: u32,
    end: End,
}

/// The origin of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The instance that wrote it.
    pub instance: u16,
    /// The number of its run; 0 for its `pre_stop` command.
    pub run: u32,
    /// The stream.
    pub stream: Stream,
}

/// A line of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number among the lines of all programs.
    pub number: u64,
    /// When it was read.
    pub at: SystemTime,
    /// Its origin.
    pub origin: Origin,
    /// The line without its newline; any bytes.
    pub text: Vec<u8>,
    /// Whether the line ends here.
    pub end: End,
}

impl Ring {
    /// Adds a line, and drops the oldest ones if there is no room.
    pub fn push(&mut self, number: u64, at: SystemTime, origin: Origin, text: &[u8], end: End) {
        while self.size() + OVERHEAD + text.len() > CAPACITY {
            let Some(oldest) = self.entries.pop_front() else { return };
            self.text.drop_first(oldest.length as usize);
            self.dropped = oldest.number;
        }
        let Ok(length) = u32::try_from(text.len()) else { return };
        self.text.push(text);
        self.entries.push_back(Entry { number, at, origin, length, end });
    }

    /// Drops the lines of an instance.
    pub fn forget(&mut self, instance: u16) {
        let mut left = Ring { dropped: self.dropped, ..Ring::default() };
        for line in self.from(0).filter(|line| line.origin.instance != instance) {
            left.push(line.number, line.at, line.origin, &line.text, line.end);
        }
        *self = left;
    }

    /// The last `count` lines, oldest first.
    pub fn tail(&self, count: usize) -> Vec<Line> {
        self.from(self.entries.len().saturating_sub(count)).collect()
    }

    /// The last lines of one run of an instance, oldest first, at most this many bytes including newlines.
    pub fn tail_of(&self, instance: u16, run: u32, most: usize) -> Vec<Line> {
        let mut room = most;
        let is_its = |entry: &Entry| entry.origin.instance == instance && entry.origin.run == run;
        let fitting = self.entries.iter().rev().take_while(|entry| {
            let cost = if is_its(entry) { entry.length as usize + 1 } else { 0 };
            let fits = cost <= room;
            room = room.saturating_sub(cost);
            fits
        });
        let index = self.entries.len() - fitting.count();
        self.from(index).filter(|line| line.origin.instance == instance && line.origin.run == run).collect()
    }

    /// The lines after the one with this number that are still in the ring.
    pub fn after(&self, number: u64) -> impl Iterator<Item = Line> {
        self.from(self.entries.partition_point(|entry| entry.number <= number))
    }

    /// The numbers of all lines, newest first.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().rev().map(|entry| entry.number)
    }

    /// The number of the last line that was dropped; 0 if there is none.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    fn size(&self) -> usize {
        self.text.length + self.entries.len() * OVERHEAD
    }

    fn from(&self, index: usize) -> impl Iterator<Item = Line> {
        let length = |entry: &Entry| entry.length as usize;
        // Counted from the end, because a follower is near it.
        let from_there: usize = self.entries.iter().rev().take(self.entries.len() - index).map(length).sum();
        let mut start = self.text.length - from_there;
        self.entries.iter().skip(index).map(move |entry| {
            let range = start..start + length(entry);
            start = range.end;
            Line {
                number: entry.number,
                at: entry.at,
                origin: entry.origin,
                text: self.text.range(range),
                end: entry.end,
            }
        })
    }
}

/// A queue of bytes: the first of them may be behind the last in memory. Every line of every program is copied here, so
/// it has only what that needs, where `VecDeque` of bytes takes three times as long.
#[derive(Debug, Default)]
struct Bytes {
    /// As long as its capacity.
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Bytes {
    const LEAST: usize = 256;

    fn push(&mut self, text: &[u8]) {
        if self.length + text.len() > self.memory.len() {
            let mut memory = self.range(0..self.length);
            memory.resize((self.length + text.len()).next_power_of_two().max(Bytes::LEAST), 0);
            (self.memory, self.start) = (memory, 0);
        }
        let end = self.start + self.length;
        let end = if end < self.memory.len() { end } else { end - self.memory.len() };
        self.length += text.len();
        if let Some(room) = self.memory.get_mut(end..end + text.len()) {
            return room.copy_from_slice(text);
        }
        let (first, second) = text.split_at_checked(self.memory.len() - end).unwrap_or((text, &[]));
        for (at, part) in [(end, first), (0, second)] {
            if let Some(room) = self.memory.get_mut(at..at + part.len()) {
                room.copy_from_slice(part);
            }
        }
    }

    fn drop_first(&mut self, count: usize) {
        let count = count.min(self.length);
        let start = self.start + count;
        self.start = if start < self.memory.len() { start } else { start - self.memory.len() };
        self.length -= count;
    }

    fn range(&self, range: Range<usize>) -> Vec<u8> {
        let (end, size) = (self.start + self.length, self.memory.len());
        let first = self.memory.get(self.start..end.min(size)).unwrap_or_default();
        let second = self.memory.get(..end.saturating_sub(size)).unwrap_or_default();
        let of_first = range.start.min(first.len())..range.end.min(first.len());
        let of_second = range.start.saturating_sub(first.len())..range.end.saturating_sub(first.len());
        [first.get(of_first).unwrap_or_default(), second.get(of_second).unwrap_or_default()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ORIGIN: Origin = Origin { instance: 0, run: 1, stream: Stream::Stdout };

    fn texts(lines: &[Line]) -> Vec<&[u8]> {
        lines.iter().map(|line| line.text.as_slice()).collect()
    }

    #[test]
    fn the_last_lines_are_oldest_first_and_a_follower_gets_the_new_ones() {
        let mut ring = Ring::default();
        for (number, text) in (1..).zip([b"one".as_slice(), b"", b"three"]) {
            ring.push(number, SystemTime::UNIX_EPOCH, ORIGIN, text, End::Line);
        }
        assert_eq!(texts(&ring.tail(2)), [b"".as_slice(), b"three"]);
        assert_eq!(texts(&ring.tail(99)).len(), 3);
        assert_eq!(texts(&ring.after(1).collect::<Vec<_>>()), [b"".as_slice(), b"three"]);
        assert_eq!(ring.after(3).count(), 0);
        assert_eq!(ring.numbers().collect::<Vec<_>>(), [3, 2, 1]);
    }

    #[test]
    fn the_tail_of_a_run_has_only_its_lines_and_as_many_as_fit() {
        let mut ring = Ring::default();
        for (number, (run, text)) in (1..).zip([(1, "old"), (2, "first"), (1, "descendant"), (2, "last")]) {
            let origin = Origin { run, ..ORIGIN };
            ring.push(number, SystemTime::UNIX_EPOCH, origin, text.as_bytes(), End::Line);
        }
        assert_eq!(texts(&ring.tail_of(0, 2, 100)), [b"first".as_slice(), b"last"]);
        assert_eq!(texts(&ring.tail_of(0, 2, 10)), [b"last".as_slice()]);
        assert_eq!(texts(&ring.tail_of(1, 2, 100)), [] as [&[u8]; 0]);
    }

    #[test]
    fn the_lines_of_an_instance_are_dropped_and_the_others_stay() {
        let mut ring = Ring::default();
        for (number, (instance, text)) in (1..).zip([(0, "a"), (1, "b"), (0, "c"), (2, "d")]) {
            let origin = Origin { instance, ..ORIGIN };
            ring.push(number, SystemTime::UNIX_EPOCH, origin, text.as_bytes(), End::Line);
        }
        ring.forget(0);
        assert_eq!(texts(&ring.tail(9)), [b"b".as_slice(), b"d"]);
        assert_eq!(ring.numbers().collect::<Vec<_>>(), [4, 2]);
        assert_eq!(ring.dropped(), 0);
    }

    #[test]
    fn an_empty_ring_holds_no_memory() {
        let ring = Ring::default();
        assert_eq!((ring.text.memory.capacity(), ring.entries.capacity()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_size_is_bounded_and_the_newest_lines_are_kept(
            sizes in prop::collection::vec(0..16_384usize, 1..60),
        ) {
            let mut ring = Ring::default();
            let mut bytes = (0..=250_u8).cycle();
            let lines: Vec<Vec<u8>> = sizes.iter().map(|size| bytes.by_ref().take(*size).collect()).collect();
            for (number, line) in (1..).zip(&lines) {
                ring.push(number, SystemTime::UNIX_EPOCH, ORIGIN, line, End::Line);
                prop_assert!(ring.size() <= CAPACITY && ring.text.memory.len() <= CAPACITY);
            }
            let kept: Vec<Vec<u8>> = ring.tail(usize::MAX).into_iter().map(|line| line.text).collect();
            prop_assert!(kept == lines[lines.len() - kept.len()..]);
            prop_assert!(!kept.is_empty());
            prop_assert_eq!(ring.dropped(), (lines.len() - kept.len()) as u64);
        }

        #[test]
        fn empty_lines_are_bounded_too(count in 1..10_000u64) {
            let mut ring = Ring::default();
            (0..count).for_each(|number| ring.push(number, SystemTime::UNIX_EPOCH, ORIGIN, b"", End::Line));
            prop_assert!(ring.entries.len() <= CAPACITY / OVERHEAD);
        }
    }
}
