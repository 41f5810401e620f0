//! Tests: what is found without a word before it, what it is called, and how words may be written.
#![allow(clippy::unwrap_used)]

use super::super::{Options, Redactor};

fn with(entities: &[&str]) -> Redactor {
    Redactor::build(Options { entities: Some(entities), ..Options::default() }).unwrap()
}

/// All identifiers, and all that is found without being selected.
fn everything() -> Redactor {
    let usual = Redactor::new(&[]).unwrap();
    let all: Vec<&str> = Redactor::identifiers().map(|identifier| identifier.entity).collect();
    with(&[usual.entities(), all].concat())
}

/// What is found, as entity and text.
fn found<'t>(redactor: &Redactor, text: &'t str) -> Vec<(&'static str, &'t str)> {
    redactor.scan(text).iter().map(|f| (f.entity, &text[f.start..f.end])).collect()
}

// One in ten runs of sixteen digits inside an account is right as a card's, by chance.
#[test]
fn an_account_is_never_half_hidden_as_a_card() {
    let both = with(&["IBAN_CODE", "CREDIT_CARD"]);
    let cards = Redactor::new(&[]).unwrap();
    for account in [
        "PT98 9184 3690 7542 8948 4421 0",
        "PT86 1277 2228 7757 4743 3471 2",
        "FR89 0869 6070 3955 6463 2115 148",
    ] {
        let text = format!("pay to {account}, please");
        assert_eq!(found(&both, &text), [("IBAN_CODE", account)]);
        assert_eq!(found(&cards, &text), []);
        // With one wrong digit it is no account, and the card in it is found.
        let wrong = text.replace("PT", "PL").replace("FR", "DE");
        assert_eq!(found(&both, &wrong)[0].0, "CREDIT_CARD");
    }
    assert_eq!(found(&both, "GB card 4111 1111 1111 1111")[0].0, "CREDIT_CARD");
}

#[test]
fn a_form_that_little_else_has_needs_no_word_and_words_need_no_accents() {
    let redactor = everything();
    for (text, entity) in [
        ("left JG121316A here", "UK_NINO"),
        ("left 1EG4TE5MK73 here", "US_MBI"),
        ("left DE136695976 here", "DE_VAT_ID"),
        ("left ABCPE1234F here", "IN_PAN"),
        ("rodne_cislo=710319/2745", "CZ_BIRTH_NUMBER"),
        ("maticna_stevilka: 0101006500006", "SI_EMSO"),
    ] {
        assert_eq!(found(&redactor, text).first().map(|f| f.0), Some(entity), "{text}");
    }
    // In small letters, of a company, or with a wrong check it is not.
    for text in ["left jg121316a here", "left ABCCE1234F here", "left DE136695977 here"] {
        assert_eq!(redactor.redact(text), text);
    }
}
