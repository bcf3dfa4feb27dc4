//! What people complain about in keyboards, on the default model and the words of English: each test has the name of a complaint, and
//! fails where there is reason for it.

mod common;

use std::fs;
use std::path::Path;

use common::{corrections, feed, keyboard_answers, keyboard_lines, mended, nibble, success, words};
use nibble_engine::{Model, Session, SessionOptions};
use nibble_tasks::keyboard::field::Field;
use nibble_tasks::keyboard::layout::Layout;
use nibble_tasks::keyboard::lexicon::Lexicon;
use nibble_tasks::keyboard::typing::{Edit, Typing};
use nibble_tasks::keyboard::{Keyboard, Options};
use serde_json::{Value, json as object};

/// The file of the cache whose name begins so, once it was pulled.
fn pulled<T>(name: &str, folder: &str, starts: &str, open: impl Fn(&Path) -> T) -> T {
    success(&nibble(&["pull", name]).output().unwrap());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nibble-cache").join(folder);
    let mut files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    open(&files.find(|file| file.file_name().unwrap().to_string_lossy().starts_with(starts)).unwrap())
}

fn english() -> Lexicon {
    pulled("lexicon-en", "lexicons", "lexicon-en-", |file| Lexicon::open(file).unwrap())
}

/// A session of the default model, and a keyboard for it.
fn keyboard() -> (Session, Keyboard) {
    let model = pulled("smollm2-135m-instruct", "packed", "SmolLM2", |file| Model::open(file).unwrap());
    let keyboard = Keyboard::new(Options::messages(&["en"]));
    let layout = Layout::shipped("qwerty").unwrap();
    (model.session(SessionOptions::default()).unwrap(), keyboard.with_lexicon(english().into(), layout))
}

fn stay(cases: &[(&str, &str)]) {
    for (answer, (_, typed)) in keyboard_answers(cases).iter().zip(cases) {
        assert_eq!(answer["autocorrect"], Value::Null, "{typed}");
    }
}

#[test]
fn valid_words_changed() {
    stay(&[
        ("Please ", "switch"),
        ("Do ", "u"),
        ("haha ", "lol"),
        ("", "thx"),
        ("this is ", "gonna"),
        ("he is ", "ill"),
        ("very ", "well"),
        ("what is ", "its"),
        ("I will ask ", "Micheal"),
        ("of the ", "will"),
        ("dat is ", "kot"),
    ]);
}

#[test]
fn a_profanity_filter_that_corrects() {
    stay(&[("the door ", "knob"), ("What the ", "fuck")]);
    let offered = |typed: &str, args: &[&str]| {
        success(&nibble(&["pull", "lexicon-en"]).output().unwrap());
        let line = object!({ "context": "What the ", "typed": typed, "top": 10 }).to_string();
        let args = [&["keyboard", "--jsonl", "--lexicon", "en"], args].concat();
        let answer: Value = serde_json::from_str(&success(&feed(&mut nibble(&args), line.as_bytes()))).unwrap();
        (words(&answer), answer["autocorrect"].clone())
    };
    let has = |words: &[String], word: &str| words.iter().any(|other| other.eq_ignore_ascii_case(word));
    for typed in ["fu", "fucj"] {
        let (words, autocorrect) = offered(typed, &[]);
        assert!(!has(&words, "fuck") && !has(&words, "fucking") && autocorrect.is_null(), "{typed}: {words:?}");
    }
    let (typed, autocorrect) = offered("fuck", &[]);
    assert!(has(&typed, "fuck") && autocorrect.is_null(), "what was typed stays: {typed:?}");
    let (all, autocorrect) = offered("fucj", &["--offensive"]);
    assert!(has(&all, "fuck") && autocorrect == "fuck", "{all:?}");
    for (typed, word) in [("clas", "class"), ("assu", "assume"), ("gay", "gay"), ("breas", "breast"), ("Dic", "Dick")] {
        assert!(has(&offered(typed, &[]).0, word), "{typed} may become {word}");
    }
}

#[test]
fn words_that_do_not_exist_offered() {
    let english = english();
    let is_known = |word: &str| {
        let word = word.to_lowercase().replace('’', "'");
        [word.as_str(), word.trim_end_matches("'s")].iter().any(|word| english.get(word).is_some())
    };
    // What a model of tokens would make "ingred", "Simps" and "Ambul" of.
    let cases = [
        ("The main ", "ingr"),
        ("I like the ", "Simp"),
        ("We met ", "Ambul"),
        ("I ate ", "spagh"),
        ("She was ", "embarr"),
        ("I saw ", "xq"),
        ("See you ", ""),
        ("", ""),
    ];
    let lines = cases.map(|(context, typed)| object!({ "context": context, "typed": typed, "top": 10 }));
    for (answer, (_, typed)) in keyboard_lines(&[], &lines).iter().zip(cases) {
        let words = words(answer);
        assert!(words.len() > 3, "{typed}: {words:?}");
        for word in words.iter().filter(|word| !word.eq_ignore_ascii_case(typed)) {
            assert!(word.split(' ').all(is_known), "{typed} becomes {word}");
        }
    }
}

#[test]
fn urls_shredded() {
    stay(&[("see https://exmaple.com/", "teh"), ("write to ", "jon@exmaple"), ("call ", "getUesr"), ("at ", "teh2")]);
    let lines = ["url", "email"].map(|field| object!({ "context": "", "typed": "tomorow", "field": field }));
    for answer in keyboard_lines(&[], &lines) {
        assert_eq!(answer["autocorrect"], Value::Null);
    }
    // The first point of an address ends what looked like a word.
    let mut typing = Typing::new(Field::Text, "", "");
    let mut text = String::new();
    for key in "www.gogle".split("") {
        apply(&mut text, &typing.key(key, None));
    }
    assert!(typing.answered(typing.generation(), Some("google")));
    for key in [".", "e", "x", "a", "m", "p", "l", "e", " "] {
        apply(&mut text, &typing.key(key, None));
    }
    assert_eq!(text, "www.gogle.example ");
}

#[test]
fn a_missed_or_mistyped_space_not_repaired() {
    let missed =
        [("thanks ", "forthe", "for the"), ("I am ", "inthe", "in the"), ("See ", "youtomorrow", "you tomorrow")];
    for (typed, answer, meant) in corrections(&missed) {
        assert_eq!(words(&answer)[0], meant, "{typed}");
    }
    mended(&[("thanks ", "forvthe", "for the"), ("I live ", "innthe", "in the"), ("one ", "ofnthe", "of the")]);
}

#[test]
fn lag_on_every_key() {
    let (mut model, mut keyboard) = keyboard();
    let chat = "I will see you at the station, and then we can have dinner together. ".repeat(4);
    let mut typing = Typing::new(Field::Text, &chat, "");
    let question = typing.question().unwrap();
    let painted = keyboard.glance(&mut model, &question.query(3)).unwrap();
    assert_eq!(painted.forward_passes, 0, "nothing is painted late for a long text");
    for key in "can you help me".split("").filter(|key| !key.is_empty()) {
        let _ = typing.key(key, None);
        let question = typing.question().unwrap();
        let painted = keyboard.glance(&mut model, &question.query(3)).unwrap();
        let found = keyboard.suggest(&mut model, &question.query(3)).unwrap();
        let most = usize::from(key == " " || question.typed.len() == 1);
        assert!(painted.forward_passes <= most, "{}: {}", question.typed, painted.forward_passes);
        assert!(found.forward_passes <= 3, "{}: {}", question.typed, found.forward_passes);
        let again = keyboard.suggest(&mut model, &question.query(3)).unwrap();
        assert!(again.forward_passes <= found.forward_passes, "what is known is not computed again");
        let painted = keyboard.glance(&mut model, &question.query(3)).unwrap();
        assert_eq!(painted.forward_passes, 0, "{}", question.typed);
    }
}

/// Does to an editor's text what a key asks for.
fn apply(text: &mut String, edit: &Edit) {
    assert!(text.ends_with(&edit.delete), "{:?} is to go from {text:?}", edit.delete);
    text.truncate(text.len() - edit.delete.len());
    text.push_str(&edit.insert);
}

#[test]
fn duplicated_text_in_web_editors() {
    let (mut model, mut keyboard) = keyboard();
    // How many edits the editor is behind with what it tells.
    for late in [0, 1, 2, 5] {
        let (mut typing, mut text) = (Typing::new(Field::Text, "", ""), String::new());
        let mut told = vec![String::new()];
        for key in "I will meet the".split("").filter(|key| !key.is_empty()) {
            apply(&mut text, &typing.key(key, None));
            told.push(text.clone());
            typing.reported(&told[told.len().saturating_sub(1 + late)], "", false);
        }
        let shown = typing.generation();
        let question = typing.question().unwrap();
        let strip = keyboard.suggest(&mut model, &question.query(5)).unwrap();
        let them = strip.suggestions.iter().find(|suggestion| suggestion.word == "them").expect("it is on the strip");
        apply(&mut text, &typing.accept(shown, &them.word).unwrap());
        assert_eq!(text, "I will meet them ", "{late} edits behind");
        typing.reported(told.last().unwrap(), "", false);
        for key in [".", " ", "B", "y", "e"] {
            apply(&mut text, &typing.key(key, None));
        }
        assert_eq!(text, "I will meet them. Bye", "{late} edits behind");
    }
}

#[test]
fn bilingual_typing() {
    success(&nibble(&["pull", "lexicon-en", "lexicon-de"]).output().unwrap());
    let cases = [
        ("Ich komme ", "moregn", "morgen"),
        ("See you ", "tomorow", "tomorrow"),
        ("Ich weiss es ", "nciht", "nicht"),
        ("Can you ", "hekp", "help"),
        ("Das ist ", "gut", ""),
        ("Ich mag ", "die", ""),
        ("Ich ", "war", ""),
        ("This is ", "good", ""),
    ];
    let lines = cases.map(|(context, typed, _)| object!({ "context": context, "typed": typed }).to_string());
    let mut keyboard = nibble(&["keyboard", "--jsonl", "--lexicon", "en,de"]);
    let answers = success(&feed(&mut keyboard, lines.join("\n").as_bytes()));
    assert_eq!(answers.lines().count(), cases.len());
    for (answer, (_, typed, meant)) in answers.lines().zip(cases) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["autocorrect"].as_str().unwrap_or_default(), meant, "{typed}");
    }
}

fn typed(typed: &str) -> Value {
    object!({ "context": "I am at ", "typed": typed })
}

fn committed(word: &str) -> Value {
    object!({ "event": "committed", "context": "I am at ", "word": word })
}

fn accepted(word: &str) -> Value {
    object!({ "event": "accepted", "context": "I am at ", "word": word })
}

#[test]
fn learning_that_is_opaque_or_learns_junk() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("learned");
    let learned = ["--learned", file.to_str().unwrap()];
    let events = [
        committed("Zorblatt"),
        accepted("Zorblatt"),
        object!({ "event": "reverted", "typed": "teh", "word": "the" }),
        object!({ "event": "committed", "context": "my code: ", "word": "471123" }),
        object!({ "event": "committed", "context": "", "word": "Geheim", "field": "password" }),
        object!({ "event": "committed", "context": "", "word": "Geheim", "field": "no-learning" }),
    ];
    let counts: Vec<_> =
        keyboard_lines(&learned, &events).iter().map(|answer| answer["words"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1; 6]);
    let known = nibble_tasks::keyboard::learning::Learner::open(&file, None).unwrap().words();
    assert_eq!(known.iter().map(|known| known.word.as_str()).collect::<Vec<_>>(), ["Zorblatt"], "it can be looked at");
    assert_eq!(keyboard_lines(&learned, &[typed("teh")])[0]["autocorrect"], Value::Null, "what was taken back");
    let forgotten =
        [object!({ "event": "forgotten", "word": "zorblatt" }), typed("Zorb"), object!({ "event": "wiped" })];
    let answers = keyboard_lines(&learned, &forgotten);
    assert_eq!(answers[0]["words"], 0);
    assert!(!words(&answers[1]).contains(&"Zorblatt".to_owned()));
    assert_eq!(keyboard_lines(&learned, &[typed("teh")])[0]["autocorrect"], "the");
}

#[test]
fn wrong_casing() {
    mended(&[
        ("I love ", "LODNON", "LONDON"),
        ("I live in ", "lodnon", "London"),
        ("I live in ", "london", "London"),
        ("see you on ", "monday", "Monday"),
        ("do you think ", "i", "I"),
        ("", "im", "I'm"),
        ("", "Teh", "The"),
        ("I watched it on ", "youtube", "YouTube"),
        ("I got a new ", "iphone", "iPhone"),
    ]);
    stay(&[("I work at ", "NASA"), ("I will ", "march"), ("I WILL SEE ", "YOU"), ("you ", "may")]);
    let shown = [
        ("See you ", "Tomor", "Tomorrow"),
        ("I WILL SEE YOU ", "TOMOR", "TOMORROW"),
        ("", "hel", "Hello"),
        ("I live in the ", "us", "USA"),
        ("I watched it on ", "youtu", "YouTube"),
        // What was typed, beside what a space puts in.
        ("see you on ", "monday", "monday"),
    ];
    for (typed, answer, meant) in corrections(&shown) {
        assert!(words(&answer).contains(&meant.to_owned()), "{typed}: {answer}");
    }
}

#[test]
fn personal_dictionary_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("learned");
    let learned = ["--learned", file.to_str().unwrap()];
    assert!(!words(&keyboard_lines(&learned, &[typed("Zorb")])[0]).contains(&"Zorblatt".to_owned()));
    keyboard_lines(&learned, &[committed("Zorblatt"), accepted("Zorblatt")]);
    let after = keyboard_lines(&learned, &[typed("Zorb"), typed("zorblatt"), typed("Zorvlatt")]);
    assert_eq!(words(&after[0])[0], "Zorblatt");
    let corrections: Vec<_> = after[1..].iter().map(|answer| answer["autocorrect"].as_str()).collect();
    assert_eq!(corrections, [None, Some("Zorblatt")], "a name of theirs, and a slip in it");
    let added = [object!({ "event": "added", "word": "McZorp" }), typed("mczo"), typed("mczorp")];
    let answers = keyboard_lines(&learned, &added);
    assert!(words(&answers[1]).contains(&"McZorp".to_owned()), "{}", answers[1]);
    assert_eq!(answers[2]["autocorrect"], "McZorp");
    let refused = keyboard_lines(&learned, &[object!({ "event": "added", "word": "two words" })]);
    assert!(refused[0]["error"].as_str().is_some_and(|why| why.contains("without spaces")));
    let often: Vec<_> = std::iter::repeat_with(|| committed("Zorblatt")).take(40).chain([typed("")]).collect();
    assert!(words(&keyboard_lines(&[], &often)[40]).contains(&"Zorblatt".to_owned()), "the next word");
}

/// A slip to the next key is mended where the key is next, and not where it is far.
#[test]
fn layouts_other_than_qwerty_unsupported() {
    let cases = [
        ("I saw ", "yhe", "the", "qwerty"),
        ("I saw ", "zhe", "the", "qwertz"),
        ("I ", "wimm", "will", "azerty"),
        ("Let me know if I can ", "denp", "help", "dvorak"),
    ];
    let others = [("qwertz", "yhe"), ("qwerty", "zhe"), ("qwerty", "wimm"), ("qwerty", "denp")];
    let line =
        |context: &str, typed: &str, layout: &str| object!({ "context": context, "typed": typed, "layout": layout });
    let next = cases.map(|(context, typed, _, layout)| line(context, typed, layout));
    for (answer, (_, typed, meant, layout)) in keyboard_lines(&[], &next).iter().zip(cases) {
        assert_eq!(answer["autocorrect"], meant, "{typed} on {layout}");
    }
    let far: Vec<_> = cases.iter().zip(others).map(|(case, (layout, typed))| line(case.0, typed, layout)).collect();
    for (answer, (layout, typed)) in keyboard_lines(&[], &far).iter().zip(others) {
        assert_eq!(answer["autocorrect"], Value::Null, "{typed} on {layout}");
    }
}

/// What a space puts in is said before, is the first word of the strip, and is what the space does.
#[test]
fn will_space_correct_or_not_unclear() {
    let cases = [
        ("I saw ", "teh"),
        ("Can you ", "hekp"),
        ("I ", "dont"),
        ("I live in ", "london"),
        ("Can you ", "help"),
        ("haha ", "lol"),
        ("thanks ", "forthe"),
        ("I know ", "Zorblatt"),
    ];
    let mut said = Vec::new();
    for (answer, (context, typed)) in keyboard_answers(&cases).iter().zip(cases) {
        let autocorrect = answer["autocorrect"].as_str();
        let mut text = [context, typed].concat();
        let mut typing = Typing::new(Field::Text, &text, "");
        assert!(typing.answered(typing.generation(), autocorrect));
        apply(&mut text, &typing.key(" ", None));
        assert_eq!(text, [context, autocorrect.unwrap_or(typed), " "].concat());
        assert!(autocorrect.is_none_or(|word| words(answer)[0] == word), "{answer}");
        said.push(autocorrect.is_some());
    }
    assert_eq!(said, [true, true, true, true, false, false, false, false]);
}
