//! Calibration: how many threads a model is fastest on, measured once on the machine at hand and kept beside the packed file.
//!
//! Of a model in a part of a file, which has nothing beside it, the process remembers it.
//!
//! What is kept says what it holds for: the model, the cores, the kernels and the version of Nibble. Wherever one of them
//! differs, or the file cannot be read, sessions do as if nothing had been measured.

use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nibble_kernels::{Kernels, Tier};
use serde::{Deserialize, Serialize};

use crate::atomic_file::AtomicFile;
use crate::cores::Cores;
use crate::crew::Threads;
use crate::{CancelToken, Error, LanguageModel, Model, Result, Session, SessionOptions, TokenId, hexadecimal};

/// What the name of a packed file is followed by in the name of the file with its calibration.
pub const CALIBRATION_SUFFIX: &str = ".threads.json";

/// The most threads that are tried.
const MOST_THREADS: usize = 8;

/// Tokens of the prompt that is read.
const PROMPT: usize = 64;

/// Tokens that are written after it.
const STEPS: usize = 8;

/// How long the measurement should take, and how often everything is measured, whatever the time.
const BUDGET: Duration = Duration::from_millis(1500);
const ROUNDS: std::ops::RangeInclusive<u32> = 3..=9;

/// How far a calibration has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CalibrationProgress {
    /// Measurements done.
    pub done: usize,
    /// Measurements in all.
    pub total: usize,
}

/// How fast a model is on a number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadSpeed {
    /// Threads that compute.
    pub threads: usize,
    /// Tokens a second of a prompt of 64 tokens; median.
    pub prefill_tps: f64,
    /// Tokens a second of the 8 tokens after it, each the most probable one; median.
    pub decode_tps: f64,
}

/// What [`Model::calibrate`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The fewest threads whose speed is within 5 % of the best.
    pub threads: Threads,
    /// The speed of each number of threads, from 1 on.
    pub speeds: Vec<ThreadSpeed>,
    /// The file that tells later sessions; `None` where it could not be written, or the model has no file of its own.
    pub kept: Option<PathBuf>,
}

/// The calibration as it is kept.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    holds_for: HoldsFor,
    prefill: usize,
    decode: usize,
}

/// What a calibration holds for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HoldsFor {
    /// Version of Nibble.
    version: String,
    /// SHA-256 of the file that the model was packed from.
    model: String,
    cores: String,
    tier: String,
}

impl Record {
    fn threads(&self) -> Threads {
        Threads { prefill: self.prefill, decode: self.decode }
    }
}

impl HoldsFor {
    fn new(model: &Model, cores: &Cores, tier: Tier) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: hexadecimal(model.fingerprint()),
            cores: cores.kind.clone(),
            tier: tier.name().to_owned(),
        }
    }
}

/// As [`Model::calibrate`].
pub(crate) fn calibrate(
    model: &Model,
    cancel: &CancelToken,
    progress: &mut dyn FnMut(CalibrationProgress) -> ControlFlow<()>,
) -> Result<Calibration> {
    let (cores, tier) = (Cores::here(), Kernels::best().tier());
    let most = cores.count.min(MOST_THREADS);
    let context = (PROMPT + STEPS).min(model.config().context_length);
    let options = SessionOptions { context, threads: most, tier: Some(tier), ..SessionOptions::default() };
    let mut session = model.session(options)?;
    session.set_cancel_token(cancel.clone());
    let steps = STEPS.min(context - 1);
    let prompt = prompt(model, context - steps);

    // Reads the weights from disk, starts the threads, and tells how often there is time for all the others.
    let (prefill, decode) = measure(&mut session, most, &prompt, steps)?;
    let rounds = BUDGET.as_nanos() / ((prefill + decode).as_nanos() * most as u128).max(1);
    let rounds = (rounds.min(u128::from(*ROUNDS.end())) as u32).max(*ROUNDS.start());
    let total = rounds as usize * most;
    let mut advance = |done| match progress(CalibrationProgress { done, total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    };
    advance(0)?;
    let mut times = vec![(Vec::new(), Vec::new()); most];
    // In turns, so that whatever else the machine does meets all numbers alike.
    for round in 0..rounds as usize {
        for (i, (prefills, decodes)) in times.iter_mut().enumerate() {
            let (prefill, decode) = measure(&mut session, i + 1, &prompt, steps)?;
            prefills.push(prefill);
            decodes.push(decode);
            advance(round * most + i + 1)?;
        }
    }
    let (prefills, decodes): (Vec<_>, Vec<_>) =
        times.into_iter().map(|(prefills, decodes)| (median(prefills), median(decodes))).unzip();
    let threads = Threads { prefill: fewest(&prefills), decode: fewest(&decodes) };
    let per_second = |tokens: usize, time: &Duration| tokens as f64 / time.as_secs_f64().max(1e-9);
    let speeds = (1..).zip(prefills.iter().zip(&decodes)).map(|(threads, (prefill, decode))| ThreadSpeed {
        threads,
        prefill_tps: per_second(prompt.len(), prefill),
        decode_tps: per_second(steps, decode),
    });
    let kept = keep(model, &cores, tier, threads);
    Ok(Calibration { threads, speeds: speeds.collect(), kept })
}

/// What was measured of this model, if it holds here.
pub(crate) fn recall(model: &Model, cores: &Cores, tier: Tier) -> Option<Threads> {
    /// Longer than any that we write.
    const LONGEST: u64 = 4096;
    let here = HoldsFor::new(model, cores, tier);
    let Some(path) = model.path() else {
        return remembered().iter().find(|record| record.holds_for == here).map(Record::threads);
    };
    let mut bytes = Vec::new();
    File::open(beside(path)).ok()?.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    let possible = 1..=cores.count;
    let fits = record.holds_for == here && [record.prefill, record.decode].iter().all(|n| possible.contains(n));
    fits.then(|| record.threads())
}

/// What was measured of models that have no file of their own, in this process.
fn remembered() -> MutexGuard<'static, Vec<Record>> {
    static REMEMBERED: Mutex<Vec<Record>> = Mutex::new(Vec::new());
    REMEMBERED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes down what was measured, or remembers it; says where it is written.
fn keep(model: &Model, cores: &Cores, tier: Tier, threads: Threads) -> Option<PathBuf> {
    let Threads { prefill, decode } = threads;
    let record = Record { holds_for: HoldsFor::new(model, cores, tier), prefill, decode };
    let Some(path) = model.path().map(beside) else {
        let mut remembered = remembered();
        remembered.retain(|earlier| earlier.holds_for != record.holds_for);
        remembered.push(record);
        return None;
    };
    let bytes = serde_json::to_vec_pretty(&record).expect("a record of strings and numbers is JSON");
    let written = AtomicFile::create(&path).and_then(|mut file| {
        file.append(&bytes)?;
        file.commit()
    });
    match written {
        Ok(()) => Some(path),
        Err(error) => {
            log::warn!("the number of threads will have to be measured again: {error}");
            None
        }
    }
}

/// The file with the calibration of the packed file at `path`.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(CALIBRATION_SUFFIX);
    name.into()
}

/// `len` tokens of ordinary text.
fn prompt(model: &Model, len: usize) -> Vec<TokenId> {
    let text = "We are on our way and should be there by six. Could you put the kettle on, and tell the others? ";
    let tokens = model.tokenizer().encode(text);
    // A vocabulary that cannot spell this has a first token all the same.
    let tokens = if tokens.is_empty() { vec![0] } else { tokens };
    tokens.into_iter().cycle().take(len).collect()
}

/// How long it takes to read `prompt`, and to write `steps` tokens after it.
fn measure(session: &mut Session, threads: usize, prompt: &[TokenId], steps: usize) -> Result<(Duration, Duration)> {
    session.set_threads(Threads::both(threads));
    session.truncate(0);
    let (mut tokens, mut top) = (prompt.to_vec(), Vec::new());
    let start = Instant::now();
    session.sync_top(&tokens, 1, &mut top)?;
    let prefill = start.elapsed();
    let start = Instant::now();
    for _ in 0..steps {
        tokens.push(top[0].0);
        session.sync_top(&tokens, 1, &mut top)?;
    }
    Ok((prefill, start.elapsed()))
}

/// The middle one; the earlier of two.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) / 2]
}

/// The fewest threads whose time is within 5 % of the best; `times` begins with that of one thread.
fn fewest(times: &[Duration]) -> usize {
    let best = times.iter().min().expect("at least one thread was measured");
    let enough = *best + *best / 20;
    1 + times.iter().position(|&time| time <= enough).expect("the best is good enough")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nibble_kernels::Format;

    use super::*;
    use crate::testing::SyntheticModel;

    const GO_ON: ControlFlow<()> = ControlFlow::Continue(());

    fn model() -> (tempfile::TempDir, Model) {
        let folder = tempfile::tempdir().unwrap();
        let model = SyntheticModel::llama(Format::Q4_0).open_in(folder.path()).unwrap();
        (folder, model)
    }

    fn millis(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_millis).collect()
    }

    #[test]
    fn the_fewest_threads_that_are_about_as_fast_as_the_best_win() {
        for (times, threads) in [
            (&[100][..], 1),
            (&[100, 60, 40, 35], 4),
            (&[100, 60, 40, 39], 3),
            (&[105, 100], 1),
            (&[106, 100], 2),
            (&[100, 130, 150, 170], 1),
            (&[100, 50, 120, 50], 2),
            (&[0, 0, 0], 1),
        ] {
            assert_eq!(fewest(&millis(times)), threads, "{times:?}");
        }
    }

    #[test]
    fn one_disturbed_round_changes_no_median() {
        assert_eq!(median(millis(&[50, 900, 40])), Duration::from_millis(50));
        assert_eq!(median(millis(&[4, 1, 3, 2])), Duration::from_millis(2));
        assert_eq!(median(millis(&[7])), Duration::from_millis(7));
    }

    #[test]
    fn a_calibration_tells_later_sessions() {
        let (folder, model) = model();
        let mut seen = Vec::new();
        let calibration = model
            .calibrate(&CancelToken::default(), &mut |progress| {
                seen.push(progress);
                GO_ON
            })
            .unwrap();
        let most = Cores::here().count.min(MOST_THREADS);
        let tried: Vec<_> = calibration.speeds.iter().map(|speed| speed.threads).collect();
        assert_eq!(tried, Vec::from_iter(1..=most));
        assert!(calibration.speeds.iter().all(|speed| speed.prefill_tps > 0.0 && speed.decode_tps > 0.0));
        let total = seen[0].total;
        assert!(total >= most * *ROUNDS.start() as usize && total <= most * *ROUNDS.end() as usize);
        assert_eq!(seen, Vec::from_iter((0..=total).map(|done| CalibrationProgress { done, total })));

        let kept = calibration.kept.unwrap();
        assert_eq!(kept, folder.path().join("synthetic.nibble.threads.json"));
        assert_eq!(model.session(SessionOptions::default()).unwrap().threads(), calibration.threads);
        let asked = SessionOptions { threads: 3, ..SessionOptions::default() };
        assert_eq!(model.session(asked).unwrap().threads(), Threads::both(3), "who asks is not advised");
        let background = SessionOptions { priority: crate::Priority::Background, ..SessionOptions::default() };
        assert_eq!(model.session(background).unwrap().threads(), Threads::both(1));
    }

    #[test]
    fn only_what_holds_here_is_recalled() {
        let (folder, model) = model();
        let (cores, tier) = (Cores::alike(6), Tier::Scalar);
        assert_eq!(recall(&model, &cores, tier), None, "nothing was measured");
        let threads = Threads { prefill: 5, decode: 2 };
        let path = keep(&model, &cores, tier, threads).unwrap();
        assert_eq!(recall(&model, &cores, tier), Some(threads));
        assert_eq!(recall(&model, &Cores::alike(8), tier), None, "other cores");
        let other_tier = Kernels::available().map(|kernels| kernels.tier()).find(|&other| other != tier);
        assert!(other_tier.is_none_or(|other| recall(&model, &cores, other).is_none()), "other kernels");
        let other_model = SyntheticModel { seed: 2, ..SyntheticModel::llama(Format::Q4_0) };
        let other_model = other_model.open_in(folder.path()).unwrap();
        assert_eq!(recall(&other_model, &cores, tier), None, "another model under the same name");

        let text = fs::read_to_string(&path).unwrap();
        let replaced = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} is not in {text}");
            text.replace(from, to)
        };
        let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
        for (what, damaged) in [
            ("another version", replaced(&version, "\"version\": \"0.0.0\"")),
            ("no threads", replaced("\"prefill\": 5", "\"prefill\": 0")),
            ("more threads than cores", replaced("\"decode\": 2", "\"decode\": 7")),
            ("a negative number", replaced("\"decode\": 2", "\"decode\": -2")),
            ("a field is missing", replaced("\"tier\"", "\"tear\"")),
            ("cut short", text[..text.len() / 2].to_owned()),
            ("nothing", String::new()),
            ("no object", "[1, 2]".to_owned()),
        ] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(recall(&model, &cores, tier), None, "{what}");
        }
        fs::write(&path, [0xff, 0, 7]).unwrap();
        assert_eq!(recall(&model, &cores, tier), None);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(recall(&model, &cores, tier), None, "a folder");
        assert_eq!(keep(&model, &cores, tier, threads), None, "it cannot be replaced");
    }

    #[test]
    fn what_was_measured_of_a_part_of_a_file_is_remembered() {
        let (folder, model) = model();
        let path = folder.path().join("synthetic.nibble");
        let file = File::open(&path).unwrap();
        let part = 0..file.metadata().unwrap().len();
        let inside = Model::open_part(&file, part, &path, &crate::OpenOptions::default()).unwrap();
        let (cores, tier) = (Cores::alike(7), Tier::Scalar);
        for threads in [Threads { prefill: 5, decode: 2 }, Threads { prefill: 3, decode: 4 }] {
            assert_eq!(keep(&inside, &cores, tier, threads), None);
            assert_eq!(recall(&inside, &cores, tier), Some(threads));
        }
        assert_eq!(recall(&inside, &Cores::alike(8), tier), None, "other cores");
        assert_eq!(recall(&model, &cores, tier), None, "what has a file has it written");
    }

    #[test]
    fn a_model_whose_folder_is_gone_is_measured_all_the_same() {
        let (folder, model) = model();
        drop(folder);
        assert_eq!(model.calibrate(&CancelToken::default(), &mut |_| GO_ON).unwrap().kept, None);
    }

    #[test]
    fn cancelled_it_keeps_nothing() {
        let (folder, model) = model();
        for last in [0, 1, 2] {
            let stop = |progress: CalibrationProgress| match progress.done == last {
                true => ControlFlow::Break(()),
                false => GO_ON,
            };
            assert!(matches!(model.calibrate(&CancelToken::default(), &mut { stop }), Err(Error::Cancelled)));
        }
        let cancel = CancelToken::default();
        let stop = |_| {
            cancel.cancel();
            GO_ON
        };
        assert!(matches!(model.calibrate(&cancel, &mut { stop }), Err(Error::Cancelled)));
        let kept = fs::read_dir(folder.path())
            .unwrap()
            .any(|file| file.unwrap().file_name().to_string_lossy().ends_with(CALIBRATION_SUFFIX));
        assert!(!kept);
    }

    #[test]
    fn a_model_of_short_context_is_measured_on_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let model = SyntheticModel { context: 16, ..SyntheticModel::llama(Format::Q4_0) };
        let model = model.open_in(folder.path()).unwrap();
        let calibration = model.calibrate(&CancelToken::default(), &mut |_| GO_ON).unwrap();
        assert!(calibration.speeds.iter().all(|speed| speed.prefill_tps.is_finite() && speed.decode_tps.is_finite()));
    }
}
