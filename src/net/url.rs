//! One spelling for each page: URLs are normalised before they are compared, hashed or asked for.

use url::Url;

/// The longest URL that is followed, in characters; longer ones come from traps that append to themselves.
pub const MAX_CHARS: usize = 2000;

/// Query parameters that name a visit or a campaign and never the page (compared in lower case).
const VISIT_PARAMETERS: &[&str] = &[
    "_ga",
    "_gl",
    "_hsenc",
    "_hsmi",
    "_openstat",
    "aspsessionid",
    "cfid",
    "cftoken",
    "dclid",
    "fbclid",
    "gbraid",
    "gclid",
    "igshid",
    "jsessionid",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "msclkid",
    "openstat",
    "oscsid",
    "phpsessid",
    "sessid",
    "session_id",
    "sessionid",
    "sid",
    "srsltid",
    "ttclid",
    "twclid",
    "wbraid",
    "yadclid",
    "yclid",
    "ysclid",
    "zenid",
];

/// The URL that `reference`, found on the page `base`, leads to; `None` when it is no web page or longer than
/// [`MAX_CHARS`].
///
/// By RFC 3986, section 6: scheme and host in lower case, default port and dot segments removed, an empty path is `/`,
/// percent-encodings in upper case and only where needed. By custom of the web: no dot at the end of the host, no
/// fragment, no user name, no session or campaign parameters (`VISIT_PARAMETERS`, `utm_*`, `;jsessionid=`), no empty
/// query. The order of the remaining
/// parameters is kept, since some servers heed it.
pub fn normalise(base: &Url, reference: &str) -> Option<Url> {
    let mut url = base.join(reference).ok()?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return None;
    }
    if let Some(name) = url.host_str().and_then(|host| host.strip_suffix('.')) {
        // `http://./` is all dots, and no host.
        let name = name.trim_end_matches('.').to_owned();
        url.set_host(Some(&name)).ok()?;
    }
    url.set_fragment(None);
    // These fail only for URLs without a host.
    url.set_username("").ok()?;
    url.set_password(None).ok()?;

    let path = shortest_encoding(without_path_session(url.path()));
    url.set_path(&path);
    let query = url.query().map(|query| {
        let kept: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !names_a_visit(pair)).collect();
        shortest_encoding(&kept.join("&"))
    });
    url.set_query(query.as_deref().filter(|query| !query.is_empty()));

    (url.as_str().len() <= MAX_CHARS).then_some(url)
}

/// Whether a normalised URL lies on one of `hosts` (names; `name:port` for a port other than the scheme's own), with a
/// path that starts with one of `path_prefixes` (any path when there are none). A prefix is compared as text: `/ru`
/// covers `/russia`, `/ru/` does not.
pub fn in_scope(url: &Url, hosts: &[String], path_prefixes: &[String]) -> bool {
    let Some(name) = url.host_str() else { return false };
    let host_matches = |host: &String| match url.port() {
        None => host.eq_ignore_ascii_case(name),
        Some(port) => host.eq_ignore_ascii_case(&format!("{name}:{port}")),
    };
    hosts.iter().any(host_matches)
        && (path_prefixes.is_empty() || path_prefixes.iter().any(|prefix| url.path().starts_with(prefix)))
}

fn names_a_visit(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or(pair).to_ascii_lowercase();
    name.starts_with("utm_") || VISIT_PARAMETERS.contains(&name.as_str())
}

/// The path without the session that servlet containers append: `/news;jsessionid=1F` → `/news`.
fn without_path_session(path: &str) -> &str {
    let last_segment = path.rfind('/').unwrap_or(0);
    match path[last_segment..].to_ascii_lowercase().find(";jsessionid=") {
        Some(at) => &path[..last_segment + at],
        None => path,
    }
}

/// Percent-encodings of unreserved characters decoded, the others in upper case; a stray `%` becomes `%25`, as it might
/// otherwise join with what was decoded behind it.
fn shortest_encoding(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < bytes.len() {
        match encoded_byte(&bytes[at..]) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => {
                out.push(char::from(byte));
                at += 3;
            }
            Some(byte) => {
                out.push_str(&format!("%{byte:02X}"));
                at += 3;
            }
            None if bytes[at] == b'%' => {
                out.push_str("%25");
                at += 1;
            }
            // A parsed URL is ASCII throughout.
            None => {
                out.push(char::from(bytes[at]));
                at += 1;
            }
        }
    }
    out
}

/// The byte that `bytes` starts with in percent-encoding.
pub(super) fn encoded_byte(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normalised(reference: &str) -> Option<String> {
        normalise(&Url::parse("http://bossan.test/ru/news/page?x=1").unwrap(), reference).map(String::from)
    }

    #[test]
    fn one_spelling_by_table() {
        let table = [
            ("", "http://bossan.test/ru/news/page?x=1"),
            ("#top", "http://bossan.test/ru/news/page?x=1"),
            ("12-harvest", "http://bossan.test/ru/news/12-harvest"),
            ("  ../../tm/./1\n", "http://bossan.test/tm/1"),
            ("//ORIENT.test:80", "http://orient.test/"),
            ("https://orient.test:443/a", "https://orient.test/a"),
            ("http://bossan.test./a", "http://bossan.test/a"),
            ("http://BOSSAN.test.:8080/a", "http://bossan.test:8080/a"),
            ("http://10.0.0.1../", "http://10.0.0.1/"),
            ("https://orient.test:8443/a", "https://orient.test:8443/a"),
            ("http://user:secret@bossan.test/a", "http://bossan.test/a"),
            ("/%7euser/%d0%BF%2f", "http://bossan.test/~user/%D0%BF%2F"),
            ("/новость", "http://bossan.test/%D0%BD%D0%BE%D0%B2%D0%BE%D1%81%D1%82%D1%8C"),
            ("/100%", "http://bossan.test/100%25"),
            ("/%4%31", "http://bossan.test/%2541"),
            ("/a?", "http://bossan.test/a"),
            ("/a?&&", "http://bossan.test/a"),
            ("/a?b=2&a=1", "http://bossan.test/a?b=2&a=1"),
            ("/a?b=2&utm_source=tg&PHPSESSID=3f&a=%41&fbclid=x", "http://bossan.test/a?b=2&a=A"),
            ("/a?sid=9", "http://bossan.test/a"),
            ("/a?side=9", "http://bossan.test/a?side=9"),
            ("/a;jsessionid=1F", "http://bossan.test/a"),
            ("/a;JSESSIONID=1F?p=2", "http://bossan.test/a?p=2"),
            ("/a;jsessionid=1F/b", "http://bossan.test/a;jsessionid=1F/b"),
        ];
        for (reference, expected) in table {
            assert_eq!(normalised(reference).as_deref(), Some(expected), "{reference}");
        }
    }

    #[test]
    fn what_is_no_web_page_leads_nowhere() {
        for reference in [
            "mailto:a@b.test",
            "javascript:void(0)",
            "ftp://bossan.test/",
            "data:text/html,a",
            "http://",
            "http://./",
            "http://..:80/",
        ] {
            assert_eq!(normalised(reference), None, "{reference}");
        }
        let longest = format!("/{}", "a".repeat(MAX_CHARS - "http://bossan.test/".len()));
        assert_eq!(normalised(&longest).unwrap().len(), MAX_CHARS);
        assert_eq!(normalised(&(longest + "a")), None);
    }

    #[test]
    fn scope_is_host_and_path() {
        let hosts = ["bossan.test".to_owned(), "127.0.0.1:8080".to_owned()];
        let within = |text: &str, prefixes: &[&str]| {
            let prefixes: Vec<String> = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
            in_scope(&Url::parse(text).unwrap(), &hosts, &prefixes)
        };
        assert!(within("http://bossan.test/ru/1", &[]));
        assert!(within("https://bossan.test/ru/1", &["/tm/", "/ru/"]));
        assert!(!within("http://bossan.test/en/1", &["/tm/", "/ru/"]));
        assert!(!within("http://www.bossan.test/ru/1", &[]));
        assert!(!within("http://bossan.test.evil.test/", &[]));
        assert!(!within("http://bossan.test:8080/", &[]));
        assert!(within("http://127.0.0.1:8080/", &[]));
    }

    proptest! {
        #[test]
        fn normalising_again_changes_nothing(reference in "(/[a-z%0-9A-F;=~.]{0,12}){0,3}(\\?[a-z&=%0-9]{0,12})?(#[a-z]{0,3})?") {
            if let Some(once) = normalised(&reference) {
                prop_assert_eq!(normalised(&once), Some(once));
            }
        }
    }
}
