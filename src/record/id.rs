//! Ids derived from content: 63 bits of a BLAKE3 hash, written as a letter and 16 hexadecimal digits.
//!
//! 63 bits fit SQLite's integer keys. Among 100 million ids the chance of one collision is about 1 in 2,000; the store
//! refuses a second, different record under an id that it knows, so a collision would be an error and never a mix-up.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;

use crate::error::Error;

/// Hashes parts so that ("ab", "c") and ("a", "bc") differ: each part is preceded by its length.
pub fn hash_parts(parts: &[&[u8]]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

fn to_key(hash: &blake3::Hash) -> i64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    i64::from_be_bytes(first) & i64::MAX
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $letter:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            /// The letter that its written form starts with.
            pub const LETTER: char = $letter;

            /// The id of what these parts describe.
            pub fn of(parts: &[&[u8]]) -> Self {
                Self(to_key(&hash_parts(parts)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{:016x}", Self::LETTER, self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                text.strip_prefix(Self::LETTER)
                    .filter(|digits| digits.len() == 16)
                    .and_then(|digits| i64::from_str_radix(digits, 16).ok())
                    .map(Self)
                    .ok_or_else(|| Error::input(format!(
                        "{text:?} is no id: expected the letter {} and 16 hexadecimal digits", Self::LETTER
                    )))
            }
        }

        serde_by_text!($name);
    };
}

id_type! {
    /// A URL of the frontier: hash of the URL.
    PageId, 'u'
}
id_type! {
    /// A document: hash of where it lies (URL or book file). Its content may change; its id does not.
    DocumentId, 'd'
}
id_type! {
    /// A sentence: hash of its document, its text and how often that text stood earlier in the document.
    SentenceId, 's'
}
id_type! {
    /// A text of a language, wherever it stands: hash of both. Vectors are kept by it.
    TextId, 't'
}
id_type! {
    /// A text pair: hash of both languages and both dedup keys (`text::dedup`).
    PairId, 'p'
}
id_type! {
    /// A place where a text pair occurs: hash of what found it, the text pair and both sides' sentences.
    OccurrenceId, 'o'
}
id_type! {
    /// A question put to people: hash of what is asked.
    TaskId, 'q'
}

/// A map by ids: they are hashes already, and hashing them once more is most of what a look-up costs.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Takes an id's own bits.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_i64(&mut self, id: i64) {
        // Ids have no highest bit, and a map looks at the highest ones first.
        self.0 = (self.0 ^ id.cast_unsigned()).rotate_left(1);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_form_reads_back() {
        let id = SentenceId::of(&[b"document", b"text"]);
        assert_eq!(id.to_string().parse::<SentenceId>().unwrap(), id);
        assert!(id.0 >= 0);
        assert!("p00".parse::<SentenceId>().is_err());
        assert!(id.to_string().replace('s', "p").parse::<SentenceId>().is_err());
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(TextId::of(&[b"ab", b"c"]), TextId::of(&[b"a", b"bc"]));
    }
}
