//! What a site's robots.txt allows us, by RFC 9309: the meaning of its status here, its lines in `parse`, the matching
//! of paths in `pattern`.

mod parse;
mod pattern;

use std::fmt;
use std::time::Duration;

use url::Url;

use parse::{Rules, product_token};
use pattern::Target;

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

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Forbidden => "forbidden",
        })
    }
}

/// A verdict with its grounds. Its `Display` is one line to be kept with the page:
/// `forbidden by line 5, Disallow: /search`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// Whether the URL may be fetched.
    pub verdict: Verdict,
    /// The line that decided, if one did.
    pub rule: Option<Rule>,
    /// What the verdict rests on.
    pub why: Why,
}

/// A line of a robots.txt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its number, from 1.
    pub line: u32,
    /// Field and pattern as written, without comment; a long pattern is cut.
    pub text: String,
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The rule given with it.
    Rule,
    /// None of the rules for us matches.
    NoMatch,
    /// No group is for us, not even one for all.
    NoGroup,
    /// The URL is robots.txt itself.
    RobotsFile,
    /// There is no file to go by: it was answered with this status, or not at all.
    Answer(Option<u16>),
}

impl fmt::Display for Ruling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verdict, rule, why } = self;
        match (rule, why) {
            (Some(Rule { line, text }), _) => write!(f, "{verdict} by line {line}, {text}"),
            (None, Why::Rule | Why::NoMatch) => write!(f, "{verdict}: no rule matches"),
            (None, Why::NoGroup) => write!(f, "{verdict}: robots.txt has no rules for us"),
            (None, Why::RobotsFile) => write!(f, "{verdict}: robots.txt itself always is"),
            (None, Why::Answer(Some(status))) => write!(f, "{verdict}: robots.txt answered {status}"),
            (None, Why::Answer(None)) => write!(f, "{verdict}: robots.txt did not answer"),
        }
    }
}

/// The rules of one host for one crawler.
#[derive(Debug)]
pub struct Robots(Access);

#[derive(Debug)]
enum Access {
    /// The host has no robots.txt.
    Everything(u16),
    /// It cannot be known what the host forbids.
    Nothing(Option<u16>),
    Rules(Rules),
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
        Self(match status {
            Some(200..=299) => {
                let token = String::from_utf8_lossy(product_token(agent.as_bytes()));
                Access::Rules(Rules::parse(whole_lines(body), &token))
            }
            Some(status) if Self::is_known(Some(status)) => Access::Everything(status),
            _ => Access::Nothing(status),
        })
    }

    /// Whether a status (`None`: no answer) tells what the host allows: the last row of the table above does not.
    pub fn is_known(status: Option<u16>) -> bool {
        matches!(status, Some(200..=499)) && status != Some(429)
    }

    /// Whether `url` (of this host) may be fetched. `/robots.txt` itself always may.
    pub fn verdict(&self, url: &Url) -> Verdict {
        self.ruling(url).verdict
    }

    /// Whether `url` (of this host) may be fetched, and why.
    pub fn ruling(&self, url: &Url) -> Ruling {
        let without_rule = |verdict, why| Ruling { verdict, rule: None, why };
        if url.path() == "/robots.txt" {
            return without_rule(Verdict::Allowed, Why::RobotsFile);
        }
        match &self.0 {
            Access::Everything(status) => without_rule(Verdict::Allowed, Why::Answer(Some(*status))),
            Access::Nothing(status) => without_rule(Verdict::Forbidden, Why::Answer(*status)),
            Access::Rules(rules) => match rules.deciding(&Target::of(url)) {
                Some((verdict, rule)) => Ruling { verdict, rule: Some(rule), why: Why::Rule },
                None if rules.addressed => without_rule(Verdict::Allowed, Why::NoMatch),
                None => without_rule(Verdict::Allowed, Why::NoGroup),
            },
        }
    }

    /// The delay between requests that the site asks us for: the longest that the groups for us name.
    pub fn crawl_delay(&self) -> Option<Duration> {
        match &self.0 {
            Access::Rules(rules) => rules.delay,
            Access::Everything(_) | Access::Nothing(_) => None,
        }
    }

    /// The sitemaps that the site names, as written: mostly absolute URLs, in the order of the file.
    pub fn sitemaps(&self) -> Vec<String> {
        match &self.0 {
            Access::Rules(rules) => rules.sitemaps.clone(),
            Access::Everything(_) | Access::Nothing(_) => Vec::new(),
        }
    }
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
    use proptest::prelude::*;

    const AGENT: &str = "kopri/0.1 (+https://example.org/bot)";

    fn verdict(robots: &Robots, path: &str) -> Verdict {
        robots.verdict(&Url::parse(&format!("http://bossan.test{path}")).unwrap())
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

    /// A file's verdict on one path, for the agent `kopri`.
    fn says(body: &str, path: &str) -> bool {
        verdict(&Robots::from_response(Some(200), body.as_bytes(), AGENT), path) == Verdict::Allowed
    }

    #[test]
    fn the_simple_example_of_the_rfc() {
        // Section 5.1, by the names of this project.
        let body = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                    User-Agent: foobot\nDisallow: /\nAllow: /example/page.html\nAllow: /example/allowed.gif\n\n\
                    User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\n\
                    User-Agent: quxbot\n";
        let table = [
            ("foobot", "/example/page.html", true),
            ("foobot", "/example/allowed.gif", true),
            ("foobot", "/publications/1", false),
            ("barbot", "/example/page.html", false),
            ("bazbot", "/example/page.html", false),
            ("bazbot", "/example/allowed.gif", true),
            ("quxbot", "/example/page.html", true),
            ("otherbot", "/example/page.html", false),
            ("otherbot", "/pictures/1.gif", false),
            ("otherbot", "/publications/1.gif", true),
            ("otherbot", "/about", true),
        ];
        for (agent, path, allowed) in table {
            let robots = Robots::from_response(Some(200), body.as_bytes(), agent);
            assert_eq!(verdict(&robots, path) == Verdict::Allowed, allowed, "{agent} at {path}");
        }
        // Section 5.2: the longest match.
        let body = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
        let robots = Robots::from_response(Some(200), body.as_bytes(), "foobot");
        assert_eq!(verdict(&robots, "/example/page/disallowed.gif"), Verdict::Forbidden);
        assert_eq!(verdict(&robots, "/example/page/other.gif"), Verdict::Allowed);
    }

    #[test]
    fn groups_by_table() {
        // Each: the file, then what is forbidden, then what is allowed.
        let table: [(&str, &[&str], &[&str]); 14] = [
            ("", &[], &["/"]),
            ("Disallow: /", &[], &["/"]),
            (
                "User-agent: kopri\nDisallow: /a\nUser-agent: other\nDisallow: /b\nUser-agent: KOPRI\nDisallow: /c",
                &["/a", "/c"],
                &["/b"],
            ),
            (
                "User-agent: *\nDisallow: /a\nUser-agent: x\nDisallow: /b\nUser-agent: *\nDisallow: /c",
                &["/a", "/c"],
                &["/b"],
            ),
            ("User-agent: *\nDisallow: /\nUser-agent: kopri\nDisallow:", &[], &["/a"]),
            ("User-agent: kopri\nUser-agent: other\nDisallow: /a", &["/a"], &["/b"]),
            ("User-agent: kopri\nCrawl-delay: 5\nUser-agent: other\nDisallow: /a", &["/a"], &["/b"]),
            (
                "User-agent: other\n\n# a word\nSitemap: /s.xml\nHost: b.test\n\nUser-agent: kopri\nDisallow: /a",
                &["/a"],
                &["/b"],
            ),
            ("User-agent: kopri\nDisallow: /a\n\nClean-param: s /\nnonsense\n\nDisallow: /b", &["/a", "/b"], &["/c"]),
            ("User-agent: other\nDisallow:\nUser-agent: kopri\nDisallow: /a", &["/a"], &["/b"]),
            ("User-agent: kopri-news\nDisallow: /\nUser-agent: kop\nDisallow: /", &[], &["/a"]),
            ("User-agent: Kopri/2.0 (beta)\nDisallow: /a", &["/a"], &["/b"]),
            ("User-agent: * # all\nDisallow: /a # this\nDisallow: #/b", &["/a"], &["/b"]),
            ("User-agent: *kopri\nDisallow: /\nUser-agent:\nDisallow: /", &[], &["/a"]),
        ];
        for (body, forbidden, allowed) in table {
            for path in forbidden {
                assert!(!says(body, path), "{path} in {body:?}");
            }
            for path in allowed {
                assert!(says(body, path), "{path} in {body:?}");
            }
        }
    }

    #[test]
    fn lines_are_written_in_many_ways() {
        for body in [
            "User-agent: *\rDisallow: /a\rAllow: /a/b\r",
            "User-agent: *\r\nDisallow: /a\r\nAllow: /a/b",
            "  USER-AGENT\t: *  \n\t disallow :/a\nALLOW:\t/a/b \t",
            "\u{feff}User-agent: *\n\n\n\rDisallow: /a\n\nAllow: /a/b\u{c}",
        ] {
            assert!(!says(body, "/a/c") && says(body, "/a/b") && says(body, "/"), "{body:?}");
        }
        assert!(says("User-agent: *\nDisallow /a\nDisalow: /a\n", "/a"), "no colon, no such field");
        let long = format!("User-agent: *\nDisallow: /a{}\nDisallow: /b", "*".repeat(20_000));
        assert!(says(&long, "/a") && !says(&long, "/b"), "a line beyond reason is no line");
    }

    #[test]
    fn the_most_octets_win_and_allow_wins_ties() {
        assert!(says("User-agent: *\nDisallow: /ru\nAllow: /ru", "/ru/1"));
        assert!(says("User-agent: *\nAllow: /ru\nDisallow: /ru", "/ru/1"));
        assert!(!says("User-agent: *\nAllow: /ru\nDisallow: /ru/", "/ru/1"));
        assert!(!says("User-agent: *\nAllow: /page\nDisallow: /*.htm", "/page.htm"));
        assert!(says("User-agent: *\nAllow: /page\nDisallow: /*.ph", "/page.php"));
        assert!(says("User-agent: *\nAllow: /$\nDisallow: /", "/"));
        assert!(!says("User-agent: *\nAllow: /$\nDisallow: /", "/a"));
    }

    #[test]
    fn delays_and_sitemaps() {
        let delay = |body: &str| Robots::from_response(Some(200), body.as_bytes(), AGENT).crawl_delay();
        let seconds = |seconds| Some(Duration::from_secs_f64(seconds));
        assert_eq!(delay("User-agent: *\nCrawl-delay: 0.5 # s"), seconds(0.5));
        assert_eq!(
            delay("User-agent: *\nCrawl-delay: 9\nUser-agent: kopri\nDisallow: /a\nCrawl-delay: 2"),
            seconds(9.0)
        );
        assert_eq!(
            delay("User-agent: *\nDisallow: /b\nCrawl-delay: 9\nUser-agent: kopri\nCrawl-delay: 2"),
            seconds(2.0)
        );
        assert_eq!(delay("User-agent: *\nDisallow: /b\nCrawl-delay: 9\nUser-agent: kopri\nDisallow: /a"), None);
        assert_eq!(
            delay("User-agent: kopri\nCrawl-delay: 2\nDisallow:\nUser-agent: kopri\nCrawl-delay: 3"),
            seconds(3.0)
        );
        for value in ["", "-1", "soon", "NaN", "1,5", "10s"] {
            assert_eq!(delay(&format!("User-agent: *\nCrawl-delay: {value}")), None, "{value:?}");
        }
        let body = "Sitemap: http://a.test/1.xml\nUser-agent: x\nSITEMAP :/2.xml # two\nDisallow: /\nSitemap:\nsitemap:http://a.test/3.xml";
        let robots = Robots::from_response(Some(200), body.as_bytes(), AGENT);
        assert_eq!(robots.sitemaps(), ["http://a.test/1.xml", "/2.xml", "http://a.test/3.xml"]);
    }

    #[test]
    fn a_ruling_is_one_line_that_a_person_understands() {
        let body = "# rules\r\nUser-agent: *\r\n\r\ncrawl-delay: 1\r\ndisallow:/search # none\r\n\
                    Disallow: /ru/\r\nAllow:   /ru/news\r\n";
        let ruling = |status, body: &str, path: &str| {
            let robots = Robots::from_response(status, body.as_bytes(), AGENT);
            robots.ruling(&Url::parse("http://bossan.test/").unwrap().join(path).unwrap())
        };
        let shown = |status, body: &str, path: &str| ruling(status, body, path).to_string();
        assert_eq!(shown(Some(200), body, "/search?q=1"), "forbidden by line 5, Disallow: /search");
        assert_eq!(shown(Some(200), body, "/ru/news/1"), "allowed by line 7, Allow: /ru/news");
        assert_eq!(shown(Some(200), body, "/tm/"), "allowed: no rule matches");
        assert_eq!(shown(Some(200), "User-agent: x\nDisallow: /", "/tm/"), "allowed: robots.txt has no rules for us");
        assert_eq!(shown(Some(404), body, "/search"), "allowed: robots.txt answered 404");
        assert_eq!(shown(Some(503), body, "/tm/"), "forbidden: robots.txt answered 503");
        assert_eq!(shown(None, body, "/tm/"), "forbidden: robots.txt did not answer");
        assert_eq!(shown(None, "", "/robots.txt"), "allowed: robots.txt itself always is");
        assert!(shown(Some(200), "User-agent: *\nDisallow: /", "/robots.txt").starts_with("allowed"));
        let expected = Ruling {
            verdict: Verdict::Forbidden,
            rule: Some(Rule { line: 5, text: "Disallow: /search".to_owned() }),
            why: Why::Rule,
        };
        assert_eq!(ruling(Some(200), body, "/search"), expected);
        let long = format!("User-agent: *\nDisallow: /\u{1}*{}", "я*".repeat(300));
        let quoted = shown(Some(200), &long, &format!("/%01{}", "я".repeat(300)));
        assert!(quoted.starts_with("forbidden by line 2, Disallow: /\u{fffd}*я*") && quoted.ends_with('…'), "{quoted}");
        assert!(quoted.chars().count() < 250);
    }

    fn rule_lines() -> impl Strategy<Value = String> {
        let line = ("(Dis)?[Aa]llow: ?", "(/[ab]{0,2}){0,2}[*]?[a/]?[$]?").prop_map(|(field, pattern)| {
            let field = if field.starts_with("Dis") { "Disallow: " } else { "Allow: " };
            format!("{field}{pattern}\n")
        });
        proptest::collection::vec(line, 0..6).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>, path in "/[ -~]{0,20}", status in 100u16..600) {
            let url = Url::parse("http://bossan.test/").unwrap().join(&path);
            let robots = Robots::from_response(Some(status), &body, AGENT);
            if let Ok(url) = url {
                let _ = (robots.ruling(&url).to_string(), robots.crawl_delay(), robots.sitemaps());
            }
        }

        #[test]
        fn no_lines_make_it_panic(body in "((User-agent|Allow|Disallow|Crawl-delay|Sitemap|#|\\PC)[: ]{0,2}[*/%$a-c0-9.я-]{0,6}[\r\n]{0,2}){0,12}") {
            let robots = Robots::from_response(Some(200), body.as_bytes(), AGENT);
            let _ = (robots.ruling(&Url::parse("http://bossan.test/%a?b*$").unwrap()), robots.crawl_delay());
        }

        #[test]
        fn another_disallow_never_allows_more(rules in rule_lines(), prefix in "(/[ab]{0,2}){1,2}", path in "(/[ab]{0,2}){1,3}") {
            let before = format!("User-agent: kopri\n{rules}");
            let after = format!("{before}Disallow: {prefix}\n");
            prop_assert!(says(&before, &path) || !says(&after, &path));
        }

        #[test]
        fn the_order_of_rules_is_nothing(rules in rule_lines(), path in "(/[ab]{0,2}){1,3}") {
            let reversed: String = rules.lines().rev().map(|line| format!("{line}\n")).collect();
            prop_assert_eq!(
                says(&format!("User-agent: *\n{rules}"), &path),
                says(&format!("User-agent: *\n{reversed}"), &path),
            );
        }
    }
}
