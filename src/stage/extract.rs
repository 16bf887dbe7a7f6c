//! Extraction: the bytes of a page or a book become a document.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use url::Url;

use super::books::{self, Ocr, Reader, Shelf, Shelves};
use super::pages::{Cost, PageJob, ReadPage};
use super::site::{Site, SitesByHost, host_of};
use super::{Commit, Ctx, Finish, Grain, Inputs, Listing, Progress, Settings, Shared, Stage, Unit, table};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::html;
use crate::record::document::TextBuilder;
use crate::record::{BlockKind, Document, DocumentId, DocumentKind, Language, Page};
use crate::store::extraction::PageNote;
use crate::store::table::Table;
use crate::store::visit::{ArchivedArticle, FEED_COPY, Role, State};
use crate::store::{Store, Writer, warc};
use crate::text::language;

/// Raised when the same bytes give another document.
pub const VERSION: u32 = 5;

/// The stage.
#[derive(Debug)]
pub struct Extract;

/// What changes a document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Params {
    /// Pages with less text than this many characters make no document.
    pub min_chars: usize,
    /// The languages that a text may be taken for: the pipeline's own, and those that are mistaken for them, so that such
    /// a text is recognised. Empty in a pipeline file: the pipeline's own and what `text::confusables` knows of them;
    /// `Pipeline::parse` fills them in. Empty otherwise: all that the program knows.
    pub languages: Vec<Language>,
    /// Whether an article that has vanished from its site keeps its place in the corpus.
    pub keep_vanished: bool,
    /// Pages of a book that are read.
    pub max_book_pages: u32,
    /// Whether the pages of books that are pictures are recognised.
    pub ocr: Ocr,
    /// The recogniser's program.
    pub ocr_program: String,
    /// The recogniser's names for languages. Turkmen has none: no pack knows its letters.
    pub ocr_languages: BTreeMap<Language, String>,
    /// Paragraphs of less confidence, 0 to 100, are left out.
    pub ocr_min_confidence: f32,
    /// What a book may cost.
    pub limits: books::Limits,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            min_chars: 120,
            languages: Vec::new(),
            keep_vanished: true,
            max_book_pages: 2_000,
            ocr: Ocr::Off,
            ocr_program: "tesseract".into(),
            ocr_languages: BTreeMap::from([(Language::RUSSIAN, "rus".into())]),
            ocr_min_confidence: 80.0,
            limits: books::Limits::default(),
        }
    }
}

/// Where documents come from, as the pipeline hands it over.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Sites.
    pub sites: Vec<Site>,
    /// Shelves of books, their folders relative to where the program runs.
    pub shelves: Vec<Shelf>,
    /// Who reads books.
    pub reader: Reader,
}

/// The version of the program that recognises pages, once asked for.
struct Recogniser(String);

/// Which archived articles belong to no site, in words.
struct LeftOut(Option<String>);

impl Stage for Extract {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn version(&self) -> u32 {
        VERSION
    }

    fn unit_noun(&self) -> &'static str {
        "page"
    }

    fn grain(&self) -> Grain {
        Grain::Workspace
    }

    fn reads(&self) -> &'static [Table] {
        &[Table::Url]
    }

    fn writes(&self) -> &'static [Table] {
        &[Table::Document, Table::Block, Table::BookPage, Table::BookRepair, Table::Extraction, Table::Drift]
    }

    fn params(&self, settings: &Settings) -> Result<serde_json::Value> {
        Ok(serde_json::json!({ "extract": table(settings.get::<Params>()?)? }))
    }

    /// Every archived article, and every book of the shelves.
    fn list(&self, ctx: &Ctx<'_>) -> Result<Listing> {
        let (params, sources) = (ctx.settings::<Params>()?, ctx.settings::<Sources>()?);
        let mut units = Vec::new();
        let mut profiles = BTreeMap::new();
        for site in &sources.sites {
            // A document carries the name of its site.
            let parts = (&site.name, &site.extract, &site.articles, site.same_id, site.language);
            profiles.insert(site.name.as_str(), super::fingerprint(&parts)?);
        }
        let limits = super::fingerprint(&(params.limits.page_memory, params.limits.page_time))?;
        let by_host = SitesByHost::new(&sources.sites)?;
        let mut outside = BTreeMap::<String, u64>::new();
        let store = ctx.store()?;
        for article in store.archived_articles()? {
            if !is_listed(&store, &article, params.keep_vanished)? {
                continue;
            }
            let url =
                Url::parse(&article.url).context(ErrorKind::Bug, || format!("the archive names {:?}", article.url))?;
            let site = by_host.of_archived(&url);
            let Some(profile) = site.and_then(|site| profiles.get(site.name.as_str())) else {
                *outside.entry(host_of(&url).unwrap_or_default()).or_default() += 1;
                continue;
            };
            // The content type may name the character encoding.
            let row = super::fingerprint(&(&article.body_hash, &article.content_type))?;
            let inputs = Inputs::new().table(Table::Url, &row).value("profile", profile);
            units.push(Unit::new(article.url, inputs).limited(&limits));
        }
        ctx.shared().set("", LeftOut(left_out(&outside)));
        let recogniser = match params.ocr {
            Ocr::Tesseract if !sources.shelves.is_empty() => {
                Some(ctx.shared().get("", || Ok(Recogniser(books::ocr::version(&params.ocr_program))))?)
            }
            _ => None,
        };
        let recogniser = recogniser.as_ref().map(|recogniser| recogniser.0.as_str());
        units.extend(books::units(ctx, &*shelves(ctx)?, params, recogniser)?);
        Ok(Listing::All(units))
    }

    fn run(&self, ctx: &Ctx<'_>, unit: &Unit, _progress: &Progress<'_>) -> Result<Commit> {
        let (params, sources) = (ctx.settings::<Params>()?, ctx.settings::<Sources>()?);
        if let Some(book) = shelves(ctx)?.books.get(&unit.name) {
            return books::read(&unit.name, book, params, &sources.reader);
        }
        let page = ctx.store()?.page(&unit.name)?;
        let page = page.ok_or_else(|| Error::bug(format!("{} is neither a page nor a book", unit.name)))?;
        let site = site_of(&sources.sites, &page)?
            .ok_or_else(|| Error::bug(format!("the page {} belongs to no site", page.url)))?;
        let archived = archived(&ctx.folder().join("pages"), &page)?;
        page_document(&page, &archived.body, site, params, &sources.reader)
            .map_err(|error| error.while_doing(format!("extracting {}", page.url)))
    }

    fn retract(&self, writer: &Writer<'_>, _scope: &str, unit: &str) -> Result<()> {
        writer.delete_document(unit)?;
        writer.delete_book(unit)
    }

    fn invalidate(&self, shared: &Shared, _scope: &str) {
        // Sentences hang on documents.
        shared.forget_all::<std::sync::Mutex<super::neighbours::Pools>>();
        shared.forget_all::<super::embed::Queue>();
    }

    /// Holds the pages that were extracted against those before: what a killed run left unjudged is judged now.
    fn finish(&self, ctx: &Ctx<'_>) -> Result<Finish> {
        let sources = ctx.settings::<Sources>()?;
        // The stages after it need the memory.
        sources.reader.rest();
        let drifts = super::drift::judge(&*ctx.store()?, &sources.sites)?;
        let mut notes = ctx.shared().find::<Shelves>("").map(|shelves| shelves.notes.clone()).unwrap_or_default();
        notes.extend(ctx.shared().find::<LeftOut>("").and_then(|left_out| left_out.0.clone()));
        let write =
            move |writer: &Writer<'_>, run: i64| drifts.iter().try_for_each(|drift| writer.put_drift(run, drift));
        Ok(Finish { notes, write: Some(Box::new(write)) })
    }
}

/// The shelves, read once in a run.
fn shelves(ctx: &Ctx<'_>) -> Result<std::sync::Arc<Shelves>> {
    let sources = ctx.settings::<Sources>()?;
    ctx.shared().get("", || Shelves::read(&sources.shelves))
}

/// What a site's pages are extracted by: agreements of profile and generic extractor compare under one key alone.
/// `None` without a profile.
///
/// # Errors
/// Kind `Bug` only.
pub fn profile_key(site: &Site) -> Result<Option<String>> {
    site.extract.as_ref().map(|profile| super::fingerprint(&(VERSION, profile))).transpose()
}

/// The site that names a page's host now, whatever it was called when the page was fetched.
fn site_of<'a>(sites: &'a [Site], page: &Page) -> Result<Option<&'a Site>> {
    let url = Url::parse(&page.url).context(ErrorKind::Bug, || format!("the archive names {:?}", page.url))?;
    Ok(SitesByHost::new(sites)?.of_archived(&url))
}

/// Redirects followed from one URL to the page that stands in its place.
const MAX_MOVES: u32 = 8;

/// Whether an archived article keeps its place in the corpus.
///
/// One that moved for good is left out once the article that it moved to is archived. One that redirects to what is no
/// article (a home page, another host) has vanished: it stays if such articles do.
fn is_listed(store: &Store, article: &ArchivedArticle, keep_vanished: bool) -> Result<bool> {
    match article.state {
        State::Fetched | State::Failed | State::Waiting => return Ok(true),
        State::Gone | State::Forbidden => return Ok(keep_vanished),
        State::Redirect => {}
    }
    let mut next = article.moved_to.clone();
    for _ in 0..MAX_MOVES {
        let Some(url) = next.take() else { break };
        let Some(standing) = store.standing(&url)? else { break };
        match standing.state {
            State::Redirect => next = standing.moved_to,
            State::Fetched if standing.role == Role::Article => return Ok(!standing.has_body),
            // Nothing is known of the new article yet.
            State::Waiting | State::Failed if standing.role == Role::Article => return Ok(true),
            _ => break,
        }
    }
    Ok(keep_vanished)
}

/// Says which archived articles belong to no site.
fn left_out(hosts: &BTreeMap<String, u64>) -> Option<String> {
    /// Hosts that are named.
    const NAMED: usize = 3;
    if hosts.is_empty() {
        return None;
    }
    let named: Vec<String> = hosts.iter().take(NAMED).map(|(host, count)| format!("{host}: {count}")).collect();
    Some(format!(
        "{} archived articles make no documents, since no site names their hosts ({}{})",
        hosts.values().sum::<u64>(),
        named.join(", "),
        if hosts.len() > NAMED { ", …" } else { "" }
    ))
}

/// A page's bytes. A page that the archive does not hold fails alone, and keeps the document that was made of it.
fn archived(folder: &std::path::Path, page: &Page) -> Result<warc::ArchivedResponse> {
    let failed = |why: &str| Error::input(format!("{}: {why}", page.url));
    if page.is_lost {
        return Err(failed("its archived page is lost; the next crawl fetches it again"));
    }
    let archived = warc::read(folder, &page.warc)
        .map_err(|error| Error::with_source(ErrorKind::Input, format!("the archived page of {}", page.url), error))?;
    if archived.url != page.url {
        let why = format!("the archive holds {} in its place; `kopri pages reindex` finds it again", archived.url);
        return Err(failed(&why));
    }
    Ok(archived)
}

/// The document of a page.
fn page_document(page: &Page, body: &[u8], site: &Site, params: &Params, reader: &Reader) -> Result<Commit> {
    let url = Url::parse(&page.url).context(ErrorKind::Bug, || format!("the archive names {:?}", page.url))?;
    // A feed's copy of a page has none of the page's layout, for a profile to find its way in.
    let of_layout = site.extract.as_ref().filter(|_| page.content_type.as_deref() != Some(FEED_COPY));
    let job = PageJob::text(&page.url, page.content_type.as_deref(), of_layout.cloned(), Cost::from(&params.limits))?;
    let ReadPage::Text { extracted, agreement } = reader.page(&job, body)? else {
        return Err(Error::bug("asked for a page's text, a process answered with its links"));
    };
    let mut builder = TextBuilder::default();
    if let Some(title) = &extracted.title {
        builder.push(BlockKind::Title, title, None);
    }
    for (kind, text) in &extracted.blocks {
        builder.push(*kind, text, None);
    }
    let (text, blocks) = builder.finish();
    let (declared, guess) = page_language(&extracted, &url, Some(site), &params.languages);
    // A layout that changed shows so: the profile takes another text than the generic extractor, or finds no body, and
    // the generic extractor had to step in.
    let by_profile = extracted.method == html::Method::Profile;
    let past_profile = of_layout.is_some() && !by_profile;
    let note = profile_key(site)?.filter(|_| of_layout.is_some()).map(|key| PageNote {
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
    let commit = finish(
        Document {
            id: DocumentId::of(&[page.url.as_bytes()]),
            location: page.url.clone(),
            site: site.name.clone(),
            kind: DocumentKind::Html,
            content_hash: page.body_hash.clone(),
            language: guess.map(|guess| guess.language),
            language_confidence: guess.map_or(0.0, |guess| guess.confidence),
            declared_language: declared,
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
    Ok(if past_profile { commit.count("pages on which the profile's body selects nothing", 1.0) } else { commit })
}

/// What a page is said to be in (by its address as the pipeline reads it, by itself, or by the site's setting), and what
/// it is in, among the candidates.
pub fn page_language(
    extracted: &html::Extracted,
    url: &Url,
    site: Option<&Site>,
    candidates: &[Language],
) -> (Option<Language>, Option<language::Guess>) {
    let mut patterns = site.iter().flat_map(|site| &site.articles);
    let by_pattern = patterns.find_map(|pattern| pattern.captures(url.path())?.lang);
    let declared = by_pattern
        .and_then(|lang| Language::guess_from_tag(&lang))
        .or(extracted.declared_language)
        .or(site.and_then(|site| site.language));
    (declared, language::identify_declared(&prose_of(extracted), declared, candidates))
}

/// Letters of running text under which preformatted blocks count as well: some old pages have no other.
const MIN_PROSE_LETTERS: usize = 40;

/// The part of a page that its language is told from: title and blocks, without program code.
fn prose_of(extracted: &html::Extracted) -> String {
    let blocks = extracted.blocks.iter().zip(&extracted.preformatted);
    let title = extracted.title.iter().map(String::as_str);
    let running: Vec<&str> =
        title.clone().chain(blocks.filter(|(_, code)| !**code).map(|((_, text), _)| text.as_str())).collect();
    let letters = running.iter().flat_map(|text| text.chars()).filter(|c| c.is_alphabetic());
    if letters.take(MIN_PROSE_LETTERS).count() == MIN_PROSE_LETTERS {
        return running.join("\n\n");
    }
    title.chain(extracted.blocks.iter().map(|(_, text)| text.as_str())).collect::<Vec<_>>().join("\n\n")
}

/// The language that a text is in, among those that it may be taken for, in view of what is said of it.
pub(super) fn identify(text: &str, declared: Option<Language>, params: &Params) -> Option<language::Guess> {
    language::identify_declared(text, declared, &params.languages)
}

/// A document, unless there is too little of it: then an older one of the page goes.
fn finish(document: Document, note: Option<PageNote>, params: &Params) -> Result<Commit> {
    let too_short = document.text.chars().count() < params.min_chars;
    let output = if too_short { "too short".to_owned() } else { crate::store::documents::fingerprint(&document)? };
    let commit = Commit::new(output, move |writer, run| {
        if let Some(note) = &note {
            writer.note_page(run, note)?;
        }
        if too_short { writer.delete_document(&document.location) } else { writer.put_document(&document) }
    });
    Ok(commit.count(if too_short { "too short" } else { "documents" }, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::confusables;

    /// What a page at an address is declared to be in, and is in, among the candidates of a pipeline in `pair`.
    fn languages(
        page: &str,
        url: &str,
        pair: [&str; 2],
        site: Option<&Site>,
    ) -> (Option<Language>, Option<Language>, f32) {
        let url = Url::parse(url).unwrap();
        let candidates = confusables::candidates(&pair.map(|code| code.parse().unwrap()));
        let (declared, guess) = page_language(&html::extract(page, &url, None), &url, site, &candidates);
        (declared, guess.map(|guess| guess.language), guess.map_or(0.0, |guess| guess.confidence))
    }

    fn language(code: &str) -> Option<Language> {
        code.parse().ok()
    }

    const CODE: &str = "int main(void) { return open_file(path, flags); }";

    #[test]
    fn pages_of_many_pairs_whatever_code_they_hold() {
        for (pair, code, text) in [
            (["de", "fr"], "de", "Die Bibliothek ist jeden Tag geöffnet, und für die Schüler ist der Eintritt frei."),
            (
                ["de", "fr"],
                "fr",
                "La bibliothèque est ouverte tous les jours et l'entrée est gratuite pour les élèves.",
            ),
            (["ky", "ru"], "ky", "Китепкана күн сайын иштейт, окуучулар үчүн кирүү акысыз жана эшик ачык."),
            (["ky", "ru"], "ru", "Библиотека работает ежедневно, и для школьников вход в неё бесплатный."),
            (["uk", "ru"], "uk", "Бібліотека працює щодня, і для школярів вхід до неї безкоштовний."),
            (["ar", "fa"], "ar", "المكتبة مفتوحة كل يوم من الصباح حتى المساء والدخول إليها مجاني للتلاميذ."),
            (["ar", "fa"], "fa", "کتابخانه هر روز از صبح تا شب باز است و ورود برای دانش آموزان رایگان است."),
            (["hi", "mr"], "hi", "पुस्तकालय हर दिन खुला रहता है और छात्रों के लिए प्रवेश मुफ़्त है।"),
            (["hi", "mr"], "mr", "वाचनालय दररोज उघडे असते आणि विद्यार्थ्यांसाठी प्रवेश मोफत आहे."),
        ] {
            let page =
                format!("<html><body><article><p>{text}</p><pre>{}</pre></article></body></html>", CODE.repeat(20));
            let (declared, found, confidence) = languages(&page, "http://a.test/x/1", pair, None);
            assert_eq!((declared, found), (None, language(code)), "{text}");
            assert!(confidence > 0.8, "{text}: {confidence}");
        }
    }

    #[test]
    fn the_declaration_decides_where_the_text_tells_nothing() {
        let page = |head: &str| {
            format!("<html{head}><body><article><pre>{}</pre></article></body></html>", "4711 0815 ".repeat(40))
        };
        let declared = |head: &str, url: &str, site: Option<&Site>| languages(&page(head), url, ["ar", "fa"], site);
        assert_eq!(declared("", "http://a.test/x/1", None), (None, None, 0.0));
        assert_eq!(declared(" lang=fa-IR", "http://a.test/x/1", None), (language("fa"), language("fa"), 0.5));
        let site: Site = toml::from_str(
            "name = 'a'\nhosts = ['a.test']\narticles = ['/{lang}/{id}', '/old/{id}']\nlanguage = 'ar'\n",
        )
        .unwrap();
        assert_eq!(
            declared("", "http://a.test/fa/1", Some(&site)),
            (language("fa"), language("fa"), 0.5),
            "its address"
        );
        assert_eq!(declared("", "http://a.test/zz/1", Some(&site)), (language("ar"), language("ar"), 0.5), "its site");
        // A declaration counts for nothing against the text.
        let russian = "<html lang=fa><body><article><p>Библиотека работает ежедневно, вход бесплатный.</p></article></body></html>";
        assert_eq!(languages(russian, "http://a.test/x/1", ["ru", "fa"], None).1, language("ru"));
    }
}
