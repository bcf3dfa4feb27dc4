//! `cargo xtask golden`: remakes the golden vectors, each folder's by the `make.py` in it.

use crate::models;
use crate::python::Python;
use crate::shell::{self, Result};
use std::path::Path;

#[derive(clap::Args)]
pub struct Options {
    /// Only the folders whose path contains this
    #[arg(value_name = "PART")]
    part: Option<String>,
    #[command(flatten)]
    python: Python,
}

/// Runs every script, with the folder that holds the models as its argument.
pub fn run(options: &Options) -> Result<()> {
    let scripts = scripts(options.part.as_deref())?;
    if scripts.is_empty() {
        return Err(format!(
            "no golden vectors are in a folder called like {:?}",
            options.part.as_deref().unwrap_or_default()
        ));
    }
    let models = models::pull_all()?;
    let folder = models.first().and_then(|model| model.file.parent()).ok_or("the registry has no models")?;
    let python = options.python.interpreter()?;
    for script in scripts {
        println!("== {script} ==");
        shell::run(shell::command(&python).arg(Path::new(&script)).arg(folder))?;
    }
    println!("done; `git diff --stat` shows what changed");
    Ok(())
}

/// The scripts in the project, as paths from its root.
fn scripts(part: Option<&str>) -> Result<Vec<String>> {
    let listing = shell::output(shell::command("git").args([
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "*/golden/*make.py",
    ]))?;
    Ok(listing.lines().filter(|path| part.is_none_or(|part| path.contains(part))).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_found_and_chosen() {
        let all = scripts(None).unwrap();
        assert!(all.iter().all(|path| shell::root().join(path).is_file()), "{all:?}");
        assert_eq!(scripts(Some("golden/logits")).unwrap(), ["tests/golden/logits/make.py"]);
        assert!(scripts(Some("no such folder")).unwrap().is_empty());
    }
}
