//! The pages of the Swift API. DocC makes them, and says which link in an article or a comment leads nowhere.

use crate::setup;
use crate::shell::{self, Result};
use std::path::{Path, PathBuf};

/// The articles.
const CATALOGUE: &str = "ios/Sources/Nibble/Nibble.docc";

/// Makes them of the package that was built in a folder, for a server that has them under `swift/`; says where they are. A warning
/// is an error.
pub fn pages(scratch: &Path) -> Result<PathBuf> {
    let mut symbols = setup::swift(&[])?;
    symbols.args(["package", "--scratch-path"]).arg(scratch);
    shell::run(symbols.args(["dump-symbol-graph", "--minimum-access-level", "public"]))?;
    let folder = shell::root().join("target/xtask/docc");
    shell::make_empty(&folder)?;
    // Only the module that an app sees. `debug` is a link into the folder of the system that was built for.
    let module = "Nibble.symbols.json";
    shell::copy(&scratch.join("debug/../symbolgraph").join(module), &folder.join(module))?;
    let mut docc = setup::docc();
    docc.args(["convert", CATALOGUE, "--warnings-as-errors", "--additional-symbol-graph-dir"]).arg(&folder);
    docc.args(["--transform-for-static-hosting", "--hosting-base-path", "swift"]);
    let pages = folder.join("pages");
    shell::run(docc.arg("--output-dir").arg(&pages))?;
    Ok(pages)
}
