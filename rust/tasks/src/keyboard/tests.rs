//! The keyboard on a model that can be enumerated.

use std::collections::BTreeMap;

use nibble_engine::{LanguageModel, TokenId};
use proptest::prelude::*;

use super::text::{self, Shape};
use super::*;
use crate::testing::{END, Fake};

/// Every word after a context, found by following every path.
struct Exhaustive {
    /// P(word | context); with the unfinished ones, which are never shown.
    words: BTreeMap<String, f64>,
    /// The mass of what begins with the whitespace and is no word, or is written in a way that the tokenizer would not.
    rest: f64,
    /// The mass of paths too improbable to follow.
    unfollowed: f64,
    /// P(whitespace | context): the mass that all of these are shares of.
    begins: f64,
}

/// Paths less probable than this are not followed.
const FAINT: f64 = 1e-5;

impl Exhaustive {
    /// Follows every path after `text`, all of which stands before the word at the cursor.
    fn after(fake: &Fake, text: &str) -> Self {
        // In this vocabulary a word is held together with one space before it, never with other whitespace.
        let fed = text.strip_suffix(' ').unwrap_or(text).len();
        let mut tokens = fake.encode(&[text, "a"].concat());
        while fake.decode(&tokens).len() > fed {
            tokens.pop();
        }
        let before = fake.decode(&tokens);
        let given = &text[before.len()..];
        let prefix = [vec![fake.bos().unwrap_or(END)], tokens].concat();
        let mut found = Self { words: BTreeMap::new(), rest: 0.0, unfollowed: 0.0, begins: 1.0 };
        found.begins = found.follow(fake, &prefix, &before, given.as_bytes(), &mut Vec::new(), 1.0);
        for mass in found.words.values_mut().chain([&mut found.rest, &mut found.unfollowed]) {
            *mass /= found.begins;
        }
        found
    }

    /// Returns the mass that begins with `given`.
    fn follow(
        &mut self,
        fake: &Fake,
        prefix: &[TokenId],
        before: &str,
        given: &[u8],
        path: &mut Vec<TokenId>,
        mass: f64,
    ) -> f64 {
        let bytes =
            |path: &[TokenId]| -> Vec<u8> { path.iter().flat_map(|&t| fake.vocabulary().bytes(t)).copied().collect() };
        let spelled = bytes(path);
        let word =
            spelled.strip_prefix(given).and_then(|word| std::str::from_utf8(word).ok()).filter(|w| !w.is_empty());
        let mut begins = 0.0;
        for (token, logp) in fake.log_probs_after(&[prefix, path].concat()).into_iter().enumerate() {
            let (token, mass) = (token as TokenId, mass * logp.exp());
            let piece = fake.vocabulary().bytes(token);
            path.push(token);
            let longer = bytes(path);
            let is_text = fake.vocabulary().sorted().contains(&token);
            let covers = is_text && longer.starts_with(given);
            let canonical = match String::from_utf8(longer.clone()) {
                Ok(text) => fake.encode(&[before, &text].concat())[fake.encode(before).len()..] == path[..],
                Err(_) => true,
            };
            let inside = spelled.starts_with(given);
            begins += if covers && canonical && !inside { mass } else { 0.0 };
            let ends = token == END || is_text && text::shape(piece) == Shape::Break;
            let leads_on = is_text && (given.starts_with(&longer) || covers && begins_word(&longer[given.len()..]));
            if let (Some(word), true) = (word, ends) {
                *self.words.entry(word.to_owned()).or_default() += mass;
            } else if leads_on && canonical && mass > FAINT {
                begins += self.follow(fake, prefix, before, given, path, mass);
            } else if inside || covers && canonical {
                *(if leads_on && canonical { &mut self.unfollowed } else { &mut self.rest }) += mass;
            }
            path.pop();
        }
        if given.is_empty() { 1.0 } else { begins }
    }

    /// What a strip of `top` should show for `typed`, with P(word | context).
    fn best(&self, typed: &str, top: usize) -> Vec<(&str, f64)> {
        let mut words: Vec<_> = self.words.iter().map(|(word, &mass)| (word.as_str(), mass)).collect();
        words.retain(|(word, _)| word.starts_with(typed) && may_show(word, typed));
        words.sort_by(|a, b| b.1.total_cmp(&a.1));
        words.truncate(top);
        words
    }
}

fn begins_word(bytes: &[u8]) -> bool {
    text::shape(bytes) == Shape::Word && !bytes.starts_with(b"'") && !bytes.starts_with(b"-")
}

fn exact() -> Keyboard {
    Keyboard::new(Options { min_probability: 1e-9, ..Options::exact() })
}

fn query<'a>(context: &'a str, typed: &'a str) -> Query<'a> {
    Query { context, typed, touches: &[], top: 3 }
}

const TEXTS: &[&str] = &["", "a cab ", "Ta b\n", "cab.\n", "a  ", "a (b) \n ", "ab-b' ", "é "];

#[test]
fn probabilities_of_all_words_and_the_rest_sum_to_one() {
    for seed in 0..2 {
        for text in TEXTS {
            let all = Exhaustive::after(&Fake::new(seed), text);
            let words: f64 = all.words.values().sum();
            let sum = words + all.rest + all.unfollowed;
            assert!((sum - 1.0).abs() < 1e-9, "{text:?} seed {seed}: {sum}");
            let mut keyboard = exact();
            let found = keyboard.suggest(&mut Fake::new(seed), &Query { top: 500, ..query(text, "") }).unwrap();
            let shown: f64 = found.suggestions.iter().map(|s| s.probability).sum();
            let unfinished: f64 = all.words.iter().filter(|(w, _)| !may_show(w, "")).map(|(_, p)| p).sum();
            let sum = shown + unfinished;
            let least = if text::cut(text).gap.len() > 1 { 0.5 * words } else { words - 0.02 };
            assert!(sum > least && sum < words + all.unfollowed + 1e-9, "{text:?} seed {seed}: {sum} of {words}");
        }
    }
}

#[test]
fn best_first_finds_what_an_exhaustive_search_finds() {
    let mut compared = 0;
    for seed in 0..4 {
        for text in TEXTS {
            let all = Exhaustive::after(&Fake::new(seed), text);
            for typed in ["", "a", "b", "ca", "ab", "T", "é", "a-", "b'", "aba"] {
                let mut keyboard = exact();
                let found = keyboard.suggest(&mut Fake::new(seed), &Query { top: 8, ..query(text, typed) }).unwrap();
                assert!(found.proven);
                let mut expected = all.best(typed, 8);
                expected.retain(|&(_, mass)| mass * all.begins > FAINT);
                assert_eq!(
                    found.suggestions.iter().take(expected.len()).map(|s| s.word.as_str()).collect::<Vec<_>>(),
                    expected.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
                    "{text:?} + {typed:?}, seed {seed}"
                );
                for (suggestion, (word, mass)) in found.suggestions.iter().zip(expected) {
                    // More whitespace after whitespace is not how the tokenizer would write it, but it counts as what may follow.
                    let least = if text::cut(text).gap.len() > 1 { 0.5 } else { 0.9999 };
                    let share = suggestion.joint / mass;
                    assert!(suggestion.exact && share > least && share < 1.0001, "{text:?} {word}: {suggestion:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 500, "only {compared} words were compared");
}

#[test]
fn the_forms_of_a_word_are_one_on_the_strip() {
    let candidate = |word: &str, share: f64| Candidate { word: word.to_owned(), score: share.ln(), exact: true };
    let forms = [("Him", 0.25), ("don’t", 0.125), ("the", 0.1875), ("don't", 0.0625), ("The", 0.125)];
    let mut found = sum_forms(forms.map(|(word, share)| candidate(word, share)).into());
    keep_best(&mut found, 2, |_| true);
    let found: Vec<_> = found.iter().map(|word| (word.word.as_str(), word.score.exp())).collect();
    assert!(found[0].0 == "the" && (found[0].1 - 0.3125).abs() < 1e-12, "more than either alone: {found:?}");
    assert_eq!(found[1].0, "Him");
    let mut apart = sum_forms([("don’t", 0.125), ("don't", 0.0625)].map(|(word, share)| candidate(word, share)).into());
    keep_best(&mut apart, 3, |_| true);
    assert_eq!(apart.iter().map(|word| word.word.as_str()).collect::<Vec<_>>(), ["don’t"], "one place for one word");
}

#[test]
fn typing_narrows_and_changes_nothing_else() {
    for seed in 0..4 {
        let mut fake = Fake::new(seed);
        let mut keyboard = exact();
        let many = |typed| Query { top: 200, ..query("a cab ", typed) };
        let before = keyboard.suggest(&mut fake, &many("")).unwrap().suggestions;
        for typed in ["a", "ab", "c"] {
            let after = keyboard.suggest(&mut fake, &many(typed)).unwrap().suggestions;
            let with_prefix = before.iter().filter(|s| s.word.starts_with(typed) && s.word != typed);
            let scale = after[0].joint / after[0].probability;
            let mut sum = 0.0;
            for wide in with_prefix {
                if let Some(narrow) = after.iter().find(|s| s.word == wide.word) {
                    assert!((narrow.joint / wide.joint - 1.0).abs() < 1e-9);
                    assert!((narrow.probability * scale / wide.joint - 1.0).abs() < 1e-9, "one factor for all");
                    sum += narrow.probability;
                }
            }
            assert!(sum > 0.0 && sum <= 1.0 + 1e-9);
        }
    }
}

#[test]
fn what_is_known_is_not_computed_again() {
    let mut fake = Fake::new(3);
    let mut keyboard = exact();
    let first = keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap();
    assert_eq!(first.forward_passes, 1 + fake.grown);
    let word = &first.suggestions[0].word;
    let letter = &word[..1];
    keyboard.suggest(&mut fake, &query("a cab ", letter)).unwrap();
    let (grown, computed) = (fake.grown, fake.computed);
    for typed in [letter, "", letter, word, ""] {
        let again = keyboard.glance(&mut fake, &query("a cab ", typed)).unwrap();
        assert_eq!(again.forward_passes, 0);
    }
    for typed in [letter, "", letter] {
        let again = keyboard.suggest(&mut fake, &query("a cab ", typed)).unwrap();
        assert!(again.proven && again.forward_passes == 0, "{typed:?}");
    }
    assert_eq!(keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap().suggestions, first.suggestions);
    assert_eq!((fake.grown, fake.computed), (grown, computed));
}

#[test]
fn the_next_word_begins_where_the_last_one_was_asked_about() {
    for seed in 0..8 {
        let mut fake = Fake::new(seed);
        let mut keyboard = exact();
        for word in keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap().suggestions {
            keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap();
            let computed = fake.computed;
            let context = format!("a cab {} ", word.word);
            let glance = keyboard.glance(&mut fake, &query(&context, "")).unwrap();
            assert_eq!((glance.forward_passes, fake.computed), (0, computed), "{context:?}");
            let found = keyboard.suggest(&mut fake, &query(&context, "")).unwrap();
            let anew = exact().suggest(&mut Fake::new(seed), &query(&context, "")).unwrap();
            assert_eq!((found.suggestions, found.forward_passes + 1), (anew.suggestions, anew.forward_passes));
        }
    }
}

#[test]
fn a_glance_does_not_wait_for_a_long_text_to_be_read() {
    let mut fake = Fake::new(1);
    let mut keyboard = exact();
    let chat = "a cab abc a ".repeat(8);
    let glance = keyboard.glance(&mut fake, &query(&chat, "a")).unwrap();
    assert_eq!((glance.suggestions, glance.forward_passes, fake.computed), (Vec::new(), 0, 0));
    let found = keyboard.suggest(&mut fake, &query(&chat, "a")).unwrap();
    assert!(fake.computed > 0);
    assert_eq!(keyboard.glance(&mut fake, &query(&chat, "a")).unwrap().suggestions, found.suggestions);
}

#[test]
fn a_glance_never_grows_the_tree_and_a_call_keeps_to_its_budget() {
    for seed in 0..8 {
        let mut fake = Fake::new(seed);
        let mut keyboard = Keyboard::new(Options::default());
        let glance = keyboard.glance(&mut fake, &query("cab ", "")).unwrap();
        assert_eq!((glance.forward_passes, fake.grown), (1, 0));
        assert!(glance.suggestions.iter().all(|s| !s.exact));
        for _ in 0..6 {
            let before = fake.grown;
            let answer = keyboard.suggest(&mut fake, &query("cab ", "")).unwrap();
            assert_eq!(answer.forward_passes, fake.grown - before);
            assert!(answer.forward_passes <= 2);
        }
        assert!(fake.grown <= 4);
    }
}

#[test]
fn rows_lost_to_another_user_of_the_model_are_noticed() {
    let mut fake = Fake::new(5).with_max_nodes(1000);
    let mut keyboard = exact();
    let first = keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap();
    fake.sync(&[3, 4, 5]).unwrap();
    fake.grow(&[(nibble_engine::Node::ROOT, 6)]).unwrap();
    let narrowed = keyboard.suggest(&mut fake, &query("a cab ", "ab")).unwrap();
    let fresh = exact().suggest(&mut Fake::new(5), &query("a cab ", "ab")).unwrap();
    assert_eq!(narrowed.suggestions, fresh.suggestions);
    assert_eq!(keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap().suggestions, first.suggestions);
}

#[test]
fn a_full_tree_gives_what_is_known() {
    let mut fake = Fake::new(2).with_max_nodes(10);
    let mut keyboard = exact();
    let answer = keyboard.suggest(&mut fake, &Query { top: 20, ..query("a ", "") }).unwrap();
    assert!(!answer.proven && answer.suggestions.len() > 3);
    assert_eq!(fake.grown, 2, "eight rows, then the two that fit");
}

#[test]
fn it_does_not_matter_where_the_caller_cuts() {
    let whole = exact().suggest(&mut Fake::new(1), &query("a cab", "")).unwrap();
    for (context, typed) in [("a ", "cab"), ("a c", "ab"), ("", "a cab")] {
        let answer = exact().suggest(&mut Fake::new(1), &query(context, typed)).unwrap();
        assert_eq!(answer, whole);
        assert_eq!(answer.replaces, 3);
    }
    assert!(whole.suggestions.iter().all(|s| s.word.starts_with("cab")));
}

#[test]
fn the_word_at_the_cursor_begins_after_opening_punctuation() {
    let answer = exact().suggest(&mut Fake::new(1), &query("a ", "(ca")).unwrap();
    assert_eq!(answer.replaces, 2);
    assert!(!answer.suggestions.is_empty() && answer.suggestions.iter().all(|s| s.word.starts_with("ca")));
}

#[test]
fn case_is_kept_as_typed() {
    for seed in 0..8 {
        let answer = exact().suggest(&mut Fake::new(seed), &query("a ", "T")).unwrap();
        assert!(!answer.suggestions.is_empty() && answer.suggestions.iter().all(|s| s.word.starts_with('T')));
    }
}

#[test]
fn kinds_are_told_apart() {
    let answer = exact().suggest(&mut Fake::new(1), &Query { top: 50, ..query("a ", "ab") }).unwrap();
    for suggestion in &answer.suggestions {
        let expected = if suggestion.word == "ab" { Kind::Literal } else { Kind::Completion };
        assert_eq!(suggestion.kind, expected);
    }
    assert!(answer.suggestions.iter().any(|s| s.kind == Kind::Literal));
    let next = exact().suggest(&mut Fake::new(1), &query("a ", "")).unwrap();
    assert!(next.suggestions.iter().all(|s| s.kind == Kind::NextWord));
}

#[test]
fn whitespace_is_read_as_far_as_no_word_begins_in_it() {
    for (text, read) in
        [("a cab ", "a cab"), ("a cab.\n", "a cab.\n"), ("a  ", "a "), ("a\n ", "a\n"), ("(", ""), (" \n", "")]
    {
        let mut fake = Fake::new(1);
        exact().suggest(&mut fake, &query(text, "")).unwrap();
        assert_eq!(fake.decode(&fake.prefix()[1..]), read);
    }
}

#[test]
fn a_model_without_bos_starts_at_the_end_of_a_text() {
    let mut fake = Fake::new(1);
    exact().suggest(&mut fake, &query("", "")).unwrap();
    assert_eq!(fake.prefix(), [END]);
    exact().suggest(&mut fake, &query("a ", "")).unwrap();
    assert_eq!(fake.prefix(), [vec![END], fake.encode("a")].concat());
    let mut fake = Fake::new(1).with_bos(3);
    exact().suggest(&mut fake, &query("a ", "")).unwrap();
    assert_eq!(fake.prefix(), [vec![3], fake.encode("a")].concat());
}

#[test]
fn the_window_slides_in_blocks_and_keeps_the_cached_prefix() {
    let mut fake = Fake::new(1).with_bos(END).with_context(1000);
    let options = Options { context_tokens: 60, context_kept: 40, batches_per_letter: 0, ..Options::default() };
    let mut keyboard = Keyboard::new(options);
    let mut text = String::new();
    let (mut slides, mut random) = (0, 1u32);
    for i in 0..400 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(["cab ", "abc ", "Tab ", "b ", "abac. ", "(ab) ", "ca-b ", "a "][random as usize >> 16 & 7]);
        // Editors hand over what they like: everything, or the last few hundred characters.
        let given = if i % 3 == 0 { &text[..] } else { text::suffix(&text, 300) };
        let before = fake.prefix().to_vec();
        let computed = fake.computed;
        keyboard.suggest(&mut fake, &query(given, "")).unwrap();
        assert!(fake.prefix().len() <= 61);
        if !fake.prefix().starts_with(&before) {
            slides += 1;
            assert!(fake.prefix().len() >= 30, "as much as was kept, to the word");
        } else {
            assert_eq!(fake.computed - computed, fake.prefix().len() - before.len());
        }
    }
    assert!((10..80).contains(&slides), "{slides} slides in 400 words");
    // Back to where less text is left than the window would begin with.
    keyboard.suggest(&mut fake, &query("abc cab ", "")).unwrap();
    assert_eq!(fake.decode(&fake.prefix()[1..]), "abc cab");
}

#[test]
fn huge_and_odd_texts_are_answered() {
    let emoji = "😂".repeat(100_000);
    let spaces = " ".repeat(100_000);
    let words = "cab ab ".repeat(20_000);
    let one = "a".repeat(100_000);
    for text in
        ["\0", "\0 ", "a\0b ", "我 ", "你好世界", "\u{200D}\u{FE0F}", "'", "-- ", "😂 ", &emoji, &spaces, &words, &one]
    {
        let mut fake = Fake::new(9);
        for (context, typed) in [(text, ""), ("", text), (text, "a"), (text, text)] {
            let answer = Keyboard::new(Options::default()).suggest(&mut fake, &query(context, typed)).unwrap();
            assert!(answer.suggestions.len() <= 3 && answer.forward_passes <= 3);
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered_in_order(text in "[abcT é'\\-\\.\n(😂]{0,24}", other in ".{0,12}", seed in 0u64..50, top in 0usize..6) {
        let mut fake = Fake::new(seed).with_max_nodes(200);
        let mut keyboard = Keyboard::new(Options::default());
        for query in [Query { context: &text, typed: "", touches: &[], top }, Query { context: &text, typed: &other, touches: &[], top }] {
            for _ in 0..2 {
                let answer = keyboard.suggest(&mut fake, &query).unwrap();
                let whole = [query.context, query.typed].concat();
                prop_assert!(answer.suggestions.len() <= top);
                let typed = &whole[whole.len() - answer.replaces..];
                for suggestion in &answer.suggestions {
                    prop_assert!(suggestion.word.starts_with(typed));
                    prop_assert!(suggestion.probability > 0.0 && suggestion.probability <= 1.0);
                    prop_assert!(suggestion.joint <= suggestion.probability + 1e-9);
                    prop_assert!(suggestion.word.chars().all(|c| text::is_word(c) || text::is_joiner(c)));
                }
                prop_assert!(answer.suggestions.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
                let sum: f64 = answer.suggestions.iter().filter(|s| s.exact).map(|s| s.probability).sum();
                prop_assert!(sum <= 1.0 + 1e-6);
            }
        }
    }
}

/// A keyboard with words of scripts that are read from the left and from the right; the layout has the keys of the first alone.
fn of_two_scripts() -> Keyboard {
    let words = [("the", 130), ("cab", 300), ("שלום", 250), ("שלומית", 400), ("של", 200), ("مرحبا", 350)];
    let words = words.map(|(word, cost)| (word.to_owned(), lexicon::Word { cost, listed: true }));
    let layout = Layout::shipped("qwerty").unwrap();
    exact().with_lexicon(Arc::new(Lexicon::of(words)), layout)
}

proptest! {
    /// Touches beside every key, at no place at all, too many and too few: what was typed stays, or is offered.
    #[test]
    fn touches_may_be_anywhere(
        typed in "[a-cT]{1,4}|[שלוםית]{1,5}|[مرحبا]{1,5}",
        places in prop::collection::vec(
            prop::option::of((prop::sample::select(FAR_OUT.to_vec()), prop::sample::select(FAR_OUT.to_vec()))),
            0..8,
        ),
    ) {
        let touches: Vec<_> = places.into_iter().map(|place| place.map(|(x, y)| Point { x, y })).collect();
        let query = Query { context: "a cab ", typed: &typed, touches: &touches, top: 3 };
        let answer = of_two_scripts().suggest(&mut Fake::lettered(3), &query).unwrap();
        let words: Vec<_> = answer.suggestions.iter().map(|suggestion| &suggestion.word).collect();
        prop_assert!(!words.is_empty());
        let without = Query { touches: &[], ..query };
        let without = of_two_scripts().suggest(&mut Fake::lettered(3), &without).unwrap();
        prop_assert_eq!(&answer.suggestions, &without.suggestions);
        prop_assert!(words.contains(&&typed) || answer.autocorrect.is_none(), "{words:?}");
        for suggestion in &answer.suggestions {
            prop_assert!((0.0..=1.0).contains(&suggestion.probability), "{suggestion:?}");
        }
    }
}

/// Where no finger can be.
const FAR_OUT: [f32; 8] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -1e9, 40.0, -5.0];

#[test]
fn a_long_word_of_any_script_is_one() {
    let typed = "ж".repeat(33);
    let answer = of_two_scripts().suggest(&mut Fake::lettered(3), &query("the ", &typed)).unwrap();
    assert_eq!(answer.suggestions[0].word, typed);
}

#[test]
fn text_from_right_to_left_is_typed_like_any_other() {
    let mut keyboard = of_two_scripts();
    // With the marks that editors put around a change of direction.
    for context in ["", "שלום ", "the cab \u{200F}", "\u{202B}של\u{202C} "] {
        let mut ask = |typed: &str| keyboard.suggest(&mut Fake::lettered(3), &query(context, typed)).unwrap();
        let answer = ask("של");
        let words: Vec<_> = answer.suggestions.iter().map(|suggestion| suggestion.word.as_str()).collect();
        assert!(words.contains(&"שלום") && words.contains(&"שלומית"), "{context:?}: {words:?}");
        assert_eq!((answer.replaces, answer.autocorrect), ("של".len(), None), "{context:?}");
        let mended = ask("שלם").suggestions;
        let left_out = |suggestion: &Suggestion| suggestion.word == "שלום" && suggestion.kind == Kind::Correction;
        assert!(mended.iter().any(left_out), "{context:?}: {mended:?}");
    }
}

#[test]
fn words_ahead_are_as_probable_as_they_are_one_after_another() {
    let mut found = 0;
    for seed in 0..6 {
        for (context, typed) in [("a cab ", ""), ("Ta b\n", ""), ("a cab ", "b"), ("", "")] {
            let mut fake = Fake::new(seed);
            let mut keyboard = Keyboard::new(Options { likely: 0.002, ..exact().options });
            let strip = keyboard.suggest(&mut fake, &query(context, typed)).unwrap();
            let Some(ahead) = keyboard.look_ahead(&mut fake, &query(context, typed)).unwrap() else { continue };
            found += 1;
            assert!(ahead.text.starts_with(typed) && ahead.probability >= 0.002, "{ahead:?}");
            let mut words = ahead.text.split(' ');
            let first = words.next().unwrap();
            assert_eq!(first, strip.suggestions[0].word);
            let (mut probability, mut before) = (strip.suggestions[0].probability, [context, first].concat());
            for word in words {
                before.push(' ');
                let all = Exhaustive::after(&fake, &before);
                let (best, joint) = all.best("", 1)[0];
                assert_eq!(word, best, "behind {before:?}");
                probability *= joint * all.begins;
                before.push_str(word);
            }
            assert!((ahead.probability / probability).ln().abs() < 0.01, "{ahead:?} should be {probability}");
            // The word at the cursor is asked for again at no cost, and gone on with.
            let again = keyboard.suggest(&mut fake, &query(context, typed)).unwrap();
            assert_eq!((again.suggestions, again.forward_passes), (strip.suggestions, 0));
            for letter in ["a", "b", "c"].map(|letter| [typed, letter].concat()) {
                let next = keyboard.suggest(&mut fake, &query(context, &letter)).unwrap();
                let fresh = exact().suggest(&mut Fake::new(seed), &query(context, &letter)).unwrap();
                assert_eq!(next.suggestions, fresh.suggestions, "{context:?} {letter:?}");
            }
        }
    }
    assert!(found > 5, "{found} continuations");
}

#[test]
fn words_that_are_not_likely_are_not_looked_for() {
    let mut fake = Fake::new(1);
    let mut keyboard = Keyboard::new(Options { likely: 1.0, ..exact().options });
    keyboard.suggest(&mut fake, &query("a cab ", "")).unwrap();
    let asked = (fake.computed, fake.grown);
    assert_eq!(keyboard.look_ahead(&mut fake, &query("a cab ", "")).unwrap(), None);
    assert_eq!((fake.computed, fake.grown), asked);
}
