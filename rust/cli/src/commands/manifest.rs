//! `nibble manifest`: what a publisher signs of a model file, for apps that download it.

use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use nibble_engine::{About, CHUNK, Licence, Manifest, from_hexadecimal, hexadecimal, public_key};

use crate::failure::{Failure, Result};

/// Makes and checks the signed manifests of models that apps download
#[derive(clap::Args)]
#[command(after_help = "\
A manifest says what a model is called, its licence, the memory that it needs, and the hash of each part of its file. An app
that carries the public key downloads with it: docs/guides/models-on-the-phone.md. Whoever has the secret key can sign in your
name: keep it off servers.

Examples:
  nibble manifest key publisher.key
  nibble manifest make words.gguf --name words --licence Apache-2.0 --minimum-memory 1500000000 --sequence 1 --key \\
      publisher.key > words.json
  nibble manifest check words.gguf --manifest words.json --public-key 3d40…660c")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a secret key, and prints the public key that belongs to it
    Key {
        /// Where the secret key goes; no file may be there
        file: PathBuf,
    },
    /// Prints the signed manifest of a model file
    Make {
        /// A GGUF, or a packed model file
        file: PathBuf,
        /// What the model is called on the phone
        #[arg(long)]
        name: String,
        /// Its licence, such as Apache-2.0
        #[arg(long)]
        licence: String,
        /// Where the licence's text is
        #[arg(long, value_name = "URL")]
        licence_url: Option<String>,
        /// Memory that a device must have, as its system counts it
        #[arg(long, value_name = "BYTES")]
        minimum_memory: u64,
        /// Larger than that of every manifest published under the name before
        #[arg(long, value_name = "N")]
        sequence: u64,
        /// The secret key, from `nibble manifest key`
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Checks that a file is the one that a manifest names, and who signed that
    Check {
        /// The model file
        file: PathBuf,
        /// The manifest, from `nibble manifest make`
        #[arg(long, value_name = "FILE")]
        manifest: PathBuf,
        /// A public key that may have signed it; can be given several times
        #[arg(long, value_name = "KEY", required = true)]
        public_key: Vec<String>,
    },
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut out = stdout().lock();
        match self.command {
            Command::Key { file } => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret)
                    .map_err(|error| Failure::Failed(format!("the system gave no random bytes: {error}")))?;
                write_secret(&file, &hexadecimal(&secret)).map_err(|error| Failure::io("create", &file, &error))?;
                writeln!(out, "{}", hexadecimal(&public_key(&secret)))?;
            }
            Command::Make { file, name, licence, licence_url, minimum_memory, sequence, key } => {
                let licence = Licence { name: licence, url: licence_url };
                let secret = secret_key(&key)?;
                let about = About { name, sequence, licence, minimum_memory };
                writeln!(out, "{}", Manifest::of_file(&file, about, CHUNK)?.sign(&secret))?;
            }
            Command::Check { file, manifest, public_key } => {
                let keys: Option<Vec<[u8; 32]>> = public_key.iter().map(|key| from_hexadecimal(key)).collect();
                let keys = keys.ok_or_else(|| Failure::Usage("--public-key takes 64 hexadecimal digits".into()))?;
                let text = fs::read(&manifest).map_err(|error| Failure::io("read", &manifest, &error))?;
                let manifest = Manifest::verify(&text, &keys)?;
                manifest.check_file(&file)?;
                let About { name, sequence, licence, minimum_memory } = &manifest.about;
                writeln!(
                    out,
                    "{} is {name}, sequence number {sequence}, under {}, for devices with {minimum_memory} bytes of memory",
                    file.display(),
                    licence.name,
                )?;
            }
        }
        Ok(())
    }
}

/// Writes a file that nobody else may read, where there is none.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    writeln!(options.open(path)?, "{text}")
}

fn secret_key(path: &Path) -> Result<[u8; 32]> {
    let text = fs::read_to_string(path).map_err(|error| Failure::io("read", path, &error))?;
    from_hexadecimal(text.trim()).ok_or_else(|| {
        Failure::Failed(format!(
            "{} holds no key: 64 hexadecimal digits; make one with `nibble manifest key FILE`",
            path.display()
        ))
    })
}
