//! Files of `torch.save`, read without Python and without running anything: a zip of uncompressed storages, and a pickle
//! that says which tensors lie in them.
//!
//! libtorch's own reader knows only what TorchScript writes; it stops at the attributes of the `OrderedDict` that every
//! `state_dict` is. So the few instructions that such a pickle consists of are followed here. A name that is none of
//! torch's own (a pickle may call anything) is an error.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use memmap2::Mmap;
use tch::{Device, Kind, Tensor};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::files;

/// An open file of torch.save.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    map: Mmap,
    /// Name of a member without the archive's own folder → its bytes' place.
    members: HashMap<String, (usize, usize)>,
    /// Name → tensor, in the file's order.
    tensors: Vec<(String, Stored)>,
}

/// A tensor in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stored {
    storage: String,
    pub(super) kind: Kinds,
    offset: i64,
    pub(super) shape: Vec<i64>,
    stride: Vec<i64>,
}

/// [`Kind`], which has no hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kinds {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Kinds {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::F64 => Kind::Double,
            Self::F32 => Kind::Float,
            Self::F16 => Kind::Half,
            Self::BF16 => Kind::BFloat16,
            Self::I64 => Kind::Int64,
            Self::I32 => Kind::Int,
            Self::I16 => Kind::Int16,
            Self::I8 => Kind::Int8,
            Self::U8 => Kind::Uint8,
            Self::Bool => Kind::Bool,
        }
    }

    fn of(storage: &str) -> Option<Self> {
        Some(match storage {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::BF16,
            "LongStorage" => Self::I64,
            "IntStorage" => Self::I32,
            "ShortStorage" => Self::I16,
            "CharStorage" => Self::I8,
            "ByteStorage" => Self::U8,
            "BoolStorage" => Self::Bool,
            _ => return None,
        })
    }
}

impl Archive {
    /// Opens a file and reads what it holds, but no numbers.
    ///
    /// # Errors
    /// Kind `Model`: no whole zip, or a pickle that is more than a dictionary of tensors.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let doing = || format!("reading {} (is the file damaged? fetch it again)", path.display());
        let map = files::map(path).context(ErrorKind::Model, doing)?;
        let members = members(&map).ok_or_else(|| wrong("it is no whole zip".into()).while_doing(doing()))?;
        let Some(&(start, end)) = members.get("data.pkl") else {
            return Err(wrong("it has no data.pkl".into()).while_doing(doing()));
        };
        let tensors = Pickle::new(&map[start..end]).tensors().map_err(|error| error.while_doing(doing()))?;
        Ok(Self { path: path.to_path_buf(), map, members, tensors })
    }

    /// Its tensors, in its order.
    pub(super) fn tensors(&self) -> &[(String, Stored)] {
        &self.tensors
    }

    /// The numbers of one, row by row.
    ///
    /// # Errors
    /// Kind `Model`: it reaches outside its storage, or libtorch fails.
    pub(super) fn read(&self, tensor: &Stored) -> Result<Tensor> {
        let outside = || wrong(format!("{}: a tensor reaches outside its storage", self.path.display()));
        let &(start, end) = self.members.get(&format!("data/{}", tensor.storage)).ok_or_else(outside)?;
        let kind = tensor.kind.kind();
        let width = kind.elt_size_in_bytes();
        // The first number and the one after the last, by the largest index in every dimension.
        let mut last = tensor.offset;
        for (&size, &stride) in tensor.shape.iter().zip(&tensor.stride) {
            let reach = (size - 1).checked_mul(stride).filter(|reach| size < 1 || *reach >= 0).ok_or_else(outside)?;
            last = last.checked_add(reach).ok_or_else(outside)?;
        }
        if tensor.shape.contains(&0) {
            return Ok(Tensor::f_empty(tensor.shape.as_slice(), (kind, Device::Cpu))?);
        }
        let (Ok(first), Ok(last)) = (usize::try_from(tensor.offset), usize::try_from(last)) else {
            return Err(outside());
        };
        let past = last.checked_add(1).and_then(|count| count.checked_mul(width)).ok_or_else(outside)?;
        if past > end - start {
            return Err(outside());
        }
        let bytes = &self.map[start + first * width..start + past];
        let count = i64::try_from(bytes.len() / width).unwrap_or(0);
        let flat = Tensor::f_from_data_size(bytes, &[count], kind)?;
        files::release(&self.map, start + first * width, bytes.len());
        Ok(flat.f_as_strided(tensor.shape.as_slice(), tensor.stride.as_slice(), 0)?.f_contiguous()?)
    }
}

/// The members of a zip whose bytes are stored as they are; `None` for anything else.
fn members(zip: &[u8]) -> Option<HashMap<String, (usize, usize)>> {
    let number = |at: usize, width: usize| -> Option<usize> {
        let bytes = zip.get(at..at.checked_add(width)?)?;
        usize::try_from(bytes.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))).ok()
    };
    // The end record, before a comment of at most 64 KB.
    let lowest = zip.len().saturating_sub(22 + 65_535);
    let end = (lowest..=zip.len().checked_sub(22)?).rev().find(|&at| zip[at..].starts_with(b"PK\x05\x06"))?;
    let (mut count, mut at) = (number(end + 10, 2)?, number(end + 16, 4)?);
    // What does not fit stands in the larger record of zip64.
    if let Some(locator) = end.checked_sub(20).filter(|&at| zip[at..].starts_with(b"PK\x06\x07")) {
        let large = number(locator + 8, 8)?;
        zip.get(large..)?.starts_with(b"PK\x06\x06").then_some(())?;
        (count, at) = (number(large + 32, 8)?, number(large + 48, 8)?);
    }
    let mut members = HashMap::new();
    for _ in 0..count {
        zip.get(at..)?.starts_with(b"PK\x01\x02").then_some(())?;
        let (method, mut size, mut local) = (number(at + 10, 2)?, number(at + 24, 4)?, number(at + 42, 4)?);
        let (name, extra, comment) = (number(at + 28, 2)?, number(at + 30, 2)?, number(at + 32, 2)?);
        let title = std::str::from_utf8(zip.get(at + 46..at + 46 + name)?).ok()?;
        let (mut field, past) = (at + 46 + name, at + 46 + name + extra);
        while field + 4 <= past {
            let (tag, length) = (number(field, 2)?, number(field + 2, 2)?);
            if tag == 1 {
                // Of the four only those that did not fit, in this order: size, packed size, place.
                let mut value = field + 4;
                for (slot, place) in [(Some(&mut size), 24), (None, 20), (Some(&mut local), 42)] {
                    if number(at + place, 4)? == 0xffff_ffff {
                        if let Some(slot) = slot {
                            *slot = number(value, 8)?;
                        }
                        value += 8;
                    }
                }
            }
            field += 4 + length;
        }
        let start = local.checked_add(30 + number(local.checked_add(26)?, 2)? + number(local.checked_add(28)?, 2)?)?;
        let stop = start.checked_add(size).filter(|stop| *stop <= zip.len())?;
        if method == 0 {
            let inner = title.split_once('/').map_or(title, |(_, inner)| inner);
            members.insert(inner.to_owned(), (start, stop));
        }
        at = past + comment;
    }
    Some(members)
}

/// What a pickle's stack holds.
#[derive(Debug, Clone)]
enum Item {
    Mark,
    Text(String),
    Number(i64),
    Name(String, String),
    List(Vec<Item>),
    /// Shared, since the pickle fills it after having named it.
    Table(Rc<std::cell::RefCell<Vec<(Item, Item)>>>),
    Storage(String, Kinds),
    Tensor(Stored),
    /// Anything that no tensor depends on.
    Other,
}

/// The few instructions of the pickles that torch.save writes.
struct Pickle<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Item>,
    memo: HashMap<usize, Item>,
}

impl<'a> Pickle<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, stack: Vec::new(), memo: HashMap::new() }
    }

    /// Runs to the end; the answer must be a dictionary of tensors.
    fn tensors(mut self) -> Result<Vec<(String, Stored)>> {
        while self.step()? {}
        let Some(Item::Table(table)) = self.stack.pop() else {
            return Err(wrong("it holds no dictionary of tensors".into()));
        };
        let mut tensors = Vec::new();
        for (name, item) in table.borrow().iter() {
            if let (Item::Text(name), Item::Tensor(tensor)) = (name, item) {
                tensors.push((name.clone(), tensor.clone()));
            }
        }
        Ok(tensors)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let bytes = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        self.at += count;
        bytes.ok_or_else(|| wrong("its pickle ends early".into()))
    }

    fn number(&mut self, width: usize) -> Result<usize> {
        Ok(self.take(width)?.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    }

    fn line(&mut self) -> Result<String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length =
            rest.iter().position(|byte| *byte == b'\n').ok_or_else(|| wrong("its pickle ends early".into()))?;
        let text = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(text)
    }

    fn text(&mut self, width: usize) -> Result<()> {
        let length = self.number(width)?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.stack.push(Item::Text(text));
        Ok(())
    }

    fn pop(&mut self) -> Result<Item> {
        self.stack.pop().ok_or_else(|| wrong("its pickle takes from an empty stack".into()))
    }

    /// What lies above the last mark; the mark goes too.
    fn marked(&mut self) -> Result<Vec<Item>> {
        let mark = self.stack.iter().rposition(|item| matches!(item, Item::Mark));
        let mark = mark.ok_or_else(|| wrong("its pickle misses a mark".into()))?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    /// One instruction; whether more follow.
    fn step(&mut self) -> Result<bool> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(false),
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.stack.push(Item::Mark),
            b'}' => self.stack.push(Item::Table(Rc::default())),
            b']' | b')' => self.stack.push(Item::List(Vec::new())),
            b'N' | 0x88 | 0x89 => self.stack.push(Item::Other),
            b'G' => {
                self.take(8)?;
                self.stack.push(Item::Other);
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            b'K' => self.integer(1)?,
            b'M' => self.integer(2)?,
            b'J' => {
                let bytes = self.take(4)?;
                let number = i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.stack.push(Item::Number(number.into()));
            }
            0x8a => {
                let width = self.number(1)?;
                if width > 7 {
                    return Err(wrong("its pickle holds a number beyond 56 bits".into()));
                }
                self.integer(width)?;
            }
            b'c' => {
                let name = (self.line()?, self.line()?);
                self.stack.push(Item::Name(name.0, name.1));
            }
            b'q' | b'r' => {
                let key = self.number(if code == b'q' { 1 } else { 4 })?;
                let top = self.stack.last().cloned().unwrap_or(Item::Other);
                self.memo.insert(key, top);
            }
            0x94 => drop(self.memo.insert(self.memo.len(), self.stack.last().cloned().unwrap_or(Item::Other))),
            b'h' | b'j' => {
                let key = self.number(if code == b'h' { 1 } else { 4 })?;
                let item = self.memo.get(&key).cloned().ok_or_else(|| wrong("its pickle recalls nothing".into()))?;
                self.stack.push(item);
            }
            b't' | b'l' => {
                let items = self.marked()?;
                self.stack.push(Item::List(items));
            }
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84));
                let items = self.stack.split_off(from.ok_or_else(|| wrong("its pickle has too little".into()))?);
                self.stack.push(Item::List(items));
            }
            b'a' => drop(self.pop()?),
            b'e' => drop(self.marked()?),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.fill(vec![key, value])?;
            }
            b'u' => {
                let items = self.marked()?;
                self.fill(items)?;
            }
            // Attributes of an object that is made already: of an OrderedDict, its `_metadata`.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let item = self.pop()?;
                self.stack.push(storage(item)?);
            }
            b'R' | 0x81 => {
                let (arguments, name) = (self.pop()?, self.pop()?);
                self.stack.push(call(name, arguments)?);
            }
            other => return Err(wrong(format!("its pickle has the instruction {other:#04x}, which no tensors need"))),
        }
        Ok(true)
    }

    fn integer(&mut self, width: usize) -> Result<()> {
        let number = i64::try_from(self.number(width)?).unwrap_or(i64::MAX);
        self.stack.push(Item::Number(number));
        Ok(())
    }

    /// Keys and values into the dictionary on top.
    fn fill(&mut self, items: Vec<Item>) -> Result<()> {
        let Some(Item::Table(table)) = self.stack.last() else {
            return Err(wrong("its pickle fills what is no dictionary".into()));
        };
        let mut items = items.into_iter();
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            table.borrow_mut().push((key, value));
        }
        Ok(())
    }
}

/// `('storage', torch.FloatStorage, '0', 'cpu', 6)`.
fn storage(item: Item) -> Result<Item> {
    if let Item::List(parts) = &item
        && let [Item::Text(tag), Item::Name(module, class), Item::Text(key), ..] = parts.as_slice()
        && tag == "storage"
        && module == "torch"
    {
        let kind = Kinds::of(class).ok_or_else(|| wrong(format!("a tensor holds {class}, which is not supported")))?;
        return Ok(Item::Storage(key.clone(), kind));
    }
    Err(wrong("its pickle names a storage in a way that is not known".into()))
}

/// The calls that tensors need.
fn call(name: Item, arguments: Item) -> Result<Item> {
    let (Item::Name(module, function), Item::List(arguments)) = (name, arguments) else {
        return Err(wrong("its pickle calls what has no name".into()));
    };
    let numbers = |item: &Item| match item {
        Item::List(items) => {
            items.iter().map(|item| if let Item::Number(n) = item { Some(*n) } else { None }).collect()
        }
        _ => None::<Vec<i64>>,
    };
    match (module.as_str(), function.as_str()) {
        ("collections", "OrderedDict") => Ok(Item::Table(Rc::default())),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => {
            if let [Item::Storage(storage, kind), Item::Number(offset), shape, stride, ..] = arguments.as_slice()
                && let (Some(shape), Some(stride)) = (numbers(shape), numbers(stride))
                && shape.len() == stride.len()
            {
                let (storage, kind, offset) = (storage.clone(), *kind, *offset);
                return Ok(Item::Tensor(Stored { storage, kind, offset, shape, stride }));
            }
            Err(wrong("its pickle makes a tensor in a way that is not known".into()))
        }
        ("torch._utils", "_rebuild_parameter") => {
            arguments.into_iter().next().ok_or_else(|| wrong("its pickle makes a parameter of nothing".into()))
        }
        _ => Err(wrong(format!("its pickle calls {module}.{function}, which is no part of weights: not run"))),
    }
}

fn wrong(message: String) -> Error {
    Error::new(ErrorKind::Model, message)
}
