//! Cookies of a host, kept in memory while a round runs. None is sent unless a page cannot be had without it: a cookie
//! may choose the language of a page, and a crawl wants each URL as a reader without a history sees it.

use std::collections::BTreeMap;

use crate::net::Response;

/// Cookies kept of a host.
const MAX_COOKIES: usize = 20;

/// Characters of a cookie's name and value together.
const MAX_CHARS: usize = 4096;

/// The cookies of a host.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    /// Set by redirects, and not sent.
    offered: BTreeMap<String, String>,
    /// Sent with every request.
    accepted: BTreeMap<String, String>,
}

impl Cookies {
    /// Remembers the cookies that a redirect sets.
    pub(super) fn offer(&mut self, response: &Response) {
        for (_, value) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let pair = value.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim());
            let is_plain = |text: &str| text.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b',');
            if !name.is_empty()
                && name.len() + value.len() <= MAX_CHARS
                && is_plain(name)
                && is_plain(value)
                && (self.offered.len() < MAX_COOKIES || self.offered.contains_key(name))
            {
                self.offered.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    /// Sends the cookies from now on. Answers whether one of them is new: then it is worth asking again.
    pub(super) fn accept(&mut self) -> bool {
        let is_new = self.offered.keys().any(|name| !self.accepted.contains_key(name));
        self.accepted.append(&mut self.offered);
        is_new
    }

    /// The `Cookie` header; `None` when there is nothing to send.
    pub(super) fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.accepted.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(cookies: &[&str]) -> Response {
        Response {
            url: url::Url::parse("http://a.test/").unwrap(),
            address: None,
            status: 302,
            headers: cookies.iter().map(|cookie| ("set-cookie".to_owned(), (*cookie).to_owned())).collect(),
            body: Vec::new(),
            latency: std::time::Duration::ZERO,
            elapsed: std::time::Duration::ZERO,
            request_headers: Vec::new(),
        }
    }

    #[test]
    fn cookies_are_sent_once_accepted_and_are_new_once() {
        let mut cookies = Cookies::default();
        assert!(!cookies.accept(), "none was offered");
        cookies.offer(&redirect(&["seen=1; Path=/; HttpOnly", "id=a=b"]));
        assert_eq!(cookies.header(), None);
        assert!(cookies.accept());
        assert_eq!(cookies.header().as_deref(), Some("id=a=b; seen=1"));
        cookies.offer(&redirect(&["seen=2"]));
        assert!(!cookies.accept(), "the same cookie again leads nowhere");
        assert_eq!(cookies.header().as_deref(), Some("id=a=b; seen=2"));
    }

    #[test]
    fn what_is_no_cookie_is_not_kept() {
        let mut cookies = Cookies::default();
        let long = format!("long={}", "x".repeat(5000));
        cookies.offer(&redirect(&["", "=x", "no value", "a b=1", "c=\r\nHost: x", &long]));
        assert!(!cookies.accept());
        let many: Vec<String> = (0..50).map(|id| format!("c{id}=1")).collect();
        cookies.offer(&redirect(&many.iter().map(String::as_str).collect::<Vec<_>>()));
        assert!(cookies.accept());
        assert_eq!(cookies.header().unwrap().split("; ").count(), MAX_COOKIES);
    }
}
