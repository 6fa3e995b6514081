//! `finish`: what it does to the container, as keys. Pure.

use super::super::diagnostics::Diagnostics;
use super::super::front_end::{ignored, set, text};
use super::super::span::Span;
use super::super::table::{Kind, Table};

/// What a script calls to end the container, in v2 and in v3.
const ENDS: [&str; 3] = ["s6-svscanctl -t", "basedir/bin/halt", "s6-linux-init-hpr -h"];
/// How a script asks whether its service has failed.
const FAILURES: [&str; 4] = ["-ne 0", "-gt 0", "!= 0", "!= \"0\""];

/// Sets what foster does when the service ends.
pub(super) fn read(written: &str, span: Span, table: &mut Table, diagnostics: &mut Diagnostics) {
    let code: Vec<&str> = written.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let has = |marks: &[&str]| code.iter().any(|line| marks.iter().any(|mark| line.contains(mark)));
    if !has(&ENDS) {
        let why = "`on_exit` and `on_failure` decide whether an exit ends the container";
        return ignored(diagnostics, span, "finish", why);
    }
    if has(&FAILURES) {
        set(table, "start_limit", Kind::Integer(1), span);
    } else {
        set(table, "restart", text("never"), span);
        set(table, "on_exit", text("shutdown"), span);
    }
    set(table, "on_failure", text("shutdown"), span);
    diagnostics
        .warn(span, "`finish` ends the container, as these keys do; what else it does is not carried over");
}
