//! Finds words in a stream of symbols, however much stands between the symbols, and says how far back one may have begun.
//!
//! Symbols come with the place in the text where each stands. A word is found when its symbols come one after the other,
//! each at most [`GAP`] bytes after the one before it. All words are looked for at once, by shift-and (Baeza-Yates and
//! Gonnet, 1992): a bit for each symbol of each word, a few operations for each symbol of the text, no table that grows.

/// What is looked for: made once.
pub(super) struct Words {
    /// Which bits each symbol sets, `width` words for each of 64 symbols.
    masks: Vec<u64>,
    width: usize,
    starts: Vec<u64>,
    ends: Vec<u64>,
    /// Whether a symbol begins a word: most do not.
    begins: [bool; 64],
    words: Vec<Word>,
    longest: usize,
}

struct Word {
    /// The bit of its first symbol.
    first: usize,
    length: usize,
    rule: &'static str,
}

impl Words {
    /// *words*, each its symbols (each under 64) and the rule that a find is called by. A word twice is one, of the first rule.
    pub(super) fn new(words: &[(Vec<u8>, &'static str)]) -> Self {
        let mut kept: Vec<&(Vec<u8>, &'static str)> = Vec::new();
        for word in words {
            if !word.0.is_empty() && !kept.iter().any(|other| other.0 == word.0) {
                kept.push(word);
            }
        }
        let bits: usize = kept.iter().map(|(symbols, _)| symbols.len()).sum();
        let width = bits.div_ceil(64).max(1);
        let mut all = Self {
            masks: vec![0; width * 64],
            width,
            starts: vec![0; width],
            ends: vec![0; width],
            begins: [false; 64],
            words: Vec::new(),
            longest: kept.iter().map(|(symbols, _)| symbols.len()).max().unwrap_or(0),
        };
        let mut bit = 0;
        for (symbols, rule) in kept {
            all.words.push(Word { first: bit, length: symbols.len(), rule });
            set(&mut all.starts, bit);
            if let Some(first) = symbols.first().and_then(|first| all.begins.get_mut(usize::from(first & 63)))
            {
                *first = true;
            }
            for symbol in symbols {
                if let Some(mask) = all.masks.get_mut(usize::from(symbol & 63) * width..) {
                    set(mask, bit);
                }
                bit += 1;
            }
            set(&mut all.ends, bit - 1);
        }
        all
    }

    /// Whether a word begins with *symbol*.
    pub(super) fn begins(&self, symbol: u8) -> bool {
        self.begins.get(usize::from(symbol & 63)).copied().unwrap_or(false)
    }

    /// The most symbols of a word.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }
}

/// How far a search has come in one text.
pub(super) struct Search {
    state: Vec<u64>,
    /// Whether any bit of it is set.
    open: bool,
    /// Where the last symbols stood, as many as the longest word has.
    places: Vec<u64>,
    count: usize,
    last: u64,
}

impl Search {
    pub(super) fn new(words: &Words) -> Self {
        Self {
            state: vec![0; words.width],
            open: false,
            places: vec![0; words.longest().max(1)],
            count: 0,
            last: 0,
        }
    }

    /// Takes a symbol that stands at *place*; if it ends a word, the word's rule, and where it began.
    pub(super) fn take(&mut self, words: &Words, symbol: u8, place: u64) -> Option<(&'static str, u64)> {
        if self.open && place > self.last + GAP {
            self.clear();
        }
        if !self.open && !words.begins(symbol) {
            return None;
        }
        let from = usize::from(symbol & 63) * words.width;
        let mask = words.masks.get(from..from + words.width)?;
        let (mut carry, mut any, mut ended) = (0, 0, 0);
        for (((state, mask), starts), ends) in
            self.state.iter_mut().zip(mask).zip(&words.starts).zip(&words.ends)
        {
            let shifted = (*state << 1) | carry | starts;
            carry = *state >> 63;
            *state = shifted & mask;
            any |= *state;
            ended |= *state & ends;
        }
        self.open = any != 0;
        if !self.open {
            return None;
        }
        self.last = place;
        self.count += 1;
        let size = self.places.len();
        *self.places.get_mut(self.count % size)? = place;
        if ended == 0 {
            return None;
        }
        let ended = words.words.iter().find(|word| is_set(&self.state, word.first + word.length - 1))?;
        Some((ended.rule, self.ago(ended.length)))
    }

    /// Where the longest beginning of a word that the text ends with began, if a symbol at *now* may still go on with it.
    pub(super) fn began(&self, words: &Words, now: u64) -> Option<u64> {
        if !self.open || now > self.last + GAP {
            return None;
        }
        let reached =
            |word: &Word| (1..word.length).rev().find(|length| is_set(&self.state, word.first + length - 1));
        words.words.iter().filter_map(reached).max().map(|length| self.ago(length))
    }

    pub(super) fn clear(&mut self) {
        self.state.fill(0);
        self.open = false;
    }

    /// Where the symbol stood that was the last but *length* - 1.
    fn ago(&self, length: usize) -> u64 {
        let at = (self.count + 1).saturating_sub(length) % self.places.len();
        self.places.get(at).copied().unwrap_or(0)
    }
}

fn set(words: &mut [u64], bit: usize) {
    if let Some(word) = words.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn is_set(words: &[u64], bit: usize) -> bool {
    words.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0)
}

/// The most bytes from one symbol of a word to the next. A line of zero-width characters is not shorter; a paragraph is.
pub(super) const GAP: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn find(words: &[&str], text: &str) -> Option<(&'static str, u64)> {
        let symbols = |word: &&str| (word.bytes().map(|b| b & 63).collect(), "word");
        let words = Words::new(&words.iter().map(symbols).collect::<Vec<_>>());
        let mut search = Search::new(&words);
        let letters = text.bytes().enumerate().filter(|(_, b)| b.is_ascii_lowercase());
        letters.into_iter().find_map(|(at, b)| search.take(&words, b & 63, at as u64))
    }

    #[test]
    fn a_word_is_found_with_gaps_up_to_the_bound() {
        assert_eq!(find(&["canary"], "a c-a n.a r y"), Some(("word", 2)));
        let gap = " ".repeat(63);
        assert_eq!(find(&["canary"], &format!("can{gap}ary")), Some(("word", 0)));
        assert_eq!(find(&["canary"], &format!("can {gap}ary")), None);
        assert_eq!(find(&["aaab"], "aaaaaab"), Some(("word", 3)));
        let long = "abcdefghij".repeat(9);
        assert_eq!(find(&["zz", &long, "canary"], &format!("x{long}")), Some(("word", 1)));
    }

    #[test]
    fn it_says_how_far_back_a_word_may_have_begun() {
        let words = Words::new(&[(vec![1, 2, 3, 4], "a"), (vec![3, 3], "b")]);
        let mut search = Search::new(&words);
        for (symbol, place, began) in
            [(1, 0, Some(0)), (2, 9, Some(0)), (3, 10, Some(0)), (5, 11, None), (3, 20, Some(20))]
        {
            assert_eq!(search.take(&words, symbol, place), None);
            assert_eq!(search.began(&words, place + 1), began, "{place}");
        }
        assert_eq!(search.take(&words, 3, 21), Some(("b", 20)));
        assert_eq!((search.began(&words, 21 + GAP), search.began(&words, 22 + GAP)), (Some(21), None));
    }
}
