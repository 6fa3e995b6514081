//! What `foster top` shows, and what its keys do. Pure: no terminal, no socket.
//!
//! An instance is selected by its label, so that the selection stays with it when rows come and go. Next: `view.rs`.

use std::collections::VecDeque;

use foster_lines::lines::End;
use foster_lines::visible;

use crate::cli::format;
use crate::client::keys::Key;
use crate::control::protocol::{Order, Reply, Request, StatusRow};

/// The most lines of output that are kept.
const KEPT_LINES: usize = 2000;
/// The most characters of a line that are kept: no terminal is wider.
const KEPT_CHARACTERS: usize = 1000;

/// What the caller has to do after a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Paint.
    Nothing,
    /// Leave.
    Quit,
    /// Stop this process until it is continued.
    Suspend,
    /// Send this order.
    Order(Request),
}

/// What the keys mean now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    /// Select, scroll, give orders.
    Browse,
    /// They are the text of the filter.
    Filter,
    /// An order that needs a `y`.
    Confirm(OrderKind, String),
}

/// An order to the selected instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderKind {
    Start,
    Stop,
    Restart,
    Reload,
}

impl OrderKind {
    pub(super) fn verb(self) -> &'static str {
        match self {
            OrderKind::Start => "start",
            OrderKind::Stop => "stop",
            OrderKind::Restart => "restart",
            OrderKind::Reload => "reload",
        }
    }

    fn request(self, label: String) -> Request {
        let order = Order { names: vec![label], wait: true };
        match self {
            OrderKind::Start => Request::Start(order),
            OrderKind::Stop => Request::Stop(order),
            OrderKind::Restart => Request::Restart(order),
            OrderKind::Reload => Request::Reload(order),
        }
    }
}

/// The state of the view.
#[derive(Debug)]
pub(super) struct Model {
    rows: Vec<StatusRow>,
    before: Vec<StatusRow>,
    selected: Option<String>,
    pub(super) filter: String,
    pub(super) mode: Mode,
    pub(super) output: Tail,
    /// The last result of an order.
    pub(super) message: Option<String>,
}

/// The output of the selected instance.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Whose it is; `None`: no instance is shown.
    pub(super) of: Option<String>,
    lines: VecDeque<String>,
    /// The beginning of a line that arrives in pieces.
    start: String,
    /// Whether the last line is one that the program has not ended yet.
    is_unfinished: bool,
    /// How many lines are below those that are shown; 0: the end is shown, and stays so.
    pub(super) below: usize,
    /// The number of lines that were shown last.
    pub(super) page: usize,
}

impl Model {
    pub(super) fn new() -> Model {
        Model {
            rows: Vec::new(),
            before: Vec::new(),
            selected: None,
            filter: String::new(),
            mode: Mode::Browse,
            output: Tail::default(),
            message: None,
        }
    }

    /// Takes the rows of an answer.
    pub(super) fn set_rows(&mut self, rows: Vec<StatusRow>) {
        self.before = std::mem::replace(&mut self.rows, rows);
    }

    /// All rows.
    pub(super) fn all(&self) -> &[StatusRow] {
        &self.rows
    }

    /// The rows of the answer before, which CPU times are counted from.
    pub(super) fn before(&self) -> &[StatusRow] {
        &self.before
    }

    /// The rows that the filter lets through.
    pub(super) fn shown(&self) -> Vec<StatusRow> {
        let filter = self.filter.to_lowercase();
        self.rows.iter().filter(|row| row.label.to_lowercase().contains(&filter)).cloned().collect()
    }

    /// The index of the selected row among those shown: the first, where the selected one is not shown.
    pub(super) fn selected(&self) -> Option<usize> {
        let shown = self.shown();
        let at = shown.iter().position(|row| Some(&row.label) == self.selected.as_ref());
        at.or((!shown.is_empty()).then_some(0))
    }

    fn selected_label(&self) -> Option<String> {
        Some(self.shown().get(self.selected()?)?.label.clone())
    }

    /// Makes the output that of the selected instance; true: it was that of another.
    pub(super) fn select_output(&mut self) -> bool {
        let label = self.selected_label();
        let is_other = label != self.output.of;
        if is_other {
            self.output = Tail { of: label, page: self.output.page, ..Tail::default() };
        }
        is_other
    }

    /// Shows the result of an order.
    pub(super) fn report(&mut self, text: &str) {
        self.message = Some(format::harmless(text));
    }

    /// Takes a reply of the followed output.
    pub(super) fn add_output(&mut self, reply: &Reply) {
        match reply {
            Reply::Line(line) => {
                self.output.start += &line.text;
                if !line.more {
                    let text = std::mem::take(&mut self.output.start);
                    self.output.add(&text, line.unfinished);
                }
            }
            Reply::Missed(_) => self.output.add("[lines are missing here: too many at once]", false),
            Reply::Note(note) => self.output.add(&format!("[{}]", note.text), false),
            Reply::Row(_)
            | Reply::Outcome(_)
            | Reply::Width(_)
            | Reply::Event(_)
            | Reply::Context(_)
            | Reply::Problem(_)
            | Reply::Change(_)
            | Reply::End {}
            | Reply::Error(_) => {}
        }
    }

    /// Handles a key.
    pub(super) fn press(&mut self, key: Key) -> Step {
        match (&self.mode, key) {
            (_, Key::Control('c')) => return Step::Quit,
            (_, Key::Control('z')) => return Step::Suspend,
            (Mode::Confirm(kind, label), key) => {
                let (kind, label) = (*kind, label.clone());
                self.mode = Mode::Browse;
                if matches!(key, Key::Char('y' | 'Y')) {
                    return self.order(kind, label);
                }
                self.message = None;
            }
            (Mode::Filter, key) => self.type_filter(key),
            (Mode::Browse, key) => {
                // The result was on the screen until now.
                self.message = None;
                return self.browse(key);
            }
        }
        Step::Nothing
    }

    fn order(&mut self, kind: OrderKind, label: String) -> Step {
        self.report(&format!("{label}: {} …", kind.verb()));
        Step::Order(kind.request(label))
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.mode = Mode::Browse,
            Key::Escape => {
                self.filter.clear();
                self.mode = Mode::Browse;
            }
            Key::Backspace => drop(self.filter.pop()),
            Key::Control('u') => self.filter.clear(),
            Key::Char(character) if self.filter.len() < 64 => {
                self.filter.push(character);
            }
            // A key that has no meaning in a line of text.
            Key::Char(_) | Key::Control(_) | Key::Tab | Key::Delete => {}
            Key::Up | Key::Down | Key::Left | Key::Right => {}
            Key::Home | Key::End | Key::PageUp | Key::PageDown => {}
        }
    }

    fn browse(&mut self, key: Key) -> Step {
        let page = self.output.page.max(1);
        match key {
            Key::Char('q') => return Step::Quit,
            Key::Char('/') => self.mode = Mode::Filter,
            Key::Escape => self.filter.clear(),
            Key::Up | Key::Char('k') => self.select(|at, _| at.saturating_sub(1)),
            Key::Down | Key::Char('j') => self.select(|at, last| (at + 1).min(last)),
            Key::Char('g') => self.select(|_, _| 0),
            Key::Char('G') => self.select(|_, last| last),
            Key::PageUp => self.output.scroll(self.output.below.saturating_add(page)),
            Key::PageDown => self.output.scroll(self.output.below.saturating_sub(page)),
            Key::Home => self.output.scroll(usize::MAX),
            Key::End => self.output.scroll(0),
            Key::Char('s') => {
                if let Some(label) = self.selected_label() {
                    return self.order(OrderKind::Start, label);
                }
            }
            Key::Char('x') => self.ask_for(OrderKind::Stop),
            Key::Char('r') => self.ask_for(OrderKind::Restart),
            Key::Char('l') => self.ask_for(OrderKind::Reload),
            Key::Char(_) | Key::Control(_) | Key::Enter | Key::Tab => {}
            Key::Backspace | Key::Delete | Key::Left | Key::Right => {}
        }
        Step::Nothing
    }

    fn ask_for(&mut self, kind: OrderKind) {
        if let Some(label) = self.selected_label() {
            self.mode = Mode::Confirm(kind, label);
        }
    }

    fn select(&mut self, to: impl Fn(usize, usize) -> usize) {
        let shown = self.shown();
        let Some(at) = self.selected() else { return };
        self.selected = shown.get(to(at, shown.len() - 1)).map(|row| row.label.clone());
    }
}

impl Tail {
    fn add(&mut self, text: &str, is_unfinished: bool) {
        // The line that was not ended is there again, with more of it.
        if std::mem::replace(&mut self.is_unfinished, is_unfinished) {
            self.lines.pop_back();
        } else if self.below > 0 {
            self.below += 1;
        }
        self.lines.push_back(plain(text));
        if self.lines.len() > KEPT_LINES {
            self.lines.pop_front();
        }
        self.scroll(self.below);
    }

    fn scroll(&mut self, below: usize) {
        self.below = below.min(self.lines.len().saturating_sub(self.page));
    }

    /// The lines that fit a page of this height.
    pub(super) fn show(&mut self, page: usize) -> impl Iterator<Item = &str> {
        self.page = page;
        self.scroll(self.below);
        let end = self.lines.len() - self.below;
        self.lines.range(end.saturating_sub(page)..end).map(String::as_str)
    }
}

/// The text as a terminal shows it: without colours, with control characters visible, with spaces for tabs.
fn plain(text: &str) -> String {
    let (mut uncoloured, mut shown) = (Vec::new(), Vec::new());
    visible::without_colours(text.as_bytes(), &mut uncoloured);
    visible::push(&uncoloured, End::Line, &mut shown);
    String::from_utf8_lossy(&shown).replace('\t', "    ").chars().take(KEPT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests;
