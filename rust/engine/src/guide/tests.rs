//! Texts of random models under random schemas are JSON that meets them.

use std::collections::HashMap;

use nibble_kernels::Format;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::SyntheticModel;
use crate::{Finish, Generator, LanguageModel, Sampling, Session, SessionOptions, Stop};

fn session() -> Session {
    let folder = tempfile::tempdir().unwrap();
    let model = SyntheticModel { context: 4096, ..SyntheticModel::llama(Format::Q4_0) }.open_in(folder.path()).unwrap();
    model.session(SessionOptions { threads: 1, context: 4096, ..SessionOptions::default() }).unwrap()
}

/// What a model writes under a schema, and why it ended.
fn written(model: &mut Session, schema: &Value, sampling: Sampling, max_tokens: usize) -> (String, Finish) {
    let sampling = Sampling { schema: Some(Schema::new(&schema.to_string()).unwrap()), ..sampling };
    let stop = Stop { max_tokens: Some(max_tokens), strings: Vec::new() };
    let mut generation = crate::Generation::new(vec![0, 40, 41], sampling, stop);
    let mut text = String::new();
    while let Some(piece) = generation.next(model) {
        text += &piece.unwrap().text;
    }
    (text, generation.finish().unwrap())
}

fn warm(seed: u64) -> Sampling {
    Sampling { temperature: 1.0, top_k: 40, top_p: 1.0, min_p: 0.0, seed, ..Sampling::default() }
}

/// Whether `value` meets a schema of those below, by the definition of JSON Schema.
fn meets(value: &Value, schema: &Value) -> bool {
    let Some(keywords) = schema.as_object() else { return schema == &json!(true) };
    let number = |keyword: &str| keywords.get(keyword).and_then(Value::as_f64);
    let within = |size: usize, least: &str, most: &str| {
        number(least).is_none_or(|least| size as f64 >= least) && number(most).is_none_or(|most| size as f64 <= most)
    };
    keywords.iter().all(|(keyword, rule)| match (keyword.as_str(), value) {
        ("type", _) => match rule.as_str().unwrap() {
            "integer" => value.as_i64().is_some(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other}"),
        },
        ("enum", _) => rule.as_array().unwrap().contains(value),
        ("anyOf", _) => rule.as_array().unwrap().iter().any(|branch| meets(value, branch)),
        ("minimum", Value::Number(n)) => n.as_f64() >= rule.as_f64(),
        ("maximum", Value::Number(n)) => n.as_f64() <= rule.as_f64(),
        ("maxLength", Value::String(text)) => within(text.chars().count(), "minLength", "maxLength"),
        ("maxItems", Value::Array(items)) => within(items.len(), "minItems", "maxItems"),
        ("items", Value::Array(items)) => items.iter().all(|item| meets(item, rule)),
        ("required", Value::Object(map)) => {
            rule.as_array().unwrap().iter().all(|name| map.contains_key(name.as_str().unwrap()))
        }
        ("properties", Value::Object(map)) => {
            map.iter().all(|(name, value)| rule.get(name).is_some_and(|rule| meets(value, rule)))
        }
        _ => true,
    })
}

/// Schemas whose values are short.
fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({ "type": "boolean" })),
        Just(json!({ "type": "null" })),
        (-50i64..50, 0i64..100)
            .prop_map(|(low, span)| json!({ "type": "integer", "minimum": low, "maximum": low + span })),
        (0u64..3, 0u64..4)
            .prop_map(|(least, more)| json!({ "type": "string", "minLength": least, "maxLength": least + more })),
        prop::collection::vec("[a-zé🙂\" \\\\]{0,6}", 1..4).prop_map(|values| json!({ "enum": values })),
        Just(json!({ "enum": [null, 0, -1.5, "x", [true, []], { "a": 1 }] })),
        Just(json!({ "type": "string", "format": "date" })),
        Just(json!({ "type": "string", "format": "time" })),
        Just(json!({ "type": "string", "format": "date-time" })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (prop::collection::vec(("[a-cü ]{1,3}", inner.clone(), any::<bool>()), 1..4)).prop_map(|properties| {
                let required: HashMap<String, bool> =
                    properties.iter().map(|(name, _, is)| (name.clone(), *is)).collect();
                let required: Vec<String> = required.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
                let properties: serde_json::Map<String, Value> =
                    properties.into_iter().map(|(name, schema, _)| (name, schema)).collect();
                json!({ "type": "object", "properties": properties, "required": required })
            }),
            (inner.clone(), 0u64..3, 0u64..3).prop_map(|(items, least, more)| {
                json!({ "type": "array", "items": items, "minItems": least, "maxItems": least + more })
            }),
            prop::collection::vec(inner, 1..3).prop_map(|branches| json!({ "anyOf": branches })),
        ]
    })
}

#[test]
fn any_schema_gives_json_that_meets_it() {
    let model = std::cell::RefCell::new(session());
    let config = ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest::test_runner::TestRunner::new(config)
        .run(&(schemas(), any::<u64>(), any::<bool>()), |(schema, seed, greedy)| {
            let sampling = if greedy { Sampling::default() } else { warm(seed) };
            let (text, finish) = written(&mut model.borrow_mut(), &schema, sampling.clone(), 1500);
            prop_assert_eq!(finish, Finish::EndOfText, "{} under {}", text, schema);
            let value: Value = serde_json::from_str(&text).expect(&text);
            prop_assert!(meets(&value, &schema), "{} under {}", text, schema);
            prop_assert_eq!(
                written(&mut model.borrow_mut(), &schema, sampling, 1500).0,
                text,
                "another text the second time"
            );
            Ok(())
        })
        .unwrap();
}

/// Threads that an app has from its system may have half a megabyte.
#[test]
fn a_text_is_guided_on_a_small_stack() {
    let model = session().model().clone();
    let write = move || {
        let options = SessionOptions { threads: 1, context: 4096, ..SessionOptions::default() };
        let mut session = model.session(options).unwrap();
        let (mut whole, mut cut) = (0, 0);
        for schema in crate::schema::tests::immense().iter().filter_map(|text| Schema::new(text).ok()) {
            for sampling in [Sampling::default(), warm(1)] {
                let sampling = Sampling { schema: Some(schema.clone()), ..sampling };
                let stop = Stop { max_tokens: Some(300), strings: Vec::new() };
                let mut generation = crate::Generation::new(vec![0, 40], sampling, stop);
                loop {
                    match generation.next(&mut session) {
                        Some(Ok(_)) => {}
                        Some(Err(Error::UnfitSchema { fault: SchemaFault::TooComplex, .. })) => break,
                        Some(Err(error)) => panic!("{error}"),
                        None => break,
                    }
                }
                whole += usize::from(generation.finish() == Some(Finish::EndOfText));
                cut += usize::from(generation.finish() == Some(Finish::MaxTokens));
            }
        }
        let recursive = r##"{"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]}"##;
        let mut guide = Guide::new(&Schema::new(recursive).unwrap());
        let mut deep = 0;
        while deep < 20_000 && guide.accept(b"[").is_ok() {
            deep += 1;
        }
        let mut tokens = Vec::new();
        let _ = guide.all(session.vocabulary(), &mut tokens);
        (whole, cut, deep)
    };
    let worker = std::thread::Builder::new().stack_size(256 << 10).spawn(write).unwrap();
    let (whole, cut, deep) = worker.join().unwrap();
    assert!(whole > 0 && cut > 4 && deep > 100, "{whole} whole, {cut} cut, {deep} levels");
}

#[test]
fn a_limit_cuts_a_text_and_says_so() {
    let schema = json!({ "type": "array", "items": { "type": "string", "minLength": 9 }, "minItems": 3 });
    let (text, finish) = written(&mut session(), &schema, Sampling::default(), 20);
    assert_eq!(finish, Finish::MaxTokens);
    assert!(text.starts_with("[\"") && serde_json::from_str::<Value>(&text).is_err(), "{text}");
}

#[test]
fn what_a_grammar_forces_is_not_computed() {
    let mut model = session();
    let schema = json!({ "type": "object", "properties": { "a long name the model need not think of": { "const": 1 } },
        "required": ["a long name the model need not think of"] });
    let before = model.computed();
    let (text, finish) = written(&mut model, &schema, Sampling::default(), 200);
    assert_eq!((text.as_str(), finish), (r#"{"a long name the model need not think of": 1}"#, Finish::EndOfText));
    assert!(model.computed() - before <= text.len() as u64, "the prompt, and most of the text at one go");
}

#[test]
fn a_guide_allows_the_tokens_that_a_parser_of_their_bytes_does() {
    let model = session();
    let vocabulary = model.vocabulary().clone();
    let schema =
        Schema::new(r#"{"type": "array", "items": {"enum": ["the cat", "then", 17, "é", "è"]}, "maxItems": 3}"#)
            .unwrap();
    let mut guide = Guide::new(&schema);
    let text = r#"["the cat", "é", 17]"#;
    for at in 0..text.len() {
        let mut all = Vec::new();
        guide.all(&vocabulary, &mut all).unwrap();
        all.sort_unstable();
        let every = (0..vocabulary.len() as TokenId).map(|token| (token, 0.0));
        let mut few: Vec<(TokenId, f32)> = every.collect();
        guide.retain(&vocabulary, &mut few).unwrap();
        assert_eq!(all, few.iter().map(|&(token, _)| token).collect::<Vec<_>>(), "at {at}");
        let token = vocabulary.find(&text.as_bytes()[at..=at]).unwrap();
        assert!(all.contains(&token), "at {at}");
        assert!(!guide.may_end().unwrap());
        guide.accept(&text.as_bytes()[at..=at]).unwrap();
    }
    assert!(guide.may_end().unwrap() && guide.must_end().unwrap());
    assert!(guide.accept(b" ").is_err());
}

#[test]
fn a_number_alone_ends_where_the_model_ends_it() {
    let (text, finish) = written(&mut session(), &json!({ "type": "integer", "minimum": 0 }), warm(3), 400);
    assert!(finish == Finish::EndOfText && text.parse::<u64>().is_ok_and(|number| number <= 1 << 53), "{text}");
    let mut guide = Guide::new(&Schema::new(r#"{"type": "integer"}"#).unwrap());
    guide.accept(b"12").unwrap();
    assert!(guide.may_end().unwrap() && !guide.must_end().unwrap());
}

#[test]
fn with_log_probs_the_text_is_the_same() {
    let mut model = session();
    let sampling =
        Sampling { schema: Some(Schema::new(r#"{"enum": ["the cat", "the mat"]}"#).unwrap()), ..Sampling::default() };
    let text = |pieces: Vec<crate::Piece>| pieces.iter().map(|piece| piece.text.clone()).collect::<String>();
    let plain = Generator::new(&mut model, vec![0], sampling.clone(), Stop::default()).map(Result::unwrap).collect();
    let scored: Vec<crate::Piece> =
        Generator::new(&mut model, vec![0], sampling, Stop::default()).with_log_probs().map(Result::unwrap).collect();
    assert!(scored.iter().all(|piece| piece.logprob.is_some_and(|logprob| logprob < 0.0)));
    assert_eq!(text(scored), text(plain));
}

#[test]
fn a_leap_goes_to_the_first_that_is_different() {
    for len in 1..40 {
        for alike in 1..=len {
            assert_eq!(leap(len, |i| i < alike), alike, "of {len}");
        }
    }
}
