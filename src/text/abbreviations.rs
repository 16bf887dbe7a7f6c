//! Abbreviations of Russian, Turkmen and English that end in a full stop, by what may follow them.
//!
//! Entries are in lower case, without the last stop and without spaces. Words that are also common words with another
//! meaning at a sentence's end (Turkmen *ak*, *gaz*, *hal*) are left out on purpose.

use crate::record::Language;

/// What a stop after an abbreviation says about the sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Something always follows: `ул. Пушкина`, `prof. Amanow`. The sentence goes on.
    GoesOn,
    /// Goes on before a number only: `рис. 5`; else it is a word that ends a sentence.
    BeforeNumber,
    /// May end a sentence, and does if a capital follows: `и т. д.`, `mln.`.
    MayEnd,
    /// After a number a unit that may end a sentence (`в 1998 г.`), else a title before a name (`г. Мары`).
    Unit,
}

/// Looks up an abbreviation. `token` is the last word in lower case without its stop, `before` the word in front of
/// it (in lower case, stops kept), which decides the parts of spaced abbreviations such as `т. д.`.
pub(super) fn look_up(token: &str, before: &str, language: Option<Language>) -> Option<Stop> {
    if let Some((_, _, stop)) = SPACED.iter().find(|(first, last, _)| *first == before && *last == token) {
        return Some(*stop);
    }
    let find = |lists: &[(Stop, &str)]| {
        let holds = |list: &str| list.split_whitespace().any(|entry| entry == token);
        lists.iter().find(|(_, list)| holds(list)).map(|(stop, _)| *stop)
    };
    if token.chars().any(|c| ('\u{400}'..='\u{52F}').contains(&c)) {
        return find(CYRILLIC);
    }
    let own = match language {
        Some(Language::ENGLISH) => find(ENGLISH),
        Some(Language::TURKMEN) => find(TURKMEN),
        Some(Language::TURKISH | Language::AZERBAIJANI | Language::UZBEK) => find(TURKIC),
        None => find(TURKMEN).or_else(|| find(ENGLISH)),
        Some(_) => None,
    };
    own.or_else(|| find(NAMES))
}

/// Last parts of abbreviations written with a space, with the part before.
static SPACED: &[(&str, &str, Stop)] = &[
    ("т.", "д", Stop::MayEnd),
    ("т.", "п", Stop::MayEnd),
    ("т.", "е", Stop::GoesOn),
    ("т.", "к", Stop::GoesOn),
    ("т.", "н", Stop::GoesOn),
    ("т.", "ч", Stop::GoesOn),
    ("н.", "э", Stop::MayEnd),
    ("с.", "ш", Stop::MayEnd),
    ("в.", "д", Stop::MayEnd),
    ("ş.", "m", Stop::MayEnd),
    ("t.", "b", Stop::MayEnd),
    ("we", "b", Stop::MayEnd),
    ("b.", "e", Stop::GoesOn),
    ("m.", "a", Stop::GoesOn),
    ("a.", "m", Stop::MayEnd),
    ("p.", "m", Stop::MayEnd),
];

/// Russian, and Turkmen as it was printed in Cyrillic.
#[rustfmt::skip]
static CYRILLIC: &[(Stop, &str)] = &[
    (Stop::GoesOn,
     "ул им св проф акад доц инж ген полк кап лейт адм гр гр-н тов гос пер просп пл наб бул бульв ш обл р-н респ пос \
      дер ст-ца хут о оз р г-н г-жа см ср напр т.е т.к т.н т.ч ред сост изд под букв устар лат греч англ нем фр \
      франц тюрк туркм рус перс араб мин-во зам зав нач пом гл ок прибл долл в.п и.о врио к н я дж эт оф комн ауд вл \
      велаят этр көч меселем д п"),
    (Stop::BeforeNumber,
     "стр рис табл тел кв корп ст пп вып разд упр илл ил граф прил факс"),
    (Stop::MayEnd,
     "т.д т.п н.э др пр тыс млн млрд трлн руб коп экз чел шт мин сек час проц мес кг мг км мм дм га кв.м куб.м л.с \
      прим обр ш.м ед.ч мн.ч"),
    (Stop::Unit,
     "г гг в вв м т с ч л"),
];

#[rustfmt::skip]
static TURKMEN: &[(Stop, &str)] = &[
    (Stop::GoesOn,
     "w ş etr köç prof akad dos inž dr im mes mys m.a b.e b.e.öň ser ýag w.w ş.ý d seret jn"),
    (Stop::BeforeNumber,
     "tel sah sur tab çyz № faks no p s"),
    (Stop::MayEnd,
     "ş.m t.b ş.b mln mlrd trln doll man kg km sm mm ga etc w.ş.m we.b"),
    (Stop::Unit,
     "ý ýý a aa m g t min sek sag"),
];

/// Parts of names that stand in Latin letters in texts of any language: `St. Louis`, `Piquet Jr.`
#[rustfmt::skip]
static NAMES: &[(Stop, &str)] = &[
    (Stop::GoesOn,
     "mr mrs ms dr prof st vs"),
    (Stop::MayEnd,
     "jr sr inc ltd co corp etc"),
];

#[rustfmt::skip]
static ENGLISH: &[(Stop, &str)] = &[
    (Stop::GoesOn,
     "messrs rev gen col capt lt sgt gov hon pres v e.g i.e cf viz approx ca mt eds dept univ"),
    (Stop::BeforeNumber,
     "no nos fig figs vol pp p ch sec art tel eq ext"),
    (Stop::MayEnd,
     "a.m p.m ph.d b.c a.d mln bn"),
];

/// Turkish, Azerbaijani and Uzbek: what they share.
#[rustfmt::skip]
static TURKIC: &[(Stop, &str)] = &[
    (Stop::GoesOn,
     "doç dos yrd akad bkz örn mah cad hz sn"),
    (Stop::BeforeNumber,
     "no tel s p"),
    (Stop::MayEnd,
     "vb vs vd mln mlrd m.ö m.s h.k"),
];

/// Beginnings of words after which a single capital names a thing, not a person: `точка A.`, `nokat B.`, `витамин C.`
#[rustfmt::skip]
pub(super) static NAMED_BY_A_LETTER: &str =
    "точк прям отрез угл угол треугольник плоскост вершин множеств витамин гепатит класс групп вариант пункт \
     категори вектор матриц nokat göni burç kesim üçburçluk tekizlik depe köplük witamin gepatit synp topar wariant \
     wektor point line angle vitamin hepatitis group class grade set";

/// Words that number a part of a book: `Глава 5.`, `Gönükme 12.` keep their number and what it announces together.
#[rustfmt::skip]
pub(super) static NUMBERED: &str =
    "глава раздел часть статья пункт параграф урок тема задача упражнение рис рисунок таблица табл пример теорема \
     приложение bap bölüm bölek madda ders sapak tema mesele gönükme mysal surat sur tablisa jedwel teorema goşundy \
     chapter part section article lesson exercise example figure table theorem appendix";
