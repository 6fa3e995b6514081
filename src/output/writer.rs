//! The destinations of lines: foster's own stdout and stderr, FIFOs and files.
//!
//! A writer takes whole lines. A writer with a reader queues the bytes that do not fit ([`Queue`]); when it
//! [`Writer::is_full`], its sources are not read until it [`Writer::has_room`] again, so that a slow reader blocks the
//! programs and memory stays bounded. After a temporary error the queue is not written until [`Writer::end_delay`]; a
//! writer whose reader has closed its end is closed and removed from epoll. Next: `pump.rs`.

use nix::errno::Errno;

use super::file::{FileEvent, Gap, LogFile};
use crate::sys::epoll::{Epoll, Interest, Token};
use crate::sys::target::{Reader, Target};

/// Above this number of unwritten bytes, its sources are not read.
const HIGH: usize = 256 * 1024;
/// Below this number they are read again.
const LOW: usize = 64 * 1024;

/// A destination of lines.
#[derive(Debug)]
pub enum Writer {
    /// A pipe, FIFO, socket or terminal, whose reader may be slow.
    Queue(Queue),
    /// A file, or a device that accepts everything.
    File(LogFile),
    /// A stream that was closed when foster started, or whose reader has closed its end: lines are discarded.
    Closed,
}

/// A change of a writer's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriterEvent {
    /// It was closed because of this error: no later write can succeed.
    Gone(Errno),
    /// It cannot be written now; the write is repeated later.
    Failing(Errno),
    /// It can be written again.
    Recovered,
    /// An event of a file.
    File(FileEvent),
}

/// The registration of a writer that waits for room.
#[derive(Debug, Clone, Copy)]
pub struct Registration<'a> {
    /// The epoll instance.
    pub epoll: &'a Epoll,
    /// The token of its reports.
    pub token: Token,
}

/// Lines that wait for a reader.
#[derive(Debug)]
pub struct Queue {
    target: Target,
    bytes: Vec<u8>,
    /// The bytes at the start of `bytes` that are written.
    head: usize,
    /// The bytes written since the start.
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
    /// It succeeded.
    Good,
    /// It failed; the next one follows after [`Writer::end_delay`].
    Delayed,
    /// It failed, and the delay is over: the next write shows whether the target has recovered.
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

    /// Takes lines of one source and leaves `text` empty. A file with a gap writes `notice` before them.
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

    /// Writes queued bytes as far as there is room. The target is registered with epoll only while bytes are queued,
    /// because epoll always reports a hang-up.
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
                // Other descriptors may keep the open file description open, and epoll would report it forever.
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

    /// Whether it waits for [`Writer::end_delay`], or for a registration that has failed.
    pub fn has_failed(&self) -> bool {
        self.is_delayed()
            || match self {
                Writer::Queue(queue) => queue.unwritten() > 0 && queue.watch == Watch::Off,
                Writer::File(_) | Writer::Closed => false,
            }
    }

    /// Whether it waits for [`Writer::end_delay`].
    pub fn is_delayed(&self) -> bool {
        match self {
            Writer::Queue(queue) => queue.health == Health::Delayed,
            Writer::File(file) => file.is_delayed(),
            Writer::Closed => false,
        }
    }

    /// Allows the next write after an error.
    pub fn end_delay(&mut self) {
        match self {
            Writer::Queue(queue) if queue.health == Health::Delayed => queue.health = Health::Retrying,
            Writer::File(file) => file.end_delay(),
            Writer::Queue(_) | Writer::Closed => {}
        }
    }

    /// Whether its sources must not be read.
    pub fn is_full(&self) -> bool {
        self.unwritten() > HIGH
    }

    /// Whether its sources may be read again.
    pub fn has_room(&self) -> bool {
        self.unwritten() < LOW
    }

    /// The number of queued bytes.
    pub fn unwritten(&self) -> usize {
        match self {
            Writer::Queue(queue) => queue.unwritten(),
            Writer::File(_) | Writer::Closed => 0,
        }
    }

    /// The lines that a file has dropped and not reported.
    pub fn gap(&self) -> Option<Gap> {
        match self {
            Writer::File(file) => file.gap(),
            Writer::Queue(_) | Writer::Closed => None,
        }
    }

    /// The position after the last appended byte, for [`Writer::has_reached`].
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

    /// Adds bytes. An empty queue takes the buffer itself, so that usually nothing is copied.
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
            (Watch::On, Watch::Off) if place.epoll.remove(&self.target).is_ok() => self.watch = Watch::Off,
            (_, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::epoll::Owner;
    use crate::sys::stream::Descriptor;

    #[test]
    fn a_writer_that_cannot_be_watched_has_failed_until_it_can() {
        let (reader, write_end) = nix::unistd::pipe().unwrap();
        let epoll = Epoll::new().unwrap();
        let token = |key| Token { owner: Owner(7), key };
        let place = Registration { epoll: &epoll, token: token(1) };
        let mut writer = Writer::new(Target::shared(Descriptor::Own(write_end)));
        let watch = |writer: &Writer, watched: fn(&Epoll, &Target, Token) -> nix::Result<()>| match writer {
            Writer::Queue(queue) => watched(&epoll, &queue.target, token(2)).unwrap(),
            Writer::File(_) | Writer::Closed => panic!("a pipe has a queue"),
        };
        // epoll(7) refuses a descriptor that it has; a full table of the kernel's refuses it like that.
        watch(&writer, |epoll, target, token| epoll.add(target, token, Interest::None));
        writer.append(1, b"", &mut vec![b'x'; 2 * HIGH], place, &mut Vec::new());
        assert!(writer.unwritten() > 0 && writer.has_failed() && !writer.is_delayed());
        watch(&writer, |epoll, target, _| epoll.remove(target));
        writer.write(place, &mut Vec::new());
        assert!(writer.unwritten() > 0 && !writer.has_failed());
        drop(reader);
    }
}
