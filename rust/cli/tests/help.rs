//! What `nibble` says of itself: help, versions, usage errors and exit codes.

mod common;

use common::{Workplace, outcome};

const COMMANDS: [&str; 16] = [
    "demo",
    "models",
    "pull",
    "inspect",
    "predict",
    "keyboard",
    "reply",
    "generate",
    "chat",
    "tokenize",
    "score",
    "logits",
    "bench",
    "calibrate",
    "adapt",
    "manifest",
];

#[test]
fn the_help_lists_every_command() {
    let (out, err, code) = outcome(&Workplace::new().command(&["--help"]).output().unwrap());
    assert_eq!((err.as_str(), code), ("", Some(0)));
    for command in COMMANDS {
        let line = out.lines().find(|l| l.trim_start().starts_with(&format!("{command} ")));
        assert!(line.is_some_and(|l| l.trim().len() > command.len() + 15), "{command} is not described in:\n{out}");
    }
    for topic in ["Exit codes", "NIBBLE_CACHE", "NIBBLE_MODELS", "NO_COLOR", "nibble demo"] {
        assert!(out.contains(topic), "{topic} is not in the help");
    }
}

#[test]
fn every_command_explains_itself_with_examples() {
    for command in COMMANDS {
        let (out, err, code) = outcome(&Workplace::new().command(&[command, "--help"]).output().unwrap());
        assert_eq!((err.as_str(), code), ("", Some(0)), "{command}");
        assert!(
            out.contains("Examples:") && out.contains(&format!("nibble {command}")),
            "{command} shows no example:\n{out}"
        );
        assert!(out.lines().all(|l| !l.contains('\t')), "{command}");
        let options: Vec<_> = out.lines().filter(|l| l.trim_start().starts_with("--")).collect();
        assert!(options.iter().all(|o| o.trim().contains("  ") || out.contains(&format!("{o}\n   "))), "{options:?}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_what() {
    let cases: [(&[&str], &str); 12] = [
        (&[], "Usage: nibble"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&["predict", "--top", "0"], "--top"),
        (&["predict", "--typed", "two words"], "part of one word"),
        (&["keyboard"], "--jsonl"),
        (&["reply"], "--message"),
        (&["reply", "--message", "a", "--chat", "b"], "cannot be used with"),
        (&["generate", "a", "--temperature", "hot"], "number from 0 to 10"),
        (&["generate", "a", "--top-p", "1.5"], "number from 0 to 1"),
        (&["bench", "--prompt", "0"], "--prompt"),
        (&["logits", "a", "--threads", "0"], "--threads"),
        (&["calibrate", "--threads", "2"], "leave out --threads"),
    ];
    for (args, reason) in cases {
        let (out, err, code) = outcome(&Workplace::new().command(args).output().unwrap());
        assert_eq!((out.as_str(), code), ("", Some(2)), "{args:?}: {err}");
        assert!(err.contains(reason), "{args:?}: {reason} is not in {err}");
    }
}

#[test]
fn the_version_is_the_workspace_s() {
    let (out, _, code) = outcome(&Workplace::new().command(&["--version"]).output().unwrap());
    assert_eq!((out.trim(), code), (concat!("nibble ", env!("CARGO_PKG_VERSION")), Some(0)));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    use std::process::Stdio;
    let mut child =
        Workplace::new().command(&["models", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let (_, err, code) = outcome(&child.wait_with_output().unwrap());
    assert_eq!((err.as_str(), code), ("", Some(0)));
}

#[test]
fn output_through_a_pipe_has_no_colours() {
    for args in [&["models"][..], &["--help"], &["pull", "no-such-model"]] {
        let output = Workplace::new().command(args).env("CLICOLOR_FORCE", "").output().unwrap();
        assert!(!output.stdout.contains(&0x1b) && !output.stderr.contains(&0x1b), "{args:?}");
    }
}
