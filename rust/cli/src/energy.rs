//! What the processor uses of energy, where the machine counts it: Linux's powercap folder, with Intel's and AMD's RAPL counters.
//!
//! A counter is that of a whole package: what else runs there is in it.

use std::fs;
use std::path::{Path, PathBuf};

/// Where Linux has the counters; only root may read them on most systems.
pub const POWERCAP: &str = "/sys/class/powercap";

/// The counters of all packages, as they were at the beginning.
pub struct EnergyMeter(Vec<Counter>);

/// A counter of microjoules, which begins again at 0 behind `range`.
struct Counter {
    path: PathBuf,
    range: u64,
    start: u64,
}

impl EnergyMeter {
    /// Begins to measure by the counters below `powercap`; `None` where there are none, or one cannot be read.
    pub fn start(powercap: &Path) -> Option<Self> {
        let mut counters = Vec::new();
        for zone in fs::read_dir(powercap).ok()?.flatten().map(|entry| entry.path()) {
            // Beside packages there are their parts, and the platform, in which they are counted too.
            let name = fs::read_to_string(zone.join("name")).unwrap_or_default();
            if name.starts_with("package-") {
                let (path, range) = (zone.join("energy_uj"), number(&zone.join("max_energy_range_uj"))?);
                let start = number(&path)?;
                counters.push(Counter { path, range, start });
            }
        }
        (!counters.is_empty()).then_some(Self(counters))
    }

    /// Joules since the beginning. A counter may have begun again once meanwhile, which takes many minutes.
    pub fn joules(&self) -> Option<f64> {
        let used = self.0.iter().map(|counter| {
            let now = number(&counter.path)?;
            let wrapped = if now < counter.start { counter.range + 1 } else { 0 };
            Some(now + wrapped - counter.start)
        });
        Some(used.sum::<Option<u64>>()? as f64 / 1e6)
    }
}

fn number(path: &Path) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(folder: &Path, zone: &str, name: &str, energy: &str) {
        let zone = folder.join(zone);
        fs::create_dir_all(&zone).unwrap();
        fs::write(zone.join("name"), format!("{name}\n")).unwrap();
        fs::write(zone.join("max_energy_range_uj"), "9999999\n").unwrap();
        fs::write(zone.join("energy_uj"), format!("{energy}\n")).unwrap();
    }

    #[test]
    fn packages_are_added_up_and_a_counter_may_begin_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for (name, energy) in [("core", "5"), ("psys", "7")] {
            zone(folder, name, name, energy);
        }
        assert!(EnergyMeter::start(folder).is_none());
        zone(folder, "intel-rapl:0", "package-0", "1000000");
        zone(folder, "intel-rapl:1", "package-1", "9000000");
        let meter = EnergyMeter::start(folder).unwrap();
        assert_eq!(meter.joules(), Some(0.0));
        zone(folder, "core", "core", "500000");
        zone(folder, "intel-rapl:0", "package-0", "3500000");
        assert_eq!(meter.joules(), Some(2.5));
        zone(folder, "intel-rapl:1", "package-1", "500000");
        assert_eq!(meter.joules(), Some(4.0));
    }

    #[test]
    fn what_cannot_be_read_is_not_measured() {
        let folder = tempfile::tempdir().unwrap();
        assert!(EnergyMeter::start(&folder.path().join("none")).is_none());
        zone(folder.path(), "intel-rapl:0", "package-0", "not for you");
        assert!(EnergyMeter::start(folder.path()).is_none());
        zone(folder.path(), "intel-rapl:0", "package-0", "1");
        let meter = EnergyMeter::start(folder.path()).unwrap();
        fs::remove_file(folder.path().join("intel-rapl:0/energy_uj")).unwrap();
        assert_eq!(meter.joules(), None);
    }
}
