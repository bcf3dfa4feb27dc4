//! Files and names that are no models, and texts that are no texts: one clear line, exit code 1, nothing left behind.

mod common;

use std::fs;

use common::{Workplace, outcome};

/// The commands that run a model, each with arguments that are otherwise right.
const RUNNING: [&[&str]; 10] = [
    &["predict", "--context", "Hello "],
    &["keyboard", "--jsonl"],
    &["reply", "--message", "Hello"],
    &["generate", "Hello"],
    &["chat"],
    &["tokenize", "Hello"],
    &["score", "-"],
    &["logits", "Hello"],
    &["bench"],
    &["calibrate"],
];

#[test]
fn a_model_that_is_not_here_is_asked_for() {
    let place = Workplace::new();
    for args in RUNNING {
        let output = common::feed(&mut place.command(args), b"Hello world");
        let (out, err, code) = outcome(&output);
        assert_eq!((out.as_str(), code), ("", Some(1)), "{args:?}: {err}");
        assert_eq!(
            err,
            "error: the model smollm2-135m-instruct is not on this machine; fetch it once with `nibble pull smollm2-135m-instruct`\n"
        );
    }
}

#[test]
fn a_file_that_is_no_model_is_refused_in_one_line() {
    let place = Workplace::new();
    let mut counts = b"GGUF\x03\0\0\0".to_vec();
    counts.extend([0xff; 16]);
    let files: [(&str, &[u8]); 7] = [
        ("empty.gguf", b""),
        ("short.gguf", b"GGUF"),
        ("text.gguf", b"This is not a model at all, but a letter to a friend."),
        ("big-endian.gguf", b"GGUF\0\0\0\x03\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x01"),
        ("future.gguf", b"GGUF\x63\0\0\0\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0"),
        ("counts.gguf", &counts),
        ("other.nibble", &[7; 10_000]),
    ];
    for (name, content) in files {
        fs::write(place.path(name), content).unwrap();
        let commands: [&[&str]; 3] = [&["pull", name], &["inspect", name], &["logits", "Hello", "--model", name]];
        for args in commands {
            let (out, err, code) = outcome(&place.command(args).output().unwrap());
            assert_eq!((out.as_str(), code), ("", Some(1)), "{args:?}: {err}");
            assert_eq!(err.lines().count(), 1, "{args:?}: {err}");
            assert!(err.starts_with("error: ") && err.contains(name) && err.len() > 30, "{args:?}: {err}");
            assert!(!err.contains("panicked"), "{args:?}: {err}");
        }
    }
    assert_eq!(place.files(), Vec::<String>::new(), "nothing is left behind");
}

#[test]
fn a_name_that_is_nothing_is_refused() {
    let place = Workplace::new();
    for args in RUNNING {
        let with = |model| [args, &["--model", model]].concat();
        let (_, err, code) = outcome(&common::feed(&mut place.command(&with("gema-3-270m")), b"Hello world"));
        assert_eq!(code, Some(1));
        assert!(err.contains("did you mean \"gemma-3-270m\"?"), "{args:?}: {err}");
        let (_, err, code) = outcome(&common::feed(&mut place.command(&with("no/such.gguf")), b"Hello world"));
        assert_eq!(code, Some(1));
        assert!(err.contains("there is no file no/such.gguf"), "{args:?}: {err}");
    }
}

#[test]
fn what_is_not_text_is_refused_before_a_model_is_opened() {
    let place = Workplace::new();
    let inputs: [(&[u8], &str); 3] =
        [(b"ab\xffcd", "byte 2 is invalid"), (b"a\0b", "NUL at byte 1"), (b"", "is empty")];
    for (input, reason) in inputs {
        for args in [
            &["tokenize", "-"][..],
            &["generate", "-"],
            &["logits", "-"],
            &["score", "-"],
            &["reply", "--message", "-"],
        ] {
            let (out, err, code) = outcome(&common::feed(&mut place.command(args), input));
            assert_eq!((out.as_str(), code), ("", Some(1)), "{args:?}: {err}");
            assert!(err.contains(reason) && err.lines().count() == 1, "{args:?}: {err}");
        }
        fs::write(place.path("text"), input).unwrap();
        for args in [&["score", "text"][..], &["reply", "--chat", "text"]] {
            let (_, err, code) = outcome(&place.command(args).output().unwrap());
            assert_eq!(code, Some(1));
            assert!(err.contains(reason) && err.contains("text"), "{args:?}: {err}");
        }
    }
    let (_, err, code) = outcome(&place.command(&["score", "missing.txt"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot read missing.txt"), "{err}");
}

#[test]
fn an_adapter_that_can_be_written_nowhere_is_refused_before_a_model_is_opened() {
    let place = Workplace::new();
    fs::write(place.path("messages.txt"), "see you\n").unwrap();
    let args = ["adapt", "messages.txt", "--out", "no/such/folder/own.adapter"];
    let (_, err, code) = outcome(&place.command(&args).output().unwrap());
    assert!(code == Some(1) && err.contains("cannot create no/such/folder/own.adapter"), "{err}");
}

#[test]
fn a_conversation_that_is_none_is_refused_without_repeating_it() {
    let place = Workplace::new();
    for content in [
        "",
        "secret",
        "{\"secret\": 1}",
        "[{\"from_me\": \"secret\", \"text\": \"secret\"}]",
        "[{\"text\": \"secret\"}]",
        "[]",
    ] {
        fs::write(place.path("chat.json"), content).unwrap();
        let (out, err, code) = outcome(&place.command(&["reply", "--chat", "chat.json"]).output().unwrap());
        assert_eq!((out.as_str(), code), ("", Some(1)), "{content}: {err}");
        assert!(err.contains("chat.json") && !err.contains("secret") && err.lines().count() == 1, "{content}: {err}");
    }
}

#[test]
fn a_folder_that_cannot_be_is_refused_before_anything_is_typed() {
    let place = Workplace::new();
    fs::write(place.path("messages.txt"), "see you\n").unwrap();
    fs::write(place.path("file"), "no folder").unwrap();
    for folder in ["file", "file/plots"] {
        let (out, err, code) =
            outcome(&place.command(&["eval", "keyboard", "messages.txt", "--plot", folder]).output().unwrap());
        assert_eq!((out.as_str(), code), ("", Some(1)), "{folder}: {err}");
        // There is no model here either; that would be said if it were looked for first.
        assert!(err.contains(&format!("cannot write to {folder}: ")) && err.contains("--plot"), "{folder}: {err}");
        assert_eq!(err.lines().count(), 1, "{folder}: {err}");
    }
    assert_eq!(fs::read(place.path("file")).unwrap(), b"no folder");
}

#[test]
fn a_comparison_without_a_word_list_is_refused_before_a_model_is_looked_for() {
    let place = Workplace::new();
    fs::write(place.path("messages.txt"), "see you\n").unwrap();
    let args = ["eval", "keyboard", "messages.txt", "--compare", "--lexicon", "none"];
    let (out, err, code) = outcome(&place.command(&args).output().unwrap());
    assert_eq!((out.as_str(), code), ("", Some(1)), "{err}");
    assert_eq!(err, "error: --compare needs a word list; fetch one: nibble pull lexicon-en\n");
}
