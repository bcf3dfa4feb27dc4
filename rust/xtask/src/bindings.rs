//! The bindings for Kotlin, Swift and Python: generated from the compiled `nibble-ffi`, and tested through the APIs on top.

use crate::shell::{self, Result, VERSION};
use crate::tally::Tally;
use crate::{android, models, native, setup, wheel, xcode};
use std::env::consts;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable in which the tests of all languages find the packed model, and those in which the ones of the samples find the GGUF file
/// that it was packed from and the word list.
const TEST_MODEL: &str = "NIBBLE_TEST_MODEL";
const TEST_GGUF: &str = "NIBBLE_TEST_GGUF";
const TEST_LEXICON: &str = "NIBBLE_TEST_LEXICON";

/// The conformance suite is about this one.
const MODEL: &str = "smollm2-135m-instruct";

/// The library's name, as every system has it.
fn library_file() -> String {
    format!("{}nibble_ffi{}", consts::DLL_PREFIX, consts::DLL_SUFFIX)
}

/// What the tests of a language take: the bindings, the library that they were generated from, a model, and a word list.
pub struct Prepared {
    /// The folder of the generated files.
    pub generated: PathBuf,
    pub library: PathBuf,
    model: PathBuf,
    gguf: PathBuf,
    lexicon: PathBuf,
}

impl Prepared {
    /// Compiles everything as the other tests do, the library among it, and generates its bindings.
    pub fn new(language: &str) -> Result<Self> {
        let pulled = models::pull_all()?.into_iter().find(|model| model.name == MODEL);
        let (gguf, model) = pulled
            .and_then(|model| Some((model.file, model.packed?)))
            .ok_or_else(|| format!("{MODEL} was not packed"))?;
        let lexicon = models::pull_lexicon()?;
        let programs = shell::this()?.parent().ok_or("this program lies in no folder")?;
        let library = programs.join(library_file());
        let generator = programs.join("uniffi-bindgen").with_extension(consts::EXE_EXTENSION);
        let generated = generate_with(shell::command(generator), language, &library)?;
        Ok(Self { generated, library, model, gguf, lexicon })
    }

    /// Tells the tests where the files are.
    fn show<'a>(&self, tests: &'a mut Command) -> &'a mut Command {
        tests.env(TEST_MODEL, &self.model).env(TEST_GGUF, &self.gguf).env(TEST_LEXICON, &self.lexicon)
    }

    /// Runs the tests of a Maven build that goes over the library, and counts them.
    pub fn test_by_maven(&self, maven: &mut Command) -> Tally {
        tests(self.show(maven), &self.library)
    }

    /// Runs the tests of a Swift package over the library, and counts them. What is built lies in a folder.
    fn test_by_swift(&self, package: &str, scratch: &Path) -> Result<Tally> {
        let folder = |file: &Path| {
            file.parent().map(Path::to_owned).ok_or_else(|| format!("{} lies in no folder", file.display()))
        };
        let (library, model) = (folder(&self.library)?, folder(&self.model)?);
        let mut swift = setup::swift(&[&library, &model, &folder(&self.gguf)?, &folder(&self.lexicon)?])?;
        swift.args(["test", "--quiet", "--package-path", package, "--scratch-path"]).arg(scratch);
        swift.arg("-Xlinker").arg(format!("-L{}", library.display()));
        if cfg!(target_os = "linux") {
            // Debian's library of `Observation` wants a symbol that no other library has, and never calls it.
            swift.args(["-Xlinker", "--allow-shlib-undefined"]);
        }
        swift.env("LD_LIBRARY_PATH", &library);
        Ok(Tally::foreign(self.show(&mut swift), of_xctest))
    }
}

/// Generates the bindings of a library; says in which folder they are. For what ships: tests have the generator compiled already.
pub fn generate(language: &str, library: &Path) -> Result<PathBuf> {
    let mut generator = shell::cargo();
    generator.args(["run", "--quiet", "-p", "nibble-uniffi-bindgen", "--"]);
    generate_with(generator, language, library)
}

fn generate_with(mut generator: Command, language: &str, library: &Path) -> Result<PathBuf> {
    let generated = shell::root().join("target/xtask/bindings").join(language);
    shell::make_empty(&generated)?;
    generator.args(["generate", "--no-format", "--language", language, "--out-dir"]).arg(&generated).arg(library);
    shell::run(&mut generator)?;
    Ok(generated)
}

/// Runs the conformance suite and the programs of the pages through the Python API, installed from its wheel.
pub fn test_python() -> Tally {
    Tally::within(|| {
        let Prepared { generated, library, model, .. } = Prepared::new("python")?;
        let installed = install_package(&generated, &library)?;
        let python = |script: &str| {
            let mut python = shell::command(&installed);
            python.arg(shell::root().join("bindings/python/tests").join(script)).env(TEST_MODEL, &model);
            python
        };
        let mut tally = Tally::suite(&mut python("test_conformance.py"));
        tally += Tally::check(&mut python("test_package.py"));
        Ok(tally)
    })
}

/// The Python that has the package of this machine installed.
pub fn python_package() -> Result<PathBuf> {
    let Prepared { generated, library, .. } = Prepared::new("python")?;
    install_package(&generated, &library)
}

/// Installs the package from its wheel; says with which Python.
fn install_package(generated: &Path, library: &Path) -> Result<PathBuf> {
    let folder = shell::root().join("target/xtask/wheel-test");
    let wheel = wheel::make(generated, library, &folder)?;
    wheel::install(&wheel, &folder.join("venv"))
}

/// The archive of the Kotlin API's pages, which the Maven build makes.
pub fn javadoc() -> Result<PathBuf> {
    let Prepared { generated, .. } = Prepared::new("kotlin")?;
    shell::run(maven("package", &generated).arg("-DskipTests"))?;
    Ok(shell::root().join(format!("target/android/nibble-{VERSION}-javadoc.jar")))
}

/// Runs the tests of the Kotlin API on the JVM, by the Maven build.
pub fn test_kotlin() -> Tally {
    Tally::within(|| {
        let prepared = Prepared::new("kotlin")?;
        Ok(prepared.test_by_maven(&mut maven("verify", &prepared.generated)))
    })
}

/// Runs the tests of the Kotlin API on an emulated aarch64 processor, with the library for that. What the conformance suite expects was
/// written down on an x86-64.
pub fn test_kotlin_on_arm() -> Tally {
    Tally::within(|| {
        let prepared = Prepared { library: native::arm_linux_library()?, ..Prepared::new("kotlin")? };
        // Surefire knows a JVM by the end of its path.
        let java = setup::arm_java(&shell::root().join("target/xtask/arm-jvm/bin"), "max")?;
        let mut maven = maven("test", &prepared.generated);
        maven.arg(define("jvm", &java)).arg("-Dnibble.emulated=true").arg(PROCESSOR_TESTS);
        Ok(prepared.test_by_maven(&mut maven))
    })
}

/// The tests in which a processor has a say: every call, and the files that it computes. Coroutines are the same on all, and ten times as
/// slow on an emulated one.
const PROCESSOR_TESTS: &str = "-Dtest=ConformanceTest,SnapshotTest,ModelStoreTest,AndroidTest";

/// Makes the AAR with the libraries for phones, and tests that with a library of this machine.
pub fn test_aar(generated: &Path, library: &Path) -> Tally {
    let mut maven = maven("verify", generated);
    // Of the other tests that which is about the AAR too: it compares the two builds that make it.
    maven.arg("-Dtest=GradleBuildTest").arg(define("nibble.jni", &android::jni_folder()));
    tests(&mut maven, library)
}

/// Runs the tests of a Maven build over a library of this machine, and counts them.
fn tests(maven: &mut Command, library: &Path) -> Tally {
    maven.arg(COUNTS).arg(define("nibble.library", library.parent().unwrap_or(library)));
    Tally::suites(maven, of_surefire)
}

/// The command that builds the Kotlin API up to a phase, with the bindings in a folder; `verify` also makes the AAR, and tests that.
pub fn maven(phase: &str, generated: &Path) -> Command {
    let mut maven = shell::command("mvn");
    maven.args(["-q", "-B", "-ntp", "-f", POM, phase]).arg(define("nibble.bindings", generated));
    maven
}

/// The argument that gives the Maven build a path.
pub fn define(name: &str, path: &Path) -> String {
    format!("-D{name}={}", path.display())
}

/// The Maven build of the Kotlin API.
const POM: &str = "android/nibble/pom.xml";

/// Has Maven say how many tests there were, also where it is quiet about all else: Surefire, and Failsafe, which tests the AAR.
const COUNTS: &str = "-Dorg.slf4j.simpleLogger.log.org.apache.maven.plugin=info";

/// The committed Swift bindings: what is generated, and where it belongs.
const SWIFT: [(&str, &str); 2] = [
    ("NibbleFFI.swift", "bindings/swift/NibbleFFI/NibbleFFI.swift"),
    ("CNibble.h", "bindings/swift/CNibble/CNibble.h"),
];

/// `cargo xtask bindings`: remakes the committed bindings.
pub fn commit_swift() -> Result<()> {
    let Prepared { generated, .. } = Prepared::new("swift")?;
    SWIFT.iter().try_for_each(|(name, place)| shell::copy(&generated.join(name), &shell::root().join(place)))
}

/// Where the Swift package is built.
pub fn swift_scratch() -> PathBuf {
    shell::root().join("target/xtask/swift")
}

/// Sees that the committed Swift bindings are those of the library, and runs the tests of the Swift API.
pub fn test_swift() -> Tally {
    Tally::within(|| {
        let prepared = Prepared::new("swift")?;
        let mut tally = Tally::default();
        for (name, place) in SWIFT {
            let same = fs::read(prepared.generated.join(name)).ok() == fs::read(shell::root().join(place)).ok();
            println!("{place} is what is generated: {}", if same { "yes" } else { "no; run `cargo xtask bindings`" });
            tally += Tally::of(same);
        }
        tally += prepared.test_by_swift(".", &swift_scratch())?;
        Ok(tally)
    })
}

/// Runs the tests of the sample apps for iOS, and looks through their projects.
pub fn test_swift_samples() -> Tally {
    Tally::within(|| {
        let mut tally = xcode::check()?;
        let scratch = shell::root().join("target/xtask/swift-samples");
        tally += Prepared::new("swift")?.test_by_swift("examples", &scratch)?;
        Ok(tally)
    })
}

/// `Tests run: 59, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.5 s -- in dev.nibble.ApiTest`; the sum of all has no time.
fn of_surefire(line: &str) -> Option<Tally> {
    let counts = line.split_once("Tests run: ")?.1.split_once(", Time elapsed")?.0;
    let mut numbers = counts.split(", ").map(|part| part.rsplit(' ').next()?.parse::<usize>().ok());
    let [run, failures, errors, skipped] = std::array::from_fn(|_| numbers.next().flatten());
    let (failed, skipped) = (failures? + errors?, skipped?);
    Some(Tally { passed: run?.checked_sub(failed + skipped)?, failed, skipped })
}

/// `Executed 19 tests, with 2 tests skipped and 1 failure (0 unexpected) in 51.0 (51.0) seconds`
fn of_xctest(line: &str) -> Option<Tally> {
    let (run, rest) = line.trim_start().strip_prefix("Executed ")?.split_once(" test")?;
    let number_before = |what: &str| rest.split_once(what)?.0.rsplit(' ').next()?.parse::<usize>().ok();
    let skipped = number_before(" tests skipped").or_else(|| number_before(" test skipped")).unwrap_or(0);
    let failed = number_before(" failure")?;
    Some(Tally { passed: run.parse::<usize>().ok()?.checked_sub(failed + skipped)?, failed, skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_other_runners_are_read() {
        let line = "[ERROR] Tests run: 59, Failures: 1, Errors: 2, Skipped: 3, Time elapsed: 1.2 s <<< FAILURE! -- in dev.nibble.ApiTest";
        assert_eq!(of_surefire(line), Some(Tally { passed: 53, failed: 3, skipped: 3 }));
        assert_eq!(of_surefire("[INFO] Tests run: 59, Failures: 0, Errors: 0, Skipped: 0"), None, "the sum of all");
        assert_eq!(of_surefire("[INFO] Running dev.nibble.ApiTest"), None);
        let line = "\t Executed 19 tests, with 0 failures (0 unexpected) in 51.0 (51.0) seconds";
        assert_eq!(of_xctest(line), Some(Tally { passed: 19, failed: 0, skipped: 0 }));
        let line = "Executed 1 test, with 1 failure (1 unexpected) in 0.1 (0.1) seconds";
        assert_eq!(of_xctest(line), Some(Tally { passed: 0, failed: 1, skipped: 0 }));
        let line = "Executed 5 tests, with 2 tests skipped and 1 failure (0 unexpected) in 0.1 (0.1) seconds";
        assert_eq!(of_xctest(line), Some(Tally { passed: 2, failed: 1, skipped: 2 }));
        let line = "Executed 5 tests, with 1 test skipped and 0 failures (0 unexpected) in 0.1 (0.1) seconds";
        assert_eq!(of_xctest(line), Some(Tally { passed: 4, failed: 0, skipped: 1 }));
        assert_eq!(of_xctest("Test Suite 'All tests' passed"), None);
    }
}
