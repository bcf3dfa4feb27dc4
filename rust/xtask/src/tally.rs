//! Counting checks, our own and those that libtest reports.

use crate::shell;
use std::iter::Sum;
use std::ops::AddAssign;
use std::process::Command;

/// How many checks passed, failed and were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
    pub skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    }
}

impl Tally {
    /// One check.
    pub fn of(good: bool) -> Self {
        Self { passed: usize::from(good), failed: usize::from(!good), skipped: 0 }
    }

    /// What was counted; one failure where it did not come to that.
    pub fn within(tests: impl FnOnce() -> shell::Result<Self>) -> Self {
        tests().unwrap_or_else(|message| {
            eprintln!("error: {message}");
            Self::of(false)
        })
    }

    /// Runs a command that is one check: it passes if it exits with success.
    pub fn check(command: &mut Command) -> Self {
        println!("$ {}", shell::line(command));
        let outcome = shell::run(command);
        Self::of(report(outcome))
    }

    /// Runs `cargo test` and counts the tests in it.
    ///
    /// A run that fails without a failed test, because something did not compile or crashed, counts as one failure, and so
    /// does one without a test.
    pub fn suite(command: &mut Command) -> Self {
        Self::suites(command, |line| Some(Self::of_libtest(line)))
    }

    /// Runs tests whose runner counts each of its suites in a line that `read` knows.
    pub fn suites(command: &mut Command, read: fn(&str) -> Option<Self>) -> Self {
        Self::counted(command, |tally, line| *tally += read(line).unwrap_or_default())
    }

    /// Runs the tests of another language, whose runner counts them in lines that `read` knows: the last one has them all.
    pub fn foreign(command: &mut Command, read: fn(&str) -> Option<Self>) -> Self {
        Self::counted(command, |tally, line| *tally = read(line).unwrap_or(*tally))
    }

    /// Runs a command that tests, whose lines `count` knows.
    fn counted(command: &mut Command, count: impl Fn(&mut Self, &str)) -> Self {
        println!("$ {}", shell::line(command));
        let mut tally = Self::default();
        let outcome = shell::run_lines(command, |line| count(&mut tally, line));
        let succeeded = report(outcome);
        if tally == Self::default() || !succeeded && tally.failed == 0 {
            tally.failed = 1;
        }
        tally
    }

    /// What a line of libtest's output counts: nothing, unless it is the one that closes a test binary.
    fn of_libtest(line: &str) -> Self {
        let Some(rest) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return Self::default();
        };
        let mut tally = Self::default();
        for part in rest.1.split("; ") {
            let Some((number, what)) = part.split_once(' ') else { continue };
            let Ok(number) = number.parse() else { continue };
            match what {
                "passed" => tally.passed = number,
                "failed" => tally.failed = number,
                "ignored" => tally.skipped = number,
                _ => {}
            }
        }
        tally
    }
}

fn report(outcome: shell::Result<()>) -> bool {
    match outcome {
        Ok(()) => true,
        Err(message) => {
            eprintln!("error: {message}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_lines_are_counted() {
        let line = "test result: FAILED. 12 passed; 3 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.01s";
        assert_eq!(Tally::of_libtest(line), Tally { passed: 12, failed: 3, skipped: 2 });
    }

    #[test]
    fn other_lines_are_not() {
        for line in
            ["", "running 3 tests", "test result: ok", "test a ... ok", "12 passed; 3 failed", "test result: ok. x"]
        {
            assert_eq!(Tally::of_libtest(line), Tally::default(), "{line}");
        }
    }

    #[test]
    fn tallies_add_up() {
        let tallies = [Tally::of(true), Tally::of(false), Tally { passed: 1, failed: 0, skipped: 4 }];
        let sum: Tally = tallies.into_iter().sum();
        assert_eq!(sum, Tally { passed: 2, failed: 1, skipped: 4 });
    }

    #[cfg(unix)]
    #[test]
    fn a_run_without_a_test_is_a_failure() {
        assert_eq!(Tally::suite(&mut shell::command("true")), Tally::of(false));
    }

    #[test]
    fn a_run_that_dies_is_a_failure() {
        assert_eq!(Tally::suite(&mut shell::command("no-such-program")), Tally { failed: 1, ..Tally::default() });
    }
}
