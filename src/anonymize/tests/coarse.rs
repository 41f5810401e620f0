//! Values made coarser, at the edges of their periods, bins and networks.

use super::*;

#[test]
fn dates_become_their_period() {
    let made = |unit: &str, value: &str| {
        Dates::new(Unit::named(unit).unwrap(), DateFormat::default(), None).unwrap().apply(Cell::Text(value))
    };
    for (unit, value, period) in [
        ("year", "1984-05-09", "1984"),
        ("decade", "1984-05-09", "1980s"),
        ("quarter", "1984-12-31", "1984-Q4"),
        ("month", "1984-05-09T23:59:60Z", "1984-05"),
        ("week", "2021-01-03", "2020-W53"),
        ("week", "2024-12-30", "2025-W01"),
        ("day", "2024-02-29 12:00:00.123+05:30", "2024-02-29"),
        ("year", "0001-01-01", "0001"),
        ("day", "2024-01-01T10:20-05", "2024-01-01"),
    ] {
        assert_eq!(text(made(unit, value)), period, "{unit} {value}");
    }
    for none in [
        "",
        "1984",
        "1984-5-9",
        "1984-05-09 ",
        " 1984-05-09",
        "1984-13-01",
        "2023-02-29",
        "0000-01-01",
        "1984-05-09x",
        "1984-05-09T",
        "1984-05-09T24:00",
        "1984-05-09T1:00",
        "1984-05-09T10:00:00.",
        "1984-05-09T10:00+",
        "1984-05-09T10:00+24:00",
        "\u{661}984-05-09",
        "19840509",
        "1984/05/09",
        "+984-05-09",
        "1984-05-0\u{e9}",
        "09.05.1984",
        "1984-05-09T10:00Zx",
    ] {
        assert_eq!(made("year", none), Err(Refused::Date), "{none}");
    }
    let german = Dates::new(Unit::Month, DateFormat::new("DD.MM.YYYY").unwrap(), Some(1936)).unwrap();
    assert_eq!(text(german.apply(Cell::Text("09.05.1984"))), "1984-05");
    assert_eq!(text(german.apply(Cell::Text("31.12.1935"))), "<1936");
    assert_eq!(text(german.apply(Cell::Text("01.01.1936"))), "1936-01");
    assert_eq!(text(german.apply(Cell::Date(date(1984, 5, 9).unwrap(), "1984-05-09"))), "1984-05");
    assert_eq!(german.apply(Cell::Text("1984-05-09")), Err(Refused::Date));
    assert_eq!(german.apply(Cell::Int(19_840_509)), Err(Refused::Kind));
    for format in
        ["", "YYYY", "YYYY-MM", "YYYY-MM-DD-DD", "YY-MM-DD", "YYYY-MM-DD\u{e9}", "YYYYxMMxDD", "%Y-%m-%d"]
    {
        assert!(DateFormat::new(format).is_err(), "{format}");
    }
    assert!(Dates::new(Unit::Year, DateFormat::default(), Some(0)).is_err());
}

#[test]
fn ages_are_those_of_the_day_and_the_oldest_are_one_band() {
    let ages =
        |reference: &str| Ages::new(named_date(reference).unwrap(), 10, 90, DateFormat::default()).unwrap();
    let made = |reference: &str, birth: &str| ages(reference).apply(Cell::Text(birth));
    assert_eq!(text(made("2026-06-15", "1996-06-15")), "30-39");
    assert_eq!(text(made("2026-06-14", "1996-06-15")), "20-29");
    assert_eq!(text(made("2026-02-28", "2016-02-29")), "0-9");
    assert_eq!(text(made("2026-03-01", "2016-02-29")), "10-19");
    // 45 CFR 164.514(b)(2)(i)(C): ages over 89 are one category.
    assert_eq!(text(made("2026-06-15", "1936-06-16")), "80-89");
    assert_eq!(text(made("2026-06-15", "1936-06-15")), "90+");
    assert_eq!(text(made("2026-06-15", "1900-01-01")), "90+");
    assert_eq!(text(made("2026-06-15", "2026-06-15")), "0-9");
    assert_eq!(made("2026-06-15", "2026-06-16"), Err(Refused::Range));
    assert_eq!(made("2026-06-15", "1800-01-01"), Err(Refused::Range));
    assert_eq!(made("2026-06-15", "yesterday"), Err(Refused::Date));
    let odd = Ages::new(named_date("2026-06-15").unwrap(), 7, 90, DateFormat::default()).unwrap();
    assert_eq!(text(odd.apply(Cell::Text("1938-01-01"))), "84-89");
    for (width, top) in [(0, 90), (51, 90), (10, 0), (10, 121)] {
        assert!(Ages::new(named_date("2026-06-15").unwrap(), width, top, DateFormat::default()).is_err());
    }
    for none in ["2026-02-29", "2026-01-01T00:00", "today"] {
        assert!(named_date(none).is_err());
    }
}

#[test]
fn numbers_are_binned_rounded_and_bounded() {
    let edges = Numbers::edges(&["0", "18", "65.5"]).unwrap();
    for (number, bin) in [
        ("-1", "<0"),
        ("0", "[0, 18)"),
        ("17.999", "[0, 18)"),
        ("18", "[18, 65.5)"),
        ("65.5", ">=65.5"),
        ("1e9", ">=65.5"),
    ] {
        assert_eq!(text(edges.apply(Cell::Text(number))), bin, "{number}");
    }
    let width = Numbers::width("25", "0").unwrap().between(Some("10"), Some("90")).unwrap();
    for (number, bin) in
        [(9, "<10"), (10, "[10, 25)"), (25, "[25, 50)"), (89, "[75, 90)"), (90, ">=90"), (i64::MAX, ">=90")]
    {
        assert_eq!(text(width.apply(Cell::Int(number))), bin, "{number}");
    }
    assert_eq!(text(Numbers::width("0.1", "0").unwrap().apply(Cell::Float(0.3))), "[0.3, 0.4)");
    let round = Numbers::round("10").unwrap().between(Some("0"), Some("95")).unwrap();
    assert_eq!(round.apply(Cell::Int(25)), Ok(Made::Int(30)));
    assert_eq!(round.apply(Cell::Int(94)), Ok(Made::Int(90)));
    assert_eq!(round.apply(Cell::Int(400)), Ok(Made::Int(95)));
    assert_eq!(round.apply(Cell::Float(-2.0)), Ok(Made::Float(0.0)));
    assert_eq!(round.apply(Cell::Text("44.9")), Ok(Made::Text("40".into())));
    assert_eq!(Numbers::round("2.5").unwrap().apply(Cell::Int(3)), Ok(Made::Float(2.5)));
    assert_eq!(Numbers::clamp().between(None, Some("100")).unwrap().apply(Cell::Int(7)), Ok(Made::Int(7)));
    for cell in [
        Cell::Text("12 000"),
        Cell::Text("1,5"),
        Cell::Text(""),
        Cell::Float(f64::NAN),
        Cell::Float(f64::INFINITY),
    ] {
        assert_eq!(round.apply(cell), Err(Refused::Number));
    }
    assert_eq!(round.apply(Cell::Bool(true)), Err(Refused::Kind));
    assert_eq!(edges.apply(Cell::Text("1e30")), Err(Refused::Range));
    assert!(
        Numbers::edges(&[]).is_err()
            && Numbers::edges(&["1", "1"]).is_err()
            && Numbers::edges(&["2", "1"]).is_err()
    );
    assert!(
        Numbers::width("0", "0").is_err()
            && Numbers::width("-1", "0").is_err()
            && Numbers::round("0").is_err()
    );
    assert!(
        Numbers::clamp().between(None, None).is_err()
            && Numbers::round("1").unwrap().between(Some("2"), Some("1")).is_err()
    );
    assert!(Numbers::edges(&["1"]).unwrap().between(Some("0"), None).is_err());
}

#[test]
fn postcodes_keep_their_beginning_or_are_refused() {
    let british = Postcodes::new(2, None, &[], "000").unwrap();
    assert_eq!(text(british.apply(Cell::Text("sw1a 1aa"))), "SW");
    let zip = Postcodes::new(3, Some("us"), &ZIP3_SMALL_2000, "000").unwrap();
    assert_eq!(text(zip.apply(Cell::Text("90210"))), "902");
    assert_eq!(text(zip.apply(Cell::Text("90210-1234"))), "902");
    // 45 CFR 164.514(b)(2)(i)(B): areas of 20,000 people or fewer.
    assert_eq!(text(zip.apply(Cell::Text("03601"))), "000");
    assert_eq!(text(zip.apply(Cell::Text("89301-0001"))), "000");
    for none in
        ["", "9021", "902101", "90210-", "90210-12", "9021O", "90210 1234", "90210_1234", "\u{661}0210"]
    {
        assert_eq!(zip.apply(Cell::Text(none)), Err(Refused::Postcode), "{none}");
    }
    // A number has lost its zeros: 501 may be 00501.
    assert_eq!(zip.apply(Cell::Int(501)), Err(Refused::Kind));
    for none in ["12", "123  4", "-1234", "abcdef", "1234567890123", "12\u{e9}45"] {
        assert_eq!(british.apply(Cell::Text(none)), Err(Refused::Postcode), "{none}");
    }
    // What would be kept whole is not made coarser.
    let long = Postcodes::new(5, None, &[], "").unwrap();
    assert_eq!(long.apply(Cell::Text("10 115")), Err(Refused::Postcode));
    assert!(Postcodes::new(5, Some("us"), &[], "").is_err() && Postcodes::new(0, None, &[], "").is_err());
    assert!(
        Postcodes::new(3, None, &["0360"], "").is_err() && Postcodes::new(3, Some("fr"), &[], "").is_err()
    );
    // A small place whose beginning is mistyped would pass: a letter O, digits of full width, a blank.
    for odd in ["O36", "\u{ff10}36", "03 ", "0-3", "\u{661}36"] {
        assert!(Postcodes::new(3, Some("us"), &["036", odd], "").is_err(), "{odd}");
        assert!(Postcodes::new(3, None, &[odd], "").is_err() || odd == "O36", "{odd}");
    }
    let small = Postcodes::new(2, None, &["zE"], "000").unwrap();
    assert_eq!(text(small.apply(Cell::Text("ze2 9aa"))), "000");
}

#[test]
fn addresses_become_networks() {
    let networks = Networks::new(24, 48).unwrap();
    for (address, network) in [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("::1", "::/48"),
        // 6to4 (RFC 3056) has the address of a person in its first 48 bits: 2002:c000:24d::/48 would be all of it.
        ("2002:c000:24d:1::2", "192.0.2.0/24"),
        ("64:ff9b::c000:24d", "192.0.2.0/24"),
        ("64:ff9b:1::c000:24d", "64:ff9b:1::/48"),
        ("2003:c000:24d:1::2", "2003:c000:24d::/48"),
    ] {
        assert_eq!(text(networks.apply(Cell::Text(address))), network, "{address}");
    }
    for none in [
        "",
        "192.0.2",
        "192.0.2.077",
        "192.0.2.1:80",
        "[::1]",
        "fe80::1%eth0",
        " 192.0.2.1",
        "192.0.2.0/24",
        "localhost",
    ] {
        assert_eq!(networks.apply(Cell::Text(none)), Err(Refused::Ip), "{none}");
    }
    assert_eq!(text(Networks::new(0, 0).unwrap().apply(Cell::Text("192.0.2.1"))), "0.0.0.0/0");
    assert_eq!(text(Networks::new(0, 0).unwrap().apply(Cell::Text("::1"))), "::/0");
    assert!(Networks::new(32, 48).is_err() && Networks::new(24, 128).is_err());
    let long = Networks::new(8, 127).unwrap();
    assert_eq!(text(long.apply(Cell::Text("64:ff9b::192.0.2.77"))), "192.0.0.0/8");
}

#[test]
fn coordinates_are_put_on_a_grid() {
    let grid = Grid::new(1).unwrap();
    assert_eq!(grid.apply(Cell::Float(48.8566)), Ok(Made::Float(48.9)));
    assert_eq!(grid.apply(Cell::Text("-2.3522")), Ok(Made::Text("-2.4".into())));
    assert_eq!(grid.apply(Cell::Text("48.8566, -2.3522")), Ok(Made::Text("48.9,-2.4".into())));
    for beyond in ["180.0001", "90.1,0", "0,180.5", "-181"] {
        assert_eq!(grid.apply(Cell::Text(beyond)), Err(Refused::Range), "{beyond}");
    }
    for none in ["", "48.8,", "48.8,2.3,1", "48.8;2.3", "48N"] {
        assert_eq!(grid.apply(Cell::Text(none)), Err(Refused::Number), "{none}");
    }
    assert!(Grid::new(5).is_err());
}
