//! Finds addresses of cryptocurrencies' wallets.
//!
//! - Base58Check (Bitcoin, Litecoin, Dogecoin, Dash, Tron): the version's byte is known, and the last four bytes are the
//!   first of the double SHA-256 of the rest;
//! - bech32 and bech32m with the prefixes `bc`, `tb` and `ltc` (BIP 173, BIP 350): the checksum is right for the
//!   version of the witness program, whose length the version allows;
//! - Ethereum: `0x` and forty hex digits. If they have letters of both cases, these are the checksum of
//!   EIP-55; if not, the address has none;
//! - Solana, which has no checksum: 32 bytes in base58, after a word of the row.

use super::{Place, closes};
use crate::crypto::sha256;
use crate::redaction::Finding;

/// The longest address is of bech32 (BIP 173), the shortest of base58.
const LENGTHS: std::ops::RangeInclusive<usize> = SHORTEST..=90;

/// The shortest address.
pub(super) const SHORTEST: usize = 25;

/// The address that is the run of letters and digits at *place*.
pub(super) fn find(place: &Place<'_>, announced: impl FnOnce() -> bool) -> Option<Finding> {
    let Place { text, start, end } = *place;
    if !LENGTHS.contains(&(end - start)) || !closes(text, end) {
        return None;
    }
    let run = &text[start..end];
    let known = is_ethereum(run) || is_segwit(run) || is_base58_check(run) || (is_solana(run) && announced());
    known.then(|| Finding::new(start, end, "CRYPTO")).flatten()
}

/// The versions' bytes: Bitcoin's keys and scripts, Litecoin's, Dogecoin's, Dash's, Tron's.
const VERSIONS: [u8; 9] = [0x00, 0x05, 0x30, 0x32, 0x1e, 0x16, 0x4c, 0x10, 0x41];

fn is_base58_check(run: &[u8]) -> bool {
    if run.len() > 35 || !run.first().is_some_and(|b| b"13LMDAX79T".contains(b)) {
        return false;
    }
    let Some(bytes) = base58::<25>(run) else { return false };
    let (payload, check) = bytes.split_at(21);
    VERSIONS.contains(&bytes[0]) && sha256(&sha256(payload)).starts_with(check)
}

fn is_solana(run: &[u8]) -> bool {
    (32..=44).contains(&run.len()) && base58::<32>(run).is_some()
}

const BASE58: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The `N` bytes that *text* stands for in Bitcoin's base58. Each `1` at the start is a byte of zero.
fn base58<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0u8; N];
    for byte in text {
        let mut carry = BASE58.iter().position(|known| known == byte)?;
        for place in bytes.iter_mut().rev() {
            carry += 58 * usize::from(*place);
            *place = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    let ones = text.iter().take_while(|b| **b == b'1').count();
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    (ones == zeros).then_some(bytes)
}

const BECH32: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Whether a native SegWit address (BIP 173 for version 0, BIP 350 for 1 to 16).
fn is_segwit(run: &[u8]) -> bool {
    let upper = run.iter().any(u8::is_ascii_uppercase);
    if upper && run.iter().any(u8::is_ascii_lowercase) {
        return false;
    }
    let prefix: &[u8] = match run {
        [b'b' | b'B', b'c' | b'C', b'1', ..] => b"bc",
        [b't' | b'T', b'b' | b'B', b'1', ..] => b"tb",
        [b'l' | b'L', b't' | b'T', b'c' | b'C', b'1', ..] => b"ltc",
        _ => return false,
    };
    let data = &run[prefix.len() + 1..];
    let value = |b: &u8| BECH32.iter().position(|known| *known == b.to_ascii_lowercase()).map(|v| v as u32);
    let Some(version) = data.first().and_then(value).filter(|version| *version <= 16) else { return false };
    let mut sum = 1;
    for high_or_low in [5, 0] {
        for byte in prefix {
            sum = polymod(sum, u32::from(*byte) >> high_or_low & 31);
        }
        if high_or_low == 5 {
            sum = polymod(sum, 0);
        }
    }
    for byte in data {
        let Some(value) = value(byte) else { return false };
        sum = polymod(sum, value);
    }
    // Without the version and the six signs of the checksum, each sign is five bits.
    let bits = 5 * data.len().saturating_sub(7);
    let (length, padding) = (bits / 8, bits % 8);
    let lengths = if version == 0 { length == 20 || length == 32 } else { (2..=40).contains(&length) };
    let constant = if version == 0 { 1 } else { 0x2bc8_30a3 };
    lengths && padding < 5 && sum == constant
}

/// One step of the checksum of BIP 173.
fn polymod(sum: u32, value: u32) -> u32 {
    let generators = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let next = (sum & 0x01ff_ffff) << 5 ^ value;
    generators.iter().enumerate().filter(|(i, _)| top >> i & 1 == 1).fold(next, |sum, (_, g)| sum ^ g)
}

fn is_ethereum(run: &[u8]) -> bool {
    let Some(digits) = run.strip_prefix(b"0x").and_then(|rest| <&[u8; 40]>::try_from(rest).ok()) else {
        return false;
    };
    let of = |test: fn(&u8) -> bool| digits.iter().any(test);
    if !digits.iter().all(u8::is_ascii_hexdigit) || digits.iter().all(|b| *b == digits[0]) {
        return false;
    }
    !(of(u8::is_ascii_lowercase) && of(u8::is_ascii_uppercase)) || is_eip55(digits)
}

/// Whether each letter is a capital where EIP-55 wants one: where the digit of the hash is 8 or more.
fn is_eip55(digits: &[u8; 40]) -> bool {
    let hash = keccak256(&digits.to_ascii_lowercase());
    digits.iter().enumerate().filter(|(_, b)| b.is_ascii_alphabetic()).all(|(i, b)| {
        let byte = hash.get(i / 2).copied().unwrap_or(0);
        let digit = if i % 2 == 0 { byte >> 4 } else { byte & 15 };
        b.is_ascii_uppercase() == (digit >= 8)
    })
}

/// Keccak-256 as Ethereum has it (before FIPS 202 changed the padding), of a message shorter than one block.
fn keccak256(message: &[u8]) -> [u8; 32] {
    const RATE: usize = 136;
    let mut block = [0u8; RATE];
    let length = message.len().min(RATE - 1);
    block[..length].copy_from_slice(&message[..length]);
    block[length] = 0x01;
    block[RATE - 1] |= 0x80;
    let mut state = [0u64; 25];
    for (lane, bytes) in state.iter_mut().zip(block.as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
    keccak::Keccak::new().with_f1600(|permute| permute(&mut state));
    let mut hash = [0u8; 32];
    for (bytes, lane) in hash.as_chunks_mut::<8>().0.iter_mut().zip(state) {
        *bytes = lane.to_le_bytes();
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the BIPs and EIPs themselves.
    #[test]
    fn the_standards_own_addresses_are_right() {
        for address in [
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", // BIP 173
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", // BIP 173
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", // BIP 350
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", // BIP 350
        ] {
            assert!(is_segwit(address.as_bytes()), "{address}");
        }
        for address in [
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", // EIP-55
            "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
            "0x52908400098527886E0F7030069857D2E4169EE7",
            "0xde709f2102306220921060314715629080e2fb77",
        ] {
            assert!(is_ethereum(address.as_bytes()), "{address}");
        }
        for address in ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"] {
            assert!(is_base58_check(address.as_bytes()), "{address}");
        }
    }

    #[test]
    fn one_wrong_sign_is_seen() {
        for address in [
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T5",
            "tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", // BIP 350: bech32m with version 0
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", // BIP 350: bech32 with version 1
            "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", // BIP 350: a sign of no alphabet
            "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", // BIP 350: a version above 16
        ] {
            assert!(!is_segwit(address.as_bytes()), "{address}");
        }
        for address in [
            "0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe",
            "0x0000000000000000000000000000000000000000",
        ] {
            assert!(!is_ethereum(address.as_bytes()), "{address}");
        }
        for address in ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf0a"] {
            assert!(!is_base58_check(address.as_bytes()), "{address}");
        }
    }
}
