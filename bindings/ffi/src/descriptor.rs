//! Files that the app has open already, and of which ours is a part: an asset lies in the app's package.

use std::fs::File;
use std::ops::Range;

use crate::error::{NibbleError, Result};

/// What such a file is called in errors: it came without a name.
pub(crate) const NAME: &str = "in the open file";

/// A handle of our own on the file behind `descriptor`, and which of its bytes are meant.
#[cfg(unix)]
pub(crate) fn part(descriptor: i32, offset: u64, length: u64) -> Result<(File, Range<u64>)> {
    use std::os::fd::BorrowedFd;

    let end = offset.checked_add(length).ok_or_else(|| NibbleError::invalid("offset and length exceed any file"))?;
    if descriptor < 0 {
        return Err(NibbleError::invalid("the descriptor is negative; give that of an open file"));
    }
    // SAFETY: it is only used for the next call, which duplicates it or says that it is not open. Whether it is the
    // file that the caller means is the caller's affair, as with any descriptor.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let owned = borrowed.try_clone_to_owned().map_err(|error| NibbleError::Io {
        reason: format!("cannot use the descriptor {descriptor}: {error}; open the file anew"),
    })?;
    Ok((owned.into(), offset..end))
}

/// Descriptors are a matter of other systems.
#[cfg(not(unix))]
pub(crate) fn part(_: i32, _: u64, _: u64) -> Result<(File, Range<u64>)> {
    Err(NibbleError::invalid("this system has no descriptors; open the file by its path"))
}
