//! Which language a text is in: letters first, then function words, then trigrams.
//!
//! The scripts of the text choose the candidates. Each candidate then collects evidence, in units of log-odds: letters
//! that its alphabet lacks speak against it, its function words for it, and so does the guess of whatlang's trigrams,
//! which knows no Cyrillic Turkic language and no short text. Candidates that the caller does not allow compete too,
//! under a handicap, so that an English sentence is not called Turkmen for want of anything better.

use unicode_script::UnicodeScript as _;
use whatlang::{Detector, Lang};

use super::normalise::is_apostrophe;
use super::profiles::{self, Bits, PROFILES};
use super::prose::prose;
use crate::record::Language;
use crate::record::language::Script;

/// A language and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guess {
    /// The language.
    pub language: Language,
    /// Estimated probability of being right, 0 to 1; higher is surer.
    pub confidence: f32,
}

/// Log-odds against a candidate for each word that holds a letter outside its alphabet, up to a share of all words
/// (names and quotations are no evidence against a long sentence).
const FOREIGN_LETTER: f32 = 2.5;
/// Weight of the log-likelihood of words that hold no letter that marks the language, or are no function word of it. It is
/// under 1 since words of one sentence hang together.
const MISSING: f32 = 0.5;
/// Log-odds for a candidate for each of its function words.
const FUNCTION_WORD: f32 = 1.6;
/// Log-odds for the candidate of the trigram model when it is fully confident.
const TRIGRAMS: f32 = 3.0;
/// A lead, in log-odds, that the trigram model could not turn; it is not asked then, since it costs most of the time.
const DECIDED: f32 = 8.0;
/// Log-odds against a candidate that the caller does not expect.
const UNEXPECTED: f32 = 2.5;
/// Log-odds for the language that the page declares: about what two function words weigh.
const DECLARED: f32 = 3.0;
/// Log-odds for the language of the text around a sentence: about what one function word weighs.
const EXPECTED: f32 = 1.5;
/// The confidence of a language that is declared, or the only one of its script, where the text itself tells nothing.
pub const DECLARED_ALONE: f32 = 0.5;
/// Words beyond this number add nothing.
const ENOUGH_WORDS: usize = 400;
/// A guess under this confidence is none.
const UNCLEAR: f32 = 0.5;

/// What is known of a text's language.
enum Finding {
    /// One of the languages allowed.
    Is(Guess),
    /// Some language that is not allowed.
    Other,
    /// The text does not tell. Its script, if it has one.
    Unclear(Option<Script>),
}

/// The language of a text among `allowed` (all that the program knows, if empty), or `None`: too short (fewer than
/// three letters), unclear, in a script of none of them, or rather in a language that is not among them.
///
/// Made for sentences and longer texts; single words and names are often unclear. Confidence grows with length and
/// evidence. Addresses, identifiers and checksums are no evidence.
pub fn identify(text: &str, allowed: &[Language]) -> Option<Guess> {
    match find(text, None, allowed) {
        Finding::Is(guess) => Some(guess),
        Finding::Other | Finding::Unclear(_) => None,
    }
}

/// Like [`identify`], of a sentence that stands among text in the language `expected`: a short one is easily mistaken for
/// one of a sister language.
pub fn identify_expected(text: &str, expected: Option<Language>, allowed: &[Language]) -> Option<Guess> {
    match find(text, expected.map(|language| (language, EXPECTED)), allowed) {
        Finding::Is(guess) => Some(guess),
        Finding::Other | Finding::Unclear(_) => None,
    }
}

/// Like [`identify`], of a text whose page, address or list says that it is in the language `declared`. That tips the
/// scale where the text tells little, and decides alone, with a confidence of [`DECLARED_ALONE`], where it tells nothing;
/// but not against its script, nor for a text that is clearly in another language.
pub fn identify_declared(text: &str, declared: Option<Language>, allowed: &[Language]) -> Option<Guess> {
    let declared = declared.filter(|language| allowed.is_empty() || allowed.contains(language));
    match find(text, declared.map(|language| (language, DECLARED)), allowed) {
        Finding::Is(guess) => Some(guess),
        Finding::Other => None,
        Finding::Unclear(script) => declared
            .filter(|language| script.is_none_or(|script| script == language.script()))
            .map(|language| Guess { language, confidence: DECLARED_ALONE }),
    }
}

/// `prior`: a language that is more likely than others before the text is read, and by how much, in log-odds.
fn find(text: &str, prior: Option<(Language, f32)>, allowed: &[Language]) -> Finding {
    let text = &*prose(text);
    let Some(script) = script_of_most(text) else { return Finding::Unclear(None) };
    let is_allowed = |language: Language| allowed.is_empty() || allowed.contains(&language);
    let candidates: Vec<usize> =
        (0..PROFILES.len()).filter(|&place| PROFILES[place].language.script() == script).collect();
    let language_at = |place: usize| PROFILES[place].language;
    let without_profile: Vec<Language> = Language::all()
        .filter(|language| language.script() == script && PROFILES.iter().all(|profile| profile.language != *language))
        .collect();
    if candidates.is_empty() {
        return by_script(text, script, &without_profile, is_allowed);
    }
    let hopeful: Vec<Language> = without_profile.into_iter().filter(|&language| is_allowed(language)).collect();
    if hopeful.is_empty() && !candidates.iter().any(|&place| is_allowed(language_at(place))) {
        return Finding::Other;
    }
    let evidence = Evidence::read(text, script);
    let bonus = |language| {
        let expected = if is_allowed(language) { 0.0 } else { -UNEXPECTED };
        expected + prior.filter(|(likely, _)| *likely == language).map_or(0.0, |(_, odds)| odds)
    };
    let mut scores: Vec<f32> =
        candidates.iter().map(|&place| evidence.of_words(place) + bonus(language_at(place))).collect();
    if lead(&scores) < DECIDED {
        let among = candidates.iter().map(|&place| language_at(place)).filter(|&language| is_allowed(language));
        if let Some((guess, weight)) = evidence.trigrams(text, among)
            && let Some(at) = candidates.iter().position(|&place| language_at(place) == guess)
        {
            scores[at] += weight;
        }
    }
    let Some((best, confidence)) = best_of(&scores) else { return Finding::Unclear(Some(script)) };
    if !hopeful.is_empty() && !evidence.convinces(candidates[best]) {
        return by_trigrams(text, &hopeful, evidence.ceiling()).map_or(Finding::Unclear(Some(script)), Finding::Is);
    }
    let language = language_at(candidates[best]);
    let confidence = confidence.min(evidence.ceiling());
    match (confidence >= UNCLEAR, is_allowed(language)) {
        (true, true) => Finding::Is(Guess { language, confidence }),
        (true, false) => Finding::Other,
        (false, _) => Finding::Unclear(Some(script)),
    }
}

/// The language of a text in a script of which no language has a profile; `known` are those that the program knows.
fn by_script(text: &str, script: Script, known: &[Language], is_allowed: impl Fn(Language) -> bool) -> Finding {
    if script == Script::Han && has_kana(text) {
        // Japanese.
        return Finding::Other;
    }
    let allowed: Vec<Language> = known.iter().copied().filter(|&language| is_allowed(language)).collect();
    match (known, allowed.as_slice()) {
        (_, []) => Finding::Other,
        // The confidence is a constant: nothing but the script spoke.
        ([language], _) => Finding::Is(Guess { language: *language, confidence: 0.9 }),
        _ => by_trigrams(text, &allowed, 1.0).map_or_else(
            || match allowed.as_slice() {
                [language] => Finding::Is(Guess { language: *language, confidence: DECLARED_ALONE }),
                _ => Finding::Unclear(Some(script)),
            },
            Finding::Is,
        ),
    }
}

/// The guess of the trigram model among all languages that it knows, if it is sure and the guess is one of `hopeful`.
fn by_trigrams(text: &str, hopeful: &[Language], ceiling: f32) -> Option<Guess> {
    let info = Detector::new().detect(text).filter(whatlang::Info::is_reliable)?;
    let language = Language::guess_from_tag(info.lang().code()).filter(|language| hopeful.contains(language))?;
    Some(Guess { language, confidence: (info.confidence() as f32).clamp(DECLARED_ALONE, ceiling.max(DECLARED_ALONE)) })
}

/// Whether a text holds more of the Japanese syllabaries than a quotation does.
fn has_kana(text: &str) -> bool {
    let (mut kana, mut letters) = (0, 0);
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        letters += 1;
        kana += usize::from(matches!(c, '\u{3041}'..='\u{30FF}'));
    }
    20 * kana > letters
}

/// How far the highest score lies over the second.
fn lead(scores: &[f32]) -> f32 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    match sorted.as_slice() {
        [first, second, ..] => first - second,
        _ => f32::INFINITY,
    }
}

/// The place of the highest score and its share of the softmax of all.
fn best_of(scores: &[f32]) -> Option<(usize, f32)> {
    let (best, top) = scores.iter().copied().enumerate().max_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let sum: f32 = scores.iter().map(|score| (score - top).exp()).sum();
    Some((best, 1.0 / sum))
}

/// The script of most letters, if it has at least three and more than half of them. Addresses, identifiers and checksums
/// do not count.
pub fn main_script(text: &str) -> Option<Script> {
    script_of_most(&prose(text))
}

fn script_of_most(text: &str) -> Option<Script> {
    const SCRIPTS: [Script; 5] = [Script::Latin, Script::Cyrillic, Script::Devanagari, Script::Arabic, Script::Han];
    let mut counts = [0; SCRIPTS.len()];
    let mut letters = 0;
    for c in text.chars().filter(|c| c.is_alphabetic()) {
        letters += 1;
        if let Some(place) = SCRIPTS.iter().position(|&script| script_of(c) == Some(script)) {
            counts[place] += 1;
        }
    }
    let (script, count) = SCRIPTS.into_iter().zip(counts).max_by_key(|(_, count)| *count)?;
    // Chinese writes a word in one or two signs.
    let enough = if script == Script::Han { 2 } else { 3 };
    (count >= enough && 2 * count > letters).then_some(script)
}

/// Whether a small Latin letter is a vowel beside which `y` is a consonant.
fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'ä' | 'e' | 'ə' | 'i' | 'ı' | 'o' | 'ö' | 'u' | 'ü')
}

/// The script of a letter, of those that the program knows.
pub fn script_of(letter: char) -> Option<Script> {
    match letter {
        'a'..='z' | 'A'..='Z' => Some(Script::Latin),
        'а'..='я' | 'А'..='Я' => Some(Script::Cyrillic),
        _ => match letter.script() {
            unicode_script::Script::Latin => Some(Script::Latin),
            unicode_script::Script::Cyrillic => Some(Script::Cyrillic),
            unicode_script::Script::Devanagari => Some(Script::Devanagari),
            unicode_script::Script::Arabic => Some(Script::Arabic),
            unicode_script::Script::Han => Some(Script::Han),
            _ => None,
        },
    }
}

/// Whether a sign belongs to Devanagari words; some that join or change letters are no letters by themselves.
fn is_devanagari(c: char) -> bool {
    matches!(c, '\u{900}'..='\u{963}' | '\u{971}'..='\u{97F}')
}

/// What a text shows, read once for all candidates.
struct Evidence {
    /// For each profile, how many words hold a letter that its alphabet lacks.
    foreign: Vec<u16>,
    /// For each profile, how many words are function words of it.
    function: Vec<u16>,
    /// Words.
    words: u16,
    /// For each profile, how many words hold none of the letters that mark it.
    unmarked: Vec<u16>,
    /// Letters in the main script.
    letters: usize,
}

impl Evidence {
    fn read(text: &str, script: Script) -> Self {
        let none = vec![0; PROFILES.len()];
        let mut evidence = Self { foreign: none.clone(), function: none.clone(), words: 0, unmarked: none, letters: 0 };
        let is_inner = |c: char| c.is_alphabetic() || is_apostrophe(c) || c == '\u{307}' || is_devanagari(c);
        let mut small = String::new();
        for word in text
            .split(|c: char| !is_inner(c))
            .filter(|word| word.starts_with(|c| script_of(c) == Some(script)))
            .take(ENOUGH_WORDS)
        {
            small.clear();
            small.extend(word.chars().flat_map(char::to_lowercase).map(|c| if is_apostrophe(c) { '\'' } else { c }));
            let small = small.trim_end_matches('\'');
            let function = profiles::with_word(small);
            let (mut known, mut marked) = (Bits::MAX, 0);
            let mut before = None;
            let mut chars = small.chars().peekable();
            while let Some(c) = chars.next() {
                let is_vowel =
                    c == 'y' && before.is_some_and(|c| !is_vowel(c)) && !chars.peek().is_some_and(|&c| is_vowel(c));
                let letter = profiles::letter(if is_vowel { profiles::VOWEL_Y } else { c });
                known &= letter.known;
                marked |= letter.marks;
                before = Some(c);
            }
            for place in 0..PROFILES.len() {
                let count = |bits: Bits| u16::from(bits >> place & 1 == 1);
                evidence.foreign[place] += count(!known);
                evidence.function[place] += count(function);
                evidence.unmarked[place] += count(!marked);
            }
            evidence.words += 1;
            evidence.letters += small.chars().count();
        }
        evidence
    }

    /// Log-odds for the profile at a place, up to a constant common to all.
    fn of_words(&self, place: usize) -> f32 {
        let profile = &PROFILES[place];
        let (foreign, function) = (f32::from(self.foreign[place]), f32::from(self.function[place]));
        let missing = f32::from(self.unmarked[place]) * (1.0 - profile.marked).ln()
            + (f32::from(self.words) - function) * (1.0 - profile.function).ln();
        FUNCTION_WORD * function - FOREIGN_LETTER * foreign + MISSING * missing
    }

    /// Whether a text looks like one of the profile's language by itself, and not only more so than like the others': the
    /// letters are its own, and function words half as frequent as they should be.
    fn convinces(&self, place: usize) -> bool {
        let (words, profile) = (f32::from(self.words), &PROFILES[place]);
        f32::from(self.foreign[place]) <= 0.1 * words
            && f32::from(self.function[place]) >= 0.5 * profile.function * words
    }

    /// The guess of the trigram model among some languages, and its weight in log-odds.
    fn trigrams(&self, text: &str, among: impl Iterator<Item = Language> + Clone) -> Option<(Language, f32)> {
        let code = |language: Language| PROFILES.iter().find(|profile| profile.language == language)?.trigrams;
        let known: Vec<Lang> = among.clone().filter_map(code).collect();
        if known.len() < 2 {
            return None;
        }
        let info = Detector::with_allowlist(known).detect(text)?;
        let language = among.into_iter().find(|&language| code(language) == Some(info.lang()))?;
        let sure = (info.confidence() as f32).max(0.2) * (self.letters as f32 / 30.0).min(1.0);
        Some((language, TRIGRAMS * sure))
    }

    /// What a text of this length can be sure of at most.
    fn ceiling(&self) -> f32 {
        1.0 - 0.5 * (-(self.letters as f32) / 10.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str, allowed: &[Language]) -> &'static str {
        identify(text, allowed).map_or("none", |guess| guess.language.code())
    }

    #[test]
    fn sentences_among_all_languages() {
        for (expected, text) in [
            ("tk", "Biz şu gün Aşgabada gitdik we dostlarymyz bilen duşuşdyk."),
            ("tk", "Ol gyzyl alma aldy."),
            ("tr", "Bugün arkadaşlarımızla birlikte okula gittik."),
            ("az", "Biz bu gün dostlarımızla məktəbə getdik."),
            ("uz", "Biz bugun do'stlarimiz bilan maktabga bordik."),
            ("en", "We went to school with our friends today."),
            ("de", "Wir sind heute mit unseren Freunden in die Schule gegangen."),
            ("ru", "Сегодня мы пошли в школу вместе с друзьями."),
            ("tk-Cyrl", "Биз шу гүн достларымыз билен мекдебе гитдик."),
            ("kk", "Біз бүгін достарымызбен бірге мектепке бардық."),
            ("ky", "Биз бүгүн досторубуз менен мектепке бардык."),
            ("uz-Cyrl", "Биз бугун дўстларимиз билан мактабга бордик."),
            ("uk", "Сьогодні ми пішли до школи разом із друзями."),
            ("hi", "आज हम अपने दोस्तों के साथ स्कूल गए।"),
        ] {
            assert_eq!(code(text, &[]), expected, "{text}");
        }
    }

    fn languages(codes: &[&str]) -> Vec<Language> {
        codes.iter().map(|code| code.parse().unwrap()).collect()
    }

    #[test]
    fn sentences_of_pairs_that_share_a_script() {
        for (pair, expected, text) in [
            (["ar", "fa"], "ar", "ذهبنا اليوم إلى المدرسة مع أصدقائنا."),
            (["ar", "fa"], "fa", "امروز با دوستانمان به مدرسه رفتیم."),
            (["hi", "mr"], "hi", "आज हम अपने दोस्तों के साथ स्कूल गए।"),
            (["hi", "mr"], "mr", "आज आम्ही आमच्या मित्रांसोबत शाळेत गेलो आणि खूप खेळलो."),
            (["hi", "ne"], "ne", "आज हामी हाम्रा साथीहरूसँग विद्यालय गयौं र धेरै खेल्यौं।"),
            (["uk", "ru"], "uk", "Сьогодні ми пішли до школи разом із друзями."),
            (["uk", "ru"], "ru", "Сегодня мы пошли в школу вместе с друзьями."),
            (["ky", "ru"], "ky", "Биз бүгүн досторубуз менен мектепке бардык."),
            (["de", "fr"], "de", "Wir sind heute mit unseren Freunden in die Schule gegangen."),
            (["de", "fr"], "fr", "Nous sommes allés à l'école avec nos amis aujourd'hui."),
        ] {
            let allowed = crate::text::confusables::candidates(&languages(&pair));
            assert_eq!(code(text, &allowed), expected, "{text}");
            assert_eq!(code(text, &languages(&pair)), expected, "{text}");
        }
        assert_eq!(code("आज आम्ही आमच्या मित्रांसोबत शाळेत गेलो आणि खूप खेळलो.", &languages(&["hi"])), "none");
        assert_eq!(code("我们今天和朋友一起去学校。", &languages(&["zh"])), "zh");
        assert_eq!(code("今日友達と学校へ行きました。", &languages(&["zh"])), "none", "Japanese");
    }

    #[test]
    fn a_declared_language_helps_where_the_text_tells_little() {
        let declared = |text: &str, declared: &str, allowed: &[&str]| {
            identify_declared(text, declared.parse().ok(), &languages(allowed))
                .map_or("none", |guess| guess.language.code())
        };
        // Nothing but a name and numbers.
        assert_eq!(declared("Müller 2026", "de", &["de", "fr"]), "de");
        assert_eq!(declared("12 000", "fr", &["de", "fr"]), "fr");
        assert_eq!(identify_declared("12 000", "fr".parse().ok(), &[]).map(|guess| guess.confidence), Some(0.5));
        // Neither against the script, nor against a clear text, nor for a language that is not asked for.
        assert_eq!(declared("Сегодня мы пошли в школу вместе с друзьями.", "de", &["de", "fr"]), "none");
        assert_eq!(declared("Сегодня мы пошли в школу вместе с друзьями.", "uk", &["uk", "ru"]), "ru");
        assert_eq!(declared("12 000", "it", &["de", "fr"]), "none");
    }

    #[test]
    fn a_short_sentence_is_in_the_language_around_it() {
        let text = "2. Покажите на карте русла Мургаба и Теджена.";
        let allowed = languages(&["ru", "tk", "bg", "uk"]);
        let expected = |code: &str| {
            let guess = identify_expected(text, code.parse().ok(), &allowed);
            guess.map(|guess| (guess.language.code(), guess.confidence > 0.8))
        };
        assert_ne!(expected("ru"), Some(("bg", true)));
        // A clear sentence stays what it is.
        let clear = identify_expected("Сьогодні ми пішли до школи разом із друзями.", "ru".parse().ok(), &allowed);
        assert_eq!(clear.map(|guess| guess.language.code()), Some("uk"));
    }

    #[test]
    fn code_and_addresses_are_no_evidence() {
        let text = "Відкрийте файл https://www.kernel.org/doc/html/latest/index.html у теці /usr/share/doc/linux                     або запустіть git_config --global user.name=abc 9f86d081884c7d659a2feaa0c55ad015 setup.py";
        assert_eq!(code(text, &languages(&["uk", "ru"])), "uk");
        assert_eq!(main_script(text), Some(Script::Cyrillic));
        assert_eq!(main_script("https://example.org/index.html"), None);
    }

    #[test]
    fn letters_past_the_first_blocks_have_their_script() {
        for (letter, script) in [
            ('ə', Script::Latin),
            ('Ə', Script::Latin),
            ('ɓ', Script::Latin),
            ('ŋ', Script::Latin),
            ('ẓ', Script::Latin),
            ('Ꞑ', Script::Latin),
            ('\u{1C80}', Script::Cyrillic),
            ('Ꙗ', Script::Cyrillic),
            ('ڭ', Script::Arabic),
            ('\u{8A0}', Script::Arabic),
            ('क', Script::Devanagari),
            ('校', Script::Han),
        ] {
            assert_eq!(script_of(letter), Some(script), "{letter}");
        }
        assert_eq!(script_of('λ'), None);
        assert_eq!(code("əvvəl ətraflı əsas əlbəttə", &languages(&["az", "tr"])), "az");
    }

    #[test]
    fn a_language_that_is_not_allowed_is_none() {
        let pair = [Language::TURKMEN, Language::RUSSIAN];
        assert_eq!(code("We went to school with our friends today.", &pair), "none");
        assert_eq!(code("Bugün arkadaşlarımızla birlikte okula gittik.", &pair), "none");
        assert_eq!(code("Біз бүгін достарымызбен бірге мектепке бардық.", &pair), "none");
        assert_eq!(code("आज हम स्कूल गए।", &pair), "none");
        // A name of another alphabet makes no other language.
        assert_eq!(code("Газета «Қазақстан» вышла сегодня утром в новом виде.", &pair), "ru");
        assert_eq!(code("«Washington Post» gazetiniň habaryna görä, ol şu gün geldi.", &pair), "tk");
    }

    #[test]
    fn too_short_or_no_letters() {
        for text in ["", "12 000", "—", "ok", "№ 5"] {
            assert_eq!(identify(text, &[]), None, "{text:?}");
        }
        let short = identify("Ýok.", &[Language::TURKMEN]).map(|guess| guess.confidence);
        let long = identify("Ýok, men bu gün öýe gitjek däl.", &[Language::TURKMEN]).map(|guess| guess.confidence);
        assert!(short < long, "{short:?} {long:?}");
    }

    proptest! {
        #[test]
        fn guesses_are_allowed_and_confidence_is_a_probability(text in "[a-zýňşçа-яәңқ' .]{0,60}") {
            let allowed = [Language::TURKMEN, Language::RUSSIAN, Language::KAZAKH];
            if let Some(guess) = identify(&text, &allowed) {
                prop_assert!(allowed.contains(&guess.language));
                prop_assert!((UNCLEAR..=1.0).contains(&guess.confidence));
            }
        }
    }
}
