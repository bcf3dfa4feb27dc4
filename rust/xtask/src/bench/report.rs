//! What came out: medians, ratios and shares of the limits, as tables for people, as JSON and as plots.

use super::engines::{Engine, Round, Run, Setting};
use super::limits::{Bounds, Limits};
use super::plot::{self, Bars, Group, Lines, Panel};
use super::weights::Weights;
use crate::shell::{self, Result};
use crate::table;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Something that is measured of a run.
#[derive(Clone, Copy)]
pub struct Measure {
    name: &'static str,
    unit: &'static str,
    value: fn(&Run) -> Option<f64>,
    /// Speeds are good when high, times and memory when low.
    high_is_good: bool,
    /// What it is held against.
    limit: Option<fn(&Bounds) -> Option<f64>>,
}

pub const DECODE: Measure = Measure {
    name: "decode",
    unit: "tok/s",
    value: |run| Some(run.decode_tps),
    high_is_good: true,
    limit: Some(|bounds| Some(bounds.decode_tps)),
};
pub const PREFILL: Measure = Measure {
    name: "prefill",
    unit: "tok/s",
    value: |run| Some(run.prefill_tps),
    high_is_good: true,
    limit: Some(|bounds| bounds.prefill_tps),
};
const LOAD: Measure = low("load", "ms", |run| Some(run.load_ms));
const PEAK: Measure = low("peak resident memory", "MB", |run| run.rss_mb);
const DIRTY: Measure = low("dirty memory", "MB", |run| run.dirty_mb);
const LATENCY: Measure = low("time of a token", "ms", |run| Some(1e3 / run.decode_tps));

const fn low(name: &'static str, unit: &'static str, value: fn(&Run) -> Option<f64>) -> Measure {
    Measure { name, unit, value, high_is_good: false, limit: None }
}

/// What is reported of a speed.
const SPEEDS: [Measure; 5] = [DECODE, PREFILL, LOAD, PEAK, DIRTY];

impl Measure {
    /// Its value in a run.
    pub fn of(&self, run: &Run) -> Option<f64> {
        (self.value)(run)
    }
}

/// The rounds of one setting.
pub struct Series {
    pub setting: Setting,
    pub rounds: Vec<Round>,
}

impl Series {
    /// One without rounds.
    pub fn new(setting: Setting) -> Self {
        Self { setting, rounds: Vec::new() }
    }

    /// The engines of the rounds, in their order.
    fn engines(&self) -> impl Iterator<Item = Engine> + Clone {
        self.rounds.first().into_iter().flat_map(|round| round.keys().copied())
    }

    fn value(&self, round: &Round, engine: Engine, measure: &Measure) -> Option<f64> {
        round.get(&engine).and_then(|run| measure.of(run))
    }

    /// The median over the rounds.
    fn median(&self, engine: Engine, measure: &Measure) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| self.value(round, engine, measure)))
    }

    /// How many times as good as `peer` it is, in the median of the rounds.
    fn ratio(&self, engine: Engine, peer: Engine, measure: &Measure) -> Option<f64> {
        median(self.rounds.iter().filter_map(|round| {
            let ratio = self.value(round, engine, measure)? / self.value(round, peer, measure)?;
            Some(if measure.high_is_good { ratio } else { 1.0 / ratio })
        }))
    }
}

/// The middle value; of two middle ones, their mean.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

/// All that was measured of a model.
pub struct Report {
    model: String,
    file: PathBuf,
    processor: String,
    weights: Weights,
    /// By the number of threads.
    limits: BTreeMap<u16, Limits>,
    pub speeds: Vec<Series>,
    pub latencies: Vec<Series>,
}

impl Report {
    /// One without measurements.
    pub fn new(model: &str, file: &Path, weights: Weights) -> Self {
        Self {
            model: model.to_owned(),
            file: file.to_owned(),
            processor: processor(),
            weights,
            limits: BTreeMap::new(),
            speeds: Vec::new(),
            latencies: Vec::new(),
        }
    }

    /// What is to be measured.
    pub fn series(&mut self) -> impl Iterator<Item = &mut Series> {
        self.speeds.iter_mut().chain(&mut self.latencies)
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.speeds.iter().chain(&self.latencies).all(|series| series.rounds.is_empty())
    }

    /// Takes note of limits; of several measurements the highest count.
    pub fn add_limits(&mut self, threads: u16, limits: Limits) {
        let limits = match self.limits.remove(&threads) {
            Some(before) => before.or_higher(limits),
            None => limits,
        };
        self.limits.insert(threads, limits);
    }

    fn limit(&self, threads: u16, measure: &Measure) -> Option<f64> {
        (measure.limit?)(&self.limits.get(&threads)?.bounds(&self.weights))
    }

    /// The share of the limit that is reached. None for a head that is screened: it reads less than the limit counts.
    fn share(&self, series: &Series, engine: Engine, measure: &Measure) -> Option<f64> {
        if measure.name == DECODE.name && engine == Engine::Nibble {
            return None;
        }
        Some(series.median(engine, measure)? / self.limit(series.setting.threads, measure)?)
    }

    /// Everything, with the rounds that it comes from.
    pub fn json(&self) -> Value {
        let series = |series: &Series, measures: &[Measure]| {
            let mut object = json!(series.setting);
            object["measures"] = measures.iter().map(|measure| self.measure_json(series, measure)).collect();
            object["rounds"] = json!(series.rounds);
            object
        };
        let all = |list: &[Series], measures: &[Measure]| -> Vec<Value> {
            list.iter().filter(|one| !one.rounds.is_empty()).map(|one| series(one, measures)).collect()
        };
        let limits = self.limits.iter().map(|(threads, limits)| {
            let mut object = json!(limits);
            object["threads"] = json!(threads);
            object["bounds"] = json!(limits.bounds(&self.weights));
            object
        });
        json!({
            "model": self.model, "file": self.file, "processor": self.processor, "weights": self.weights,
            "limits": limits.collect::<Vec<_>>(),
            "speeds": all(&self.speeds, &SPEEDS), "latencies": all(&self.latencies, &[LATENCY]),
        })
    }

    fn measure_json(&self, series: &Series, measure: &Measure) -> Value {
        let medians: BTreeMap<_, _> = series.engines().map(|e| (e, series.median(e, measure))).collect();
        let shares: BTreeMap<_, _> = series.engines().map(|e| (e, self.share(series, e, measure))).collect();
        let ratios: Vec<_> = compared(series, measure)
            .map(|(engine, peer)| {
                json!({ "engine": engine, "peer": peer, "ratio": series.ratio(engine, peer, measure) })
            })
            .collect();
        let mut object = json!({ "measure": measure.name, "unit": measure.unit, "medians": medians, "ratios": ratios });
        if measure.limit.is_some() {
            object["shares_of_limit"] = json!(shares);
        }
        object
    }

    /// Everything but the rounds, for people.
    pub fn text(&self) -> String {
        let mut text = format!("{} on {}\n", self.model, self.processor);
        let with_rounds = |series: &&Series| !series.rounds.is_empty();
        for series in self.speeds.iter().filter(with_rounds) {
            let rounds = series.rounds.len();
            let rounds =
                if rounds == 1 { "one round".to_owned() } else { format!("median of {rounds} rounds in turns") };
            text += &format!("\n{}, {} generated, {rounds}\n\n", name(series.setting), series.setting.generate);
            text += &table::render(&self.rows(series));
        }
        if let Some(round) = self.speeds.iter().chain(&self.latencies).find_map(|series| series.rounds.first()) {
            let peers = round.iter().filter(|(engine, _)| engine.is_peer());
            for (engine, run) in peers.filter(|(engine, run)| engine.name() != run.how) {
                text += &format!("\n{}: {}\n", engine.name(), run.how);
            }
        }
        for (&threads, limits) in &self.limits {
            text += &self.limit_text(threads, limits);
        }
        if self.latencies.iter().any(|series| !series.rounds.is_empty()) {
            text += "\ntime of a token in ms after a prompt\n\n";
            let series: Vec<_> = self.latencies.iter().filter(with_rounds).collect();
            text += &table::render(&latency_rows(&series));
        }
        text
    }

    fn limit_text(&self, threads: u16, limits: &Limits) -> String {
        let (weights, bounds) = (&self.weights, limits.bounds(&self.weights));
        let mut text = format!(
            "\nlimits of {}, {}: {:.1} GB/s read, {:.1} MB of weights a token: at most {:.1} tok/s decode with full logits\n",
            count(threads, "thread"),
            limits.tier,
            limits.read_gb_per_s,
            weights.bytes_per_token() as f64 / 1e6,
            bounds.decode_tps
        );
        if let (Some(rate), Some(instructions), Some(prefill)) =
            (limits.gmac_per_s, &limits.instructions, bounds.prefill_tps)
        {
            text += &format!(
                "{:.1} G multiplications/s ({instructions}), {:.1} M a token in the layers' matrices, attention's not \
                 counted: at most {prefill:.1} tok/s prefill\n",
                rate,
                weights.layer_macs as f64 / 1e6,
            );
        }
        text
    }

    fn rows(&self, series: &Series) -> Vec<Vec<String>> {
        let columns: Vec<_> = compared(series, &DECODE).collect();
        let mut heading = vec![String::new()];
        heading.extend(series.engines().map(|engine| engine.name().to_owned()));
        heading.extend(columns.iter().map(|(engine, peer)| match engine {
            Engine::NibbleFull => format!("full logits to {}", peer.name()),
            _ => format!("to {}", peer.name()),
        }));
        let mut rows = vec![heading];
        for measure in &SPEEDS {
            let mut row = vec![format!("{}, {}", measure.name, measure.unit)];
            row.extend(series.engines().map(|engine| number(series.median(engine, measure))));
            let compared: BTreeSet<_> = compared(series, measure).collect();
            row.extend(columns.iter().map(|&(engine, peer)| {
                let ratio = series.ratio(engine, peer, measure).filter(|_| compared.contains(&(engine, peer)));
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2} x"))
            }));
            rows.push(row);
            if self.limit(series.setting.threads, measure).is_some() {
                let share = |engine| self.share(series, engine, measure);
                let mut row = vec!["  share of the limit".to_owned()];
                row.extend(
                    series
                        .engines()
                        .map(|e| share(e).map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share))),
                );
                rows.push(row);
            }
        }
        rows
    }

    /// Writes `bench.json`.
    pub fn write_json(&self, folder: &Path) -> Result<()> {
        write(&folder.join("bench.json"), &format!("{:#}\n", self.json()))
    }

    /// Writes the plots of what was measured.
    pub fn write_plots(&self, folder: &Path) -> Result<()> {
        for (name, svg) in self.plots()? {
            write(&folder.join(name), &svg)?;
        }
        Ok(())
    }

    fn plots(&self) -> Result<Vec<(&'static str, String)>> {
        let about = format!("{} on {}", self.model, self.processor);
        let mut plots = Vec::new();
        let speeds: Vec<_> = self.speeds.iter().filter(|series| !series.rounds.is_empty()).collect();
        if !speeds.is_empty() {
            let group = |series: &&Series, measure: &Measure| Group {
                label: format!("{}\nprompt {}", count(series.setting.threads, "thread"), series.setting.prompt),
                bars: bars(series, measure, |_| true),
                limit: self.limit(series.setting.threads, measure),
            };
            for (file, title, limit, measure) in [
                ("decode.svg", "Decode: tokens written per second", "limit by memory bandwidth, full logits", DECODE),
                ("prefill.svg", "Prefill: tokens of a prompt read per second", "limit by arithmetic", PREFILL),
            ] {
                // The head has no part in a prefill.
                let mut groups: Vec<_> = speeds.iter().map(|series| group(series, &measure)).collect();
                if file == "prefill.svg" {
                    groups.iter_mut().for_each(|group| group.bars.retain(|(engine, _)| *engine != Engine::NibbleFull));
                }
                plots.push((file, plot::bars(&Bars { title, about: &about, unit: measure.unit, limit, groups })?));
            }
            let first = speeds[0].setting.threads;
            let of_first = speeds.iter().filter(|series| series.setting.threads == first);
            let groups: Vec<_> = of_first
                .flat_map(|series| [(series, "peak resident", PEAK), (series, "dirty", DIRTY)])
                .map(|(series, what, measure)| Group {
                    label: format!("{what}\nprompt {}", series.setting.prompt),
                    bars: bars(series, &measure, |engine| engine != Engine::NibbleFull),
                    limit: None,
                })
                .collect();
            if groups.iter().any(|group| !group.bars.is_empty()) {
                let title = "Memory";
                plots.push((
                    "memory.svg",
                    plot::bars(&Bars { title, about: &about, unit: PEAK.unit, limit: "", groups })?,
                ));
            }
        }
        let latencies: Vec<_> = self.latencies.iter().filter(|series| !series.rounds.is_empty()).collect();
        if !latencies.is_empty() {
            let mut panels: BTreeMap<u16, BTreeMap<Engine, Vec<(f64, f64)>>> = BTreeMap::new();
            for series in latencies {
                for engine in series.engines() {
                    let time = series.median(engine, &LATENCY).map(|time| (f64::from(series.setting.prompt), time));
                    panels.entry(series.setting.threads).or_default().entry(engine).or_default().extend(time);
                }
            }
            let panels =
                panels.into_iter().map(|(threads, lines)| Panel { label: count(threads, "thread"), lines }).collect();
            let title = "Time of a token after a prompt";
            plots.push(("latency.svg", plot::lines(&Lines { title, about: &about, panels })?));
        }
        Ok(plots)
    }
}

/// The pairs of Nibble and a peer that a measure compares: for decode both ways to compute the head, else the usual one.
fn compared(series: &Series, measure: &Measure) -> impl Iterator<Item = (Engine, Engine)> {
    let both = measure.name == DECODE.name || measure.name == LATENCY.name;
    let peers: Vec<_> = series.engines().filter(|engine| engine.is_peer()).collect();
    let ours: Vec<_> = series.engines().filter(|&e| e == Engine::Nibble || both && e == Engine::NibbleFull).collect();
    peers.into_iter().flat_map(move |peer| ours.clone().into_iter().map(move |engine| (engine, peer)))
}

fn bars(series: &Series, measure: &Measure, wanted: impl Fn(Engine) -> bool) -> Vec<(Engine, f64)> {
    let engines = series.engines().filter(|&engine| wanted(engine));
    engines.filter_map(|engine| Some((engine, series.median(engine, measure)?))).collect()
}

fn latency_rows(series: &[&Series]) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for series in series {
        if rows.is_empty() {
            let engines = series.engines().map(|engine| engine.name().to_owned());
            rows.push(std::iter::once(String::new()).chain(engines).collect());
        }
        let times = series.engines().map(|engine| number(series.median(engine, &LATENCY)));
        rows.push(std::iter::once(name(series.setting)).chain(times).collect());
    }
    rows
}

fn number(value: Option<f64>) -> String {
    value.map_or("n/a".to_owned(), |value| format!("{value:.1}"))
}

/// The setting in words.
pub fn name(setting: Setting) -> String {
    format!("{}, prompt of {}", count(setting.threads, "thread"), setting.prompt)
}

fn count(n: u16, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The processor's name, as far as the system tells.
fn processor() -> String {
    let linux = || {
        let text = fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let apple = || {
        let name = shell::find("sysctl")
            .and_then(|sysctl| shell::output(shell::command(sysctl).args(["-n", "machdep.cpu.brand_string"])).ok())?;
        Some(name.trim().to_owned())
    };
    let name = if cfg!(target_os = "macos") { apple() } else { linux() };
    name.unwrap_or_else(|| format!("a processor of {}", std::env::consts::ARCH))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|error| format!("writing {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(load_ms: f64, decode_tps: f64) -> Run {
        let (rss_mb, dirty_mb) = (Some(100.0), None);
        Run { how: "by hand".to_owned(), load_ms, prefill_tps: 10.0 * decode_tps, decode_tps, rss_mb, dirty_mb }
    }

    fn round(nibble: f64, full: f64, peer: f64) -> Round {
        BTreeMap::from([
            (Engine::Nibble, run(5.0, nibble)),
            (Engine::NibbleFull, run(5.0, full)),
            (Engine::LlamaCpp, run(10.0, peer)),
        ])
    }

    fn report() -> Report {
        let weights = Weights { layer_bytes: 60_000_000, head_bytes: 40_000_000, layer_macs: 100_000_000 };
        let mut report = Report::new("a model", Path::new("/m.gguf"), weights);
        let limits = Limits {
            tier: "avx2".into(),
            read_gb_per_s: 20.0,
            gmac_per_s: Some(200.0),
            instructions: Some("x".into()),
        };
        report.add_limits(1, limits.clone());
        report.add_limits(1, Limits { read_gb_per_s: 10.0, ..limits });
        let setting = Setting { threads: 1, prompt: 128, generate: 64, repeat: 3 };
        let rounds = vec![round(90.0, 60.0, 30.0), round(80.0, 60.0, 40.0), round(100.0, 60.0, 20.0)];
        report.speeds = vec![Series { setting, rounds: rounds.clone() }];
        report.latencies =
            [128, 1024].map(|prompt| Series { setting: Setting { prompt, ..setting }, rounds: rounds.clone() }).into();
        report
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(median([4.0, 1.0, 3.0, 2.0].into_iter()), Some(2.5));
        assert_eq!(median(std::iter::empty()), None);
    }

    #[test]
    fn a_ratio_is_taken_within_a_round_and_above_one_in_favour_of_nibble() {
        let report = report();
        let series = &report.speeds[0];
        let ratio = |engine, measure| series.ratio(engine, Engine::LlamaCpp, &measure);
        assert_eq!(ratio(Engine::Nibble, DECODE), Some(3.0));
        assert_eq!(ratio(Engine::NibbleFull, DECODE), Some(2.0));
        assert_eq!(ratio(Engine::Nibble, LOAD), Some(2.0));
        assert_eq!(ratio(Engine::Nibble, LATENCY), Some(3.0));
        assert_eq!(ratio(Engine::Nibble, DIRTY), None);
    }

    #[test]
    fn shares_are_of_the_highest_limit_and_not_of_a_screened_head() {
        let report = report();
        let share = |engine, measure| report.share(&report.speeds[0], engine, &measure);
        // 200 tok/s by 20 GB/s over 100 MB; 2,000 by 200 G over 100 M.
        assert_eq!(share(Engine::NibbleFull, DECODE), Some(0.3));
        assert_eq!(share(Engine::LlamaCpp, DECODE), Some(0.15));
        assert_eq!(share(Engine::Nibble, DECODE), None);
        assert_eq!(share(Engine::Nibble, PREFILL), Some(0.45));
        assert_eq!(share(Engine::Nibble, LOAD), None);
    }

    #[test]
    fn the_table_has_both_ratios_where_the_head_counts() {
        let report = report();
        let rows = report.rows(&report.speeds[0]);
        assert_eq!(rows[0][4..], ["to llama.cpp", "full logits to llama.cpp"]);
        assert_eq!(rows[1], ["decode, tok/s", "90.0", "60.0", "30.0", "3.00 x", "2.00 x"]);
        assert_eq!(rows[2], ["  share of the limit", "-", "30 %", "15 %"]);
        assert_eq!(rows[3], ["prefill, tok/s", "900.0", "600.0", "300.0", "3.00 x", ""]);
        assert_eq!(rows[7], ["dirty memory, MB", "n/a", "n/a", "n/a", "", ""]);
        let text = report.text();
        assert!(text.contains("median of 3 rounds") && text.contains("at most 200.0 tok/s decode"), "{text}");
        assert!(text.contains("1 thread, prompt of 1024"), "{text}");
    }

    #[test]
    fn json_has_medians_ratios_shares_and_rounds() {
        let json = report().json();
        let decode = &json["speeds"][0]["measures"][0];
        assert_eq!(decode["medians"]["nibble_full_logits"], 60.0);
        assert_eq!(decode["ratios"][0], json!({ "engine": "nibble", "peer": "llama.cpp", "ratio": 3.0 }));
        assert_eq!(decode["shares_of_limit"]["llama.cpp"], 0.15);
        assert_eq!(json["speeds"][0]["rounds"][1]["llama.cpp"]["decode_tps"], 40.0);
        assert_eq!(json["latencies"][1]["prompt"], 1024);
        assert_eq!(json["limits"][0]["bounds"]["decode_tps"], 200.0);
    }

    #[test]
    fn every_plot_shows_every_engine_that_has_a_part_in_it() {
        let plots = report().plots().unwrap();
        assert_eq!(
            plots.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["decode.svg", "prefill.svg", "memory.svg", "latency.svg"]
        );
        for (name, svg) in &plots {
            for engine in [Engine::Nibble, Engine::NibbleFull, Engine::LlamaCpp] {
                let expected = engine != Engine::NibbleFull || ["decode.svg", "latency.svg"].contains(name);
                assert_eq!(svg.contains(&format!("\n{}\n", engine.name())), expected, "{} in {name}", engine.name());
            }
        }
        assert!(plots[0].1.contains("limit by memory bandwidth") && plots[1].1.contains("limit by arithmetic"));
    }

    #[test]
    fn nothing_measured_is_nothing_to_show() {
        let mut report = report();
        assert!(!report.is_empty());
        report.series().for_each(|series| series.rounds.clear());
        assert!(report.is_empty() && report.plots().unwrap().is_empty());
        assert_eq!(report.json()["speeds"], json!([]));
    }
}
