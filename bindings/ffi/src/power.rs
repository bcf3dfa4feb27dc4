//! What the device can spare, and who computes: for the hints between an app and its system.

/// How much a device can spare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum PowerState {
    /// All that was asked for.
    Normal,
    /// The battery is low, or its owner wants it to last: half of the threads.
    Saving,
    /// The device gets hot, and will soon slow down by itself: half of the threads.
    Hot,
    /// It slows down already: one thread.
    Critical,
}

/// Says how much the device can spare. It holds for the whole process, from each session's next batch on; results are the same.
#[uniffi::export]
pub fn set_power_state(state: PowerState) {
    match state {
        PowerState::Normal => nibble_engine::PowerState::Normal,
        PowerState::Saving => nibble_engine::PowerState::Saving,
        PowerState::Hot => nibble_engine::PowerState::Hot,
        PowerState::Critical => nibble_engine::PowerState::Critical,
    }
    .set();
}

/// The system's numbers of the threads that compute in this process, apart from the callers' own (Linux, Android; elsewhere
/// there are none).
#[uniffi::export]
pub fn worker_thread_ids() -> Vec<i32> {
    nibble_engine::worker_thread_ids()
}
