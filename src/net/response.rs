//! The answer to one request.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use url::Url;

/// The longest `Retry-After` taken at its word; also keeps an absurd one from overflowing the calendar.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What the server answered, whatever the status.
#[derive(Debug, Clone)]
pub struct Response {
    /// The URL asked for.
    pub url: Url,
    /// The address that answered, if known.
    pub address: Option<IpAddr>,
    /// HTTP status.
    pub status: u16,
    /// Headers in the order sent, names in lower case, bytes that are not UTF-8 replaced. When the body came compressed,
    /// `content-encoding` and `content-length` are gone, since they describe what came over the wire.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed. Empty for 204 and 304; for redirects whatever could be read.
    pub body: Vec<u8>,
    /// From the request to the headers: what politeness measures.
    pub latency: Duration,
    /// From the request to the end of the body.
    pub elapsed: Duration,
    /// What was sent, names in lower case, without `authorization`, `cookie` and `x-api-key`: secrets are never stored.
    pub request_headers: Vec<(String, String)>,
}

impl Response {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// How long the server asks us to stay away, from `now` on; zero when its date has passed.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        let value = self.header("retry-after")?.trim();
        let wait = match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let until = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
                Duration::try_from(until.duration_since(now)).unwrap_or_default()
            }
        };
        Some(wait.min(MAX_RETRY_AFTER))
    }

    /// Where a redirect leads, without fragment; `None` without a `Location`, or when that is no http(s) URL.
    pub fn location(&self) -> Option<Url> {
        let mut target = self.url.join(self.header("location")?).ok()?;
        target.set_fragment(None);
        matches!(target.scheme(), "http" | "https").then_some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str, value: &str) -> Response {
        Response {
            url: Url::parse("http://bossan.test/ru/news?page=2").unwrap(),
            address: None,
            status: 503,
            headers: vec![(name.to_owned(), value.to_owned())],
            body: Vec::new(),
            latency: Duration::ZERO,
            elapsed: Duration::ZERO,
            request_headers: Vec::new(),
        }
    }

    #[test]
    fn retry_after_in_seconds_and_as_a_date() {
        let now: Timestamp = "2024-01-01T00:00:00.5Z".parse().unwrap();
        let wait = |value: &str| answer("retry-after", value).retry_after(now);
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait("Mon, 01 Jan 2024 00:01:00 GMT"), Some(Duration::from_millis(59_500)));
        assert_eq!(wait("Sun, 31 Dec 2023 23:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("18446744073709551615"), Some(MAX_RETRY_AFTER));
        assert_eq!(wait("soon"), None);
        assert_eq!(answer("server", "x").retry_after(now), None);
    }

    #[test]
    fn location_is_resolved_against_the_url() {
        let target = |value: &str| answer("location", value).location().map(String::from);
        assert_eq!(target("../tm/1").as_deref(), Some("http://bossan.test/tm/1"));
        assert_eq!(target("?page=3#x").as_deref(), Some("http://bossan.test/ru/news?page=3"));
        assert_eq!(target("https://orient.test/новость").unwrap().len(), "https://orient.test/".len() + 14 * 3);
        for no_page in ["javascript:alert(1)", "file:///etc/passwd", "gopher://bossan.test/", "ftp://bossan.test/1"] {
            assert_eq!(target(no_page), None, "{no_page}");
        }
        assert_eq!(target("http://"), None);
    }
}
