//! The conformance suite, through the surface that the languages are bound to. `tests/conformance/README.md` says what the
//! cases mean; `NIBBLE_BLESS=1` writes down what this test found as what is expected.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nibble_engine::Format;
use nibble_engine::testing::SyntheticModel;
use nibble_ffi::{
    Edit, EmojiList, Field, Finish, Generation, Key, Keyboard, KeyboardOptions, KeyboardRequest, KvCache, Layout,
    LearnedWords, Lexicon, Message, Model, ModelOptions, NibbleError, Overflow, Packing, Priority, Sampling, Session,
    SessionOptions, SilenceReason, Stop, SuggestionKind, Suggestions, Turn, TypingSession, close_json,
};
use nibble_tasks::keyboard::emoji::Emoji;
use nibble_tasks::keyboard::lexicon::Word;
use nibble_tests::models::TestModel;
use serde_json::{Value, json};

type Outcome<T = Value> = Result<T, NibbleError>;

/// How a GGUF of this version begins.
fn gguf(version: u8) -> Vec<u8> {
    [b"GGUF", &[version, 0, 0, 0][..], &[0; 16]].concat()
}

/// A file of the suite.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(name)
}

/// The file of a word list.
fn words(language: &str) -> PathBuf {
    file(&format!("words-{language}.fst"))
}

fn lexicon(language: &str) -> Outcome<Arc<Lexicon>> {
    Lexicon::open(words(language).to_str().expect("a path in UTF-8").to_owned())
}

/// A word list of the suite, as it is built: a word of rank r is as frequent as 1/r of the most frequent one.
fn word_list(language: &str) -> Vec<u8> {
    let words = fs::read_to_string(file(&format!("words-{language}.txt"))).unwrap();
    let ranked = (1..).zip(words.lines()).map(|(rank, word)| {
        let cost = 127.0 + 100.0 * f64::from(rank).log10();
        (word.to_owned(), Word { cost: cost as u16, listed: true })
    });
    nibble_tasks::keyboard::lexicon::Lexicon::build(ranked, &Default::default())
}

#[test]
fn the_word_lists_are_those_of_their_words() {
    for language in ["en", "de"] {
        let built = words(language);
        if std::env::var_os("NIBBLE_BLESS").is_some() {
            fs::write(&built, word_list(language)).unwrap();
        }
        assert!(
            fs::read(&built).unwrap() == word_list(language),
            "words-{language}.fst is not made of words-{language}.txt"
        );
    }
}

/// The file of an emoji list.
fn emoji() -> PathBuf {
    file("emoji-en.fst")
}

/// The emoji list of the suite, as it is built: a line has a word and its emoji, the most used first.
fn emoji_list() -> Vec<u8> {
    let words = fs::read_to_string(file("emoji-en.txt")).unwrap();
    Emoji::build(words.lines().map(|line| {
        let mut parts = line.split_whitespace().map(str::to_owned);
        (parts.next().expect("a word"), parts.collect())
    }))
}

#[test]
fn the_emoji_list_is_that_of_its_words() {
    if std::env::var_os("NIBBLE_BLESS").is_some() {
        fs::write(emoji(), emoji_list()).unwrap();
    }
    assert!(fs::read(emoji()).unwrap() == emoji_list(), "emoji-en.fst is not made of emoji-en.txt");
}

/// The GGUF of a base model.
fn base() -> PathBuf {
    file("base.gguf")
}

/// The base model of the suite: as small as a model can be that runs.
fn base_model() -> Vec<u8> {
    let tiny = SyntheticModel {
        layers: 1,
        embedding: 32,
        feed_forward: 32,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        ..SyntheticModel::llama(Format::Q4_0)
    };
    tiny.gguf().build()
}

#[test]
fn the_base_model_is_the_one_of_the_tests() {
    if std::env::var_os("NIBBLE_BLESS").is_some() {
        fs::write(base(), base_model()).unwrap();
    }
    assert!(fs::read(base()).unwrap() == base_model(), "base.gguf is not the synthetic model");
}

#[test]
fn every_case_gives_what_is_expected() {
    let path = file("smollm2-135m-instruct.json");
    let mut suite: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let name = suite["model"].as_str().expect("a suite names its model");
    let file = TestModel::called(name).expect("a model of the tests").pack();
    let bless = std::env::var_os("NIBBLE_BLESS").is_some();
    let folder = tempfile::tempdir().unwrap();
    let runner = Runner { model: open(&file, None).unwrap(), file, folder: folder.path().to_owned() };
    let mut wrong = Vec::new();
    for case in suite["cases"].as_array_mut().expect("a suite has cases") {
        let found = runner.run(case).unwrap_or_else(|error| fault(&error));
        if bless {
            case["expect"] = found;
        } else if case["expect"] != found {
            wrong.push(format!("{}: expected {}, found {found}", case["name"], case["expect"]));
        }
    }
    if bless {
        fs::write(&path, pretty(&suite)).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Runner {
    model: Arc<Model>,
    file: PathBuf,
    folder: PathBuf,
}

impl Runner {
    fn run(&self, case: &Value) -> Outcome {
        match text(case, "call").as_str() {
            "info" => {
                let info = self.model.info();
                Ok(json!({
                    "name": info.name, "source_sha256": info.source_sha256, "vocabulary": info.vocabulary,
                    "context": info.context, "has_chat_template": info.has_chat_template,
                }))
            }
            "tokenize" => {
                let tokens = self.model.tokenize(text(case, "text"))?;
                assert_eq!(self.model.detokenize(tokens.clone())?, text(case, "text"));
                Ok(json!({ "tokens": tokens }))
            }
            "generate" => written(&self.session()?.generate(text(case, "prompt"), sampling(case), stop(case))),
            "close_json" => Ok(json!({ "closed": close_json(text(case, "text")) })),
            "chat" => {
                let messages = case["messages"].as_array().expect("messages").iter();
                let messages = messages.map(|m| message(&text(m, "role"), &text(m, "content"))).collect();
                written(&self.session()?.chat(messages, sampling(case), stop(case)))
            }
            "cancel" => {
                let session = self.session()?;
                let generate = || session.generate(text(case, "prompt"), sampling(case), stop(case));
                let cancelled = generate();
                let mut tokens = Vec::new();
                for _ in 0..case["after"].as_u64().expect("a number of tokens") {
                    tokens.push(cancelled.next()?.expect("it is cancelled before its end").token);
                }
                cancelled.cancel();
                let error = cancelled.next().expect_err("it was cancelled");
                let again = written(&generate())?;
                Ok(json!({ "tokens": tokens, "error": name_of(&error), "again": again["tokens"] }))
            }
            "keyboard" => {
                let keyboard = self.keyboard(case, None)?;
                let keys = case["keys"].as_array().expect("keys").iter();
                let strip = |key: &Value| {
                    if !key["layout"].is_null() {
                        keyboard.set_layout(layout(&key["layout"]))?;
                    }
                    Ok(strip(&keyboard.suggest(keyboard.ticket(), request(case, key))?))
                };
                Ok(json!({ "strips": keys.map(strip).collect::<Outcome<Vec<_>>>()? }))
            }
            "typing" => self.typing(case),
            "learned" => self.learned(case),
            "snapshot" => self.snapshot(case),
            "emoji" => {
                let list = EmojiList::open(emoji().to_str().expect("UTF-8").to_owned())?;
                Ok(json!({ "emoji": list.suggest(text(case, "text"), count(case)) }))
            }
            "replies" => {
                let replier = self.model.replier(0, None)?;
                let found = replier.suggest(replier.ticket(), chat(case), count(case))?;
                let reply = |reply: &nibble_ffi::Reply| json!({ "text": reply.text, "intent": reply.intent });
                Ok(json!({
                    "replies": found.replies.iter().map(reply).collect::<Vec<_>>(),
                    "silence": found.silence.map(silence),
                }))
            }
            "draft" => written(&self.model.replier(0, None)?.draft(chat(case), sampling(case))),
            "error" => match self.provoke(&text(case, "of")) {
                Ok(()) => panic!("{}: nothing went wrong", case["name"]),
                Err(error) => Err(error),
            },
            call => panic!("{}: there is no call {call}", case["name"]),
        }
    }

    fn session(&self) -> Outcome<Arc<Session>> {
        self.model.session(session_options())
    }

    fn keyboard(&self, case: &Value, learned: Option<Arc<LearnedWords>>) -> Outcome<Arc<Keyboard>> {
        let languages: Vec<String> = strings(&case["languages"]);
        let lexicons = languages.iter().map(|language| lexicon(language)).collect::<Outcome<_>>()?;
        let languages = if languages.is_empty() { vec!["en".to_owned()] } else { languages };
        let layout = layout(&case["layout"]);
        self.model.keyboard(KeyboardOptions { lexicons, layout, learned, languages, threads: 0, memory_limit: None })
    }

    fn typing(&self, case: &Value) -> Outcome {
        let folder = tempfile::tempdir().expect("a folder");
        let open = || LearnedWords::open(folder.path().join("learned").to_str().expect("UTF-8").to_owned(), None);
        let learned = open()?;
        let texts = self.typed(case, &learned)?;
        learned.close()?;
        Ok(json!({ "texts": texts, "learned": listed(&*open()?) }))
    }

    fn learned(&self, case: &Value) -> Outcome {
        let learned = LearnedWords::in_memory();
        self.typed(case, &learned)?;
        let added: Vec<bool> =
            strings(&case["add"]).into_iter().map(|word| learned.add_word(word)).collect::<Outcome<_>>()?;
        let words = listed(&learned);
        let forgotten = learned.forget(text(case, "forget"))?;
        let copy = LearnedWords::in_memory();
        copy.add(learned.export())?;
        let left = listed(&learned);
        let kept: Vec<String> = copy.list().into_iter().filter(|word| word.added).map(|word| word.word).collect();
        learned.wipe()?;
        Ok(json!({
            "added": added, "words": words, "forgotten": forgotten, "left": left, "copied": listed(&copy), "kept": kept,
            "wiped": listed(&learned),
        }))
    }

    fn snapshot(&self, case: &Value) -> Outcome {
        let path = self.folder.join("snapshot").to_str().expect("UTF-8").to_owned();
        let generate = |session: &Session| written(&session.generate(text(case, "prompt"), sampling(case), stop(case)));
        let session = self.session()?;
        generate(&session)?;
        session.save_snapshot(path.clone())?;
        let other = self.session()?;
        let restored = other.restore_snapshot(path)?;
        let mut found = generate(&other)?;
        found["restored"] = json!(restored);
        Ok(found)
    }

    /// What stands in the fields of a case after each step.
    fn typed(&self, case: &Value, learned: &Arc<LearnedWords>) -> Outcome<Vec<String>> {
        let keyboard = self.keyboard(case, Some(Arc::clone(learned)))?;
        let mut texts = Vec::new();
        for field in case["fields"].as_array().expect("fields") {
            let part = |name: &str| field[name].as_str().unwrap_or_default().to_owned();
            let kind = field_called(field["field"].as_str().unwrap_or("text"));
            let typing = Arc::clone(&keyboard).start(kind, part("before"), part("after"));
            let mut editor = part("before");
            for step in field["steps"].as_array().expect("steps") {
                take_step(&keyboard, &typing, step, &mut editor)?;
                texts.push(editor.clone());
            }
            typing.finish();
            typing.learn()?;
        }
        Ok(texts)
    }

    /// Makes the situation, which is an error.
    fn provoke(&self, situation: &str) -> Outcome<()> {
        let empty = || json!({});
        let begin = |session: &Session| session.generate("Hello".into(), sampling(&empty()), stop(&empty()));
        let h = || request(&json!({ "count": 3 }), &json!({ "context": "", "typed": "h" }));
        let turn = || vec![Turn { from_me: false, text: "Are you coming?".into() }];
        match situation {
            "missing file" => self.open_changed(None),
            "empty file" => self.open_changed(Some(Vec::new())),
            "foreign file" => self.open_changed(Some(vec![120; 20_000])),
            "cut file" => self.open_changed(Some(self.head())),
            "newer file" => {
                let mut bytes = self.head();
                bytes[8] = 99;
                self.open_changed(Some(bytes))
            }
            "another model" => open(&self.file, Some("0".repeat(64))).map(drop),
            "closed model" => {
                let model = open(&self.file, None)?;
                model.close();
                model.tokenize("Hello".into()).map(drop)
            }
            "closed session" => {
                let session = self.session()?;
                session.close();
                begin(&session).next().map(drop)
            }
            "closed generation" => {
                let session = self.session()?;
                let generation = begin(&session);
                generation.close();
                generation.next().map(drop)
            }
            "closed keyboard" => {
                let keyboard = self.keyboard(&empty(), None)?;
                keyboard.close();
                keyboard.suggest(keyboard.ticket(), h()).map(drop)
            }
            "closed replier" => {
                let replier = self.model.replier(0, None)?;
                replier.close();
                replier.suggest(replier.ticket(), turn(), 3).map(drop)
            }
            "superseded" => {
                let keyboard = self.keyboard(&empty(), None)?;
                let (older, _newer) = (keyboard.ticket(), keyboard.ticket());
                keyboard.suggest(older, h()).map(drop)
            }
            "foreign learned words" => self.open_learned_words(vec![120; 20_000], None),
            "bad key" => self.open_learned_words(vec![120; 20_000], Some(vec![0; 31])),
            "missing word list" => self.open_word_list(None),
            "foreign word list" => self.open_word_list(Some(vec![120; 20_000])),
            "cut word list" => {
                let mut bytes = fs::read(words("en")).unwrap();
                bytes.truncate(1_000);
                self.open_word_list(Some(bytes))
            }
            "foreign emoji list" => EmojiList::open(self.changed(Some(vec![120; 20_000]))).map(drop),
            "folder" => open(&self.folder, None).map(drop),
            "newer source" => self.pack(gguf(9)).map(drop),
            "cut source" => self.pack(gguf(3)[..20].to_vec()).map(drop),
            "no chat template" => {
                let base = open(&self.pack(fs::read(base()).unwrap())?, None)?;
                let session = base.session(session_options())?;
                session.chat(vec![message("user", "Hello")], sampling(&empty()), stop(&empty())).next().map(drop)
            }
            "missing snapshot" => self.session()?.restore_snapshot(self.changed(None)).map(drop),
            "foreign snapshot" => self.session()?.restore_snapshot(self.changed(Some(vec![120; 20_000]))).map(drop),
            "snapshot of another cache" => {
                let session = self.session()?;
                written(&begin(&session))?;
                let path = self.changed(None);
                session.save_snapshot(path.clone())?;
                let options = SessionOptions { kv_cache: KvCache::Q8, ..session_options() };
                self.model.session(options)?.restore_snapshot(path).map(drop)
            }
            "foreign export" => LearnedWords::in_memory().add("words".to_owned()),
            "too many touches" => {
                let keyboard = self.keyboard(&empty(), None)?;
                keyboard.suggest(keyboard.ticket(), KeyboardRequest { touches: vec![0.0; 4], ..h() }).map(drop)
            }
            "overlapping keys" => {
                let key = |key: &str| Key { key: key.into(), x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
                self.keyboard(&empty(), None)?.set_layout(Layout::Keys { keys: vec![key("a"), key("b")] })
            }
            "unnamed language" => {
                let options = KeyboardOptions {
                    lexicons: vec![lexicon("en")?; 2],
                    layout: Layout::Qwerty,
                    learned: None,
                    languages: vec!["en".to_owned()],
                    threads: 0,
                    memory_limit: None,
                };
                self.model.keyboard(options).map(drop)
            }
            "context overflow" => {
                self.session()?.generate("word ".repeat(500), sampling(&empty()), stop(&empty())).next().map(drop)
            }
            "memory limit" => {
                self.model.session(SessionOptions { memory_limit: Some(1), ..session_options() }).map(drop)
            }
            "tight memory limit" => {
                let limit = self.model.memory_plan(session_options())?.session - 1;
                self.model.session(SessionOptions { memory_limit: Some(limit), ..session_options() }).map(drop)
            }
            "memory limit of the model" => {
                let limit = self.model.memory_plan(session_options())?.session;
                let model = open_within(&self.file, None, Some(limit))?;
                let _first = model.session(session_options())?;
                model.session(session_options()).map(drop)
            }
            "bad sampling" => {
                let sampling = Sampling { temperature: -1.0, ..sampling(&empty()) };
                self.session()?.generate("Hello".into(), sampling, stop(&empty())).next().map(drop)
            }
            "bad schema" => {
                let sampling = Sampling { schema: Some(r#"{"oneOf": []}"#.to_owned()), ..sampling(&empty()) };
                self.session()?.generate("Hello".into(), sampling, stop(&empty())).next().map(drop)
            }
            "empty stop" => {
                let stop = Stop { strings: vec![String::new()], ..stop(&empty()) };
                self.session()?.generate("Hello".into(), sampling(&empty()), stop).next().map(drop)
            }
            "empty context" => self.model.session(SessionOptions { context: 0, ..session_options() }).map(drop),
            "unknown token" => self.model.detokenize(vec![4_000_000_000]).map(drop),
            other => panic!("there is no situation {other}"),
        }
    }

    /// Packs a GGUF of these bytes; says where.
    fn pack(&self, source: Vec<u8>) -> Outcome<PathBuf> {
        let source = self.changed(Some(source));
        let target = self.folder.join("packed");
        Packing::new(source, target.to_str().expect("UTF-8").to_owned(), None)?.run()?;
        Ok(target)
    }

    /// The beginning of the model file.
    fn head(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()[..65_536].to_vec()
    }

    fn open_changed(&self, bytes: Option<Vec<u8>>) -> Outcome<()> {
        open(Path::new(&self.changed(bytes)), None).map(drop)
    }

    fn open_learned_words(&self, bytes: Vec<u8>, key: Option<Vec<u8>>) -> Outcome<()> {
        LearnedWords::open(self.changed(Some(bytes)), key).map(drop)
    }

    fn open_word_list(&self, bytes: Option<Vec<u8>>) -> Outcome<()> {
        Lexicon::open(self.changed(bytes)).map(drop)
    }

    /// The path of a file of these bytes, or of one that is not there.
    fn changed(&self, bytes: Option<Vec<u8>>) -> String {
        let path = self.folder.join("changed");
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
        path.to_str().expect("a path in UTF-8").to_owned()
    }
}

fn open(path: &Path, source_sha256: Option<String>) -> Outcome<Arc<Model>> {
    open_within(path, source_sha256, None)
}

fn open_within(path: &Path, source_sha256: Option<String>, memory_limit: Option<u64>) -> Outcome<Arc<Model>> {
    let path = path.to_str().expect("a path in UTF-8").to_owned();
    Model::open(path, ModelOptions { check_weights: true, source_sha256, memory_limit })
}

fn message(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned() }
}

fn session_options() -> SessionOptions {
    SessionOptions {
        context: 256,
        overflow: Overflow::Fail,
        threads: 0,
        priority: Priority::Interactive,
        kv_cache: KvCache::F16,
        memory_limit: None,
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {value}")).to_owned()
}

fn count(case: &Value) -> u32 {
    case["count"].as_u64().expect("a count") as u32
}

fn sampling(case: &Value) -> Sampling {
    let given = &case["sampling"];
    let number = |key: &str, default: f64| given[key].as_f64().unwrap_or(default);
    let whole = |key: &str, default: u64| given[key].as_u64().unwrap_or(default);
    Sampling {
        temperature: number("temperature", 0.0) as f32,
        top_k: whole("top_k", 40) as u32,
        top_p: number("top_p", 0.95) as f32,
        min_p: number("min_p", 0.05) as f32,
        repetition_penalty: number("repetition_penalty", 1.0) as f32,
        repetition_window: whole("repetition_window", 64) as u32,
        seed: whole("seed", 0),
        schema: given["schema"].as_str().map(str::to_owned),
    }
}

fn stop(case: &Value) -> Stop {
    Stop {
        max_tokens: case["stop"]["max_tokens"].as_u64().map(|max| max as u32),
        strings: strings(&case["stop"]["strings"]),
    }
}

/// The strings of an array; none if there is no array.
fn strings(value: &Value) -> Vec<String> {
    let values = value.as_array().into_iter().flatten();
    values.map(|value| value.as_str().expect("a string").to_owned()).collect()
}

fn chat(case: &Value) -> Vec<Turn> {
    let turns = case["chat"].as_array().expect("a chat").iter();
    turns.map(|turn| Turn { from_me: turn["from_me"].as_bool().expect("who"), text: text(turn, "text") }).collect()
}

fn written(generation: &Generation) -> Outcome {
    let (mut tokens, mut pieces) = (Vec::new(), Vec::new());
    while let Some(piece) = generation.next()? {
        tokens.push(piece.token);
        pieces.push(piece.text);
    }
    pieces.retain(|piece| !piece.is_empty());
    let finish = match generation.finish().expect("it came to its end") {
        Finish::EndOfText => "end_of_text",
        Finish::MaxTokens => "max_tokens",
        Finish::StopString => "stop_string",
    };
    Ok(json!({ "tokens": tokens, "pieces": pieces, "finish": finish }))
}

/// The words of a store, the most written first.
fn listed(learned: &LearnedWords) -> Vec<String> {
    learned.list().into_iter().map(|word| word.word).collect()
}

fn layout(value: &Value) -> Layout {
    let number = |key: &Value, name: &str| key[name].as_f64().expect("a number") as f32;
    let key = |key: &Value| Key {
        key: text(key, "key"),
        x: number(key, "x"),
        y: number(key, "y"),
        width: number(key, "width"),
        height: number(key, "height"),
    };
    match value {
        Value::Array(keys) => Layout::Keys { keys: keys.iter().map(key).collect() },
        Value::Null => Layout::Qwerty,
        value => match value.as_str().expect("a layout") {
            "qwerty" => Layout::Qwerty,
            "qwertz" => Layout::Qwertz,
            "azerty" => Layout::Azerty,
            "dvorak" => Layout::Dvorak,
            other => panic!("there is no layout {other}"),
        },
    }
}

fn request(case: &Value, key: &Value) -> KeyboardRequest {
    let unknown = [f32::NAN; 2];
    let number = |value: &Value| value.as_f64().expect("a number") as f32;
    let touch = |touch: &Value| touch.as_array().map_or(unknown, |point| [number(&point[0]), number(&point[1])]);
    KeyboardRequest {
        context: text(key, "context"),
        typed: text(key, "typed"),
        touches: key["touches"].as_array().into_iter().flatten().flat_map(touch).collect(),
        count: count(case),
        field: field_called(key["field"].as_str().unwrap_or("text")),
        gate: case["gate"].as_bool().unwrap_or(true),
    }
}

/// Does to the session and to the text what a step of a case says.
fn take_step(keyboard: &Keyboard, typing: &TypingSession, step: &Value, text: &mut String) -> Outcome<()> {
    let mut apply = |edit: Edit| {
        assert!(text.ends_with(&edit.delete), "{text:?} {edit:?}");
        text.truncate(text.len() - edit.delete.len());
        text.push_str(&edit.insert);
    };
    let key = |key: &str| typing.key(key.to_owned(), f32::NAN, f32::NAN);
    for c in step["keys"].as_str().unwrap_or_default().chars() {
        apply(key(&c.to_string()));
    }
    if let Some(end) = step["end"].as_str() {
        typing.refine(keyboard.ticket())?;
        apply(key(end));
    }
    if let Some(index) = step["accept"].as_u64() {
        let strip = typing.refine(keyboard.ticket())?;
        let word = strip.suggestions[index as usize].word.clone();
        apply(typing.accept(strip.generation, word).expect("the text is that of the strip"));
    }
    if step["accept_ahead"] == true {
        let strip = typing.refine(keyboard.ticket())?;
        let ahead = typing.look_ahead(keyboard.ticket())?.expect("words ahead");
        apply(typing.accept(strip.generation, ahead.word).expect("the text is that of the strip"));
    }
    for _ in 0..step["backspace"].as_u64().unwrap_or(0) {
        apply(typing.backspace());
    }
    if let Some(before) = step["reported"].as_str() {
        typing.reported(before.to_owned(), String::new(), false);
    }
    Ok(())
}

fn field_called(name: &str) -> Field {
    match name {
        "text" => Field::Text,
        "no_learning" => Field::NoLearning,
        "search" => Field::Search,
        "email" => Field::Email,
        "url" => Field::Url,
        "password" => Field::Password,
        "number" => Field::Number,
        "code" => Field::Code,
        other => panic!("there is no field {other}"),
    }
}

fn strip(found: &Suggestions) -> Value {
    json!({
        "words": found.suggestions.iter().map(|s| &s.word).collect::<Vec<_>>(),
        "kinds": found.suggestions.iter().map(|s| kind(s.kind)).collect::<Vec<_>>(),
        "replaces": found.replaces,
        "proven": found.proven,
        "autocorrect": found.autocorrect,
    })
}

fn kind(kind: SuggestionKind) -> &'static str {
    match kind {
        SuggestionKind::NextWord => "next_word",
        SuggestionKind::Completion => "completion",
        SuggestionKind::Literal => "literal",
        SuggestionKind::Correction => "correction",
    }
}

fn silence(reason: SilenceReason) -> &'static str {
    match reason {
        SilenceReason::Nothing => "nothing",
        SilenceReason::OwnTurn => "own_turn",
        SilenceReason::Code => "code",
        SilenceReason::Sensitive => "sensitive",
        SilenceReason::Automated => "automated",
        SilenceReason::Language => "language",
    }
}

/// What is expected of a case that ends with this error.
fn fault(error: &NibbleError) -> Value {
    let mut fault = json!({ "error": name_of(error) });
    if let NibbleError::MemoryLimit { fitting_context, .. } = error {
        fault["fitting_context"] = json!(fitting_context);
    }
    fault
}

fn name_of(error: &NibbleError) -> &'static str {
    match error {
        NibbleError::ModelNotFound { .. } => "model_not_found",
        NibbleError::ModelDamaged { .. } => "model_damaged",
        NibbleError::ModelVersion { .. } => "model_version",
        NibbleError::ModelUnsupported { .. } => "model_unsupported",
        NibbleError::NoChatTemplate { .. } => "no_chat_template",
        NibbleError::SnapshotUnfit { .. } => "snapshot_unfit",
        NibbleError::SchemaUnfit { .. } => "schema_unfit",
        NibbleError::LexiconUnfit { .. } => "lexicon_unfit",
        NibbleError::LearnedWordsUnfit { .. } => "learned_words_unfit",
        NibbleError::ManifestUnfit { .. } => "manifest_unfit",
        NibbleError::ManifestUntrusted { .. } => "manifest_untrusted",
        NibbleError::ManifestOlder { .. } => "manifest_older",
        NibbleError::ContextOverflow { .. } => "context_overflow",
        NibbleError::MemoryLimit { .. } => "memory_limit",
        NibbleError::StorageFull { .. } => "storage_full",
        NibbleError::Io { .. } => "io",
        NibbleError::Cancelled { .. } => "cancelled",
        NibbleError::Superseded { .. } => "superseded",
        NibbleError::Closed { .. } => "closed",
        NibbleError::InvalidArgument { .. } => "invalid_argument",
        NibbleError::Internal { .. } => "internal",
    }
}

/// A line for each case, so that a difference names it.
fn pretty(suite: &Value) -> String {
    let cases: Vec<String> =
        suite["cases"].as_array().into_iter().flatten().map(|case| format!("    {case}")).collect();
    format!("{{\n  \"model\": {},\n  \"cases\": [\n{}\n  ]\n}}\n", suite["model"], cases.join(",\n"))
}
