//! Signals to foster: they wake the loop and are then events like any other.
//!
//! Only signals that mean something get a handler (signal-hook writes a byte to a socket pair that epoll
//! watches). All others are ignored, so that none can end foster and none wakes it; the faults (SIGSEGV and its
//! like) keep their default, since what follows a fault cannot be trusted.

use std::io;
use std::os::unix::net::UnixStream;

use foster_core::ids::Signal;
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use crate::sys::signal;

/// What has to be caught whatever the configuration says.
const ALWAYS: [Signal; 8] = [
    Signal::TERM,
    Signal::INT,
    Signal::QUIT,
    Signal::RTMIN_PLUS_3,
    Signal::HUP,
    Signal::USR1,
    Signal::USR2,
    Signal::CHLD,
];

/// The signals that have come.
#[derive(Debug)]
pub(super) struct Signals {
    delivery: SignalDelivery<UnixStream, SignalOnly>,
    caught: Vec<Signal>,
}

impl Signals {
    /// Catches what always means something and what the configuration names; ignores the rest.
    ///
    /// # Errors
    /// socketpair(2): EMFILE, ENFILE, ENOMEM.
    pub(super) fn catch(configured: impl Iterator<Item = Signal>) -> io::Result<Signals> {
        let caught: Vec<Signal> = ALWAYS.into_iter().chain(configured).collect();
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let numbers = caught.iter().map(|signal| signal.number());
        let delivery = SignalDelivery::with_pipe(read, write, SignalOnly, numbers)?;
        signal::ignore_all_but(&caught);
        Ok(Signals { delivery, caught })
    }

    /// Catches these as well, from now on. What was caught once stays so: the core ignores what nobody names any
    /// more, and the wakeup is all it costs.
    ///
    /// # Errors
    /// sigaction(2): none for what a configuration may name.
    pub(super) fn catch_too(&mut self, configured: impl IntoIterator<Item = Signal>) -> io::Result<()> {
        for signal in configured {
            if !self.caught.contains(&signal) {
                self.caught.push(signal);
                self.delivery.handle().add_signal(signal.number())?;
            }
        }
        Ok(())
    }

    /// What epoll has to watch.
    pub(super) fn fd(&self) -> &UnixStream {
        self.delivery.get_read()
    }

    /// The signals that came since the last call; one of a kind however often it came.
    pub(super) fn take(&mut self) -> Vec<Signal> {
        self.delivery.pending().filter_map(Signal::new).collect()
    }
}
