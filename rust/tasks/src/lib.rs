//! nibble-tasks
