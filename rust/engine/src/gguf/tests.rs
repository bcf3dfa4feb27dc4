//! Bad GGUFs: each gives one clear error, whatever is wrong with it.

use std::ops::ControlFlow;

use nibble_kernels::Format;
use proptest::prelude::*;

use super::*;
use crate::pack;
use crate::testing::{GgufBuilder, SyntheticModel};

/// The error of packing `gguf`.
fn refusal(gguf: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let (source, dest) = (folder.path().join("model.gguf"), folder.path().join("model.nibble"));
    std::fs::write(&source, gguf).unwrap();
    let error = pack(&source, &dest, &mut |_| ControlFlow::Continue(())).expect_err("a refusal").to_string();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing but the source is left");
    assert!(error.contains("model.gguf") && !error.contains('\n'), "one line that names the file: {error}");
    error
}

/// The sound model, changed.
fn changed(change: impl for<'a> FnOnce(&'a mut GgufBuilder) -> &'a mut GgufBuilder) -> Vec<u8> {
    change(&mut SyntheticModel::llama(Format::Q4_0).gguf()).build()
}

/// The sound model with `bytes` at `at`.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut gguf = changed(|g| g);
    gguf[at..at + bytes.len()].copy_from_slice(bytes);
    gguf
}

fn header_len(gguf: &[u8]) -> usize {
    Content::read(&mut Cursor::new(gguf)).unwrap().tensor_data_offset as usize
}

#[test]
fn what_is_no_gguf_is_refused() {
    for (gguf, says) in [
        (vec![], "is empty"),
        (b"GG".to_vec(), "not a GGUF"),
        (b"PK\x03\x04 something else".to_vec(), "not a GGUF"),
        (patched(0, b"FUGG"), "wrong byte order"),
        (patched(4, &[0, 0, 0, 3]), "wrong byte order"),
        (patched(4, &9u32.to_le_bytes()), "GGUF version 9"),
    ] {
        let error = refusal(&gguf);
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn counts_and_lengths_beyond_the_file_are_refused() {
    let key = 24; // the first key's length
    for (gguf, says) in [
        (patched(8, &u64::MAX.to_le_bytes()), "do not fit"),
        (patched(8, &(1u64 << 40).to_le_bytes()), "do not fit"),
        (patched(16, &u64::MAX.to_le_bytes()), "do not fit"),
        (patched(key, &u64::MAX.to_le_bytes()), "a name of"),
        (patched(key, &60_000u64.to_le_bytes()), "middle of its header"),
        (changed(|g| g.array_claiming("x", 4, 1 << 60)), "an array of"),
        (changed(|g| g.array_claiming("x", 0, 1 << 20)), "middle of its header"),
        (changed(|g| g.array_claiming("x", 9, 1)), "arrays in arrays"),
        (changed(|g| g.array_claiming("x", 99, 1)), "unknown type 99"),
        (changed(|g| g.u32("general.alignment", 0)), "alignment is 0"),
        (changed(|g| g.u32("general.alignment", 48)), "alignment is 48"),
        (changed(|g| g.f32("general.alignment", 32.0)), "alignment is"),
        (changed(|g| g.u32("general.alignment\0", 0)), "NUL"),
    ] {
        let error = refusal(&gguf);
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn wrong_tensors_are_refused_by_name() {
    let (f32_, q4_0) = (Format::F32.ggml(), Format::Q4_0.ggml());
    let replace = |name: &'static str, dimensions: &'static [usize], kind, len: usize| {
        changed(move |g| g.remove_tensor(name).tensor(name, dimensions, kind, &vec![0; len]))
    };
    for (gguf, says) in [
        (changed(|g| g.remove_tensor("output_norm.weight")), "output_norm.weight is missing"),
        (changed(|g| g.remove_tensor("blk.1.ffn_up.weight")), "blk.1.ffn_up.weight is missing"),
        (changed(|g| g.tensor("blk.0.ffn_gate_inp.weight", &[64, 8], f32_, &[0; 2048])), "has no use for"),
        (changed(|g| g.tensor("output_norm.weight", &[64], f32_, &[0; 256])), "two tensors"),
        (replace("output_norm.weight", &[32], f32_, 128), "output_norm.weight is 32 and should be 64"),
        (replace("output_norm.weight", &[64], q4_0, 36), "output_norm.weight in Q4_0"),
        (replace("blk.0.attn_q.weight", &[64, 32], q4_0, 1152), "is 32 x 64 and should be 64 x 64"),
        (replace("blk.0.attn_q.weight", &[64, 64], 16, 4096), "format number 16"),
        (replace("blk.0.attn_q.weight", &[64, 64, 1, 1, 1], q4_0, 2304), "5 dimensions"),
        (replace("blk.0.attn_q.weight", &[], q4_0, 0), "0 dimensions"),
        (replace("blk.0.attn_q.weight", &[64, 2, 32], q4_0, 2304), "has shape"),
        (replace("blk.0.attn_q.weight", &[48, 64], q4_0, 2304), "cannot be"),
        (replace("blk.0.attn_q.weight", &[0, 64], q4_0, 0), "cannot be"),
        (replace("blk.0.attn_q.weight", &[usize::MAX, usize::MAX], f32_, 0), "cannot be"),
        (replace("blk.0.attn_q.weight", &[1 << 40, 1], f32_, 0), "cut short"),
    ] {
        let error = refusal(&gguf);
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
}

#[test]
fn wrong_metadata_are_refused_by_key() {
    for (gguf, says) in [
        (changed(|g| g.remove("general.architecture")), "general.architecture is missing"),
        (changed(|g| g.string("general.architecture", "mamba")), "\"mamba\""),
        (changed(|g| g.remove("llama.block_count")), "llama.block_count is missing"),
        (changed(|g| g.u32("llama.block_count", u32::MAX)), "llama.block_count is"),
        (changed(|g| g.string("llama.context_length", "long")), "llama.context_length is a string"),
        (changed(|g| g.remove("tokenizer.ggml.model")), "tokenizer.ggml.model is missing"),
        (changed(|g| g.string("tokenizer.ggml.model", "bert")), "\"bert\""),
        (changed(|g| g.remove("tokenizer.ggml.tokens")), "tokenizer.ggml.tokens is missing"),
        (changed(|g| g.u32("tokenizer.ggml.tokens", 3)), "not an array"),
        (changed(|g| g.f32s("tokenizer.ggml.merges", &[1.0])), "not a string"),
        (changed(|g| g.strings("tokenizer.ggml.tokens", &["one"])), "differ in length"),
        (changed(|g| g.i32s("tokenizer.ggml.token_type", &[1])), "differ in length"),
        (changed(|g| g.u32("tokenizer.ggml.bos_token_id", 1 << 20)), "tokenizer.ggml.bos_token_id is"),
    ] {
        let error = refusal(&gguf);
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
    let error = pack_error(&changed(|g| g.string("tokenizer.ggml.pre", "martian")));
    assert!(matches!(error, Error::UnsupportedTokenizer { .. }), "{error}");
}

fn pack_error(gguf: &[u8]) -> Error {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("model.gguf");
    std::fs::write(&source, gguf).unwrap();
    pack(&source, &folder.path().join("model.nibble"), &mut |_| ControlFlow::Continue(())).unwrap_err()
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let gguf = changed(|g| g);
    let header = header_len(&gguf);
    // The data's last tensor is padded; without its padding it is whole.
    for len in 0..gguf.len() - GgufBuilder::ALIGNMENT {
        guard::check(&gguf[..len], len as u64).expect_err("a refusal");
    }
    for len in [1, 20, header / 2, header, gguf.len() / 2, gguf.len() - 100] {
        let error = refusal(&gguf[..len]);
        assert!(error.contains("fetch the file again"), "{error}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = pack(Path::new("no/such.gguf"), Path::new("x"), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("no/such.gguf"), "{error}");
}

#[test]
fn the_older_versions_are_read() {
    let gguf = changed(|g| g);
    guard::check(&patched(4, &2u32.to_le_bytes()), gguf.len() as u64).unwrap();
    // Version 1 has 32-bit lengths: no tensors, one pair.
    let mut old = b"GGUF".to_vec();
    for word in [1u32, 0, 1, 1] {
        old.extend(word.to_le_bytes());
    }
    old.push(b'k');
    old.extend(8u32.to_le_bytes());
    old.extend(2u32.to_le_bytes());
    old.extend(b"no");
    guard::check(&old, old.len() as u64).unwrap();
    assert_eq!(Content::read(&mut Cursor::new(&old)).unwrap().metadata.len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Whatever passes the guard, candle reads without a panic, and so does everything behind it.
    #[test]
    fn a_mutated_header_never_panics(
        gemma: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        wide in prop::option::of((any::<prop::sample::Index>(), any::<u64>())),
    ) {
        let model = if gemma { SyntheticModel::gemma3(Format::Q8_0) } else { SyntheticModel::llama(Format::Q4_1) };
        let mut gguf = model.gguf().build();
        let header = header_len(&gguf);
        for (at, value) in edits {
            gguf[at.index(header)] = value;
        }
        if let Some((at, value)) = wide {
            let at = at.index(header);
            gguf[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &gguf).unwrap();
        if let Ok(gguf) = Gguf::open(file.path()) {
            let names: Vec<String> = gguf.names().map(str::to_owned).collect();
            for name in names {
                if let Ok(Some(tensor)) = gguf.tensor(&name) {
                    prop_assert!(tensor.bytes.len() as u64 <= gguf.len());
                }
            }
            if let Ok(tokenizer) = gguf.tokenizer_source() {
                let _ = crate::arch::config(&gguf.metadata(), tokenizer.vocabulary.len());
            }
        }
    }
}
