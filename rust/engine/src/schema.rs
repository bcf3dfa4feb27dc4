//! A JSON schema, checked and compiled: what a generation is to write.
//!
//! The grammar is that of llguidance (Moskal, Musuvathi and Kıcıman; <https://github.com/guidance-ai/llguidance>), which reads
//! JSON Schema 2020-12. What is checked here is what it would ignore, approximate or answer with words of the schema.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Arc, LazyLock};
use std::thread;

use llguidance::api::{GrammarInit, ParserLimits, TopLevelGrammar};
use llguidance::derivre::RegexBuilder;
use llguidance::earley::perf::ParserPerfCounters;
use llguidance::earley::{CGrammar, Parser};
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Logger, regex_to_lark};
use serde_json::{Map, Value, json};

use crate::{Error, Result};

/// What a text has to be: JSON that meets a schema.
///
/// It is JSON Schema 2020-12 with `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`, `items`,
/// `prefixItems`, `minItems`, `maxItems`, `minLength`, `maxLength`, `pattern`, `format`, `minimum`, `maximum`,
/// `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf`, `anyOf`, and `$ref` to `#` or to one of `$defs`. Titles, descriptions and
/// the like are passed over; everything else is an error.
///
/// What is written is on one line, with a space behind each comma and colon, and an object's properties in the order of the
/// schema. An object that names its properties has no others, and an array with `prefixItems` no further items, unless the schema
/// says what they are. An `integer` is at most 2^53, and a `time` has thousandths of a
/// second at most.
#[derive(Clone)]
pub struct Schema(Arc<Compiled>);

struct Compiled {
    text: String,
    /// At the start of a text; every generation takes a copy.
    start: Parser,
}

/// What is wrong with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaFault {
    /// It is not JSON.
    NotJson,
    /// It is not as JSON Schema defines it.
    Malformed,
    /// It asks for what is not supported.
    Unsupported,
    /// No value meets it.
    Unsatisfiable,
    /// It takes more work than it may.
    TooComplex,
}

impl Schema {
    /// From the schema's text. What it takes grows with the schema: a millisecond for a small one.
    ///
    /// # Errors
    /// [`Error::UnfitSchema`], which says what is wrong and where, by keywords and names of properties, and never by a value.
    pub fn new(text: &str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            let why = format!("it has {} bytes, and may have {MAX_BYTES}", text.len());
            return Err(Fault { fault: SchemaFault::TooComplex, why }.at(""));
        }
        let schema: Value = serde_json::from_str(text).map_err(|error| {
            let why = format!("it is not JSON, or nested too deeply: line {}, column {}", error.line(), error.column());
            Fault { fault: SchemaFault::NotJson, why }.at("")
        })?;
        let mut check = Check { root: &schema, budget: MAX_SUBSCHEMAS, path: String::new() };
        let plain = check.root().map_err(|fault| fault.at(&check.path))?;
        if !is_finite(&schema) {
            let why = "every value would hold another one without end".to_owned();
            return Err(Fault { fault: SchemaFault::Unsatisfiable, why }.at(""));
        }
        let start = compile(plain).map_err(|fault| fault.at(""))?;
        Ok(Self(Arc::new(Compiled { text: text.to_owned(), start })))
    }

    /// The schema's text.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// A parser at the start of a text, which shares nothing with others.
    pub(crate) fn parser(&self) -> Parser {
        self.0.start.deep_clone()
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Schema").field(&self.text()).finish()
    }
}

/// Bytes of a schema.
const MAX_BYTES: usize = 1 << 20;

/// Schemas within a schema, `$defs` included.
const MAX_SUBSCHEMAS: usize = 2000;

/// The most that a length or a count can be.
const MAX_COUNT: u64 = u16::MAX as u64;

/// The largest bound of a number: up to here an `f64` holds every integer.
const MAX_NUMBER: f64 = (1u64 << 53) as f64;

/// Bytes of a pattern.
const MAX_PATTERN: usize = 1024;

/// What compiling may use of the stack: it calls itself for every schema within a schema.
const STACK: usize = 64 << 20;

/// A fault before it is known where it is.
struct Fault {
    fault: SchemaFault,
    why: String,
}

impl Fault {
    fn malformed(keyword: &str, expected: &str) -> Self {
        Self { fault: SchemaFault::Malformed, why: format!("`{keyword}` is not {expected}") }
    }

    fn unsupported(why: impl Into<String>) -> Self {
        Self { fault: SchemaFault::Unsupported, why: why.into() }
    }

    fn unsatisfiable(why: impl Into<String>) -> Self {
        Self { fault: SchemaFault::Unsatisfiable, why: why.into() }
    }

    fn at(self, path: &str) -> Error {
        Error::UnfitSchema { fault: self.fault, why: self.why, at: format!("#{path}") }
    }
}

/// Keywords that say nothing about a value.
const ANNOTATIONS: [&str; 14] = [
    "$schema",
    "$id",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "discriminator",
];

const FORMATS: [&str; 10] =
    ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"];

/// Goes through a schema, and makes the plain one that is compiled.
struct Check<'a> {
    root: &'a Value,
    /// How many more schemas there may be.
    budget: usize,
    /// Where it is: a JSON pointer.
    path: String,
}

impl Check<'_> {
    fn root(&mut self) -> Result<Value, Fault> {
        let mut plain = self.schema(self.root)?;
        for keyword in DEFINITIONS {
            let Some(definitions) = self.root.get(keyword) else { continue };
            let definitions =
                definitions.as_object().ok_or_else(|| Fault::malformed(keyword, "an object of schemas"))?;
            let definitions = self.each_of(keyword, definitions)?;
            if let Value::Object(plain) = &mut plain {
                plain.insert(keyword.to_owned(), definitions);
            }
        }
        Ok(plain)
    }

    /// `f` at a place further in. Where it fails, the path stays.
    fn within<T>(
        &mut self,
        step: impl std::fmt::Display,
        f: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let len = self.path.len();
        let _ = write!(self.path, "/{step}");
        let outcome = f(self)?;
        self.path.truncate(len);
        Ok(outcome)
    }

    fn each_of(&mut self, keyword: &str, schemas: &Map<String, Value>) -> Result<Value, Fault> {
        self.within(keyword, |check| {
            let plain = schemas.iter().map(|(name, schema)| {
                Ok((
                    name.clone(),
                    check.within(name.replace('~', "~0").replace('/', "~1"), |check| check.schema(schema))?,
                ))
            });
            Ok(Value::Object(plain.collect::<Result<_, Fault>>()?))
        })
    }

    fn list_of(&mut self, keyword: &str, value: &Value) -> Result<Value, Fault> {
        let schemas = value.as_array().ok_or_else(|| Fault::malformed(keyword, "a list of schemas"))?;
        self.within(keyword, |check| {
            let plain = schemas.iter().enumerate().map(|(i, schema)| check.within(i, |check| check.schema(schema)));
            Ok(Value::Array(plain.collect::<Result<_, Fault>>()?))
        })
    }

    fn schema(&mut self, schema: &Value) -> Result<Value, Fault> {
        self.budget = self.budget.checked_sub(1).ok_or_else(|| Fault {
            fault: SchemaFault::TooComplex,
            why: format!("it holds more than {MAX_SUBSCHEMAS} schemas"),
        })?;
        let keywords = match schema {
            Value::Bool(true) => return Ok(json!(true)),
            Value::Bool(false) => return Ok(json!(false)),
            Value::Object(keywords) => keywords,
            _ => {
                return Err(Fault {
                    fault: SchemaFault::Malformed,
                    why: "a schema is an object, true or false".to_owned(),
                });
            }
        };
        let mut plain = Map::new();
        for (keyword, value) in keywords.iter().filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str())) {
            plain.insert(keyword.clone(), self.keyword(keyword, value)?);
        }
        for keyword in ["$ref", "anyOf"] {
            if plain.contains_key(keyword) && plain.len() > 1 {
                return Err(Fault::unsupported(format!("`{keyword}` is supported beside annotations only")));
            }
        }
        self.relations(&plain)?;
        // A whole number is one that every language can hold, and no row of digits without end.
        if plain.get("type").is_some_and(|types| {
            types == "integer" || types.as_array().is_some_and(|all| all.contains(&json!("integer")))
        }) {
            for (bound, exclusive, value) in
                [("minimum", "exclusiveMinimum", -MAX_NUMBER), ("maximum", "exclusiveMaximum", MAX_NUMBER)]
            {
                if !plain.contains_key(exclusive) {
                    plain.entry(bound).or_insert(json!(value as i64));
                }
            }
        }
        // Thousandths of a second, where the format has as many digits as one likes.
        for (format, longest) in [("time", "00:00:00.000+00:00"), ("date-time", "0000-00-00T00:00:00.000+00:00")] {
            if plain.get("format").is_some_and(|name| name == format) {
                plain.entry("maxLength").or_insert(json!(longest.len()));
            }
        }
        for (names, others) in [("properties", "additionalProperties"), ("prefixItems", "items")] {
            if plain.contains_key(names) && !plain.contains_key(others) {
                plain.insert(others.to_owned(), json!(false));
            }
        }
        Ok(Value::Object(plain))
    }

    fn keyword(&mut self, keyword: &str, value: &Value) -> Result<Value, Fault> {
        match keyword {
            "type" => {
                let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
                let fits =
                    value.as_array().map_or_else(|| known(value), |list| !list.is_empty() && list.iter().all(known));
                if !fits {
                    return Err(Fault::malformed(keyword, "the name of a type, or a list of such"));
                }
            }
            "enum" => {
                let values = value.as_array().ok_or_else(|| Fault::malformed(keyword, "a list of values"))?;
                if values.is_empty() {
                    return Err(Fault::unsatisfiable("`enum` is empty"));
                }
                values.iter().try_for_each(constant)?;
            }
            "const" => constant(value)?,
            "properties" => {
                let schemas = value.as_object().ok_or_else(|| Fault::malformed(keyword, "an object of schemas"))?;
                return self.each_of(keyword, schemas);
            }
            "required" => {
                if !value.as_array().is_some_and(|names| names.iter().all(Value::is_string)) {
                    return Err(Fault::malformed(keyword, "a list of names"));
                }
            }
            "additionalProperties" => return self.within(keyword, |check| check.schema(value)),
            "items" if value.is_array() => {
                return Err(Fault::unsupported("a list in `items` is not supported; write `prefixItems`"));
            }
            "items" => return self.within(keyword, |check| check.schema(value)),
            "prefixItems" | "anyOf" => return self.list_of(keyword, value),
            "minItems" | "maxItems" | "minLength" | "maxLength" => {
                if value.as_u64().is_none_or(|count| count > MAX_COUNT) {
                    return Err(Fault::malformed(keyword, &format!("a whole number from 0 to {MAX_COUNT}")));
                }
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                if !value.as_f64().is_some_and(|bound| bound.abs() <= MAX_NUMBER) {
                    return Err(Fault::malformed(keyword, "a number of at most 2^53"));
                }
            }
            "multipleOf" => {
                if !value.as_f64().is_some_and(|step| (1e-9..=MAX_NUMBER).contains(&step)) {
                    return Err(Fault::malformed(keyword, "a number from 0.000000001 to 2^53"));
                }
            }
            "pattern" => {
                let pattern = value.as_str().ok_or_else(|| Fault::malformed(keyword, "a string"))?;
                let parses = || RegexBuilder::new().mk_regex_for_serach(&regex_to_lark(pattern, "dw")).is_ok();
                if pattern.len() > MAX_PATTERN || !parses() {
                    return Err(Fault::unsupported(format!(
                        "`pattern` is no regular expression of at most {MAX_PATTERN} bytes, without look-around and back-references"
                    )));
                }
            }
            "format" => {
                let name = value.as_str().ok_or_else(|| Fault::malformed(keyword, "a string"))?;
                if !FORMATS.contains(&name) {
                    return Err(Fault::unsupported(format!("`format` is none of {}", FORMATS.join(", "))));
                }
            }
            "$ref" => {
                let target = value.as_str().ok_or_else(|| Fault::malformed(keyword, "a string"))?;
                resolve(self.root, target).ok_or_else(|| {
                    Fault::unsupported("`$ref` is neither `#` nor `#/$defs/` and a name that is there, without / and ~")
                })?;
            }
            // Where several branches fit, a grammar takes any.
            "oneOf" => return Err(Fault::unsupported("`oneOf` is not supported; write `anyOf`")),
            _ => return Err(Fault::unsupported(format!("`{keyword}` is not supported"))),
        }
        Ok(value.clone())
    }

    /// What keywords of one schema say together.
    fn relations(&self, plain: &Map<String, Value>) -> Result<(), Fault> {
        for (least, most) in [("minItems", "maxItems"), ("minLength", "maxLength"), ("minimum", "maximum")] {
            let bound = |keyword| plain.get(keyword).and_then(Value::as_f64);
            if let (Some(low), Some(high)) = (bound(least), bound(most))
                && low > high
            {
                return Err(Fault::unsatisfiable(format!("`{least}` is more than `{most}`")));
            }
        }
        Ok(())
    }
}

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// Where named schemas can be.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// What a `$ref` leads to.
fn resolve<'a>(root: &'a Value, target: &str) -> Option<&'a Value> {
    if target == "#" {
        return Some(root);
    }
    let (keyword, name) = target.strip_prefix("#/")?.split_once('/')?;
    let plain = DEFINITIONS.contains(&keyword) && !name.contains(['/', '~', '%']);
    plain.then(|| root.get(keyword)?.get(name))?
}

/// Whether a value can be asked for as it stands.
fn constant(value: &Value) -> Result<(), Fault> {
    match value {
        Value::Number(number) if !number.as_f64().is_some_and(|number| number.abs() <= MAX_NUMBER) => {
            Err(Fault::unsupported("a number that is to be written exactly is beyond 2^53"))
        }
        Value::Array(values) => values.iter().try_for_each(constant),
        Value::Object(values) => values.values().try_for_each(constant),
        _ => Ok(()),
    }
}

/// Whether a value of the schema can come to an end, as one cannot whose every value holds a value of the same schema: the
/// least fixed point over what `$ref` can lead to.
fn is_finite(root: &Value) -> bool {
    let mut ending: HashSet<*const Value> = HashSet::new();
    let named = DEFINITIONS.iter().filter_map(|keyword| root.get(keyword)?.as_object()).flat_map(Map::values);
    let targets: Vec<&Value> = named.chain([root]).collect();
    loop {
        let before = ending.len();
        for target in &targets {
            if ends(target, root, &ending) {
                ending.insert(std::ptr::from_ref(*target));
            }
        }
        if ending.len() == before {
            return ending.contains(&std::ptr::from_ref(root));
        }
    }
}

fn ends(schema: &Value, root: &Value, ending: &HashSet<*const Value>) -> bool {
    let Some(keywords) = schema.as_object() else { return schema != &json!(false) };
    if let Some(target) = keywords.get("$ref").and_then(Value::as_str) {
        return resolve(root, target).is_some_and(|target| ending.contains(&std::ptr::from_ref(target)));
    }
    if let Some(branches) = keywords.get("anyOf").and_then(Value::as_array) {
        return branches.iter().any(|branch| ends(branch, root, ending));
    }
    let may_be = |name: &str| match keywords.get("type") {
        Some(Value::String(one)) => one == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => true,
    };
    let is_simple = keywords.contains_key("enum")
        || keywords.contains_key("const")
        || ["null", "boolean", "integer", "number", "string"].into_iter().any(may_be);
    is_simple
        || may_be("object") && object_ends(keywords, root, ending)
        || may_be("array") && array_ends(keywords, root, ending)
}

fn object_ends(keywords: &Map<String, Value>, root: &Value, ending: &HashSet<*const Value>) -> bool {
    let others = keywords.get("additionalProperties");
    let required = keywords.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut schemas = required.map(|name| keywords.get("properties").and_then(|all| all.get(name)).or(others));
    schemas.all(|schema| schema.is_none_or(|schema| ends(schema, root, ending)))
}

fn array_ends(keywords: &Map<String, Value>, root: &Value, ending: &HashSet<*const Value>) -> bool {
    let least = keywords.get("minItems").and_then(Value::as_u64).unwrap_or(0) as usize;
    let first = keywords.get("prefixItems").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let others = keywords.get("items").filter(|_| least > first.len());
    first.iter().take(least).chain(others).all(|schema| ends(schema, root, ending))
}

/// The parser of a plain schema.
fn compile(plain: Value) -> Result<Parser, Fault> {
    // The caller's stack may be small, and nothing is known of it.
    let worker = thread::Builder::new().name("nibble-schema".to_owned()).stack_size(STACK);
    let outcome = worker.spawn(move || parser(plain)).ok().and_then(|worker| worker.join().ok());
    outcome.unwrap_or_else(|| Err(Fault { fault: SchemaFault::TooComplex, why: "it could not be compiled".to_owned() }))
}

fn parser(plain: Value) -> Result<Parser, Fault> {
    let mut schema = if plain.is_object() { plain } else { json!({ "anyOf": [plain] }) };
    schema["x-guidance"] = json!({ "whitespace_flexible": false, "item_separator": ", ", "key_separator": ": " });
    // Words of the schema stay out of errors.
    let limits = ParserLimits { verbose_errors: false, precompute_large_lexemes: false, ..ParserLimits::default() };
    let grammar = GrammarInit::Serialized(TopLevelGrammar::from_json_schema(schema));
    let built = grammar.to_cgrammar(None, &mut Logger::new(0, 0), limits.clone(), Vec::new());
    let built = built.and_then(|grammar: Arc<CGrammar>| {
        Parser::new(NO_TOKENS.clone(), grammar, limits, Arc::new(ParserPerfCounters::new()))
    });
    built.map_err(|error| match error.chain().any(|cause| cause.to_string().contains("Unsatisfiable schema")) {
        true => Fault::unsatisfiable("no value meets it"),
        false => Fault { fault: SchemaFault::TooComplex, why: "it takes more than a grammar may".to_owned() },
    })
}

/// What a parser wants to know of tokens: next to nothing, as it is asked about bytes.
pub(crate) static NO_TOKENS: LazyLock<TokEnv> = LazyLock::new(|| {
    let info =
        TokRxInfo { vocab_size: 1, tok_eos: 0, tok_bos: None, tok_pad: None, tok_unk: None, tok_end_of_turn: None };
    Arc::new(ApproximateTokEnv::new(TokTrie::from(&info, &[b"a".to_vec()])))
});

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What is wrong with a schema, and where.
    fn fault(text: &str) -> (SchemaFault, String) {
        match Schema::new(text) {
            Err(Error::UnfitSchema { fault, at, why }) => {
                assert!(!why.contains("secret") && !why.is_empty(), "{why}");
                (fault, at)
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_schema_that_cannot_be_used_says_what_is_wrong_and_where() {
        use SchemaFault::{Malformed, NotJson, Unsatisfiable, Unsupported};
        for (text, kind, at) in [
            ("", NotJson, "#"),
            ("{", NotJson, "#"),
            (r#"{"const": 1e999}"#, NotJson, "#"),
            ("3", Malformed, "#"),
            (r#"{"type": "secret"}"#, Malformed, "#"),
            (r#"{"properties": {"a/b": {"type": []}}}"#, Malformed, "#/properties/a~1b"),
            (r#"{"items": {"minItems": -1}}"#, Malformed, "#/items"),
            (r#"{"anyOf": [true, {"maxLength": 70000}]}"#, Malformed, "#/anyOf/1"),
            (r#"{"required": [1]}"#, Malformed, "#"),
            (r#"{"minimum": "secret"}"#, Malformed, "#"),
            (r#"{"$defs": {"x": {"multipleOf": 0}}}"#, Malformed, "#/$defs/x"),
            (r#"{"oneOf": []}"#, Unsupported, "#"),
            (r#"{"items": [{}]}"#, Unsupported, "#"),
            (r#"{"additionalProperties": {"uniqueItems": true}}"#, Unsupported, "#/additionalProperties"),
            (r##"{"properties": {"a": {"$ref": "#/properties/b"}}}"##, Unsupported, "#/properties/a"),
            (r##"{"$ref": "#/$defs/none", "$defs": {}}"##, Unsupported, "#"),
            (r#"{"$ref": "https://example.com/secret"}"#, Unsupported, "#"),
            (r##"{"$ref": "#", "type": "string"}"##, Unsupported, "#"),
            (r#"{"type": "string", "pattern": "(secret"}"#, Unsupported, "#"),
            (r#"{"type": "string", "pattern": "(?=secret)"}"#, Unsupported, "#"),
            (r#"{"type": "string", "format": "secret"}"#, Unsupported, "#"),
            (r#"{"const": 1e300}"#, Unsupported, "#"),
            (r#"{"enum": []}"#, Unsatisfiable, "#"),
            (r#"{"items": {"minLength": 3, "maxLength": 2}}"#, Unsatisfiable, "#/items"),
            ("false", Unsatisfiable, "#"),
            (r#"{"type": "string", "enum": [1]}"#, Unsatisfiable, "#"),
            (r#"{"type": "string", "pattern": "^secret$", "maxLength": 2}"#, Unsatisfiable, "#"),
            (r#"{"type": "object", "properties": {"a": false}, "required": ["a"]}"#, Unsatisfiable, "#"),
            (r##"{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}"##, Unsatisfiable, "#"),
            (r##"{"type": "array", "items": {"$ref": "#"}, "minItems": 1}"##, Unsatisfiable, "#"),
        ] {
            assert_eq!(fault(text), (kind, at.to_owned()), "{text}");
        }
    }

    /// Schemas that are deep, long or wide, some of them beyond what is taken.
    pub(crate) fn immense() -> Vec<String> {
        let nested = |levels: usize| format!("{}true{}", r#"{"items":"#.repeat(levels), "}".repeat(levels));
        let chain = |links: usize| {
            let link =
                |i| format!(r##""{i}": {{"type": "array", "items": {{"$ref": "#/$defs/{}"}}, "minItems": 1}}"##, i + 1);
            let links: Vec<String> = (0..links).map(link).collect();
            format!(
                r##"{{"$ref": "#/$defs/0", "$defs": {{{}, "{}": {{"type": "null"}}}}}}"##,
                links.join(", "),
                links.len()
            )
        };
        let list = |values: usize| {
            let values: Vec<String> = (0..values).map(|i| format!(r#""value {i}""#)).collect();
            format!(r#"{{"enum": [{}]}}"#, values.join(", "))
        };
        let pattern = |body: &str| json!({ "type": "string", "pattern": body }).to_string();
        vec![
            nested(60),
            nested(20_000),
            chain(900),
            chain(5000),
            list(1000),
            list(60_000),
            pattern(&"(".repeat(500)),
            pattern(&format!("{}a{}", "(".repeat(200), ")".repeat(200))),
            pattern("^((((a{1,99}){1,99}){1,99}){1,99}){1,99}$"),
            pattern("^(a|b)*a(a|b){60}$"),
            pattern(&"é".repeat(200)),
            json!({ "type": "array", "minItems": 60_000 }).to_string(),
            json!({ "minLength": 60_000, "type": "string" }).to_string(),
            r##"{"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]}"##.to_owned(),
            r#"{"type": "integer", "minimum": -9007199254740992, "multipleOf": 0.000000001}"#.to_owned(),
        ]
    }

    #[test]
    fn a_schema_of_any_size_is_taken_or_refused_on_a_small_stack() {
        let work = || immense().iter().filter(|text| Schema::new(text).is_ok()).count();
        let worker = thread::Builder::new().stack_size(256 << 10).spawn(work).unwrap();
        assert!(worker.join().unwrap() > 4, "most of them are sound");
    }

    #[test]
    fn equal_texts_are_equal_schemas() {
        let schema = |text| Schema::new(text).unwrap();
        assert_eq!(schema("true"), schema("true"));
        assert_ne!(schema("true"), schema("{}"));
        assert_eq!(format!("{:?}", schema("true")), r#"Schema("true")"#);
    }
}
