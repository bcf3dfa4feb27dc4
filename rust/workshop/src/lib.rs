//! nibble-workshop
