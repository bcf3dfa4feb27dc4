//! The Python wheel: the package, the bindings and the library of this machine, in a file that pip installs.

use crate::shell::{self, Result};
use crate::{bindings, native, python};
use std::fs;
use std::path::{Path, PathBuf};

/// Where what the wheel is made of lies, and what of it is copied as it is.
const AS_THEY_ARE: [(&str, &str); 6] = [
    ("bindings/python/pyproject.toml", "pyproject.toml"),
    ("bindings/python/backend.py", "backend.py"),
    ("bindings/python/nibble/__init__.py", "nibble/__init__.py"),
    // By this type checkers know that the package says the types of what it has (PEP 561).
    ("bindings/python/nibble/py.typed", "nibble/py.typed"),
    ("LICENSE", "LICENSE"),
    ("NOTICE", "NOTICE"),
];

/// `cargo xtask wheel`: makes it for this machine, as it ships.
pub fn run() -> Result<()> {
    let wheel = for_release(&shell::root().join("target/xtask/wheel"))?;
    println!("{}", wheel.display());
    Ok(())
}

/// Compiles the library as it ships, and makes a wheel of it in an empty folder; says where the wheel is.
pub fn for_release(folder: &Path) -> Result<PathBuf> {
    let library = native::host_library()?;
    make(&bindings::generate("python", &library)?, &library, folder)
}

/// Makes a wheel of generated bindings and the library that they are for.
pub fn make(generated: &Path, library: &Path, folder: &Path) -> Result<PathBuf> {
    shell::make_empty(folder)?;
    let parts = folder.join("parts");
    shell::make_empty(&parts.join("nibble"))?;
    for (from, to) in AS_THEY_ARE {
        shell::copy(&shell::root().join(from), &parts.join(to))?;
    }
    shell::copy(&generated.join("nibble.py"), &parts.join("nibble/_ffi.py"))?;
    let name = library.file_name().ok_or("the library is no file")?;
    shell::copy(library, &parts.join("nibble").join(name))?;
    let mut pip = shell::command(python::system()?);
    pip.args([
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
        "--wheel-dir",
    ]);
    shell::run(pip.arg(folder).arg(&parts))?;
    let files = fs::read_dir(folder).map_err(|error| format!("reading {}: {error}", folder.display()))?;
    let wheel = files.flatten().map(|file| file.path()).find(|path| path.extension() == Some("whl".as_ref()));
    wheel.ok_or_else(|| format!("pip made no wheel in {}", folder.display()))
}

/// Installs a wheel into a Python of its own and says which that is.
pub fn install(wheel: &Path, folder: &Path) -> Result<PathBuf> {
    shell::run(shell::command(python::system()?).args(["-m", "venv", "--clear"]).arg(folder))?;
    let python = python::interpreter_in(folder);
    let mut pip = shell::command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]);
    shell::run(pip.arg(wheel))?;
    Ok(python)
}
