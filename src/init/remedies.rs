//! What to do about the end of a container, as the last part of its reason.
//!
//! A start that failed has its remedy in its own message (`spawn/failure.rs`), which is logged at each attempt. These are
//! for what is only a mistake when it ends the container. Pure.

use std::time::Duration;

use foster_core::ending::Failure;
use foster_core::ids::{Exit, KilledBy};
use foster_core::spec::Kind;

use crate::cli::format::size;
use crate::plan::Stdin;

/// The remedy for a program that went into the background.
pub(super) const FOREGROUND: &str = "foster needs it in the foreground; for nginx `daemon off;`";

/// A program that exits with success within this time has not begun its work: it went into the background, or its standard
/// input was at its end.
pub(super) const AT_ONCE: Duration = Duration::from_secs(2);

/// The remedy for a program that ended with success.
const ALWAYS: &str =
    "it has to go on, because its `restart` is `always`; `restart = \"on-failure\"` lets it end";

/// The same, if it did so at once. Whether it has read its standard input, no one can see afterwards.
const STDIN: &str =
    "; if it reads its standard input, which is at its end: `stdin = \"open\"` keeps that open";

/// The remedy for the last failure of a fatal program or a failed task; `None`: its output says more than foster can.
pub(super) fn remedy(
    kind: Kind,
    failure: &Failure,
    is_in_background: bool,
    memory_max: Option<u64>,
    stdin: Stdin,
) -> Option<String> {
    match failure {
        Failure::Exited { exit: Exit::Code(0), uptime: _ } if is_in_background => {
            Some(format!("it went into the background: {FOREGROUND}"))
        }
        Failure::Exited { exit: Exit::Code(0), uptime } if kind == Kind::Program => {
            let stdin = match stdin {
                Stdin::Null if *uptime < AT_ONCE => STDIN,
                Stdin::Null | Stdin::Open | Stdin::Inherit | Stdin::Socket => "",
            };
            Some(format!("{ALWAYS}{stdin}"))
        }
        Failure::Exited { exit: Exit::Killed { signal: _, by: KilledBy::OutOfMemory }, uptime: _ } => {
            let limit = match memory_max {
                Some(limit) => format!("`memory_max`, which is {}, or the memory limit", size(limit)),
                None => "the memory limit".to_owned(),
            };
            Some(format!("raise {limit} of the container, or let the program use less"))
        }
        Failure::NotReady { within: _, last: _, exit: _ } => Some(match kind {
            Kind::Program => "correct `ready`, or raise its `timeout`".into(),
            Kind::Task | Kind::Job => "raise its `timeout`".into(),
        }),
        Failure::Exited { exit: Exit::Code(_) | Exit::Killed { .. }, uptime: _ }
        | Failure::NotStarted(_)
        | Failure::Unhealthy { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use foster_core::ids::Signal;

    use super::*;

    #[test]
    fn an_end_that_its_output_does_not_explain_has_a_remedy() {
        let ended = |exit| Failure::Exited { exit, uptime: Duration::ZERO };
        let killed = |by| Exit::Killed { signal: Signal::KILL, by };
        let text = |failure, is_in_background| {
            remedy(Kind::Program, &failure, is_in_background, None, Stdin::Null).unwrap_or_default()
        };
        assert!(text(ended(Exit::Code(0)), true).contains("daemon off;"));
        assert!(text(ended(Exit::Code(0)), false).contains("on-failure"));
        assert!(text(ended(killed(KilledBy::OutOfMemory)), false).contains("memory limit"));
        let limited =
            remedy(Kind::Program, &ended(killed(KilledBy::OutOfMemory)), false, Some(100 << 20), Stdin::Null);
        assert!(limited.is_some_and(|text| text.starts_with("raise `memory_max`, which is 100M, or the ")));
        assert_eq!(remedy(Kind::Program, &ended(killed(KilledBy::Unknown)), false, None, Stdin::Null), None);
        let late = Failure::NotReady { within: Duration::ZERO, last: None, exit: Exit::Code(0) };
        assert!(text(late.clone(), false).contains("`ready`"));
        assert_eq!(
            remedy(Kind::Task, &late, false, None, Stdin::Null).as_deref(),
            Some("raise its `timeout`")
        );
        // What it wrote is what explains it, also when an earlier run went into the background.
        assert_eq!(remedy(Kind::Program, &ended(Exit::Code(1)), true, None, Stdin::Null), None);
    }
    #[test]
    fn an_end_of_the_standard_input_is_named_only_where_it_can_be_the_cause() {
        let named = |kind, code, uptime, stdin| {
            let failure = Failure::Exited { exit: Exit::Code(code), uptime };
            remedy(kind, &failure, false, None, stdin).is_some_and(|text| text.contains("standard input"))
        };
        assert!(named(Kind::Program, 0, Duration::from_millis(3), Stdin::Null));
        assert!(!named(Kind::Program, 0, AT_ONCE, Stdin::Null), "it has worked before");
        assert!(!named(Kind::Program, 1, Duration::ZERO, Stdin::Null), "its output says more");
        assert!(!named(Kind::Task, 0, Duration::ZERO, Stdin::Null), "it has done its work");
        for other in [Stdin::Open, Stdin::Inherit, Stdin::Socket] {
            assert!(!named(Kind::Program, 0, Duration::ZERO, other), "{other:?}");
        }
    }
}
