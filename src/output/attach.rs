//! Connects programs' streams to writers: pipes are made before a spawn, writers are found or opened.
//!
//! All streams to one file share a writer. A path that leads to foster's own stdout or stderr uses that stream, without
//! prefixes. It neither reads nor writes: see `pump.rs`.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use ::log::Level;
use foster_core::ids::Run;
use foster_lines::capture::Capture;
use foster_lines::format::{LinePrefix, Timestamps};
use foster_lines::lines::Lines;

use super::file::{self, FileEvent, Opened};
use super::writer::Writer;
use super::{
    COLOURS, ChildStream, ChildStreams, LineFormat, LineStyle, MainProcess, Output, PendingPattern,
    RunOutput, STDERR, STDOUT, Source, Stream, WRITER,
};
use crate::plan::{FileSink, LinePattern, LogFormat, Probe, Program, Sink};
use crate::sys::epoll::Interest;
use crate::sys::stream;

impl Output {
    /// Creates the stdout and stderr of a run, as its definition says. The caller then calls [`Output::started`] or [`Output::abandon`].
    ///
    /// # Errors
    /// pipe2(2), epoll_ctl(2): EMFILE, ENFILE, ENOSPC. Everything created is closed.
    pub fn attach(&mut self, run: Run, program: &Program) -> io::Result<ChildStreams> {
        if !self.attached.instances.contains_key(&run.instance) {
            return Ok(ChildStreams { stdout: ChildStream::Null, stderr: ChildStream::Null });
        }
        let pattern = self.add_run(run, program);
        let [of_stdout, of_stderr] = program.captures.map(capture);
        let stdout = self.attach_stream(run, Stream::Stdout, &program.stdout, (pattern.clone(), of_stdout));
        let streams = stdout.and_then(|stdout| {
            let stderr = self.attach_stream(run, Stream::Stderr, &program.stderr, (pattern, of_stderr))?;
            Ok(ChildStreams { stdout, stderr })
        });
        if streams.is_err() {
            self.abandon(run);
        }
        streams
    }

    /// Adds the record of a run; returns the pattern that its lines are compared with.
    fn add_run(&mut self, run: Run, program: &Program) -> Option<Rc<PendingPattern>> {
        let label = self.attached.instances.get(&run.instance).map(|instance| instance.label.clone());
        let record = RunOutput {
            main: MainProcess::Alive,
            label: label.unwrap_or_default(),
            name: program.name.clone(),
            log_prefix: program.log_prefix,
            pid: None,
            streams: Vec::new(),
        };
        self.attached.runs.insert(run, Box::new(record));
        pattern(program)
            .map(|pattern| Rc::new(PendingPattern { pattern: pattern.clone(), is_matched: Cell::new(false) }))
    }

    /// Takes the pipes of a run that an earlier foster has started, where they are open.
    ///
    /// # Errors
    /// epoll_ctl(2): ENOMEM, ENOSPC.
    pub fn adopt(&mut self, run: Run, program: &Program, pipes: [Option<OwnedFd>; 2]) -> io::Result<()> {
        let pattern = self.add_run(run, program);
        let sinks = [(Stream::Stdout, &program.stdout), (Stream::Stderr, &program.stderr)];
        for ((pipe, captures), (stream, sink)) in pipes.into_iter().zip(program.captures).zip(sinks) {
            // A definition that has changed meanwhile does not change the run.
            let (writer, format) = self.destination(stream, sink).unwrap_or((STDERR, LineFormat::Log));
            if let Some(pipe) = pipe {
                let watch = (pattern.clone(), capture(captures));
                self.add_source(run, stream, pipe, (writer, format), watch)?;
            }
        }
        Ok(())
    }

    /// The read ends of the pipes of a run, where they are open: of its stdout and of its stderr.
    pub fn pipes(&self, run: Run) -> [Option<&OwnedFd>; 2] {
        let record = self.attached.runs.get(&run);
        let sources = record.map(|record| record.streams.as_slice()).unwrap_or_default().iter();
        let sources: Vec<_> = sources.filter_map(|(key, _)| self.sources.by_key.get(key)).collect();
        [Stream::Stdout, Stream::Stderr]
            .map(|stream| sources.iter().find(|source| source.stream == stream).map(|source| &source.fd))
    }

    /// Sets the pid of the run for its JSON lines.
    pub fn started(&mut self, run: Run, pid: u32) {
        let Some(record) = self.attached.runs.get_mut(&run) else { return };
        record.pid = Some(pid);
        for (key, _) in record.streams.clone() {
            self.reformat_source(key);
        }
    }

    /// Applies the current format and names to the lines of every run.
    pub(super) fn reformat(&mut self) {
        for (run, record) in &mut self.attached.runs {
            if let Some(instance) = self.attached.instances.get(&run.instance) {
                record.log_prefix = instance.program.log_prefix;
                record.label.clone_from(&instance.label);
            }
            self.style.widen(&record.label);
        }
        for key in self.sources.by_key.keys().copied().collect::<Vec<_>>() {
            self.reformat_source(key);
        }
    }

    fn reformat_source(&mut self, key: u32) {
        let Some(source) = self.sources.by_key.get(&key) else { return };
        let prefix = self.prefix(source.run, source.stream, source.line_style.format, source.writer);
        if let Some(source) = self.sources.by_key.get_mut(&key) {
            source.line_style.prefix = prefix;
        }
    }

    /// Removes a run whose start failed.
    pub fn abandon(&mut self, run: Run) {
        let Some(record) = self.attached.runs.remove(&run) else { return };
        for (key, writer) in record.streams {
            self.sources.paused.remove(&key);
            // Closing it ends its registration.
            self.sources.by_key.remove(&key);
            self.release(writer);
        }
    }

    /// Closes a writer without sources.
    pub(super) fn release(&mut self, key: u32) {
        let has_source = self.sources.by_key.values().any(|source| source.writer == key);
        if !self.writers.is_standard(key) && !has_source {
            self.writers.release(key);
        }
    }

    fn attach_stream(
        &mut self,
        run: Run,
        stream: Stream,
        sink: &Sink,
        watch: WatchedFor,
    ) -> io::Result<ChildStream> {
        let Some(destination) = self.destination(stream, sink) else {
            return if *sink == Sink::Null { Ok(ChildStream::Null) } else { self.inherited(stream) };
        };
        let (read, write) = stream::capture()?;
        self.add_source(run, stream, read, destination, watch)?;
        Ok(ChildStream::Pipe(write))
    }

    /// Where the lines of a captured stream go; `None`: it is not captured.
    fn destination(&mut self, stream: Stream, sink: &Sink) -> Option<(u32, LineFormat)> {
        match sink {
            Sink::Null | Sink::Inherit => None,
            Sink::Log => Some((self.standard(stream), LineFormat::Log)),
            Sink::Memory => {
                let key = self.new_key();
                self.writers.insert(key, Writer::Closed);
                Some((key, LineFormat::Plain))
            }
            Sink::File(sink) => Some((self.file_writer(sink), LineFormat::Plain)),
        }
    }

    fn add_source(
        &mut self,
        run: Run,
        stream: Stream,
        read: OwnedFd,
        (writer, format): (u32, LineFormat),
        (pattern, capture): WatchedFor,
    ) -> io::Result<()> {
        let key = self.new_key();
        self.watch.epoll.add(&read, self.token(key), Interest::Read)?;
        let prefix = self.prefix(run, stream, format, writer);
        let (lines, unread) = (Lines::default(), 0);
        let source = Source {
            run,
            stream,
            fd: read,
            writer,
            line_style: LineStyle { prefix, format, capture },
            lines,
            pattern,
            unread,
        };
        self.sources.by_key.insert(key, Box::new(source));
        if let Some(record) = self.attached.runs.get_mut(&run) {
            record.streams.push((key, writer));
        }
        Ok(())
    }

    fn inherited(&self, stream: Stream) -> io::Result<ChildStream> {
        let descriptor = match stream {
            Stream::Stdout => &self.env.stdout,
            Stream::Stderr => &self.env.stderr,
        };
        let Some(descriptor) = descriptor else { return Ok(ChildStream::Null) };
        descriptor.as_fd().try_clone_to_owned().map(ChildStream::Inherited)
    }

    fn standard(&self, stream: Stream) -> u32 {
        match stream {
            Stream::Stdout => STDOUT,
            Stream::Stderr => self.writers.stderr,
        }
    }

    fn prefix(&self, run: Run, stream: Stream, format: LineFormat, writer: u32) -> LinePrefix {
        let prefix = self.prefix_anywhere(run, stream, format, writer);
        if self.writers.terminals.contains(&writer) { prefix.for_terminal() } else { prefix }
    }

    fn prefix_anywhere(&self, run: Run, stream: Stream, format: LineFormat, writer: u32) -> LinePrefix {
        if format == LineFormat::Plain {
            return match self.writers.get(writer) {
                Some(Writer::File(file)) if file.path().is_some() && !self.writers.is_standard(writer) => {
                    LinePrefix::verbatim()
                }
                Some(_) | None => LinePrefix::bare(Timestamps::Off),
            };
        }
        let timestamps = self.style.timestamps;
        let Some(record) = self.attached.runs.get(&run) else { return LinePrefix::bare(timestamps) };
        match self.style.format {
            LogFormat::Json => LinePrefix::json(&record.name, run.instance.index, stream, record.pid),
            LogFormat::Text if !record.log_prefix => LinePrefix::bare(timestamps),
            LogFormat::Text => {
                let colour = COLOURS.get(run.instance.program.0 as usize % COLOURS.len()).copied();
                let colour = colour.filter(|_| self.writers.coloured.contains(&writer));
                LinePrefix::text(timestamps, &record.label, self.style.width, colour)
            }
        }
    }

    /// The writer for a file: foster's own stream, a writer that is open already, or a new one.
    pub(super) fn file_writer(&mut self, sink: &FileSink) -> u32 {
        if let Some(stream) = standard_path(&sink.path) {
            return self.standard(stream);
        }
        if let Some(key) = self.writers.shared_file(sink) {
            return key;
        }
        let key = self.new_key();
        let (opened, event) = file::open(sink);
        let writer = match opened {
            Opened::File(file) => Writer::File(file),
            Opened::Other(target) => {
                self.writers.devices.insert(key, sink.path.clone());
                Writer::new(target)
            }
        };
        self.writers.insert(key, writer);
        if let Some(FileEvent::Failing(error)) = event {
            let path = sink.path.display();
            let message =
                format!("cannot open `{path}`: {error}; its lines are dropped until it can be opened");
            self.say(Level::Warn, &message);
        }
        key
    }

    /// Returns a new key. Keys are not reused soon, so that a late report of epoll finds no source.
    fn new_key(&mut self) -> u32 {
        loop {
            self.sources.last_key = (self.sources.last_key + 1) & !WRITER;
            let key = self.sources.last_key;
            if key > STDERR && !self.sources.by_key.contains_key(&key) && !self.writers.contains(key) {
                return key;
            }
        }
    }
}

/// What the lines of a stream are compared with, and whether some of them are for event listeners.
type WatchedFor = (Option<Rc<PendingPattern>>, Option<Box<Capture>>);

fn capture(is_wanted: bool) -> Option<Box<Capture>> {
    is_wanted.then(Box::default)
}

/// What a line has to match for the program to be ready.
fn pattern(program: &Program) -> Option<&LinePattern> {
    match program.ready.as_ref()? {
        Probe::Log(pattern) => Some(pattern),
        Probe::Http(_)
        | Probe::Tcp(_)
        | Probe::Unix(_)
        | Probe::Exec(_)
        | Probe::File(_)
        | Probe::Notify
        | Probe::Fd(_)
        | Probe::Ipc => None,
    }
}

/// The stream of foster that a path leads to, following links: images link `access.log` to `/dev/stdout` or
/// `/proc/1/fd/1`. Such a link is safe whichever user placed it, because its target is not a file.
fn standard_path(path: &Path) -> Option<Stream> {
    const LINKS: usize = 8;
    let own = format!("/proc/{}/fd/", std::process::id());
    let mut path = PathBuf::from(path);
    for _ in 0..LINKS {
        let text = path.to_str();
        match text.map(|text| text.strip_prefix(&own).unwrap_or(text)) {
            Some("1" | "/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => return Some(Stream::Stdout),
            Some("2" | "/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => return Some(Stream::Stderr),
            Some(_) | None => {}
        }
        let link = std::fs::read_link(&path).ok()?;
        path = path.parent()?.join(link);
    }
    None
}
