//! Which cores to compute on: the fast ones, where a processor has slow ones too.
//!
//! A region ends when its last share does, and shares are equal. So a slow core that joins in makes the fast ones wait for
//! it, and costs a third of the speed and more. Where the system says how fast each core is (Linux, Android, through sysfs),
//! the slowest kind is left out; where it says how many are fast (Apple platforms), those are counted.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::threads::{self, Placement, Priority};

/// Where Linux describes its cores.
const SYSFS: &str = "/sys/devices/system/cpu";

/// The cores of this machine, as far as this process may use them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores {
    /// How many there are to compute on; at least 1.
    pub count: usize,
    /// Their numbers, if workers have to be kept on them because others are slower; else empty.
    fast: Vec<usize>,
    /// All of them, in words: the same on a machine like this one under the same limits.
    pub kind: String,
}

impl Cores {
    /// Asks the system. What it does not say is taken to be as simple as can be: all cores are alike.
    pub fn here() -> Self {
        let usable = std::thread::available_parallelism().map_or(1, usize::from);
        match (threads::allowed_cores(), threads::performance_cores()) {
            (Some(allowed), _) => Self::from_sysfs(Path::new(SYSFS), &allowed, usable),
            (None, Some(fast)) => Self::new(fast.min(usable), Vec::new(), format!("{fast} fast of {usable}")),
            (None, None) => Self::alike(usable),
        }
    }

    fn new(count: usize, fast: Vec<usize>, kind: String) -> Self {
        Self { count: count.max(1), fast, kind }
    }

    pub(crate) fn alike(count: usize) -> Self {
        Self::new(count, Vec::new(), format!("{count} alike"))
    }

    /// The cores numbered `allowed`, as the tree of files under `root` describes them, of which the process may keep `usable`
    /// busy at once.
    fn from_sysfs(root: &Path, allowed: &[usize], usable: usize) -> Self {
        // The capacity counts instructions a cycle too, but not every kernel knows it; a frequency tells less.
        let speeds = ["cpu_capacity", "cpufreq/cpuinfo_max_freq"].iter().find_map(|file| speeds(root, allowed, file));
        let Some(speeds) = speeds.filter(|speeds| !speeds.is_empty()) else { return Self::alike(usable) };
        let kind = format!("{usable} of {}", in_words(&speeds));
        match slowest_kind(&speeds) {
            None => Self::new(usable.min(allowed.len()), Vec::new(), kind),
            Some(slow) => {
                let fast: Vec<_> =
                    allowed.iter().zip(&speeds).filter(|&(_, &speed)| speed > slow).map(|(&core, _)| core).collect();
                Self::new(usable.min(fast.len()), fast, kind)
            }
        }
    }

    /// Where the workers of a session run. In the background they are left to the system, which knows what saves power.
    pub fn placement(&self, priority: Priority) -> Placement {
        let cores = match priority {
            Priority::Interactive | Priority::Keystroke => self.fast.clone(),
            Priority::Background => Vec::new(),
        };
        Placement { cores, priority }
    }
}

/// How fast each core is, if `file` tells that of all of them.
fn speeds(root: &Path, cores: &[usize], file: &str) -> Option<Vec<u64>> {
    let speed = |core: &usize| {
        let text = fs::read_to_string(root.join(format!("cpu{core}")).join(file)).ok()?;
        text.trim().parse().ok().filter(|&speed| speed > 0)
    };
    cores.iter().map(speed).collect()
}

/// The speed of the fastest core of the slowest kind, where there are at least two kinds.
///
/// A kind goes down to 80 % of its fastest core's speed. Cores of one design differ by less, where a few are clocked higher (by
/// 12 % on desktops), and cores of two designs by more (100 : 76 in desktops that have both, 100 : 40 and less in phones).
/// What is between may count as one or two: the prime core of a phone and its big ones are both fast, and a third kind is
/// slower than either.
fn slowest_kind(speeds: &[u64]) -> Option<u64> {
    let mut sorted = speeds.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let fastest = *sorted.first()?;
    let slowest = sorted.iter().fold(fastest, |kind, &speed| if speed < kind - kind / 5 { speed } else { kind });
    (slowest < fastest).then_some(slowest)
}

/// `1 x 1024, 3 x 870, 4 x 250`.
fn in_words(speeds: &[u64]) -> String {
    let mut sorted = speeds.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    let mut words = String::new();
    for same in sorted.chunk_by(|a, b| a == b) {
        let separator = if words.is_empty() { "" } else { ", " };
        write!(words, "{separator}{} x {}", same.len(), same[0]).expect("a string takes everything");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree in which the file `name` of each core has the text that is given, if one is.
    fn tree(name: &str, texts: &[Option<&str>]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (core, text) in texts.iter().enumerate() {
            let file = root.path().join(format!("cpu{core}")).join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            if let Some(text) = text {
                fs::write(file, text).unwrap();
            }
        }
        root
    }

    fn capacities(speeds: &[&str]) -> tempfile::TempDir {
        tree("cpu_capacity", &speeds.iter().map(|&s| Some(s)).collect::<Vec<_>>())
    }

    fn frequencies(speeds: &[&str]) -> tempfile::TempDir {
        tree("cpufreq/cpuinfo_max_freq", &speeds.iter().map(|&s| Some(s)).collect::<Vec<_>>())
    }

    /// How many cores are computed on, and which ones workers keep to, where all of `n` cores are allowed.
    fn chosen(root: &tempfile::TempDir, n: usize) -> (usize, Vec<usize>) {
        let cores = Cores::from_sysfs(root.path(), &Vec::from_iter(0..n), n);
        (cores.count, cores.fast)
    }

    #[test]
    fn a_phone_of_4_3_and_1_computes_on_the_4_fast_ones() {
        let slow_first = ["250\n", "250\n", "250\n", "250\n", "870\n", "870\n", "870\n", "1024\n"];
        assert_eq!(chosen(&capacities(&slow_first), 8), (4, vec![4, 5, 6, 7]));
        // Three kinds: only the slowest is left out.
        let three = ["1024", "780", "780", "780", "325", "325", "325", "325"];
        assert_eq!(chosen(&capacities(&three), 8), (4, vec![0, 1, 2, 3]));
        let by_clock = ["1804800", "1804800", "1804800", "1804800", "2419200", "2419200", "2419200", "2841600"];
        assert_eq!(chosen(&frequencies(&by_clock), 8), (4, vec![4, 5, 6, 7]));
    }

    #[test]
    fn a_phone_of_6_and_2_computes_on_2() {
        let speeds = ["381", "381", "381", "381", "381", "381", "1024", "1024"];
        assert_eq!(chosen(&capacities(&speeds), 8), (2, vec![6, 7]));
    }

    #[test]
    fn a_capacity_counts_before_a_frequency() {
        let root = capacities(&["300", "1024"]);
        for core in ["cpu0", "cpu1"] {
            fs::create_dir(root.path().join(core).join("cpufreq")).unwrap();
            fs::write(root.path().join(core).join("cpufreq/cpuinfo_max_freq"), "2000000").unwrap();
        }
        assert_eq!(chosen(&root, 2), (1, vec![1]));
    }

    #[test]
    fn cores_of_a_desktop_are_alike_though_some_are_clocked_higher() {
        let speeds = ["5850000", "5850000", "5500000", "5500000", "5300000", "5300000", "5200000", "5200000"];
        assert_eq!(chosen(&frequencies(&speeds), 8), (8, vec![]));
        let hybrid = ["5100000", "5100000", "5000000", "5000000", "3800000", "3800000"];
        assert_eq!(chosen(&frequencies(&hybrid), 6), (4, vec![0, 1, 2, 3]));
    }

    #[test]
    fn only_allowed_cores_count() {
        let root = capacities(&["250", "250", "250", "250", "870", "870", "870", "1024"]);
        let allowed = |allowed: &[usize], usable| {
            let cores = Cores::from_sysfs(root.path(), allowed, usable);
            (cores.count, cores.fast, cores.kind)
        };
        assert_eq!(allowed(&[0, 1, 2, 3], 4), (4, vec![], "4 of 4 x 250".to_owned()), "an app out of sight");
        assert_eq!(allowed(&[3, 4, 7], 3), (2, vec![4, 7], "3 of 1 x 1024, 1 x 870, 1 x 250".to_owned()));
        // A quota of time for fewer cores than are allowed.
        assert_eq!(allowed(&[0, 4, 5, 6, 7], 2).0, 2);
    }

    #[test]
    fn without_sysfs_all_are_alike() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(Cores::from_sysfs(empty.path(), &[0, 1, 2], 3), Cores::alike(3));
        assert_eq!(Cores::from_sysfs(&empty.path().join("missing"), &[0, 5], 1), Cores::alike(1));
        assert_eq!(Cores::from_sysfs(empty.path(), &[], 0).count, 1);
    }

    #[test]
    fn garbage_says_nothing() {
        for garbage in ["", "fast", "-3", "0", "1e3", "\0\0", "99999999999999999999999"] {
            let root = capacities(&["250", garbage, "1024", "1024"]);
            assert_eq!(chosen(&root, 4), (4, vec![]), "{garbage:?}");
        }
        let root = tree("cpu_capacity", &[Some("250"), None, Some("1024")]);
        assert_eq!(chosen(&root, 3), (3, vec![]), "one core tells nothing");
        fs::write(root.path().join("cpu1/cpu_capacity"), [0xff, 0xfe]).unwrap();
        assert_eq!(chosen(&root, 3), (3, vec![]), "not a text");
        // The largest number there is does not overflow.
        assert_eq!(chosen(&capacities(&["18446744073709551615", "1"]), 2), (1, vec![0]));
    }

    #[test]
    fn in_the_background_workers_go_anywhere() {
        let root = capacities(&["250", "1024"]);
        let cores = Cores::from_sysfs(root.path(), &[0, 1], 2);
        assert_eq!(cores.placement(Priority::Interactive).cores, [1]);
        assert!(cores.placement(Priority::Background).cores.is_empty());
        assert_eq!(cores.placement(Priority::Background).priority, Priority::Background);
    }

    #[test]
    fn this_machine_has_a_core() {
        let cores = Cores::here();
        let most = std::thread::available_parallelism().map_or(1, usize::from);
        assert!((1..=most).contains(&cores.count), "{cores:?}");
        assert_eq!(cores, Cores::here());
    }
}
