//! Where fetched and packed models are kept.

use std::path::PathBuf;

/// The folder for models: `$NIBBLE_CACHE`, or else the user's cache folder for `nibble` as the system has it. It need not exist.
pub fn cache_dir() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(chosen) = folder("NIBBLE_CACHE") {
        return chosen;
    }
    let user = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_vendor = "apple") {
        folder("HOME").map(|home| home.join("Library/Caches"))
    } else {
        // Relative paths are to be ignored (XDG Base Directory Specification 0.8).
        let xdg = folder("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        xdg.or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    user.unwrap_or_else(std::env::temp_dir).join("nibble")
}
