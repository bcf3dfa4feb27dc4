//! One text field while it is typed in: what stands there, which word is at the cursor, and what each key does to it.
//!
//! A keyboard does not own the text: the editor does, and tells of it late, in part, or wrongly. So the text is kept here as the keys
//! have made it, and what the editor says is compared with it. What it said before it had heard of the last edits is recognised, since
//! the states since then are kept; anything else is somebody else's change, and taken over. Where such a change meets edits that are
//! still under way nobody can know what the text is: until the editor agrees again, keys only insert and nothing is taken away, so that
//! no letter is lost or doubled.
//!
//! A word is learned when the next one ends, or the field is left: until then it is likely to be changed.

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;

use super::Query;
use super::field::Field;
use super::layout::Point;
use super::learning::Learner;
use super::text::{self, is_joiner, is_word};

/// Bytes before the cursor that are kept; the model reads less.
const KEPT: usize = 2_048;
/// Bytes before a word that are kept to learn it by.
const KEPT_TO_LEARN: usize = 256;
/// States that the editor may be late by. One that is later than this is a person who has gone back.
const UNHEARD: usize = 64;
/// So many characters are no coincidence.
const SURE: usize = 32;

/// What is to be done to the text at the cursor. Where text is selected, the selection goes too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Text to remove, which stands right before the cursor.
    pub delete: String,
    /// Text to insert there afterwards.
    pub insert: String,
}

impl Edit {
    fn new(delete: &str, insert: impl Into<String>) -> Self {
        Self { delete: delete.to_owned(), insert: insert.into() }
    }
}

/// One text field while it is typed in.
pub struct Typing {
    field: Field,
    text: Text,
    /// Whether some text is selected, which the next edit replaces.
    selected: bool,
    /// Whether the text is what the editor has, once it has heard of every edit.
    settled: bool,
    /// What the text was before the edits of which the editor has not yet told, oldest first.
    unheard: VecDeque<Earlier>,
    /// Where the keys of the last characters of the word at the cursor were hit: of all those that were typed here.
    touches: Vec<Option<Point>>,
    generation: u64,
    /// What a space will put in place of the word at the cursor, as far as a strip has said so for this text.
    autocorrect: Option<String>,
    /// Whether the space before the cursor came with a word from the strip.
    own_space: bool,
    /// Marks that it stays before.
    spaced_marks: &'static str,
    /// Whether the last key was a space that ended a word.
    spaced: bool,
    /// What was put in with the last key.
    correction: Option<Correction>,
    last_word: Option<Written>,
    learned: Vec<Learned>,
}

/// The text around the cursor.
#[derive(Clone, PartialEq)]
struct Text {
    before: String,
    after: String,
}

/// What the text was before an edit.
struct Earlier {
    text: Text,
    /// Bytes before the cursor that the edit takes away.
    deleted: usize,
}

/// A correction that the next key can take back.
struct Correction {
    typed: String,
    word: String,
    /// What ended the word.
    end: String,
}

/// A word that was ended here.
struct Written {
    context: String,
    word: String,
    /// Bytes between it and the cursor.
    since: usize,
}

impl Written {
    /// Each of the words in it.
    fn words(&self) -> impl Iterator<Item = Self> {
        let mut start = 0;
        self.word.split(' ').map(move |word| {
            let context = [&self.context, &self.word[..start]].concat();
            start += word.len() + 1;
            Self { context: text::suffix(&context, KEPT_TO_LEARN).to_owned(), word: word.to_owned(), since: self.since }
        })
    }
}

/// What a [`Learner`] is to be told.
#[must_use]
pub struct Lessons(Vec<Learned>);

enum Learned {
    Committed(Written),
    Reverted { typed: String, word: String },
}

/// What there is to ask a [`Keyboard`](super::Keyboard) for the word at the cursor.
pub struct Question {
    /// The text before the word.
    pub context: String,
    /// The word so far.
    pub typed: String,
    /// Where its keys were hit.
    pub touches: Vec<Option<Point>>,
}

impl Question {
    /// As a query for so many suggestions.
    pub fn query(&self, top: usize) -> Query<'_> {
        Query { context: &self.context, typed: &self.typed, touches: &self.touches, top }
    }
}

impl Typing {
    /// Typing begins in a field with this text around the cursor.
    pub fn new(field: Field, before: &str, after: &str) -> Self {
        let mut typing = Self {
            field,
            text: Text { before: String::new(), after: String::new() },
            selected: false,
            settled: true,
            unheard: VecDeque::new(),
            touches: Vec::new(),
            generation: 1,
            autocorrect: None,
            own_space: false,
            spaced_marks: "",
            spaced: false,
            correction: None,
            last_word: None,
            learned: Vec::new(),
        };
        if field.predicts() {
            typing.text = Text::new(before, after);
        }
        typing
    }

    /// The same in a language in which a space stands before [some marks](super::languages::Language::spaced).
    pub fn with_spaced_marks(self, marks: &'static str) -> Self {
        Self { spaced_marks: marks, ..self }
    }

    /// What the field is for.
    pub fn field(&self) -> Field {
        self.field
    }

    /// Another number for every text that there was: an answer for another one is stale.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What to ask for the strip; nothing where no word can be put in: within a word, over a selection, in a field for secrets.
    pub fn question(&self) -> Option<Question> {
        if !self.field.predicts() || self.selected || self.is_within_word() {
            return None;
        }
        let (context, typed) = self.text.before.split_at(self.word_start());
        let length = typed.chars().count();
        let known = &self.touches[self.touches.len().saturating_sub(length)..];
        let touches = std::iter::repeat_n(None, length - known.len()).chain(known.iter().copied()).collect();
        Some(Question { context: context.to_owned(), typed: typed.to_owned(), touches })
    }

    /// The strip has been told what a space will put in; false if the text has changed since it was asked.
    pub fn answered(&mut self, generation: u64, autocorrect: Option<&str>) -> bool {
        let fresh = generation == self.generation;
        if fresh {
            self.autocorrect = autocorrect.map(str::to_owned);
        }
        fresh
    }

    /// Whether a sentence begins at the cursor.
    pub fn begins_sentence(&self) -> bool {
        let before = self.text.before.trim_end();
        let gap = &self.text.before[before.len()..];
        self.field.corrects()
            && (before.is_empty() || gap.contains('\n') || !gap.is_empty() && text::ends_sentence(before))
    }

    /// A key that types `text`, and where it was hit. The end of a word brings in its correction.
    pub fn key(&mut self, text: &str, touch: Option<Point>) -> Edit {
        if !self.field.predicts() {
            return Edit::new("", text);
        }
        if text.chars().all(|c| is_word(c) || is_joiner(c)) {
            return self.letter(text, touch);
        }
        if let Some(edit) = self.in_own_space(text).or_else(|| self.full_stop(text)) {
            return edit;
        }
        let word = self.word().to_owned();
        let ends = |c: char| c.is_whitespace() || ".,!?;:…)\"”»".contains(c);
        let correction = self.autocorrect.take().filter(|_| self.may_replace() && text.chars().all(ends));
        let correction = correction.filter(|_| self.field.corrects());
        let stays = correction.as_ref().unwrap_or(&word);
        let written = self.ending(&word, stays).filter(|_| self.is_typed_here(&word));
        let edit = match &correction {
            Some(correction) => Edit::new(&word, [correction, text].concat()),
            None => Edit::new("", text),
        };
        let edit = self.apply(edit);
        self.ended(written, text.len());
        self.spaced = text == " " && !word.is_empty() && self.field.corrects();
        self.correction =
            correction.map(|correction| Correction { typed: word, word: correction, end: text.to_owned() });
        edit
    }

    /// The backspace key: takes back a correction that the last key brought, else removes a character. An empty edit hands the key on
    /// to the editor: it has a selection, or text of which nothing is known here.
    pub fn backspace(&mut self) -> Edit {
        if let Some(Correction { typed, word, end }) = self.correction.take().filter(|_| self.may_replace()) {
            let written = self.last_word.take_if(|written| written.word == word);
            let edit = self.apply(Edit::new(&[word.as_str(), &end].concat(), [typed.as_str(), &end].concat()));
            if let Some(written) = written {
                self.last_word = Some(Written { word: typed.clone(), ..written });
            }
            self.learn(Learned::Reverted { typed, word });
            return edit;
        }
        self.reopen_word();
        let last = self.text.before.graphemes(true).next_back().unwrap_or_default().to_owned();
        let known = if self.may_replace() { last.clone() } else { String::new() };
        let removed = if self.selected { String::new() } else { last };
        let left = self.touches.len().saturating_sub(removed.chars().count());
        let touches = self.touches[..left].to_vec();
        self.apply(Edit::new(&removed, ""));
        self.touches = touches;
        Edit::new(&known, "")
    }

    /// A word was taken from the strip that was shown for the text of this `generation`; nothing is to be done if that has changed
    /// since. It comes with a space, which a space or a mark that is typed next takes the place of. Several words may be taken at once.
    pub fn accept(&mut self, generation: u64, word: &str) -> Option<Edit> {
        if generation != self.generation || !self.may_replace() || self.is_within_word() || !self.field.predicts() {
            return None;
        }
        let typed = self.word().to_owned();
        if let Some(correction) = self.autocorrect.take().filter(|_| word == typed) {
            self.learn(Learned::Reverted { typed: typed.clone(), word: correction });
        }
        let spaced = self.field.corrects() && !self.text.after.starts_with(char::is_whitespace);
        let space = if spaced { " " } else { "" };
        // Wherever its beginning was typed, all of it was chosen here.
        let written = self.ending(&typed, word);
        let edit = self.apply(Edit::new(&typed, [word, space].concat()));
        for written in written.iter().flat_map(Written::words) {
            self.ended(Some(written), space.len());
        }
        self.own_space = spaced;
        Some(edit)
    }

    /// What the editor says the text around the cursor is, as much of it as it tells.
    pub fn reported(&mut self, before: &str, after: &str, selected: bool) {
        if !self.field.predicts() {
            return;
        }
        let told = Text::new(before, after);
        if selected == self.selected {
            // Where the text has been the same before, it may be that of before that is told of.
            if let Some(heard) = self.unheard.iter().position(|earlier| earlier.is_shown_by(&told)) {
                self.unheard.drain(..heard);
                return;
            }
            if self.text.is_shown_by(&told) {
                self.unheard.clear();
                self.settled = true;
                return;
            }
        }
        let more = told.after == self.text.after && told.before.ends_with(&self.text.before);
        if more && selected == self.selected && self.text.before.chars().count() >= SURE {
            // An editor that tells so many characters: some before the cursor went, and others before those came into sight.
            self.text = told;
            self.unheard.clear();
            self.settled = true;
            return;
        }
        self.settled = self.unheard.is_empty();
        self.unheard.clear();
        self.selected = selected;
        if !more || self.text.before.is_empty() {
            // A field that is emptied was sent: its last word stays.
            if told.before.is_empty() && told.after.is_empty() {
                self.leave_word();
            }
            self.learn_last_word();
            self.touches.clear();
        }
        self.text = told;
        self.change();
    }

    /// The field is left: what was written there stays.
    pub fn finish(&mut self) {
        self.leave_word();
        self.learn_last_word();
        self.touches.clear();
        self.change();
    }

    /// What there is to learn from what was written since the last time.
    pub fn lessons(&mut self) -> Lessons {
        Lessons(std::mem::take(&mut self.learned))
    }

    /// A letter, or a mark within a word.
    fn letter(&mut self, text: &str, touch: Option<Point>) -> Edit {
        self.reopen_word();
        let mut touches = std::mem::take(&mut self.touches);
        if self.selected || self.word().is_empty() {
            touches.clear();
        }
        touches.extend(text.chars().map(|_| touch));
        let since = self.last_word.as_ref().map_or(0, |written| written.since);
        if !text::suffix(&self.text.before, since).contains(char::is_whitespace) {
            // It goes on without a space: an address, and not two words.
            self.last_word = None;
        }
        let taken_back = self.correction.take().filter(|correction| {
            self.may_replace()
                && !correction.end.ends_with(char::is_whitespace)
                && text.starts_with(char::is_alphanumeric)
        });
        let edit = match taken_back {
            // A letter right behind the full stop: it was no sentence that ended.
            Some(Correction { typed, word, end }) => {
                Edit::new(&[word.as_str(), &end].concat(), [typed.as_str(), &end, text].concat())
            }
            None => Edit::new("", text),
        };
        let edit = self.apply(edit);
        self.touches = touches;
        edit
    }

    /// A space or a mark where there is a space that came with a word from the strip.
    fn in_own_space(&mut self, text: &str) -> Option<Edit> {
        let own_space = std::mem::take(&mut self.own_space) && self.may_replace();
        let closes = |c: char| ".,!?;:…)".contains(c);
        match text {
            _ if !own_space => None,
            " " => Some(self.apply(Edit::default())),
            "\n" => Some(self.apply(Edit::new(" ", text))),
            mark if mark.chars().all(closes) => {
                let is_spaced = |c: char| self.spaced_marks.contains(c);
                let stays = mark.chars().all(is_spaced) && !self.text.before.trim_end().ends_with(is_spaced);
                let edit = self.apply(Edit::new(if stays { "" } else { " " }, [mark, " "].concat()));
                self.own_space = true;
                Some(edit)
            }
            _ => None,
        }
    }

    /// The second of two spaces behind a word: the first becomes a full stop.
    fn full_stop(&mut self, text: &str) -> Option<Edit> {
        let twice = std::mem::take(&mut self.spaced) && text == " " && self.may_replace();
        twice.then(|| self.apply(Edit::new(" ", ". ")))
    }

    /// Whether all of the word at the cursor was typed here, and so may be learned.
    fn is_typed_here(&self, word: &str) -> bool {
        !self.selected && self.touches.len() >= word.chars().count()
    }

    /// The word at the cursor, which is about to end as `word`, if it is no part of an address.
    fn ending(&self, typed: &str, word: &str) -> Option<Written> {
        let context = text::suffix(&self.text.before[..self.text.before.len() - typed.len()], KEPT_TO_LEARN);
        let goes_on = text::cut(context).typed.contains(is_word);
        (!goes_on && !word.is_empty()).then(|| Written { context: context.to_owned(), word: word.to_owned(), since: 0 })
    }

    /// Where the word at the cursor had ended here already and what ended it was taken away, it goes on: all of it was typed here, though
    /// nobody knows any more where its keys were hit.
    fn reopen_word(&mut self) {
        let is_at_cursor =
            |written: &mut Written| !self.selected && written.since == 0 && self.text.before.ends_with(&written.word);
        if let Some(written) = self.last_word.take_if(is_at_cursor) {
            self.touches = vec![None; written.word.chars().count()];
        }
    }

    /// It has ended, so many bytes before the cursor; the one before it is not likely to change any more.
    fn ended(&mut self, written: Option<Written>, since: usize) {
        if let Some(written) = written {
            self.learn_last_word();
            self.last_word = Some(Written { since, ..written });
        }
    }

    /// The cursor goes elsewhere, and the word that it was at stays.
    fn leave_word(&mut self) {
        let word = self.word().to_owned();
        let written = self.ending(&word, &word).filter(|_| self.is_typed_here(&word));
        self.ended(written, 0);
    }

    fn learn_last_word(&mut self) {
        if let Some(written) = self.last_word.take() {
            self.learn(Learned::Committed(written));
        }
    }

    fn learn(&mut self, learned: Learned) {
        if self.field.learns() {
            self.learned.push(learned);
        }
    }

    /// Makes the change to the text, and forgets what belonged to the one before.
    fn apply(&mut self, edit: Edit) -> Edit {
        if self.unheard.len() == UNHEARD {
            self.unheard.pop_front();
        }
        self.unheard.push_back(Earlier { text: self.text.clone(), deleted: edit.delete.len() });
        let kept = self.text.before.len() - edit.delete.len();
        debug_assert!(self.text.before.ends_with(&edit.delete));
        self.text.before.truncate(kept);
        self.text.before.push_str(&edit.insert);
        self.text.before.drain(..self.text.before.len() - text::suffix(&self.text.before, KEPT).len());
        self.last_word = self.last_word.take().and_then(|written| {
            let since = written.since.checked_sub(edit.delete.len())? + edit.insert.len();
            Some(Written { since, ..written })
        });
        self.selected = false;
        self.touches.clear();
        self.change();
        edit
    }

    fn change(&mut self) {
        self.generation += 1;
        (self.autocorrect, self.correction, self.own_space, self.spaced) = (None, None, false, false);
    }

    /// Whether text may be taken away: what stands before the cursor is known.
    fn may_replace(&self) -> bool {
        self.settled && !self.selected
    }

    fn is_within_word(&self) -> bool {
        self.text.after.trim_start_matches(is_joiner).starts_with(is_word)
    }

    fn word_start(&self) -> usize {
        let cut = text::cut(&self.text.before);
        self.text.before.len() - cut.typed.len() + cut.word
    }

    fn word(&self) -> &str {
        &self.text.before[self.word_start()..]
    }
}

impl Lessons {
    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells the learner, which then has something to [save](Learner::save).
    pub fn teach(self, learner: &Learner) {
        for learned in self.0 {
            match learned {
                Learned::Committed(Written { context, word, .. }) => learner.committed(&context, &word),
                Learned::Reverted { typed, word } => learner.reverted(&typed, &word),
            }
        }
    }
}

impl Text {
    fn new(before: &str, after: &str) -> Self {
        let end = after.char_indices().map(|(at, _)| at).chain([after.len()]).take_while(|&at| at <= KEPT).last();
        Self { before: text::suffix(before, KEPT).to_owned(), after: after[..end.unwrap_or_default()].to_owned() }
    }

    /// Whether an editor may show this text so: it shows less of it, or knows less.
    fn is_shown_by(&self, told: &Text) -> bool {
        self.is_shown_without(0, told)
    }

    /// As [`is_shown_by`](Self::is_shown_by), without the last bytes before the cursor.
    fn is_shown_without(&self, last: usize, told: &Text) -> bool {
        let before = &self.before[..self.before.len() - last];
        let same_after = self.after == told.after
            || !told.after.is_empty() && self.after.starts_with(&told.after)
            || !self.after.is_empty() && told.after.starts_with(&self.after);
        let Some(hidden) = before.strip_suffix(told.before.as_str()) else { return false };
        let begins_anew = hidden.ends_with(char::is_whitespace) || told.before.starts_with(char::is_whitespace);
        let plausible = begins_anew && !told.before.is_empty() || told.before.chars().count() >= SURE;
        same_after && (hidden.is_empty() || plausible)
    }
}

impl Earlier {
    /// Whether an editor may show this text so, or what it was on the way to the next: many take away one character after another.
    fn is_shown_by(&self, told: &Text) -> bool {
        let kept = self.text.before.len() - self.deleted;
        let mut going = self.text.before[kept..].char_indices().map(|(at, _)| self.deleted - at).chain([0]);
        going.any(|last| self.text.is_shown_without(last, told))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An editor that tells its text so many edits late.
    struct Editor {
        before: String,
        after: String,
        late: usize,
        earlier: Vec<String>,
    }

    impl Editor {
        fn new(late: usize) -> Self {
            Self { before: String::new(), after: String::new(), late, earlier: Vec::new() }
        }

        fn apply(&mut self, edit: &Edit) {
            self.earlier.push(self.before.clone());
            assert!(self.before.ends_with(&edit.delete), "{:?} is to go, and there is {:?}", edit.delete, self.before);
            self.before.truncate(self.before.len() - edit.delete.len());
            self.before.push_str(&edit.insert);
        }

        /// What it tells.
        fn told(&self) -> &str {
            let behind = self.earlier.len().saturating_sub(self.late);
            self.earlier.get(behind).filter(|_| self.late > 0).unwrap_or(&self.before)
        }
    }

    fn typed(typing: &mut Typing, text: &str) -> String {
        let mut editor = Editor::new(0);
        editor.before = typing.text.before.clone();
        for key in text.graphemes(true) {
            editor.apply(&typing.key(key, None));
        }
        assert!(editor.before.ends_with(&typing.text.before), "what is far away is not kept");
        editor.before
    }

    /// A strip says what a space will put in.
    fn answer(typing: &mut Typing, autocorrect: &str) {
        assert!(typing.answered(typing.generation(), Some(autocorrect)));
    }

    fn text_field() -> Typing {
        Typing::new(Field::Text, "", "")
    }

    fn learned(typing: &mut Typing) -> Vec<String> {
        let told = |learned: Learned| match learned {
            Learned::Committed(Written { context, word, .. }) => format!("{context}+{word}"),
            Learned::Reverted { typed, word } => format!("{typed}, not {word}"),
        };
        std::mem::take(&mut typing.learned).into_iter().map(told).collect()
    }

    #[test]
    fn the_question_is_about_the_word_at_the_cursor_and_its_touches() {
        let mut typing = Typing::new(Field::Text, "I said 'he", "");
        let at = |x| Some(Point { x, y: 0.0 });
        typing.key("l", at(1.0));
        typing.key("p", at(2.0));
        let question = typing.question().unwrap();
        assert_eq!((question.context.as_str(), question.typed.as_str()), ("I said '", "help"));
        assert_eq!(question.touches, [None, None, at(1.0), at(2.0)]);
        typing.backspace();
        assert_eq!(typing.question().unwrap().touches, [None, None, at(1.0)]);
        typing.key(" ", None);
        typing.key("'", at(3.0));
        typing.key("x", at(4.0));
        let question = typing.question().unwrap();
        assert_eq!((question.typed.as_str(), question.touches), ("x", vec![at(4.0)]));
        typing.reported("I said ", "hello", false);
        assert!(typing.question().is_none(), "before a word");
        typing.reported("I said ", " hello", false);
        assert_eq!(typing.question().unwrap().typed, "");
        typing.reported("I said ", " hello", true);
        assert!(typing.question().is_none(), "over a selection");
    }

    #[test]
    fn the_end_of_a_word_brings_its_correction_and_backspace_takes_it_back() {
        let mut typing = text_field();
        typed(&mut typing, "see teh");
        answer(&mut typing, "the");
        assert_eq!(typing.key(" ", None), Edit::new("teh", "the "));
        assert_eq!(typing.backspace(), Edit::new("the ", "teh "));
        assert_eq!(typing.backspace(), Edit::new(" ", ""), "the second one is a backspace");
        typed(&mut typing, " cat ");
        assert_eq!(learned(&mut typing), ["+see", "teh, not the", "see +teh"]);
        typed(&mut typing, "teh");
        answer(&mut typing, "the");
        typing.key("r", None);
        assert_eq!(typing.key(" ", None), Edit::new("", " "), "the correction was for another word");
    }

    #[test]
    fn in_french_the_space_of_a_word_from_the_strip_stays_before_some_marks() {
        let mut typing = text_field().with_spaced_marks(super::super::languages::Language::of("fr").spaced);
        typed(&mut typing, "ça v");
        assert_eq!(typing.accept(typing.generation(), "va"), Some(Edit::new("v", "va ")));
        assert_eq!(typing.key("?", None), Edit::new("", "? "));
        assert_eq!(typing.key("!", None), Edit::new(" ", "! "), "one space is enough");
        typed(&mut typing, "bien");
        assert_eq!(typing.accept(typing.generation(), "bien"), Some(Edit::new("bien", "bien ")));
        assert_eq!(typing.key(",", None), Edit::new(" ", ", "));
    }

    #[test]
    fn what_turns_out_to_be_an_address_is_as_it_was_typed() {
        let mut typing = text_field();
        typed(&mut typing, "www.gogle");
        answer(&mut typing, "google");
        assert_eq!(typed(&mut typing, "."), "www.google.");
        assert_eq!(typed(&mut typing, "example "), "www.gogle.example ");
        typing.finish();
        assert!(learned(&mut typing).is_empty());
        let mut typing = text_field();
        typed(&mut typing, "teh");
        answer(&mut typing, "the");
        assert_eq!(typed(&mut typing, ". Then"), "the. Then");
    }

    #[test]
    fn a_word_from_the_strip_brings_a_space_that_gives_way() {
        let taken = |keys: &str| {
            let mut typing = text_field();
            typed(&mut typing, "I am hap");
            assert_eq!(typing.accept(typing.generation(), "happy"), Some(Edit::new("hap", "happy ")));
            typed(&mut typing, keys)
        };
        assert_eq!(taken("to"), "I am happy to");
        assert_eq!(taken(" to"), "I am happy to");
        assert_eq!(taken(". So"), "I am happy. So");
        assert_eq!(taken("!!"), "I am happy!! ");
        assert_eq!(taken(":)"), "I am happy:) ");
        assert_eq!(taken("\nSo"), "I am happy\nSo");
        assert_eq!(taken("(so"), "I am happy (so");
        let mut typing = Typing::new(Field::Text, "I am ", " today");
        assert_eq!(typing.accept(1, "happy"), Some(Edit::new("", "happy")), "there is a space already");
        let mut typing = Typing::new(Field::Url, "exa", "");
        assert_eq!(typing.accept(1, "example"), Some(Edit::new("exa", "example")), "addresses have no spaces");
    }

    #[test]
    fn several_words_are_taken_at_once_and_learned_one_by_one() {
        let mut typing = text_field();
        typed(&mut typing, "talk wi");
        assert_eq!(
            typing.accept(typing.generation(), "with me well-known"),
            Some(Edit::new("wi", "with me well-known "))
        );
        assert_eq!(typed(&mut typing, "."), "talk with me well-known. ");
        typing.finish();
        let words = ["+talk", "talk +with", "talk with +me", "talk with me +well-known"];
        assert_eq!(learned(&mut typing), words);
    }

    #[test]
    fn two_spaces_behind_a_word_are_a_full_stop() {
        let mut typing = text_field();
        typed(&mut typing, "see teh");
        answer(&mut typing, "the");
        assert_eq!(typing.key(" ", None), Edit::new("teh", "the "));
        assert_eq!(typing.key(" ", None), Edit::new(" ", ". "), "and the correction stays");
        assert!(typing.begins_sentence());
        assert_eq!(typing.key(" ", None), Edit::new("", " "));
        typed(&mut typing, "so");
        assert_eq!(typing.backspace(), Edit::new("o", ""));
        assert_eq!(typing.key(" ", None), Edit::new("", " "));
        assert_eq!(typing.backspace(), Edit::new(" ", ""), "a space that was removed is none");
        assert_eq!(typing.key(" ", None), Edit::new("", " "));
        let mut address = Typing::new(Field::Url, "", "");
        typed(&mut address, "see ");
        assert_eq!(address.key(" ", None), Edit::new("", " "));
    }

    #[test]
    fn a_strip_that_is_stale_changes_nothing() {
        let mut typing = text_field();
        typed(&mut typing, "hap");
        let shown = typing.generation();
        typing.key("l", None);
        assert!(!typing.answered(shown, Some("happy")));
        assert_eq!((typing.accept(shown, "happy"), typing.text.before.as_str()), (None, "hapl"));
    }

    #[test]
    fn a_word_is_learned_when_the_next_one_ends_and_only_if_it_was_typed_here() {
        let mut typing = Typing::new(Field::Text, "old wo", "");
        typed(&mut typing, "rd new wrd");
        for _ in 0..2 {
            typing.backspace();
        }
        typed(&mut typing, "ord ");
        assert_eq!(learned(&mut typing), ["old word +new"]);
        typed(&mut typing, "again");
        typing.reported("", "", false);
        assert_eq!(learned(&mut typing), ["old word new +word", "old word new word +again"], "the message was sent");
        typed(&mut typing, "so be");
        typing.reported("so be", " it", false);
        typing.finish();
        assert_eq!(learned(&mut typing), ["+so"], "the cursor went elsewhere in the middle of a word");
        typed(&mut typing, " the");
        typing.finish();
        typing.finish();
        assert_eq!(learned(&mut typing), ["so be +the"]);
        typed(&mut typing, " it ");
        for _ in 0..3 {
            typing.backspace();
        }
        typing.finish();
        assert!(learned(&mut typing).is_empty(), "it was taken back");
    }

    #[test]
    fn a_word_that_goes_on_when_the_space_behind_it_is_taken_away_is_learned_as_it_ends() {
        let mut typing = text_field();
        typed(&mut typing, "helo ");
        for _ in 0..2 {
            typing.backspace();
        }
        typed(&mut typing, "lo wor ");
        typing.backspace();
        typed(&mut typing, "ld ");
        assert_eq!(learned(&mut typing), ["+hello"]);
        typing.backspace();
        typing.finish();
        assert_eq!(learned(&mut typing), ["hello +world"]);
        typed(&mut typing, " ok ");
        typing.backspace();
        typing.selected = true;
        typing.backspace();
        typing.finish();
        assert_eq!(learned(&mut typing), ["hello world +ok"], "what was selected was taken away, and not the word");
    }

    #[test]
    fn what_is_put_in_literally_is_not_corrected_again() {
        let mut typing = text_field();
        typed(&mut typing, "teh");
        answer(&mut typing, "the");
        typing.accept(typing.generation(), "teh").unwrap();
        typing.finish();
        assert_eq!(learned(&mut typing), ["teh, not the", "+teh"]);
    }

    #[test]
    fn nothing_of_a_secret_is_kept_and_nothing_of_an_address_learned() {
        let mut typing = Typing::new(Field::Password, "hunter", "");
        assert_eq!(typing.key("2", None), Edit::new("", "2"));
        typing.reported("hunter2", "", false);
        assert!(typing.question().is_none() && typing.text.before.is_empty());
        assert_eq!(typing.backspace(), Edit::default(), "the editor knows what to remove");
        for (field, words) in [(Field::NoLearning, 0), (Field::Email, 0), (Field::Text, 1)] {
            let (mut typing, learner) = (Typing::new(field, "", ""), Learner::new());
            typed(&mut typing, "hello");
            typing.finish();
            let lessons = typing.lessons();
            assert_eq!(lessons.is_empty(), words == 0, "{field:?}");
            lessons.teach(&learner);
            assert_eq!(learner.len(), words, "{field:?}");
        }
    }

    #[test]
    fn sentences_begin_where_they_do() {
        let begins = |before| Typing::new(Field::Text, before, "").begins_sentence();
        assert!(begins("") && begins("Hi. ") && begins("Hi\n") && begins("\u{201c}Hi!\u{201d} "));
        assert!(!begins("Hi") && !begins("Hi, ") && !begins("example."));
        assert!(!Typing::new(Field::Email, "", "").begins_sentence());
    }

    #[test]
    fn an_editor_that_says_something_else_is_believed_but_not_while_edits_are_under_way() {
        let mut typing = text_field();
        typed(&mut typing, "th");
        // It has made a capital of the first letter, and not heard of the second.
        typing.reported("T", "", false);
        typed(&mut typing, "e");
        answer(&mut typing, "Tee");
        assert_eq!(typing.accept(typing.generation(), "Then"), None, "what stands there is not known");
        assert_eq!(typing.key(" ", None), Edit::new("", " "), "nor is anything corrected");
        assert_eq!(typing.backspace(), Edit::default(), "the editor knows what to remove");
        typing.reported("The", "", false);
        typing.reported("The", "", false);
        assert_eq!(typing.accept(typing.generation(), "Then"), Some(Edit::new("The", "Then ")));
    }

    #[test]
    fn an_editor_that_takes_away_one_character_after_another_may_tell_of_each() {
        let mut typing = text_field();
        typed(&mut typing, "see teh");
        typing.reported("see teh", "", false);
        answer(&mut typing, "the");
        assert_eq!(typing.key(" ", None), Edit::new("teh", "the "));
        for before in ["see te", "see t", "see ", "see the "] {
            typing.reported(before, "", false);
            assert_eq!(typing.text.before, "see the ", "{before}");
        }
        assert_eq!(typing.backspace(), Edit::new("the ", "teh "));
        typing.reported("see t", "", false);
        assert_eq!(typing.key("x", None), Edit::new("", "x"));
        assert_eq!(typing.text.before, "see teh x");
        typing.reported("see teh x", "", false);
        assert!(typing.settled && typing.unheard.is_empty());
    }

    /// An editor that tells a fixed number of characters tells of one more in front of them when one at their end goes.
    #[test]
    fn an_editor_whose_window_moves_back_agrees() {
        const TOLD: usize = 64;
        let mut before =
            "Some words that stand in front of all that the editor tells of. And then she said hello there".to_owned();
        let told = |before: &str| before[before.len() - TOLD..].to_owned();
        let mut typing = Typing::new(Field::Text, &told(&before), "");
        for _ in 0..3 {
            let edit = typing.backspace();
            before.truncate(before.len() - edit.delete.len());
            typing.reported(&told(&before), "", false);
        }
        let edit = typing.accept(typing.generation(), "there").expect("the text is known");
        assert_eq!((&*edit.delete, &*edit.insert), ("th", "there "));
    }

    #[test]
    fn an_editor_that_shows_less_of_the_text_agrees() {
        let mut typing = text_field();
        typed(&mut typing, "Hi there. How ar");
        let shown = typing.generation();
        typing.reported("How ar", "", false);
        assert_eq!((typing.generation(), typing.text.before.as_str()), (shown, "Hi there. How ar"));
        typing.reported("ar", "", false);
        assert_eq!(typing.generation(), shown);
        typing.reported("r", "", false);
        assert_eq!(typing.text.before, "r", "the middle of a word is no place to begin");
        typing.reported("More: r", "", false);
        assert_eq!(typing.text.before, "More: r", "it knows more");
    }

    #[test]
    fn megabytes_are_cut_and_text_is_any_text() {
        let long = "ä🙂 ".repeat(200_000);
        let mut typing = Typing::new(Field::Text, &long, &[" ", &long].concat());
        assert!(typing.text.before.len() <= KEPT && typing.text.after.len() <= KEPT);
        typed(&mut typing, "مرحبا");
        assert_eq!(typing.question().unwrap().typed, "مرحبا");
        let mut typing = text_field();
        typed(&mut typing, "👨‍👩‍👧");
        assert_eq!(typing.backspace().delete, "👨‍👩‍👧");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Key(&'static str),
        Corrected(&'static str),
        Backspace,
        Accept(&'static str),
        Report,
        Leave,
    }

    fn step() -> impl Strategy<Value = Step> {
        let letters = prop::sample::select(vec!["a", "b", "é", "🙂", "'"]);
        let ends = prop::sample::select(vec![" ", ".", ", ", "\n", "!"]);
        let words = prop::sample::select(vec!["alpha", "beta", "don't"]);
        prop_oneof![
            8 => letters.prop_map(Step::Key),
            3 => ends.clone().prop_map(Step::Key),
            2 => ends.prop_map(Step::Corrected),
            3 => Just(Step::Backspace),
            2 => words.prop_map(Step::Accept),
            6 => Just(Step::Report),
            1 => Just(Step::Leave),
        ]
    }

    proptest! {
        /// The editor asserts that what is to be removed is what stands there.
        #[test]
        fn a_late_editor_ends_with_the_text_that_the_keys_have_made(
            late in 0usize..6,
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let (mut typing, mut editor) = (text_field(), Editor::new(late));
            for step in steps {
                match step {
                    Step::Key(key) => editor.apply(&typing.key(key, None)),
                    Step::Corrected(end) => {
                        if !typing.word().is_empty() {
                            answer(&mut typing, "corrected");
                        }
                        editor.apply(&typing.key(end, None));
                    }
                    Step::Backspace => editor.apply(&typing.backspace()),
                    Step::Accept(word) => {
                        typing.reported(editor.told(), &editor.after, false);
                        editor.apply(&typing.accept(typing.generation(), word).unwrap());
                    }
                    Step::Report => typing.reported(editor.told(), &editor.after, false),
                    Step::Leave => {
                        editor = Editor::new(late);
                        typing = text_field();
                    }
                }
                prop_assert_eq!(&typing.text.before, &editor.before);
            }
        }

        /// Whatever an editor says, every key arrives, and nothing is removed but a word that is corrected, and a space that becomes
        /// a full stop.
        #[test]
        fn an_editor_that_lies_loses_nothing(
            steps in prop::collection::vec((prop::sample::select(vec!["a", "b", " ", "."]), "[ab .]{0,4}"), 1..40),
        ) {
            let mut typing = text_field();
            for (key, lie) in &steps {
                if !typing.word().is_empty() {
                    answer(&mut typing, "corrected");
                }
                let (sure, word) = (typing.may_replace(), typing.word().to_owned());
                let spaced = *key == " " && typing.text.before.ends_with(' ');
                let edit = typing.key(key, None);
                let taken_back = edit.delete.starts_with("corrected");
                let ended = spaced && edit == Edit::new(" ", ". ");
                let may = edit.delete.is_empty() || sure && (edit.delete == word || taken_back || ended);
                prop_assert!(may, "{:?}", edit);
                prop_assert!(edit.insert.ends_with(key), "{:?}", edit);
                typing.reported(lie, "", false);
            }
        }
    }
}
