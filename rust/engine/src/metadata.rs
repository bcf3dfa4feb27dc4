//! The metadata of a model file: GGUF's key-value pairs without the long arrays.
//!
//! A packed file stores them as they came, so that there is one place that interprets them ([`crate::arch`] and
//! [`crate::tokenizer_source`]) and it can be mended without packing again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Fault;

/// GGUF metadata by key, as JSON values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    pub(crate) fn insert(&mut self, key: String, value: Value) {
        self.0.insert(key, value);
    }

    /// A string, if the key is there and is one.
    pub(crate) fn string(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.as_str()
    }

    /// A truth value, if the key is there and is one.
    pub(crate) fn bool(&self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// A count: absent is `None`, anything but a whole number that fits 32 bits is an error.
    pub(crate) fn count(&self, key: &str) -> Result<Option<usize>, Fault> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        match value.as_u64().map(u32::try_from) {
            Some(Ok(count)) => Ok(Some(count as usize)),
            _ => Err(Fault::damaged(format!("{key} is {}, not a count", Short(value)))),
        }
    }

    /// A finite number: absent is `None`, anything else is an error.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f32>, Fault> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        match value.as_f64() {
            Some(number) => Ok(Some(number as f32)),
            None => Err(Fault::damaged(format!("{key} is {}, not a number", Short(value)))),
        }
    }
}

/// A value in an error message: its kind, or itself when it is short by nature.
struct Short<'a>(&'a Value);

impl std::fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Value::String(_) => f.write_str("a string"),
            Value::Array(_) | Value::Object(_) => f.write_str("an array"),
            Value::Null => f.write_str("not finite"),
            value => write!(f, "{value}"),
        }
    }
}
