//! Packed models in a folder of an app: installed, listed, replaced and removed, within a quota.
//!
//! ```text
//! NAME.nibble                 the model; its time of change is when it was last used
//! NAME.nibble.threads.json    on how many threads it runs best here, if it was calibrated
//! .NAME.nibble.*.packing      one that is being installed
//! ```
//!
//! A file is replaced by renaming, so there is no moment without a model while one takes the place of another, and whoever has
//! the old one open keeps it. Who only opens models needs no right to write: an extension of an app, in a folder that both
//! share.

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic_file::AtomicFile;
use crate::calibration;
use crate::packed::{self, OpenOptions, PackProgress, PackedFile, Verify};
use crate::{Error, Model, Result};

const SUFFIX: &str = ".nibble";

/// The longest name of a model, so that no file system refuses it with what is added.
const LONGEST_NAME: usize = 100;

/// How much of a packed file is copied at once, in bytes.
const PIECE: usize = 1 << 20;

/// Packed models in a folder.
#[derive(Clone, Debug)]
pub struct ModelStore {
    folder: PathBuf,
    quota: Option<u64>,
}

/// A model of a [`ModelStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledModel {
    /// What it is called in the store.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The length of its file.
    pub bytes: u64,
    /// SHA-256 of the file that it was packed from; `None` where this version cannot read it, and it is to be installed again.
    pub source: Option<[u8; 32]>,
    /// When its path was last asked for, or when it was installed.
    pub last_used: SystemTime,
}

impl ModelStore {
    /// The store in `folder`, which is created where there is none. With a `quota`, its models take no more bytes than that: who
    /// was not used for longest is removed when another one is installed.
    ///
    /// # Errors
    /// [`Error::Io`] where there is no folder and none can be made.
    pub fn open(folder: &Path, quota: Option<u64>) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|source| Error::Io { doing: "create", path: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned(), quota })
    }

    /// All models, the last used first.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be read.
    pub fn installed(&self) -> Result<Vec<InstalledModel>> {
        let failed = |source| Error::Io { doing: "read", path: self.folder.clone(), source };
        let mut models = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(SUFFIX));
            let Some(name) = name.filter(|name| check_name(name).is_ok()) else { continue };
            // Another process may have removed it since.
            let Ok(metadata) = fs::metadata(&path) else { continue };
            models.push(InstalledModel {
                name: name.to_owned(),
                bytes: metadata.len(),
                source: packed::source_of(&path),
                last_used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                path,
            });
        }
        models.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.name.cmp(&b.name)));
        Ok(models)
    }

    /// The file of the model called `name`, to be opened; it counts as used now.
    ///
    /// # Errors
    /// [`Error::Io`] where there is none, [`Error::BadModelName`].
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.place(name)?;
        let file = File::open(&path).map_err(|source| Error::Io { doing: "open", path: path.clone(), source })?;
        // Who may not write is no one to decide what is kept.
        let _ = file.set_modified(SystemTime::now());
        Ok(path)
    }

    /// Installs the model file at `source` as `name`: packs a GGUF, or checks and copies a packed file. A model that has the name
    /// serves until this one is whole, and is then replaced; so do those that make room for it, which is why the storage holds both
    /// meanwhile. `expect_source` is the SHA-256 that the GGUF must have, or must have had when it was packed. `progress` is called
    /// after each piece; when it breaks, nothing has changed.
    ///
    /// # Errors
    /// As [`pack`](crate::pack) and [`Model::open`]; [`Error::OverQuota`] where the model is larger than the quota.
    pub fn install(
        &self,
        name: &str,
        source: &Path,
        expect_source: Option<[u8; 32]>,
        progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
    ) -> Result<PathBuf> {
        let dest = self.place(name)?;
        let failed = |error| Error::Io { doing: "open", path: source.to_owned(), source: error };
        let mut file = File::open(source).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        if let Some(quota) = self.quota.filter(|&quota| length > quota) {
            return Err(Error::OverQuota { needed: length, quota });
        }
        let mut magic = [0; 4];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == *b"GGUF" => packed::pack_expecting(source, &dest, expect_source, progress)?,
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(failed(error)),
            _ => copy(source, &dest, expect_source, progress)?,
        }
        // Only now: one that does not come about makes nobody go.
        self.make_room(name, fs::metadata(&dest).map_or(length, |metadata| metadata.len()))?;
        Ok(dest)
    }

    /// Removes a model. Who has it open keeps it. Removing what is not there does nothing.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses it, [`Error::BadModelName`].
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.place(name)?;
        // It is of no use without the model, and does no harm.
        let _ = fs::remove_file(calibration::beside(&path));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io { doing: "remove", path, source }),
            _ => Ok(()),
        }
    }

    /// Removes what was not used for longest until `bytes` more fit, for the model called `name`, which is not counted.
    fn make_room(&self, name: &str, bytes: u64) -> Result<()> {
        let Some(quota) = self.quota else { return Ok(()) };
        let mut others = self.installed()?;
        others.retain(|model| model.name != name);
        let mut taken: u64 = others.iter().map(|model| model.bytes).sum();
        while taken + bytes > quota
            && let Some(oldest) = others.pop()
        {
            log::info!("removing the model {}, which was not used for longest, to keep to the quota", oldest.name);
            self.remove(&oldest.name)?;
            taken -= oldest.bytes;
        }
        Ok(())
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.folder.join(format!("{name}{SUFFIX}")))
    }
}

/// A name that is a file's on every system, and no path.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let sound = (1..=LONGEST_NAME).contains(&name.len()) && !name.starts_with('.') && name.chars().all(is_plain);
    if sound { Ok(()) } else { Err(Error::BadModelName { longest: LONGEST_NAME }) }
}

/// Checks the packed file at `source`, and copies it to `dest`, whole or not at all.
fn copy(
    source: &Path,
    dest: &Path,
    expect_source: Option<[u8; 32]>,
    progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
) -> Result<()> {
    let failed = |error| Error::Io { doing: "read", path: source.to_owned(), source: error };
    Model::open_with(source, &OpenOptions { verify: Verify::Header, expect_source })?;
    let mut file = File::open(source).map_err(failed)?;
    let total = file.metadata().map_err(failed)?.len();
    let mut to = AtomicFile::create(dest)?;
    let mut piece = vec![0; PIECE];
    let mut done = 0;
    loop {
        let read = file.read(&mut piece).map_err(failed)?;
        if read == 0 {
            break;
        }
        to.append(&piece[..read])?;
        done += read as u64;
        if progress(PackProgress { done, total }).is_break() {
            return Err(Error::Cancelled);
        }
    }
    // What was copied is what is checked: the source may have changed meanwhile.
    PackedFile::open_mapped(&to.map()?, source, &OpenOptions { verify: Verify::Full, expect_source })?;
    to.commit()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nibble_kernels::Format;

    use super::*;
    use crate::testing::SyntheticModel;
    use crate::{LanguageModel, SessionOptions};

    const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

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

        /// A GGUF with weights of its own.
        fn gguf(&self, seed: u64) -> PathBuf {
            let path = self.folder.path().join(format!("{seed}.gguf"));
            let model = SyntheticModel { seed, ..SyntheticModel::llama(Format::Q4_0) };
            fs::write(&path, model.gguf().build()).unwrap();
            path
        }

        fn install(&self, name: &str, seed: u64) -> Result<PathBuf> {
            self.store.install(name, &self.gguf(seed), None, &mut |_| GO_ON)
        }

        fn names(&self) -> Vec<String> {
            self.store.installed().unwrap().into_iter().map(|model| model.name).collect()
        }

        /// Has `name` be used `seconds` ago.
        fn used(&self, name: &str, seconds: u64) {
            let file = File::open(self.store.place(name).unwrap()).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        }
    }

    #[test]
    fn a_model_is_packed_listed_used_and_removed() {
        let fixture = Fixture::new(None);
        assert_eq!(fixture.names(), [""; 0]);
        let mut seen = Vec::new();
        let installed = fixture.store.install("one", &fixture.gguf(1), None, &mut |progress| {
            seen.push(progress);
            GO_ON
        });
        assert!(seen.last().is_some_and(|last| last.done == last.total), "{seen:?}");
        let path = fixture.store.path("one").unwrap();
        assert_eq!(installed.unwrap(), path);
        let model = Model::open(&path).unwrap();
        fixture.install("two", 2).unwrap();
        fixture.used("one", 50);
        assert_eq!(fixture.names(), ["two", "one"]);
        fixture.store.path("one").unwrap();
        fixture.used("two", 50);
        let models = fixture.store.installed().unwrap();
        assert_eq!((models[0].name.as_str(), models[0].source.as_ref()), ("one", Some(model.fingerprint())));
        assert_eq!(models[0].bytes, fs::metadata(&path).unwrap().len());

        fixture.store.remove("one").unwrap();
        fixture.store.remove("one").unwrap();
        assert_eq!(fixture.names(), ["two"]);
        assert!(
            matches!(fixture.store.path("one"), Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound)
        );
        // Who has it open keeps it.
        assert!(model.session(SessionOptions::default()).unwrap().sync(&[1, 2, 3]).is_ok());
    }

    #[test]
    fn an_upgrade_has_no_moment_without_a_model() {
        let fixture = Fixture::new(None);
        fixture.install("model", 1).unwrap();
        let old = Model::open(&fixture.store.path("model").unwrap()).unwrap();
        let source = fixture.gguf(2);
        let mut still_there = 0;
        fixture
            .store
            .install("model", &source, None, &mut |_| {
                let now = Model::open(&fixture.store.path("model").unwrap()).unwrap();
                still_there += usize::from(now.fingerprint() == old.fingerprint());
                GO_ON
            })
            .unwrap();
        assert!(still_there > 1);
        let new = Model::open(&fixture.store.path("model").unwrap()).unwrap();
        assert_ne!(new.fingerprint(), old.fingerprint());
        assert!(old.session(SessionOptions::default()).unwrap().sync(&[1, 2, 3]).is_ok());
        // One that fails or is stopped leaves everything as it was.
        let stopped = fixture.store.install("model", &fixture.gguf(3), None, &mut |_| ControlFlow::Break(()));
        assert!(matches!(stopped, Err(Error::Cancelled)));
        fs::write(&source, &fs::read(&source).unwrap()[..5000]).unwrap();
        assert!(matches!(
            fixture.store.install("model", &source, None, &mut |_| GO_ON),
            Err(Error::DamagedGguf { .. })
        ));
        let kept = Model::open(&fixture.store.path("model").unwrap()).unwrap();
        assert_eq!(kept.fingerprint(), new.fingerprint());
        assert_eq!(fs::read_dir(fixture.folder.path().join("models")).unwrap().count(), 1, "nothing is left lying");
    }

    #[test]
    fn a_packed_file_is_checked_and_copied() {
        let fixture = Fixture::new(None);
        let packed = fixture.install("packed", 1).unwrap();
        let source = *Model::open(&packed).unwrap().fingerprint();
        let outside = fixture.folder.path().join("brought.nibble");
        fs::rename(&packed, &outside).unwrap();
        let mut last = None;
        let install = |name: &str, expect, progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>| {
            fixture.store.install(name, &outside, expect, progress)
        };
        let path = install("brought", Some(source), &mut |progress| {
            last = Some(progress);
            GO_ON
        });
        assert_eq!(fs::read(path.unwrap()).unwrap(), fs::read(&outside).unwrap());
        let length = fs::metadata(&outside).unwrap().len();
        assert_eq!(last, Some(PackProgress { done: length, total: length }));

        assert!(matches!(install("other", Some([7; 32]), &mut |_| GO_ON), Err(Error::BadModelFile { .. })));
        assert!(matches!(install("stopped", None, &mut |_| ControlFlow::Break(())), Err(Error::Cancelled)));
        let mut bytes = fs::read(&outside).unwrap();
        let middle = bytes.len() / 4;
        bytes[middle] ^= 1;
        fs::write(&outside, bytes).unwrap();
        assert!(matches!(install("damaged", None, &mut |_| GO_ON), Err(Error::BadModelFile { .. })));
        fs::write(&outside, "no").unwrap();
        assert!(matches!(install("foreign", None, &mut |_| GO_ON), Err(Error::BadModelFile { .. })));
        assert_eq!(fixture.names(), ["brought"]);
    }

    #[test]
    fn a_gguf_must_be_the_one_that_is_asked_for() {
        let fixture = Fixture::new(None);
        let source = *Model::open(&fixture.install("first", 1).unwrap()).unwrap().fingerprint();
        let install =
            |expect| fixture.store.install("again", &fixture.gguf(1), Some(expect), &mut |_| GO_ON).map(|_| ());
        assert!(matches!(install([1; 32]), Err(Error::DamagedGguf { .. })));
        assert_eq!(fixture.names(), ["first"]);
        install(source).unwrap();
    }

    #[test]
    fn the_quota_is_kept_by_who_was_not_used_for_longest() {
        let probe = Fixture::new(None);
        let one = fs::metadata(probe.install("one", 1).unwrap()).unwrap().len();
        // A source may be a little longer than what is packed from it.
        let fixture = Fixture::new(Some(2 * one + one / 2));
        for (name, seconds) in [("a", 300), ("b", 500)] {
            fixture.install(name, seconds).unwrap();
            fixture.used(name, seconds);
        }
        fixture.store.install("b", &fixture.gguf(9), None, &mut |_| GO_ON).unwrap();
        assert_eq!(fixture.names(), ["b", "a"], "what replaces itself makes nobody go");
        fixture.used("b", 500);
        // One that is stopped or damaged makes nobody go, and while it is being made all the others serve.
        let mut models_meanwhile = Vec::new();
        let stopped = fixture.store.install("c", &fixture.gguf(3), None, &mut |_| {
            models_meanwhile = fixture.names();
            ControlFlow::Break(())
        });
        assert!(matches!(stopped, Err(Error::Cancelled)));
        assert_eq!((models_meanwhile, fixture.names()), (vec!["a".into(), "b".into()], vec!["a".into(), "b".into()]));
        let cut = fixture.gguf(4);
        fs::write(&cut, &fs::read(&cut).unwrap()[..5000]).unwrap();
        assert!(fixture.store.install("c", &cut, None, &mut |_| GO_ON).is_err());
        assert_eq!(fixture.names(), ["a", "b"]);
        fixture.install("c", 3).unwrap();
        assert_eq!(fixture.names(), ["c", "a"]);

        let small = Fixture::new(Some(one / 2));
        assert!(matches!(small.install("a", 1), Err(Error::OverQuota { .. })));
        assert_eq!(small.names(), [""; 0]);
    }

    #[test]
    fn names_are_no_paths() {
        let fixture = Fixture::new(None);
        for name in ["", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a b", "ä", "a\0", &"a".repeat(101)] {
            assert!(matches!(fixture.store.path(name), Err(Error::BadModelName { .. })), "{name:?}");
            assert!(matches!(fixture.store.remove(name), Err(Error::BadModelName { .. })), "{name:?}");
        }
        fixture.install(&"a".repeat(100), 1).unwrap();
        fixture.install("smollm2-135m_v1.2", 2).unwrap();
        // What is not ours is left alone, and what cannot be read is listed.
        let folder = fixture.folder.path().join("models");
        fs::write(folder.join("notes.txt"), "mine").unwrap();
        fs::write(folder.join("old.nibble"), "an earlier version").unwrap();
        assert_eq!(fixture.names().len(), 3);
        let old = fixture.store.installed().unwrap().into_iter().find(|model| model.name == "old").unwrap();
        assert_eq!((old.source, old.bytes), (None, 18));
    }
}
