//! Lines that pages put around any article: calls to share, subscribe, comment and read on.
//!
//! The names of elements tell most of them; these stand inside the article's own element.

use super::blocks::TextBlock;
use crate::record::BlockKind;

/// Longest such line, in characters without white space.
const LONGEST: usize = 60;

/// How such lines begin, in lower case: in the languages that our sites and their neighbours are written in.
const BEGINNINGS: &[&str] = &[
    // Turkmen, Turkish
    "paýlaş",
    "şeýle hem okaň",
    "meňzeş habarlar",
    "paylaş",
    "ayrıca okuyun",
    "ilgili haberler",
    // Russian
    "поделиться",
    "поделитесь",
    "читайте также",
    "читать также",
    "смотрите также",
    "по теме:",
    "похожие новости",
    "подпишитесь на",
    "подписывайтесь на",
    "оставить комментарий",
    "версия для печати",
    // English
    "share this",
    "share on",
    "share via",
    "click to share",
    "read also",
    "also read",
    "read next",
    "related articles",
    "related posts",
    "related stories",
    "more on this",
    "you may also like",
    "you might also like",
    "sign up for",
    "subscribe to",
    "follow us",
    "about the author",
    "leave a comment",
    "leave a reply",
    "advertisement",
    "article continues below",
    "story continues below",
    "print this",
    // German
    "artikel teilen",
    "diesen artikel teilen",
    "beitrag teilen",
    "seite teilen",
    "teilen sie",
    "lesen sie auch",
    "lesen sie mehr",
    "mehr zum thema",
    "zum thema",
    "das könnte",
    "auch interessant",
    "weitere artikel",
    "ähnliche artikel",
    "ähnliche beiträge",
    "verwandte artikel",
    "verwandte beiträge",
    "über den autor",
    "über die autorin",
    "kommentar schreiben",
    "schreiben sie einen kommentar",
    "schlagwörter",
    "- anzeige",
    "anzeige",
    // French
    "partager",
    "lire aussi",
    "à lire aussi",
    "lire également",
    "vous aimerez aussi",
    "sur le même sujet",
    "articles liés",
    // Spanish, Italian
    "compartir",
    "comparte",
    "lea también",
    "lee también",
    "te puede interesar",
    "le puede interesar",
    "leer más",
    "más información",
    "noticias relacionadas",
    "condividi",
    "leggi anche",
    "potrebbe interessarti",
    // Polish
    "zobacz także",
    "zobacz również",
    "zobacz też",
    "czytaj także",
    "czytaj również",
    "czytaj też",
    "przeczytaj także",
    "udostępnij",
];

/// Whether a block is one of these lines.
pub(super) fn is_furniture(block: &TextBlock) -> bool {
    if block.characters > LONGEST || matches!(block.kind, BlockKind::Quote | BlockKind::Table) {
        return false;
    }
    let line = block.text.to_lowercase();
    BEGINNINGS.iter().any(|beginning| {
        let behind = line.strip_prefix(beginning);
        behind.is_some_and(|behind| !behind.starts_with(char::is_alphanumeric))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_to_share_and_read_on_are_furniture_and_sentences_are_not() {
        let is = |kind: BlockKind, text: &str| {
            is_furniture(&TextBlock { kind, text: text.to_owned(), characters: text.chars().count(), linked: 0 })
        };
        for text in ["Читайте также:", "Share this article", "PAÝLAŞ", "Mehr zum Thema"] {
            assert!(is(BlockKind::Paragraph, text) && is(BlockKind::Heading, text), "{text}");
        }
        for text in ["Anzeigen gibt es hier nicht.", "Поделительский договор", "Köpri açyldy"] {
            assert!(!is(BlockKind::Paragraph, text), "{text}");
        }
        assert!(!is(BlockKind::Quote, "Share this"));
        assert!(!is(BlockKind::Paragraph, &format!("Поделитесь {}", "мнением о новом мосте ".repeat(4))));
    }
}
