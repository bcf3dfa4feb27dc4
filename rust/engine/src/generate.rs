//! Text from a model, pulled one piece at a time.

use crate::{LanguageModel, Result, Sampler, Sampling, TokenId, sampler::log_prob, tokenizer::Utf8Stream};

/// When generation ends, apart from the model's own end of text or turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// After this many tokens; `None` is no limit but the context.
    pub max_tokens: Option<usize>,
    /// When the text holds one of these; the stop string itself is not returned.
    pub strings: Vec<String>,
}

/// What one token added.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The token.
    pub token: TokenId,
    /// The text that became certain with it: whole code points, and nothing that may still turn out to be part of a
    /// stop string. May be empty.
    pub text: String,
    /// The token's log-probability in nats under the model, before any sampling setting, if [it was asked
    /// for](Generator::with_log_probs).
    pub logprob: Option<f32>,
}

/// Why a generation came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model ended its text or its turn.
    EndOfText,
    /// There are as many tokens as were asked for.
    MaxTokens,
    /// The text came to a stop string.
    StopString,
}

/// A text under way, apart from the model that writes it: for a caller who cannot hold on to the model from one piece to the
/// next. Others may use the model in between; what they did to its timeline is computed anew.
#[derive(Debug)]
pub struct Generation {
    tokens: Vec<TokenId>,
    prompt_len: usize,
    sampler: Sampler,
    stop: Stop,
    text: Utf8Stream,
    held: String,
    finish: Option<Finish>,
    failed: bool,
    /// The tokens with the highest logits.
    top: Vec<(TokenId, f32)>,
    log_probs: bool,
}

impl Generation {
    /// To continue `prompt`, which is not empty.
    pub fn new(prompt: Vec<TokenId>, sampling: Sampling, stop: Stop) -> Self {
        Self {
            prompt_len: prompt.len(),
            tokens: prompt,
            sampler: Sampler::new(sampling),
            finish: (stop.max_tokens == Some(0)).then_some(Finish::MaxTokens),
            stop,
            text: Utf8Stream::default(),
            held: String::new(),
            failed: false,
            top: Vec::new(),
            log_probs: false,
        }
    }

    /// With the model that is to write it, for as long as it takes.
    pub fn on<M: LanguageModel + ?Sized>(self, model: &mut M) -> Generator<'_, M> {
        Generator { model, generation: self }
    }

    /// The prompt and what was generated so far.
    pub fn tokens(&self) -> &[TokenId] {
        &self.tokens
    }

    /// Why there is no further piece; `None` while there is one, and where an error ended the text.
    pub fn finish(&self) -> Option<Finish> {
        self.finish
    }

    /// The next piece, which `model` computes; `None` after the last one or after an error.
    pub fn next<M: LanguageModel + ?Sized>(&mut self, model: &mut M) -> Option<Result<Piece>> {
        if self.finish.is_some() || self.failed {
            return None;
        }
        let piece = self.step(model);
        self.failed = piece.is_err();
        Some(piece)
    }

    fn step<M: LanguageModel + ?Sized>(&mut self, model: &mut M) -> Result<Piece> {
        let (token, logprob) = match self.sampler.needs() {
            Some(needed) if !self.log_probs => {
                model.sync_top(&self.tokens, needed, &mut self.top)?;
                (self.sampler.sample_top(&self.top, &self.tokens), None)
            }
            _ => {
                let logits = model.sync(&self.tokens)?;
                let token = self.sampler.sample(logits, &self.tokens);
                (token, self.log_probs.then(|| log_prob(logits, token)))
            }
        };
        if model.is_end(token) {
            self.finish = Some(Finish::EndOfText);
        } else {
            self.tokens.push(token);
            let bytes = model.vocabulary().text(token);
            self.held.push_str(&self.text.push(bytes));
            let generated = self.tokens.len() - self.prompt_len;
            self.finish = self.stop.max_tokens.is_some_and(|max| generated >= max).then_some(Finish::MaxTokens);
        }
        if self.finish.is_some() {
            self.held.push_str(&self.text.finish());
        }
        Ok(Piece { token, text: self.release(), logprob })
    }

    /// Takes out of `held` what can be shown: all before a stop string, or all that cannot become one any more.
    fn release(&mut self) -> String {
        if let Some(at) = self.stop.strings.iter().filter_map(|s| self.held.find(s.as_str())).min() {
            self.finish = Some(Finish::StopString);
            self.held.truncate(at);
        } else if self.finish.is_none() {
            let certain = self.held.len() - longest_stop_prefix(&self.held, &self.stop.strings);
            let kept = self.held.split_off(certain);
            return std::mem::replace(&mut self.held, kept);
        }
        std::mem::take(&mut self.held)
    }
}

/// How many bytes at the end of `text` may be the beginning of one of `stops`.
fn longest_stop_prefix(text: &str, stops: &[String]) -> usize {
    let ends = |stop: &String| (1..stop.len()).rev().find(|&n| text.as_bytes().ends_with(&stop.as_bytes()[..n]));
    stops.iter().filter_map(ends).max().unwrap_or(0)
}

/// A [`Generation`] with its model: an iterator of pieces, so nothing is computed before it is asked for.
///
/// Dropping it stops the work. To stop a computation under way from another thread, use the session's cancel token.
pub struct Generator<'m, M: LanguageModel + ?Sized> {
    model: &'m mut M,
    generation: Generation,
}

impl<'m, M: LanguageModel + ?Sized> Generator<'m, M> {
    /// Continues `prompt`, which is not empty.
    pub fn new(model: &'m mut M, prompt: Vec<TokenId>, sampling: Sampling, stop: Stop) -> Self {
        Generation::new(prompt, sampling, stop).on(model)
    }

    /// Gives every piece its log-probability, for which all logits of each position are computed. Otherwise only those that
    /// the sampling setting needs are, where the model can tell which these are
    /// ([`sync_top`](LanguageModel::sync_top)).
    #[must_use]
    pub fn with_log_probs(mut self) -> Self {
        self.generation.log_probs = true;
        self
    }

    /// The prompt and what was generated so far.
    pub fn tokens(&self) -> &[TokenId] {
        self.generation.tokens()
    }
}

impl<M: LanguageModel + ?Sized> Iterator for Generator<'_, M> {
    type Item = Result<Piece>;

    /// The next piece; `None` after the last one or after an error.
    fn next(&mut self) -> Option<Result<Piece>> {
        self.generation.next(self.model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_possible_stop_string_is_held_back() {
        let stops = ["\n\n".to_string(), "END".to_string()];
        assert_eq!(longest_stop_prefix("text", &stops), 0);
        assert_eq!(longest_stop_prefix("text\n", &stops), 1);
        assert_eq!(longest_stop_prefix("text EN", &stops), 2);
        assert_eq!(longest_stop_prefix("", &stops), 0);
        assert_eq!(longest_stop_prefix("é", &["é!".to_string()]), 2);
    }
}
