//! Chat templates, rendered as `apply_chat_template` of transformers 5 renders them.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, context};
use time::macros::date;
use time::{OffsetDateTime, PrimitiveDateTime, Time};

/// Name of the template in error messages.
const NAME: &str = "chat template";

/// Date that `strftime_now` writes. It is fixed, so that a prompt does not depend on the day on which it is rendered.
const NOW: OffsetDateTime = PrimitiveDateTime::new(date!(2024 - 07 - 26), Time::MIDNIGHT).assume_utc();

/// Author of a message, as templates know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Instruction before the dialogue.
    System,
    /// Input of the model.
    User,
    /// Reply of the model.
    Assistant,
}

impl Author {
    /// Name in templates.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A message of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Author.
    pub author: Author,
    /// Text.
    pub content: String,
}

impl Message {
    /// Creates a message.
    pub fn new(author: Author, content: impl Into<String>) -> Self {
        Self { author, content: content.into() }
    }
}

/// A compiled chat template.
#[derive(Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    source: String,
    special: Vec<(String, String)>,
}

impl ChatTemplate {
    /// Compiles a Jinja template. `special` are the names and texts of special tokens (`bos_token`, `eos_token`, …), which
    /// are variables of the template.
    ///
    /// # Errors
    /// The compiler's message, if the template has a syntax error.
    pub fn compile(source: &str, special: Vec<(String, String)>) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| sentence(&error))?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_filter("tojson", to_json);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_template_owned(NAME, without_generation(source)).map_err(|error| sentence(&error))?;
        Ok(Self { environment: Arc::new(environment), source: source.to_owned(), special })
    }

    /// Returns the source of the template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Renders a dialogue; with `generation_prompt`, up to the place where the model's reply begins. Reasoning is switched
    /// off (`enable_thinking`), since replies have small budgets.
    ///
    /// # Errors
    /// The template's own message (`raise_exception`) or that of the interpreter.
    pub fn render(&self, messages: &[Message], generation_prompt: bool) -> Result<String, String> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.author.name(), content => message.content.as_str() })
            .collect();
        let special = Value::from_pairs(self.special.iter().map(|(name, text)| (name.clone(), text.clone())));
        let values = context! {
            messages, add_generation_prompt => generation_prompt, enable_thinking => false,
            tools => (), documents => (), ..special
        };
        let template = self.environment.get_template(NAME).map_err(|error| sentence(&error))?;
        template.render(values).map_err(|error| sentence(&error))
    }
}

/// Message of an error on one line, with the line of the template.
fn sentence(error: &Error) -> String {
    let message = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    match error.line() {
        Some(line) if error.kind() != ErrorKind::InvalidOperation => format!("line {line}: {message}"),
        _ => message,
    }
}

/// Replaces the tags `generation` and `endgeneration`, which mark replies for training in transformers and print nothing, by a
/// condition that always holds.
fn without_generation(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some((before, after)) = rest.split_once("{%") {
        text.push_str(before);
        text.push_str("{%");
        let Some((tag, behind)) = after.split_once("%}") else {
            rest = after;
            break;
        };
        let name = tag.trim_matches(|c: char| c == '-' || c == '+' || c.is_whitespace());
        let replacement = match name {
            "generation" => "if true",
            "endgeneration" => "endif",
            other => other,
        };
        text.push_str(&tag.replacen(name, replacement, 1));
        text.push_str("%}");
        rest = behind;
    }
    text + rest
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn strftime_now(format: String) -> Result<String, Error> {
    let fail = |error: &dyn std::fmt::Display| {
        Error::new(ErrorKind::InvalidOperation, format!("strftime_now: the format `{format}`: {error}"))
    };
    let items = time::format_description::parse_strftime_owned(&format).map_err(|error| fail(&error))?;
    NOW.format(&items).map_err(|error| fail(&error))
}

/// Writes a value as `json.dumps` of Python does with `ensure_ascii=False`.
fn to_json(value: Value, indent: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => kwargs.get::<Option<Value>>("indent")?,
    };
    let indent = indent.filter(|indent| !indent.is_none() && !indent.is_undefined());
    let indent = match indent {
        None => None,
        Some(indent) => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?),
        }),
    };
    let separators = kwargs.get::<Option<Vec<String>>>("separators")?;
    let [item, key] = match separators.as_deref() {
        Some([item, key]) => [item.clone(), key.clone()],
        Some(_) => {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: separators must be two strings"));
        }
        None => [if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()],
    };
    let json = Json {
        ascii: kwargs.get::<Option<bool>>("ensure_ascii")?.unwrap_or(false),
        sort: kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        item,
        key,
    };
    kwargs.assert_all_used()?;
    let mut text = String::new();
    json.write(&value, 0, &mut text)?;
    Ok(Value::from_safe_string(text))
}

/// Options of `json.dumps`.
struct Json {
    ascii: bool,
    sort: bool,
    indent: Option<String>,
    item: String,
    key: String,
}

impl Json {
    fn write(&self, value: &Value, depth: usize, text: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => text.push_str("null"),
            ValueKind::Bool => text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number if value.is_integer() => text.push_str(&value.to_string()),
            ValueKind::Number => text.push_str(&float(f64::try_from(value.clone())?)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default(), text),
            ValueKind::Seq | ValueKind::Iterable => {
                let items: Vec<Value> = value.try_iter()?.collect();
                self.list(['[', ']'], &items, depth, text, |item, text| self.write(item, depth + 1, text))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort {
                    keys.sort();
                }
                self.list(['{', '}'], &keys, depth, text, |key, text| {
                    self.string(&key.to_string(), text);
                    text.push_str(&self.key);
                    self.write(&value.get_item(key)?, depth + 1, text)
                })?;
            }
            other => {
                let reason = format!("tojson: a value of type {other} has no JSON form");
                return Err(Error::new(ErrorKind::InvalidOperation, reason));
            }
        }
        Ok(())
    }

    fn list(
        &self,
        [open, close]: [char; 2],
        items: &[Value],
        depth: usize,
        text: &mut String,
        write: impl Fn(&Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |depth: usize, text: &mut String| {
            if let Some(indent) = &self.indent {
                text.push('\n');
                text.push_str(&indent.repeat(depth));
            }
        };
        text.push(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.push_str(&self.item);
            }
            line(depth + 1, text);
            write(item, text)?;
        }
        if !items.is_empty() {
            line(depth, text);
        }
        text.push(close);
        Ok(())
    }

    fn string(&self, string: &str, text: &mut String) {
        text.push('"');
        for c in string.chars() {
            match c {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                c if c < ' ' || (self.ascii && !c.is_ascii()) => {
                    let mut units = [0; 2];
                    for unit in c.encode_utf16(&mut units) {
                        text.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => text.push(c),
            }
        }
        text.push('"');
    }
}

/// Writes a number as Python's `repr` does.
fn float(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once('e') {
        None if !number.is_finite() => match number {
            number if number.is_nan() => "NaN".to_owned(),
            number if number > 0.0 => "Infinity".to_owned(),
            _ => "-Infinity".to_owned(),
        },
        None if number != 0.0 && number.abs() < 1e-4 => {
            let scientific = format!("{number:e}");
            scientific.replace("e-", if scientific.contains("e-0") { "e-" } else { "e-0" })
        }
        None => text,
        Some((digits, exponent)) => {
            let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
            format!("{digits}e{sign}{exponent:0>2}")
        }
    }
}
