//! Tokens of databases and of search services.

use super::{Rule, near, token};
use crate::redaction::checks;
use crate::redaction::text::{alnum, base64, base64url, hex};

pub(super) const RULES: &[Rule] = &[
    token(
        "planetscale_token",
        "PLANETSCALE_TOKEN",
        &["pscale_tkn_", "pscale_oauth_", "pscale_pw_"],
        r"pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_-]{32}",
        concat!("pscale_tkn", "_O2M_mQRF_p0bj_KrCY3_VcwmNkNJnCPyAqYx0WC3P-3"),
        "pscale_tkn_x",
    ),
    token(
        "supabase_token",
        "SUPABASE_TOKEN",
        &["sbp_"],
        r"sbp_[0-9a-f]{40}",
        concat!("sbp", "_858265f8914b31079e9ea3b68e7d6cb5427d9b43"),
        "sbp_x",
    )
    .run(alnum),
    token(
        "supabase_secret_key",
        "SUPABASE_TOKEN",
        &["sb_secret_"],
        r"sb_secret_[A-Za-z0-9_-]{22}",
        concat!("sb_secret", "_vz-yaFtFXvCvFIsINjNLkSTBHytoT2D"),
        "sb_secret_x",
    ),
    token(
        "neon_key",
        "NEON_KEY",
        &["napi_"],
        r"napi_[a-z0-9]{60}",
        concat!("napi", "_fuxuvuiaox6q6l82q2eqd6192qf8vy2404zpk4jzp2ycmlr2f2jzw30n1u1nwp21"),
        "napi_value",
    ),
    token(
        "mongodb_atlas_secret",
        "MONGODB_KEY",
        &["mdb_sa_sk_"],
        r"mdb_sa_sk_[A-Za-z0-9_-]{40}",
        concat!("mdb_sa_sk", "_5WoS8N8eQMtf1gr1dr4cp-Lt6L2EiAcGwWADoBCa"),
        "mdb_sa_sk_x",
    ),
    token(
        "cockroach_key",
        "COCKROACH_KEY",
        &["CCDB1_"],
        r"CCDB1_[A-Za-z0-9]{22}_[A-Za-z0-9]{40}",
        concat!("CCDB1", "_My5gapJ8uMxQ8GIdvcn7k8_YV1pUlBlaZLJeAVkTxsZlbdxToXIXdBPYcQetMuZ"),
        "CCDB1_x",
    ),
    token(
        "databricks_token",
        "DATABRICKS_TOKEN",
        &["dapi"],
        r"dapi[0-9a-f]{32}",
        concat!("dap", "id542ecb215195e7a2190eb41e16e9b58-2"),
        "dapis",
    ),
    token(
        "databricks_oauth_secret",
        "DATABRICKS_TOKEN",
        &["dose"],
        r"dose[0-9a-f]{32}",
        concat!("dos", "e18b73945eba6463b8cde4853fd78138b"),
        "doses",
    ),
    token(
        "clickhouse_key",
        "CLICKHOUSE_KEY",
        &["4b1d"],
        r"4b1d[A-Za-z0-9]{38}",
        concat!("4b1", "ds1yFPJHjOcR0lhs7tiXfYZnHC18gM9mFoxkM9k"),
        "4b1d",
    )
    .exactly(base64url),
    token(
        "aiven_password",
        "AIVEN_TOKEN",
        &["AVNS_"],
        r"AVNS_[A-Za-z0-9_-]{19}",
        concat!("AVNS", "_BHTGWlAREheVIc5Px4D"),
        "AVNS_x",
    ),
    token(
        "fauna_key",
        "FAUNA_KEY",
        &["fnA"],
        r"fnA[A-Za-z0-9_-]{37}",
        concat!("fn", "AtEtyDST4YXRUwW62mN4SeEdREY2X_65l1zl9v"),
        "fnAdd",
    )
    .check(checks::has_random_run)
    .exactly(base64url),
    token(
        "xata_key",
        "XATA_KEY",
        &["xau_"],
        r"xau_[A-Za-z0-9]{32}",
        concat!("xau", "_45zp0XuGFrU0dSZUq6dMlCt5XKQKpLvFS5P3InSZ"),
        "xau_x",
    ),
    token(
        "airtable_token",
        "AIRTABLE_TOKEN",
        &["pat"],
        r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
        concat!("pa", "tZp8qXvc4Hh8L5S.92c310fab0464bf317b14f1f5b4b7923c9c65069b1284ef06fd7b4634206e6b2"),
        "patterns and pathological.example",
    )
    .run(alnum),
    near(
        "airtable_key",
        "AIRTABLE_TOKEN",
        &["airtable"],
        &[17],
        alnum,
        r"key[A-Za-z0-9]{14}",
        concat!("airtable base by ", "keyBgOcC1j1rXprER"),
        "airtable id iwcsNtoqEB2TUu7HT",
    ),
    near(
        "algolia_key",
        "ALGOLIA_KEY",
        &["algolia", "algoliasearch"],
        &[32],
        hex,
        r"[0-9a-f]{32}",
        concat!("algolia index by ", "5d94c101027dbdac2c0bd5b1da304972"),
        "algolia trace 10186bd2e9c95fefae57ba87964eab2d",
    ),
    near(
        "confluent_secret",
        "CONFLUENT_KEY",
        &["confluent"],
        &[16, 64],
        alnum,
        r"[A-Za-z0-9]{16}(?:[A-Za-z0-9]{48})?",
        concat!("confluent cluster by ", "1mOHPGqLdeJcbKaCS6gz7icarWxTEX6qEFscKZuC1waB5db1hRPoyL3DgwN9ZDXb"),
        "confluent id pxWAyepHJKFYkVwGSahwrYhMerKrDuK1tkNqC4ATAr27ZIJilDKlLHWXfpwLn1Oa",
    ),
    token(
        "confluent_cloud_secret",
        "CONFLUENT_KEY",
        &["cflt"],
        r"cflt[A-Za-z0-9+/]{60}",
        concat!("cfl", "tmn5goLKj3J6jnyAiMzgCo1vV0yMIxGHncm6gXOWcl5vpyaTSJLNAMwrUTQiZ"),
        "cflt",
    )
    .run(base64),
];
