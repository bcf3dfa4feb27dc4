//! Records of the library in the system's log: logcat on Android, the system log on Apple platforms, standard error elsewhere.
//!
//! Only records of Nibble's own crates go there, and these hold no text of a user.

use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

/// What is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What went wrong.
    Error,
    /// And what is not as it should be, and was mended.
    Warn,
    /// And what was decided.
    Info,
    /// And what a developer of Nibble wants to know.
    Debug,
}

/// Says what is logged from now on. Before the first call, it is [`LogLevel::Warn`].
#[uniffi::export]
pub fn set_log_level(level: LogLevel) {
    begin();
    log::set_max_level(match level {
        LogLevel::Off => LevelFilter::Off,
        LogLevel::Error => LevelFilter::Error,
        LogLevel::Warn => LevelFilter::Warn,
        LogLevel::Info => LevelFilter::Info,
        LogLevel::Debug => LevelFilter::Debug,
    });
}

/// Has records go to the system's log, unless the process has a logger of its own. The first call counts.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        if log::set_logger(&SystemLog).is_ok() {
            log::set_max_level(LevelFilter::Warn);
        }
        // Whoever develops Nibble wants the message too.
        if !cfg!(debug_assertions) {
            panic::set_hook(Box::new(|panic| log::error!("{}", said_of(panic))));
        }
    });
}

/// What is logged of a panic: where it was. Its message may quote what it was about, which may be a text of the user's.
fn said_of(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    format!("a fault of Nibble itself at {place}; please report it")
}

struct SystemLog;

impl Log for SystemLog {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("nibble")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            system::write(record);
        }
    }

    fn flush(&self) {}
}

#[cfg(target_os = "android")]
mod system {
    use std::sync::OnceLock;

    use android_logger::{AndroidLogger, Config};
    use log::{LevelFilter, Log, Record};

    pub fn write(record: &Record) {
        static LOGCAT: OnceLock<AndroidLogger> = OnceLock::new();
        // The level was looked at before.
        let config = || Config::default().with_tag("Nibble").with_max_level(LevelFilter::Trace);
        LOGCAT.get_or_init(|| AndroidLogger::new(config())).log(record);
    }
}

#[cfg(target_vendor = "apple")]
mod system {
    use std::ffi::CString;

    use log::{Level, Record};

    /// Through `syslog`, which Apple's systems hand on to the unified log: its own interface is macros of C.
    pub fn write(record: &Record) {
        let priority = match record.level() {
            Level::Error => libc::LOG_ERR,
            Level::Warn => libc::LOG_WARNING,
            Level::Info => libc::LOG_INFO,
            Level::Debug | Level::Trace => libc::LOG_DEBUG,
        };
        let Ok(text) = CString::new(format!("Nibble: {}", record.args())) else { return };
        // SAFETY: both are strings that end in a zero, and the format takes the one that follows.
        unsafe { libc::syslog(priority, c"%s".as_ptr(), text.as_ptr()) };
    }
}

#[cfg(not(any(target_os = "android", target_vendor = "apple")))]
mod system {
    use std::io::Write;

    use log::Record;

    pub fn write(record: &Record) {
        // Where there is no standard error, nobody reads it.
        let _ = writeln!(std::io::stderr().lock(), "Nibble {}: {}", record.level(), record.args());
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn only_records_of_our_own_are_logged() {
        let enabled = |target| SystemLog.enabled(&Metadata::builder().target(target).build());
        assert!(enabled("nibble_engine::threads") && enabled("nibble_ffi"));
        assert!(!enabled("tokenizers") && !enabled("app"));
    }

    #[test]
    fn of_a_panic_its_place_is_logged_and_no_text() {
        let (sender, said) = mpsc::channel();
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |panic| drop(sender.send(said_of(panic)))));
        // The message of this one quotes the text.
        let fault = panic::catch_unwind(|| black_box("hunter2é")[..8].len());
        panic::set_hook(before);
        assert!(fault.is_err());
        let said: Vec<String> = said.try_iter().collect();
        assert!(said.iter().any(|said| said.contains("logging.rs")), "{said:?}");
        assert!(!said.iter().any(|said| said.contains("hunter2")), "{said:?}");
    }
}
