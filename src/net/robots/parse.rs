//! The lines of a robots.txt and the groups that they make (RFC 9309, sections 2.1 and 2.2.1).

use std::time::Duration;

use super::pattern::{Pattern, Target};
use super::{MAX_CRAWL_DELAY, Rule, Verdict};

/// The longest line that is read, in bytes. Three octets for each character of the longest URL that is followed, twice
/// over: a longer line is no rule that could ever matter.
const MAX_LINE: usize = 16 * 1024;

/// How much of a line is quoted with a ruling, in characters.
const QUOTED: usize = 200;

/// What a robots.txt says to one crawler.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// Whether any group is for us, by name or by `*`.
    pub(super) addressed: bool,
    lines: Vec<Line>,
    /// The longest `Crawl-delay` of our groups.
    pub(super) delay: Option<Duration>,
    /// The value of each `Sitemap`, wherever it stands.
    pub(super) sitemaps: Vec<String>,
}

#[derive(Debug, Clone)]
struct Line {
    number: u32,
    verdict: Verdict,
    pattern: Pattern,
    quote: String,
}

impl Rules {
    /// Reads the whole file on behalf of `agent`, a product token. All groups that name it (whatever the case) count as
    /// one; only when there is none do those of `*`, and they count as one as well.
    pub(super) fn parse(body: &[u8], agent: &str) -> Self {
        let (mut ours, mut everyones) = (Self::default(), Self::default());
        let mut sitemaps = Vec::new();
        let mut group = Group::default();
        for (number, line) in (1..).zip(lines(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body))) {
            let Some((field, value)) = field(line) else { continue };
            match field {
                Field::UserAgent => {
                    // Agents in a row share a group; an agent after a rule begins the next.
                    if group.has_rules {
                        std::mem::take(&mut group).end(&mut ours, &mut everyones);
                    }
                    let token = product_token(value);
                    group.ours |= !token.is_empty() && token.eq_ignore_ascii_case(agent.as_bytes());
                    group.everyones |= value.split(u8::is_ascii_whitespace).next() == Some(b"*");
                }
                Field::Allow => group.rule(number, Verdict::Allowed, "Allow", value),
                Field::Disallow => group.rule(number, Verdict::Forbidden, "Disallow", value),
                Field::CrawlDelay => group.delay = group.delay.max(delay(value)),
                Field::Sitemap if value.is_empty() => (),
                Field::Sitemap => sitemaps.push(String::from_utf8_lossy(value).into_owned()),
            }
        }
        group.end(&mut ours, &mut everyones);
        Self { sitemaps, ..if ours.addressed { ours } else { everyones } }
    }

    /// The rule that decides: the one of the most octets; among equals an `Allow`, then the first.
    pub(super) fn deciding(&self, target: &Target) -> Option<(Verdict, Rule)> {
        let rank = |line: &Line| (line.pattern.octets(), line.verdict == Verdict::Allowed);
        let matching = self.lines.iter().filter(|line| line.pattern.matches(target));
        let best = matching.reduce(|best, line| if rank(line) > rank(best) { line } else { best })?;
        Some((best.verdict, Rule { line: best.number, text: best.quote.clone() }))
    }
}

/// A group while it is read.
#[derive(Debug, Default)]
struct Group {
    ours: bool,
    everyones: bool,
    /// Whether an `Allow` or `Disallow` was seen, though it were an empty one.
    has_rules: bool,
    lines: Vec<Line>,
    delay: Option<Duration>,
}

impl Group {
    fn rule(&mut self, number: u32, verdict: Verdict, name: &str, value: &[u8]) {
        self.has_rules = true;
        if !self.ours && !self.everyones {
            return;
        }
        if let Some(pattern) = Pattern::parse(value) {
            let text = String::from_utf8_lossy(value);
            let mut quote = format!("{name}: ");
            quote.extend(
                text.chars().take(QUOTED).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }),
            );
            if text.chars().nth(QUOTED).is_some() {
                quote.push('…');
            }
            self.lines.push(Line { number, verdict, pattern, quote });
        }
    }

    fn end(self, ours: &mut Rules, everyones: &mut Rules) {
        for (named, rules) in [(self.ours, ours), (self.everyones, everyones)] {
            if named {
                rules.addressed = true;
                rules.delay = rules.delay.max(self.delay);
                rules.lines.extend_from_slice(&self.lines);
            }
        }
    }
}

/// The fields that mean something to us. Lines of any other are passed over, and so never end a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    UserAgent,
    Allow,
    Disallow,
    CrawlDelay,
    Sitemap,
}

/// The field and value of a line, without comment and surrounding space.
fn field(line: &[u8]) -> Option<(Field, &[u8])> {
    if line.len() > MAX_LINE {
        return None;
    }
    let said = line.split(|&byte| byte == b'#').next()?;
    let colon = said.iter().position(|&byte| byte == b':')?;
    let names = [
        ("user-agent", Field::UserAgent),
        ("allow", Field::Allow),
        ("disallow", Field::Disallow),
        ("crawl-delay", Field::CrawlDelay),
        ("sitemap", Field::Sitemap),
    ];
    let name = said[..colon].trim_ascii();
    let (_, field) = names.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes()))?;
    Some((field, said[colon + 1..].trim_ascii()))
}

/// Lines ended by CR, LF or CRLF.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(body);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.iter().position(|&byte| byte == b'\n' || byte == b'\r') else {
            rest = None;
            return Some(text);
        };
        let width = if text[end..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = Some(&text[end + width..]);
        Some(&text[..end])
    })
}

/// The product token that a name begins with: letters, `-` and `_`.
pub(super) fn product_token(name: &[u8]) -> &[u8] {
    let end = name.iter().position(|byte| !(byte.is_ascii_alphabetic() || b"-_".contains(byte))).unwrap_or(name.len());
    &name[..end]
}

/// Seconds, with a decimal point where there is one.
fn delay(value: &[u8]) -> Option<Duration> {
    let seconds: f64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(MAX_CRAWL_DELAY).min(MAX_CRAWL_DELAY))
}
