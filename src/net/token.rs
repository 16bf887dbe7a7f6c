//! A secret that does not print.

/// A secret, as it came from the environment. Neither logs nor error messages can show it by mistake.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Takes a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the header that it goes into.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}
