//! Durations and sizes as people write them: `250ms`, `10s`, `5m`, `16MiB`.

use std::time::Duration;

/// From the largest to the smallest; the factor is in milliseconds.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];
/// From the largest to the smallest; the factor is in bytes. Sizes are shown in the binary ones.
const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads `250ms`, `10s`, `5m`, `1h`, `2d` or a bare number of seconds. `None` for anything else and for
/// what does not fit.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Some(Duration::from_secs(number));
    }
    let (_, factor) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor).map(Duration::from_millis)
}

/// Reads `512`, `64KiB`, `16 MiB`, `1GB` and the like, without regard to case. `None` for anything else
/// and for what does not fit.
pub fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = SIZE_UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.checked_mul(*factor)
}

/// Writes a duration in the largest unit that divides it; below a millisecond it is rounded down.
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let (unit, factor) = DURATION_UNITS
        .iter()
        .find(|(_, factor)| milliseconds.is_multiple_of(*factor))
        .expect("one millisecond divides everything");
    format!("{}{unit}", milliseconds / factor)
}

/// Writes a size in the largest binary unit that divides it.
pub fn format_size(bytes: u64) -> String {
    let (unit, factor) = SIZE_UNITS
        .iter()
        .find(|(_, factor)| factor.is_power_of_two() && bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", bytes / factor)
}

/// Splits `10 s` into its number and its unit.
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let number = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_duration(text: &str, milliseconds: Option<u64>) {
        assert_eq!(
            parse_duration(text),
            milliseconds.map(Duration::from_millis),
            "{text:?}"
        );
    }

    #[track_caller]
    fn check_size(text: &str, bytes: Option<u64>) {
        assert_eq!(parse_size(text), bytes, "{text:?}");
    }

    #[test]
    fn durations() {
        check_duration("250ms", Some(250));
        check_duration("10s", Some(10_000));
        check_duration(" 5 m ", Some(300_000));
        check_duration("1h", Some(3_600_000));
        check_duration("2d", Some(172_800_000));
        check_duration("10", Some(10_000));
        check_duration("0", Some(0));
        for wrong in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1y",
            "10S",
            "1h30m",
            "99999999999999999999s",
            "18446744073709551615h",
            "٣s",
        ] {
            check_duration(wrong, None);
        }
    }

    #[test]
    fn sizes() {
        check_size("0", Some(0));
        check_size("512", Some(512));
        check_size("64KiB", Some(65_536));
        check_size("16 MiB", Some(16 << 20));
        check_size("1gib", Some(1 << 30));
        check_size("5KB", Some(5_000));
        check_size("2MB", Some(2_000_000));
        check_size("1GB", Some(1_000_000_000));
        check_size("7B", Some(7));
        for wrong in [
            "",
            "MiB",
            "-1",
            "1.5MiB",
            "1TiB",
            "1 M iB",
            "18446744073709551615KiB",
        ] {
            check_size(wrong, None);
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for milliseconds in [
            0, 1, 250, 999, 1_000, 1_500, 60_000, 90_000, 3_600_000, 86_400_000, 86_400_001,
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
        for bytes in [
            0,
            1,
            1_000,
            1_024,
            65_536,
            65_537,
            16 << 20,
            1 << 30,
            3_000_000_000,
        ] {
            assert_eq!(parse_size(&format_size(bytes)), Some(bytes));
        }
        assert_eq!(format_duration(Duration::from_secs(600)), "10m");
        assert_eq!(format_size(64 << 20), "64MiB");
        assert_eq!(format_size(0), "0B");
    }
}
