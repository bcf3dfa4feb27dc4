//! How digests and keys are written for people and in files: two lower-case digits a byte.

/// `bytes` in lower-case hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The `N` bytes that `text` writes in hexadecimal, in either case; `None` where it does not.
pub fn from_hexadecimal<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|&[high, low]| Some((digit(high)? * 16 + digit(low)?) as u8)).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_has_two_digits() {
        assert_eq!(hexadecimal(&[0, 0x0f, 0xa0, 0xff]), "000fa0ff");
        assert_eq!(from_hexadecimal("000fA0ff"), Some([0, 0x0f, 0xa0, 0xff]));
        for wrong in ["", "000fa0f", "000fa0ff0", "000fa0", "000fa0+f", "000fa0ä"] {
            assert_eq!(from_hexadecimal::<4>(wrong), None, "{wrong}");
        }
    }
}
