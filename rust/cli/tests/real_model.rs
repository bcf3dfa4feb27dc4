//! Every command on the default model: what it prints, and what it does with too much, too little and the wrong thing.

mod common;

use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::{
    MODEL, Workplace, corrections, feed, json, keyboard_lines, mended, models, nibble, outcome, success, words,
};
use serde_json::{Value, json as object};

fn fails(output: &Output) -> String {
    let (out, err, code) = outcome(output);
    assert_eq!((out.as_str(), code), ("", Some(1)), "{err}");
    let errors: Vec<_> = err.lines().filter(|l| l.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{err}");
    assert!(!err.contains("panicked"), "{err}");
    errors[0].to_owned()
}

#[test]
fn predictions_follow_the_context_and_the_letters() {
    let next = json(&["predict", "--context", "The capital of France is ", "--json"]);
    assert_eq!(words(&next).len(), 3);
    assert!(words(&next).contains(&"Paris".to_owned()), "{next}");
    let typed = json(&["predict", "--context", "The capital of France is ", "--typed", "lo", "--top", "5", "--json"]);
    assert!(words(&typed).iter().all(|w| w.to_lowercase().starts_with("lo")), "{typed}");
    for answer in [&next, &typed] {
        let shares: Vec<_> =
            answer["suggestions"].as_array().unwrap().iter().map(|s| s["probability"].as_f64().unwrap()).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b) && shares.iter().sum::<f64>() <= 1.0 + 1e-6, "{answer}");
        assert!(answer["micros"].as_u64().unwrap() > 0);
    }
    let table = success(&nibble(&["predict", "--context", "The capital of France is "]).output().unwrap());
    assert!(table.starts_with("WORD") && table.contains("Paris") && table.contains('%'), "{table}");
}

#[test]
fn the_keyboard_answers_every_line_whatever_it_holds() {
    let good =
        br#"{"context": "See you ", "typed": "tom", "touches": [[1.0, 2.0]], "layout": "qwerty", "gate": false}"#;
    let huge = [br#"{"context": ""#.as_slice(), "🙂".repeat(1 << 18).as_bytes(), br#""}"#].concat();
    let long = [br#"{"context": ""#.as_slice(), "🙂 ".repeat(5_000).as_bytes(), br#""}"#].concat();
    let lines: [&[u8]; 9] = [
        good,
        b"not JSON",
        b"{\"context\": \"ab\xff\"}",
        br#"{"context": "a\u0000b "}"#,
        br#"{"typed": "a"}"#,
        &huge,
        &long,
        b"",
        good,
    ];
    let mut keyboard = nibble(&["keyboard", "--jsonl", "--lexicon", "none"]);
    let out = success(&feed(&mut keyboard, &lines.join(&b'\n')));
    let answers: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(answers.len(), 8, "{out}");
    for (number, reason) in [(1, "not JSON"), (2, "byte 15"), (3, "NUL"), (4, "not a request"), (5, "too long")] {
        assert!(answers[number]["error"].as_str().unwrap().contains(reason), "{}", answers[number]);
    }
    assert!(answers[6]["suggestions"].is_array(), "a long context is only cut: {}", answers[6]);
    assert!(words(&answers[0]).contains(&"tomorrow".to_owned()), "{}", answers[0]);
    assert_eq!(answers[0]["suggestions"][0]["kind"], "completion");
    assert_eq!(words(&answers[0]), words(&answers[7]), "nothing that came between changes an answer");
}

#[test]
fn secrets_are_not_predicted_and_addresses_not_mended() {
    let line = |field: &str| object!({ "context": "I will see you ", "typed": "tomorow", "field": field });
    let fields = ["text", "search", "no-learning", "email", "url", "password", "number", "code"];
    let answers = keyboard_lines(&[], &fields.map(line));
    let found: Vec<_> =
        answers.iter().map(|answer| (!words(answer).is_empty(), answer["autocorrect"].is_string())).collect();
    let (text, address, secret) = ((true, true), (true, false), (false, false));
    assert_eq!(found, [text, text, text, address, address, secret, secret, secret]);
}

/// Writes words into the file until it is killed, after so many answers; says how many it has confirmed.
#[cfg(unix)]
fn kill_while_learning(file: &Path, answers: usize, round: usize) -> u64 {
    let mut command = nibble(&["keyboard", "--jsonl", "--lexicon", "none", "--learned", file.to_str().unwrap()]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for word in 0..400_usize {
            let letters: String = [round, word / 20, word % 20].map(|i| char::from(b'a' + i as u8)).iter().collect();
            let line = object!({ "event": "committed", "context": "so ", "word": format!("w{letters}") });
            // It ends when the process does.
            if writeln!(input, "{line}").is_err() {
                return;
            }
        }
    });
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let last = output.by_ref().take(answers).last().unwrap().unwrap();
    child.kill().unwrap();
    writer.join().unwrap();
    // What it had written before it was killed has been confirmed too.
    let last = output.map_while(Result::ok).last().unwrap_or(last);
    assert!(!child.wait().unwrap().success(), "it was killed while it was at work");
    let answer: Value = serde_json::from_str(&last).unwrap();
    answer["words"].as_u64().unwrap()
}

#[test]
#[cfg(unix)]
fn a_killed_keyboard_has_kept_what_it_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("learned");
    for round in 0..8 {
        let confirmed = kill_while_learning(&file, 1 + 7 * round, round);
        let learner = nibble_tasks::keyboard::learning::Learner::open(&file, None).unwrap();
        let kept = learner.len() as u64;
        assert!(kept == confirmed || kept == confirmed + 1, "{kept} words in the file, {confirmed} were confirmed");
    }
}

#[test]
fn typing_goes_on_without_a_damaged_file_which_is_named_and_left_as_it_is() {
    success(&nibble(&["pull", "lexicon-en"]).output().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let damaged = |name: &str| {
        let file = folder.path().join(name);
        fs::write(&file, "this is no store").unwrap();
        file.to_str().unwrap().to_owned()
    };
    let (learned, list) = (damaged("learned"), damaged("words.fst"));
    let lines = [
        object!({ "context": "See you ", "typed": "tomor" }),
        object!({ "context": "See you ", "typed": "tomorow" }),
        object!({ "event": "committed", "context": "See you ", "word": "Zorblatt" }),
    ];
    let type_with = |lexicon: &str| {
        let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let output =
            feed(&mut nibble(&["keyboard", "--jsonl", "--lexicon", lexicon, "--learned", &learned]), text.as_bytes());
        let answers: Vec<Value> = success(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(words(&answers[0]).contains(&"tomorrow".to_owned()), "the model is there: {answers:?}");
        assert_eq!(answers[2]["words"], 1, "it is learned until the end");
        (answers[1]["autocorrect"].clone(), String::from_utf8(output.stderr).unwrap())
    };
    let (autocorrect, said) = type_with("en");
    assert_eq!(autocorrect, "tomorrow");
    assert!(said.contains("learned") && said.contains("goes on without it") && !said.contains("words.fst"), "{said}");
    let (autocorrect, said) = type_with(&list);
    assert_eq!(autocorrect, Value::Null, "nobody knows the words");
    assert!(said.contains("words.fst") && said.contains("learned"), "{said}");
    let (autocorrect, _) = type_with(&format!("{list},en"));
    assert_eq!(autocorrect, "tomorrow", "the other list is there");
    for file in [&learned, &list] {
        assert_eq!(fs::read(file).unwrap(), b"this is no store");
    }
}

#[test]
fn typing_errors_are_mended() {
    let cases = [
        ("I will see you ", "tomorow", "tomorrow"),
        ("Can you ", "hekp", "help"),
        ("Have a nice ", "dya", "day"),
        ("We met at ", "teh", "the"),
    ];
    for (typed, answer, word) in corrections(&cases) {
        assert_eq!((answer["autocorrect"].as_str(), words(&answer)[0].as_str()), (Some(word), word), "{typed}");
        assert_eq!(answer["suggestions"][0]["kind"], "correction", "{typed}");
    }
}

/// What a model has often read, and takes for words.
#[test]
fn misspellings_and_missing_apostrophes_are_put_right() {
    mended(&[
        ("I saw ", "teh", "the"),
        ("did you ", "recieve", "receive"),
        ("I will ", "definately", "definitely"),
        ("see you ", "tommorow", "tomorrow"),
        ("I am ", "runing", "running"),
        ("it ", "occured", "occurred"),
        ("that is so ", "wierd", "weird"),
        ("I ", "dont", "don't"),
        ("I ", "cant", "can't"),
        ("I think ", "youre", "you're"),
    ]);
}

#[test]
fn an_evaluation_is_drawn() {
    success(&nibble(&["pull", "lexicon-en"]).output().unwrap());
    let folder = Workplace::new();
    let messages = folder.path("my messages.txt");
    fs::write(&messages, "See you tomorrow\n").unwrap();
    let plots = folder.path("plots");
    let args = ["eval", "keyboard", "--lexicon", "en", "--json", "--errors", "3"];
    let found = json(&[&args[..], &[messages.to_str().unwrap(), "--plot", plots.to_str().unwrap()]].concat());
    assert_eq!(found[0]["words"], 3, "{found}");
    let names: Vec<_> = fs::read_dir(&plots).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["my messages.svg"]);
    let svg = fs::read_to_string(plots.join("my messages.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
    for text in ["my messages.txt", "1 messages, 3 words", "letters typed", "in use: 55 to 1"] {
        assert!(svg.lines().any(|line| line == text), "{text} is not in {svg}");
    }
}

#[test]
fn weights_are_fitted_to_messages() {
    success(&nibble(&["pull", "lexicon-en"]).output().unwrap());
    let folder = Workplace::new();
    let messages = folder.path("messages.txt");
    fs::write(&messages, "See you tomorrow\n").unwrap();
    let trials = json(&["eval", "keyboard", "--lexicon", "en", "--json", "--fit", messages.to_str().unwrap()]);
    let trials = trials.as_array().unwrap();
    assert!(trials.len() >= 12, "each value of each weight was tried: {trials:?}");
    let effort = |trial: &Value| trial["effort"].as_f64().unwrap();
    assert!(trials.is_sorted_by_key(effort), "{trials:?}");
    let in_use = |trial: &&Value| [&trial["list"], &trial["as_typed"], &trial["correction"]] == [0.1, 0.3, 4.0];
    let in_use = trials.iter().find(in_use).expect("those in use are among them");
    assert!(effort(in_use) > 0.2 && effort(in_use) <= 1.0, "{in_use}");
    let refused = nibble(&["eval", "keyboard", "--lexicon", "none", "--fit", messages.to_str().unwrap()]).output();
    let refused = refused.unwrap();
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--fit needs a word list"));
}

#[test]
fn an_evaluation_says_what_each_part_brings() {
    success(&nibble(&["pull", "lexicon-en"]).output().unwrap());
    let folder = Workplace::new();
    let messages = folder.path("messages.txt");
    fs::write(&messages, "Meet Zorblatt tonight\nSee you\nSee you tonight\nMeet Zorblatt\n").unwrap();
    let evaluate = |args: &[&str]| {
        let common = ["eval", "keyboard", "--lexicon", "en", "--json", "--compare", messages.to_str().unwrap()];
        json(&[&common[..], args].concat())[0].clone()
    };
    let parts = |found: &Value| -> Vec<String> {
        let rows = found["comparison"].as_array().unwrap().iter();
        rows.map(|row| row["with"].as_str().unwrap().to_owned()).collect()
    };
    let found = evaluate(&["--learn", "2"]);
    let all = ["word list", "word list, n-gram", "word list, model", "word list, model, learned"];
    assert_eq!(parts(&found), all);
    let row = |i: usize| &found["comparison"][i];
    assert!((0..4).all(|i| row(i)["messages"] == 2 && row(i)["words"] == 5), "{found}");
    assert!((0..4).all(|i| (row(i)["forward_passes_per_key"] == 0.0) == (i < 2)), "{found}");
    for figure in ["next_word_top3", "completion_top3", "autocorrection", "keystroke_savings"] {
        assert_eq!(row(3)[figure], found[figure]);
    }
    let saved = |i: usize| row(i)["keystroke_savings"].as_f64().unwrap();
    assert!(saved(0) < saved(1) && saved(0) < saved(2), "{found}");
    assert!(found["one_token_micros"].as_u64().unwrap() > 0, "{found}");
    let found = evaluate(&["--beside", "smollm2-135m-instruct"]);
    assert_eq!(parts(&found), ["word list", "word list, model", "word list, smollm2-135m-instruct"]);
    let figures = ["next_word_top3", "completion_top3", "autocorrection", "keystroke_savings"];
    assert!(figures.iter().all(|figure| found["comparison"][2][figure] == found["comparison"][1][figure]), "{found}");
}

#[test]
fn emoji_are_there_for_who_asks() {
    let lines = [
        object!({ "context": "I want ", "typed": "pizza", "emoji": 2 }),
        object!({ "context": "Happy birthday! ", "emoji": 1 }),
        object!({ "context": "I want ", "typed": "zzxq", "emoji": 2 }),
        object!({ "context": "I want ", "typed": "pizza" }),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let keyboard = |args: &[&str]| nibble(&[&["keyboard", "--jsonl", "--lexicon"], args].concat());
    success(&nibble(&["pull", "emoji-en"]).output().unwrap());
    let out = success(&feed(&mut keyboard(&["none"]), lines.as_bytes()));
    let emoji: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["emoji"].clone()).collect();
    assert_eq!(emoji, [object!(["🍕"]), object!(["🎂"]), object!([]), Value::Null]);

    let place = Workplace::new();
    let mut elsewhere = keyboard(&["none"]);
    elsewhere.env("NIBBLE_CACHE", place.cache());
    let out = success(&feed(&mut elsewhere, lines.as_bytes()));
    assert!(out.lines().next().unwrap().contains("fetch it: nibble pull emoji-en"), "{out}");
    assert!(out.lines().last().unwrap().contains("suggestions"), "{out}");
}

#[test]
fn where_a_key_was_hit_decides_between_words() {
    let line = |x: f32| object!({ "context": "They keep the wine in a large ", "typed": "bat", "touches": [[x, 2.5], null, null] });
    // In the middle of b, and between v and b.
    let answers = keyboard_lines(&[], &[line(5.95), line(5.55)]);
    assert!(!words(&answers[0]).contains(&"vat".to_owned()) && words(&answers[1])[0] == "vat", "{answers:?}");
    let bad = object!({ "context": "I said ", "typed": "hel", "layout": { "keys": [] } });
    let answer = &keyboard_lines(&[], &[bad])[0];
    assert!(answer["warning"].as_str().unwrap().contains("no letter keys"), "{answer}");
    assert!(words(answer).contains(&"hello".to_owned()), "typing goes on: {answer}");
}

#[test]
fn a_word_behind_a_bracket_is_worth_as_much_as_any() {
    // Two letters are missing, which is as few as are worth a look.
    let lines = ["tomorr", "(tomorr"].map(|typed| object!({ "context": "See you ", "typed": typed, "gate": true }));
    let answers = keyboard_lines(&[], &lines);
    let has = |answer| words(answer).iter().any(|word| word.eq_ignore_ascii_case("tomorrow"));
    assert!(answers.iter().all(has), "{answers:?}");
}

#[test]
fn replies_fit_in_number_and_differ() {
    let answer = json(&["reply", "--message", "Are you coming to the party on Saturday?", "--json"]);
    let texts: Vec<_> = answer["replies"].as_array().unwrap().iter().map(|r| r["text"].as_str().unwrap()).collect();
    assert_eq!(texts.len(), 3, "{answer}");
    assert!(texts[0] != texts[1] && texts[1] != texts[2] && texts[0] != texts[2], "{answer}");

    let place = Workplace::new();
    let chat = r#"[{"from_me": true, "text": "Lunch?"}, {"from_me": false, "text": "Sure! Is one o'clock fine?"}]"#;
    fs::write(place.path("chat.json"), chat).unwrap();
    let file = place.path("chat.json").display().to_string();
    let answer = json(&["reply", "--chat", &file, "--top", "2", "--json"]);
    assert_eq!(answer["replies"].as_array().unwrap().len(), 2, "{answer}");
    let draft = json(&["reply", "--chat", &file, "--draft", "--json"]);
    assert!(!draft["draft"].as_str().unwrap().is_empty());
}

#[test]
fn generation_is_repeatable_and_stops_where_it_should() {
    let args = ["generate", "Once upon a time", "--max-tokens", "12", "--json"];
    let (first, second) = (json(&args), json(&[&args[..], &["--threads", "1"]].concat()));
    assert_eq!(first, second, "the number of threads changes nothing");
    assert_eq!((first["tokens"].as_array().unwrap().len(), &first["stopped"]), (12, &"length".into()));
    let text = first["text"].as_str().unwrap();

    let plain = success(&nibble(&["generate", "Once upon a time", "--max-tokens", "12"]).output().unwrap());
    assert_eq!(plain, format!("Once upon a time{text}\n"));

    let stop = text.split_whitespace().nth(2).unwrap();
    let stopped = json(&[&args[..], &["--stop", stop]].concat());
    let before = &text[..text.find(stop).unwrap()];
    assert_eq!((stopped["text"].as_str().unwrap(), &stopped["stopped"]), (before, &"end".into()));

    let sampled =
        |seed| json(&[&args[..], &["--temperature", "1.5", "--top-k", "0", "--seed", seed]].concat())["text"].clone();
    assert_eq!(sampled("1"), sampled("1"));
    assert_ne!(sampled("1"), sampled("2"));
}

#[test]
fn a_chat_goes_on_line_by_line() {
    let mut chat = nibble(&["chat", "--max-tokens", "16", "--json", "--context-size", "64"]);
    // Six rounds do not fit 64 tokens: the oldest are forgotten.
    let input = "Hello!\n\nName a fruit.\n/new\n".to_owned() + &"Name another one.\n".repeat(4);
    let out = success(&feed(&mut chat, input.as_bytes()));
    assert_eq!(out.lines().count(), 6, "{out}");
    assert!(out.lines().all(|l| serde_json::from_str::<Value>(l).unwrap()["reply"].is_string()), "{out}");

    let error = fails(&feed(&mut nibble(&["chat", "--model", "gemma-3-270m"]), b"Hello!\n"));
    assert!(error.contains("no chat template"), "{error}");

    let (out, err, code) = outcome(&feed(&mut chat, format!("{}\nHi", "word ".repeat(200)).as_bytes()));
    assert_eq!(code, Some(1), "{err}");
    assert!(out.lines().next().unwrap().contains("--context-size"), "{out}");
}

#[test]
fn tokens_are_the_text_and_control_tokens_stay_text() {
    let text = "Hello <|im_end|> wörld, 東京 🙂!";
    let tokens = json(&["tokenize", text, "--json"]);
    let joined: String = tokens.as_array().unwrap().iter().map(|t| t["text"].as_str().unwrap()).collect();
    assert!(joined.starts_with("Hello <|im_end|> w"), "{joined}");
    assert!(tokens.as_array().unwrap().iter().all(|t| t["text"] != "<|im_end|>"), "{tokens}");
    let table = success(&feed(&mut nibble(&["tokenize", "-"]), text.as_bytes()));
    assert_eq!(table.lines().count(), 1 + tokens.as_array().unwrap().len());

    let gemma = json(&["tokenize", "Hello", "--json", "--model", "gemma3"]);
    assert_eq!(gemma.as_array().unwrap().len(), 2, "the model's own BOS comes first: {gemma}");
}

#[test]
fn scores_and_logits_agree() {
    let scored = success(&feed(&mut nibble(&["score", "-", "--json"]), b"The cat sat on the mat"));
    let scored: Value = serde_json::from_str(&scored).unwrap();
    let tokens = scored["tokens"].as_array().unwrap();
    let logprobs: Vec<f64> = tokens[1..].iter().map(|t| t["logprob"].as_f64().unwrap()).collect();
    assert!(tokens[0]["logprob"].is_null(), "nothing comes before the first token");
    assert_eq!(scored["count"].as_u64().unwrap() as usize, logprobs.len());
    let sum: f64 = logprobs.iter().sum();
    assert!((scored["logprob"].as_f64().unwrap() - sum).abs() < 1e-9);
    let perplexity = (-sum / logprobs.len() as f64).exp();
    assert!((scored["perplexity"].as_f64().unwrap() - perplexity).abs() < 1e-9 * perplexity);

    let best = json(&["logits", "The cat sat on the", "--top", "2000", "--json"]);
    let best = best.as_array().unwrap();
    assert_eq!(best.len(), 2000);
    assert!(best.is_sorted_by(|a, b| a["logprob"].as_f64() >= b["logprob"].as_f64()));
    let last = tokens.last().unwrap();
    let same = best.iter().find(|b| b["id"] == last["id"]).expect("the true word is among the first 2000");
    let difference = same["logprob"].as_f64().unwrap() - last["logprob"].as_f64().unwrap();
    assert!(difference.abs() < 1e-3, "{same} is not {last}");
}

#[test]
fn the_benchmark_has_every_figure() {
    let figures = json(&["bench", "--prompt", "16", "--generate", "4", "--repeat", "1", "--json"]);
    for key in ["load_ms", "first_logits_ms", "prefill_tps", "decode_tps"] {
        assert!(figures[key].as_f64().unwrap() > 0.0, "{key} in {figures}");
    }
    for key in ["rss_mb", "dirty_mb"] {
        let figure = &figures[key];
        assert!(if cfg!(target_os = "linux") {
            figure.as_f64().unwrap() > 0.0
        } else {
            figure.is_null() || figure.is_f64()
        });
    }
    let table = success(&nibble(&["bench", "--prompt", "16", "--generate", "4", "--repeat", "2"]).output().unwrap());
    assert!(table.contains("tok/s") && table.contains("dirty memory"), "{table}");
    assert!(!table.contains("batch of"), "only when it is asked for");
    let figures = json(&["bench", "--prompt", "4", "--generate", "1", "--repeat", "1", "--batches", "--json"]);
    let batches = figures["batches"].as_array().unwrap();
    assert_eq!(batches.iter().map(|batch| batch["rows"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 4, 8]);
    assert!(batches.iter().all(|batch| batch["ms"].as_f64().unwrap() > 0.0), "{figures}");
}

#[test]
fn the_demo_plays_without_a_terminal() {
    let out = success(&nibble(&["demo"]).output().unwrap());
    for part in ["A message comes in:", "three replies", "PREDICTED", "saved", "First prediction"] {
        assert!(out.contains(part), "{part} is missing:\n{out}");
    }
    assert!(out.contains('['), "no word was predicted:\n{out}");
}

#[test]
fn a_model_is_adapted_to_messages() {
    let place = Workplace::new();
    let days = ["Monday", "Tuesday", "Friday", "Sunday"];
    let lines = |from: usize, to: usize| {
        (from..to)
            .map(|i| format!("purple kangaroo, shall we purple kangaroo on {} at {i}?\n", days[i % 4]))
            .collect::<String>()
    };
    fs::write(place.path("messages.txt"), lines(0, 120)).unwrap();
    fs::write(place.path("others.txt"), lines(120, 130)).unwrap();
    let adapt = |out: &str| {
        let mut command = nibble(&["adapt", "messages.txt", "--out", out, "--test", "others.txt"]);
        command.args(["--rank", "4", "--epochs", "40"]).current_dir(place.path("")).output().unwrap()
    };
    let table = success(&adapt("own.adapter"));
    let row: Vec<f64> = table.lines().nth(1).unwrap().split_whitespace().filter_map(|cell| cell.parse().ok()).collect();
    let [_, perplexity, adapted, ..] = row[..] else { panic!("{table}") };
    assert!(adapted < 0.5 * perplexity, "{table}");

    let predicted = |adapter: &str| {
        let mut keyboard = nibble(&["keyboard", "--jsonl", "--lexicon", "none", "--adapter", adapter]);
        let request = br#"{"context": "purple "}"#;
        let answer = success(&feed(keyboard.current_dir(place.path("")), request));
        words(&serde_json::from_str(&answer).unwrap())
    };
    assert_ne!(predicted("own.adapter"), predicted("none"));

    for (content, reason) in
        [(&b""[..], "cut short"), (b"nibadap0", "another version"), (b"nibadap1\x40\0", "cut short")]
    {
        fs::write(place.path("bad.adapter"), content).unwrap();
        let mut keyboard = nibble(&["keyboard", "--jsonl", "--lexicon", "none", "--adapter", "bad.adapter"]);
        let refused = fails(&keyboard.current_dir(place.path("")).output().unwrap());
        assert!(refused.contains("bad.adapter") && refused.contains(reason), "{refused}");
    }
    fs::write(place.path("messages.txt"), lines(0, 3)).unwrap();
    assert!(fails(&adapt("other.adapter")).contains("a fit takes 1024"));
    assert!(!place.path("other.adapter").exists());
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let emoji = "🙂".repeat(1 << 18);
    for args in [&["generate", "-"][..], &["logits", "-"], &["score", "-"]] {
        let error = fails(&feed(&mut nibble(args), emoji.as_bytes()));
        assert!(error.contains("do not fit the context of 2048") && error.contains("--context-size"), "{error}");
    }
    let error = fails(&feed(&mut nibble(&["generate", "-", "--context-size", "16"]), "word ".repeat(20).as_bytes()));
    assert!(error.contains("do not fit the context of 16"), "{error}");
    let full = json(&["generate", "one two three four five six", "--context-size", "16", "--json"]);
    assert_eq!(full["stopped"], "context");
}

#[test]
fn a_model_says_what_it_takes() {
    for model in ["smollm2-135m-instruct", "gemma-3-270m"] {
        let about = json(&["inspect", model, "--json"]);
        assert!(about["architecture"].is_string() && about["formats"].is_array(), "{about}");
        assert!(about["memory"]["mapped"].as_u64().unwrap() > 50_000_000, "{about}");
        let text = success(&nibble(&["inspect", model]).output().unwrap());
        assert!(text.contains("Q8_0"), "{text}");
    }
}

#[test]
fn a_file_of_ones_own_is_packed_once() {
    let place = Workplace::new();
    let file = place.path("mine.gguf");
    fs::copy(models().join(MODEL), &file).unwrap();
    let (file, mut pull) = (file.display().to_string(), place.command(&["pull", "mine.gguf"]));
    assert!(success(&pull.output().unwrap()).starts_with("mine.gguf packed: "));
    assert!(success(&pull.output().unwrap()).starts_with("mine.gguf is already here: "));
    let packed = place.cache().join("packed");
    let packed = fs::read_dir(&packed).unwrap().next().unwrap().unwrap().path();

    let logits =
        |model: &str| success(&place.command(&["logits", "Hello", "--json", "--model", model]).output().unwrap());
    let (from_file, from_packed) = (logits(&file), logits(packed.to_str().unwrap()));
    assert_eq!(from_file, from_packed);

    // What is damaged in the cache is packed again; what a person names is refused.
    let whole = fs::read(&packed).unwrap();
    fs::write(&packed, &whole[..whole.len() / 2]).unwrap();
    let error = fails(&place.command(&["logits", "Hello", "--model", packed.to_str().unwrap()]).output().unwrap());
    assert!(error.contains(packed.to_str().unwrap()), "{error}");
    assert_eq!(logits(&file), from_file);
    assert_eq!(fs::read(&packed).unwrap(), whole);
}

#[test]
fn a_cut_model_is_refused() {
    let place = Workplace::new();
    let whole = fs::read(models().join(MODEL)).unwrap();
    for share in [1_000, 1_000_000, whole.len() / 2, whole.len() - 1] {
        fs::write(place.path("cut.gguf"), &whole[..share]).unwrap();
        let error = fails(&place.command(&["pull", "cut.gguf"]).output().unwrap());
        assert!(error.contains("cut.gguf"), "{error}");
        assert_eq!(place.files(), Vec::<String>::new());
    }
}

/// Kills a packing as soon as it has written something; says whether it was still at work.
fn kill_while_packing(pull: &mut Command, place: &Workplace) -> bool {
    let mut child = pull.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !place.files().iter().any(|file| file.starts_with("packed")) {
        assert!(child.try_wait().unwrap().is_none_or(|status| status.success()), "it failed by itself");
    }
    child.kill().unwrap();
    !child.wait().unwrap().success()
}

#[test]
fn a_killed_packing_leaves_nothing_half_done() {
    // On a machine that is busy with other things it may be done before it can be killed.
    for _ in 0..50 {
        let place = Workplace::new();
        let mut pull = place.command(&["pull"]);
        pull.env("NIBBLE_MODELS", models());
        if !kill_while_packing(&mut pull, &place) {
            continue;
        }
        let left = place.files();
        let half_done = left.iter().any(|f| !f.ends_with(".nibble"));
        assert!(pull.status().unwrap().success());
        let files = place.files();
        assert!(files.len() == 1 && files[0].ends_with(".nibble"), "only the packed file is left: {files:?}");
        if half_done {
            return;
        }
    }
    panic!("no packing could be killed while it was at work");
}

#[test]
#[cfg(unix)]
fn packing_on_a_full_disk_says_so() {
    let place = Workplace::new();
    let pull = place.command(&["pull"]);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 20000; exec \"$0\" \"$@\""])
        .arg(pull.get_program())
        .args(pull.get_args());
    limited.envs(pull.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("NIBBLE_MODELS", models());
    let error = fails(&limited.output().unwrap());
    assert!(error.contains("make room, or set NIBBLE_CACHE"), "{error}");
    assert_eq!(place.files(), Vec::<String>::new(), "nothing half-written is left");
}

#[test]
#[cfg(unix)]
fn ctrl_c_ends_with_130() {
    use std::io::Read;
    let mut generate = nibble(&["generate", "Once upon a time", "--max-tokens", "100000", "--context-size", "8192"]);
    let mut child = generate.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut begun = [0; 30];
    child.stdout.as_mut().unwrap().read_exact(&mut begun).unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let (_, err, code) = outcome(&child.wait_with_output().unwrap());
    assert_eq!((err.as_str(), code), ("cancelled\n", Some(130)));
}

#[test]
fn candle_agrees_and_says_what_it_cannot_do() {
    let args = ["logits", "The capital of France is", "--top", "1", "--json"];
    let (native, candle) = (json(&args), json(&[&args[..], &["--backend", "candle"]].concat()));
    assert_eq!(native[0]["text"], " Paris");
    assert_eq!(native[0]["id"], candle[0]["id"]);
    let difference = native[0]["logprob"].as_f64().unwrap() - candle[0]["logprob"].as_f64().unwrap();
    assert!(difference.abs() < 0.1, "{native} {candle}");

    let mut scored = nibble(&["score", "-", "--json", "--backend", "candle"]);
    let scored: Value = serde_json::from_str(&success(&feed(&mut scored, b"The cat sat on the mat"))).unwrap();
    assert!(scored["perplexity"].as_f64().unwrap() > 1.0);

    let place = Workplace::new();
    let file = place.path("new.gguf");
    let mut whole = fs::read(models().join(MODEL)).unwrap();
    let at = whole.windows(5).position(|w| w == b"llama").unwrap();
    whole[at..at + 5].copy_from_slice(b"lamma");
    fs::write(&file, whole).unwrap();
    let error = fails(&place.command(&["logits", "Hello", "--model", "new.gguf"]).output().unwrap());
    assert!(error.contains("lamma") && error.contains("candle"), "{error}");
    let error = fails(&place.command(&["pull", "new.gguf"]).output().unwrap());
    assert!(error.contains("lamma") && error.contains("--model"), "{error}");
}
