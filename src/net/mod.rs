//! Polite HTTP: everything that goes over the network, and the loopback server that stands in for it.
//!
//! ```text
//! normalise ─▶ in_scope ─▶ Robots::verdict ─▶ wait next_delay ─▶ Client::get ─▶ Response │ FetchError
//!  (url)        (url)        (robots)           (politeness)      (client, address)
//! ```
//!
//! The client makes one request and hands back one answer: it neither follows redirects, nor waits, nor tries again,
//! for those are the crawler's decisions, and the store must hold them to survive a stop. What guards a run that
//! nobody watches is here: limits on time and size, and the rule that a page's link never leads into a private
//! network. [`serve::SiteServer`] answers on loopback for the demo and the tests.

pub mod address;
pub mod client;
pub mod failure;
pub mod politeness;
pub mod response;
pub mod robots;
pub mod serve;
pub mod token;
pub mod traps;
pub mod url;

pub use client::stream::Stream;
pub use client::{ApiRequest, Client, GetRequest, Settings, Verb};
pub use failure::{FetchError, Refusal};
pub use politeness::{Politeness, next_delay};
pub use response::Response;
pub use robots::{Robots, Ruling, Verdict};
pub use serve::SiteServer;
pub use token::Token;
pub use traps::{Trap, shape, trap};
pub use url::{in_scope, normalise};
