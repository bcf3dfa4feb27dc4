//! How large what we ship may be.
//!
//! A phone app pays for every byte, so a limit is raised by hand, in a commit that says why.

use crate::table;
use crate::tally::Tally;

/// What the AAR is called here, whatever its version.
pub const AAR: &str = "AAR, without a model";

/// What the package of a sample app is called here, whatever it is and for whatever processor.
pub const APK: &str = "APK of a sample, without a model";

/// What is limited, by name, in bytes.
const LIMITS: [(&str, usize); 3] = [("libnibble_ffi.so, arm64-v8a", 6_000_000), (AAR, 8_000_000), (APK, 10_000_000)];

/// Prints sizes beside their limits; each limit is a check.
pub fn check(sizes: &[(String, usize)]) -> Tally {
    let heading = ["size", "bytes", "at most"].map(str::to_owned).to_vec();
    let rows = sizes.iter().map(|(name, bytes)| {
        let limit = limit(name).map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        vec![name.clone(), bytes.to_string(), limit]
    });
    print!("{}", table::render(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()));
    let mut tally = Tally::default();
    for (name, bytes) in sizes {
        if let Some(limit) = limit(name) {
            tally += Tally::of(*bytes <= limit);
            if *bytes > limit {
                println!("{name} is {} bytes too large", bytes - limit);
            }
        }
    }
    tally
}

fn limit(name: &str) -> Option<usize> {
    LIMITS.iter().find(|(limited, _)| *limited == name).map(|(_, limit)| *limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_reached_and_not_passed() {
        let (name, limit) = (LIMITS[0].0.to_owned(), LIMITS[0].1);
        assert_eq!(check(&[(name.clone(), limit)]), Tally::of(true));
        assert_eq!(check(&[(name, limit + 1)]), Tally::of(false));
    }

    #[test]
    fn what_has_no_limit_is_no_check() {
        assert_eq!(check(&[("SHA256SUMS".to_owned(), usize::MAX)]), Tally::default());
    }
}
