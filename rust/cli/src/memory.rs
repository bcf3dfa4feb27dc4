//! What the system says this process takes: peak resident and private dirty memory.

/// Peak resident memory in bytes (`VmHWM`), where the system tells.
pub fn peak_resident() -> Option<u64> {
    read_kilobytes("/proc/self/status", "VmHWM:")
}

/// Private dirty memory in bytes now, where the system tells: what cannot be dropped and read again from a file.
pub fn private_dirty() -> Option<u64> {
    read_kilobytes("/proc/self/smaps_rollup", "Private_Dirty:")
}

/// The number in kB after `key` in a file of Linux's procfs; nothing on other systems, which have no such file.
fn read_kilobytes(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(value.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_to_is_counted() {
        let before = private_dirty().unwrap();
        let block = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(private_dirty().unwrap() >= before + (30 << 20));
        assert!(peak_resident().unwrap() >= block.len() as u64);
    }
}
