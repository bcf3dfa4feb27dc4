//! Learning from what a person writes: what is known of it, shared by all who use it, and the file that it is kept in.
//!
//! What is learned counts at once, and is written down when somebody says so: a file that is slow never holds up a key.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::diary::{Change, Diary, DiaryError, DiaryKey};
use super::habits::Habits;
pub use super::habits::{HALF_LIFE, ImportError, LearnedWord};

/// What was learned of one person. Clones are the same.
#[derive(Clone)]
pub struct Learner {
    habits: Arc<Mutex<Habits>>,
    /// None if there is no file, or it was closed.
    diary: Arc<Mutex<Option<Diary>>>,
}

impl Default for Learner {
    fn default() -> Self {
        Self::new()
    }
}

impl Learner {
    /// One that learns until it is dropped.
    pub fn new() -> Self {
        Self { habits: Arc::new(Mutex::new(Habits::new(false))), diary: Arc::default() }
    }

    /// One that keeps what it learns in a file, which is made if there is none; with a key, sealed by it.
    ///
    /// # Errors
    /// As [`DiaryError`]. The file is then as it was; a keyboard can go on without one, or with [`new`](Self::new).
    pub fn open(path: &Path, key: Option<&DiaryKey>) -> Result<Self, DiaryError> {
        let (diary, rows) = Diary::open(path, key)?;
        let unfit = || DiaryError::Unfit { path: path.to_owned(), why: "a row makes no sense".to_owned() };
        let habits = Habits::of(rows).ok_or_else(unfit)?;
        Ok(Self { habits: Arc::new(Mutex::new(habits)), diary: Arc::new(Mutex::new(Some(diary))) })
    }

    /// Takes in that `word` was written behind the text `context` and stays: typed, taken from the strip, or corrected. A word that
    /// nobody should learn, such as a number or an address, is passed over.
    pub fn committed(&self, context: &str, word: &str) {
        self.habits().committed(context, word);
    }

    /// Takes in a word that the person puts in on purpose, written so: a name, or a word of their trade. It is theirs at once, is not
    /// forgotten by itself, and no correction changes it, even while [paused](Self::pause). Says whether it can be one: letters for the
    /// most part, without spaces. Of more than 2,000 such words the least written become words like others.
    pub fn add(&self, word: &str) -> bool {
        self.habits().add(word)
    }

    /// Takes in that `word` had taken the place of `typed`, and was taken back: it is not done again until that is forgotten.
    pub fn reverted(&self, typed: &str, word: &str) {
        self.habits().reverted(typed, word);
    }

    /// Writes down what has changed since the last time. It waits for the disk, and nobody who types waits for it.
    ///
    /// # Errors
    /// [`DiaryError::File`] if it cannot be written; it still counts, and the next call tries again.
    pub fn save(&self) -> Result<(), DiaryError> {
        // Taken first, so that changes are written in the order in which they were made.
        let diary = lock(&self.diary);
        let Some(diary) = &*diary else { return Ok(()) };
        let changes = self.habits().changes();
        if changes.is_empty() {
            return Ok(());
        }
        let rows: Vec<Change<_>> = changes.iter().map(|(number, row)| (*number, row.as_ref())).collect();
        let written = diary.write(&rows);
        if written.is_err() {
            self.habits().put_back(changes);
        }
        written
    }

    /// Forgets a word, whatever its case, and everything that was learned with it, in the file too; says whether it was known.
    ///
    /// # Errors
    /// [`DiaryError::File`] if it is still in the file.
    pub fn forget(&self, word: &str) -> Result<bool, DiaryError> {
        let known = self.habits().forget(word);
        self.save_small().map(|()| known)
    }

    /// Forgets everything, in the file too.
    ///
    /// # Errors
    /// As [`forget`](Self::forget).
    pub fn wipe(&self) -> Result<(), DiaryError> {
        self.habits().wipe();
        self.save_small()
    }

    /// Saves, and leaves nothing in the file that is no more.
    fn save_small(&self) -> Result<(), DiaryError> {
        self.save()?;
        lock(&self.diary).as_mut().map_or(Ok(()), Diary::compact)
    }

    /// Saves, and closes the file; what is known stays in use, and what is learned from now on is kept until it is dropped.
    ///
    /// # Errors
    /// As [`save`](Self::save); the file is closed all the same.
    pub fn close(&self) -> Result<(), DiaryError> {
        let saved = self.save();
        *lock(&self.diary) = None;
        saved
    }

    /// While paused nothing is learned; what is known stays in use.
    pub fn pause(&self, paused: bool) {
        self.habits().paused = paused;
    }

    /// All words, the most written first.
    pub fn words(&self) -> Vec<LearnedWord> {
        self.habits().words()
    }

    /// How many words are known.
    pub fn len(&self) -> usize {
        self.habits().len()
    }

    /// Whether nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.habits().is_empty()
    }

    /// Everything, as JSON, for [`import`](Self::import). It is not sealed.
    pub fn export(&self) -> String {
        self.habits().export()
    }

    /// Adds what another keyboard has [exported](Self::export): of what both know, the counts add up.
    ///
    /// # Errors
    /// It is no export; nothing was taken from it.
    pub fn import(&self, export: &str) -> Result<(), ImportError> {
        self.habits().import(export)
    }

    pub(super) fn habits(&self) -> MutexGuard<'_, Habits> {
        lock(&self.habits)
    }
}

/// A count that is off by one after a panic is better than a keyboard that learns nothing more.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::habits::Said;
    use super::*;

    fn teach(learner: &Learner, message: &str) {
        let mut context = String::new();
        for word in message.split_inclusive(' ') {
            learner.committed(&context, word.trim());
            context.push_str(word);
        }
        learner.save().unwrap();
    }

    #[test]
    fn a_word_is_forgotten_with_all_that_was_learned_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("learned");
        let learner = Learner::open(&path, None).unwrap();
        teach(&learner, "dear Xanthippe Mustermann hello");
        learner.reverted("xanthippe", "anther");
        assert!(learner.habits().refuses("xanthippe"));
        assert!(learner.forget("XANTHIPPE").unwrap() && !learner.forget("xanthippe").unwrap());
        assert!(!learner.export().to_lowercase().contains("xanthippe") && learner.len() == 3);
        drop(learner);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).to_lowercase().contains("xanthippe"), "in the file");
        let learner = Learner::open(&path, None).unwrap();
        assert_eq!(learner.len(), 3);
        learner.wipe().unwrap();
        drop(learner);
        assert!(Learner::open(&path, None).unwrap().is_empty());
    }

    #[test]
    fn a_file_gives_back_what_was_learned() {
        let folder = tempfile::tempdir().unwrap();
        for key in [None, Some([7; 32])] {
            let path = folder.path().join(if key.is_some() { "sealed" } else { "plain" });
            let learner = Learner::open(&path, key.as_ref()).unwrap();
            teach(&learner, "see Zorp later");
            learner.reverted("teh", "the");
            learner.save().unwrap();
            let (export, said) = (learner.export(), Said::before("see "));
            let probability = learner.habits().probability(&said, "zorp");
            assert!(matches!(Learner::open(&path, key.as_ref()), Err(DiaryError::Busy { .. })));
            drop(learner);
            let learner = Learner::open(&path, key.as_ref()).unwrap();
            assert_eq!((learner.export(), learner.habits().probability(&said, "zorp")), (export, probability));
            assert!(learner.habits().refuses("teh"));
            teach(&learner, "see Zorp again");
            assert!(learner.habits().probability(&said, "zorp") > probability);
        }
        let sealed = std::fs::read(folder.path().join("sealed")).unwrap();
        assert!(!String::from_utf8_lossy(&sealed).to_lowercase().contains("zorp"));
        for (file, key) in [("sealed", None), ("sealed", Some([8; 32])), ("plain", Some([7; 32]))] {
            let opened = Learner::open(&folder.path().join(file), key.as_ref());
            assert!(matches!(opened, Err(DiaryError::Key { .. })), "{file}");
        }
        let opened = Learner::open(&folder.path().join("sealed"), Some(&[7; 32])).unwrap();
        assert_eq!(opened.len(), 4, "the wrong key has changed nothing");
    }

    #[test]
    fn a_damaged_file_is_refused_or_gives_what_was_learned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("learned");
        let learner = Learner::open(&path, None).unwrap();
        teach(&learner, "see Zorp later and see them soon");
        let export = learner.export();
        drop(learner);
        let good = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for at in (0..good.len()).step_by(good.len() / 300) {
            let mut bad = good.clone();
            bad[at] ^= 0x15;
            std::fs::write(&path, &bad).unwrap();
            match Learner::open(&path, None) {
                Ok(learner) => assert_eq!(learner.export(), export, "byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > 0);
        for bad in [&b"no store at all"[..], &good[..good.len() / 2], &good[..100]] {
            std::fs::write(&path, bad).unwrap();
            let error = Learner::open(&path, None).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| error.contains("learned")), "{} bytes", bad.len());
            assert_eq!(std::fs::read(&path).unwrap(), bad, "it is left as it is");
        }
        let nowhere = folder.path().join("none").join("learned");
        assert!(matches!(Learner::open(&nowhere, None), Err(DiaryError::File { .. })));
    }

    #[test]
    fn what_is_learned_counts_at_once_and_is_kept_once_it_is_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("learned");
        let learner = Learner::open(&path, None).unwrap();
        teach(&learner, "see Zorp");
        learner.clone().committed("see ", "them");
        assert_eq!(learner.len(), 3, "clones are the same");
        drop(learner);
        let learner = Learner::open(&path, None).unwrap();
        assert_eq!(learner.len(), 2, "the last word was not saved");
        learner.committed("see ", "them");
        let changes = learner.habits().changes();
        learner.committed("see ", "them");
        learner.habits().put_back(changes);
        let export = learner.export();
        learner.close().unwrap();
        assert_eq!(Learner::open(&path, None).unwrap().export(), export, "what came back is older than what is there");
        teach(&learner, "go on");
        assert_eq!(learner.len(), 5, "without a file");
    }
}
