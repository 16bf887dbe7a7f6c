//! Vectors where they lie: rows of half floats in mapped files.

use std::sync::Arc;

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;

use crate::error::{Error, ErrorKind, Result};
use crate::record::{Rows, Vectors};

/// Bytes of half floats in a file.
const HALF: usize = size_of::<f16>();

/// Rows of half floats, little-endian, in mapped files. Memory: 8 bytes a row; the files' pages are the system's to drop.
#[derive(Debug, Clone)]
pub struct StoredRows {
    dim: usize,
    files: Vec<Arc<memmap2::Mmap>>,
    /// File and row in it.
    places: Vec<(u32, u32)>,
}

impl StoredRows {
    /// Rows of `dim` numbers by file and row in it.
    ///
    /// # Errors
    /// Kind `Store`, when a file ends before a row.
    pub fn new(dim: usize, files: Vec<Arc<memmap2::Mmap>>, places: Vec<(u32, u32)>) -> Result<Self> {
        let holds = |(file, row): &(u32, u32)| {
            files.get(*file as usize).is_some_and(|file| (*row as usize + 1) * dim * HALF <= file.len())
        };
        if let Some((_, row)) = places.iter().find(|place| !holds(place)) {
            return Err(Error::new(ErrorKind::Store, format!("a vector shard ends before its row {row}")));
        }
        Ok(Self { dim, files, places })
    }

    /// All rows in memory, made by all cores. Memory: 4 bytes a number.
    ///
    /// # Errors
    /// Kind `Bug`.
    pub fn to_vectors(&self) -> Result<Vectors> {
        let mut data = vec![0.0; self.places.len() * self.dim];
        data.par_chunks_exact_mut(self.dim).enumerate().for_each(|(row, numbers)| self.fill(row, numbers));
        Vectors::of_units(self.dim, data)
    }

    fn fill(&self, row: usize, numbers: &mut [f32]) {
        /// Numbers that are turned at a time.
        const SOME: usize = 256;
        let (file, row) = self.places[row];
        let bytes = &self.files[file as usize][row as usize * self.dim * HALF..][..self.dim * HALF];
        let mut halves = [f16::ZERO; SOME];
        for (bytes, numbers) in bytes.chunks(SOME * HALF).zip(numbers.chunks_mut(SOME)) {
            let halves = &mut halves[..numbers.len()];
            let read = bytes.as_chunks::<HALF>().0.iter().map(|bytes| f16::from_le_bytes(*bytes));
            halves.iter_mut().zip(read).for_each(|(to, half)| *to = half);
            halves.convert_to_f32_slice(numbers);
        }
    }
}

impl Rows for StoredRows {
    fn rows(&self) -> usize {
        self.places.len()
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn read<'a>(&'a self, row: usize, buffer: &'a mut Vec<f32>) -> &'a [f32] {
        buffer.resize(self.dim, 0.0);
        self.fill(row, buffer);
        buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 300 numbers are more than are turned at a time.
    fn stored(rows: &[Vec<f32>]) -> (tempfile::TempDir, Vec<Arc<memmap2::Mmap>>) {
        let folder = tempfile::tempdir().unwrap();
        let files = rows.iter().enumerate().map(|(number, numbers)| {
            let path = folder.path().join(number.to_string());
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
            std::fs::write(&path, bytes).unwrap();
            Arc::new(crate::files::map(&path).unwrap())
        });
        let files = files.collect();
        (folder, files)
    }

    #[test]
    fn rows_of_several_files_are_read_in_the_order_of_their_places() {
        let row = |seed: usize| (0..300).map(move |i| ((i * seed) % 64) as f32 / 64.0);
        let (_folder, files) = stored(&[row(1).chain(row(3)).collect(), row(5).collect()]);
        let rows = StoredRows::new(300, files.clone(), vec![(1, 0), (0, 1), (0, 0), (0, 1)]).unwrap();
        let expected: Vec<f32> = row(5).chain(row(3)).chain(row(1)).chain(row(3)).collect();
        assert_eq!((rows.rows(), rows.dim()), (4, 300));
        assert_eq!(rows.to_vectors().unwrap().data(), expected);
        let mut buffer = vec![7.0; 900];
        assert_eq!(rows.read(1, &mut buffer), &expected[300..600]);
        assert_eq!(rows.pick(&[2, 0]).data(), [&expected[600..900], &expected[..300]].concat());
        for beyond in [(0, 2), (1, 1), (2, 0)] {
            let error = StoredRows::new(300, files.clone(), vec![(0, 0), beyond]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Store, "{error}");
        }
        assert_eq!(StoredRows::new(300, files, Vec::new()).unwrap().to_vectors().unwrap().rows(), 0);
    }
}
