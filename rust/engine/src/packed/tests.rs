//! Packed files that were damaged, forged, cut or meant for another; and that a sound one gives back what went in.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use nibble_kernels::Format;
use proptest::prelude::*;

use super::*;
use crate::testing::SyntheticModel;
use crate::{Error, LanguageModel, Model, SessionOptions, TokenKind};

/// A folder with a packed model in it.
struct Fixture {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
}

impl Fixture {
    fn new(model: &SyntheticModel) -> Self {
        let folder = tempfile::tempdir().unwrap();
        model.open_in(folder.path()).unwrap();
        let bytes = fs::read(folder.path().join("synthetic.nibble")).unwrap();
        Self { folder, bytes }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("synthetic.nibble")
    }

    /// What opening a file of these bytes says.
    fn open(&self, bytes: &[u8]) -> crate::Result<Model> {
        // A new file each time, as whoever writes model files does: older mappings stay what they are.
        fs::remove_file(self.path()).unwrap();
        fs::write(self.path(), bytes).unwrap();
        Model::open(&self.path())
    }

    fn refusal(&self, bytes: &[u8]) -> String {
        let error = self.open(bytes).err().expect("a refusal").to_string();
        assert!(error.contains("synthetic.nibble") && error.contains("pack it again"), "{error}");
        error
    }

    fn header(&self) -> Header {
        Header::from_bytes(&self.bytes).unwrap()
    }

    fn manifest(&self) -> Manifest {
        let extent = self.header().sections[0];
        serde_json::from_slice(&self.bytes[extent.offset as usize..][..extent.length as usize]).unwrap()
    }
}

/// `bytes` with every checksum and length made right again, and `manifest` in the place of theirs: what a forger would do.
fn reseal(bytes: &[u8], manifest: &mut Manifest) -> Vec<u8> {
    let mut header = Header::from_bytes(bytes).unwrap();
    let padded = |extent: &Extent| extent.offset as usize..(extent.offset + extent.padded().unwrap()) as usize;
    for entry in &mut manifest.tensors {
        if let Some(bytes) = entry.extent.padded().and_then(|_| bytes.get(padded(&entry.extent))) {
            entry.extent.checksum = checksum(bytes);
        }
    }
    let mut out = bytes[..header.sections[0].offset as usize].to_vec();
    for (i, extent) in header.sections.iter_mut().enumerate() {
        let mut section = if i == Section::Manifest as usize {
            serde_json::to_vec(manifest).unwrap()
        } else {
            bytes[extent.offset as usize..][..extent.length as usize].to_vec()
        };
        (extent.offset, extent.length) = (out.len() as u64, section.len() as u64);
        section.resize(section.len().next_multiple_of(ALIGN as usize), 0);
        extent.checksum = checksum(&section);
        out.extend(section);
    }
    header.length = out.len() as u64;
    out[..PAGE as usize].copy_from_slice(&header.to_bytes());
    out
}

#[test]
fn every_format_and_architecture_comes_back_as_it_went_in() {
    let folder = tempfile::tempdir().unwrap();
    for format in Format::GGUF {
        let llama = SyntheticModel { tied: false, biases: true, rope_factors: true, ..SyntheticModel::llama(format) };
        for model in [llama, SyntheticModel::gemma3(format)] {
            let opened = model.open_in(folder.path()).unwrap();
            let source = crate::gguf::Gguf::open(&folder.path().join("synthetic.gguf")).unwrap();
            let weights = opened.weights();
            assert_eq!(weights.layers.len(), model.layers);
            assert_eq!(weights.rope_factors().is_some(), model.rope_factors);
            assert_eq!(weights.layers[0].q_bias.is_some(), model.biases);
            for (name, tensor) in [
                ("token_embd.weight", &weights.embedding),
                (if model.tied { "token_embd.weight" } else { "output.weight" }, &weights.output),
                ("blk.1.attn_q.weight", &weights.layers[1].q),
                ("blk.1.attn_k.weight", &weights.layers[1].k),
                ("blk.1.attn_output.weight", &weights.layers[1].o),
                ("blk.1.ffn_down.weight", &weights.layers[1].down),
            ] {
                let source = source.tensor(name).unwrap().unwrap();
                let matrix = tensor.matrix();
                let mut packed = vec![0; format.packed_len(matrix.rows(), matrix.cols()).unwrap()];
                nibble_kernels::pack(format, matrix.rows(), matrix.cols(), &source.bytes, &mut packed).unwrap();
                let again = nibble_kernels::Matrix::new(format, matrix.rows(), matrix.cols(), &packed).unwrap();
                let mut rows = [vec![0.0; matrix.cols()], vec![0.0; matrix.cols()]];
                for row in 0..matrix.rows() {
                    matrix.dequantize_row(row, &mut rows[0]);
                    again.dequantize_row(row, &mut rows[1]);
                    assert_eq!(rows[0], rows[1], "{name}, row {row}");
                }
            }
            let norm = source.tensor("output_norm.weight").unwrap().unwrap();
            let values = weights.output_norm.values().iter().flat_map(|value| value.to_le_bytes());
            assert!(values.eq(norm.bytes.iter().copied()));
        }
    }
}

#[test]
fn tokens_metadata_and_fingerprint_are_those_of_the_source() {
    let template = "{{ bos_token }}";
    let model = SyntheticModel { chat_template: Some(template.into()), ..SyntheticModel::gemma3(Format::Q8_0) };
    let fixture = Fixture::new(&model);
    let opened = Model::open(&fixture.path()).unwrap();
    let source = crate::gguf::Gguf::open(&fixture.folder.path().join("synthetic.gguf")).unwrap();
    let (ours, theirs) = (opened.tokenizer_source(), source.tokenizer_source().unwrap());
    assert_eq!(ours.vocabulary.len(), theirs.vocabulary.len());
    for token in 0..ours.vocabulary.len() as u32 {
        assert_eq!(ours.vocabulary.bytes(token), theirs.vocabulary.bytes(token));
        assert_eq!(ours.vocabulary.kind(token), theirs.vocabulary.kind(token));
    }
    assert_eq!(ours.vocabulary.sorted(), theirs.vocabulary.sorted());
    assert_eq!(*ours.scores, *theirs.scores);
    assert!(ours.merges.is_empty() && theirs.merges.is_empty());
    assert_eq!((ours.bos, ours.eos, ours.unknown), (Some(2), Some(1), Some(3)));
    assert_eq!(ours.chat_template.as_deref(), Some(template));
    assert_eq!(ours.vocabulary.find(b" the").map(|t| ours.vocabulary.kind(t)), Some(TokenKind::Normal));
    assert_eq!((opened.name(), opened.licence()), (Some("Synthetic"), Some("apache-2.0")));
    let sha256 =
        <sha2::Sha256 as sha2::Digest>::digest(fs::read(fixture.folder.path().join("synthetic.gguf")).unwrap());
    assert_eq!(opened.fingerprint()[..], sha256[..]);
    assert_eq!(opened.tokenizer().decode(&opened.tokenizer().encode("the cat sat")), "the cat sat");
}

#[test]
fn a_tied_embedding_is_stored_once() {
    let tied = Fixture::new(&SyntheticModel::llama(Format::Q8_0));
    let own = Fixture::new(&SyntheticModel { tied: false, ..SyntheticModel::llama(Format::Q8_0) });
    let entry = |fixture: &Fixture, name: &str| fixture.manifest().tensors.into_iter().find(|entry| entry.name == name);
    assert!(entry(&tied, "output.weight").is_none() && entry(&own, "output.weight").is_some());
    let opened = Model::open(&tied.path()).unwrap();
    let table = |tensor: &crate::weights::Tensor| match tensor {
        crate::weights::Tensor::Matrix { packed, .. } => packed.as_ptr(),
        crate::weights::Tensor::Vector(_) => panic!("a vector"),
    };
    assert_eq!(table(&opened.weights().embedding), table(&opened.weights().output));
}

#[test]
fn weights_lie_as_vectors_load_them_fastest() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_K));
    for entry in fixture.manifest().tensors {
        assert_eq!(entry.extent.offset % ALIGN, 0, "{}", entry.name);
    }
    assert_eq!(fixture.manifest().tensors[0].extent.offset % PAGE, 0);
}

#[test]
fn a_flipped_bit_is_found_wherever_it_is() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_0));
    let header = fixture.header();
    let mut places: Vec<usize> = (0..300).chain(PAGE as usize - 10..PAGE as usize).collect();
    for extent in header.sections.iter().chain(fixture.manifest().tensors.iter().map(|entry| &entry.extent)) {
        // The first byte and the last of the padding.
        if extent.length > 0 {
            places.extend([extent.offset as usize, (extent.offset + extent.padded().unwrap()) as usize - 1]);
        }
    }
    places.extend((300..fixture.bytes.len()).step_by(251));
    for (i, &at) in places.iter().enumerate() {
        let mut bytes = fixture.bytes.clone();
        bytes[at] ^= 1 << (i % 8);
        fixture.refusal(&bytes);
    }
    fixture.open(&fixture.bytes).expect("unharmed it opens");
}

#[test]
fn a_file_cut_or_grown_is_refused() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_0));
    for len in [0, 1, 7, 8, 100, PAGE as usize - 1, PAGE as usize, fixture.bytes.len() / 2, fixture.bytes.len() - 1] {
        fixture.refusal(&fixture.bytes[..len]);
    }
    let mut grown = fixture.bytes.clone();
    grown.push(0);
    let error = fixture.refusal(&grown);
    assert!(error.contains("bytes and was written with"), "{error}");
}

#[test]
fn another_version_a_foreign_file_and_another_model_are_told_apart() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_0));
    let mut newer = fixture.bytes.clone();
    newer[8] = 99;
    let expected = format!("version 99 of the format, and this Nibble reads version {VERSION}; update Nibble");
    assert!(fixture.refusal(&newer).contains(&expected));
    assert!(fixture.refusal(&[b'x'; 20_000]).contains("not a Nibble model file"));
    let gguf = fs::read(fixture.folder.path().join("synthetic.gguf")).unwrap();
    assert!(fixture.refusal(&gguf).contains("is a GGUF"));
    fixture.open(&fixture.bytes).unwrap();
    let expecting = |source| {
        let options = OpenOptions { expect_source: Some(source), ..Default::default() };
        Model::open_with(&fixture.path(), &options).map(drop)
    };
    expecting(fixture.header().source).unwrap();
    assert!(expecting([7; 32]).unwrap_err().to_string().contains("another model"));
    let missing = Model::open(Path::new("no/such.nibble")).err().unwrap().to_string();
    assert!(missing.contains("no/such.nibble"), "{missing}");
}

#[test]
fn checking_the_header_only_leaves_the_weights_alone() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_0));
    let mut bytes = fixture.bytes.clone();
    bytes[PAGE as usize] ^= 1;
    fixture.refusal(&bytes);
    let options = OpenOptions { verify: Verify::Header, ..Default::default() };
    Model::open_with(&fixture.path(), &options).unwrap();
}

#[test]
fn a_model_within_another_file_is_the_same_model() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_0));
    let expected = fixture
        .open(&fixture.bytes)
        .unwrap()
        .session(SessionOptions::default())
        .unwrap()
        .sync(&[1, 2])
        .unwrap()
        .to_vec();
    let package = fixture.folder.path().join("package");
    // Packages align what they hold to 4 bytes at least.
    for start in [4, 4096, 16_388] {
        let bytes = [vec![b'x'; start], fixture.bytes.clone(), b"the rest".to_vec()].concat();
        fs::write(&package, bytes).unwrap();
        let open = |end| {
            let file = fs::File::open(&package).unwrap();
            Model::open_part(&file, start as u64..end, Path::new("package"), &OpenOptions::default())
        };
        let model = open((start + fixture.bytes.len()) as u64).unwrap();
        fs::remove_file(&package).unwrap();
        assert_eq!(model.session(SessionOptions::default()).unwrap().sync(&[1, 2]).unwrap(), expected);
        let bytes = [vec![b'x'; start], fixture.bytes.clone()].concat();
        fs::write(&package, bytes).unwrap();
        let error = open((start + fixture.bytes.len() - 1) as u64).err().unwrap().to_string();
        assert!(error.contains("package") && error.contains("bytes and was written with"), "{error}");
    }
}

#[test]
fn a_forged_manifest_is_refused_in_words() {
    let fixture = Fixture::new(&SyntheticModel::llama(Format::Q4_0));
    let forge = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = fixture.manifest();
        change(&mut manifest);
        fixture.refusal(&reseal(&fixture.bytes, &mut manifest))
    };
    for (error, says) in [
        (forge(&|m| drop(m.tensors.pop())), "do not follow one another"),
        (forge(&|m| m.tensors.swap(0, 1)), "do not follow one another"),
        (forge(&|m| m.tensors[0].extent.length = u64::MAX), "do not follow one another"),
        (forge(&|m| m.tensors[0].shape = vec![usize::MAX, 64]), "cannot be"),
        (forge(&|m| m.tensors[0].shape = vec![]), "cannot be"),
        (forge(&|m| m.tensors[0].format = "Q9_9".into()), "cannot be"),
        (forge(&|m| m.tensors[0].name = "other".into()), "token_embd.weight is missing"),
        (forge(&|m| m.metadata.insert("llama.feed_forward_length".into(), 64.into())), "should be"),
        (forge(&|m| m.metadata.insert("llama.block_count".into(), 0.into())), "a size of zero"),
    ] {
        assert!(error.contains(says), "{error:?} does not say {says:?}");
    }
    let mut same = fixture.manifest();
    fixture.open(&reseal(&fixture.bytes, &mut same)).expect("resealed and unchanged it opens");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Checksums keep accidents out, not forgers: tables of any content, rightly sealed, must not make us panic.
    #[test]
    fn forged_tables_never_panic(
        gemma: bool,
        edits in prop::collection::vec((1..Section::ALL.len(), any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let model = if gemma { SyntheticModel::gemma3(Format::Q4_0) } else { SyntheticModel::llama(Format::Q4_0) };
        let fixture = Fixture::new(&model);
        let (mut bytes, header) = (fixture.bytes.clone(), fixture.header());
        for (section, at, value) in edits {
            let Extent { offset, length, .. } = header.sections[section];
            if length > 0 {
                bytes[offset as usize + at.index(length as usize)] = value;
            }
        }
        if let Ok(model) = fixture.open(&reseal(&bytes, &mut fixture.manifest())) {
            let tokenizer = model.tokenizer();
            prop_assert!(tokenizer.encode("the cat sat").iter().all(|&t| (t as usize) < model.vocabulary().len()));
            model.vocabulary().prefix_range(b"th");
        }
    }
}

#[test]
fn cancelled_packing_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("model.gguf");
    fs::write(&source, SyntheticModel::llama(Format::Q4_0).gguf().build()).unwrap();
    let dest = folder.path().join("model.nibble");
    let mut calls = 0;
    pack(&source, &dest, &mut |progress| {
        calls += 1;
        assert!(progress.done <= progress.total);
        ControlFlow::Continue(())
    })
    .unwrap();
    fs::remove_file(&dest).unwrap();
    for stop in 1..=calls {
        let mut left = stop;
        let outcome = pack(&source, &dest, &mut |_| {
            left -= 1;
            if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(outcome, Err(Error::Cancelled)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "only the source is left");
    }
}

#[test]
fn two_that_pack_at_once_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("model.gguf");
    fs::write(&source, SyntheticModel::llama(Format::Q4_0).gguf().build()).unwrap();
    let dest = folder.path().join("model.nibble");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| pack(&source, &dest, &mut |_| ControlFlow::Continue(())).unwrap());
        }
    });
    Model::open(&dest).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "the source and the model");
}

#[test]
fn a_write_that_fails_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("model.gguf");
    fs::write(&source, SyntheticModel::llama(Format::Q4_0).gguf().build()).unwrap();
    let dest = folder.path().join("no-folder/model.nibble");
    let error = pack(&source, &dest, &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound), "{error}");
}
