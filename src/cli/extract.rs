//! `extract`: the text of pages and books, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use url::Url;

use super::source::{LazyFetcher, Read, Source, address, site_of, split_site};
use super::{DONE, json_line, print, say};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::extract::{charset, html, pdf};
use crate::files;
use crate::record::{BlockKind, BookPage, Language, TwinLink};
use crate::report::format::printable;
use crate::stage::books::{Job, PageBox, Reader};
use crate::stage::crawl::Crawl;
use crate::stage::extract::{Params, page_language};
use crate::stage::pages::{Cost, PageJob, ReadPage};
use crate::stage::site::Site;
use crate::text::confusables;
use crate::text::identify;
use crate::text::labels::{Label, label};

/// Arguments of `extract`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExtractArgs {
    /// HTML or PDF files, or URLs; `-`, or nothing, for standard input.
    #[arg(value_name = "FILE|URL")]
    sources: Vec<String>,
    /// One JSON object a document: source, url, title, date, language and its confidence, author, tags, method
    /// (profile, generic or pdf), twins, blocks (kind, text, page, number of an exercise or section, boxes), of PDFs also pages.
    #[arg(long)]
    json: bool,
    /// Only these pages of a PDF: `7`, `7-12`, `7-`. May be repeated.
    #[arg(long = "page", value_name = "PAGES")]
    pages: Vec<Pages>,
    /// Draw what was understood of one page of a PDF (words, lines, columns, reading order) into this file.
    #[arg(long, value_name = "OUT.svg", requires = "pages")]
    debug_svg: Option<PathBuf>,
    /// Use the selectors of a pipeline's site; without :SITE, of the site whose host the URL is on.
    #[arg(long, value_name = "PIPELINE.toml[:SITE]")]
    profile: Option<String>,
    /// Who asks: a URL or mail address. Needed before anything is fetched from the real web.
    #[arg(long, value_name = "CONTACT", env = "KOPRI_CONTACT")]
    contact: Option<String>,
    /// Let a host of your own be asked although it has a private address. May be repeated.
    #[arg(long, value_name = "HOST")]
    allow_private: Vec<String>,
}

const EXAMPLES: &str = "\
Text comes as paragraphs with an empty line between them; list items begin with \"- \", quotations with \"> \".
URLs are asked for politely: robots.txt is obeyed, at most 5 redirects are followed, private addresses are refused.

Examples:
  kopri extract page.html
  kopri extract --page 3 --page 10-12 book.pdf
  kopri extract --page 3 --debug-svg page.svg book.pdf      why page 3 reads as it does
  kopri extract --json book.pdf | jq -r '.blocks[] | select(.kind == \"paragraph\").text'
  curl -s https://example.org/ | kopri extract
  kopri extract --contact me@example.org https://example.org/news/17
  kopri extract --profile pipelines/turkmen-russian.toml:orient saved.html";

/// A document as a line of JSON.
#[derive(Debug, Serialize)]
struct Line {
    /// The file, URL or `-` as it was named.
    source: String,
    /// Where the page was found, after redirects.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    title: Option<String>,
    date: Option<jiff::Timestamp>,
    language: Option<Language>,
    language_confidence: f32,
    author: Option<String>,
    tags: Vec<String>,
    /// `profile`, `generic` or `pdf`.
    method: &'static str,
    twins: Vec<TwinLink>,
    /// The title first, if there is one.
    blocks: Vec<Block>,
    /// What became of a PDF's pages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pages: Vec<BookPage>,
}

#[derive(Debug, Serialize)]
struct Block {
    kind: BlockKind,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<u32>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    label: Option<Label>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    boxes: Vec<PageBox>,
}

/// Pages from one to another, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pages(u32, u32);

impl std::str::FromStr for Pages {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0);
        let pages = match text.split_once('-') {
            Some((first, "")) => number(first).map(|first| Self(first, u32::MAX)),
            Some((first, last)) => number(first).zip(number(last)).map(|(first, last)| Self(first, last)),
            None => number(text).map(|page| Self(page, page)),
        };
        pages.filter(|pages| pages.0 <= pages.1).ok_or_else(|| "expected pages such as 7, 7-12 or 7-".into())
    }
}

/// What a pipeline file says of extraction. The rest of it may be unfinished: a selector is tried before a night is.
#[derive(Debug, Default, Deserialize)]
struct Sites {
    #[serde(default)]
    site: Vec<Site>,
    #[serde(default)]
    extract: Params,
    /// The pipeline's languages, when it names them already.
    source: Option<Language>,
    target: Option<Language>,
    #[serde(skip)]
    file: String,
    #[serde(skip)]
    chosen: Option<String>,
}

pub(super) fn extract(arguments: &ExtractArgs) -> Result<u8> {
    let sources = Source::all(&arguments.sources)?;
    if arguments.debug_svg.is_some() && sources.len() != 1 {
        return Err(usage("--debug-svg draws one page of one PDF".into()));
    }
    let sites = arguments.profile.as_deref().map(Sites::load).transpose()?;
    let crawl = Crawl {
        contact: arguments.contact.clone(),
        allow_private: arguments.allow_private.clone(),
        ..Crawl::default()
    };
    let mut fetcher = LazyFetcher::new(&crawl, BTreeMap::new());
    // Nothing is started before there is a PDF, and once for all of them.
    let reader = super::reader()?;
    let mut code = DONE;
    for (number, source) in sources.iter().enumerate() {
        let line = source.read(&mut fetcher).and_then(|read| {
            if let Some(path) = &arguments.debug_svg {
                draw(source, &read.bytes, &arguments.pages, path)?;
            }
            document(source, read, sites.as_ref(), &arguments.pages, &reader)
        });
        match line {
            Ok(line) if arguments.json => print(&json_line(&line)?)?,
            Ok(line) => {
                if line.blocks.is_empty() {
                    say(&format!("{}: there is no text", line.source));
                }
                // As `head` does it for several files.
                let heading = if sources.len() > 1 { format!("==> {} <==\n", line.source) } else { String::new() };
                let gap = if number > 0 { "\n" } else { "" };
                print(&format!("{gap}{heading}{}", plain(&line.blocks)))?;
            }
            // A mistake of the command line is told once, before anything is done for nothing.
            Err(error) if error.kind() == ErrorKind::Usage && sources.len() == 1 => return Err(error),
            Err(error) => {
                let name = source.name();
                let message = error.to_string();
                say(&if message.contains(&name) {
                    format!("error: {message}")
                } else {
                    format!("error: {name}: {message}")
                });
                code = exit::SOME_FAILED;
            }
        }
    }
    Ok(code)
}

/// Draws how one page was understood.
fn draw(source: &Source, bytes: &[u8], pages: &[Pages], path: &Path) -> Result<()> {
    let [Pages(page, last)] = pages else { return Err(usage("--debug-svg draws one page: give one --page".into())) };
    if page != last || !bytes.starts_with(b"%PDF") {
        return Err(usage(format!("{}: --debug-svg draws one page of a PDF", source.name())));
    }
    let svg = pdf::debug_svg(bytes, *page, &pdf::Limits::default())
        .map_err(|error| error.while_doing(format!("drawing page {page} of {}", source.name())))?;
    files::write_out(path, |out| out.write_all(svg.as_bytes()))
}

impl Sites {
    /// Reads `PIPELINE.toml[:SITE]`.
    fn load(argument: &str) -> Result<Self> {
        let (path, chosen) = split_site(argument);
        let text = files::read_text(&path).map_err(|error| Error::config(error.to_string()))?;
        Self::parse(&text, &path, chosen)
    }

    fn parse(text: &str, path: &Path, chosen: Option<&str>) -> Result<Self> {
        let mut sites: Self = toml::from_str(text)
            .map_err(|error| Error::config(format!("{}: {}", path.display(), error.to_string().trim_end())))?;
        sites.file = path.display().to_string();
        sites.chosen = chosen.map(str::to_owned);
        if let (true, Some(source), Some(target)) = (sites.extract.languages.is_empty(), sites.source, sites.target) {
            sites.extract.languages = confusables::candidates(&[source, target]);
        }
        if let Some(chosen) = chosen {
            match sites.site.iter().find(|site| site.name == chosen) {
                Some(site) if site.extract.is_some() => {}
                Some(_) => {
                    return Err(usage(format!(
                        "the site {chosen} of {} has no [site.extract]: without selectors the generic extractor is used \
                         anyway",
                        path.display()
                    )));
                }
                None => {
                    return Err(usage(format!("{} has no site {chosen:?}; it has {}", path.display(), sites.names())));
                }
            }
        }
        Ok(sites)
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.site.iter().map(|site| site.name.as_str()).collect();
        if names.is_empty() { "none".into() } else { names.join(", ") }
    }

    /// The site whose selectors hold for a page.
    fn of(&self, url: Option<&Url>) -> Result<&Site> {
        if let Some(chosen) = &self.chosen {
            return self.site.iter().find(|site| site.name == *chosen).ok_or_else(|| Error::bug("a site vanished"));
        }
        match (url, self.site.as_slice()) {
            (None, [site]) => Ok(site),
            (None, _) => {
                Err(usage(format!("which site's selectors? --profile {}:SITE, of {}", self.file, self.names())))
            }
            (Some(url), sites) => site_of(sites, url).ok_or_else(|| {
                usage(format!(
                    "{url} is on no host of the sites in {}: name one by --profile {0}:SITE, of {}",
                    self.file,
                    self.names()
                ))
            }),
        }
    }
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// What a page or book says.
fn document(source: &Source, read: Read, sites: Option<&Sites>, pages: &[Pages], reader: &Reader) -> Result<Line> {
    let candidates = sites.map_or_else(|| Params::default().languages, |sites| sites.extract.languages.clone());
    let mut line = if read.bytes.starts_with(b"%PDF") {
        book(source, &read.bytes, sites, pages, reader, &candidates)?
    } else if !pages.is_empty() {
        return Err(usage(format!("{}: only PDFs have pages", source.name())));
    } else {
        let site = sites.map(|sites| sites.of(read.url.as_ref())).transpose()?;
        web_page(source, &read, (site, sites), &candidates, reader)?
    };
    line.url = read.url.map(String::from);
    Ok(line)
}

fn web_page(
    source: &Source,
    read: &Read,
    (site, sites): (Option<&Site>, Option<&Sites>),
    candidates: &[Language],
    reader: &Reader,
) -> Result<Line> {
    let decoded = charset::decode(&read.bytes, read.content_type.as_deref());
    let profile = site
        .and_then(|site| Some((site, site.extract.as_ref()?)))
        .map(|(site, profile)| {
            profile.compile().map_err(|error| error.while_doing(format!("site {}", site.name))).map(|_| profile.clone())
        })
        .transpose()?;
    let has_profile = profile.is_some();
    let url = address(&decoded.text, read.url.as_ref())?;
    let limits = sites.map_or_else(|| Params::default().limits, |sites| sites.extract.limits.clone());
    let job = PageJob::text(url.as_str(), read.content_type.as_deref(), profile, Cost::from(&limits))?;
    let page =
        reader.page(&job, &read.bytes).map_err(|error| error.while_doing(format!("reading {}", source.name())))?;
    let ReadPage::Text { extracted, .. } = page else {
        return Err(Error::bug("asked for a page's text, a process answered with its links"));
    };
    if let Some(site) = site.filter(|_| has_profile && extracted.method == html::Method::Generic) {
        say(&format!(
            "{}: the body selectors of {} find nothing here: this is what the generic extractor takes",
            source.name(),
            site.name
        ));
    }
    let (_, guess) = page_language(&extracted, &url, site, candidates);
    let title = extracted.title.iter().map(|title| (BlockKind::Title, title.clone()));
    let blocks = title.chain(extracted.blocks).map(|(kind, text)| Block::of_page(kind, text)).collect();
    Ok(Line {
        source: source.name(),
        url: None,
        title: extracted.title,
        date: extracted.date,
        language: guess.map(|guess| guess.language),
        language_confidence: guess.map_or(0.0, |guess| guess.confidence),
        author: extracted.author,
        tags: extracted.tags,
        method: extracted.method.name(),
        twins: extracted.twins,
        blocks,
        pages: Vec::new(),
    })
}

fn book(
    source: &Source,
    bytes: &[u8],
    sites: Option<&Sites>,
    chosen: &[Pages],
    reader: &Reader,
    candidates: &[Language],
) -> Result<Line> {
    let name = source.name();
    let job = Job::to_look_at(sites.map_or(&Params::default(), |sites| &sites.extract));
    let book = match source {
        Source::File(path) => reader.read(&Job { path: path.clone(), ..job }),
        Source::Pipe | Source::Web(_) => reader.read_bytes(bytes, &job),
    };
    let book = book.map_err(|error| error.while_doing(format!("reading {name}")))?;
    let last = book.pages.len();
    if let Some(Pages(page, _)) = chosen.iter().find(|pages| pages.0 as usize > last) {
        return Err(usage(format!("{name} has no page {page}: it has {last}")));
    }
    let wanted = |page: u32| chosen.is_empty() || chosen.iter().any(|pages| (pages.0..=pages.1).contains(&page));
    for page in book.pages.iter().filter(|page| page.is_left_out() && wanted(page.number)) {
        say(&format!("{name}: page {} is left out, {}: {}", page.number, page.state.name(), page.reason()));
    }
    book.repairs.iter().for_each(|repair| say(&printable(&format!("{name}: {}", repair.words()))));
    let titled = book.blocks.iter().find(|block| block.kind == BlockKind::Title).map(|block| block.text.clone());
    let blocks = book.blocks.into_iter().filter(|block| wanted(block.page)).map(|block| Block {
        label: label(&block.text).filter(|_| matches!(block.kind, BlockKind::Heading | BlockKind::Exercise)),
        kind: block.kind,
        text: block.text,
        page: Some(block.page),
        boxes: block.boxes,
    });
    let blocks: Vec<Block> = blocks.collect();
    let text: Vec<&str> = blocks.iter().map(|block| block.text.as_str()).collect();
    let guess = identify(&text.join("\n\n"), candidates);
    Ok(Line {
        source: name,
        url: None,
        title: titled.or(book.title),
        date: None,
        language: guess.map(|guess| guess.language),
        language_confidence: guess.map_or(0.0, |guess| guess.confidence),
        author: None,
        tags: Vec::new(),
        method: "pdf",
        twins: Vec::new(),
        blocks,
        pages: book.pages.into_iter().filter(|page| wanted(page.number)).collect(),
    })
}

impl Block {
    /// A block of a web page.
    fn of_page(kind: BlockKind, text: String) -> Self {
        Self { kind, text, page: None, label: None, boxes: Vec::new() }
    }
}

/// Blocks parted by empty lines; items of a list, and rows of a table, stand together.
fn plain(blocks: &[Block]) -> String {
    let mut out = String::new();
    let mut before = None;
    for block in blocks {
        let together =
            matches!(block.kind, BlockKind::Item | BlockKind::Table | BlockKind::Formula) && before == Some(block.kind);
        if before.is_some() && !together {
            out.push('\n');
        }
        let mark = match block.kind {
            BlockKind::Item => "- ",
            BlockKind::Quote => "> ",
            _ => "",
        };
        let _ = writeln!(out, "{mark}{}", block.text);
        before = Some(block.kind);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_keeps_lists_together() {
        let block = |kind, text: &str| Block::of_page(kind, text.into());
        let blocks = [
            block(BlockKind::Title, "Мост"),
            block(BlockKind::Paragraph, "Открыт."),
            block(BlockKind::Item, "длина"),
            block(BlockKind::Item, "ширина"),
            block(BlockKind::Quote, "Рады."),
        ];
        assert_eq!(plain(&blocks), "Мост\n\nОткрыт.\n\n- длина\n- ширина\n\n> Рады.\n");
        assert_eq!(plain(&[]), "");
    }

    #[test]
    fn pages_are_one_some_or_all_from_one_on() {
        for (text, pages) in [("7", Pages(7, 7)), ("7-12", Pages(7, 12)), ("7-", Pages(7, u32::MAX))] {
            assert_eq!(text.parse(), Ok(pages));
        }
        for text in ["0", "-3", "9-7", "x", ""] {
            assert!(text.parse::<Pages>().is_err(), "{text}");
        }
    }

    const TWO: &str = "[[site]]\nname = 'a'\nhosts = ['a.test']\narticles = []\nextract = { body = ['p'] }\n\
                       [[site]]\nname = 'b'\nhosts = ['b.test:81']\narticles = []\n";

    #[test]
    fn the_site_is_named_or_known_by_its_host() {
        let sites = |chosen| Sites::parse(TWO, Path::new("p.toml"), chosen);
        let name = |chosen, url: Option<&str>| {
            let url = url.map(|url| Url::parse(url).unwrap());
            sites(chosen).and_then(|sites| sites.of(url.as_ref()).map(|site| site.name.clone()))
        };
        assert_eq!(name(Some("a"), None).unwrap(), "a");
        assert_eq!(name(None, Some("http://b.test:81/x")).unwrap(), "b");
        for (error, word) in [
            (name(None, None), "p.toml:SITE, of a, b"),
            (name(None, Some("http://c.test/")), "on no host"),
            (name(Some("c"), None), "no site \"c\"; it has a, b"),
            (name(Some("b"), None), "has no [site.extract]"),
        ] {
            let error = error.unwrap_err();
            assert!(error.kind() == ErrorKind::Usage && error.to_string().contains(word), "{error}");
        }
    }
}
