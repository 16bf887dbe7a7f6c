//! Embeddings on disk: shards of half floats, row-major, mapped into memory; and models fitted on the workspace.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use half::f16;
use rusqlite::params;

use super::rows::StoredRows;
use super::{Store, Writer};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;
use crate::record::{TextId, Vectors};

/// So many texts are looked up in one walk.
const MANY: usize = 256;

/// Where a vector lies.
#[derive(Debug, Clone, Copy)]
struct Place {
    shard: i64,
    row: u32,
}

/// Shards that are mapped for reading. Memory: the mapped pages that are touched, dropped by the system when short.
#[derive(Debug)]
pub struct VectorReader<'store> {
    store: &'store Store,
    model: String,
    shards: HashMap<i64, (Arc<memmap2::Mmap>, usize)>,
    /// See [`Store::texts_without`]; read when it is first asked for.
    without: Option<HashSet<TextId>>,
}

impl Store {
    /// Reads vectors of a model.
    pub fn vectors(&self, model: &str) -> VectorReader<'_> {
        VectorReader { store: self, model: model.to_owned(), shards: HashMap::new(), without: None }
    }

    /// A model fitted on the workspace's text.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn artefact(&self, name: &str) -> Result<Option<Vec<u8>>> {
        self.row("reading a fitted model", "SELECT data FROM artefact WHERE name = ?1", [name], |row| row.get(0))
    }

    /// How many texts a model has seen: those with a vector and those without one.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn vector_count(&self, model: &str) -> Result<u64> {
        self.number(
            "counting vectors",
            "SELECT (SELECT count(*) FROM vector WHERE model = ?1) + (SELECT count(*) FROM no_vector WHERE model = ?1)",
            [model],
        )
    }

    /// Texts in which a model found no token, so that they have no vector. Few: symbols and control characters.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn texts_without(&self, model: &str) -> Result<HashSet<TextId>> {
        let texts = self.rows(
            "listing texts without a vector",
            "SELECT text_id FROM no_vector WHERE model = ?1",
            [model],
            |row| Ok(TextId(row.get(0)?)),
        )?;
        Ok(texts.into_iter().collect())
    }

    /// Writes a shard's file. No row names it until [`Writer::put_shard`] is committed.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn write_shard_file(&self, file: &str, vectors: &Vectors) -> Result<()> {
        let bytes = shard_bytes(vectors);
        files::write_atomically(&self.vectors_folder().join(file), |out| out.write_all(&bytes))
    }
}

/// What a shard's file holds: half floats, row by row, little-endian.
pub fn shard_bytes(vectors: &Vectors) -> Vec<u8> {
    vectors.data().iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect()
}

impl VectorReader<'_> {
    /// The vectors of texts, in the order asked. All cores turn them into 32-bit numbers.
    ///
    /// # Errors
    /// Kind `Store`: a text has no vector (its stage must run first), or a shard is missing or too short.
    pub fn read(&mut self, texts: &[TextId]) -> Result<Vectors> {
        self.stored(texts)?.to_vectors()
    }

    /// The vectors of those texts that have one, in the order asked, and the places of these texts, ascending.
    ///
    /// # Errors
    /// As [`VectorReader::read`].
    pub fn read_with(&mut self, texts: &[TextId]) -> Result<(Vec<usize>, Vectors)> {
        let without = match &mut self.without {
            Some(without) => without,
            none => none.insert(self.store.texts_without(&self.model)?),
        };
        let with: Vec<usize> = (0..texts.len()).filter(|place| !without.contains(&texts[*place])).collect();
        let asked: Vec<TextId> = with.iter().map(|place| texts[*place]).collect();
        Ok((with, self.read(&asked)?))
    }

    /// The vectors of texts, in the order asked, where they lie.
    ///
    /// # Errors
    /// As [`VectorReader::read`].
    pub fn stored(&mut self, texts: &[TextId]) -> Result<StoredRows> {
        let places = self.places(texts)?;
        let Some(first) = places.first() else { return StoredRows::new(1, Vec::new(), Vec::new()) };
        // Few shards hold many texts, so the last one is mostly the one that is wanted again.
        let (mut files, mut numbers): (Vec<Arc<memmap2::Mmap>>, HashMap<i64, u32>) = (Vec::new(), HashMap::new());
        let (mut dim, mut last) = (None, (first.shard, 0));
        let mut found = Vec::with_capacity(places.len());
        for place in &places {
            if files.is_empty() || place.shard != last.0 {
                let number = match numbers.get(&place.shard) {
                    Some(number) => *number,
                    None => {
                        let (map, own) = self.map(place.shard)?;
                        if *dim.get_or_insert(own) != own {
                            let message = format!(
                                "vector shard {} has rows of {own} numbers, others of more or fewer",
                                place.shard
                            );
                            return Err(Error::new(ErrorKind::Store, message));
                        }
                        files.push(map);
                        let number = u32::try_from(files.len() - 1).unwrap_or(u32::MAX);
                        numbers.insert(place.shard, number);
                        number
                    }
                };
                last = (place.shard, number);
            }
            found.push((last.1, place.row));
        }
        StoredRows::new(dim.unwrap_or(1), files, found)
            .map_err(|error| error.while_doing(format!("reading vectors of {}", self.model)))
    }

    /// Where the vectors of texts lie. Many that come by id are found in one walk over the index.
    fn places(&self, texts: &[TextId]) -> Result<Vec<Place>> {
        let (Some(first), Some(last)) = (texts.first(), texts.last()) else { return Ok(Vec::new()) };
        if texts.len() < MANY || !texts.is_sorted_by(|a, b| a < b) {
            return texts.iter().map(|text| self.place(*text)).collect();
        }
        let mut places = Vec::with_capacity(texts.len());
        let doing = || "looking up vectors".to_owned();
        let mut statement = self
            .store
            .connection
            .prepare(
                "SELECT text_id, shard, row FROM vector WHERE model = ?1 AND text_id BETWEEN ?2 AND ?3 ORDER BY text_id",
            )
            .context(ErrorKind::Store, doing)?;
        let mut rows = statement.query(params![self.model, first.0, last.0]).context(ErrorKind::Store, doing)?;
        while let Some(row) = rows.next().context(ErrorKind::Store, doing)? {
            let Some(wanted) = texts.get(places.len()) else { break };
            let text: i64 = row.get(0).context(ErrorKind::Store, doing)?;
            if text > wanted.0 {
                break;
            }
            if text == wanted.0 {
                let place = || -> rusqlite::Result<Place> { Ok(Place { shard: row.get(1)?, row: row.get(2)? }) };
                places.push(place().context(ErrorKind::Store, doing)?);
            }
        }
        match texts.get(places.len()) {
            Some(missing) => Err(self.unknown(*missing)),
            None => Ok(places),
        }
    }

    fn place(&self, text: TextId) -> Result<Place> {
        self.store
            .row(
                "looking up a vector",
                "SELECT shard, row FROM vector WHERE model = ?1 AND text_id = ?2",
                params![self.model, text.0],
                |row| Ok(Place { shard: row.get(0)?, row: row.get(1)? }),
            )?
            .ok_or_else(|| self.unknown(text))
    }

    fn unknown(&self, text: TextId) -> Error {
        Error::new(ErrorKind::Store, format!("text {text} has no vector of {}: run the embed stage first", self.model))
    }

    /// A shard's file, and the numbers of its rows.
    fn map(&mut self, shard: i64) -> Result<(Arc<memmap2::Mmap>, usize)> {
        if let Some((map, dim)) = self.shards.get(&shard) {
            return Ok((Arc::clone(map), *dim));
        }
        let (file, rows, dim): (String, usize, usize) = self
            .store
            .row("looking up a shard", "SELECT file, rows, dim FROM shard WHERE id = ?1", [shard], |row| {
                Ok((row.get(0)?, row.get::<_, u32>(1)? as usize, row.get::<_, u32>(2)? as usize))
            })?
            .ok_or_else(|| Error::new(ErrorKind::Store, format!("vector shard {shard} has no row")))?;
        let path: PathBuf = self.store.vectors_folder().join(file);
        let map = files::map(&path)?;
        if map.len() != rows * dim * 2 {
            return Err(Error::new(
                ErrorKind::Store,
                format!("{} holds {} bytes, its row says {rows} × {dim} half floats", path.display(), map.len()),
            ));
        }
        let map = Arc::new(map);
        self.shards.insert(shard, (Arc::clone(&map), dim));
        Ok((map, dim))
    }
}

impl Writer<'_> {
    /// Names a shard's file and what its rows are.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_shard(&self, model: &str, file: &str, dim: usize, texts: &[TextId]) -> Result<()> {
        self.execute(
            "naming a vector shard",
            "INSERT INTO shard (model, file, rows, dim) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (file) DO UPDATE SET rows = excluded.rows",
            params![model, file, texts.len() as i64, dim as i64],
        )?;
        let shard: i64 = self
            .transaction
            .query_row("SELECT id FROM shard WHERE file = ?1", [file], |row| row.get(0))
            .map_err(|error| Error::with_source(ErrorKind::Store, "naming a vector shard", error))?;
        for (row, text) in texts.iter().enumerate() {
            self.execute(
                "naming a vector",
                "INSERT INTO vector (model, text_id, shard, row) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (model, text_id) DO UPDATE SET shard = excluded.shard, row = excluded.row",
                params![model, text.0, shard, row as i64],
            )?;
        }
        Ok(())
    }

    /// Keeps in mind that texts have no vector of a model.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_no_vector(&self, model: &str, texts: &[TextId]) -> Result<()> {
        for text in texts {
            self.execute(
                "naming a text without a vector",
                "INSERT INTO no_vector (model, text_id) VALUES (?1, ?2) ON CONFLICT (model, text_id) DO NOTHING",
                params![model, text.0],
            )?;
        }
        Ok(())
    }

    /// Keeps a model fitted on the workspace's text.
    ///
    /// # Errors
    /// Kind `Store`.
    pub fn put_artefact(&self, name: &str, data: &[u8]) -> Result<()> {
        self.execute(
            "keeping a fitted model",
            "INSERT INTO artefact (name, data) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET data = excluded.data",
            params![name, data],
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::open::Access;

    #[test]
    fn vectors_come_back_in_the_order_asked() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let vectors = Vectors::normalised(2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        store.write_shard_file("m/a.f16", &vectors).unwrap();
        let writer = store.writer().unwrap();
        writer.put_shard("m", "m/a.f16", 2, &[TextId(5), TextId(6)]).unwrap();
        writer.commit().unwrap();
        let read = store.vectors("m").read(&[TextId(6), TextId(5), TextId(6)]).unwrap();
        assert_eq!(read.data(), [0.0, 1.0, 1.0, 0.0, 0.0, 1.0]);
        let error = store.vectors("m").read(&[TextId(7)]).unwrap_err();
        assert!(error.to_string().contains("run the embed stage"), "{error}");
    }

    #[test]
    fn texts_without_a_vector_are_left_out_of_those_that_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let vectors = Vectors::normalised(2, vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        store.write_shard_file("m/a.f16", &vectors).unwrap();
        let writer = store.writer().unwrap();
        writer.put_shard("m", "m/a.f16", 2, &[TextId(5), TextId(6)]).unwrap();
        writer.put_no_vector("m", &[TextId(7)]).unwrap();
        writer.put_no_vector("m", &[TextId(7)]).unwrap();
        writer.commit().unwrap();
        let (with, read) = store.vectors("m").read_with(&[TextId(7), TextId(6), TextId(7), TextId(5)]).unwrap();
        assert_eq!((with.as_slice(), read.data()), ([1, 3].as_slice(), [0.0, 1.0, 1.0, 0.0].as_slice()));
        assert_eq!(store.vectors("m").read_with(&[TextId(7)]).unwrap().1.rows(), 0);
        assert!(store.vectors("m").read_with(&[TextId(8)]).is_err(), "a text that the model has not seen");
        assert_eq!((store.vector_count("m").unwrap(), store.vector_count("other").unwrap()), (3, 0));
    }

    #[test]
    fn many_are_found_in_one_walk_and_a_missing_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        let all = Vectors::random(3 * MANY, 5, 1);
        store.write_shard_file("m/a.f16", &all).unwrap();
        let texts: Vec<TextId> = (0..3 * MANY as i64).map(|text| TextId(2 * text)).collect();
        let writer = store.writer().unwrap();
        writer.put_shard("m", "m/a.f16", 5, &texts).unwrap();
        writer.commit().unwrap();
        let every_other: Vec<TextId> = texts.iter().step_by(2).copied().collect();
        let walked = store.vectors("m").read(&every_other).unwrap();
        let mut reader = store.vectors("m");
        for (row, text) in every_other.iter().enumerate() {
            assert_eq!(walked.row(row), reader.read(&[*text]).unwrap().row(0));
        }
        for missing in [TextId(4 * MANY as i64 + 1), TextId(1), TextId(6 * MANY as i64 + 7)] {
            let mut asked = every_other.clone();
            asked.push(missing);
            asked.sort();
            let error = store.vectors("m").read(&asked).unwrap_err().to_string();
            assert!(error.contains(&missing.to_string()), "{error}");
        }
    }

    #[test]
    fn a_shard_that_was_cut_is_an_error_not_a_shorter_result() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path(), Access::Write).unwrap();
        store.write_shard_file("m/a.f16", &Vectors::normalised(2, vec![1.0, 0.0]).unwrap()).unwrap();
        let writer = store.writer().unwrap();
        writer.put_shard("m", "m/a.f16", 2, &[TextId(5), TextId(6)]).unwrap();
        writer.commit().unwrap();
        assert!(store.vectors("m").read(&[TextId(5)]).unwrap_err().to_string().contains("2 × 2 half floats"));
    }
}
