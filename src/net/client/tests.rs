//! Tests of the client against servers that say, byte by byte, what servers of the web say.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::*;

/// A server that answers each connection with `answer`, after reading the request's head, which it hands on.
fn raw_server(answer: impl Fn(&mut TcpStream) + Send + 'static) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, heads) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|count| count == 1) {
                head.push(byte[0]);
            }
            if send.send(String::from_utf8(head).unwrap()).is_err() {
                return;
            }
            answer(&mut stream);
        }
    });
    (address, heads)
}

fn saying(answer: impl Into<Vec<u8>>) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let answer = answer.into();
    raw_server(move |stream| drop(stream.write_all(&answer)))
}

/// Gets `http://site.test/page` from the server at `address`.
fn fetch(address: SocketAddr, change: impl FnOnce(&mut Settings)) -> Result<Response, FetchError> {
    fetch_kinds(address, &[], change)
}

fn fetch_kinds(
    address: SocketAddr,
    kinds: &[&str],
    change: impl FnOnce(&mut Settings),
) -> Result<Response, FetchError> {
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("site.test".to_owned(), address);
    change(&mut settings);
    let url = Url::parse("http://site.test/page").unwrap();
    Client::new(&settings).unwrap().get(&GetRequest { kinds, ..GetRequest::new(&url) })
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn with_length(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

#[test]
fn a_page_under_its_own_name() {
    let (address, heads) = saying(with_length("200 OK\r\nContent-Type: text/html\r\nX-A: 1\r\nX-A: 2", b"<p>sal</p>"));
    let response = fetch(address, |_| ()).unwrap();
    assert_eq!((response.status, response.body.as_slice()), (200, b"<p>sal</p>".as_slice()));
    assert_eq!(response.header("content-type"), Some("text/html"));
    assert_eq!(response.headers.iter().filter(|(name, _)| name == "x-a").count(), 2);
    assert_eq!(response.address, Some(address.ip()));
    assert!(response.latency <= response.elapsed);
    let head = heads.recv().unwrap().to_ascii_lowercase();
    assert!(head.starts_with("get /page http/1.1\r\n"), "{head}");
    for (name, value) in &response.request_headers {
        assert!(head.contains(&format!("\r\n{name}: {}\r\n", value.to_ascii_lowercase())), "{name} in {head}");
    }
    assert_eq!(head.lines().count(), response.request_headers.len() + 2, "all of it is recorded: {head}");
}

#[test]
fn conditions_are_sent_and_304_has_no_body() {
    // Some servers name the encoding of the body that they do not send.
    let (address, heads) = saying("HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\nETag: \"v2\"\r\n\r\n");
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("site.test".to_owned(), address);
    let client = Client::new(&settings).unwrap();
    let url = Url::parse("http://site.test/page#top").unwrap();
    let request = GetRequest {
        etag: Some("\"v1\""),
        last_modified: Some("Mon, 01 Jan 2024 00:00:00 GMT"),
        headers: &[("Accept", "text/html"), ("Authorization", "Api-Key secret")],
        ..GetRequest::new(&url)
    };
    let response = client.get(&request).unwrap();
    assert_eq!((response.status, response.body.len(), response.header("etag")), (304, 0, Some("\"v2\"")));
    let head = heads.recv().unwrap();
    assert!(head.starts_with("GET /page HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("if-none-match: \"v1\"\r\n"), "{head}");
    assert!(head.contains("if-modified-since: Mon, 01 Jan 2024 00:00:00 GMT\r\n"), "{head}");
    assert!(head.contains("accept: text/html\r\n") && head.contains("Api-Key secret"), "{head}");
    assert!(!format!("{:?}", response.request_headers).contains("secret"));
}

#[test]
fn a_redirect_is_an_answer() {
    let (address, heads) = saying(with_length("301 Moved Permanently\r\nLocation: /new#a", b""));
    let response = fetch(address, |_| ()).unwrap();
    assert_eq!(response.location().unwrap().as_str(), "http://site.test/new");
    assert_eq!((response.status, heads.try_iter().count()), (301, 1));
}

#[test]
fn gzip_is_decoded() {
    let page = "Türkmenistan ".repeat(1000);
    let (address, _heads) = saying(with_length("200 OK\r\nContent-Encoding: gzip", &gzip(page.as_bytes())));
    assert_eq!(fetch(address, |_| ()).unwrap().body, page.as_bytes());
}

#[test]
fn size_is_limited_as_announced_as_read_and_as_decompressed() {
    let bomb = gzip(&vec![0; 3_000_000]);
    assert!(bomb.len() < 10_000);
    let answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\n\r\nabc".to_vec(),
        [b"HTTP/1.1 200 OK\r\n\r\n".as_slice(), &[b'a'; 10_001]].concat(),
        with_length("200 OK\r\nContent-Encoding: gzip", &bomb),
    ];
    for answer in answers {
        let (address, _heads) = saying(answer);
        let error = fetch(address, |settings| settings.max_body_bytes = 10_000).unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { limit: 10_000, .. }), "{error:?}");
    }
    let (address, _heads) = saying(with_length("200 OK", &[b'a'; 10_000]));
    assert_eq!(fetch(address, |settings| settings.max_body_bytes = 10_000).unwrap().body.len(), 10_000);
}

#[test]
fn a_slow_drip_ends_with_the_time_of_the_whole_exchange() {
    let (address, _heads) = raw_server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
        // Each byte comes well within the limit; together they do not.
        while stream.write_all(b"a").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let started = Instant::now();
    let error = fetch(address, |settings| settings.timeout = Duration::from_millis(400)).unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(Error::from(error).to_string().contains("http://site.test/page did not come within 400ms"));
}

#[test]
fn what_breaks_off_is_told_from_what_ends() {
    let compressed = gzip("salam ".repeat(100).as_bytes());
    let answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort".to_vec(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n".to_vec(),
        with_length("200 OK\r\nContent-Encoding: gzip", &compressed[..compressed.len() - 9]),
        b"HTTP/1.1 200 OK\r\nContent-".to_vec(),
    ];
    for answer in answers {
        let text = String::from_utf8_lossy(&answer).into_owned();
        let (address, _heads) = saying(answer);
        let error = fetch(address, |_| ()).unwrap_err();
        assert!(matches!(error, FetchError::Truncated { .. }) && error.is_transient(), "{text:?}: {error:?}");
    }
}

#[test]
fn nonsense_and_absence_are_network_errors() {
    let (address, _heads) = saying("SSH-2.0-OpenSSH_9.6\r\n");
    let error = fetch(address, |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. }), "{error:?}");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Error::from(fetch(closed, |_| ()).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("http://site.test/page cannot be reached"), "{error}");
    let (address, _heads) = saying(with_length("200 OK\r\nContent-Encoding: zstd", b"????"));
    assert!(matches!(fetch(address, |_| ()).unwrap_err(), FetchError::Encoding { .. }));
}

#[test]
fn private_hosts_are_refused_by_literal_and_by_name_unless_allowed() {
    let (address, heads) = saying(with_length("200 OK", b"inside"));
    let get = |host: &str, allowed: &[&str]| {
        let mut settings = Settings::new("kopri-test/1.0");
        settings.allow_private_hosts = allowed.iter().map(|&host| host.to_owned()).collect();
        let url = Url::parse(&format!("http://{host}:{}/", address.port())).unwrap();
        Client::new(&settings).unwrap().get(&GetRequest::new(&url))
    };
    for host in [
        "127.0.0.1",
        "localhost",
        "localhost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "017700000001",
        "127.0.0.1.",
    ] {
        let error = get(host, &[]).unwrap_err();
        assert!(matches!(error, FetchError::Refused { reason: Refusal::Private(_), .. }), "{error:?}");
    }
    assert_eq!(heads.try_iter().count(), 0, "nothing was sent");
    assert_eq!(get("127.0.0.1", &["127.0.0.1"]).unwrap().body, b"inside");
    assert_eq!(get("localhost", &["localhost"]).unwrap().body, b"inside");
    assert_eq!(get("localhost.", &["localhost"]).unwrap().body, b"inside");
}

#[test]
fn what_must_not_be_asked_for_is_not() {
    let client = Client::new(&Settings::new("kopri-test/1.0")).unwrap();
    let refusal = |text: &str, headers: &[(&str, &str)]| {
        let url = Url::parse(text).unwrap();
        match client.get(&GetRequest { headers, ..GetRequest::new(&url) }).unwrap_err() {
            FetchError::Refused { url, reason } => (url, reason),
            error => panic!("{error:?}"),
        }
    };
    assert_eq!(refusal("ftp://a.test/", &[]).1, Refusal::Scheme);
    assert_eq!(refusal("file:///etc/passwd", &[]).1, Refusal::Scheme);
    assert_eq!(refusal("http://me:word@a.test/", &[]), ("http://a.test/".to_owned(), Refusal::Credentials));
    assert_eq!(refusal(&format!("http://a.test/{}", "a".repeat(2000)), &[]).1, Refusal::TooLong);
    assert_eq!(refusal("http://a.test/", &[("x-a", "1\r\nx-b: 2")]).1, Refusal::Header("x-a".to_owned()));
}

#[test]
fn json_is_posted() {
    let (address, heads) = raw_server(|stream| {
        let mut body = [0; 15];
        stream.read_exact(&mut body).unwrap();
        let _ = stream.write_all(&with_length("200 OK", &body));
    });
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("api.test".to_owned(), address);
    let url = Url::parse("http://api.test/v2").unwrap();
    let body = serde_json::json!({"texts": ["a"]});
    let response = Client::new(&settings).unwrap().post_json(&url, &[("authorization", "Bearer t")], &body).unwrap();
    assert_eq!(response.body, br#"{"texts":["a"]}"#);
    let head = heads.recv().unwrap();
    assert!(head.starts_with("POST /v2 ") && head.contains("content-type: application/json\r\n"), "{head}");
    assert!(head.contains("authorization: Bearer t\r\n"), "{head}");
}

#[test]
fn an_api_is_changed_and_emptied_within_the_time_of_the_call() {
    let (address, heads) = raw_server(|stream| {
        let mut body = [0; 9];
        // A call without a body waits here until it loses patience.
        let read = stream.read(&mut body).unwrap_or(0);
        let _ = stream.write_all(&with_length("200 OK\r\nConnection: close", &body[..read]));
    });
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("api.test".to_owned(), address);
    let client = Client::new(&settings).unwrap();
    let url = Url::parse("http://api.test/tasks/7/").unwrap();
    let patch = ApiRequest { json: Some(r#"{"a":"b"}"#), ..ApiRequest::new(Verb::Patch, &url) };
    assert_eq!(client.call(&patch).unwrap().body, br#"{"a":"b"}"#);
    let head = heads.recv().unwrap();
    assert!(head.starts_with("PATCH /tasks/7/ ") && head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("content-length: 9\r\n"), "{head}");

    let hurried = ApiRequest { timeout: Some(Duration::from_millis(50)), ..ApiRequest::new(Verb::Delete, &url) };
    let error = client.call(&hurried).unwrap_err();
    assert!(matches!(error, FetchError::Timeout { limit, .. } if limit == Duration::from_millis(50)), "{error:?}");
    let head = heads.recv().unwrap();
    assert!(head.starts_with("DELETE /tasks/7/ ") && !head.contains("content-type"), "{head}");
}

#[test]
fn without_root_certificates_https_fails_and_says_why_but_http_works() {
    let (address, _heads) = saying(with_length("200 OK", b"plain"));
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("site.test".to_owned(), address);
    let mut client = Client::new(&settings).unwrap();
    let rules = AddressRules { fixed: settings.resolve.clone(), ..Default::default() };
    client.http = builder(&settings, &Arc::new(rules)).tls_certs_only([]).build().unwrap();
    client.no_tls = Some("https is off: no CA certificates".to_owned());
    let get = |text: &str| client.get(&GetRequest::new(&Url::parse(text).unwrap()));
    assert_eq!(get("http://site.test/").unwrap().body, b"plain");
    let message = Error::from(get("https://site.test/").unwrap_err()).to_string();
    assert!(message.ends_with("no CA certificates; install the system's CA certificates"), "{message}");
}

#[test]
fn a_body_of_the_wrong_kind_is_not_read() {
    // The body never ends: only who does not read it comes back.
    let (send, dropped) = std::sync::mpsc::channel();
    let (address, _heads) = raw_server(move |stream| {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: Video/MP4; x=1\r\nContent-Length: 900000000000\r\n\r\n");
        while stream.write_all(&[0; 4096]).is_ok() {}
        let _ = send.send(());
    });
    let error = fetch_kinds(address, &["text/html", "application/"], |_| ()).unwrap_err();
    assert!(
        matches!(&error, FetchError::WrongKind { url, content_type } if url == "http://site.test/page" && content_type == "Video/MP4; x=1"),
        "{error:?}"
    );
    assert!(!error.is_transient());
    assert!(dropped.recv_timeout(Duration::from_secs(10)).is_ok(), "the connection is closed");
}

#[test]
fn kinds_by_table() {
    let wanted = ["text/html", "application/xhtml+xml", "image/"];
    let table = [
        ("Content-Type: text/html", true),
        ("Content-Type: TEXT/HTML;charset=windows-1251", true),
        ("content-type:  text/html , text/html", true),
        ("Content-Type: image/png", true),
        ("X-A: no type", true),
        ("Content-Type:", true),
        ("Content-Type: text/html5", false),
        ("Content-Type: application/pdf", false),
        ("Content-Type: html", false),
    ];
    for (header, passes) in table {
        let (address, _heads) = saying(with_length(&format!("200 OK\r\n{header}"), b"body"));
        let answer = fetch_kinds(address, &wanted, |_| ());
        assert_eq!(answer.is_ok(), passes, "{header}: {answer:?}");
        let (address, _heads) = saying(with_length(&format!("404 Not Found\r\n{header}"), b"body"));
        assert_eq!(fetch_kinds(address, &wanted, |_| ()).unwrap().status, 404, "only a page is of the wrong kind");
        let (address, _heads) = saying(with_length(&format!("200 OK\r\n{header}"), b"body"));
        assert!(fetch(address, |_| ()).is_ok(), "anything is wanted: {header}");
    }
}

#[test]
fn a_body_without_end_is_read_up_to_the_limit() {
    for head in ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let chunked = head.contains("chunked");
        let (address, _heads) = raw_server(move |stream| {
            let _ = stream.write_all(head.as_bytes());
            let piece: &[u8] = if chunked { b"4\r\nabcd\r\n" } else { b"abcd" };
            while stream.write_all(piece).is_ok() {}
        });
        let error = fetch(address, |settings| settings.max_body_bytes = 10_000).unwrap_err();
        assert!(matches!(error, FetchError::TooLarge { limit: 10_000, .. }), "{head:?}: {error:?}");
    }
}

/// Four million zeros by the reference encoder: `brotli.compress(bytes(4_000_000), quality=9)`.
const BROTLI_BOMB: &[u8] = &[155, 255, 8, 61, 0, 36, 0, 226, 177, 64, 114, 1, 122, 0];

#[test]
fn bombs_of_every_encoding_stop_at_the_limit() {
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(&vec![0; 4_000_000]).unwrap();
    let bombs = [
        ("gzip", gzip(&vec![0; 4_000_000])),
        ("x-gzip", gzip(&vec![0; 4_000_000])),
        ("deflate", zlib.finish().unwrap()),
        ("br", BROTLI_BOMB.to_vec()),
    ];
    for (encoding, bomb) in bombs {
        assert!(bomb.len() < 10_000);
        let answer = with_length(&format!("200 OK\r\nContent-Encoding: {encoding}"), &bomb);
        let (address, _heads) = saying(answer.clone());
        let error = fetch(address, |settings| settings.max_body_bytes = 10_000).unwrap_err();
        if encoding == "x-gzip" {
            assert!(matches!(error, FetchError::Encoding { .. }), "not offered: {error:?}");
            continue;
        }
        assert!(matches!(error, FetchError::TooLarge { limit: 10_000, .. }), "{encoding}: {error:?}");
        let (address, _heads) = saying(answer);
        assert_eq!(fetch(address, |_| ()).unwrap().body.len(), 4_000_000, "{encoding}");
    }
}

#[test]
fn a_head_that_does_not_end_ends_the_exchange() {
    let quick = |settings: &mut Settings| settings.timeout = Duration::from_secs(5);
    let (address, _heads) = raw_server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"X-Flood: abcdefghijklmnopqrstuvwxyz\r\n").is_ok() {}
    });
    let error = fetch(address, quick).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. } | FetchError::Truncated { .. }), "{error:?}");

    let (address, _heads) = raw_server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ");
        while stream.write_all(&[b'a'; 1024]).is_ok() {}
    });
    let error = fetch(address, quick).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. } | FetchError::Truncated { .. }), "{error:?}");

    let (address, _heads) = raw_server(|stream| {
        while stream.write_all(b"H").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let error = fetch(address, |settings| settings.timeout = Duration::from_millis(400)).unwrap_err();
    assert!(matches!(error, FetchError::Network { .. } | FetchError::Timeout { .. }), "{error:?}");
}

#[test]
fn lengths_are_what_http_says() {
    let (address, _heads) = saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsalam, more than that");
    assert_eq!(fetch(address, |_| ()).unwrap().body, b"salam");
    let (address, _heads) = saying("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nsalam");
    assert_eq!(fetch(address, |_| ()).unwrap().body, b"salam", "the same twice is once");
    for lengths in ["Content-Length: 5\r\nContent-Length: 7", "Content-Length: five", "Content-Length: -5"] {
        let (address, _heads) = saying(format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nsalam, more"));
        let error = fetch(address, |_| ()).unwrap_err();
        assert!(matches!(error, FetchError::Network { .. }), "{lengths}: {error:?}");
    }
}

#[test]
fn an_answer_without_status_line_is_none() {
    for answer in ["<html>salam</html>\r\n\r\n", "\r\n\r\n\r\n", "HTTP/1.1 abc\r\n\r\n", "ICY 200 OK\r\n\r\n", ""] {
        let (address, _heads) = saying(answer);
        let error = fetch(address, |_| ()).unwrap_err();
        assert!(matches!(error, FetchError::Network { .. } | FetchError::Truncated { .. }), "{answer:?}: {error:?}");
    }
}

#[test]
fn a_redirect_into_a_private_network_is_an_answer_whose_target_is_refused() {
    let (inside, asked) = saying(with_length("200 OK", b"inside"));
    let redirect = format!("302 Found\r\nLocation: http://{inside}/secret");
    let (address, _heads) = saying(with_length(&redirect, b""));
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("site.test".to_owned(), address);
    let client = Client::new(&settings).unwrap();
    let get = |url: &Url| client.get(&GetRequest::new(url));
    let target = get(&Url::parse("http://site.test/page").unwrap()).unwrap().location().unwrap();
    let error = get(&target).unwrap_err();
    assert!(matches!(error, FetchError::Refused { reason: Refusal::Private(_), .. }), "{error:?}");
    assert_eq!(asked.try_iter().count(), 0, "nothing was sent");
}

#[test]
fn a_fixed_address_holds_for_the_name_with_a_dot() {
    let (address, heads) = saying(with_length("200 OK", b"salam"));
    let mut settings = Settings::new("kopri-test/1.0");
    settings.resolve.insert("site.test".to_owned(), address);
    let url = Url::parse("http://site.test./page").unwrap();
    assert_eq!(Client::new(&settings).unwrap().get(&GetRequest::new(&url)).unwrap().body, b"salam");
    assert!(heads.recv().is_ok());
}
