//! Which letters and digits look alike, so that one stands for another: `p4$$w0rd`, and an `a` of Cyrillic.
//!
//! A letter's shape is that of its lower case, without marks (`á`). Digits and signs have the shape of the letter that they
//! are read as. It is no table of all that looks alike (UTS #39 has thousands): these are what models write when they are asked
//! to disguise a word.

use unicode_normalization::UnicodeNormalization as _;

use super::canary::letter;

/// The shape of *c*, as a number of a letter (`canary::letter`).
pub(super) fn shape_of(c: char) -> Option<u8> {
    if c.is_ascii() {
        // Each character of an answer comes here.
        return SHAPES.get(c as usize).copied().filter(|shape| *shape != NONE);
    }
    let plain = c.nfkd().next().unwrap_or(c);
    let lower = plain.to_lowercase().next().unwrap_or(plain);
    let read = ALIKE.iter().find(|(_, all)| all.contains(lower)).map_or(lower, |(letter, _)| *letter);
    SHAPES.get(read as usize).copied().filter(|shape| *shape != NONE)
}

const NONE: u8 = u8::MAX;
const SHAPES: [u8; 128] = {
    let mut shapes = [NONE; 128];
    let mut byte = 0;
    while byte < 128 {
        if let Some(shape) = letter(read_as(byte)) {
            shapes[byte as usize] = shape;
        }
        byte += 1;
    }
    shapes
};

/// The letter that a digit or a sign is read as.
const fn read_as(byte: u8) -> u8 {
    match byte {
        b'4' | b'@' => b'a',
        b'8' => b'b',
        b'3' => b'e',
        b'6' | b'9' => b'g',
        b'1' | b'!' | b'|' | b'l' | b'L' => b'i',
        b'0' => b'o',
        b'5' | b'$' => b's',
        b'7' | b'+' => b't',
        b'2' => b'z',
        other => other,
    }
}

/// Letters, and those of other scripts, and small capitals, that are read as one.
const ALIKE: [(char, &str); 26] = [
    ('a', "аαᴀ"),
    ('b', "вβʙ"),
    ('c', "сᴄ"),
    ('d', "ԁᴅ"),
    ('e', "€еεᴇ"),
    ('f', "ғꜰ"),
    ('g', "ɡɢ"),
    ('h', "нһηʜ"),
    ('i', "іιɪ"),
    ('j', "јᴊ"),
    ('k', "кκᴋ"),
    ('l', "ʟ"),
    ('m', "мᴍ"),
    ('n', "ոɴ"),
    ('o', "оοᴏ"),
    ('p', "рρᴘ"),
    ('q', "ԛ"),
    ('r', "ʀ"),
    ('s', "ѕꜱ"),
    ('t', "тτᴛ"),
    ('u', "ᴜ"),
    ('v', "ѵνᴠ"),
    ('w', "ԝωᴡ"),
    ('x', "хχ"),
    ('y', "уγʏ"),
    ('z', "ζᴢ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_as_a_letter_has_its_shape() {
        for (word, plain) in [
            ("p4$$w0rd", "password"),
            ("ÄпРlЕ", "a?PlE"),
            ("1!|L", "iiii"),
            ("Ａ²", "a2"),
            ("ʀᴜʟᴇғ", "rulef"),
        ] {
            for (c, like) in word.chars().zip(plain.chars()) {
                assert_eq!(shape_of(c), shape_of(like), "{c}");
            }
        }
        assert_eq!((shape_of(' '), shape_of('-'), shape_of('語')), (None, None, None));
        assert_ne!(shape_of('a'), shape_of('o'));
    }
}
