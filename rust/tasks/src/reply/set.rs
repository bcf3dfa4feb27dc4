//! The checked set of replies, and the kinds of message that each can answer.

use std::sync::LazyLock;

use serde::Deserialize;

use super::trigger::Act;

/// Replies that carry out one intent after the same kinds of message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Family {
    /// The intent; several families may share it.
    pub name: String,
    pub polarity: Option<Polarity>,
    pub after: Vec<Act>,
    pub replies: Vec<String>,
}

/// What a reply says to a yes/no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Polarity {
    Yes,
    No,
}

/// The whole set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplySet {
    #[serde(rename = "intent")]
    pub families: Vec<Family>,
}

impl ReplySet {
    /// The set that ships.
    pub fn built_in() -> &'static Self {
        static SET: LazyLock<ReplySet> = LazyLock::new(|| {
            serde_json::from_str(include_str!(concat!(env!("OUT_DIR"), "/replies.json")))
                .expect("a test reads the same file")
        });
        &SET
    }

    /// Every reply with its family.
    pub fn replies(&self) -> impl Iterator<Item = (&Family, &str)> {
        self.families.iter().flat_map(|family| family.replies.iter().map(move |reply| (family, reply.as_str())))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_set_is_in_order() {
        let set = ReplySet::built_in();
        let mut texts = HashSet::new();
        for family in &set.families {
            assert!(!family.after.is_empty(), "{}", family.name);
        }
        for (_, text) in set.replies() {
            assert!(texts.insert(text), "{text:?} is there twice");
            assert!(text.len() <= 40 && text.trim() == text && !text.contains('\n'), "{text:?}");
            assert!(text.starts_with(char::is_uppercase), "{text:?}");
        }
        assert!((150..=350).contains(&texts.len()), "{} replies", texts.len());
    }

    #[test]
    fn every_kind_of_message_has_three_intents() {
        let set = ReplySet::built_in();
        for act in Act::ALL {
            let families = set.families.iter().filter(|family| family.after.contains(&act));
            let intents: HashSet<_> = families.clone().map(|family| &family.name).collect();
            // These come with another kind, which has the rest.
            let extra = matches!(
                act,
                Act::DoYou | Act::AreYou | Act::HaveYou | Act::DidYou | Act::Doing | Act::HowWas | Act::Ill
            );
            assert!(intents.len() >= 3 || extra && !intents.is_empty(), "{act:?}: {intents:?}");
            if act.is_polar() {
                let polarities: Vec<_> = families.filter_map(|family| family.polarity).collect();
                assert!(polarities.contains(&Polarity::Yes) && polarities.contains(&Polarity::No), "{act:?}");
            }
        }
    }
}
