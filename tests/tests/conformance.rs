//! The conformance suite, through the surface that the languages are bound to. `tests/conformance/README.md` says what the
//! cases mean; `NIBBLE_BLESS=1` writes down what this test found as what is expected.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nibble_ffi::{
    Finish, Generation, KvCache, Message, Model, ModelOptions, NibbleError, Overflow, Priority, Sampling, Session,
    SessionOptions, SilenceReason, Stop, SuggestionKind, Turn,
};
use nibble_tests::models::TestModel;
use serde::Deserialize;
use serde_json::{Value, json};

type Outcome<T = Value> = Result<T, NibbleError>;

#[test]
fn every_case_gives_what_is_expected() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/smollm2-135m-instruct.json");
    let mut suite: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let name = suite["model"].as_str().expect("a suite names its model");
    let file = TestModel::called(name).expect("a model of the tests").pack();
    let bless = std::env::var_os("NIBBLE_BLESS").is_some();
    let folder = tempfile::tempdir().unwrap();
    let runner = Runner { model: open(&file, None).unwrap(), file, folder: folder.path().to_owned() };
    let mut wrong = Vec::new();
    for case in suite["cases"].as_array_mut().expect("a suite has cases") {
        let found = runner.run(case).unwrap_or_else(|error| json!({ "error": name_of(&error) }));
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

#[derive(Deserialize)]
struct Key {
    context: String,
    typed: String,
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
            "generate" => written(&*self.session()?.generate(text(case, "prompt"), sampling(case), stop(case))?),
            "chat" => {
                let messages = case["messages"].as_array().expect("messages").iter();
                let messages =
                    messages.map(|m| Message { role: text(m, "role"), content: text(m, "content") }).collect();
                written(&*self.session()?.chat(messages, sampling(case), stop(case))?)
            }
            "cancel" => {
                let session = self.session()?;
                let generate = || session.generate(text(case, "prompt"), sampling(case), stop(case));
                let cancelled = generate()?;
                let mut tokens = Vec::new();
                for _ in 0..case["after"].as_u64().expect("a number of tokens") {
                    tokens.push(cancelled.next()?.expect("it is cancelled before its end").token);
                }
                cancelled.cancel();
                let error = cancelled.next().expect_err("it was cancelled");
                let again = written(&*generate()?)?;
                Ok(json!({ "tokens": tokens, "error": name_of(&error), "again": again["tokens"] }))
            }
            "keyboard" => {
                let keyboard = self.model.keyboard(0, None)?;
                let keys: Vec<Key> = serde_json::from_value(case["keys"].clone()).expect("keys");
                let strip = |Key { context, typed }| {
                    let found = keyboard.suggest(keyboard.ticket(), context, typed, count(case))?;
                    Ok(json!({
                        "words": found.suggestions.iter().map(|s| &s.word).collect::<Vec<_>>(),
                        "kinds": found.suggestions.iter().map(|s| kind(s.kind)).collect::<Vec<_>>(),
                        "replaces": found.replaces,
                        "proven": found.proven,
                    }))
                };
                Ok(json!({ "strips": keys.into_iter().map(strip).collect::<Outcome<Vec<_>>>()? }))
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
            "draft" => written(&*self.model.replier(0, None)?.draft(chat(case), sampling(case))?),
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

    /// Makes the situation, which is an error.
    fn provoke(&self, situation: &str) -> Outcome<()> {
        let empty = || json!({});
        let begin = |session: &Session| session.generate("Hello".into(), sampling(&empty()), stop(&empty()));
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
                begin(&session).map(drop)
            }
            "closed generation" => {
                let session = self.session()?;
                let generation = begin(&session)?;
                generation.close();
                generation.next().map(drop)
            }
            "closed keyboard" => {
                let keyboard = self.model.keyboard(0, None)?;
                keyboard.close();
                keyboard.suggest(keyboard.ticket(), String::new(), "h".into(), 3).map(drop)
            }
            "closed replier" => {
                let replier = self.model.replier(0, None)?;
                replier.close();
                replier.suggest(replier.ticket(), turn(), 3).map(drop)
            }
            "superseded" => {
                let keyboard = self.model.keyboard(0, None)?;
                let (older, _newer) = (keyboard.ticket(), keyboard.ticket());
                keyboard.suggest(older, String::new(), "h".into(), 3).map(drop)
            }
            "context overflow" => {
                self.session()?.generate("word ".repeat(500), sampling(&empty()), stop(&empty()))?.next().map(drop)
            }
            "memory limit" => {
                self.model.session(SessionOptions { memory_limit: Some(1), ..session_options() }).map(drop)
            }
            "bad sampling" => {
                let sampling = Sampling { temperature: -1.0, ..sampling(&empty()) };
                self.session()?.generate("Hello".into(), sampling, stop(&empty())).map(drop)
            }
            "empty stop" => {
                let stop = Stop { strings: vec![String::new()], ..stop(&empty()) };
                self.session()?.generate("Hello".into(), sampling(&empty()), stop).map(drop)
            }
            "empty context" => self.model.session(SessionOptions { context: 0, ..session_options() }).map(drop),
            "unknown token" => self.model.detokenize(vec![4_000_000_000]).map(drop),
            other => panic!("there is no situation {other}"),
        }
    }

    /// The beginning of the model file.
    fn head(&self) -> Vec<u8> {
        fs::read(&self.file).unwrap()[..65_536].to_vec()
    }

    /// Opens a file of these bytes, or one that is not there.
    fn open_changed(&self, bytes: Option<Vec<u8>>) -> Outcome<()> {
        let path = self.folder.join("changed.nibble");
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
        open(&path, None).map(drop)
    }
}

fn open(path: &Path, source_sha256: Option<String>) -> Outcome<Arc<Model>> {
    let path = path.to_str().expect("a path in UTF-8").to_owned();
    Model::open(path, ModelOptions { check_weights: true, source_sha256 })
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
    }
}

fn stop(case: &Value) -> Stop {
    let strings = case["stop"]["strings"].as_array().into_iter().flatten();
    Stop {
        max_tokens: case["stop"]["max_tokens"].as_u64().map(|max| max as u32),
        strings: strings.map(|string| string.as_str().expect("a stop string").to_owned()).collect(),
    }
}

fn chat(case: &Value) -> Vec<Turn> {
    let turns = case["chat"].as_array().expect("a chat").iter();
    turns.map(|turn| Turn { from_me: turn["from_me"].as_bool().expect("who"), text: text(turn, "text") }).collect()
}

fn written(generation: &Generation) -> Outcome {
    let (mut tokens, mut text) = (Vec::new(), String::new());
    while let Some(piece) = generation.next()? {
        tokens.push(piece.token);
        text.push_str(&piece.text);
    }
    let finish = match generation.finish().expect("it came to its end") {
        Finish::EndOfText => "end_of_text",
        Finish::MaxTokens => "max_tokens",
        Finish::StopString => "stop_string",
    };
    Ok(json!({ "tokens": tokens, "text": text, "finish": finish }))
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

fn name_of(error: &NibbleError) -> &'static str {
    match error {
        NibbleError::ModelNotFound { .. } => "model_not_found",
        NibbleError::ModelDamaged { .. } => "model_damaged",
        NibbleError::ModelVersion { .. } => "model_version",
        NibbleError::ModelUnsupported { .. } => "model_unsupported",
        NibbleError::NoChatTemplate { .. } => "no_chat_template",
        NibbleError::SnapshotUnfit { .. } => "snapshot_unfit",
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
