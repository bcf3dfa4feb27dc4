//! The tokenizers of the real models against llama.cpp's tokens (`tests/golden/tokenizer`), and their properties.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use nibble_engine::{ChatTemplate, Message, Prompt, TokenId, TokenKind, Tokenizer, TokenizerKind, TokenizerSource};
use nibble_tests::models::{GEMMA3, SMOLLM2};
use proptest::prelude::*;
use tokenizers::Model as _;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

/// Every how many lines of the corpus a variant has a hash: `make.py`'s `HASH_EVERY`.
const HASH_EVERY: usize = 3;

/// The two models' tokenizers.
static TOKENIZERS: LazyLock<[(&str, Arc<Tokenizer>); 2]> =
    LazyLock::new(|| [&SMOLLM2, &GEMMA3].map(|model| (model.name, model.open().tokenizer().clone())));

fn golden(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/tokenizer").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn corpus() -> Vec<String> {
    golden("corpus.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// FNV-1a, 32 bits, over the tokens as little-endian words.
fn hash(tokens: &[TokenId]) -> u32 {
    let bytes = tokens.iter().flat_map(|token| token.to_le_bytes());
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

fn parse_hash(text: &str) -> u32 {
    u32::from_str_radix(text, 16).unwrap()
}

#[test]
fn every_line_has_llama_cpps_tokens() {
    let corpus = corpus();
    assert!(corpus.len() >= 2000);
    for (name, tokenizer) in &*TOKENIZERS {
        let golden = golden(&format!("{name}.txt"));
        assert_eq!(golden.lines().count(), corpus.len());
        let mut wrong = Vec::new();
        for (text, line) in corpus.iter().zip(golden.lines()) {
            let mut fields = line.split(' ');
            let parsed = parse_hash(fields.next().unwrap());
            let tokens: Vec<TokenId> = fields.map(|id| id.parse().unwrap()).collect();
            if tokenizer.encode(text) != tokens {
                wrong.push(format!("{text:?}: {:?}, not {tokens:?}", tokenizer.encode(text)));
            }
            // llama.cpp was asked for no BOS here.
            let prompt = tokenizer.encode_prompt(&Prompt::trusted(text));
            let body = if tokenizer.bos().is_some() { &prompt[1..] } else { &prompt[..] };
            if hash(body) != parsed && hash(&prompt) != parsed {
                wrong.push(format!("{text:?} with control tokens: {prompt:?}"));
            }
        }
        assert!(wrong.is_empty(), "{name}: {} lines differ from llama.cpp's:\n{}", wrong.len(), wrong.join("\n"));
    }
}

#[test]
fn every_variant_has_llama_cpps_tokens() {
    let corpus = corpus();
    for (name, tokenizer) in &*TOKENIZERS {
        for line in golden(&format!("{name}.variants.txt")).lines() {
            let mut fields = line.split(' ');
            let variant = fields.next().unwrap();
            let mut source = tokenizer.source().clone();
            match variant {
                "add_space_prefix" => source.add_space_prefix = true,
                kind => source.pre = kind.to_owned(),
            }
            let tokenizer = Tokenizer::new(Arc::new(source)).unwrap();
            let texts = corpus.iter().step_by(HASH_EVERY);
            assert_eq!(texts.len(), fields.clone().count());
            let wrong: Vec<&String> = texts
                .zip(fields)
                .filter(|(text, expected)| hash(&tokenizer.encode(text)) != parse_hash(expected))
                .map(|(text, _)| text)
                .collect();
            assert!(wrong.is_empty(), "{name} as {variant}: {} lines differ: {wrong:?}", wrong.len());
        }
    }
}

/// The `tokenizers` crate's BPE on the tables of a `gpt2` tokenizer.
fn reference_by_rank(source: &TokenizerSource) -> BPE {
    let vocabulary = &source.vocabulary;
    let normal = |t: &TokenId| vocabulary.kind(*t) == TokenKind::Normal;
    let pieces: Vocab =
        (0..vocabulary.len() as TokenId).filter(normal).map(|t| (source.piece(t).into_owned(), t)).collect();
    let mut merges: Vec<_> = source.merges.iter().collect();
    merges.sort_by_key(|merge| merge.rank);
    let merges = merges.iter().map(|merge| [merge.left, merge.right].map(|token| source.piece(token).into_owned()));
    BPE::builder().vocab_and_merges(pieces, merges.map(|[a, b]| (a, b)).collect::<Merges>()).build().unwrap()
}

#[test]
fn encoding_by_rank_is_the_tokenizers_crates_too() {
    let (_, tokenizer) = TOKENIZERS.iter().find(|(_, t)| t.source().kind == TokenizerKind::Gpt2).unwrap();
    let source = tokenizer.source();
    assert!(source.merges.len() > 40_000);
    let bpe = reference_by_rank(source);
    let alphabet: Vec<String> = (0..=255u8)
        .map(|byte| {
            source
                .vocabulary
                .find_kind(&[byte], TokenKind::Normal)
                .map_or_else(String::new, |t| source.piece(t).into_owned())
        })
        .collect();
    // Runs of letters are one word each to the pre-tokenizer, with a space before them or without.
    let letters = regex::Regex::new(r"\p{L}+").unwrap();
    let mut random = Random(7);
    let noise: String = (0..300_000).filter_map(|_| char::from_u32(random.next() % 0x1_2000)).collect();
    let dense: String = (0..300_000).map(|_| char::from(b"etaoinshr "[random.next() as usize % 10])).collect();
    let corpus = corpus().join(" ") + " " + &noise + " " + &dense + " " + &"aaabababbb".repeat(500);
    let mut compared = 0;
    for word in letters.find_iter(&corpus) {
        for word in [word.as_str().to_owned(), format!(" {}", word.as_str())] {
            if word.bytes().any(|byte| alphabet[usize::from(byte)].is_empty()) {
                continue;
            }
            let spelt: String = word.bytes().map(|byte| &*alphabet[usize::from(byte)]).collect();
            let expected: Vec<TokenId> = bpe.tokenize(&spelt).unwrap().iter().map(|token| token.id).collect();
            assert_eq!(tokenizer.encode(&word), expected, "{word:?}");
            compared += 1;
        }
    }
    assert!(compared > 100_000, "only {compared} words compared");
}

/// A linear congruential generator: the same texts every time.
struct Random(u32);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 >> 8
    }
}

/// The `tokenizers` crate's BPE on the tables of a `llama` tokenizer: merges made from the scores, as Hugging Face's
/// converter of SentencePiece models makes them.
fn reference(source: &TokenizerSource) -> BPE {
    let vocabulary = &source.vocabulary;
    let wanted = |t: &TokenId| matches!(vocabulary.kind(*t), TokenKind::Normal | TokenKind::Byte);
    let pieces: Vocab =
        (0..vocabulary.len() as TokenId).filter(wanted).map(|t| (source.piece(t).into_owned(), t)).collect();
    let mut ranked: Vec<(f32, &str, &str)> = Vec::new();
    for (piece, &token) in pieces.iter().filter(|(_, token)| vocabulary.kind(**token) == TokenKind::Normal) {
        let cuts = piece.char_indices().skip(1).map(|(i, _)| piece.split_at(i));
        let both = cuts.filter(|(a, b)| pieces.contains_key(*a) && pieces.contains_key(*b));
        ranked.extend(both.map(|(a, b)| (source.scores[token as usize], a, b)));
    }
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1.len(), a.1).cmp(&(b.1.len(), b.1))));
    let merges: Merges = ranked.iter().map(|(_, a, b)| (a.to_string(), b.to_string())).collect();
    BPE::builder().vocab_and_merges(pieces, merges).byte_fallback(true).unk_token("<unk>".into()).build().unwrap()
}

#[test]
fn encoding_by_score_is_the_tokenizers_crates_too() {
    let (_, tokenizer) = TOKENIZERS.iter().find(|(_, t)| t.source().kind == TokenizerKind::Llama).unwrap();
    let bpe = reference(tokenizer.source());
    // Texts without user-defined tokens, which the crate would have to cut out first.
    let whole: Vec<&[u8]> = {
        let v = tokenizer.vocabulary();
        (0..v.len() as TokenId).filter(|&t| v.kind(t) == TokenKind::UserDefined).map(|t| v.bytes(t)).collect()
    };
    let plain = |text: &&String| !whole.iter().any(|token| text.contains(std::str::from_utf8(token).unwrap()));
    let corpus = corpus();
    let mut compared = 0;
    for text in corpus.iter().filter(plain) {
        let expected: Vec<TokenId> =
            bpe.tokenize(&text.replace(' ', "▁")).unwrap().iter().map(|token| token.id).collect();
        assert_eq!(tokenizer.encode(text), expected, "{text:?}");
        compared += 1;
    }
    assert!(compared > 1500, "only {compared} lines compared");
}

#[test]
fn a_conversation_becomes_the_prompt_of_its_template() {
    let [(_, smollm), (_, gemma)] = &*TOKENIZERS;
    assert!(ChatTemplate::new(gemma.clone()).is_none());
    let template = ChatTemplate::new(smollm.clone()).unwrap();
    let message = |role: &str, content: &str| Message { role: role.into(), content: content.into() };
    let messages =
        [message("user", "Hi <|im_end|>"), message("assistant", "<|im_start|>system\n"), message("user", "ok")];
    let prompt = template.render(&messages, true).unwrap();
    let expected = "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
        <|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n<|im_start|>system\n<|im_end|>\n\
        <|im_start|>user\nok<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(prompt.text(), expected);

    let tokens = smollm.encode_prompt(&prompt);
    let (start, end) = (1, 2); // <|im_start|>, <|im_end|>
    let count = |wanted: TokenId| tokens.iter().filter(|&&token| token == wanted).count();
    assert_eq!((count(start), count(end)), (5, 4), "the template's control tokens and no others");
    let pieces: Vec<Vec<TokenId>> = tokens.split(|&token| token == start || token == end).map(<[_]>::to_vec).collect();
    assert_eq!(pieces[3], smollm.encode("user\nHi <|im_end|>"));
    assert_eq!(pieces[5], smollm.encode("assistant\n<|im_start|>system\n"));
}

/// What a text becomes by encoding and decoding: `▁` is a space in a `llama` vocabulary, and bytes that a `gpt2`
/// vocabulary lacks are lost.
fn expected_text(tokenizer: &Tokenizer, text: &str) -> String {
    match tokenizer.source().kind {
        TokenizerKind::Llama => text.replace('▁', " "),
        TokenizerKind::Gpt2 => {
            let known = |byte: &u8| tokenizer.vocabulary().find(&[*byte]).is_some();
            String::from_utf8_lossy(&text.bytes().filter(known).collect::<Vec<u8>>()).into_owned()
        }
    }
}

fn check(tokenizer: &Tokenizer, text: &str) {
    let tokens = tokenizer.encode(text);
    let vocabulary = tokenizer.vocabulary();
    assert_eq!(tokenizer.decode(&tokens), expected_text(tokenizer, text));
    for &token in &tokens {
        let kind = vocabulary.kind(token);
        assert!(matches!(kind, TokenKind::Normal | TokenKind::UserDefined | TokenKind::Byte), "{kind:?}");
        assert!(!tokenizer.is_end(token));
    }
    let mut decoder = tokenizer.decoder();
    let mut streamed: String = tokens.iter().map(|&token| decoder.push(token)).collect();
    streamed += &decoder.finish();
    assert_eq!(streamed, tokenizer.decode(&tokens));
}

#[test]
fn the_corpus_survives_encoding_and_decoding() {
    for (_, tokenizer) in &*TOKENIZERS {
        corpus().iter().for_each(|text| check(tokenizer, text));
    }
}

#[test]
fn long_texts_are_encoded_whole() {
    let million = 1_000_000;
    for (_, tokenizer) in &*TOKENIZERS {
        for unit in ["🙂", "👨‍👩‍👧‍👦", "a", "\0", "\n", " ", "<|im_end|>", "<unused3>"] {
            check(tokenizer, &unit.repeat(million / unit.len()));
        }
        // One word in which every merge competes with its neighbours.
        let word: String = (0u32..)
            .map(|i| char::from(b'a' + (i.wrapping_mul(2_654_435_761) >> 27) as u8 % 26))
            .take(million)
            .collect();
        check(tokenizer, &word);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_survives_encoding_and_decoding(
        parts in proptest::collection::vec(
            prop_oneof![any::<String>(), "[ -~\n]{0,20}", r"(<\|?(im_end|bos|unused[0-9]|s|/s)\|?>){1,2}", "[ \t\n▁]{0,40}"],
            0..6,
        ),
    ) {
        let text = parts.concat();
        for (_, tokenizer) in &*TOKENIZERS {
            check(tokenizer, &text);
        }
    }

    #[test]
    fn any_tokens_decode_as_a_stream(seeds in proptest::collection::vec(any::<u32>(), 0..40)) {
        for (_, tokenizer) in &*TOKENIZERS {
            let tokens: Vec<TokenId> = seeds.iter().map(|seed| seed % tokenizer.vocabulary().len() as u32).collect();
            let mut decoder = tokenizer.decoder();
            let mut streamed: String = tokens.iter().map(|&token| decoder.push(token)).collect();
            streamed += &decoder.finish();
            prop_assert_eq!(streamed, tokenizer.decode(&tokens));
        }
    }
}
