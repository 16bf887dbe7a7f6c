//! What is known of one site: where its title, body, date, author, tags and language switch are.

use scraper::{ElementRef, Html, Selector};
use serde::{Deserialize, Serialize};

use super::dom;
use crate::error::{Error, Result};
use crate::text::normalise;

/// A site's own rules, as its pipeline file gives them: CSS selectors, tried in order until one finds something.
///
/// A selector of `title`, `date`, `author`, `tags` or `language-switch` may end in `@attribute` to take an attribute's value:
/// `meta[property="article:published_time"]@content`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Profile {
    /// The title: the first one with text.
    pub title: Vec<String>,
    /// The body: all elements of the first selector that finds text, in document order.
    pub body: Vec<String>,
    /// The publication time: the first one that reads as a date.
    pub date: Vec<String>,
    /// Who wrote it: the first one with text.
    pub author: Vec<String>,
    /// Under which words it is filed: all values of the first one with text, parted at commas.
    pub tags: Vec<String>,
    /// What to leave out of the body: the elements of all selectors.
    pub drop: Vec<String>,
    /// Paragraphs to leave out that are exactly this text, such as the agency's name.
    pub drop_text: Vec<String>,
    /// The links to the same content in other languages. Their address is `href` unless another attribute is named.
    pub language_switch: Vec<String>,
    /// Whether the page's `hreflang` is wrong and must not be believed; the language switch remains.
    pub ignore_hreflang: bool,
}

/// A [`Profile`] whose selectors were found to be right.
#[derive(Debug, Clone)]
pub struct CompiledProfile {
    pub(super) title: Vec<Rule>,
    pub(super) body: Vec<Selector>,
    pub(super) date: Vec<Rule>,
    pub(super) author: Vec<Rule>,
    pub(super) tags: Vec<Rule>,
    pub(super) drop: Vec<Selector>,
    pub(super) drop_text: Vec<String>,
    pub(super) language_switch: Vec<Rule>,
    pub(super) ignore_hreflang: bool,
}

impl Profile {
    /// Checks and prepares the selectors.
    ///
    /// # Errors
    /// Kind `Config`, with the field and the selector that cannot be read.
    pub fn compile(&self) -> Result<CompiledProfile> {
        Ok(CompiledProfile {
            title: rules("title", &self.title)?,
            body: selectors("body", &self.body)?,
            date: rules("date", &self.date)?,
            author: rules("author", &self.author)?,
            tags: rules("tags", &self.tags)?,
            drop: selectors("drop", &self.drop)?,
            drop_text: self.drop_text.iter().map(|text| normalise(text)).collect(),
            language_switch: rules("language-switch", &self.language_switch)?,
            ignore_hreflang: self.ignore_hreflang,
        })
    }
}

/// A selector, and which attribute of its elements is meant.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) selector: Selector,
    pub(super) attribute: Option<String>,
}

impl Rule {
    /// Its values on a page, in document order: the attribute's, or else the element's text. Empty ones are left out.
    pub(super) fn values<'a>(&'a self, page: &'a Html) -> impl Iterator<Item = String> + 'a {
        page.select(&self.selector).filter_map(|element| self.value(element)).filter(|value| !value.is_empty())
    }

    fn value(&self, element: ElementRef<'_>) -> Option<String> {
        match &self.attribute {
            Some(attribute) => element.attr(attribute).map(normalise),
            None => Some(dom::text(element)),
        }
    }
}

fn rules(field: &str, texts: &[String]) -> Result<Vec<Rule>> {
    let rule = |text: &String| {
        let (selector, attribute) = split_attribute(text);
        Ok(Rule { selector: selector_of(field, text, selector)?, attribute: attribute.map(str::to_owned) })
    };
    texts.iter().map(rule).collect()
}

fn selectors(field: &str, texts: &[String]) -> Result<Vec<Selector>> {
    let selector = |text: &String| match split_attribute(text) {
        (_, Some(attribute)) => Err(Error::config(format!(
            "profile: {field}: {text:?}: this field takes whole elements; remove \"@{attribute}\""
        ))),
        (selector, None) => selector_of(field, text, selector),
    };
    texts.iter().map(selector).collect()
}

fn selector_of(field: &str, text: &str, selector: &str) -> Result<Selector> {
    // The parser's own words ("unexpected error, please report this") would send the reader the wrong way.
    Selector::parse(selector).map_err(|_| {
        Error::config(format!(
            "profile: {field}: {text:?} is no CSS selector: check its brackets, quotes and combinators"
        ))
    })
}

/// Splits `selector@attribute`. An `@` inside brackets or quotes belongs to the selector.
fn split_attribute(text: &str) -> (&str, Option<&str>) {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':'))
    };
    match text.rsplit_once('@') {
        Some((selector, name)) if is_name(name) => (selector.trim_end(), Some(name)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn keys_are_kebab_case_and_unknown_ones_are_refused() {
        let profile: Profile = toml::from_str("drop-text = ['ORIENT']\nlanguage-switch = ['ul.lang a']").unwrap();
        assert_eq!(profile.drop_text, ["ORIENT"]);
        let error = toml::from_str::<Profile>("boddy = []").unwrap_err();
        assert!(error.to_string().contains("boddy"), "{error}");
    }

    #[test]
    fn a_rule_takes_text_or_an_attribute() {
        let title = strings(&["h1.none", "meta[property=\"og:title\"]@content", "a[title='x@y']"]);
        let profile = Profile { title, ..Profile::default() }.compile().unwrap();
        let page = dom::parse("<meta property=og:title content=' T&uuml;rk  '><a title='x@y'>link <b>text</b></a>");
        let values: Vec<Vec<String>> = profile.title.iter().map(|rule| rule.values(&page).collect()).collect();
        assert_eq!(values, [vec![], vec!["Türk".to_owned()], vec!["link text".to_owned()]]);
    }

    #[test]
    fn errors_name_the_field_and_the_selector() {
        let broken = Profile { drop: strings(&["div", "p[[x"]), ..Profile::default() };
        let error = broken.compile().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("profile: drop: \"p[[x\" is no CSS selector: "), "{error}");
        let misplaced = Profile { body: strings(&["article@id"]), ..Profile::default() };
        assert!(misplaced.compile().unwrap_err().to_string().contains("remove \"@id\""));
    }

    #[test]
    fn a_compiled_profile_can_be_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<CompiledProfile>();
    }
}
