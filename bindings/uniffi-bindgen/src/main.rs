//! Generates the Kotlin, Swift and Python bindings from the compiled `nibble-ffi`.
//!
//! A crate of its own, so that generator and runtime always have the same version of uniffi.
#![forbid(unsafe_code)]

fn main() {
    uniffi::uniffi_bindgen_main();
}
