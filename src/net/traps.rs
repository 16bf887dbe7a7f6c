//! URLs that lead a crawler round in circles, known by their looks: paths that append to themselves, calendars without
//! end, ids of a visit in place of a page.
//!
//! A trap is worth missing now and then (budgets end it), a page is not worth losing. So each rule asks for more than
//! an ordinary URL ever has, and what may be the number of an article is never taken for a date.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use url::Url;

/// Times that one segment may stand in a path.
const MAX_SAME_SEGMENT: usize = 2;
/// Segments of a path.
const MAX_SEGMENTS: usize = 16;
/// Parameters of a query.
const MAX_PARAMETERS: usize = 8;
/// Parameters of one name: `tag[]` twice is a filter, beyond this it is every combination of filters.
const MAX_SAME_PARAMETER: usize = 3;
/// Pages about earlier years lie in no calendar of the web.
const FIRST_YEAR: i16 = 1990;
/// How far a calendar may lie ahead.
const YEARS_AHEAD: i16 = 2;
/// The years that numbers of a path are taken for. A calendar is walked month by month, so that it cannot jump over
/// them; the number of an article can be anything.
const YEARS_IN_PATHS: std::ops::Range<i16> = 1900..2200;
/// The shortest id of a visit, in characters.
const MIN_TOKEN: usize = 16;

/// Words of parameter names under which digits alone are a date. `start=2200` and `from=2200` count articles.
const DATE_WORDS: &[&str] = &["cal", "calendar", "date", "day", "dt", "month", "sene", "ym", "ymd"];
const YEAR_WORDS: &[&str] = &["date", "god", "year", "yil", "yr", "yyyy"];
const TIME_WORDS: &[&str] = &["time", "timestamp"];

/// Names whose value is an id of a visit when it looks like one. The short ones mean a search on other sites, so the
/// value decides.
const SESSION_NAMES: &[&str] = &[
    "auth",
    "authtoken",
    "csrf",
    "csrftoken",
    "jsessionid",
    "nonce",
    "phpsessid",
    "s",
    "sess",
    "sessid",
    "session",
    "sessionid",
    "sid",
    "ssid",
    "ticket",
    "token",
    "visit",
    "visitor",
    "zenid",
];

/// Why a URL is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trap {
    /// One segment stands in the path again and again.
    Repetition {
        /// The segment.
        segment: String,
        /// How often.
        times: usize,
    },
    /// The path has too many segments.
    Depth {
        /// How many.
        segments: usize,
    },
    /// The query has too many parameters.
    Parameters {
        /// How many.
        count: usize,
    },
    /// One parameter is given again and again.
    SameParameter {
        /// Its name.
        name: String,
        /// How often.
        times: usize,
    },
    /// It is a page of a calendar, far from today.
    Calendar {
        /// The date as the URL has it.
        date: String,
    },
    /// It holds the id of a visit.
    Session {
        /// The name that the id goes by.
        name: String,
    },
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repetition { segment, times } => write!(f, "its path repeats {segment:?} {times} times"),
            Self::Depth { segments } => write!(f, "its path has {segments} segments, more than {MAX_SEGMENTS}"),
            Self::Parameters { count } => write!(f, "its query has {count} parameters, more than {MAX_PARAMETERS}"),
            Self::SameParameter { name, times } => write!(f, "its query gives {name:?} {times} times"),
            Self::Calendar { date } => write!(
                f,
                "it is a page of a calendar at {date}: before {FIRST_YEAR}, or more than {YEARS_AHEAD} years ahead"
            ),
            Self::Session { name } => write!(f, "it holds the id of a visit, {name:?}"),
        }
    }
}

/// Why a normalised URL must not be followed, if so. `today` is what calendars are measured by.
pub fn trap(url: &Url, today: Date) -> Option<Trap> {
    let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
    let parameters: Vec<(String, String)> =
        url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    too_many(&segments, &parameters)
        .or_else(|| repetition(&segments))
        .or_else(|| calendar(&segments, &parameters, today))
        .or_else(|| session(&segments, &parameters))
}

fn too_many(segments: &[&str], parameters: &[(String, String)]) -> Option<Trap> {
    if segments.len() > MAX_SEGMENTS {
        return Some(Trap::Depth { segments: segments.len() });
    }
    if parameters.len() > MAX_PARAMETERS {
        return Some(Trap::Parameters { count: parameters.len() });
    }
    parameters.iter().find_map(|(name, _)| {
        let times = parameters.iter().filter(|(other, _)| other == name).count();
        (times > MAX_SAME_PARAMETER).then(|| Trap::SameParameter { name: name.clone(), times })
    })
}

/// A link that is relative by mistake appends the same segments at each step (`/a/b/a/b/a/b`), perhaps with others in
/// between. Days, months and buckets (`/11/11/11`) repeat by chance.
fn repetition(segments: &[&str]) -> Option<Trap> {
    let by_chance = |segment: &str| {
        segment.len() <= 2 && is_number(segment) || !segment.contains(|c: char| c.is_ascii_alphanumeric())
    };
    segments.iter().filter(|segment| !by_chance(segment)).find_map(|segment| {
        let times = segments.iter().filter(|other| other == &segment).count();
        (times > MAX_SAME_SEGMENT).then(|| Trap::Repetition { segment: (*segment).to_owned(), times })
    })
}

fn calendar(segments: &[&str], parameters: &[(String, String)], today: Date) -> Option<Trap> {
    let last = today.checked_add(YEARS_AHEAD.years()).unwrap_or(Date::MAX);
    let found = |text: &str, date: Date| {
        (date.year() < FIRST_YEAR || date > last).then(|| Trap::Calendar { date: text.to_owned() })
    };
    let of_path = (0..segments.len()).find_map(|at| {
        let (text, date) = date_of_path(&segments[at..])?;
        found(&text, date)
    });
    of_path.or_else(|| {
        parameters.iter().find_map(|(name, value)| found(&format!("{name}={value}"), date_of_parameter(name, value)?))
    })
}

/// The date that a path's rest begins with: `2041/05`, `2041/5/12`, `2041-05`, `2041-05-12.html`, `12.05.2041`. A year
/// alone may be the number of an article, and `2145/7` its seventh picture.
fn date_of_path(segments: &[&str]) -> Option<(String, Date)> {
    let (whole, rest) = segments.split_first()?;
    let stem = match whole.rsplit_once('.') {
        Some((stem, extension)) if extension.starts_with(|c: char| c.is_ascii_alphabetic()) => stem,
        _ => whole,
    };
    let date = match written_date(stem) {
        Some(date) => Some((stem.to_owned(), date)),
        None if whole.len() == 4 => match rest {
            [month, day, ..] if number(day, 1..=2).is_some() => {
                date_of(whole, month, day).map(|date| (format!("{whole}/{month}/{day}"), date))
            }
            [month, ..] if month.len() == 2 => {
                date_of(whole, month, "1").map(|date| (format!("{whole}/{month}"), date))
            }
            _ => None,
        },
        None => None,
    };
    date.filter(|(_, date)| YEARS_IN_PATHS.contains(&date.year()))
}

/// The date of a parameter: one written out, whatever the name; in digits alone only under a name that says so.
fn date_of_parameter(name: &str, value: &str) -> Option<Date> {
    // A time of day may follow.
    let day = value.split([' ', 'T', '+']).next().unwrap_or(value);
    if let Some(date) = written_date(day) {
        return Some(date);
    }
    let name = name.to_lowercase();
    let named = |known: &[&str]| name.split(|c: char| !c.is_alphanumeric()).any(|word| known.contains(&word));
    match day.len() {
        4 if named(YEAR_WORDS) => date_of(day, "1", "1"),
        6 if named(DATE_WORDS) && is_number(day) => date_of(&day[..4], &day[4..], "1"),
        8 if named(DATE_WORDS) && is_number(day) => date_of(&day[..4], &day[4..6], &day[6..]),
        // Seconds since 1970, as some calendars have it.
        9 | 10 if named(TIME_WORDS) => {
            let instant = Timestamp::from_second(i64::from(number(day, 9..=10)?)).ok()?;
            Some(TimeZone::UTC.to_datetime(instant).date())
        }
        _ => None,
    }
}

/// `2041-05`, `2041-05-12`, `12-05-2041`, `05-2041`, with `-`, `.` or `_` between.
fn written_date(text: &str) -> Option<Date> {
    let separator = text.chars().find(|c| !c.is_ascii_digit()).filter(|c| "-._".contains(*c))?;
    let parts: Vec<&str> = text.split(separator).collect();
    match parts[..] {
        [year, month] if year.len() == 4 && month.len() == 2 => date_of(year, month, "1"),
        [month, year] if year.len() == 4 && month.len() == 2 => date_of(year, month, "1"),
        [year, month, day] if year.len() == 4 => date_of(year, month, day),
        [day, month, year] if year.len() == 4 => date_of(year, month, day),
        _ => None,
    }
}

fn date_of(year: &str, month: &str, day: &str) -> Option<Date> {
    let small = |text| number(text, 1..=2).and_then(|number| i8::try_from(number).ok());
    Date::new(i16::try_from(number(year, 4..=4)?).ok()?, small(month)?, small(day)?).ok()
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    if is_number(text) && digits.contains(&text.len()) { text.parse().ok() } else { None }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An id of a visit, as a parameter (`?s=9f86d0…`), as a parameter of a segment (`/page;sid=9f86d0…`), as the segment
/// after its name (`/sid/9f86d0…/page`), or in ASP.NET's own way (`/(S(lit3py55…))/page`).
fn session(segments: &[&str], parameters: &[(String, String)]) -> Option<Trap> {
    let found = |name: &str, value: &str| {
        (names_a_session(name) && is_random(value)).then(|| Trap::Session { name: name.to_owned() })
    };
    let of_segments = || {
        segments.iter().enumerate().find_map(|(at, segment)| {
            if let Some(ids) = segment.strip_prefix('(').and_then(|segment| segment.strip_suffix("))"))
                && ids.split_once('(').is_some_and(|(_, id)| is_random(id))
            {
                return Some(Trap::Session { name: "S".to_owned() });
            }
            let within = segment.split(';').filter_map(|pair| pair.split_once('='));
            let mut within = within.filter_map(|(name, value)| found(name, value));
            // `/s/9f86d0…` is how short links and shared files look.
            within.next().or_else(|| found(segment, segments.get(at + 1)?).filter(|_| segment.len() > 1))
        })
    };
    parameters.iter().find_map(|(name, value)| found(name, value)).or_else(of_segments)
}

fn names_a_session(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    SESSION_NAMES.contains(&name.as_str()) || name.starts_with("aspsessionid")
}

/// Whether a text looks drawn by chance: long, of the letters of hex or Base64, and changing between digits, small and
/// capital letters far more often than words with numbers do. Digits alone need only be many.
fn is_random(text: &str) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => Some(0),
        b'a'..=b'z' => Some(1),
        b'A'..=b'Z' => Some(2),
        b'-' | b'_' | b'+' | b'/' | b'=' | b'.' | b',' | b'~' => Some(3),
        _ => None,
    };
    let Some(classes) = text.bytes().map(class).collect::<Option<Vec<u8>>>() else { return false };
    // Words between hyphens change class as well.
    let kinds: Vec<u8> = classes.into_iter().filter(|&class| class != 3).collect();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    kinds.len() >= MIN_TOKEN && (changes * 4 >= kinds.len() || kinds.iter().all(|&class| class == 0))
}

/// What URLs of one template have in common: runs of digits become `0`, parameters keep their names alone, each once
/// and in order. `http://bossan.test/ru/list/12?page=3&a=x` → `http://bossan.test/ru/list/0?a&page`.
pub fn shape(url: &Url) -> String {
    let mut out = url[..url::Position::BeforePath].to_owned();
    push_without_numbers(&mut out, url.path());
    let names = url.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let names: BTreeSet<String> = names
        .map(|pair| {
            let mut name = String::new();
            push_without_numbers(&mut name, pair.split('=').next().unwrap_or(pair));
            name
        })
        .collect();
    for (at, name) in names.iter().enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        out.push_str(name);
    }
    out
}

/// Digits of percent-encodings are no numbers.
fn push_without_numbers(out: &mut String, text: &str) {
    let mut encoded = 0u8;
    let mut in_number = false;
    for c in text.chars() {
        if encoded == 0 && c.is_ascii_digit() {
            if !in_number {
                out.push('0');
            }
            in_number = true;
            continue;
        }
        in_number = false;
        encoded = if c == '%' { 2 } else { encoded.saturating_sub(1) };
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::url::normalise;

    fn url(text: &str) -> Url {
        normalise(&Url::parse("http://bossan.test/").unwrap(), text).unwrap()
    }

    fn caught(text: &str) -> Option<Trap> {
        trap(&url(text), "2026-11-21".parse().unwrap())
    }

    #[test]
    fn pages_are_not_traps() {
        for text in [
            "/",
            "/ru/news?page=3000",
            "/tm/news?page=2041",
            "/ru/news/2031-god-uglubleniya-mezhdunarodnogo-sotrudnichestva",
            "/ru/news/84512-v-ashhabade-proshla-konferenciya-2041",
            "/ru/news/category/12-sport?page=17",
            "/ru/news/2041",
            "/ru/news/2041.html",
            "/ru/post/65076/turkmenistan-1941-1945",
            "/ru/post/2145/7",
            "/ru/post/2145/1/comments",
            "/ru/posts/20410512",
            "/ru/posts/6507/12/31",
            "/tk/habar/44565/2050-nji-yyla-cenli",
            "/blog/a/index?path=novosti%2Fpolitika&Blog_sort=date_added.desc&page=205",
            "/blog/novosti/novosti-turkmenistana/novosti",
            "/storage/app/uploads/public/4e1/6de/fbf/thumb__693_0_0_0_auto.jpg",
            "/uploads/0/0/0/0/12.jpg",
            "/archive/2011/11/11/11-noyabrya",
            "/2024/05/12/harvest",
            "/2028/11/20/",
            "/1990/01/",
            "/events?date=2027-03-21",
            "/events?from=2200&to=2145",
            "/list?start=2200&limit=20",
            "/list?offset=204105",
            "/news?year=2019&month=5",
            "/news?id=1950",
            "/ru/news/1941-1945",
            "/ru/news/1812-12-fevralya",
            "/filter?tag[]=sport&tag[]=culture&tag[]=science",
            "/?s=turkmenistan",
            "/?s=%D1%82%D1%83%D1%80%D0%BA%D0%BC%D0%B5%D0%BD%D0%B8%D1%81%D1%82%D0%B0%D0%BD",
            "/?s=vneshnyaya-politika-turkmenistana-2024",
            "/?s=covid19vaccination2021",
            "/news?token=1",
            "/s/9f86d081884c7d659a2feaa0c55ad015",
            "/image/9f86d081884c7d659a2feaa0c55ad015.jpg?hash=9f86d081884c7d659a2feaa0c55ad015",
            "/session/opening-of-the-parliament-session-in-2024",
            "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p",
            "/list?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8",
        ] {
            assert_eq!(caught(text), None, "{text}");
        }
    }

    #[test]
    fn traps_are_and_say_why() {
        let calendar = "it is a page of a calendar at";
        let far = "before 1990, or more than 2 years ahead";
        let table = [
            ("/a/b/a/b/a/b", "its path repeats \"a\" 3 times".to_owned()),
            ("/ru/news/1-x/ru/news/2-y/ru/about", "its path repeats \"ru\" 3 times".to_owned()),
            ("/tm/images/images/images/1.jpg", "its path repeats \"images\" 3 times".to_owned()),
            ("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/", "its path has 17 segments, more than 16".to_owned()),
            ("/1/2/3/4/5/6/7/8/9/1/2/3/4/5/6/7/8", "its path has 17 segments, more than 16".to_owned()),
            ("/l?a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9", "its query has 9 parameters, more than 8".to_owned()),
            ("/l?t=1&t=2&t=3&t=4", "its query gives \"t\" 4 times".to_owned()),
            ("/calendar/2041/05", format!("{calendar} 2041/05: {far}")),
            ("/calendar/2041/5/12/", format!("{calendar} 2041/5/12: {far}")),
            ("/events/2028-12", format!("{calendar} 2028-12: {far}")),
            ("/events/2028-11-22.html", format!("{calendar} 2028-11-22: {far}")),
            ("/arhiv/31.12.1989", format!("{calendar} 31.12.1989: {far}")),
            ("/arhiv?date=1970-01-01T00:00", format!("{calendar} date=1970-01-01T00:00: {far}")),
            ("/x?tribe-bar-date=2041-05", format!("{calendar} tribe-bar-date=2041-05: {far}")),
            ("/x?d=01.02.2041", format!("{calendar} d=01.02.2041: {far}")),
            ("/x?day=20410512", format!("{calendar} day=20410512: {far}")),
            ("/x?month=204105", format!("{calendar} month=204105: {far}")),
            ("/x?month=5&year=2041", format!("{calendar} year=2041: {far}")),
            ("/x?cal[year]=1980", format!("{calendar} cal[year]=1980: {far}")),
            ("/view.php?view=month&time=2250000000", format!("{calendar} time=2250000000: {far}")),
            ("/?s=9f86d081884c7d659a2feaa0c55ad015", "it holds the id of a visit, \"s\"".to_owned()),
            ("/a?sess=Zx8Kq1LmN0pQ4rS7tUv", "it holds the id of a visit, \"sess\"".to_owned()),
            ("/a?csrf_token=aGVsbG8gd29ybGQ1Mjk%3D", "it holds the id of a visit, \"csrf_token\"".to_owned()),
            ("/a?ticket=1234567890123456", "it holds the id of a visit, \"ticket\"".to_owned()),
            ("/a;sid=9f86d081884c7d65/b", "it holds the id of a visit, \"sid\"".to_owned()),
            ("/sid/9f86d081884c7d65/b", "it holds the id of a visit, \"sid\"".to_owned()),
            ("/(S(lit3py55t21z5v55vlm25s55))/page.aspx", "it holds the id of a visit, \"S\"".to_owned()),
        ];
        for (text, expected) in table {
            assert_eq!(caught(text).map(|trap| trap.to_string()), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_limits_of_a_calendar_move_with_the_day() {
        let on = |today: &str| trap(&url("/events/2031-05-12"), today.parse().unwrap());
        assert!(on("2029-05-11").is_some());
        assert_eq!(on("2029-05-12"), None);
        assert_eq!(on("9999-12-31"), None, "the calendar ends before the limit does");
    }

    #[test]
    fn shapes_by_table() {
        let table = [
            ("/", "http://bossan.test/"),
            ("/ru/news?page=3000", "http://bossan.test/ru/news?page"),
            ("/ru/news?page=1&a=x&page=2&b", "http://bossan.test/ru/news?a&b&page"),
            ("/ru/news/12-god-2031", "http://bossan.test/ru/news/0-god-0"),
            ("/2024/05/12/", "http://bossan.test/0/0/0/"),
            ("/%D0%B31%D0%BE42?f[10]=1&f[2]=3", "http://bossan.test/%D0%B30%D0%BE0?f[0]"),
            ("http://site7.test:8080/a1b22", "http://site7.test:8080/a0b0"),
        ];
        for (text, expected) in table {
            assert_eq!(shape(&url(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(path in "(/[0-9a-f./;=()%-]{0,10}){0,5}(\\?[ -~]{0,30})?", day in 0i32..2_000_000) {
            if let Some(url) = normalise(&Url::parse("http://bossan.test/").unwrap(), &path) {
                let today = Date::new(1, 1, 1).unwrap().checked_add(day.days()).unwrap();
                let _ = (trap(&url, today).map(|trap| trap.to_string()), shape(&url));
            }
        }

        #[test]
        fn a_number_more_or_less_keeps_the_shape(a in 0u32.., b in 0u32.., slug in "[a-z-]{0,8}") {
            let with = |number: u32| shape(&url(&format!("/ru/{number}-{slug}?page={number}")));
            prop_assert_eq!(with(a), with(b));
        }
    }
}
