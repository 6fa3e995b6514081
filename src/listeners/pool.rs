//! A pool of event listeners: its queue, and the protocol READY, event, RESULT with each of its processes.
//!
//! The queue is bounded: the oldest event goes, and that is reported. A listener gets its next event only after its
//! answer; one that answers wrongly gets none until it is started again. Pure.

use std::collections::VecDeque;
use std::io::Write;

use super::notices::Notice;
use crate::control::protocol::Event;

/// The events that a pool wants.
#[derive(Debug)]
pub(super) struct Subscription(Vec<String>);

impl Subscription {
    pub(super) fn new(events: &str) -> Subscription {
        Subscription(events.split(',').map(|name| name.trim().to_owned()).collect())
    }

    /// Whether it has this event, or a type above it.
    fn has(&self, event: &str) -> bool {
        self.0.iter().any(|wanted| {
            let below = event.strip_prefix(wanted.as_str());
            wanted == "EVENT" || below.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
    }
}

/// A pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) program: String,
    pub(super) group: String,
    capacity: usize,
    events: Subscription,
    queue: VecDeque<Queued>,
    serial: u64,
    dropped: u64,
    listeners: Vec<Listener>,
}

#[derive(Debug, Clone)]
struct Queued {
    serial: u64,
    pool_serial: u64,
    notice: Notice,
}

/// A process of the pool.
#[derive(Debug)]
struct Listener {
    label: String,
    protocol: Protocol,
    is_running: bool,
    /// When it was started: lines from before are those of the process before it.
    started: String,
    unread: String,
}

/// Where a listener is in the protocol.
#[derive(Debug)]
enum Protocol {
    /// It has not said READY since its start or its last result.
    Acknowledged,
    /// It waits for an event.
    Ready,
    /// It has this event.
    Busy(Queued),
    /// It has broken the protocol.
    Unknown,
}

/// The most bytes of a listener that are kept: a result is a word.
const LONGEST_RESULT: usize = 64 * 1024;

impl Pool {
    pub(super) fn new(program: String, capacity: usize, events: Subscription) -> Pool {
        let (group, queue, listeners) = (program.clone(), VecDeque::new(), Vec::new());
        Pool { program, group, capacity, events, queue, serial: 0, dropped: 0, listeners }
    }

    pub(super) fn wants(&self, event: &str) -> bool {
        self.events.has(event)
    }

    /// Knows this process from now on.
    pub(super) fn know(&mut self, label: &str, is_running: bool) {
        if !self.listeners.iter().any(|listener| listener.label == label) {
            self.listeners.push(Listener {
                label: label.to_owned(),
                protocol: Protocol::Acknowledged,
                is_running,
                started: String::new(),
                unread: String::new(),
            });
        }
    }

    /// A process that an earlier broker knew, and of which nothing is known: it waits for an event, or reads the next one after
    /// that which it has.
    pub(super) fn assume_ready(&mut self, label: &str) {
        if let Some(listener) = self.listeners.iter_mut().find(|listener| listener.label == label)
            && listener.is_running
        {
            listener.protocol = Protocol::Ready;
        }
    }

    pub(super) fn push(&mut self, serial: u64, notice: Notice) {
        let queued = Queued { serial, pool_serial: self.serial, notice };
        self.serial += 1;
        self.queue.push_back(queued);
        if self.queue.len() > self.capacity {
            self.queue.pop_front();
            self.dropped += 1;
        }
    }

    /// The next event for a listener that is ready, as it reads it.
    pub(super) fn next(&mut self, identifier: &str) -> Option<(String, String)> {
        let is_free =
            |listener: &&mut Listener| listener.is_running && matches!(listener.protocol, Protocol::Ready);
        let listener = self.listeners.iter_mut().find(is_free)?;
        let queued = self.queue.pop_front()?;
        let Queued { serial, pool_serial, notice: Notice { name, payload } } = &queued;
        let text = format!(
            "ver:3.0 server:{identifier} serial:{serial} pool:{} poolserial:{pool_serial} eventname:{name} \
             len:{}\n{payload}",
            self.group,
            // Characters, as supervisord counts them: its own library reads text.
            payload.chars().count()
        );
        listener.protocol = Protocol::Busy(queued);
        Some((listener.label.clone(), text))
    }

    /// It cannot be written to.
    pub(super) fn fail(&mut self, label: &str, message: &str, err: &mut dyn Write) {
        self.break_off(label, message, err);
    }

    /// It gets no event until it is started again; the one that it had is for another.
    fn break_off(&mut self, label: &str, why: &str, err: &mut dyn Write) {
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.label == label) else {
            return;
        };
        let _ = writeln!(err, "{label}: gets no event before its next start: {why}");
        if let Protocol::Busy(queued) = std::mem::replace(&mut listener.protocol, Protocol::Unknown) {
            self.queue.push_front(queued);
        }
    }

    /// Takes a change of state of one of its processes.
    pub(super) fn follow(&mut self, label: &str, event: &Event, err: &mut dyn Write) {
        if self.dropped > 0 {
            let _ = writeln!(err, "{}: {} events dropped: its buffer was full", self.group, self.dropped);
            self.dropped = 0;
        }
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.label == label) else {
            return;
        };
        let to = event.text("to");
        listener.is_running = matches!(to, "running" | "unhealthy");
        if to == "starting" {
            event.text("ts").clone_into(&mut listener.started);
            listener.unread.clear();
            if let Protocol::Busy(queued) = std::mem::replace(&mut listener.protocol, Protocol::Acknowledged)
            {
                self.queue.push_front(queued);
            }
        }
    }

    /// Takes output of one of its processes.
    pub(super) fn read(&mut self, label: &str, text: &str, ts: &str, err: &mut dyn Write) {
        let Some(listener) = self.listeners.iter_mut().find(|listener| listener.label == label) else {
            return;
        };
        if ts < listener.started.as_str() || matches!(listener.protocol, Protocol::Unknown) {
            return;
        }
        if listener.unread.len() + text.len() > LONGEST_RESULT {
            return self.break_off(label, "its output is not an answer", err);
        }
        listener.unread.push_str(text);
        while let Some(step) = listener.step() {
            match step {
                Step::Result(result) if result == "OK" => listener.protocol = Protocol::Acknowledged,
                Step::Result(_) => {
                    // The event is for the next listener that is ready.
                    let before = std::mem::replace(&mut listener.protocol, Protocol::Acknowledged);
                    if let Protocol::Busy(queued) = before {
                        self.queue.push_front(queued);
                    }
                }
                Step::Ready => listener.protocol = Protocol::Ready,
                Step::Wrong(line) => {
                    let shown: String = line.chars().take(60).collect();
                    listener.unread.clear();
                    return self.break_off(
                        label,
                        &format!("`{}` is not an answer", shown.escape_debug()),
                        err,
                    );
                }
            }
        }
    }
}

/// What a listener has said.
enum Step {
    Ready,
    Result(String),
    Wrong(String),
}

impl Listener {
    /// The next thing that it has said, once it is complete.
    fn step(&mut self) -> Option<Step> {
        let end = self.unread.find('\n')?;
        let line = self.unread.get(..end)?.to_owned();
        if let Some(length) =
            line.strip_prefix("RESULT ").and_then(|length| length.trim().parse::<usize>().ok())
        {
            let result = self.unread.get(end + 1..(end + 1).checked_add(length)?)?.to_owned();
            self.unread.drain(..end + 1 + length);
            return Some(Step::Result(result));
        }
        self.unread.drain(..=end);
        match line.as_str() {
            "READY" => Some(Step::Ready),
            // The end of the line after a result.
            "" => self.step(),
            _ => Some(Step::Wrong(line)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::{Value, json};

    fn pool(capacity: usize) -> Pool {
        let mut pool = Pool::new("l".into(), capacity, Subscription::new("TICK"));
        pool.know("l.0", false);
        pool.know("l.1", false);
        pool
    }

    fn event(to: &str, ts: &str) -> Event {
        let Value::Object(fields) = json!({ "to": to, "ts": ts }) else { panic!("no object") };
        Event(fields)
    }

    fn up(pool: &mut Pool, label: &str) {
        pool.follow(label, &event("starting", "1"), &mut Vec::new());
        pool.follow(label, &event("running", "1"), &mut Vec::new());
    }

    fn tick(pool: &mut Pool, payload: &str) {
        pool.push(0, Notice::new("TICK_5", payload.into()));
    }

    /// The label and the payload of the next event.
    fn sent(pool: &mut Pool) -> Option<String> {
        pool.next("s").map(|(label, text)| format!("{label} {}", text.split_once('\n').unwrap().1))
    }

    #[test]
    fn a_type_has_those_below_it() {
        for (wanted, event, has) in [
            ("EVENT", "TICK_5", true),
            ("TICK", "TICK_60", true),
            ("TICK_60", "TICK_60", true),
            ("TICK_6", "TICK_60", false),
            ("PROCESS_STATE", "PROCESS_STATE_EXITED", true),
            ("PROCESS_STATE_EXITED,TICK_5", "PROCESS_STATE_FATAL", false),
            ("PROCESS_LOG , TICK_5", "TICK_5", true),
        ] {
            assert_eq!(Subscription::new(wanted).has(event), has, "{wanted} {event}");
        }
    }

    #[test]
    fn a_listener_gets_one_event_at_a_time_with_its_length_in_characters() {
        let (mut pool, mut err) = (pool(9), Vec::new());
        tick(&mut pool, "é");
        tick(&mut pool, "b");
        pool.read("l.0", "READY\n", "0", &mut err);
        assert!(sent(&mut pool).is_none(), "it is not running");
        up(&mut pool, "l.0");
        pool.read("l.0", "READY\n", "0", &mut err);
        // What was written before its start counts no more.
        assert!(sent(&mut pool).is_none());
        pool.read("l.0", "READY\n", "2", &mut err);
        let (label, text) = pool.next("s").unwrap();
        assert_eq!(
            (label.as_str(), text.as_str()),
            ("l.0", "ver:3.0 server:s serial:0 pool:l poolserial:0 eventname:TICK_5 len:1\né")
        );
        assert!(sent(&mut pool).is_none());
        pool.read("l.0", "RESULT 2\n", "3", &mut err);
        pool.read("l.0", "OKREADY\n", "3", &mut err);
        assert_eq!(sent(&mut pool).unwrap(), "l.0 b");
        assert!(err.is_empty());
    }

    #[test]
    fn an_event_that_is_refused_or_whose_listener_dies_comes_again() {
        let (mut pool, mut err) = (pool(9), Vec::new());
        for label in ["l.0", "l.1"] {
            up(&mut pool, label);
            pool.read(label, "READY\n", "2", &mut err);
        }
        tick(&mut pool, "a");
        assert_eq!(sent(&mut pool).unwrap(), "l.0 a");
        pool.read("l.0", "RESULT 4\nFAIL", "3", &mut err);
        assert_eq!(sent(&mut pool).unwrap(), "l.1 a");
        pool.follow("l.1", &event("backoff", "4"), &mut err);
        pool.follow("l.1", &event("starting", "5"), &mut err);
        pool.read("l.0", "READY\n", "5", &mut err);
        assert_eq!(sent(&mut pool).unwrap(), "l.0 a");
    }

    #[test]
    fn garbage_ends_the_events_of_a_listener_until_its_next_start() {
        let (mut pool, mut err) = (pool(9), Vec::new());
        up(&mut pool, "l.0");
        tick(&mut pool, "a");
        pool.read("l.0", "hello\nREADY\n", "2", &mut err);
        assert!(sent(&mut pool).is_none());
        let message = "l.0: gets no event before its next start: `hello` is not an answer\n";
        assert_eq!(String::from_utf8_lossy(&err), message);
        pool.follow("l.0", &event("starting", "3"), &mut err);
        pool.follow("l.0", &event("running", "3"), &mut err);
        pool.read("l.0", "READY\n", "4", &mut err);
        assert_eq!(sent(&mut pool).unwrap(), "l.0 a");
        pool.read("l.0", &"x".repeat(70_000), "5", &mut err);
        assert!(String::from_utf8_lossy(&err).contains("its output is not an answer"));
    }

    #[test]
    fn a_full_queue_loses_the_oldest_and_says_how_many() {
        let (mut pool, mut err) = (pool(2), Vec::new());
        for payload in ["a", "b", "c", "d"] {
            tick(&mut pool, payload);
        }
        up(&mut pool, "l.0");
        pool.follow("l.1", &event("starting", "2"), &mut err);
        pool.read("l.0", "READY\n", "2", &mut err);
        assert_eq!(sent(&mut pool).unwrap(), "l.0 c");
        assert_eq!(pool.dropped, 0);
    }
}
