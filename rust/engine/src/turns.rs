//! Who computes first where several sessions of a process want to at the same time: work of a lower [`Priority`] waits until
//! none of a higher one is under way.
//!
//! It waits between two layers of a forward pass, so that a keystroke has the cores within a layer's time and nothing that
//! was computed is lost. Sessions of the same priority share the cores as the system sees fit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::{CancelToken, Priority};

/// The cores of a device are one resource, whatever models and sessions there are.
static TURNS: Turns = Turns {
    under_way: [const { AtomicUsize::new(0) }; Priority::COUNT],
    lock: Mutex::new(()),
    changed: Condvar::new(),
};

struct Turns {
    /// Work under way, by priority.
    under_way: [AtomicUsize; Priority::COUNT],
    /// Held while somebody looks whether to wait, so that no change is missed.
    lock: Mutex<()>,
    changed: Condvar,
}

impl Turns {
    fn has_above(&self, priority: Priority) -> bool {
        self.under_way[priority as usize + 1..].iter().any(|count| count.load(Ordering::SeqCst) > 0)
    }
}

/// Work under way. Until it is dropped, sessions of lower priority wait before their next layer.
///
/// A session takes its turn by itself for every forward pass; who makes several for one result, with other work between
/// them, takes one for all of them.
#[derive(Debug)]
#[must_use = "the turn ends when this is dropped"]
pub struct Turn(Priority);

impl Turn {
    /// Begins work of this priority. It does not wait for work of a higher one: sessions do, when they compute.
    pub fn begin(priority: Priority) -> Self {
        TURNS.under_way[priority as usize].fetch_add(1, Ordering::SeqCst);
        Self(priority)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURNS.under_way[self.0 as usize].fetch_sub(1, Ordering::SeqCst);
        wake();
    }
}

/// Waits while there is work of a higher priority, unless `cancel` is set; says whether it waited.
pub(crate) fn give_way(priority: Priority, cancel: &CancelToken) -> bool {
    let must_wait = || TURNS.has_above(priority) && !cancel.is_cancelled();
    let waits = must_wait();
    if waits {
        let guard = TURNS.lock.lock().unwrap_or_else(PoisonError::into_inner);
        drop(TURNS.changed.wait_while(guard, |()| must_wait()));
    }
    waits
}

/// Lets those who wait look again.
pub(crate) fn wake() {
    drop(TURNS.lock.lock());
    TURNS.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use std::thread;

    use nibble_kernels::Format;

    use super::*;
    use crate::testing::SyntheticModel;
    use crate::{Error, LanguageModel, SessionOptions};

    #[test]
    fn background_work_waits_for_a_keystroke_and_can_be_cancelled_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let model = SyntheticModel::llama(Format::Q4_0).open_in(folder.path()).unwrap();
        let options = |priority| SessionOptions { priority, threads: 1, ..Default::default() };
        let mut background = model.session(options(Priority::Background)).unwrap();
        let mut keystroke = model.session(options(Priority::Keystroke)).unwrap();
        let expected = keystroke.sync(&[1, 2, 3]).unwrap().to_vec();
        let cancel = background.cancel_token();

        let turn = Turn::begin(Priority::Keystroke);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| background.sync(&[1, 2, 3]).map(<[f32]>::to_vec));
            keystroke.sync(&[1, 2, 3, 4]).unwrap();
            cancel.cancel();
            assert!(matches!(waiting.join().unwrap(), Err(Error::Cancelled)), "it did not wait");
        });
        cancel.reset();
        thread::scope(|scope| {
            let waiting = scope.spawn(|| background.sync(&[1, 2, 3]).map(<[f32]>::to_vec));
            drop(turn);
            assert_eq!(waiting.join().unwrap().unwrap(), expected, "it lost what it had");
        });
    }

    #[test]
    fn work_waits_for_what_is_above_it_only() {
        let cancel = CancelToken::default();
        let _background = Turn::begin(Priority::Background);
        let _interactive = Turn::begin(Priority::Interactive);
        assert!(!give_way(Priority::Interactive, &cancel));
        assert!(!give_way(Priority::Keystroke, &cancel));
        assert!(TURNS.has_above(Priority::Background));
    }
}
