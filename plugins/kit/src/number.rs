//! Numbers of JSON, as doubles.

/// Ten to this is exact in a double; to one more it is not.
const EXACT: i32 = 22;

/// Returns the number that a JSON text means, or none where it is no number.
///
/// Numbers of up to 15 digits and ordinary size are as near as a double comes, others but for the last bits: the tables
/// with which all of them could be are a tenth of a plugin. What is too great is infinite.
pub fn number(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let (text, exponent) = match text.split_once(['e', 'E']) {
        Some((text, exponent)) => (text, read_exponent(exponent)?),
        None => (text, 0),
    };
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (text, ""),
    };
    if whole.is_empty() || (whole.starts_with('0') && whole.len() > 1) {
        return None;
    }
    let mut digits = 0_u64;
    let mut power = exponent;
    for (index, byte) in whole.bytes().chain(fraction.bytes()).enumerate() {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        // What has no place any more is below what a double can tell; but each of its digits before the point counts.
        let has_place = digits < u64::MAX / 10;
        if has_place {
            digits = digits * 10 + digit;
        }
        let is_whole = index < whole.len();
        power = power.saturating_add(i32::from(is_whole) - i32::from(has_place));
    }
    Some(sign * scale(digits, power))
}

/// Reads what comes after the `e`. What is too great remains very great.
fn read_exponent(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let read = |exponent: i32, byte: &u8| {
        let digit = byte.is_ascii_digit().then(|| i32::from(byte - b'0'))?;
        Some(exponent.saturating_mul(10).saturating_add(digit))
    };
    let exponent = digits.iter().try_fold(0, read)?;
    (!digits.is_empty()).then_some(sign * exponent)
}

/// Returns `digits` times ten to a power, in steps that are exact.
#[expect(clippy::cast_precision_loss, reason = "as near as a double comes")]
fn scale(digits: u64, mut power: i32) -> f64 {
    let mut number = digits as f64;
    while power != 0 && number != 0.0 && number.is_finite() {
        let step = power.clamp(-EXACT, EXACT);
        let factor = (0..step.abs()).fold(1.0, |factor, _| factor * 10.0);
        number = if step > 0 {
            number * factor
        } else {
            number / factor
        };
        power -= step;
    }
    number
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn ordinary_numbers_are_exact() {
        for text in [
            "0",
            "7",
            "-7",
            "0.5",
            "-2.05",
            "3.14159265",
            "1e3",
            "1E+3",
            "25e-1",
            "0.1",
            "1e22",
            "123456789.012345",
            "9007199254740991",
            "0e999999999999",
        ] {
            let expected: f64 = text.parse().expect("a number");
            assert_eq!(number(text), Some(expected), "{text}");
        }
        assert!(number("-0").expect("a number").is_sign_negative());
    }

    #[test]
    fn others_are_near() {
        for text in [
            "1.7976931348623157e308",
            "2.2250738585072014e-308",
            "123456789012345678901234567890",
            "18446744073709551619.3",
            "0.00000000000000000000000000000000123456789012345678901234",
        ] {
            let (expected, read): (f64, _) = (text.parse().expect("a number"), number(text));
            let read = read.expect("a number");
            assert!((read / expected - 1.0).abs() < 1e-14, "{text}: {read}");
        }
        let long = format!("{}.5", "9".repeat(400));
        for text in ["1e999", "1e99999999999999999999", &long] {
            assert_eq!(number(text), Some(f64::INFINITY), "{text}");
        }
        assert_eq!(number("-1e-99999999999999999999"), Some(-0.0));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "", "-", "+1", "01", "-01", ".5", "5.", "1e", "1e+", "1.e3", "1e1.5", "0x1", "1_0", "--1",
            "1e--1", "NaN", " 1", "١",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
