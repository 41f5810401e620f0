//! The detectors, as a table. A new secret is a new row; its two samples are its tests.
//!
//! A token's row has the literals that it is found by, and the *head* of its pattern: bounded in length, so
//! that a try at a literal costs a bounded number of steps wherever it is made (a test holds every row to
//! it). What follows the head in the same alphabet is swallowed once the head has matched, and is not read
//! again. Rows without literals are found by shape or by name; their pattern says what they look like.
//!
//! Samples are joined from pieces so that no scanner of source code takes them for leaked secrets.

use super::checks;
use super::text::{alnum, base64url, token68};

/// One kind of secret.
pub(super) struct Rule {
    /// The row's own name.
    pub(super) name: &'static str,
    /// What replaces the secret: `[REDACTED:<entity>]`.
    pub(super) entity: &'static str,
    /// One of these occurs in every match, *before* bytes after its start. Three bytes at least.
    pub(super) literals: &'static [&'static str],
    pub(super) before: usize,
    /// Whether it counts only where a word may start. Off for literals that no word contains.
    pub(super) alone: bool,
    /// The head, matched where the literal puts it (Rust `regex`: linear, no look-around).
    pub(super) pattern: &'static str,
    /// What is hidden once the head has matched.
    pub(super) extent: Extent,
    /// The last word, on what would be hidden.
    pub(super) check: fn(&[u8]) -> bool,
    /// For the tests: must be found, and wholly hidden but for what the extent leaves readable.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) secret: &'static str,
    /// For the tests: must not be touched.
    #[cfg_attr(not(test), allow(dead_code))]
    pub(super) harmless: &'static str,
}

/// How far a match reaches beyond its head.
#[derive(Clone, Copy)]
pub(super) enum Extent {
    /// On through this alphabet.
    Run(fn(u8) -> bool),
    /// Not at all: if the alphabet goes on, it is something else.
    Exactly(fn(u8) -> bool),
    /// From the head's last blank on: the scheme's name stays readable.
    Credentials,
    /// Three to five parts with dots.
    Jwt,
    /// To the END line.
    Pem,
    /// A word of exactly one of these lengths, with the provider's name near by (`nearby.rs`).
    Near { lengths: &'static [usize], alphabet: fn(u8) -> bool, keywords: &'static [&'static str] },
    /// Found by shape or by name, in `shapes.rs` and `fields.rs`.
    Shape,
}

const TOKEN: Rule = Rule {
    name: "",
    entity: "",
    literals: &[],
    before: 0,
    alone: true,
    pattern: "",
    extent: Extent::Run(base64url),
    check: checks::any,
    secret: "",
    harmless: "",
};

const SHAPE: Rule = Rule { extent: Extent::Shape, ..TOKEN };

/// All rows. Where several match at one place, the first decides.
pub(super) fn all() -> impl Iterator<Item = &'static Rule> {
    FAMILIES.iter().copied().flatten()
}

/// The row of a find that has no other: a shape, or the value of a name.
pub(super) fn shape(entity: &str) -> &'static str {
    let shape = |rule: &&Rule| {
        matches!(rule.extent, Extent::Shape) && rule.entity == entity && rule.name != "url_password"
    };
    all().find(shape).map_or("named", |rule| rule.name)
}

const FAMILIES: &[&[Rule]] = &[RULES];

const RULES: &[Rule] = &[
    Rule {
        name: "email",
        entity: "EMAIL_ADDRESS",
        pattern: r"[\w.+-]+(?:@|%40)[\w-]+(?:\.[\w-]+)*\.[a-z]{2}",
        secret: "ada.lovelace+test@mail.example.org",
        harmless: "pip install package@1.2.3 then open icon@2x.png for @user at root@localhost",
        ..SHAPE
    },
    Rule {
        name: "payment_card",
        entity: "CREDIT_CARD",
        pattern: r"[0-9](?:[ -]?[0-9]){12,18}",
        secret: "4111 1111 1111 1111",
        harmless: "order 4111111111111112 at 1700000000000, loss 0.4111111111111111",
        ..SHAPE
    },
    Rule {
        name: "url_password",
        entity: "PASSWORD",
        pattern: r"://[^/\s:@]*:[^\s@]+@",
        secret: concat!("postgres://app:", "s3cr3t!p/w@db.internal/app"),
        harmless: "http://127.0.0.1:8080/a@b and redis://cache:6379/0",
        ..SHAPE
    },
    Rule {
        name: "named",
        entity: "PASSWORD",
        pattern: r"(?i)password\s*[=:]\s*\S+",
        secret: "password=hunter2",
        harmless: "the password and the token expired; max_tokens=4096 token_type=bearer",
        ..SHAPE
    },
    Rule {
        name: "jwt",
        entity: "JWT",
        literals: &["eyJ"],
        alone: false,
        pattern: r"eyJ[A-Za-z0-9_-]{7}",
        extent: Extent::Jwt,
        secret: concat!("eyJhbGciOiJIUzI1NiJ9", ".eyJzdWIiOiIxMjM0In0", ".c2lnbmF0dXJlLW9mLXRoZS10b2tlbg"),
        harmless: "cursor eyJpZCI6MTIzfQ and eyJ.eyJ.eyJ",
        ..TOKEN
    },
    Rule {
        name: "pem_private_key",
        entity: "PRIVATE_KEY",
        literals: &["BEGIN "],
        before: 5,
        alone: false,
        pattern: r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----",
        extent: Extent::Pem,
        secret: concat!(
            "-----BEGIN RSA PRIVATE",
            " KEY-----\nMIIBOgIBAAJBAK\nq1w2\n-----END RSA PRIVATE",
            " KEY-----"
        ),
        harmless: "-----BEGIN CERTIFICATE-----\nMIIBOgIBAAJBAK\n-----END CERTIFICATE-----",
        ..TOKEN
    },
    Rule {
        name: "bearer",
        entity: "BEARER",
        literals: &["earer", "EARER"],
        before: 1,
        pattern: r"[Bb](?:earer|EARER)(?:[ \t+]|%20){1,4}[A-Za-z0-9._~/-]{8}",
        extent: Extent::Credentials,
        check: checks::is_no_word,
        secret: "Bearer mF_9.B5f-4.1JqM",
        harmless: "the bearer authentication of the flag bearers",
        ..TOKEN
    },
    Rule {
        name: "basic_credentials",
        entity: "BASIC_AUTH",
        literals: &["asic ", "ASIC "],
        before: 1,
        pattern: r"[Bb](?:asic|ASIC) {1,4}[A-Za-z0-9+/_-]{8}",
        extent: Extent::Credentials,
        check: checks::is_basic_credentials,
        secret: "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        harmless: "a basic understanding of Basic functionality",
        ..TOKEN
    },
    Rule {
        name: "aws_access_key",
        entity: "AWS_ACCESS_KEY",
        literals: &["AKIA", "ASIA"],
        pattern: r"A(?:KI|SI)A[A-Z2-7]{16}",
        extent: Extent::Exactly(|b| b.is_ascii_uppercase() || b.is_ascii_digit()),
        secret: concat!("AKIA", "IOSFODNN7EXAMPLE"),
        harmless: "AKIAS and ASIA-PACIFIC",
        ..TOKEN
    },
    Rule {
        name: "google_api_key",
        entity: "GOOGLE_API_KEY",
        literals: &["AIza"],
        pattern: r"AIza[0-9A-Za-z_-]{35}",
        secret: concat!("AIza", "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
        harmless: "AIzawa",
        ..TOKEN
    },
    Rule {
        name: "google_oauth",
        entity: "GOOGLE_OAUTH_TOKEN",
        literals: &["ya29.", "GOCSPX-"],
        pattern: r"(?:ya29\.|GOCSPX-)[0-9A-Za-z_-]{20}",
        secret: concat!("GOCSPX-", "aBcDeFgHiJkLmNoPqRsTuVwXyZ01"),
        harmless: "ya29.short",
        ..TOKEN
    },
    Rule {
        name: "github_token",
        entity: "GITHUB_TOKEN",
        literals: &["ghp_", "gho_", "ghu_", "ghs_", "ghr_"],
        alone: false,
        pattern: r"gh[pousr]_[A-Za-z0-9]{30}",
        secret: concat!("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"),
        harmless: "ghp_is_a_prefix",
        ..TOKEN
    },
    Rule {
        name: "github_fine_grained",
        entity: "GITHUB_TOKEN",
        literals: &["github_pat_"],
        alone: false,
        pattern: r"github_pat_[A-Za-z0-9_]{22}",
        secret: concat!("github_pat_", "11ABCDEFG0abcdefghijkl_MNOPqrstuvwxyz0123456789"),
        harmless: "github_pat_tern",
        ..TOKEN
    },
    Rule {
        name: "gitlab_token",
        entity: "GITLAB_TOKEN",
        literals: &["glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "glsoat-"],
        pattern: r"gl(?:pat|dt|rt|ptt|cbt|soat)-[0-9A-Za-z_-]{16}",
        secret: concat!("glpat-", "xY3aB9kLmN0pQrStUvWz"),
        harmless: "glpat-short",
        ..TOKEN
    },
    Rule {
        name: "slack_token",
        entity: "SLACK_TOKEN",
        literals: &["xox", "xapp-"],
        pattern: r"(?:xox[aberps]|xapp)[.-][0-9A-Za-z-]{10}",
        secret: concat!("xoxb-", "123456789012-1234567890123-abcdefghijkl"),
        harmless: "xoxo xoxb-",
        ..TOKEN
    },
    Rule {
        name: "slack_webhook",
        entity: "SLACK_WEBHOOK",
        literals: &["hooks.slack.com/"],
        pattern: r"hooks\.slack\.com/(?:services|workflows|triggers)/[0-9A-Za-z/_-]{16}",
        extent: Extent::Run(token68),
        secret: concat!("hooks.slack.com/services/", "T012ABCDEFG/B345HIJKLMN/o6p7Q8r9S0t1U2v3W4x5Y6z7"),
        harmless: "hooks.slack.com/docs",
        ..TOKEN
    },
    Rule {
        name: "stripe_key",
        entity: "STRIPE_KEY",
        // One letter less than there is: the row of keys like these begins with another, and literals are few.
        literals: &["k_live_", "k_test_"],
        before: 1,
        pattern: r"sk_(?:live|test)_[0-9A-Za-z+/]{10}",
        secret: concat!("sk_live_", "4eC39HqLyjWDarjtT1zdp7dc"),
        harmless: "sk_live_mode",
        ..TOKEN
    },
    Rule {
        name: "stripe_webhook",
        entity: "STRIPE_KEY",
        literals: &["whsec_"],
        pattern: r"whsec_[0-9A-Za-z+/]{10}",
        secret: concat!("whsec_", "4eC39HqLyjWDarjtT1zdp7dc"),
        harmless: "whsec_mode",
        ..TOKEN
    },
    Rule {
        // Flask-Rampart's own keys, and Stripe's restricted ones, which look the same.
        name: "api_key",
        entity: "API_KEY",
        literals: &["k_live_", "k_test_"],
        before: 1,
        pattern: r"rk_(?:live|test)_[0-9A-Za-z_-]{8}",
        check: checks::is_no_word,
        secret: concat!("rk_live_", "8fQ2mZ7xK4pLw9Rt_3vNcYb6HdJs5"),
        harmless: "rk_live_enabled",
        ..TOKEN
    },
    Rule {
        // Flask-Rampart's own under another prefix (RAMPART_API_KEY_PREFIX), which stays readable.
        name: "prefixed_api_key",
        entity: "API_KEY",
        literals: &["_live_", "_test_"],
        alone: false,
        pattern: r"_(?:live|test)_[0-9A-Za-z]{40}",
        extent: Extent::Run(alnum),
        check: checks::is_no_word,
        secret: concat!("_live_", "0ceIC4mF9B5f41JqMaBcDeFgHiJkLmNoPqRsTuVwXyZ01234"),
        harmless: "test_live_stream_of_a_test_case and is_live_",
        ..TOKEN
    },
    Rule {
        name: "twilio_key",
        entity: "TWILIO_KEY",
        literals: &[
            "SK0", "SK1", "SK2", "SK3", "SK4", "SK5", "SK6", "SK7", "SK8", "SK9", "SKa", "SKb", "SKc", "SKd",
            "SKe", "SKf",
        ],
        pattern: r"SK[0-9a-f]{32}",
        extent: Extent::Run(alnum),
        secret: concat!("SK", "0123456789abcdef0123456789abcdef"),
        harmless: "SKU SK1234 SKe",
        ..TOKEN
    },
    Rule {
        name: "sendgrid_key",
        entity: "SENDGRID_KEY",
        literals: &["SG."],
        pattern: r"SG\.[0-9A-Za-z_-]{16,24}\.[0-9A-Za-z_-]{16}",
        secret: concat!("SG.", "ngeVfQFYQlKU0ufo8x5d1A.", "TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr"),
        harmless: "SG.Singapore.example",
        ..TOKEN
    },
    Rule {
        name: "npm_token",
        entity: "NPM_TOKEN",
        literals: &["npm_"],
        pattern: r"npm_[0-9A-Za-z]{36}",
        secret: concat!("npm_", "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hI6"),
        harmless: "npm_config_registry",
        ..TOKEN
    },
    Rule {
        name: "pypi_token",
        entity: "PYPI_TOKEN",
        literals: &["pypi-AgE"],
        pattern: r"pypi-AgE[0-9A-Za-z_-]{20}",
        secret: concat!("pypi-AgE", "IcHlwaS5vcmcCJDU2Nzg5MGFiLWNkZWYtMTIzNA"),
        harmless: "pypi-AgEnt",
        ..TOKEN
    },
    Rule {
        name: "anthropic_key",
        entity: "ANTHROPIC_KEY",
        literals: &["sk-"],
        pattern: r"sk-ant-[0-9A-Za-z_-]{16}",
        secret: concat!("sk-ant-", "api03-R2D2aBcDeFgHiJkLmNoPqRsTuVwXyZ-0123456789_AA"),
        harmless: "sk-ant-colony",
        ..TOKEN
    },
    Rule {
        name: "openai_key",
        entity: "OPENAI_KEY",
        literals: &["sk-"],
        pattern: r"sk-[0-9A-Za-z_-]{20}",
        check: checks::has_random_run,
        secret: concat!("sk-proj-", "T3BlbkFJaBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789"),
        harmless: "sk-learn-contrib-extension-2024",
        ..TOKEN
    },
    Rule {
        name: "huggingface_token",
        entity: "HUGGINGFACE_TOKEN",
        literals: &["hf_"],
        pattern: r"hf_[0-9A-Za-z]{30}",
        secret: concat!("hf_", "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH"),
        harmless: "hf_hub_download",
        ..TOKEN
    },
    Rule {
        name: "replicate_token",
        entity: "REPLICATE_TOKEN",
        literals: &["r8_"],
        pattern: r"r8_[0-9A-Za-z]{37}",
        secret: concat!("r8_", "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567890"),
        harmless: "r8_register",
        ..TOKEN
    },
    Rule {
        name: "groq_key",
        entity: "GROQ_KEY",
        literals: &["gsk_"],
        pattern: r"gsk_[0-9A-Za-z]{40}",
        secret: concat!("gsk_", "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789aBcDeFgHiJkLmNoP"),
        harmless: "gsk_count",
        ..TOKEN
    },
    Rule {
        name: "other_service_token",
        entity: "SERVICE_TOKEN",
        literals: &["dop_v1_", "shpat_", "dckr_pat_", "glsa_", "hvs.", "pplx-", "xai-"],
        pattern: r"(?:dop_v1_|shpat_|dckr_pat_|glsa_|hvs\.|pplx-|xai-)[0-9A-Za-z_-]{24}",
        check: checks::is_no_word,
        secret: concat!("dop_v1_", "0123456789abcdef0123456789abcdef0123456789abcdef"),
        harmless: "xai-explainability and shpat_x",
        ..TOKEN
    },
    Rule {
        name: "age_secret_key",
        entity: "PRIVATE_KEY",
        literals: &["AGE-SECRET-KEY-"],
        pattern: r"AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]{50}",
        extent: Extent::Run(alnum),
        secret: concat!("AGE-SECRET-KEY-1", "QQPZRY9X8GF2TVDW0S3JN54KHCE6MUA7LQQPZRY9X8GF2TVDW0S3JN54KHC"),
        harmless: "AGE-SECRET-KEY-FORMAT",
        ..TOKEN
    },
];
