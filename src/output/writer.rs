//! The destinations of lines: foster's own stdout and stderr, FIFOs and files.
//!
//! A writer takes whole lines. One with a reader keeps what does not fit in a [`Queue`] and reports when it is
//! [`Writer::is_full`]: its sources are then left unread until [`Writer::has_room`] again, so that the reader's pace
//! becomes the programs' pace and memory stays bounded. After an error that need not be the last the queue rests until
//! [`Writer::end_delay`]; a writer whose reader is gone for good is closed, and leaves epoll. Next: `pump.rs`.

use nix::errno::Errno;

use super::file::{FileEvent, Gap, LogFile};
use crate::sys::epoll::{Epoll, Interest, Token};
use crate::sys::target::{Reader, Target};

/// Above this many unwritten bytes, its sources are not read.
const HIGH: usize = 256 * 1024;
/// Below this many they are read again.
const LOW: usize = 64 * 1024;

/// A place that lines are written to.
#[derive(Debug)]
pub enum Writer {
    /// It has a reader with a pace.
    Queue(Queue),
    /// A file, or a device that takes everything.
    File(LogFile),
    /// It was closed when foster started, or its reader is gone: lines are discarded.
    Closed,
}

/// What changed while writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterEvent {
    /// The reader is gone for good, for this reason.
    Gone(Errno),
    /// It cannot be written now; it is tried again.
    Failing(Errno),
    /// It can be written again.
    Recovered,
    /// Something happened to a file.
    File(FileEvent),
}

/// Where a writer is registered while it waits for room.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// The instance of epoll.
    pub epoll: &'a Epoll,
    /// What its reports carry.
    pub token: Token,
}

/// Lines on their way to a reader.
#[derive(Debug)]
pub struct Queue {
    target: Target,
    bytes: Vec<u8>,
    /// How much of `bytes` is written.
    head: usize,
    /// How much was ever written.
    written: u64,
    watch: Watch,
    health: Health,
}

/// Whether epoll reports room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    On,
    Off,
}

/// Whether the last write failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    /// It did not.
    Good,
    /// It did; the next write is tried after [`Writer::end_delay`].
    Delayed,
    /// It did; the next write is the try.
    Retrying,
}

impl Writer {
    /// The writer for this target.
    pub fn new(target: Target) -> Writer {
        match target.reader() {
            Reader::Present => Writer::Queue(Queue {
                target,
                bytes: Vec::new(),
                head: 0,
                written: 0,
                watch: Watch::Off,
                health: Health::Good,
            }),
            Reader::None => Writer::File(LogFile::standard(target)),
        }
    }

    /// Takes lines of one source and leaves `text` empty; `notice` stands before them, for a file with a gap.
    pub fn append(
        &mut self,
        source: u32,
        notice: &[u8],
        text: &mut Vec<u8>,
        place: Registration<'_>,
        events: &mut Vec<WriterEvent>,
    ) {
        match self {
            Writer::Queue(queue) => {
                queue.push(text);
                self.write(place, events);
            }
            Writer::File(file) => {
                let mut file_events = Vec::new();
                file.append(source, notice, text, &mut file_events);
                events.extend(file_events.into_iter().map(WriterEvent::File));
            }
            Writer::Closed => {}
        }
        text.clear();
    }

    /// Writes what waits, as far as there is room. epoll reports room as long as something waits, and only then: a
    /// hang-up is always reported, and would wake foster for nothing.
    pub fn write(&mut self, place: Registration<'_>, events: &mut Vec<WriterEvent>) {
        let Writer::Queue(queue) = self else { return };
        if queue.health == Health::Delayed {
            return;
        }
        match queue.write() {
            Ok(()) if queue.health == Health::Retrying => {
                queue.health = Health::Good;
                events.push(WriterEvent::Recovered);
            }
            Ok(()) => {}
            Err(error) if queue.target.is_final(error) => {
                // Other descriptors keep the open file description alive, and it would be reported for ever.
                queue.watch(place, Watch::Off);
                events.push(WriterEvent::Gone(error));
                *self = Writer::Closed;
                return;
            }
            Err(error) => {
                if queue.health == Health::Good {
                    events.push(WriterEvent::Failing(error));
                }
                queue.health = Health::Delayed;
            }
        }
        let waits = queue.unwritten() > 0 && queue.health != Health::Delayed;
        queue.watch(place, if waits { Watch::On } else { Watch::Off });
    }

    /// Whether it is to be tried again after a while.
    pub fn is_delayed(&self) -> bool {
        match self {
            Writer::Queue(queue) => queue.health == Health::Delayed,
            Writer::File(file) => file.is_delayed(),
            Writer::Closed => false,
        }
    }

    /// The while is over.
    pub fn end_delay(&mut self) {
        match self {
            Writer::Queue(queue) if queue.health == Health::Delayed => queue.health = Health::Retrying,
            Writer::File(file) => file.end_delay(),
            Writer::Queue(_) | Writer::Closed => {}
        }
    }

    /// Whether its sources are to be left unread.
    pub fn is_full(&self) -> bool {
        self.unwritten() > HIGH
    }

    /// Whether its sources may be read again.
    pub fn has_room(&self) -> bool {
        self.unwritten() < LOW
    }

    /// How many bytes wait.
    pub fn unwritten(&self) -> usize {
        match self {
            Writer::Queue(queue) => queue.unwritten(),
            Writer::File(_) | Writer::Closed => 0,
        }
    }

    /// What a file has dropped and not reported.
    pub fn gap(&self) -> Option<Gap> {
        match self {
            Writer::File(file) => file.gap(),
            Writer::Queue(_) | Writer::Closed => None,
        }
    }

    /// The position after what was appended last, to be asked for with [`Writer::has_reached`].
    pub fn position(&self) -> u64 {
        match self {
            Writer::Queue(queue) => queue.written + queue.unwritten() as u64,
            Writer::File(_) | Writer::Closed => 0,
        }
    }

    /// Whether everything up to this position is written, or never will be.
    pub fn has_reached(&self, position: u64) -> bool {
        match self {
            Writer::Queue(queue) => queue.written >= position,
            Writer::File(_) | Writer::Closed => true,
        }
    }
}

impl Queue {
    fn unwritten(&self) -> usize {
        self.bytes.len().saturating_sub(self.head)
    }

    /// Takes the buffer itself where nothing waits: in the usual case nothing is copied.
    fn push(&mut self, text: &mut Vec<u8>) {
        if self.unwritten() == 0 {
            std::mem::swap(&mut self.bytes, text);
            self.head = 0;
        } else {
            self.bytes.extend_from_slice(text);
        }
    }

    fn write(&mut self) -> Result<(), Errno> {
        while let Some(rest) = self.bytes.get(self.head..).filter(|rest| !rest.is_empty()) {
            match self.target.write(rest) {
                Ok(0) | Err(Errno::EAGAIN) => break,
                Ok(count) => {
                    self.head += count;
                    self.written += count as u64;
                }
                Err(error) => return Err(error),
            }
        }
        if self.unwritten() == 0 {
            self.bytes.clear();
            self.bytes.shrink_to(HIGH);
            self.head = 0;
        } else if self.head > HIGH {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        Ok(())
    }

    fn watch(&mut self, place: Registration<'_>, wanted: Watch) {
        match (self.watch, wanted) {
            (Watch::Off, Watch::On)
                if place.epoll.add(&self.target, place.token, Interest::Write).is_ok() =>
            {
                self.watch = Watch::On;
            }
            (Watch::On, Watch::Off) => {
                // It cannot fail for what is registered.
                let _ = place.epoll.remove(&self.target);
                self.watch = Watch::Off;
            }
            (_, _) => {}
        }
    }
}
