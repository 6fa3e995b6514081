//! Why a request is refused: a reason for machines, a sentence for people.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VERSION;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The reason, for machines.
    pub error: Reason,
    /// The sentence, for people.
    pub message: String,
    /// The nearest valid name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// The reason for a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The line is not a request.
    BadRequest,
    /// The line is longer than [`super::LONGEST_LINE`]. The connection is closed.
    TooLong,
    /// There is no such verb.
    UnknownVerb,
    /// The client speaks another version of the protocol.
    OtherVersion,
    /// The client is neither root nor foster's user. The connection is closed.
    NotPermitted,
    /// There are too many connections. This one is closed.
    TooManyClients,
    /// The request was not complete in time. The connection is closed.
    TooSlow,
    /// There is no such program.
    NoSuchName,
    /// foster is shutting down.
    ShuttingDown,
    /// The attempt failed.
    Failed,
}

impl Refusal {
    /// A refusal without a suggestion.
    pub fn new(error: Reason, message: impl Into<String>) -> Refusal {
        Refusal { error, message: message.into(), suggestion: None }
    }

    /// Adds a suggestion.
    #[must_use]
    pub fn with_suggestion(self, suggestion: Option<&str>) -> Refusal {
        Refusal { suggestion: suggestion.map(str::to_owned), ..self }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

pub(super) fn other_version(version: &Value) -> Refusal {
    let shown: String = version.to_string().chars().take(20).collect();
    let message = format!(
        "the client speaks version {shown} of the protocol, this foster ({}) speaks version {VERSION}: use the \
         client of the same release",
        env!("CARGO_PKG_VERSION")
    );
    Refusal::new(Reason::OtherVersion, message)
}
