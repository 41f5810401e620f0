//! Tests: no text takes longer than its length allows.

use std::time::Duration;

use super::super::prefixes;
use super::*;

/// CWE-1333: whoever writes a log line chooses how long its redaction takes, unless it is linear.
#[test]
fn four_times_the_text_takes_about_four_times_as_long_whatever_it_says() {
    let redactor = redactor();
    let mut hostile: Vec<String> = PIECES.iter().map(|piece| (*piece).to_string()).collect();
    for rule in rules::all() {
        let cut = |part: usize| rule.secret.chars().take(part).collect::<String>();
        let whole = rule.secret.chars().count();
        if prefixes::route(rule) == prefixes::Route::Word {
            // Rows that are found by prefix differ in their letters alone.
            hostile.push(format!("{} ", cut(whole - 1)));
            continue;
        }
        hostile
            .extend(rule.literals.iter().flat_map(|l| [(*l).to_string(), format!(".{l}"), format!("-{l} ")]));
        hostile.extend([whole / 3, whole / 2, whole - 1].map(cut));
        hostile.push(format!("{}[REDACTED:", rule.secret));
    }
    for piece in [
        "a@",
        "@a",
        "a%40",
        "a@b.",
        "password=",
        "password=[",
        "password={\"",
        "password=\"",
        "password='\\",
        "://a:",
        "://a:b/",
        "://a:b@",
        "4 ",
        "4-",
        "4111 ",
        "41111111-",
        "cookie:",
        "cookie: '",
        "'Cookie: a' ",
        "{'Cookie: a'}",
        "\"Authorization: Digest a\" ",
        "authorization: a ",
        "authorization: Bearer [REDACTED:",
        "a:token>[REDACTED:",
        "<token>",
        "('cookie',",
        "('cookie','",
        "token=\\",
        "token=a,",
        "token=,aaaaaaaa",
        "token=%3D",
        "token%3D",
        "token%3D%22",
        "'''",
        "\\\\",
        "\\\\\"",
        "eyJaaaaaaaaaaa.",
        "-eyJaaaaaaa",
        ".eyJaaaaaaaaaa",
        "Bearer aaaaaaaa ",
        "Basic aaaaaaaa",
        "xx]=",
        "token]]]]=",
        "token        ",
        "token=        ",
        "sk-aaaaaaaaaaaaaaaaaaaa ",
        "%25",
        "\u{1b}[1;1;1;1m",
        "token=null,",
        "%22pin%22%3A%20%22",
        "%22pin%22%3A%20%5B%5C%22",
        "%25",
        "%2525",
        "pin%253A%2522",
        "\\u0022pin\\u0022:\\u0022",
        "\\u0022pin\\u0022:[\\u0022",
        "pin\\u003d",
        "pin\\x3d[",
        "\\x3d",
        "\\\\u0022",
        "&quot;pin&quot;: &quot;",
        "&quot;pin&quot;: [",
        "&quot;",
        "&#",
        "form-data; name=\"pin\"\r\n\r\n",
        "form-data; name=\"pin\"\r\nA: b",
        "name=\"",
        "\"pin\":\n",
        "pin:\n  ",
        "\\\"pin\\\":\\n",
        "\\u0022pin\\u0022:\\t",
        "\\n",
        "\"value\": \"",
        "\"value\":1",
        "\"value\":\"a\",",
        "\"name\": \"a\", \"value\": \"",
        " value=\"",
        "<a value='' ",
        "<a name='pin' value='",
        "--pin ",
        "--pin a ",
        "'--pin', '",
        "--a",
        "['pin', '",
        "['pin', 'a'",
        "[[[['",
        "pin：",
        "：",
        "**token:** ",
        "token**:",
        "<token> ",
        "<token>a",
        "<token>\n",
        "<token><![CDATA[",
        "<item name='pin'>",
        "\"token:\",",
        "'token:' + '",
        "token='a''b",
        "token='a'\\''",
        "token = '''\n",
        "token: a = '",
        "token: A | A | ",
        "\ntoken: !a ",
        "- name: pin\n  value: a\n",
        "{ name: 'pin', value: '",
        "cookie=a=b; ",
        "authorization=Digest a=\"b\", ",
        "authorization=a b ",
        "private key: ",
        "token=\\\n",
        "--token \\\n",
        "token(\n",
        "pin\n a input_value='",
        "é: ",
        concat!("PuTTY-User-Key-", "File-3: "),
        concat!("PuTTY-User-Key-", "File-3: Public-Lines: 1 Private-Lines: 1 Private-", "MAC: 0 PPPP"),
        concat!("ppk=PuTTY-User-Key-", "File-3: Public-Lines: 1 Private-Lines: 1 Private-", "MAC: 0 "),
        "Public-Lines: 1 Private-Lines: 1 Private-MAC: 0 ",
    ] {
        hostile.push(piece.to_string());
    }
    // Its first 4 KB are one find, and cost little: a quarter has to be longer.
    assert_linear(&redactor, "pin: |\n  ", 80_000);
    let mut dice = Dice(3);
    for _ in 0..40 {
        hostile.push((0..2 + dice.below(3)).map(|_| dice.pick(PIECES)).collect());
    }
    for piece in hostile {
        assert_linear(&redactor, &piece, 20_000);
    }
}

/// *piece* over and over, *length* bytes of it, takes about four times as long as a quarter of it.
pub(in super::super) fn assert_linear(redactor: &Redactor, piece: &str, length: usize) {
    let long = piece.repeat(1 + length / piece.len());
    let mut at = long.len() / 4;
    while !long.is_char_boundary(at) {
        at += 1;
    }
    // A busy machine only makes a run longer, so the shortest of a few is compared. Quadratic: 16 times.
    let ratio = |rounds: usize| {
        let best = |text: &str| (0..rounds).map(|_| time(redactor, text)).min().unwrap_or_default();
        best(&long).as_secs_f64() / best(&long[..at]).max(Duration::from_micros(100)).as_secs_f64()
    };
    assert!([2, 5, 20].into_iter().any(|rounds| ratio(rounds) < 8.0), "{piece:?} is not linear");
}

/// Processor time of this thread: what else the machine does is not counted.
fn time(redactor: &Redactor, text: &str) -> Duration {
    let now = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    };
    let start = now();
    std::hint::black_box(redactor.scan(text));
    now() - start
}
