//! `cargo xtask reference`: the pages of every language's API, each made by the tool that its developers know, in one folder.

use crate::setup::{self, Need};
use crate::shell::{self, Result, VERSION};
use crate::tally::Tally;
use crate::{bindings, docc};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use zip::ZipArchive;

pub const NEEDS: [Need; 4] = [Need::Maven, Need::Python, Need::Swift, Need::Models];

/// For each language, where its pages begin, and one of them that says what a model is.
const PAGES: [(&str, &str, &str); 4] = [
    ("Kotlin", "kotlin/index.html", "kotlin/dev/nibble/Model.html"),
    ("Swift", "swift/documentation/nibble/index.html", "swift/data/documentation/nibble/model.json"),
    ("Python", "python/nibble.html", "python/nibble.html"),
    ("Rust", "rust/nibble_engine/index.html", "rust/nibble_engine/struct.Model.html"),
];

/// Makes all pages, and says where they are.
pub fn run() -> Result<()> {
    if let Some(unmet) = setup::ensure(&NEEDS).first() {
        return Err(format!("{} is missing: {}", unmet.need, unmet.advice));
    }
    let folder = make()?;
    println!("{}", folder.join("index.html").display());
    println!("The Swift pages want a server: python3 -m http.server --directory {}", folder.display());
    Ok(())
}

/// Makes all pages, and sees that each language has them.
pub fn check() -> Tally {
    Tally::within(|| {
        let folder = make()?;
        let has = |(language, _, page): &(&str, &str, &str)| {
            let there = fs::read_to_string(folder.join(page)).is_ok_and(|text| text.contains("Model"));
            println!("the {language} reference has {page}: {}", if there { "yes" } else { "no" });
            Tally::of(there)
        };
        Ok(PAGES.iter().map(has).sum())
    })
}

/// Makes them, and says in which folder.
pub fn make() -> Result<PathBuf> {
    let folder = shell::root().join("target/reference");
    shell::make_empty(&folder)?;
    shell::run(shell::cargo().args(["doc", "--quiet", "--no-deps", "--workspace", "--all-features", "--lib"]))?;
    copy_all(&shell::root().join("target/doc"), &folder.join("rust"))?;
    unpack(&bindings::javadoc()?, &folder.join("kotlin"))?;
    copy_all(&docc::pages(&bindings::swift_scratch())?, &folder.join("swift"))?;
    let python = folder.join("python");
    shell::make_empty(&python)?;
    let installed = bindings::python_package()?;
    shell::run(shell::command(installed).args(["-m", "pydoc", "-w", "nibble"]).current_dir(&python))?;
    let links: String =
        PAGES.iter().map(|(language, start, _)| format!("<li><a href=\"{start}\">{language}</a></li>\n")).collect();
    let index = format!(
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>Nibble {VERSION}</title>\n<h1>Nibble {VERSION}: API reference</h1>\n\
         <ul>\n{links}</ul>\n"
    );
    fs::write(folder.join("index.html"), index).map_err(|error| format!("writing the index: {error}"))?;
    Ok(folder)
}

/// Copies a folder with all that is in it.
fn copy_all(from: &Path, to: &Path) -> Result<()> {
    let failed = |error| format!("reading {}: {error}", from.display());
    fs::create_dir_all(to).map_err(|error| format!("creating {}: {error}", to.display()))?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() { copy_all(&path, &place)? } else { shell::copy(&path, &place)? }
    }
    Ok(())
}

/// Unpacks an archive into a folder.
fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| format!("unpacking {}: {error}", archive.display());
    let file = File::open(archive).map_err(|error| failed(&error))?;
    ZipArchive::new(file).and_then(|mut zip| zip.extract(folder)).map_err(|error| failed(&error))
}
