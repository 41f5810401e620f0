//! What is found by shape or by name, in `shapes.rs` and `fields.rs`. The pattern says what it looks like.

use super::{Rule, SHAPE};

pub(super) const RULES: &[Rule] = &[
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
];
