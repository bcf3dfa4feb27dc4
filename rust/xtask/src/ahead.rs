//! Compiling for other machines while this one tests: most tests leave a core idle, and compilers do not.
//!
//! Nothing waits for it, and nothing depends on it: who needs what is compiled here asks cargo for it, which finds it done, or does it
//! after what is under way, and says what is wrong with it.

use crate::shell::{self, Result};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread;

/// Runs the commands one after another in the background, and begins none when this program has ended. What they say goes to
/// `target/xtask/ahead.log`.
pub fn compile(commands: Vec<Command>) -> Result<()> {
    let log = shell::root().join("target/xtask/ahead.log");
    let commands = prepare(commands, &log).map_err(|error| format!("writing {}: {error}", log.display()))?;
    thread::spawn(move || {
        for mut command in commands {
            // Whether it succeeds is for the part to say that needs it.
            command.status().ok();
        }
    });
    Ok(())
}

/// The commands as they are to be run, with the log begun.
fn prepare(commands: Vec<Command>, log: &Path) -> io::Result<Vec<Command>> {
    fs::create_dir_all(log.parent().expect("a file lies in a folder"))?;
    let log = File::create(log)?;
    commands.into_iter().map(|command| behind(command, &log)).collect()
}

/// The command with less of a claim to the processor than others have, where the system knows such a thing.
fn behind(command: Command, log: &File) -> io::Result<Command> {
    let mut behind = match shell::find("nice") {
        None => command,
        Some(nice) => {
            let mut nice = shell::command(nice);
            nice.args(["-n", "10"]).arg(command.get_program()).args(command.get_args());
            for (name, value) in command.get_envs() {
                match value {
                    Some(value) => nice.env(name, value),
                    None => nice.env_remove(name),
                };
            }
            nice
        }
    };
    behind.stdout(log.try_clone()?).stderr(log.try_clone()?);
    Ok(behind)
}
