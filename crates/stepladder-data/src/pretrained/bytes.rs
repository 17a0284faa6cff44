//! Bytes of the tokens of a tokenizer, which its decoder joins to a text.

use rustc_hash::FxHashMap;
use tokenizers::{Decoder, DecoderWrapper, Tokenizer};

use crate::token_bytes::TokenBytes;

/// A token to decode others behind, since some decoders change the first token of a text.
const ANCHOR: &str = "a";

/// Returns the bytes of the ids below `vocab`.
pub(super) fn of(tokenizer: &Tokenizer, vocab: usize) -> TokenBytes {
    let decoder = tokenizer.get_decoder();
    let has = |kind: fn(&DecoderWrapper) -> bool| decoder.is_some_and(|decoder| any(decoder, kind));
    let byte_level = has(|decoder| matches!(decoder, DecoderWrapper::ByteLevel(_)));
    let byte_fallback = has(|decoder| matches!(decoder, DecoderWrapper::ByteFallback(_)));
    let bytes = byte_level.then(characters).unwrap_or_default();
    let token = |id: usize| -> Vec<u8> {
        let Some(token) = u32::try_from(id).ok().and_then(|id| tokenizer.id_to_token(id)) else {
            return Vec::new();
        };
        if byte_level {
            let mapped: Option<Vec<u8>> = token.chars().map(|c| bytes.get(&c).copied()).collect();
            return mapped.unwrap_or_else(|| token.into_bytes());
        }
        let byte = token.strip_prefix("<0x").and_then(|rest| rest.strip_suffix('>'));
        let byte = byte.filter(|hex| byte_fallback && hex.len() == 2);
        if let Some(byte) = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            return vec![byte];
        }
        let Some(decoder) = decoder else { return format!(" {token}").into_bytes() };
        let behind = |tokens: Vec<String>| decoder.decode(tokens).unwrap_or_default();
        let before = behind(vec![ANCHOR.to_owned()]);
        let both = behind(vec![ANCHOR.to_owned(), token]);
        both.strip_prefix(&before).unwrap_or_default().as_bytes().to_vec()
    };
    TokenBytes::new((0..vocab).map(token))
}

/// Whether a decoder, or one of those that it applies in sequence, is of a kind.
fn any(decoder: &DecoderWrapper, kind: fn(&DecoderWrapper) -> bool) -> bool {
    match decoder {
        DecoderWrapper::Sequence(sequence) => sequence.get_decoders().iter().any(|inner| any(inner, kind)),
        other => kind(other),
    }
}

/// Returns the bytes behind the characters of byte-level tokens: printable bytes are their own character of Latin-1, the others
/// are numbered from U+0100 (`bytes_to_unicode` of GPT-2).
fn characters() -> FxHashMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = '\u{100}'..;
    let character = |byte: u8| if printable(byte) { Some(char::from(byte)) } else { others.next() };
    let pair = |(byte, character): (u8, Option<char>)| Some((character?, byte));
    let all: Vec<Option<char>> = (0..=u8::MAX).map(character).collect();
    (0..=u8::MAX).zip(all).filter_map(pair).collect()
}
