//! Extraction: the bytes of a page or a book become a document.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::site::{Shelf, Site};
use super::{Listing, Look, Output, Records, Unit, Work, combined};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::agreement::agreement as agreement_of;
use crate::extract::{charset, html, pdf};
use crate::files;
use crate::record::document::TextBuilder;
use crate::record::{BlockKind, Document, DocumentId, DocumentKind, Language, Page};
use crate::store::extraction::PageNote;
use crate::store::visit::FEED_COPY;
use crate::store::warc;
use crate::text::language;

/// Raised when the same bytes give another document.
pub const VERSION: u32 = 2;

/// What changes a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Pages with less text than this many characters make no document.
    pub min_chars: usize,
    /// The languages that a text may be taken for. More candidates than the pipeline's two, so that a neighbour is
    /// recognised and not mistaken for one of them.
    pub languages: Vec<Language>,
    /// Whether an article that has vanished from its site keeps its place in the corpus.
    pub keep_vanished: bool,
    /// Pages of a book that are read.
    pub max_book_pages: u32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_chars: 120,
            languages: ["ru", "tk", "tk-Cyrl", "tr", "az", "uz", "kk", "en"]
                .iter()
                .filter_map(|code| Language::guess_from_tag(code))
                .collect(),
            keep_vanished: true,
            max_book_pages: 2_000,
        }
    }
}

/// Where documents come from.
#[derive(Debug, Clone, Copy)]
pub struct Origins<'a> {
    /// Sites.
    pub sites: &'a [Site],
    /// Shelves of books, their folders absolute.
    pub shelves: &'a [Shelf],
}

/// A book that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Book {
    shelf: String,
    path: PathBuf,
    language: Option<Language>,
    /// Subject, grade and part: the same for all editions.
    twin_key: String,
}

/// A row of a shelf's manifest.
#[derive(Debug, Deserialize)]
struct ManifestRow {
    subject: String,
    grade: String,
    #[serde(default)]
    part: String,
    language: String,
    file: String,
}

/// Every archived article, and every book that a manifest names.
///
/// # Errors
/// Kind `Store`; kind `Input` for a manifest that cannot be read.
pub fn units(look: &Look<'_>, params: &Params, origins: Origins<'_>) -> Result<Listing> {
    let mut units = Vec::new();
    let mut profiles = BTreeMap::new();
    for site in origins.sites {
        profiles.insert(site.name.as_str(), super::fingerprint(&(&site.extract, &site.articles, site.same_id))?);
    }
    for (url, site, body_hash) in look.store.archived_articles(params.keep_vanished)? {
        let Some(profile) = profiles.get(site.as_str()) else { continue };
        units.push(Unit::new(url, combined(&[&body_hash, profile])));
    }
    for (location, book) in books(origins.shelves)? {
        let mut hasher = blake3::Hasher::new();
        match files::map(&book.path) {
            Ok(map) => hasher.update(&map),
            // A missing file is the unit's failure, not the run's.
            Err(_) => hasher.update(b"missing"),
        };
        let input = combined(&[hasher.finalize().to_hex().as_str(), &book.twin_key, &format!("{:?}", book.language)]);
        units.push(Unit::new(location, input));
    }
    Ok(Listing::All(units))
}

/// Reads a unit's bytes; extraction itself runs on any thread.
///
/// # Errors
/// Kind `Store` or `Input`, naming the page or the book.
pub fn prepare(look: &Look<'_>, params: &Params, origins: Origins<'_>, unit: &Unit) -> Result<Work> {
    let params = params.clone();
    if let Some(page) = look.store.page(&unit.name)? {
        let site = site_of(origins.sites, &page)
            .cloned()
            .ok_or_else(|| Error::bug(format!("the page {} belongs to no site", page.url)))?;
        let folder = look.store.pages_folder();
        return Ok(Box::new(move || {
            let archived = warc::read(&folder, &page.warc)?;
            page_document(&page, &archived.body, &site, &params)
                .map_err(|error| error.while_doing(format!("extracting {}", page.url)))
        }));
    }
    let book = books(origins.shelves)?
        .remove(&unit.name)
        .ok_or_else(|| Error::bug(format!("{} is neither a page nor a book", unit.name)))?;
    let location = unit.name.clone();
    Ok(Box::new(move || book_document(&location, &book, &params)))
}

/// What a site's pages are extracted by: agreements of profile and generic extractor compare under one key alone.
/// `None` without a profile.
///
/// # Errors
/// Kind `Bug` only.
pub fn profile_key(site: &Site) -> Result<Option<String>> {
    site.extract.as_ref().map(|profile| super::fingerprint(&(VERSION, profile))).transpose()
}

fn site_of<'a>(sites: &'a [Site], page: &Page) -> Option<&'a Site> {
    sites.iter().find(|site| site.name == page.site)
}

/// The document of a page.
fn page_document(page: &Page, body: &[u8], site: &Site, params: &Params) -> Result<Output> {
    let url = Url::parse(&page.url).context(ErrorKind::Bug, || format!("the archive names {:?}", page.url))?;
    let decoded = charset::decode(body, page.content_type.as_deref());
    // A feed's copy of a page has none of the page's layout, for a profile to find its way in.
    let of_layout = site.extract.as_ref().filter(|_| page.content_type.as_deref() != Some(FEED_COPY));
    let profile = of_layout.map(crate::extract::profile::Profile::compile).transpose()?;
    let extracted = html::extract(&decoded.text, &url, profile.as_ref());
    let mut builder = TextBuilder::default();
    if let Some(title) = &extracted.title {
        builder.push(BlockKind::Title, title, None);
    }
    for (kind, text) in &extracted.blocks {
        builder.push(*kind, text, None);
    }
    let (text, blocks) = builder.finish();
    let guess = identify(&text, params);
    // A layout that changed shows so: the profile takes another text than the generic extractor, or finds no body, and
    // the generic extractor had to step in.
    let by_profile = extracted.method == html::Method::Profile;
    let past_profile = profile.is_some() && !by_profile;
    let agreement = profile.is_some().then(|| html::extract(&decoded.text, &url, None));
    let agreement = agreement.and_then(|generic| agreement_of(&extracted, &generic));
    let note = profile_key(site)?.filter(|_| profile.is_some()).map(|key| PageNote {
        location: page.url.clone(),
        site: site.name.clone(),
        key,
        agreement,
        by_profile,
    });
    let twin_key = site
        .same_id
        .then(|| site.articles.iter().find_map(|pattern| pattern.captures(url.path())?.id))
        .flatten()
        .map(|id| format!("{}:{id}", site.name));
    let output = finish(
        Document {
            id: DocumentId::of(&[page.url.as_bytes()]),
            location: page.url.clone(),
            site: site.name.clone(),
            kind: DocumentKind::Html,
            content_hash: page.body_hash.clone(),
            language: guess.map(|guess| guess.language),
            language_confidence: guess.map_or(0.0, |guess| guess.confidence),
            declared_language: extracted.declared_language,
            title: extracted.title,
            date: extracted.date,
            author: extracted.author,
            tags: extracted.tags,
            agreement,
            text,
            blocks,
            twins: extracted.twins,
            images: extracted.images,
            twin_key,
        },
        note,
        params,
    )?;
    Ok(if past_profile { output.count("pages on which the profile's body selects nothing", 1.0) } else { output })
}

/// The document of a book.
fn book_document(location: &str, book: &Book, params: &Params) -> Result<Output> {
    let doing = || format!("reading the book {}", book.path.display());
    let bytes = files::read(&book.path)?;
    let limits = pdf::Limits { max_pages: params.max_book_pages as usize, ..pdf::Limits::default() };
    let extracted = pdf::extract(&bytes, &limits).map_err(|error| error.while_doing(doing()))?;
    let mut builder = TextBuilder::default();
    for block in &extracted.blocks {
        builder.push(block.kind, &block.text, Some(block.page));
    }
    let (text, blocks) = builder.finish();
    let guess = identify(&text, params);
    let title = blocks
        .iter()
        .find(|block| block.kind == BlockKind::Title)
        .map(|block| text[block.start as usize..block.end as usize].to_owned())
        .or(extracted.title);
    let skipped = extracted
        .pages
        .iter()
        .filter(|page| matches!(page.state, pdf::PageState::Garbled | pdf::PageState::Scanned))
        .count();
    let output = finish(
        Document {
            id: DocumentId::of(&[location.as_bytes()]),
            location: location.to_owned(),
            site: book.shelf.clone(),
            kind: DocumentKind::Pdf,
            content_hash: blake3::hash(&bytes).to_hex().to_string(),
            language: guess.map(|guess| guess.language),
            language_confidence: guess.map_or(0.0, |guess| guess.confidence),
            declared_language: book.language,
            title,
            date: None,
            author: None,
            tags: Vec::new(),
            agreement: None,
            text,
            blocks,
            twins: Vec::new(),
            images: Vec::new(),
            twin_key: Some(book.twin_key.clone()),
        },
        None,
        params,
    )?;
    Ok(output.count("book pages", extracted.pages.len() as f64).count("book pages without usable text", skipped as f64))
}

fn identify(text: &str, params: &Params) -> Option<language::Guess> {
    language::identify(text, &params.languages)
}

/// A document, unless there is too little of it.
fn finish(document: Document, note: Option<PageNote>, params: &Params) -> Result<Output> {
    if document.text.chars().count() < params.min_chars {
        let records = Records::NoDocument { location: document.location, note };
        return Ok(Output { records, fingerprint: "too short".into(), counts: vec![("too short", 1.0)] });
    }
    let fingerprint = crate::store::documents::fingerprint(&document)?;
    Ok(Output { records: Records::Document { document, note }, fingerprint, counts: vec![("documents", 1.0)] })
}

/// All books, by location: the shelf's name and the file's.
fn books(shelves: &[Shelf]) -> Result<BTreeMap<String, Book>> {
    let mut books = BTreeMap::new();
    for shelf in shelves {
        for book in shelf_books(shelf)? {
            let name = book.path.strip_prefix(&shelf.folder).unwrap_or(&book.path).display().to_string();
            books.insert(format!("{}/{name}", shelf.name), book);
        }
    }
    Ok(books)
}

fn shelf_books(shelf: &Shelf) -> Result<Vec<Book>> {
    let path = shelf.folder.join(&shelf.manifest);
    let file = files::open(&path)?;
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let mut books = Vec::new();
    for row in reader.deserialize() {
        let row: ManifestRow = row.context(ErrorKind::Input, || {
            format!("reading the manifest {} (columns: subject, grade, part, language, file)", path.display())
        })?;
        books.push(Book {
            shelf: shelf.name.clone(),
            path: inside(&shelf.folder, &row.file).ok_or_else(|| {
                Error::input(format!(
                    "the manifest {} names {:?}, which lies outside its folder",
                    path.display(),
                    row.file
                ))
            })?,
            language: Language::guess_from_tag(&row.language),
            twin_key: format!("{}:{}:{}:{}", shelf.name, row.subject, row.grade, row.part),
        });
    }
    Ok(books)
}

/// A path below a folder; `None` when it climbs out of it.
fn inside(folder: &Path, file: &str) -> Option<PathBuf> {
    let plain = Path::new(file)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    plain.then(|| folder.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_climbs_out_of_its_folder_is_refused() {
        assert!(inside(Path::new("books"), "../secret.pdf").is_none());
        assert!(inside(Path::new("books"), "/etc/passwd").is_none());
        assert_eq!(inside(Path::new("books"), "a/b.pdf"), Some(PathBuf::from("books/a/b.pdf")));
    }
}
