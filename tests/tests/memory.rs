//! What a model in use costs a process in memory that the system cannot take back, from the system's own accounting.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

use std::process::Command;

use nibble_tests::models::{GEMMA3, SMOLLM2, TestModel};

/// Private dirty memory of a process with `model` and a full 256-token session, in MB.
fn dirty(model: &TestModel) -> f64 {
    let output = Command::new(env!("CARGO_BIN_EXE_memory_probe")).arg(model.pack()).output().expect("the probe runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut kib = text.split_whitespace().map(|n| n.parse::<f64>().expect("a number") * 1024.0 / 1e6);
    let (dirty, resident) = (kib.next().expect("dirty"), kib.next().expect("resident"));
    println!("{}: {dirty:.1} MB private dirty, {resident:.1} MB resident", model.name);
    dirty
}

#[test]
fn smollm2_dirties_at_most_60_mb() {
    assert!(dirty(&SMOLLM2) <= 60.0);
}

#[test]
fn gemma3_dirties_at_most_60_mb() {
    assert!(dirty(&GEMMA3) <= 60.0);
}
