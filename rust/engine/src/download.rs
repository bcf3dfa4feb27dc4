//! A model file on its way into a store: which bytes are missing, and what became of those that came.
//!
//! Nothing here fetches: the app does, on its own terms, and hands over bytes. They go into one file beside the models, and each chunk
//! is compared with the manifest when it is whole. Nothing else is kept of how far it is: who begins anew, after whatever happened,
//! finds the chunks that are right.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::{ControlFlow, Range};
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use crate::manifest::sha256_of;
use crate::{Error, Manifest, ModelStore, PackProgress, Result};

/// How a download is begun.
#[derive(Clone, Copy, Debug, Default)]
pub struct DownloadOptions {
    /// Takes a manifest with a lower sequence number than the one that the model was last installed from.
    pub allow_older: bool,
    /// Bytes of memory that the device has; `None` asks the system, and where that does not tell, a model may need what it wants.
    pub memory: Option<u64>,
}

/// A model file on its way into a [`ModelStore`]. One at a time of a name, in all processes; dropped, it can be gone on with.
#[derive(Debug)]
pub struct Download {
    store: ModelStore,
    manifest: Manifest,
    path: PathBuf,
    file: File,
    chunks: Vec<Chunk>,
}

/// What is there of a chunk: its beginning, or all of it, and then it is right.
#[derive(Clone, Debug, Default)]
struct Chunk {
    filled: u64,
    hasher: Sha256,
}

impl Download {
    /// Begins, or goes on after reading what is there already.
    pub(crate) fn begin(store: &ModelStore, manifest: Manifest, options: DownloadOptions) -> Result<Self> {
        let about = &manifest.about;
        store.check_room(manifest.length)?;
        if let Some(memory) = options.memory.or_else(device_memory).filter(|&memory| memory < about.minimum_memory) {
            return Err(Error::TooLittleMemory { needed: about.minimum_memory, memory });
        }
        if let Some(installed) = store.sequence(&about.name)
            && about.sequence < installed
            && !options.allow_older
        {
            return Err(Error::OlderManifest { name: about.name.clone(), sequence: about.sequence, installed });
        }
        let path = store.begin_part(&about.name)?;
        let failed = |source| Error::Io { doing: "create", path: path.clone(), source };
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => failed(io::Error::other("another download of this model is under way")),
            TryLockError::Error(error) => failed(error),
        })?;
        if file.metadata().map_err(failed)?.len() > manifest.length {
            file.set_len(manifest.length).map_err(failed)?;
        }
        let chunks = vec![Chunk::default(); manifest.chunks()];
        let mut this = Self { store: store.clone(), manifest, path, file, chunks };
        this.read_chunks().map_err(|source| this.failed("read", source))?;
        Ok(this)
    }

    /// What is being fetched.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Which bytes of the file are still to be written, in their order.
    pub fn missing(&self) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for (index, chunk) in self.chunks.iter().enumerate() {
            let Range { start, end } = self.manifest.chunk(index);
            match ranges.last_mut() {
                _ if start + chunk.filled == end => {}
                Some(last) if last.end == start + chunk.filled => last.end = end,
                _ => ranges.push(start + chunk.filled..end),
            }
        }
        ranges
    }

    /// Takes bytes of the file that begin at `offset`: where something is missing, or at the beginning of a chunk. What is there
    /// already is passed over.
    ///
    /// # Errors
    /// [`Error::DamagedChunk`] where a chunk is whole with them and is not that of the manifest: it is missing again, and the bytes of
    /// other chunks are kept. [`Error::MisplacedBytes`] where those before are missing; [`Error::Io`] where the storage is full.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        let misplaced = || Error::MisplacedBytes { offset, length };
        let end = offset.checked_add(length).filter(|&end| end <= self.manifest.length).ok_or_else(misplaced)?;
        let (mut at, mut outcome) = (offset, Ok(()));
        while at < end {
            let index = self.manifest.chunk_at(at);
            let range = self.manifest.chunk(index);
            let from = range.start + self.chunks[index].filled;
            let to = end.min(range.end);
            if at > from {
                return Err(misplaced());
            }
            if from < to {
                let piece = &bytes[(from - offset) as usize..(to - offset) as usize];
                let written = self.file.seek(SeekFrom::Start(from)).and_then(|_| self.file.write_all(piece));
                written.map_err(|source| self.failed("write", source))?;
                self.chunks[index].hasher.update(piece);
                self.chunks[index].filled += piece.len() as u64;
                if to == range.end && !self.is_right(index) {
                    outcome = Err(Error::DamagedChunk { start: range.start, end: range.end });
                }
            }
            at = to;
        }
        outcome
    }

    /// Installs the file under the name of its manifest, when all of it is there. The model that had the name is kept for
    /// [`ModelStore::rollback`], as far as the quota allows. `progress` as in [`ModelStore::install`].
    ///
    /// # Errors
    /// [`Error::IncompleteDownload`], and as [`ModelStore::install`]; what was downloaded is then still there.
    pub fn install(&mut self, progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>) -> Result<PathBuf> {
        let missing = self.missing().iter().map(|range| range.end - range.start).sum();
        if missing > 0 {
            return Err(Error::IncompleteDownload { missing });
        }
        let sha256 = self.file.seek(SeekFrom::Start(0)).and_then(|_| sha256_of(&mut self.file));
        if sha256.map_err(|source| self.failed("read", source))? != *self.manifest.sha256() {
            return Err(Error::BadManifest { why: "its chunks are not those of the file that it names".into() });
        }
        let about = &self.manifest.about;
        let installed = self.store.install_version(&about.name, about.sequence, &self.path, progress)?;
        self.discard()?;
        Ok(installed)
    }

    /// Removes what was downloaded.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses it.
    pub fn discard(&mut self) -> Result<()> {
        self.chunks.fill(Chunk::default());
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", source)),
            _ => Ok(()),
        }
    }

    /// Finds the chunks that are there.
    fn read_chunks(&mut self) -> io::Result<()> {
        let there = self.file.metadata()?.len();
        for index in 0..self.chunks.len() {
            let Range { start, end } = self.manifest.chunk(index);
            if end > there {
                break;
            }
            self.file.seek(SeekFrom::Start(start))?;
            let sha256 = sha256_of(&mut (&self.file).take(end - start))?;
            if self.manifest.is_chunk(index, sha256) {
                self.chunks[index].filled = end - start;
            }
        }
        Ok(())
    }

    /// Whether a chunk that is whole is that of the manifest; else it is missing again.
    fn is_right(&mut self, index: usize) -> bool {
        let chunk = &mut self.chunks[index];
        let right = self.manifest.is_chunk(index, std::mem::take(&mut chunk.hasher).finalize().into());
        if !right {
            chunk.filled = 0;
        }
        right
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Io { doing, path: self.path.clone(), source }
    }
}

/// Bytes of memory that the system has, where it tells: Linux and Android.
fn device_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init, reason = "lists of what is missing")]
mod tests {
    use nibble_kernels::Format;

    use super::*;
    use crate::manifest::{About, Licence};
    use crate::testing::SyntheticModel;
    use crate::{Model, pack};

    const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
    const CHUNK: u64 = 10_000;

    struct Fixture {
        folder: tempfile::TempDir,
        store: ModelStore,
    }

    impl Fixture {
        fn new(quota: Option<u64>) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = ModelStore::open(&folder.path().join("models"), quota).unwrap();
            Self { folder, store }
        }

        /// A GGUF of several chunks with weights of its own, and its manifest.
        fn published(&self, sequence: u64) -> (Manifest, Vec<u8>) {
            let model = SyntheticModel { seed: sequence, ..SyntheticModel::llama(Format::Q4_0) };
            self.manifest(sequence, model.gguf().build())
        }

        fn manifest(&self, sequence: u64, content: Vec<u8>) -> (Manifest, Vec<u8>) {
            let path = self.folder.path().join("published");
            fs::write(&path, &content).unwrap();
            let licence = Licence { name: "CC0-1.0".into(), url: None };
            let about = About { name: "words".into(), sequence, licence, minimum_memory: 1000 };
            (Manifest::of_file(&path, about, CHUNK).unwrap(), content)
        }

        fn begin(&self, manifest: &Manifest) -> Download {
            self.store.download(manifest.clone(), DownloadOptions::default()).unwrap()
        }

        fn fetch(&self, sequence: u64) {
            let (manifest, content) = self.published(sequence);
            let mut download = self.begin(&manifest);
            download.write(0, &content).unwrap();
            download.install(&mut |_| GO_ON).unwrap();
        }

        /// The SHA-256 of what the installed model was packed from.
        fn installed(&self) -> [u8; 32] {
            *Model::open(&self.store.path("words").unwrap()).unwrap().fingerprint()
        }

        fn files(&self) -> Vec<String> {
            let entries = fs::read_dir(self.folder.path().join("models")).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    fn is_not_found(outcome: &Result<()>) -> bool {
        matches!(outcome, Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound)
    }

    #[test]
    fn what_came_is_kept_by_the_chunk_and_the_rest_is_asked_for() {
        let fixture = Fixture::new(None);
        let (manifest, content) = fixture.published(1);
        let length = manifest.length;
        assert!(length > 4 * CHUNK && !length.is_multiple_of(CHUNK), "{length}");
        let mut download = fixture.begin(&manifest);
        assert_eq!(download.missing(), [0..length]);
        // Across the end of a chunk, and from the middle on; twice is as good as once.
        download.write(0, &content[..12_500]).unwrap();
        download.write(5_000, &content[5_000..15_000]).unwrap();
        download.write(3 * CHUNK, &content[30_000..30_001]).unwrap();
        download.write(4 * CHUNK, &content[40_000..]).unwrap();
        assert_eq!(download.missing(), [15_000..30_000, 30_001..40_000]);
        for (offset, bytes) in [(15_001, 5), (22_500, 5), (length - 5, 6), (length + 1, 0), (u64::MAX, 2)] {
            let outcome = download.write(offset, &vec![0; bytes]);
            assert!(matches!(outcome, Err(Error::MisplacedBytes { .. })), "{offset}: {outcome:?}");
        }
        assert!(matches!(download.install(&mut |_| GO_ON), Err(Error::IncompleteDownload { missing: 24_999 })));
        assert!(matches!(
            fixture.store.download(manifest.clone(), DownloadOptions::default()),
            Err(Error::Io { doing: "create", .. })
        ));

        // Who is killed loses the chunks under way.
        drop(download);
        let mut download = fixture.begin(&manifest);
        assert_eq!(download.missing(), [CHUNK..4 * CHUNK]);
        download.write(CHUNK, &content[10_000..40_000]).unwrap();
        let mut seen = Vec::new();
        let path = download.install(&mut |progress| {
            seen.push(progress);
            GO_ON
        });
        assert_eq!(path.unwrap(), fixture.store.path("words").unwrap());
        assert!(seen.last().is_some_and(|last| last.done == last.total), "{seen:?}");
        assert_eq!(fixture.installed(), *manifest.sha256());
        assert_eq!(fixture.files(), ["words.nibble", "words.nibble.sequence"]);
    }

    #[test]
    fn wrong_bytes_are_dropped_and_asked_for_again() {
        let fixture = Fixture::new(None);
        let (manifest, content) = fixture.published(1);
        let mut download = fixture.begin(&manifest);
        let mut wrong = content.clone();
        wrong[30_000] ^= 1;
        let outcome = download.write(0, &wrong);
        assert!(matches!(outcome, Err(Error::DamagedChunk { start: 30_000, end: 40_000 })), "{outcome:?}");
        assert_eq!(download.missing(), [30_000..40_000]);
        // On the disk too.
        download.write(30_000, &content[30_000..40_000]).unwrap();
        assert!(download.missing().is_empty());
        drop(download);
        let part = fixture.folder.path().join("models/.words.nibble.part");
        wrong.extend([7; 100]);
        fs::write(&part, &wrong).unwrap();
        let mut download = fixture.begin(&manifest);
        assert_eq!(download.missing(), [30_000..40_000]);
        // Another file's beginning is no harm, and what both have is not fetched again.
        drop(download);
        let longer = fixture.manifest(2, [&content[..], &[1; 50_000]].concat()).0;
        download = fixture.begin(&longer);
        assert_eq!(download.missing()[0], 30_000..40_000);
        download.discard().unwrap();
        assert_eq!(download.missing(), [0..longer.length]);
        assert_eq!(fixture.files(), [""; 0]);
    }

    #[test]
    fn a_new_version_can_be_rolled_back_and_an_older_one_is_refused() {
        let fixture = Fixture::new(None);
        fixture.fetch(1);
        let first = fixture.installed();
        assert!(is_not_found(&fixture.store.rollback("words")));
        fixture.fetch(2);
        assert_ne!(fixture.installed(), first);
        // The same one again does not push out what was before it.
        fixture.fetch(2);
        fixture.store.rollback("words").unwrap();
        assert_eq!(fixture.installed(), first);
        assert!(is_not_found(&fixture.store.rollback("words")));

        // Also after the model was removed.
        fixture.store.remove("words").unwrap();
        let (old, content) = fixture.published(1);
        let refused = fixture.store.download(old.clone(), DownloadOptions::default());
        assert!(matches!(refused, Err(Error::OlderManifest { sequence: 1, installed: 2, .. })), "{refused:?}");
        let options = DownloadOptions { allow_older: true, ..DownloadOptions::default() };
        let mut download = fixture.store.download(old.clone(), options).unwrap();
        download.write(0, &content).unwrap();
        download.install(&mut |_| GO_ON).unwrap();
        drop(fixture.begin(&old));
        fixture.store.remove("words").unwrap();
        assert_eq!(fixture.files(), ["words.nibble.sequence"]);
    }

    #[test]
    fn an_installation_that_ends_early_loses_neither_the_model_nor_the_download() {
        let fixture = Fixture::new(None);
        fixture.fetch(1);
        let first = fixture.installed();
        let (manifest, content) = fixture.published(2);
        let mut download = fixture.begin(&manifest);
        download.write(0, &content).unwrap();
        let mut still_there = 0;
        let stopped = download.install(&mut |progress| {
            still_there += usize::from(fixture.installed() == first);
            if progress.done == progress.total { ControlFlow::Break(()) } else { GO_ON }
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert!(still_there > 1);
        drop(download);
        // Killed at its end: the number is written, and the model about to be replaced.
        let models = fixture.folder.path().join("models");
        fs::write(models.join("words.nibble.sequence"), "2").unwrap();
        fs::write(models.join(".words.nibble.next"), "half a file").unwrap();
        fs::write(models.join(".words.nibble.keeping"), "half a file").unwrap();
        fs::copy(models.join("words.nibble"), models.join(".words.nibble.previous")).unwrap();
        assert_eq!(fixture.installed(), first);
        let mut download = fixture.begin(&manifest);
        assert!(download.missing().is_empty());
        download.install(&mut |_| GO_ON).unwrap();
        assert_eq!(fixture.installed(), *manifest.sha256());
        fixture.store.rollback("words").unwrap();
        assert_eq!(fixture.installed(), first);
        assert_eq!(fixture.files(), ["words.nibble", "words.nibble.sequence"]);
    }

    #[test]
    fn the_quota_holds_what_is_kept_and_that_goes_first() {
        let probe = Fixture::new(None);
        probe.fetch(1);
        let one = probe.store.installed().unwrap()[0].bytes;
        let fixture = Fixture::new(Some(2 * one + one / 2));
        fixture.fetch(1);
        fixture.fetch(2);
        assert!(fixture.files().contains(&".words.nibble.previous".into()));
        // Room for two: another model takes the place of the one that is kept.
        let other = fixture.folder.path().join("published");
        fixture.store.install("other", &other, None, &mut |_| GO_ON).unwrap();
        assert_eq!(fixture.files(), ["other.nibble", "words.nibble", "words.nibble.sequence"]);
        fixture.fetch(3);
        assert_eq!(fixture.files(), ["other.nibble", "words.nibble", "words.nibble.sequence"]);
        assert!(is_not_found(&fixture.store.rollback("words")));

        let small = Fixture::new(Some(1000));
        let refused = small.store.download(small.published(1).0, DownloadOptions::default());
        assert!(matches!(refused, Err(Error::OverQuota { quota: 1000, .. })));
        assert_eq!(small.files(), [""; 0]);
    }

    #[test]
    fn a_model_that_needs_more_memory_is_refused_before_a_byte_is_fetched() {
        let fixture = Fixture::new(None);
        let (mut manifest, _) = fixture.published(1);
        let begin = |manifest: &Manifest, memory| {
            let options = DownloadOptions { memory, ..DownloadOptions::default() };
            fixture.store.download(manifest.clone(), options).map(drop)
        };
        assert!(matches!(begin(&manifest, Some(999)), Err(Error::TooLittleMemory { needed: 1000, memory: 999 })));
        assert_eq!(fixture.files(), [""; 0]);
        begin(&manifest, Some(1000)).unwrap();
        manifest.about.minimum_memory = u64::MAX;
        assert_eq!(begin(&manifest, None).is_err(), cfg!(target_os = "linux"));
    }

    #[test]
    fn a_packed_file_is_fetched_too_and_has_to_be_one() {
        let fixture = Fixture::new(None);
        let gguf = fixture.published(1).1;
        let (source, packed) = (fixture.folder.path().join("a.gguf"), fixture.folder.path().join("a.nibble"));
        fs::write(&source, gguf).unwrap();
        pack(&source, &packed, &mut |_| GO_ON).unwrap();
        let (manifest, content) = fixture.manifest(1, fs::read(&packed).unwrap());
        let mut download = fixture.begin(&manifest);
        download.write(0, &content).unwrap();
        let installed = download.install(&mut |_| GO_ON).unwrap();
        assert_eq!(fs::read(installed).unwrap(), content);

        let (manifest, content) = fixture.manifest(2, b"signed, and no model".to_vec());
        let mut download = fixture.begin(&manifest);
        download.write(0, &content).unwrap();
        assert!(matches!(download.install(&mut |_| GO_ON), Err(Error::BadModelFile { .. })));
        drop(download);
        drop(fixture.begin(&fixture.published(1).0));
        assert_eq!(
            fs::read(fixture.store.path("words").unwrap()).unwrap().len(),
            packed.metadata().unwrap().len() as usize
        );
    }
}
