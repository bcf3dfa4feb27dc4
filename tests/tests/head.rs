//! The screened head finds the 40 best tokens that the full head finds, with the same bits, on real models and any text.
//!
//! `NIBBLE_HEAD_POSITIONS` says how many positions of each model to check; there is text for some 300,000. ARCHITECTURE.md
//! says what such checks found.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use nibble_engine::{Generator, LanguageModel, Sampling, Session, SessionOptions, Stop, TokenId};
use nibble_tests::golden::Golden;
use nibble_tests::models::{GEMMA3, SMOLLM2, TestModel};

/// What a sampler looks at by default.
const BEST: usize = 40;

/// After how many positions it says how far it has come.
const SHOWN: usize = 5_000;

/// Tokens of one text.
const LENGTH: usize = 128;

fn positions() -> usize {
    std::env::var("NIBBLE_HEAD_POSITIONS").map_or(600, |n| n.parse().expect("NIBBLE_HEAD_POSITIONS is a number"))
}

#[test]
fn smollm2_finds_the_best_of_all_logits() {
    the_best_are_found(&SMOLLM2);
}

#[test]
fn gemma3_finds_the_best_of_all_logits() {
    the_best_are_found(&GEMMA3);
}

fn the_best_are_found(model: &TestModel) {
    assert!(model.open().has_screened_head());
    let options = SessionOptions { context: LENGTH, ..SessionOptions::default() };
    let mut session = model.open().session(options).unwrap();
    let (mut checked, wanted) = (0, positions());
    let kinds = [golden(model), corpus(&session), project(&session), random(&session)];
    let mut kinds = kinds.map(|texts| texts.into_iter().filter(|text| !text.is_empty()).cycle());
    let mut seed = 0;
    while checked < wanted {
        for kind in 0..=kinds.len() {
            // Texts of this project are the most; of the others, some come again.
            let text = match kinds.get_mut(kind) {
                Some(texts) => texts.next().expect("texts of every kind"),
                None => {
                    seed += 1;
                    sampled(&mut session, seed)
                }
            };
            let mut expected: Vec<Vec<(TokenId, u32)>> = Vec::new();
            session.score(&text, |_, logits| expected.push(best(logits))).unwrap();
            let check = |i: usize, found: &[(TokenId, f32)]| {
                let found: Vec<_> = found.iter().map(|&(token, logit)| (token, logit.to_bits())).collect();
                assert!(found == expected[i], "{}: position {i} of {text:?}", model.name);
            };
            session.score_top(&text, BEST, check).unwrap();
            if (checked + text.len()) / SHOWN > checked / SHOWN {
                println!("{}: the same at {} positions so far", model.name, checked + text.len());
            }
            checked += text.len();
        }
    }
    println!("{}: the {BEST} best tokens are the same at {checked} positions", model.name);
}

/// The best tokens of all logits, by sorting them.
fn best(logits: &[f32]) -> Vec<(TokenId, u32)> {
    let mut order: Vec<TokenId> = (0..logits.len() as TokenId).collect();
    let logit = |token: TokenId| logits[token as usize];
    let order_of = |a: &TokenId, b: &TokenId| logit(*b).total_cmp(&logit(*a)).then(a.cmp(b));
    let (before, _, _) = order.select_nth_unstable_by(BEST, order_of);
    before.sort_by(order_of);
    before.iter().map(|&token| (token, logit(token).to_bits())).collect()
}

/// Prose, dialogue and code in several languages.
fn golden(model: &TestModel) -> Vec<Vec<TokenId>> {
    Golden::read(model.name).texts.into_iter().flat_map(|text| in_parts(&text.tokens)).collect()
}

/// Lines that are hard on a tokenizer: rare scripts, control characters, broken words.
fn corpus(session: &Session) -> Vec<Vec<TokenId>> {
    let lines = std::fs::read_to_string(folder().join("tests/golden/tokenizer/corpus.jsonl")).unwrap();
    let lines: Vec<String> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines.chunks(8).flat_map(|lines| in_parts(&session.encode(&lines.join("\n")))).collect()
}

/// This project: documents and code.
fn project(session: &Session) -> Vec<Vec<TokenId>> {
    let mut files =
        vec![folder().join("README.md"), folder().join("ARCHITECTURE.md"), folder().join("CONTRIBUTING.md")];
    sources(&folder().join("rust"), &mut files);
    sources(&folder().join("tests"), &mut files);
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| in_parts(&session.encode(&text))).collect()
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
            files.push(path);
        }
    }
}

/// No text at all.
fn random(session: &Session) -> Vec<Vec<TokenId>> {
    let size = session.vocabulary().len() as u64;
    let token = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) % size) as TokenId;
    (0..8).map(|text| (0..32).map(|i| token(text * 32 + i)).collect()).collect()
}

/// What the model itself writes when it is hot.
fn sampled(session: &mut Session, seed: u64) -> Vec<TokenId> {
    let begins = ["The", "Dear", "def ", "In 19", "Je ", "- ", "\"", "1. ", "Ich", "¿"];
    let begin = session.encode(begins[seed as usize % begins.len()]);
    let sampling = Sampling { temperature: 1.1, top_k: 400, top_p: 1.0, min_p: 0.0, seed, ..Sampling::default() };
    let mut writer = Generator::new(session, begin, sampling, Stop { max_tokens: Some(60), ..Stop::default() });
    writer.by_ref().for_each(|piece| drop(piece.unwrap()));
    writer.tokens().to_vec()
}

fn in_parts(tokens: &[TokenId]) -> Vec<Vec<TokenId>> {
    tokens.chunks(LENGTH).map(<[TokenId]>::to_vec).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
