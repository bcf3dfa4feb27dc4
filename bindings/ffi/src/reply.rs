//! Replies to a message: chosen from a checked set, or drafted.

use std::sync::Arc;

use nibble_tasks::reply::{Options, Silence};

use crate::error::Result;
use crate::latest::Latest;
use crate::model::{MemoryPressure, Shared};
use crate::session::{Generation, Sampling};
use crate::timeline::{Settings, Timeline};

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, uniffi::Record)]
pub struct Turn {
    /// Whether the user said it.
    pub from_me: bool,
    /// What was said.
    pub text: String,
}

/// A suggested reply.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Reply {
    /// What would be sent.
    pub text: String,
    /// What the reply does: `accept`, `decline`, ...
    pub intent: String,
    /// Compares replies to one message only.
    pub score: f64,
}

/// Why nothing is suggested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, uniffi::Enum)]
pub enum SilenceReason {
    /// There is no message, or it has no words.
    Nothing,
    /// The last turn is the user's own.
    OwnTurn,
    /// A one-time code or a password.
    Code,
    /// A topic on which no ready-made reply is right.
    Sensitive,
    /// Sent by a machine.
    Automated,
    /// A language that the set of replies is not written in.
    Language,
}

/// The replies to a message.
#[derive(Clone, Debug, PartialEq, uniffi::Record)]
pub struct Replies {
    /// At most as many as were asked for, best first, with different intents.
    pub replies: Vec<Reply>,
    /// Why there are none, where a suggestion is out of place.
    pub silence: Option<SilenceReason>,
}

/// Suggests replies.
#[derive(uniffi::Object)]
pub struct Replier {
    pub(crate) timeline: Arc<Timeline<nibble_tasks::Replier>>,
    requests: Latest,
}

#[uniffi::export]
impl Replier {
    /// A ticket for one request. Taking it stops older requests, which end as superseded; drafts go on.
    pub fn ticket(&self) -> u64 {
        self.requests.ticket()
    }

    /// Replies to the last turn of `chat`, which is in the order in which it was said.
    pub fn suggest(&self, ticket: u64, chat: Vec<Turn>, count: u32) -> Result<Replies> {
        let chat = turns(chat);
        let found = self.requests.run(ticket, |cancel| {
            self.timeline.run(cancel, |session, replier| Ok(replier.suggest(session, &chat, count as usize)?))
        })?;
        let reply =
            |reply: nibble_tasks::reply::Reply| Reply { text: reply.text, intent: reply.intent, score: reply.score };
        Ok(Replies {
            replies: found.into_iter().map(reply).collect(),
            silence: nibble_tasks::Replier::trigger(&chat).err().map(SilenceReason::from),
        })
    }

    /// A reply to the last turn of `chat` in the model's own words, to be edited before it is sent. Whatever is wrong with the
    /// arguments is said by the first piece.
    pub fn draft(&self, chat: Vec<Turn>, sampling: Sampling) -> Arc<Generation> {
        let (timeline, chat) = (Arc::clone(&self.timeline), turns(chat));
        Generation::new(&self.timeline, move |cancel| {
            let sampling = sampling.to_engine(timeline.model()?)?;
            timeline.run(cancel, |session, replier| Ok(replier.draft(session, &chat, sampling)?))
        })
    }

    /// Stops the request with this ticket.
    pub fn cancel(&self, ticket: u64) {
        self.requests.cancel(ticket);
    }

    /// Closes the replier and what it writes; what runs ends with an error. Closing twice does nothing.
    pub fn close(&self) {
        self.timeline.close();
    }
}

/// Tokens of a replier's context: the turns that it reads, and a draft.
const CONTEXT: usize = 1024;

impl Replier {
    /// How one is opened, with no limit to what it takes.
    pub(crate) fn settings(threads: u32) -> Settings {
        Settings {
            name: "replier",
            session: nibble_engine::SessionOptions {
                context: CONTEXT,
                threads: threads as usize,
                ..nibble_engine::SessionOptions::default()
            },
            context_is_asked_for: false,
            beside: 0,
            memory_limit: None,
            yields_at: MemoryPressure::Low,
        }
    }

    pub(crate) fn open(model: &Arc<Shared>, threads: u32, memory_limit: Option<u64>) -> Result<Arc<Self>> {
        let settings = Settings { memory_limit, ..Self::settings(threads) };
        let timeline = Timeline::open(model, settings, || nibble_tasks::Replier::new(Options::default()))?;
        Ok(Arc::new(Self { timeline, requests: Latest::default() }))
    }
}

fn turns(chat: Vec<Turn>) -> Vec<nibble_tasks::reply::Turn> {
    chat.into_iter().map(|Turn { from_me, text }| nibble_tasks::reply::Turn { from_me, text }).collect()
}

impl From<Silence> for SilenceReason {
    fn from(silence: Silence) -> Self {
        match silence {
            Silence::Nothing => Self::Nothing,
            Silence::OwnTurn => Self::OwnTurn,
            Silence::Code => Self::Code,
            Silence::Sensitive => Self::Sensitive,
            Silence::Automated => Self::Automated,
            Silence::Language => Self::Language,
        }
    }
}
