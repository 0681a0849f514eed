//! Finding the next byte of interest in a JSON string, eight bytes at a time.

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Returns the offset of the first `"`, `\` or control byte at or after `from`, or the length of `bytes`.
pub(super) fn string_stop(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("the slice has eight bytes"));
        let found = stops(word);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && !matches!(bytes[at], b'"' | b'\\' | 0..=0x1f) {
        at += 1;
    }
    at
}

/// Returns a word whose lowest set bit is in the first byte that stops a string. Higher bytes may be false alarms
/// (a borrow runs upwards), which is why only the lowest is looked at.
fn stops(word: u64) -> u64 {
    let quote = zero_byte(word ^ (LOW * u64::from(b'"')));
    let backslash = zero_byte(word ^ (LOW * u64::from(b'\\')));
    let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
    quote | backslash | control
}

fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_plain_loop() {
        for filler in [b'a', 0x7f, 0x80, 0xff, 0x21] {
            for stop in [b'"', b'\\', 0x00, 0x1f, b'\n'] {
                for at in 0..24 {
                    let mut bytes = [filler; 24];
                    bytes[at] = stop;
                    for from in 0..=at {
                        assert_eq!(string_stop(&bytes, from), at, "{filler:#x} {stop:#x} {at} {from}");
                    }
                }
            }
            assert_eq!(string_stop(&[filler; 24], 3), 24);
        }
    }
}
