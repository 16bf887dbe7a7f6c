//! An answer read as it comes: files of a model are larger than memory should hold twice.

use std::io::Read as _;

use reqwest::Method;
use reqwest::blocking;
use reqwest::header::{self, HeaderValue};
use url::Url;

use super::{Client, GetRequest, add_headers, header_value, readable};
use crate::net::failure::FetchError;

/// The head of an answer, and its body to be read.
#[derive(Debug)]
pub struct Stream {
    /// The URL asked for.
    pub url: Url,
    /// HTTP status.
    pub status: u16,
    /// Headers in the order sent, names in lower case.
    pub headers: Vec<(String, String)>,
    answer: blocking::Response,
    timeout: std::time::Duration,
}

impl Client {
    /// Gets a URL as bytes that are read bit by bit, as they are on the server: no compression is offered. `from` asks
    /// for what follows that many bytes; the server may answer 200 and send all. The time limit is for every read, and
    /// the size limit is not applied: the caller counts. Redirects are not followed.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn stream(&self, request: &GetRequest<'_>, from: u64) -> Result<Stream, FetchError> {
        self.check(request.url)?;
        let mut headers = self.own_headers();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if from > 0 {
            headers.insert(header::RANGE, header_value(request.url, "range", &format!("bytes={from}-"))?);
        }
        add_headers(&mut headers, request.url, request.headers)?;
        let mut asked = blocking::Request::new(Method::GET, request.url.clone());
        *asked.headers_mut() = headers;
        let answer = self.http.execute(asked).map_err(|error| {
            let limit = if error.is_connect() { self.settings.connect_timeout } else { self.settings.timeout };
            FetchError::of_request(request.url, error, limit)
        })?;
        Ok(Stream {
            url: request.url.clone(),
            status: answer.status().as_u16(),
            headers: readable(answer.headers()),
            answer,
            timeout: self.settings.timeout,
        })
    }
}

impl Stream {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Where a redirect leads; `None` without a `Location`, or when that is no http(s) URL.
    pub fn location(&self) -> Option<Url> {
        let target = self.url.join(self.header("location")?).ok()?;
        matches!(target.scheme(), "http" | "https").then_some(target)
    }

    /// The next bytes; 0 at the end.
    ///
    /// # Errors
    /// When the connection breaks off or nothing comes within the time limit.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FetchError> {
        self.answer.read(buffer).map_err(|error| FetchError::of_body(&self.url, error, self.timeout))
    }
}
