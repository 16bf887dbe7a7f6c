//! Sentences inside one block of text: the boundaries of UAX 29, mended for Russian, Turkmen and, lightly, English.
//!
//! UAX 29 knows no abbreviations, never parts a sentence before a dash and does not count `…` as a stop. So its
//! boundaries are taken as candidates, candidates of our own are added (dialogue, ellipses, stops without a space), and
//! then every candidate has to pass the rules in `Judge::is_boundary`.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::abbreviations::{self, Stop};
use super::numbers::roman_value;
use crate::record::Language;

/// The sentences of one block (a paragraph, a heading, a list item) as byte ranges of it.
///
/// Ranges are in order, do not overlap, start and end on visible characters, and hold all of them: only white space
/// lies between. A block without any visible character has none. A line break inside the block ends a sentence
/// ([`normalise`](super::normalise()) takes out the ones that mean nothing). `language` chooses the abbreviations of
/// Latin text; without it, those of Turkmen and English count.
pub fn split(block: &str, language: Option<Language>) -> Vec<Range<usize>> {
    let bounds = candidates(block, language);
    let mut sentences = Vec::new();
    let mut start = 0;
    for (i, &bound) in bounds.iter().enumerate() {
        let next = bounds.get(i + 1).copied();
        let judge = Judge { block, start, bound, next: next.unwrap_or(block.len()), language };
        if next.is_none() || judge.is_boundary() {
            sentences.extend(trimmed(block, start..bound));
            start = bound;
        }
    }
    sentences
}

/// The range without the white space at its ends, unless nothing is left.
fn trimmed(block: &str, range: Range<usize>) -> Option<Range<usize>> {
    let text = &block[range.clone()];
    let start = range.start + (text.len() - text.trim_start().len());
    let end = range.start + text.trim_end().len();
    (start < end).then_some(start..end)
}

/// Where a sentence might end, in order, each once, the end of the block last. White space stays with what it follows.
fn candidates(block: &str, language: Option<Language>) -> Vec<usize> {
    let mut bounds: Vec<usize> = block
        .split_sentence_bound_indices()
        .map(|(start, _)| shifted(block, start))
        .chain(ours(block, language))
        .filter(|&bound| bound > 0 && bound < block.len())
        .collect();
    bounds.push(block.len());
    bounds.sort_unstable();
    bounds.dedup();
    bounds
}

/// A boundary of UAX 29, moved so that closing brackets stay with the left side and opening ones with the right.
fn shifted(block: &str, bound: usize) -> usize {
    let (left, right) = block.split_at(bound);
    let closers: usize = right.chars().take_while(|&c| is_closer(c)).map(char::len_utf8).sum();
    let straight = right.starts_with('"') && left.matches('"').count() % 2 == 1;
    let closers = if straight { closers.max(1) } else { closers };
    if closers > 0 {
        let rest = &right[closers..];
        let space = rest.len() - rest.trim_start().len();
        if space > 0 || rest.is_empty() {
            return bound + closers + space;
        }
    }
    let openers: usize = left.chars().rev().take_while(|&c| is_opener(c)).map(char::len_utf8).sum();
    bound - openers
}

/// Boundaries that UAX 29 does not see.
fn ours(block: &str, language: Option<Language>) -> impl Iterator<Item = usize> {
    block.char_indices().filter(|&(_, c)| is_stop(c) || c == '|').filter_map(move |(at, c)| {
        let after = &block[at + c.len_utf8()..];
        if c == '|' {
            // Typed for the danda of Hindi.
            let is_danda = block[..at].trim_end().ends_with(|c| ('\u{900}'..='\u{97F}').contains(&c));
            return (is_danda && after.starts_with(char::is_whitespace)).then_some(at + 1);
        }
        let rest = after.trim_start_matches(|c| is_closer(c) || c == '"');
        let right = rest.trim_start();
        if right.len() < rest.len() {
            // `он. — Уже поздно`; `ушёл… Потом`; `geldi. 1994-nji ýylda`
            let announced = right.trim_start_matches(is_dash);
            let dash = announced.len() < right.len() && announced.starts_with(char::is_whitespace);
            let unseen = ((dash || c == '…') && starts_high(right)) || starts_with_digit(right);
            return unseen.then(|| block.len() - right.len());
        }
        // `слово.Следующее`
        (c == '.' && is_lost_space(&block[..at], after, language)).then(|| at + c.len_utf8())
    })
}

/// Whether the stop between two words lacks the space behind it, and is no address, file name or abbreviation.
fn is_lost_space(left: &str, right: &str, language: Option<Language>) -> bool {
    let word = left.rsplit(char::is_whitespace).next().unwrap_or("");
    let next: &str = right.split(char::is_whitespace).next().unwrap_or("");
    let next = next.trim_end_matches(|c: char| !c.is_alphanumeric());
    let letters = |text: &str| text.chars().filter(|c| c.is_lowercase()).count();
    let cyrillic = |text: &str| text.chars().any(is_cyrillic);
    letters(word) >= 3
        && letters(next) >= 2
        && word.ends_with(char::is_lowercase)
        && next.starts_with(char::is_uppercase)
        && word.chars().chain(next.chars()).all(|c| c.is_alphabetic() || is_opener(c) || is_dash(c))
        && ((cyrillic(word) && cyrillic(next)) || (language == Some(Language::TURKMEN) && !TOP_DOMAINS.contains(&next)))
}

/// Endings of addresses that are sometimes written with a capital.
static TOP_DOMAINS: &[&str] = &["Com", "Net", "Org", "Info", "Gov", "Edu", "News", "Biz"];

/// One candidate and the text around it.
struct Judge<'text> {
    block: &'text str,
    /// Where the sentence began.
    start: usize,
    /// The candidate.
    bound: usize,
    /// The candidate after it.
    next: usize,
    language: Option<Language>,
}

impl Judge<'_> {
    /// Whether the sentence ends here.
    fn is_boundary(&self) -> bool {
        let whole = &self.block[self.start..self.bound];
        let left = whole.trim();
        let piece = self.block[self.bound..self.next].trim();
        let right = self.block[self.bound..].trim_start();
        if !has_word(left) {
            return false;
        }
        if !has_word(piece) && (self.next == self.block.len() || !piece.starts_with(|c| is_opener(c) || is_dash(c))) {
            return false;
        }
        let gap = &whole[whole.trim_end().len()..];
        if gap.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
            return true;
        }
        // Scripts without spaces (Chinese) have stops of their own.
        if gap.is_empty() && left.ends_with(['.', '!', '?', '…']) && !self.parts_without_space(left, right) {
            return false;
        }
        if starts_low(right) {
            return false;
        }
        let inner = left.trim_end_matches(|c| is_closer(c) || c == '"');
        let closed = &left[inner.len()..];
        if closed.contains(['»', '”', '“', '"']) && right.starts_with(is_dash) {
            return false;
        }
        if !closed.is_empty() && inner.trim_end_matches(['.', '…']).ends_with(['(', '[', '<']) {
            return false;
        }
        if is_marker(left) {
            return false;
        }
        !(inner.ends_with('.') && !inner.ends_with("..") && self.stop_goes_on(&inner[..inner.len() - 1], right))
    }

    /// Whether a stop with no space behind it ends a sentence, as in `Да!Нет` and `geldi.Ol`, not in an address.
    fn parts_without_space(&self, left: &str, right: &str) -> bool {
        let token_start = left.rfind(char::is_whitespace).unwrap_or(0);
        let token_end = right.find(char::is_whitespace).unwrap_or(right.len());
        let is_address =
            |token: &str| token.contains("://") || token.contains("www.") || token.contains(['@', '/', '=', '&', '\\']);
        if is_address(&left[token_start..]) || is_address(&right[..token_end]) {
            return false;
        }
        if left.ends_with('.') && !right.starts_with(is_opener) {
            return is_lost_space(left.trim_end_matches('.'), right, self.language);
        }
        starts_high(right)
    }

    /// Whether the stop behind `left` belongs to an abbreviation or an initial and the sentence goes on with `right`.
    fn stop_goes_on(&self, left: &str, right: &str) -> bool {
        let mut words = left.split_whitespace().rev();
        let token = words.next().unwrap_or("").trim_start_matches(|c: char| !c.is_alphanumeric() && c != '№');
        let before = words.next().unwrap_or("").trim_start_matches(|c: char| !c.is_alphanumeric());
        if is_initials(token) {
            return self.goes_on_after_initials(token, before, right);
        }
        if right.starts_with(is_dash) && token.contains('.') {
            return true;
        }
        if is_number(token) && starts_with_digit(right) {
            return true;
        }
        let whole = roman_value(token).is_some() || token.bytes().all(|byte| byte.is_ascii_digit());
        if self.language == Some(Language::TURKISH) && whole && !token.is_empty() {
            return true; // `II. Dünya Savaşı`
        }
        // An unknown abbreviation, in scripts that abbreviate so.
        let letters = token.chars().filter(|c| c.is_alphabetic()).count();
        if starts_with_digit(right) && letters < 3 && token.contains(|c: char| c.is_lowercase() || c.is_uppercase()) {
            return true;
        }
        // `1998г.` is a number and its unit.
        let unit = token.trim_start_matches(|c: char| c.is_ascii_digit());
        let after_number = unit.len() < token.len() || is_number(before);
        match abbreviations::look_up(&unit.to_lowercase(), &before.to_lowercase(), self.language) {
            None => false,
            Some(Stop::GoesOn) => true,
            Some(Stop::BeforeNumber) => starts_with_number(right),
            Some(Stop::MayEnd) => !starts_high(right),
            Some(Stop::Unit) if after_number => !starts_high(right),
            Some(Stop::Unit) => true,
        }
    }

    /// `А. П. Чехов`, `J. Smith`: the name follows in the same script, and the letter names no point or vitamin.
    fn goes_on_after_initials(&self, token: &str, before: &str, right: &str) -> bool {
        let Some(next) = right.chars().find(|c| c.is_alphanumeric()) else { return false };
        if !next.is_uppercase() || is_cyrillic(next) != token.chars().any(is_cyrillic) {
            return false;
        }
        let before = before.to_lowercase();
        if abbreviations::NAMED_BY_A_LETTER.split_whitespace().any(|noun| before.starts_with(noun)) {
            return false;
        }
        if token == "I" && !before.is_empty() {
            return false;
        }
        let word = right.split(|c: char| !c.is_alphanumeric()).find(|word| !word.is_empty()).unwrap_or("");
        !ENGLISH_STARTERS.contains(&word)
    }
}

/// Words that begin a sentence after `in the U.S.`
static ENGLISH_STARTERS: &[&str] = &[
    "The", "It", "He", "She", "They", "We", "In", "On", "At", "This", "That", "These", "But", "And", "There",
    "However", "If",
];

/// A list number, or a part of a book with its number: `5.`, `1.2.`, `IV.`, `а).`, `Глава 5.`, `12-nji gönükme.`.
fn is_marker(left: &str) -> bool {
    let mut words = left.split_whitespace();
    let (first, second, third) = (words.next().unwrap_or(""), words.next(), words.next());
    let plain = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let named = |word: &str| abbreviations::NUMBERED.split_whitespace().any(|entry| entry == plain(word));
    match (second, third) {
        (None, _) => {
            let core = first.trim_end_matches(['.', ')']).trim_start_matches('(');
            let lettered = core.chars().count() == 1 && core.chars().all(char::is_alphabetic);
            first.ends_with('.') && (lettered || is_number(core))
        }
        (Some("."), None) => is_number(first),
        (Some(second), None) => {
            left.ends_with('.')
                && ((named(first) && is_number(second))
                    || (is_ordinal(first) && named(second))
                    || matches!(first, "§" | "№"))
        }
        _ => false,
    }
}

/// Digits with stops between (`5`, `1.2.`), or a Roman numeral.
fn is_number(word: &str) -> bool {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric());
    let digits = word.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || ".,-–—/:".contains(c));
    digits || roman_value(word).is_some()
}

/// `12-nji`, `5-й`.
fn is_ordinal(word: &str) -> bool {
    word.split_once('-').is_some_and(|(number, ending)| is_number(number) && ending.chars().count() <= 4)
}

/// Single capitals, with stops or hyphens between: `А`, `А.П`, `Ж.-Б`; also `Дж`, `Ю`.
fn is_initials(token: &str) -> bool {
    !token.is_empty()
        && token.split(['.', '-']).all(|part| {
            let mut chars = part.chars();
            let capital = chars.next().is_none_or(char::is_uppercase);
            capital && (chars.next().is_none() || matches!(part, "Дж" | "Ch" | "Sh" | "Th"))
        })
}

fn has_word(text: &str) -> bool {
    text.chars().any(char::is_alphanumeric)
}

/// Whether the first letter or digit, behind dashes and opening signs, is a small letter.
fn starts_low(right: &str) -> bool {
    right.trim_start_matches(is_prelude).starts_with(char::is_lowercase)
}

/// Whether the text, behind dashes and opening signs, begins like a sentence: with a capital.
fn starts_high(right: &str) -> bool {
    right
        .trim_start_matches(is_prelude)
        .starts_with(|c: char| c.is_uppercase() || (c.is_alphabetic() && !c.is_lowercase()))
}

fn starts_with_digit(right: &str) -> bool {
    right.trim_start_matches(is_prelude).starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a number, also a Roman one or one behind №, comes next.
fn starts_with_number(right: &str) -> bool {
    right.trim_start_matches(['№', '(', '+', ' ']).starts_with(|c: char| c.is_ascii_digit())
        || right.split_whitespace().next().is_some_and(is_number)
}

/// What may stand between a sentence's beginning and its first word.
fn is_prelude(c: char) -> bool {
    c.is_whitespace() || is_dash(c) || is_opener(c) || matches!(c, '"' | '\'' | '…' | '.' | '“')
}

fn is_stop(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…')
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '–' | '—' | '―')
}

fn is_opener(c: char) -> bool {
    matches!(c, '«' | '„' | '(' | '[' | '{')
}

fn is_closer(c: char) -> bool {
    matches!(c, '»' | '”' | '“' | ')' | ']' | '}')
}

fn is_cyrillic(c: char) -> bool {
    ('\u{400}'..='\u{52F}').contains(&c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Splits at `|` what should be split there, and checks that `split` does so.
    fn check(language: Option<Language>, cases: &[&str]) {
        for case in cases {
            let expected: Vec<&str> = case.split('|').map(str::trim).collect();
            let block = expected.join(" ");
            let found: Vec<&str> = split(&block, language).into_iter().map(|range| &block[range]).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn russian() {
        check(
            Some(Language::RUSSIAN),
            &[
                "Он жил в г. Мары на ул. Пушкина.|Потом уехал.",
                "В 1998 г. в Ашхабаде.|В 1999 г. дома.",
                "Так было в 1998 г.|Теперь иначе.",
                "Яблоки, груши и т. д.|Потом чай.",
                "Это 5 млн. руб. в год.|Это много.",
                "В III в. до н. э. здесь жили.|Потом ушли.",
                "Читал А. П. Чехов.|Слушал Л.Н. Толстой.",
                "Проведём прямую из точки A.|Найдём угол.",
                "5. Задача решена.|6. Новая задача.",
                "1.2. Свойства чисел.",
                "Глава 5. Дроби.",
                "§ 12. Умножение.|Пример 3. Вычислите.",
                "— Пойдём, — сказал он.|— Уже поздно.",
                "— Ты идёшь? — спросил он.|— Иду!",
                "«Стой!» — крикнул он.|«Иди!» и ушёл.",
                "Он крикнул: «Стой!|Кто идёт?» и замолчал.",
                "Он ушёл…|Потом вернулся.",
                "Ну... не знаю.|Да?!|Нет.",
                "Рост 1.5 м, вес 3,2 кг.|Сайт www.turkmenportal.com открыт.",
                "См. https://a.tm/?A=1&B=2 и стр. 5.|Далее рис. 7.",
                "Он сказал «да.»|Все ушли.",
                "Всё (см. табл. 3).|Далее.",
                "Дождь кончился.|1994 год был тёплым.",
                "Ели рис.|Пили чай.",
                "Он приехал в Six Flags St. Louis.|И уехал.",
                "Заголовок без точки",
            ],
        );
        let found = split("Дождь кончился.Снова солнце.«Ура!» Да!Нет.", None).len();
        assert_eq!(found, 5);
    }

    #[test]
    fn turkmen() {
        check(
            Some(Language::TURKMEN),
            &[
                "Ol Mary w. Baýramaly etr. ýaşaýar.|Aşgabat ş. uly.",
                "1995-nji ý. Aşgabatda boldy.",
                "Alma, armyt we ş.m.|Soňra çaý.",
                "Kitap, depder we b. bar.|Ol geldi.",
                "S. A. Nyýazow we G. Berdimuhamedow.|Olar geldi.",
                "„Sen kim?“ diýip sorady.|Ol dymdy.",
                "— Haçan geldiň? — diýip, ol sorady.|— Düýn.",
                "Ol 2-nji synpda okaýar.|3-nji synp uly.",
                "Ol öýe gitdi.|1994-nji ýylda Ahmet başlyk boldy.",
                "12-nji gönükme. Hasaplaň.",
                "Göni çyzykda nokat A.|Nokat B ýok.",
                "Tel. 12-34-56, sah. 5.|Bary şu.",
            ],
        );
    }

    #[test]
    fn other_languages() {
        check(
            Some(Language::ENGLISH),
            &[
                "Mr. Smith met Dr. Jones at 5 p.m. on Monday.|They left.",
                "He came from the U.S. Army.|He lived in the U.S.|The end.",
                "I wrote no. 5, e.g. Fig. 3.|No.|Yes, etc.|End.",
                "\"Stop!\" he said.|\"Go.\"",
            ],
        );
        check(Some(Language::TURKISH), &["Bu II. Dünya Savaşı ve 4. Kategoride oldu.|Sonra bitti."]);
        check(Some(Language::HINDI), &["यह एक घर है।|वह बड़ा था.|28 जून को।"]);
        assert_eq!(split("यह एक घर है | वह बड़ा है |", Some(Language::HINDI)), vec![0..29, 30..58]);
    }

    #[test]
    fn odd_blocks() {
        assert!(split("", None).is_empty());
        assert!(split(" \u{a0}\n", None).is_empty());
        assert_eq!(split(" *** ", None), vec![1..4]);
        assert_eq!(split("Birinji setir\nIkinji setir", None).len(), 2);
        assert_eq!(split("他来了。我走了。", None).len(), 2);
    }

    /// Blocks built of the pieces that the rules speak of.
    fn blocks() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            " ", " ", "\u{a0}", "\n", ".", ".", "!", "?", "…", "...", ",", "—", "-", "«", "»", "\"", "(", ")", "“",
            "”", "„", "г", "т", "д", "А", "Он", "ушёл", "5", "12", "XX", "§", "ş", "m", "Ol", "geldi", "e\u{301}",
            "。", "है", "।",
        ]);
        prop::collection::vec(
            prop_oneof![9 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
            0..40,
        )
        .prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn sentences_hold_all_that_is_visible(block in blocks()) {
            let mut end = 0;
            for range in split(&block, None) {
                prop_assert!(range.start >= end && range.start < range.end);
                prop_assert!(block[end..range.start].trim().is_empty());
                prop_assert_eq!(block[range.clone()].trim(), &block[range.clone()]);
                end = range.end;
            }
            prop_assert!(block[end..].trim().is_empty());
        }
    }
}
