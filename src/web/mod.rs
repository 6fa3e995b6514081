//! The web helper: the process that speaks HTTP, for XML-RPC, the page and metrics.
//!
//! The supervisor starts it without privileges (`init/web.rs`), with its listening sockets and a connection of limited rights.
//! One thread, one loop, and everything bounded (`limits.rs`): what hostile clients do costs the helper alone. It holds no
//! state but the results of the last orders: every other answer comes from the supervisor.
//!
//! | module | purpose |
//! | --- | --- |
//! | [`listener`], [`client`], [`http`] | a listening socket, a client, and its bytes |
//! | [`auth`] | who may ask |
//! | [`site`], [`answer`] | which handler answers a path, and with what |
//! | [`page`], [`html`], [`units`] | the page |
//! | [`metrics`], [`health`] | what Prometheus and an orchestrator ask for |
//! | [`link`] | a connection to the supervisor |
//! | [`crate::xmlrpc`] | supervisord's XML-RPC, and how a handler asks the supervisor |

mod answer;
mod auth;
mod client;
mod health;
mod html;
mod http;
mod limits;
mod link;
mod listener;
mod metrics;
mod page;
mod site;
mod units;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use foster_core::ids::Signal;
use foster_core::sorted::SortedMap;
use nix::sys::prctl;

use crate::control::protocol::{self, Reason, Refusal, Reply};
use crate::control::web_process::{
    FIRST_SOCKET, NAME, PASSWORD, ServerSettings, Settings, UNUSABLE_PASSWORD, VARIABLE,
};
use crate::exit::ExitStatus;
use crate::sys::epoll::{Epoll, Interest, Owner, Ready, Token};
use crate::sys::{inherited, memory, signal, stream, timer};
use crate::xmlrpc::script::Stop;
use answer::{Answer, Context};
use client::{Client, Phase, Work};
use http::{Request, Response};
use link::Link;
use listener::Listener;
use page::results::Results;

const LISTENERS: Owner = Owner(0);
const CLIENTS: Owner = Owner(1);
const LINKS: Owner = Owner(2);
const SUPERVISOR: Owner = Owner(3);

/// The most clients that are accepted in one turn.
const ADMITTED_AT_ONCE: usize = 16;

/// Runs the helper until the supervisor ends.
pub fn run() -> ExitStatus {
    // No other process of this user may look into its memory and its environment (ptrace(2), proc(5)).
    let _ = prctl::set_dumpable(false);
    if let Ok(name) = std::ffi::CString::new(NAME) {
        let _ = prctl::set_name(&name);
    }
    signal::ignore(Signal::PIPE);
    // It ends with the supervisor, after the last answers: also where every process of the container gets TERM first.
    signal::ignore(Signal::TERM);
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let Ok(mut settings) = serde_json::from_str::<Settings>(&text) else { return ExitStatus::USAGE };
    if !add_password(&mut settings) {
        return ExitStatus(UNUSABLE_PASSWORD);
    }
    let Some(sockets) = inherited::take(FIRST_SOCKET, settings.servers.len()) else {
        return ExitStatus::USAGE;
    };
    match Web::new(settings, sockets) {
        Ok(mut web) => web.turn_until_the_end(),
        Err(_) => ExitStatus::FAILED,
    }
}

/// Adds the password of a file where a server asks for one. `false`: there is none.
fn add_password(settings: &mut Settings) -> bool {
    let asking = |server: &&mut ServerSettings| server.username.is_some() && server.password.is_none();
    for server in settings.servers.iter_mut().filter(asking) {
        match std::env::var(PASSWORD) {
            Ok(password) if !password.is_empty() => server.password = Some(password),
            Ok(_) | Err(_) => return false,
        }
    }
    true
}

/// The state of the loop.
struct Web {
    settings: Settings,
    epoll: Epoll,
    listeners: Vec<Listener>,
    clients: SortedMap<u32, Client>,
    results: Results,
    latest: u32,
    now: Instant,
    /// The supervisor has ended, or does not want the helper any longer: answers are finished until this time.
    ending: Option<Instant>,
}

impl Web {
    fn new(settings: Settings, sockets: Vec<OwnedFd>) -> std::io::Result<Web> {
        let epoll = Epoll::new()?;
        let mut listeners = Vec::new();
        for (server, socket) in settings.servers.iter().zip(sockets) {
            let token = Token { owner: LISTENERS, key: u32::try_from(listeners.len()).unwrap_or(u32::MAX) };
            epoll.add(&socket, token, Interest::Read)?;
            listeners.push(Listener::new(server, socket)?);
        }
        epoll.add(stream::stdin(), Token { owner: SUPERVISOR, key: 0 }, Interest::Read)?;
        let (clients, results) = (SortedMap::new(), Results::default());
        Ok(Web { settings, epoll, listeners, clients, results, latest: 0, now: clock(), ending: None })
    }

    fn turn_until_the_end(&mut self) -> ExitStatus {
        let mut ready = Vec::new();
        loop {
            if self
                .ending
                .is_some_and(|until| until <= self.now || !self.clients.values().any(Client::is_owed))
            {
                return ExitStatus::DONE;
            }
            let deadlines = self.clients.values().filter_map(Client::due);
            let deadline = deadlines.chain(self.ending).min();
            let timeout = deadline.map(|deadline| deadline.saturating_duration_since(self.now));
            if self.epoll.wait(timeout, &mut ready).is_err() {
                return ExitStatus::FAILED;
            }
            self.now = clock();
            for report in std::mem::take(&mut ready) {
                match report.token.owner {
                    LISTENERS => self.admit(report.token.key),
                    CLIENTS => self.serve(report),
                    LINKS => self.take_replies(report.token.key),
                    _ => self.end(),
                }
            }
            self.close_late();
        }
    }

    /// Takes no more clients. The answer to an order to shut down may still be on its way.
    fn end(&mut self) {
        let _ = self.epoll.remove(stream::stdin());
        self.listeners.iter().for_each(|listener| {
            let _ = self.epoll.remove(listener);
        });
        self.ending = Some(self.now + limits::PARTING);
    }

    fn close_late(&mut self) {
        let is_late = |client: &Client| client.deadline.is_some_and(|deadline| deadline <= self.now);
        let late: Vec<u32> =
            self.clients.iter().filter(|(_, client)| is_late(client)).map(|(key, _)| *key).collect();
        late.into_iter().for_each(|key| self.close(key));
        let is_due = |client: &Client| client.due().is_some_and(|due| due <= self.now);
        let due: Vec<u32> =
            self.clients.iter().filter(|(_, client)| is_due(client)).map(|(key, _)| *key).collect();
        due.into_iter().for_each(|key| self.answer_early(key));
    }

    /// Answers the client of an order that takes longer with what is known so far. The order goes its way.
    fn answer_early(&mut self, key: u32) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        if let Phase::Working(work) = &mut client.phase {
            (work.link, work.until) = (None, None);
            let text = format!("not done after {} s; it continues", limits::ORDER.as_secs());
            let refusal = Refusal::new(Reason::TooSlow, text);
            let (replies, size) = (std::mem::take(&mut work.replies), std::mem::take(&mut work.size));
            work.script.answer(Err((refusal, replies)), size);
            self.advance(key);
        }
    }

    fn close(&mut self, key: u32) {
        self.clients.remove(&key);
        if self.clients.is_empty() {
            memory::release_unused();
        }
    }

    fn admit(&mut self, server: u32) {
        for _ in 0..ADMITTED_AT_ONCE {
            let at = usize::try_from(server).unwrap_or(usize::MAX);
            // An error is that of a client that has gone, or leaves one in the backlog until a descriptor is free.
            let Some(Ok(stream)) = self.listeners.get(at).map(Listener::accept) else { return };
            if self.clients.len() >= limits::CLIENTS {
                let find = |is_meant: fn(&Client) -> bool| {
                    let meant = self.clients.iter().filter(|(_, client)| is_meant(client));
                    meant.min_by_key(|(_, client)| client.deadline).map(|(key, _)| *key)
                };
                match find(Client::is_refused).or_else(|| find(Client::is_idle)) {
                    Some(key) => self.close(key),
                    None => {
                        let mut client = Client::new(stream, at, self.now);
                        client.refuse(503);
                        client.flush(self.now);
                        continue;
                    }
                }
            }
            let key = (1..=u32::MAX)
                .map(|step| self.latest.wrapping_add(step))
                .find(|key| !self.clients.contains_key(key));
            let Some(key) = key else { return };
            let client = Client::new(stream, at, self.now);
            if self.epoll.add(&client, Token { owner: CLIENTS, key }, client.watched).is_ok() {
                self.latest = key;
                self.clients.insert(key, client);
            }
        }
    }

    /// Handles a report about a client.
    fn serve(&mut self, ready: Ready) {
        let key = ready.token.key;
        let Some(client) = self.clients.get_mut(&key) else { return };
        let is_open = match client.watched {
            Interest::Read => client.fill(),
            Interest::Write => client.flush(self.now),
            // Only an error or a hang-up is reported.
            Interest::None | Interest::Both | Interest::Change => false,
        };
        if is_open {
            self.advance(key)
        } else {
            self.close(key)
        }
        self.bound_memory();
    }

    /// Refuses the client that costs most if all together cost too much.
    fn bound_memory(&mut self) {
        if self.clients.values().map(Client::held).sum::<usize>() <= limits::HELD {
            return;
        }
        let Some((key, client)) = self.clients.iter_mut().max_by_key(|(_, client)| client.held()) else {
            return;
        };
        let key = *key;
        // One that has a part of its answer cannot be told.
        match client.phase {
            Phase::Working(_) => client.refuse(503),
            Phase::Reading if client.is_idle() => client.refuse(503),
            Phase::Reading | Phase::Following(..) | Phase::Closing | Phase::Refused(_) => {
                return self.close(key);
            }
        }
        self.advance(key);
    }

    /// Takes the next steps of a conversation, until it waits for something.
    fn advance(&mut self, key: u32) {
        loop {
            let Some(client) = self.clients.get_mut(&key) else { return };
            if !client.flush(self.now) {
                return self.close(key);
            }
            if client.is_done() {
                return self.close(key);
            }
            match &client.phase {
                Phase::Reading if client.is_idle() => {
                    let server = self.settings.servers.get(client.server);
                    let is_permitted = |request: &Request| {
                        let authorization = request.headers.authorization.as_deref();
                        server.is_some_and(|server| auth::is_permitted(server, authorization))
                    };
                    let is_answered = |request: &Request| is_permitted(request) || site::is_open(request);
                    let Some(request) = client.take_request(is_answered) else {
                        if client.is_idle() {
                            break;
                        }
                        continue;
                    };
                    let is_permitted = is_permitted(&request);
                    client.phase =
                        Phase::Working(Box::new(Work { request, is_permitted, ..Work::default() }));
                }
                Phase::Working(work) if work.link.is_none() => self.work(key),
                Phase::Following(..) => {
                    self.read_on(key);
                    break;
                }
                Phase::Reading | Phase::Working(_) | Phase::Closing | Phase::Refused(_) => break,
            }
        }
        self.watch(key);
    }

    /// Runs the handler of a request until it needs something, or is done.
    fn work(&mut self, key: u32) {
        let followers = self.clients.values().filter(|client| client.is_following()).count();
        let Some(client) = self.clients.get_mut(&key) else { return };
        let Some(server) = self.settings.servers.get(client.server) else { return self.close(key) };
        let Phase::Working(work) = &mut client.phase else { return };
        work.script.rewind();
        let (settings, results, is_permitted) = (&self.settings, &self.results, work.is_permitted);
        let context = Context { settings, server, results, is_permitted };
        let open = |request: &protocol::Request| {
            let link = Link::open(Path::new(&settings.supervisor), request).ok();
            link.filter(|link| self.epoll.add(link, Token { owner: LINKS, key }, Interest::Read).is_ok())
        };
        match site::respond(context, &work.request, &mut work.script) {
            Ok(Answer::Whole(response)) => client.answer(&response),
            Ok(Answer::Ordered(report, back)) => {
                let number = self.results.add(report, timer::unix_ms());
                client.answer(&page::sent_back(&back, number));
            }
            Ok(Answer::Follow { .. }) if followers >= limits::FOLLOWERS => client.refuse(503),
            Ok(Answer::Follow { response, request, follower }) => match open(&request) {
                Some(link) => client.follow(&response, link, follower),
                None => client.refuse(503),
            },
            Err(Stop::Ask(request)) => match open(&request) {
                Some(link) => {
                    work.link = Some(link);
                    work.until = site::is_order(&work.request).then(|| self.now + limits::ORDER);
                    client.deadline = None;
                }
                None => client.refuse(503),
            },
            Err(Stop::Fault(_, text)) => client.answer(&Response::new(503, http::TEXT, text + "\n")),
        }
    }

    /// Handles replies of the supervisor for a client.
    fn take_replies(&mut self, key: u32) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        match &mut client.phase {
            Phase::Working(work) => {
                let Some(link) = &mut work.link else { return };
                match link.read() {
                    Ok((replies, size)) => {
                        work.replies.extend(replies);
                        work.size += size;
                    }
                    Err(_) => {
                        client.refuse(503);
                        return self.advance(key);
                    }
                }
                if !work.replies.last().is_some_and(Reply::is_last) {
                    return self.bound_memory();
                }
                work.link = None;
                let (mut replies, size) = (std::mem::take(&mut work.replies), std::mem::take(&mut work.size));
                let answer = match replies.pop() {
                    Some(Reply::Error(refusal)) => Err((refusal, replies)),
                    Some(_) | None => Ok(replies),
                };
                work.script.answer(answer, size);
                self.advance(key);
            }
            Phase::Following(link, follower, _) => {
                let read = link.read().map(|(replies, _)| replies);
                let bytes: Vec<u8> =
                    read.iter().flatten().flat_map(|reply| site::bytes_of(*follower, reply)).collect();
                let is_over = read.map_or(true, |replies| replies.last().is_some_and(Reply::is_last));
                client.send_part(&bytes);
                if is_over {
                    client.end_parts();
                }
                self.advance(key);
            }
            Phase::Reading | Phase::Closing | Phase::Refused(_) => {}
        }
    }

    /// Reads from the supervisor as fast as the client reads.
    fn read_on(&mut self, key: u32) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let interest = if client.is_behind() { Interest::None } else { Interest::Read };
        if let Phase::Following(link, ..) = &client.phase
            && self.epoll.modify(link, Token { owner: LINKS, key }, interest).is_err()
        {
            self.close(key);
        }
    }

    fn watch(&mut self, key: u32) {
        let Some(client) = self.clients.get_mut(&key) else { return };
        let interest = client.interest();
        if interest != client.watched {
            client.watched = interest;
            if self.epoll.modify(&*client, Token { owner: CLIENTS, key }, interest).is_err() {
                self.close(key);
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the helper has its own loop and clock")]
fn clock() -> Instant {
    Instant::now()
}
