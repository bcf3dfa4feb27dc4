//! Packing and opening the models that people run.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions as FileOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nibble_engine::{Error, Format, Gate, KvFormat, Model, OpenOptions, TokenKind, Verify, hexadecimal, pack};
use nibble_tests::models::{GEMMA3, SMOLLM2, TestModel};

/// Packs the model into `folder`.
fn packed(model: &TestModel, folder: &Path) -> PathBuf {
    let dest = folder.join("model.nibble");
    pack(&model.gguf(), &dest, &mut |_| ControlFlow::Continue(())).unwrap();
    dest
}

fn formats(model: &Model) -> Vec<(Format, usize)> {
    model.formats().iter().map(|share| (share.format, share.tensors)).collect()
}

const SMOLLM2_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

#[test]
fn smollm2_opens_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::open(&packed(&SMOLLM2, folder.path())).unwrap();
    let c = model.config();
    assert_eq!((c.layers.len(), c.embedding, c.feed_forward, c.heads, c.kv_heads), (30, 576, 1536, 9, 3));
    assert_eq!((c.head_dim, c.vocabulary, c.context_length, c.gate), (64, 49152, 8192, Gate::Silu));
    // The file's 61 vectors and 211 matrices; the head is in nibbles, and its screen has a matrix of each float.
    assert_eq!(formats(&model), [(Format::F32, 62), (Format::F16, 1), (Format::Q4_1, 210), (Format::Q8_0N, 1)]);
    assert!(model.has_screened_head());
    assert_eq!(model.licence(), Some("apache-2.0"));
    assert_eq!(hexadecimal(model.fingerprint()), SMOLLM2_SHA256);
    let v = model.vocabulary();
    assert_eq!((v.bytes(2), v.kind(2)), (&b"<|im_end|>"[..], TokenKind::Control));
    assert_eq!(v.bytes(v.find(b" the").unwrap()), b" the");
    assert!(model.chat_template().is_some());
    assert_eq!(model.memory_plan(256, KvFormat::F16).kv, 256 * 2 * 30 * 3 * 64 * 2);
}

#[test]
fn gemma3_opens_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let model = Model::open(&packed(&GEMMA3, folder.path())).unwrap();
    let c = model.config();
    assert_eq!((c.layers.len(), c.embedding, c.feed_forward, c.heads, c.kv_heads), (18, 640, 2048, 4, 1));
    assert_eq!((c.head_dim, c.vocabulary, c.context_length, c.gate), (256, 262144, 32768, Gate::Gelu));
    let quantized = [(Format::Q5_0, 81), (Format::Q8_0, 9), (Format::Q4_K, 27), (Format::Q6_K, 9), (Format::Q8_0N, 1)];
    assert_eq!(formats(&model), [&[(Format::F32, 110), (Format::F16, 1)][..], &quantized].concat());
    assert_eq!(model.licence(), Some("gemma"));
    let v = model.vocabulary();
    assert_eq!((v.bytes(2), v.kind(2)), (&b"<bos>"[..], TokenKind::Control));
    assert_eq!((v.bytes(238), v.kind(238)), (&[0][..], TokenKind::Byte));
    assert_eq!(v.kind(v.find(b" the").unwrap()), TokenKind::Normal);
    assert!(model.chat_template().is_none());
}

#[test]
fn damage_to_a_real_file_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = packed(&SMOLLM2, folder.path());
    let len = fs::metadata(&path).unwrap().len();
    let mut file = FileOptions::new().read(true).write(true).open(&path).unwrap();
    let mut flip = |at: u64| {
        let mut byte = [0];
        file.seek(SeekFrom::Start(at)).unwrap();
        file.read_exact(&mut byte).unwrap();
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&[byte[0] ^ 4]).unwrap();
        Model::open(&path)
    };
    for i in 0..25 {
        let at = i * (len / 25) + i;
        let error = flip(at).err().unwrap_or_else(|| panic!("a flip at {at} went unseen")).to_string();
        assert!(error.contains("model.nibble") && error.contains("pack it again"), "{error}");
        flip(at).expect("flipped back it opens");
    }
}

#[test]
fn a_model_is_not_taken_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = packed(&SMOLLM2, folder.path());
    let options = |source| OpenOptions { verify: Verify::Header, expect_source: Some(source) };
    let fingerprint = *Model::open(&path).unwrap().fingerprint();
    Model::open_with(&path, &options(fingerprint)).unwrap();
    let refused = Model::open_with(&path, &options([0; 32]));
    assert!(matches!(refused, Err(Error::BadModelFile { why, .. }) if why.contains("another model")));
}
