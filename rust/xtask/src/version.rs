//! `cargo xtask version`: the version of everything here, which the workspace's Cargo.toml gives, in every file that repeats it.

use crate::shell::{self, Result, VERSION};
use crate::tally::Tally;
use clap::Args;
use std::fs;

#[derive(Args)]
pub struct Options {
    /// The version that everything is to have; without it, the one that it has is shown
    version: Option<String>,
}

/// The files that hold the version, each with the text around it; a file with several such texts has them one behind the other.
const PLACES: [(&str, &str); 20] = [
    ("Cargo.toml", "[workspace.package]\nversion = \"{}\""),
    ("android/gradle.properties", "\nversion={}\n"),
    ("android/nibble/pom.xml", "<artifactId>nibble</artifactId>\n  <version>{}<"),
    ("android/README.md", "nibble-{}.aar"),
    ("android/README.md", "nibble-{}.pom"),
    ("android/README.md", "nibble-{}-sources.jar"),
    ("android/README.md", "nibble-{}-javadoc.jar"),
    ("android/README.md", "dev.nibble:nibble:{}\""),
    ("bindings/python/pyproject.toml", "\nversion = \"{}\""),
    ("examples/android-common/pom.xml", "<artifactId>android-common</artifactId>\n  <version>{}<"),
    ("examples/android-common/pom.xml", "nibble-{}.jar"),
    ("examples/android-keyboard/pom.xml", "<artifactId>android-common</artifactId>\n    <version>{}<"),
    ("examples/android-keyboard/build.gradle.kts", "versionName = \"{}\""),
    ("examples/android-reply/pom.xml", "<artifactId>android-common</artifactId>\n    <version>{}<"),
    ("examples/android-reply/build.gradle.kts", "versionName = \"{}\""),
    ("examples/ios-keyboard/project.yml", "MARKETING_VERSION: \"{}\""),
    ("examples/ios-keyboard/KeyboardSample.xcodeproj/project.pbxproj", "MARKETING_VERSION = {};"),
    ("examples/ios-reply/project.yml", "MARKETING_VERSION: \"{}\""),
    ("examples/ios-reply/ReplySample.xcodeproj/project.pbxproj", "MARKETING_VERSION = {};"),
    ("docs/guides/sizes-and-limits.md", "Numbers are of version {}.\n"),
];

/// Shows the version, or gives everything another one. Either every file is written, or none.
pub fn run(options: &Options) -> Result<()> {
    let Some(version) = &options.version else {
        println!("{VERSION}");
        return Ok(());
    };
    if !is_version(version) {
        return Err(format!("{version} is no version: give three numbers with dots between them, such as 1.2.0"));
    }
    let mut written: Vec<(&str, String)> = Vec::new();
    for (file, around) in PLACES {
        if written.last().is_none_or(|(last, _)| *last != file) {
            written.push((file, read(file)?));
        }
        let (_, text) = written.last_mut().expect("one was just put there");
        let now = around.replace("{}", VERSION);
        if !text.contains(&now) {
            return Err(format!("{file} does not have {now:?}; nothing was written"));
        }
        *text = text.replace(&now, &around.replace("{}", version));
    }
    for (file, text) in &written {
        fs::write(shell::root().join(file), text).map_err(|error| format!("writing {file}: {error}"))?;
        println!("{file}");
    }
    // The lock file names the versions of our own crates too.
    shell::run(shell::cargo().args(["update", "--quiet", "--offline", "--workspace"]))?;
    println!(
        "Now: give what is unreleased in CHANGELOG.md its heading, run `cargo xtask test`, commit, `cargo xtask dist`."
    );
    Ok(())
}

/// Whether every file has the version.
pub fn check() -> Result<Tally> {
    let has = |(file, around): (&str, &str)| {
        let there = read(file)?.contains(&around.replace("{}", VERSION));
        if !there {
            eprintln!("error: {file} does not have {VERSION}, as {around:?}: see `cargo xtask version`");
        }
        Ok(Tally::of(there))
    };
    PLACES.into_iter().map(has).sum()
}

fn read(file: &str) -> Result<String> {
    fs::read_to_string(shell::root().join(file)).map_err(|error| format!("reading {file}: {error}"))
}

/// Three numbers, as all of Cargo, Maven, Python and Apple take them.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number.to_string() == part);
    text.split('.').count() == 3 && text.split('.').all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_the_version() {
        assert_eq!(check().unwrap(), Tally { passed: PLACES.len(), ..Tally::default() });
    }

    #[test]
    fn a_version_is_three_numbers() {
        for good in ["0.1.0", "1.20.3"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1.2", "1.2.3.4", "1.02.3", "v1.2.3", "1.2.3-rc1", "1..3", "1.2.-3", "+1.2.3"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
