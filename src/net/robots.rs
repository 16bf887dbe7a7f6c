//! What a site's robots.txt allows us, by RFC 9309. The grammar is the crate's; the rules for statuses are here.

use std::time::Duration;

use texting_robots::Robot;
use url::Url;

/// As much of a robots.txt as is read, in bytes: what RFC 9309 (section 2.5) asks for at least.
pub const MAX_BYTES: usize = 500 * 1024;

/// The longest `Crawl-delay` taken at its word. One beyond it (`1e30` has been seen) comes out as one day.
const MAX_CRAWL_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a URL may be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It must not.
    Forbidden,
}

/// The rules of one host for one crawler.
#[derive(Debug)]
pub struct Robots(Access);

#[derive(Debug)]
enum Access {
    Everything,
    Nothing,
    Rules(Robot),
}

impl Robots {
    /// Judges the answer to `GET /robots.txt`.
    ///
    /// `status` is that of the last hop (the crawler follows at least five), `None` when there was no answer at all.
    /// `agent` is our `User-Agent` or only its product token; what counts is the token, `kopri` of `kopri/0.1 (+…)`.
    ///
    /// | status | means |
    /// |---|---|
    /// | 2xx | the body's rules |
    /// | 3xx (hops used up), 4xx | there is no robots.txt: everything is allowed |
    /// | 429, 5xx, anything else, no answer | it cannot be known: nothing is allowed |
    ///
    /// 429 is our one step beyond the RFC (Google takes the same): a host that asks for fewer requests has not said
    /// that it has no rules.
    pub fn from_response(status: Option<u16>, body: &[u8], agent: &str) -> Self {
        if !Self::is_known(status) {
            return Self(Access::Nothing);
        }
        Self(match status {
            Some(200..=299) => match Robot::new(product_token(agent), whole_lines(body)) {
                Ok(robot) => Access::Rules(robot),
                // Only a pattern too large to compile; what the site forbids is unknown then.
                Err(_) => Access::Nothing,
            },
            _ => Access::Everything,
        })
    }

    /// Whether a status (`None`: no answer) tells what the host allows: the last row of the table above does not.
    pub fn is_known(status: Option<u16>) -> bool {
        matches!(status, Some(200..=499)) && status != Some(429)
    }

    /// Whether `url` (of this host) may be fetched. `/robots.txt` itself always may.
    pub fn verdict(&self, url: &Url) -> Verdict {
        let allowed = match &self.0 {
            Access::Everything => true,
            Access::Nothing => url.path() == "/robots.txt",
            Access::Rules(robot) => robot.allowed(url.as_str()),
        };
        if allowed { Verdict::Allowed } else { Verdict::Forbidden }
    }

    /// The delay between requests that the site asks us for.
    pub fn crawl_delay(&self) -> Option<Duration> {
        let Access::Rules(Robot { delay: Some(seconds), .. }) = &self.0 else { return None };
        Some(Duration::try_from_secs_f32(*seconds).unwrap_or(MAX_CRAWL_DELAY).min(MAX_CRAWL_DELAY))
    }

    /// The sitemaps that the site names, as written: mostly absolute URLs, in the order of the file.
    pub fn sitemaps(&self) -> Vec<String> {
        match &self.0 {
            Access::Rules(robot) => robot.sitemaps.clone(),
            Access::Everything | Access::Nothing => Vec::new(),
        }
    }
}

/// The product token of a `User-Agent`: its first run of letters, `-` and `_` (RFC 9309, section 2.2.1).
fn product_token(agent: &str) -> &str {
    let end = agent.find(|c: char| !(c.is_ascii_alphabetic() || c == '-' || c == '_')).unwrap_or(agent.len());
    &agent[..end]
}

/// The body up to the limit, cut at the end of a line: half of `Disallow: /private` would be quite another rule.
fn whole_lines(body: &[u8]) -> &[u8] {
    if body.len() <= MAX_BYTES {
        return body;
    }
    let head = &body[..MAX_BYTES];
    let end = head.iter().rposition(|&byte| byte == b'\n' || byte == b'\r').map_or(0, |at| at + 1);
    &head[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGENT: &str = "kopri/0.1 (+https://example.org/bot)";

    fn verdict(robots: &Robots, path: &str) -> Verdict {
        robots.verdict(&Url::parse("http://bossan.test/").unwrap().join(path).unwrap())
    }

    #[test]
    fn statuses_by_the_rfc() {
        let forbids = b"User-agent: *\nDisallow: /";
        let expected = [
            (Some(200), Verdict::Forbidden),
            (Some(206), Verdict::Forbidden),
            (Some(301), Verdict::Allowed),
            (Some(401), Verdict::Allowed),
            (Some(403), Verdict::Allowed),
            (Some(404), Verdict::Allowed),
            (Some(410), Verdict::Allowed),
            (Some(429), Verdict::Forbidden),
            (Some(500), Verdict::Forbidden),
            (Some(503), Verdict::Forbidden),
            (None, Verdict::Forbidden),
        ];
        for (status, expected) in expected {
            let robots = Robots::from_response(status, forbids, AGENT);
            assert_eq!(verdict(&robots, "/ru/news/1"), expected, "{status:?}");
            if status != Some(200) && status != Some(206) {
                assert!(robots.sitemaps().is_empty() && robots.crawl_delay().is_none());
            }
        }
    }

    #[test]
    fn our_group_wins_over_the_one_for_all_and_the_longest_rule_over_the_shorter() {
        let body = "\u{feff}User-agent: *\nDisallow: /\n\nUser-agent: Kopri\nDisallow: /ru/\nAllow: /ru/news\n\
                    Disallow: /*.pdf$\nDisallow: /новости\nCrawl-delay: 2.5\nSitemap: http://bossan.test/sitemap.xml\n";
        let robots = Robots::from_response(Some(200), body.as_bytes(), AGENT);
        assert_eq!(verdict(&robots, "/tm/news/1"), Verdict::Allowed);
        assert_eq!(verdict(&robots, "/ru/about"), Verdict::Forbidden);
        assert_eq!(verdict(&robots, "/ru/news/1"), Verdict::Allowed);
        assert_eq!(verdict(&robots, "/book.pdf"), Verdict::Forbidden);
        assert_eq!(verdict(&robots, "/book.pdf?page=2"), Verdict::Allowed);
        assert_eq!(verdict(&robots, "/новости/1"), Verdict::Forbidden);
        assert_eq!(robots.crawl_delay(), Some(Duration::from_millis(2500)));
        assert_eq!(robots.sitemaps(), ["http://bossan.test/sitemap.xml"]);
        assert_eq!(verdict(&Robots::from_response(Some(200), body.as_bytes(), "other"), "/tm/"), Verdict::Forbidden);
    }

    #[test]
    fn an_absurd_delay_is_one_day() {
        for delay in ["1e30", "inf", "99999999"] {
            let body = format!("User-agent: *\nCrawl-delay: {delay}\n");
            let robots = Robots::from_response(Some(200), body.as_bytes(), AGENT);
            assert_eq!(robots.crawl_delay(), Some(MAX_CRAWL_DELAY), "{delay}");
        }
    }

    #[test]
    fn a_file_over_the_limit_is_cut_between_lines() {
        let mut body = b"User-agent: *\nDisallow: /private\n".to_vec();
        let last_rule = b"Disallow: /tm/archive\n";
        // The cut would fall after `Disallow: /`, which would forbid the whole site.
        while body.len() < MAX_BYTES - 11 {
            body.push(if body.len() == MAX_BYTES - 12 { b'\n' } else { b'#' });
        }
        body.extend_from_slice(last_rule);
        assert!(body[..MAX_BYTES].ends_with(b"Disallow: /"));
        let robots = Robots::from_response(Some(200), &body, AGENT);
        assert_eq!(verdict(&robots, "/private/1"), Verdict::Forbidden);
        assert_eq!(verdict(&robots, "/tm/news"), Verdict::Allowed);
    }

    #[test]
    fn a_page_in_place_of_the_file_has_no_rules() {
        let robots = Robots::from_response(Some(200), b"<!DOCTYPE html><html><body>Not found</body></html>", AGENT);
        assert_eq!(verdict(&robots, "/"), Verdict::Allowed);
    }
}
