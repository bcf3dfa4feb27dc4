//! Reads the golden logits of llama.cpp; `golden/logits/README.md` has the layout.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// What llama.cpp predicts for one model.
#[derive(Debug)]
pub struct Golden {
    /// Size of the vocabulary.
    pub vocabulary: usize,
    /// The texts, in order.
    pub texts: Vec<Text>,
    /// Greedy continuations.
    pub greedy: Vec<Greedy>,
    /// What it predicts when it computes the same in another way, against the vectors.
    pub itself: BTreeMap<String, Itself>,
}

/// How far llama.cpp is from itself: nothing can be expected to be nearer.
#[derive(Debug, Deserialize)]
pub struct Itself {
    /// Mean KL(vectors || other way), nats.
    pub mean_kl: f64,
    /// Share of positions whose most probable token is the same.
    pub same_top: f64,
    /// Perplexity the other way over that of the vectors.
    pub perplexity_ratio: f64,
}

/// One text and what is predicted at each of its positions.
#[derive(Debug)]
pub struct Text {
    /// What kind of text it is.
    pub name: String,
    /// Its tokens, BOS included where the model wants one.
    pub tokens: Vec<u32>,
    /// One for each token: the prediction of what follows it.
    pub positions: Vec<Position>,
}

/// A truncated distribution, most probable token first.
#[derive(Debug)]
pub struct Position {
    /// Natural-log probability of the token that follows in the text; NaN at its end.
    pub following: f32,
    /// Ids and natural-log probabilities.
    pub top: Vec<(u32, f32)>,
    /// Probability of all other tokens.
    pub rest: f32,
}

/// A greedy continuation.
#[derive(Debug, Deserialize)]
pub struct Greedy {
    /// The prompt.
    pub prompt: Vec<u32>,
    /// What follows it.
    pub tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct Header {
    vocabulary: usize,
    top: usize,
    texts: Vec<HeaderText>,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct HeaderText {
    name: String,
    tokens: Vec<u32>,
}

impl Golden {
    /// The vectors of the model called `name`.
    ///
    /// # Panics
    /// When the file is missing or not what its header says.
    pub fn read(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/logits");
        let path = folder.join(format!("{name}.logits"));
        let read = |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
        let file = read(&path);
        let mut itself: BTreeMap<String, _> =
            serde_json::from_slice(&read(&folder.join("itself.json"))).expect("a JSON object for each model");
        let rest = file.strip_prefix(b"NIBLOGIT").expect("the magic");
        let (length, rest) = rest.split_first_chunk().expect("the header's length");
        let (header, records) = rest.split_at(u32::from_le_bytes(*length) as usize);
        let header: Header = serde_json::from_slice(header).expect("a JSON header");
        let mut words = records.as_chunks::<4>().0.iter();
        let mut word = || *words.next().expect("a record for every position");
        let texts = header.texts.into_iter().map(|HeaderText { name, tokens }| {
            let positions = tokens.iter().map(|_| {
                let following = f32::from_le_bytes(word());
                let _log_sum_exp = word();
                let rest = f32::from_le_bytes(word());
                let ids: Vec<_> = (0..header.top).map(|_| u32::from_le_bytes(word())).collect();
                let top = ids.into_iter().map(|id| (id, f32::from_le_bytes(word()))).collect();
                Position { following, top, rest }
            });
            Text { name, positions: positions.collect(), tokens }
        });
        let texts = texts.collect();
        assert!(words.next().is_none(), "{} is longer than its header says", path.display());
        let itself = itself.remove(name).expect("llama.cpp against itself for every model");
        Self { vocabulary: header.vocabulary, texts, greedy: header.greedy, itself }
    }
}
