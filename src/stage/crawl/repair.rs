//! Makes the store's index and the page archive agree again, in both directions.
//!
//! The files are longer than the index says after a kill, a power cut, or when an older copy of the database was put
//! back; without a database none is indexed. Their records are indexed then, and the links of their pages are added to
//! the frontier. The files are shorter when somebody cut, deleted or damaged them: the pages that they held are fetched
//! again, and the documents made from them stay until then. No whole record is ever cut off.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::alike::Templates;
use super::discover::{Lead, Scope};
use super::settings::Crawl;
use super::{Tally, count};
use crate::error::Result;
use crate::record::WarcRef;
use crate::stage::site::{Site, host_of};
use crate::store::Store;
use crate::store::archive::FoundBody;
use crate::store::visit::{FEED_COPY, Found, Visit};
use crate::store::warc::ArchivedResponse;
use crate::store::warc::scan::{Item, Scanner, archive_files, set_aside};

/// Hosts that a note names.
const NAMED: usize = 3;

/// What was found out of the archive's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Repaired {
    /// Files that were read.
    pub files: u64,
    /// Pages in them, feeds' copies among them.
    pub pages: u64,
    /// Of them, those that are indexed now and were not before.
    pub indexed: u64,
    /// URLs whose archived body is lost, and that are fetched again.
    pub lost: u64,
    /// Pages of hosts that no site names, which are not indexed.
    pub outside: u64,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// Looks at the length of every archive file, and at what lies past the indexed part.
pub(super) fn before_crawl(store: &mut Store, crawl: &Crawl, scope: &Scope<'_>, tally: &mut Tally) -> Result<()> {
    let repaired = Repair::new(store, crawl, scope).all(false)?;
    for note in repaired.notes {
        // Bodies that are lost make a run worth looking at, records that are found again do not.
        if repaired.lost > 0 { tally.attention(note) } else { tally.notes.push(note) }
    }
    Ok(())
}

/// Reads the whole archive and indexes all pages that the store does not know, or knows as lost.
///
/// # Errors
/// Kind `Store`; kind `Config` for sites that contradict each other.
pub fn reindex(store: &mut Store, crawl: &Crawl, sites: &[Site]) -> Result<Repaired> {
    let scope = Scope::new(sites, crawl.max_depth)?;
    super::file_under_sites(store, sites)?;
    Repair::new(store, crawl, &scope).all(true)
}

struct Repair<'a> {
    store: &'a mut Store,
    crawl: &'a Crawl,
    scope: &'a Scope<'a>,
    templates: Templates,
    repaired: Repaired,
    /// Hosts of pages that are not indexed.
    outside: BTreeSet<String>,
}

impl<'a> Repair<'a> {
    fn new(store: &'a mut Store, crawl: &'a Crawl, scope: &'a Scope<'a>) -> Self {
        let (templates, repaired) = (Templates::default(), Repaired::default());
        Self { store, crawl, scope, templates, repaired, outside: BTreeSet::new() }
    }

    /// Every file; `whole`: from its first byte, and not only past the indexed part.
    fn all(mut self, whole: bool) -> Result<Repaired> {
        let on_disk: BTreeMap<String, u64> = archive_files(&self.store.pages_folder())?.into_iter().collect();
        let indexed: BTreeMap<String, u64> = self.store.indexed_files()?.into_iter().collect();
        let names: BTreeSet<&String> = on_disk.keys().chain(indexed.keys()).collect();
        for name in names {
            let length = on_disk.get(name).copied().unwrap_or(0);
            let indexed = indexed.get(name).copied().unwrap_or(0);
            let mut from = if whole { 0 } else { indexed };
            if length < indexed {
                let end = self.lose(name, length, indexed)?;
                from = from.min(end);
            }
            if from < length {
                self.read(name, from)?;
            }
        }
        if self.repaired.outside > 0 {
            let hosts: Vec<&str> = self.outside.iter().take(NAMED).map(String::as_str).collect();
            let more = if self.outside.len() > NAMED { ", …" } else { "" };
            self.repaired.notes.push(format!(
                "{} in the archive, of hosts that no site names ({}{more}), not indexed: name the hosts, then `kopri pages reindex`",
                count(self.repaired.outside, "page"),
                hosts.join(", ")
            ));
        }
        self.repaired.notes.extend(self.templates.notes());
        Ok(self.repaired)
    }

    /// Puts back to waiting what a file that became shorter held. Answers up to where the index still holds.
    fn lose(&mut self, name: &str, length: u64, indexed: u64) -> Result<u64> {
        let writer = self.store.writer()?;
        let lost = writer.lose_bodies(name, length)? as u64;
        writer.set_warc_length(name, length)?;
        writer.commit()?;
        self.repaired.lost += lost;
        let file = self.store.pages_folder().join(name);
        let condition =
            if length == 0 { "is gone or empty".to_owned() } else { format!("has {length} bytes and had {indexed}") };
        self.repaired.notes.push(format!(
            "{} {condition}: {} lost, and fetched again by this crawl and the next; their documents stay. To get them \
             back as they were, restore the file and run `kopri pages reindex`",
            file.display(),
            count(lost, "archived page")
        ));
        self.store.last_body_before(name, length)
    }

    /// Indexes a file's records from a byte on.
    fn read(&mut self, name: &str, from: u64) -> Result<()> {
        let folder = self.store.pages_folder();
        let mut scanner = Scanner::open(&folder, name, from)?;
        let (mut end, mut indexed) = (from, 0_u64);
        self.repaired.files += 1;
        while let Some(item) = scanner.next()? {
            match item {
                Item::Page { at, page, is_feed_copy } => {
                    end = at.offset + at.length;
                    self.repaired.pages += 1;
                    indexed += u64::from(self.index(&at, &page, is_feed_copy)?);
                }
                Item::Other(to) => end = to,
                Item::Damaged { from, to } => {
                    end = to;
                    self.repaired.notes.push(format!(
                        "{}: {} from byte {from} on are damaged; the records before and after them are whole",
                        folder.join(name).display(),
                        count(to - from, "byte")
                    ));
                }
                Item::Torn { from } => {
                    let copy = set_aside(&folder, name, from)?;
                    end = from;
                    self.repaired.notes.push(format!(
                        "{} ended inside a record: its bytes from {from} on were moved to {copy}",
                        folder.join(name).display()
                    ));
                }
            }
        }
        let writer = self.store.writer()?;
        writer.set_warc_length(name, end)?;
        writer.commit()?;
        self.repaired.indexed += indexed;
        if indexed > 0 {
            self.repaired.notes.push(format!(
                "{}: {} that the store did not know, and are indexed now",
                folder.join(name).display(),
                count(indexed, "archived page")
            ));
        }
        Ok(())
    }

    /// Indexes a page and adds its links. Answers whether it was not indexed before.
    fn index(&mut self, at: &WarcRef, page: &ArchivedResponse, is_feed_copy: bool) -> Result<bool> {
        let Some(url) = Url::parse(&page.url).ok().filter(|_| page.status == 200) else { return Ok(false) };
        let header = |name: &str| {
            let header = page.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            header.map(|(_, value)| value.as_str())
        };
        let content_type = if is_feed_copy { Some(FEED_COPY) } else { header("content-type") };
        if self.store.standing(&page.url)?.is_none() && !self.add(&url)? {
            return Ok(false);
        }
        let body_hash = blake3::hash(&page.body).to_hex().to_string();
        let body = FoundBody {
            url: &page.url,
            content_type,
            etag: header("etag"),
            last_modified: header("last-modified"),
            body_hash: &body_hash,
            warc: at,
            at: page.at,
        };
        let found = if is_feed_copy { Vec::new() } else { self.links(&url, page, content_type)? };
        let writer = self.store.writer()?;
        let indexed = writer.index_body(&body)?;
        for found in found.iter().filter(|_| indexed) {
            if writer.add_url(found)? {
                self.templates.added(found);
            }
        }
        writer.commit()?;
        Ok(indexed)
    }

    /// Adds a URL that the store does not know. Answers whether it is one of ours.
    fn add(&mut self, url: &Url) -> Result<bool> {
        let writer = self.store.writer()?;
        // The sites' entry points are known as such before anything else is found.
        for entry in self.scope.entries() {
            writer.add_url(&entry)?;
        }
        let is_entry = self.scope.entries().iter().any(|entry| entry.url == url.as_str());
        let is_ours = is_entry
            || match self.scope.found(url, url.as_str(), None, 1, None) {
                Ok(found) if found.url == url.as_str() => {
                    writer.add_url(&found)?;
                    true
                }
                _ => false,
            };
        writer.commit()?;
        if !is_ours && self.scope.site_of(url).is_none() {
            self.repaired.outside += 1;
            self.outside.extend(host_of(url));
        }
        Ok(is_ours)
    }

    /// What a page links, as far as it is to be followed.
    fn links(&mut self, url: &Url, page: &ArchivedResponse, content_type: Option<&str>) -> Result<Vec<Found>> {
        let Some(standing) = self.store.standing(&page.url)? else { return Ok(Vec::new()) };
        let visit = Visit {
            id: crate::record::PageId::of(&[page.url.as_bytes()]),
            url: page.url.clone(),
            site: String::new(),
            role: standing.role,
            depth: standing.depth,
            redirects: 0,
            attempts: 0,
            etag: None,
            last_modified: None,
            body_hash: None,
            is_lost: false,
            changed_at: None,
            interval: None,
        };
        // A sitemap or feed that cannot be read is said to be so when it is fetched next.
        let Ok(mut findings) = self.scope.found_in(&visit, url, &page.body, content_type) else {
            return Ok(Vec::new());
        };
        if let Some(Lead::Ours(found)) = findings.refresh.take() {
            findings.urls.push(found);
        }
        self.templates.keep_room(self.store, self.crawl.max_alike, findings.urls)
    }
}
