//! Large JSON files, read entry by entry.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::de::{DeserializeOwned, IgnoredAny};
use stepladder_env::EnvError;

/// Bytes that are read at once: many entries, of which only the last is read again when more bytes have come.
const CHUNK: usize = 1 << 20;

/// What to do about a file that is not what it should be, and about an entry.
const FETCH: &str = "fetch it again";
const MEND: &str = "correct this entry, or fetch the file again";

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
pub(crate) fn array<T: DeserializeOwned>(
    path: &Path,
    mut each: impl FnMut(T) -> Result<Next, String>,
) -> Result<(), EnvError> {
    let mut json = Json::open(path)?;
    json.open_bracket(b'[', "an array of entries")?;
    while json.another(b']')? {
        let entry = json.value()?;
        if let Next::Stop = each(entry).map_err(|reason| json.broken(&reason))? {
            return Ok(());
        }
        json.entries += 1;
    }
    json.end()
}

/// Reads the object at the top of a file, or the one below its key `inside`. For every key, `choose` says whether its value is wanted,
/// and `each` takes it.
///
/// # Errors
/// [`EnvError::Data`] as in [`array()`], with the key.
pub(crate) fn object<T: DeserializeOwned>(
    path: &Path,
    inside: Option<&str>,
    mut choose: impl FnMut(&str) -> Option<u32>,
    mut each: impl FnMut(u32, T) -> Result<(), String>,
) -> Result<(), EnvError> {
    let mut json = Json::open(path)?;
    let mut read = |json: &mut Json<'_>| -> Result<(), EnvError> {
        json.open_bracket(b'{', "an object")?;
        while json.another(b'}')? {
            json.key()?;
            match choose(&json.key) {
                Some(number) => {
                    let value = json.value()?;
                    each(number, value).map_err(|reason| json.broken(&reason))?;
                }
                None => {
                    json.value::<IgnoredAny>()?;
                }
            }
            json.entries += 1;
            json.key.clear();
        }
        Ok(())
    };
    let Some(inside) = inside else {
        read(&mut json)?;
        return json.end();
    };
    json.open_bracket(b'{', "an object")?;
    let mut found = false;
    while json.another(b'}')? {
        json.key()?;
        if json.key == inside {
            found = true;
            json.key.clear();
            read(&mut json)?;
            json.first = false;
        } else {
            json.value::<IgnoredAny>()?;
        }
    }
    json.end()?;
    if found { Ok(()) } else { Err(json.data(format!("the key `{inside}` is missing"))) }
}

/// A file that is read.
struct Json<'a> {
    path: &'a Path,
    file: File,
    /// Bytes that were read, of which those before `start` are done with.
    buffer: Vec<u8>,
    start: usize,
    /// No more bytes follow those in the buffer.
    complete: bool,
    /// Line, from 0, and column of `start`.
    line: usize,
    column: usize,
    /// Whole entries that were read.
    entries: usize,
    /// Key of the entry that is read, in an object.
    key: String,
    /// No entry of the innermost array or object was read.
    first: bool,
}

impl<'a> Json<'a> {
    fn open(path: &'a Path) -> Result<Self, EnvError> {
        let data = |reason| EnvError::Data { path: path.to_owned(), reason };
        let file = File::open(path).map_err(|error| {
            data(if error.kind() == ErrorKind::NotFound {
                "no such file: a catalogue is a file of products and one of their attributes and instructions; name the data root \
                 with --data or STEPLADDER_DATA (`stepladder data status` shows where they come from)"
                    .to_owned()
            } else {
                format!("cannot open the file: {error}")
            })
        })?;
        Ok(Self {
            path,
            file,
            buffer: Vec::new(),
            start: 0,
            complete: false,
            line: 0,
            column: 0,
            entries: 0,
            key: String::new(),
            first: true,
        })
    }

    /// Reads more bytes behind those that are not done with.
    fn fill(&mut self) -> Result<(), EnvError> {
        self.buffer.drain(..self.start);
        self.start = 0;
        // As much again as an entry that did not fit.
        let more = CHUNK.max(self.buffer.len()) as u64;
        let read = (&self.file).take(more).read_to_end(&mut self.buffer);
        let read = read.map_err(|error| self.data(format!("cannot read the file: {error}")))?;
        self.complete = read == 0;
        Ok(())
    }

    /// Skips white space and returns the next byte, if there is one.
    fn peek(&mut self) -> Result<Option<u8>, EnvError> {
        loop {
            while let Some(&byte) = self.buffer.get(self.start) {
                if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                    return Ok(Some(byte));
                }
                self.advance(1);
            }
            if self.complete {
                return Ok(None);
            }
            self.fill()?;
        }
    }

    /// Is done with some bytes.
    fn advance(&mut self, count: usize) {
        let passed = &self.buffer[self.start..self.start + count];
        match passed.iter().rposition(|&byte| byte == b'\n') {
            Some(last) => {
                self.line += passed.iter().filter(|&&byte| byte == b'\n').count();
                self.column = count - last - 1;
            }
            None => self.column += count,
        }
        self.start += count;
    }

    /// Takes one byte that must come next.
    fn take(&mut self, wanted: u8, what: &str) -> Result<(), EnvError> {
        match self.peek()? {
            Some(byte) if byte == wanted => {
                self.advance(1);
                Ok(())
            }
            Some(_) => Err(self.malformed(&format!("expected {what}"))),
            None => Err(self.truncated()),
        }
    }

    /// Takes the bracket with which the entries begin.
    fn open_bracket(&mut self, bracket: u8, what: &str) -> Result<(), EnvError> {
        self.first = true;
        match self.peek()? {
            Some(byte) if byte != bracket => {
                Err(self
                    .data(format!("expected {what} at {}: this is another file, {FETCH}", self.place(1, 1))))
            }
            _ => self.take(bracket, what),
        }
    }

    /// Whether another entry comes before the bracket that closes them.
    fn another(&mut self, bracket: u8) -> Result<bool, EnvError> {
        let closes = match self.peek()? {
            None => return Err(self.truncated()),
            Some(byte) => byte == bracket,
        };
        if closes {
            self.advance(1);
        } else if !self.first {
            self.take(b',', "a comma")?;
        }
        self.first = false;
        Ok(!closes)
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<(), EnvError> {
        self.key = self.value()?;
        self.take(b':', "a colon")
    }

    /// Reads a value.
    fn value<T: DeserializeOwned>(&mut self) -> Result<T, EnvError> {
        if self.peek()?.is_none() {
            return Err(self.truncated());
        }
        // serde_json calls a number that ends after its sign or point invalid, not unfinished: an error counts if it stays with more bytes.
        let mut last = None;
        loop {
            let bytes = &self.buffer[self.start..];
            let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<T>();
            let value = values.next();
            let read = values.byte_offset();
            match value {
                // A number may go on.
                Some(Ok(value)) if read < bytes.len() || self.complete => {
                    self.advance(read);
                    return Ok(value);
                }
                Some(Err(error)) if !error.is_eof() => {
                    let place = Some((error.line(), error.column()));
                    if self.complete && error.is_syntax() && cut_number(bytes) {
                        return Err(self.truncated());
                    }
                    if self.complete || last == place {
                        return Err(self.refused(&error));
                    }
                    last = place;
                    self.fill()?;
                }
                _ if self.complete => return Err(self.truncated()),
                _ => self.fill()?,
            }
        }
    }

    /// Checks that nothing follows.
    fn end(&mut self) -> Result<(), EnvError> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.data(format!("trailing characters at {}; {FETCH}", self.place(1, 1)))),
        }
    }

    fn data(&self, reason: String) -> EnvError {
        EnvError::Data { path: self.path.to_owned(), reason }
    }

    /// The entry that is read.
    fn entry(&self) -> String {
        let key = if self.key.is_empty() { String::new() } else { format!(" (`{}`)", self.key) };
        format!("entry {}{key}", self.entries + 1)
    }

    /// A place, given line and column relative to `start`, from 1.
    fn place(&self, line: usize, column: usize) -> String {
        let column = if line == 1 { self.column + column } else { column };
        format!("line {} column {column}", self.line + line)
    }

    /// The file ends too early.
    fn truncated(&self) -> EnvError {
        let place = self.place(1, 1);
        self.data(format!(
            "the file ends in {}, which begins near {place}: it is truncated, fetch it again",
            self.entry()
        ))
    }

    /// There is no JSON.
    fn malformed(&self, reason: &str) -> EnvError {
        self.data(format!(
            "{} is not JSON: {reason} at {}; fetch the file again",
            self.entry(),
            self.place(1, 1)
        ))
    }

    /// The entry is not what it should be.
    fn refused(&self, error: &serde_json::Error) -> EnvError {
        let text = error.to_string();
        let reason = text.rsplit_once(" at line ").map_or(&*text, |(reason, _)| reason);
        let place = self.place(error.line(), error.column());
        if error.is_data() {
            return self.data(format!("{}: {reason} at {place}; {MEND}", self.entry()));
        }
        self.data(format!("{} is not JSON: {reason} at {place}; fetch the file again", self.entry()))
    }

    /// The entry before `start` cannot be used.
    fn broken(&self, reason: &str) -> EnvError {
        self.data(format!("{}: {reason} (it ends at {}); {MEND}", self.entry(), self.place(1, 0)))
    }
}

/// Whether bytes end inside a number, where one must go on.
fn cut_number(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|byte| b"-+.eE".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(u32, String)>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut found = Vec::new();
        let choose = |key: &str| key.strip_prefix('k').and_then(|number| number.parse().ok());
        let result = object(file.path(), Some("in"), choose, |number, value: String| {
            found.push((number, value));
            Ok(())
        });
        result.map(|()| found).map_err(|error| error.to_string().split_once(": ").unwrap().1.to_owned())
    }

    #[test]
    fn entries_longer_than_a_chunk_and_across_its_end() {
        let long = "é\\n".repeat(CHUNK);
        let mut text =
            format!("{{\"before\": [1, {{\"k1\": 2}}], \"in\" : {{\"k1\": \"{long}\", \"skipped\": 12");
        for number in 2..40_000 {
            text.push_str(&format!(
                ",\n \"k{number}\" :\t\"value {number} of many, so that several chunks are read\""
            ));
        }
        text.push_str("}, \"after\": 3}\n ");
        let found = read(&text).unwrap();
        assert_eq!((found.len(), found[0].1.len()), (39_999, 3 * CHUNK));
        let in_order = |(at, (number, value)): (usize, &(u32, String))| {
            at == 0 || *number as usize == at + 1 && value.starts_with(&format!("value {number} of"))
        };
        assert!(found.iter().enumerate().all(in_order));
        // The place of an error is counted over all chunks.
        let place = "line 39999 column ";
        let error = read(&text.replace("\"value 39999 of", "true, \"v")).unwrap_err();
        assert!(
            error.starts_with("entry 40000 (`k39999`): invalid type: boolean") && error.contains(place),
            "{error}"
        );
    }

    #[test]
    fn the_end_of_a_chunk_may_be_anywhere() {
        let text = "{\"k0\": [], \"in\": {\"k1\": \"é\\u00e9\\ud83d\\ude00\\\\\\\"😀\", \"x\": [{\"a\": [-1.5e3, null, true]}],\r\n\"k2\": \"z\"}, \"b\": 12}";
        let expected = [(1, "éé😀\\\"😀".to_owned()), (2, "z".to_owned())];
        for before in 0..=text.len() {
            let found = read(&format!("{}{text}", " ".repeat(CHUNK - before)));
            assert_eq!(found.as_deref(), Ok(&expected[..]), "{before}");
            if let Some(cut) = text.get(..before).filter(|cut| cut.len() < text.len()) {
                let error = read(&format!("{}{cut}", " ".repeat(CHUNK - before))).unwrap_err();
                assert!(error.starts_with("the file ends in entry "), "{before}: {error}");
            }
        }
    }

    #[test]
    fn what_is_no_object() {
        for (text, reason) in [
            ("", "the file ends in entry 1"),
            ("[1]", "expected an object at line 1 column 1"),
            ("{\"in\": 1}", "expected an object at line 1 column 8"),
            ("{\"out\": {}}", "the key `in` is missing"),
            ("{\"in\": {}} x", "trailing characters at line 1 column 12"),
            (
                "{\"in\": {}, 3: 4}",
                "entry 1: invalid type: integer `3`, expected a string at line 1 column 12",
            ),
            ("{\"in\": {\"k1\" \"a\"}}", "entry 1 (`k1`) is not JSON: expected a colon at line 1 column 14"),
            (
                "{\"in\":\n{\"k1\": \"a\"\n\"k2\": \"b\"}}",
                "entry 2 is not JSON: expected a comma at line 3 column 1",
            ),
            ("{\"in\": {\"k1\": \"a\", }}", "entry 2 is not JSON: "),
            (
                "{\"in\": {\"k1\": \"a\", \"k2\": \"b",
                "the file ends in entry 2 (`k2`), which begins near line 1 column 26",
            ),
            ("{\"in\": {\"x\": 12", "the file ends in entry 2"),
            ("{\"in\": {\"k1\": \"\\q\"}}", "entry 1 (`k1`) is not JSON: invalid escape at line 1 column 17"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
        assert_eq!(read("\n{ \"in\" : {  } }").unwrap(), []);
    }
}
