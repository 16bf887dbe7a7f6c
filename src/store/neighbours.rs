//! The neighbour lists behind mining.

use rusqlite::params;

use super::{Store, Writer};
use crate::error::Result;
use crate::record::TextId;

/// Which way neighbours were looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// A source text's neighbours among the target texts.
    Forward,
    /// A target text's neighbours among the source texts.
    Backward,
}

impl Direction {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Backward => "backward",
        }
    }

    /// The other way.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// A text and its nearest neighbours with their cosines, best first.
pub type NeighbourList = (TextId, Vec<(TextId, f32)>);

fn pack(list: &[(TextId, f32)]) -> Vec<u8> {
    list.iter().flat_map(|(text, cosine)| text.0.to_le_bytes().into_iter().chain(cosine.to_le_bytes())).collect()
}

fn unpack(bytes: &[u8]) -> impl ExactSizeIterator<Item = (TextId, f32)> {
    bytes.as_chunks::<12>().0.iter().map(|entry| {
        let (mut id, mut cosine) = ([0; 8], [0; 4]);
        id.copy_from_slice(&entry[..8]);
        cosine.copy_from_slice(&entry[8..]);
        (TextId(i64::from_le_bytes(id)), f32::from_le_bytes(cosine))
    })
}

impl Store {
    /// Texts that have a neighbour list of a direction under `key`, by id.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn listed_texts(&self, scope: &str, direction: Direction, key: &str) -> Result<Vec<TextId>> {
        self.rows(
            "listing neighbour lists",
            "SELECT text_id FROM neighbours WHERE scope = ?1 AND direction = ?2 AND key = ?3 ORDER BY text_id",
            [scope, direction.name(), key],
            |row| Ok(TextId(row.get(0)?)),
        )
    }

    /// Texts whose list was made under another key.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn stale_lists(&self, scope: &str, direction: Direction, key: &str) -> Result<Vec<TextId>> {
        self.rows(
            "listing stale neighbour lists",
            "SELECT text_id FROM neighbours WHERE scope = ?1 AND direction = ?2 AND key <> ?3 ORDER BY text_id",
            [scope, direction.name(), key],
            |row| Ok(TextId(row.get(0)?)),
        )
    }

    /// The neighbour list of a text, if there is one under `key`; without the spare ones.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn neighbour_list(
        &self,
        scope: &str,
        direction: Direction,
        key: &str,
        text: TextId,
    ) -> Result<Option<Vec<(TextId, f32)>>> {
        self.row(
            "reading a neighbour list",
            "SELECT list FROM neighbours WHERE scope = ?1 AND direction = ?2 AND text_id = ?3 AND key = ?4",
            params![scope, direction.name(), text.0, key],
            |row| Ok(unpack(&row.get::<_, Vec<u8>>(0)?).collect()),
        )
    }

    /// All neighbour lists of a direction made under `key`, by text id, with the spare ones at their ends.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn neighbour_lists(&self, scope: &str, direction: Direction, key: &str) -> Result<NeighbourLists> {
        let mut lists = NeighbourLists::default();
        let blob = |row: &rusqlite::Row<'_>, column: usize, to: &mut Vec<u8>| -> rusqlite::Result<()> {
            to.extend(row.get_ref(column)?.as_blob().map_err(|error| super::conversion(column, error))?);
            Ok(())
        };
        self.walk(
            "reading neighbour lists",
            "SELECT text_id, list, spare FROM neighbours WHERE scope = ?1 AND direction = ?2 AND key = ?3 ORDER BY text_id",
            [scope, direction.name(), key],
            |row| {
                lists.texts.push(TextId(row.get(0)?));
                blob(row, 1, &mut lists.bytes)?;
                blob(row, 2, &mut lists.bytes)?;
                lists.ends.push(lists.bytes.len());
                Ok(())
            },
            Ok,
        )?;
        Ok(lists)
    }
}

/// Many neighbour lists as they are stored. Memory: 12 bytes a neighbour and 16 a list.
#[derive(Debug, Default)]
pub struct NeighbourLists {
    /// Whose they are, by id.
    pub texts: Vec<TextId>,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl NeighbourLists {
    /// The neighbours of one of the texts, by its number, and their cosines; best first.
    pub fn list(&self, number: usize) -> impl ExactSizeIterator<Item = (TextId, f32)> {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        unpack(&self.bytes[start..self.ends[number]])
    }
}

impl Writer<'_> {
    /// Writes neighbour lists; what is behind the first `k` is spare.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_neighbours(
        &self,
        scope: &str,
        direction: Direction,
        key: &str,
        k: usize,
        lists: &[NeighbourList],
    ) -> Result<()> {
        for (text, list) in lists {
            let (list, spare) = list.split_at(k.min(list.len()));
            self.execute(
                "writing neighbours",
                "INSERT INTO neighbours (scope, direction, text_id, key, list, spare) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (scope, direction, text_id) DO UPDATE SET key = excluded.key, list = excluded.list,
                   spare = excluded.spare",
                params![scope, direction.name(), text.0, key, pack(list), pack(spare)],
            )?;
        }
        Ok(())
    }

    /// Deletes neighbour lists.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn delete_neighbours(&self, scope: &str, direction: Direction, texts: &[TextId]) -> Result<()> {
        for text in texts {
            self.execute(
                "deleting neighbours",
                "DELETE FROM neighbours WHERE scope = ?1 AND direction = ?2 AND text_id = ?3",
                params![scope, direction.name(), text.0],
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbour_lists_survive_packing() {
        let list = vec![(TextId(7), 0.25), (TextId(i64::MAX), -1.0)];
        assert_eq!(unpack(&pack(&list)).collect::<Vec<_>>(), list);
    }
}
