//! What is read from outside, changed at random: model files, snapshots, texts, templates, schemas, learned words, word lists. Each is
//! taken, or refused with an error that says so; nothing panics, and nothing that was taken panics later.
//!
//! Case n of a test is always the same. `NIBBLE_FUZZ=100 cargo test --workspace --all-features --test fuzz` tries a hundred times as many.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs;
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use nibble_engine::testing::SyntheticModel;
use nibble_engine::{
    Error, Format, Generator, LanguageModel, Message, Model, Node, OpenOptions, Sampling, Schema, Session,
    SessionOptions, SplitMix64, Stop, TokenId, Verify, pack,
};
use nibble_tasks::keyboard::learning::Learner;
use nibble_tasks::keyboard::lexicon::{Lexicon, Word};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

const TEMPLATE: &str = "{% for m in messages %}{{ '<s>' + m.role + '\\n' + m['content'] | trim + '</s>' }}\
                        {% endfor %}{% if add_generation_prompt %}{{ bos_token ~ 'assistant' }}{% endif %}";

/// Calls `test` for so many cases, each with its own sequence of random numbers; gives how many of all it says were taken.
fn each_case(cases: u64, test: impl Fn(&mut Random) -> bool) -> (u64, u64) {
    let times: u64 = std::env::var("NIBBLE_FUZZ").map_or(1, |times| times.parse().expect("a number in NIBBLE_FUZZ"));
    let (all, mut taken) = (cases * times, 0);
    for case in 0..all {
        let outcome = catch_unwind(AssertUnwindSafe(|| test(&mut Random(SplitMix64(case)))));
        taken += u64::from(outcome.unwrap_or_else(|_| panic!("case {case} panics")));
    }
    (taken, all)
}

/// As [`each_case`], where some are to be taken and some refused: else too much was changed, or too little.
fn some_are_taken(cases: u64, test: impl Fn(&mut Random) -> bool) {
    let (taken, all) = each_case(cases, test);
    assert!((all / 20..all - all / 20).contains(&taken), "{taken} of {all} were taken");
}

struct Random(SplitMix64);

impl Random {
    /// A number in 0..n, or 0.
    fn below(&mut self, n: usize) -> usize {
        (f64::from(self.0.unit()) * n as f64) as usize
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn range(&mut self, within: Range<usize>, longest: usize) -> Range<usize> {
        let start = within.start + self.below(within.len());
        start..(start + self.below(longest + 1)).min(within.end)
    }

    /// Changes one thing about some of the bytes.
    fn change(&mut self, bytes: &mut Vec<u8>, within: Range<usize>) {
        const NUMBERS: [u64; 10] = [0, 1, 0x7f, 0xff, 0xffff, 1 << 31, u32::MAX as u64, 1 << 32, 1 << 63, u64::MAX];
        let within = within.start.min(bytes.len())..within.end.min(bytes.len());
        if within.is_empty() {
            return;
        }
        let at = within.start + self.below(within.len());
        match self.below(8) {
            0 | 1 => bytes[at] ^= 1 << self.below(8),
            2 => bytes[at] = self.below(256) as u8,
            3 | 4 => {
                let number = self.one(&NUMBERS).to_le_bytes();
                let end = (at + *self.one(&[2, 4, 8])).min(bytes.len());
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            5 => drop(bytes.drain(self.range(within, 40))),
            6 => {
                let again = bytes[self.range(within, 40)].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at),
        }
    }

    /// Changes one thing about a text, or puts one of `words` into it.
    fn edit(&mut self, text: &str, words: &[&str]) -> String {
        let mut bytes = text.as_bytes().to_vec();
        if self.below(2) == 0 {
            let at = self.below(bytes.len() + 1);
            bytes.splice(at..at, self.one(words).bytes());
        } else {
            let len = bytes.len();
            self.change(&mut bytes, 0..len);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Changes one value within a value.
    fn alter(&mut self, value: &mut Value) {
        let mut number = self.below(count(value));
        let Some(place) = nth(value, &mut number) else { return };
        let odd = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(7),
            json!(u32::MAX),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(0.5),
            json!(1e-300),
            json!(1e300),
            json!(""),
            json!("Q9_9"),
            json!("the"),
            json!("é".repeat(300)),
            json!([]),
            json!({}),
            json!([[[[{ "a": [null] }]]]]),
        ];
        match (self.below(3), &mut *place) {
            (0, Value::Array(items)) if !items.is_empty() => {
                let at = self.below(items.len());
                if self.below(2) == 0 { drop(items.remove(at)) } else { items.push(items[at].clone()) }
            }
            (0, Value::Object(map)) if !map.is_empty() => {
                let name = map.keys().nth(self.below(map.len())).cloned().unwrap_or_default();
                let taken = map.remove(&name);
                if self.below(2) == 0 {
                    map.insert(self.edit(&name, &["$ref", "items", "properties", "type"]), taken.unwrap_or_default());
                }
            }
            (0 | 1, Value::Number(number)) => {
                let number = number.as_f64().unwrap_or(0.0);
                *place = match *self.one(&[number + 1.0, number - 1.0, number * 2.0, -number, number / 2.0]) {
                    whole if whole.fract() == 0.0 && (0.0..1e15).contains(&whole) => json!(whole as u64),
                    number => json!(number),
                };
            }
            (0 | 1, Value::String(text)) => *text = self.edit(text, &["the", "\0", "$", "#/", "(", "<s>", "🙂"]),
            _ => *place = self.one(&odd).clone(),
        }
    }
}

/// How many values there are in a value, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The value with this number among those in a value.
fn nth<'a>(value: &'a mut Value, number: &mut usize) -> Option<&'a mut Value> {
    if *number == 0 {
        return Some(value);
    }
    *number -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, number)),
        Value::Object(map) => map.values_mut().find_map(|item| nth(item, number)),
        _ => None,
    }
}

/// A folder, and the models that it has.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A new file in the place of an old one, as whoever writes model files does.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        let _ = fs::remove_file(&path);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn packed(&self, model: &SyntheticModel) -> Vec<u8> {
        model.open_in(self.0.path()).unwrap();
        fs::read(self.path("synthetic.nibble")).unwrap()
    }
}

fn models() -> [SyntheticModel; 3] {
    [SyntheticModel::llama(Format::Q8_0), SyntheticModel::gemma3(Format::Q4_0), SyntheticModel::qwen2(Format::Q4_1)]
        .map(|model| SyntheticModel { layers: 2, chat_template: Some(TEMPLATE.to_owned()), ..model })
}

fn messages() -> [Message; 2] {
    [("system", "be brief"), ("user", "the <s> cat é")]
        .map(|(role, content)| Message { role: role.to_owned(), content: content.to_owned() })
}

/// Whether it went well; an error that calls itself our own fault is one.
fn taken<T>(outcome: nibble_engine::Result<T>) -> Option<T> {
    outcome.map_err(|error| assert!(!matches!(error, Error::Shape(_)), "{error}")).ok()
}

fn session(model: &Model) -> Option<Session> {
    let options = SessionOptions { context: 24, threads: 1, prefill_chunk: 5, ..SessionOptions::default() };
    taken(model.session(options))
}

/// Uses all that a model file has; says whether it could.
fn exercise(model: &Model) -> bool {
    let size = model.vocabulary().len();
    let mut tokens = model.tokenizer().encode("the cat sat <s> on é🙂\0");
    assert!(tokens.iter().all(|&token| (token as usize) < size));
    model.tokenizer().decode(&tokens);
    model.vocabulary().prefix_range(b"th");
    taken(model.chat(&messages()));
    tokens.truncate(9);
    let Some(mut session) = session(model) else { return false };
    let mut top = Vec::new();
    if taken(session.sync_top(&tokens, 3, &mut top)).is_none() {
        return false;
    }
    taken(session.grow(&[(Node::ROOT, tokens[0]), (Node::ROOT, tokens[0])]));
    write(&mut session, tokens, Sampling { temperature: 1.0, ..Sampling::default() });
    true
}

/// Writes a few tokens behind a text.
fn write(session: &mut Session, tokens: Vec<TokenId>, sampling: Sampling) {
    let stop = Stop { max_tokens: Some(8), strings: Vec::new() };
    Generator::new(session, tokens, sampling, stop).for_each(|piece| drop(taken(piece)));
}

#[test]
fn a_gguf_of_any_bytes_is_taken_or_refused() {
    let folder = Folder::new();
    let ggufs = models().map(|model| model.gguf().build());
    some_are_taken(800, |random| {
        let mut bytes = random.one(&ggufs).clone();
        // Most of the bytes are weights, which can be anything.
        let table = if random.below(8) == 0 { bytes.len() } else { 9_000 };
        for _ in 0..=random.below(3) {
            random.change(&mut bytes, 0..table);
        }
        let (source, packed) = (folder.write("changed.gguf", &bytes), folder.path("changed.nibble"));
        let model = taken(pack(&source, &packed, &mut |_| ControlFlow::Continue(())))
            .and_then(|()| taken(Model::open(&packed)));
        model.is_some_and(|model| exercise(&model))
    });
}

/// A packed file as its format has it: the header's sections, which follow the tensors.
struct Packed {
    header: Vec<u8>,
    tensors: Vec<u8>,
    sections: Vec<Vec<u8>>,
}

impl Packed {
    const PAGE: usize = 16 << 10;
    /// Where the header has the file's length, and then offset, length and checksum of each section.
    const LENGTH: usize = 48;

    fn new(bytes: &[u8]) -> Self {
        let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
        let extents = (0..7).map(|i| Self::LENGTH + 8 + 24 * i).map(|at| number(at)..number(at) + number(at + 8));
        let extents: Vec<Range<usize>> = extents.collect();
        Self {
            header: bytes[..Self::PAGE].to_vec(),
            tensors: bytes[Self::PAGE..extents[0].start].to_vec(),
            sections: extents.into_iter().map(|extent| bytes[extent].to_vec()).collect(),
        }
    }

    fn manifest(&self) -> Value {
        serde_json::from_slice(&self.sections[0]).unwrap()
    }

    /// The file, rightly sealed but for the tensors.
    fn seal(mut self) -> Vec<u8> {
        let mut content = self.tensors;
        for (i, mut section) in self.sections.into_iter().enumerate() {
            let (offset, length) = (Self::PAGE + content.len(), section.len());
            section.resize(length.next_multiple_of(64), 0);
            let extent = [offset as u64, length as u64, xxh3_64(&section)];
            let at = Self::LENGTH + 8 + 24 * i;
            self.header[at..at + 24].copy_from_slice(&extent.map(u64::to_le_bytes).concat());
            content.extend(section);
        }
        let length = (Self::PAGE + content.len()) as u64;
        self.header[Self::LENGTH..Self::LENGTH + 8].copy_from_slice(&length.to_le_bytes());
        let sum = xxh3_64(&self.header[..Self::PAGE - 8]);
        self.header[Self::PAGE - 8..].copy_from_slice(&sum.to_le_bytes());
        [self.header, content].concat()
    }
}

/// Checksums keep accidents out, not forgers.
#[test]
fn a_packed_file_with_right_checksums_is_taken_or_refused() {
    let folder = Folder::new();
    let files = models().map(|model| folder.packed(&model));
    let open = |bytes: &[u8]| {
        let options = OpenOptions { verify: Verify::Header, ..OpenOptions::default() };
        taken(Model::open_with(&folder.write("forged.nibble", bytes), &options))
    };
    for file in &files {
        assert_eq!(Packed::new(file).seal(), *file);
        assert!(exercise(&open(file).expect("unchanged it opens")));
    }
    some_are_taken(1600, |random| {
        let mut packed = Packed::new(random.one::<Vec<u8>>(&files));
        for _ in 0..=random.below(3) {
            match random.below(8) {
                0 => random.change(&mut packed.tensors, 0..usize::MAX),
                1 => random.change(&mut packed.sections[0], 0..usize::MAX),
                2..=4 => {
                    if let Ok(mut manifest) = serde_json::from_slice::<Value>(&packed.sections[0]) {
                        random.alter(&mut manifest);
                        packed.sections[0] = serde_json::to_vec(&manifest).unwrap();
                    }
                }
                _ => {
                    let section = 1 + random.below(6);
                    random.change(&mut packed.sections[section], 0..usize::MAX);
                }
            }
        }
        open(&packed.seal()).is_some_and(|model| exercise(&model))
    });
}

#[test]
fn a_packed_file_of_any_bytes_is_taken_or_refused() {
    let folder = Folder::new();
    let file = folder.packed(&models()[0]);
    each_case(400, |random| {
        let mut bytes = file.clone();
        let within = if random.below(2) == 0 { 300 } else { bytes.len() };
        random.change(&mut bytes, 0..within);
        let opened = taken(Model::open(&folder.write("changed.nibble", &bytes))).is_some();
        assert_eq!(opened, bytes == file);
        opened
    });
}

#[test]
fn a_snapshot_of_any_bytes_is_taken_or_refused() {
    let folder = Folder::new();
    for model in models() {
        let model = model.open_in(folder.0.path()).unwrap();
        let mut writer = session(&model).unwrap();
        let tokens: Vec<TokenId> = (3..20).collect();
        writer.sync(&tokens).unwrap();
        writer.save(&folder.path("sound")).unwrap();
        let sound = fs::read(folder.path("sound")).unwrap();
        some_are_taken(400, |random| {
            let mut bytes = sound.clone();
            let within = if random.below(2) == 0 { 200 } else { bytes.len() };
            random.change(&mut bytes, 0..within);
            if random.below(4) > 0 && bytes.len() > 8 {
                let (content, sum) = bytes.split_last_chunk_mut::<8>().unwrap();
                *sum = xxh3_64(content).to_le_bytes();
            }
            let mut session = session(&model).unwrap();
            let read = taken(session.restore(&folder.write("changed", &bytes)));
            assert_eq!(session.tokens().len(), read.unwrap_or(0));
            let next: Vec<TokenId> = session.tokens().iter().copied().chain([5]).take(24).collect();
            session.sync(&next).unwrap();
            read.is_some()
        });
    }
}

#[test]
fn a_text_of_any_characters_is_tokens_and_a_text_again() {
    let folder = Folder::new();
    let words = ["<s>", "</s>", "<unk>", "<0x00>", "\0", "\u{feff}", "\u{301}", "🙂", "▁", "Ġ", "\r\n\t", "  ", "٣"];
    for model in models() {
        let model = model.open_in(folder.0.path()).unwrap();
        let (tokenizer, size) = (model.tokenizer(), model.vocabulary().len());
        let by_scores = model.config().architecture == "gemma3";
        each_case(800, |random| {
            let mut text = "The cat's on 1234 mats, isn't it? \n\n Ja: ÄÖÜ.".to_owned();
            for _ in 0..=random.below(12) {
                text = random.edit(&text, &words);
            }
            let tokens = tokenizer.encode(&text);
            assert!(tokens.iter().all(|&token| (token as usize) < size));
            // Tokenizers by scores write a space so.
            assert_eq!(tokenizer.decode(&tokens), if by_scores { text.replace('▁', " ") } else { text });
            tokenizer.decode(&tokens[random.below(tokens.len())..]);
            true
        });
    }
}

#[test]
fn a_chat_template_of_any_text_writes_or_says_why_not() {
    let folder = Folder::new();
    let file = folder.packed(&models()[0]);
    let words = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "-",
        "'",
        "(",
        "[0]",
        "[:-1]",
        " | upper",
        " | tojson(indent=99)",
        " | replace('a', '')",
        " | join(m)",
        " | batch(0)",
        " | round(99)",
        " ~ m",
        " * -1",
        " // 0",
        " ** 99",
        "{% set m = messages %}",
        "{% break %}",
        "{% macro f(a) %}{{ f(a) }}{% endmacro %}{{ f(1) }}",
        "{{ strftime_now('%') }}",
        "{{ raise_exception(m) }}",
        "{{ range(9, 0, 0) }}",
        "{{ namespace(a=1) }}",
        ".split('')",
        ".strip(1)",
        "🙂",
    ];
    some_are_taken(1600, |random| {
        let mut template = TEMPLATE.to_owned();
        for _ in 0..=random.below(4) {
            template = random.edit(&template, &words);
        }
        let mut packed = Packed::new(&file);
        let mut manifest = packed.manifest();
        manifest["metadata"]["tokenizer.chat_template"] = template.into();
        packed.sections[0] = serde_json::to_vec(&manifest).unwrap();
        let options = OpenOptions { verify: Verify::Header, ..OpenOptions::default() };
        let model = Model::open_with(&folder.write("forged.nibble", &packed.seal()), &options).unwrap();
        let outcome = model.chat(&messages());
        assert!(matches!(outcome, Ok(_) | Err(Error::ChatTemplate { .. })), "{outcome:?}");
        outcome.is_ok()
    });
}

#[test]
fn a_schema_of_any_text_guides_or_is_refused() {
    let folder = Folder::new();
    let model = models()[0].open_in(folder.0.path()).unwrap();
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 9 },
            "kind": { "enum": ["the", 1, null, [true]] },
            "day": { "type": "string", "format": "date" },
            "code": { "type": "string", "pattern": "^[a-f]{2}(x|yz)*$" },
            "size": { "type": "number", "minimum": 0, "maximum": 9.5 },
            "some": { "type": "array", "items": { "$ref": "#/$defs/one" }, "minItems": 1, "maxItems": 3 },
        },
        "required": ["name", "some"],
        "additionalProperties": false,
        "$defs": { "one": { "anyOf": [{ "type": "integer", "multipleOf": 3 }, { "const": "x" }, { "type": "boolean" }] } },
    });
    some_are_taken(800, |random| {
        let mut changed = schema.clone();
        for _ in 0..=random.below(3) {
            random.alter(&mut changed);
        }
        let mut text = changed.to_string();
        if random.below(5) == 0 {
            text = random.edit(&text, &["{", "]", "\\ud800", "\"$ref\":", "1e999", "//"]);
        }
        let schema = Schema::new(&text);
        assert!(matches!(schema, Ok(_) | Err(Error::UnfitSchema { .. })), "{schema:?}");
        schema.is_ok_and(|schema| {
            let mut session = session(&model).unwrap();
            write(&mut session, vec![0, 40], Sampling { schema: Some(schema), ..Sampling::default() });
            true
        })
    });
}

#[test]
fn learned_words_of_any_text_are_taken_or_refused() {
    let learner = Learner::new();
    for word in ["quite", "Zürich", "don't"] {
        learner.committed("it is", word);
    }
    learner.reverted("teh", "the");
    let export: Value = serde_json::from_str(&learner.export()).unwrap();
    some_are_taken(4000, |random| {
        let mut changed = export.clone();
        for _ in 0..=random.below(3) {
            random.alter(&mut changed);
        }
        let mut text = changed.to_string();
        if random.below(4) == 0 {
            text = random.edit(&text, &["{", "]", "\\ud800", "1e999", "\"\""]);
        }
        let other = Learner::new();
        if other.import(&text).is_err() {
            assert!(other.is_empty(), "something was taken");
            return false;
        }
        other.committed("it is", "quite");
        assert_eq!(other.words().len(), other.len());
        Learner::new().import(&other.export()).expect("what it exports is an export");
        true
    });
}

#[test]
fn a_word_list_of_any_bytes_is_taken_or_refused() {
    let folder = Folder::new();
    let words = ["the", "then", "cat", "über", "don't"].map(|word| (word.to_owned(), Word { cost: 200, listed: true }));
    let sound = Lexicon::build(words, &HashSet::from(["cat".to_owned()]));
    let open = |bytes: &[u8]| Lexicon::open(&folder.write("words", bytes));
    assert!(open(&sound).unwrap().is_offensive("cat"));
    each_case(2000, |random| {
        let mut bytes = sound.clone();
        random.change(&mut bytes, 0..usize::MAX);
        let opened = open(&bytes).is_ok();
        assert_eq!(opened, bytes == sound);
        opened
    });
}
