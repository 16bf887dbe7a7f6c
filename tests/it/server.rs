//! A loopback HTTP server whose answers a test writes byte by byte, and which keeps a log of what it was asked.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) at: Instant,
    /// `GET`, `POST`, …
    pub(crate) method: String,
    /// Path and query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// As long as its `Content-Length` says.
    pub(crate) body: Vec<u8>,
    /// How often this path had been asked for before.
    pub(crate) earlier: usize,
}

/// A server; it lives as long as the test.
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Hit>>>,
}

impl Server {
    /// Starts a server that answers each request by `answer`.
    pub(crate) fn start(answer: impl Fn(&Hit, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (answer, kept) = (Arc::new(answer), Arc::clone(&log));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&kept));
                std::thread::spawn(move || {
                    if let Some(hit) = read_request(&mut stream, &log) {
                        answer(&hit, &mut stream);
                    }
                });
            }
        });
        Self { address, log }
    }

    /// `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// What came so far.
    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.log.lock().unwrap().clone()
    }

    /// The paths that were asked for so far, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.hits().into_iter().map(|hit| hit.path).collect()
    }

    /// How often a path was asked for.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.hits().iter().filter(|hit| hit.path == path).count()
    }

    /// Forgets what came so far.
    pub(crate) fn forget(&self) {
        self.log.lock().unwrap().clear();
    }
}

fn read_request(stream: &mut TcpStream, log: &Mutex<Vec<Hit>>) -> Option<Hit> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let mut log = log.lock().unwrap();
    let earlier = log.iter().filter(|hit: &&Hit| hit.path == path).count();
    let hit = Hit { at: Instant::now(), method, path, headers, body, earlier };
    log.push(hit.clone());
    Some(hit)
}

/// A whole answer; its connection ends with it. A client that has gone is none of the server's business.
pub(crate) fn respond(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
}

/// An HTML page.
pub(crate) fn page(stream: &mut TcpStream, html: &str) {
    respond(stream, "200 OK", &[("Content-Type", "text/html; charset=utf-8")], html.as_bytes());
}

/// A page of links.
pub(crate) fn links<T: AsRef<str>>(stream: &mut TcpStream, targets: &[T]) {
    let links: String = targets.iter().map(|to| format!("<li><a href=\"{0}\">{0}</a></li>", to.as_ref())).collect();
    page(stream, &format!("<html><body><ul>{links}</ul></body></html>"));
}

/// `404`.
pub(crate) fn missing(stream: &mut TcpStream) {
    respond(stream, "404 Not Found", &[], b"");
}
