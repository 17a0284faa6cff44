//! Large JSON files, read entry by entry.

use std::cell::Cell;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use stepladder_env::EnvError;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 18;

/// What a consumer says of an entry.
pub(crate) enum Next {
    /// Read on.
    Continue,
    /// Enough was read.
    Stop,
}

/// Reads the array at the top of a file. `each` takes an entry or says what is wrong with it.
///
/// # Errors
/// [`EnvError::Data`] with the number of the entry, from 1, and its line and column.
pub(crate) fn array<T, F>(path: &Path, each: F) -> Result<(), EnvError>
where
    T: for<'de> Deserialize<'de>,
    F: FnMut(T) -> Result<Next, String>,
{
    let place = Place::default();
    let visitor = Entries { place: &place, each, entry: std::marker::PhantomData };
    read(path, &place, |json| json.deserialize_seq(visitor))
}

/// Reads the object at the top of a file, whose values may stand in an object below the key `inside`. For every key, `choose` says
/// whether its value is wanted, and `each` takes it.
///
/// # Errors
/// [`EnvError::Data`] as in [`array`], with the key.
pub(crate) fn object<T, C, F>(path: &Path, inside: Option<&str>, choose: C, each: F) -> Result<(), EnvError>
where
    T: for<'de> Deserialize<'de>,
    C: FnMut(&str) -> Option<u32>,
    F: FnMut(u32, T) -> Result<(), String>,
{
    let place = Place::default();
    let visitor = Values { place: &place, inside, choose, each, value: std::marker::PhantomData };
    read(path, &place, |json| json.deserialize_map(visitor))
}

/// Where reading is.
#[derive(Default)]
struct Place {
    /// Entries that were read.
    entries: Cell<usize>,
    /// Key of the entry that is read, in an object.
    key: Cell<String>,
    /// Reading stopped on purpose.
    stopped: Cell<bool>,
}

type Json = serde_json::Deserializer<serde_json::de::IoRead<BufReader<File>>>;

fn read(
    path: &Path,
    place: &Place,
    visit: impl FnOnce(&mut Json) -> Result<(), serde_json::Error>,
) -> Result<(), EnvError> {
    let data = |reason| EnvError::Data { path: path.to_owned(), reason };
    let file = File::open(path).map_err(|error| {
        data(if error.kind() == ErrorKind::NotFound {
            "no such file: a catalogue is a file of products and one of their attributes and instructions; name the data root with \
             --data or STEPLADDER_DATA (`stepladder data status` shows where they come from)"
                .to_owned()
        } else {
            format!("cannot open the file: {error}")
        })
    })?;
    let mut json = serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER, file));
    let read = visit(&mut json).and_then(|()| json.end());
    match read {
        Err(error) if !place.stopped.get() => {
            let key = place.key.take();
            let key = if key.is_empty() { key } else { format!(" (`{key}`)") };
            let entry = format!("entry {}{key}", place.entries.get() + 1);
            Err(data(match error.classify() {
                Category::Io => format!("cannot read the file: {error}"),
                Category::Eof => {
                    format!("the file ends in {entry}: it is truncated, fetch it again ({error})")
                }
                Category::Syntax => format!("{entry} is not JSON: {error}; fetch the file again"),
                Category::Data => format!("{entry}: {error}"),
            }))
        }
        _ => Ok(()),
    }
}

struct Entries<'a, T, F> {
    place: &'a Place,
    each: F,
    entry: std::marker::PhantomData<T>,
}

impl<'de, T, F> Visitor<'de> for Entries<'_, T, F>
where
    T: Deserialize<'de>,
    F: FnMut(T) -> Result<Next, String>,
{
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of products")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element::<T>()? {
            if let Next::Stop = (self.each)(entry).map_err(A::Error::custom)? {
                // Only an error ends a visit early.
                self.place.stopped.set(true);
                return Err(A::Error::custom("stopped"));
            }
            self.place.entries.set(self.place.entries.get() + 1);
        }
        Ok(())
    }
}

struct Values<'a, T, C, F> {
    place: &'a Place,
    inside: Option<&'a str>,
    choose: C,
    each: F,
    value: std::marker::PhantomData<T>,
}

impl<'de, T, C, F> Values<'_, T, C, F>
where
    T: Deserialize<'de>,
    C: FnMut(&str) -> Option<u32>,
    F: FnMut(u32, T) -> Result<(), String>,
{
    fn take<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let chosen = (self.choose)(&key);
            self.place.key.set(key);
            match chosen {
                Some(number) => {
                    let value = map.next_value::<T>()?;
                    (self.each)(number, value).map_err(A::Error::custom)?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
            self.place.entries.set(self.place.entries.get() + 1);
        }
        self.place.key.take();
        Ok(())
    }
}

impl<'de, T, C, F> Visitor<'de> for Values<'_, T, C, F>
where
    T: Deserialize<'de>,
    C: FnMut(&str) -> Option<u32>,
    F: FnMut(u32, T) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let Some(inside) = self.inside.take() else { return self.take(&mut map) };
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            if key == inside {
                found = true;
                map.next_value_seed(Inner(&mut self))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        if found { Ok(()) } else { Err(A::Error::custom(format!("the key `{inside}` is missing"))) }
    }
}

/// The object below a key.
struct Inner<'a, V>(&'a mut V);

impl<'de, T, C, F> DeserializeSeed<'de> for Inner<'_, Values<'_, T, C, F>>
where
    T: Deserialize<'de>,
    C: FnMut(&str) -> Option<u32>,
    F: FnMut(u32, T) -> Result<(), String>,
{
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de, T, C, F> Visitor<'de> for Inner<'_, Values<'_, T, C, F>>
where
    T: Deserialize<'de>,
    C: FnMut(&str) -> Option<u32>,
    F: FnMut(u32, T) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.take(&mut map)
    }
}
