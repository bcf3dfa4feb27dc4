//! The schemas that were used last, compiled: the next text that is to meet one of them need not wait for that.

use std::sync::Mutex;

use nibble_engine::Schema;

use crate::error::Result;
use crate::lock;

/// How many are kept; an app asks for few things.
const KEPT: usize = 4;

/// The newest first.
#[derive(Default)]
pub(crate) struct Schemas(Mutex<Vec<Schema>>);

impl Schemas {
    /// The schema of this text.
    pub fn get(&self, text: &str) -> Result<Schema> {
        let known = lock(&self.0).iter().find(|schema| schema.text() == text).cloned();
        // Not under the lock: a large one takes long.
        let schema = known.map_or_else(|| Schema::new(text), Ok)?;
        let mut schemas = lock(&self.0);
        schemas.retain(|other| *other != schema);
        schemas.insert(0, schema.clone());
        schemas.truncate(KEPT);
        Ok(schema)
    }

    /// Gives their memory back.
    pub fn clear(&self) {
        lock(&self.0).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NibbleError;

    #[test]
    fn the_last_schemas_are_kept() {
        let schemas = Schemas::default();
        let text = |i: usize| format!(r#"{{"type": "integer", "maximum": {i}}}"#);
        let kept = || lock(&schemas.0).iter().map(|schema| schema.text().to_owned()).collect::<Vec<_>>();
        for i in [0, 1, 2, 3, 1, 4] {
            assert_eq!(schemas.get(&text(i)).unwrap().text(), text(i));
        }
        assert!(matches!(schemas.get("{"), Err(NibbleError::SchemaUnfit { .. })));
        assert_eq!(kept(), [4, 1, 3, 2].map(text));
        schemas.clear();
        assert!(kept().is_empty());
    }
}
