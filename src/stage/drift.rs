//! The alarm that a site's layout has moved away from its profile. Extraction notes of every page how far the profile
//! and the generic extractor agree; when it is through, each site's new pages are held against those before.

use super::extract::profile_key;
use super::site::Site;
use crate::error::Result;
use crate::store::Store;
use crate::store::extraction::{Drift, PageNote};

/// Fewer pages than this tell nothing; they wait until there are more.
const LEAST_PAGES: usize = 5;

/// Fewer earlier pages than this are nothing to compare with.
const LEAST_EARLIER: usize = 10;

/// As many earlier pages as are compared with: what was normal years ago is not any more.
const MOST_EARLIER: u32 = 200;

/// The alarm goes off when the median agreement has fallen by more than this.
const FALL: f64 = 0.2;

/// Judges each site that has a profile and enough pages since it was last judged.
///
/// # Errors
/// Kind `Store`.
pub fn judge(store: &Store, sites: &[Site]) -> Result<Vec<Drift>> {
    let mut drifts = Vec::new();
    for site in sites {
        let Some(key) = profile_key(site)? else { continue };
        let (new, earlier) = store.page_notes(&site.name, &key, MOST_EARLIER)?;
        if new.len() >= LEAST_PAGES {
            drifts.push(judgement(&site.name, key, &new, &earlier));
        }
    }
    Ok(drifts)
}

/// The alarms that hold: of sites whose newest judgement raised one and whose profile has not been changed since.
///
/// # Errors
/// Kind `Store`.
pub fn standing(store: &Store, sites: &[Site]) -> Result<Vec<Drift>> {
    let mut standing = store.latest_drifts()?;
    let mut keys = Vec::new();
    for site in sites {
        keys.extend(profile_key(site)?.map(|key| (site.name.as_str(), key)));
    }
    let holds = |drift: &Drift| keys.iter().any(|(site, key)| *site == drift.site && *key == drift.key);
    standing.retain(|drift| drift.alarm.is_some() && holds(drift));
    Ok(standing)
}

fn judgement(site: &str, key: String, new: &[PageNote], earlier: &[PageNote]) -> Drift {
    let agreements = |notes: &[PageNote]| notes.iter().filter_map(|note| note.agreement).collect::<Vec<_>>();
    let agreement = median(agreements(new));
    let known = agreements(earlier);
    let earlier_pages = known.len();
    let earlier_agreement = if earlier_pages >= LEAST_EARLIER { median(known) } else { None };
    let without_body = new.iter().filter(|note| !note.by_profile).count();
    let pages = new.len();
    let least = |note: &&PageNote| note.agreement.unwrap_or(if note.by_profile { 1.0 } else { 0.0 });
    let example = new.iter().min_by(|one, other| least(one).total_cmp(&least(other)));
    let alarm = if 2 * without_body > pages {
        Some(format!("the profile's body selectors find nothing on {without_body} of {pages} pages"))
    } else {
        match (agreement, earlier_agreement) {
            (Some(now), Some(before)) if before - now > FALL => Some(format!(
                "profile and generic extractor agree on {now:.2} of the text of {pages} pages (median), on {before:.2} \
                 of {earlier_pages} pages before"
            )),
            _ => None,
        }
    };
    Drift {
        site: site.to_owned(),
        key,
        pages: pages as u64,
        without_body: without_body as u64,
        agreement,
        earlier_pages: earlier_pages as u64,
        earlier_agreement,
        example: example.map(|note| note.location.clone()).unwrap_or_default(),
        alarm,
    }
}

/// The middle value, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { (values[middle - 1] + upper) / 2.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(agreements: &[f64]) -> Vec<PageNote> {
        let note = |(number, agreement): (usize, &f64)| PageNote {
            location: format!("/{number}"),
            site: "a".into(),
            key: "k".into(),
            agreement: Some(*agreement),
            by_profile: *agreement > 0.0,
        };
        agreements.iter().enumerate().map(note).collect()
    }

    fn alarm(new: &[f64], earlier: &[f64]) -> Option<String> {
        judgement("a", "k".into(), &notes(new), &notes(earlier)).alarm
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(Vec::new()), None);
    }

    #[test]
    fn a_fall_raises_the_alarm_and_noise_does_not() {
        assert_eq!(alarm(&[0.8; 5], &[0.95; 10]), None, "0.15 is no fall");
        assert!(alarm(&[0.7; 5], &[0.95; 10]).unwrap().contains("0.70 of the text of 5 pages (median), on 0.95 of 10"));
        assert_eq!(alarm(&[0.7; 5], &[0.95; 9]), None, "too few to compare with");
        assert_eq!(alarm(&[0.95, 0.95, 0.95, 0.1, 0.0], &[0.95; 10]), None, "two bad pages of five");
        assert_eq!(alarm(&[0.4; 5], &[0.5; 10]), None, "a site on which they never agreed");
    }

    #[test]
    fn a_body_that_selects_nothing_raises_the_alarm_on_the_first_night() {
        assert!(alarm(&[0.9, 0.9, 0.0, 0.0, 0.0], &[]).unwrap().contains("find nothing on 3 of 5 pages"));
        assert_eq!(alarm(&[0.9, 0.9, 0.9, 0.0, 0.0], &[]), None);
    }

    #[test]
    fn the_example_is_the_page_that_agrees_least() {
        assert_eq!(judgement("a", "k".into(), &notes(&[0.9, 0.2, 0.5]), &[]).example, "/1");
    }
}
