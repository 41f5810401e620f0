//! Plans: what they say is done, and what they must not say is refused.

use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::error::ConfigError;

struct NoMail;

impl Scrub for NoMail {
    fn scrub(&self, text: &str) -> Option<String> {
        text.contains('@').then(|| "[MAIL]".to_owned())
    }

    fn is_secret_name(&self, name: &str) -> bool {
        name == "password"
    }

    fn entities(&self, text: &str) -> Vec<String> {
        text.matches('@').map(|_| "MAIL".to_owned()).collect()
    }
}

fn plan(text: &str) -> Result<Plan, String> {
    let key = key();
    let hands = Hands {
        key: Some(&key),
        scrub: Some(Arc::new(NoMail)),
        customs: vec!["shorten".to_owned()],
        ..Hands::default()
    };
    Plan::parse(text, &hands).map_err(|error| error.to_string())
}

fn refused(text: &str) -> String {
    plan(text).err().unwrap_or_else(|| panic!("{text} was taken"))
}

fn fate<'p>(plan: &'p Plan, path: &str, cell: Cell<'_>) -> Result<Fate<'p>, Refused> {
    plan.column(plan.place(path).unwrap().unwrap()).unwrap().treat(cell)
}

const ALL: &str = r#"
default = "drop"
on_error = "suppress"
quasi_identifiers = ["birth", "place.zip"]
sensitive = ["diagnosis"]
[columns]
diagnosis = "keep"
note = "redact"
gone = "drop"
empty = { do = "null" }
same = { do = "constant", value = "x" }
own = { do = "custom", function = "shorten" }
"a.b" = { do = "token", scope = "t" }
[columns.mail]
do = "pseudonym"
scope = "mail"
form = "email"
normalise = ["nfc", "lower", "strip"]
on_error = "refuse"
[columns.birth]
do = "age"
reference = 2026-06-15
[columns."place.zip"]
do = "postcode"
keep = 3
country = "us"
small = "us-2000"
[columns."cards[*].number"]
do = "ff1"
scope = "card"
separators = " -"
tweak = "v1"
[columns.salary]
do = "number"
width = 2500.5
low = 10000
[columns.seen]
do = "date"
to = "week"
earliest = 2000
[columns.ip]
do = "ip"
[columns.where]
do = "geo"
decimals = 1
"#;

#[test]
fn each_column_has_the_rule_that_names_it() {
    let plan = plan(ALL).unwrap();
    assert_eq!(plan.columns().len(), 15);
    assert_eq!(plan.quasi_identifiers(), ["birth", "place.zip"]);
    assert_eq!(fate(&plan, "birth", Cell::Text("1990-01-01")), Ok(Fate::Put(Made::Text("30-39".into()))));
    assert_eq!(fate(&plan, "diagnosis", Cell::Text("flu")), Ok(Fate::Put(Made::Kept)));
    assert_eq!(fate(&plan, "note", Cell::Text("a@b")), Ok(Fate::Put(Made::Text("[MAIL]".into()))));
    assert_eq!(fate(&plan, "note", Cell::Text("fine")), Ok(Fate::Put(Made::Kept)));
    assert_eq!(fate(&plan, "note", Cell::Other), Ok(Fate::Redact));
    assert_eq!(fate(&plan, "gone", Cell::Other), Ok(Fate::Drop));
    assert_eq!(fate(&plan, "empty", Cell::Other), Ok(Fate::Put(Made::Null)));
    assert_eq!(fate(&plan, "same", Cell::Null), Ok(Fate::Put(Made::Text("x".into()))));
    assert_eq!(fate(&plan, "own", Cell::Int(1)), Ok(Fate::Custom("shorten")));
    assert_eq!(
        fate(&plan, "salary", Cell::Int(12_000)),
        Ok(Fate::Put(Made::Text("[10002, 12502.5)".into())))
    );
    assert!(plan.root().member("nobody").is_none());
    let cards = plan.root().member("cards").unwrap();
    assert!(plan.column(cards).is_none() && !cards.has_members());
    assert_eq!(plan.column(cards.each().unwrap().member("number").unwrap()).unwrap().word(), "ff1");
}

#[test]
fn what_a_rule_cannot_read_is_nothing_or_refused_and_never_itself() {
    let plan = plan(ALL).unwrap();
    for (path, value) in [
        ("birth", "n/a"),
        ("place.zip", "none"),
        ("salary", "much"),
        ("ip", "?"),
        ("where", "here"),
        ("cards[*].number", "4111"),
    ] {
        assert_eq!(fate(&plan, path, Cell::Text(value)), Ok(Fate::Put(Made::Null)), "{path}");
        assert_eq!(fate(&plan, path, Cell::Other), Ok(Fate::Put(Made::Null)), "{path}");
    }
    assert_eq!(fate(&plan, "mail", Cell::Text("nobody")), Err(Refused::Mail));
    assert_eq!(fate(&plan, "mail", Cell::Other), Err(Refused::Kind));
    assert_eq!(fate(&plan, "mail", Cell::Null), Ok(Fate::Put(Made::Null)));
    let met = plan.column(plan.place("birth").unwrap().unwrap()).unwrap().met();
    assert_eq!(met, Met { values: 2, nulls: 0, suppressed: 2 });
    assert_eq!(plan.misshapen(), Ok(Made::Null));
}

#[test]
fn tokens_and_ciphertexts_of_a_plan_are_undone_by_it() {
    let plan = plan(ALL).unwrap();
    for (path, value) in [("a.b", "x"), ("cards[*].number", "4111-1111")] {
        let path = if path == "a.b" { "a.b" } else { path };
        let Ok(Fate::Put(Made::Text(made))) = fate(&plan, path, Cell::Text(value)) else { panic!("{path}") };
        let column = plan.column(plan.place(path).unwrap().unwrap()).unwrap();
        assert_eq!(column.reversed(&made), Some(Ok(value.to_owned())));
    }
    assert!(plan.column(plan.place("mail").unwrap().unwrap()).unwrap().reversed("x").is_none());
}

#[test]
fn a_slip_in_a_plan_stops_it_and_is_told_the_cure() {
    for (text, cure) in [
        ("defualt = \"keep\"", "Did you mean default?"),
        ("default = \"kep\"", "Did you mean \"keep\"?"),
        ("on_error = \"pass\"", "There are refuse, suppress."),
        ("[columns]\na = \"dorp\"", "Did you mean \"drop\"?"),
        ("[columns.a]\ndo = \"pseudonym\"\nscpoe = \"x\"", "scope: it is missing"),
        ("[columns.a]\ndo = \"pseudonym\"\nscope = \"x\"\nfrom = \"hex\"", "Did you mean form?"),
        ("[columns.a]\ndo = \"keep\"\nscope = \"x\"", "scope"),
        ("[columns.user.mail]\ndo = \"drop\"", "stands in quotes"),
        ("[columns.a]\ndo = \"date\"\nto = \"yeer\"", "Did you mean \"year\"?"),
        ("[columns.a]\ndo = \"number\"", "edges, width, round"),
        ("[columns.a]\ndo = \"number\"\nwidth = 1\nround = 1", "one of"),
        ("[columns.a]\ndo = \"number\"\nround = 1\norigin = 1", "origin"),
        ("[columns.a]\ndo = \"custom\"\nfunction = \"longer\"", "There are shorten"),
        ("[columns.a]\ndo = \"pseudonym\"\nscope = \"x\"\nbits = 8", "32 to 256"),
        ("[columns.a]\ndo = \"pseudonym\"\nscope = \"x\"\nbits = 70000", "out of range"),
        ("[columns.a]\ndo = \"pseudonym\"\nscope = \"x\"\nbits = -4", "out of range"),
        ("[columns.a]\ndo = \"constant\"\nvalue = true", "value"),
        ("[columns]\na = 1", "a table is expected"),
        ("columns = 1", "columns: a table"),
        ("[columns]\na = \"drop\"\n\"a.b\" = \"drop\"", "another rule"),
        ("[columns]\n\"a.b\" = \"drop\"\na = \"drop\"", "another rule"),
        ("[columns]\n\"a[*]\" = \"drop\"\na = \"drop\"", "another rule"),
        ("[columns]\n'\"a\"' = \"drop\"\na = \"drop\"", "another rule"),
        ("[columns]\n\"a..b\" = \"drop\"", "a name is empty"),
        ("quasi_identifiers = [\"zip\"]", "no rule names"),
        ("default = \"keep\"\nquasi_identifiers = [\"a[*]\"]", "several values"),
        ("default = \"keep\"\nquasi_identifiers = [\"a\", \"a\"]", "twice"),
        ("default = \"keep\"\nquasi_identifiers = [\"a\"]\nsensitive = [\"a\"]", "one of the two"),
        ("a = 1\na = 2", "line 2"),
        ("[columns\n", "line 1"),
        ("[columns.a]\ndo = \"number\"\nwidth = inf", "infinite"),
    ] {
        let told = refused(text);
        assert!(told.contains(cure), "{text}: {told}");
    }
    assert!(refused(&"#".repeat((1 << 20) + 1)).contains("one MiB"));
    assert!(refused(&format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000))).contains("not TOML"));
}

#[test]
fn a_plan_without_a_key_has_no_rule_that_needs_one() {
    for rule in ["pseudonym", "token", "ff1"] {
        let text = format!("[columns.a]\ndo = \"{rule}\"\nscope = \"x\"");
        let told = Plan::parse(&text, &Hands::default()).err().unwrap().to_string();
        assert!(told.contains("needs a key") && told.contains("\"a\""), "{told}");
    }
    let told = Plan::parse("default = \"redact\"", &Hands::default()).err().unwrap().to_string();
    assert!(told.contains("redacts"), "{told}");
    let told = Plan::parse("[columns]\na = \"redact\"", &Hands::default()).err().unwrap().to_string();
    assert!(told.contains("redacts"), "{told}");
}

#[test]
fn tokens_are_sealed_by_what_was_handed_over() {
    struct Reversing;
    impl Sealer for Reversing {
        fn seal(&self, plaintext: &[u8], _: &[u8]) -> Result<Vec<u8>, crate::crypto::Failed> {
            Ok(plaintext.iter().rev().copied().collect())
        }
        fn open(&self, sealed: &[u8], ad: &[u8]) -> Result<Vec<u8>, crate::crypto::Failed> {
            self.seal(sealed, ad)
        }
    }
    let sealer = |_: &str, _: Option<&str>| Ok(Box::new(Reversing) as Box<dyn Sealer>);
    let hands = Hands { sealer: Some(&sealer), ..Hands::default() };
    let plan = Plan::new(&json!({"columns": {"a": {"do": "token", "scope": "x"}}}), &hands).unwrap();
    assert_eq!(fate(&plan, "a", Cell::Text("abc")), Ok(Fate::Put(Made::Text("Y2Jh".into()))));
}

#[test]
fn a_rule_names_its_keyset_where_keysets_were_given() {
    let asked = std::cell::RefCell::new(Vec::new());
    let sealer = |scope: &str, name: Option<&str>| -> Result<Box<dyn Sealer>, ConfigError> {
        asked.borrow_mut().push((scope.to_owned(), name.map(str::to_owned)));
        Err(ConfigError::new("none is like that"))
    };
    let hands = Hands { sealer: Some(&sealer), ..Hands::default() };
    let table = json!({"columns": {"a": {"do": "token", "scope": "x", "keyset": "tokens"}}});
    let told = Plan::new(&table, &hands).err().unwrap().to_string();
    assert!(told.contains("none is like that") && told.contains("\"a\""), "{told}");
    assert_eq!(*asked.borrow(), [("x".to_owned(), Some("tokens".to_owned()))]);
    let told = Plan::new(&table, &Hands::default()).err().unwrap().to_string();
    assert!(told.contains("keyset: no keysets were given"), "{told}");
}

#[test]
fn a_rule_says_what_it_gives_before_it_meets_a_value() {
    let cases = [
        ("do = \"keep\"", Gives::Same),
        ("do = \"drop\"", Gives::None),
        ("do = \"null\"", Gives::Null),
        ("do = \"redact\"", Gives::Redacted),
        ("do = \"custom\"\nfunction = \"shorten\"", Gives::Custom),
        ("do = \"constant\"\nvalue = \"x\"", Gives::Text),
        ("do = \"constant\"\nvalue = 1", Gives::Integer),
        ("do = \"constant\"\nvalue = 1.5", Gives::Float),
        ("do = \"pseudonym\"\nscope = \"s\"", Gives::Text),
        ("do = \"pseudonym\"\nscope = \"s\"\nform = \"integer\"\nhigh = 9", Gives::Integer),
        ("do = \"token\"\nscope = \"s\"", Gives::Text),
        ("do = \"number\"\nwidth = 10", Gives::Text),
        ("do = \"number\"\nedges = [1]", Gives::Text),
        ("do = \"number\"\nround = 10", Gives::Whole),
        ("do = \"number\"\nround = 2.0\nlow = 4", Gives::Whole),
        ("do = \"number\"\nround = 2.5", Gives::Fraction),
        ("do = \"number\"\nlow = 0\nhigh = 0.5", Gives::Fraction),
        ("do = \"geo\"\ndecimals = 1", Gives::Whole),
    ];
    for (rule, gives) in cases {
        let plan = plan(&format!("[columns.x]\n{rule}")).unwrap();
        assert_eq!(plan.columns()[0].gives(), gives, "{rule}");
        // It keeps its word with the integers that are most likely to break it.
        for number in [0, 1, -1, 3, 7, 99, -120] {
            if let Ok(Fate::Put(made)) = fate(&plan, "x", Cell::Int(number)) {
                match gives {
                    Gives::Text => assert!(matches!(made, Made::Text(_)), "{rule}"),
                    Gives::Integer => assert!(matches!(made, Made::Int(_)), "{rule}"),
                    Gives::Whole => assert!(matches!(made, Made::Int(_) | Made::Kept), "{rule}"),
                    _ => {}
                }
            }
        }
    }
    // A secret name hides whatever is there.
    assert_eq!(plan("[columns]\npassword = \"redact\"").unwrap().columns()[0].gives(), Gives::Text);
}

#[test]
fn a_plan_that_measures_by_very_many_paths_is_refused_at_once() {
    let paths: Vec<String> = (0..1001).map(|number| format!("\"a{number}\"")).collect();
    for name in ["quasi_identifiers", "sensitive"] {
        let plan = |paths: &[String]| {
            let text = format!("default = \"keep\"\n{name} = [{}]", paths.join(","));
            Plan::parse(&text, &Hands::default()).map(|_| ()).map_err(|error| error.to_string())
        };
        assert_eq!(plan(&paths[..1000]), Ok(()));
        assert!(plan(&paths).unwrap_err().contains("at most 1000 paths"));
    }
}

#[test]
fn an_error_quotes_no_more_of_a_plan_than_can_be_read() {
    let format = "YYYY-MM-DD".repeat(10_000);
    let text = format!("[columns.born]\ndo = \"date\"\nto = \"year\"\nformat = \"{format}\"");
    let error =
        Plan::parse(&text, &Hands::default()).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("YYYY-MM-DDYYYY") && error.len() < 300, "{error}");
}
