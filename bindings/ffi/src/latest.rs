//! Requests of which only the newest matters: of a keyboard, whose answer to the last key but one is of no use.
//!
//! A caller takes a ticket and hands it in with its request. Taking one stops whatever was asked for before, so that a burst of
//! keys costs little more than the last of them, and an answer that came too late cannot be taken for the newest.

use std::sync::{Mutex, MutexGuard};

use nibble_engine::CancelToken;

use crate::error::{NibbleError, Result};
use crate::lock;

#[derive(Default)]
pub(crate) struct Latest(Mutex<Requests>);

#[derive(Default)]
struct Requests {
    /// The newest ticket.
    newest: u64,
    /// All tickets up to this one were given back.
    cancelled: u64,
    running: Option<(u64, CancelToken)>,
}

impl Requests {
    /// Why a request need not be computed, or not any more.
    fn verdict(&self, ticket: u64) -> Result<()> {
        if ticket < self.newest {
            Err(NibbleError::superseded())
        } else if ticket <= self.cancelled {
            Err(NibbleError::cancelled())
        } else {
            Ok(())
        }
    }

    fn stop_up_to(&self, ticket: u64) {
        if let Some((running, cancel)) = &self.running
            && *running <= ticket
        {
            cancel.cancel();
        }
    }
}

impl Latest {
    /// A ticket for one request, newer than all others.
    pub fn ticket(&self) -> u64 {
        let mut requests = self.requests();
        requests.stop_up_to(requests.newest);
        requests.newest += 1;
        requests.newest
    }

    /// Stops the request with this ticket, and older ones, whether they were begun or not.
    pub fn cancel(&self, ticket: u64) {
        let mut requests = self.requests();
        requests.cancelled = requests.cancelled.max(ticket.min(requests.newest));
        requests.stop_up_to(ticket);
    }

    /// Runs the request with this ticket, unless it is stale, and until it becomes so.
    pub fn run<T>(&self, ticket: u64, request: impl FnOnce(&CancelToken) -> Result<T>) -> Result<T> {
        let cancel = CancelToken::default();
        {
            let mut requests = self.requests();
            if ticket == 0 || ticket > requests.newest {
                return Err(NibbleError::invalid("a request needs a ticket that was taken for it"));
            }
            requests.verdict(ticket)?;
            requests.running = Some((ticket, cancel.clone()));
        }
        let outcome = request(&cancel);
        let mut requests = self.requests();
        if requests.running.as_ref().is_some_and(|(running, _)| *running == ticket) {
            requests.running = None;
        }
        // An answer that was ready when it became stale is stale.
        requests.verdict(ticket)?;
        outcome
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        lock(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_ticket_stops_what_runs_and_what_waits() {
        let latest = Latest::default();
        let (first, second) = (latest.ticket(), latest.ticket());
        assert_eq!(latest.run(first, |_| Ok(())), Err(NibbleError::superseded()));
        let outcome = latest.run(second, |cancel| {
            assert!(!cancel.is_cancelled());
            let third = latest.ticket();
            assert!(cancel.is_cancelled());
            assert_eq!(latest.run(third, |_| Ok(3)), Ok(3));
            Ok(2)
        });
        assert_eq!(outcome, Err(NibbleError::superseded()), "an answer that is stale");
    }

    #[test]
    fn a_request_is_cancelled_before_during_and_not_after() {
        let latest = Latest::default();
        let ticket = latest.ticket();
        latest.cancel(ticket);
        assert_eq!(latest.run(ticket, |_| Ok(())), Err(NibbleError::cancelled()));
        let ticket = latest.ticket();
        let outcome = latest.run(ticket, |cancel| {
            latest.cancel(ticket);
            assert!(cancel.is_cancelled());
            Ok(())
        });
        assert_eq!(outcome, Err(NibbleError::cancelled()));
        latest.cancel(u64::MAX);
        let ticket = latest.ticket();
        latest.cancel(ticket - 1);
        assert_eq!(latest.run(ticket, |_| Ok(())), Ok(()), "a cancel of the request before");
    }

    #[test]
    fn a_ticket_that_was_not_taken_is_refused() {
        let latest = Latest::default();
        for ticket in [0, 1] {
            let outcome = latest.run(ticket, |_| Ok(()));
            assert!(matches!(outcome, Err(NibbleError::InvalidArgument { .. })), "{outcome:?}");
        }
    }
}
