//! The last lines of programs, for `foster logs` and for the summary at the end.
//!
//! A reader gets the lines of several programs in the order of their numbers, in bounded pieces.

use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::rc::Rc;

use foster_core::ids::{InstanceId, ProgramId, Run};
use foster_lines::ring;

use super::log_path::FileError;
use super::{Output, Stream};
use crate::plan::Sink;

/// A line that has no newline yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The instance that writes it.
    pub instance: InstanceId,
    /// The stream.
    pub stream: Stream,
    /// Its text so far.
    pub text: Vec<u8>,
}

impl Output {
    /// The last lines of a run, at most this many bytes, the oldest first.
    pub fn output_of(&self, run: Run, most: usize) -> Vec<ring::Line> {
        let Run { instance, number } = run;
        let ring = self.ring(instance.program);
        ring.map(|ring| ring.tail_of(instance.index, number, most)).unwrap_or_default()
    }

    /// The lines of these programs after the one with this number, oldest first, up to this many bytes but at least one;
    /// and whether there are more.
    pub fn lines_after(
        &self,
        programs: &[ProgramId],
        number: u64,
        most: usize,
    ) -> (Vec<(ProgramId, ring::Line)>, bool) {
        let rings = programs.iter().filter_map(|id| Some((*id, self.ring(*id)?)));
        let mut rings: Vec<_> = rings.map(|(id, ring)| (id, ring.after(number).peekable())).collect();
        let (mut lines, mut size) = (Vec::new(), 0);
        loop {
            let oldest = rings.iter_mut().filter_map(|(id, ring)| Some((ring.peek()?.number, *id, ring)));
            let Some((_, id, ring)) = oldest.min_by_key(|(number, _, _)| *number) else {
                return (lines, false);
            };
            if size >= most {
                return (lines, true);
            }
            if let Some(line) = ring.next() {
                size += line.text.len() + ring::OVERHEAD;
                lines.push((id, line));
            }
        }
    }

    /// Drops the kept lines of an instance, and empties its log files; never foster's own stdout and stderr.
    ///
    /// # Errors
    /// A file that cannot be opened or truncated.
    pub fn clear(&mut self, instance: InstanceId) -> Result<(), (PathBuf, FileError)> {
        if let Some(ring) = self.attached.rings.get_mut(instance.program) {
            ring.forget(instance.index);
        }
        let Some(definition) = self.attached.instances.get(&instance).map(Rc::clone) else { return Ok(()) };
        for sink in [&definition.program.stdout, &definition.program.stderr] {
            let Sink::File(sink) = sink else { continue };
            let key = self.file_writer(sink);
            if !self.writers.is_standard(key) {
                let cleared = self.writers.clear(key);
                self.release(key);
                cleared.map_err(|error| (sink.path.clone(), error))?;
            }
        }
        Ok(())
    }

    /// The number before that of the last `count` lines of these programs.
    pub fn before_the_last(&self, programs: &[ProgramId], count: usize) -> u64 {
        let rings = programs.iter().filter_map(|id| self.ring(*id));
        let Some(later) = count.checked_sub(1) else { return self.last_line() };
        let mut numbers: BinaryHeap<u64> = rings.flat_map(|ring| ring.numbers().take(count)).collect();
        for _ in 0..later {
            numbers.pop();
        }
        numbers.pop().map_or(0, |number| number - 1)
    }

    /// The number of the last line of a program that was dropped.
    pub fn dropped(&self, program: ProgramId) -> u64 {
        self.ring(program).map_or(0, |ring| ring.dropped())
    }

    /// The number of the last line of any program: a follower starts after it.
    pub fn last_line(&self) -> u64 {
        self.attached.next_line - 1
    }

    /// The unfinished lines of these programs, such as a prompt or a progress bar. The container's output does not have
    /// them yet.
    pub fn unfinished(&self, programs: &[ProgramId]) -> Vec<Unfinished> {
        let sources = self.sources.by_key.values();
        let sources = sources.filter(|source| programs.contains(&source.run.instance.program));
        let unfinished = sources.map(|source| Unfinished {
            instance: source.run.instance,
            stream: source.stream,
            text: source.lines.unfinished().to_vec(),
        });
        unfinished.filter(|unfinished| !unfinished.text.is_empty()).collect()
    }
}
