//! The real models that tests run on.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nibble_engine::Model;

/// A model that the project's registry has.
pub struct TestModel {
    /// The registry's name, and that of its golden vectors.
    pub name: &'static str,
    /// Its GGUF file.
    pub file: &'static str,
    opened: OnceLock<Model>,
}

/// SmolLM2-135M-Instruct, `llama`, Q4_1.
pub static SMOLLM2: TestModel = TestModel::new("smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
/// Gemma-3-270M, `gemma3`, Q4_K_M.
pub static GEMMA3: TestModel = TestModel::new("gemma-3-270m", "gemma-3-270m-q4_k_m.gguf");

impl TestModel {
    const fn new(name: &'static str, file: &'static str) -> Self {
        Self { name, file, opened: OnceLock::new() }
    }

    /// The model called `name`.
    pub fn called(name: &str) -> Option<&'static Self> {
        [&SMOLLM2, &GEMMA3].into_iter().find(|model| model.name == name)
    }

    /// The GGUF, in the folder `NIBBLE_MODELS` or else where `nibble pull` puts it.
    ///
    /// # Panics
    /// When it is in neither.
    pub fn gguf(&self) -> PathBuf {
        let given = std::env::var_os("NIBBLE_MODELS").map(PathBuf::from);
        let folders = given.into_iter().chain([nibble_engine::cache_dir().join("models")]);
        folders
            .map(|folder| folder.join(self.file))
            .find(|path| path.is_file())
            .unwrap_or_else(|| panic!("{} is not on this machine: run `cargo xtask setup`", self.file))
    }

    /// The model, packed by this very build and opened; once per process.
    ///
    /// # Panics
    /// When the GGUF is missing or cannot be packed or opened.
    pub fn open(&self) -> &Model {
        self.opened.get_or_init(|| open_packed(&self.gguf(), self.name))
    }

    /// The model in a packed file that a child process can open.
    ///
    /// # Panics
    /// As [`open`](Self::open).
    pub fn pack(&self) -> PathBuf {
        pack(&self.gguf(), self.name)
    }
}

/// Packs the GGUF at `source` and opens the result.
///
/// # Panics
/// When it cannot be packed or opened.
pub fn open_packed(source: &Path, name: &str) -> Model {
    Model::open(&pack(source, name)).unwrap_or_else(|e| panic!("{e}"))
}

fn pack(source: &Path, name: &str) -> PathBuf {
    // Beside the test binaries, where `cargo clean` finds it.
    let binary = std::env::current_exe().expect("a path of this binary");
    let folder = binary.with_file_name("nibble-tests");
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("cannot create {}: {e}", folder.display()));
    let packed = folder.join(format!("{name}.nibble"));
    nibble_engine::pack(source, &packed, &mut |_| std::ops::ControlFlow::Continue(()))
        .unwrap_or_else(|e| panic!("{e}"));
    packed
}
