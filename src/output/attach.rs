//! Which stream of which program goes where: pipes made before a spawn, outlets found or opened.
//!
//! A file is one outlet for all that write to its path. A path that means foster's own stdout or stderr is
//! that, with the lines as they are. Nothing here reads or writes: that is `flow.rs`.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use foster_core::ids::Run;
use log::Level;

use super::file::{self, Opened, Trouble};
use super::form::{Envelope, Stamps};
use super::lines::Lines;
use super::outlet::{News, Outlet};
use super::ring::Ring;
use super::{
    ChildStream, ChildStreams, Dress, Facts, OUTLET, Output, PAINTS, Pattern, Phase, Record, STDOUT, Source,
    Stream,
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
        let Some(facts) = self.facts(run.instance.program) else {
            return Ok(ChildStreams { stdout: ChildStream::Null, stderr: ChildStream::Null });
        };
        let record = Record {
            phase: Phase::Alive,
            label: label.to_owned(),
            name: facts.name.clone(),
            log_prefix: facts.log_prefix,
            pid: None,
            streams: Vec::new(),
        };
        let (stdout, stderr) = (facts.stdout.clone(), facts.stderr.clone());
        let pattern = facts.pattern.clone().map(|regex| Rc::new(Pattern { regex, seen: Cell::new(false) }));
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
            self.dress_source(key);
        }
    }

    /// Has the lines of every run look as it is configured now.
    pub(super) fn dress_anew(&mut self) {
        for (run, record) in &mut self.runs {
            self.width = self.width.max(record.label.len());
            if let Some(facts) = self.programs.get(run.instance.program) {
                record.log_prefix = facts.log_prefix;
            }
        }
        for key in self.sources.keys().copied().collect::<Vec<_>>() {
            self.dress_source(key);
        }
    }

    fn dress_source(&mut self, key: u32) {
        let Some(source) = self.sources.get(&key) else { return };
        let envelope = self.envelope(source.run, source.stream, source.dress, source.outlet);
        if let Some(source) = self.sources.get_mut(&key) {
            source.envelope = envelope;
        }
    }

    /// The run never came to be: nothing is left of it.
    pub fn abandon(&mut self, run: Run) {
        let Some(record) = self.runs.remove(&run) else { return };
        for (key, outlet) in record.streams {
            self.paused.remove(&key);
            // Closing it ends its registration.
            self.sources.remove(&key);
            self.release(outlet);
        }
    }

    /// Opens every log file anew (USR1).
    pub fn reopen(&mut self) {
        let mut news = Vec::new();
        for (key, outlet) in &mut self.outlets {
            if let Outlet::File(file) = outlet {
                news.extend(file.reopen().map(|trouble| (*key, News::File(trouble))));
            }
        }
        for (key, news) in news {
            self.tell(key, vec![news]);
        }
    }

    /// Lets go of a file that nobody writes to any more, unless it has something to tell.
    pub(super) fn release(&mut self, key: u32) {
        let standard = key == STDOUT || key == self.stderr;
        if standard || self.sources.values().any(|source| source.outlet == key) {
            return;
        }
        if self.outlets.get(&key).is_some_and(|outlet| outlet.waiting() == 0 && outlet.gap().is_none()) {
            self.outlets.remove(&key);
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
        let (outlet, dress) = match sink {
            Sink::Null => return Ok(ChildStream::Null),
            Sink::Inherit => return Ok(self.inherited(stream)),
            Sink::Log => (self.standard(stream), Dress::Log),
            Sink::File(sink) => (self.file_outlet(sink), Dress::Plain),
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
                outlet,
                envelope: self.envelope(run, stream, dress, outlet),
                dress,
                lines: Lines::default(),
                pattern,
                owed: 0,
            },
        );
        if let Some(record) = self.runs.get_mut(&run) {
            record.streams.push((key, outlet));
        }
        Ok(ChildStream::Pipe(write))
    }

    fn inherited(&self, stream: Stream) -> ChildStream {
        let fd = match stream {
            Stream::Stdout => &self.surroundings.stdout,
            Stream::Stderr => &self.surroundings.stderr,
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

    fn envelope(&self, run: Run, stream: Stream, dress: Dress, outlet: u32) -> Envelope {
        if dress == Dress::Plain {
            return match self.outlets.get(&outlet) {
                Some(Outlet::File(file)) if file.path().is_some() => Envelope::verbatim(),
                Some(_) | None => Envelope::bare(Stamps::Off),
            };
        }
        let Some(record) = self.runs.get(&run) else { return Envelope::bare(self.stamps) };
        match self.format {
            LogFormat::Json => Envelope::json(&record.name, run.instance.index, stream, record.pid),
            LogFormat::Text if !record.log_prefix => Envelope::bare(self.stamps),
            LogFormat::Text => {
                let paint = PAINTS.get(run.instance.program.0 as usize % PAINTS.len()).copied();
                let paint = paint.filter(|_| self.painted.contains(&outlet));
                Envelope::text(self.stamps, &record.label, self.width, paint)
            }
        }
    }

    /// The outlet for a file: foster's own stream, the one that is open already, or a new one.
    fn file_outlet(&mut self, sink: &FileSink) -> u32 {
        if let Some(stream) = standard_path(&sink.path) {
            return self.standard(stream);
        }
        let path = Some(sink.path.as_path());
        for (key, outlet) in &mut self.outlets {
            if let Outlet::File(file) = outlet
                && file.path() == path
            {
                file.retry();
                return *key;
            }
        }
        let key = self.new_key();
        let (opened, trouble) = file::open(sink);
        self.outlets.insert(
            key,
            match opened {
                Opened::File(file) => Outlet::File(file),
                Opened::Other(target) => {
                    self.devices.insert(key, sink.path.clone());
                    Outlet::new(target)
                }
            },
        );
        if let Some(Trouble::Failing(error)) = trouble {
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
            self.next_key = (self.next_key + 1) & !OUTLET;
            let taken =
                self.sources.contains_key(&self.next_key) || self.outlets.contains_key(&self.next_key);
            if self.next_key > super::STDERR && !taken {
                return self.next_key;
            }
        }
    }
}

impl Facts {
    pub(super) fn new(program: &Program, ring: Ring) -> Facts {
        let pattern = match &program.ready {
            Some(Probe::Log(pattern)) => Some(pattern.0.clone()),
            Some(Probe::Http(_) | Probe::Tcp(_) | Probe::Unix(_) | Probe::Exec(_) | Probe::File(_))
            | None => None,
        };
        Facts {
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
