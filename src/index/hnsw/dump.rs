//! The graph in a file, for the next night.
//!
//! Little-endian: `kopri-hnsw-1\n`; lengths, as eight u64: of the text that says of which vectors it is, links,
//! candidates while building, numbers of a code, nodes, blocks of upper links, entry, step (the bits of an f32); that
//! text; then keys (i64), levels (u8), first blocks (u32), links on level 0 and above (u32), codes (i8); at last BLAKE3 of
//! all before. Codes are there since they are the graph's own rows, those that are gone included.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use super::graph::{Graph, NONE};
use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::files;

const MAGIC: &[u8] = b"kopri-hnsw-1\n";
/// Bytes that go through the hasher at once.
const CHUNK: usize = 1 << 16;

/// Writes a graph.
pub(super) fn write(graph: &Graph, path: &Path, of: &str, ef_construction: usize) -> Result<()> {
    files::write_atomically(path, |file| {
        let mut out = Hashed { hasher: blake3::Hasher::new(), inner: file };
        out.write_all(MAGIC)?;
        let blocks = graph.upper.len() / graph.links;
        let lengths = [of.len(), graph.links, ef_construction, graph.dim, graph.nodes(), blocks];
        for length in lengths {
            out.write_all(&(length as u64).to_le_bytes())?;
        }
        out.write_all(&u64::from(graph.entry).to_le_bytes())?;
        out.write_all(&u64::from(graph.step.to_bits()).to_le_bytes())?;
        out.write_all(of.as_bytes())?;
        numbers(&mut out, &graph.keys, |key| key.to_le_bytes())?;
        out.write_all(&graph.levels)?;
        for links in [&graph.first_block, &graph.base, &graph.upper] {
            numbers(&mut out, links, |number| number.to_le_bytes())?;
        }
        numbers(&mut out, &graph.codes, |number| number.to_le_bytes())?;
        let hash = *out.hasher.finalize().as_bytes();
        out.inner.write_all(&hash)
    })
}

/// Reads a graph of these vectors and parameters; `None` when there is none, or another.
pub(super) fn read(path: &Path, of: &str, links: usize, ef_construction: usize) -> Result<Option<Graph>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(ErrorKind::Store, || format!("opening {}", path.display())),
    };
    let size = file.metadata().context(ErrorKind::Store, || format!("reading {}", path.display()))?.len();
    let input = Hashed { hasher: blake3::Hasher::new(), inner: BufReader::with_capacity(1 << 18, file) };
    match parse(input, size, of, links, ef_construction) {
        Ok(graph) => Ok(graph),
        Err(error) => Err(Error::new(ErrorKind::Store, format!("the graph in {} is damaged: {error}", path.display()))),
    }
}

/// How many nodes a graph of these vectors and parameters has in its file: only its head is read, and 0 is answered where
/// there is nothing to use.
pub(super) fn nodes(path: &Path, of: &str, links: usize, ef_construction: usize) -> usize {
    let Ok(file) = File::open(path) else { return 0 };
    let Ok(size) = file.metadata().map(|found| found.len()) else { return 0 };
    let mut input = Hashed { hasher: blake3::Hasher::new(), inner: file };
    match head(&mut input, size) {
        Ok(head) if head.is_of(of, links, ef_construction) => usize::try_from(head.nodes).unwrap_or(0),
        _ => 0,
    }
}

/// What stands before the numbers.
struct Head {
    of: Vec<u8>,
    links: u64,
    ef_construction: u64,
    dim: u64,
    nodes: u64,
    blocks: u64,
    entry: u64,
    step: u64,
}

impl Head {
    fn is_of(&self, of: &str, links: usize, ef_construction: usize) -> bool {
        self.of == of.as_bytes() && self.links == links as u64 && self.ef_construction == ef_construction as u64
    }

    /// The size of the whole file, had its text this length.
    fn size(&self, of: u64) -> Option<u64> {
        let each = |count: u64, bytes: u64| count.checked_mul(bytes);
        let base = each(each(self.nodes, self.links)?, 8)?;
        let upper = each(each(self.blocks, self.links)?, 4)?;
        let parts =
            [of, each(self.nodes, 13)?, base, upper, each(self.nodes, self.dim)?, MAGIC.len() as u64 + 8 * 8 + 32];
        parts.into_iter().try_fold(0_u64, u64::checked_add)
    }
}

fn wrong(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn head(input: &mut Hashed<impl Read>, size: u64) -> io::Result<Head> {
    let mut magic = [0; MAGIC.len()];
    input.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(wrong("it does not begin as one"));
    }
    let lengths = input.numbers(8, u64::from_le_bytes)?;
    let [length, links, ef_construction, dim, nodes, blocks, entry, step] = lengths[..] else {
        return Err(wrong("its head is short"));
    };
    let mut head = Head { of: Vec::new(), links, ef_construction, dim, nodes, blocks, entry, step };
    // Nothing is believed, and no memory taken, before the file's size says the same.
    if head.size(length) != Some(size) || nodes >= 1 << 31 {
        return Err(wrong("its size is not what its head says"));
    }
    head.of = input.numbers(length, u8::from_le_bytes)?;
    Ok(head)
}

fn parse(
    mut input: Hashed<impl Read>,
    size: u64,
    of: &str,
    links: usize,
    ef_construction: usize,
) -> io::Result<Option<Graph>> {
    let head = head(&mut input, size)?;
    if !head.is_of(of, links, ef_construction) {
        return Ok(None);
    }
    let Head { links: its_links, dim, nodes, blocks, entry, step, .. } = head;
    let entry = u32::try_from(entry).map_err(|_| wrong("no such entry"))?;
    let step = f32::from_bits(u32::try_from(step).map_err(|_| wrong("no such step"))?);
    let keys = input.numbers(nodes, i64::from_le_bytes)?;
    let levels = input.numbers(nodes, u8::from_le_bytes)?;
    let first_block = input.numbers(nodes, u32::from_le_bytes)?;
    let base = input.numbers(2 * nodes * its_links, u32::from_le_bytes)?;
    let upper = input.numbers(blocks * its_links, u32::from_le_bytes)?;
    let codes = input.numbers(nodes * dim, i8::from_le_bytes)?;
    let hash = *input.hasher.finalize().as_bytes();
    let mut told = [0; 32];
    input.inner.read_exact(&mut told)?;
    if told != hash {
        return Err(wrong("its checksum differs"));
    }
    // What the checksum passes was written here; these are what a walk relies on.
    let is_node = |node: &u32| *node == NONE || u64::from(*node) < nodes;
    let holds_blocks = |(first, level): (&u32, &u8)| u64::from(*first) + u64::from(*level) <= blocks;
    if !(base.iter().chain(&upper).chain([&entry]).all(is_node) && first_block.iter().zip(&levels).all(holds_blocks)) {
        return Err(wrong("a link leads nowhere"));
    }
    let dim = usize::try_from(dim).map_err(|_| wrong("no such dimension"))?;
    Ok(Some(Graph { links, dim, step, codes, keys, levels, base, upper, first_block, entry }))
}

/// Everything that passes goes through the hasher too.
struct Hashed<T> {
    hasher: blake3::Hasher,
    inner: T,
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        Ok(read)
    }
}

impl<T: Read> Hashed<T> {
    fn numbers<N, const BYTES: usize>(&mut self, count: u64, number: impl Fn([u8; BYTES]) -> N) -> io::Result<Vec<N>> {
        let mut left = usize::try_from(count).map_err(io::Error::other)?;
        let mut numbers = Vec::with_capacity(left);
        let mut chunk = vec![0; CHUNK / BYTES * BYTES];
        while left > 0 {
            let some = left.min(CHUNK / BYTES);
            let bytes = &mut chunk[..some * BYTES];
            self.read_exact(bytes)?;
            numbers.extend(bytes.as_chunks::<BYTES>().0.iter().map(|bytes| number(*bytes)));
            left -= some;
        }
        Ok(numbers)
    }
}

fn numbers<N: Copy, const BYTES: usize>(
    out: &mut impl Write,
    numbers: &[N],
    bytes: impl Fn(N) -> [u8; BYTES],
) -> io::Result<()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    for some in numbers.chunks(CHUNK / BYTES) {
        chunk.clear();
        some.iter().for_each(|number| chunk.extend_from_slice(&bytes(*number)));
        out.write_all(&chunk)?;
    }
    Ok(())
}
