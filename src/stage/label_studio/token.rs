//! Who asks: a legacy token, sent as it is, or a personal access token, which buys access for five minutes at a time.
//!
//! A personal access token is a JSON Web Token (RFC 7519) with the claim `token_type: refresh`. The server takes it at
//! one place alone, `POST /api/token/refresh/`, and answers with an access token, which goes into `Authorization:
//! Bearer`. How long that lives say its claims `exp` and `iat`; their difference is used, so that a clock of ours that
//! is wrong does no harm.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::net::Token;

/// The environment variable that holds the token. It may stand nowhere else.
pub const VARIABLE: &str = "LABEL_STUDIO_TOKEN";

/// A token of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Sent with every request.
    Legacy(Token),
    /// Exchanged for access tokens.
    Personal(Token),
}

/// What a token says of itself.
#[derive(Debug, Deserialize)]
struct Claims {
    token_type: Option<String>,
    exp: Option<f64>,
    iat: Option<f64>,
}

impl Credentials {
    /// What the environment holds.
    ///
    /// # Errors
    /// Kind `Usage`: nothing, or no token that Label Studio takes. The message never shows it.
    pub fn from_environment() -> Result<Self> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        if text.trim().is_empty() {
            return Err(Error::new(
                ErrorKind::Usage,
                format!(
                    "{VARIABLE} is not set: make a personal access token in Label Studio (Account & Settings) and export it there"
                ),
            ));
        }
        Self::parse(text.trim())
    }

    /// Tells the kinds apart by their form.
    ///
    /// # Errors
    /// Kind `Usage`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |what: &str| Err(Error::new(ErrorKind::Usage, format!("{VARIABLE} holds {what}")));
        if !text.contains('.') {
            let fits = text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            return if fits {
                Ok(Self::Legacy(Token::new(text)))
            } else {
                wrong(
                    "no token: expected a personal access token (three parts with dots) or a legacy token (40 characters)",
                )
            };
        }
        match claims(text).and_then(|claims| claims.token_type).as_deref() {
            Some("refresh") => Ok(Self::Personal(Token::new(text))),
            Some("access") => {
                wrong("an access token, which lives for minutes: take the personal access token of Account & Settings")
            }
            _ => wrong("something with dots that is no personal access token of Label Studio: copy it again, whole"),
        }
    }
}

/// An access token, and when it was had.
#[derive(Debug)]
pub struct Access {
    header: Token,
    since: Instant,
    life: Duration,
}

impl Access {
    /// Reads the answer to a refresh. A token that does not say how long it lives is taken to live for five minutes.
    pub fn new(token: &str) -> Self {
        let seconds = claims(token).and_then(|claims| Some(claims.exp? - claims.iat?)).filter(|life| *life > 0.0);
        let life = seconds.and_then(|life| Duration::try_from_secs_f64(life).ok()).unwrap_or(Duration::from_secs(300));
        Self { header: Token::new(format!("Bearer {token}")), since: Instant::now(), life }
    }

    /// The value of `Authorization`.
    pub fn header(&self) -> &Token {
        &self.header
    }

    /// Whether it is time for a new one: after four fifths of its life.
    pub fn is_stale(&self) -> bool {
        self.since.elapsed() >= self.life.mul_f64(0.8)
    }
}

/// What a server or a proxy may send back to us and nobody may read: the tokens of this process.
#[derive(Clone, Default)]
pub struct Secrets(Vec<String>);

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// What stands in the place of a token.
const HIDDEN: &str = "(token)";
/// Shorter texts are no secrets: to replace them would break words.
const SHORTEST: usize = 6;

impl Secrets {
    /// The token itself.
    pub fn of(credentials: &Credentials) -> Self {
        let mut secrets = Self::default();
        let (Credentials::Legacy(token) | Credentials::Personal(token)) = credentials;
        secrets.add(token.reveal());
        secrets
    }

    /// Adds a token; of one with three parts, its payload and signature too, which say as much alone.
    pub fn add(&mut self, token: &str) {
        let parts = token.split('.').skip(1);
        for secret in std::iter::once(token).chain(parts).filter(|secret| secret.len() >= SHORTEST) {
            if !self.0.iter().any(|known| known == secret) {
                self.0.push(secret.to_owned());
            }
        }
        // A whole token goes before its parts.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// A text without them.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(
            text.to_owned(),
            |text, secret| {
                if text.contains(secret) { text.replace(secret, HIDDEN) } else { text }
            },
        )
    }

    /// All texts of a value without them.
    pub fn hide_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if self.0.iter().any(|secret| text.contains(secret)) {
                    *text = self.hide(text);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.hide_in(value)),
            Value::Object(fields) => fields.values_mut().for_each(|value| self.hide_in(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// The claims of a JSON Web Token. Its signature is the server's business.
fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let payload = parts.nth(1)?;
    parts.next().filter(|_| parts.next().is_none())?;
    serde_json::from_slice(&base64url(payload)?).ok()
}

/// Base64 with the alphabet for URLs (RFC 4648, section 5), with or without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"token_type":"refresh","exp":8071114873,"iat":863914873}` and the like, with a made-up signature.
    fn jwt(payload: &str) -> String {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::new();
        for group in payload.as_bytes().chunks(3) {
            let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
            for digit in 0..=group.len() {
                text.push(char::from(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize]));
            }
        }
        format!("eyJhbGciOiJIUzI1NiJ9.{text}.c2lnbmF0dXJl")
    }

    #[test]
    fn kinds_are_told_apart() {
        let legacy = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(Credentials::parse(legacy).unwrap(), Credentials::Legacy(Token::new(legacy)));
        let personal = jwt(r#"{"token_type":"refresh","exp":8071114873,"iat":1,"jti":"é?>","user_id":"1"}"#);
        assert_eq!(Credentials::parse(&personal).unwrap(), Credentials::Personal(Token::new(personal.as_str())));
        for (text, part) in [
            (jwt(r#"{"token_type":"access"}"#).as_str(), "lives for minutes"),
            (jwt("{}").as_str(), "copy it again"),
            ("secret.with.dots", "copy it again"),
            ("a.b", "copy it again"),
            ("my secret password!", "no token"),
        ] {
            let error = Credentials::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(error.to_string().contains(part) && !error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn nothing_of_a_token_is_printed() {
        let personal = Credentials::parse(&jwt(r#"{"token_type":"refresh"}"#)).unwrap();
        assert_eq!(format!("{personal:?}"), "Personal(Token(…))");
        let access = Access::new(&jwt(r#"{"exp":1300,"iat":1000}"#));
        assert!(!format!("{access:?}").contains("Bearer"));
    }

    #[test]
    fn tokens_are_hidden_wherever_they_stand() {
        let personal = jwt(r#"{"token_type":"refresh","exp":8071114873,"iat":1}"#);
        let mut secrets = Secrets::of(&Credentials::parse(&personal).unwrap());
        secrets.add("abcdef-legacy");
        let signature = personal.rsplit('.').next().unwrap();
        let text = format!("Bearer {personal}; {signature}, Token abcdef-legacy; abcdef");
        assert_eq!(secrets.hide(&text), "Bearer (token); (token), Token (token); abcdef");
        let mut value = serde_json::json!({ "a": [1, { "b": personal }], "c": "plain" });
        secrets.hide_in(&mut value);
        assert_eq!(value, serde_json::json!({ "a": [1, { "b": "(token)" }], "c": "plain" }));
        assert_eq!(format!("{secrets:?}"), "Secrets(4)");
    }

    #[test]
    fn access_lives_as_long_as_its_claims_say() {
        let access = Access::new(&jwt(r#"{"exp":1300,"iat":1000}"#));
        assert_eq!((access.life, access.is_stale()), (Duration::from_secs(300), false));
        assert!(access.header().reveal().starts_with("Bearer eyJ"));
        let short = Access::new(&jwt(r#"{"exp":1000.0001,"iat":1000}"#));
        std::thread::sleep(Duration::from_millis(2));
        assert!(short.is_stale());
        assert_eq!(Access::new("opaque").life, Duration::from_secs(300));
    }

    #[test]
    fn base64_of_the_specification() {
        // RFC 4648, section 10, and the two digits that URLs spell otherwise.
        for (text, bytes) in [("", ""), ("Zg", "f"), ("Zm8=", "fo"), ("Zm9vYmFy", "foobar")] {
            assert_eq!(base64url(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64url("-_8").unwrap(), [0xfb, 0xff]);
        assert_eq!(base64url("a+b"), None);
    }
}
