//! What a word is, and where the text before the cursor is cut.
//!
//! A word is a run of letters, digits and marks, with apostrophes and hyphens inside it. The cut is at
//! the last whitespace, never at the last token: the model is asked before the whitespace, so that every
//! way of spelling what follows is still open.

use std::ops::RangeInclusive;

use unicode_categories::UnicodeCategories;

/// Apostrophes and hyphens: inside a word they belong to it.
pub(super) fn is_joiner(c: char) -> bool {
    matches!(c, '\'' | '’' | '-' | '‐')
}

/// A character as word lists have it: in lower case, and every apostrophe the straight one.
pub(super) fn folded(c: char) -> char {
    match c {
        '’' => '\'',
        '‐' => '-',
        c => small(c),
    }
}

/// A word as word lists have it.
pub(super) fn folded_word(word: &str) -> String {
    word.chars().map(folded).collect()
}

/// In lower case, as one character.
pub(super) fn small(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

/// Whether `text` has one: what has none may be shouted.
pub(super) fn has_small_letter(text: &str) -> bool {
    text.contains(char::is_lowercase)
}

/// Letters, digits, marks, and the joiners of scripts that need them (ZWNJ in Persian, ZWJ in Indic scripts).
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric();
    }
    (c.is_alphanumeric() && !c.is_symbol_other()) || c.is_mark() || matches!(c, '\u{200C}' | '\u{200D}')
}

/// Text before the cursor, cut before the last run of whitespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut<'a> {
    /// What the model reads; does not end in whitespace.
    pub context: &'a str,
    /// The whitespace after it; empty at the start of a text, at most [`MAX_GAP`] bytes.
    pub gap: &'a str,
    /// What was typed since.
    pub typed: &'a str,
    /// Where in `typed` the word at the cursor begins: after the last character that no word holds.
    pub word: usize,
}

/// More whitespace than this says nothing more: only its last bytes are kept.
const MAX_GAP: usize = 8;

/// Cuts `text`, which ends at the cursor.
pub(super) fn cut(text: &str) -> Cut<'_> {
    let typed = &text[text.trim_end_matches(|c: char| !c.is_whitespace()).len()..];
    let head = &text[..text.len() - typed.len()];
    let context = head.trim_end();
    let gap = if context.is_empty() { "" } else { suffix(&head[context.len()..], MAX_GAP) };
    Cut { context, gap, typed, word: word_start(typed) }
}

/// Where the word that `typed` ends with begins; its length when it ends with none.
fn word_start(typed: &str) -> usize {
    let before = typed.trim_end_matches(|c| is_word(c) || is_joiner(c));
    let word = typed[before.len()..].trim_start_matches(is_joiner);
    typed.len() - word.len()
}

/// Whether a sentence ends with `text`, which does not end in whitespace.
pub(super) fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '\'', '’', ')', '»']).ends_with(['.', '!', '?', '…', '。', '؟', '।'])
}

/// The longest end of `text` of at most `bytes` bytes that begins at a character.
pub(super) fn suffix(text: &str, bytes: usize) -> &str {
    let mut start = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// What a run of bytes is to a word that ends or goes on where the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Goes on with the word to the end of the run; the last character may still lack bytes.
    Word,
    /// Begins with something that no word holds, so the word ended before it.
    Break,
    /// Goes on with the word, then ends it; or bytes that no text holds.
    Other,
}

/// Tells what `bytes`, which begin at a character, are to a word.
pub(super) fn shape(bytes: &[u8]) -> Shape {
    let (text, rest) = split_valid(bytes);
    // A joiner counts with what follows it: inside a word, or the closing quote and dash after one.
    let mut chars = text.chars().skip_while(|&c| is_joiner(c));
    let broken = |first: bool| if first { Shape::Break } else { Shape::Other };
    match chars.next() {
        Some(c) if !is_word(c) => return broken(true),
        Some(_) => {}
        None if rest.is_empty() => return Shape::Word,
        None => return if begins_word(rest) { Shape::Word } else { broken(begins_char(rest)) },
    }
    if chars.any(|c| !is_word(c) && !is_joiner(c)) {
        return Shape::Other;
    }
    if rest.is_empty() || begins_word(rest) { Shape::Word } else { Shape::Other }
}

/// Splits `bytes` into the text they begin with and what is left: a part of a character, or no text at all.
pub(super) fn split_valid(bytes: &[u8]) -> (&str, &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, &[]),
        Err(error) => {
            let (text, rest) = bytes.split_at(error.valid_up_to());
            (std::str::from_utf8(text).unwrap_or_default(), rest)
        }
    }
}

/// Whether `part` is the beginning of a character that is not complete yet.
pub(super) fn begins_char(part: &[u8]) -> bool {
    matches!(std::str::from_utf8(part), Err(error) if error.valid_up_to() == 0 && error.error_len().is_none())
}

/// Whether `part`, the beginning of a character, can still become one that a word holds.
fn begins_word(part: &[u8]) -> bool {
    if !begins_char(part) {
        return false;
    }
    completions(part).any(|c| is_word(c) || is_joiner(c))
}

/// The characters that begin with the bytes `part`, which [begin one](begins_char), as far as any are assigned.
fn completions(part: &[u8]) -> impl Iterator<Item = char> {
    /// The planes in between have no characters, and those after them private ones.
    const ASSIGNED: [RangeInclusive<u32>; 2] = [0..=0x3_FFFF, 0xE_0000..=0xE_0FFF];
    // How many bytes the first one announces, and the bits of the number that it holds itself.
    let (len, bits) = match part[0] {
        0xC0..=0xDF => (2, 0x1F),
        0xE0..=0xEF => (3, 0x0F),
        _ => (4, 0x07),
    };
    let known = part[1..].iter().fold(u32::from(part[0] & bits), |number, byte| number << 6 | u32::from(byte & 0x3F));
    let open = 6 * (len - part.len());
    let (first, last) = (known << open, ((known + 1) << open) - 1);
    // What fewer bytes can say is never said with more.
    let first = first.max([0x80, 0x800, 0x1_0000][len - 2]);
    ASSIGNED
        .into_iter()
        .flat_map(move |range| first.max(*range.start())..=last.min(*range.end()))
        .filter_map(char::from_u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_a_character_knows_whether_words_hold_what_it_begins() {
        let mut expected = std::collections::HashSet::new();
        let mut beginnings = std::collections::HashSet::new();
        for c in (0x80..=0x10_FFFF).filter_map(char::from_u32) {
            let bytes = c.to_string().into_bytes();
            for len in 1..bytes.len() {
                let part = bytes[..len].to_vec();
                if is_word(c) || is_joiner(c) {
                    expected.insert(part.clone());
                }
                beginnings.insert(part);
            }
        }
        for part in beginnings {
            assert_eq!(begins_word(&part), expected.contains(&part), "{part:x?}");
        }
        assert!(!begins_word(b"\xff") && !begins_word(b"\x80") && !begins_word(b"a"));
    }

    #[test]
    fn text_is_cut_at_the_last_whitespace() {
        let parts = |text| {
            let cut = cut(text);
            (cut.context, cut.gap, cut.typed, cut.word)
        };
        assert_eq!(parts("I want to g"), ("I want to", " ", "g", 0));
        assert_eq!(parts("I want to "), ("I want to", " ", "", 0));
        assert_eq!(parts("Hi.\n"), ("Hi.", "\n", "", 0));
        assert_eq!(parts("Hi \t\n Bo"), ("Hi", " \t\n ", "Bo", 0));
        assert_eq!(parts(""), ("", "", "", 0));
        assert_eq!(parts("  \n "), ("", "", "", 0));
        assert_eq!(parts(" Bo"), ("", "", "Bo", 0));
        assert_eq!(parts("say (hel"), ("say", " ", "(hel", 1));
        assert_eq!(parts("it's don't"), ("it's", " ", "don't", 0));
        assert_eq!(parts("say 'hel"), ("say", " ", "'hel", 1));
        assert_eq!(parts("so well-kn"), ("so", " ", "well-kn", 0));
        assert_eq!(parts("done."), ("", "", "done.", 5));
        assert_eq!(parts("你好 世界"), ("你好", " ", "世界", 0));
        assert_eq!(parts("a            b").1.len(), MAX_GAP);
        assert_eq!(parts("a\u{a0}\u{3000}b"), ("a", "\u{a0}\u{3000}", "b", 0));
    }

    #[test]
    fn bytes_have_the_right_shape() {
        for word in ["the", "'s", "-known", "it's", "2nd", "é", "नमस्ते", "ไม่", "'", "-", "", "ab\u{0301}", "我"]
        {
            assert_eq!(shape(word.as_bytes()), Shape::Word, "{word:?}");
        }
        for end in [" the", "\n", ".", ",", "',", "-->", "”", "😂", "…", "\0", "!?"] {
            assert_eq!(shape(end.as_bytes()), Shape::Break, "{end:?}");
        }
        for other in ["a.", "a b", "x😂", "a(b"] {
            assert_eq!(shape(other.as_bytes()), Shape::Other, "{other:?}");
        }
        assert_eq!(shape(&[0xC3]), Shape::Word, "the lead byte of é");
        assert_eq!(shape(&[0xF0, 0x9F, 0x98]), Shape::Break, "the beginning of an emoji");
        assert_eq!(shape(&[0xA9]), Shape::Other, "a continuation byte begins no character");
        assert_eq!(shape(&[b'a', 0xFF]), Shape::Other, "no text");
    }
}
