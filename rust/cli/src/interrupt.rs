//! Ctrl-C: ends the command at once with exit code 130, except in a section that wants to end by itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use nibble_engine::CancelToken;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// True: the next Ctrl-C ends the process. A Ctrl-C makes it true, so a second one always does.
static ARMED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// How soon a Ctrl-C reaches a computation.
const WATCH: Duration = Duration::from_millis(20);

fn armed() -> &'static Arc<AtomicBool> {
    ARMED.get_or_init(|| Arc::new(AtomicBool::new(true)))
}

/// Called once, before any work.
pub fn install() {
    // The order matters: the first looks at the flag before the second sets it.
    let registered = flag::register_conditional_shutdown(SIGINT, 130, armed().clone())
        .and_then(|_| flag::register(SIGINT, armed().clone()));
    if let Err(error) = registered {
        log::debug!("Ctrl-C will end nibble the system's way: {error}");
    }
}

/// A flag that a request to end (SIGTERM) sets from now on, instead of ending the process: for who has a terminal to restore.
pub fn termination() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    if let Err(error) = flag::register(SIGTERM, asked.clone()) {
        log::debug!("SIGTERM will end nibble the system's way: {error}");
    }
    asked
}

/// While this lives, the first Ctrl-C only stops the model's computation.
pub struct Section {
    over: Arc<AtomicBool>,
    cancel: Option<CancelToken>,
}

impl Section {
    /// Begins such a section for the model that `cancel` stops, if it can be stopped.
    pub fn begin(cancel: Option<CancelToken>) -> Self {
        armed().store(false, Ordering::Relaxed);
        let over = Arc::new(AtomicBool::new(false));
        if let Some(cancel) = cancel.clone() {
            let over = over.clone();
            // A signal handler may do nothing but set a flag, so somebody has to look at it.
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    if armed().load(Ordering::Relaxed) {
                        return cancel.cancel();
                    }
                    thread::sleep(WATCH);
                }
            });
        }
        Self { over, cancel }
    }

    /// Whether Ctrl-C came since the section began.
    pub fn interrupted(&self) -> bool {
        armed().load(Ordering::Relaxed)
    }
}

impl Drop for Section {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        armed().store(true, Ordering::Relaxed);
        if let Some(cancel) = &self.cancel {
            cancel.reset();
        }
    }
}
