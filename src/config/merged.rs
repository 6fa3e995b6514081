//! The tables of all files as one, before anything is checked. The reader of files (`document.rs`) and the front-ends for
//! formats of other tools make it. Plain data.

use foster_core::spec::Kind;

use super::span::Span;
use super::table::{Item, Table};

/// The merged tables of all files.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// The table `[foster]`.
    pub(super) foster: Table,
    /// The table `[web]`, and where it starts.
    pub(super) web: (Table, Option<Span>),
    /// Servers that a front-end adds, each with its place.
    pub(super) servers: Vec<(Table, Span)>,
    /// The table `[signals]`.
    pub(super) signals: Table,
    /// The table `[defaults]`.
    pub(super) defaults: Table,
    /// The tables `[program.*]`.
    pub(super) programs: Table,
    /// The tables `[task.*]`.
    pub(super) tasks: Table,
    /// The tables `[job.*]`.
    pub(super) jobs: Table,
    /// Who wrote the keys.
    pub(super) author: Author,
    /// Where those parts of a front-end's files start that belong to no program.
    pub(super) outside: Vec<Span>,
}

/// Who wrote the keys of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Author {
    /// A person: unknown keys are errors.
    #[default]
    Person,
    /// A front-end for the format of another tool, which may say more than TOML.
    FrontEnd,
}

impl Document {
    /// Every task and program, in the order of `foster status`.
    pub(super) fn units(&self) -> impl Iterator<Item = (Kind, Item<'_>)> {
        let tasks = self.tasks.items().map(|item| (Kind::Task, item));
        let jobs = self.jobs.items().map(|item| (Kind::Job, item));
        tasks.chain(self.programs.items().map(|item| (Kind::Program, item))).chain(jobs)
    }
}
