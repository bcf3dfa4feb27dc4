//! The replier on a model that can be enumerated.

use nibble_engine::LanguageModel;
use proptest::prelude::*;

use super::*;
use crate::testing::Fake;

fn chat(text: &str) -> Vec<Turn> {
    vec![Turn { from_me: false, text: text.to_owned() }]
}

/// Scores everything, then chooses.
fn exhaustive(model: &mut dyn LanguageModel, chat: &[Turn], count: usize) -> Vec<Reply> {
    let mut replier = Replier::new(Options::default());
    let acts = Replier::trigger(chat).unwrap();
    replier.learn(model, &replier.fitting(&acts)).unwrap();
    let ranking = replier.ranking(&acts, count).unwrap();
    let mut scores = ranking.trie.unknown();
    let prefix = replier.prefix(model, chat);
    ranking.trie.explore(model, &prefix, &mut scores, |_, points| vec![Some(0.0); points.len()]).unwrap();
    assert!(scores.whole.iter().all(Option::is_some));
    ranking.select(&scores)
}

const MESSAGES: &[&str] =
    &["Are you coming?", "Where are you?", "Thanks!", "The cat sat.", "How are you?", "I got the job!"];

#[test]
fn pruned_search_finds_what_scoring_everything_finds() {
    let mut rows = (0, 0);
    for seed in 0..3 {
        for message in MESSAGES {
            for count in [1, 3, 5] {
                let mut fake = Fake::lettered(seed);
                let everything = exhaustive(&mut fake, &chat(message), count);
                rows.0 += fake.grown;
                let mut fake = Fake::lettered(seed);
                let mut replier = Replier::new(Options { slack: f64::INFINITY, ..Options::default() });
                let pruned = replier.suggest(&mut fake, &chat(message), count).unwrap();
                rows.1 += fake.grown;
                assert_eq!(pruned, everything, "{message:?}, seed {seed}, {count} replies");
            }
        }
    }
    assert!(rows.1 < rows.0, "{rows:?}: nothing was pruned");
}

#[test]
fn intents_differ_and_a_question_gets_a_yes_and_a_no() {
    for seed in 0..4 {
        let mut replier = Replier::new(Options::default());
        let mut fake = Fake::lettered(seed);
        for message in MESSAGES {
            let replies = replier.suggest(&mut fake, &chat(message), 3).unwrap();
            assert_eq!(replies.len(), 3, "{message:?}");
            let mut intents: Vec<&str> = replies.iter().map(|reply| reply.intent.as_str()).collect();
            intents.sort_unstable();
            intents.dedup();
            assert_eq!(intents.len(), 3, "{replies:?}");
            assert!(replies.windows(2).all(|pair| pair[0].score >= pair[1].score));
        }
        let replies = replier.suggest(&mut fake, &chat("Do you like it?"), 3).unwrap();
        for intent in ["agree", "decline"] {
            assert!(replies.iter().any(|reply| reply.intent == intent), "no {intent} in {replies:?}");
        }
    }
}

#[test]
fn silence_costs_nothing() {
    let mut fake = Fake::lettered(0);
    let mut replier = Replier::new(Options::default());
    for text in ["Your code is 123456", "Grandma passed away", "", "Your package has shipped"] {
        assert_eq!(replier.suggest(&mut fake, &chat(text), 3).unwrap(), []);
    }
    assert_eq!(replier.suggest(&mut fake, &[], 3).unwrap(), []);
    assert_eq!(replier.suggest(&mut fake, &[Turn { from_me: true, text: "Hi there".into() }], 3).unwrap(), []);
    assert_eq!(replier.suggest(&mut fake, &chat("Hi there"), 0).unwrap(), []);
    assert_eq!((fake.computed, fake.grown), (0, 0));
}

#[test]
fn the_set_is_learnt_once_and_the_chat_is_computed_once() {
    let mut fake = Fake::lettered(0);
    let mut replier = Replier::new(Options::default());
    let first = replier.suggest(&mut fake, &chat("Are you coming?"), 3).unwrap();
    let learnt = fake.grown;
    assert_eq!(replier.suggest(&mut fake, &chat("Are you coming?"), 3).unwrap(), first);
    assert!(fake.grown - learnt < learnt / 2, "{learnt} batches, then {}", fake.grown - learnt);
}

#[test]
fn a_tree_with_little_room_learns_the_set_in_parts() {
    let roomy = exhaustive(&mut Fake::lettered(4), &chat("Are you coming?"), 3);
    let mut fake = Fake::lettered(4).with_max_nodes(64);
    let mut replier = Replier::new(Options { slack: f64::INFINITY, ..Options::default() });
    let replies = replier.suggest(&mut fake, &chat("Are you coming?"), 3).unwrap();
    assert!(replier.known.as_ref().unwrap().prior.whole.iter().flatten().count() > 20, "all that fits is known");
    assert!(replies.len() <= roomy.len());
}

#[test]
fn a_long_chat_keeps_its_last_turns() {
    let replier = Replier::new(Options::default());
    let fake = Fake::lettered(0).with_context(120);
    let turn = |text: String| Turn { from_me: false, text };
    let turns: Vec<Turn> = (0..9).map(|i| turn(format!("cab{} {}", ".".repeat(i), "ab ".repeat(10)))).collect();
    let prefix = replier.prefix(&fake, &turns);
    assert!(prefix.len() <= 120);
    assert!(fake.decode(&prefix).contains("cab........ ab"), "the last message is whole");
    let huge = replier.prefix(&fake, &[turn("😂 cab".repeat(30_000))]);
    assert!(huge.len() <= 120 && fake.decode(&huge).ends_with("B:"));
}

#[test]
fn a_draft_without_a_chat_template_continues_the_chat() {
    let mut fake = Fake::lettered(1);
    let turns = [Turn { from_me: true, text: "Hi".into() }, Turn { from_me: false, text: "Are you\ncoming?".into() }];
    let draft = Replier::new(Options::default()).draft(&fake, &turns, Sampling::default()).unwrap();
    let prompt = draft.tokens()[1..].to_vec();
    let text: String = draft.on(&mut fake).map(|piece| piece.unwrap().text).collect();
    assert_eq!(fake.decode(&prompt), "B: Hi\nA: Are you coming?\nB:");
    assert!(!text.contains('\n') && fake.computed > prompt.len());
}

#[test]
fn chats_alternate_for_a_template() {
    let turn = |from_me, text: &str| Turn { from_me, text: text.into() };
    let chat = [turn(true, "Hi"), turn(false, "Hey"), turn(false, "You ok?"), turn(true, "Yes"), turn(false, "Good")];
    let messages = messages(&chat);
    let roles: Vec<&str> = messages.iter().map(|message| message.role.as_str()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
    assert_eq!(messages[1].content, "Hey\nYou ok?");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn any_message_is_answered_or_not(text in ".{0,60}", seed in 0u64..9) {
        let mut fake = Fake::lettered(seed).with_max_nodes(2000);
        let replies = Replier::new(Options::default()).suggest(&mut fake, &chat(&text), 3).unwrap();
        prop_assert!(replies.len() <= 3);
        prop_assert_eq!(replies.is_empty(), Replier::trigger(&chat(&text)).is_err());
    }
}
