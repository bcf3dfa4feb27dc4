//! A pool of threads for regions of a few microseconds: fork, run one share each, join.
//!
//! Workers spin for a short while after a region, because the next one of the same forward pass follows at once, and then
//! sleep: nothing polls between requests. The caller is thread 0 and does its share like the others. A region may run on
//! the first few threads only; the rest sleep through it.
//!
//! Where workers run is their [`Placement`]; what the system says about that is asked here too, so that no other file of
//! the engine speaks to it.
#![allow(unsafe_code)]

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
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
    /// The region being run. Written by the caller before it raises `generation`, read after they see it by the workers
    /// that take part.
    job: UnsafeCell<Option<Job>>,
    /// The [`Generation`] of the region: a worker that sees a new one, and takes part in it, runs `job` once.
    generation: AtomicU64,
    /// Workers still busy with the current region.
    busy: AtomicU32,
    /// Whether a worker's share panicked.
    panicked: AtomicBool,
    stop: AtomicBool,
    sleeping: Vec<AtomicBool>,
}

// SAFETY: `job` is the only field that is not Sync by itself. It is written only by `Pool::run`, which has exclusive access
// to the pool and waits until `busy` is 0 before it returns, and read by workers only between their seeing a new
// `generation` that they take part in (Acquire) and their lowering `busy` (Release); `busy` counts exactly those.
unsafe impl Sync for Shared {}
// SAFETY: the raw pointer in `job` is only dereferenced while the caller of `run` keeps the closure alive.
unsafe impl Send for Shared {}

/// The number of a region, and how many threads run it, in one word: what a worker reads of both belongs together.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Generation(u64);

impl Generation {
    /// Bits for the number of threads.
    const BITS: u32 = 8;

    fn next(self, threads: usize) -> Self {
        Self((((self.0 >> Self::BITS) + 1) << Self::BITS) | threads as u64)
    }

    /// Whether the worker with this index, which is thread `index + 1`, takes part.
    fn includes(self, index: usize) -> bool {
        index + 1 < (self.0 & ((1 << Self::BITS) - 1)) as usize
    }
}

const _: () = assert!(MAX_THREADS < 1 << Generation::BITS);

/// A fixed set of threads that run regions together.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(Thread, JoinHandle<()>)>,
    /// How many threads run a region.
    active: usize,
    generation: Generation,
}

impl Pool {
    /// A pool in which `threads` shares run at once, the caller's included; at least 1, at most [`MAX_THREADS`]. The workers
    /// run where `placement` says, the caller where it is.
    pub fn new(threads: usize, placement: &Placement) -> Self {
        let workers = threads.clamp(1, MAX_THREADS) - 1;
        let shared = Arc::new(Shared {
            job: UnsafeCell::new(None),
            generation: AtomicU64::new(0),
            busy: AtomicU32::new(0),
            panicked: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            sleeping: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        });
        let workers: Vec<_> = (0..workers)
            .map_while(|i| {
                let (shared, placement) = (Arc::clone(&shared), placement.clone());
                // A system that refuses a thread gets a smaller pool: slower, never wrong.
                let handle = std::thread::Builder::new()
                    .name(format!("nibble-{}", i + 1))
                    .spawn(move || {
                        placement.take();
                        let _listed = Listed::new();
                        work(&shared, i);
                    })
                    .map_err(|e| log::warn!("running with fewer threads: {e}"))
                    .ok()?;
                Some((handle.thread().clone(), handle))
            })
            .collect();
        Self { shared, active: workers.len() + 1, workers, generation: Generation(0) }
    }

    /// How many threads there are, the caller's included.
    pub fn size(&self) -> usize {
        self.workers.len() + 1
    }

    /// How many shares a region has.
    pub fn threads(&self) -> usize {
        self.active
    }

    /// Lets the first `threads` threads run the regions to come, or all where there are fewer; the others are not woken.
    pub fn limit(&mut self, threads: usize) {
        self.active = threads.clamp(1, self.size());
    }

    /// Calls `share(0) .. share(threads - 1)`, each once and all at the same time, and returns when all have returned.
    ///
    /// # Panics
    /// When a share panics; the pool stays usable.
    pub fn run(&mut self, share: &(dyn Fn(usize) + Sync)) {
        if self.active == 1 {
            return share(0);
        }
        let shared = &*self.shared;
        let job: *const (dyn Fn(usize) + Sync) = share;
        // SAFETY: no worker is in a region (the last `run` waited for that), so nobody reads `job`. The lifetime of the
        // closure is erased, and this function does not return or unwind before every worker is done with it.
        unsafe { *shared.job.get() = Some(std::mem::transmute::<*const (dyn Fn(usize) + Sync), Job>(job)) };
        shared.busy.store(self.active as u32 - 1, Ordering::Relaxed);
        self.generation = self.generation.next(self.active);
        shared.generation.store(self.generation.0, Ordering::SeqCst);
        for (sleeping, (thread, _)) in shared.sleeping.iter().zip(&self.workers).take(self.active - 1) {
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
        self.shared.generation.store(self.generation.next(self.size()).0, Ordering::SeqCst);
        for (thread, handle) in self.workers.drain(..) {
            thread.unpark();
            // A worker catches every panic of a share, so joining cannot fail.
            let _ = handle.join();
        }
    }
}

/// The life of worker `index`, which runs share `index + 1`.
fn work(shared: &Shared, index: usize) {
    let mut seen = Generation(0);
    loop {
        seen = next_generation(shared, index, seen);
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        // SAFETY: a new generation that includes this worker was seen, so `job` is set and its closure lives until `busy`
        // is lowered below.
        let share = unsafe { &*(*shared.job.get()).expect("a region has a job") };
        if catch_unwind(AssertUnwindSafe(|| share(index + 1))).is_err() {
            shared.panicked.store(true, Ordering::Relaxed);
        }
        shared.busy.fetch_sub(1, Ordering::Release);
    }
}

/// Waits for a generation other than `seen` that includes the worker, spinning first and sleeping then.
fn next_generation(shared: &Shared, index: usize, seen: Generation) -> Generation {
    let is_next = |generation: Generation| generation != seen && generation.includes(index);
    for _ in 0..SPINS_BEFORE_SLEEP {
        let generation = Generation(shared.generation.load(Ordering::Acquire));
        if is_next(generation) {
            return generation;
        }
        std::hint::spin_loop();
    }
    loop {
        // The order of these two (SeqCst, as in `run`) makes sure that one side sees the other: either this worker sees
        // the new generation, or the caller sees it sleeping and unparks it.
        shared.sleeping[index].store(true, Ordering::SeqCst);
        let generation = Generation(shared.generation.load(Ordering::SeqCst));
        if is_next(generation) {
            shared.sleeping[index].store(false, Ordering::SeqCst);
            return generation;
        }
        std::thread::park();
    }
}

/// How urgent a session's work is, the least urgent first. While work of a higher priority is under way anywhere in the
/// process, that of a lower one waits before its next layer ([`Turn`](crate::Turn)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Nobody waits. One thread, unless the options ask for more; the system may run workers on slow cores, to save power.
    Background,
    /// Somebody waits for the result: a reply, a summary. As many threads as suit the model, on the fast cores.
    #[default]
    Interactive,
    /// Somebody types, and the result is of no use after the next key. As interactive work, and before it.
    Keystroke,
}

impl Priority {
    pub(crate) const COUNT: usize = 3;
}

/// Where workers run, and how urgently.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// The numbers of the cores that they keep to; empty where the system is to choose.
    pub cores: Vec<usize>,
    /// What the system is told where it moves threads between cores by itself (Apple platforms).
    pub priority: Priority,
}

impl Placement {
    /// Moves the calling thread there. Where the system refuses, it stays where it is: slower, never wrong.
    fn take(&self) {
        if !self.cores.is_empty()
            && let Err(error) = system::keep_to(&self.cores)
        {
            log::debug!("a worker stays on any core: {error}");
        }
        if let Err(error) = system::set_urgency(self.priority) {
            log::debug!("a worker keeps the urgency of its process: {error}");
        }
    }
}

/// The workers of the process that are alive, by the system's numbers.
static WORKERS: Mutex<Vec<i32>> = Mutex::new(Vec::new());

/// The system's numbers of all threads that compute for sessions of this process, apart from the callers' own (Linux, Android;
/// elsewhere there are none). What an Android app tells its performance hints about.
pub fn worker_thread_ids() -> Vec<i32> {
    WORKERS.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A worker's place in [`WORKERS`], for as long as this lives.
struct Listed(Option<i32>);

impl Listed {
    fn new() -> Self {
        let id = system::thread_id();
        WORKERS.lock().unwrap_or_else(PoisonError::into_inner).extend(id);
        Self(id)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        WORKERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|&id| Some(id) != self.0);
    }
}

/// The numbers of the cores that the calling thread may run on, where the system numbers them (Linux, Android).
pub fn allowed_cores() -> Option<Vec<usize>> {
    system::allowed_cores()
}

/// How many cores are of the fastest kind, where the system counts kinds (Apple platforms).
pub fn performance_cores() -> Option<usize> {
    system::performance_cores()
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod system {
    use std::{io, mem};

    use super::Priority;

    /// Cores that a set has room for.
    const MOST_CORES: usize = 8 * size_of::<libc::cpu_set_t>();

    pub fn keep_to(cores: &[usize]) -> io::Result<()> {
        // SAFETY: a set of cores is an array of integers, and all zeros is the empty one.
        let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
        for &core in cores.iter().filter(|&&core| core < MOST_CORES) {
            // SAFETY: `core` is below the number of bits of the set.
            unsafe { libc::CPU_SET(core, &mut set) };
        }
        // SAFETY: the set is initialised and as long as is said; 0 is the calling thread.
        let outcome = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
        if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Urgency is not a thing of threads here: an app that is out of sight is kept to slow cores as a whole.
    pub fn set_urgency(_: Priority) -> io::Result<()> {
        Ok(())
    }

    pub fn allowed_cores() -> Option<Vec<usize>> {
        // SAFETY: a set of cores is an array of integers, and all zeros is the empty one.
        let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
        // SAFETY: the set is ours to write and as long as is said; 0 is the calling thread.
        let outcome = unsafe { libc::sched_getaffinity(0, size_of_val(&set), &mut set) };
        // SAFETY: `core` is below the number of bits of the set.
        let is_allowed = |&core: &usize| unsafe { libc::CPU_ISSET(core, &set) };
        (outcome == 0).then(|| (0..MOST_CORES).filter(is_allowed).collect())
    }

    pub fn performance_cores() -> Option<usize> {
        None
    }

    pub fn thread_id() -> Option<i32> {
        // SAFETY: it asks for a number.
        Some(unsafe { libc::gettid() })
    }
}

#[cfg(target_vendor = "apple")]
mod system {
    use std::{io, ptr};

    use super::Priority;

    /// Threads cannot be tied to cores here.
    pub fn keep_to(_: &[usize]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn set_urgency(priority: Priority) -> io::Result<()> {
        let class = match priority {
            Priority::Keystroke => libc::qos_class_t::QOS_CLASS_USER_INTERACTIVE,
            Priority::Interactive => libc::qos_class_t::QOS_CLASS_USER_INITIATED,
            Priority::Background => libc::qos_class_t::QOS_CLASS_UTILITY,
        };
        // SAFETY: it takes two numbers and changes the calling thread only.
        let error = unsafe { libc::pthread_set_qos_class_self_np(class, 0) };
        if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
    }

    pub fn allowed_cores() -> Option<Vec<usize>> {
        None
    }

    pub fn performance_cores() -> Option<usize> {
        let mut count: libc::c_int = 0;
        let mut len = size_of_val(&count);
        // SAFETY: the name ends in a zero; the value is written to `count`, which is as long as `len` says; nothing is set.
        let outcome = unsafe {
            libc::sysctlbyname(
                c"hw.perflevel0.physicalcpu".as_ptr(),
                ptr::from_mut(&mut count).cast(),
                &mut len,
                ptr::null_mut(),
                0,
            )
        };
        (outcome == 0 && len == size_of_val(&count)).then_some(count.try_into().ok()?).filter(|&count| count > 0)
    }

    pub fn thread_id() -> Option<i32> {
        None
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod system {
    use std::io;

    use super::Priority;

    pub fn keep_to(_: &[usize]) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub fn set_urgency(_: Priority) -> io::Result<()> {
        Ok(())
    }

    pub fn allowed_cores() -> Option<Vec<usize>> {
        None
    }

    pub fn performance_cores() -> Option<usize> {
        None
    }

    pub fn thread_id() -> Option<i32> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn every_share_runs_once_a_region() {
        for threads in [1, 2, 3, 5] {
            let mut pool = Pool::new(threads, &Placement::default());
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
    fn workers_are_listed_while_they_live() {
        let mut pool = Pool::new(3, &Placement::default());
        let own = Mutex::new(Vec::new());
        pool.run(&|thread| {
            if thread > 0 {
                own.lock().unwrap().extend(system::thread_id());
            }
        });
        let own = own.into_inner().unwrap();
        let listed = || own.iter().filter(|id| worker_thread_ids().contains(id)).count();
        assert_eq!(own.len(), if cfg!(any(target_os = "linux", target_os = "android")) { 2 } else { 0 });
        assert_eq!(listed(), own.len());
        drop(pool);
        assert_eq!(listed(), 0);
    }

    #[test]
    fn workers_wake_after_they_slept() {
        let mut pool = Pool::new(3, &Placement::default());
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
    fn a_region_runs_on_the_first_threads_only() {
        let mut pool = Pool::new(4, &Placement::default());
        for threads in [4, 1, 2, 3, 2, 4, 1, 3].into_iter().cycle().take(2000) {
            let counts: [AtomicUsize; 4] = Default::default();
            pool.limit(threads);
            pool.run(&|i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            let expected: [usize; 4] = std::array::from_fn(|i| (i < threads).into());
            assert_eq!(counts.map(AtomicUsize::into_inner), expected);
        }
        pool.limit(0);
        assert_eq!((pool.threads(), pool.size()), (1, 4));
        pool.limit(9);
        assert_eq!((pool.threads(), pool.size()), (4, 4));
    }

    #[test]
    fn a_region_wakes_no_thread_that_it_does_not_need() {
        let mut pool = Pool::new(4, &Placement::default());
        let asleep = |pool: &Pool, i: usize| pool.shared.sleeping[i].load(Ordering::SeqCst);
        while !(0..3).all(|i| asleep(&pool, i)) {
            std::thread::yield_now();
        }
        pool.limit(2);
        for _ in 0..100 {
            pool.run(&|_| ());
            assert!(asleep(&pool, 1) && asleep(&pool, 2));
        }
    }

    #[test]
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn workers_keep_to_their_cores_and_the_caller_stays() {
        let before = allowed_cores().unwrap();
        let last = *before.last().unwrap();
        let mut pool = Pool::new(3, &Placement { cores: vec![last], ..Default::default() });
        let seen: [Mutex<Option<Vec<usize>>>; 3] = Default::default();
        pool.run(&|i| *seen[i].lock().unwrap() = allowed_cores());
        let seen = seen.map(|cores| cores.into_inner().unwrap().unwrap());
        assert_eq!(seen, [before.clone(), vec![last], vec![last]]);
        // Cores that are not there are refused, which changes nothing.
        Pool::new(2, &Placement { cores: vec![100_000], ..Default::default() }).run(&|i| {
            assert!(i == 0 || allowed_cores().unwrap() == before);
        });
    }

    #[test]
    fn for_each_reaches_every_part() {
        for threads in [1, 2, 4] {
            for len in [0, 1, 2, 3, 7] {
                let mut parts: Vec<usize> = (0..len).collect();
                Pool::new(threads, &Placement::default()).for_each(&mut parts, |p| *p += 10);
                assert_eq!(parts, (10..10 + len).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_leaves_the_pool_usable() {
        let mut pool = Pool::new(3, &Placement::default());
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
