//! How many pages of one template are followed: calendars and lists without end have one template each.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::store::Store;
use crate::store::visit::{Found, Role};

/// Templates of which it is said by name that they have reached the limit.
const NAMED: usize = 10;

/// A template of a host: pages that are no articles, and whose URLs differ in numbers and values alone.
type Template = (String, String);

/// Counts the pages of each template.
#[derive(Debug, Default)]
pub(super) struct Templates {
    known: HashMap<Template, u64>,
    /// Those that have reached the limit.
    full: HashSet<Template>,
    notes: Vec<String>,
}

impl Templates {
    /// Leaves out new pages of a template of which `limit` are known. Articles, and pages that are known, stay.
    pub(super) fn keep_room(&mut self, store: &Store, limit: u64, urls: Vec<Found>) -> Result<Vec<Found>> {
        // New pages among these URLs, by template.
        let mut coming: HashMap<Template, u64> = HashMap::new();
        let mut kept: Vec<Found> = Vec::with_capacity(urls.len());
        for found in urls {
            if found.role == Role::Page && !store.is_known(&found.url)? {
                let key = (found.host.clone(), found.shape.clone());
                let known = match self.known.get(&key) {
                    Some(&known) => known,
                    None => {
                        let known = store.alike(&key.0, &key.1)?;
                        self.known.insert(key.clone(), known);
                        known
                    }
                };
                let new = coming.entry(key).or_default();
                if known + *new >= limit {
                    self.note(limit, &found);
                    continue;
                }
                *new += 1;
            }
            kept.push(found);
        }
        Ok(kept)
    }

    /// Counts a page that became known.
    pub(super) fn added(&mut self, found: &Found) {
        if found.role == Role::Page
            && let Some(known) = self.known.get_mut(&(found.host.clone(), found.shape.clone()))
        {
            *known += 1;
        }
    }

    fn note(&mut self, limit: u64, found: &Found) {
        if self.full.insert((found.host.clone(), found.shape.clone())) && self.full.len() <= NAMED {
            self.notes.push(format!(
                "{}: {limit} pages like {} are known, and no more of them are followed (max-alike); articles are",
                found.host, found.shape
            ));
        }
    }

    /// What a person should know.
    pub(super) fn notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        if self.full.len() > NAMED {
            notes.push(format!("{} more templates have reached max-alike", self.full.len() - NAMED));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::Access;

    fn found(url: &str, shape: &str, role: Role) -> Found {
        Found {
            url: format!("http://a.test/{url}"),
            host: "a.test".into(),
            site: "a".into(),
            role,
            depth: 1,
            redirects: 0,
            via: None,
            is_twin: false,
            shape: shape.into(),
            changed: None,
        }
    }

    #[test]
    fn the_pages_of_one_template_leave_room_for_those_of_another() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let mut templates = Templates::default();
        let pages = |shape: &str, ids: std::ops::Range<u32>| -> Vec<Found> {
            ids.map(|id| found(&format!("{shape}{id}"), shape, Role::Page)).collect()
        };
        let writer = store.writer().unwrap();
        for page in pages("days", 0..4) {
            writer.add_url(&page).unwrap();
        }
        writer.commit().unwrap();
        // 4 days are known. Of 5 new ones a limit of 5 leaves room for 1, whatever else the page links.
        let mut urls = pages("tags", 0..3);
        urls.extend(pages("days", 2..9));
        urls.push(found("news/1", "days", Role::Article));
        let kept = templates.keep_room(&store, 5, urls).unwrap();
        let kept: Vec<&str> = kept.iter().map(|found| &found.url["http://a.test/".len()..]).collect();
        assert_eq!(kept, ["tags0", "tags1", "tags2", "days2", "days3", "days4", "news/1"]);
        let notes = templates.notes();
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("5 pages like days are known"), "{notes:?}");
    }

    #[test]
    fn many_full_templates_are_counted_and_not_all_named() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Access::Write).unwrap();
        let mut templates = Templates::default();
        let urls = (0..50).map(|id| found(&format!("x{id}"), &format!("x{id}"), Role::Page)).collect();
        assert!(templates.keep_room(&store, 0, urls).unwrap().is_empty());
        let notes = templates.notes();
        assert_eq!(notes.len(), 11);
        assert_eq!(notes[10], "40 more templates have reached max-alike");
    }
}
