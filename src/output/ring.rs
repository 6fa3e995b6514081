//! The last lines of a program, in bounded memory.
//!
//! For `foster logs` and the summary at the end. Lines are numbered in order over all programs, so that a follower can
//! ask for the lines after the last one it has seen. Nothing is allocated before the first line. Pure.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::Stream;
use super::lines::End;

/// The most bytes for a program's last lines.
pub const CAPACITY: usize = 64 * 1024;

/// The size of an entry without its text, counted so that empty lines are bounded too.
pub const OVERHEAD: usize = size_of::<Entry>();

/// The last lines of one program.
#[derive(Debug, Default)]
pub struct Ring {
    text: VecDeque<u8>,
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
            self.text.drain(..(oldest.length as usize).min(self.text.len()));
            self.dropped = oldest.number;
        }
        let Ok(length) = u32::try_from(text.len()) else { return };
        self.text.extend(text);
        self.entries.push_back(Entry { number, at, origin, length, end });
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
        self.text.len() + self.entries.len() * OVERHEAD
    }

    fn from(&self, index: usize) -> impl Iterator<Item = Line> {
        let length = |entry: &Entry| entry.length as usize;
        // Counted from the end, because a follower is near it.
        let from_there: usize = self.entries.iter().rev().take(self.entries.len() - index).map(length).sum();
        let mut start = self.text.len() - from_there;
        self.entries.iter().skip(index).map(move |entry| {
            let range = start..start + length(entry);
            start = range.end;
            Line {
                number: entry.number,
                at: entry.at,
                origin: entry.origin,
                text: self.text.range(range).copied().collect(),
                end: entry.end,
            }
        })
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
    fn an_empty_ring_holds_no_memory() {
        let ring = Ring::default();
        assert_eq!((ring.text.capacity(), ring.entries.capacity()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_size_is_bounded_and_the_newest_lines_are_kept(
            sizes in prop::collection::vec(0..16_384usize, 1..60),
        ) {
            let mut ring = Ring::default();
            for (number, size) in (1..).zip(&sizes) {
                ring.push(number, SystemTime::UNIX_EPOCH, ORIGIN, &vec![b'x'; *size], End::Line);
                prop_assert!(ring.size() <= CAPACITY);
            }
            let tail = ring.tail(usize::MAX);
            let kept: Vec<usize> = tail.iter().map(|line| line.text.len()).collect();
            prop_assert_eq!(&kept[..], &sizes[sizes.len() - kept.len()..]);
            prop_assert!(!kept.is_empty());
            prop_assert_eq!(ring.dropped(), (sizes.len() - kept.len()) as u64);
        }

        #[test]
        fn empty_lines_are_bounded_too(count in 1..10_000u64) {
            let mut ring = Ring::default();
            (0..count).for_each(|number| ring.push(number, SystemTime::UNIX_EPOCH, ORIGIN, b"", End::Line));
            prop_assert!(ring.entries.len() <= CAPACITY / OVERHEAD);
        }
    }
}
