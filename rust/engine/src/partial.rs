//! An unfinished JSON text, closed, so that what there is of it can be decoded while the rest is still being written.

use serde::de::IgnoredAny;

/// `text`, the beginning of a JSON text, as a whole one: strings, arrays and objects are closed, and what is not certain yet is
/// left out, which is a number at the end, half a word, half an escape and a name without its value. `None` while nothing is
/// certain, and for what is no beginning of a JSON text.
///
/// What is certain stays: of two beginnings of one text, the longer gives all items and properties of the shorter.
pub fn close_json(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    // What closes the arrays and objects that are open.
    let mut open = Vec::new();
    let mut name_is_next = false;
    // How much is certain, and whether a string is to be closed there.
    let mut certain = None;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        match byte {
            b'"' => {
                let (end, is_whole) = string(bytes, at);
                at = if is_whole { end } else { bytes.len() };
                if !name_is_next {
                    certain = Some((end, !is_whole));
                }
            }
            b'{' | b'[' => {
                open.push(if byte == b'{' { '}' } else { ']' });
                name_is_next = byte == b'{';
                certain = Some((at, false));
            }
            b'}' | b']' => {
                open.pop()?;
                name_is_next = false;
                certain = Some((at, false));
            }
            b':' => name_is_next = false,
            b',' => name_is_next = open.last() == Some(&'}'),
            b' ' | b'\n' | b'\r' | b'\t' => {}
            _ => {
                at += bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b)).count();
                if at < bytes.len() || ["true", "false", "null"].contains(&text.get(start..at)?) {
                    certain = Some((at, false));
                }
            }
        }
    }
    let (end, in_string) = certain?;
    let mut closed = text.get(..end)?.to_owned();
    closed.extend(in_string.then_some('"'));
    closed.extend(open.into_iter().rev());
    serde_json::from_str::<IgnoredAny>(&closed).is_ok().then_some(closed)
}

/// Where the string whose first letter is at `at` ends, behind its quotation mark; or how much of it is whole.
fn string(bytes: &[u8], mut at: usize) -> (usize, bool) {
    loop {
        let escape = |at: usize| bytes.get(at..at + 2).is_some_and(|two| two == b"\\u");
        let length = match bytes.get(at) {
            None => return (at, false),
            Some(b'"') => return (at + 1, true),
            // Half of a pair is no letter.
            Some(b'\\') if escape(at) && is_high_surrogate(bytes.get(at + 2..at + 6)) => 12,
            Some(b'\\') if escape(at) => 6,
            Some(b'\\') => 2,
            Some(_) => 1,
        };
        if at + length > bytes.len() {
            return (at, false);
        }
        at += length;
    }
}

fn is_high_surrogate(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|d| d[0].eq_ignore_ascii_case(&b'd') && b"89abAB".contains(&d[1]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_certain_is_closed_and_the_rest_left_out() {
        for (text, closed) in [
            ("", None),
            (" ", None),
            ("4", None),
            ("tru", None),
            ("true", Some("true")),
            ("\"", Some("\"\"")),
            ("\"a\\", Some("\"a\"")),
            ("\"a\\u00e", Some("\"a\"")),
            ("\"\\ud83d\\ude4", Some("\"\"")),
            ("\"\\ud83d\\ude42", Some("\"\\ud83d\\ude42\"")),
            ("\"é🙂", Some("\"é🙂\"")),
            ("{", Some("{}")),
            ("{\"a", Some("{}")),
            ("{\"a\":", Some("{}")),
            ("{\"a\": 12", Some("{}")),
            ("{\"a\": 12,", Some("{\"a\": 12}")),
            ("{\"a\": [1, {\"b\": \"x", Some("{\"a\": [1, {\"b\": \"x\"}]}")),
            ("{\"a\": nul", Some("{}")),
            ("[1, -2.5e", Some("[1]")),
            ("[\"]\", [", Some("[\"]\", []]")),
            ("]", None),
            ("[}", None),
            ("{1: 2", None),
            ("no JSON", None),
            ("é", None),
        ] {
            assert_eq!(close_json(text).as_deref(), closed, "{text}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let text = "[a-c\"\\\\\n é🙂{},:]{0,5}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            text.prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Whether `later` has all that `earlier` has.
    fn goes_on(earlier: &Value, later: &Value) -> bool {
        match (earlier, later) {
            (Value::String(a), Value::String(b)) => b.starts_with(a),
            (Value::Array(a), Value::Array(b)) => a.len() <= b.len() && a.iter().zip(b).all(|(a, b)| goes_on(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                a.iter().all(|(name, a)| b.get(name).is_some_and(|b| goes_on(a, b)))
            }
            (a, b) => a == b,
        }
    }

    proptest! {
        #[test]
        fn every_beginning_of_a_text_becomes_a_part_of_what_follows(value in values(), pretty in any::<bool>()) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let mut before = None;
            for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
                let Some(closed) = close_json(&text[..end]) else {
                    prop_assert!(before.is_none(), "{} is nothing any more", &text[..end]);
                    continue;
                };
                let now: Value = serde_json::from_str(&closed).unwrap();
                prop_assert!(before.is_none_or(|before| goes_on(&before, &now)) && goes_on(&now, &value), "{}", closed);
                before = Some(now);
            }
            prop_assert!(before == Some(value.clone()) || value.is_number());
        }

        #[test]
        fn any_text_gives_json_or_nothing(text in "[\\[\\]{}:,\"\\\\ud8e a1é-]{0,12}") {
            if let Some(closed) = close_json(&text) {
                prop_assert!(serde_json::from_str::<IgnoredAny>(&closed).is_ok());
            }
        }
    }
}
