//! What images for s6-overlay v2 have, and v3 still reads: `services.d`, `cont-init.d`, `cont-finish.d` and `fix-attrs.d`.
//!
//! A script of `cont-init.d` is a task. They run one after the other before everything else, and one that fails holds up
//! nothing, as with `S6_BEHAVIOUR_IF_STAGE2_FAILS=0`: each has another priority.

use std::path::{Path, PathBuf};

use super::super::files::Files;
use super::super::front_end::{foster_name, ignored, set};
use super::super::merged::Document;
use super::super::phrase::quoted;
use super::super::span::Span;
use super::super::table::{Key, Kind, Table, Value};
use super::{DEFAULT, Service, Sort, command, script};

/// Where an image has the services.
pub(super) const PLACE: &str = "/etc/services.d";
/// The service of v3 that starts them.
pub(super) const SERVICES: &str = "legacy-services";

/// The folders of a tree that has them.
pub(super) struct Folders {
    pub(super) services: Option<PathBuf>,
    init: Option<PathBuf>,
    finish: Option<PathBuf>,
    attributes: Option<PathBuf>,
}

impl Folders {
    pub(super) fn find(tree: &Path) -> Folders {
        let find = |name: &str| {
            let places = [tree.join("etc").join(name), tree.join(name)];
            places.into_iter().find(|folder| folder.is_dir())
        };
        Folders {
            services: find("services.d"),
            init: find("cont-init.d"),
            finish: find("cont-finish.d"),
            attributes: find("fix-attrs.d"),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.services.is_none() && self.init.is_none()
    }

    /// Adds the scripts of `cont-init.d` as tasks, and says that the others have no equal.
    pub(super) fn scripts(&self, files: &mut Files<'_>, document: &mut Document, taken: &mut Table) {
        for (folder, name, why) in [
            (
                &self.finish,
                "cont-finish.d",
                "foster runs nothing after the programs have stopped; `pre_stop` of a program runs before its stop signal",
            ),
            (&self.attributes, "fix-attrs.d", "set owners and modes in the image: `COPY --chown`, `--chmod`"),
        ] {
            for path in folder.as_ref().map_or_else(Vec::new, |folder| files.list(folder)) {
                let Some(number) = files.read_if_present(&path) else { continue };
                let span = Span { file: number, start: 0, end: 0 };
                document.outside.push(span);
                ignored(files.diagnostics, span, &format!("{name}/{}", file_name(&path)), why);
            }
        }
        for path in self.init.as_ref().map_or_else(Vec::new, |folder| files.list(folder)) {
            if path.is_dir() {
                continue;
            }
            let Some(number) = files.read(&path) else { continue };
            let (written, name) = (files.text(number), file_name(&path));
            let span = Span { file: number, start: 0, end: written.trim_end().len() };
            let own_name = foster_name(&name, taken);
            set(taken, &own_name, Kind::Boolean(true), DEFAULT);
            if own_name != name {
                files.diagnostics.warn(span, format!("its name there is {}", quoted(&name)));
            }
            let mut table = Table::default();
            command(
                &mut table,
                script::read(&written, &format!("/etc/cont-init.d/{name}"), false),
                span,
                files,
            );
            let index = i64::try_from(document.tasks.items().count()).unwrap_or(i64::MAX);
            if index > 0 {
                set(&mut table, "priority", Kind::Integer(index), span);
            }
            document.tasks.push(Key { name: own_name, span }, Value { kind: Kind::Table(table), span });
        }
    }
}

/// Adds what a service of v3 means by `legacy-services`.
pub(super) fn bundle(services: &mut Vec<Service>) {
    let Some(span) = services.first().map(|first| first.span) else { return };
    let names = services.iter().map(|service| service.name.clone()).collect();
    let (folder, place, own_name) = (PathBuf::new(), String::new(), String::new());
    services.push(Service {
        name: SERVICES.to_owned(),
        own_name,
        folder,
        place,
        sort: Sort::Bundle,
        span,
        names,
    });
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
