//! Tokens per second on phones that are not here, by the roofline: a token takes as long as its cycles or its bytes, whichever is
//! longer, and what waiting for the other thread costs. Beside them what other engines are said to reach on real phones.

use super::{Cycles, find};
use crate::counts::{Count, PROMPT};

/// A kind of phone: its big cores, of which two work, and the rate at which they read memory together.
struct Phone {
    name: &'static str,
    processor: &'static str,
    tier: &'static str,
    gigahertz: f64,
    gigabytes: f64,
}

pub const CORES: f64 = 2.0;

const PHONES: [Phone; 3] = [
    Phone { name: "flagship", processor: "neoverse-v2", tier: "neon-i8mm", gigahertz: 3.2, gigabytes: 50.0 },
    Phone { name: "upper middle", processor: "neoverse-n2", tier: "neon-i8mm", gigahertz: 2.6, gigabytes: 28.0 },
    Phone { name: "Cortex-A76", processor: "neoverse-n1", tier: "neon-dot", gigahertz: 2.2, gigabytes: 11.0 },
];

/// Seconds in which two cores that spin agree that both are done: a line of memory goes from one to the other and back.
const BARRIER: f64 = 1e-6;

/// Parallel regions of a layer, each with a barrier at its end.
const REGIONS: f64 = 5.0;

/// A model: bytes of its weights, layers, the multiplications of a token in the layers and their format, and those of its head.
struct Model {
    name: &'static str,
    bytes: f64,
    layers: f64,
    format: &'static str,
    multiplications: f64,
    head: Head,
}

struct Head {
    format: &'static str,
    multiplications: f64,
}

const MODELS: [Model; 6] = [
    Model {
        name: "SmolLM2-135M Q4_1",
        bytes: 98e6,
        layers: 30.0,
        format: "Q4_1",
        multiplications: 106e6,
        head: Head { format: "Q8_0", multiplications: 28e6 },
    },
    Model {
        name: "Gemma-3-270M Q4_K_M",
        bytes: 253e6,
        layers: 18.0,
        format: "Q5_0",
        multiplications: 100e6,
        head: Head { format: "Q8_0", multiplications: 168e6 },
    },
    Model {
        name: "Gemma-3-1B Q4_0",
        bytes: 714e6,
        layers: 26.0,
        format: "Q4_0",
        multiplications: 698e6,
        head: Head { format: "Q8_0", multiplications: 302e6 },
    },
    Model {
        name: "Llama-3.2-1B Q4_0",
        bytes: 763e6,
        layers: 16.0,
        format: "Q4_0",
        multiplications: 973e6,
        head: Head { format: "Q6_K", multiplications: 263e6 },
    },
    Model {
        name: "SmolLM2-1.7B Q4_0",
        bytes: 989e6,
        layers: 24.0,
        format: "Q4_0",
        multiplications: 1611e6,
        head: Head { format: "Q6_K", multiplications: 101e6 },
    },
    Model {
        name: "Qwen3-1.7B Q4_0",
        bytes: 1048e6,
        layers: 28.0,
        format: "Q4_0",
        multiplications: 1409e6,
        head: Head { format: "Q6_K", multiplications: 311e6 },
    },
];

/// What others have published, on the CPU: model, engine, phone, and tokens per second in prefill and decode.
const PUBLISHED: [[&str; 5]; 7] = [
    ["Gemma-3-1B Q4_0", "llama.rn", "Snapdragon 8 Elite Gen 5", "406", "62"],
    ["Gemma-3-1B Q4_K_M", "llama.rn", "Snapdragon 8 Elite Gen 5", "128", "47"],
    ["Gemma-3-1B int4", "LiteRT-LM", "Galaxy S24 Ultra", "243", "44"],
    ["Llama-3.2-1B int4", "ExecuTorch, KleidiAI", "Snapdragon 8 Gen 3", "260", "50"],
    ["SmolLM2-1.7B Q4_0", "llama.rn", "Snapdragon 8 Elite Gen 5", "203", "40"],
    ["SmolLM2-1.7B Q4_0", "llama.rn", "Snapdragon 8 Gen 2", "107", "18"],
    ["Qwen3-1.7B W4", "MNN", "Snapdragon 8 Elite Gen 5", "186", "36"],
];

/// Prefill and decode of each model on each phone.
pub fn predictions(counts: &[Count], cycles: Option<&Cycles>) -> Vec<Vec<String>> {
    let heading = ["model", "phone", "prefill", "limited by", "decode", "limited by"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    for model in MODELS {
        for phone in PHONES {
            let seconds = |format: &str, tokens: usize, multiplications: f64| {
                let (count, _) = find(counts, format, phone.tier, tokens)?;
                let cycles = cycles?.at(phone.processor, count) * multiplications / 256.0;
                Some(cycles / (phone.gigahertz * 1e9 * CORES))
            };
            let reading = model.bytes / (phone.gigabytes * 1e9);
            let waiting = BARRIER * REGIONS * model.layers;
            let layers = seconds(model.format, 1, model.multiplications);
            let head = seconds(model.head.format, 1, model.head.multiplications);
            let decode = layers.zip(head).map(|(layers, head)| layers + head);
            // The head is computed for the last token alone.
            let prefill = seconds(model.format, PROMPT, model.multiplications);
            let prompt = PROMPT as f64;
            // Without cycles nothing would be said: memory does not limit a prefill.
            let unknown = ["-", "-"].map(str::to_owned);
            let prefill = prefill.map(|prefill| prediction(reading / prompt, Some(prefill), waiting / prompt));
            let mut row = vec![model.name.to_owned(), phone.name.to_owned()];
            row.extend(prefill.unwrap_or(unknown));
            row.extend(prediction(reading, decode, waiting));
            rows.push(row);
        }
    }
    rows
}

/// What others have published.
pub fn published() -> Vec<Vec<String>> {
    let heading = ["model", "engine", "phone", "prefill", "decode"];
    std::iter::once(heading).chain(PUBLISHED).map(|row| row.map(str::to_owned).to_vec()).collect()
}

/// Tokens per second, and what keeps them from being more; no cycles, no limit by them.
fn prediction(reading: f64, computing: Option<f64>, waiting: f64) -> [String; 2] {
    let longest = reading.max(computing.unwrap_or(0.0));
    let limit = if longest == reading { "memory" } else { "cycles" };
    [format!("{:.0}", 1.0 / (longest + waiting)), limit.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_of_reading_and_computing_counts_and_waiting_comes_on_top() {
        assert_eq!(prediction(0.01, Some(0.02), 0.0), ["50", "cycles"]);
        assert_eq!(prediction(0.01, Some(0.005), 0.0), ["100", "memory"]);
        assert_eq!(prediction(0.01, None, 0.0), ["100", "memory"]);
        assert_eq!(prediction(0.01, Some(0.005), 0.0025), ["80", "memory"]);
    }

    #[test]
    fn without_cycles_memory_sets_the_limit() {
        let rows = predictions(&[], None);
        assert_eq!(rows.len(), 1 + MODELS.len() * PHONES.len());
        assert_eq!(rows[1][2..], ["-", "-", "474", "memory"]);
    }

    #[test]
    fn every_published_figure_stands_beside_a_prediction_for_that_model() {
        for [name, ..] in PUBLISHED {
            let known = name.rsplit_once(' ').map_or(name, |(model, _)| model);
            assert!(MODELS.iter().any(|model| model.name.starts_with(known)), "{name}");
        }
    }
}
