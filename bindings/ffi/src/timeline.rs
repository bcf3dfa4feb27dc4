//! The engine's session behind an object of the surface, which comes and goes with the memory that there is.
//!
//! Callers hand over the whole text at every request, so a session that was dropped is opened anew when it is next needed, and
//! nothing is lost but its cache. One lock a timeline: several of them run at once over one model.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard};

use nibble_engine::{CancelToken, Model, Session, SessionOptions, Turn};

use crate::error::{NibbleError, Result};
use crate::lock;
use crate::model::{Memory, MemoryPressure, Shared, Sleeper};
use crate::session::go_on;

/// A session, and what a task keeps beside it.
pub(crate) struct Timeline<T> {
    model: Arc<Shared>,
    settings: Settings,
    fresh: Box<dyn Fn() -> T + Send + Sync>,
    state: Mutex<State<T>>,
    /// What stops the request under way.
    running: Mutex<Option<CancelToken>>,
    closed: AtomicBool,
    /// Whether the memory is to be given back as soon as nothing runs.
    sleepy: AtomicBool,
}

/// How a timeline opens its session.
pub(crate) struct Settings {
    /// What it is called in errors.
    pub name: &'static str,
    pub session: SessionOptions,
    /// Whether the context is what the app asked for, and not the task's own.
    pub context_is_asked_for: bool,
    /// Bytes that the task writes to beside its session.
    pub beside: u64,
    /// Bytes that a session and its task may write to.
    pub memory_limit: Option<u64>,
    /// From what pressure on its memory is given back.
    pub yields_at: MemoryPressure,
}

impl Settings {
    /// Bytes that the session and the task will write to.
    pub fn memory(&self, model: &Model) -> Result<u64> {
        self.memory_with(model, self.session.context)
    }

    /// The same for another context.
    fn memory_with(&self, model: &Model, context: usize) -> Result<u64> {
        let options = SessionOptions { context, ..self.session.clone() };
        Ok(model.session_memory(&options)?.saturating_add(self.beside))
    }
}

struct State<T> {
    /// With its share of the memory that the model's limit allows.
    session: Option<(Session, Memory)>,
    task: T,
}

impl<T: Send + 'static> Timeline<T> {
    /// A timeline over an open model; `fresh` makes what the task keeps, again after it was dropped.
    pub fn open(
        model: &Arc<Shared>,
        settings: Settings,
        fresh: impl Fn() -> T + Send + Sync + 'static,
    ) -> Result<Arc<Self>> {
        let session = open_session(model, &settings)?;
        let timeline = Arc::new(Self {
            model: Arc::clone(model),
            settings,
            state: Mutex::new(State { session: Some(session), task: fresh() }),
            fresh: Box::new(fresh),
            running: Mutex::default(),
            closed: AtomicBool::new(false),
            sleepy: AtomicBool::new(false),
        });
        model.enrol(Arc::downgrade(&timeline) as _);
        Ok(timeline)
    }

    /// The model, unless this is closed.
    pub fn model(&self) -> Result<&Shared> {
        self.check_open()?;
        Ok(&self.model)
    }

    /// Runs a request, which `cancel` stops.
    pub fn run<R>(&self, cancel: &CancelToken, request: impl FnOnce(&mut Session, &mut T) -> Result<R>) -> Result<R> {
        let mut state = self.state();
        *lock(&self.running) = Some(cancel.clone());
        let outcome = self.run_in(&mut state, cancel, request);
        *lock(&self.running) = None;
        drop(state);
        self.sleep_if_asked();
        match outcome {
            // Closing is what cancelled it.
            Err(NibbleError::Cancelled { .. }) => self.check_open().and(outcome),
            outcome => outcome,
        }
    }

    fn run_in<R>(
        &self,
        state: &mut State<T>,
        cancel: &CancelToken,
        request: impl FnOnce(&mut Session, &mut T) -> Result<R>,
    ) -> Result<R> {
        self.check_open()?;
        go_on(cancel)?;
        let (session, _) = match &mut state.session {
            Some(session) => session,
            none => none.insert(open_session(&self.model, &self.settings)?),
        };
        session.set_cancel_token(cancel.clone());
        let _turn = Turn::begin(self.settings.session.priority);
        request(session, &mut state.task)
    }

    /// Closes it; what runs ends with an error.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.cancel_running();
        self.sleep_if_idle();
    }

    /// Says whether it is closed.
    pub fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(NibbleError::closed(self.settings.name));
        }
        self.model.check_open()
    }

    fn cancel_running(&self) {
        if let Some(running) = &*lock(&self.running) {
            running.cancel();
        }
    }

    fn sleep(&self, state: &mut State<T>) {
        *state = State { session: None, task: (self.fresh)() };
    }

    fn sleep_if_idle(&self) {
        self.sleepy.store(true, Ordering::SeqCst);
        self.sleep_if_asked();
    }

    /// Gives the memory back where that was asked for. Who finds the state locked leaves it to who holds it, so that one looks again
    /// when it has unlocked it.
    fn sleep_if_asked(&self) {
        loop {
            // Of one who asks and looks at the lock, and one who unlocks and looks for who asked, one sees the other.
            fence(Ordering::SeqCst);
            if !self.sleepy.load(Ordering::SeqCst) {
                return;
            }
            let Ok(mut state) = self.state.try_lock() else { return };
            if self.sleepy.swap(false, Ordering::SeqCst) {
                self.sleep(&mut state);
            }
        }
    }

    /// The state; begun anew where a panic left it half done.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = poisoned.into_inner();
            self.sleep(&mut state);
            self.state.clear_poison();
            state
        })
    }
}

impl<T: Send + 'static> Sleeper for Timeline<T> {
    fn yield_to(&self, pressure: MemoryPressure) {
        if pressure >= self.settings.yields_at {
            self.sleep_if_idle();
        }
    }

    fn model_closed(&self) {
        self.cancel_running();
        self.sleep_if_idle();
    }
}

/// A session within its limit and what the model's leaves, or an error that says what would fit.
fn open_session(model: &Arc<Shared>, settings: &Settings) -> Result<(Session, Memory)> {
    let Settings { name, session: options, context_is_asked_for, memory_limit, .. } = settings;
    let shared = model;
    let model = shared.open()?;
    let context = options.context;
    let needed = settings.memory(&model)?;
    let taken = match memory_limit {
        Some(limit) if needed > *limit => Err(*limit),
        _ => Memory::take(shared, needed),
    };
    let limit = match taken {
        Ok(memory) => return Ok((model.session(options.clone())?, memory)),
        Err(limit) => limit,
    };
    let fits = |steps: usize| settings.memory_with(&model, steps * STEP).is_ok_and(|needed| needed <= limit);
    let fitting_context = if *context_is_asked_for { largest(context / STEP, fits) } else { None };
    let fitting_context = fitting_context.map(|steps| steps * STEP);
    let megabytes = |bytes: u64| bytes.div_ceil(1_000_000);
    let what =
        if *context_is_asked_for { format!("{name} with a context of {context} tokens") } else { (*name).into() };
    let advice = match fitting_context {
        Some(context) => format!("a context of {context} would fit"),
        None if *context_is_asked_for => "no context fits; take a smaller model".to_owned(),
        None => "allow that, or take a smaller model".to_owned(),
    };
    Err(NibbleError::MemoryLimit {
        reason: format!("a {what} takes {} MB, and {} MB are allowed; {advice}", megabytes(needed), megabytes(limit)),
        needed,
        limit,
        fitting_context: fitting_context.map(|context| context as u64),
    })
}

/// Contexts that are suggested are multiples of this, in tokens.
const STEP: usize = 64;

/// The largest number from 1 to `most` that `fits`, where all that are smaller than one that does fit too.
fn largest(most: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut fitting, mut over) = (0, most + 1);
    while over - fitting > 1 {
        let middle = fitting + (over - fitting) / 2;
        if fits(middle) { fitting = middle } else { over = middle }
    }
    (fitting > 0).then_some(fitting)
}
