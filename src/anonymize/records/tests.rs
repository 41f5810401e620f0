//! Records as they are written: what comes out, what is refused, what is counted.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use super::super::plan::{Hands, Plan, Scrub};
use super::*;

/// Finds addresses, in a way that needs no other room.
struct NoMail;

impl Scrub for NoMail {
    fn scrub(&self, text: &str) -> Option<String> {
        text.contains('@').then(|| "[MAIL]".to_owned())
    }

    fn is_secret_name(&self, _: &str) -> bool {
        false
    }

    fn entities(&self, text: &str) -> Vec<String> {
        text.matches('@').map(|_| "MAIL".to_owned()).collect()
    }
}

fn plan(text: &str) -> Arc<Plan> {
    let hands = Hands { scrub: Some(Arc::new(NoMail)), ..Hands::default() };
    Arc::new(Plan::parse(text, &hands).unwrap())
}

fn treated(text: &str, data: &[u8], skip: bool) -> Treated {
    Lines::new(plan(text), None, 1 << 20, skip).treat(data)
}

const BORN: &str = "default = \"keep\"\n[columns.born]\ndo = \"date\"\nto = \"year\"\n";

#[test]
fn what_is_kept_is_written_as_it_was() {
    let done = treated(BORN, b"{ \"n\" : 1.00 , \"born\" : \"1984-05-09\", \"t\":\"\\u00e9\" }\r\n", false);
    assert_eq!(done.out, b"{\"n\":1.00,\"born\":\"1984\",\"t\":\"\\u00e9\"}\n");
}

#[test]
fn a_column_that_is_left_out_leaves_no_comma() {
    let text = "default = \"keep\"\n[columns]\na = \"drop\"\nc = \"drop\"\n";
    for (line, out) in [
        ("{\"a\":1,\"b\":2,\"c\":3}", "{\"b\":2}\n"),
        ("{\"b\":2,\"a\":1}", "{\"b\":2}\n"),
        ("{\"a\":1}", "{}\n"),
        ("{}", "{}\n"),
    ] {
        assert_eq!(treated(text, line.as_bytes(), false).out, out.as_bytes());
    }
}

#[test]
fn a_refused_record_leaves_nothing_of_itself() {
    let done = treated(BORN, b"{\"born\":\"1984-05-09\"}\n{\"x\":1,\"born\":\"soon\"}\n{}\n", true);
    assert_eq!(done.out, b"{\"born\":\"1984\"}\n{}\n");
    assert_eq!((done.tally.read, done.tally.written, done.tally.lines), (3, 2, 3));
    assert_eq!(done.refusals.first().map(|of| (of.line, of.fault.code())), Some((1, "date")));
    let born = &done.tally.columns["born"];
    assert_eq!((born.changed, born.refused.get("date").copied()), (1, Some(1)));
    assert!(!done.tally.columns.contains_key("x"));
}

#[test]
fn no_piece_of_a_line_makes_the_reader_fail_or_pass_it_on() {
    // Each cut of a line that has all of the grammar in it.
    let line = "{\"a\":[1,-0.5e+7,true,null,{\"b\\n\\ud83d\\ude00\":\"\u{e9}\"}],\"c\":\"\"}";
    for at in 0..=line.len() {
        let done = treated("default = \"keep\"", &line.as_bytes()[..at], true);
        assert_eq!(done.tally.written, u64::from(at == line.len()), "{at}");
    }
}

#[test]
fn records_of_a_table_are_cut_where_they_are_read() {
    let dialect = Dialect { delimiter: b',', quote: b'"', crlf: false, safe: None };
    let data = b"a,\"b\r\nc\"\r\n\"x\"\"\",y\nz,\"";
    let whole = Cutter::new(dialect).cut(data, u64::MAX);
    assert_eq!(whole, 18);
    for at in 0..data.len() {
        let cut = Cutter::new(dialect).cut(&data[..at], u64::MAX);
        assert!([0, 10, 18].contains(&cut), "{at}: {cut}");
        // What is cut off begins a record, so that cutting goes on there.
        assert_eq!(cut + Cutter::new(dialect).cut(&data[cut..], u64::MAX), whole);
    }
    assert_eq!(Cutter::new(dialect).cut(data, 1), 10);
}

fn table(text: &str, names: &[&str], skip: bool) -> Table {
    let dialect = Dialect { delimiter: b',', quote: b'"', crlf: false, safe: None };
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    Table::new(plan(text), None, dialect, names, 1 << 20, skip).unwrap()
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_told_from_one_that_is_a_letter() {
    let of = |data: &[u8]| {
        let done = table("default = \"keep\"", &["name", "note"], true).treat(data, true);
        (done.fatal, String::from_utf8(done.out).unwrap())
    };
    // Even in number, and open.
    let (fatal, out) = of(b"Zed,x\n5\" nail,\"unclosed\nAnn,1\nBob,2\n");
    assert!(fatal && !out.contains("Ann"), "{out}");
    assert_eq!(of(b"a,\"b\n"), (true, String::new()));
    assert_eq!(of(b"a,\"b\"\"\r"), (true, String::new()));
    // Odd in number, and none of them opens a field.
    for data in ["6\" nail,c\n", "6\" nail,c", "6\" nail,c\r\n\r\n", "\n\n6\" nail,c\r"] {
        assert_eq!(of(data.as_bytes()), (false, "\"6\"\" nail\",c\n".to_owned()), "{data}");
    }
    assert_eq!(of(b"a,\"b\nc\""), (false, "a,\"b\nc\"\n".to_owned()));
}

/// Whether these fields are written so, each as it is or in quotes.
fn is_written(raw: &str, fields: &[&str]) -> bool {
    let Some((field, rest)) = fields.split_first() else { return false };
    let quoted = format!("\"{}\"", field.replace('"', "\"\""));
    let plain = !field.starts_with('"') && !field.contains([',', '\n']);
    [Some(quoted), plain.then(|| (*field).to_owned())].into_iter().flatten().any(|written| {
        raw.strip_prefix(&*written).is_some_and(|after| match after.strip_prefix(',') {
            Some(more) => is_written(more, rest),
            None => after.is_empty() && rest.is_empty(),
        })
    })
}

#[test]
fn text_behind_a_closing_quotation_mark_is_what_no_writer_writes() {
    let dialect = Dialect { delimiter: b',', quote: b'"', crlf: false, safe: None };
    let (mut behind, mut written) = (0, 0);
    for number in 0..4u32.pow(7) {
        let text: String =
            (0..7).map(|at| ['a', ',', '"', '\n'][(number >> (2 * at)) as usize & 3]).collect();
        // What the automaton reads as the first record, if it is closed.
        let cut = Cutter::new(dialect).cut(format!("{text}\n").as_bytes(), 1);
        let raw = text.get(..cut.saturating_sub(1).min(text.len())).unwrap().trim_start_matches('\n');
        if cut == 0 || raw.is_empty() {
            continue;
        }
        let mut reader = dialect.reader(raw.as_bytes());
        let mut record = csv::StringRecord::new();
        assert!(reader.read_record(&mut record).unwrap());
        let fields: Vec<&str> = record.iter().collect();
        let found = dialect.behind(raw.as_bytes());
        assert_eq!(found.is_none(), is_written(raw, &fields), "{raw:?} {fields:?}");
        behind += u32::from(found.is_some());
        written += u32::from(found.is_none());
    }
    assert!(behind > 200 && written > 200, "{behind} {written}");
}

#[test]
fn an_open_quotation_mark_that_is_closed_by_chance_is_refused_with_line_and_character() {
    let data = b"1,ok\n2,\"open\n3,\xc3\xa9,\"x\"\n\n4,ok\n5,\"a\"b\n";
    let done = table("default = \"keep\"", &["id", "note"], true).treat(data, true);
    assert_eq!(String::from_utf8(done.out).unwrap(), "1,ok\n4,ok\n");
    let refused: Vec<_> =
        done.refusals.iter().map(|of| (of.line, of.fault.code(), &*of.column, of.at)).collect();
    assert_eq!(refused, [(1, "quote", "note", Some((2, 6))), (5, "quote", "note", Some((5, 6)))]);
    assert_eq!((done.fatal, done.tally.read, done.tally.written), (false, 4, 2));
    assert_eq!(done.tally.columns["note"].refused.get("quote"), Some(&2));
    let first = table("default = \"keep\"", &["id", "note"], false).treat(data, true);
    assert_eq!((first.refusals.len(), first.tally.written), (1, 1));
}

#[test]
fn a_table_of_nothing_but_refused_records_is_read_once() {
    let data = "1,2,3\n".repeat(200_000);
    let begun = std::time::Instant::now();
    let done = table("default = \"keep\"", &["id", "note"], true).treat(data.as_bytes(), true);
    assert_eq!(done.tally.refused.get("fields"), Some(&200_000));
    assert_eq!(done.refusals.last().map(|of| of.line), Some(19));
    // To count its lines anew for each record took 100 times as long.
    assert!(begun.elapsed().as_secs() < 30);
}

#[test]
fn many_names_that_become_one_are_numbered_at_once() {
    let names: Vec<String> = (0..20_000).map(|number| format!("a{number}@example.org")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["[MAIL]#2"]).collect();
    let begun = std::time::Instant::now();
    let head = table("default = \"redact\"", &names, false).head().unwrap();
    let written: Vec<&str> = std::str::from_utf8(&head).unwrap().trim().split(',').collect();
    assert_eq!(&written[..2], ["[MAIL]", "[MAIL]#3"]);
    assert_eq!(written.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
    // Each name held against each other one took minutes.
    assert!(begun.elapsed().as_secs() < 30);
}

#[test]
fn a_number_is_as_short_in_a_table_as_in_json() {
    let text = "default = \"keep\"\n[columns.a]\ndo = \"constant\"\nvalue = ";
    for (value, out) in [("1e300", "1e300"), ("-2.5e-9", "-2.5e-9"), ("1.5", "1.5"), ("0.0", "0")] {
        let done = table(&format!("{text}{value}"), &["a", "b"], false).treat(b"x,y\n", true);
        assert_eq!(String::from_utf8(done.out).unwrap(), format!("{out},y\n"));
    }
}

#[test]
fn a_measure_that_is_given_up_frees_its_counts_and_says_why() {
    let plan = plan("default = \"keep\"\nquasi_identifiers = [\"a\"]");
    let watch = Arc::new(Watch::of(&plan, [1; 16], 2).unwrap().unwrap());
    let lines = Lines::new(plan, Some(watch.clone()), 1 << 20, false);
    lines.treat(b"{\"a\":1}\n{\"a\":1}\n");
    let [before, after] = watch.measured();
    assert_eq!((before.unwrap().0.k, after.unwrap().0.k), (2, 2));
    lines.treat(b"{\"a\":2}\n{\"a\":3}\n");
    let [before, _] = watch.measured();
    assert!(before.unwrap_err().contains("more classes"));
}

#[test]
fn after_is_measured_by_what_the_plan_has_not_dropped() {
    let text = "default = \"keep\"\nquasi_identifiers = [\"a\", \"b\"]\nsensitive = [\"c\"]\n";
    let dropping = plan(&format!("{text}[columns.b]\ndo = \"drop\"\n[columns.c]\ndo = \"drop\"\n"));
    let watch = Arc::new(Watch::of(&dropping, [1; 16], 3).unwrap().unwrap());
    let lines = Lines::new(dropping, Some(watch.clone()), 1 << 20, false);
    // A class, a value and both together are all that is counted: before is given up at the second row, and has had the paths all the same.
    lines.treat(b"{\"a\":1,\"b\":1,\"c\":1}\n{\"a\":1,\"b\":2,\"c\":1}\n");
    let [before, after] = watch.measured();
    assert!(before.is_err());
    let (privacy, dropped) = after.unwrap();
    assert_eq!((privacy.k, privacy.classes), (2, 1));
    assert_eq!(dropped, ["b", "c"]);
    // What no row ever had is mistyped, on both sides.
    let mistyped =
        plan("default = \"keep\"\nquasi_identifiers = [\"a\", \"bb\"]\n[columns.b]\ndo = \"drop\"\n");
    let watch = Arc::new(Watch::of(&mistyped, [1; 16], 9).unwrap().unwrap());
    Lines::new(mistyped, Some(watch.clone()), 1 << 20, false).treat(b"{\"a\":1,\"b\":1}\n");
    assert!(watch.measured().iter().all(|side| side.as_ref().is_err_and(|why| why.contains("bb"))));
}
