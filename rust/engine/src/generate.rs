//! Text from a model, pulled one piece at a time.

use crate::guide::Guide;
use crate::sampler::log_prob;
use crate::tokenizer::Utf8Stream;
use crate::{Error, LanguageModel, Result, Sampler, Sampling, SchemaFault, TokenId};

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
    /// The model ended its text or its turn, or the text is all that its schema asks for.
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
    /// Where the text has to meet a schema.
    guide: Option<Guide>,
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
            guide: sampling.schema.as_ref().map(Guide::new),
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
        let (token, logprob) = self.choose(model)?;
        if model.is_end(token) {
            self.finish = Some(Finish::EndOfText);
        } else {
            self.tokens.push(token);
            let bytes = model.vocabulary().text(token);
            self.held.push_str(&self.text.push(bytes));
            let generated = self.tokens.len() - self.prompt_len;
            self.finish = self.stop.max_tokens.is_some_and(|max| generated >= max).then_some(Finish::MaxTokens);
            if let Some(guide) = &mut self.guide {
                guide.accept(bytes)?;
                if guide.must_end()? {
                    self.finish = Some(Finish::EndOfText);
                }
            }
        }
        if self.finish.is_some() {
            self.held.push_str(&self.text.finish());
        }
        Ok(Piece { token, text: self.release(), logprob })
    }

    /// The next token, and its log-probability if that was asked for.
    fn choose<M: LanguageModel + ?Sized>(&mut self, model: &mut M) -> Result<(TokenId, Option<f32>)> {
        let needed = self.sampler.needs().filter(|_| !self.log_probs);
        let token = match &mut self.guide {
            Some(guide) => guided(guide, &mut self.sampler, &mut self.top, model, &self.tokens, needed)?,
            None if let Some(needed) = needed => {
                model.sync_top(&self.tokens, needed, &mut self.top)?;
                self.sampler.sample_top(&self.top, &self.tokens)
            }
            None => self.sampler.sample(model.sync(&self.tokens)?, &self.tokens),
        };
        let logprob = if self.log_probs { Some(log_prob(model.sync(&self.tokens)?, token)) } else { None };
        Ok((token, logprob))
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

/// How many tokens a guide looks at, beyond those that a draw takes, before all that the schema allows are asked for.
const SPARE: usize = 15;

/// The next token of a text that has to meet a schema: as if the logits of all others were minus infinity.
fn guided<M: LanguageModel + ?Sized>(
    guide: &mut Guide,
    sampler: &mut Sampler,
    top: &mut Vec<(TokenId, f32)>,
    model: &mut M,
    tokens: &[TokenId],
    needed: Option<usize>,
) -> Result<TokenId> {
    if let Some(token) = guide.forced(model.vocabulary(), |text| model.encode(text))? {
        return Ok(token);
    }
    let may_end = guide.may_end()?;
    if let Some(needed) = needed {
        // Mostly the model wants what the schema allows.
        model.sync_top(tokens, needed.saturating_add(SPARE), top)?;
        let ends: Vec<_> = top.iter().copied().filter(|&(token, _)| may_end && model.is_end(token)).collect();
        top.retain(|&(token, _)| !model.is_end(token));
        guide.retain(model.vocabulary(), top)?;
        top.extend(ends);
        if top.len() >= needed {
            return Ok(sampler.sample_top(top, tokens));
        }
    }
    let mut allowed = Vec::new();
    guide.all(model.vocabulary(), &mut allowed)?;
    allowed.retain(|&token| !model.is_end(token));
    if may_end {
        allowed.extend((0..model.vocabulary().len() as TokenId).filter(|&token| model.is_end(token)));
    }
    if allowed.is_empty() {
        let why = "no token of the model goes on with it".to_owned();
        return Err(Error::UnfitSchema { fault: SchemaFault::Unsatisfiable, why, at: "#".to_owned() });
    }
    let mut logits = Vec::new();
    model.sync_some(tokens, &allowed, &mut logits)?;
    top.clear();
    top.extend(allowed.into_iter().zip(logits));
    Ok(sampler.sample_top(top, tokens))
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

    /// Why there is no further piece; `None` while there is one, and where an error ended the text.
    pub fn finish(&self) -> Option<Finish> {
        self.generation.finish()
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
