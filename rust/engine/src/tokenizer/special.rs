//! The tokens that are whole pieces of text and are found before any encoding: user-defined and control tokens.

use crate::{TokenId, Vocabulary};

/// A part of a text: a token that was found, or what lies between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fragment<'t> {
    Text(&'t str),
    Token(TokenId),
}

/// A set of tokens to look for, the longest first.
#[derive(Clone, Debug)]
pub(super) struct SpecialTokens(Vec<TokenId>);

impl SpecialTokens {
    /// Of `tokens`, those that are text at all.
    pub(super) fn new(vocabulary: &Vocabulary, tokens: impl Iterator<Item = TokenId>) -> Self {
        let is_text = |&t: &TokenId| std::str::from_utf8(vocabulary.bytes(t)).is_ok_and(|text| !text.is_empty());
        let mut tokens: Vec<TokenId> = tokens.filter(is_text).collect();
        tokens.sort_by_key(|&t| std::cmp::Reverse(vocabulary.bytes(t).len()));
        Self(tokens)
    }

    /// Cuts `text` at every occurrence of the tokens.
    ///
    /// Where occurrences overlap, the longest token anywhere in the text wins, not the first one: that is the order of
    /// llama.cpp (`llama_vocab::impl::tokenizer_st_partition`).
    pub(super) fn split<'t>(&self, vocabulary: &Vocabulary, text: &'t str) -> Vec<Fragment<'t>> {
        let mut fragments = if text.is_empty() { Vec::new() } else { vec![Fragment::Text(text)] };
        let mut occurs = [false; 256];
        text.bytes().for_each(|byte| occurs[usize::from(byte)] = true);
        for &token in &self.0 {
            let needle = vocabulary.bytes(token);
            // Models have thousands of these tokens, and a text the letters of few.
            if !needle.iter().all(|&byte| occurs[usize::from(byte)]) {
                continue;
            }
            let needle = std::str::from_utf8(needle).expect("special tokens are text");
            if !text.contains(needle) {
                continue;
            }
            let mut cut = Vec::with_capacity(fragments.len());
            for fragment in fragments {
                let Fragment::Text(text) = fragment else {
                    cut.push(fragment);
                    continue;
                };
                for (i, part) in text.split(needle).enumerate() {
                    if i > 0 {
                        cut.push(Fragment::Token(token));
                    }
                    if !part.is_empty() {
                        cut.push(Fragment::Text(part));
                    }
                }
            }
            fragments = cut;
        }
        fragments
    }

    /// `text` with `mark` inside everything that looks like one of the tokens, so that none is found in it any more.
    /// The tokens must have two characters or more, and `mark` must be in none of them.
    pub(super) fn mark(&self, vocabulary: &Vocabulary, text: &str, mark: char) -> String {
        let mut text = text.to_owned();
        loop {
            let fragments = self.split(vocabulary, &text);
            if !fragments.iter().any(|fragment| matches!(fragment, Fragment::Token(_))) {
                return text;
            }
            // A mark in the longest of overlapping look-alikes may leave the others, hence the loop.
            let mut marked = String::with_capacity(text.len() + 4 * fragments.len());
            for fragment in fragments {
                match fragment {
                    Fragment::Text(part) => marked.push_str(part),
                    Fragment::Token(token) => {
                        let mut chars = std::str::from_utf8(vocabulary.bytes(token)).unwrap_or_default().chars();
                        marked.extend(chars.next());
                        marked.push(mark);
                        marked.push_str(chars.as_str());
                    }
                }
            }
            text = marked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokenKind;

    fn vocabulary() -> Vocabulary {
        let tokens = ["<a>", "<a><b>", "\n", "\n\n", "<b>c"];
        Vocabulary::new(tokens.map(|t| (t.as_bytes().to_vec(), TokenKind::Control))).unwrap()
    }

    #[test]
    fn the_longest_token_wins_wherever_it_stands() {
        let v = vocabulary();
        let tokens = SpecialTokens::new(&v, 0..5);
        let split = |text| tokens.split(&v, text);
        use Fragment::{Text, Token};
        assert_eq!(split(""), []);
        assert_eq!(split("x<a>y"), [Text("x"), Token(0), Text("y")]);
        assert_eq!(split("\n\n\n"), [Token(3), Token(2)]);
        assert_eq!(split("<a><b>c"), [Token(1), Text("c")]);
        assert_eq!(split("é<b>c<a"), [Text("é"), Token(4), Text("<a")]);
    }

    #[test]
    fn marked_text_holds_none_of_the_tokens() {
        let v = vocabulary();
        let tokens = SpecialTokens::new(&v, [0, 1, 4].into_iter());
        let marked = tokens.mark(&v, "é<a><b>c<", '|');
        assert_eq!(marked, "é<|a><|b>c<");
        assert_eq!(tokens.split(&v, &marked), [Fragment::Text(&marked)]);
    }
}
