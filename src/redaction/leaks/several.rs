//! Tests: values behind what is none, and values that go on behind a quote or a line break.

use super::otherwise::{all_are, all_stay};
use super::*;

#[test]
fn a_value_behind_a_type_a_tag_or_a_joined_line_is_hidden() {
    all_are(&[
        ("password: str = 'Z q9'", "password: str = '[REDACTED:PASSWORD]'"),
        ("const password: string = 'Zq9';", "const password: string = '[REDACTED:PASSWORD]';"),
        ("password: Optional[str] = 'Zq9'", "password: Optional[str] = '[REDACTED:PASSWORD]'"),
        ("def f(password: str | None = 'Zq9'): x", "def f(password: str | None = '[REDACTED:PASSWORD]'): x"),
        ("val password: String = \"Zq9\"", "val password: String = \"[REDACTED:PASSWORD]\""),
        ("let password: &str = \"Z q9\";", "let password: &str = \"[REDACTED:PASSWORD]\";"),
        ("const TOKEN: &'static str = \"Zq9\";", "const TOKEN: &'static str = \"[REDACTED:TOKEN]\";"),
        ("var token: String? = \"Zq9\"", "var token: String? = \"[REDACTED:TOKEN]\""),
        ("token: My.Kind<X> = 'Z q9' x", "token: [REDACTED:TOKEN]' x"),
        ("password: hunter = 'Z q9' x", "password: [REDACTED:PASSWORD]' x"),
        ("[\"password\"]=> string(4) \"Z q9\"", "[\"password\"]=> string(4) \"[REDACTED:PASSWORD]\""),
        ("[\"password\"]=>\n  string(4) \"Z q9\"", "[\"password\"]=>\n  string(4) \"[REDACTED:PASSWORD]\""),
        ("password: !secret Zq9", "password: !secret [REDACTED:PASSWORD]"),
        ("  password: !!str 'Z q9'\nx", "  password: !!str '[REDACTED:PASSWORD]'\nx"),
        ("password: !vault |\n  $ANSIBLE\n  Zq9\nx: 1", "password: !vault |\n  [REDACTED:PASSWORD]\nx: 1"),
        ("password: &anchor Zq9 x", "password: [REDACTED:PASSWORD] x"),
        ("password: !!Zq9 Zq9 x", "password: [REDACTED:PASSWORD] x"),
        ("password: !Zq9% |\n  x", "password: [REDACTED:PASSWORD] |\n  x"),
        ("password: !Zq9 Zq9 x", "password: [REDACTED:PASSWORD] x"),
        ("password: | # c\n  Z q9\nx", "password: | # c\n  [REDACTED:PASSWORD]\nx"),
        ("password = \\\n  Zq9", "password = \\\n  [REDACTED:PASSWORD]"),
        ("password=\\\n'Z q9' x", "password=\\\n'[REDACTED:PASSWORD]' x"),
        ("password = (\n    'Z q9'\n    'Zq9'\n)\nx", "password = [REDACTED:PASSWORD]\nx"),
        ("password: Some(\n        \"Z q9\",\n    ),\n x", "password: [REDACTED:PASSWORD],\n x"),
        ("token: Some(\"Zq9\"), x", "token: [REDACTED:TOKEN], x"),
    ]);
    all_stay(&[
        "def f(password: str, token: Optional[str], pin: str | None) -> x:",
        "def f(password: Optional[str] = None, token: str = os.getenv('X')):",
        "password: string; token?: string;",
        "[\"password\"]=>\n  NULL",
        "password =\nnext",
    ]);
}

#[test]
fn a_quote_that_is_doubled_or_that_a_shell_joins_does_not_end_a_value() {
    all_are(&[
        ("password: 'it''s Zq9' x", "password: '[REDACTED:PASSWORD]' x"),
        ("UPDATE u SET password='O''Zq9' WHERE 1", "UPDATE u SET password='[REDACTED:PASSWORD]' WHERE 1"),
        ("password = \"a\"\"Zq9\" x", "password = \"[REDACTED:PASSWORD]\" x"),
        ("password = \"say \"\"Zq9\"\"\" x", "password = \"[REDACTED:PASSWORD]\" x"),
        ("password='rock ''n'' Zq9' x", "password='[REDACTED:PASSWORD]' x"),
        ("password='a'\\''Zq9' x", "password='[REDACTED:PASSWORD]' x"),
        ("password='a'\"'\"'Zq9' x", "password='[REDACTED:PASSWORD]' x"),
        ("password=\"a\"'\"'\"Zq9\" x", "password=\"[REDACTED:PASSWORD]\" x"),
        ("\"x password=\"\"Z q9\"\" y\",z", "\"x password=\"\"[REDACTED:PASSWORD]\"\" y\",z"),
        ("{'password': 'Zq9', 'a': ''}", "{'password': '[REDACTED:PASSWORD]', 'a': ''}"),
        ("msg=\"password=\"Zq9\"\" a=\"b\"", "msg=\"password=\"[REDACTED:PASSWORD]\"\" a=\"b\""),
        ("`password`: `Zq9``a`: `b`", "`password`: `[REDACTED:PASSWORD]``a`: `b`"),
        ("password='', user='x'", "password='', user='x'"),
    ]);
}

#[test]
fn a_text_in_three_quotes_is_hidden_over_its_lines() {
    all_are(&[
        ("password = '''\nZ\nq9\n'''\nx", "password = '''\n[REDACTED:PASSWORD]'''\nx"),
        ("password = \"\"\"\\\nZ q9\"\"\"\nx", "password = \"\"\"\\\n[REDACTED:PASSWORD]\"\"\"\nx"),
        ("token = \"\"\"Z q9\"\"\" x", "token = \"\"\"[REDACTED:TOKEN]\"\"\" x"),
    ]);
    all_stay(&["\"say \"\"token=\"\"\"\nnext line\n", "password = '''\n'''"]);
    let endless = format!("password = '''\n{}", "a line\n".repeat(2000));
    assert_eq!(shown(&endless), endless);
    every_stream_says_so(&endless[..2000], &endless[..2000], Options::default());
}

#[test]
fn a_value_beside_its_name_is_hidden_also_without_quotes_and_in_capitals() {
    all_are(&[
        ("{ name: 'DB_PASSWORD', value: 'Z q9' }", "{ name: 'DB_PASSWORD', value: '[REDACTED:PASSWORD]' }"),
        ("{ value: 'Zq9',\n  name: 'token' }", "{ value: '[REDACTED:TOKEN]',\n  name: 'token' }"),
        ("{name: \"pin\", value: 1234}", "{name: \"pin\", value: [REDACTED:PIN]}"),
        (
            "env:\n  - name: DB_PASSWORD\n    value: Zq9\n  - name: X\n    value: y\n",
            "env:\n  - name: DB_PASSWORD\n    value: [REDACTED:PASSWORD]\n  - name: X\n    value: y\n",
        ),
        (
            "- name: \"api_key\"\n  on: true\n  value: 'Z q9'\n",
            "- name: \"api_key\"\n  on: true\n  value: '[REDACTED:API_KEY]'\n",
        ),
        (
            "<INPUT NAME=\"password\" VALUE=\"Z q9\">",
            "<INPUT NAME=\"password\" VALUE=\"[REDACTED:PASSWORD]\">",
        ),
        (r#"{"NAME":"password","VALUE":"Zq9"}"#, r#"{"NAME":"password","VALUE":"[REDACTED:PASSWORD]"}"#),
        (
            "Login\npassword\n  String too short [type=string_too_short, input_value='Z q9', input_type=str]",
            "Login\npassword\n  String too short [type=string_too_short, input_value='[REDACTED:PASSWORD]', input_type=str]",
        ),
        (
            "user.api_key\n  x [type=y, input_value=\"Zq9\", input_type=str]",
            "user.api_key\n  x [type=y, input_value=\"[REDACTED:API_KEY]\", input_type=str]",
        ),
        (
            "Content-Disposition: form-data; name=password\r\n\r\nZq9\r\n--b",
            "Content-Disposition: form-data; name=password\r\n\r\n[REDACTED:PASSWORD]\r\n--b",
        ),
        (
            "content-disposition: FORM-DATA; name=\"password\"\r\n\r\nZq9\r\n--b",
            "content-disposition: FORM-DATA; name=\"password\"\r\n\r\n[REDACTED:PASSWORD]\r\n--b",
        ),
    ]);
    all_stay(&[
        "- name: DB_PASSWORD\n  valueFrom:\n    key: x\n- name: X\n  value: y\n",
        "- name: DB_PASSWORD\n- value: y\n",
        "- name: DB_PASSWORD\n    value: y\n",
        "name: token value: 5\nvalue: 5",
        "- name: X\n  value: y\n- name: DB_PASSWORD\n",
        "{ name: 'user', value: 'ann' } name: 'password', value: 'x'",
        "user\n  x [type=y, input_value='ann', input_type=str] password input_value='x'",
        "password\nsee input_value='x'",
        "form-data; name=user\r\n\r\nann\r\n--b; name=x",
    ]);
}

#[test]
fn names_of_keys_and_of_two_letters_behind_another_word_are_secret() {
    all_are(&[
        ("SECRET_KEY_BASE=Zq9", "SECRET_KEY_BASE=[REDACTED:SECRET]"),
        ("    client-key-data: Zq9\n", "    client-key-data: [REDACTED:PRIVATE_KEY]\n"),
        (
            "hmac_key=Zq9 ssh_key=Zq9 deploy_key=Zq9",
            "hmac_key=[REDACTED:SECRET] ssh_key=[REDACTED:PRIVATE_KEY] deploy_key=[REDACTED:PRIVATE_KEY]",
        ),
        ("DB_PW=Zq9 rootpw: Zq9", "DB_PW=[REDACTED:PASSWORD] rootpw: [REDACTED:PASSWORD]"),
        ("redis-server --requirepass Zq9", "redis-server --requirepass [REDACTED:PASSWORD]"),
    ]);
    all_stay(&["database=x data: y metadata: z base=1 jpw=2"]);
}

// The same texts that others are put together of, with what names are written with beside `name=value`.
#[test]
fn what_is_set_off_typed_tagged_or_joined_is_replaced_once_and_streamed_alike() {
    const PIECES: &[&str] = &[
        "password",
        "token:",
        "pin",
        "=",
        ": ",
        ":",
        "'",
        "\"",
        "\\\"",
        "\\",
        "(",
        ")",
        "[",
        "]",
        ",",
        " ",
        "\n",
        "a",
        "b c",
        "hunter2",
        "[REDACTED:X]",
        "[REDACTED:PASSWORD]",
        "*",
        "**",
        "__",
        "<pin>",
        "</pin>",
        "<b>",
        "</b>",
        "''",
        "'''\n",
        " = '",
        ": str",
        "Optional[str]",
        "!secret ",
        "!!str",
        "&a ",
        "| # c\n  ",
        "- name: pin\n  value: ",
        " key",
        "\\\n",
        "; a=",
        "cookie=",
        "Authorization=",
        "Digest ",
        "a=\"",
        "<![CDATA[",
        "]]>",
        " + ",
        "'\\''",
        "'\"'\"'",
        "Some(\n",
        "string(4) \"",
        "--token ",
        "--pin=TOKEN",
        "?",
        "%d",
        "12.5k",
        "-----BEGIN PRIVATE KEY-----",
        "\\n",
        "\u{A0}",
        "<item name='pin'>",
        "required: [",
        "['pin', ",
        "input_value='",
        "\\\\\"",
        "&quot;",
        "%22",
        "4111 1111 1111 1111",
        "é",
    ];
    let redactor = redactor();
    let mut dice = super::super::tests::Dice(11);
    for round in 0..12_000 {
        let text: String = (0..1 + dice.below(12)).map(|_| dice.pick(PIECES)).collect();
        let once = redactor.redact(&text).into_owned();
        assert_eq!(redactor.redact(&once), once, "from {text:?}");
        if round % 200 == 0 {
            every_stream_says_so(&text, &once, Options::default());
        }
    }
}
