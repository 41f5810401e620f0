//! The rows of no country. What finds them is in `network.rs`, `iban.rs` and `wallets.rs`.

use super::Row;
use super::arithmetic::{digits, luhn};

/// For rows that have no forms.
pub(super) fn nothing(_: &[u8]) -> bool {
    false
}

pub(super) const ROWS: &[Row] = &[
    Row {
        entity: "IBAN_CODE",
        country: "",
        forms: &[],
        check: nothing,
        words: &[],
        sample: "GB82 WEST 1234 5698 7654 32",
        harmless: "GB82 WEST 1234 5698 7654 33 and DE89370400440532013001",
    },
    Row {
        entity: "IP_ADDRESS",
        country: "",
        forms: &[],
        check: nothing,
        words: &[],
        sample: "2001:db8::8a2e:370:7334",
        harmless: "version 1.2.3.4 at 127.0.0.1, ::1 and 12:34:56",
    },
    Row {
        entity: "MAC_ADDRESS",
        country: "",
        forms: &[],
        check: nothing,
        words: &[],
        sample: "00:00:5e:00:53:af",
        harmless: "ff:ff:ff:ff:ff:ff and 20-26-11-29-12-34",
    },
    Row {
        entity: "CRYPTO",
        country: "",
        forms: &[],
        check: nothing,
        words: &["solana", "sol", "wallet", "spl token"],
        sample: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        harmless: "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",
    },
    // 3GPP TS 23.003 §6.2.1 and Annex B.
    Row {
        entity: "IMEI",
        country: "",
        forms: &["!99-999999-999999-9", "999999999999999", "99 999999 999999 9"],
        check: imei,
        words: &["imei", "device id", "equipment identity"],
        sample: "49-015420-323751-8",
        harmless: "imei 490154203237517",
    },
];

fn imei(text: &[u8]) -> bool {
    digits::<15>(text).is_some_and(|d| luhn(&d))
}
