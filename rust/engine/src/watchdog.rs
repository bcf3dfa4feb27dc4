//! The watchdog: notices when threads hinder each other, and lets fewer compute.
//!
//! Shares of a region are equal, so one core that is taken away, by another app or by a scheduler that allows fewer cores than
//! it shows, makes all threads wait for it at every region: a pass takes many times as long, with each thread more. Nobody
//! says that it is so; it shows in the time alone. When several passes in a row take far longer than usual, or than any device
//! needs, the next few run on half of the threads. Where these are clearly faster it stays so for a while.
//!
//! Passes are compared with their like only ([`Watchdogs`]): what one over many rows takes beside one over a single row depends on the
//! device. Among their like, a longer one is no slower one: a time is taken for the work that was done in it.
//!
//! Results do not depend on the number of threads, so nobody notices but by the speed.

use std::time::Duration;

use arrayvec::ArrayVec;

/// A pass is slow where it takes so many times as long as usual.
const SLOW: u32 = 3;

/// Passes in a row that must be slow before anything is tried, and passes of a trial; a single one may have been disturbed.
const IN_A_ROW: usize = 4;

/// What a trial must gain to be kept: its median at most so many hundredths of that of the slow passes.
const WORTH: u32 = 70;

/// Passes before all threads are tried again, and before another trial after one that gained nothing.
const PATIENCE: u32 = 256;

/// Bytes a second that any device reads, with one thread: a pass that reads weights more slowly is slow, even where none was
/// ever faster.
const SLOWEST: u64 = 250_000_000;

/// What reading the weights takes, in rows that are computed meanwhile: a middle. Where it takes no time, and where it takes that of
/// forty rows, the times of a kind still differ by less than [`SLOW`] once they are taken for their rows.
const READING: u32 = 8;

/// The largest batch that reads as much memory as one row does and computes little.
pub(crate) const FEW_ROWS: usize = 8;

/// The watchdogs of one session: of passes over one row, over few, and over many.
#[derive(Debug)]
pub(crate) struct Watchdogs([Watchdog; 3]);

impl Watchdogs {
    /// Watchdogs of passes that read `bytes`.
    pub fn new(bytes: u64) -> Self {
        Self([(); 3].map(|()| Watchdog::new(bytes)))
    }

    /// Begin anew: other threads compute from now on.
    pub fn reset(&mut self) {
        self.0.iter_mut().for_each(Watchdog::reset);
    }

    /// The one of passes over so many rows.
    pub fn of(&mut self, rows: usize) -> &mut Watchdog {
        &mut self.0[match rows {
            0..=1 => 0,
            2..=FEW_ROWS => 1,
            _ => 2,
        }]
    }
}

/// What is known of the passes of one kind. Their times are those of one row: as long as the work takes, without what more rows add.
#[derive(Debug)]
pub(crate) struct Watchdog {
    /// Bytes that a pass reads.
    bytes: u64,
    /// How long a pass usually takes on the threads that now compute: a slowly moving mean.
    usual: Option<Duration>,
    /// The last passes, where all were slow; or those of the trial.
    seen: ArrayVec<Duration, IN_A_ROW>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// All threads compute. No trial for so many passes.
    All { rest: u32 },
    /// At most `threads` compute, to see whether that is faster than `slow`.
    Trial { threads: usize, slow: Duration, unbearable: bool, before: Option<usize> },
    /// At most `threads` compute, for so many passes.
    Fewer { threads: usize, rest: u32 },
}

impl Watchdog {
    /// A watchdog of passes that read `bytes`.
    fn new(bytes: u64) -> Self {
        Self { bytes, usual: None, seen: ArrayVec::new(), state: State::All { rest: 0 } }
    }

    fn reset(&mut self) {
        *self = Self::new(self.bytes);
    }

    /// How many of `threads` are to compute.
    pub fn allows(&self, threads: usize) -> usize {
        match self.state {
            State::All { .. } => threads,
            State::Trial { threads: limit, .. } | State::Fewer { threads: limit, .. } => threads.min(limit),
        }
    }

    /// Takes note of a pass over `rows` that took `time` on as many of `threads` as were [allowed](Self::allows).
    pub fn saw(&mut self, threads: usize, rows: usize, time: Duration) {
        let rows = rows as u32;
        let unbearable = time > self.bearable() * rows;
        let time = time * (1 + READING) / (rows + READING);
        match &mut self.state {
            State::Trial { .. } => return self.try_out(threads, time),
            State::All { rest } => *rest = rest.saturating_sub(1),
            State::Fewer { rest, .. } => {
                *rest -= 1;
                if *rest == 0 {
                    // Whatever was in the way may be gone; if not, that shows against what is now usual.
                    self.turn_to(State::All { rest: 0 });
                    return;
                }
            }
        }
        let is_slow = self.usual.is_some_and(|usual| time > usual * SLOW) || unbearable;
        if !is_slow {
            self.seen.clear();
            let usual = self.usual.unwrap_or(time);
            self.usual = Some((usual * 15 + time) / 16);
            return;
        }
        self.seen.push(time);
        let now = self.allows(threads);
        if !self.seen.is_full() {
            return;
        }
        let slow = median(&mut self.seen);
        match self.state {
            State::All { rest: 0 } if now > 1 => {
                self.turn_to(State::Trial { threads: now / 2, slow, unbearable, before: None });
            }
            State::Fewer { threads: limit, .. } if now > 1 => {
                self.turn_to(State::Trial { threads: now / 2, slow, unbearable, before: Some(limit) });
            }
            // That is what it takes now: a longer context, a slower clock.
            _ => self.usual = Some(slow),
        }
        self.seen.clear();
    }

    /// A pass of a trial; after the last one it is decided.
    fn try_out(&mut self, threads: usize, time: Duration) {
        let State::Trial { threads: tried, slow, unbearable, before } = self.state else { return };
        self.seen.push(time);
        if !self.seen.is_full() {
            return;
        }
        let fast = median(&mut self.seen);
        if fast * 100 > slow * WORTH && tried > 1 && unbearable {
            // Two that hinder each other are no better than four.
            return self.turn_to(State::Trial { threads: tried / 2, slow, unbearable, before });
        }
        if fast * 100 <= slow * WORTH {
            log::warn!(
                "{} threads hinder each other: what took {slow:?} takes {fast:?} on {tried}, which compute from now on",
                before.unwrap_or(threads)
            );
            self.turn_to(State::Fewer { threads: tried, rest: PATIENCE });
            self.usual = Some(fast);
        } else {
            self.turn_to(match before {
                Some(threads) => State::Fewer { threads, rest: PATIENCE },
                None => State::All { rest: PATIENCE },
            });
            self.usual = Some(slow);
        }
    }

    fn turn_to(&mut self, state: State) {
        self.state = state;
        self.seen.clear();
    }

    /// The longest that a pass over one row takes on one thread of any device; one over more takes no longer for each.
    fn bearable(&self) -> Duration {
        Duration::from_nanos(self.bytes.saturating_mul(1_000_000_000 / SLOWEST))
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which a pass takes `time(threads)` milliseconds; says how many threads computed each of some passes.
    fn run(dog: &mut Watchdog, threads: usize, passes: usize, time: impl Fn(usize) -> u64) -> Vec<usize> {
        (0..passes).map(|_| pass(dog, threads, 1, &time)).collect()
    }

    /// One pass over so many rows; says how many threads computed it.
    fn pass(dog: &mut Watchdog, threads: usize, rows: usize, time: impl Fn(usize) -> u64) -> usize {
        let computing = dog.allows(threads);
        dog.saw(threads, rows, Duration::from_millis(time(computing)));
        computing
    }

    /// What a pass over so many rows takes in milliseconds, where reading the weights takes as long as computing forty of them, where
    /// it takes as long as four, and where it takes no time.
    const DEVICES: [fn(u64) -> u64; 3] = [|rows| 40 + rows, |rows| 20 + 5 * rows, |rows| 30 * rows];

    const SMALL: u64 = 100_000_000;

    #[test]
    fn what_is_as_fast_as_ever_is_left_alone() {
        let mut dog = Watchdog::new(SMALL);
        assert!(run(&mut dog, 4, 500, |_| 10).iter().all(|&threads| threads == 4));
        // Slower by and by, as a context grows, and a few disturbed passes.
        for ms in 10..200 {
            assert_eq!(run(&mut dog, 4, 16, |_| ms), [4; 16], "{ms} ms");
            assert_eq!(run(&mut dog, 4, 3, |_| 20 * ms), [4; 3]);
        }
    }

    #[test]
    fn a_collapse_is_mended_and_all_threads_come_back_after_it() {
        let mut dog = Watchdog::new(SMALL);
        run(&mut dog, 4, 50, |_| 10);
        // Two cores are taken away: three and four threads wait for each other.
        let collapsed = |threads| if threads > 2 { 90 } else { 20 };
        let computing = run(&mut dog, 4, 200, collapsed);
        assert_eq!(computing[..IN_A_ROW], [4; IN_A_ROW]);
        assert!(computing[IN_A_ROW..].iter().all(|&threads| threads == 2), "{computing:?}");
        // Every now and then all are tried again, and it is as before.
        let computing = run(&mut dog, 4, 400, collapsed);
        assert_eq!(computing.iter().filter(|&&threads| threads == 4).count(), 2 * IN_A_ROW, "{computing:?}");
        // The cores come back.
        run(&mut dog, 4, PATIENCE as usize, |_| 10);
        assert_eq!(run(&mut dog, 4, 100, |_| 10), [4; 100]);
    }

    #[test]
    fn a_session_that_was_never_fast_is_mended_too() {
        // A hundred times slower with every thread but one, from the beginning.
        let never = |threads| if threads > 1 { 3_000 } else { 30 };
        let computing = run(&mut Watchdog::new(SMALL), 4, 40, never);
        assert_eq!(computing[computing.len() - 8..], [1; 8], "{computing:?}");
        // Until then it was tried on two.
        assert!(computing.contains(&2));
    }

    #[test]
    fn a_trial_that_gains_nothing_is_not_repeated_at_once() {
        let mut dog = Watchdog::new(SMALL);
        run(&mut dog, 2, 50, |_| 10);
        let computing = run(&mut dog, 2, 200, |threads| 100 / threads as u64 * 2);
        assert_eq!(computing.iter().filter(|&&threads| threads == 1).count(), IN_A_ROW, "{computing:?}");
        assert_eq!(computing[computing.len() - 1], 2);
    }

    #[test]
    fn a_larger_batch_is_no_slower_one() {
        for device in DEVICES {
            let mut dogs = Watchdogs::new(SMALL);
            // For long of one size, and then several of another: whatever follows whatever.
            let sizes = [1, 2, 8, 5, 2, 9, 128, 30, 9, 1, 128, 8, 16, 1];
            for rows in sizes.into_iter().flat_map(|rows| std::iter::repeat_n(rows, 40)) {
                assert_eq!(pass(dogs.of(rows), 4, rows, |_| device(rows as u64)), 4, "{rows} rows");
            }
        }
    }

    #[test]
    fn a_collapse_shows_in_batches_too() {
        for (device, sizes) in DEVICES.iter().flat_map(|device| [[2, 4, 8], [9, 40, 128]].map(|sizes| (device, sizes)))
        {
            let mut dogs = Watchdogs::new(SMALL);
            let mut run = |slower: fn(usize) -> u64| {
                let mut passes = |rows| pass(dogs.of(rows), 4, rows, |threads| slower(threads) * device(rows as u64));
                sizes.into_iter().cycle().take(60).map(&mut passes).collect::<Vec<_>>()
            };
            assert_eq!(run(|_| 1), [4; 60], "{sizes:?}");
            let collapsed = run(|threads| if threads > 2 { 20 } else { 2 });
            assert_eq!(collapsed[..IN_A_ROW], [4; IN_A_ROW]);
            assert_eq!(collapsed[IN_A_ROW..], [2; 60 - IN_A_ROW], "{sizes:?}");
            assert_eq!(pass(dogs.of(1), 4, 1, |_| 10), 4, "of single rows nothing is known");
        }
    }

    #[test]
    fn other_threads_are_not_compared_with_those_before() {
        let mut dog = Watchdog::new(SMALL);
        run(&mut dog, 8, 50, |_| 10);
        dog.reset();
        assert_eq!(run(&mut dog, 2, 50, |_| 40), [2; 50]);
    }

    #[test]
    fn one_thread_cannot_be_fewer() {
        let mut dog = Watchdog::new(SMALL);
        assert_eq!(run(&mut dog, 1, 100, |_| 5_000), [1; 100]);
    }
}
