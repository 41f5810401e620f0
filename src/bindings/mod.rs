//! The border to Python: take, detach where it pays, call, return. No decision is made here.
//!
//! One thin file for each room. No panic may cross: it would arrive in Python as a `BaseException`
//! that passes every `except Exception`, so entry points that touch input run inside
//! [`errors::guarded`], which turns a panic into an ordinary exception, and Python refuses on it.
//!
//! The GIL is released only for work above about half a millisecond: for less, taking it back
//! costs more than it gives.

mod access_log;
mod ai;
mod ai_filters;
mod almanac;
mod anonymize;
mod answer;
mod apikeys;
mod asked;
mod audit;
mod bans;
mod batches;
mod cleaners;
mod clock;
mod codings;
mod cookies;
mod credentials;
pub(crate) mod errors;
mod head;
mod headers;
mod json;
mod keysets;
mod limits;
mod metrics;
mod monitor;
mod origins;
mod parts;
mod peers;
mod proofs;
mod redaction;
mod redaction_streams;
mod reservations;
mod revoked;
mod sanitize;
mod stores;
mod tokens;
mod tree;
mod uploads;
mod validation;
mod vault;
mod vault_streaming;
mod vault_told;
mod vault_wrapping;
mod verified;

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _native {
    #[pymodule_export]
    use super::access_log::{AccessLine, AccessSink};
    #[pymodule_export]
    use super::ai::{AiChain, TextPlan, TextStream};
    #[pymodule_export]
    use super::ai_filters::{
        AnsiFilter, CanaryFilter, CapFilter, InvisibleFilter, LeakFilter, LinkFilter, PlaceholderFilter,
        Placeholders, estimate_tokens, new_canary,
    };
    #[pymodule_export]
    use super::anonymize::{
        AnonymizeLines, AnonymizeMeasure, AnonymizePlan, AnonymizeRefused, AnonymizeTable, FF1,
        collision_chance, csv_cut, csv_head,
    };
    #[pymodule_export]
    use super::answer::{Answer, Answers};
    #[pymodule_export]
    use super::apikeys::{PyKeyBook, PyKeyCandidate, PyVerifiedKey};
    #[pymodule_export]
    use super::audit::{
        AuditEnd, AuditLog, AuditTap, audit_check, audit_generate_key, audit_is_of, audit_prove,
        audit_public_key, audit_verify,
    };
    #[pymodule_export]
    use super::bans::BanBook;
    #[pymodule_export]
    use super::batches::{LimitBatch, LimitBatches, LimitWanting};
    #[pymodule_export]
    use super::clock::Clock;
    #[pymodule_export]
    use super::codings::{CodingRejected, PyDecoder};
    #[pymodule_export]
    use super::cookies::PyCookiePolicy;
    #[pymodule_export]
    use super::credentials::carries;
    #[pymodule_export]
    use super::head::HeadBounds;
    #[pymodule_export]
    use super::headers::{PyHeaderPolicy, new_nonce};
    #[pymodule_export]
    use super::keysets::{PyKeySet, bearer_issuer, token_issuer};
    #[pymodule_export]
    use super::limits::{LimitSet, Quota, Verdict, client_key};
    #[pymodule_export]
    use super::metrics::MetricTable;
    #[pymodule_export]
    use super::monitor::{Monitor, MonitorState, Sight};
    #[pymodule_export]
    use super::origins::{PyOrigins, page_of, parse_origin};
    #[pymodule_export]
    use super::parts::PyParts;
    #[pymodule_export]
    use super::peers::PeerRule;
    #[pymodule_export]
    use super::proofs::{PyBoundToken, PyPossession};
    #[pymodule_export]
    use super::redaction::Redactor;
    #[pymodule_export]
    use super::redaction_streams::RedactionStream;
    #[pymodule_export]
    use super::reservations::Reservation;
    #[pymodule_export]
    use super::revoked::{PyRevoked, revocation_mark};
    #[pymodule_export]
    use super::sanitize::{PyHtmlPolicy, clean_text, csv_text, is_safe_redirect, safe_filename};
    #[pymodule_export]
    use super::stores::LimitStore;
    #[pymodule_export]
    use super::tokens::{PyKey, PyVerifier, TokenRejected};
    #[pymodule_export]
    use super::uploads::{FormRejected, PyJudge, PyMultipart, file_types, form_fields};
    #[pymodule_export]
    use super::validation::{JsonRejected, PyBounds, PySchema, SchemaRejected, parse_json};

    #[pymodule_export]
    use super::vault::PyKeyset;
    #[pymodule_export]
    use super::vault_streaming::{PyStreamFollower, PyStreamOpener, PyStreamSealer};
    #[pymodule_export]
    use super::vault_told::{KeysetKey, keyset_templates};
    #[pymodule_export]
    use super::verified::PyVerifiedToken;

    #[pymodule_init]
    fn init(module: &super::Bound<'_, super::PyModule>) -> super::PyResult<()> {
        super::tokens::describe_rejection(module)
    }
}
