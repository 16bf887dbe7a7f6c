//! The numbers that a sentence names, in one spelling, so that those of a sentence and of its translation compare.
//!
//! Number words are not read: `пять` and `5` differ here.

/// The numbers of a text, in canonical spelling, sorted as strings, repeated as often as they stand.
///
/// * Digits grouped by threes are one number: `12 000`, `12,000`, `12.000`, `12'000` → `12000`. A single comma or point
///   before three digits counts as a grouping unless only zeros stand before it (`0,125`).
/// * Any other single comma or point is a decimal one: `1,5` and `1.5` → `1.5`; closing zeros go (`2,50` → `2.5`).
/// * More points or commas, slashes and hyphens part: `14.03.2026` → `14`, `3`, `2026`; `5-10` → `5`, `10`.
/// * A time of day stays one: `09:30` → `9:30`. `3:1` is two numbers.
/// * Signs, units and endings fall away: `№ 5`, `5%`, `2-nji`, `2-й`, `Ту-154` → `5`, `5`, `2`, `2`, `154`.
/// * Roman numerals made of I, V, X (also typed with Cyrillic Х, І), standing alone in capitals: `XXI` → `21`. A single
///   letter counts only in front of a word for century or millennium: `X век`, `V asyr`.
pub fn numbers(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().map(plain).collect();
    let mut found = Vec::new();
    let mut place = 0;
    while place < chars.len() {
        if chars[place].is_ascii_digit() {
            let end = run_end(&chars, place);
            read_run(&chars[place..end], &mut found);
            place = end;
        } else if chars[place].is_alphabetic() {
            let end = place + chars[place..].iter().take_while(|c| c.is_alphanumeric()).count();
            let digit = chars[place..end].iter().position(char::is_ascii_digit);
            let alone = place == 0 || !chars[place - 1].is_alphanumeric();
            match digit {
                // `H2O`: go on at the digit.
                Some(offset) => place += offset,
                None => {
                    if alone {
                        found.extend(read_roman(&chars[place..end], &chars[end..]));
                    }
                    place = end;
                }
            }
        } else {
            place += 1;
        }
    }
    found.sort_unstable();
    found
}

/// The numbers that only one of two sentences names: the symmetric difference of two results of [`numbers`], as
/// multisets, sorted. Empty when they agree.
///
/// A time agrees with the same figures written with a point, as Russian and Turkmen allow: `10:30` and `10.30`.
pub fn disagreement(a: &[String], b: &[String]) -> Vec<String> {
    let mut only_b: Vec<&str> = b.iter().map(String::as_str).collect();
    let mut only_a: Vec<&str> =
        a.iter().map(String::as_str).filter(|number| !take(&mut only_b, |other| other == *number)).collect();
    only_a.retain(|number| !take(&mut only_b, |other| pointed(other) == pointed(number)));
    let mut rest: Vec<String> = only_a.into_iter().chain(only_b).map(str::to_owned).collect();
    rest.sort_unstable();
    rest
}

/// Removes the first element that fits; whether there was one.
fn take<'n>(numbers: &mut Vec<&'n str>, fits: impl Fn(&'n str) -> bool) -> bool {
    let place = numbers.iter().position(|number| fits(number));
    place.map(|place| numbers.remove(place)).is_some()
}

/// A canonical number, a time of day with a decimal point.
fn pointed(number: &str) -> String {
    match number.split_once(':') {
        Some((hour, minute)) if !minute.contains(':') => decimal(hour, minute),
        _ => number.to_owned(),
    }
}

/// One character for all that mean the same here: decimal digits of any script, the spaces that group digits.
fn plain(c: char) -> char {
    /// The zeros of Arabic, Persian, Devanagari and full-width digits.
    const ZEROS: [char; 4] = ['\u{660}', '\u{6F0}', '\u{966}', '\u{FF10}'];
    match c {
        '\u{A0}' | '\u{2009}' | '\u{202F}' | '\u{2007}' => ' ',
        '’' => '\'',
        '٫' => ',',
        _ if c.is_ascii() => c,
        _ => {
            let digit = ZEROS.iter().map(|&zero| (c as u32).wrapping_sub(zero as u32)).find(|&digit| digit < 10);
            digit.and_then(|digit| char::from_digit(digit, 10)).unwrap_or(c)
        }
    }
}

/// Where the digits that start at `start` end, with the separators that stand between two of them. A space belongs to
/// the number only as a grouping: one to three digits in front, then by threes.
fn run_end(chars: &[char], start: usize) -> usize {
    let digits_from = |at: usize| chars[at.min(chars.len())..].iter().take_while(|c| c.is_ascii_digit()).count();
    let mut end = start + digits_from(start);
    let mut grouped = (1..=3).contains(&(end - start)) && chars[start] != '0';
    loop {
        let digits = digits_from(end + 1);
        match chars.get(end) {
            Some(' ') if grouped && digits == 3 => {}
            Some('.' | ',' | ':' | '\'') if digits > 0 => grouped = grouped && chars[end] == '\'',
            _ => return end,
        }
        end += 1 + digits;
    }
}

/// Reads digits with separators between, as the numbers they are.
fn read_run(run: &[char], found: &mut Vec<String>) {
    let text: String = run.iter().filter(|&&c| c != ' ' && c != '\'').collect();
    let groups: Vec<&str> = text.split(['.', ',', ':']).collect();
    let signs: Vec<char> = text.chars().filter(|c| !c.is_ascii_digit()).collect();
    let was_grouped = run.len() > text.len();
    let same = |sign: char| signs.iter().all(|&other| other == sign);
    let by_threes = |groups: &[&str]| {
        groups[0].len() <= 3 && !groups[0].starts_with('0') && groups[1..].iter().all(|group| group.len() == 3)
    };
    match (groups.as_slice(), signs.as_slice()) {
        ([whole], _) => found.push(integer(whole)),
        (_, [':', ..]) if same(':') && is_time(&groups) => {
            found.push(format!("{}:{}", integer(groups[0]), groups[1..].join(":")));
        }
        ([_, _], ['.' | ',']) if !was_grouped && by_threes(&groups) => found.push(integer(&groups.concat())),
        ([whole, fraction], ['.' | ',']) => found.push(decimal(whole, fraction)),
        (_, [first @ ('.' | ','), .., last @ ('.' | ',')])
            if first != last && by_threes(&groups[..groups.len() - 1]) =>
        {
            // `1,234,567.89`, grouping signs all alike and then the decimal one.
            let (fraction, whole) = (groups[groups.len() - 1], groups[..groups.len() - 1].concat());
            found.push(decimal(&whole, fraction));
        }
        (_, [first @ ('.' | ','), ..]) if same(*first) && by_threes(&groups) => found.push(integer(&groups.concat())),
        _ => found.extend(groups.iter().map(|group| integer(group))),
    }
}

/// `9:30`, `23:59:59`.
fn is_time(groups: &[&str]) -> bool {
    let under = |group: &str, limit: u32| group.len() <= 2 && group.parse::<u32>().is_ok_and(|value| value < limit);
    groups.len() <= 3 && under(groups[0], 25) && groups[1..].iter().all(|group| group.len() == 2 && under(group, 60))
}

/// Digits without leading zeros.
fn integer(digits: &str) -> String {
    let bare = digits.trim_start_matches('0');
    if bare.is_empty() { "0".to_owned() } else { bare.to_owned() }
}

/// A whole part and a fraction, with a point unless the fraction is zero.
fn decimal(whole: &str, fraction: &str) -> String {
    match fraction.trim_end_matches('0') {
        "" => integer(whole),
        fraction => format!("{}.{fraction}", integer(whole)),
    }
}

/// A Roman numeral that stands alone, `rest` being what follows it.
fn read_roman(word: &[char], rest: &[char]) -> Option<String> {
    let word: String = word.iter().collect();
    let value = roman_value(&word)?;
    if word.chars().count() == 1 && !names_a_century(rest) {
        return None;
    }
    Some(value.to_string())
}

/// The value of a Roman numeral in capitals, written with I, V and X as rules want it (1 to 39), or `None`.
///
/// Cyrillic Х and І count as the Latin letters that they are typed for.
pub(super) fn roman_value(word: &str) -> Option<u32> {
    static UNITS: [&str; 10] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
    if word.is_empty() || word.len() > 14 {
        return None;
    }
    let latin: String = word
        .chars()
        .map(|c| match c {
            'Х' => 'X',
            'І' => 'I',
            other => other,
        })
        .collect();
    let tens = latin.chars().take_while(|&c| c == 'X').count();
    let unit = UNITS.iter().position(|unit| *unit == &latin[tens..])?;
    (tens <= 3).then_some(10 * tens as u32 + unit as u32)
}

/// Whether the text goes on with a word for a century or a millennium, an ordinal's ending before it allowed.
fn names_a_century(rest: &[char]) -> bool {
    static STARTS: [&str; 9] = ["век", "вв.", "в.", "столет", "тысячелет", "asyr", "centur", "müňýyllyk", "millenni"];
    let rest: String = rest.iter().take(24).collect::<String>().to_lowercase();
    let rest = match rest.strip_prefix('-') {
        Some(ending) => ending.trim_start_matches(char::is_alphabetic),
        None => &rest,
    };
    let word = rest.trim_start();
    word.len() < rest.len() && STARTS.iter().any(|start| word.starts_with(start))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_as_written() {
        for (text, expected) in [
            ("12 000 манат", "12000"),
            ("12\u{a0}000\u{a0}500,5 manat", "12000500.5"),
            ("12,000 and 12.000 and 12'000", "12000 12000 12000"),
            ("1,5 или 1.50", "1.5 1.5"),
            ("0,125; 3,0", "0.125 3"),
            ("1,234,567.89 = 1.234.567,89", "1234567.89 1234567.89"),
            ("2-nji, 2-й, № 5, 5%, −7", "2 2 5 5 7"),
            ("09:30–10:45, 23:59:59", "10:45 23:59:59 9:30"),
            ("счёт 3:1, масштаб 1:1000", "1 1 1000 3"),
            ("14.03.2026 2026-03-14", "14 14 2026 2026 3 3"),
            ("В 2020 300 человек", "2020 300"),
            ("5-10, 1/2", "1 10 2 5"),
            ("Ту-154, H2O, COVID-19.", "154 19 2"),
            ("в 1998. 007", "1998 7"),
            ("XXI век, XIX asyr, ХХ", "19 20 21"),
            ("V-nji asyr, X век, X ось, I am", "10 5"),
            ("Иван IV, IIII, XL, ТIIТ", "4"),
            ("१२ और ٣", "12 3"),
            ("1.2.3", "1 2 3"),
            ("8 800 555 35 35", "35 35 8800555"),
            ("нет", ""),
        ] {
            assert_eq!(numbers(text).join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn disagreements() {
        let of = |a: &str, b: &str| disagreement(&numbers(a), &numbers(b)).join(" ");
        assert_eq!(of("12 000 в 2020 г.", "2020-nji ýylda 12.000"), "");
        assert_eq!(of("в 10:30", "sagat 10.30"), "");
        assert_eq!(of("в 10:35", "sagat 10.30"), "10.3 10:35");
        assert_eq!(of("5 и 5", "5"), "5");
        assert_eq!(of("XX век, 3", "20-nji asyr, 4"), "3 4");
    }

    #[test]
    fn roman_numerals() {
        for (word, value) in
            [("I", Some(1)), ("XXXIX", Some(39)), ("XIV", Some(14)), ("XXXX", None), ("IXX", None), ("", None)]
        {
            assert_eq!(roman_value(word), value, "{word}");
        }
    }

    proptest! {
        #[test]
        fn integers_come_back_however_grouped(value in 0u64..10_000_000_000, sign in "[ \u{a0}']") {
            let digits = value.to_string();
            let grouped: String = digits.char_indices().flat_map(|(i, c)| {
                let cut = i > 0 && (digits.len() - i) % 3 == 0;
                cut.then(|| sign.clone()).into_iter().chain([c.to_string()])
            }).collect();
            prop_assert_eq!(numbers(&format!("ýylda {grouped} adam")), vec![digits]);
        }

        #[test]
        fn a_text_agrees_with_itself_and_order_does_not_matter(a in "[0-9XIV.,: -]{0,20}", b in "[0-9XIV.,: -]{0,20}") {
            let (a, b) = (numbers(&a), numbers(&b));
            prop_assert!(disagreement(&a, &a).is_empty());
            prop_assert_eq!(disagreement(&a, &b), disagreement(&b, &a));
        }
    }
}
