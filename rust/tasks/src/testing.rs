//! A language model small enough to enumerate: a byte-pair tokenizer over a few letters, and random but fixed
//! distributions that depend on the last three tokens.

use std::sync::Arc;

use nibble_engine::{Adapter, Error, LanguageModel, Message, Node, Result, TokenId, TokenKind, Vocabulary};

/// Ends a text. The only control token, and what a text begins with where BOS is off.
pub const END: TokenId = 0;
/// Stands for bytes that no other token covers.
pub const UNKNOWN: TokenId = 1;

/// What can be merged, in order of rank, after the single bytes.
const MERGES: &[(&str, &str)] = &[
    (" ", "a"),
    (" ", "b"),
    ("a", "b"),
    (" ", "T"),
    (" a", "b"),
    ("b", "a"),
    ("c", "a"),
    (" ", "c"),
    ("'", "c"),
    (" T", "a"),
    (" b", "a"),
    ("ab", "ba"),
    (" ", " "),
    (".", "\n"),
    ("a", "."),
    ("-", "b"),
    (" c", "ab"),
];
const BYTES: &[u8] = b"abcT \n.'-()\xC3\xA9\xF0\x9F";

/// See the module.
pub struct Fake {
    first_merge: TokenId,
    vocabulary: Vocabulary,
    bos: Option<TokenId>,
    context: usize,
    max_nodes: usize,
    seed: u64,
    /// How sure the model is: logits are this many times a number in -1..1.
    heat: f32,
    prefix: Vec<TokenId>,
    root: Vec<f32>,
    nodes: Vec<Vec<TokenId>>,
    last: Vec<Vec<f32>>,
    /// Tokens computed by `sync` so far.
    pub computed: usize,
    /// Calls of `grow` so far.
    pub grown: usize,
}

impl Fake {
    /// A model with distributions of its own for every `seed`.
    pub fn new(seed: u64) -> Self {
        Self::over(BYTES, seed)
    }

    /// As [`new`](Self::new), with every printable ASCII character: more than can be enumerated.
    pub fn lettered(seed: u64) -> Self {
        let more = (b'!'..=b'~').filter(|byte| !BYTES.contains(byte));
        Self::over(&BYTES.iter().copied().chain(more).collect::<Vec<u8>>(), seed)
    }

    fn over(bytes: &[u8], seed: u64) -> Self {
        let mut tokens = vec![(b"<end>".to_vec(), TokenKind::Control), (b"<unk>".to_vec(), TokenKind::Unknown)];
        tokens.extend(bytes.iter().map(|&byte| (vec![byte], TokenKind::Normal)));
        tokens.extend(MERGES.iter().map(|(a, b)| ([a.as_bytes(), b.as_bytes()].concat(), TokenKind::Normal)));
        Self {
            first_merge: 2 + bytes.len() as TokenId,
            vocabulary: Vocabulary::new(tokens).expect("a small vocabulary"),
            bos: None,
            context: 256,
            max_nodes: usize::MAX,
            seed,
            heat: 3.0,
            prefix: Vec::new(),
            root: Vec::new(),
            nodes: Vec::new(),
            last: Vec::new(),
            computed: 0,
            grown: 0,
        }
    }

    pub fn with_bos(mut self, bos: TokenId) -> Self {
        self.bos = Some(bos);
        self
    }

    pub fn with_context(mut self, tokens: usize) -> Self {
        self.context = tokens;
        self
    }

    pub fn with_max_nodes(mut self, nodes: usize) -> Self {
        self.max_nodes = nodes;
        self
    }

    /// The prefix last synced to.
    pub fn prefix(&self) -> &[TokenId] {
        &self.prefix
    }

    /// Logits after `tokens`.
    pub fn logits_after(&self, tokens: &[TokenId]) -> Vec<f32> {
        let recent = &tokens[tokens.len().saturating_sub(3)..];
        (0..self.vocabulary.len() as u64)
            .map(|next| {
                let state = recent.iter().fold(self.seed, |state, &token| mix(state ^ u64::from(token)));
                let unit = (mix(state ^ (next << 32)) >> 40) as f32 / (1u64 << 24) as f32;
                self.heat * (2.0 * unit - 1.0)
            })
            .collect()
    }

    /// Natural logarithms of the probabilities after `tokens`.
    pub fn log_probs_after(&self, tokens: &[TokenId]) -> Vec<f64> {
        let logits = self.logits_after(tokens);
        let total = logits.iter().map(|&v| f64::from(v).exp()).sum::<f64>().ln();
        logits.iter().map(|&v| f64::from(v) - total).collect()
    }
}

/// A step of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl LanguageModel for Fake {
    fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    fn encode(&self, text: &str) -> Vec<TokenId> {
        let single = |&byte: &u8| self.vocabulary.find(&[byte]).unwrap_or(UNKNOWN);
        let mut tokens: Vec<TokenId> = text.as_bytes().iter().map(single).collect();
        for (rank, (a, b)) in MERGES.iter().enumerate() {
            let pair = [a, b].map(|part| self.vocabulary.find(part.as_bytes()).expect("merges are ordered"));
            let mut merged = Vec::with_capacity(tokens.len());
            let mut rest = &tokens[..];
            while let [first, tail @ ..] = rest {
                if rest.starts_with(&pair) {
                    merged.push(self.first_merge + rank as TokenId);
                    rest = &rest[2..];
                } else {
                    merged.push(*first);
                    rest = tail;
                }
            }
            tokens = merged;
        }
        tokens
    }

    fn decode(&self, tokens: &[TokenId]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|&token| self.vocabulary.bytes(token)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn bos(&self) -> Option<TokenId> {
        self.bos
    }

    fn is_end(&self, token: TokenId) -> bool {
        token == END
    }

    fn chat(&self, _: &[Message]) -> Result<Vec<TokenId>> {
        Err(Error::NoChatTemplate)
    }

    fn name(&self) -> Option<&str> {
        Some("Fake")
    }

    fn adapt(&mut self, adapter: Option<&Arc<Adapter>>) -> Result<()> {
        match adapter {
            Some(_) => Err(Error::UnfitAdapter { why: "there are no hidden states".to_owned() }),
            None => Ok(()),
        }
    }

    fn context_limit(&self) -> usize {
        self.context
    }

    fn missing(&self, prefix: &[TokenId]) -> usize {
        if prefix == self.prefix || self.nodes.iter().any(|path| path == prefix) {
            return 0;
        }
        prefix.len() - prefix.iter().zip(&self.prefix).take_while(|(a, b)| a == b).count()
    }

    fn sync(&mut self, prefix: &[TokenId]) -> Result<&[f32]> {
        assert!(!prefix.is_empty(), "a prefix is never empty");
        if prefix.len() > self.context {
            return Err(Error::ContextOverflow { tokens: prefix.len(), context: self.context });
        }
        if prefix != self.prefix {
            self.computed += self.missing(prefix);
            self.prefix = prefix.to_vec();
            self.root = self.logits_after(prefix);
            self.nodes.clear();
        }
        Ok(&self.root)
    }

    fn grow(&mut self, rows: &[(Node, TokenId)]) -> Result<Vec<Node>> {
        assert!(!rows.is_empty() && !self.prefix.is_empty(), "there is something to grow, and from");
        if rows.len() > self.room() {
            return Err(Error::TreeFull { max: self.max_nodes });
        }
        self.grown += 1;
        let first = self.nodes.len();
        for &(parent, token) in rows {
            let mut path =
                if parent == Node::ROOT { self.prefix.clone() } else { self.nodes[parent.0 as usize - 1].clone() };
            path.push(token);
            self.nodes.push(path);
        }
        self.last = self.nodes[first..].iter().map(|path| self.logits_after(path)).collect();
        Ok((first..self.nodes.len()).map(|i| Node(i as u32 + 1)).collect())
    }

    fn logits(&self, i: usize) -> &[f32] {
        &self.last[i]
    }

    fn room(&self) -> usize {
        self.max_nodes - self.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_a_canonical_path_is_canonical() {
        let fake = Fake::new(0);
        for text in ["a cab", " abba ab", "Ta.\n  ab", "é (a-b)", "'cab'", "abababab"] {
            let tokens = fake.encode(text);
            assert_eq!(fake.decode(&tokens), text);
            for n in 0..tokens.len() {
                let bytes: Vec<u8> = tokens[..n].iter().flat_map(|&t| fake.vocabulary.bytes(t)).copied().collect();
                if let Ok(part) = String::from_utf8(bytes) {
                    assert_eq!(fake.encode(&part), tokens[..n], "{part:?}");
                }
            }
        }
    }
}
