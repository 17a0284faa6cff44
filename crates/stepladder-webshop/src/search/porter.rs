//! Porter's stemmer as Lucene has it (`org.apache.lucene.analysis.en.PorterStemmer`).
//!
//! M. F. Porter, An algorithm for suffix stripping, Program 14(3), 1980, with the author's two later rules (`bli`, `logi`).
//! The names of the steps are those of the paper; Lucene numbers 1a and 1b as 1, 1c as 2, and so on.

/// Stems a word in lower case in place. A unit is a byte of ASCII or a UTF-16 unit; units that are no letters of English are
/// consonants. Words of one or two units stay as they are.
pub(super) fn stem<T: Copy + From<u8> + Into<u32>>(word: &mut Vec<T>) {
    if word.len() < 3 {
        return;
    }
    let mut word = Word { units: word, stem: 0 };
    word.plurals();
    word.past();
    word.final_y();
    word.double_suffixes();
    word.single_suffixes();
    word.residual_suffixes();
    word.tidy();
}

/// Suffixes and what replaces them where the rest of the word has a measure above 0.
type Rules = &'static [(&'static [u8], &'static [u8])];

/// Suffixes of step 2, by the unit before the last.
fn double_suffixes(unit: u8) -> Rules {
    match unit {
        b'a' => &[(b"ational", b"ate"), (b"tional", b"tion")],
        b'c' => &[(b"enci", b"ence"), (b"anci", b"ance")],
        b'e' => &[(b"izer", b"ize")],
        b'l' => &[(b"bli", b"ble"), (b"alli", b"al"), (b"entli", b"ent"), (b"eli", b"e"), (b"ousli", b"ous")],
        b'o' => &[(b"ization", b"ize"), (b"ation", b"ate"), (b"ator", b"ate")],
        b's' => &[(b"alism", b"al"), (b"iveness", b"ive"), (b"fulness", b"ful"), (b"ousness", b"ous")],
        b't' => &[(b"aliti", b"al"), (b"iviti", b"ive"), (b"biliti", b"ble")],
        b'g' => &[(b"logi", b"log")],
        _ => &[],
    }
}

/// Suffixes of step 3, by the last unit.
fn single_suffixes(unit: u8) -> Rules {
    match unit {
        b'e' => &[(b"icate", b"ic"), (b"ative", b""), (b"alize", b"al")],
        b'i' => &[(b"iciti", b"ic")],
        b'l' => &[(b"ical", b"ic"), (b"ful", b"")],
        b's' => &[(b"ness", b"")],
        _ => &[],
    }
}

/// Suffixes of step 4, by the unit before the last.
fn residual_suffixes(unit: u8) -> &'static [&'static [u8]] {
    match unit {
        b'a' => &[b"al"],
        b'c' => &[b"ance", b"ence"],
        b'e' => &[b"er"],
        b'i' => &[b"ic"],
        b'l' => &[b"able", b"ible"],
        b'n' => &[b"ant", b"ement", b"ment", b"ent"],
        b'o' => &[b"ion", b"ou"],
        b's' => &[b"ism"],
        b't' => &[b"ate", b"iti"],
        b'u' => &[b"ous"],
        b'v' => &[b"ive"],
        b'z' => &[b"ize"],
        _ => &[],
    }
}

/// A word, and the length of its stem: the part before the suffix that was found last.
struct Word<'w, T> {
    units: &'w mut Vec<T>,
    stem: usize,
}

impl<T: Copy + From<u8> + Into<u32>> Word<'_, T> {
    fn is(&self, at: usize, letters: &[u8]) -> bool {
        letters.iter().any(|&letter| self.units[at].into() == u32::from(letter))
    }

    /// The unit at a place counted from the end, which is 1, if it is there and ASCII; 0 otherwise.
    fn back(&self, back: usize) -> u8 {
        let unit = self.units.len().checked_sub(back).map_or(0, |at| self.units[at].into());
        u8::try_from(unit).unwrap_or(0)
    }

    fn is_consonant(&self, at: usize) -> bool {
        // A "y" is a consonant after a vowel and at the start.
        let mut at = at;
        let mut consonant = true;
        while self.is(at, b"y") {
            if at == 0 {
                return consonant;
            }
            at -= 1;
            consonant = !consonant;
        }
        self.is(at, b"aeiou") != consonant
    }

    /// How often a vowel is followed by a consonant within the stem.
    fn measure(&self) -> usize {
        let mut turns = 0;
        let mut after_vowel = false;
        let mut consonant = false;
        for at in 0..self.stem {
            consonant = match () {
                () if self.is(at, b"aeiou") => false,
                () if self.is(at, b"y") => at == 0 || !consonant,
                () => true,
            };
            turns += usize::from(after_vowel && consonant);
            after_vowel = !consonant;
        }
        turns
    }

    fn stem_has_vowel(&self) -> bool {
        (0..self.stem).any(|at| !self.is_consonant(at))
    }

    /// Whether the word ends with the same consonant twice.
    fn ends_double(&self) -> bool {
        let last = self.units.len() - 1;
        last > 0 && self.units[last].into() == self.units[last - 1].into() && self.is_consonant(last)
    }

    /// Whether the first `length` units end with consonant, vowel, consonant, the last of which is not w, x or y.
    fn ends_short(&self, length: usize) -> bool {
        length > 2
            && self.is_consonant(length - 1)
            && !self.is_consonant(length - 2)
            && self.is_consonant(length - 3)
            && !self.is(length - 1, b"wxy")
    }

    /// Whether the word ends with `suffix`; if so the stem is what precedes it.
    fn ends(&mut self, suffix: &[u8]) -> bool {
        let Some(stem) = self.units.len().checked_sub(suffix.len()) else { return false };
        let found =
            self.units[stem..].iter().zip(suffix).all(|(&unit, &letter)| unit.into() == u32::from(letter));
        if found {
            self.stem = stem;
        }
        found
    }

    fn replace(&mut self, suffix: &[u8]) {
        self.units.truncate(self.stem);
        self.units.extend(suffix.iter().map(|&letter| T::from(letter)));
    }

    /// Step 1a.
    fn plurals(&mut self) {
        if self.ends(b"sses") {
            self.replace(b"ss");
        } else if self.ends(b"ies") {
            self.replace(b"i");
        } else if self.ends(b"s") && !self.is(self.stem - 1, b"s") {
            self.replace(b"");
        }
    }

    /// Step 1b.
    fn past(&mut self) {
        if self.ends(b"eed") {
            if self.measure() > 0 {
                self.replace(b"ee");
            }
        } else if (self.ends(b"ed") || self.ends(b"ing")) && self.stem_has_vowel() {
            self.replace(b"");
            if self.ends(b"at") {
                self.replace(b"ate");
            } else if self.ends(b"bl") {
                self.replace(b"ble");
            } else if self.ends(b"iz") {
                self.replace(b"ize");
            } else if self.ends_double() {
                if !self.is(self.units.len() - 1, b"lsz") {
                    self.units.pop();
                }
            } else if self.measure() == 1 && self.ends_short(self.units.len()) {
                self.replace(b"e");
            }
        }
    }

    /// Step 1c.
    fn final_y(&mut self) {
        if self.ends(b"y") && self.stem_has_vowel() {
            self.replace(b"i");
        }
    }

    /// Step 2.
    fn double_suffixes(&mut self) {
        self.apply(double_suffixes(self.back(2)));
    }

    /// Step 3.
    fn single_suffixes(&mut self) {
        self.apply(single_suffixes(self.back(1)));
    }

    /// Applies the first rule whose suffix the word has.
    fn apply(&mut self, rules: Rules) {
        if let Some((_, replacement)) = rules.iter().find(|(suffix, _)| self.ends(suffix))
            && self.measure() > 0
        {
            self.replace(replacement);
        }
    }

    /// Step 4.
    fn residual_suffixes(&mut self) {
        let suffixes = residual_suffixes(self.back(2));
        let found = suffixes.iter().any(|suffix| {
            let ends = self.ends(suffix);
            ends && (*suffix != b"ion" || self.stem > 0 && self.is(self.stem - 1, b"st"))
        });
        if found && self.measure() > 1 {
            self.replace(b"");
        }
    }

    /// Steps 5a and 5b. The measure of both is that of the word without its last unit.
    fn tidy(&mut self) {
        self.stem = self.units.len() - 1;
        let measure = self.measure();
        // Lucene measures up to and including the last unit; a final "e" adds nothing.
        if self.is(self.stem, b"e") && (measure > 1 || measure == 1 && !self.ends_short(self.stem)) {
            self.units.pop();
        }
        if self.is(self.units.len() - 1, b"l") && self.ends_double() {
            self.stem = self.units.len();
            if self.measure() > 1 {
                self.units.pop();
            }
        }
    }
}
