//! What kind of text a field takes, and so what a keyboard may do in it.

use serde::{Deserialize, Serialize};

/// What a text field is for, as the system tells the keyboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// Text of any kind.
    #[default]
    Text,
    /// Text of which nothing is to be kept: a private tab, or a field that asks for it.
    NoLearning,
    /// What is searched for.
    Search,
    /// An e-mail address.
    Email,
    /// The address of a page.
    Url,
    /// A password, shown or not.
    Password,
    /// A number, of a phone too, or a date.
    Number,
    /// A one-time code.
    Code,
}

impl Field {
    /// Whether words are predicted. Where they are not, the model does not see the text either: a secret is in no cache.
    pub fn predicts(self) -> bool {
        !matches!(self, Self::Password | Self::Number | Self::Code)
    }

    /// Whether typing errors are mended. An address is no sentence: "gogle.example" may be right.
    pub fn corrects(self) -> bool {
        matches!(self, Self::Text | Self::NoLearning | Self::Search)
    }

    /// Whether what is written may be learned from. Addresses are other people's, and no words.
    pub fn learns(self) -> bool {
        matches!(self, Self::Text | Self::Search)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Field; 8] = [
        Field::Text,
        Field::NoLearning,
        Field::Search,
        Field::Email,
        Field::Url,
        Field::Password,
        Field::Number,
        Field::Code,
    ];

    #[test]
    fn a_field_that_is_less_open_allows_less() {
        let allowed = ALL.map(|field| (field.predicts(), field.corrects(), field.learns()));
        let text = (true, true, true);
        let address = (true, false, false);
        let secret = (false, false, false);
        assert_eq!(allowed, [text, (true, true, false), text, address, address, secret, secret, secret]);
        assert_eq!(Field::default(), Field::Text);
    }

    #[test]
    fn the_names_in_json_are_those_of_the_docs() {
        let names = ALL.map(|field| serde_json::to_value(field).unwrap());
        assert_eq!(names, ["text", "no-learning", "search", "email", "url", "password", "number", "code"]);
        assert_eq!(serde_json::from_str::<Field>("\"no-learning\"").unwrap(), Field::NoLearning);
        assert!(serde_json::from_str::<Field>("\"Password\"").is_err());
    }
}
