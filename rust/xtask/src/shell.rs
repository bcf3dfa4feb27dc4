//! Running other programs: found on the PATH, started in the project's root, never waiting for a person.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, Instant};

/// A sentence for the person at the terminal: what went wrong, with what, what to do.
pub type Result<T> = std::result::Result<T, String>;

/// The project's root folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("this crate lives in rust/xtask")
}

/// A command in the project's root, with no standard input: nothing that runs here may wait for an answer.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// All that `cargo build` and `cargo test` shall compile here. One selection for all: cargo unites the features that a
/// selection asks of its dependencies, and another selection would compile the largest of them again.
pub const WORKSPACE: [&str; 5] = ["--workspace", "--all-features", "--lib", "--bins", "--tests"];

/// Where this program lies. Asked for at its start ([`remember_this`]): what it starts may compile it anew and put the result
/// in its place, and from then on Linux names the file of the running program as one that is deleted.
pub fn this() -> Result<&'static Path> {
    THIS.as_deref().map_err(Clone::clone)
}

/// To be called first in `main`.
pub fn remember_this() {
    LazyLock::force(&THIS);
}

static THIS: LazyLock<Result<PathBuf>> =
    LazyLock::new(|| env::current_exe().map_err(|error| format!("finding the program that runs: {error}")));

/// The first executable of this name on the PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// A folder with nothing in it, whatever was there.
pub fn make_empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| format!("emptying {}: {error}", folder.display()))?;
    }
    fs::create_dir_all(folder).map_err(|error| format!("creating {}: {error}", folder.display()))
}

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map(drop).map_err(|error| format!("copying {} to {}: {error}", from.display(), to.display()))
}

/// The version of everything here, which the workspace's Cargo.toml gives.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The command as a person would type it: arguments, and the variables that were set for it.
pub fn line(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_string_lossy(), quoted(&value?.to_string_lossy()))));
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args()).map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains([' ', '"', '*']) { format!("'{word}'") } else { word.to_owned() }
}

/// Runs it with its output going straight through.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    succeeded(command, status)
}

/// Runs it and returns its standard output; errors go straight through.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| cannot_start(command, &error))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether it runs and succeeds; nothing is shown.
pub fn works(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Runs it with its output going straight through, and hands every line of standard output to `visit` as well.
pub fn run_lines(command: &mut Command, mut visit: impl FnMut(&str)) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(|error| cannot_start(command, &error))?;
    let mut output = BufReader::new(child.stdout.take().expect("standard output is piped"));
    let mut bytes = Vec::new();
    // Bytes, not `lines()`: a test may print what is not UTF-8.
    while output.read_until(b'\n', &mut bytes).map_err(|error| format!("reading from {}: {error}", line(command)))? > 0
    {
        let text = String::from_utf8_lossy(&bytes);
        print!("{text}");
        visit(text.trim_end());
        bytes.clear();
    }
    let status = child.wait().map_err(|error| format!("waiting for {}: {error}", line(command)))?;
    succeeded(command, status)
}

/// As [`run`], but stops it after `limit`: a network that swallows packets must not hang a build.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let mut child = command.spawn().map_err(|error| cannot_start(command, &error))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("waiting for {}: {error}", line(command)))? {
            return succeeded(command, status);
        }
        if start.elapsed() > limit {
            // It may have ended by itself in the meantime, which is as good.
            child.kill().ok();
            child.wait().ok();
            return Err(format!("{} did not finish in {} seconds", line(command), limit.as_secs()));
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start {}: {error}", command.get_program().to_string_lossy())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", line(command))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_can_be_typed_again() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "--config", "a b"]).env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(line(&command), "RUSTDOCFLAGS='-D warnings' cargo test --config 'a b'");
    }

    #[test]
    fn the_root_is_the_workspace() {
        assert!(root().join("Cargo.lock").is_file());
    }

    #[test]
    fn a_missing_program_is_named() {
        let message = run(&mut command("no-such-program")).unwrap_err();
        assert!(message.contains("no-such-program"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_hangs_is_stopped() {
        let message = run_within(command("sleep").arg("60"), Duration::ZERO).unwrap_err();
        assert_eq!(message, "sleep 60 did not finish in 0 seconds");
    }

    #[cfg(unix)]
    #[test]
    fn lines_are_seen_even_when_they_are_not_text() {
        let mut seen = Vec::new();
        run_lines(command("printf").arg(r"one\n\377\nlast"), |line| seen.push(line.to_owned())).unwrap();
        assert_eq!(seen, ["one", "\u{FFFD}", "last"]);
    }
}
