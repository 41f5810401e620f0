#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::super::tests::assert_linear;
use super::super::{Options, Redactor, rules};
use super::*;

fn all() -> Vec<&'static str> {
    rows().map(|row| row.entity).collect()
}

/// All rows, and all that is found without being selected.
fn everything() -> Redactor {
    let usual = Redactor::new(&[]).unwrap();
    with(&[usual.entities(), all()].concat())
}

fn with(entities: &[&str]) -> Redactor {
    Redactor::build(Options { entities: Some(entities), ..Options::default() }).unwrap()
}

/// What is found, as entity and text.
fn found<'t>(redactor: &Redactor, text: &'t str) -> Vec<(&'static str, &'t str)> {
    redactor.scan(text).iter().map(|f| (f.entity, &text[f.start..f.end])).collect()
}

#[test]
fn every_row_finds_its_sample_and_leaves_its_harmless_one() {
    for row in rows() {
        let redactor = with(&[row.entity]);
        let sample = found(&redactor, row.sample);
        assert_eq!(sample.len(), 1, "{}: {}: {sample:?}", row.entity, row.sample);
        assert_eq!(sample[0].0, row.entity);
        assert!(row.sample.ends_with(sample[0].1), "{}: {sample:?}", row.entity);
        assert_eq!(redactor.redact(row.harmless), row.harmless, "{}", row.entity);
    }
}

#[test]
fn with_all_rows_selected_each_sample_is_still_hidden_whole() {
    let redactor = everything();
    for row in rows() {
        let alone = with(&[row.entity]).scan(row.sample)[0];
        let together = redactor.scan(row.sample);
        assert!(
            together.iter().any(|f| f.start <= alone.start && f.end >= alone.end),
            "{}: {together:?}",
            row.entity
        );
    }
}

#[test]
fn nothing_of_this_is_found_unless_it_is_selected() {
    let redactor = Redactor::new(&[]).unwrap();
    for row in rows() {
        assert_eq!(redactor.redact(row.sample), row.sample, "{}", row.entity);
    }
    assert!(!redactor.entities().contains(&"UK_NHS"));
    assert!(with(&["UK_NHS"]).entities().contains(&"UK_NHS"));
}

#[test]
fn an_unknown_entity_is_refused_with_the_nearest_name() {
    let error = |name: &str| {
        Redactor::build(Options { entities: Some(&[name]), ..Options::default() }).err().unwrap().to_string()
    };
    assert!(error("NHS").contains("Did you mean UK_NHS?"), "{}", error("NHS"));
    assert!(error("uk_nhs").contains("Did you mean UK_NHS?"));
    assert!(error("IBAN").contains("Did you mean IBAN_CODE?"));
    assert!(error("DE_TAXID").contains("Did you mean DE_TAX_ID?"));
    assert!(!error("qqq").contains("Did you mean"));
    assert!(!error("").contains("Did you mean"));
}

#[test]
fn the_table_keeps_its_own_rules() {
    let entities = all();
    let mut sorted = entities.clone();
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(sorted.len(), entities.len(), "an entity has one row");
    assert!(entities.len() <= 128, "the rows of a word are 128 bits");
    let mut countries: Vec<_> = rows().map(|row| row.country).filter(|c| !c.is_empty()).collect();
    countries.sort_unstable();
    countries.dedup();
    assert!(countries.len() >= 20, "{countries:?}");
    for row in rows() {
        assert!(
            row.country.is_empty()
                || row.entity.starts_with(row.country)
                || row.country == "GB"
                || row.entity == "ABA_ROUTING_NUMBER",
            "{}",
            row.entity
        );
        assert!(row.entity.len() <= 40, "a longer marker is not recognised: {}", row.entity);
        for form in row.forms {
            assert!(form.len() <= forms::MOST, "{}: {form}", row.entity);
            let last = form.as_bytes().last().unwrap();
            assert!(b"9AX)".contains(last), "{}: {form}", row.entity);
            assert!(b"9AX(".contains(&form.trim_start_matches('!').as_bytes()[0]), "{}: {form}", row.entity);
            let head = form.trim_start_matches('!').as_bytes();
            assert!(head[0] != b'(' || head[1].is_ascii_digit(), "{}: {form}", row.entity);
            assert!(
                head[..HEAD.min(head.len())].iter().any(|b| matches!(b, b'9' | b'X')),
                "{}: {form}",
                row.entity
            );
        }
        let weak = row.forms.iter().any(|form| !form.starts_with('!'));
        assert!(!weak || !row.words.is_empty(), "{} can never be found", row.entity);
        for word in row.words {
            assert!(!word.bytes().any(|b| b.is_ascii_uppercase()), "{}: {word}", row.entity);
            assert!(word.len() < context::REACH, "{}: {word}", row.entity);
        }
        assert!(!rules::all().any(|rule| rule.entity == row.entity), "{}", row.entity);
    }
}

#[test]
fn a_weak_number_counts_only_near_its_word() {
    let redactor = with(&["UK_NHS", "NL_BSN", "DE_TAX_ID"]);
    for announced in [
        "NHS 9434765919",
        "nhs_number=9434765919",
        "nhsNumber: 9434765919",
        "customerNhs: 9434765919",
        "{\"nhs-number\": \"9434765919\"}",
        "NHS\t9434765919",
        "the patient's NHS number, as it was read out by phone, is 9434765919.",
        "/patients/nhs/9434765919",
        "nhs_9434765919.pdf",
        "nhs%3A%209434765919",
    ] {
        assert_eq!(found(&redactor, announced), [("UK_NHS", "9434765919")], "{announced}");
    }
    for silent in [
        "9434765919",
        "the number is 9434765919",
        "NHS\n9434765919",
        "nhsx 9434765919",
        "xnhs 9434765919",
        "9434765919 is an NHS number",
        "NHS number of the patient whose record was opened yesterday at noon by the clerk: 9434765919",
        "[REDACTED:SSN] 9434765919",
    ] {
        assert_eq!(redactor.redact(silent), silent);
    }
}

#[test]
fn the_nearest_word_decides_what_a_number_is() {
    let redactor = with(&["IL_ID", "NL_BSN", "PT_NIF", "AU_TFN", "CA_SIN"]);
    // Right by the rules of the Netherlands, of Portugal and of Australia.
    let both = (100_000_000u32..).map(|n| n.to_string()).find(|n| {
        let fits = |entity: &str| (rows().find(|row| row.entity == entity).unwrap().check)(n.as_bytes());
        fits("NL_BSN") && fits("PT_NIF")
    });
    let number = both.unwrap();
    assert_eq!(found(&redactor, &format!("BSN, NIF {number}"))[0].0, "PT_NIF");
    assert_eq!(found(&redactor, &format!("NIF, BSN {number}"))[0].0, "NL_BSN");
}

#[test]
fn a_list_goes_on_without_the_word() {
    let redactor = with(&["UK_NHS"]);
    let text = "NHS numbers: none; NHS: 943 476 5919, 9434765870, \"9434765919\" and 9434765919";
    let out = redactor.redact(text).into_owned();
    let hidden = "[REDACTED:UK_NHS]";
    assert_eq!(out, format!("NHS numbers: none; NHS: {hidden}, {hidden}, \"{hidden}\" and 9434765919"));
    assert_eq!(redactor.redact(&out), out);
}

#[test]
fn a_find_is_never_half_a_number() {
    let redactor = everything();
    for text in [
        "123-45-6789-0",
        "0-123-45-6789",
        "1123-45-6789",
        "123-45-67890",
        "x123-45-6789",
        "123-45-6789x",
        "0.123-45-6789",
        "nhs 94347659190",
        "nhs 0.9434765919",
        "nhs 9434765919.5",
        "nhs 9434765919-1",
        "nhs abc-9434765919",
        "GB82WEST123456987654321",
        "1.2.3.4.5",
        "300.1.2.3",
        "01.2.3.4",
        "00:00:5e:00:53:af:01",
        "00:00:5e:00:53:afx",
        "ab:00:00:5e:00:53:af:01:02:03:04:05:06:07:08:09",
        "x1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa1",
        "+4420794609581234567",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

/// presidio#1173 (digits of logs), presidio#71 (a GUID is no telephone number), presidio#2275 and #2074 (areas of SSNs).
#[test]
fn what_logs_are_full_of_is_not_found() {
    let redactor = everything();
    for text in [
        "2026-11-29 12:15:00,123 INFO [worker-1] GET /v1/items/550e8400-e29b-41d4-a716-446655440000 200 17b",
        "2026-11-29T12:15:00.123456Z pid=12345 tid=140735268359296 took 0.123456789 s",
        "20261129121500 1764418500 1764418500123 1764418500123456 1764418500123456789",
        "127.0.0.1 - - [29/Nov/2026:12:15:00 +0000] \"GET / HTTP/1.1\" 200 5316 \"-\" \"Mozilla/5.0 Chrome/119.0.0.0\"",
        "order 1000234567 of customer 20394857 shipped as 1Z999AA10123456784",
        "uuid 41111111-1111-4111-8111-111111111111 and 12345678-1234-4123-8123-123456789012",
        "sha1 3f786850e387550fdab836ed7e6dc881de23001b md5 d41d8cd98f00b204e9800998ecf8427e",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "git 1a2b3c4d5 commit 12345678d, 12345678e and 87654321a",
        "00000010  48 65 6c 6c 6f 20 77 6f  72 6c 64 0a 31 32 33 34  |Hello world.1234|",
        "7f8b3c0a1000-7f8b3c0a2000 r-xp 00000000 08:01 1234567  /usr/lib/libc.so",
        "version 10.0.19045.3570, python 3.11.4, v1.2.3.4, Version: 4.3.2.1, release=1.1.1.1 oid 1.3.6.1",
        "loss=0.41111111111 lr=1e-05 acc=98.7654321 (123456789 of 987654321)",
        "std::vector a::b dead::beef 12:34:56 1:2:3 ::1 :: 0.0.0.0 255.255.255.255 127.0.0.53",
        "error 0x80070005 at 0x00007ff6b3c0a100 ffffffff81000000",
        "build 20261129.1234 tag 261129-1234 backup-20261129-123456 take 261129/1235",
        "000-00-0000, 666-12-3456 and 999-99-9999; 111.111.111-11",
        "thread 139872345678912 lock 0x7f8b3c0a1000 fd 12 +100 -100 +5%",
        "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD",
        "phone: 2026-11-29, tel. 3.14159265, call 12 of 345",
        "lat=52.520008 lon=13.404954 alt 34.5",
        "ISBN 978-3-16-148410-0, EAN 4006381333931, ISSN 2049-3630",
    ] {
        assert_eq!(redactor.redact(text), text, "{:?}", found(&redactor, text));
    }
}

#[test]
fn addresses_in_the_network_are_found_in_every_writing() {
    let redactor = with(&["IP_ADDRESS", "MAC_ADDRESS"]);
    for (text, address) in [
        ("client 192.0.2.1 said", "192.0.2.1"),
        ("from 192.0.2.1.", "192.0.2.1"),
        ("http://192.0.2.1:8080/x", "192.0.2.1"),
        ("192.0.2.0/24", "192.0.2.0"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:ff00:0042:8329", "2001:0db8:0000:0000:0000:ff00:0042:8329"),
        ("::ffff:192.0.2.128", "::ffff:192.0.2.128"),
        ("fe80::1ff:fe23:4567:890a%eth2, next", "fe80::1ff:fe23:4567:890a%eth2"),
        ("peer 2001:db8::7: refused", "2001:db8::7"),
        ("64:ff9b::192.0.2.33", "64:ff9b::192.0.2.33"),
        ("ip=%20192.0.2.1%20", "192.0.2.1"),
        ("a\\n192.0.2.1\\n", "192.0.2.1"),
        ("\u{1b}[32m192.0.2.1", "192.0.2.1"),
        ("\u{1b}[1;32m192.0.2.1", "192.0.2.1"),
    ] {
        assert_eq!(found(&redactor, text), [("IP_ADDRESS", address)], "{text}");
    }
    for text in ["00:00:5E:00:53:AF", "00-00-5e-00-53-af", "0000.5e00.53af"] {
        assert_eq!(found(&redactor, &format!("mac {text}, up")), [("MAC_ADDRESS", text)]);
    }
}

/// The usual entities and *more*.
fn usual_and(more: &[&str]) -> Redactor {
    let usual = Redactor::new(&[]).unwrap();
    with(&[usual.entities(), more.to_vec()].concat())
}

#[test]
fn a_zone_is_a_whole_name_and_takes_nothing_of_what_follows() {
    let redactor = usual_and(&["IP_ADDRESS"]);
    for (text, expected) in [
        ("peer fe80::1%eth0 up", "peer [REDACTED:IP_ADDRESS] up"),
        ("http://[fe80::1%25eth0.7]/", "http://[[REDACTED:IP_ADDRESS]]/"),
        ("peer fe80::1%20password=hunter2", "peer [REDACTED:IP_ADDRESS]%20password=[REDACTED:PASSWORD]"),
        ("peer fe80::1%0Apassword=hunter2", "peer [REDACTED:IP_ADDRESS]%0Apassword=[REDACTED:PASSWORD]"),
        ("ip=fe80::1%26password=hunter2", "ip=[REDACTED:IP_ADDRESS]%26password=[REDACTED:PASSWORD]"),
        ("fe80::1%password=hunter2", "[REDACTED:IP_ADDRESS]%password=[REDACTED:PASSWORD]"),
        ("fe80::1%password: hunter2", "[REDACTED:IP_ADDRESS]%password: [REDACTED:PASSWORD]"),
        ("fe80::1%ann.smith@example.org", "[REDACTED:IP_ADDRESS][REDACTED:EMAIL_ADDRESS]"),
        ("fe80::1%ghp_16C7e42F292c6912E7710c838347Ae178B4a", "[REDACTED:IP_ADDRESS]%[REDACTED:GITHUB_TOKEN]"),
    ] {
        assert_eq!(redactor.redact(text), expected);
        assert_eq!(redactor.redact(expected), expected);
    }
}

#[test]
fn a_telephone_number_takes_no_front_of_a_card() {
    let redactor = usual_and(&["PHONE_NUMBER"]);
    for (text, expected) in [
        ("tel (4111 1111 1111 1111)", "tel ([REDACTED:CREDIT_CARD])"),
        ("call me: +5555 5555 5555 4444", "call me: +[REDACTED:CREDIT_CARD]"),
        ("tel %2B5555 5555 5555 4444", "tel %2B[REDACTED:CREDIT_CARD]"),
        ("tel (555) 123-4567, 4111 1111 1111 1111", "tel [REDACTED:PHONE_NUMBER], [REDACTED:CREDIT_CARD]"),
        ("tel +44 20 7946 0958.", "tel [REDACTED:PHONE_NUMBER]."),
    ] {
        assert_eq!(redactor.redact(text), expected);
        assert_eq!(redactor.redact(expected), expected);
    }
}

#[test]
fn a_number_that_a_colon_joins_to_what_is_hidden_is_not_found_the_second_time_either() {
    let redactor = everything();
    for text in ["192.0.2.1:[REDACTED:TOKEN]", "+44 20 7946 0958:[REDACTED:TOKEN]"] {
        let once = redactor.redact(text).into_owned();
        assert_eq!(once, text);
    }
    assert_eq!(redactor.redact("192.0.2.1: up"), "[REDACTED:IP_ADDRESS]: up");
}

#[test]
fn telephone_numbers_are_found_with_a_country_code_or_a_word() {
    let redactor = with(&["PHONE_NUMBER"]);
    for number in [
        "+1 (202) 555-0143",
        "+12025550143",
        "+1-202-555-0143",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+49 30 901820",
        "+49 (0) 30 901820",
        "+49/30/901820",
        "+33 1 99 00 12 34",
        "+39 06 1234 5678",
        "+81-3-1234-5678",
        "+86 138 0013 8000",
        "+91 98765 43210",
        "+55 11 91234-5678",
        "+352 26 12 34 56",
        "+998 71 123 45 67",
    ] {
        for text in
            [number.to_string(), format!("({number})"), format!("\"{number}\","), format!("x {number}. y")]
        {
            let found = found(&redactor, &text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].1, number, "{text}");
        }
    }
    for (text, number) in [
        ("phone: (555) 123-4567", "(555) 123-4567"),
        ("Tel. 030 901820", "030 901820"),
        ("téléphone : 01 99 00 12 34", "01 99 00 12 34"),
        ("电话13800138000", "13800138000"),
        ("phone=0049 30 901820", "0049 30 901820"),
        ("to=%2B12025550143&x=1", "%2B12025550143"),
        ("call me at 555-0143", "555-0143"),
        ("{\"phoneNumber\":\"5551234567\"}", "5551234567"),
    ] {
        assert_eq!(found(&redactor, text), [("PHONE_NUMBER", number)], "{text}");
    }
    for text in [
        "(555) 123-4567",
        "555-0143",
        "+0 123 456 789",
        "+1 102 555 0143",
        "+210 1234567",
        "1+12025550143",
        "a+12025550143",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn account_numbers_are_found_together_and_in_groups() {
    let redactor = with(&["IBAN_CODE"]);
    for number in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "de89370400440532013000",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
        "GB82-WEST-1234-5698-7654-32",
    ] {
        assert_eq!(found(&redactor, &format!("IBAN:{number}.")), [("IBAN_CODE", number)]);
        assert_eq!(found(&redactor, &format!("a\\n{number}\\n")), [("IBAN_CODE", number)]);
    }
    for text in [
        "DE89370400440532013001",
        "XX89370400440532013000",
        "DE8937040044053201300",
        "dE89370400440532013000",
    ] {
        assert_eq!(redactor.redact(text), text);
    }
}

#[test]
fn identifiers_and_secrets_stand_beside_each_other() {
    let redactor = everything();
    for (text, expected) in [
        ("nhs 9434765919 4111 1111 1111 1111 2026", "nhs [REDACTED:UK_NHS] [REDACTED:CREDIT_CARD] 2026"),
        (
            "nhs 9434765919 4111111111111111 nhs 9434765919 5555555555554444",
            "nhs [REDACTED:UK_NHS] [REDACTED:CREDIT_CARD] nhs [REDACTED:UK_NHS] [REDACTED:CREDIT_CARD]",
        ),
        ("postgres://ann:pw@192.0.2.1/x", "postgres://ann:[REDACTED:PASSWORD]@[REDACTED:IP_ADDRESS]/x"),
        ("ssn=536-90-4399", "ssn=[REDACTED:US_SSN]"),
        ("9434765919@nhs.example.org", "[REDACTED:EMAIL_ADDRESS]"),
        ("password=192.0.2.1 192.0.2.2", "password=[REDACTED:PASSWORD] [REDACTED:IP_ADDRESS]"),
        (
            "{\"cpf\": \"390.533.447-05\", \"pin\": 1234}",
            "{\"cpf\": \"[REDACTED:BR_CPF]\", \"pin\": \"[REDACTED:PIN]\"}",
        ),
        ("192.0.2.1", "[REDACTED:IP_ADDRESS]"),
        ("8.8.8.8", "[REDACTED:IP_ADDRESS]"),
    ] {
        assert_eq!(redactor.redact(text), expected);
        assert_eq!(redactor.redact(expected), expected);
    }
}

/// CWE-1333: whoever writes a line chooses how long its redaction takes, unless it is linear.
#[test]
fn four_times_the_text_takes_about_four_times_as_long_whatever_it_says() {
    let redactor = everything();
    let mut hostile: Vec<String> = Vec::new();
    for row in rows() {
        hostile.push(format!("{} ", row.sample));
    }
    for piece in [
        "1",
        "1 ",
        "1-",
        "1.",
        "1:",
        "a:",
        "::",
        "+",
        "+1",
        "+1 ",
        "(1",
        "(1)",
        "1/",
        "A1",
        "A1 ",
        "nhs ",
        "nhs",
        "nhs 1",
        "aa:",
        "aa-",
        "aaaa.",
        "\\n",
        "%20",
        "%2B1",
        "\\u0020",
        "4111 1111 1111 1111 ",
        "tel (4111 1111 1111 1111) ",
        "+(+(4111 ",
        "fe80::1%",
        "fe80::1%25a",
        "4 ",
        "11111111111 ",
        "[REDACTED:UK_NHS]",
        "[REDACTED:UK_NHS] 1",
        "bc1q",
        "0x",
        "\u{1b}[1;1m1",
        "GB82 WEST 1234 ",
    ] {
        hostile.push(piece.to_string());
    }
    for piece in hostile {
        assert_linear(&redactor, &piece, 12_000);
    }
}
