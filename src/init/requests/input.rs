//! Text for the standard input of a program, and the end of its kept output: what supervisorctl calls `fg` and `clear`.

use std::collections::VecDeque;

use super::super::Init;
use super::super::children::Role;
use crate::control::protocol::{Input, Outcome, Reason, Refusal, Reply, Verdict};
use crate::control::server::ConnectionId;
use crate::errno;
use crate::plan::Stdin;

impl Init {
    /// Writes to the standard input of one running program, as much as its pipe has room for.
    pub(super) fn write_input(&mut self, client: ConnectionId, input: &Input) -> Result<(), Refusal> {
        let named = self.named_or_all(std::slice::from_ref(&input.name))?;
        let [id] = named.as_slice() else {
            let message = format!("`{}` means {} instances: name one of them", input.name, named.len());
            return Err(Refusal::new(Reason::BadRequest, message));
        };
        let failed = |why: &str| Refusal::new(Reason::Failed, format!("{}: {why}", input.name));
        let run = self.view(*id).and_then(|view| view.live).map(|live| live.run);
        let Some(run) = run else { return Err(failed("not running")) };
        let stdin = self.processes.children.definition(run).map(|program| program.launch.stdin);
        if stdin != Some(Stdin::Open) {
            return Err(failed(
                "its standard input is not a pipe of foster's: `stdin = \"open\"` makes it one",
            ));
        }
        let (length, written) =
            (input.text.len(), self.processes.children.write_stdin(Role::Main(run), input.text.as_bytes()));
        let message = match written {
            Ok(count) if count == length => format!("{count} bytes written"),
            Ok(count) => {
                let rest = length - count;
                return Err(failed(&format!(
                    "{count} bytes written, {rest} not: the program does not read its standard input"
                )));
            }
            Err(errno) => {
                return Err(failed(&format!("cannot write to its standard input: {}", errno::text(errno))));
            }
        };
        let name = self.plan.label(*id).to_owned();
        self.reply(
            client,
            &Reply::Outcome(Outcome { name, verdict: Verdict::Ok, message, exit_status: None }),
        );
        self.end(client);
        Ok(())
    }

    /// Drops the kept lines of instances, and empties their log files.
    pub(super) fn clear_logs(&mut self, client: ConnectionId, names: &[String]) -> Result<(), Refusal> {
        let mut replies = VecDeque::new();
        for id in self.named_or_all(names)? {
            let (verdict, message) = match self.output.clear(id) {
                Ok(()) => (Verdict::Ok, "cleared".to_owned()),
                Err((path, error)) => {
                    (Verdict::Failed, format!("cannot empty `{}`: {error}", path.display()))
                }
            };
            let name = self.plan.label(id).to_owned();
            replies.push_back(Reply::Outcome(Outcome { name, verdict, message, exit_status: None }));
        }
        self.operators.requests.send_all(client, replies);
        Ok(())
    }
}
