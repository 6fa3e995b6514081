//! The names of things: which program, which of its instances, which execution of it; signals and exits.
//!
//! The core never sees a pid. A pid is reused, a [`Run`] is not: a late report about an earlier run is
//! recognised and ignored. The shell keeps the map from `Run` to pidfd.

use core::fmt;
use core::num::ParseIntError;

/// A program of the plan. It keeps this number for as long as there is anything of it, and no other program
/// ever gets it: a late event about a removed program is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProgramId(pub u32);

/// One of the processes of a program, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId {
    /// The program it belongs to.
    pub program: ProgramId,
    /// Its index among the instances of the program.
    pub index: u16,
}

/// One execution of an instance: from a spawn to an exit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// Whose execution.
    pub instance: InstanceId,
    /// Its sequence number among the runs of its program, starting at 1. It is never used again.
    pub number: u32,
}

/// An operator's order. The shell knows its client, and logs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u32);

/// A signal's number, 1 to 64 (signal(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal(u8);

/// Names and numbers as Linux has them on every architecture foster builds for (x86, arm; signal(7)).
const NAMES: [(&str, u8); 31] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// The first real-time signal that programs may use: glibc keeps 32 and 33 (signal(7)).
const RTMIN: u8 = 34;
/// The last signal there is.
const RTMAX: u8 = 64;

impl Signal {
    /// Hang-up: "read your configuration again" to most servers.
    pub const HUP: Signal = Signal(1);
    /// ^C.
    pub const INT: Signal = Signal(2);
    /// A graceful stop to nginx.
    pub const QUIT: Signal = Signal(3);
    /// The one that cannot be caught.
    pub const KILL: Signal = Signal(9);
    /// Reopen log files, to foster.
    pub const USR1: Signal = Signal(10);
    /// Write the status, to foster.
    pub const USR2: Signal = Signal(12);
    /// A pipe without a reader was written to.
    pub const PIPE: Signal = Signal(13);
    /// The ordinary request to end.
    pub const TERM: Signal = Signal(15);
    /// A child's state changed.
    pub const CHLD: Signal = Signal(17);
    /// Continue after a stop.
    pub const CONT: Signal = Signal(18);
    /// Stop that cannot be caught.
    pub const STOP: Signal = Signal(19);
    /// ^Z.
    pub const TSTP: Signal = Signal(20);
    /// A read from the terminal, from the background.
    pub const TTIN: Signal = Signal(21);
    /// A write to the terminal, from the background.
    pub const TTOU: Signal = Signal(22);
    /// The terminal has another size.
    pub const WINCH: Signal = Signal(28);
    /// Faults of the process itself, and the signals of debuggers: ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS.
    pub const FAULTS: [Signal; 7] =
        [Signal(4), Signal(5), Signal(6), Signal(7), Signal(8), Signal(11), Signal(31)];
    /// What systemd and lxc send to an init for an orderly halt.
    pub const RTMIN_PLUS_3: Signal = Signal(RTMIN + 3);

    /// The signal with this number; `None` outside 1 to 64.
    pub fn new(number: i32) -> Option<Signal> {
        let number = u8::try_from(number).ok()?;
        (1..=RTMAX).contains(&number).then_some(Signal(number))
    }

    /// The signal of this name: a name with or without `SIG`, in any case, `RTMIN+3`, `RTMAX-1`, or a number.
    pub fn parse(text: &str) -> Option<Signal> {
        if let Ok(number) = text.parse::<i32>() {
            return Signal::new(number);
        }
        let name = match text.get(..3) {
            Some(prefix) if prefix.eq_ignore_ascii_case("SIG") => text.get(3..)?,
            Some(_) | None => text,
        };
        if let Some((_, number)) = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            return Some(Signal(*number));
        }
        match () {
            () if name.eq_ignore_ascii_case("CLD") => Some(Signal::CHLD),
            () if name.eq_ignore_ascii_case("POLL") => Some(Signal(29)),
            () if name.eq_ignore_ascii_case("IOT") => Some(Signal(6)),
            () => real_time(name),
        }
    }

    /// Whether a process that does not ask for it never sees it: CHLD, CONT, URG, WINCH (signal(7)).
    pub fn is_ignored_by_default(self) -> bool {
        [17, 18, 23, 28].contains(&self.0)
    }

    /// Its number.
    pub const fn number(self) -> i32 {
        self.0 as i32
    }

    /// Its name without `SIG`, where it has one.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(_, number)| *number == self.0).map(|(name, _)| *name)
    }

    /// Every signal that has a plain name, for suggestions.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }
}

fn real_time(name: &str) -> Option<Signal> {
    let (base, sign, rest) = match (name.get(..5)?, name.get(5..)?) {
        (base, rest) if base.eq_ignore_ascii_case("RTMIN") => (RTMIN, 1, rest),
        (base, rest) if base.eq_ignore_ascii_case("RTMAX") => (RTMAX, -1, rest),
        (_, _) => return None,
    };
    let offset = match (rest.split_at_checked(1), sign) {
        (None, _) => Ok(0),
        (Some(("+", digits)), 1) | (Some(("-", digits)), -1) => number(digits),
        (Some(_), _) => return None,
    };
    let number = i32::from(base) + sign * offset.ok()?;
    (i32::from(RTMIN)..=i32::from(RTMAX)).contains(&number).then(|| Signal::new(number)).flatten()
}

fn number(digits: &str) -> Result<i32, ParseIntError> {
    digits.parse::<u8>().map(i32::from)
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "SIG{name}"),
            None if self.0 >= RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// How a main process ended (wait(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It left by itself with this code.
    Code(u8),
    /// A signal ended it.
    Killed {
        /// Which.
        signal: Signal,
        /// Its sender, as far as that can be known.
        by: KilledBy,
    },
}

/// What sent the signal that ended a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KilledBy {
    /// It is not known: another process, or the kernel for a fault.
    Unknown,
    /// The kernel, because memory was short: the `oom_kill` counter of its cgroup moved.
    OutOfMemory,
    /// foster, because its time to stop was over.
    Foster,
}

impl Exit {
    /// The exit status a shell would give: the code, or 128 + the signal's number.
    pub fn status(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Killed { signal, by: _ } => 128 + signal.0,
        }
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exited with status {code}"),
            Exit::Killed { signal, by: KilledBy::Unknown } => write!(f, "was killed by {signal}"),
            Exit::Killed { signal, by: KilledBy::Foster } => write!(f, "was killed by foster ({signal})"),
            Exit::Killed { signal, by: KilledBy::OutOfMemory } => {
                write!(f, "was killed by the kernel: out of memory ({signal})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_signal_is_known_by_name_with_or_without_sig_and_by_number() {
        for text in ["TERM", "SIGTERM", "sigterm", "term", "15"] {
            assert_eq!(Signal::parse(text), Some(Signal::TERM), "{text}");
        }
        assert_eq!(Signal::parse("RTMIN+3"), Some(Signal::RTMIN_PLUS_3));
        assert_eq!(Signal::parse("SIGRTMIN+3"), Signal::new(37));
        assert_eq!(Signal::parse("RTMAX"), Signal::new(64));
        assert_eq!(Signal::parse("RTMAX-30"), Signal::new(34));
    }

    #[test]
    fn a_text_that_is_not_a_signal_is_refused() {
        let hostile = [
            "",
            "SIG",
            "0",
            "65",
            "-1",
            "999999999999",
            "TREM",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "é",
            "SIé",
        ];
        for text in hostile {
            assert_eq!(Signal::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_signal_prints_as_people_write_it() {
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
        assert_eq!(Signal::RTMIN_PLUS_3.to_string(), "SIGRTMIN+3");
    }
}
