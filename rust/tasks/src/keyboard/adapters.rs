//! What models have learned of how messages are written: adapters that ship with the keyboard.
//!
//! A small model has read articles and textbooks far more than messages. With an adapter of its head, some forty kilobytes fitted to
//! some thousand text messages and chats by `nibble adapt`, the next word of a message that it has never seen is more often
//! among the first three (README.md has figures; `nibble eval keyboard --adapter none` shows the difference).

use std::sync::{Arc, OnceLock};

use nibble_engine::{Adapter, Error, LanguageModel, Result};

/// An adapter for one model and one language.
#[derive(Debug)]
pub struct Fitted {
    /// The name of the model in its file, whatever the format of its weights.
    model: &'static str,
    file: &'static [u8],
    opened: OnceLock<Arc<Adapter>>,
}

impl Fitted {
    const fn new(model: &'static str, file: &'static [u8]) -> Self {
        Self { model, file, opened: OnceLock::new() }
    }

    fn open(&self) -> &Arc<Adapter> {
        self.opened.get_or_init(|| Arc::new(Adapter::from_bytes(self.file).expect("a test reads it")))
    }
}

static ENGLISH: [Fitted; 1] =
    [Fitted::new("Smollm2 135M 8k Lc100K Mix1 Ep2", include_bytes!("adapters/smollm2-135m-instruct.en.adapter"))];

/// Those for a language (ISO 639-1); none for one that has none yet.
pub(super) fn adapters(language: &str) -> &'static [Fitted] {
    if language == "en" { &ENGLISH } else { &[] }
}

/// What a keyboard adapts its model by.
#[derive(Clone, Debug, Default)]
pub enum Adaptation {
    /// What ships for the model and the language that is written, if anything does.
    #[default]
    Fitted,
    /// Nothing.
    None,
    /// This, whatever language is written.
    Given(Arc<Adapter>),
}

impl Adaptation {
    /// Has it move what `model` thinks, where a language is written that has the adapters `fitted`.
    ///
    /// # Errors
    /// [`Error::UnfitAdapter`] where the given one is for another model.
    pub(super) fn apply(&self, model: &mut dyn LanguageModel, fitted: &'static [Fitted]) -> Result<()> {
        match self {
            Self::None => model.adapt(None),
            Self::Given(adapter) => model.adapt(Some(adapter)),
            Self::Fitted => {
                let adapter = fitted.iter().find(|fitted| Some(fitted.model) == model.name()).map(Fitted::open);
                match model.adapt(adapter) {
                    // A model may have been made of another, and have kept its name.
                    Err(Error::UnfitAdapter { .. }) => model.adapt(None),
                    outcome => outcome,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fake;

    #[test]
    fn every_adapter_can_be_opened_and_fits_its_model() {
        let widths = ENGLISH.iter().map(|fitted| fitted.open().embedding());
        assert_eq!(widths.collect::<Vec<_>>(), [576]);
    }

    #[test]
    fn a_model_that_has_only_the_name_is_left_as_it_is() {
        static NAMESAKE: [Fitted; 1] =
            [Fitted::new("Fake", include_bytes!("adapters/smollm2-135m-instruct.en.adapter"))];
        let mut fake = Fake::new(1);
        Adaptation::Fitted.apply(&mut fake, &NAMESAKE).unwrap();
        let given = Adaptation::Given(NAMESAKE[0].open().clone());
        assert!(matches!(given.apply(&mut fake, &[]), Err(Error::UnfitAdapter { .. })));
    }
}
