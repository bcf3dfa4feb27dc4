//! Text of the real models that meets a schema.

use nibble_engine::{
    Generator, LanguageModel, Message, Overflow, Piece, Result, Sampling, Schema, Session, SessionOptions, Stop,
};
use nibble_tests::models::{GEMMA3, SMOLLM2, TestModel};
use serde_json::{Value, json};

fn session(model: &TestModel, threads: usize) -> Session {
    let options = SessionOptions { threads, context: 512, overflow: Overflow::Error, ..SessionOptions::default() };
    model.open().session(options).unwrap()
}

fn guided(schema: &Value) -> Sampling {
    Sampling { schema: Some(Schema::new(&schema.to_string()).unwrap()), ..Sampling::default() }
}

fn stop() -> Stop {
    Stop { max_tokens: Some(120), strings: Vec::new() }
}

/// The pieces of a text that the model writes behind `prompt`.
fn pieces(session: &mut Session, prompt: &str, sampling: Sampling) -> Vec<Piece> {
    let prompt = session.bos().into_iter().chain(session.encode(prompt)).collect();
    Generator::new(session, prompt, sampling, stop()).collect::<Result<_>>().unwrap()
}

fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| piece.text.as_str()).collect()
}

/// Schemas as apps have them, each with a prompt.
fn uses() -> Vec<(&'static str, Value)> {
    vec![
        (
            "Turn the living room lights off. The command as JSON: ",
            json!({ "type": "object", "required": ["command", "room"], "properties": {
                "command": { "enum": ["lights on", "lights off", "play music", "set a timer"] },
                "room": { "type": ["string", "null"], "maxLength": 20 } } }),
        ),
        (
            "Zoë Miller was born on 12 March 1984. Her name and birthday as JSON: ",
            json!({ "type": "object", "required": ["name", "date"], "properties": {
                "name": { "type": "string", "minLength": 1, "maxLength": 30 },
                "date": { "type": "string", "format": "date" } } }),
        ),
        (
            "Tags of a recipe for bread: ",
            json!({ "type": "array", "minItems": 2, "maxItems": 4, "items": { "type": "string", "pattern": "^[a-z]{2,12}$" } }),
        ),
        (
            "Smile! ",
            json!({ "type": "object", "required": ["🙂 naïve", "n"], "properties": {
                "🙂 naïve": { "enum": ["👩‍👩‍👧 мир", "👩‍👩‍👦 你好"] }, "n": { "type": "integer", "minimum": 5, "maximum": 12 } } }),
        ),
    ]
}

#[test]
fn schemas_of_apps_are_met() {
    for model in [&SMOLLM2, &GEMMA3] {
        let mut session = session(model, 1);
        let found: Vec<Value> = uses()
            .into_iter()
            .map(|(prompt, schema)| {
                let text = text(&pieces(&mut session, prompt, guided(&schema)));
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
            })
            .collect();
        let [command, person, tags, smile] = &found[..] else { panic!("{found:?}") };
        // Which one is the model's affair.
        assert!(
            ["lights on", "lights off", "play music", "set a timer"].contains(&command["command"].as_str().unwrap()),
            "{command}"
        );
        assert!(command["room"].is_string() || command["room"].is_null(), "{command}");
        assert!(!person["name"].as_str().unwrap().is_empty(), "{person}");
        assert_eq!(person["date"].as_str().unwrap().len(), "1984-03-12".len(), "{person}");
        let tags = tags.as_array().unwrap();
        assert!((2..=4).contains(&tags.len()), "{tags:?}");
        assert!(tags.iter().all(|tag| tag.as_str().unwrap().bytes().all(|byte| byte.is_ascii_lowercase())), "{tags:?}");
        assert!(["👩‍👩‍👧 мир", "👩‍👩‍👦 你好"].contains(&smile["🙂 naïve"].as_str().unwrap()), "{smile}");
        assert!((5..=12).contains(&smile["n"].as_i64().unwrap()), "{smile}");
    }
}

/// The best tokens are looked at first; where all that a schema allows are looked at each time, the same are found.
#[test]
fn few_tokens_are_enough_to_find_the_best_that_is_allowed() {
    for model in [&SMOLLM2, &GEMMA3] {
        let mut session = session(model, 1);
        for (prompt, schema) in uses() {
            for sampling in [guided(&schema), Sampling { temperature: 0.9, seed: 5, ..guided(&schema) }] {
                let few = pieces(&mut session, prompt, sampling.clone());
                let tokens = session.bos().into_iter().chain(session.encode(prompt)).collect();
                let all = Generator::new(&mut session, tokens, sampling, stop()).with_log_probs();
                let all: Vec<Piece> = all.collect::<Result<_>>().unwrap();
                let tokens = |pieces: &[Piece]| pieces.iter().map(|piece| piece.token).collect::<Vec<_>>();
                assert_eq!(tokens(&few), tokens(&all), "{prompt}");
            }
        }
    }
}

#[test]
fn neither_threads_nor_what_came_before_change_a_guided_text() {
    let (prompt, schema) = uses().swap_remove(1);
    let sampling = Sampling { temperature: 0.7, seed: 11, ..guided(&schema) };
    let expected = pieces(&mut session(&SMOLLM2, 1), prompt, sampling.clone());
    let mut other = session(&SMOLLM2, 2);
    pieces(&mut other, "Something else: ", guided(&json!({ "type": "boolean" })));
    for _ in 0..2 {
        assert_eq!(pieces(&mut other, prompt, sampling.clone()), expected);
    }
}

#[test]
fn a_chat_is_answered_in_json() {
    let mut session = session(&SMOLLM2, 1);
    let question = Message { role: "user".to_owned(), content: "Is the sky blue?".to_owned() };
    let prompt = session.chat(&[question]).unwrap();
    let answer = json!({ "type": "object", "required": ["answer"], "properties": { "answer": { "type": "boolean" } } });
    let written: Vec<Piece> =
        Generator::new(&mut session, prompt, guided(&answer), stop()).collect::<Result<_>>().unwrap();
    let value: Value = serde_json::from_str(&text(&written)).unwrap();
    assert!(value["answer"].is_boolean(), "{value}");
}
