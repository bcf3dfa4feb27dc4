//! How much memory a model and a session over it take. [`Session::memory`](crate::Session::memory) has the rest of a session's.

use nibble_kernels::KvFormat;

use crate::kv::Shape;
use crate::{Config, SessionOptions};

/// The memory of one model with one session, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct MemoryPlan {
    /// Read-only mapping of the model file: clean pages, shared between processes and dropped when memory is short.
    pub mapped: u64,
    /// Keys and values of a full context: dirty pages, touched only as far as the context is used. Layers with a sliding window
    /// keep little more than that.
    pub kv: u64,
    /// Keys and values of a context of 1,000 tokens.
    pub kv_per_1000_tokens: u64,
}

impl MemoryPlan {
    /// For a model file of `mapped` bytes and a session of `context` tokens that keeps keys and values in `kv_format`.
    pub(crate) fn new(config: &Config, mapped: u64, context: usize, kv_format: KvFormat) -> Self {
        let kv = |context| {
            let options = SessionOptions { context, kv_format, max_nodes: 0, ..SessionOptions::default() };
            config.layers.iter().map(|layer| Shape::new(config, &options, layer.window).memory() as u64).sum()
        };
        Self { mapped, kv: kv(context), kv_per_1000_tokens: kv(1000) }
    }
}

#[cfg(test)]
mod tests {
    use nibble_kernels::{Format, KvFormat};

    use crate::SessionOptions;
    use crate::testing::SyntheticModel;

    #[test]
    fn the_plan_is_what_a_session_reserves() {
        let folder = tempfile::tempdir().unwrap();
        for model in [SyntheticModel::llama(Format::Q4_0), SyntheticModel::gemma3(Format::Q8_0)] {
            let opened = model.open_in(folder.path()).unwrap();
            let plan = opened.memory_plan(128, KvFormat::F16);
            let file = std::fs::metadata(folder.path().join("synthetic.nibble")).unwrap();
            assert_eq!(plan.mapped, file.len());
            assert!(plan.kv_per_1000_tokens <= 8 * plan.kv);
            assert_eq!(opened.memory_plan(1000, KvFormat::F16).kv, plan.kv_per_1000_tokens);
            let q8 = opened.memory_plan(1000, KvFormat::Q8_0);
            if KvFormat::Q8_0.row(opened.config().head_dim).is_some() {
                // 34 bytes for 32 elements.
                assert_eq!(q8.kv * 64, plan.kv_per_1000_tokens * 34);
            }
            let options =
                |context| SessionOptions { context, prefill_chunk: 8, max_nodes: 8, threads: 1, ..Default::default() };
            let memory = |context| opened.session(options(context)).unwrap().memory();
            // Beside the keys and values, only the scores of attention grow with the context: for eight rows of a chunk, of the
            // query heads that share keys, an odd number of cache lines each.
            let sharing = opened.config().heads / opened.config().kv_heads;
            let scores = (4 * sharing * 8 * 128) as u64;
            assert_eq!(memory(256) - memory(128), plan.kv + scores);
            assert!(memory(128) > plan.kv);
        }
    }
}
