//! Walks a GGUF's header before candle reads it, and bounds every count, length and offset by the file that is there.
//!
//! candle's reader then finds nothing that could make it allocate without measure, divide by zero or overflow. Format:
//! `docs/gguf.md` of ggml, versions 1 to 3.

use std::collections::HashSet;

use nibble_kernels::Format;

use crate::error::Fault;

/// Longest key, as llama.cpp's.
const LONGEST_KEY: u64 = u16::MAX as u64;
/// Longest tensor name: ggml's is 64.
const LONGEST_NAME: u64 = 256;
/// Elements in all arrays together: an element takes 32 bytes of memory once read, and a large vocabulary has a million.
const MOST_ELEMENTS: u64 = 1 << 23;
/// Far more than any model has.
const MOST_TENSORS: u64 = 1 << 16;

/// GGUF's number for the type u32.
const UINT32: u32 = 4;

/// Err unless `head`, the beginning of a file of `file_len` bytes, is the header of a GGUF whose tensors all lie in it.
pub(super) fn check(head: &[u8], file_len: u64) -> Result<(), Fault> {
    if head.is_empty() {
        return Err(Fault::damaged("the file is empty"));
    }
    let mut r = Reader { rest: head, wide: true };
    match r.take(4) {
        Ok(b"GGUF") => {}
        Ok(b"FUGG") => return Err(wrong_endian()),
        _ => return Err(Fault::damaged("it is not a GGUF file")),
    }
    let version = r.u32()?;
    match version {
        1 => r.wide = false,
        2 | 3 => {}
        _ if version & 0xffff == 0 => return Err(wrong_endian()),
        _ => return Err(Fault::unsupported(format!("GGUF version {version}, and there are only 1 to 3"))),
    }
    let (tensors, pairs) = (r.length()?, r.length()?);
    // The smallest tensor entry takes 21 bytes and the smallest pair 9.
    let smallest = tensors.saturating_mul(21).saturating_add(pairs.saturating_mul(9));
    if tensors > MOST_TENSORS || smallest > r.rest.len() as u64 {
        return Err(Fault::damaged(format!(
            "its header counts {tensors} tensors and {pairs} keys, which do not fit it"
        )));
    }
    let alignment = metadata(&mut r, pairs)?;
    let mut shapes = Vec::with_capacity(tensors as usize);
    let mut names = HashSet::new();
    for _ in 0..tensors {
        let (name, offset, len) = tensor(&mut r)?;
        if !offset.is_multiple_of(alignment) {
            return Err(Fault::damaged(format!("the tensor {name} is not aligned")));
        }
        if !names.insert(name) {
            return Err(Fault::damaged(format!("it has two tensors named {name}")));
        }
        shapes.push((name, offset, len));
    }
    let data = ((head.len() - r.rest.len()) as u64).next_multiple_of(alignment);
    for (name, offset, len) in shapes {
        let end = data.checked_add(offset).and_then(|start| start.checked_add(len));
        if end.is_none_or(|end| end > file_len) {
            return Err(Fault::damaged(format!("it ends before the tensor {name} does: the file was cut short")));
        }
    }
    Ok(())
}

fn wrong_endian() -> Fault {
    Fault::unsupported("a big-endian machine: the file has the wrong byte order; fetch the little-endian file")
}

/// Walks the key-value pairs; returns the alignment of the data.
fn metadata(r: &mut Reader, pairs: u64) -> Result<u64, Fault> {
    let mut alignment = 32;
    let mut elements = 0;
    for _ in 0..pairs {
        let key = r.name(LONGEST_KEY)?;
        let kind = r.u32()?;
        if key == "general.alignment" {
            alignment = u64::from(u32::from_le_bytes(*r.rest.first_chunk().ok_or_else(cut_short)?));
            // A `u32` by the specification; candle takes 32 for the types it does not expect.
            if kind != UINT32 || !alignment.is_power_of_two() || alignment > 1 << 16 {
                return Err(Fault::damaged(format!("its alignment is {alignment}")));
            }
        }
        value(r, kind, &mut elements, false)?;
    }
    Ok(alignment)
}

fn value(r: &mut Reader, kind: u32, elements: &mut u64, nested: bool) -> Result<(), Fault> {
    match Kind::new(kind)? {
        Kind::Fixed(size) => r.skip(size),
        Kind::String => r.length().and_then(|len| r.skip(len)),
        Kind::Array if nested => Err(Fault::damaged("it has arrays in arrays")),
        Kind::Array => {
            let kind = r.u32()?;
            let len = r.length()?;
            *elements = elements.saturating_add(len);
            if *elements > MOST_ELEMENTS {
                return Err(Fault::damaged(format!("it has an array of {len} elements")));
            }
            match Kind::new(kind)? {
                Kind::Fixed(size) => r.skip(len.saturating_mul(size)),
                _ => (0..len).try_for_each(|_| value(r, kind, elements, true)),
            }
        }
    }
}

/// How the values of a GGUF type are stored.
enum Kind {
    Fixed(u64),
    String,
    Array,
}

impl Kind {
    fn new(number: u32) -> Result<Self, Fault> {
        Ok(match number {
            0 | 1 | 7 => Self::Fixed(1),
            2 | 3 => Self::Fixed(2),
            4..=6 => Self::Fixed(4),
            10..=12 => Self::Fixed(8),
            8 => Self::String,
            9 => Self::Array,
            _ => return Err(Fault::damaged(format!("it has a value of the unknown type {number}"))),
        })
    }
}

/// One entry of the tensor table: its name, offset into the data, and length in bytes.
fn tensor<'a>(r: &mut Reader<'a>) -> Result<(&'a str, u64, u64), Fault> {
    let name = r.name(LONGEST_NAME)?;
    let dimensions = r.u32()?;
    if !(1..=4).contains(&dimensions) {
        return Err(Fault::damaged(format!("the tensor {name} has {dimensions} dimensions")));
    }
    let cols = r.length()?;
    let mut rows = 1u64;
    for _ in 1..dimensions {
        rows = rows.saturating_mul(r.length()?);
    }
    let number = r.u32()?;
    let format = Format::from_ggml(number).ok_or_else(|| {
        let known = Format::GGUF.map(Format::name).join(", ");
        Fault::unsupported(format!("the tensor format number {number} ({name}), and there are only {known}"))
    })?;
    let offset = r.u64()?;
    let len = usize::try_from(rows)
        .ok()
        .zip(usize::try_from(cols).ok())
        .filter(|&(rows, cols)| rows > 0 && cols > 0)
        .and_then(|(rows, cols)| format.source_len(rows, cols))
        .ok_or_else(|| {
            Fault::damaged(format!("the tensor {name} is {rows} x {cols}, which {} cannot be", format.name()))
        })?;
    Ok((name, offset, len as u64))
}

/// Takes little-endian values off the front of the header.
struct Reader<'a> {
    rest: &'a [u8],
    /// Lengths have 64 bits, as since version 2.
    wide: bool,
}

fn cut_short() -> Fault {
    Fault::damaged("it ends in the middle of its header: the file was cut short or a length in it is wrong")
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: u64) -> Result<&'a [u8], Fault> {
        let (taken, rest) =
            usize::try_from(len).ok().and_then(|len| self.rest.split_at_checked(len)).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(taken)
    }

    fn skip(&mut self, len: u64) -> Result<(), Fault> {
        self.take(len).map(drop)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    fn length(&mut self) -> Result<u64, Fault> {
        if self.wide { self.u64() } else { self.u32().map(u64::from) }
    }

    /// A key or a name of at most `longest` bytes.
    fn name(&mut self, longest: u64) -> Result<&'a str, Fault> {
        let len = self.length()?;
        if len > longest {
            return Err(Fault::damaged(format!("it has a name of {len} bytes")));
        }
        match std::str::from_utf8(self.take(len)?) {
            // candle drops NULs at the end, which would let a name pass for another.
            Ok(name) if !name.contains('\0') => Ok(name),
            _ => Err(Fault::damaged("it has a name that is not UTF-8 or holds a NUL")),
        }
    }
}
