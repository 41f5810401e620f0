//! Code in an answer, which looks like tags and links: it stays as it is, and hides none.

use super::super::tests::{one, rules};
use super::*;

fn links(images: Policy) -> Links {
    let rules = LinksRules {
        schemes: vec!["https".to_owned()],
        images,
        links: Policy::Defang,
        relative: false,
        data_bits: None,
    };
    Links::new(["good.example"], rules).unwrap_or_else(|_| unreachable!())
}

#[test]
fn code_passes_as_it_is() {
    for text in [
        "if x<y: pass",
        "if x<y && z>w",
        "a<b",
        "x<maximum:",
        "i<len(a) and a[i]>0",
        "for(i=0;i<n;i++){ a[i]=b; } if (c>d) return;",
        "for (i = 0; i<n; i++) { sum += a[i]; s = \"t\"; } if (sum>0)",
        "if (x<y && s==\"t\" && c>d)",
        "cout<<x<<endl;",
        "a<b?c:d>e",
        "Vec<Vec<u8>>",
        "f::<Vec<_>>()",
        "HashMap<String, Vec<(u8,u8)>>",
        "Map<String[], List<int[]>> m = new HashMap<>();",
        "Promise<Array<Record<string, unknown>>>",
        "Result<Vec<u8>, Box<dyn Error + Send + 'static>>",
        "template<typename T, class U=int> std::vector<T>",
        "std::map<std::string,std::vector<std::string>> m;",
        "impl<T: Into<String>, U: Iterator<Item = T>> F for G<T>",
        "List<Item: Clone>",
        "x: Array<{a: string; b?: number}>",
        "#include <sys/types.h>",
        "List<?> all = Class<?>.of(Map<?, ?> m);",
        "List<? extends Item> a; Comparable<? super T> b;",
        "Map<String, ?> m = new HashMap<String, List<X>>();",
        "for x in [1, 2]: print(x)",
        "d = {[1]: \"two\"}",
        "handlers[name](\"click\")",
        "[^1]: \"A note\".",
    ] {
        for images in [Policy::Remove, Policy::Keep] {
            assert_eq!(one(&links(images), text), text);
            assert!(rules(&links(images), text).is_empty(), "{text:?}");
        }
    }
}

#[test]
fn what_looks_like_code_hides_no_tag() {
    for (text, left) in [
        // Browsers read on to the `>`, over further `<`.
        ("Vec<x a<1 onclick=alert(1)>", "Vec< x a<1 onclick=alert(1)>"),
        ("a<b<img src=//evil.example/x>", "a< b (image removed)"),
        ("a<b<img<script> src=//evil.example/x>", "a< b< img (image removed) src= (link removed)>"),
        ("a<b<img && src=\"https://evil.example/x\">", "a< b< img && src=\" (hxxps://evil[.]example/x)\">"),
        ("a<b && c=https://evil.example/x>", "a< b && c= (hxxps://evil[.]example/x)>"),
        ("a<x on=1 onclick=f>", "a (image removed)"),
        ("a<b<javascript:alert(1)>", "a< b< javascript:alert(1)>"),
        ("a<b<x@evil.example>", "a< b< x@evil.example>"),
        ("a<b<!-- c>", "a< b< !-- c>"),
        ("<?>", "< ?>"),
        ("a <?> b", "a < ?> b"),
        ("a<?php x ?>", "a< ?php x ?>"),
        ("a<? extendsx>", "a< ? extendsx>"),
        ("a<?<img src=//evil.example/x>", "a< ? (image removed)"),
        ("a<?", "a< ?"),
        ("List<?><img src=//evil.example/x>", "List<?> (image removed)"),
        ("List<? extends <img src=//evil.example/x>", "List<? extends (image removed)"),
        (
            "List<?, <b title=\"> <img src=//evil.example/x> \">",
            "List<?, < b title=\"> < img src= (link removed)> \">",
        ),
        (
            "List<?, <b title=\"> https://evil.example/x \">",
            "List<?, < b title=\"> (hxxps://evil[.]example/x) \">",
        ),
        ("![a List<?>](https://evil.example/x)", "![a List<?>] (image removed)"),
        ("a<b</b", "a< b</b"),
        // What stands at the end of the text goes on in what is put behind it.
        ("a<img ", "a< img "),
        ("a<b title=\"", "a< b title=\""),
        ("a<b ![](//evil.example/x)>", "a< b ![] (image removed)>"),
        ("![a<b[>c](https://evil.example/x)", "![a< b[>c] (image removed)"),
        // Angle brackets of a link are a tag's to who reads tags first.
        ("[x](<script>alert(1)", "[x] (link removed)"),
        ("a<javascript::alert>", "a< javascript::alert>"),
    ] {
        let shown = one(&links(Policy::Remove), text);
        assert_eq!(shown.trim_end(), left.trim_end(), "{text:?}");
        assert!(!rules(&links(Policy::Remove), text).is_empty(), "{text:?}");
    }
}

#[test]
fn a_definition_begins_with_its_line() {
    for text in [
        "[a]: https://evil.example/x",
        "t\n> - [a]: https://evil.example/x",
        "1. [a\nb]: https://evil.example/x",
        "- [ ] [a]: https://evil.example/x",
        "[a\\]b]: https://evil.example/x",
        "t\r[a]: https://evil.example/x",
        "t\u{2028}[a]: https://evil.example/x",
    ] {
        assert_eq!(rules(&links(Policy::Keep), text), ["links.reference"], "{text:?}");
    }
    assert_eq!(one(&links(Policy::Keep), "x[a]: /y"), "x[a]: /y");
    assert_eq!(rules(&links(Policy::Keep), "x[a]: //evil.example/x"), ["links.unreadable"]);
}

#[test]
fn what_looks_like_a_tag_is_held_no_longer_than_it_may_be() {
    let long = format!("if x<y {}", "and ".repeat(600));
    let mut filter = links(Policy::Remove).start();
    let mut out = String::new();
    for piece in long.split_inclusive(' ') {
        filter.feed(piece, &mut out);
        assert!(filter.held() <= 2049);
    }
    filter.finish(&mut out);
    assert_eq!(out, long.replacen('<', "< ", 1));
    // Nested as deep as it may be, and wrong at last: the time stays linear, and nothing is lost.
    let deep = format!("{}=", "a<".repeat(30_000));
    assert_eq!(one(&links(Policy::Remove), &deep).replace(' ', ""), deep);
}
