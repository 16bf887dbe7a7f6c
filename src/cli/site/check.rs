//! The comparison of one page's two extractions, and its sum over a site's pages. Plain data: `show` draws it, `--json`
//! writes it.

use serde::Serialize;
use url::Url;

use crate::algo::lcs;
use crate::error::{Error, ErrorKind, Result};
use crate::extract::agreement::agreement;
use crate::extract::examine::{Found, examine};
use crate::extract::html::{self, Extracted, Method};
use crate::record::{BlockKind, TwinKind};
use crate::stage::drift::median;
use crate::stage::site::Site;
use crate::text::fold;

/// Who takes a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Mark {
    /// Both.
    #[serde(rename = "=")]
    Both,
    /// Only the profile.
    #[serde(rename = "<")]
    Profile,
    /// Only the generic extractor.
    #[serde(rename = ">")]
    Generic,
}

/// A block of either text.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) kind: BlockKind,
    pub(super) text: String,
}

/// A field as the two ways give it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) profile: Option<String>,
    pub(super) generic: Option<String>,
}

/// One page.
#[derive(Debug, Serialize)]
pub(super) struct PageCheck {
    pub(super) page: String,
    pub(super) site: String,
    /// `archive`, `web` or `file`.
    pub(super) from: &'static str,
    /// 0 to 1; `None` when there is no text either way.
    pub(super) agreement: Option<f64>,
    /// Whether the profile's body selected anything. If not, what extraction takes is the generic text.
    pub(super) by_profile: bool,
    pub(super) fields: Vec<Field>,
    pub(super) selectors: Vec<Found>,
    pub(super) blocks: Vec<Row>,
}

/// Compares a page.
///
/// # Errors
/// Kind `Usage` for a site without a profile.
pub(super) fn page(name: &str, from: &'static str, text: &str, url: &Url, site: &Site) -> Result<PageCheck> {
    let profile = site.extract.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("the site {} has no profile ([site.extract]): `kopri extract` shows what is taken", site.name),
        )
    })?;
    let by_profile = html::extract(text, url, Some(&profile.compile()?));
    let generic = html::extract(text, url, None);
    let has_body = by_profile.method == Method::Profile;
    let none = Vec::new();
    Ok(PageCheck {
        page: name.to_owned(),
        site: site.name.clone(),
        from,
        agreement: agreement(&by_profile, &generic),
        by_profile: has_body,
        fields: fields(&by_profile, &generic),
        selectors: examine(text, profile)?,
        blocks: rows(if has_body { &by_profile.blocks } else { &none }, &generic.blocks),
    })
}

fn fields(by_profile: &Extracted, generic: &Extracted) -> Vec<Field> {
    let field = |name, value: &dyn Fn(&Extracted) -> Option<String>| Field {
        name,
        profile: value(by_profile),
        generic: value(generic),
    };
    let joined = |values: Vec<String>| Some(values.join(", ")).filter(|text| !text.is_empty());
    vec![
        field("title", &|page| page.title.clone()),
        field("date", &|page| page.date.map(|date| date.to_string())),
        field("author", &|page| page.author.clone()),
        field("tags", &|page| joined(page.tags.clone())),
        field("twins", &|page| {
            let twin = |twin: &crate::record::TwinLink| {
                let kind = match twin.kind {
                    TwinKind::Hreflang => "hreflang",
                    TwinKind::Switch => "switch",
                };
                format!("{} {} ({kind})", twin.language.code(), twin.url)
            };
            joined(page.twins.iter().map(twin).collect())
        }),
    ]
}

/// Both texts in one order, what they share where it stands in both.
fn rows(profile: &[(BlockKind, String)], generic: &[(BlockKind, String)]) -> Vec<Row> {
    let folded = |blocks: &[(BlockKind, String)]| blocks.iter().map(|(_, text)| fold(text)).collect::<Vec<_>>();
    let shared = lcs::common(&folded(profile), &folded(generic));
    let mut rows = Vec::new();
    let row = |mark, (kind, text): &(BlockKind, String)| Row { mark, kind: *kind, text: text.clone() };
    let (mut left, mut right) = (0, 0);
    for (a, b) in shared.into_iter().chain([(profile.len(), generic.len())]) {
        rows.extend(profile[left..a].iter().map(|block| row(Mark::Profile, block)));
        rows.extend(generic[right..b].iter().map(|block| row(Mark::Generic, block)));
        rows.extend(profile.get(a).map(|block| row(Mark::Both, block)));
        (left, right) = (a + 1, b + 1);
    }
    rows
}

/// A page in a site's table.
#[derive(Debug, Serialize)]
pub(super) struct PageRow {
    pub(super) page: String,
    pub(super) agreement: Option<f64>,
    pub(super) by_profile: bool,
    /// Blocks that both take, only the profile, only the generic extractor.
    pub(super) blocks: [usize; 3],
}

/// On how many of a site's pages a selector matched, and was taken.
#[derive(Debug, Serialize)]
pub(super) struct SelectorRow {
    pub(super) field: &'static str,
    pub(super) selector: String,
    pub(super) matched: usize,
    pub(super) taken: usize,
}

/// A site.
#[derive(Debug, Serialize)]
pub(super) struct SiteCheck {
    pub(super) site: String,
    /// Median agreement; `None` when no page has text.
    pub(super) median: Option<f64>,
    /// Pages on which the profile's body selects nothing.
    pub(super) without_body: usize,
    pub(super) pages: Vec<PageRow>,
    pub(super) selectors: Vec<SelectorRow>,
}

impl SiteCheck {
    pub(super) fn of(site: &str, checks: Vec<PageCheck>) -> Self {
        let mut selectors: Vec<SelectorRow> = Vec::new();
        for found in checks.iter().flat_map(|check| &check.selectors) {
            let known = selectors.iter().position(|row| row.field == found.field && row.selector == found.selector);
            let place = known.unwrap_or_else(|| {
                let (field, selector) = (found.field, found.selector.clone());
                selectors.push(SelectorRow { field, selector, matched: 0, taken: 0 });
                selectors.len() - 1
            });
            selectors[place].matched += usize::from(found.elements > 0);
            selectors[place].taken += usize::from(found.taken);
        }
        Self {
            site: site.to_owned(),
            median: median(checks.iter().filter_map(|check| check.agreement).collect()),
            without_body: checks.iter().filter(|check| !check.by_profile).count(),
            selectors,
            pages: checks
                .into_iter()
                .map(|check| {
                    let count = |mark| check.blocks.iter().filter(|row| row.mark == mark).count();
                    let blocks = [Mark::Both, Mark::Profile, Mark::Generic].map(count);
                    PageRow { page: check.page, agreement: check.agreement, by_profile: check.by_profile, blocks }
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_follow_both_texts() {
        let blocks = |texts: &[&str]| -> Vec<(BlockKind, String)> {
            texts.iter().map(|text| (BlockKind::Paragraph, (*text).to_owned())).collect()
        };
        let found = rows(&blocks(&["Один.", "Два", "Три"]), &blocks(&["Меню", "один", "Три", "Подпишитесь"]));
        let told: Vec<_> = found.iter().map(|row| (row.mark, row.text.as_str())).collect();
        let expected = [
            (Mark::Generic, "Меню"),
            (Mark::Both, "Один."),
            (Mark::Profile, "Два"),
            (Mark::Both, "Три"),
            (Mark::Generic, "Подпишитесь"),
        ];
        assert_eq!(told, expected);
        assert!(rows(&[], &[]).is_empty());
    }
}
