//! The pre-tokenizers of byte-level BPE: how each kind of model cuts a text into the words that merges never cross.
//!
//! A GGUF file only names the kind (`tokenizer.ggml.pre`). What a name stands for is the table below: the patterns of
//! the models' own `tokenizer.json` files, in the form and the order in which llama.cpp applies them
//! (`src/llama-vocab.cpp`, `llm_tokenizer_bpe` and `load`), since a model converted to GGUF is used with that.
//!
//! The published patterns end in `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that
//! follows. Here that tail is [`Step::words`]'s own rule, so that every pattern is free of look-ahead and runs in linear
//! time whatever the text is.

use regex::Regex;

use crate::{Error, Result};

/// One pass over the words: matches are cut out, and what lies between them is kept as words too.
#[derive(Debug)]
struct Step {
    pattern: Regex,
    /// Whether a run of white space before a word leaves that word its last character.
    yields_space: bool,
}

/// A kind's pre-tokenizer.
#[derive(Debug)]
pub(super) struct PreTokenizer {
    steps: Vec<Step>,
}

/// What a kind of pre-tokenizer stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// The patterns of the passes, in order.
    patterns: &'static [&'static str],
    /// Whether a word that is a token as it stands is taken without merging.
    pub(super) ignore_merges: bool,
}

/// The GPT-2 pattern without its white-space tail (openai/gpt-2, `encoder.py`).
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";
/// Llama 3 (meta-llama/llama3, `tokenizer.py`), with the contractions spelt out: `(?i)` would also match U+017F.
const LLAMA3: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
/// Qwen 2: Llama 3 with single digits (Qwen/Qwen2 `tokenizer.json`).
const QWEN2: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
/// Qwen 3.5: Qwen 2 with combining marks kept in words.
const QWEN35: &str = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+";
/// Tekken (mistralai/Mistral-Nemo `tokenizer.json`); upper and lower case are ASCII's, as llama.cpp reads it.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]*[\p{L}&&[^A-Z]]+|[^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]+[\p{L}&&[^A-Z]]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+";
/// GPT-4o (openai/tiktoken, `o200k_base`): Tekken with contractions and groups of three digits.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]*[\p{L}&&[^A-Z]]+(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|[^\r\n\p{L}\p{N}]?[\p{L}&&[^a-z]]+[\p{L}&&[^A-Z]]*(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+";
/// DeepSeek V3's last pass (deepseek-ai/DeepSeek-V3 `tokenizer.json`).
const DEEPSEEK3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+"##;
/// Chinese, Japanese and Korean as DeepSeek Coder separates them (deepseek-ai/deepseek-coder-6.7b-base `tokenizer.json`),
/// without the white space in that range: llama.cpp hides it from this pass.
const DEEPSEEK_CJK: &str = r"[[一-龥\u{800}-一가-\u{d7ff}]--\s]+";
/// BLOOM (bigscience/bloom `tokenizer.json`).
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";
/// Punctuation as Falcon separates it (tiiuae/falcon-7b `tokenizer.json`).
const FALCON_PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|`]+";
/// The same without the grave accent, in llama.cpp's default.
const DEFAULT_PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";

impl Kind {
    /// The kind of that name; `default` is what llama.cpp takes for a file that names none.
    ///
    /// # Errors
    /// [`Error::UnsupportedTokenizer`] for a name that is not in the table.
    pub(super) fn new(name: &str) -> Result<Self> {
        let (patterns, ignore_merges): (&[&str], bool) = match name {
            "default" => (&[DEFAULT_PUNCTUATION, GPT2, r"\p{N}+", "[0-9][0-9][0-9]"], false),
            "gpt-2" | "phi-2" | "mpt" | "olmo" | "jais" | "trillion" | "granite-docling" | "exaone4" | "gigachat"
            | "a.x-4.0" | "mellum" => (&[GPT2], false),
            "smollm" | "starcoder" | "refact" | "command-r" | "codeshell" | "exaone" | "minerva-7b" | "mellum2" => {
                (&[r"\p{N}", GPT2], false)
            }
            "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
            | "glm4" | "glm5" => (&[LLAMA3], true),
            "smaug-bpe" | "dbrx" | "chatglm-bpe" => (&[LLAMA3], false),
            "qwen2" | "deepseek-r1-qwen" | "kormo" | "megrez" | "stablelm2" | "hunyuan" | "solar-open" | "grok-2" => {
                (&[QWEN2], false)
            }
            "qwen35" => (&[QWEN35], false),
            "tekken" => (&[TEKKEN], true),
            "gpt-4o" | "llama4" | "kanana2" | "talkie" | "minimax-m2" => (&[GPT4O], false),
            "deepseek-v3" | "hunyuan-dense" | "joyai-llm" => {
                (&[r"\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK3], false)
            }
            "deepseek-coder" => (&[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK, r"\p{N}"], false),
            "falcon" => (&[FALCON_PUNCTUATION, GPT2, "[0-9][0-9][0-9]"], false),
            "bloom" | "poro-chat" | "gpt3-finnish" => (&[BLOOM], false),
            "viking" => (&[BLOOM, r"\p{N}"], false),
            _ => {
                return Err(Error::UnsupportedTokenizer {
                    reason: format!(
                        "its text is cut into words by the rules of {name:.40?}, which Nibble does not know"
                    ),
                });
            }
        };
        Ok(Self { patterns, ignore_merges })
    }
}

/// Whether a model of that kind of pre-tokenizer wants a BOS when its file does not say (llama.cpp, as above).
pub(crate) fn implies_bos(name: &str) -> bool {
    matches!(
        name,
        "llama3" | "llama-v3" | "llama-bpe" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2" | "tekken"
    )
}

impl PreTokenizer {
    /// Compiles the patterns of `kind`; milliseconds.
    pub(super) fn new(kind: Kind) -> Self {
        let step = |pattern: &&str| Step {
            pattern: Regex::new(pattern).expect("the table's patterns are valid, as a test shows"),
            yields_space: pattern.ends_with(r"|\s+"),
        };
        Self { steps: kind.patterns.iter().map(step).collect() }
    }

    /// The words of `text`, in order; together they are `text`.
    pub(super) fn words<'t>(&self, text: &'t str) -> Vec<&'t str> {
        let mut words = vec![text];
        for step in &self.steps {
            let mut cut = Vec::with_capacity(words.len());
            for word in words {
                step.words(word, &mut cut);
            }
            words = cut;
        }
        words
    }
}

impl Step {
    fn words<'t>(&self, text: &'t str, out: &mut Vec<&'t str>) {
        let mut push = |word: &'t str| {
            if !word.is_empty() {
                out.push(word);
            }
        };
        let mut done = 0;
        while let Some(found) = self.pattern.find_at(text, done) {
            push(&text[done..found.start()]);
            let mut word = found.as_str();
            if self.yields_space && found.end() < text.len() && word.ends_with(char::is_whitespace) {
                // Only the last alternative, `\s+`, ends in white space other than a line's end, and only it can be
                // followed by a word that would have taken the last character.
                let last = word.chars().next_back().map_or(0, char::len_utf8);
                let is_run = word.chars().all(char::is_whitespace);
                if is_run && last < word.len() && !self.takes_lines(word) {
                    word = &word[..word.len() - last];
                }
            }
            push(word);
            done = found.start() + word.len();
        }
        push(&text[done..]);
    }

    /// Whether `run`, all white space, was matched by a pattern's own alternative for line ends.
    fn takes_lines(&self, run: &str) -> bool {
        run.ends_with(['\r', '\n']) && self.pattern.as_str().contains(r"\s*[\r\n]+|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<'t>(kind: &str, text: &'t str) -> Vec<&'t str> {
        PreTokenizer::new(Kind::new(kind).unwrap()).words(text)
    }

    #[test]
    fn white_space_leaves_its_last_character_to_the_next_word() {
        assert_eq!(words("gpt-2", "a  b \n c's  "), ["a", " ", " b", " \n", " c", "'s", "  "]);
        assert_eq!(words("qwen2", "a  b \n c's  "), ["a", " ", " b", " \n", " c", "'s", "  "]);
        assert_eq!(words("qwen2", "a\n\n  \n  b"), ["a", "\n\n  \n", " ", " b"]);
        assert_eq!(words("gpt-2", "a\u{a0}\u{3000}1"), ["a", "\u{a0}", "\u{3000}", "1"]);
        assert_eq!(words("gpt-2", "a\u{a0} 1"), ["a", "\u{a0}", " 1"]);
    }

    #[test]
    fn digits_go_by_kind() {
        assert_eq!(words("smollm", "x 1234"), ["x", " ", "1", "2", "3", "4"]);
        assert_eq!(words("llama-bpe", "x 1234"), ["x", " ", "123", "4"]);
        assert_eq!(words("gpt-2", "x 1234"), ["x", " 1234"]);
    }

    #[test]
    fn case_starts_a_word_in_tekken() {
        assert_eq!(words("tekken", "HTTPServer isÜber"), ["HTTPServer", " isÜber"]);
        assert_eq!(words("tekken", "camelCase"), ["camel", "Case"]);
        assert_eq!(words("gpt-4o", "camelCase's"), ["camel", "Case's"]);
    }

    #[test]
    fn long_runs_are_cut_whole_in_every_kind() {
        for kind in [
            "default",
            "smollm",
            "llama-bpe",
            "qwen2",
            "qwen35",
            "tekken",
            "gpt-4o",
            "deepseek-v3",
            "deepseek-coder",
            "falcon",
            "bloom",
            "viking",
        ] {
            for unit in ["a", "A", " ", "\n", "1", "🙂", "'s", "é"] {
                let text = unit.repeat(20_000);
                assert_eq!(words(kind, &text).concat(), text, "{kind}");
            }
        }
    }
}
