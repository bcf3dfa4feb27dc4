//! Text that people hand over: on the command line, in files, or through stdin as `-`.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::{Failure, Result};

/// `argument` itself, or what comes from stdin when it is `-`.
pub fn text(argument: &str) -> Result<String> {
    if argument != "-" {
        return checked(argument.to_owned().into_bytes(), "the argument");
    }
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    checked(bytes, "stdin")
}

/// The text of the file at `path`, or stdin when it is `-`.
pub fn file(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return text("-");
    }
    let bytes = fs::read(path).map_err(|e| Failure::io("read", path, &e))?;
    checked(bytes, &path.display().to_string())
}

fn checked(bytes: Vec<u8>, from: &str) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Failure::Failed(format!("{from} is not UTF-8 text: byte {at} is invalid; convert it to UTF-8"))
    })?;
    match text.find('\0') {
        Some(at) => Err(Failure::Failed(format!("{from} has a NUL at byte {at}: it is not text; remove it"))),
        None if text.is_empty() => Err(Failure::Failed(format!("{from} is empty; give some text"))),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_refused_without_repeating_it() {
        let why = |bytes: &[u8]| checked(bytes.to_vec(), "stdin").unwrap_err().to_string();
        assert_eq!(why(b"ab\xff"), "stdin is not UTF-8 text: byte 2 is invalid; convert it to UTF-8");
        assert_eq!(why(b"secret\0"), "stdin has a NUL at byte 6: it is not text; remove it");
        assert_eq!(why(b""), "stdin is empty; give some text");
        assert_eq!(checked("naïve 🙂".into(), "stdin").unwrap(), "naïve 🙂");
    }
}
