//! Publication times, as pages write them.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, offset};
use jiff::{Timestamp, fmt::rfc2822};

/// The zone of a time that names none: Turkmenistan, UTC+5 all year.
pub(super) const TURKMENISTAN: Offset = offset(5);

/// Beginnings of month names in Turkmen, Russian and English, in lower case; `й` stands in the genitive `мая` as `я`.
const MONTHS: [&[&str]; 12] = [
    &["ýanwar", "январ", "янв", "jan"],
    &["fewral", "феврал", "фев", "feb"],
    &["mart", "март", "мар", "mar"],
    &["aprel", "апрел", "апр", "apr"],
    &["maý", "мая", "май", "may"],
    &["iýun", "июн", "jun"],
    &["iýul", "июл", "jul"],
    &["awgust", "август", "авг", "aug"],
    &["sentýabr", "сентябр", "сен", "sep"],
    &["oktýabr", "октябр", "окт", "oct"],
    &["noýabr", "ноябр", "ноя", "nov"],
    &["dekabr", "декабр", "дек", "dec"],
];

/// Reads an instant.
///
/// RFC 3339 and RFC 2822 count as they stand. Otherwise the text must hold a date (`2026-03-14`, `14.03.2026`,
/// `14 марта 2026 г.`, `2026-njy ýylyň 14-nji marty`, `March 14, 2026`), maybe a time (`09:30`, `09:30:15`), and is
/// taken to be in `zone`. A date without time is its midnight there. All-numeric dates put the day before the month.
pub(super) fn parse(text: &str, zone: Offset) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant);
    }
    if let Ok(instant) = rfc2822::parse(text) {
        return Some(instant.timestamp());
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return zone.to_timestamp(local).ok();
    }
    zone.to_timestamp(in_words(text)?).ok()
}

/// The first date and the first time of a line of words.
fn in_words(text: &str) -> Option<DateTime> {
    let text = text.to_lowercase();
    let (mut date, mut time) = (None, None);
    let (mut year, mut month, mut day) = (None, None, None);
    let mut afternoon = None;
    for word in text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '|' | '(' | ')')) {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            let figures = word.trim_end_matches(|c: char| !c.is_ascii_digit());
            if figures.contains(':') {
                time = time.or_else(|| clock(figures));
            } else if let Some(found) = numeric_date(figures) {
                date = date.or(Some(found));
            } else {
                let digits = word.find(|c: char| !c.is_ascii_digit()).map_or(word, |end| &word[..end]);
                match (digits.len(), digits.parse::<i16>()) {
                    (1 | 2, Ok(number)) => day = day.or(i8::try_from(number).ok()),
                    (4, Ok(number)) => year = year.or(Some(number)),
                    _ => {}
                }
            }
        } else if matches!(word, "am" | "a.m." | "pm" | "p.m.") {
            afternoon = Some(word.starts_with('p'));
        } else {
            month = month.or_else(|| month_named(word));
        }
    }
    let date = match date {
        Some(date) => date,
        None => Date::new(year?, month?, day?).ok()?,
    };
    if !(1900..2200).contains(&date.year()) {
        return None;
    }
    Some(date.to_datetime(twelve_hour(time.unwrap_or(Time::midnight()), afternoon)?))
}

/// `14.03.2026`, `14/03/2026`, `14-03-2026` or the year first.
fn numeric_date(figures: &str) -> Option<Date> {
    let mut parts = figures.split(['.', '/', '-']);
    let (first, month, last) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (year, day) = match (first.len(), last.len()) {
        (1 | 2, 4) => (last, first),
        (4, 1 | 2) => (first, last),
        _ => return None,
    };
    Date::new(year.parse().ok()?, month, day.parse().ok()?).ok()
}

/// `9:30` or `09:30:15`.
fn clock(figures: &str) -> Option<Time> {
    let mut parts = figures.split(':').map(|part| part.parse::<i8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    if parts.next().is_some() {
        return None;
    }
    Time::new(hour, minute, second, 0).ok()
}

fn twelve_hour(time: Time, afternoon: Option<bool>) -> Option<Time> {
    let hour = match (afternoon, time.hour()) {
        (Some(false), 12) => 0,
        (Some(true), hour) if hour < 12 => hour + 12,
        (_, hour) => hour,
    };
    Time::new(hour, time.minute(), time.second(), 0).ok()
}

fn month_named(word: &str) -> Option<i8> {
    let at = MONTHS.iter().position(|names| names.iter().any(|name| word.starts_with(name)))?;
    i8::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_the_wild() {
        for (text, instant) in [
            ("2026-03-14T09:30:00+05:00", "2026-03-14T04:30:00Z"),
            ("2026-03-14T09:30:00+0300", "2026-03-14T06:30:00Z"),
            ("2026-03-14T09:30:00.000Z", "2026-03-14T09:30:00Z"),
            ("Sat, 14 Mar 2026 09:30:00 +0500", "2026-03-14T04:30:00Z"),
            ("2026-03-14T09:30:00", "2026-03-14T04:30:00Z"),
            (" 2026-03-14 09:30 ", "2026-03-14T04:30:00Z"),
            ("2026-03-14", "2026-03-13T19:00:00Z"),
            ("14.03.2026 09:30", "2026-03-14T04:30:00Z"),
            ("14.03.2026, 09:30:15", "2026-03-14T04:30:15Z"),
            ("09:30 | 14/3/2026", "2026-03-14T04:30:00Z"),
            ("14.03.2026г.", "2026-03-13T19:00:00Z"),
            ("Опубликовано: 14 марта 2026 г., 09:30", "2026-03-14T04:30:00Z"),
            ("2 мая 2026", "2026-05-01T19:00:00Z"),
            ("14 Mart 2026, 9:30", "2026-03-14T04:30:00Z"),
            ("2026-njy ýylyň 14-nji marty", "2026-03-13T19:00:00Z"),
            ("1-nji maý 2026", "2026-04-30T19:00:00Z"),
            ("March 14, 2026 9:30 PM", "2026-03-14T16:30:00Z"),
            ("14 марта 2026 12:05 a.m.", "2026-03-13T19:05:00Z"),
        ] {
            assert_eq!(parse(text, TURKMENISTAN).map(|found| found.to_string()).as_deref(), Some(instant), "{text}");
        }
    }

    #[test]
    fn the_zone_is_a_parameter() {
        assert_eq!(parse("14.03.2026 09:30", Offset::UTC).unwrap().to_string(), "2026-03-14T09:30:00Z");
    }

    #[test]
    fn no_date_is_none() {
        for text in
            ["", "вчера", "09:30", "14 марта", "31.02.2026", "2026-13-01", "14.03.26", "ORIENT 2026", "99999999"]
        {
            assert_eq!(parse(text, TURKMENISTAN), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", figures in "[0-9:./ -]{0,20}") {
            parse(&text, TURKMENISTAN);
            parse(&figures, TURKMENISTAN);
        }
    }
}
