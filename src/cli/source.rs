//! What `extract` and `site check` read: files, standard input, pages of the web.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

use url::Url;

use super::fetch::Fetcher;
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::extract::html;
use crate::files;
use crate::stage::crawl::Crawl;
use crate::stage::site::Site;

/// The largest input of a pipe; schoolbooks are the largest documents there are.
const MAX_PIPED: u64 = 500_000_000;

/// One thing to read, as it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Standard input.
    Pipe,
    /// A file.
    File(PathBuf),
    /// A page of the web.
    Web(Url),
}

/// Its bytes, and what is known of them.
#[derive(Debug)]
pub(super) struct Read {
    /// Where the page lies on the web, after redirects, if it was fetched from there.
    pub(super) url: Option<Url>,
    /// `Content-Type`, if a server named one.
    pub(super) content_type: Option<String>,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
}

impl Source {
    /// What the command line names. Without any name, standard input, if it is a pipe.
    ///
    /// # Errors
    /// Kind `Usage` when nothing is named and nothing is piped in, or for a broken URL.
    pub(super) fn all(names: &[String]) -> Result<Vec<Self>> {
        if names.is_empty() {
            if std::io::stdin().is_terminal() {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "nothing to read: name files or URLs, or pipe a page in (`curl … | kopri extract`)",
                ));
            }
            return Ok(vec![Self::Pipe]);
        }
        names.iter().map(|name| Self::of(name)).collect()
    }

    /// What one name stands for: `-`, a URL, a file.
    ///
    /// # Errors
    /// Kind `Usage` for a broken URL.
    pub(super) fn of(name: &str) -> Result<Self> {
        if name == "-" {
            return Ok(Self::Pipe);
        }
        if name.starts_with("http://") || name.starts_with("https://") {
            let url = Url::parse(name).context(ErrorKind::Usage, || format!("reading the URL {name:?}"))?;
            return Ok(Self::Web(url));
        }
        Ok(Self::File(PathBuf::from(name)))
    }

    /// Its name for people.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Pipe => "-".into(),
            Self::File(path) => path.display().to_string(),
            Self::Web(url) => url.to_string(),
        }
    }

    /// Reads it. `fetcher` is made when the first page of the web is asked for.
    ///
    /// # Errors
    /// As of files and of [`Fetcher::get`].
    pub(super) fn read(&self, fetcher: &mut LazyFetcher<'_>) -> Result<Read> {
        match self {
            Self::Pipe => {
                let mut bytes = Vec::new();
                let mut input = std::io::stdin().lock().take(MAX_PIPED + 1);
                input.read_to_end(&mut bytes).context(ErrorKind::Input, || "reading standard input".into())?;
                if bytes.len() as u64 > MAX_PIPED {
                    return Err(Error::input(format!("standard input is larger than {MAX_PIPED} bytes")));
                }
                Ok(Read { url: None, content_type: None, bytes })
            }
            Self::File(path) => Ok(Read { url: None, content_type: None, bytes: files::read(path)? }),
            Self::Web(url) => {
                let fetched = fetcher.get()?.get(url)?;
                Ok(Read { url: Some(fetched.url), content_type: fetched.content_type, bytes: fetched.body })
            }
        }
    }
}

/// A [`Fetcher`] that is made only when something is to be fetched.
pub(super) struct LazyFetcher<'a> {
    crawl: &'a Crawl,
    served: BTreeMap<String, std::net::SocketAddr>,
    fetcher: Option<Fetcher>,
}

impl<'a> LazyFetcher<'a> {
    /// For the settings of a crawl, and hosts that are served somewhere else than DNS says.
    pub(super) fn new(crawl: &'a Crawl, served: BTreeMap<String, std::net::SocketAddr>) -> Self {
        Self { crawl, served, fetcher: None }
    }

    fn get(&mut self) -> Result<&mut Fetcher> {
        if self.fetcher.is_none() {
            self.fetcher = Some(Fetcher::new(self.crawl, self.served.clone())?);
        }
        self.fetcher.as_mut().ok_or_else(|| Error::bug("a fetcher that was just made is not there"))
    }
}

/// Where a page lies. A file does not say, but most pages name their own address; it tells the language switch from
/// other links.
pub(super) fn address(html: &str, known: Option<&Url>) -> Result<Url> {
    if let Some(url) = known {
        return Ok(url.clone());
    }
    let nowhere =
        Url::parse("http://localhost/").map_err(|error| Error::with_source(ErrorKind::Bug, "a fixed URL", error))?;
    let canonical = html::canonical(html, &nowhere).and_then(|url| Url::parse(&url).ok());
    Ok(canonical.unwrap_or(nowhere))
}

/// The site whose host a URL is on.
pub(super) fn site_of<'a>(sites: &'a [Site], url: &Url) -> Option<&'a Site> {
    let host = url.host_str()?;
    let with_port = url.port().map(|port| format!("{host}:{port}"));
    sites.iter().find(|site| {
        site.hosts.iter().any(|known| {
            known.eq_ignore_ascii_case(host)
                || with_port.as_ref().is_some_and(|named| known.eq_ignore_ascii_case(named))
        })
    })
}

/// Splits `PIPELINE.toml:SITE`. A file that is really called so is taken whole.
pub(super) fn split_site(text: &str) -> (PathBuf, Option<&str>) {
    match text.rsplit_once(':') {
        Some((file, site)) if !site.is_empty() && !site.contains(['/', '\\']) && !Path::new(text).exists() => {
            (PathBuf::from(file), Some(site))
        }
        _ => (PathBuf::from(text), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_pipes_urls_or_files() {
        let kind = |name: &str| Source::of(name).unwrap();
        assert_eq!(kind("-"), Source::Pipe);
        assert_eq!(kind("a.html"), Source::File("a.html".into()));
        assert!(matches!(kind("https://a.test/x"), Source::Web(_)));
        assert_eq!(Source::of("http://").unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn a_site_behind_a_colon() {
        assert_eq!(split_site("p.toml:orient"), (PathBuf::from("p.toml"), Some("orient")));
        assert_eq!(split_site("p.toml"), (PathBuf::from("p.toml"), None));
        assert_eq!(split_site("C:/p.toml").1, None);
    }

    #[test]
    fn a_saved_page_says_where_it_lies() {
        let named = address("<link rel=canonical href='https://a.test/ru/1'>", None).unwrap();
        assert_eq!(named.as_str(), "https://a.test/ru/1");
        assert_eq!(address("<p>", None).unwrap().as_str(), "http://localhost/");
    }
}
