//! What the device can spare: an app says when its battery is low or it gets hot, and fewer threads compute.
//!
//! Heat and battery are the device's, so there is one state for the whole process. Only the apps' side can ask the system for
//! it. Results do not depend on the number of threads.

use std::sync::atomic::{AtomicU8, Ordering};

/// How much a device can spare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum PowerState {
    /// All that was asked for.
    #[default]
    Normal,
    /// The battery is low, or its owner wants it to last: half of the threads.
    Saving,
    /// The device gets hot, and will soon slow down by itself: half of the threads.
    Hot,
    /// It slows down already: one thread.
    Critical,
}

static STATE: AtomicU8 = AtomicU8::new(PowerState::Normal as u8);

impl PowerState {
    const ALL: [Self; 4] = [Self::Normal, Self::Saving, Self::Hot, Self::Critical];

    /// The state that was set last.
    pub fn current() -> Self {
        Self::ALL[usize::from(STATE.load(Ordering::Relaxed))]
    }

    /// Makes this the state, for all sessions of the process, from their next batch on.
    pub fn set(self) {
        STATE.store(self as u8, Ordering::Relaxed);
    }

    /// How many of `threads` are to compute.
    pub(crate) fn allows(self, threads: usize) -> usize {
        match self {
            Self::Normal => threads,
            Self::Saving | Self::Hot => threads.div_ceil(2),
            Self::Critical => threads.min(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_less_there_is_to_spare_the_fewer_threads_compute() {
        for (state, expected) in PowerState::ALL.into_iter().zip([[1, 2, 3, 8], [1, 1, 2, 4], [1, 1, 2, 4], [1; 4]]) {
            assert_eq!([1, 2, 3, 8].map(|threads| state.allows(threads)), expected, "{state:?}");
        }
    }
}
