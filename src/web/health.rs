//! `/healthz` and `/readyz`: `foster health` and `foster health --all` for orchestrators.
//!
//! Both are answered without the server's password, since an orchestrator has none; the names and reasons only with it.

use super::http::{Response, TEXT};
use crate::control::protocol::{HealthCheck, Outcome, Reply, Request, Verdict};
use crate::xmlrpc::script::{Script, Stop};

/// Which programs count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// All that start with the container, unless an order stopped them.
    Wanted,
    /// Also those that an order stopped.
    Autostarted,
}

pub(super) fn respond(counted: Counted, is_permitted: bool, script: &mut Script) -> Result<Response, Stop> {
    let check = HealthCheck { names: Vec::new(), all: counted == Counted::Autostarted };
    let (status, text) = match script.ask(Request::Health(check))? {
        Ok(replies) => match failures(replies) {
            failures if failures.is_empty() => (200, "ok\n".to_owned()),
            failures => (503, failures),
        },
        Err((refusal, _)) => (503, format!("{refusal}\n")),
    };
    let text = if is_permitted || status == 200 { text } else { "not ok\n".to_owned() };
    Ok(Response::new(status, TEXT, text))
}

/// A line for each that is not well.
fn failures(replies: &[Reply]) -> String {
    let outcomes = replies
        .iter()
        .filter_map(|reply| if let Reply::Outcome(outcome) = reply { Some(outcome) } else { None });
    let failed = outcomes.filter(|outcome| outcome.verdict == Verdict::Failed);
    failed.map(|Outcome { name, message, .. }| format!("{name}: {message}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::{Reason, Refusal};

    fn answer(replies: Result<Vec<Reply>, (Refusal, Vec<Reply>)>, is_permitted: bool) -> (u16, String) {
        let mut script = Script::default();
        assert!(matches!(
            respond(Counted::Autostarted, true, &mut script),
            Err(Stop::Ask(Request::Health(_)))
        ));
        script.answer(replies, 0);
        script.rewind();
        let response = respond(Counted::Autostarted, is_permitted, &mut script).unwrap();
        (response.status, String::from_utf8(response.body).unwrap())
    }

    fn outcome(name: &str, verdict: Verdict) -> Reply {
        let (name, message) = (name.to_owned(), "is fatal".to_owned());
        Reply::Outcome(Outcome { name, verdict, message, exit_status: None })
    }

    #[test]
    fn the_reasons_are_for_clients_with_the_password() {
        let replies = || vec![outcome("a", Verdict::Ok), outcome("b", Verdict::Failed), Reply::End {}];
        assert_eq!(answer(Ok(replies()), true), (503, "b: is fatal\n".to_owned()));
        assert_eq!(answer(Ok(replies()), false), (503, "not ok\n".to_owned()));
        assert_eq!(answer(Ok(vec![Reply::End {}]), false), (200, "ok\n".to_owned()));
        let refusal = Refusal::new(Reason::ShuttingDown, "foster is shutting down");
        assert_eq!(answer(Err((refusal, Vec::new())), true), (503, "foster is shutting down\n".to_owned()));
    }
}
