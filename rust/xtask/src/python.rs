//! A Python with llama.cpp in it: the peer that golden vectors come from and benchmarks measure against.

use crate::shell::{self, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Packages and their versions.
const REQUIREMENTS: &str = "rust/xtask/python/requirements.txt";

/// llama.cpp is built for this processor, but without AMX, with which version 0.3.36 ends by SIGSEGV, and which is a matrix unit that no
/// phone has.
const WITHOUT_AMX: &str = "-mno-amx-tile -mno-amx-int8 -mno-amx-bf16";

#[derive(clap::Args)]
pub struct Python {
    /// A Python that has the packages of rust/xtask/python/requirements.txt; without it, one is set up under target/
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
}

impl Python {
    /// The interpreter; sets it up if it is not there, which builds llama.cpp and takes some ten minutes the first time.
    pub fn interpreter(&self) -> Result<PathBuf> {
        self.python.clone().map_or_else(set_up, Ok)
    }
}

fn set_up() -> Result<PathBuf> {
    let folder = shell::root().join("target/python");
    let interpreter = interpreter_in(&folder);
    let wanted = shell::root().join(REQUIREMENTS);
    // Written last, so that a set-up that was cut short is not taken for a finished one.
    let installed = folder.join("installed.txt");
    if same_text(&wanted, &installed) {
        return Ok(interpreter);
    }
    println!("setting up Python with llama.cpp in {}; building it takes some ten minutes", folder.display());
    shell::run(shell::command(system()?).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = shell::command(&interpreter);
    install.args(["-m", "pip", "install", "--requirement"]).arg(&wanted);
    if cfg!(all(target_arch = "x86_64", target_os = "linux")) {
        install.envs([("CFLAGS", WITHOUT_AMX), ("CXXFLAGS", WITHOUT_AMX)]);
    }
    shell::run(&mut install)?;
    fs::copy(&wanted, &installed).map_err(|error| format!("writing {}: {error}", installed.display()))?;
    Ok(interpreter)
}

/// Whether it is there, with what makes environments and installs into them.
pub fn is_whole() -> bool {
    let has = |module: &str| {
        system().is_ok_and(|python| shell::works(shell::command(python).args(["-m", module, "--version"])))
    };
    ["pip", "ensurepip"].into_iter().all(has)
}

/// The Python of an environment that `venv` made.
pub fn interpreter_in(environment: &Path) -> PathBuf {
    environment.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" })
}

/// The Python of this machine.
pub fn system() -> Result<&'static str> {
    let installed = ["python3", "python"].into_iter().find(|name| shell::find(name).is_some());
    installed.ok_or_else(|| "install Python 3.11 or later".to_owned())
}

fn same_text(one: &Path, other: &Path) -> bool {
    matches!((fs::read(one), fs::read(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned() {
        let text = fs::read_to_string(shell::root().join(REQUIREMENTS)).unwrap();
        let packages: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(packages.iter().any(|line| line.starts_with("llama-cpp-python==")));
        assert!(packages.iter().all(|line| line.contains("==")), "{packages:?}");
    }

    #[test]
    fn a_missing_file_is_like_no_other() {
        let here = shell::root().join(REQUIREMENTS);
        assert!(same_text(&here, &here));
        assert!(!same_text(&here, &here.with_extension("none")));
    }
}
