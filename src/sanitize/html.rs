//! Decides which elements of HTML stay, with which attributes.
//!
//! In this order:
//! 1. tags are brought into order and bounded (`tidy.rs`), so that the next step is linear;
//! 2. `ammonia` parses as browsers do, keeps what the policy lists, and writes the tree anew: what is not understood
//!    is not there. Links keep listed schemes and get `rel="noopener noreferrer nofollow"`.
//!
//! As elements are in order before they are parsed, what is written is parsed anew as it was (no mutation XSS).
//!
//! # What it does not do
//! It makes no text safe in an attribute, a script or a style: its place is between tags. It does not judge where links lead.
//!
//! Sources: HTML §13.2; OWASP "Cross Site Scripting Prevention"; RUSTSEC-2025-0071, RUSTSEC-2026-0193 and -0213
//! (ammonia: MathML and SVG, which no policy here can allow); CVE-2020-26870 (mutation).

use super::policy::HtmlPolicy;
use super::tidy::tidy;

impl HtmlPolicy {
    /// *html* with what the policy lists, and nothing else.
    pub fn clean(&self, html: &str) -> String {
        // What has no markup, and nothing that is written otherwise, is itself.
        if !html.contains(['<', '&', '>', '\0', '\r', '\u{a0}']) {
            return html.to_owned();
        }
        self.builder.clean(&tidy(html, self)).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(name: &str, html: &str) -> String {
        HtmlPolicy::named(name).map(|policy| policy.clean(html)).unwrap_or_default()
    }

    #[test]
    fn scripts_go_with_all_that_is_in_them() {
        for html in [
            "<script>alert(1)</script>",
            "<SCRIPT SRC=//x></SCRIPT >",
            "<style>*{}</style>",
            "<svg><script>alert(1)</script></svg>",
            "<math><annotation-xml encoding='text/html'><style><img src=x onerror=alert(1)></style></math>",
            "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
            "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
            "<!--<script>-->",
            "<!--><img src=x onerror=alert(1)>-->",
        ] {
            let left = clean("rich", html);
            assert!(!left.contains('<') && !left.contains("*{}"), "{html:?} {left:?}");
        }
    }

    #[test]
    fn links_keep_safe_schemes_and_say_that_they_are_not_ours() {
        assert_eq!(
            clean("basic", "<a href=https://example.com/ onclick=x target=_top>x</a>"),
            "<a href=\"https://example.com/\" rel=\"noopener noreferrer nofollow\">x</a>"
        );
        for href in [
            "javascript:alert(1)",
            "java&#10;script:alert(1)",
            "JaVaScRiPt:x",
            "data:text/html,x",
            "//x",
            "/x",
            "\x01javascript:x",
        ] {
            let left = clean("basic", &format!("<a href=\"{href}\">x</a>"));
            assert_eq!(left, "<a rel=\"noopener noreferrer nofollow\">x</a>", "{href}");
        }
    }

    #[test]
    fn well_formed_html_stays_as_it_is() {
        for html in [
            "<p>a <b>b <i>c</i></b></p><ul><li>x</li><li>y</li></ul>",
            "<table><thead><tr><th scope=\"col\">a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>",
            "<dl><dt>a</dt><dd>b</dd></dl><h1>x</h1><hr><p>a<br>b</p>",
            "<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>",
            "<pre>  a\n  b</pre><blockquote><p>q</p></blockquote>",
            "a &lt; b &amp; c &gt; d",
        ] {
            assert_eq!(clean("rich", html), html);
        }
    }

    #[test]
    fn what_is_left_open_is_closed_as_browsers_close_it() {
        assert_eq!(clean("rich", "<p>a<p>b"), "<p>a</p><p>b</p>");
        assert_eq!(clean("rich", "<ul><li>a<li>b</ul>"), "<ul><li>a</li><li>b</li></ul>");
        assert_eq!(
            clean("rich", "<table><tr><td>a<td>b<tr><td>c</table>"),
            "<table><tbody><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></tbody></table>"
        );
        assert_eq!(clean("rich", "<b>a<p>b</b>c"), "<b>a<p>b</p></b>c");
        assert_eq!(clean("rich", "a</b></p>b"), "ab");
        assert_eq!(clean("basic", "<a>x<a>y"), clean("basic", "<a>x</a><a>y</a>"));
    }

    #[test]
    fn text_is_text() {
        assert_eq!(clean("none", "<b>1 < 2</b> & <i>x"), "1 &lt; 2 &amp; x");
        assert_eq!(clean("basic", "a <3 b <- c <"), "a &lt;3 b &lt;- c &lt;");
        assert_eq!(clean("basic", "<b title='\">&quot;<script>'>x</b>").matches('<').count(), 2);
    }

    #[test]
    fn cleaning_twice_is_cleaning_once_whatever_the_order_of_tags() {
        let pieces = [
            "<b>",
            "</b>",
            "<i title='x'>",
            "</i>",
            "<a href=https://x.example/>",
            "</a>",
            "<p>",
            "</p>",
            "<div>",
            "</div>",
            "<ul>",
            "</ul>",
            "<li>",
            "</li>",
            "<table>",
            "</table>",
            "<tr>",
            "</tr>",
            "<td>",
            "</td>",
            "<th>",
            "<tbody>",
            "</tbody>",
            "<thead>",
            "<caption>",
            "</caption>",
            "<colgroup>",
            "<col>",
            "<h1>",
            "</h1>",
            "<h2>",
            "<dl>",
            "<dt>",
            "<dd>",
            "</dl>",
            "<ruby>",
            "<rt>",
            "<rp>",
            "</ruby>",
            "<pre>",
            "</pre>",
            "\n",
            "\r\n",
            "x",
            " ",
            "&lt;",
            "&amp;lt;",
            "&#10;",
            "&nbsp;",
            "<",
            ">",
            "<br>",
            "<hr>",
            "</br>",
            "<code>",
            "</code>",
            "<details>",
            "<summary>",
            "</details>",
            "<svg>",
            "</svg>",
            "<form>",
            "<math>",
            "</math>",
            "<style>",
            "</style>",
            "<!--",
            "-->",
            "<td",
            " title=\"",
            "\"",
            "'",
            "=",
            "/",
            "\0",
            "<blockquote>",
            "</blockquote>",
            "<select>",
            "<option>",
            "<body>",
            "<html>",
            "<s>",
            "<u>",
            "<span>",
            "</span>",
        ];
        let policy = HtmlPolicy::named("rich").map_err(|error| error.to_string());
        let Ok(policy) = policy else { return assert!(policy.is_ok()) };
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..2_000 {
            let count = 1 + draw(60);
            let html: String = (0..count).map(|_| pieces[draw(pieces.len())]).collect();
            let once = policy.clean(&html);
            assert_eq!(policy.clean(&once), once, "{html:?} tidy {:?}", tidy(&html, &policy));
        }
    }

    #[test]
    fn tables_in_tables_stay_as_they_are_once_they_are_clean() {
        let Ok(policy) = HtmlPolicy::named("rich") else { unreachable!("it is named") };
        for n in [1, 24, 25, 26, 30, 33, 34, 60, 200] {
            for (begin, end) in [
                ("<table><tr><td>x", "</table>"),
                ("<table><td>x", ""),
                ("<table>x", "</table>"),
                ("<table><col><tr><th>", "x</th></tr></table>y"),
                ("<table><thead><tr><td><p>x", ""),
                ("<table><caption>x", "</caption></table>"),
                ("<div><table><tr><td><b>x", "</b></td></tr></table></div>"),
            ] {
                let html = begin.repeat(n) + &end.repeat(n);
                let once = policy.clean(&html);
                assert_eq!(policy.clean(&once), once, "{n} {begin}");
                assert!(once.matches("<table>").count() <= 50 && once.contains('x'), "{n} {begin}");
            }
        }
    }

    #[test]
    fn long_texts_are_cut_where_writing_them_would_look_through_the_rest_each_time() {
        let Ok(policy) = HtmlPolicy::named("basic") else { unreachable!("it is named") };
        for part in ["&", "& ", "\u{a3}", "10 \u{b0}C, ", "&amp;x", "\u{20ac}\u{a0}"] {
            let html = format!("<p>{}</p>", part.repeat(5_000));
            let longest = tidy(&html, &policy).split("<!---->").map(str::len).max();
            assert!(longest.is_some_and(|longest| longest < 2_100), "{part:?} {longest:?}");
            let left = policy.clean(&html);
            assert!(left.len() >= html.len() && !left.contains("<!"), "{part:?}");
            assert_eq!(policy.clean(&left), left);
        }
        let long = format!("<a href=\"https://example.com/\" title='{}'>x</a>", "&".repeat(20_000));
        assert!(policy.clean(&long).starts_with("<a href=\"https://example.com/\" rel="));
    }

    #[test]
    fn hostile_nesting_takes_linear_time() {
        let n = 5_000;
        for html in [
            "<b>".repeat(n),
            "<div>".repeat(n) + &"</div>".repeat(n),
            (0..n).map(|i| format!("<b title={i}>")).collect::<String>() + &"<p>".repeat(n),
            "<table>".repeat(n),
            format!("<table>{}", "x<b></b>".repeat(n)),
            "<a href=x>".repeat(n),
            format!("<b {}>", (0..n).map(|i| format!("a{i} ")).collect::<String>()),
            "<!--".repeat(n),
            "<svg>".repeat(n),
            "<script>x".repeat(n),
            "</p>".repeat(n),
            "<b title='".repeat(n),
            "<".repeat(n),
            "<ul><li>".repeat(n) + &"</ul>".repeat(n),
            "<li><p>".repeat(n),
            "<ruby><rt>".repeat(n),
        ] {
            assert!(clean("rich", &html).len() <= 64 * html.len());
        }
    }
}
