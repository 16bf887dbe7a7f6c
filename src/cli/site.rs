//! `site check`: what a site's profile takes from its pages, beside what the generic extractor takes.

mod check;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::source::{LazyFetcher, Source, address, site_of};
use super::{Common, DONE, json_line, print, say};
use crate::error::{Error, ErrorKind, Result, exit};
use crate::extract::charset;
use crate::net::SiteServer;
use crate::pipeline::Pipeline;
use crate::stage::site::Site;
use crate::store::open::Access;
use crate::store::{Store, warc};
use check::{PageCheck, SiteCheck};

/// Arguments of `site`.
#[derive(Debug, Args)]
pub(super) struct SiteArgs {
    #[command(subcommand)]
    command: SiteCommand,
}

#[derive(Debug, Subcommand)]
enum SiteCommand {
    /// Show what a site's selectors take from a page beside what the generic extractor takes.
    Check(CheckArgs),
}

/// Arguments of `site check`.
#[derive(Debug, Args)]
#[command(after_help = EXPLANATION)]
struct CheckArgs {
    #[command(flatten)]
    common: Common,
    /// Pages to look at closely; without any, a table of each site's newest archived articles.
    #[arg(value_name = "URL|FILE")]
    pages: Vec<String>,
    /// The site whose selectors are meant; a URL's is known by its host.
    #[arg(long, value_name = "NAME")]
    site: Option<String>,
    /// Archived articles of each site in the table.
    #[arg(long, value_name = "N", default_value_t = 20)]
    sample: u32,
    /// Ask the web for the page even if it is archived.
    #[arg(long)]
    fresh: bool,
    /// End with exit code 4 if a page's agreement, or a site's median in the table, lies under this floor (0 to 1).
    #[arg(long, value_name = "FLOOR")]
    min_agreement: Option<f64>,
    /// Columns of the terminal.
    #[arg(long, value_name = "COLUMNS", default_value_t = 110)]
    width: usize,
}

const EXPLANATION: &str = "\
Agreement is the F1 of the four-word runs that both texts share, 0 to 1.

Values and blocks                       Selectors
  =  both take it                         ✓  what was taken
  <  only the profile                     ·  matches, but was not needed or reads as nothing
  >  only the generic extractor           ✗  matches nothing

A URL is read from the page archive; if it is not there, or with --fresh, from the web, as
politely as a crawl.

Exit codes: 0, 3 when a page could not be read, 4 when an agreement lies under --min-agreement.

Examples:
  kopri site check pipelines/demo.toml
  kopri site check pipelines/demo.toml --site bossan --sample 100 --min-agreement 0.8
  kopri site check pipelines/demo.toml http://yelken.test/ru/post/70104/futzal-denizchi-vyrval-pobedu-na-posledney-minute
  kopri site check pipelines/turkmen-russian.toml saved.html --site orient";

pub(super) fn site(arguments: &SiteArgs) -> Result<u8> {
    let SiteCommand::Check(check) = &arguments.command;
    if check.min_agreement.is_some_and(|floor| !(0.0..=1.0).contains(&floor)) {
        return Err(usage("--min-agreement is a number from 0 to 1".into()));
    }
    let pipeline = check.common.load()?;
    if let Some(name) = &check.site {
        named(&pipeline, name)?;
    }
    // Without a workspace there is no archive, and pages come from files and the web.
    let store = match Store::open(&pipeline.workspace_folder(), Access::Read) {
        Err(error) if error.kind() == ErrorKind::Usage => None,
        other => Some(other?),
    };
    let report = if check.pages.is_empty() {
        let store = store.ok_or_else(|| {
            usage("there are no archived pages yet: run the pipeline, or name URLs or files to check".into())
        })?;
        table(check, &pipeline, &store)?
    } else {
        pages(check, &pipeline, store.as_ref())?
    };
    Ok(match (report.failed, report.under) {
        (true, _) => exit::SOME_FAILED,
        (false, true) => exit::GATE,
        (false, false) => DONE,
    })
}

/// What the exit code tells.
#[derive(Default)]
struct Outcome {
    failed: bool,
    under: bool,
}

impl Outcome {
    fn note(&mut self, agreement: Option<f64>, floor: Option<f64>) {
        self.under |= floor.is_some_and(|floor| agreement.is_some_and(|agreement| agreement < floor));
    }
}

/// Every page that is named, closely.
fn pages(check: &CheckArgs, pipeline: &Pipeline, store: Option<&Store>) -> Result<Outcome> {
    let served: Vec<(String, PathBuf)> =
        pipeline.serve.iter().map(|serve| (serve.host.clone(), pipeline.folder.join(&serve.folder))).collect();
    let server = if served.is_empty() { None } else { Some(SiteServer::start(&served)?) };
    let resolve = server.as_ref().map_or_else(BTreeMap::new, SiteServer::resolve);
    let mut fetcher = LazyFetcher::new(&pipeline.crawl, resolve);
    let mut outcome = Outcome::default();
    for (number, name) in check.pages.iter().enumerate() {
        let source = Source::of(name)?;
        match one_page(check, pipeline, store, &source, &mut fetcher) {
            Ok(page) => {
                outcome.note(page.agreement, check.min_agreement);
                if check.common.json {
                    print(&json_line(&page)?)?;
                } else {
                    let gap = if number > 0 { "\n" } else { "" };
                    print(&format!("{gap}{}", show::page(&page, check.width, show::colour())))?;
                }
            }
            Err(error) if error.kind() == ErrorKind::Usage => return Err(error),
            Err(error) => {
                say(&format!("error: {error}"));
                outcome.failed = true;
            }
        }
    }
    Ok(outcome)
}

fn one_page(
    check: &CheckArgs,
    pipeline: &Pipeline,
    store: Option<&Store>,
    source: &Source,
    fetcher: &mut LazyFetcher<'_>,
) -> Result<PageCheck> {
    let site = match (&check.site, source) {
        (Some(name), _) => named(pipeline, name)?,
        (None, Source::Web(url)) => site_of(&pipeline.site, url).ok_or_else(|| {
            usage(format!("{url} is on no host of the pipeline's sites: name one by --site, of {}", names(pipeline)))
        })?,
        (None, _) => match pipeline.site.as_slice() {
            [site] => site,
            _ => return Err(usage(format!("which site's selectors? --site NAME, of {}", names(pipeline)))),
        },
    };
    if let (Source::Web(url), Some(store), false) = (source, store, check.fresh)
        && let Some(archived) = archived(store, url.as_str())?
    {
        return check::page(url.as_str(), "archive", &archived, url, site);
    }
    let read = source.read(fetcher)?;
    let text = charset::decode(&read.bytes, read.content_type.as_deref()).text;
    let url = address(&text, read.url.as_ref())?;
    let origin = if read.url.is_some() { "web" } else { "file" };
    check::page(&source.name(), origin, &text, &url, site)
}

/// The text of a page in the archive, if it is there.
fn archived(store: &Store, url: &str) -> Result<Option<String>> {
    let Some(page) = store.page(url)? else { return Ok(None) };
    let response = warc::read(&store.pages_folder(), &page.warc)?;
    Ok(Some(charset::decode(&response.body, page.content_type.as_deref()).text.to_string()))
}

/// The newest archived articles of each site that has a profile.
fn table(check: &CheckArgs, pipeline: &Pipeline, store: &Store) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let mut shown = 0;
    for site in &pipeline.site {
        let is_meant = check.site.as_ref().is_none_or(|name| *name == site.name);
        if !is_meant || site.extract.is_none() {
            continue;
        }
        let mut checks = Vec::new();
        for url in store.newest_articles(&site.name, check.sample)? {
            let address = url::Url::parse(&url)
                .map_err(|error| Error::with_source(ErrorKind::Bug, format!("the archive names {url:?}"), error))?;
            if let Some(text) = archived(store, &url)? {
                checks.push(check::page(&url, "archive", &text, &address, site)?);
            }
        }
        let site_check = SiteCheck::of(&site.name, checks);
        outcome.note(site_check.median, check.min_agreement);
        if check.common.json {
            print(&json_line(&site_check)?)?;
        } else {
            let gap = if shown > 0 { "\n" } else { "" };
            print(&format!("{gap}{}", show::site(&site_check, check.width, show::colour())))?;
        }
        shown += 1;
    }
    if shown == 0 {
        say("none of these sites has a profile ([site.extract]): there is nothing to compare");
    }
    Ok(outcome)
}

fn named<'a>(pipeline: &'a Pipeline, name: &str) -> Result<&'a Site> {
    let site = pipeline.site.iter().find(|site| site.name == name);
    site.ok_or_else(|| usage(format!("the pipeline has no site {name:?}; it has {}", names(pipeline))))
}

fn names(pipeline: &Pipeline) -> String {
    pipeline.site.iter().map(|site| site.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn usage(message: String) -> Error {
    Error::new(ErrorKind::Usage, message)
}
