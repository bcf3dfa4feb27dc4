//! The bindings for Kotlin, Swift and Python: generated from the compiled `nibble-ffi`, and tested through the APIs on top.

use crate::models;
use crate::shell::{self, Result, WORKSPACE};
use crate::tally::Tally;
use std::env::consts;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable in which the tests of all languages find the packed model.
const TEST_MODEL: &str = "NIBBLE_TEST_MODEL";

/// The conformance suite is about this one.
const MODEL: &str = "smollm2-135m-instruct";

/// The library's name, as every system has it.
fn library_file() -> String {
    format!("{}nibble_ffi{}", consts::DLL_PREFIX, consts::DLL_SUFFIX)
}

/// What the tests of a language take: the bindings, the library that they were generated from, and a model.
struct Prepared {
    /// The folder of the generated files.
    generated: PathBuf,
    library: PathBuf,
    model: PathBuf,
}

impl Prepared {
    /// Compiles the library as the other tests do, and generates its bindings.
    fn new(language: &str) -> Result<Self> {
        let model = models::pull_one(MODEL)?.packed.ok_or_else(|| format!("{MODEL} was not packed"))?;
        shell::run(shell::cargo().arg("build").args(WORKSPACE))?;
        let programs = shell::this()?.parent().ok_or("this program lies in no folder")?;
        let library = programs.join(library_file());
        let generated = shell::root().join("target/xtask/bindings").join(language);
        make_empty(&generated)?;
        let generator = programs.join("uniffi-bindgen").with_extension(consts::EXE_EXTENSION);
        let mut generate = shell::command(generator);
        generate.args(["generate", "--no-format", "--language", language, "--out-dir"]).arg(&generated).arg(&library);
        shell::run(&mut generate)?;
        Ok(Self { generated, library, model })
    }
}

/// Runs the conformance suite and the getting-started program through the Python API.
pub fn test_python() -> Tally {
    in_tally(|| {
        let Prepared { generated, library, model } = Prepared::new("python")?;
        let package = generated.join("nibble");
        make_empty(&package)?;
        let sources = shell::root().join("bindings/python");
        move_file(&generated.join("nibble.py"), &package.join("_ffi.py"))?;
        copy(&sources.join("nibble/__init__.py"), &package.join("__init__.py"))?;
        copy(&library, &package.join(library_file()))?;
        let python = |script: &str| -> Result<Command> {
            let mut python = shell::command(crate::python::system()?);
            python.arg(sources.join("tests").join(script)).env("PYTHONPATH", &generated).env(TEST_MODEL, &model);
            Ok(python)
        };
        let mut tally = Tally::suite(&mut python("test_conformance.py")?);
        tally += Tally::check(python("getting_started.py")?.arg(&model));
        Ok(tally)
    })
}

/// What was counted; one failure where it did not come to that.
fn in_tally(tests: impl FnOnce() -> Result<Tally>) -> Tally {
    tests().unwrap_or_else(|message| {
        eprintln!("error: {message}");
        Tally::of(false)
    })
}

fn make_empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("emptying {}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|error| format!("copying {} to {}: {error}", from.display(), to.display()))
}

fn move_file(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| format!("moving {} to {}: {error}", from.display(), to.display()))
}
