//! How much memory a model and a session over it take. [`Model::session_memory`](crate::Model::session_memory) has
//! the rest of a session's.

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
    use std::path::Path;

    use nibble_kernels::{Format, KvFormat};

    use crate::testing::SyntheticModel;
    use crate::{Error, Model, SessionOptions};

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
            let memory = |context| opened.session_memory(&options(context)).unwrap();
            // Beside the keys and values, only the scores of attention grow with the context: for eight rows of a chunk, of the
            // query heads that share keys, an odd number of cache lines each.
            let sharing = opened.config().heads / opened.config().kv_heads;
            let scores = (4 * sharing * 8 * 128) as u64;
            assert_eq!(memory(256) - memory(128), plan.kv + scores);
            assert!(memory(128) > plan.kv);
        }
    }

    #[test]
    fn what_a_session_will_take_is_what_it_takes() {
        let folder = tempfile::tempdir().unwrap();
        for model in [
            SyntheticModel { rope_factors: true, ..SyntheticModel::llama(Format::Q4_0) },
            SyntheticModel { context: 4096, ..SyntheticModel::gemma3(Format::Q8_0) },
            SyntheticModel { feed_forward: 32, ..SyntheticModel::qwen2(Format::Q5_1) },
        ] {
            let opened = model.open_in(folder.path()).unwrap();
            for context in [0, 1, 64, 1000, usize::MAX] {
                for (prefill_chunk, max_nodes, threads) in [(0, 0, 0), (1, 5, 1), (7, 128, 3), (usize::MAX, 16, 99)] {
                    let options =
                        SessionOptions { context, prefill_chunk, max_nodes, threads, ..SessionOptions::default() };
                    let session = opened.session(options.clone()).unwrap();
                    assert_eq!(opened.session_memory(&options).unwrap(), session.memory(), "{options:?}");
                }
            }
        }
    }

    /// A model whose context is longer than any memory.
    fn endless(folder: &Path) -> Model {
        let model = SyntheticModel { context: u32::MAX as usize, ..SyntheticModel::llama(Format::Q4_0) };
        model.open_in(folder).unwrap()
    }

    /// Set in a process that has little memory.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    const SHORT: &str = "NIBBLE_TEST_SHORT_OF_MEMORY";

    /// Not on aarch64, where an emulator takes more addresses than that for itself.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    #[test]
    fn a_process_short_of_memory_is_told_so_and_goes_on() {
        use crate::LanguageModel;

        if std::env::var_os(SHORT).is_none() {
            // This test again, with addresses for 2 GB.
            let this = "memory::tests::a_process_short_of_memory_is_told_so_and_goes_on";
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", r#"ulimit -v 2000000 && exec "$@""#, "sh"]).arg(std::env::current_exe().unwrap());
            let output = shell.args([this, "--exact", "--test-threads=1"]).env(SHORT, "1").output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{}: {said}", output.status);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let opened = endless(folder.path());
        for context in [1 << 23, 1 << 28, usize::MAX] {
            let options = SessionOptions { context, threads: 1, ..SessionOptions::default() };
            let needed = opened.session_memory(&options).unwrap();
            assert!(needed > 2_000_000_000);
            let error = opened.session(options).err().unwrap();
            assert!(matches!(error, Error::OutOfMemory { needed: said } if said == needed), "{error}");
        }
        opened.session(SessionOptions::default()).unwrap().sync(&[1, 2, 3]).unwrap();
    }

    #[test]
    fn a_session_that_no_memory_holds_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let opened = endless(folder.path());
        let most = usize::MAX;
        let refused = |options: SessionOptions| match opened.session(options.clone()).err() {
            Some(Error::OutOfMemory { needed }) => assert_eq!(needed, opened.session_memory(&options).unwrap()),
            other => panic!("{other:?}"),
        };
        refused(SessionOptions { max_nodes: most, threads: 1, ..SessionOptions::default() });
        refused(SessionOptions { max_nodes: most, context: most, prefill_chunk: most, ..SessionOptions::default() });
    }
}
