//! Sessions over small random models: whatever way the same tokens are computed, the logits have the same bits.

use std::cell::Cell;
use std::iter::repeat_n;

use nibble_kernels::{Format, Kernels};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::kv::{Half, LayerCache};
use crate::testing::SyntheticModel;
use crate::threads::MAX_THREADS;

const TOKENS: [TokenId; 24] = [3, 9, 4, 77, 78, 79, 5, 5, 5, 9, 100, 41, 42, 7, 8, 90, 12, 13, 9, 4, 77, 60, 61, 62];

/// A model of each architecture, with a window (8) much shorter than [`TOKENS`].
fn models() -> [Model; 3] {
    let [llama, gemma3, qwen2] = [SyntheticModel::llama, SyntheticModel::gemma3, SyntheticModel::qwen2];
    [llama(Format::Q4_1), gemma3(Format::Q5_0), qwen2(Format::Q8_0)].map(open)
}

fn open(model: SyntheticModel) -> Model {
    let folder = tempfile::tempdir().expect("a temporary folder");
    model.open_in(folder.path()).expect("a sound model")
}

fn session(model: &Model, change: impl FnOnce(&mut SessionOptions)) -> Session {
    let mut options = SessionOptions { context: 64, threads: 1, ..SessionOptions::default() };
    change(&mut options);
    model.session(options).expect("a session")
}

fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|l| l.to_bits()).collect()
}

fn fresh(model: &Model, tokens: &[TokenId]) -> Vec<u32> {
    bits(session(model, |_| ()).sync(tokens).expect("logits"))
}

#[test]
fn threads_chunks_and_tiers_change_no_bit() {
    for model in models() {
        let expected = fresh(&model, &TOKENS);
        assert!(expected.iter().any(|&b| b != expected[0]), "logits of a random model differ");
        for threads in [1, 2, 3, 4] {
            for chunk in [1, 3, 8, 64] {
                for kernels in Kernels::available() {
                    let mut session = session(&model, |o| {
                        (o.threads, o.prefill_chunk, o.tier) = (threads, chunk, Some(kernels.tier()));
                    });
                    let logits = session.sync(&TOKENS).expect("logits");
                    assert_eq!(bits(logits), expected, "{threads} threads, chunks of {chunk}, {kernels:?}");
                }
            }
        }
    }
}

#[test]
fn prefill_and_decode_have_threads_of_their_own() {
    let [model, ..] = models();
    let mut session = session(&model, |o| o.threads = 2);
    assert_eq!(session.threads(), Threads::both(2));
    for threads in [Threads { prefill: 3, decode: 1 }, Threads { prefill: 1, decode: 4 }, Threads::both(1)] {
        session.set_threads(threads);
        assert_eq!(session.threads(), threads);
        session.truncate(0);
        for len in [9, 10, 18, 24] {
            assert_eq!(bits(session.sync(&TOKENS[..len]).expect("logits")), fresh(&model, &TOKENS[..len]));
        }
    }
    session.set_threads(Threads { prefill: 0, decode: 100 });
    assert_eq!(session.threads(), Threads { prefill: 1, decode: MAX_THREADS });
}

#[test]
fn threads_left_open_suit_the_model_and_the_cores() {
    let [model, ..] = models();
    let small = model.config();
    let large = Config { layers: vec![small.layers[0]; 16], embedding: 2048, feed_forward: 8192, ..small.clone() };
    for (cores, expected_small, expected_large) in [
        (1, Threads::both(1), Threads::both(1)),
        (2, Threads::both(2), Threads::both(2)),
        (4, Threads { prefill: 4, decode: 2 }, Threads::both(4)),
        (8, Threads { prefill: 4, decode: 2 }, Threads::both(4)),
    ] {
        assert_eq!(default_threads(small, cores), expected_small, "{cores} cores");
        assert_eq!(default_threads(&large, cores), expected_large, "{cores} cores");
    }
}

#[test]
fn the_best_tokens_are_those_of_the_full_head() {
    let untied = SyntheticModel { tied: false, ..SyntheticModel::gemma3(Format::Q8_0) };
    for model in [SyntheticModel::llama(Format::Q8_0), untied, SyntheticModel::llama(Format::Q5_1)] {
        let screened = model.format == Format::Q8_0;
        let model = open(model);
        assert_eq!(model.has_screened_head(), screened);
        let logits = session(&model, |_| ()).sync(&TOKENS).expect("logits").to_vec();
        for (threads, k) in [(1, 0), (1, 1), (2, 3), (3, 40), (1, logits.len()), (2, 10_000)] {
            let mut expected: Vec<_> = (0..).zip(logits.iter().copied()).collect();
            expected.sort_by(|a: &(TokenId, f32), b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            expected.truncate(k);
            let mut top = vec![(7, 7.0)];
            let mut session = session(&model, |o| o.threads = threads);
            session.sync_top(&TOKENS, k, &mut top).expect("logits");
            assert_eq!(top, expected, "{k} best on {threads} threads");
            // All logits of the same position are had without computing the position again.
            assert_eq!(bits(session.sync(&TOKENS).expect("logits")), bits(&logits));
            assert_eq!(session.computed(), TOKENS.len() as u64);
            session.sync_top(&TOKENS, k, &mut top).expect("logits");
            assert_eq!(top, expected, "from all logits");
        }
    }
}

#[test]
fn the_best_tokens_of_a_text_are_those_of_its_positions() {
    for model in [SyntheticModel::llama(Format::Q8_0), SyntheticModel::llama(Format::Q4_0)].map(open) {
        let mut best = Vec::new();
        let mut text = session(&model, |_| ());
        text.score_top(&TOKENS, 5, |_, top| best.push(top.to_vec())).expect("scores");
        for (i, best) in best.iter().enumerate() {
            let mut top = Vec::new();
            session(&model, |_| ()).sync_top(&TOKENS[..=i], 5, &mut top).expect("logits");
            assert_eq!(top, *best, "position {i}");
        }
        assert_eq!(best.len(), TOKENS.len());
        let all = bits(text.sync(&TOKENS).expect("logits"));
        assert_eq!((all, text.computed()), (fresh(&model, &TOKENS), TOKENS.len() as u64));
    }
}

#[test]
fn some_logits_are_those_of_the_full_head() {
    for model in models().into_iter().chain([open(SyntheticModel::llama(Format::Q8_0))]) {
        let logits = session(&model, |_| ()).sync(&TOKENS).expect("logits").to_vec();
        let last = logits.len() as TokenId - 1;
        let tokens = [last, 3, 17, 3, 16, 0, 200];
        let expected: Vec<f32> = tokens.iter().map(|&token| logits[token as usize]).collect();
        let mut session = session(&model, |_| ());
        let mut some = vec![1.0];
        assert!(matches!(
            session.sync_some(&TOKENS, &[0, last + 1], &mut some),
            Err(Error::UnknownToken { token, .. }) if token == last + 1
        ));
        assert_eq!(session.computed(), 0);
        session.sync_some(&TOKENS, &tokens, &mut some).expect("logits");
        assert_eq!(bits(&some), bits(&expected));
        session.sync(&TOKENS).expect("logits");
        session.sync_some(&TOKENS, &tokens, &mut some).expect("logits");
        assert_eq!(bits(&some), bits(&expected), "from all logits");
        session.sync_some(&TOKENS, &[], &mut some).expect("no logits");
        assert!(some.is_empty());
    }
}

#[test]
fn every_format_runs_in_a_graph_on_every_tier() {
    use Format::{BF16, F16, F32, Q4_0, Q4_1, Q4_K, Q5_0, Q5_1, Q5_K, Q6_K, Q8_0};
    for format in [F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K, Q6_K] {
        let model =
            open(SyntheticModel { biases: true, rope_factors: true, tied: false, ..SyntheticModel::llama(format) });
        let mut results = Kernels::available().map(|kernels| {
            let mut session = session(&model, |o| (o.tier, o.threads) = (Some(kernels.tier()), 2));
            bits(session.sync(&TOKENS[..9]).expect("logits"))
        });
        let scalar = results.next().expect("the scalar tier");
        assert!(results.all(|other| other == scalar), "{format:?}");
    }
}

#[test]
fn a_shared_prefix_is_not_computed_again() {
    for model in models() {
        let mut session = session(&model, |_| ());
        session.sync(&TOKENS).expect("logits");
        assert_eq!(session.computed(), 24);

        session.sync(&TOKENS).expect("logits");
        assert_eq!(session.computed(), 24, "nothing is new");

        let mut other = TOKENS;
        other[20] += 1;
        let logits = bits(session.sync(&other).expect("logits"));
        assert_eq!(session.computed(), 28, "20 of 24 tokens are shared");
        assert_eq!(logits, fresh(&model, &other));

        let logits = bits(session.sync(&other[..10]).expect("logits"));
        assert_eq!(session.computed(), 29, "only the logits of the last token were missing");
        assert_eq!(logits, fresh(&model, &other[..10]));
        assert_eq!(session.tokens(), &other[..10]);
    }
}

#[test]
fn nodes_have_the_logits_of_their_path() {
    for model in models() {
        let mut session = session(&model, |o| o.threads = 2);
        session.sync(&TOKENS[..12]).expect("logits");
        let path = |rest: &[TokenId]| fresh(&model, &[&TOKENS[..12], rest].concat());

        let first = session.grow(&[(Node::ROOT, 5), (Node::ROOT, 6), (Node::ROOT, 5)]).expect("nodes");
        assert_eq!(bits(session.logits(0)), path(&[5]));
        assert_eq!(bits(session.logits(1)), path(&[6]));
        assert_eq!(bits(session.logits(2)), path(&[5]));

        let second = session.grow(&[(first[1], 7), (first[0], 8)]).expect("nodes");
        assert_eq!(bits(session.logits(0)), path(&[6, 7]));
        assert_eq!(bits(session.logits(1)), path(&[5, 8]));
        let third = session.grow(&[(second[1], 9)]).expect("nodes");
        session.grow(&[(third[0], 10)]).expect("nodes");
        assert_eq!(bits(session.logits(0)), path(&[5, 8, 9, 10]));
        assert_eq!(session.computed(), 12 + 7);

        // The tree does not touch the timeline, and ends with it.
        assert_eq!(bits(session.sync(&TOKENS[..12]).expect("logits")), fresh(&model, &TOKENS[..12]));
        assert_eq!(session.grow(&[(third[0], 11)]).expect("the tree is still there").len(), 1);
        session.sync(&TOKENS[..13]).expect("logits");
        assert!(matches!(session.grow(&[(third[0], 11)]), Err(Error::UnknownNode { .. })));
    }
}

#[test]
fn sliding_layers_forget_and_a_text_that_needs_it_is_computed_anew() {
    let model = open(SyntheticModel { context: 1024, ..SyntheticModel::gemma3(Format::Q4_0) });
    let long: Vec<TokenId> = (0..700).map(|i| 3 + i * i % 90).collect();
    let fresh = |tokens: &[TokenId]| bits(session(&model, |o| o.context = 1024).sync(tokens).expect("logits"));
    for chunk in [7, 400] {
        let mut session = session(&model, |o| (o.context, o.prefill_chunk) = (1024, chunk));
        assert_eq!(bits(session.sync(&long).expect("logits")), fresh(&long), "chunks of {chunk}");
        // Cut a little, it goes on from there.
        let mut other = long[..560].to_vec();
        other.extend([5, 6, 7]);
        assert_eq!(bits(session.sync(&other).expect("logits")), fresh(&other));
        assert_eq!(session.computed(), 703);
        let node = session.grow(&[(Node::ROOT, 8), (Node::ROOT, 9)]).expect("nodes")[1];
        session.grow(&[(node, 10)]).expect("a node");
        assert_eq!(bits(session.logits(0)), fresh(&[&other[..], &[9, 10]].concat()));
        // Cut much, what the next token sees is gone.
        assert_eq!(bits(session.sync(&long[..101]).expect("logits")), fresh(&long[..101]));
        assert_eq!(session.computed(), 703 + 3 + 101);
        session.sync(&other).expect("logits");
        session.truncate(30);
        assert!(session.tokens().is_empty());
    }
}

#[test]
fn keys_and_values_in_q8_0_change_little_and_never_depend_on_the_way() {
    let [llama, gemma, ..] = models();
    let refused = llama.session(SessionOptions { kv_format: KvFormat::Q8_0, ..SessionOptions::default() });
    assert!(matches!(refused.err(), Some(Error::KvFormatUnavailable { head_dim: 16 })));
    let q8 = |o: &mut SessionOptions| o.kv_format = KvFormat::Q8_0;
    let exact = session(&gemma, |_| ()).sync(&TOKENS).expect("logits").to_vec();
    let expected = session(&gemma, q8).sync(&TOKENS).expect("logits").to_vec();
    let size = exact.iter().fold(0.0f32, |max, logit| max.max(logit.abs()));
    let difference = exact.iter().zip(&expected).fold(0.0f32, |max, (a, b)| max.max((a - b).abs()));
    assert!(difference > 0.0 && difference < 0.05 * size, "{difference} of {size}");
    assert!(session(&gemma, q8).memory() < session(&gemma, |_| ()).memory());
    for kernels in Kernels::available() {
        let mut other = session(&gemma, |o| {
            (o.kv_format, o.threads, o.prefill_chunk, o.tier) = (KvFormat::Q8_0, 3, 5, Some(kernels.tier()));
        });
        assert_eq!(bits(other.sync(&TOKENS).expect("logits")), bits(&expected), "{kernels:?}");
        other.sync(&TOKENS[..22]).expect("logits");
        let node = other.grow(&[(Node::ROOT, 1), (Node::ROOT, TOKENS[22])]).expect("nodes")[1];
        other.grow(&[(node, TOKENS[23])]).expect("a node");
        assert_eq!(bits(other.logits(0)), bits(&expected), "{kernels:?}");
    }
}

#[test]
fn a_tree_that_is_full_or_deep_says_so_and_stays_usable() {
    let [model, ..] = models();
    let mut session = session(&model, |o| o.max_nodes = 40);
    assert!(matches!(session.grow(&[(Node::ROOT, 1)]), Err(Error::EmptyPrefix)));
    session.sync(&TOKENS[..2]).expect("logits");
    assert!(matches!(session.grow(&[(Node::ROOT, 1); 17]), Err(Error::TreeFull { max: 16 })));
    assert!(matches!(session.grow(&[(Node::ROOT, 1), (Node(2), 1)]), Err(Error::UnknownNode { node: 2 })));
    let unknown = session.model().config().vocabulary as TokenId;
    assert!(matches!(session.grow(&[(Node::ROOT, unknown)]), Err(Error::UnknownToken { .. })));
    assert_eq!(session.room(), 16, "what failed takes no room");
    let mut node = Node::ROOT;
    for _ in 0..MAX_DEPTH {
        node = session.grow(&[(node, 4)]).expect("a node")[0];
    }
    assert!(matches!(session.grow(&[(node, 4)]), Err(Error::TreeTooDeep { .. })));
    assert_eq!(session.room(), 40 - MAX_DEPTH);
    session.grow(&[(Node::ROOT, 4); 40 - MAX_DEPTH]).expect("the last nodes");
    assert!(matches!(session.grow(&[(Node::ROOT, 4)]), Err(Error::TreeFull { max: 0 })));
    assert_eq!(session.grow(&[]).expect("nothing"), []);
}

#[test]
fn a_path_of_the_tree_becomes_the_timeline_without_being_computed_again() {
    for model in models() {
        let longer = |more: &[TokenId]| [&TOKENS[..6], more].concat();
        let mut session = session(&model, |_| ());
        session.sync(&longer(&[])).expect("logits");
        let [a, b] = session.grow(&[(Node::ROOT, 4), (Node::ROOT, 5)]).expect("nodes")[..] else { panic!("two") };
        session.grow(&[(b, 4), (a, 7), (b, 9)]).expect("nodes");
        let computed = session.computed();
        for (more, missing) in [(&[][..], 0), (&[5], 0), (&[5, 9], 0), (&[9], 1), (&[5, 9, 4], 1), (&[9, 5, 4], 3)] {
            assert_eq!(session.missing(&longer(more)), missing, "{more:?}");
        }
        assert_eq!(session.missing(&TOKENS[..5]), 1, "of what is shorter the last hidden state is gone");
        assert_eq!(bits(session.sync(&longer(&[5, 9])).expect("logits")), fresh(&model, &longer(&[5, 9])));
        assert_eq!((session.computed(), session.tokens()), (computed, &longer(&[5, 9])[..]));
        assert_eq!(session.missing(&longer(&[4])), 1, "the tree is gone");

        session.grow(&[(Node::ROOT, 3)]).expect("a node");
        let further = longer(&[5, 9, 3, 8]);
        assert_eq!(bits(session.sync(&further).expect("logits")), fresh(&model, &further));
        assert_eq!(session.computed(), computed + 2, "the node, and the one token behind it");
    }
}

#[test]
fn a_cancelled_session_goes_on_where_it_was() {
    for model in models() {
        let mut session = session(&model, |o| o.prefill_chunk = 4);
        session.sync(&TOKENS[..6]).expect("logits");
        let cancel = session.cancel_token();
        cancel.cancel();
        assert!(cancel.is_cancelled());
        assert!(matches!(session.sync(&TOKENS), Err(Error::Cancelled)));
        assert!(matches!(session.grow(&[(Node::ROOT, 1)]), Err(Error::Cancelled)));
        assert_eq!(session.tokens(), &TOKENS[..6]);
        assert_eq!((session.computed(), session.room()), (6, 4));
        cancel.reset();
        assert_eq!(bits(session.sync(&TOKENS).expect("logits")), fresh(&model, &TOKENS));
        assert_eq!(session.computed(), 24, "nothing was computed twice");
    }
}

thread_local! {
    /// How often this thread will still find that nothing was cancelled.
    static LOOKS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Is told of every look at a token, so that a test can cancel between two of them.
pub(super) fn looked(cancel: &CancelToken) {
    match LOOKS.get() {
        Some(0) => cancel.0.store(true, Ordering::SeqCst),
        left => LOOKS.set(left.map(|left| left - 1)),
    }
}

/// How many rows the layers of a session have written: the work that it has done, in layers of one token.
fn written(session: &Session) -> usize {
    let rows = |cache: &LayerCache| {
        let is_written = |&row: &usize| cache.row_at(Half::Keys, 0, row).iter().any(|&bits| bits != 0);
        (0..TOKENS.len()).filter(is_written).count()
    };
    session.transformer.caches().iter().map(rows).sum()
}

/// Between any two looks at the token there is one layer of a batch, and no more of it is computed after a cancel; what was, is not
/// counted in.
#[test]
fn a_cancel_leaves_at_most_one_layer_to_compute() {
    const BATCHES: [usize; 4] = [10, 10, 1, 1];
    for model in models() {
        let layers = model.config().layers.len();
        let steps: Vec<usize> = BATCHES.iter().flat_map(|&rows| repeat_n(rows, layers)).collect();
        for looks in 0..steps.len() {
            // Of the highest priority, so that it waits for nobody.
            let mut session = session(&model, |o| (o.prefill_chunk, o.priority) = (10, Priority::Keystroke));
            LOOKS.set(Some(looks));
            // A prompt in two batches, then two tokens.
            let outcome = [20, 21, 22].iter().try_for_each(|&len| session.sync(&TOKENS[..len]).map(drop));
            LOOKS.set(None);
            assert!(matches!(outcome, Err(Error::Cancelled)));
            assert_eq!(written(&session), steps[..looks].iter().sum::<usize>(), "after {looks} looks");
            let whole: usize = BATCHES[..looks / layers].iter().sum();
            assert_eq!((session.tokens(), session.computed()), (&TOKENS[..whole], whole as u64));

            session.cancel_token().reset();
            assert_eq!(bits(session.sync(&TOKENS).expect("logits")), fresh(&model, &TOKENS));
            assert_eq!(session.computed(), TOKENS.len() as u64, "nothing was computed twice");
        }
    }
}

#[test]
fn a_cancel_from_another_thread_leaves_whole_tokens() {
    let [model, ..] = models();
    let expected = fresh(&model, &TOKENS);
    for _ in 0..20 {
        let mut session = session(&model, |o| (o.prefill_chunk, o.threads) = (2, 2));
        let cancel = session.cancel_token();
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| cancel.cancel());
            session.sync(&TOKENS).map(bits)
        });
        match outcome {
            Ok(logits) => assert_eq!(logits, expected),
            Err(error) => assert!(matches!(error, Error::Cancelled)),
        }
        assert_eq!(session.tokens(), &TOKENS[..session.tokens().len()]);
        assert_eq!(session.tokens().len() as u64, session.computed());
        session.cancel_token().reset();
        assert_eq!(bits(session.sync(&TOKENS).expect("logits")), expected);
    }
}

#[test]
fn a_full_context_is_an_error_or_slides_in_blocks() {
    let [model, ..] = models();
    let mut strict = session(&model, |o| o.context = 20);
    let error = strict.sync(&TOKENS).expect_err("24 tokens in a context of 20");
    assert!(matches!(error, Error::ContextOverflow { tokens: 24, context: 20 }));
    assert!(strict.sync(&TOKENS[..20]).is_ok());
    assert!(strict.score(&TOKENS, |_, _| ()).is_err());

    let mut sliding = session(&model, |o| (o.context, o.overflow) = (12, Overflow::Slide { keep: 2 }));
    sliding.sync(&TOKENS[..12]).expect("logits");
    assert_eq!(sliding.tokens(), &TOKENS[..12]);
    let logits = bits(sliding.sync(&TOKENS[..13]).expect("logits"));
    let window = [&TOKENS[..2], &TOKENS[7..13]].concat();
    assert_eq!(sliding.tokens(), window, "a block of 5 went, the first 2 stayed");
    assert_eq!(logits, fresh(&model, &window));
    let before = sliding.computed();
    for len in 14..=17 {
        sliding.sync(&TOKENS[..len]).expect("logits");
    }
    assert_eq!(sliding.computed(), before + 4, "until the next block is full, one token costs one row");
    sliding.sync(&TOKENS).expect("logits");
    assert_eq!(sliding.tokens(), [&TOKENS[..2], &TOKENS[17..]].concat());
}

#[test]
fn what_cannot_be_computed_is_refused_and_changes_nothing() {
    let [model, ..] = models();
    let mut session = session(&model, |_| ());
    session.sync(&TOKENS).expect("logits");
    let unknown = model.config().vocabulary as TokenId;
    assert!(matches!(session.sync(&[]), Err(Error::EmptyPrefix)));
    assert!(matches!(session.sync(&[1, unknown]), Err(Error::UnknownToken { .. })));
    assert!(matches!(session.score(&[unknown], |_, _| ()), Err(Error::UnknownToken { .. })));
    assert_eq!(session.tokens(), TOKENS);
    let missing =
        nibble_kernels::Tier::ALL.into_iter().find(|tier| !tier.is_supported()).expect("of two architectures");
    let refused = model.session(SessionOptions { tier: Some(missing), ..SessionOptions::default() });
    assert!(matches!(refused, Err(Error::TierUnavailable { .. })));
}

#[test]
fn scores_are_the_logits_of_every_position() {
    for model in models() {
        let mut scored = Vec::new();
        let mut one = session(&model, |_| ());
        one.score(&TOKENS, |position, logits| scored.push((position, bits(logits)))).expect("logits");
        let expected: Vec<_> = (0..TOKENS.len()).map(|i| (i, fresh(&model, &TOKENS[..=i]))).collect();
        assert!(scored == expected);
        assert_eq!(bits(one.sync(&TOKENS).expect("logits")), expected[23].1);
        assert_eq!(one.computed(), 24, "the timeline is what was scored");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_sequence_of_calls_gives_fresh_logits(
        calls in prop::collection::vec((1usize..24, prop::collection::vec(0u32..100, 0..4), 1usize..4, 1usize..4), 1..6),
    ) {
        for model in models() {
            let mut session = session(&model, |o| o.prefill_chunk = 10);
            for (shared, rest, prefill, decode) in &calls {
                session.set_threads(Threads { prefill: *prefill, decode: *decode });
                let tokens = [&TOKENS[..*shared], rest].concat();
                prop_assert_eq!(bits(session.sync(&tokens).expect("logits")), fresh(&model, &tokens));
                session.grow(&[(Node::ROOT, 50), (Node::ROOT, 51)]).expect("nodes");
                prop_assert_eq!(bits(session.logits(1)), fresh(&model, &[&tokens[..], &[51]].concat()));
            }
        }
    }
}

#[test]
fn a_restored_session_goes_on_with_the_same_bits() {
    for model in models() {
        let formats = [KvFormat::F16, KvFormat::Q8_0].into_iter().filter(|f| f.row(model.config().head_dim).is_some());
        for kv_format in formats {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("prompt.snapshot");
            let mut saved = session(&model, |o| o.kv_format = kv_format);
            saved.sync(&TOKENS[..20]).unwrap();
            saved.save(&path).unwrap();
            let expected = bits(saved.sync(&TOKENS).unwrap());

            let mut restored = session(&model, |o| (o.kv_format, o.context, o.prefill_chunk) = (kv_format, 24, 3));
            restored.sync(&[7, 7, 7]).unwrap();
            restored.grow(&[(Node::ROOT, 5)]).unwrap();
            let computed = restored.computed();
            assert_eq!(restored.restore(&path).unwrap(), 20);
            assert_eq!(restored.tokens(), &TOKENS[..20]);
            assert_eq!(bits(restored.sync(&TOKENS).unwrap()), expected, "{kv_format:?}");
            assert_eq!(restored.computed() - computed, 4, "only what is new");

            // With the hidden state comes the head of the last position, and a tree grows from it.
            restored.restore(&path).unwrap();
            let computed = restored.computed();
            assert_eq!(bits(restored.sync(&TOKENS[..20]).unwrap()), bits(saved.sync(&TOKENS[..20]).unwrap()));
            assert_eq!(restored.computed(), computed);
            let node = [(Node::ROOT, TOKENS[20])];
            restored.grow(&node).unwrap();
            saved.grow(&node).unwrap();
            assert_eq!(bits(restored.logits(0)), bits(saved.logits(0)));
        }
    }
}

/// An adapter for a model, which moves every hidden state a little.
fn adapter(model: &Model) -> Arc<Adapter> {
    let width = model.config().embedding;
    let wave = |step: f32| (0..width).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
    Arc::new(Adapter::from_bytes(&Adapter::file(&wave(0.3), &wave(0.7), &wave(1.1))).unwrap())
}

#[test]
fn an_adapter_moves_what_is_thought_and_nothing_that_is_remembered() {
    for model in models() {
        let adapter = adapter(&model);
        let mut session = session(&model, |_| ());
        let plain = bits(session.sync(&TOKENS[..9]).unwrap());
        session.adapt(Some(&adapter)).unwrap();
        assert_eq!(session.missing(&TOKENS[..9]), 1, "the last position, for its hidden state");
        let computed = session.computed();
        let adapted = bits(session.sync(&TOKENS[..9]).unwrap());
        assert_eq!(session.computed() - computed, 1);
        assert_ne!(adapted, plain);

        // The same adapter again changes nothing, and what is grown under it is what would be read.
        session.adapt(Some(&adapter)).unwrap();
        assert_eq!(session.missing(&TOKENS[..9]), 0);
        session.grow(&[(Node::ROOT, TOKENS[9])]).unwrap();
        let grown = bits(session.logits(0));
        assert_eq!(bits(session.sync(&TOKENS[..10]).unwrap()), grown);
        session.adapt(None).unwrap();
        assert_eq!(bits(session.sync(&TOKENS[..9]).unwrap()), plain);
    }
}

#[test]
fn an_adapter_for_another_model_is_refused() {
    let [model, gemma, _] = models();
    let narrower = Adapter::file(&[0.5; 32], &[0.5; 32], &[0.5; 32]);
    for model in [model, gemma] {
        let mut session = session(&model, |_| ());
        let refused = session.adapt(Some(&Arc::new(Adapter::from_bytes(&narrower).unwrap()))).unwrap_err();
        assert!(refused.to_string().contains("of 32 numbers"), "{refused}");
    }
}

#[test]
fn a_snapshot_has_no_adapter_in_it() {
    let [model, ..] = models();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt.snapshot");
    let adapter = adapter(&model);
    let mut plain = session(&model, |_| ());
    let mut adapted = session(&model, |_| ());
    adapted.adapt(Some(&adapter)).unwrap();
    let expected = [&mut plain, &mut adapted].map(|session| bits(session.sync(&TOKENS[..9]).unwrap()));
    adapted.save(&path).unwrap();
    plain.restore(&path).unwrap();
    assert_eq!(bits(plain.sync(&TOKENS[..9]).unwrap()), expected[0]);
    plain.save(&path).unwrap();
    adapted.restore(&path).unwrap();
    assert_eq!(bits(adapted.sync(&TOKENS[..9]).unwrap()), expected[1]);
}

#[test]
fn a_sliding_layer_is_restored_as_far_as_it_goes() {
    let model = open(SyntheticModel { context: 1024, ..SyntheticModel::gemma3(Format::Q5_0) });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.snapshot");
    let long: Vec<TokenId> = TOKENS.into_iter().cycle().take(700).collect();
    let wide = |o: &mut SessionOptions| o.context = 1024;
    let mut saved = session(&model, wide);
    saved.sync(&long[..650]).unwrap();
    saved.save(&path).unwrap();
    let mut restored = session(&model, wide);
    restored.restore(&path).unwrap();
    let expected = bits(session(&model, wide).sync(&long).unwrap());
    assert_eq!(bits(restored.sync(&long).unwrap()), expected);
    assert_eq!(restored.computed(), 50);
    // Back by less than the layer keeps, and by more.
    for (len, computed) in [(500, 1), (100, 100)] {
        restored.restore(&path).unwrap();
        let before = restored.computed();
        let expected = bits(session(&model, wide).sync(&long[..len]).unwrap());
        assert_eq!(bits(restored.sync(&long[..len]).unwrap()), expected, "{len} tokens");
        assert_eq!(restored.computed() - before, computed, "{len} tokens");
    }
}

#[test]
fn a_snapshot_that_does_not_fit_changes_nothing() {
    let [other, model, _] = models();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("prompt.snapshot");
    let mut empty = session(&model, |_| ());
    assert!(matches!(empty.save(&path), Err(Error::EmptySession)));
    assert!(!path.exists());
    empty.sync(&TOKENS[..12]).unwrap();
    empty.save(&path).unwrap();

    let session_of = |change: fn(&mut SessionOptions)| {
        let mut session = session(&model, change);
        session.sync(&TOKENS[..3]).unwrap();
        session
    };
    let refusal = |session: &mut Session, path: &Path| {
        let (tokens, computed) = (session.tokens().to_vec(), session.computed());
        let message = session.restore(path).unwrap_err().to_string();
        assert_eq!((session.tokens(), session.computed()), (&tokens[..], computed));
        let expected = fresh(session.model(), &TOKENS[..3]);
        if session.options.kv_format == KvFormat::F16 {
            assert_eq!(bits(session.sync(&TOKENS[..3]).unwrap()), expected, "the cache was not touched");
        }
        message
    };
    let mut of_other = session(&other, |_| ());
    of_other.sync(&TOKENS[..3]).unwrap();
    assert!(refusal(&mut of_other, &path).contains("another model"));
    assert!(refusal(&mut session_of(|o| o.kv_format = KvFormat::Q8_0), &path).contains("another format"));
    assert!(refusal(&mut session_of(|o| o.context = 11), &path).contains("12 tokens, and the session's context 11"));
    assert!(refusal(&mut session_of(|_| ()), &folder.path().join("none")).contains("cannot open"));

    let sound = std::fs::read(&path).unwrap();
    let damaged = folder.path().join("damaged.snapshot");
    // Half of what is changed is before the keys and values.
    let place = prop_oneof![0..200.min(sound.len()), 0..sound.len()];
    proptest!(ProptestConfig::with_cases(64), |(changes in vec((place, 1_u8..), 1..4))| {
        let mut session = session_of(|_| ());
        let mut bytes = sound.clone();
        changes.iter().for_each(|&(at, change)| bytes[at] ^= change);
        prop_assume!(bytes != sound);
        std::fs::write(&damaged, &bytes).unwrap();
        prop_assert!(refusal(&mut session, &damaged).contains("cannot use the snapshot"));
        // With a right checksum, only what cannot be wrong without one being there: the parts must fit together.
        let content = bytes.len() - 8;
        let checksum = xxhash_rust::xxh3::xxh3_64(&bytes[..content]);
        bytes[content..].copy_from_slice(&checksum.to_le_bytes());
        std::fs::write(&damaged, &bytes).unwrap();
        match session.restore(&damaged) {
            Ok(tokens) => prop_assert_eq!(tokens, 12),
            Err(error) => prop_assert!(error.to_string().contains("cannot use the snapshot")),
        }
    });
    let mut session = session_of(|_| ());
    for len in [0, 7, 20, 63, 64, sound.len() - 1] {
        std::fs::write(&damaged, &sound[..len]).unwrap();
        assert!(refusal(&mut session, &damaged).contains("cannot use the snapshot"), "{len} bytes");
    }
}
