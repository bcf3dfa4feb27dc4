//! Which words of a word list are offensive: what begins with an entry of a published list, save for what we know to be innocent.
//!
//! * The published list has slurs and obscenities, and beside them names of parts of the body, of crimes and of tastes, and words
//!   that have another sense that everybody uses. A keyboard that never has "cock", "breast" or "knob" is of no more use than one
//!   that offers slurs, so the registry names the entries that are `spared`, and the few words that are `added`.
//! * An entry stands for every word that begins with it: the published list has few plurals and participles. The longest entry
//!   that a word begins with decides, so that a word may be spared that only begins like an offensive one ("pussycat").
//!   An entry of up to three letters stands for itself alone: too much begins with it.
//! * Entries of several words are left out. A keyboard offers one word at a time.

use std::collections::{HashMap, HashSet};

use crate::lexicon::{is_spelled, spelled_out};

/// Letters of the shortest entry that other words may begin with.
const SHORTEST: usize = 4;

/// The words of a published list: one a line, after lines of remarks that begin with "#".
pub fn parse(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| format!("it is no text in UTF-8 ({e})"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && is_spelled(line));
    let words: Vec<String> = lines.map(str::to_lowercase).collect();
    if words.is_empty() {
        return Err("it has no words, one a line".to_owned());
    }
    Ok(words)
}

/// The entries, without those that are spared and with those that are added, and all of `words` that one of them stands for.
pub fn choose<'a>(
    entries: Vec<String>,
    spared: &[String],
    added: &[String],
    words: impl Iterator<Item = &'a str>,
) -> HashSet<String> {
    let spared: HashSet<String> = spared.iter().map(|word| spelled_out(word)).collect();
    let mut offensive: HashSet<String> = entries.into_iter().chain(added.iter().cloned()).collect();
    offensive.retain(|entry| !spared.contains(&spelled_out(entry)));
    let verdicts: HashMap<String, bool> = offensive
        .iter()
        .map(|entry| (spelled_out(entry), true))
        .chain(spared.into_iter().map(|entry| (entry, false)))
        .collect();
    let stands_for = |word: &&str| {
        let word = spelled_out(word);
        let beginnings = word.char_indices().skip(SHORTEST).map(|(end, _)| &word[..end]);
        let longest = beginnings.chain([&*word]).filter_map(|beginning| verdicts.get(beginning)).last();
        longest.copied().unwrap_or(false)
    };
    offensive.extend(words.filter(stands_for).map(str::to_owned));
    offensive
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_list_is_its_single_words() {
        let text = "# A list\n# licence: CC0\npest\nRot\n\na pest of a man\n2g1c\n🖕\nchien-loup\n";
        assert_eq!(parse(text.as_bytes()).unwrap(), ["pest", "rot", "chien-loup"]);
        assert!(parse(b"# A list\n\n").unwrap_err().contains("no words"));
        assert!(parse(b"pest\xff").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn the_longest_entry_decides() {
        let words = ["pest", "pests", "pesto", "pestos", "tempest", "pes", "rot", "rots", "kind", "kinder", "straße"];
        let chosen = |entries: &[&str], spared: &[&str], added: &[&str]| {
            let mut chosen: Vec<String> =
                choose(strings(entries), &strings(spared), &strings(added), words.into_iter()).into_iter().collect();
            chosen.sort();
            chosen
        };
        assert_eq!(chosen(&["pest", "rot"], &[], &[]), ["pest", "pesto", "pestos", "pests", "rot"]);
        assert_eq!(chosen(&["pest", "rot"], &["pesto", "rot"], &[]), ["pest", "pests"]);
        assert_eq!(chosen(&["pest"], &["pest"], &["pests", "blight"]), ["blight", "pests"]);
        assert_eq!(chosen(&["strass"], &[], &[]), ["strass", "straße"], "however it is spelled");
    }
}
