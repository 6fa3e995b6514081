//! Lines of output: which ones a request asks for, and how the page shows one, in the document and as an event.
//!
//! Nothing of a line is markup, and nothing of it moves the cursor or changes a colour (`html.rs`).

use super::super::html::{Html, printable};
use super::super::http::Request;
use crate::control::protocol::{Reply, Stream};
use crate::xmlrpc;

/// The name of foster's own log.
pub(super) const OWN_LOG: &str = "foster";
/// How many lines are shown unless a link asks for more.
const SHOWN: u32 = 200;

/// Which lines of which program.
pub(super) struct Lines<'r> {
    /// The program; empty: all of them.
    pub(super) name: &'r str,
    /// How many; `None`: all that are kept.
    pub(super) count: Option<u32>,
}

impl<'r> Lines<'r> {
    pub(super) fn of(request: &'r Request) -> Lines<'r> {
        let count = match request.field("lines") {
            Some("all") => None,
            Some(number) => Some(number.parse().unwrap_or(SHOWN)),
            None => Some(SHOWN),
        };
        Lines { name: request.field("name").unwrap_or_default(), count }
    }

    pub(super) fn names(&self) -> Vec<String> {
        if self.name.is_empty() { Vec::new() } else { vec![self.name.to_owned()] }
    }
}

/// A line, or a piece of one.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// `12:00:00`, in UTC.
    pub(super) at: String,
    /// The instance; empty: none.
    pub(super) of: String,
    /// Whether it is of standard error, or a remark of foster's.
    pub(super) is_error: bool,
    /// Whether the next one continues it.
    pub(super) more: bool,
    pub(super) text: String,
}

impl Shown {
    /// `None`: a reply that is not a line.
    pub(super) fn of(reply: &Reply) -> Option<Shown> {
        let remark = |text: String| Some(Shown { is_error: true, text, ..Shown::default() });
        match reply {
            Reply::Line(line) => Some(Shown {
                at: line.ts.get(11..19).unwrap_or_default().to_owned(),
                of: line.name.clone(),
                is_error: line.stream == Stream::Stderr,
                more: line.more,
                text: printable(&line.text),
            }),
            Reply::Event(event) => {
                let text = printable(xmlrpc::log_line(event).trim_end());
                Some(Shown { of: OWN_LOG.to_owned(), text, ..Shown::default() })
            }
            Reply::Missed(_) => remark("… lines are missing here …".to_owned()),
            Reply::Note(note) => remark(note.text.clone()),
            Reply::Error(refusal) => remark(refusal.to_string()),
            Reply::Row(_)
            | Reply::Outcome(_)
            | Reply::Width(_)
            | Reply::Context(_)
            | Reply::Problem(_)
            | Reply::Change(_)
            | Reply::End {} => None,
        }
    }
}

/// Writes lines into an element that keeps line ends. `name` is the program whose lines need no name.
pub(super) fn write(html: &mut Html, replies: &[Reply], name: &str) {
    let mut continues = false;
    for line in replies.iter().filter_map(Shown::of) {
        if !continues && !line.at.is_empty() {
            html.raw("<time>").text(&line.at).raw("</time> ");
            if line.of != name {
                html.raw("<b>").text(&line.of).raw("</b> ");
            }
        }
        html.raw(if line.is_error { "<span class=\"err\">" } else { "<span>" });
        html.text(&line.text).raw("</span>").raw(if line.more { "" } else { "\n" });
        continues = line.more;
    }
}
