//! Replies to a message: ranked from a checked set, not written.
//!
//! At a few hundred million parameters free generation of replies is poor; choosing among safe ones is
//! not. A rule decides whether to answer at all and what kinds of reply could follow (`trigger.rs`), the model ranks those
//! of the set (`set.rs`, `replies.toml`) over a trie (`trie.rs`), and three with different intents are
//! shown, one agreeing and one declining where the message asks for a yes or a no (after Kannan et al. 2016, "Smart
//! Reply", arXiv 1606.04870).
//!
//! The score is ln P(reply | chat) − w ln P(reply): without the second term "Ok" always wins (Li et al. 2016,
//! arXiv 1510.03055). Both terms include the end of the turn, so that lengths compare.

mod set;
#[cfg(test)]
mod tests;
mod trie;
mod trigger;

use std::collections::HashSet;

use nibble_engine::{LanguageModel, Result, TokenId};

use set::{Polarity, ReplySet};
use trie::{Scores, Trie};
pub use trigger::{Act, Silence};

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Turn {
    /// Whether the user said it.
    pub from_me: bool,
    /// What was said.
    pub text: String,
}

/// A suggested reply.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Reply {
    /// What would be sent.
    pub text: String,
    /// ln P(reply | chat) − w ln P(reply). Compares replies to one message only.
    pub score: f64,
    /// What the reply does, as named in the set.
    pub intent: String,
}

/// How a [`Replier`] ranks.
#[derive(Clone, Debug)]
pub struct Options {
    /// w: how much a reply's commonness counts against it, 0 to 1.
    pub commonness: f64,
    /// By how many nats the chat is thought to raise what is left of a reply that has been begun: more is slower and
    /// closer to scoring everything. Infinity is exact.
    pub slack: f64,
    /// Turns of the chat that are read at most.
    pub turns: usize,
    /// Tokens of the chat that are read at most.
    pub context_tokens: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { commonness: 0.7, slack: 1.5, turns: 5, context_tokens: 192 }
    }
}

/// Suggests replies. Belongs to one model, and keeps what it has learned about it between messages.
pub struct Replier {
    options: Options,
    set: &'static ReplySet,
    /// (intent, text) of every reply.
    replies: Vec<(usize, &'static str)>,
    known: Option<Known>,
}

/// What holds for one model, whatever the chat.
struct Known {
    trie: Trie,
    /// The replies where nothing is known of the chat.
    prior: Scores,
}

impl Replier {
    /// A replier with the built-in set.
    pub fn new(options: Options) -> Self {
        let set = ReplySet::built_in();
        Self { options, set, replies: set.replies().collect(), known: None }
    }

    /// Whether the last turn of `chat` calls for suggestions, and what kind of message it is.
    ///
    /// # Errors
    /// The reason to stay silent.
    pub fn trigger(chat: &[Turn]) -> std::result::Result<Vec<Act>, Silence> {
        match chat.last() {
            None => Err(Silence::Nothing),
            Some(turn) if turn.from_me => Err(Silence::OwnTurn),
            Some(turn) => trigger::read(&turn.text),
        }
    }

    /// At most `count` replies to the last turn of `chat`, best first, with different intents; none where a suggestion
    /// is out of place (see [`trigger`](Self::trigger)).
    ///
    /// The first call also scores the set without a chat, which takes some hundred rows.
    ///
    /// # Errors
    /// Whatever the model reports.
    pub fn suggest(&mut self, model: &mut dyn LanguageModel, chat: &[Turn], count: usize) -> Result<Vec<Reply>> {
        let Ok(acts) = Self::trigger(chat) else { return Ok(Vec::new()) };
        if count == 0 || model.vocabulary().is_empty() {
            return Ok(Vec::new());
        }
        let polar = acts.contains(&Act::YesNo);
        let fits: Vec<bool> = self.set.intents.iter().map(|i| i.after.iter().any(|act| acts.contains(act))).collect();
        self.learn(model)?;
        let Some(Known { trie, prior }) = &self.known else { return Ok(Vec::new()) };
        let ranking = Ranking { replier: self, trie, prior, fits: &fits, polar, count };

        let prefix = self.prefix(model, chat);
        let mut scores = trie.unknown();
        trie.explore(model, &prefix, &mut scores, |scores, points| ranking.priorities(scores, points))?;
        Ok(ranking.select(&scores))
    }

    /// Scores the set without a chat, once.
    fn learn(&mut self, model: &mut dyn LanguageModel) -> Result<()> {
        if self.known.is_some() {
            return Ok(());
        }
        let before = model.encode(ME);
        let sequences: Vec<Vec<TokenId>> = self
            .replies
            .iter()
            .map(|(_, text)| {
                let whole = model.encode(&format!("{ME} {text}"));
                whole[before.iter().zip(&whole).take_while(|(a, b)| a == b).count()..].to_vec()
            })
            .collect();
        let trie = Trie::new(&sequences);
        let prefix = start(model, model.encode(ME));
        let mut prior = trie.unknown();
        // As many replies at a time as the model's tree has room for.
        let mut part = self.replies.len();
        while part > 0 {
            let left: HashSet<usize> =
                trie.through(0).filter(|&reply| prior.whole[reply].is_none()).take(part).collect();
            if left.is_empty() {
                break;
            }
            let wanted = |point| trie.through(point).any(|reply| left.contains(&reply)).then_some(-(point as f64));
            trie.explore(model, &prefix, &mut prior, |_, points| points.iter().map(|&point| wanted(point)).collect())?;
            if left.iter().all(|&reply| prior.whole[reply].is_none()) {
                part /= 4;
            }
            // Another prefix empties the tree.
            model.sync(&[&prefix[..], &prefix[..1]].concat())?;
        }
        self.known = Some(Known { trie, prior });
        Ok(())
    }

    /// The tokens of `chat` up to where the user's reply begins.
    fn prefix(&self, model: &dyn LanguageModel, chat: &[Turn]) -> Vec<TokenId> {
        let limit = self.options.context_tokens.min(model.context_limit().saturating_sub(33)).max(1);
        let turns = &chat[chat.len().saturating_sub(self.options.turns)..];
        let mut lines: Vec<String> = turns
            .iter()
            .map(|turn| {
                format!(
                    "{} {}\n",
                    if turn.from_me { ME } else { THEY },
                    turn.text.split_whitespace().collect::<Vec<_>>().join(" ")
                )
            })
            .collect();
        loop {
            let mut tokens = model.encode(&(lines.concat() + ME));
            if tokens.len() <= limit || lines.len() <= 1 {
                tokens.drain(..tokens.len().saturating_sub(limit));
                return start(model, tokens);
            }
            lines.remove(0);
        }
    }
}

/// How the turns are told apart in what the model reads.
const ME: &str = "B:";
const THEY: &str = "A:";

/// `tokens` after the model's BOS, if it wants one.
fn start(model: &dyn LanguageModel, tokens: Vec<TokenId>) -> Vec<TokenId> {
    model.bos().into_iter().chain(tokens).collect()
}

/// One message's ranking.
struct Ranking<'a> {
    replier: &'a Replier,
    trie: &'a Trie,
    prior: &'a Scores,
    fits: &'a [bool],
    polar: bool,
    count: usize,
}

impl Ranking<'_> {
    fn intent(&self, reply: usize) -> usize {
        self.replier.replies[reply].0
    }

    fn polarity(&self, intent: usize) -> Option<Polarity> {
        self.replier.set.intents[intent].polarity
    }

    fn score(&self, scores: &Scores, reply: usize) -> Option<f64> {
        Some(scores.whole[reply]? - self.replier.options.commonness * self.prior.whole[reply]?)
    }

    /// The best reply of every intent that fits, best first.
    fn best(&self, scores: &Scores) -> Vec<(f64, usize)> {
        let mut best: Vec<Option<(f64, usize)>> = vec![None; self.fits.len()];
        for reply in 0..self.replier.replies.len() {
            let intent = self.intent(reply);
            if let Some(score) = self.score(scores, reply).filter(|_| self.fits[intent])
                && best[intent].is_none_or(|(other, _)| score > other)
            {
                best[intent] = Some((score, reply));
            }
        }
        let mut best: Vec<_> = best.into_iter().flatten().collect();
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best
    }

    /// The replies to show: a yes and a no first of all where they are asked for, then the best of other intents.
    fn chosen(&self, scores: &Scores) -> Vec<(f64, usize)> {
        let mut best = self.best(scores);
        if self.polar && self.count > 1 {
            // Stable: the best of each polarity moves to the front, all else stays in order.
            let first = |wanted| {
                best.iter()
                    .find(|&&(_, reply)| self.polarity(self.intent(reply)) == Some(wanted))
                    .map(|&(_, reply)| reply)
            };
            let forced = [first(Polarity::Yes), first(Polarity::No)];
            best.sort_by_key(|&(_, reply)| !forced.contains(&Some(reply)));
        }
        best.truncate(self.count);
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best
    }

    /// How high a reply behind each point may still score, if that could change what is chosen.
    fn priorities(&self, scores: &Scores, points: &[usize]) -> Vec<Option<f64>> {
        let Options { commonness, slack, .. } = self.replier.options;
        let last = self.chosen(scores).get(self.count - 1).map_or(f64::NEG_INFINITY, |&(score, _)| score);
        let mut needed = vec![last; self.fits.len()];
        for (intent, needed) in needed.iter_mut().enumerate() {
            if self.polar && self.polarity(intent).is_some() {
                *needed = f64::NEG_INFINITY;
            }
        }
        for (score, reply) in self.best(scores) {
            let needed = &mut needed[self.intent(reply)];
            *needed = needed.max(score);
        }
        let bound = |point: usize| {
            let (path, prior_path) = (scores.path[point]?, self.prior.path[point]?);
            let bounds = self.trie.through(point).filter_map(|reply| {
                let intent = self.intent(reply);
                let prior = self.prior.whole[reply].filter(|_| self.fits[intent])?;
                let bound = path + (prior - prior_path + slack).min(0.0) - commonness * prior;
                (bound > needed[intent]).then_some(bound)
            });
            bounds.max_by(f64::total_cmp)
        };
        points.iter().map(|&point| bound(point)).collect()
    }

    fn select(&self, scores: &Scores) -> Vec<Reply> {
        self.chosen(scores)
            .into_iter()
            .map(|(score, reply)| {
                let (intent, text) = self.replier.replies[reply];
                Reply { text: text.to_owned(), score, intent: self.replier.set.intents[intent].name.clone() }
            })
            .collect()
    }
}
