//! What a session promises, on real models: results that depend on neither threads nor SIMD tier nor on how a prefix came
//! about, work that is only what is new, and a timeline that stays whole when something stops it.
#![forbid(unsafe_code)]

use nibble_engine::{Error, LanguageModel, Node, Overflow, Session, SessionOptions, TokenId};
use nibble_kernels::Kernels;
use nibble_tests::divergence::argmax;
use nibble_tests::golden::Golden;
use nibble_tests::models::{GEMMA3, SMOLLM2, TestModel};

fn open(model: &TestModel, options: SessionOptions) -> Session {
    model.open().session(options).unwrap_or_else(|e| panic!("{e}"))
}

fn small() -> SessionOptions {
    SessionOptions { context: 256, ..SessionOptions::default() }
}

/// A text's tokens.
fn text(model: &TestModel, name: &str) -> Vec<TokenId> {
    let texts = Golden::read(model.name).texts;
    texts.into_iter().find(|text| text.name == name).expect("a text of that name").tokens
}

fn fresh(model: &TestModel, prefix: &[TokenId]) -> Vec<f32> {
    open(model, small()).sync(prefix).unwrap().to_vec()
}

/// The bits, so that a difference of any size is one.
fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|value| value.to_bits()).collect()
}

/// 64 greedy tokens and the bits of the logits that each came from.
fn greedy(session: &mut Session, prompt: &[TokenId]) -> (Vec<TokenId>, Vec<Vec<u32>>) {
    let (mut tokens, mut all) = (prompt.to_vec(), Vec::new());
    for _ in 0..64 {
        let logits = session.sync(&tokens).unwrap();
        all.push(bits(logits));
        tokens.push(argmax(logits) as TokenId);
    }
    (tokens.split_off(prompt.len()), all)
}

fn greedy_never_depends_on_threads_or_tier(model: &TestModel) {
    let prompt = Golden::read(model.name).greedy.swap_remove(1).prompt;
    let expected = greedy(&mut open(model, SessionOptions { threads: 1, ..small() }), &prompt);
    println!("\n{}: {}", model.name, model.open().tokenizer().decode(&expected.0));
    for threads in [2, 4] {
        let got = greedy(&mut open(model, SessionOptions { threads, ..small() }), &prompt);
        assert!(got == expected, "{} differs on {threads} threads", model.name);
    }
    for kernels in Kernels::available() {
        let tier = Some(kernels.tier());
        let got = greedy(&mut open(model, SessionOptions { threads: 2, tier, ..small() }), &prompt);
        assert!(got == expected, "{} differs on {tier:?}", model.name);
    }
}

#[test]
fn greedy_text_of_smollm2_never_depends_on_threads_or_tier() {
    greedy_never_depends_on_threads_or_tier(&SMOLLM2);
}

#[test]
fn greedy_text_of_gemma3_never_depends_on_threads_or_tier() {
    greedy_never_depends_on_threads_or_tier(&GEMMA3);
}

fn a_shared_prefix_is_not_computed_again(model: &TestModel) {
    let (first, other) = (text(model, "prose"), text(model, "chat"));
    let mut session = open(model, small());
    session.sync(&first).unwrap();
    assert_eq!(session.computed(), first.len() as u64);
    for shared in [0, 1, 17, 40, first.len()] {
        session.sync(&first).unwrap();
        let mut prefix = first[..shared].to_vec();
        prefix.extend(other.iter().skip(1).take(30));
        let common = first.iter().zip(&prefix).take_while(|(a, b)| a == b).count();
        let before = session.computed();
        let logits = bits(session.sync(&prefix).unwrap());
        assert_eq!(session.computed() - before, (prefix.len() - common) as u64, "sharing {shared}");
        assert_eq!(session.tokens(), prefix);
        assert!(logits == bits(&fresh(model, &prefix)), "{} differs after sharing {shared}", model.name);
    }
    // The same prefix again costs nothing.
    let prefix = session.tokens().to_vec();
    let before = session.computed();
    session.sync(&prefix).unwrap();
    assert_eq!(session.computed(), before);
    // A shorter one costs at most the last row, whose logits are not kept.
    let logits = bits(session.sync(&prefix[..20]).unwrap());
    assert!(session.computed() - before <= 1);
    assert!(logits == bits(&fresh(model, &prefix[..20])));
}

#[test]
fn a_shared_prefix_of_smollm2_is_not_computed_again() {
    a_shared_prefix_is_not_computed_again(&SMOLLM2);
}

#[test]
fn a_shared_prefix_of_gemma3_is_not_computed_again() {
    a_shared_prefix_is_not_computed_again(&GEMMA3);
}

#[test]
fn chunks_and_single_steps_give_the_same_logits() {
    for model in [&SMOLLM2, &GEMMA3] {
        let prefix = &text(model, "code")[..61];
        let expected = bits(&fresh(model, prefix));
        for prefill_chunk in [1, 3, 16, 33] {
            let mut session = open(model, SessionOptions { prefill_chunk, ..small() });
            assert!(bits(session.sync(prefix).unwrap()) == expected, "{} in chunks of {prefill_chunk}", model.name);
        }
        let mut steps = open(model, small());
        for len in 1..prefix.len() {
            steps.sync(&prefix[..len]).unwrap();
        }
        assert!(bits(steps.sync(prefix).unwrap()) == expected, "{} step by step", model.name);
        let mut scored = Vec::new();
        steps.score(prefix, |_, logits| scored = bits(logits)).unwrap();
        assert!(scored == expected, "{} scored", model.name);
    }
}

#[test]
fn a_node_of_the_tree_predicts_as_its_path_does() {
    for model in [&SMOLLM2, &GEMMA3] {
        let words = text(model, "dialogue");
        let (prefix, more) = words.split_at(40);
        let mut session = open(model, small());
        let root = bits(session.sync(prefix).unwrap());
        // Two branches from the root, one forked again, each deeper than the last batch.
        let first = session.grow(&[(Node::ROOT, more[0]), (Node::ROOT, more[7])]).unwrap();
        let second = session.grow(&[(first[0], more[1]), (first[1], more[8]), (first[0], more[9])]).unwrap();
        let third = session.grow(&[(second[1], more[2]), (second[0], more[3])]).unwrap();
        assert_eq!(third.len(), 2);
        let grown: Vec<_> = (0..2).map(|i| bits(session.logits(i))).collect();
        let paths = [[more[7], more[8], more[2]], [more[0], more[1], more[3]]];
        for (path, grown) in paths.iter().zip(&grown) {
            assert!(*grown == bits(&fresh(model, &[prefix, path].concat())), "{}: a branch differs", model.name);
        }
        // The tree leaves the timeline alone.
        let before = session.computed();
        assert!(bits(session.sync(prefix).unwrap()) == root);
        assert_eq!(session.computed(), before);
        assert_eq!(session.tokens(), prefix);
        // It is dropped with the prefix, and its room comes back.
        let room = session.room();
        session.sync(&[prefix, &more[..1]].concat()).unwrap();
        assert!(session.room() >= room);
        assert!(matches!(session.grow(&[(third[0], more[0])]), Err(Error::UnknownNode { .. })));
    }
}

#[test]
fn too_many_nodes_and_unknown_tokens_are_refused_and_change_nothing() {
    let prefix = &text(&SMOLLM2, "chat")[..20];
    let mut session = open(&SMOLLM2, SessionOptions { max_nodes: 3, ..small() });
    let expected = bits(session.sync(prefix).unwrap());
    let rows = [(Node::ROOT, prefix[0]); 4];
    assert!(matches!(session.grow(&rows), Err(Error::TreeFull { max: 3 })));
    let vocabulary = session.vocabulary().len() as TokenId;
    assert!(matches!(session.grow(&[(Node::ROOT, vocabulary)]), Err(Error::UnknownToken { .. })));
    assert!(matches!(session.sync(&[prefix[0], vocabulary]), Err(Error::UnknownToken { .. })));
    assert!(matches!(session.sync(&[]), Err(Error::EmptyPrefix)));
    assert_eq!(session.room(), 3);
    assert_eq!(session.tokens(), prefix);
    assert!(bits(session.sync(prefix).unwrap()) == expected);
    assert_eq!(session.computed(), prefix.len() as u64);
}

#[test]
fn a_cancelled_prefill_leaves_whole_tokens() {
    for model in [&SMOLLM2, &GEMMA3] {
        let prefix: Vec<_> = ["prose", "chat"].iter().flat_map(|name| text(model, name)).collect();
        let expected = bits(&fresh(model, &prefix));
        // Cancelled at many moments of a prefill, at whichever layer each falls on.
        let mut session = open(model, SessionOptions { prefill_chunk: 16, ..small() });
        let cancel = session.cancel_token();
        let mut cancelled = 0;
        for pause in [0, 3, 10, 30, 60, 100] {
            session.truncate(0);
            let outcome = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(std::time::Duration::from_millis(pause));
                    cancel.cancel();
                });
                session.sync(&prefix).map(bits)
            });
            cancel.reset();
            match outcome {
                Ok(logits) => assert!(logits == expected),
                Err(Error::Cancelled) => {
                    cancelled += 1;
                    assert!(session.tokens().len() < prefix.len());
                    assert_eq!(session.tokens(), &prefix[..session.tokens().len()]);
                }
                Err(other) => panic!("{other}"),
            }
            assert!(bits(session.sync(&prefix).unwrap()) == expected, "{} after a cancel", model.name);
        }
        // A cancel that is already there stops the very first layer.
        session.truncate(0);
        cancel.cancel();
        assert!(matches!(session.sync(&prefix), Err(Error::Cancelled)));
        assert!(session.tokens().is_empty());
        cancel.reset();
        assert!(bits(session.sync(&prefix).unwrap()) == expected);
        // Between two chunks it keeps the first.
        let stop_early = |i: usize, _: &[f32]| {
            if i == 0 {
                cancel.cancel();
            }
        };
        assert!(matches!(session.score(&prefix, stop_early), Err(Error::Cancelled)));
        assert_eq!(session.tokens(), &prefix[..16]);
        cancel.reset();
        assert!(bits(session.sync(&prefix).unwrap()) == expected);
        // And a tree that was cancelled has no new nodes.
        let room = session.room();
        cancel.cancel();
        assert!(matches!(session.grow(&[(Node::ROOT, prefix[0])]), Err(Error::Cancelled)));
        cancel.reset();
        assert_eq!(session.room(), room);
        println!("{}: {cancelled} of 6 stopped under way", model.name);
    }
}

#[test]
fn a_full_context_is_an_error_or_slides_in_blocks() {
    let model = &SMOLLM2;
    let long: Vec<_> = ["prose", "chat"].iter().flat_map(|name| text(model, name)).collect();
    let context = 64;
    let mut strict = open(model, SessionOptions { context, ..small() });
    strict.sync(&long[..context]).unwrap();
    let refused = strict.sync(&long[..context + 1]);
    assert!(matches!(refused, Err(Error::ContextOverflow { tokens: 65, context: 64 })));
    assert_eq!(strict.tokens(), &long[..context]);

    let keep = 8;
    let mut sliding = open(model, SessionOptions { context, overflow: Overflow::Slide { keep }, ..small() });
    let mut recomputed = 0;
    for len in 1..=long.len() {
        let before = sliding.computed();
        let logits = bits(sliding.sync(&long[..len]).unwrap());
        let tokens = sliding.tokens().to_vec();
        assert!(tokens.len() <= context);
        assert_eq!(tokens[..keep.min(len)], long[..keep.min(len)]);
        assert!(long[..len].ends_with(&tokens[keep.min(len)..]));
        if sliding.computed() - before > 1 {
            recomputed += 1;
            // What has slid is as if it had been written so.
            assert!(logits == bits(&fresh(model, &tokens)));
        }
    }
    // Blocks of half the context: the 195 tokens overflow 64 in five steps, and in between each token costs one row.
    assert_eq!(recomputed, (long.len() - context).div_ceil((context - keep).div_ceil(2)));
}
