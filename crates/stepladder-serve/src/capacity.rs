//! Seats of the sessions, and counters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of a running server.
#[derive(Debug, Default)]
pub struct Counts {
    active: AtomicU64,
    sessions: AtomicU64,
    episodes: AtomicU64,
    steps: AtomicU64,
    errors: AtomicU64,
    refused: AtomicU64,
    reaped: AtomicU64,
}

/// Values of [`Counts`] at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Sessions open now.
    pub active: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Episodes started.
    pub episodes: u64,
    /// Steps played.
    pub steps: u64,
    /// Requests of sessions that were answered with an error.
    pub errors: u64,
    /// Connections and requests refused: no seat, no token.
    pub refused: u64,
    /// Sessions ended because they were idle.
    pub reaped: u64,
}

impl Counts {
    /// Returns the values.
    pub fn totals(&self) -> Totals {
        Totals {
            active: self.active.load(Relaxed),
            sessions: self.sessions.load(Relaxed),
            episodes: self.episodes.load(Relaxed),
            steps: self.steps.load(Relaxed),
            errors: self.errors.load(Relaxed),
            refused: self.refused.load(Relaxed),
            reaped: self.reaped.load(Relaxed),
        }
    }

    /// Takes a seat, if fewer than `most` are taken.
    pub(crate) fn sit(self: &Arc<Self>, most: u32) -> Option<Seat> {
        let free = |active: u64| (active < u64::from(most)).then_some(active + 1);
        if self.active.fetch_update(Relaxed, Relaxed, free).is_err() {
            self.refuse();
            return None;
        }
        let number = self.sessions.fetch_add(1, Relaxed);
        Some(Seat { counts: self.clone(), number })
    }

    pub(crate) fn start(&self) {
        self.episodes.fetch_add(1, Relaxed);
    }

    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    pub(crate) fn fail(&self) {
        self.errors.fetch_add(1, Relaxed);
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Relaxed);
    }

    pub(crate) fn reap(&self) {
        self.reaped.fetch_add(1, Relaxed);
    }
}

/// One of the limited number of sessions; dropping it frees it.
#[derive(Debug)]
pub(crate) struct Seat {
    counts: Arc<Counts>,
    /// Number of the session, from 0.
    pub(crate) number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.counts.active.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_once_it_is_dropped() {
        let counts = Arc::new(Counts::default());
        let first = counts.sit(2).unwrap();
        let second = counts.sit(2).unwrap();
        assert!(counts.sit(2).is_none());
        assert_eq!((first.number, second.number), (0, 1));
        drop(first);
        assert_eq!(counts.sit(2).unwrap().number, 2);
        let totals = counts.totals();
        assert_eq!((totals.active, totals.sessions, totals.refused), (1, 3, 1));
    }

    #[test]
    fn no_more_than_the_seats_are_taken_by_threads_that_race() {
        let counts = Arc::new(Counts::default());
        let taken: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| (0..100).filter_map(|_| counts.sit(50)).collect::<Vec<_>>()))
                .collect();
            let seats: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            seats.iter().map(Vec::len).sum()
        });
        assert_eq!(taken, 50);
        assert_eq!(counts.totals().active, 0);
    }
}
