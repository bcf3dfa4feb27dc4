//! `cargo xtask dist`: everything that a release consists of, made, checked and weighed, in `dist/`.
//!
//! It is put together aside and renamed at the end, so that there is a whole one or none.

use crate::ios::SLICES;
use crate::native;
use crate::setup::{self, ANDROID, ANDROID_PC, IOS, IOS_SIMULATOR, IOS_SIMULATOR_PC, Need};
use crate::shell::{self, Result, VERSION};
use crate::tally::Tally;
use crate::{android, bindings, budget, ios, reference, sbom, version, wheel};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

const NEEDS: [Need; 11] = [
    Need::Std(ANDROID),
    Need::Std(ANDROID_PC),
    Need::Std(IOS),
    Need::Std(IOS_SIMULATOR),
    Need::Std(IOS_SIMULATOR_PC),
    Need::AndroidLinker,
    Need::Nm,
    Need::Maven,
    Need::Python,
    Need::Swift,
    Need::Models,
];

/// The Swift package without its native library, which lies beside it.
const SWIFT_PACKAGE: [&str; 7] = [
    "Package.swift",
    "LICENSE",
    "NOTICE",
    "ios/README.md",
    "ios/Sources",
    "bindings/swift/NibbleFFI",
    "bindings/swift/CNibble",
];

/// Makes everything.
pub fn run() -> Result<()> {
    if let Some(unmet) = setup::ensure(&NEEDS).first() {
        return Err(format!("{} is missing: {}", unmet.need, unmet.advice));
    }
    let mut tally = version::check()?;
    let partial = shell::root().join("dist.partial");
    shell::make_empty(&partial)?;
    tally += kotlin(&partial)?;
    tally += swift(&partial)?;
    let scratch = shell::root().join("target/xtask/wheel");
    into(&partial, &wheel::for_release(&scratch)?)?;
    zip(&reference::make()?, &["."], &partial.join(format!("nibble-{VERSION}-reference.zip")))?;
    let parts = sbom::parts()?;
    write(&partial.join(format!("nibble-{VERSION}.cdx.json")), &format!("{:#}\n", sbom::bill(&parts)))?;
    write(&partial.join("THIRD-PARTY-LICENSES.txt"), &sbom::notices(&parts)?)?;
    for name in ["LICENSE", "NOTICE"] {
        into(&partial, &shell::root().join(name))?;
    }
    write(&partial.join("SHA256SUMS"), &sums(&partial)?)?;
    tally += budget::check(&sizes(&partial)?);
    if tally.failed > 0 {
        return Err(format!("{} checks failed; what was made is in {}", tally.failed, partial.display()));
    }
    let whole = shell::root().join("dist");
    if whole.exists() {
        fs::remove_dir_all(&whole).map_err(|error| format!("removing {}: {error}", whole.display()))?;
    }
    fs::rename(&partial, &whole).map_err(|error| format!("renaming {}: {error}", partial.display()))?;
    println!("{}", whole.display());
    Ok(())
}

/// The AAR and what Maven Central wants beside it.
fn kotlin(folder: &Path) -> Result<Tally> {
    let mut tally = android::all()?;
    let library = native::host_library()?;
    tally += bindings::test_aar(&bindings::generate("kotlin", &library)?, &library);
    for end in [".aar", ".pom", "-sources.jar", "-javadoc.jar"] {
        into(folder, &android::made(end))?;
    }
    Ok(tally)
}

/// The XCFramework and the package that names it.
fn swift(folder: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut libraries = Vec::new();
    for slice in &SLICES {
        let library = slice.build()?;
        tally += slice.check(&library)?;
        libraries.push(library);
    }
    tally += ios::check_privacy(&libraries);
    let scratch = shell::root().join("target/xtask/ios");
    ios::xcframework(&scratch, &libraries)?;
    zip(&scratch, &["CNibble.xcframework"], &folder.join("CNibble.xcframework.zip"))?;
    zip(shell::root(), &SWIFT_PACKAGE, &folder.join(format!("nibble-{VERSION}-swift.zip")))?;
    Ok(tally)
}

/// Copies a file into a folder, by its own name.
fn into(folder: &Path, file: &Path) -> Result<()> {
    shell::copy(file, &folder.join(file.file_name().ok_or_else(|| format!("{} is no file", file.display()))?))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("writing {}: {error}", path.display()))
}

/// Packs files and folders under a root, by name and without the time, so that the same files give the same bytes.
fn zip(root: &Path, members: &[&str], archive: &Path) -> Result<()> {
    let packed = || -> io::Result<()> {
        let mut files = Vec::new();
        members.iter().try_for_each(|member| collect(&root.join(member), &mut files))?;
        files.sort();
        let mut zip = ZipWriter::new(File::create(archive)?);
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        for file in files {
            let name = file.strip_prefix(root).map_err(io::Error::other)?;
            zip.start_file(name.to_string_lossy().replace('\\', "/"), options)?;
            zip.write_all(&fs::read(&file)?)?;
        }
        zip.finish().map(drop).map_err(Into::into)
    };
    packed().map_err(|error| format!("packing {}: {error}", archive.display()))
}

/// The files under a path, itself if it is one.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if path.is_dir() {
        fs::read_dir(path)?.try_for_each(|entry| collect(&entry?.path(), files))
    } else {
        files.push(path.to_owned());
        Ok(())
    }
}

/// The files of a folder, by name.
fn files_of(folder: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let mut paths = Vec::new();
    collect(folder, &mut paths).map_err(|error| format!("reading {}: {error}", folder.display()))?;
    paths.sort();
    let read = |path: PathBuf| {
        let bytes = fs::read(&path).map_err(|error| format!("reading {}: {error}", path.display()))?;
        Ok((path.file_name().unwrap_or_default().to_string_lossy().into_owned(), bytes))
    };
    paths.into_iter().map(read).collect()
}

/// The lines that `sha256sum --check` reads.
fn sums(folder: &Path) -> Result<String> {
    let line = |(name, bytes): (String, Vec<u8>)| {
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{digest}  {name}\n")
    };
    Ok(files_of(folder)?.into_iter().map(line).collect())
}

fn sizes(folder: &Path) -> Result<Vec<(String, usize)>> {
    let name = |name: String| if name.ends_with(".aar") { budget::AAR.to_owned() } else { name };
    Ok(files_of(folder)?.into_iter().map(|(file, bytes)| (name(file), bytes.len())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_archive_and_sums_that_can_be_checked() {
        let folder = shell::root().join("target/xtask/test-dist");
        shell::make_empty(&folder.join("in/sub")).unwrap();
        write(&folder.join("in/b"), "b").unwrap();
        write(&folder.join("in/sub/a"), "a").unwrap();
        let archive = |name: &str| {
            let path = folder.join(name);
            zip(&folder, &["in/sub", "in/b"], &path).unwrap();
            fs::read(path).unwrap()
        };
        let first = archive("first.zip");
        write(&folder.join("in/b"), "b").unwrap();
        assert_eq!(first, archive("second.zip"));
        let read = zip::ZipArchive::new(io::Cursor::new(first)).unwrap();
        let mut names: Vec<_> = read.file_names().map(|name| name.unwrap()).collect();
        names.sort_unstable();
        assert_eq!(names, ["in/b", "in/sub/a"]);
        let expected = "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d  b\n";
        assert!(sums(&folder.join("in")).unwrap().contains(expected));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn all_of_the_swift_package_is_there() {
        for member in SWIFT_PACKAGE {
            assert!(shell::root().join(member).exists(), "{member}");
        }
    }
}
