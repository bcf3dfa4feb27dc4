//! `cargo xtask pc`: runs a statically linked x86-64 Linux program on an emulated CPU that has every tier of instructions.
//!
//! No emulator of Linux programs knows AVX-512. Bochs does, and it emulates a whole PC: our own ROM (`rust/xtask/bochs`)
//! stands for firmware and operating system, and a disk image holds the program. cargo calls this as a runner of tests.

use crate::setup;
use crate::shell::{self, Result, root};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::{env, fs};

#[derive(clap::Args)]
pub struct Options {
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The disk as `machine.c` knows it: sectors, and from which one on the program lies.
const SECTOR: usize = 512;
const FILE_AT: usize = 128;

/// Sectors are read this many at a time, so that there have to be as many.
const READ: usize = 256;

/// Bochs wants whole cylinders: 16 heads, 63 sectors.
const CYLINDER: usize = 16 * 63 * SECTOR;

/// The variables that a test program looks at.
const PASSED_ON: [&str; 3] = ["NIBBLE_", "PROPTEST_", "RUST_"];

/// A machine that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(600);

/// Runs the program; Ok if it exits with success.
pub fn run(options: &Options) -> Result<()> {
    let folder = root().join("target/xtask/pc");
    fs::create_dir_all(&folder).map_err(|error| format!("creating {}: {error}", folder.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        fs::write(folder.join(name), bytes).map_err(|error| format!("writing {name} in {}: {error}", folder.display()))
    };
    let elf = fs::read(&options.program).map_err(|error| format!("reading {}: {error}", options.program.display()))?;
    let environment = env::vars()
        .filter(|(name, _)| PASSED_ON.iter().any(|prefix| name.starts_with(prefix)))
        .map(|(name, value)| format!("{name}={value}"));
    let arguments = std::iter::once("program".to_owned()).chain(options.arguments.iter().cloned());
    write("disk", &disk(&elf, arguments, environment)?)?;
    let cpu = format!("cpu: model={CPU}, ips=100000000, reset_on_triple_fault=0\n");
    write("bochsrc", (CONFIGURATION.to_owned() + &cpu).as_bytes())?;
    // Debian's Bochs has a debugger, which asks what to do.
    write("commands", b"continue\n")?;
    build_rom(&folder)?;

    let mut bochs = setup::bochs().ok_or("there is no Bochs; `cargo xtask setup` says what is missing")?;
    bochs.args(["-q", "-f", "bochsrc", "-rc", "commands"]).current_dir(&folder).env("TERM", "linux");
    let mut child = bochs
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot start Bochs: {error}"))?;
    let output = BufReader::new(child.stdout.take().expect("standard output is piped"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || output.split(b'\n').map_while(|line| line.ok()).try_for_each(|line| sender.send(line)));
    let mut program = Program::default();
    let ended = loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => {
                if let Some(line) = program.hear(&String::from_utf8_lossy(&line)) {
                    println!("{line}");
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break Ok(()),
            Err(mpsc::RecvTimeoutError::Timeout) => break Err(format!("no word for {} seconds", SILENCE.as_secs())),
        }
    };
    // It takes other signals for a wish to debug; and it may have ended.
    child.kill().ok();
    child.wait().ok();
    ended?;
    match program.code {
        Some(0) => Ok(()),
        Some(code) => Err(format!("{} exited with {code}", options.program.display())),
        None => Err(format!("{} crashed; {} says where", options.program.display(), folder.join("log").display())),
    }
}

/// The CPU, by Bochs's name: the only one that has both AVX-512 and AVX-VNNI.
pub const CPU: &str = "sapphire_rapids";

const CONFIGURATION: &str = "\
display_library: term
romimage: file=rom, address=0xffff0000
vgaromimage: file=rom
memory: guest=1024, host=1024
ata0-master: type=disk, path=disk, mode=flat, cylinders=0
port_e9_hack: enabled=1
log: log
panic: action=fatal
";

/// Compiles the ROM: 64 KiB that end at the top of the first megabyte, and of the last one.
fn build_rom(folder: &Path) -> Result<()> {
    let mut compile = shell::command("cc");
    compile.args(["-O2", "-ffreestanding", "-mgeneral-regs-only", "-fno-stack-protector", "-fcf-protection=none"]);
    compile.args(["-fno-asynchronous-unwind-tables", "-fno-pic", "-no-pie", "-static", "-nostdlib"]);
    compile.args(["-Wl,-N,--build-id=none,-e,0,--oformat=binary,-Ttext=0xf0000,-Tbss=0x10000"]);
    compile.args(["-Wl,--section-start=.reset=0xffff0", "-o"]).arg(folder.join("rom"));
    shell::run(compile.args(["rust/xtask/bochs/start.S", "rust/xtask/bochs/machine.c"]))
}

/// The image of the disk.
fn disk(
    elf: &[u8],
    arguments: impl Iterator<Item = String>,
    environment: impl Iterator<Item = String>,
) -> Result<Vec<u8>> {
    let sectors = (FILE_AT + elf.len().div_ceil(SECTOR)).next_multiple_of(READ);
    let mut disk = u32::try_from(sectors).map_err(|_| "the program is too large")?.to_le_bytes().to_vec();
    for words in [arguments.collect::<Vec<_>>(), environment.collect()] {
        for word in words.iter().filter(|word| !word.is_empty()) {
            disk.extend(word.bytes());
            disk.push(0);
        }
        disk.push(0);
    }
    if disk.len() > FILE_AT * SECTOR {
        return Err("the arguments and the environment are too long".to_owned());
    }
    disk.resize(FILE_AT * SECTOR, 0);
    disk.extend(elf);
    disk.resize((sectors * SECTOR).next_multiple_of(CYLINDER), 0);
    Ok(disk)
}

/// What is heard of the program among what Bochs says.
#[derive(Default)]
struct Program {
    runs: bool,
    code: Option<u8>,
}

impl Program {
    /// Takes a line of output; returns it if it is the program's.
    fn hear<'a>(&mut self, line: &'a str) -> Option<&'a str> {
        if !self.runs {
            self.runs = line == "start";
            return None;
        }
        if self.code.is_none() {
            self.code = line.strip_prefix("exit ").and_then(|code| code.parse().ok());
            return self.code.is_none().then_some(line);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_told_from_the_emulator() {
        let mut program = Program::default();
        let lines = ["Bochs", "exit 001", "start", "running 1 test", "exit soon", "", "exit 101", "Bochs is exiting"];
        let heard: Vec<_> = lines.iter().filter_map(|line| program.hear(line)).collect();
        assert_eq!(heard, ["running 1 test", "exit soon", ""]);
        assert_eq!(program.code, Some(101));
    }

    #[test]
    fn a_disk_has_the_words_and_then_the_program_in_whole_cylinders() {
        let words = |words: &'static [&'static str]| words.iter().map(|&word| word.to_owned());
        let disk = disk(b"ELF", words(&["a", "--b"]), words(&["C=d"])).unwrap();
        assert!(disk.starts_with(b"\x00\x01\x00\x00a\0--b\0\0C=d\0\0\0"));
        assert_eq!(&disk[FILE_AT * SECTOR..][..4], b"ELF\0");
        assert_eq!(disk.len() % CYLINDER, 0);
        let long = "x".repeat(FILE_AT * SECTOR);
        assert!(super::disk(b"ELF", std::iter::once(long), words(&[])).is_err());
    }
}
