//! What the tests of the `nibble` command share: the real binary in an empty cache, and a server that misbehaves on demand; and the keyboard
//! on the real models.

#![allow(dead_code, reason = "every test binary uses its own part of this")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use nibble_engine::hexadecimal;
use serde_json::{Value, json as object};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A cache folder of its own, and the command in it.
pub struct Workplace {
    pub folder: TempDir,
}

impl Workplace {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// `nibble` with these arguments, away from the user's cache, models, proxies and colours.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nibble"));
        command.args(args).current_dir(self.folder.path()).env("NIBBLE_CACHE", self.cache()).stdin(Stdio::null());
        for name in ["NIBBLE_MODELS", "NIBBLE_REGISTRY", "NIBBLE_TIER"] {
            command.env_remove(name);
        }
        for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command
    }

    /// As [`command`](Self::command), with a registry of one model.
    pub fn with_registry(&self, args: &[&str], content: &[u8], sources: &str) -> Command {
        let path = self.path("registry.toml");
        fs::write(&path, registry(content, sources)).unwrap();
        let mut command = self.command(args);
        command.env("NIBBLE_REGISTRY", path);
        command
    }

    /// Every file below the cache, with paths relative to it, except locks.
    pub fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.cache(), &self.cache(), &mut found);
        found.retain(|f| !f.starts_with("locks") && f != "hashes.json");
        found.sort();
        found
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(root, &path, found),
            path => found.push(path.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/")),
        }
    }
}

/// A registry whose one model, `tiny`, is the file `tiny.gguf` with this content.
pub fn registry(content: &[u8], sources: &str) -> String {
    let file = file_of_registry("tiny.gguf", content);
    format!(
        "[[model]]\nname = \"tiny\"\ntitle = \"Tiny\"\n{file}languages = [\"en\"]\nchat = false\ndefault = true\n{sources}"
    )
}

/// What a registry says of a file with this content.
pub fn file_of_registry(name: &str, content: &[u8]) -> String {
    let sha256 = hexadecimal(&Sha256::digest(content));
    let size = content.len();
    format!(
        "file = \"{name}\"\nsize = {size}\nsha256 = \"{sha256}\"\n\
         licence = \"CC0-1.0\"\nlicence_url = \"https://example.org/cc0\"\n"
    )
}

/// A `url` source of a registry.
pub fn url_source(url: &str) -> String {
    format!("[[model.source]]\nkind = \"url\"\nurl = \"{url}\"\n")
}

/// Bytes that no two positions share for long, so that a piece in the wrong place shows.
pub fn content(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// What one connection does.
#[derive(Clone, Copy)]
pub enum Behaviour {
    /// Answers as it should.
    Whole,
    /// Closes after so many bytes of the body.
    DropAfter(usize),
    /// Sends so many bytes of the body, and then nothing until the client is gone.
    HangAfter(usize),
    /// Ignores Range.
    NoRange,
    /// Answers 404.
    Missing,
}

/// A server on 127.0.0.1; its last behaviour is for all connections after the listed ones.
pub struct Server {
    pub url: String,
    /// Where each request wanted to begin.
    pub starts: Arc<Mutex<Vec<usize>>>,
}

impl Server {
    pub fn new(content: Vec<u8>, behaviours: &'static [Behaviour]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/tiny.gguf", listener.local_addr().unwrap());
        let starts = Arc::new(Mutex::new(Vec::new()));
        let seen = starts.clone();
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let behaviour = behaviours[number.min(behaviours.len() - 1)];
                // The client may leave at any time: that is what is tested.
                let _ = serve(stream, &content, behaviour, &seen);
            }
        });
        Self { url, starts }
    }

    pub fn starts(&self) -> Vec<usize> {
        self.starts.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, content: &[u8], behaviour: Behaviour, seen: &Mutex<Vec<usize>>) -> std::io::Result<()> {
    let mut start = 0;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    seen.lock().unwrap().push(start);
    if let Behaviour::Missing = behaviour {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    if let Behaviour::NoRange = behaviour {
        start = 0;
    }
    let (body, total) = (&content[start..], content.len());
    let status = match start {
        0 => "200 OK".to_owned(),
        _ => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{total}", total - 1),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    match behaviour {
        Behaviour::DropAfter(n) => stream.write_all(&body[..n.min(length)]),
        Behaviour::HangAfter(n) => {
            stream.write_all(&body[..n.min(length)])?;
            stream.flush()?;
            stream.read(&mut [0]).map(drop)
        }
        _ => stream.write_all(body),
    }
}

/// Standard output and standard error as text, and the exit code.
pub fn outcome(output: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

/// Runs `command` with `input` on its stdin.
pub fn feed(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses its input early closes the pipe; that is for the test to judge.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// The file of the default model.
pub const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
/// That of a model without a chat template.
pub const BASE_MODEL: &str = "gemma-3-270m-q4_k_m.gguf";

/// The folder with the GGUF files.
pub fn models() -> PathBuf {
    let folder = std::env::var_os("NIBBLE_MODELS").map_or(nibble_engine::cache_dir().join("models"), PathBuf::from);
    for file in [MODEL, BASE_MODEL] {
        assert!(folder.join(file).is_file(), "{file} is not in {}: run `cargo xtask setup`", folder.display());
    }
    folder
}

/// `nibble` with the real models, and a cache that lives as long as the build does: packing is tested on its own.
pub fn nibble(args: &[&str]) -> Command {
    let mut command = Workplace::new().command(args);
    command.current_dir(env!("CARGO_TARGET_TMPDIR")).env("NIBBLE_MODELS", models());
    command.env("NIBBLE_CACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("nibble-cache"));
    command
}

/// What a command prints that succeeds.
pub fn success(output: &Output) -> String {
    let (out, err, code) = outcome(output);
    assert_eq!(code, Some(0), "{err}");
    out
}

/// What `nibble` answers to these arguments, as JSON.
pub fn json(args: &[&str]) -> Value {
    serde_json::from_str(&success(&nibble(args).output().unwrap())).unwrap()
}

/// The words on the strip.
pub fn words(answer: &Value) -> Vec<String> {
    answer["suggestions"].as_array().unwrap().iter().map(|s| s["word"].as_str().unwrap().to_owned()).collect()
}

/// What the keyboard makes of words typed after a context, with the words of English.
pub fn keyboard_answers(typed: &[(&str, &str)]) -> Vec<Value> {
    let lines: Vec<_> = typed.iter().map(|(context, typed)| object!({ "context": context, "typed": typed })).collect();
    keyboard_lines(&[], &lines)
}

/// What the keyboard answers to these lines, with the words of English and these options.
pub fn keyboard_lines(options: &[&str], lines: &[Value]) -> Vec<Value> {
    success(&nibble(&["pull", "lexicon-en"]).output().unwrap());
    let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let mut keyboard = nibble(&[&["keyboard", "--jsonl", "--lexicon", "en"], options].concat());
    let answers = success(&feed(&mut keyboard, text.as_bytes()));
    let answers: Vec<_> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), lines.len());
    answers
}

/// Of each (context, typed, meant): what was typed, what the keyboard answers, and what was meant.
pub fn corrections<'a>(cases: &[(&str, &'a str, &'a str)]) -> Vec<(&'a str, Value, &'a str)> {
    let typed: Vec<_> = cases.iter().map(|&(context, typed, _)| (context, typed)).collect();
    let answers = keyboard_answers(&typed).into_iter().zip(cases);
    answers.map(|(answer, &(_, typed, meant))| (typed, answer, meant)).collect()
}

/// Asserts of each (context, typed, meant) that a space puts in what was meant.
pub fn mended(cases: &[(&str, &str, &str)]) {
    for (typed, answer, word) in corrections(cases) {
        assert_eq!(answer["autocorrect"], word, "{typed}");
    }
}
