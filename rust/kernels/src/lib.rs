//! nibble-kernels
