//! A pool of threads for regions of a few microseconds: fork, run one share each, join.
//!
//! Workers spin for a short while after a region, because the next one of the same forward pass follows at once, and then
//! sleep: nothing polls between requests. The caller is thread 0 and does its share like the others.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread::{JoinHandle, Thread},
};

/// The most threads a pool has. Small models are bound by memory long before.
pub const MAX_THREADS: usize = 16;

/// Turns of the spin loop before a worker goes to sleep: some tens of microseconds, longer than the serial
/// work between two regions of a forward pass and much shorter than the gap between two keystrokes.
const SPINS_BEFORE_SLEEP: u32 = 4_000;

/// Turns of the spin loop before a waiting caller offers its core to others: with fewer cores than threads the
/// worker it waits for may need that very core.
const SPINS_BEFORE_YIELD: u32 = 2_000;

type Job = *const (dyn Fn(usize) + Sync + 'static);

struct Shared {
    /// The region being run. Written by the caller before it raises `generation`, read by workers after they see it.
    job: UnsafeCell<Option<Job>>,
    /// Counts regions; a worker that sees a new value runs `job` once.
    generation: AtomicU32,
    /// Workers still busy with the current region.
    busy: AtomicU32,
    /// Whether a worker's share panicked.
    panicked: AtomicBool,
    stop: AtomicBool,
    sleeping: Vec<AtomicBool>,
}

// SAFETY: `job` is the only field that is not Sync by itself. It is written only by `Pool::run`, which has exclusive access
// to the pool and waits until `busy` is 0 before it returns, and read by workers only between their seeing a new
// `generation` (Acquire) and their lowering `busy` (Release).
unsafe impl Sync for Shared {}
// SAFETY: the raw pointer in `job` is only dereferenced while the caller of `run` keeps the closure alive.
unsafe impl Send for Shared {}

/// A fixed set of threads that run regions together.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, JoinHandle<()>)>,
}

impl Pool {
    /// A pool in which `threads` shares run at once, the caller's included; at least 1, at most [`MAX_THREADS`].
    pub fn new(threads: usize) -> Self {
        let workers = threads.clamp(1, MAX_THREADS) - 1;
        let shared = Arc::new(Shared {
            job: UnsafeCell::new(None),
            generation: AtomicU32::new(0),
            busy: AtomicU32::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleeping: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        });
        let workers = (0..workers)
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                // A system that refuses a thread gets a smaller pool: slower, never wrong.
                let handle = std::thread::Builder::new()
                    .name(format!("nibble-{}", i + 1))
                    .spawn(move || work(&shared, i))
                    .map_err(|e| log::warn!("running with fewer threads: {e}"))
                    .ok()?;
                Some((handle.thread().clone(), handle))
            })
            .collect();
        Self { shared, workers }
    }

    /// How many shares a region has.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `share(0) .. share(threads - 1)`, each once and all at the same time, and returns when all have returned.
    ///
    /// # Panics
    /// When a share panics; the pool stays usable.
    pub fn run(&mut self, share: &(dyn Fn(usize) + Sync)) {
        if self.workers.is_empty() {
            return share(0);
        }
        let shared = &*self.shared;
        let job: *const (dyn Fn(usize) + Sync) = share;
        // SAFETY: no worker is in a region (the last `run` waited for that), so nobody reads `job`. The lifetime of the
        // closure is erased, and this function does not return or unwind before every worker is done with it.
        unsafe { *shared.job.get() = Some(std::mem::transmute::<*const (dyn Fn(usize) + Sync), Job>(job)) };
        shared.busy.store(self.workers.len() as u32, Ordering::Relaxed);
        shared.generation.fetch_add(1, Ordering::SeqCst);
        for (sleeping, (thread, _)) in shared.sleeping.iter().zip(&self.workers) {
            if sleeping.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        let own = catch_unwind(AssertUnwindSafe(|| share(0)));
        let mut spins = 0;
        while shared.busy.load(Ordering::Acquire) != 0 {
            spins += 1;
            if spins < SPINS_BEFORE_YIELD { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        if let Err(panic) = own {
            resume_unwind(panic);
        }
        assert!(!shared.panicked.swap(false, Ordering::Relaxed), "a share of a parallel region panicked");
    }

    /// Calls `share` on every part, dealt to the threads in turn, and returns when all are done.
    pub fn for_each<T: Send>(&mut self, parts: &mut [T], share: impl Fn(&mut T) + Sync) {
        let done: Result<(), std::convert::Infallible> =
            self.try_for_each(&mut [(); MAX_THREADS], parts, |(), part| {
                share(part);
                Ok(())
            });
        let Ok(()) = done;
    }

    /// As [`for_each`](Self::for_each), with a state for each thread; every part is tried, and one of the errors returned.
    ///
    /// # Panics
    /// When there are fewer states than threads.
    pub fn try_for_each<S: Send, T: Send, E: Send>(
        &mut self,
        states: &mut [S],
        parts: &mut [T],
        share: impl Fn(&mut S, &mut T) -> Result<(), E> + Sync,
    ) -> Result<(), E> {
        let (threads, len) = (self.threads().min(parts.len()), parts.len());
        if threads <= 1 {
            return parts.iter_mut().try_for_each(|part| share(&mut states[0], part));
        }
        assert!(states.len() >= threads, "{} states for {threads} threads", states.len());
        let (states, parts) = (Elements(states.as_mut_ptr()), Elements(parts.as_mut_ptr()));
        let failed = Mutex::new(None);
        self.run(&|thread| {
            if thread >= threads {
                return;
            }
            // SAFETY: `thread` is below `states.len()`, and every thread has its own number; `run` returns before the borrow ends.
            let state = unsafe { &mut *states.at(thread) };
            for i in (thread..len).step_by(threads) {
                // SAFETY: `i` is below `len`, and no two threads have the same `i`, since `i % threads` is the thread;
                // `run` returns before the borrow ends.
                if let Err(error) = share(state, unsafe { &mut *parts.at(i) }) {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }
}

/// The elements of a slice that threads share out among them, so that a closure can carry their address to another thread.
struct Elements<T>(*mut T);
// SAFETY: each element is used by one thread only, and `T: Send` is asked for where this is made.
unsafe impl<T: Send> Sync for Elements<T> {}

impl<T> Elements<T> {
    fn at(&self, i: usize) -> *mut T {
        self.0.wrapping_add(i)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        for (thread, handle) in self.workers.drain(..) {
            thread.unpark();
            // A worker catches every panic of a share, so joining cannot fail.
            let _ = handle.join();
        }
    }
}

/// The life of worker `index`, which runs share `index + 1`.
fn work(shared: &Shared, index: usize) {
    let mut seen = 0;
    loop {
        seen = next_generation(shared, index, seen);
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: a new generation was seen, so `job` is set and its closure lives until `busy` is lowered below.
        let share = unsafe { &*(*shared.job.get()).expect("a region has a job") };
        if catch_unwind(AssertUnwindSafe(|| share(index + 1))).is_err() {
            shared.panicked.store(true, Ordering::Relaxed);
        }
        shared.busy.fetch_sub(1, Ordering::Release);
    }
}

/// Waits until the generation is no longer `seen`, spinning first and sleeping then.
fn next_generation(shared: &Shared, index: usize, seen: u32) -> u32 {
    for _ in 0..SPINS_BEFORE_SLEEP {
        let generation = shared.generation.load(Ordering::Acquire);
        if generation != seen {
            return generation;
        }
        std::hint::spin_loop();
    }
    loop {
        // The order of these two (SeqCst, as in `run`) makes sure that one side sees the other: either this worker sees
        // the new generation, or the caller sees it sleeping and unparks it.
        shared.sleeping[index].store(true, Ordering::SeqCst);
        let generation = shared.generation.load(Ordering::SeqCst);
        if generation != seen {
            shared.sleeping[index].store(false, Ordering::SeqCst);
            return generation;
        }
        std::thread::park();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn every_share_runs_once_a_region() {
        for threads in [1, 2, 3, 5] {
            let mut pool = Pool::new(threads);
            let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..500 {
                pool.run(&|i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 500));
        }
    }

    #[test]
    fn workers_wake_after_they_slept() {
        let mut pool = Pool::new(3);
        for _ in 0..3 {
            while !pool.shared.sleeping.iter().all(|s| s.load(Ordering::SeqCst)) {
                std::thread::yield_now();
            }
            let count = AtomicUsize::new(0);
            pool.run(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), 3);
        }
    }

    #[test]
    fn for_each_reaches_every_part() {
        for threads in [1, 2, 4] {
            for len in [0, 1, 2, 3, 7] {
                let mut parts: Vec<usize> = (0..len).collect();
                Pool::new(threads).for_each(&mut parts, |p| *p += 10);
                assert_eq!(parts, (10..10 + len).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
        let mut pool = Pool::new(3);
        for bad in 0..3 {
            let outcome = catch_unwind(AssertUnwindSafe(|| pool.run(&|i| assert_ne!(i, bad, "on purpose"))));
            assert!(outcome.is_err());
            let count = AtomicUsize::new(0);
            pool.run(&|_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.into_inner(), 3);
        }
    }
}
