//! The surface as the languages above use it, on a small random model.

use std::cmp::Reverse;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;

use nibble_engine::testing::SyntheticModel;
use nibble_engine::{About, CancelToken, Format, LanguageModel, Licence, Turn as CpuTurn};
use nibble_tasks::keyboard::lexicon::Word;
use tempfile::TempDir;

use crate::model::Sleeper;
use crate::timeline::{Settings, Timeline};
use crate::*;

/// A model in a folder of its own.
struct Fixture {
    folder: TempDir,
    model: Arc<Model>,
}

impl Fixture {
    fn new() -> Self {
        Self::of(&SyntheticModel::llama(Format::Q4_0))
    }

    fn of(model: &SyntheticModel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        drop(model.open_in(folder.path()).unwrap());
        let model = Model::open(text(&folder.path().join("synthetic.nibble")), options()).unwrap();
        Self { folder, model }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("synthetic.nibble")
    }

    fn session(&self) -> Arc<Session> {
        self.model.session(session_options()).unwrap()
    }

    fn keyboard(&self, lexicon: Option<Arc<Lexicon>>) -> Arc<Keyboard> {
        self.model.keyboard(KeyboardOptions { lexicons: Vec::from_iter(lexicon), ..keyboard_options() }).unwrap()
    }

    /// A file with a few words.
    fn word_list(&self) -> PathBuf {
        let path = self.folder.path().join("words.fst");
        let words = ["hello", "help", "held", "jelly", "world"];
        let known = |word: &str| (word.to_owned(), Word { cost: 300, listed: true });
        fs::write(&path, nibble_tasks::keyboard::lexicon::Lexicon::build(words.map(known), &Default::default()))
            .unwrap();
        path
    }
}

fn text(path: &std::path::Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn options() -> ModelOptions {
    ModelOptions { check_weights: true, source_sha256: None, memory_limit: None }
}

fn keyboard_options() -> KeyboardOptions {
    KeyboardOptions {
        lexicons: Vec::new(),
        layout: Layout::Qwerty,
        learned: None,
        languages: vec!["en".to_owned()],
        threads: 1,
        memory_limit: None,
    }
}

fn session_options() -> SessionOptions {
    SessionOptions {
        context: 128,
        overflow: Overflow::Fail,
        threads: 1,
        priority: Priority::Interactive,
        kv_cache: KvCache::F16,
        memory_limit: None,
    }
}

fn greedy() -> Sampling {
    Sampling {
        temperature: 0.0,
        top_k: 40,
        top_p: 0.95,
        min_p: 0.05,
        repetition_penalty: 1.0,
        repetition_window: 64,
        seed: 0,
        schema: None,
    }
}

fn tokens(count: u32) -> Stop {
    Stop { max_tokens: Some(count), strings: Vec::new() }
}

/// What is asked at a key where nothing special is known.
fn request(context: &str, typed: &str) -> KeyboardRequest {
    KeyboardRequest {
        context: context.to_owned(),
        typed: typed.to_owned(),
        touches: Vec::new(),
        count: 3,
        field: Field::Text,
        gate: false,
    }
}

const PROMPT: &str = "a small model on a phone";

/// All that a generation has still to say.
fn rest(generation: &Generation) -> Result<Vec<u32>, NibbleError> {
    std::iter::from_fn(|| generation.next().transpose()).map(|piece| Ok(piece?.token)).collect()
}

fn generate(session: &Session, count: u32) -> Arc<Generation> {
    session.generate(PROMPT.into(), greedy(), tokens(count))
}

#[test]
fn what_is_generated_is_what_the_engine_generates() {
    let fixture = Fixture::new();
    let generation = generate(&fixture.session(), 12);
    let found = rest(&generation).unwrap();
    assert_eq!(generation.next(), Ok(None));
    assert!(matches!(generation.finish(), Some(Finish::MaxTokens | Finish::EndOfText)));

    let model = nibble_engine::Model::open(&fixture.path()).unwrap();
    let mut session = model.session(nibble_engine::SessionOptions::default()).unwrap();
    let prompt: Vec<u32> = session.bos().into_iter().chain(session.encode(PROMPT)).collect();
    let stop = nibble_engine::Stop { max_tokens: Some(12), strings: Vec::new() };
    let expected = nibble_engine::Generator::new(&mut session, prompt, nibble_engine::Sampling::default(), stop);
    assert_eq!(found, expected.map(|piece| piece.unwrap().token).collect::<Vec<_>>());
}

#[test]
fn generations_of_one_session_can_take_turns() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let alone = rest(&generate(&session, 8)).unwrap();
    let other = session.generate("something else".into(), greedy(), tokens(8));
    let generation = generate(&session, 8);
    let mut found = Vec::new();
    while let Some(piece) = generation.next().unwrap() {
        found.push(piece.token);
        other.next().unwrap();
    }
    assert_eq!(found, alone);
}

#[test]
fn a_cancel_stops_one_generation_and_no_other() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let expected = rest(&generate(&session, 8)).unwrap();
    let generation = generate(&session, 8);
    generation.next().unwrap();
    generation.cancel();
    assert_eq!(generation.next(), Err(NibbleError::cancelled()));
    assert_eq!(generation.next(), Err(NibbleError::cancelled()), "it stays cancelled");
    assert_eq!(generation.finish(), None);
    let next = generate(&session, 8);
    generation.cancel();
    assert_eq!(rest(&next), Ok(expected), "a cancel that came late");
}

#[test]
fn a_cancel_reaches_a_prefill_under_way() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let expected = rest(&generate(&session, 4)).unwrap();
    session.generate("other".into(), greedy(), tokens(1)).next().unwrap();
    let generation = generate(&session, 4);
    // While somebody types, a prefill waits before its next layer: it cannot be over when the cancel comes.
    let typing = CpuTurn::begin(nibble_engine::Priority::Keystroke);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| generation.next());
        generation.cancel();
        assert_eq!(waiting.join().unwrap(), Err(NibbleError::cancelled()));
    });
    drop(typing);
    assert_eq!(rest(&generate(&session, 4)), Ok(expected), "the cache was rolled back");
}

#[test]
fn a_cancel_reaches_a_text_that_has_not_begun() {
    let fixture = Fixture::new();
    let (session, replier) = (fixture.session(), fixture.model.replier(1, None).unwrap());
    let turn = Turn { from_me: false, text: "Are you coming?".into() };
    // Who looked at the schema would say that it is none.
    let unfit = Sampling { schema: Some("{".into()), ..greedy() };
    for text in [session.generate(PROMPT.into(), unfit.clone(), tokens(1)), replier.draft(vec![turn.clone()], unfit)] {
        assert!(matches!(text.next(), Err(NibbleError::SchemaUnfit { .. })));
        text.cancel();
        assert_eq!(text.next(), Err(NibbleError::cancelled()));
    }
    // A draft begins when the replier is free.
    let draft = replier.draft(vec![turn], greedy());
    thread::scope(|scope| {
        let begin = |_: &mut _, _: &mut _| {
            let waiting = scope.spawn(|| draft.next());
            draft.cancel();
            Ok(waiting)
        };
        let waiting = replier.timeline.run(&CancelToken::default(), begin).unwrap();
        assert_eq!(waiting.join().unwrap(), Err(NibbleError::cancelled()));
    });
}

#[test]
fn memory_that_is_asked_for_while_some_is_given_back_comes_too() {
    let fixture = Fixture::new();
    let settings = Settings {
        name: "session",
        session: nibble_engine::SessionOptions { context: 128, ..Default::default() },
        context_is_asked_for: true,
        beside: 0,
        memory_limit: None,
        yields_at: MemoryPressure::Moderate,
    };
    let made = Arc::new(AtomicUsize::new(0));
    let itself = Arc::new(OnceLock::<Weak<Timeline<()>>>::new());
    let (count, again) = (Arc::clone(&made), Arc::clone(&itself));
    // Making the task anew is a part of giving memory back, under the lock.
    let fresh = move || {
        if count.fetch_add(1, Ordering::SeqCst) == 1 {
            again.get().unwrap().upgrade().unwrap().yield_to(MemoryPressure::Critical);
        }
    };
    let timeline = Timeline::open(&fixture.model.shared, settings, fresh).unwrap();
    itself.set(Arc::downgrade(&timeline)).unwrap();
    let request = |_: &mut nibble_engine::Session, _: &mut ()| {
        timeline.yield_to(MemoryPressure::Critical);
        Ok(())
    };
    timeline.run(&CancelToken::default(), request).unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 3, "opened, given back, and given back again");
}

#[test]
fn whatever_is_closed_says_so() {
    let fixture = Fixture::new();
    let closed = |what: &str| NibbleError::closed(what);
    let session = fixture.session();
    let generation = generate(&session, 8);
    generation.next().unwrap();
    generation.close();
    assert_eq!(generation.next(), Err(closed("generation")));
    let generation = generate(&session, 8);
    session.close();
    session.close();
    assert_eq!(generation.next(), Err(closed("session")));
    assert_eq!(session.generate(PROMPT.into(), greedy(), tokens(1)).next(), Err(closed("session")));

    let (keyboard, replier) = (fixture.keyboard(None), fixture.model.replier(1, None).unwrap());
    let ask = |keyboard: &Keyboard| keyboard.suggest(keyboard.ticket(), request("How are ", "y"));
    let turn = Turn { from_me: false, text: "Are you coming?".into() };
    keyboard.close();
    assert_eq!(ask(&keyboard).err(), Some(closed("keyboard")));
    replier.close();
    assert_eq!(replier.suggest(replier.ticket(), vec![turn.clone()], 3).err(), Some(closed("replier")));
    assert_eq!(replier.draft(vec![turn], greedy()).next(), Err(closed("replier")));

    let (session, keyboard) = (fixture.session(), fixture.keyboard(None));
    let generation = generate(&session, 8);
    fixture.model.close();
    assert_eq!(generation.next(), Err(closed("model")));
    assert_eq!(ask(&keyboard).err(), Some(closed("model")));
    assert_eq!(fixture.model.tokenize("a".into()), Err(closed("model")));
    assert_eq!(fixture.model.session(session_options()).err(), Some(closed("model")));
    assert!(fixture.model.info().vocabulary > 0, "what it was is still known");
}

#[test]
fn closing_ends_what_runs() {
    let fixture = Fixture::new();
    for close in
        [|fixture: &Fixture, _: &Session| fixture.model.close(), |_: &Fixture, session: &Session| session.close()]
            .into_iter()
            .rev()
    {
        let session = fixture.session();
        let generation = generate(&session, 4);
        let typing = CpuTurn::begin(nibble_engine::Priority::Keystroke);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| generation.next());
            close(&fixture, &session);
            let outcome = waiting.join().unwrap();
            assert!(matches!(outcome, Err(NibbleError::Closed { .. })), "{outcome:?}");
        });
        drop(typing);
    }
}

#[test]
fn memory_that_was_given_back_comes_back_by_itself() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let keyboard = fixture.keyboard(None);
    let ask = || keyboard.suggest(keyboard.ticket(), request("How are ", "y"));
    let expected = rest(&generate(&session, 6)).unwrap();
    for pressure in [MemoryPressure::Moderate, MemoryPressure::Low, MemoryPressure::Critical] {
        let generation = generate(&session, 6);
        let mut found = Vec::new();
        while let Some(piece) = generation.next().unwrap() {
            found.push(piece.token);
            fixture.model.memory_pressure(pressure);
        }
        assert_eq!(found, expected, "{pressure:?}");
        assert!(!ask().unwrap().suggestions.is_empty(), "{pressure:?}");
    }
}

#[test]
fn another_model_in_the_place_of_one_that_was_unmapped_is_refused() {
    let fixture = Fixture::new();
    let generation = generate(&fixture.session(), 6);
    generation.next().unwrap();
    fixture.model.memory_pressure(MemoryPressure::Critical);
    let other = Fixture::of(&SyntheticModel { seed: 2, ..SyntheticModel::llama(Format::Q4_0) });
    fs::rename(other.path(), fixture.path()).unwrap();
    let outcome = generation.next();
    assert!(matches!(outcome, Err(NibbleError::ModelDamaged { .. })), "{outcome:?}");
    fs::remove_file(fixture.path()).unwrap();
    let outcome = fixture.model.tokenize("a".into());
    assert!(matches!(outcome, Err(NibbleError::ModelNotFound { .. })), "{outcome:?}");
}

#[test]
fn a_limit_of_memory_is_kept_and_says_what_would_fit() {
    let fixture = Fixture::new();
    let plan = fixture.model.memory_plan(session_options()).unwrap();
    assert_eq!(plan, memory_plan(text(&fixture.path()), session_options()).unwrap());
    assert_eq!(plan.mapped, fs::metadata(fixture.path()).unwrap().len());
    assert!(plan.kv > 0 && plan.kv < plan.session, "{plan:?}");
    let needed = |error: Option<NibbleError>| match error {
        Some(NibbleError::MemoryLimit { needed, .. }) => needed,
        other => panic!("{other:?}"),
    };
    let threads = session_options().threads;
    let keyboard = KeyboardOptions { threads, memory_limit: Some(1), ..keyboard_options() };
    assert_eq!(needed(fixture.model.keyboard(keyboard).err()), plan.keyboard);
    assert_eq!(needed(fixture.model.replier(threads, Some(1)).err()), plan.replier);
    let with = |context, limit| {
        fixture.model.session(SessionOptions { context, memory_limit: Some(limit), ..session_options() })
    };
    with(128, plan.session).unwrap();
    let Err(NibbleError::MemoryLimit { needed, limit, fitting_context, reason }) = with(128, plan.session - 1) else {
        panic!("it was opened")
    };
    assert_eq!((needed, limit, fitting_context), (plan.session, plan.session - 1, Some(64)));
    assert!(reason.contains("a context of 64 would fit"), "{reason}");
    with(64, limit).unwrap();
    let more = fixture.model.memory_plan(SessionOptions { context: 192, ..session_options() }).unwrap().session;
    let Err(NibbleError::MemoryLimit { fitting_context, .. }) = with(256, more + 1) else { panic!("it was opened") };
    assert_eq!(fitting_context, Some(192), "as much as fits");
    let Err(NibbleError::MemoryLimit { fitting_context, reason, .. }) = with(128, 1) else { panic!("it was opened") };
    assert_eq!(fitting_context, None);
    assert!(reason.contains("a smaller model"), "{reason}");
    // What is suggested fits on as many threads.
    let on_threads = SessionOptions { threads: 3, ..session_options() };
    let limit = fixture.model.memory_plan(SessionOptions { context: 64, ..on_threads.clone() }).unwrap().session;
    let Err(NibbleError::MemoryLimit { fitting_context: Some(context), .. }) =
        fixture.model.session(SessionOptions { memory_limit: Some(limit), ..on_threads.clone() })
    else {
        panic!("nothing was suggested")
    };
    let suggested = SessionOptions { context: context as u32, memory_limit: Some(limit), ..on_threads };
    fixture.model.session(suggested).unwrap();
}

#[test]
fn what_is_opened_over_one_model_shares_what_it_may_take() {
    let fixture = Fixture::new();
    let needed = fixture.model.memory_plan(session_options()).unwrap().session;
    let limited =
        |limit| Model::open(text(&fixture.path()), ModelOptions { memory_limit: Some(limit), ..options() }).unwrap();
    let model = limited(3 * needed - 1);
    let open = || model.session(session_options());
    let refused = |outcome: Option<NibbleError>| match outcome {
        Some(NibbleError::MemoryLimit { needed, limit, fitting_context, .. }) => (needed, limit, fitting_context),
        other => panic!("{other:?}"),
    };
    let (first, second) = (open().unwrap(), open().unwrap());
    assert_eq!(refused(open().err()), (needed, needed - 1, Some(64)), "what the others leave");
    model.session(SessionOptions { context: 64, ..session_options() }).unwrap();
    assert_eq!(refused(model.keyboard(keyboard_options()).err()).1, needed - 1);
    assert_eq!(refused(model.replier(1, Some(1)).err()).1, 1, "its own limit holds as well");
    second.close();
    let second = open().expect("what is closed takes nothing");
    drop(second);
    let second = open().expect("nor what is gone");

    // What gave its memory back takes it again, unless it was taken meanwhile.
    let expected = rest(&generate(&first, 4)).unwrap();
    model.memory_pressure(MemoryPressure::Moderate);
    let third = open().unwrap();
    assert_eq!(rest(&generate(&first, 4)).as_ref(), Ok(&expected));
    assert_eq!(refused(rest(&generate(&second, 4)).err()).1, needed - 1);
    third.close();
    assert_eq!(rest(&generate(&second, 4)), Ok(expected));
}

#[test]
fn a_task_that_takes_too_much_memory_suggests_no_context_that_nobody_can_set() {
    let fixture = Fixture::new();
    let keyboard = |limit| fixture.model.keyboard(KeyboardOptions { memory_limit: Some(limit), ..keyboard_options() });
    let replier = |limit| fixture.model.replier(1, Some(limit));
    let refusals = [keyboard(1).map(|_| ()), replier(1).map(|_| ())];
    let needed = refusals.map(|refusal| {
        let Err(NibbleError::MemoryLimit { needed, fitting_context, reason, .. }) = refusal else {
            panic!("it was opened")
        };
        assert_eq!(fitting_context, None);
        assert!(reason.contains("a smaller model") && !reason.contains("context"), "{reason}");
        needed
    });
    keyboard(needed[0]).unwrap();
    assert!(keyboard(needed[0] - 1).is_err());
    replier(needed[1]).unwrap();
    assert!(replier(needed[1] - 1).is_err());
    let session = SessionOptions { context: 256, ..session_options() };
    let vocabulary = u64::from(fixture.model.info().vocabulary);
    assert!(
        needed[0] > fixture.model.memory_plan(session).unwrap().session + vocabulary,
        "the keyboard's table counts"
    );
}

#[cfg(unix)]
#[test]
fn a_model_in_an_open_file_outlives_its_name_and_its_descriptor() {
    use std::os::fd::AsRawFd;

    let fixture = Fixture::new();
    let expected = rest(&generate(&fixture.session(), 6)).unwrap();
    let package = fixture.folder.path().join("package");
    let model = fs::read(fixture.path()).unwrap();
    fs::write(&package, [&b"head"[..], &model, b"tail"].concat()).unwrap();
    let file = fs::File::open(&package).unwrap();
    let open = |length: usize| Model::open_descriptor(file.as_raw_fd(), 4, length as u64, options());
    let plan = memory_plan_descriptor(file.as_raw_fd(), 4, model.len() as u64, session_options());
    assert_eq!(plan, fixture.model.memory_plan(session_options()));
    for (length, fits) in [(model.len() - 1, false), (model.len() + 5, false), (model.len(), true)] {
        let outcome = open(length).map(drop);
        assert_eq!(matches!(outcome, Err(NibbleError::ModelDamaged { .. })), !fits, "{outcome:?}");
    }
    let opened = open(model.len()).unwrap();
    let descriptor = file.as_raw_fd();
    drop(file);
    fs::remove_file(&package).unwrap();
    opened.memory_pressure(MemoryPressure::Critical);
    let session = opened.session(session_options()).unwrap();
    assert_eq!(rest(&generate(&session, 6)), Ok(expected), "mapped again");
    drop((session, opened));
    // Nothing else here opens so many files that this number is taken.
    let closed = Model::open_descriptor(descriptor + 10_000, 0, 1, options()).map(drop);
    assert!(matches!(closed, Err(NibbleError::Io { .. })), "{closed:?}");
    let negative = Model::open_descriptor(-1, 0, 1, options()).map(drop);
    assert!(matches!(negative, Err(NibbleError::InvalidArgument { .. })), "{negative:?}");
    let endless = Model::open_descriptor(0, u64::MAX, 1, options()).map(drop);
    assert!(matches!(endless, Err(NibbleError::InvalidArgument { .. })), "{endless:?}");
}

#[test]
fn every_fault_of_a_file_is_told_apart() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("changed.nibble");
    let bytes = fs::read(fixture.path()).unwrap();
    let open = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = bytes.clone();
        change(&mut bytes);
        fs::write(&path, bytes).unwrap();
        Model::open(text(&path), options()).err().expect("it was opened")
    };
    let is = |error: NibbleError, expected: fn(&NibbleError) -> bool| assert!(expected(&error), "{error:?}");
    is(open(&|bytes| bytes.truncate(bytes.len() / 2)), |error| matches!(error, NibbleError::ModelDamaged { .. }));
    is(open(&|bytes| bytes.clear()), |error| matches!(error, NibbleError::ModelDamaged { .. }));
    is(open(&|bytes| bytes[20_000] ^= 1), |error| matches!(error, NibbleError::ModelDamaged { .. }));
    is(open(&|bytes| bytes[8] += 1), |error| matches!(error, NibbleError::ModelVersion { .. }));
    fs::remove_file(&path).unwrap();
    let open = |options| Model::open(text(&path), options).err().expect("it was opened");
    is(open(options()), |error| matches!(error, NibbleError::ModelNotFound { .. }));
    is(open(ModelOptions { source_sha256: Some("12".into()), ..options() }), |error| {
        matches!(error, NibbleError::InvalidArgument { .. })
    });
    let another = ModelOptions { source_sha256: Some("00".repeat(32)), ..options() };
    let error = Model::open(text(&fixture.path()), another).err().unwrap();
    is(error, |error| matches!(error, NibbleError::ModelDamaged { .. }));
    let right = ModelOptions { source_sha256: Some(fixture.model.info().source_sha256), ..options() };
    Model::open(text(&fixture.path()), right).unwrap();
    let directory = Model::open(text(fixture.folder.path()), options()).err().unwrap();
    is(directory, |error| matches!(error, NibbleError::Io { .. } | NibbleError::ModelDamaged { .. }));
}

#[test]
fn arguments_that_cannot_be_are_refused_in_words() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let refused = |sampling, stop| {
        let outcome = session.generate(PROMPT.into(), sampling, stop).next();
        assert!(matches!(outcome, Err(NibbleError::InvalidArgument { .. })), "{outcome:?}");
    };
    refused(Sampling { temperature: -1.0, ..greedy() }, tokens(1));
    refused(Sampling { temperature: f32::NAN, ..greedy() }, tokens(1));
    refused(Sampling { top_p: 1.5, ..greedy() }, tokens(1));
    refused(Sampling { repetition_penalty: 0.0, ..greedy() }, tokens(1));
    refused(greedy(), Stop { max_tokens: None, strings: vec![String::new()] });
    let nothing = fixture.model.session(SessionOptions { context: 0, ..session_options() }).map(drop);
    assert!(matches!(nothing, Err(NibbleError::InvalidArgument { .. })), "{nothing:?}");
    let unknown = fixture.model.detokenize(vec![u32::MAX]);
    assert!(matches!(unknown, Err(NibbleError::InvalidArgument { .. })), "{unknown:?}");
    let chat = session.chat(Vec::new(), greedy(), tokens(1)).next();
    assert!(matches!(chat, Err(NibbleError::NoChatTemplate { .. })), "{chat:?}");
    let long = session.generate("word ".repeat(500), greedy(), tokens(1)).next();
    assert!(matches!(long, Err(NibbleError::ContextOverflow { context: 128, .. })), "{long:?}");
}

#[test]
fn no_error_repeats_what_was_typed() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let secret = "hunter2 ".repeat(500);
    let errors = [
        session.generate(secret.clone(), greedy(), tokens(1)).next().map(drop),
        session
            .generate(secret.clone(), greedy(), Stop { max_tokens: None, strings: vec!["".into(), secret] })
            .next()
            .map(drop),
    ];
    for error in errors.map(Result::unwrap_err) {
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_panic_costs_a_session_its_cache_and_nothing_else() {
    let fixture = Fixture::new();
    let session = fixture.session();
    let expected = rest(&generate(&session, 4)).unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        session.timeline.run(&CancelToken::default(), |_, ()| -> Result<(), NibbleError> { panic!("a fault") })
    }));
    assert!(panic.is_err());
    assert_eq!(rest(&generate(&session, 4)), Ok(expected));
}

#[test]
fn sessions_of_one_model_do_not_wait_for_each_other() {
    let fixture = Fixture::new();
    let (one, other) = (fixture.session(), fixture.session());
    let (one, other) = (generate(&one, 4), generate(&other, 4));
    // The first holds its session's lock for as long as the second runs.
    one.next().unwrap();
    let held = one.clone();
    thread::scope(|scope| {
        let found = scope.spawn(move || rest(&other)).join().unwrap();
        assert!(found.is_ok());
    });
    assert!(rest(&held).is_ok());
}

#[test]
fn a_word_list_that_is_none_is_refused_by_name() {
    let fixture = Fixture::new();
    let path = fixture.word_list();
    assert_eq!(Lexicon::open(text(&path)).unwrap().size(), 5);
    let mut changed = fs::read(&path).unwrap();
    changed[20] ^= 0x40;
    for (bytes, why) in [(None, "no such file"), (Some(&changed[..]), "damaged"), (Some(b""), "no word list")] {
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let Err(NibbleError::LexiconUnfit { reason }) = Lexicon::open(text(&path)) else { panic!("{why}") };
        assert!(reason.contains("words.fst") && reason.contains(why) && reason.contains("without"), "{reason}");
    }
    let folder = Lexicon::open(text(fixture.folder.path()));
    assert!(matches!(folder, Err(NibbleError::Io { .. })), "{:?}", folder.err());
}

#[cfg(unix)]
#[test]
fn a_word_list_may_lie_in_an_open_file() {
    use std::os::fd::AsRawFd;

    let fixture = Fixture::new();
    let list = fs::read(fixture.word_list()).unwrap();
    let path = fixture.folder.path().join("package");
    fs::write(&path, [b"head", &list[..], b"tail"].concat()).unwrap();
    let file = fs::File::open(path).unwrap();
    let open = |offset, length| Lexicon::open_descriptor(file.as_raw_fd(), offset, length);
    let length = list.len() as u64;
    let lexicon = open(4, length).unwrap();
    for (offset, length) in [(0, length), (4, length + 1), (4, length + 100)] {
        assert!(matches!(open(offset, length), Err(NibbleError::LexiconUnfit { .. })), "{offset} {length}");
    }
    assert!(matches!(open(u64::MAX, 1), Err(NibbleError::InvalidArgument { .. })));
    drop(file);
    let keyboard = fixture.keyboard(Some(lexicon));
    let found = keyboard.suggest(keyboard.ticket(), request("Say ", "helo")).unwrap();
    assert!(found.suggestions.iter().any(|s| s.kind == SuggestionKind::Correction), "{found:?}");
}

/// The probability of a word after what was typed, 0 if it is not among the answers.
fn probability(keyboard: &Keyboard, request: KeyboardRequest, word: &str) -> f64 {
    let found = keyboard.suggest(keyboard.ticket(), KeyboardRequest { count: 20, ..request }).unwrap();
    let same = |suggestion: &&Suggestion| suggestion.word.eq_ignore_ascii_case(word);
    found.suggestions.iter().find(same).map_or(0.0, |suggestion| suggestion.probability)
}

#[test]
fn touches_and_the_layout_decide_what_was_meant() {
    let fixture = Fixture::new();
    let lexicon = Lexicon::open(text(&fixture.word_list())).unwrap();
    let keyboard = |layout| {
        let lexicons = vec![Arc::clone(&lexicon)];
        fixture.model.keyboard(KeyboardOptions { lexicons, layout, ..keyboard_options() }).unwrap()
    };
    let of_jelly = |keyboard: &Keyboard, touches: &[f32]| {
        probability(keyboard, KeyboardRequest { touches: touches.to_vec(), ..request("Say ", "helly") }, "jelly")
    };
    // What it has computed changes what it knows of other words, so each is asked once.
    let touched = |touches: &[f32]| of_jelly(&keyboard(Layout::Qwerty), touches);
    let unknown = touched(&[]);
    // The edge of h towards j, and the one away from it.
    let (near, far) = (touched(&[6.45, 1.5]), touched(&[5.55, 1.5]));
    assert!(near > unknown && unknown > far, "{near} {unknown} {far}");
    for no_point in [[f32::NAN, 1.5], [6.45, f32::INFINITY], [f32::NAN; 2]] {
        assert_eq!(touched(&no_point), unknown, "{no_point:?}");
    }
    // h and j are far apart there.
    let dvorak = of_jelly(&keyboard(Layout::Dvorak), &[]);
    assert!(dvorak < unknown, "{dvorak} {unknown}");
    let changed = keyboard(Layout::Qwerty);
    changed.set_layout(Layout::Dvorak).unwrap();
    assert_eq!(of_jelly(&changed, &[]), dvorak);
    fixture.model.memory_pressure(MemoryPressure::Low);
    assert_eq!(of_jelly(&changed, &[]), dvorak, "a keyboard that was made anew");
}

#[test]
fn touches_and_keys_that_cannot_be_are_refused() {
    let fixture = Fixture::new();
    let keyboard = fixture.keyboard(None);
    for touches in [vec![1.0], vec![0.0; 14]] {
        let asked = keyboard.suggest(keyboard.ticket(), KeyboardRequest { touches, ..request("Say ", "secret") });
        let Err(NibbleError::InvalidArgument { reason }) = asked else { panic!("{asked:?}") };
        assert!(reason.contains("touches") && !reason.contains("secret"), "{reason}");
    }
    let key = |key: &str, x: f32| Key { key: key.to_owned(), x, y: 0.0, width: 1.0, height: 1.0 };
    for keys in
        [vec![], vec![key("ab", 0.0)], vec![key("", 0.0)], vec![key("A", 0.0)], vec![key("a", 0.0), key("b", 0.5)]]
    {
        let layout = Layout::Keys { keys };
        let options = KeyboardOptions { layout: layout.clone(), ..keyboard_options() };
        assert!(matches!(fixture.model.keyboard(options), Err(NibbleError::InvalidArgument { .. })), "{layout:?}");
        assert!(matches!(keyboard.set_layout(layout), Err(NibbleError::InvalidArgument { .. })));
    }
    for layout in
        [Layout::Qwerty, Layout::Qwertz, Layout::Azerty, Layout::Dvorak, Layout::Keys { keys: vec![key("a", 0.0)] }]
    {
        keyboard.set_layout(layout).unwrap();
    }
    keyboard.close();
    assert_eq!(keyboard.set_layout(Layout::Qwerty), Err(NibbleError::closed("keyboard")));
}

/// What the editor has after these keys.
fn type_keys(typing: &TypingSession, text: &mut String, keys: &str) {
    for key in keys.chars() {
        apply(text, &typing.key(key.to_string(), f32::NAN, f32::NAN));
    }
}

fn apply(text: &mut String, edit: &Edit) {
    assert!(text.ends_with(&edit.delete), "{text:?} {edit:?}");
    text.truncate(text.len() - edit.delete.len());
    text.push_str(&edit.insert);
}

#[test]
fn a_typing_session_mends_takes_back_and_learns() {
    let fixture = Fixture::new();
    let learned = LearnedWords::open(text(&fixture.folder.path().join("learned")), Some(vec![7; 32])).unwrap();
    let lexicons = vec![Lexicon::open(text(&fixture.word_list())).unwrap()];
    let options = KeyboardOptions { lexicons, learned: Some(Arc::clone(&learned)), ..keyboard_options() };
    let keyboard = fixture.model.keyboard(options).unwrap();
    let typing = Arc::clone(&keyboard).start(Field::Text, String::new(), String::new());
    let mut editor = String::new();
    assert!(typing.begins_sentence());
    type_keys(&typing, &mut editor, "Say worlf");
    let glance = typing.glance(keyboard.ticket()).unwrap();
    let strip = typing.refine(keyboard.ticket()).unwrap();
    assert_eq!((glance.generation, strip.replaces.as_str()), (strip.generation, "worlf"));
    assert_eq!(strip.autocorrect.as_deref(), Some("world"));
    let ticket = keyboard.ticket();
    type_keys(&typing, &mut editor, " ");
    assert_eq!(editor, "Say world ");
    assert_eq!(typing.refine(ticket), Err(NibbleError::superseded()), "it was for the text before");
    apply(&mut editor, &typing.backspace());
    assert_eq!(editor, "Say worlf ");
    assert_eq!(typing.accept(strip.generation, "world".to_owned()), None, "the strip is stale");
    assert!(!typing.reported("Say worl".to_owned(), String::new(), false), "an editor that is late");
    type_keys(&typing, &mut editor, "hel");
    let strip = typing.refine(keyboard.ticket()).unwrap();
    apply(&mut editor, &typing.accept(strip.generation, "help".to_owned()).unwrap());
    assert_eq!(editor, "Say worlf help ");
    assert!(typing.reported("Say worlf help ".to_owned(), "more".to_owned(), false), "another place");
    let strip = typing.refine(keyboard.ticket()).unwrap();
    assert_eq!((strip.suggestions, strip.autocorrect), (vec![], None), "before a word");
    typing.finish();
    typing.learn().unwrap();
    let words = |learned: &LearnedWords| learned.list().into_iter().map(|word| word.word).collect::<Vec<_>>();
    assert_eq!(words(&learned), ["help", "say", "worlf"]);
    let typing = Arc::clone(&keyboard).start(Field::Text, "Say ".to_owned(), String::new());
    type_keys(&typing, &mut editor, "worlf");
    assert_eq!(typing.refine(keyboard.ticket()).unwrap().autocorrect, None, "it was taken back");
    learned.close().unwrap();
    typing.finish();
    typing.learn().unwrap();
    drop(keyboard);
    let again = LearnedWords::open(text(&fixture.folder.path().join("learned")), Some(vec![7; 32])).unwrap();
    assert_eq!(words(&again), ["help", "say", "worlf"]);
    assert!(again.forget("Worlf".to_owned()).unwrap());
    let exported = again.export();
    again.wipe().unwrap();
    again.add(exported).unwrap();
    assert_eq!(words(&again), ["help", "say"]);
}

#[test]
fn learned_words_that_cannot_be_opened_are_named() {
    let fixture = Fixture::new();
    let path = fixture.folder.path().join("learned");
    let open = |key| LearnedWords::open(text(&path), key);
    let unfit = |opened: Result<Arc<LearnedWords>, NibbleError>| {
        assert!(matches!(opened.err(), Some(NibbleError::LearnedWordsUnfit { .. })));
    };
    assert!(matches!(open(Some(vec![1; 31])), Err(NibbleError::InvalidArgument { .. })));
    let learned = open(Some(vec![1; 32])).unwrap();
    unfit(open(Some(vec![1; 32])));
    learned.close().unwrap();
    unfit(open(Some(vec![2; 32])));
    unfit(open(None));
    fs::write(&path, "no words").unwrap();
    unfit(open(None));
    let nowhere = LearnedWords::open(text(&path.join("learned")), None);
    assert!(matches!(nowhere, Err(NibbleError::Io { .. })));
    let learned = LearnedWords::in_memory();
    assert!(matches!(learned.add("{}".to_owned()), Err(NibbleError::InvalidArgument { .. })));
}

#[test]
fn a_secret_does_not_even_reach_the_model() {
    let fixture = Fixture::new();
    let keyboard = fixture.keyboard(Some(Lexicon::open(text(&fixture.word_list())).unwrap()));
    let ask = |field| keyboard.suggest(keyboard.ticket(), KeyboardRequest { field, ..request("Say ", "helo") });
    // A model that is not there could not be asked.
    fixture.model.memory_pressure(MemoryPressure::Critical);
    fs::remove_file(fixture.path()).unwrap();
    for field in [Field::Password, Field::Number, Field::Code] {
        assert_eq!(ask(field), Ok(Suggestions::default()), "{field:?}");
    }
    assert!(matches!(ask(Field::Text), Err(NibbleError::ModelNotFound { .. })));
    keyboard.close();
    assert_eq!(ask(Field::Password), Err(NibbleError::closed("keyboard")));
}

#[test]
fn an_address_is_not_corrected() {
    let fixture = Fixture::new();
    let keyboard = fixture.keyboard(Some(Lexicon::open(text(&fixture.word_list())).unwrap()));
    for field in [Field::Text, Field::NoLearning, Field::Search, Field::Email, Field::Url] {
        let ask = |typed| {
            let asked = KeyboardRequest { field, count: 20, ..request("Say ", typed) };
            keyboard.suggest(keyboard.ticket(), asked).unwrap()
        };
        let found = ask("helo");
        let corrected = found.suggestions.iter().any(|s| s.kind == SuggestionKind::Correction);
        assert_eq!(corrected, !matches!(field, Field::Email | Field::Url), "{field:?}");
        assert!(!ask("y").suggestions.is_empty(), "{field:?}");
    }
}

#[test]
fn many_threads_and_a_close_in_their_midst_give_answers_or_documented_errors() {
    let fixture = Fixture::new();
    let keyboard = fixture.keyboard(None);
    let session = fixture.session();
    thread::scope(|scope| {
        for i in 0..8 {
            let (keyboard, session) = (&keyboard, &session);
            scope.spawn(move || {
                for typed in ["", "h", "he", "hel"] {
                    let outcome = keyboard.suggest(keyboard.ticket(), request(&format!("Line {i} "), typed)).map(drop);
                    let expected = [Ok(()), Err(NibbleError::superseded()), Err(NibbleError::closed("keyboard"))];
                    assert!(expected.contains(&outcome), "{outcome:?}");
                    let outcome = rest(&session.generate(PROMPT.into(), greedy(), tokens(2)));
                    let closed = outcome == Err(NibbleError::closed("session"));
                    assert!(outcome.is_ok() || closed, "{outcome:?}");
                }
            });
        }
        scope.spawn(|| {
            keyboard.close();
            session.close();
        });
    });
}

/// A GGUF of a small random model, in the fixture's folder.
fn gguf(fixture: &Fixture, seed: u64) -> String {
    let path = fixture.folder.path().join("source.gguf");
    let model = SyntheticModel { seed, ..SyntheticModel::llama(Format::Q4_0) };
    fs::write(&path, model.gguf().build()).unwrap();
    text(&path)
}

#[test]
fn a_packing_is_watched_stopped_and_run_again() {
    let fixture = Fixture::new();
    let (source, target) = (gguf(&fixture, 7), text(&fixture.folder.path().join("packed.nibble")));
    let packing = Packing::new(source.clone(), target.clone(), None).unwrap();
    assert_eq!(packing.progress(), PackProgress { done: 0, total: 0 });
    packing.run().unwrap();
    let progress = packing.progress();
    assert!(progress.done == progress.total && progress.total > 0);
    let model = Model::open(target.clone(), options()).unwrap();

    let other = text(&fixture.folder.path().join("other.nibble"));
    let sound = model.info().source_sha256;
    Packing::new(source.clone(), other.clone(), Some(sound)).unwrap().run().unwrap();
    fs::remove_file(&other).unwrap();
    let wrong = Packing::new(source.clone(), other.clone(), Some("ab".repeat(32))).unwrap().run();
    assert!(matches!(wrong, Err(NibbleError::ModelDamaged { .. })));
    let stopped = Packing::new(source, other.clone(), None).unwrap();
    stopped.cancel();
    assert!(matches!(stopped.run(), Err(NibbleError::Cancelled { .. })));
    assert!(!PathBuf::from(&other).exists());

    let refused = |source: &str, target: &str| Packing::new(source.into(), target.into(), None).unwrap().run();
    assert!(matches!(refused("/nowhere.gguf", &other), Err(NibbleError::ModelNotFound { .. })));
    assert!(matches!(refused(&target, &other), Err(NibbleError::ModelDamaged { .. })), "packed already");
    assert!(Packing::new(target, other, Some("abc".into())).is_err());
}

#[test]
fn a_signed_model_is_downloaded_installed_and_rolled_back() {
    let fixture = Fixture::new();
    let store = ModelStore::open(text(&fixture.folder.path().join("models")), None).unwrap();
    let keys = || vec![nibble_engine::hexadecimal(&nibble_engine::public_key(&[7; 32]))];
    let publish = |sequence, minimum_memory| {
        let path = gguf(&fixture, sequence);
        let licence = Licence { name: "CC0-1.0".into(), url: None };
        let about = About { name: "words".into(), sequence, licence, minimum_memory };
        let manifest = nibble_engine::Manifest::of_file(path.as_ref(), about, 30_000).unwrap();
        (manifest.sign(&[7; 32]).into_bytes(), fs::read(path).unwrap())
    };
    let begin = |manifest: &[u8]| store.download(manifest.to_vec(), keys(), false, None);
    for sequence in [1, 2] {
        let (manifest, content) = publish(sequence, 1000);
        let download = begin(&manifest).unwrap();
        assert_eq!((download.manifest().name.as_str(), download.manifest().sequence), ("words", sequence));
        let end = download.manifest().length;
        assert_eq!(download.missing(), [ByteRange { start: 0, end }]);
        download.write(0, content[..30_000].to_vec()).unwrap();
        let wrong = download.write(30_000, vec![0; content.len() - 30_000]);
        assert!(matches!(wrong, Err(NibbleError::ModelDamaged { .. })));
        let early = download.install().unwrap().run();
        assert!(matches!(early, Err(NibbleError::InvalidArgument { .. })));
        drop(download);
        let download = begin(&manifest).unwrap();
        assert_eq!(download.missing(), [ByteRange { start: 30_000, end }]);
        download.write(30_000, content[30_000..].to_vec()).unwrap();
        download.install().unwrap().run().unwrap();
        assert_eq!(store.installed().unwrap()[0].source_sha256.as_ref(), Some(&download.manifest().sha256));
    }
    let newer = store.installed().unwrap();
    store.rollback("words".into()).unwrap();
    assert_ne!(store.installed().unwrap()[0].source_sha256, newer[0].source_sha256);
    assert!(matches!(store.rollback("words".into()), Err(NibbleError::ModelNotFound { .. })));

    let (manifest, _) = publish(1, 1000);
    assert!(matches!(begin(&manifest), Err(NibbleError::ManifestOlder { .. })));
    store.download(manifest.clone(), keys(), true, None).unwrap().discard().unwrap();
    assert!(matches!(begin(b"{}"), Err(NibbleError::ManifestUnfit { .. })));
    let untrusted = store.download(manifest.clone(), Vec::new(), true, None);
    assert!(matches!(untrusted, Err(NibbleError::ManifestUntrusted { .. })));
    let bad_key = store.download(manifest, vec!["abc".into()], true, None);
    assert!(matches!(bad_key, Err(NibbleError::InvalidArgument { .. })));
    let refused = store.download(publish(3, 1000).0, keys(), false, Some(999));
    assert!(matches!(refused, Err(NibbleError::MemoryLimit { needed: 1000, limit: 999, .. })));
}

#[test]
fn a_store_holds_what_was_installed() {
    let fixture = Fixture::new();
    let folder = fixture.folder.path().join("models");
    let store = ModelStore::open(text(&folder), None).unwrap();
    assert!(matches!(store.path("small".into()), Err(NibbleError::ModelNotFound { .. })));
    store.install("small".into(), gguf(&fixture, 7), None).unwrap().run().unwrap();
    store.install("copied".into(), text(&fixture.path()), None).unwrap().run().unwrap();
    let installed = store.installed().unwrap();
    assert_eq!(installed.len(), 2);
    let copied = installed.iter().find(|model| model.name == "copied").unwrap();
    assert_eq!(copied.source_sha256.as_ref(), Some(&fixture.model.info().source_sha256));
    assert_eq!(copied.path, store.path("copied".into()).unwrap());
    assert!(copied.last_used > 1_700_000_000);
    Model::open(copied.path.clone(), options()).unwrap();
    let options = session_options();
    let needed = memory_plan(copied.path.clone(), options.clone()).unwrap().session;
    let fitting = |limit| store.fitting(options.clone(), limit).unwrap();
    let names = |models: &[InstalledModel]| models.iter().map(|model| model.name.clone()).collect::<Vec<_>>();
    assert!(names(&fitting(u64::MAX)).len() == 2 && fitting(u64::MAX).is_sorted_by_key(|model| Reverse(model.bytes)));
    assert!(
        names(&fitting(needed)).contains(&"copied".into()) && !names(&fitting(needed - 1)).contains(&"copied".into())
    );
    let nonsense = SessionOptions { context: 0, ..options.clone() };
    assert!(matches!(store.fitting(nonsense, u64::MAX), Err(NibbleError::InvalidArgument { .. })));
    store.remove("copied".into()).unwrap();
    assert_eq!(store.installed().unwrap().len(), 1);

    let small = ModelStore::open(text(&folder), Some(1000)).unwrap();
    let refused = small.install("larger".into(), gguf(&fixture, 8), None).unwrap().run();
    assert!(matches!(refused, Err(NibbleError::StorageFull { .. })));
    assert_eq!(store.installed().unwrap().len(), 1, "nothing had to go for what does not fit anyway");
    let bad = store.install("../outside".into(), gguf(&fixture, 8), None).unwrap().run();
    assert!(matches!(bad, Err(NibbleError::InvalidArgument { .. })));
}

#[test]
fn a_snapshot_saves_what_was_computed() {
    let fixture = Fixture::new();
    let path = text(&fixture.folder.path().join("prompt.snapshot"));
    let session = fixture.session();
    assert!(matches!(session.save_snapshot(path.clone()), Err(NibbleError::InvalidArgument { .. })), "nothing yet");
    let expected = rest(&generate(&session, 6)).unwrap();
    session.save_snapshot(path.clone()).unwrap();

    let restored = fixture.session();
    let tokens = fixture.model.tokenize(PROMPT.into()).unwrap().len() as u32;
    assert!(restored.restore_snapshot(path.clone()).unwrap() >= tokens);
    assert_eq!(rest(&generate(&restored, 6)).unwrap(), expected);

    let other = Fixture::of(&SyntheticModel { seed: 2, ..SyntheticModel::llama(Format::Q4_0) });
    let refused = other.session().restore_snapshot(path.clone());
    assert!(matches!(refused, Err(NibbleError::SnapshotUnfit { .. })), "{refused:?}");
    assert!(matches!(restored.restore_snapshot("/nowhere".into()), Err(NibbleError::ModelNotFound { .. })));
    restored.close();
    assert!(matches!(restored.restore_snapshot(path), Err(NibbleError::Closed { .. })));
}

#[cfg(unix)]
#[test]
fn a_snapshot_may_lie_in_an_open_file() {
    use std::os::fd::AsRawFd;

    let fixture = Fixture::new();
    let (path, package) = ["prompt.snapshot", "package"].map(|name| fixture.folder.path().join(name)).into();
    let session = fixture.session();
    let expected = rest(&generate(&session, 6)).unwrap();
    session.save_snapshot(text(&path)).unwrap();
    let snapshot = fs::read(&path).unwrap();
    fs::write(&package, [&b"head?"[..], &snapshot, b"tail"].concat()).unwrap();
    let file = fs::File::open(&package).unwrap();
    let restored = fixture.session();
    let restore = |offset, length| restored.restore_snapshot_descriptor(file.as_raw_fd(), offset, length);
    let length = snapshot.len() as u64;
    for (offset, length) in [(0, length), (5, length - 1), (5, length + 1), (5, length + 100), (5, 0)] {
        assert!(matches!(restore(offset, length), Err(NibbleError::SnapshotUnfit { .. })), "{offset} {length}");
    }
    assert!(matches!(restore(u64::MAX, 1), Err(NibbleError::InvalidArgument { .. })));
    assert_eq!(restore(5, length), restored.restore_snapshot(text(&path)));
    drop(file);
    assert_eq!(rest(&generate(&restored, 6)).unwrap(), expected);
}

#[test]
fn less_power_is_slower_and_never_other() {
    let fixture = Fixture::new();
    let expected = rest(&generate(&fixture.session(), 12)).unwrap();
    let session = fixture.model.session(SessionOptions { threads: 3, ..session_options() }).unwrap();
    for state in [PowerState::Saving, PowerState::Hot, PowerState::Critical, PowerState::Normal] {
        set_power_state(state);
        assert_eq!(rest(&generate(&session, 12)).unwrap(), expected, "{state:?}");
    }
    if cfg!(target_os = "linux") {
        assert!(!worker_thread_ids().is_empty());
    }
}

#[test]
fn a_calibration_is_stopped_and_ends_with_its_model() {
    let fixture = Fixture::new();
    let kept = fixture.folder.path().join("synthetic.nibble.threads.json");
    let stopped = fixture.model.calibration();
    stopped.cancel();
    assert!(matches!(stopped.run(), Err(NibbleError::Cancelled { .. })) && !kept.exists());
    fixture.model.calibration().run().unwrap();
    assert!(kept.exists());
    fixture.model.close();
    assert!(matches!(fixture.model.calibration().run(), Err(NibbleError::Closed { .. })));
}
