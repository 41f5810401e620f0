//! Tests: where the text ends in which a name or a value stands: at a quote, at a tag, at what Markdown sets.

use super::otherwise::{all_are, all_stay};
use super::*;

#[test]
fn a_text_that_ends_in_a_sign_takes_nothing_behind_its_quote() {
    all_stay(&[
        r#"{"msg":"Enter password:","level":"INFO"}"#,
        r#"{"prompt":"Password: ","x":"y"}"#,
        r#"{"a":"token=", "b":[1]} ["secret:"] {"log":"Cookie: "}"#,
        r#"{"log":"password= ","user":"ann"}"#,
        r#"{"m":"{\"a\":\"token:\",\"b\":\"c\"}"}"#,
        r#"{"a":"use --password ","b":"c"} {"a":"use --password","b":"c"}"#,
        "input('Token: '), input('User: ')",
        "getpass.getpass(\"Password: \")",
        "{'q': 'token=', 'b': 'c'}",
        r#"["Password:", "Name:", "x"]"#,
        r#"{"x":["secret:","password=",{"a":"token:"}, "pin:", 12]} print("password:", x)"#,
        "msg=\"enter password:\" level=info",
        "curl -d \"user=a&password=\" -H \"X: y\" | less",
        "url = '?token=' + token; x = \"secret=\" . $secret . 'y'; cout << \"pin: \" << pin;",
        r#"{&quot;msg&quot;:&quot;Password:&quot;,&quot;b&quot;:1}"#,
        "Error: Invalid value for '--password': too short",
        r#"{"m":"say \"hi\", password:","b":1}"#,
        &format!(r#"{{"m":"{}password:","b":1}}"#, "a word ".repeat(60)),
        "Invalid value for \"--token\": must not be empty.",
    ]);
    all_are(&[
        ("print('password:', 'Z q9')", "print('password:', '[REDACTED:PASSWORD]')"),
        (r#"["Password:","Zq9"]"#, r#"["Password:","[REDACTED:PASSWORD]"]"#),
        ("'password: ' + 'Z q9'", "'password: ' + '[REDACTED:PASSWORD]'"),
        ("'Token: ' 'Zq9'", "'Token: ' '[REDACTED:TOKEN]'"),
        (
            r#"{"label":"Password: ","value":"Z q9"}"#,
            r#"{"label":"Password: ","value":"[REDACTED:PASSWORD]"}"#,
        ),
        (r#"{"a":"token=","password":"Zq9"}"#, r#"{"a":"token=","password":"[REDACTED:PASSWORD]"}"#),
        (
            r#"{"log":"Cookie: ","token":"Zq9","c":"d"}"#,
            r#"{"log":"Cookie: ","token":"[REDACTED:TOKEN]","c":"d"}"#,
        ),
        (
            r#"{"a":"use --password ","password":"Zq9"}"#,
            r#"{"a":"use --password ","password":"[REDACTED:PASSWORD]"}"#,
        ),
        (
            "{'--password': 'Zq9', '--pin': 12}",
            "{'--password': '[REDACTED:PASSWORD]', '--pin': '[REDACTED:PIN]'}",
        ),
        // What only looks like that is a value.
        ("password=\"'Z q9'\"", "password=\"[REDACTED:PASSWORD]\""),
        ("password=\"+Z q9\"", "password=\"[REDACTED:PASSWORD]\""),
        ("password=\" x=1 Zq9\"", "password=\"[REDACTED:PASSWORD]\""),
        (r#"{"password":", Z q9","a":"),"}"#, r#"{"password":"[REDACTED:PASSWORD]","a":"),"}"#),
        ("password: ')! Zq9'", "password: '[REDACTED:PASSWORD]'"),
        ("a=\"b\" password=\", 'Zq9\"", "a=\"b\" password=\"[REDACTED:PASSWORD]\""),
        ("unexpected token: ')'", "unexpected token: '[REDACTED:TOKEN]'"),
        ("('password', '): Zq9')", "('password', '[REDACTED:PASSWORD]')"),
        ("['--password', '], Zq9']", "['--password', '[REDACTED:PASSWORD]']"),
        ("<input name='password' value='), Zq9'>", "<input name='password' value='[REDACTED:PASSWORD]'>"),
        ("password = '', token = ''", "password = '', token = ''"),
        ("msg=\"password=\"Zq9 b\"\"", "msg=\"password=\"[REDACTED:PASSWORD]\"\""),
    ]);
}

#[test]
fn json_in_json_is_read_five_deep_and_what_is_deeper_is_no_quote() {
    let mut text =
        serde_json::json!({"password": "Z q9", "pin": 123_456, "token": ["Zq9", "b"], "a": 1}).to_string();
    for depth in 1..=5 {
        text = serde_json::json!({ "m": text }).to_string();
        let made = shown(&text);
        assert!(!made.contains("q9") && !made.contains("123456"), "{depth}: {made}");
        every_stream_says_so(&text, &made, Options::default());
        let mut value: serde_json::Value = serde_json::from_str(&made).unwrap();
        while let Some(inner) = value["m"].as_str() {
            value = serde_json::from_str(inner).unwrap();
        }
        let expected = serde_json::json!({
            "password": "[REDACTED:PASSWORD]", "pin": "[REDACTED:PIN]", "token": "[REDACTED:TOKEN]", "a": 1
        });
        assert_eq!(value, expected, "{depth}");
    }
}

#[test]
fn a_tag_that_stands_for_a_value_takes_nothing_with_it() {
    all_stay(&[
        r#"{"usage":"login <user> <password>","x":1}"#,
        r#"{"msg":"expected <token> after =","user":"ann"}"#,
        "POST /users/<user>/tokens/<token>/revoke HTTP/1.1",
        "@app.get(\"/reset/<token>\")\ndef f(): pass",
        "Rule '/reset/<token>' (GET) -> reset, '/x'",
        "@app.route('/reset/<string:token>', methods=['GET'])",
        "curl -u <user>:<password> https://x/y -d '{\"a\": 1}'",
        "git clone https://<token>@github.com/a/b",
        "List<Token> t = f(); List<Token> all = new ArrayList<Token>(); foo();",
        "Promise<Session> getSession(id), useState<Session>(null); const x = 1",
        "Vec<Secret>, b: String; Option<Arc<Session>>> x; Vec<Token>[0]",
        "Usage: app <password> [--host H]",
        " -u, --user <user:password> Server user and password",
        "<token> is required, <password>: yes, <secret>; <pin>) <otp>] <cvv>}",
        "<password></password> <password> \n </password>",
        "</wsse:Password>next </password>next x:token>next",
        "<p>use <token> here</p> <li>/reset/<token>/x</li>",
        "<property name=\"user\">ann</property> <string name=\"title\">x</string> <option name=\"token\">all</option>",
    ]);
    all_are(&[
        ("<password> Z q9</password>", "<password> [REDACTED:PASSWORD]</password>"),
        ("<password>/Zq9</password>", "<password>[REDACTED:PASSWORD]</password>"),
        ("<password>say \"Z\", \"q9\"</password>", "<password>[REDACTED:PASSWORD]</password>"),
        ("<password>\n  Z\n  q9\n</password>", "<password>\n  [REDACTED:PASSWORD]</password>"),
        (
            "<ns:Password Type=\"x\">Zq9</ns:Password>",
            "<ns:Password Type=\"x\">[REDACTED:PASSWORD]</ns:Password>",
        ),
        ("<password>Zq9 x\ny", "<password>[REDACTED:PASSWORD]\ny"),
        (r#"{"a":"<password>Zq9","x":1}"#, r#"{"a":"<password>[REDACTED:PASSWORD]","x":1}"#),
        (
            r#"{"a":"{\"b\":\"<token>Zq9\",\"x\":1}"}"#,
            r#"{"a":"{\"b\":\"<token>[REDACTED:TOKEN]\",\"x\":1}"}"#,
        ),
        (
            "<Password><![CDATA[Z]q9]]></Password><user>x</user>",
            "<Password><![CDATA[[REDACTED:PASSWORD]]]></Password><user>x</user>",
        ),
        (
            "<property name=\"password\">Zq9</property>",
            "<property name=\"password\">[REDACTED:PASSWORD]</property>",
        ),
        ("<string name=\"api_key\">Zq9</string>", "<string name=\"api_key\">[REDACTED:API_KEY]</string>"),
        ("<entry key='password'>\n Zq9\n</entry>", "<entry key='password'>\n [REDACTED:PASSWORD]</entry>"),
        (
            "<textarea name=\"secret\">Z q9</textarea>",
            "<textarea name=\"secret\">[REDACTED:SECRET]</textarea>",
        ),
    ]);
    // One that nobody closes does not hide the rest of a log.
    let endless = format!("<pin><![CDATA[{}", "a line\n".repeat(2000));
    let made = shown(&endless);
    assert!((4000..4200).contains(&(endless.len() - made.len())), "{}", endless.len() - made.len());
}

#[test]
fn names_that_are_set_off_as_models_and_pages_do_are_read() {
    all_are(&[
        ("**Password:** Zq9\n", "**Password:** [REDACTED:PASSWORD]\n"),
        ("**Password**: Zq9 x", "**Password**: [REDACTED:PASSWORD] x"),
        ("*password*: Zq9", "*password*: [REDACTED:PASSWORD]"),
        ("- **API key:** `Zq9`", "- **API key:** `[REDACTED:API_KEY]`"),
        ("- **API key**: `Zq9`", "- **API key**: `[REDACTED:API_KEY]`"),
        ("__Password:__ Zq9", "__Password:__ [REDACTED:PASSWORD]"),
        ("***Your password:*** **Zq9**", "***Your password:*** [REDACTED:PASSWORD]"),
        ("<b>Password:</b> Zq9", "<b>Password:</b> [REDACTED:PASSWORD]"),
        ("<strong>Password</strong>: Zq9<br>", "<strong>Password</strong>: [REDACTED:PASSWORD]<br>"),
        ("<td>Password:</td><td>Zq9</td>", "<td>Password:</td><td>[REDACTED:PASSWORD]</td>"),
        ("API key: Zq9", "API key: [REDACTED:API_KEY]"),
        ("your secret key = Zq9 x", "your secret key = [REDACTED:SECRET] x"),
        (
            "private key: Zq9, One-time code: 123",
            "private key: [REDACTED:PRIVATE_KEY], One-time code: [REDACTED:OTP]",
        ),
        (
            "password\u{A0}: Zq9 Token\u{202F}: Zq9",
            "password\u{A0}: [REDACTED:PASSWORD] Token\u{202F}: [REDACTED:TOKEN]",
        ),
        ("password:**Zq9", "password:[REDACTED:PASSWORD]"),
    ]);
    all_stay(&[
        "tokens *= 2; pin **= 3; a * token = ?",
        "password: *** next, password:*** next",
        "**User:** ann, **Key**: value, <b>User:</b> ann",
        "the public key: x, key: x, a country code: 49, my key = 1",
        "<p>Password</p>: x",
        "Map<String>: x, a->token->b: *",
    ]);
}

#[test]
fn what_stands_for_a_value_or_tells_of_an_option_is_none() {
    all_stay(&[
        "  --auth method    Auth method\n  --token        show it\n  --session name   Session name\n",
        "  --secret-key=KEY      the key\n  --password=PASSWORD   the password, [--token=TOKEN]",
        "SELECT id FROM t WHERE token = ? AND sid = $1",
        "WHERE token = :token_1 AND password=:password)",
        "INSERT INTO t (password) VALUES (%(password)s)",
        "tokens: 12.5k, tokens: 3M, tokens: 4096 used",
        "token => token.length, x.map(token => token.text)",
        "printf(\"pin: %d\\n\", pin); log(\"token: %v\\n\")",
    ]);
    all_are(&[
        (
            "--secret-key=Zq9 --password=KEYzq9",
            "--secret-key=[REDACTED:SECRET] --password=[REDACTED:PASSWORD]",
        ),
        (
            "token = ?Zq9, sid = $123, pin=%d9",
            "token = [REDACTED:TOKEN], sid = [REDACTED:SESSION], pin=[REDACTED:PIN]",
        ),
        ("token = :zq9 x", "token = [REDACTED:TOKEN] x"),
        ("tokens=12345678", "tokens=[REDACTED:TOKEN]"),
        ("tokens: 12.5kx y", "tokens: [REDACTED:TOKEN] y"),
        ("token => Zq9.length", "token => [REDACTED:TOKEN]"),
        ("x\n  --password hunter x", "x\n  --password [REDACTED:PASSWORD] x"),
    ]);
}

#[test]
fn a_value_of_an_option_may_begin_with_any_sign_that_it_does_not_end_with() {
    all_are(&[
        ("--password .Zq9 x", "--password [REDACTED:PASSWORD] x"),
        ("--password #Zq9 x", "--password [REDACTED:PASSWORD] x"),
        ("--password &Zq9 x", "--password [REDACTED:PASSWORD] x"),
        ("--password <Zq9 x", "--password [REDACTED:PASSWORD] x"),
        ("--password ,Zq9", "--password [REDACTED:PASSWORD]"),
        ("--password \\\n  Zq9 x", "--password \\\n  [REDACTED:PASSWORD] x"),
        ("--password \\\r\n'Z q9' x", "--password \\\r\n'[REDACTED:PASSWORD]' x"),
    ]);
    all_stay(&[
        "app --password && x; app --password & y; --token ... --pin . # --secret , x",
        "ssh <user>@<host> --password <password> --verbose --token <t>",
        "--password # the password\n--token .\n--pin \\\n  --user x",
    ]);
}

#[test]
fn pairs_with_blanks_inside_their_brackets_are_read_and_lists_of_names_stay() {
    all_are(&[
        (
            "[ [ 'x-api-key', 'Z q9' ], [ 'a', 'b' ] ]",
            "[ [ 'x-api-key', '[REDACTED:API_KEY]' ], [ 'a', 'b' ] ]",
        ),
        ("( 'password', 'Z q9' )", "( 'password', '[REDACTED:PASSWORD]' )"),
        ("x.required(\"password\", \"Zq9\")", "x.required(\"password\", \"[REDACTED:PASSWORD]\")"),
        (r#"{"required":["password","Zq9"]}"#, r#"{"required":["password","[REDACTED:PASSWORD]"]}"#),
        (r#"{"headers":["password","hunter"]}"#, r#"{"headers":["password","[REDACTED:PASSWORD]"]}"#),
    ]);
    all_stay(&[
        r#"{"type":"object","required":["password","email"]}"#,
        r#"{"loc":["password","email"],"fields": ["token", "expires"],"enum":["pin","otp"],"scopes":["session","profile"]}"#,
        r#"{"m":"{\"required\":[\"password\",\"email\"]}"}"#,
        "for name in (\"token\", \"session\"): if key in ['password', 'token'] and x: columns=['sid', 'user_id']",
        "__slots__ = (\"_token\", \"name\")",
        "[ 'password', 'a', 'b' ] [ 4, 5 ]",
    ]);
}

#[test]
fn cookies_and_credentials_of_several_words_are_hidden_behind_any_sign() {
    all_are(&[
        ("HTTP_COOKIE=sid=1; remember=Zq9\nX=1", "HTTP_COOKIE=[REDACTED:COOKIE]\nX=1"),
        ("cookie=a=Zq9; b=Zq9; c=Zq9 x", "cookie=[REDACTED:COOKIE] x"),
        ("Authorization=ApiKey Zq9 x", "Authorization=[REDACTED:AUTHORIZATION] x"),
        ("authorization=Negotiate Zq9, x", "authorization=[REDACTED:AUTHORIZATION], x"),
        ("Authorization => ApiKey Zq9", "Authorization => [REDACTED:AUTHORIZATION]"),
        (
            "HTTP_AUTHORIZATION=Digest username=\"a b\", realm=x, response=\"Zq9\" y",
            "HTTP_AUTHORIZATION=[REDACTED:AUTHORIZATION] y",
        ),
        ("authorization=ok user=ann", "authorization=[REDACTED:AUTHORIZATION] user=ann"),
        ("f(cookie=x; y, b=1); z = 2", "f(cookie=[REDACTED:COOKIE]; y, b=1); z = 2"),
        ("Server=x;Cookie=a;b=c;User=y", "Server=x;Cookie=[REDACTED:COOKIE];b=c;User=y"),
        ("cookies = response.cookies; x = 1", "cookies = [REDACTED:COOKIE]; x = 1"),
    ]);
    all_stay(&["authorization=None user=ann", "cookie=null; x=1", "Authorization=${TOKEN} x"]);
}

#[test]
fn a_begin_line_that_no_key_follows_hides_nothing() {
    let begin = concat!("-----BEGIN PRIVATE", " KEY-----");
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7";
    let mut said = Wrong::default();
    for text in [
        format!("{begin} is how a key begins.\nNext line."),
        format!("if data.startswith(b'{begin}'):\n    load(data)"),
        format!("{{\"help\":\"paste the {begin} block\",\"user\":\"ann\"}}\nnext"),
    ] {
        said.check(&text, &text, Options::default());
    }
    for after in [
        format!("\n{line}"),
        format!("\\n{line}"),
        format!(" \\\\r\\\\n{line}"),
        format!("%0A{line}"),
        format!("&#10;{line}"),
        format!("<br>{line}"),
        format!("{line} x"),
        format!(" {line} x"),
        format!("\",\n  \"{line}\",\n"),
        format!("\" +\n \"{line}"),
        "\nProc-Type: 4,ENCRYPTED\n".to_string(),
        String::new(),
    ] {
        said.check(&format!("a {begin}{after}"), "a [REDACTED:PRIVATE_KEY]", Options::default());
    }
}

#[test]
fn numbers_in_a_row_are_no_card_but_in_groups_as_on_one() {
    all_are(&[
        ("4111 1111 1111 1111", "[REDACTED:CREDIT_CARD]"),
        ("3782-822463-10005", "[REDACTED:CREDIT_CARD]"),
        ("3056 930902 5904", "[REDACTED:CREDIT_CARD]"),
        ("4222 222 222 222", "[REDACTED:CREDIT_CARD]"),
        ("6304 0000 0000 0000", "[REDACTED:CREDIT_CARD]"),
    ]);
    let mut dice = super::super::tests::Dice(4);
    for _ in 0..500 {
        let numbers: Vec<String> = (0..20).map(|_| dice.below(30).to_string()).collect();
        let text = numbers.join(" ");
        assert_eq!(shown(&text), text);
    }
    all_stay(&["see chapters 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"]);
}
