//! What words are weighed by, and what is asked of a correction: the numbers that `nibble eval keyboard --fit` finds.

/// The weights of a keyboard that sees through typing errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weights {
    /// The share of the word list in P(word | context): a model may never have seen a word that people write every day.
    pub list: f64,
    /// The same for exactly what was typed, which a person may well have meant.
    pub as_typed: f64,
    /// How much more probable than all else together a correction has to be, as ln.
    pub correction: f64,
}

impl Weights {
    /// Within a tenth of a key per hundred of the best that were tried on chats and text messages in English, with SmolLM2.
    pub const FITTED: Self = Self { list: 0.1, as_typed: 0.3, correction: 4.0 };
}

impl Default for Weights {
    fn default() -> Self {
        Self::FITTED
    }
}
