//! The checked set of replies, and the kinds of message that each can answer.

use std::sync::LazyLock;

use serde::Deserialize;

use super::trigger::Act;

/// One intent and the replies that carry it out.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Intent {
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
    pub intents: Vec<Intent>,
}

impl ReplySet {
    /// The set that ships.
    pub fn built_in() -> &'static Self {
        static SET: LazyLock<ReplySet> =
            LazyLock::new(|| toml::from_str(include_str!("replies.toml")).expect("a test reads the same file"));
        &SET
    }

    /// Every reply with the number of its intent.
    pub fn replies(&self) -> impl Iterator<Item = (usize, &str)> {
        let numbered = self.intents.iter().enumerate();
        numbered.flat_map(|(number, intent)| intent.replies.iter().map(move |reply| (number, reply.as_str())))
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
        let mut names = HashSet::new();
        for intent in &set.intents {
            assert!(names.insert(&intent.name) && !intent.after.is_empty(), "{}", intent.name);
        }
        for (_, text) in set.replies() {
            assert!(texts.insert(text), "{text:?} is there twice");
            assert!(text.len() <= 40 && text.trim() == text && !text.contains('\n'), "{text:?}");
            assert!(text.starts_with(char::is_uppercase), "{text:?}");
        }
        assert!((150..=300).contains(&texts.len()), "{} replies", texts.len());
        for polarity in [Polarity::Yes, Polarity::No] {
            let intent = set.intents.iter().find(|intent| intent.polarity == Some(polarity)).expect("both polarities");
            assert!(intent.after.contains(&Act::YesNo));
        }
    }

    #[test]
    fn every_kind_of_message_has_three_intents() {
        let set = ReplySet::built_in();
        for act in Act::ALL {
            let intents = set.intents.iter().filter(|intent| intent.after.contains(&act)).count();
            assert!(intents >= 3, "{act:?}: {intents}");
        }
    }
}
