//! Where lines go: foster's own stdout and stderr, FIFOs and files.
//!
//! An writer takes whole lines. One with a reader keeps what does not fit in a [`Queue`] and tells when it
//! is [`Writer::full`]: its sources are then left unread until it is [`Writer::roomy`] again, so that the
//! reader's pace becomes the programs' pace and memory stays bounded. Next: `pump.rs`.

use nix::errno::Errno;

use super::file::{FileEvent, Gap, LogFile};
use crate::sys::epoll::{Epoll, Interest, Token};
use crate::sys::stream::{Reader, Target};

/// Above this many bytes unwritten, nothing more is read for it.
const HIGH: usize = 256 * 1024;
/// Below this many it is read for again.
const LOW: usize = 64 * 1024;

/// A place that lines are written to.
#[derive(Debug)]
pub enum Writer {
    /// Somebody reads it, at their own pace.
    Queue(Queue),
    /// A file, or a device that takes everything.
    File(LogFile),
    /// It was closed when foster started, or its reader is gone: lines are read and discarded.
    Nowhere,
}

/// What changed while writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterEvent {
    /// The reader is gone, for this reason.
    Gone(Errno),
    /// A file has something to tell.
    File(FileEvent),
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
}

/// Whether epoll tells of room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Watch {
    On,
    Off,
}

impl Writer {
    /// The writer for this target.
    pub fn new(target: Target) -> Writer {
        match target.reader() {
            Reader::Somebody => Writer::queue(target),
            Reader::Nobody => Writer::File(LogFile::standard(target)),
        }
    }

    /// An writer whose reader is waited for.
    fn queue(target: Target) -> Writer {
        Writer::Queue(Queue { target, bytes: Vec::new(), head: 0, written: 0, watch: Watch::Off })
    }

    /// Takes lines of one source and leaves `text` empty; `notice` stands before them, for a file with a gap.
    pub fn append(&mut self, source: u32, notice: &[u8], text: &mut Vec<u8>, events: &mut Vec<WriterEvent>) {
        match self {
            Writer::Queue(queue) => {
                queue.push(text);
                self.write(events);
            }
            Writer::File(file) => {
                let mut file_events = Vec::new();
                file.append(source, notice, text, &mut file_events);
                events.extend(file_events.into_iter().map(WriterEvent::File));
            }
            Writer::Nowhere => {}
        }
        text.clear();
    }

    /// Writes what waits, as far as there is room.
    pub fn write(&mut self, events: &mut Vec<WriterEvent>) {
        let Writer::Queue(queue) = self else { return };
        if let Err(error) = queue.write() {
            events.push(WriterEvent::Gone(error));
            *self = Writer::Nowhere;
        }
    }

    /// Has epoll tell of room as long as something waits, and only then: a hang-up is always reported,
    /// and would wake foster for nothing.
    pub fn watch(&mut self, epoll: &Epoll, token: Token) {
        let Writer::Queue(queue) = self else { return };
        match (queue.waiting(), queue.watch) {
            (0, Watch::On) => {
                // It cannot fail for what is registered; a stray report does no harm.
                let _ = epoll.remove(&queue.target);
                queue.watch = Watch::Off;
            }
            (1.., Watch::Off) if epoll.add(&queue.target, token, Interest::Write).is_ok() => {
                queue.watch = Watch::On;
            }
            (_, Watch::On | Watch::Off) => {}
        }
    }

    /// Whether its sources are to be left unread.
    pub fn full(&self) -> bool {
        self.waiting() > HIGH
    }

    /// Whether its sources may be read again.
    pub fn roomy(&self) -> bool {
        self.waiting() < LOW
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> usize {
        match self {
            Writer::Queue(queue) => queue.waiting(),
            Writer::File(_) | Writer::Nowhere => 0,
        }
    }

    /// What a file has dropped and not told.
    pub fn gap(&self) -> Option<Gap> {
        match self {
            Writer::File(file) => file.gap(),
            Writer::Queue(_) | Writer::Nowhere => None,
        }
    }

    /// The place of what was appended last, to be asked for with [`Writer::reached`].
    pub fn position(&self) -> u64 {
        match self {
            Writer::Queue(queue) => queue.written + queue.waiting() as u64,
            Writer::File(_) | Writer::Nowhere => 0,
        }
    }

    /// Whether everything up to this place is written, or never will be.
    pub fn reached(&self, position: u64) -> bool {
        match self {
            Writer::Queue(queue) => queue.written >= position,
            Writer::File(_) | Writer::Nowhere => true,
        }
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        self.bytes.len().saturating_sub(self.head)
    }

    /// Takes the buffer itself where nothing waits: in the usual case nothing is copied.
    fn push(&mut self, text: &mut Vec<u8>) {
        if self.waiting() == 0 {
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
        if self.waiting() == 0 {
            self.bytes.clear();
            self.bytes.shrink_to(HIGH);
            self.head = 0;
        } else if self.head > HIGH {
            self.bytes.drain(..self.head);
            self.head = 0;
        }
        Ok(())
    }
}
