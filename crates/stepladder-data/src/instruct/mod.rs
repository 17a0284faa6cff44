//! The prompt style of pretrained models (docs/design.md D14): plain sentences and native texts, as plain text or as a dialogue
//! in the model's chat template. The instruction is the system message; a template without system messages has it at the
//! beginning of the user's message. Examples follow the instruction, so that all prompts of a role begin alike.

mod prompt;
mod read;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use stepladder_core::{Codec, Query, Role};

use crate::encoder::{Budgets, EncoderError, Overflow, PromptEncoder, Rendered};
use crate::pretrained::{Author, Message, PretrainedTokenizer};
use crate::token_bytes::Writing;
use prompt::Prompt;

stepladder_core::choices! {
    /// Form of prompts in natural language.
    pub enum Form {
        /// Plain text that ends with the label of the reply.
        Plain = "plain",
        /// Dialogue in the model's chat template.
        Chat = "chat",
    }
}

/// Beginning of the ids of this style, with its version.
const STYLE: &str = "instruct/1";

impl Form {
    /// Returns the form in the id of a prompt style; `None` for an id of another style.
    ///
    /// ```
    /// use stepladder_data::instruct::Form;
    /// assert_eq!(Form::of_style("instruct/1+chat+plain/1"), Some(Form::Chat));
    /// assert_eq!(Form::of_style("compact/1+plain/1"), None);
    /// ```
    pub fn of_style(id: &str) -> Option<Self> {
        let mut parts = id.split('+');
        let form = parts.next().filter(|style| *style == STYLE).and(parts.next())?;
        Self::ALL.iter().copied().find(|known| known.name() == form)
    }
}

/// A reply of one word, with which a chat template is examined.
const SAMPLE: &str = "ok";
/// A text with another beginning.
const OTHER: &str = "Yes";

/// Worked examples by role: queries with native replies.
pub type Examples = BTreeMap<Role, Vec<(Query, String)>>;

/// A worked example as prompts show it.
#[derive(Debug, Clone)]
struct Shown {
    /// Labelled lines of the query.
    body: String,
    /// Native reply.
    reply: String,
}

/// Encoder of prompts in natural language with the tokenizer of a pretrained model.
#[derive(Clone)]
pub struct Instruct {
    tokenizer: PretrainedTokenizer,
    codec: Arc<dyn Codec>,
    budgets: Budgets,
    form: Form,
    /// Whether the chat template takes a system message.
    system: bool,
    /// Text between the prompt and a reply.
    lead: String,
    end: Vec<u32>,
    examples: BTreeMap<Role, Vec<Shown>>,
}

impl Instruct {
    /// Creates an encoder for prompts of the environment of `codec`.
    ///
    /// # Errors
    /// [`EncoderError::File`] for [`Form::Chat`] if there is no chat template or it refuses a message of a user.
    pub fn new(
        tokenizer: PretrainedTokenizer,
        codec: Arc<dyn Codec>,
        budgets: Budgets,
        form: Form,
    ) -> Result<Self, EncoderError> {
        let end = tokenizer.ends().to_vec();
        let lead = " ".to_owned();
        let examples = BTreeMap::new();
        let mut encoder = Self { tokenizer, codec, budgets, form, system: true, lead, end, examples };
        if form == Form::Chat {
            encoder.examine().map_err(|reason| encoder.refused(reason))?;
        }
        Ok(encoder)
    }

    fn refused(&self, reason: String) -> EncoderError {
        EncoderError::new(self.tokenizer.directory(), reason)
    }

    /// Finds out whether the chat template takes a system message, and what it writes around a reply.
    fn examine(&mut self) -> Result<(), String> {
        let sample = Prompt { instruction: SAMPLE.to_owned(), body: SAMPLE.to_owned(), label: SAMPLE };
        self.system = self.tokenizer.encode_chat(&self.messages(&sample, &[]), true).is_ok();
        let mut messages = self.messages(&sample, &[]);
        let before = self.tokenizer.encode_chat(&messages, true)?.text;
        messages.push(Message::new(Author::Assistant, SAMPLE));
        let whole = self.tokenizer.encode_chat(&messages, false)?.text;
        let (lead, after) = match whole.strip_prefix(&before).and_then(|rest| rest.split_once(SAMPLE)) {
            Some((lead, after)) => (lead, after),
            None => ("", whole.rsplit_once(SAMPLE).map_or("", |(_, after)| after)),
        };
        lead.clone_into(&mut self.lead);
        // The token that ends a turn is the one that training rows end with.
        if let Some(end) = self.tokenizer.control_at(after.trim_start()) {
            self.end.retain(|other| *other != end);
            self.end.insert(0, end);
        }
        Ok(())
    }

    /// Puts examples in front of the queries of their roles: as worked examples in plain prompts, as earlier turns in dialogues.
    ///
    /// # Errors
    /// [`EncoderError::File`] if the chat template refuses a dialogue of several turns.
    pub fn with_examples(self, examples: Examples) -> Result<Self, EncoderError> {
        let show = |(query, reply): (Query, String)| {
            let Prompt { body, .. } = prompt::prompt(&query, self.codec.as_ref());
            Shown { body, reply }
        };
        let examples = examples
            .into_iter()
            .filter(|(_, examples)| !examples.is_empty())
            .map(|(role, examples)| (role, examples.into_iter().map(show).collect()))
            .collect();
        let encoder = Self { examples, ..self };
        for role in encoder.examples.keys() {
            encoder.written(&encoder.sample(*role, SAMPLE), encoder.examples_of(*role))?;
        }
        Ok(encoder)
    }

    /// Returns the number of tokens that the examples add to each prompt of a role.
    pub fn example_tokens(&self, role: Role) -> usize {
        let sample = self.sample(role, SAMPLE);
        let tokens =
            |examples: &[Shown]| self.written(&sample, examples).map_or(0, |prompt| prompt.ids.len());
        tokens(self.examples_of(role)).saturating_sub(tokens(&[]))
    }

    /// Estimates the number of tokens of one example: those of its text.
    pub fn example_size(&self, query: &Query, reply: &str) -> usize {
        let Prompt { body, .. } = prompt::prompt(query, self.codec.as_ref());
        self.tokenizer.encode_continuation(&body).len() + self.tokenizer.encode_continuation(reply).len()
    }

    fn examples_of(&self, role: Role) -> &[Shown] {
        self.examples.get(&role).map_or(&[], Vec::as_slice)
    }

    /// Returns a prompt of a role with this body.
    fn sample(&self, role: Role, body: &str) -> Prompt {
        let instruction = prompt::instruction(role, self.codec.as_ref());
        Prompt { instruction, body: body.to_owned(), label: prompt::label(role) }
    }

    fn messages(&self, prompt: &Prompt, examples: &[Shown]) -> Vec<Message> {
        let mut messages = Vec::new();
        for Shown { body, reply } in examples {
            messages.push(Message::new(Author::User, body));
            messages.push(Message::new(Author::Assistant, reply));
        }
        messages.push(Message::new(Author::User, &prompt.body));
        if self.system {
            messages.insert(0, Message::new(Author::System, &prompt.instruction));
        } else {
            messages[0].content = format!("{}\n\n{}", prompt.instruction, messages[0].content);
        }
        messages
    }

    fn plain(&self, prompt: &Prompt, examples: &[Shown]) -> Rendered {
        let Prompt { instruction, body, label } = prompt;
        let example = |Shown { body, reply }: &Shown| format!("{body}\n{label}: {reply}\n\n");
        let examples: String = examples.iter().map(example).collect();
        let text = format!("{instruction}\n\n{examples}{body}\n{label}:");
        let ids = [self.tokenizer.prefix(), &self.tokenizer.encode(&text)].concat();
        Rendered { text, ids }
    }

    /// Writes a prompt in this encoder's form. A template that took messages of the same authors may still refuse a content.
    fn written(&self, prompt: &Prompt, examples: &[Shown]) -> Result<Rendered, EncoderError> {
        match self.form {
            Form::Plain => Ok(self.plain(prompt, examples)),
            Form::Chat => {
                let dialogue = self.tokenizer.encode_chat(&self.messages(prompt, examples), true);
                let dialogue = dialogue.map_err(|reason| self.refused(reason))?;
                Ok(Rendered { text: dialogue.text, ids: dialogue.ids })
            }
        }
    }
}

impl PromptEncoder for Instruct {
    fn id(&self) -> String {
        let examples = self.examples.values().map(Vec::len).max();
        let examples = examples.map(|count| format!("+examples/{count}")).unwrap_or_default();
        format!("{STYLE}+{}+{}{examples}", self.form.name(), self.codec.id())
    }

    fn render(&self, query: &Query) -> Result<Rendered, EncoderError> {
        self.written(&prompt::prompt(query, self.codec.as_ref()), self.examples_of(query.role()))
    }

    fn shared(&self, role: Role) -> Vec<u32> {
        let written = |body| self.written(&self.sample(role, body), self.examples_of(role));
        let [Ok(Rendered { mut ids, .. }), Ok(Rendered { ids: other, .. })] = [SAMPLE, OTHER].map(written)
        else {
            return Vec::new();
        };
        let alike = ids.iter().zip(&other).take_while(|(a, b)| a == b).count();
        ids.truncate(alike);
        ids
    }

    fn reply(&self, _role: Role, native: &str, cut: bool) -> Vec<u32> {
        let mut ids = if self.lead.trim().is_empty() {
            self.tokenizer.encode_continuation(&format!("{}{native}", self.lead))
        } else {
            let mut ids = self.tokenizer.encode_control(&self.lead);
            ids.extend(self.tokenizer.encode_continuation(native));
            ids
        };
        if !cut || native.is_empty() {
            ids.extend(&self.end[..1]);
        }
        ids
    }

    fn covers(&self, ids: &[u32]) -> bool {
        self.tokenizer.unknown().is_none_or(|unknown| !ids.contains(&unknown))
    }

    fn decode(&self, role: Role, ids: &[u32]) -> String {
        let written = match ids.split_last() {
            Some((last, before)) if self.end.contains(last) => before,
            _ => ids,
        };
        self.native(role, &self.tokenizer.decode(written))
    }

    fn writing(&self) -> Option<Writing> {
        Some(Writing { tokens: self.tokenizer.token_bytes(), lead: self.lead.clone() })
    }

    fn native(&self, role: Role, written: &str) -> String {
        let lead = self.lead.trim();
        read::native(role, written.trim_start().strip_prefix(lead).unwrap_or(written))
    }

    fn end(&self) -> &[u32] {
        &self.end
    }

    fn pad(&self) -> u32 {
        self.tokenizer.pad()
    }

    fn budget(&self, role: Role) -> u32 {
        self.budgets.of(role)
    }

    fn overflow(&self) -> Overflow {
        self.budgets.overflow
    }

    fn vocab(&self) -> usize {
        self.tokenizer.vocab()
    }

    fn contents(&self) -> Vec<u8> {
        let mut end = self.end.clone();
        end.sort_unstable();
        let mut bytes = self.tokenizer.contents();
        bytes.extend(end.iter().flat_map(|end| end.to_le_bytes()));
        bytes
    }

    fn is_in(&self, directory: &Path) -> Result<bool, EncoderError> {
        let tokenizer = PretrainedTokenizer::load(directory)?;
        let found = Self::new(tokenizer, self.codec.clone(), self.budgets, self.form)?;
        Ok(found.contents() == self.contents())
    }

    fn save(&self, directory: &Path, _context: usize) -> Result<(), EncoderError> {
        self.tokenizer.save(directory)
    }
}
