//! The diary of extraction by profiles, and what was judged from it: whether a site's layout has moved away from its
//! profile.

use rusqlite::params;

use super::{Store, Writer};
use crate::error::Result;

/// Pages of a site that the diary remembers, and the rest of the run of the oldest of them.
const LONGEST_DIARY: u32 = 1_000;

/// What a profile took from one page.
#[derive(Debug, Clone, PartialEq)]
pub struct PageNote {
    /// The page's URL.
    pub location: String,
    /// Its site.
    pub site: String,
    /// Of the profile and the extractor: agreements compare under one key alone.
    pub key: String,
    /// Agreement of profile and generic extractor, 0 to 1; `None` when neither finds text.
    pub agreement: Option<f64>,
    /// Whether the profile's body selected anything.
    pub by_profile: bool,
}

/// How well a site's profile fitted the pages since it was last looked at.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Drift {
    /// The site.
    pub site: String,
    /// Of the profile and the extractor.
    #[serde(skip)]
    pub key: String,
    /// Pages looked at.
    pub pages: u64,
    /// Of them, those on which the profile's body selected nothing.
    pub without_body: u64,
    /// Median of their agreements; `None` when none of them has text.
    pub agreement: Option<f64>,
    /// Pages before them that were compared with.
    pub earlier_pages: u64,
    /// Median of theirs; `None` when they are too few.
    pub earlier_agreement: Option<f64>,
    /// The page with the least agreement.
    pub example: String,
    /// What is wrong, in words; `None`: nothing.
    pub alarm: Option<String>,
}

impl Store {
    /// The notes on a site's pages since it was last judged, and at most `limit` of those before, newest first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn page_notes(&self, site: &str, key: &str, limit: u32) -> Result<(Vec<PageNote>, Vec<PageNote>)> {
        let judged = "coalesce((SELECT max(run) FROM drift WHERE site = ?1 AND key = ?2), -1)";
        let read = |condition: &str, limit: i64| {
            self.rows(
                "reading the diary of extraction",
                &format!(
                    "SELECT location, agreement, by_profile FROM extraction
                     WHERE site = ?1 AND key = ?2 AND run {condition} {judged} ORDER BY run DESC, location LIMIT ?3"
                ),
                params![site, key, limit],
                |row| {
                    Ok(PageNote {
                        location: row.get(0)?,
                        site: site.to_owned(),
                        key: key.to_owned(),
                        agreement: row.get(1)?,
                        by_profile: row.get(2)?,
                    })
                },
            )
        };
        Ok((read(">", -1)?, read("<=", limit.into())?))
    }

    /// The newest judgement of each site, by site.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn latest_drifts(&self) -> Result<Vec<Drift>> {
        self.rows(
            "reading what was judged of profiles",
            "SELECT site, key, pages, without_body, agreement, earlier_pages, earlier_agreement, example, alarm
             FROM drift WHERE run = (SELECT max(run) FROM drift AS other WHERE other.site = drift.site) ORDER BY site",
            [],
            |row| {
                Ok(Drift {
                    site: row.get(0)?,
                    key: row.get(1)?,
                    pages: row.get(2)?,
                    without_body: row.get(3)?,
                    agreement: row.get(4)?,
                    earlier_pages: row.get(5)?,
                    earlier_agreement: row.get(6)?,
                    example: row.get(7)?,
                    alarm: row.get(8)?,
                })
            },
        )
    }

    /// A site's archived articles, those that changed last first.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn newest_articles(&self, site: &str, limit: u32) -> Result<Vec<String>> {
        self.rows(
            "listing a site's newest articles",
            "SELECT url FROM url WHERE site = ?1 AND role = 'article' AND body_hash IS NOT NULL
             ORDER BY changed_at DESC, url LIMIT ?2",
            params![site, limit],
            |row| row.get(0),
        )
    }
}

impl Writer<'_> {
    /// Notes what a profile took from a page.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn note_page(&self, run: i64, note: &PageNote) -> Result<()> {
        self.execute(
            "keeping the diary of extraction",
            "INSERT INTO extraction (run, location, site, key, agreement, by_profile) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (run, location) DO UPDATE SET site = excluded.site, key = excluded.key,
               agreement = excluded.agreement, by_profile = excluded.by_profile",
            params![run, note.location, note.site, note.key, note.agreement, note.by_profile],
        )?;
        Ok(())
    }

    /// Keeps what was judged of a site's profile, and forgets what the diary holds of runs long before.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_drift(&self, run: i64, drift: &Drift) -> Result<()> {
        self.execute(
            "keeping what was judged of a profile",
            "INSERT OR REPLACE INTO drift (run, site, key, pages, without_body, agreement, earlier_pages,
               earlier_agreement, example, alarm) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            params![
                run,
                drift.site,
                drift.key,
                drift.pages,
                drift.without_body,
                drift.agreement,
                drift.earlier_pages,
                drift.earlier_agreement,
                drift.example,
                drift.alarm
            ],
        )?;
        self.execute(
            "shortening the diary of extraction",
            "DELETE FROM extraction WHERE site = ?1 AND run <
               (SELECT min(run) FROM (SELECT run FROM extraction WHERE site = ?1 ORDER BY run DESC LIMIT ?2))",
            params![drift.site, LONGEST_DIARY],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::Access;

    #[test]
    fn what_is_judged_becomes_earlier_and_the_diary_stays_short() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let note = |page: u32, key: &str| PageNote {
            location: format!("/{page}"),
            site: "a".into(),
            key: key.into(),
            agreement: Some(0.9),
            by_profile: true,
        };
        let drift = Drift {
            site: "a".into(),
            key: "k".into(),
            pages: 400,
            without_body: 0,
            agreement: Some(0.9),
            earlier_pages: 0,
            earlier_agreement: None,
            example: "/0".into(),
            alarm: None,
        };
        let writer = store.writer().unwrap();
        let begin = || writer.begin_run(jiff::Timestamp::UNIX_EPOCH, "test", &serde_json::json!({})).unwrap();
        for _ in 0..4 {
            let run = begin();
            (0..400).for_each(|page| writer.note_page(run, &note(page, "k")).unwrap());
            writer.note_page(run, &note(0, "k")).unwrap();
            writer.put_drift(run, &drift).unwrap();
        }
        let run = begin();
        writer.note_page(run, &note(7, "k")).unwrap();
        writer.note_page(run, &note(8, "other")).unwrap();
        writer.commit().unwrap();
        let (new, earlier) = store.page_notes("a", "k", 150).unwrap();
        assert_eq!((new, earlier.len()), (vec![note(7, "k")], 150));
        // Of four runs of 400 pages, the three that hold the newest thousand.
        assert_eq!(store.number("", "SELECT count(*) FROM extraction", []).unwrap(), 1_202);
        assert_eq!(store.latest_drifts().unwrap(), [drift]);
    }
}
