//! One page of the web for a person at the terminal, asked for as politely as the crawl asks: robots.txt first, a
//! contact for hosts of the real web, no private addresses, redirects followed one by one under the same rules.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Instant;

use url::Url;

use crate::error::{Error, ErrorKind, Result};
use crate::net::{Client, GetRequest, Response, Robots, Settings, Verdict};
use crate::stage::crawl::Crawl;

/// Redirects followed from a URL.
const MAX_REDIRECTS: usize = 5;

/// A page as it came.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where it was found, after redirects.
    pub(super) url: Url,
    /// `Content-Type`.
    pub(super) content_type: Option<String>,
    /// The body.
    pub(super) body: Vec<u8>,
}

/// Asks for pages, one after another.
#[derive(Debug)]
pub(super) struct Fetcher {
    client: Client,
    crawl: Crawl,
    served: BTreeMap<String, SocketAddr>,
    /// By origin.
    robots: HashMap<String, Robots>,
    /// When a host was last asked for a page.
    asked: HashMap<String, Instant>,
}

impl Fetcher {
    /// Asks as the crawl of these settings does. Hosts in `served` are reached where it says.
    pub(super) fn new(crawl: &Crawl, served: BTreeMap<String, SocketAddr>) -> Result<Self> {
        let settings = Settings {
            timeout: crawl.timeout.0,
            max_body_bytes: crawl.max_page.0,
            resolve: served.clone(),
            allow_private_hosts: crawl.allow_private.iter().cloned().collect(),
            ..Settings::new(crawl.agent())
        };
        Ok(Self {
            client: Client::new(&settings)?,
            crawl: crawl.clone(),
            served,
            robots: HashMap::new(),
            asked: HashMap::new(),
        })
    }

    /// Gets a page, through redirects.
    ///
    /// # Errors
    /// Kind `Usage` without a contact; kind `Network` for all else: robots.txt forbids it or cannot be known, the
    /// server does not answer 200, the redirects do not end.
    pub(super) fn get(&mut self, url: &Url) -> Result<Fetched> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.one(&url)?;
            if !(300..400).contains(&response.status) {
                if response.status != 200 {
                    return Err(refusal(format!("{url}: the server answered {}", response.status)));
                }
                let content_type = response.header("content-type").map(str::to_owned);
                return Ok(Fetched { url, content_type, body: response.body });
            }
            url = response.location().ok_or_else(|| {
                refusal(format!("{url}: the server answered {} and does not say where to", response.status))
            })?;
        }
        Err(refusal(format!("more than {MAX_REDIRECTS} redirects, the last to {url}")))
    }

    /// One request, if we may make it and when we may.
    fn one(&mut self, url: &Url) -> Result<Response> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let is_local = self.served.contains_key(&host) || self.crawl.allow_private.contains(&host);
        if !is_local && self.crawl.contact.is_none() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "{url} was not asked for: its owner must be able to reach you. Give --contact (or KOPRI_CONTACT, or \
                     crawl.contact) a URL or mail address; for a host of your own, --allow-private {host}"
                ),
            ));
        }
        let origin = url.origin().ascii_serialization();
        if !self.robots.contains_key(&origin) {
            let robots = self.read_robots(url)?;
            self.robots.insert(origin.clone(), robots);
        }
        let robots = &self.robots[&origin];
        if robots.verdict(url) == Verdict::Forbidden {
            return Err(refusal(format!("{url} was not asked for: robots.txt of {host} forbids it")));
        }
        let delay = if is_local { None } else { Some(self.crawl.delay.0) }.max(robots.crawl_delay());
        if let (Some(last), Some(delay)) = (self.asked.get(&host), delay) {
            std::thread::sleep(delay.saturating_sub(last.elapsed()));
        }
        let response = self.client.get(&GetRequest::new(url))?;
        self.asked.insert(host, Instant::now());
        Ok(response)
    }

    fn read_robots(&self, url: &Url) -> Result<Robots> {
        let robots = url.join("/robots.txt").map_err(|_| Error::bug("no robots.txt beside a URL"))?;
        let unknown = |why: String| {
            refusal(format!("{url} was not asked for, since what {robots} allows is unknown ({why}): try later"))
        };
        let response = self.client.get_robots(&robots).map_err(|error| unknown(Error::from(error).to_string()))?;
        if !Robots::is_known(Some(response.status)) {
            return Err(unknown(format!("the server answered {}", response.status)));
        }
        Ok(Robots::from_response(Some(response.status), &response.body, &self.crawl.agent()))
    }
}

fn refusal(message: String) -> Error {
    Error::new(ErrorKind::Network, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::SiteServer;

    fn fetcher(files: &[(&str, &str)], contact: Option<&str>) -> (Fetcher, SiteServer, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let server = SiteServer::start(&[("site.test".to_owned(), folder.path().to_path_buf())]).unwrap();
        let crawl = Crawl { contact: contact.map(str::to_owned), ..Crawl::default() };
        (Fetcher::new(&crawl, server.resolve()).unwrap(), server, folder)
    }

    fn get(fetcher: &mut Fetcher, url: &str) -> Result<Fetched> {
        fetcher.get(&Url::parse(url).unwrap())
    }

    #[test]
    fn robots_redirects_and_statuses() {
        let files = [
            ("robots.txt", "User-agent: *\nDisallow: /secret\n"),
            ("a.html", "<p>a"),
            ("_redirects", "/old /a.html 301\n/round /round 302\n/hidden /secret.html 302\n"),
            ("secret.html", "<p>s"),
        ];
        let (mut fetcher, _server, _folder) = fetcher(&files, None);
        let page = get(&mut fetcher, "http://site.test/old").unwrap();
        assert_eq!((page.url.path(), page.body.as_slice()), ("/a.html", b"<p>a".as_slice()));
        for (path, word) in [
            ("/secret.html", "forbids"),
            ("/hidden", "forbids"),
            ("/round", "more than 5 redirects"),
            ("/none", "answered 404"),
        ] {
            let error = get(&mut fetcher, &format!("http://site.test{path}")).unwrap_err().to_string();
            assert!(error.contains(word), "{path}: {error}");
        }
    }

    #[test]
    fn the_real_web_needs_a_contact_and_private_hosts_a_word() {
        let (mut without, _server, _folder) = fetcher(&[], None);
        let error = get(&mut without, "http://example.org/").unwrap_err();
        assert!(error.kind() == ErrorKind::Usage && error.to_string().contains("--contact"), "{error}");
        let (mut with, _server, _folder) = fetcher(&[], Some("me@example.org"));
        let error = get(&mut with, "http://127.0.0.1:9/").unwrap_err().to_string();
        assert!(error.contains("loopback"), "{error}");
    }
}
