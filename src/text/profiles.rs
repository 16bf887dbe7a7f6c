//! What tells the languages apart that share a script: their alphabets and their commonest function words.

use std::collections::HashMap;
use std::sync::LazyLock;

use whatlang::Lang;

use crate::record::Language;
use crate::record::language::Script;

/// A set of profiles: a bit for each place in [`PROFILES`].
pub(super) type Bits = u32;

/// A language as the identifier sees it.
pub(super) struct Profile {
    /// The language.
    pub(super) language: Language,
    /// Its code in the trigram model, if that knows it in this script.
    pub(super) trigrams: Option<Lang>,
    /// Letters, in lower case, that mark it among its neighbours.
    marks: &'static str,
    /// The share of its words that hold one of them, 0 to 1, in running text.
    pub(super) marked: f32,
    /// The share of its words that are function words of the list below, 0 to 1, in running text.
    pub(super) function: f32,
    /// The letters of its script's basic range (a–z, а–я, Arabic ء–ي, all of Devanagari) that its own words do without.
    without: &'static str,
    /// The other letters of its alphabet, in lower case, with the apostrophe where it stands inside words.
    more: &'static str,
    /// Function words, parted by spaces; those that its neighbours lack count most.
    words: &'static str,
}

impl Profile {
    fn has_letter(&self, c: char) -> bool {
        let basic = match self.language.script() {
            Script::Latin => c.is_ascii_lowercase(),
            Script::Cyrillic => ('а'..='я').contains(&c),
            // With the vowel signs of pointed texts.
            Script::Arabic => ('\u{621}'..='\u{652}').contains(&c) || c == '\u{670}',
            Script::Devanagari => ('\u{900}'..='\u{97F}').contains(&c),
            Script::Han => false,
        };
        (basic && !self.without.contains(c)) || self.more.contains(c)
    }
}

/// A letter `y` that is a vowel, as in Turkmen *gyz*: after a consonant and not before a vowel.
pub(super) const VOWEL_Y: char = 'Y';

/// What a letter tells.
#[derive(Clone, Copy, Default)]
pub(super) struct Letter {
    /// The profiles whose alphabet has it.
    pub(super) known: Bits,
    /// The profiles that it marks.
    pub(super) marks: Bits,
}

/// What a letter (in lower case, or [`VOWEL_Y`]) tells.
pub(super) fn letter(c: char) -> Letter {
    /// One past the last letter of the alphabets here: Latin, Cyrillic, Arabic and Devanagari.
    const END: u32 = 0x980;
    static LETTERS: LazyLock<Vec<Letter>> = LazyLock::new(|| {
        let read = |c| Letter {
            known: bits(|profile| profile.has_letter(c)),
            marks: bits(|profile| profile.marks.contains(c)),
        };
        (0..END).map(|code| char::from_u32(code).map_or(Letter::default(), read)).collect()
    });
    LETTERS.get(c as usize).copied().unwrap_or_default()
}

/// The profiles that have the function word (in lower case, apostrophes as `'`).
pub(super) fn with_word(word: &str) -> Bits {
    static WORDS: LazyLock<HashMap<&str, Bits>> = LazyLock::new(|| {
        let mut words = HashMap::new();
        for (place, profile) in PROFILES.iter().enumerate() {
            for word in profile.words.split_whitespace() {
                *words.entry(word).or_insert(0) |= 1 << place;
            }
        }
        words
    });
    WORDS.get(word).copied().unwrap_or(0)
}

fn bits(fits: impl Fn(&Profile) -> bool) -> Bits {
    PROFILES.iter().enumerate().filter(|(_, profile)| fits(profile)).fold(0, |bits, (place, _)| bits | 1 << place)
}

/// The languages that are told from others by more than their script.
pub(super) static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
    let profile = |&(code, trigrams, marks, marked, function, without, more, words): &Row| {
        Some(Profile {
            language: Language::guess_from_tag(code)?,
            trigrams,
            marks,
            marked,
            function,
            without,
            more,
            words,
        })
    };
    TABLE.iter().filter_map(profile).collect()
});

/// Code, code of the trigram model, marking letters, share of words with one, share of function words, basic letters it lacks, letters it has besides, function words.
type Row = (&'static str, Option<Lang>, &'static str, f32, f32, &'static str, &'static str, &'static str);

#[rustfmt::skip]
static TABLE: &[Row] = &[
    ("tk", Some(Lang::Tuk), "äžňýwY", 0.62, 0.20, "cqvx", "çäžňöşüý'Y",
     "we bilen üçin bu şu ol hem da de bir bolan bolup boldy bolar bolýar bar ýok däl diýip diýen iň öz onuň olar men \
      sen biz siz meniň näme nähili ýaly ýöne sebäpli soň öň şol şeýle ýa has diňe köp gerek edýär edip etmek eden \
      mi näçe kim haçan nirede ýerde ýyl ýylyň ýylda adam iki gowy indi ony oňa maňa saňa özi bolsa barada hakynda \
      eger ýene diýdi aýtdy berdi geldi gitdi galdy nji njy muny ine hawa hiç her zat aldy türkmen"),
    ("tr", Some(Lang::Tur), "ğı", 0.26, 0.15, "qwx", "çğıöşü\u{307}âîû'",
     "ve ile için bu şu o bir da de değil var yok olan olarak oldu çok daha en ben sen biz siz onun onlar ne nasıl gibi \
      ama fakat sonra önce her ki mi mı mu mü kadar ya veya ise şey dedi diye gün yıl iki iyi yeni kendi bana sana onu \
      beni seni hiç ancak göre tarafından neden nerede zaman bunu şimdi evet hayır benim senin etti geldi gitti aldı \
      istiyor ediyor oluyor"),
    ("az", Some(Lang::Aze), "əxq", 0.58, 0.20, "w", "çəğıöşü\u{307}'",
     "və ilə üçün bu o bir də da deyil var yoxdur olan olaraq oldu çox daha ən mən sən biz siz onun onlar nə necə kimi \
      amma lakin sonra əvvəl hər ki mi qədər ya isə dedi deyə gün il iki yaxşı yeni öz mənə sənə onu mənim sənin edir \
      olunur idi hansı haqqında görə bütün"),
    ("uz", Some(Lang::Uzb), "'qx", 0.24, 0.15, "w", "'",
     "va bilan uchun bu shu u bir ham emas bor yo'q bo'lgan bo'lib bo'ldi bo'ladi juda eng men sen biz siz uning ular \
      nima qanday kabi lekin ammo keyin har yoki esa dedi deb kun yil ikki yaxshi yangi o'z menga senga uni mening \
      edi kerak mumkin haqida hamda mi qachon qayerda emasman ekan hech"),
    ("en", Some(Lang::Eng), "wY", 0.13, 0.40, "", "'éY",
     "the of to and a in is that for are on with or as was be from you it by at they have can this an which not were \
      has most will their he but some had more its also there other when i his her she we my your me do did don't \
      what who how i'm it's no yes him them been would could should about"),
    ("de", Some(Lang::Deu), "äöüß", 0.10, 0.40, "", "äöüß'Y",
     "der die das und in den von zu mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er hat dass \
      sie nach wird bei einer um am sind noch wie einem über so zum war haben nur oder aber ich wir"),
    ("es", Some(Lang::Spa), "áéíñóúü", 0.10, 0.45, "", "áéíñóúüY",
     "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya este sí porque esta \
      entre cuando muy sin sobre también me hasta hay donde es está yo"),
    ("fr", Some(Lang::Fra), "àâæçéèêëîïôœùûüÿ", 0.15, 0.45, "", "àâæçéèêëîïôœùûüÿ'Y",
     "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se il ce avec son sont aux cette \
      ses mais comme on tout nous sa elle je vous ou été c'est d'un"),
    ("it", Some(Lang::Ita), "àèéìíîòóùú", 0.05, 0.40, "jkwxy", "àèéìíîòóùú'Y",
     "di e il la che in un a per è una sono con non del si da i le al nel come alla della ha più anche ma dei lo su \
      gli delle questo io"),
    ("nl", Some(Lang::Nld), "", 0.00, 0.45, "", "ëïéèöü'Y",
     "de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij uit nog door over naar heeft \
      hij zij ik wij deze die wordt werd"),
    ("pl", Some(Lang::Pol), "ąćęłńóśźż", 0.30, 0.30, "qvx", "ąćęłńóśźżY",
     "w i na z do się nie że jest to o jak po od za przez co ale dla są był jego tak już tylko oraz który która może \
      ma ja my"),
    ("pt", Some(Lang::Por), "áâãàçéêíóôõúü", 0.15, 0.45, "", "áâãàçéêíóôõúüY",
     "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua \
      ou ser são eu"),
    ("ru", Some(Lang::Rus), "", 0.00, 0.25, "", "ё",
     "и в не на с что как по это он она они но из у за от для к так же до то вы мы я бы был была было были его её их \
      о об все при или уже если нет есть только ещё когда во со мне меня тебя вам нас чтобы который которые также \
      может где кто очень после ты год году"),
    ("tk-Cyrl", None, "әҗңөү", 0.30, 0.30, "щ", "ёәҗңөү",
     "ве билен үчин бу шу ол хем да де бир болан болуп болды болар боляр бар ёк дәл дийип диен иң өз онуң олар мен сен \
      биз сиз мениң нәме нәхили ялы йөне себәпли соң өң шол шейле я хас диңе көп герек эдйәр эдип этмек эден нҗи нҗы \
      хер хич башга барада оны оңа эгер ене адам ики иле"),
    ("kk", None, "әғқңөұүһі", 0.60, 0.15, "", "ёәғқңөұүһі",
     "және мен үшін бұл ол бір да де емес бар жоқ болған болып болды болады көп өте ең сен біз сіз оның олар не қалай \
      сияқты бірақ кейін бұрын әр немесе деп деді күн жыл екі жақсы жаңа өз маған саған оны менің керек туралы ма ме \
      кім қашан қайда еді бойынша арқылы осы мүмкін том болса"),
    ("uz-Cyrl", None, "ўқғҳ", 0.30, 0.20, "щы", "ёўқғҳ",
     "ва билан учун бу шу у бир ҳам эмас бор йўқ бўлган бўлиб бўлди бўлади жуда энг мен сен биз сиз унинг улар нима \
      қандай каби лекин аммо кейин ҳар ёки эса деди деб кун йил икки яхши янги ўз эди керак мумкин ҳақида ҳамда"),
    ("ky", None, "ңөү", 0.15, 0.25, "", "ёңөү",
     "жана менен үчүн бул ал бир да де эмес бар жок болгон болуп болду болот көп абдан эң мен сен биз сиз анын алар \
      эмне кандай сыяктуу бирок кийин ар же деп деди күн жыл эки жакшы жаңы өз мага сага аны менин керек жөнүндө эле \
      ушул тийиш боюнча"),
    ("tt", None, "әҗңөүһ", 0.45, 0.20, "", "ёәҗңөүһ",
     "һәм белән өчен бу ул бер дә да түгел бар юк булган булып булды була күп бик иң мин син без сез аның алар ни нинди \
      кебек ләкин соң һәр яки яисә дип диде көн ел ике яхшы яңа үз миңа сиңа аны минем кирәк турында бит инде"),
    ("ba", None, "әғҙҡңөҫүһ", 0.50, 0.15, "", "ёәғҙҡңөҫүһ",
     "һәм менән өсөн был ул бер ҙә ла түгел бар юҡ булған булып булды була күп бик иң мин һин беҙ һеҙ уның улар ни \
      ниндәй кеүек ләкин һуң һәр йәки тип тине көн йыл ике яҡшы яңы үҙ"),
    ("tg", None, "ғӣқӯҳҷ", 0.30, 0.25, "щцыь", "ёғӣқӯҳҷ",
     "ва дар ба аз ки бо ин он як барои ҳам аст буд шуд нест кард мекунад ман ту мо шумо онҳо чӣ чун ё агар низ худ \
      рӯз сол ду хуб бисёр то бояд"),
    ("uk", Some(Lang::Ukr), "іїєґ", 0.35, 0.25, "ыэъ", "іїєґ'",
     "і в не на з що як та це до він вона вони але у за від для так же або був була було його її їх про все при вже \
      якщо немає є тільки ще коли мені ви ми я й який також може де хто дуже після"),
    ("be", Some(Lang::Bel), "іў", 0.35, 0.25, "ищъ", "ёіў'",
     "і ў не на з што як гэта да ён яна яны але у за ад для так жа або быў была было яго яе іх пра ўсе пры ужо калі \
      няма ёсць толькі яшчэ мне вы мы я які таксама можа дзе хто вельмі пасля"),
    ("bg", Some(Lang::Bul), "", 0.00, 0.35, "ыэ", "ѝ",
     "и в не на с че как по това той тя те но от за до са се да ще е или беше бяха неговия му им при вече ако няма има \
      само още когато във със ми вие ние аз който също може къде кой много след съм"),
    ("ar", Some(Lang::Ara), "ةىأإ", 0.35, 0.25, "", "",
     "في من على إلى أن إن التي الذي هذا هذه كان كانت ما لا لم عن مع هو هي قد كل بعد بين أو ثم كما حيث ذلك تلك عند قبل \
      غير لكن وقد وفي ومن وهو وهي حتى أي لقد وكان خلال يوم به بها له لها منها فيها عليه عليها أكثر هناك الذين ليس لن أنا \
      أنت نحن هم إذا كيف لماذا متى أين"),
    ("fa", Some(Lang::Pes), "پچژگکی", 0.45, 0.35, "ةىإ", "پچژگکی",
     "و در به از که این را با است برای آن یک تا بر می هم شد شده خود بود ما او هر یا اگر نیز باید شود دارد کرد کرده ها \
      های پس بین اما دو همه چه من تو شما آنها نیست هستند بودند کند کنند سال مورد دیگر بسیار همین چون زیرا روی کی کجا \
      چرا چگونه امروز دیروز ولی هیچ"),
    ("hi", Some(Lang::Hin), "\u{93C}", 0.08, 0.40, "ळ", "",
     "है के में की का और से को ने पर यह हैं था कि भी एक थे थी नहीं हो तो ही कर इस वह जो अपने कुछ या गया गए गई लिए साथ \
      हुए हुआ हुई किया करने जा रहा रहे रही तक बाद ये वे हम मैं आप तुम उस उन इन सकते सकता क्या जब तब यहाँ वहाँ बहुत कोई \
      सब दो आज हमारे मेरा उसके इसके उनके होता होती होते"),
    ("mr", Some(Lang::Mar), "ळ", 0.08, 0.30, "\u{93C}", "",
     "आहे आणि व या हा ही हे ते तो ती की न नाही असे आहेत होते होता होती केले केली केला मी आम्ही तुम्ही त्या त्यांनी \
      त्यांच्या त्याच्या करून साठी मध्ये पण एक काही तर जे जो कारण म्हणून झाला झाले झाली यांनी यांच्या आपल्या सर्व येथे \
      तसेच किंवा असून मात्र आले आली गेले गेलो होत का काय कसे कधी कुठे कोण आज दोन माझे आमच्या खूप"),
    ("ne", Some(Lang::Nep), "", 0.00, 0.25, "\u{93C}ळ", "",
     "छ र मा ले पनि यो हो गर्ने गरेको गरेका भएको छन् एक लागि थियो थिए थिएन तथा हुने भने तर के यस उनले गर्न भएका हुन् \
      गरी सबै देखि म हामी तपाईं त्यो ती यी अब कुनै नै जस्तै रहेको वा सो साथै भन्ने आफ्नो गर्दै गरे भयो हुन्छ गर्छ छैन \
      हुँदै पछि अघि आज दुई हाम्रा हाम्रो धेरै कसरी किन कहाँ गयौं गए"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_known_language() {
        assert_eq!(PROFILES.len(), TABLE.len());
        assert!(PROFILES.len() <= Bits::BITS as usize);
        for (profile, row) in PROFILES.iter().zip(TABLE) {
            assert_eq!(profile.language.code(), row.0);
        }
    }

    #[test]
    fn function_words_are_spelled_in_their_alphabet() {
        for profile in PROFILES.iter() {
            for word in profile.words.split_whitespace() {
                assert!(word.chars().all(|c| profile.has_letter(c)), "{} {word}", profile.language);
            }
        }
    }
}
