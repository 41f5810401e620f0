#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

const BOUNDS: FormBounds = FormBounds { parts: 10, fields: 5, files: 3, field: 40, file: 100 };

#[derive(Debug, PartialEq, Eq, Clone)]
enum Told {
    Field(String, String),
    File(String, String, Vec<u8>),
}

/// Reads a form in pieces that end at `cuts`.
fn read_in(body: &[u8], boundary: &str, cuts: &[usize]) -> Result<Vec<Told>, Flaw> {
    let mut form = Multipart::new(boundary, BOUNDS);
    let mut told = Vec::new();
    let mut is_open = false;
    let mut from = 0;
    for &to in cuts.iter().chain([&body.len()]) {
        let said = form.feed(&body[from..to], |event| {
            match event {
                Event::Field(name, text) => {
                    assert!(!is_open);
                    told.push(Told::Field(name.into(), text.into()));
                }
                Event::File(head) => {
                    assert!(!std::mem::replace(&mut is_open, true));
                    told.push(Told::File(head.name.clone(), head.filename.clone(), Vec::new()));
                }
                Event::Data(data) => match told.last_mut() {
                    Some(Told::File(.., held)) if is_open && !data.is_empty() => held.extend_from_slice(data),
                    _ => panic!("data without a file"),
                },
                Event::FileEnd => assert!(std::mem::replace(&mut is_open, false)),
            }
            Ok::<(), ()>(())
        });
        match said {
            Ok(()) => {}
            Err(Stop::Flaw(flaw)) => return Err(flaw),
            Err(Stop::Receiver(())) => panic!("the receiver takes all"),
        }
        from = to;
    }
    form.finish()?;
    assert!(!is_open);
    Ok(told)
}

fn read(body: impl AsRef<[u8]>) -> Result<Vec<Told>, Flaw> {
    read_in(body.as_ref(), "x", &[])
}

fn field(name: &str, text: &str) -> Told {
    Told::Field(name.into(), text.into())
}

fn part(disposition: &str, content: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n--x--\r\n")
}

#[test]
fn a_form_is_its_fields_and_files_in_their_order() {
    let body = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\ncontent-disposition: FORM-DATA; \
                name=f; filename=\"a b.png\"\r\nContent-Type: image/png\r\n\r\nab\r\ncd--x\r\n\r\n--x\r\nContent-Disposition: \
                form-data; name=\"\u{e9}\"\r\n\r\n\u{e9}\r\n--x--\r\n";
    let file = Told::File("f".into(), "a b.png".into(), b"ab\r\ncd--x\r\n".to_vec());
    assert_eq!(read(body), Ok(vec![field("a", "1"), file, field("\u{e9}", "\u{e9}")]));
    // As some clients begin and end.
    assert_eq!(read("\r\n--x--"), Ok(vec![]));
    assert_eq!(read("--x--\r\n"), Ok(vec![]));
    // RFC 2046 section 5.1.1: a part may be its head alone.
    let bare = "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n--x--";
    assert_eq!(read(bare), Ok(vec![field("a", "")]));
    assert_eq!(read(part("name=a", "")), Ok(vec![field("a", "")]));
}

#[test]
fn names_are_read_as_browsers_write_them() {
    for (disposition, name) in [
        (r#"name="a%22b""#, "a\"b"),
        (r#"name="a%0D%0Ab""#, "a%0D%0Ab"),
        (r#"name="a\b""#, "a\\b"),
        (r#"name="a;b=c""#, "a;b=c"),
        (r#"name="a" ; x=y"#, "a"),
        ("NAME=a", "a"),
    ] {
        assert_eq!(read(part(disposition, "1")), Ok(vec![field(name, "1")]), "{disposition}");
    }
    // As .NET writes each file, and Spring those beyond ASCII.
    for (disposition, name) in [
        ("filename=b.txt; filename*=utf-8''b.txt", "b.txt"),
        ("filename*=UTF-8''a%20b; filename=\"a b\"", "a b"),
        ("filename=\"=?utf-8?B?w6kudHh0?=\"; filename*=utf-8''%C3%A9.txt", "\u{e9}.txt"),
        (
            "filename=\"=?UTF-8?Q?=C3=A9_1%?= =?UTF-8?Q?.txt?=\"; filename*=UTF-8''%C3%A9%201%25.txt",
            "\u{e9} 1%.txt",
        ),
        ("filename=\"=?utf-8?B?w6kudHh0?=\"", "=?utf-8?B?w6kudHh0?="),
    ] {
        let told = read(part(&format!("name=f; {disposition}"), ""));
        assert_eq!(told, Ok(vec![Told::File("f".into(), name.into(), vec![])]), "{disposition}");
    }
    let windows = read(part(r#"name=f; filename="C:\a\b.png""#, "")).unwrap();
    assert_eq!(windows, [Told::File("f".into(), "C:\\a\\b.png".into(), vec![])]);
}

#[test]
fn what_two_readers_would_read_in_two_ways_is_refused() {
    let one = part("name=a", "1");
    for (case, body) in [
        ("nothing", String::new()),
        ("a line end", "\r\n".into()),
        ("a preamble", format!("hello\r\n{one}")),
        ("a blank before it", format!(" {one}")),
        ("two line ends before it", format!("\r\n\r\n{one}")),
        ("an epilogue", format!("{one}bye")),
        ("two line ends behind it", format!("{one}\r\n")),
        ("two forms", format!("{one}{one}")),
        ("no end", one.replace("--x--\r\n", "--x\r\n")),
        ("cut in its end", one.replace("--x--\r\n", "--x-")),
        ("a bare CR at its end", one.replace("--x--\r\n", "--x--\r")),
        ("a bare LF at its end", one.replace("--x--\r\n", "--x--\n")),
        ("padding", one.replace("--x\r\n", "--x \r\n")),
        ("another boundary that begins as ours", one.replace("1\r\n", "1\r\n--xy\r\n")),
        ("a closing boundary that goes on", one.replace("--x--", "--x--y")),
        ("a boundary behind a bare LF", one.replace("\r\n--x--", "\n--x--")),
        ("a boundary behind a bare CR", one.replace("\r\n--x--", "\r--x--")),
        ("LF alone", one.replace("\r\n", "\n")),
        ("an LF in a head", one.replace("; name=a", "; name=a\nX: y")),
        ("a folded line", one.replace("; name=a", ";\r\n name=a")),
        ("a blank before a colon", one.replace("Disposition:", "Disposition :")),
        ("no colon", one.replace("Disposition:", "Disposition")),
        ("NUL in a head", one.replace("; name=a", "; name=a\r\nX: \0")),
        ("no head", "--x\r\n\r\n1\r\n--x--".into()),
        ("no disposition", one.replace("Content-Disposition", "Content-Position")),
        (
            "a disposition twice",
            one.replace("\r\n\r\n1", "\r\nContent-Disposition: form-data; name=b\r\n\r\n1"),
        ),
        ("a type twice", one.replace("\r\n\r\n1", "\r\nContent-Type: a/b\r\ncontent-type: c/d\r\n\r\n1")),
        ("an attachment", one.replace("form-data", "attachment")),
        ("no name", part("filename=a", "1")),
        ("an empty name", part("name=\"\"", "1")),
        ("a name twice", part("name=a; name=b", "1")),
        ("a name twice in other capitals", part("name=a; NAME=b", "1")),
        ("two file names", part("name=a; filename=b; filename=c", "1")),
        ("a file name in two ways", part("name=a; filename=b; filename*=UTF-8''c", "1")),
        ("an extended file name alone", part("name=a; filename*=UTF-8''c", "1")),
        ("two extended file names", part("name=a; filename=b; filename*=UTF-8''b; filename*=UTF-8''b", "1")),
        ("a file name of another character set", part("name=a; filename=b; filename*=iso-8859-1''b", "1")),
        ("a file name of a language", part("name=a; filename=b; filename*=UTF-8'en'b", "1")),
        ("a file name of half an escape", part("name=a; filename=\"b%\"; filename*=UTF-8''b%", "1")),
        ("a control character in an escape", part("name=a; filename=b; filename*=UTF-8''b%00", "1")),
        ("words of another name", part("name=a; filename=\"=?utf-8?B?Yw==?=\"; filename*=UTF-8''b", "1")),
        ("a name of RFC 5987", part("name*=UTF-8''a", "1")),
        ("a name in pieces", part("name*0=a; name*1=b", "1")),
        ("another parameter twice", part("name=a; x=1; x=2", "1")),
        ("a quotation mark behind a backslash", part(r#"name="a\"; filename=\"b""#, "1")),
        ("two backslashes before the end", part(r#"name="a\\""#, "1")),
        ("no end of the quotation", part("name=\"a", "1")),
        ("something behind the quotation", part("name=\"a\"b", "1")),
        ("a blank around the sign", part("name =a", "1")),
        ("a parameter without value", part("name=a; filename", "1")),
        ("a control character in a name", part("name=\"a\u{7f}\"", "1")),
        ("a tab in a name", part("name=\"a\tb\"", "1")),
        ("a control character beyond ASCII", part("name=\"a\u{85}\"", "1")),
        ("a transfer encoding", one.replace("\r\n\r\n1", "\r\nContent-Transfer-Encoding: base64\r\n\r\n1")),
        (
            "a form in a form",
            one.replace("\r\n\r\n1", "\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n1"),
        ),
        (
            "another character set",
            one.replace("\r\n\r\n1", "\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n1"),
        ),
        (
            "a character set in pieces",
            one.replace("\r\n\r\n1", "\r\nContent-Type: a/b; charset*0=utf-8\r\n\r\n1"),
        ),
        (
            "two character sets",
            one.replace("\r\n\r\n1", "\r\nContent-Type: a/b; charset=utf-8; charset=iso-8859-1\r\n\r\n1"),
        ),
        ("_charset_", part("name=_charset_", "latin-1")),
        ("another length", one.replace("\r\n\r\n1", "\r\nContent-Length: 2\r\n\r\n1")),
        ("no length", one.replace("\r\n\r\n1", "\r\nContent-Length: +1\r\n\r\n1")),
    ] {
        assert!(matches!(read(&body), Err(Flaw::Malformed(_))), "{case}: {:?}", read(&body));
    }
    let with = |old: &str, new: &[u8]| {
        let (before, after) = one.split_once(old).unwrap();
        [before.as_bytes(), new, after.as_bytes()].concat()
    };
    assert!(read(with("=a", b"=\"\xff\"")).is_err());
    assert!(read(with("\r\n1", b"\r\n\xff")).is_err());
    assert!(read(with("\r\n1", b"\r\n\xed\xa0\x80")).is_err());
}

#[test]
fn what_says_that_nothing_is_special_is_read() {
    let one = part("name=a", "1");
    for more in [
        "Content-Transfer-Encoding: binary",
        "Content-Transfer-Encoding: 8BIT",
        "Content-Type: text/plain; charset=\"UTF-8\"",
        "Content-Type: application/json",
        "Content-Length: 1",
        "X-Other: a\tb",
    ] {
        let body = one.replace("\r\n\r\n1", &format!("\r\n{more}\r\n\r\n1"));
        assert_eq!(read(body), Ok(vec![field("a", "1")]), "{more}");
    }
    assert!(read(part("name=_charset_", "UTF-8")).is_ok());
    // As Apache's HttpClient writes each field.
    let latin =
        b"--x\r\nContent-Disposition: form-data; name=a\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\
                  Content-Transfer-Encoding: 8bit\r\n\r\n\xe9\r\n--x--";
    assert_eq!(read(latin), Ok(vec![field("a", "\u{e9}")]));
}

#[test]
fn each_bound_is_inclusive() {
    let fields =
        |count: usize| "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n".repeat(count) + "--x--";
    let files = |count: usize| {
        "--x\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n1\r\n".repeat(count) + "--x--"
    };
    let head = |length: usize| {
        let body = part("name=a", "1");
        let rest = length - "Content-Disposition: form-data; name=a\r\nX: ".len();
        body.replace("\r\n\r\n1", &format!("\r\nX: {}\r\n\r\n1", "y".repeat(rest)))
    };
    for (within, beyond) in [
        (fields(5), fields(6)),
        (files(3), files(4)),
        (part("name=a", &"y".repeat(40)), part("name=a", &"y".repeat(41))),
        (part("name=a; filename=b", &"y".repeat(100)), part("name=a; filename=b", &"y".repeat(101))),
        (part(&format!("name={}", "y".repeat(1024)), "1"), part(&format!("name={}", "y".repeat(1025)), "1")),
        (head(MOST_HEAD), head(MOST_HEAD + 1)),
    ] {
        assert!(read(&within).is_ok(), "{within}");
        assert!(matches!(read(&beyond), Err(Flaw::TooLarge(_))), "{beyond}");
    }
    let few = FormBounds { parts: 1, ..BOUNDS };
    let mut form = Multipart::new("x", few);
    assert_eq!(
        form.feed(fields(2).as_bytes(), |_| Ok::<(), ()>(())),
        Err(Stop::Flaw(Flaw::TooLarge("parts")))
    );
    // What was refused stays refused, whatever comes next.
    let again = form.feed(fields(1).as_bytes(), |_| Ok::<(), ()>(()));
    assert_eq!(
        (again, form.finish()),
        (Err(Stop::Flaw(Flaw::TooLarge("parts"))), Err(Flaw::TooLarge("parts")))
    );
}

#[test]
fn a_head_without_end_and_a_flood_of_almost_boundaries_are_bounded() {
    // GHSA-q34m-jh98-gwm2: a parser that buffered without bound. GHSA-xg9f-g7g7-2323: one that searched a long part anew for each piece.
    let mut form = Multipart::new("x", BOUNDS);
    let mut fed = 0;
    let mut piece: &[u8] = b"--x\r\nContent-Disposition: ";
    while form.feed(piece, |_| Ok::<(), ()>(())).is_ok() {
        fed += piece.len();
        piece = b"\r\rA";
        assert!(form.held.len() <= MOST_HEAD + 4 && fed < 10_000);
    }
    let mut form = Multipart::new("boundary", FormBounds { file: u64::MAX, ..BOUNDS });
    form.feed(b"--boundary\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n", |_| {
        Ok::<(), ()>(())
    })
    .unwrap();
    for piece in [&b"\r"[..], b"\r\n--boundar", b"\r\n-", b"x--boundary"] {
        for _ in 0..20_000 {
            form.feed(piece, |_| Ok::<(), ()>(())).unwrap();
            assert!(form.held.len() <= "--boundary".len() + 1);
        }
        form.feed(b"x", |_| Ok::<(), ()>(())).unwrap();
    }
}

#[test]
fn the_same_is_read_however_a_form_is_cut() {
    let pieces: [&[u8]; 16] = [
        b"--x",
        b"--x\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"--",
        b"-",
        b"x",
        b"Content-Disposition: form-data; name=a",
        b"; filename=b",
        b"\r\n\r\n",
        b"\r\n--x\r\nContent-Disposition: form-data; name=b\r\n\r\n",
        b"\r\n--x--",
        b"\r\n--x--\r\n",
        b"yyyyyyyyyyyyyyyyyyyyyy",
        b"--x\r\nContent-Disposition: form-data; name=a; filename=\"c\"\r\n\r\n",
    ];
    // A generator of Lehmer's: the same forms in every run.
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed = seed * 48_271 % 2_147_483_647;
        seed as usize % below
    };
    let mut whole = 0;
    for round in 0..20_000 {
        let mut body = Vec::new();
        if round % 4 > 0 {
            body.extend_from_slice(if round % 2 == 0 {
                pieces[15]
            } else {
                b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n"
            });
        }
        for _ in 0..random(8) {
            body.extend_from_slice(pieces[random(16)]);
        }
        if round % 3 > 0 {
            body.extend_from_slice(pieces[13]);
        }
        let at_once = read(&body);
        whole += usize::from(at_once.is_ok());
        let bytewise: Vec<usize> = (0..body.len()).collect();
        assert_eq!(read_in(&body, "x", &bytewise), at_once, "{:?}", String::from_utf8_lossy(&body));
        let mut cuts: Vec<usize> = (0..3).map(|_| random(body.len() + 1)).collect();
        cuts.sort_unstable();
        assert_eq!(read_in(&body, "x", &cuts), at_once, "{:?} at {cuts:?}", String::from_utf8_lossy(&body));
    }
    assert!(whole > 500, "{whole} forms were well formed");
}

#[test]
fn a_boundary_is_named_once_and_is_one() {
    for (kind, found) in [
        ("multipart/form-data; boundary=x", Some("x")),
        ("Multipart/Form-Data;BOUNDARY=\"a b\"", Some("a b")),
        ("multipart/form-data; charset=utf-8; boundary=----=_Part_1.2", Some("----=_Part_1.2")),
        ("multipart/form-data; boundary=x;", Some("x")),
        ("multipart/form-data; boundary=*****", Some("*****")),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=\"\"", None),
        ("multipart/form-data; boundary=\"x \"", None),
        ("multipart/form-data; boundary=x; boundary=y", None),
        ("multipart/form-data; boundary=x; Boundary=x", None),
        ("multipart/form-data; boundary*=UTF-8''x", None),
        ("multipart/form-data; boundary*0=x; boundary*1=y", None),
        ("multipart/form-data; boundary=x y", None),
        ("multipart/form-data; boundary=\"a\\\"b\"", None),
        ("multipart/form-data; boundary=\"a\"b", None),
        ("multipart/form-data; boundary=a\u{e9}", None),
        ("multipart/form-data; boundary=<x>", None),
        ("multipart/mixed; boundary=x", None),
    ] {
        assert_eq!(boundary(kind).ok().as_deref(), found, "{kind}");
    }
    assert!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(100))).is_ok());
    assert!(boundary(&format!("multipart/form-data; boundary={}", "x".repeat(101))).is_err());
}
