//! Which stream of which program goes where: pipes made before a spawn, writers found or opened.
//!
//! A file is one writer for all that write to its path. A path that means foster's own stdout or stderr is
//! that, with the lines as they are. Nothing here reads or writes: that is `pump.rs`.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::ids::Run;
use log::Level;

use super::file::{self, FileEvent, Opened};
use super::format::{LinePrefix, Timestamps};
use super::lines::Lines;
use super::ring::Ring;
use super::writer::{Writer, WriterEvent};
use super::{
    COLOURS, ChildStream, ChildStreams, LineFormat, Output, Pattern, Phase, ProgramOutput, RunOutput, STDOUT,
    Source, Stream, WRITER,
};
use crate::plan::{FileSink, LogFormat, Probe, Program, Sink};
use crate::sys::epoll::Interest;
use crate::sys::stream;

impl Output {
    /// Makes what a run is to have as its stdout and stderr. `label` stands before its lines: the name, or
    /// `name.instance` where there are several. To be followed by [`Output::started`] or [`Output::abandon`].
    ///
    /// # Errors
    /// pipe2(2), epoll_ctl(2): EMFILE, ENFILE, ENOSPC. Then nothing is left of it.
    pub fn attach(&mut self, run: Run, label: &str) -> io::Result<ChildStreams> {
        self.width = self.width.max(label.len());
        let Some(program) = self.program(run.instance.program) else {
            return Ok(ChildStreams { stdout: ChildStream::Null, stderr: ChildStream::Null });
        };
        let record = RunOutput {
            phase: Phase::Alive,
            label: label.to_owned(),
            name: program.name.clone(),
            log_prefix: program.log_prefix,
            pid: None,
            streams: Vec::new(),
        };
        let (stdout, stderr) = (program.stdout.clone(), program.stderr.clone());
        let pattern = program.pattern.clone().map(|regex| Rc::new(Pattern { regex, seen: Cell::new(false) }));
        self.runs.insert(run, record);
        let streams = self.attach_stream(run, Stream::Stdout, &stdout, pattern.clone()).and_then(|stdout| {
            let stderr = self.attach_stream(run, Stream::Stderr, &stderr, pattern)?;
            Ok(ChildStreams { stdout, stderr })
        });
        if streams.is_err() {
            self.abandon(run);
        }
        streams
    }

    /// The run has this process now: JSON lines name it.
    pub fn started(&mut self, run: Run, pid: u32) {
        let Some(record) = self.runs.get_mut(&run) else { return };
        record.pid = Some(pid);
        for (key, _) in record.streams.clone() {
            self.reformat_source(key);
        }
    }

    /// Has the lines of every run look as it is configured now.
    pub(super) fn reformat(&mut self) {
        for (run, record) in &mut self.runs {
            self.width = self.width.max(record.label.len());
            if let Some(program) = self.programs.get(run.instance.program) {
                record.log_prefix = program.log_prefix;
            }
        }
        for key in self.sources.keys().copied().collect::<Vec<_>>() {
            self.reformat_source(key);
        }
    }

    fn reformat_source(&mut self, key: u32) {
        let Some(source) = self.sources.get(&key) else { return };
        let prefix = self.prefix(source.run, source.stream, source.format, source.writer);
        if let Some(source) = self.sources.get_mut(&key) {
            source.prefix = prefix;
        }
    }

    /// The run never came to be: nothing is left of it.
    pub fn abandon(&mut self, run: Run) {
        let Some(record) = self.runs.remove(&run) else { return };
        for (key, writer) in record.streams {
            self.paused.remove(&key);
            // Closing it ends its registration.
            self.sources.remove(&key);
            self.release(writer);
        }
    }

    /// Opens every log file anew (USR1).
    pub fn reopen(&mut self) {
        let mut events = Vec::new();
        for (key, writer) in &mut self.writers {
            if let Writer::File(file) = writer {
                events.extend(file.reopen().map(|event| (*key, WriterEvent::File(event))));
            }
        }
        for (key, events) in events {
            self.tell(key, vec![events]);
        }
    }

    /// Lets go of a file that nobody writes to any more, unless it has something to tell.
    pub(super) fn release(&mut self, key: u32) {
        let standard = key == STDOUT || key == self.stderr;
        if standard || self.sources.values().any(|source| source.writer == key) {
            return;
        }
        if self.writers.get(&key).is_some_and(|writer| writer.waiting() == 0 && writer.gap().is_none()) {
            self.writers.remove(&key);
            self.devices.remove(&key);
        }
    }

    fn attach_stream(
        &mut self,
        run: Run,
        stream: Stream,
        sink: &Sink,
        pattern: Option<Rc<Pattern>>,
    ) -> io::Result<ChildStream> {
        let (writer, format) = match sink {
            Sink::Null => return Ok(ChildStream::Null),
            Sink::Inherit => return Ok(self.inherited(stream)),
            Sink::Log => (self.standard(stream), LineFormat::Log),
            Sink::File(sink) => (self.file_writer(sink), LineFormat::Plain),
        };
        let (read, write) = stream::capture()?;
        let key = self.new_key();
        self.epoll.add(&read, self.token(key), Interest::Read)?;
        self.sources.insert(
            key,
            Source {
                run,
                stream,
                fd: read,
                writer,
                prefix: self.prefix(run, stream, format, writer),
                format,
                lines: Lines::default(),
                pattern,
                unread: 0,
            },
        );
        if let Some(record) = self.runs.get_mut(&run) {
            record.streams.push((key, writer));
        }
        Ok(ChildStream::Pipe(write))
    }

    fn inherited(&self, stream: Stream) -> ChildStream {
        let fd = match stream {
            Stream::Stdout => &self.env.stdout,
            Stream::Stderr => &self.env.stderr,
        };
        let copy = fd.as_ref().map(OwnedFd::try_clone);
        copy.and_then(Result::ok).map_or(ChildStream::Null, ChildStream::Inherited)
    }

    fn standard(&self, stream: Stream) -> u32 {
        match stream {
            Stream::Stdout => STDOUT,
            Stream::Stderr => self.stderr,
        }
    }

    fn prefix(&self, run: Run, stream: Stream, format: LineFormat, writer: u32) -> LinePrefix {
        if format == LineFormat::Plain {
            return match self.writers.get(&writer) {
                Some(Writer::File(file)) if file.path().is_some() => LinePrefix::verbatim(),
                Some(_) | None => LinePrefix::bare(Timestamps::Off),
            };
        }
        let Some(record) = self.runs.get(&run) else { return LinePrefix::bare(self.timestamps) };
        match self.format {
            LogFormat::Json => LinePrefix::json(&record.name, run.instance.index, stream, record.pid),
            LogFormat::Text if !record.log_prefix => LinePrefix::bare(self.timestamps),
            LogFormat::Text => {
                let colour = COLOURS.get(run.instance.program.0 as usize % COLOURS.len()).copied();
                let colour = colour.filter(|_| self.coloured.contains(&writer));
                LinePrefix::text(self.timestamps, &record.label, self.width, colour)
            }
        }
    }

    /// The writer for a file: foster's own stream, the one that is open already, or a new one.
    fn file_writer(&mut self, sink: &FileSink) -> u32 {
        if let Some(stream) = standard_path(&sink.path) {
            return self.standard(stream);
        }
        let path = Some(sink.path.as_path());
        for (key, writer) in &mut self.writers {
            if let Writer::File(file) = writer
                && file.path() == path
            {
                file.retry();
                return *key;
            }
        }
        let key = self.new_key();
        let (opened, event) = file::open(sink);
        self.writers.insert(
            key,
            match opened {
                Opened::File(file) => Writer::File(file),
                Opened::Other(target) => {
                    self.devices.insert(key, sink.path.clone());
                    Writer::new(target)
                }
            },
        );
        if let Some(FileEvent::Failing(error)) = event {
            let path = sink.path.display();
            let message =
                format!("cannot open `{path}`: {}; lines for it are dropped until it can be", error.desc());
            self.say(Level::Warn, &message);
        }
        key
    }

    /// Keys are not used again for as long as it matters: a late report finds nothing.
    fn new_key(&mut self) -> u32 {
        loop {
            self.next_key = (self.next_key + 1) & !WRITER;
            let taken =
                self.sources.contains_key(&self.next_key) || self.writers.contains_key(&self.next_key);
            if self.next_key > super::STDERR && !taken {
                return self.next_key;
            }
        }
    }
}

impl ProgramOutput {
    pub(super) fn new(program: &Program, ring: Ring) -> ProgramOutput {
        let pattern = match &program.ready {
            Some(Probe::Log(pattern)) => Some(pattern.0.clone()),
            Some(Probe::Http(_) | Probe::Tcp(_) | Probe::Unix(_) | Probe::Exec(_) | Probe::File(_))
            | None => None,
        };
        ProgramOutput {
            name: program.name.clone(),
            stdout: program.stdout.clone(),
            stderr: program.stderr.clone(),
            log_prefix: program.log_prefix,
            pattern,
            ring,
        }
    }
}

/// Which of foster's own streams a path means, links to it followed. (images link `access.log` to
/// `/dev/stdout`.)
fn standard_path(path: &Path) -> Option<Stream> {
    const LINKS: usize = 8;
    let mut path = PathBuf::from(path);
    for _ in 0..LINKS {
        match path.to_str() {
            Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => return Some(Stream::Stdout),
            Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => return Some(Stream::Stderr),
            Some(_) | None => {}
        }
        let link = std::fs::read_link(&path).ok()?;
        path = path.parent()?.join(link);
    }
    None
}
