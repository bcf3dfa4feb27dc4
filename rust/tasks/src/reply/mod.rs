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

use nibble_engine::{Error, Generation, LanguageModel, Message, Result, Sampling, Stop, TokenId};

use crate::start_token;
use set::{Family, Polarity, ReplySet};
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
    replies: Vec<(&'static Family, &'static str)>,
    known: Option<Known>,
}

/// What holds for one model, whatever the chat.
struct Known {
    trie: Trie,
    /// The replies where nothing is known of the chat, as far as they were needed.
    prior: Scores,
}

/// How the turns are told apart in what the model reads.
const ME: &str = "B:";
const THEY: &str = "A:";

/// Tokens of a draft at most.
const DRAFT: usize = 64;
const DRAFT_SYSTEM: &str = "You are texting with a friend. Answer the last message in one short, friendly sentence.";

impl Replier {
    /// A replier with the built-in set.
    pub fn new(options: Options) -> Self {
        Self { options, replies: ReplySet::built_in().replies().collect(), known: None }
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
    /// is out of place (see [`trigger`](Self::trigger)). Fewer if the model's token tree has no room for more.
    ///
    /// What fits the message is also scored without a chat, the first time it is met.
    ///
    /// # Errors
    /// Whatever the model reports.
    pub fn suggest(&mut self, model: &mut dyn LanguageModel, chat: &[Turn], count: usize) -> Result<Vec<Reply>> {
        let Ok(acts) = Self::trigger(chat) else { return Ok(Vec::new()) };
        if count == 0 || model.vocabulary().is_empty() {
            return Ok(Vec::new());
        }
        self.learn(model, &self.fitting(&acts))?;
        let Some(ranking) = self.ranking(&acts, count) else { return Ok(Vec::new()) };
        let prefix = self.prefix(model, chat);
        let mut scores = ranking.trie.unknown();
        ranking.trie.explore(model, &prefix, &mut scores, |scores, points| ranking.priorities(scores, points))?;
        Ok(ranking.select(&scores))
    }

    /// A reply to the last turn of `chat` in the words of `model`, which is to write it; to be edited before it is sent. At
    /// most one line.
    ///
    /// A model with a chat template speaks as the user; one without continues the chat as text. Models of a few hundred
    /// million parameters write poorly: [`suggest`](Self::suggest) is for them.
    ///
    /// # Errors
    /// Whatever the model's chat template reports.
    pub fn draft(&self, model: &dyn LanguageModel, chat: &[Turn], sampling: Sampling) -> Result<Generation> {
        let recent = &chat[chat.len().saturating_sub(self.options.turns)..];
        let prompt = match model.chat(&messages(recent)) {
            Err(Error::NoChatTemplate) => self.prefix(model, chat),
            prompt => prompt?,
        };
        Ok(Generation::new(prompt, sampling, Stop { max_tokens: Some(DRAFT), strings: vec!["\n".into()] }))
    }

    fn fitting(&self, acts: &[Act]) -> Vec<bool> {
        self.replies.iter().map(|(family, _)| family.after.iter().any(|act| acts.contains(act))).collect()
    }

    fn ranking(&self, acts: &[Act], count: usize) -> Option<Ranking<'_>> {
        let Known { trie, prior } = self.known.as_ref()?;
        let polar = acts.iter().any(|act| act.is_polar());
        Some(Ranking {
            options: &self.options,
            replies: &self.replies,
            trie,
            prior,
            fits: self.fitting(acts),
            polar,
            count,
        })
    }

    /// Scores the replies that fit without a chat, where that was not done yet.
    fn learn(&mut self, model: &mut dyn LanguageModel, fits: &[bool]) -> Result<()> {
        let Known { trie, prior } = self.known.get_or_insert_with(|| {
            let before = model.encode(ME);
            let sequence = |text: &str| {
                let whole = model.encode(&format!("{ME} {text}"));
                whole[before.iter().zip(&whole).take_while(|(a, b)| a == b).count()..].to_vec()
            };
            let trie = Trie::new(model, &self.replies.iter().map(|(_, text)| sequence(text)).collect::<Vec<_>>());
            let prior = trie.unknown();
            Known { trie, prior }
        });
        let prefix = start(model, model.encode(ME));
        // As many replies at a time as the model's tree has room for.
        let mut part = self.replies.len();
        while part > 0 {
            let missing = trie.through(0).filter(|&reply| fits[reply] && prior.whole[reply].is_none());
            let missing: HashSet<usize> = missing.take(part).collect();
            if missing.is_empty() {
                break;
            }
            // Another prefix first: it empties the tree.
            model.sync(&[&prefix[..], &prefix[..1]].concat())?;
            let wanted = |point| trie.through(point).any(|reply| missing.contains(&reply)).then_some(-(point as f64));
            trie.explore(model, &prefix, prior, |_, points| points.iter().map(|&point| wanted(point)).collect())?;
            if missing.iter().all(|&reply| prior.whole[reply].is_none()) {
                part /= 4;
            }
        }
        Ok(())
    }

    /// The tokens of `chat` up to where the user's reply begins.
    fn prefix(&self, model: &dyn LanguageModel, chat: &[Turn]) -> Vec<TokenId> {
        let limit = self.options.context_tokens.min(model.context_limit().saturating_sub(33)).max(1);
        let turns = &chat[chat.len().saturating_sub(self.options.turns)..];
        let line = |turn: &Turn| {
            let words: Vec<&str> = turn.text.split_whitespace().collect();
            format!("{} {}\n", if turn.from_me { ME } else { THEY }, words.join(" "))
        };
        let mut lines: Vec<String> = turns.iter().map(line).collect();
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

/// `tokens` after what the model wants before every text.
fn start(model: &dyn LanguageModel, tokens: Vec<TokenId>) -> Vec<TokenId> {
    [start_token(model)].into_iter().chain(tokens).collect()
}

/// `chat` for a chat template, in which the model speaks as the user: turns alternate, and the others begin.
fn messages(chat: &[Turn]) -> Vec<Message> {
    let mut messages = vec![Message { role: "system".into(), content: DRAFT_SYSTEM.into() }];
    for turn in chat.iter().skip_while(|turn| turn.from_me) {
        let role = if turn.from_me { "assistant" } else { "user" };
        match messages.last_mut().filter(|last| last.role == role) {
            Some(last) => last.content = format!("{}\n{}", last.content, turn.text),
            None => messages.push(Message { role: role.into(), content: turn.text.clone() }),
        }
    }
    messages
}

/// One message's ranking.
struct Ranking<'a> {
    options: &'a Options,
    replies: &'a [(&'static Family, &'static str)],
    trie: &'a Trie,
    prior: &'a Scores,
    /// Per reply: whether it can answer the message.
    fits: Vec<bool>,
    /// Whether the message wants a yes or a no.
    polar: bool,
    count: usize,
}

impl Ranking<'_> {
    fn intent(&self, reply: usize) -> &'static str {
        &self.replies[reply].0.name
    }

    fn polarity(&self, reply: usize) -> Option<Polarity> {
        self.replies[reply].0.polarity
    }

    /// The best reply of every intent, best first.
    fn best(&self, scores: &Scores) -> Vec<(f64, usize)> {
        let score = |reply: usize| Some(scores.whole[reply]? - self.options.commonness * self.prior.whole[reply]?);
        let fitting = (0..self.replies.len()).filter(|&reply| self.fits[reply]);
        let mut all: Vec<(f64, usize)> = fitting.filter_map(|reply| Some((score(reply)?, reply))).collect();
        all.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut seen = HashSet::new();
        all.retain(|&(_, reply)| seen.insert(self.intent(reply)));
        all
    }

    /// The replies to show: a yes and a no first of all where they are asked for, then the best of other intents.
    fn chosen(&self, mut best: Vec<(f64, usize)>) -> Vec<(f64, usize)> {
        if self.polar && self.count > 1 {
            // Stable: the best of each polarity moves to the front, all else stays in order.
            let first =
                |wanted| best.iter().find(|&&(_, reply)| self.polarity(reply) == Some(wanted)).map(|best| best.1);
            let forced = [first(Polarity::Yes), first(Polarity::No)];
            best.sort_by_key(|&(_, reply)| !forced.contains(&Some(reply)));
        }
        best.truncate(self.count);
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best
    }

    /// How high a reply behind each point may still score, if that could change what is chosen.
    fn priorities(&self, scores: &Scores, points: &[usize]) -> Vec<Option<f64>> {
        let Options { commonness, slack, .. } = *self.options;
        let best = self.best(scores);
        let last = self.chosen(best.clone()).get(self.count - 1).map_or(f64::NEG_INFINITY, |&(score, _)| score);
        let needed: Vec<f64> = (0..self.replies.len())
            .map(|reply| {
                let same = best.iter().find(|&&(_, other)| self.intent(other) == self.intent(reply));
                let same = same.map_or(f64::NEG_INFINITY, |&(score, _)| score);
                if self.polar && self.polarity(reply).is_some() { same } else { same.max(last) }
            })
            .collect();
        let bound = |point: usize| {
            let (path, prior_path) = (scores.path[point]?, self.prior.path[point]?);
            let bounds = self.trie.through(point).filter_map(|reply| {
                let prior = self.prior.whole[reply].filter(|_| self.fits[reply])?;
                let bound = path + (prior - prior_path + slack).min(0.0) - commonness * prior;
                (bound > needed[reply]).then_some(bound)
            });
            bounds.max_by(f64::total_cmp)
        };
        points.iter().map(|&point| bound(point)).collect()
    }

    fn select(&self, scores: &Scores) -> Vec<Reply> {
        let chosen = self.chosen(self.best(scores)).into_iter();
        let reply = |(score, reply): (f64, usize)| {
            let (family, text) = self.replies[reply];
            Reply { text: text.to_owned(), score, intent: family.name.clone() }
        };
        chosen.map(reply).collect()
    }
}
