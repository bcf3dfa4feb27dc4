//! Tests on vocabularies small enough to see through. The real models' are in the `nibble-tests` crate.

use super::*;
use crate::Merges;

/// A byte-level tokenizer: control tokens `<s>` and `<e>`, one user-defined token, all bytes but 0x04, and the merges
/// `a b`, `ab a`.
pub(crate) fn tokenizer(chat_template: Option<&str>) -> Tokenizer {
    Tokenizer::new(Arc::new(gpt2(chat_template))).unwrap()
}

fn gpt2(chat_template: Option<&str>) -> TokenizerSource {
    let special = [("<s>", TokenKind::Control), ("<e>", TokenKind::Control), ("<<table>>", TokenKind::UserDefined)];
    let bytes = (0..=255u8).filter(|&byte| byte != 4).map(|byte| (vec![byte], TokenKind::Normal));
    let merged = ["ab", "aba"].map(|text| (text.into(), TokenKind::Normal));
    let tokens = special.map(|(text, kind)| (text.into(), kind)).into_iter().chain(bytes).chain(merged);
    let vocabulary = Vocabulary::new(tokens).unwrap();
    let pairs = [("a", "b"), ("ab", "a"), ("no", "such")].map(|(a, b)| (a.into(), b.into()));
    TokenizerSource {
        kind: TokenizerKind::Gpt2,
        pre: "gpt-2".into(),
        merges: Merges::new(&vocabulary, pairs),
        vocabulary: Arc::new(vocabulary),
        scores: Vec::new().into(),
        add_bos: false,
        add_eos: false,
        add_space_prefix: false,
        bos: Some(0),
        eos: Some(1),
        eot: None,
        unknown: None,
        chat_template: chat_template.map(str::to_owned),
    }
}

/// A tokenizer by score: bytes as tokens 3 and on, then the texts with falling scores.
fn llama(texts: &[&str], add_space_prefix: bool) -> Tokenizer {
    let special = [("<unk>", TokenKind::Unknown), ("<s>", TokenKind::Control), ("</s>", TokenKind::UserDefined)];
    let bytes = (0..=255u8).map(|byte| (vec![byte], TokenKind::Byte));
    let texts = texts.iter().map(|text| (text.as_bytes().to_vec(), TokenKind::Normal));
    let tokens: Vec<_> =
        special.map(|(text, kind)| (text.into(), kind)).into_iter().chain(bytes).chain(texts).collect();
    let scores: Vec<f32> = (0..tokens.len()).map(|i| -(i as f32)).collect();
    let vocabulary = Vocabulary::new(tokens).unwrap();
    let source = TokenizerSource {
        kind: TokenizerKind::Llama,
        merges: Merges::new(&vocabulary, []),
        vocabulary: Arc::new(vocabulary),
        scores: scores.into(),
        add_bos: true,
        add_eos: true,
        add_space_prefix,
        bos: Some(1),
        eos: Some(2),
        unknown: Some(0),
        ..gpt2(None)
    };
    Tokenizer::new(Arc::new(source)).unwrap()
}

fn pieces(tokenizer: &Tokenizer, tokens: &[TokenId]) -> Vec<String> {
    let vocabulary = tokenizer.vocabulary();
    tokens.iter().map(|&t| String::from_utf8_lossy(vocabulary.bytes(t)).into_owned()).collect()
}

#[test]
fn bytes_merge_by_rank_within_words() {
    let t = tokenizer(None);
    let encode = |text| pieces(&t, &t.encode(text));
    assert_eq!(encode("abaab"), ["aba", "ab"]);
    assert_eq!(encode("ab ab"), ["ab", " ", "ab"]);
    assert_eq!(encode(""), [""; 0]);
    assert_eq!(t.decode(&t.encode("Ünï\0 文\n🙂")), "Ünï\0 文\n🙂");
}

#[test]
fn a_byte_without_a_token_is_dropped_and_keeps_its_neighbours_apart() {
    let t = tokenizer(None);
    assert_eq!(pieces(&t, &t.encode("a\u{4}b")), ["a", "b"]);
}

#[test]
fn control_tokens_come_out_of_trusted_prompts_only() {
    let t = tokenizer(None);
    assert_eq!(pieces(&t, &t.encode("<s>ab<<table>>")), ["<", "s", ">", "ab", "<<table>>"]);
    assert_eq!(pieces(&t, &t.encode_prompt(&Prompt::trusted("<s>ab<e>"))), ["<s>", "ab", "<e>"]);
    assert!(t.is_end(1) && !t.is_end(0));
}

#[test]
fn pieces_merge_by_score() {
    let t = llama(&["ab", "bc", "abc", " ", " a", "a", "b", "c"], false);
    let encode = |text| pieces(&t, &t.encode(text));
    assert_eq!(encode("abc"), ["abc"]);
    assert_eq!(encode("bcab"), ["bc", "ab"]);
    assert_eq!(encode(" ab"), [" ", "ab"]);
    assert_eq!(encode("▁a"), [" a"]);
    assert_eq!(t.encode("é"), [3 + 0xc3, 3 + 0xa9]);
    assert_eq!(t.decode(&t.encode("é\0")), "é\0");
}

#[test]
fn the_models_rule_adds_bos_eos_and_a_space() {
    let t = llama(&[" ", "a", "<"], true);
    assert_eq!(pieces(&t, &t.encode("a")), [" ", "a"]);
    assert_eq!(pieces(&t, &t.encode_with_bos("a")), ["<s>", " ", "a", "</s>"]);
    assert_eq!(pieces(&t, &t.encode_with_bos("")), ["<s>", "</s>"]);
    assert_eq!(pieces(&t, &t.encode_prompt(&Prompt::trusted("a"))), ["<s>", " ", "a"]);
    assert_eq!(pieces(&t, &t.encode_prompt(&Prompt::trusted("<s>a"))), ["<s>", " ", "a"]);
    // The name of an ending is a control token whatever the file says.
    assert!(!t.encode("</s>").contains(&2));
}

#[test]
fn bytes_that_are_not_text_are_refused_by_offset() {
    let t = tokenizer(None);
    assert_eq!(t.encode_bytes("aé".as_bytes()).unwrap(), t.encode("aé"));
    let error = t.encode_bytes(b"secret\xff").unwrap_err().to_string();
    assert!(error.contains("offset 6") && !error.contains("secret"), "{error}");
}

#[test]
fn an_unknown_pre_tokenizer_is_an_error() {
    let error = Tokenizer::new(Arc::new(TokenizerSource { pre: "martian".into(), ..gpt2(None) })).unwrap_err();
    assert!(error.to_string().contains("martian"), "{error}");
}
