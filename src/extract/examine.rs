//! What each selector of a profile finds on a page, for people who write or mend profiles.

use scraper::Html;
use serde::Serialize;

use super::profile::{CompiledProfile, Profile, Rule};
use super::{dates, dom, html};
use crate::error::Result;

/// What one selector finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The profile's field.
    pub field: &'static str,
    /// The selector as written.
    pub selector: String,
    /// Elements that it matches.
    pub elements: usize,
    /// Whether what it finds is what is taken. Of `drop`, all that match are; of the others, the first that reads.
    pub taken: bool,
}

/// What every selector finds on a page, in the profile's order.
///
/// # Errors
/// Kind `Config`, as of [`Profile::compile`].
pub fn examine(html: &str, profile: &Profile) -> Result<Vec<Found>> {
    let compiled = profile.compile()?;
    let page = dom::parse(html);
    let text = |value: &str| !value.is_empty();
    let date = |value: &str| dates::parse(value, dates::TURKMENISTAN).is_some();
    let mut found = values(&page, "title", &profile.title, &compiled.title, text);
    found.extend(bodies(&page, profile, &compiled));
    found.extend(values(&page, "date", &profile.date, &compiled.date, date));
    found.extend(values(&page, "author", &profile.author, &compiled.author, text));
    found.extend(values(&page, "tags", &profile.tags, &compiled.tags, text));
    found.extend(profile.drop.iter().zip(&compiled.drop).map(|(text, selector)| {
        let elements = page.select(selector).count();
        Found { field: "drop", selector: text.clone(), elements, taken: elements > 0 }
    }));
    let mut switch_taken = false;
    found.extend(profile.language_switch.iter().zip(&compiled.language_switch).map(|(text, rule)| {
        let elements = page.select(&rule.selector).count();
        let taken = elements > 0 && !switch_taken;
        switch_taken |= taken;
        Found { field: "language-switch", selector: text.clone(), elements, taken }
    }));
    Ok(found)
}

/// Selectors of which the first that finds a value that `reads` is taken.
fn values(
    page: &Html,
    field: &'static str,
    texts: &[String],
    rules: &[Rule],
    reads: impl Fn(&str) -> bool,
) -> Vec<Found> {
    let mut is_taken = false;
    let one = |(text, rule): (&String, &Rule)| {
        let taken = !is_taken && rule.values(page).any(|value| reads(&value));
        is_taken |= taken;
        Found { field, selector: text.clone(), elements: page.select(&rule.selector).count(), taken }
    };
    texts.iter().zip(rules).map(one).collect()
}

fn bodies(page: &Html, profile: &Profile, compiled: &CompiledProfile) -> Vec<Found> {
    let mut is_taken = false;
    let one = |(text, selector): (&String, &scraper::Selector)| {
        let taken = !is_taken && !html::body_by_selector(page, selector, compiled).1.is_empty();
        is_taken |= taken;
        Found { field: "body", selector: text.clone(), elements: page.select(selector).count(), taken }
    };
    profile.body.iter().zip(&compiled.body).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_selector_is_told_with_what_it_finds() {
        let profile: Profile = toml::from_str(
            "title = ['.none', 'h1', 'h2']\nbody = ['#empty', 'article']\ndate = ['.when', 'time@datetime']\n\
             drop = ['.ad', '.share']\nlanguage-switch = ['.lang a']",
        )
        .unwrap();
        let html =
            "<h1>Мост</h1><h2>Река</h2><p id=empty></p><b class=when>вчера</b><time datetime='2026-01-02'></time>
            <article><p>Текст.</p><p class=ad>Реклама</p><p class=ad>Ещё</p></article>";
        let found = examine(html, &profile).unwrap();
        let told: Vec<_> = found.iter().map(|f| (f.field, f.selector.as_str(), f.elements, f.taken)).collect();
        let expected = [
            ("title", ".none", 0, false),
            ("title", "h1", 1, true),
            ("title", "h2", 1, false),
            ("body", "#empty", 1, false),
            ("body", "article", 1, true),
            ("date", ".when", 1, false),
            ("date", "time@datetime", 1, true),
            ("drop", ".ad", 2, true),
            ("drop", ".share", 0, false),
            ("language-switch", ".lang a", 0, false),
        ];
        assert_eq!(told, expected);
    }
}
