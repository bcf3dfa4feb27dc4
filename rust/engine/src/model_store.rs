//! Packed models in a folder of an app: installed, listed, replaced and removed, within a quota.
//!
//! ```text
//! NAME.nibble                 the model; its time of change is when it was last used
//! NAME.nibble.threads.json    on how many threads it runs best here, if it was calibrated
//! NAME.nibble.sequence        the sequence number of the manifest that it was installed from, if there was one
//! .NAME.nibble.part           what was downloaded of it
//! .NAME.nibble.next           it, installed from a download and about to take its place
//! .NAME.nibble.previous       what it took the place of, for rolling back
//! .*.packing                  a file that is being written
//! ```
//!
//! A file is replaced by renaming, so there is no moment without a model while one takes the place of another, and whoever has
//! the old one open keeps it. Who only opens models needs no right to write: an extension of an app, in a folder that both
//! share.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic_file::{AtomicFile, sync_folder};
use crate::calibration;
use crate::download::{Download, DownloadOptions};
use crate::manifest::Manifest;
use crate::packed::{self, OpenOptions, PackProgress, PackedFile, Verify};
use crate::{Error, Model, Result};

const SUFFIX: &str = ".nibble";

/// What the file of a model that was replaced ends in.
const PREVIOUS: &str = ".nibble.previous";

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
        let bytes = self.bring(source, &dest, expect_source, progress)?;
        // Only now: one that does not come about makes nobody go.
        self.make_room(name, bytes)?;
        Ok(dest)
    }

    /// Begins to download the file of a manifest, or goes on with it.
    ///
    /// # Errors
    /// [`Error::OlderManifest`], [`Error::TooLittleMemory`]; [`Error::OverQuota`] where the file is larger than the quota;
    /// [`Error::Io`] where it cannot be written, or another download of the name is under way.
    pub fn download(&self, manifest: Manifest, options: DownloadOptions) -> Result<Download> {
        Download::begin(self, manifest, options)
    }

    /// Puts the model back that the last download of `name` took the place of. That one is gone then, and manifests older than its own
    /// are refused as before.
    ///
    /// # Errors
    /// [`Error::Io`] where there is none, [`Error::BadModelName`].
    pub fn rollback(&self, name: &str) -> Result<()> {
        let (path, previous) = (self.place(name)?, self.hidden(name, PREVIOUS));
        let failed = |path: &Path, source| Error::Io { doing: "roll back to", path: path.to_owned(), source };
        fs::rename(&previous, &path).map_err(|source| failed(&previous, source))?;
        sync_folder(&path).map_err(|source| failed(&path, source))
    }

    /// As [`ModelStore::install`], from a download with a sequence number; what had the name is kept.
    pub(crate) fn install_version(
        &self,
        name: &str,
        sequence: u64,
        source: &Path,
        progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
    ) -> Result<PathBuf> {
        let (dest, next) = (self.place(name)?, self.hidden(name, ".nibble.next"));
        let bytes = self.bring(source, &next, None, progress)?;
        // First the number: killed between the two, the same manifest is taken once more, and no older one.
        let mut number = AtomicFile::create(&self.sequence_path(name))?;
        number.append(sequence.to_string().as_bytes())?;
        number.commit()?;
        if packed::source_of(&dest) != packed::source_of(&next) {
            self.keep(name)?;
        }
        let failed = |source| Error::Io { doing: "create", path: dest.clone(), source };
        fs::rename(&next, &dest).and_then(|()| sync_folder(&dest)).map_err(failed)?;
        self.make_room(name, bytes)?;
        Ok(dest)
    }

    /// The sequence number of the manifest that `name` was last installed from.
    pub(crate) fn sequence(&self, name: &str) -> Option<u64> {
        fs::read_to_string(self.sequence_path(name)).ok()?.parse().ok()
    }

    /// Where what is downloaded of `name` goes; what a killed installation of it left is gone.
    pub(crate) fn begin_part(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        let _ = fs::remove_file(self.hidden(name, ".nibble.next"));
        Ok(self.hidden(name, ".nibble.part"))
    }

    /// Refuses a model that alone is over the quota.
    pub(crate) fn check_room(&self, needed: u64) -> Result<()> {
        match self.quota.filter(|&quota| needed > quota) {
            Some(quota) => Err(Error::OverQuota { needed, quota }),
            None => Ok(()),
        }
    }

    /// Packs or copies the model file at `source` to `dest`; returns how long that is.
    fn bring(
        &self,
        source: &Path,
        dest: &Path,
        expect_source: Option<[u8; 32]>,
        progress: &mut dyn FnMut(PackProgress) -> ControlFlow<()>,
    ) -> Result<u64> {
        let failed = |error| Error::Io { doing: "open", path: source.to_owned(), source: error };
        let mut file = File::open(source).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        self.check_room(length)?;
        let mut magic = [0; 4];
        match file.read_exact(&mut magic) {
            Ok(()) if magic == *b"GGUF" => packed::pack_expecting(source, dest, expect_source, progress)?,
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(failed(error)),
            _ => copy(source, dest, expect_source, progress)?,
        }
        Ok(fs::metadata(dest).map_or(length, |metadata| metadata.len()))
    }

    /// Keeps the model called `name`, if there is one, for rolling back. It stays under its name meanwhile.
    fn keep(&self, name: &str) -> Result<()> {
        let (path, kept, new) = (self.place(name)?, self.hidden(name, PREVIOUS), self.hidden(name, ".nibble.keeping"));
        let failed = |source| Error::Io { doing: "write", path: kept.clone(), source };
        let _ = fs::remove_file(&new);
        // Android lets no app make a second name of a file.
        let copied = fs::hard_link(&path, &new).or_else(|_| {
            fs::copy(&path, &new)?;
            File::open(&new)?.sync_all()
        });
        match copied {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            copied => copied.and_then(|()| fs::rename(&new, &kept)).map_err(failed),
        }
    }

    /// Removes a model, and what was downloaded for its name. Who has it open keeps it. Removing what is not there does nothing. The
    /// sequence number of its manifest is remembered.
    ///
    /// # Errors
    /// [`Error::Io`] where the system refuses it, [`Error::BadModelName`].
    pub fn remove(&self, name: &str) -> Result<()> {
        check_name(name)?;
        // They take up space, and do no other harm.
        for suffix in [".nibble.part", ".nibble.next", ".nibble.keeping", PREVIOUS] {
            let _ = fs::remove_file(self.hidden(name, suffix));
        }
        self.evict(name)
    }

    /// Removes a model, and nothing that is on its way.
    fn evict(&self, name: &str) -> Result<()> {
        let path = self.place(name)?;
        // It is of no use without the model, and does no harm.
        let _ = fs::remove_file(calibration::beside(&path));
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::Io { doing: "remove", path, source }),
            _ => Ok(()),
        }
    }

    /// Removes what is kept for rolling back, and then what was not used for longest, until `bytes` more fit, for the model called
    /// `name`, which is not counted.
    fn make_room(&self, name: &str, bytes: u64) -> Result<()> {
        let Some(quota) = self.quota else { return Ok(()) };
        let mut others = self.installed()?;
        others.retain(|model| model.name != name);
        let mut kept = self.kept()?;
        // Its own goes last.
        kept.sort_by_key(|(path, _)| *path != self.hidden(name, PREVIOUS));
        let mut taken = others.iter().map(|model| model.bytes).chain(kept.iter().map(|(_, bytes)| *bytes)).sum::<u64>();
        while taken + bytes > quota {
            if let Some((path, bytes)) = kept.pop() {
                fs::remove_file(&path).map_err(|source| Error::Io { doing: "remove", path, source })?;
                taken -= bytes;
            } else if let Some(oldest) = others.pop() {
                log::info!("removing the model {}, which was not used for longest, to keep to the quota", oldest.name);
                self.evict(&oldest.name)?;
                taken -= oldest.bytes;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// The files that are kept for rolling back, and their lengths.
    fn kept(&self) -> Result<Vec<(PathBuf, u64)>> {
        let failed = |source| Error::Io { doing: "read", path: self.folder.clone(), source };
        let paths: io::Result<Vec<_>> =
            fs::read_dir(&self.folder).map_err(failed)?.map(|entry| Ok(entry?.path())).collect();
        let is_kept =
            |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.ends_with(PREVIOUS));
        let kept = paths.map_err(failed)?.into_iter().filter(is_kept);
        Ok(kept.filter_map(|path| Some((path.clone(), fs::metadata(path).ok()?.len()))).collect())
    }

    /// A file of the model called `name` that is not shown.
    fn hidden(&self, name: &str, suffix: &str) -> PathBuf {
        self.folder.join(format!(".{name}{suffix}"))
    }

    fn sequence_path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.nibble.sequence"))
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.folder.join(format!("{name}{SUFFIX}")))
    }
}

/// A name that is a file's on every system, and no path.
pub(crate) fn check_name(name: &str) -> Result<()> {
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
