//! Durations and sizes as people write them in a pipeline file: `"30s"`, `"20MB"`.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A span of time: `ms`, `s`, `m`, `h`, `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

/// A number of bytes: `B`, `kB`, `MB`, `GB` (powers of 1000) or `KiB`, `MiB`, `GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const TIME_UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

fn parse(text: &str, units: &[(&str, u64)], what: &str, example: &str) -> Result<u64, Error> {
    let wrong = || {
        let names: Vec<_> = units.iter().map(|(name, _)| *name).collect();
        Error::config(format!(
            "{text:?} is no {what}: expected a whole number and a unit ({}), such as {example:?}",
            names.join(", ")
        ))
    };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor).ok_or_else(wrong)?;
    digits.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).ok_or_else(wrong)
}

/// The largest unit that divides the value.
fn print(value: u64, units: &[(&str, u64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let best = units
        .iter()
        .filter(|(_, factor)| value.is_multiple_of(*factor) && value >= *factor)
        .max_by_key(|(_, factor)| *factor);
    match best {
        Some((name, factor)) => write!(f, "{}{name}", value / factor),
        None => write!(f, "{value}{}", units[0].0),
    }
}

impl FromStr for Duration {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text, &TIME_UNITS, "duration", "30s").map(|ms| Self(std::time::Duration::from_millis(ms)))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &TIME_UNITS, f)
    }
}

impl FromStr for Bytes {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text, &SIZE_UNITS, "size", "20MB").map(Self)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self.0, &SIZE_UNITS, f)
    }
}

serde_by_text!(Duration);
serde_by_text!(Bytes);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_and_print() {
        assert_eq!("30s".parse::<Duration>().unwrap().0.as_secs(), 30);
        assert_eq!("90m".parse::<Duration>().unwrap().to_string(), "90m");
        assert_eq!("0s".parse::<Duration>().unwrap().to_string(), "0ms");
        assert_eq!("20MB".parse::<Bytes>().unwrap(), Bytes(20_000_000));
        assert_eq!("4GiB".parse::<Bytes>().unwrap().to_string(), "4GiB");
    }

    #[test]
    fn a_bare_number_is_refused_with_advice() {
        let error = "30".parse::<Duration>().unwrap_err().to_string();
        assert!(error.contains("expected a whole number and a unit") && error.contains("30s"), "{error}");
        assert!("99999999999999999999GB".parse::<Bytes>().is_err());
        assert!("MB".parse::<Bytes>().is_err());
    }
}
