//! Damaged pages: the demo's pages, changed at random (from a fixed seed), through all that reads HTML.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use url::Url;

use super::profile::Profile;
use super::{charset, html, links};

const MUTANTS: usize = 300;

/// What is put into pages: tags that move others about, and pieces of syntax.
const PIECES: [&str; 28] = [
    "<div>",
    "</div>",
    "<table>",
    "</table>",
    "<tr><td>",
    "<p>",
    "</p>",
    "<a href=/x>",
    "</a>",
    "<b>",
    "</i>",
    "<svg>",
    "</svg>",
    "<math><mi>",
    "<template>",
    "</template>",
    "<select>",
    "<frameset>",
    "<noscript>",
    "<!--",
    "--!>",
    "<![CDATA[",
    "</body>",
    "<html lang=a-b-c-d-e-f>",
    "<plaintext>",
    "<script>",
    "<textarea>",
    "\0",
];

/// Xorshift: the same numbers on every machine.
struct Random(u64);

impl Random {
    /// A number below `end`; 0 for 0.
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            found.push(path);
        }
    }
}

/// One to eight changes: bytes lost, moved, repeated or replaced, and pieces of syntax put in once or very often.
fn mutate(page: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(8) {
        let at = random.below(page.len());
        let end = (at + random.below(2_000)).min(page.len());
        let piece = PIECES[random.below(PIECES.len())].as_bytes();
        match random.below(7) {
            0 => drop(page.drain(at..end)),
            1 => page.truncate(at.max(1)),
            2 => page[at..end].reverse(),
            3 => page[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (end % 8)),
            4 => drop(page.splice(at..at, piece.iter().copied())),
            5 => drop(page.splice(at..at, piece.repeat(20_000 / piece.len()))),
            _ => {
                let from = random.below(other.len());
                let to = (from + random.below(5_000)).min(other.len());
                page.splice(at..at, other[from..to].iter().copied());
            }
        }
        if page.is_empty() {
            page.push(b'<');
        }
    }
}

#[test]
fn damaged_pages_end_in_less_text_and_in_time() {
    let mut paths = Vec::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("corpora/demo/sites"), &mut paths);
    let pages: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(pages.len() > 50);
    let profile: Profile =
        toml::from_str("body = ['article p', '.text']\ndrop = ['.ad', 'nav *']\nlanguage-switch = ['a']").unwrap();
    let profile = profile.compile().unwrap();
    let url = Url::parse("https://a.test/ru/news/1").unwrap();
    let mut random = Random(0x6b6f_7072_6921);
    let (mut with_text, mut slowest) = (0, (Duration::ZERO, 0));
    for number in 0..MUTANTS {
        let mut page = pages[random.below(pages.len())].clone();
        let other = random.below(pages.len());
        mutate(&mut page, &pages[other], &mut random);
        let start = Instant::now();
        let text = charset::decode(&page, Some("text/html")).text;
        for profile in [None, Some(&profile)] {
            let found = html::extract(&text, &url, profile);
            assert!(found.blocks.iter().all(|(_, text)| !text.is_empty() && text.trim() == text), "mutant {number}");
            let characters: usize = found.blocks.iter().map(|(_, text)| text.len()).sum();
            assert!(characters <= 3 * text.len(), "mutant {number}: {characters} bytes from {}", text.len());
            with_text += usize::from(!found.blocks.is_empty());
        }
        assert!(links::links(&text, &url).iter().all(|link| link.text.chars().count() <= 300), "mutant {number}");
        slowest = slowest.max((start.elapsed(), number));
    }
    assert!(with_text > MUTANTS, "of {} extractions, only {with_text} found text", 2 * MUTANTS);
    assert!(slowest.0 < Duration::from_secs(5), "mutant {}: {:?}", slowest.1, slowest.0);
}
