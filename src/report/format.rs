//! Figures and words for people: counts, shares, rates, durations, plurals, and text that fits a terminal column.
//!
//! Groups of digits and units are set off by an ordinary space, so that a log can be searched; the HTML report turns it
//! into a narrow no-break space. What cannot be said (a share of nothing, a time that is not finite) is [`NONE`].

use unicode_normalization::char::is_combining_mark;

pub use crate::text::printable::printable;

/// Stands where there is no value.
pub const NONE: &str = "–";

/// A count with its digits in groups of three: `12 480`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count and its noun: `1 page`, `12 480 pages`. `noun` is an English singular with a regular plural.
pub fn plural(number: u64, noun: &str) -> String {
    format!("{} {}", count(number), if number == 1 { noun.to_owned() } else { plural_of(noun) })
}

/// The regular English plural: `query` → `queries`, `batch` → `batches`, `day` → `days`.
pub fn plural_of(noun: &str) -> String {
    let hisses = ["s", "x", "z", "ch", "sh"].iter().any(|ending| noun.ends_with(ending));
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if hisses => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// `part` of `whole` in percent: `12.4 %`. Only nothing is `0 %` and only all is `100 %`.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.to_owned();
    }
    if part == 0 || part == whole {
        return if part == 0 { "0 %" } else { "100 %" }.to_owned();
    }
    match fraction(part, whole) * 100.0 {
        share if share < 0.05 => "<0.1 %".to_owned(),
        share if (99.95..100.0).contains(&share) => ">99.9 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

/// `part` / `whole`, or 0 of nothing. For the lengths of bars.
#[expect(clippy::cast_precision_loss, reason = "a bar needs no 53rd bit")]
pub fn fraction(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A span of time: `85 ms`, `3.4 s`, `42 s`, `3 min 12 s`, `1 h 04 min`, `2 d 03 h`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be finite and not negative")]
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return NONE.to_owned();
    }
    if seconds < 0.9995 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        3600..86_400 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// How fast, in the unit of time that gives a readable number: `12 pages/s`, `3.4 books/min`, `0.5 books/h`. `None`
/// before anything was done or any time has passed.
#[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
pub fn rate(done: u64, seconds: f64, noun: &str) -> Option<String> {
    if done == 0 || !seconds.is_finite() || seconds <= 0.0 {
        return None;
    }
    let per_second = done as f64 / seconds;
    let (value, time) = match per_second {
        x if x >= 1.0 => (x, "s"),
        x if x * 60.0 >= 1.0 => (x * 60.0, "min"),
        x => (x * 3600.0, "h"),
    };
    Some(format!("{} {}/{time}", round(value), plural_of(noun)))
}

/// Two digits below ten, else a whole number.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are finite and positive")]
fn round(value: f64) -> String {
    if value < 9.95 { format!("{value:.1}") } else { count(value.round() as u64) }
}

/// A score or measure with the digits that its size deserves: `0.943`, `1.06`, `27.4`.
pub fn measure(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => NONE.to_owned(),
        size if size < 0.9995 || size == 1.0 => format!("{value:.3}"),
        size if size < 9.995 => format!("{value:.2}"),
        _ => format!("{value:.1}"),
    }
}

/// An instant for people, to the minute, in UTC: `2025-11-21 02:04`.
pub fn instant(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// How many terminal columns a text takes: one a character, none for a combining mark. (Chinese would take two; no
/// text of that script is put into columns.)
pub fn columns(text: &str) -> usize {
    text.chars().filter(|c| !is_combining_mark(*c)).count()
}

/// Cuts a text that is wider than `width` columns, and says so by an ellipsis.
pub fn shorten(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut shortened: String = take_columns(text.chars(), width.saturating_sub(1)).collect();
    shortened.truncate(shortened.trim_end().len());
    if width > 0 {
        shortened.push('…');
    }
    shortened
}

/// Characters up to `width` columns, with the combining marks that belong to the last.
fn take_columns(text: impl Iterator<Item = char>, width: usize) -> impl Iterator<Item = char> {
    let mut taken = 0;
    text.take_while(move |c| {
        taken += usize::from(!is_combining_mark(*c));
        taken <= width
    })
}

/// Cut and padded on the right to exactly `width` columns.
pub fn left(text: &str, width: usize) -> String {
    let text = shorten(text, width);
    let padding = width - columns(&text);
    text + &" ".repeat(padding)
}

/// Cut and padded on the left to exactly `width` columns.
pub fn right(text: &str, width: usize) -> String {
    let text = shorten(text, width);
    " ".repeat(width - columns(&text)) + &text
}

/// Breaks at spaces into lines of at most `width` columns; a longer word (a URL) stays whole, so that it can be copied.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_and_nouns() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1000), "1 000");
        assert_eq!(count(12_480), "12 480");
        assert_eq!(count(u64::MAX), "18 446 744 073 709 551 615");
        assert_eq!(plural(1, "page"), "1 page");
        assert_eq!(plural(0, "page"), "0 pages");
        assert_eq!(plural(2100, "query"), "2 100 queries");
        assert_eq!(plural_of("batch"), "batches");
        assert_eq!(plural_of("day"), "days");
        assert_eq!(plural_of("document pair"), "document pairs");
    }

    #[test]
    fn shares_never_round_to_nothing_or_all() {
        assert_eq!(percent(1, 8), "12.5 %");
        assert_eq!(percent(0, 8), "0 %");
        assert_eq!(percent(8, 8), "100 %");
        assert_eq!(percent(1, 10_000), "<0.1 %");
        assert_eq!(percent(9_999, 10_000), ">99.9 %");
        assert_eq!(percent(3, 2), "150.0 %");
        assert_eq!(percent(3, 0), NONE);
    }

    #[test]
    fn times_carry_over_when_they_round_up() {
        assert_eq!(duration(0.0), "0 ms");
        assert_eq!(duration(0.085), "85 ms");
        assert_eq!(duration(0.9997), "1.0 s");
        assert_eq!(duration(3.44), "3.4 s");
        assert_eq!(duration(9.96), "10 s");
        assert_eq!(duration(59.6), "1 min 00 s");
        assert_eq!(duration(192.0), "3 min 12 s");
        assert_eq!(duration(3_840.0), "1 h 04 min");
        assert_eq!(duration(183_600.0), "2 d 03 h");
        assert_eq!(duration(f64::NAN), NONE);
        assert_eq!(duration(-1.0), NONE);
    }

    #[test]
    fn rates_choose_their_unit_of_time() {
        assert_eq!(rate(2480, 2.0, "sentence").as_deref(), Some("1 240 sentences/s"));
        assert_eq!(rate(34, 10.0, "page").as_deref(), Some("3.4 pages/s"));
        assert_eq!(rate(3, 60.0, "book").as_deref(), Some("3.0 books/min"));
        assert_eq!(rate(1, 7200.0, "book").as_deref(), Some("0.5 books/h"));
        assert_eq!(rate(0, 10.0, "page"), None);
        assert_eq!(rate(5, 0.0, "page"), None);
    }

    #[test]
    fn measures_show_the_digits_that_matter() {
        assert_eq!(measure(0.9431), "0.943");
        assert_eq!(measure(1.0), "1.000");
        assert_eq!(measure(1.063), "1.06");
        assert_eq!(measure(-0.25), "-0.250");
        assert_eq!(measure(27.44), "27.4");
        assert_eq!(measure(f64::INFINITY), NONE);
    }

    #[test]
    fn cyrillic_and_turkmen_take_a_column_a_character() {
        assert_eq!(left("Köpri", 8), "Köpri   ");
        assert_eq!(right("мост", 6), "  мост");
        assert_eq!(shorten("Amyderýanyň köprüsi", 12), "Amyderýanyň…");
        assert_eq!(columns("y\u{301}o\u{308}l"), 3);
        assert_eq!(left("abc", 0), "");
    }

    #[test]
    fn the_web_does_not_steer_the_terminal() {}

    #[test]
    fn long_words_stay_whole() {
        assert_eq!(
            wrap("look at https://example.org/a/long/path again", 12),
            ["look at", "https://example.org/a/long/path", "again"]
        );
        assert!(wrap("  ", 10).is_empty());
    }

    proptest! {
        #[test]
        fn columns_come_out_exactly(text in "\\PC{0,40}", width in 0_usize..50) {
            prop_assert_eq!(columns(&left(&text, width)), width);
            prop_assert_eq!(columns(&right(&text, width)), width);
        }

        #[test]
        fn grouping_keeps_the_digits(number: u64) {
            prop_assert_eq!(count(number).replace(' ', "").parse::<u64>().unwrap(), number);
        }

        #[test]
        fn wrapping_keeps_the_words(text in "[а-яa-z ]{0,80}", width in 1_usize..30) {
            let lines = wrap(&text, width);
            prop_assert_eq!(lines.join(" "), text.split_whitespace().collect::<Vec<_>>().join(" "));
            prop_assert!(lines.iter().all(|line| columns(line) <= width || !line.contains(' ')));
        }
    }
}
