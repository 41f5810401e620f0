//! What is counted. The order is that of the answer, and the number of a kind is in the table: adding one makes another version.

/// A kind of counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// By route, method and status.
    Aborted,
    /// By outcome.
    AuditRecords,
    /// By code.
    AuthFailures,
    /// By what was banned.
    Bans,
    /// By scope and decision.
    LimitDecisions,
    /// By detector and severity.
    MonitorFindings,
    /// Of what found no room.
    Overflow,
    /// By code.
    Refusals,
    /// By route, method and status.
    Requests,
    /// By event.
    Tokens,
    /// By code.
    ValidationFailures,
}

/// How a kind is told.
pub struct Family {
    /// Without `_total`.
    pub name: &'static str,
    /// A sentence.
    pub help: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Series of this kind at most: what has more is counted under `<other>`, and leaves room for the others. None of a kind
    /// whose series are routes': these have the room that the table's size says, and no other kind's.
    pub most: Option<u64>,
}

impl Counter {
    /// All of them, in the order of [`FAMILIES`].
    pub const ALL: [Self; 11] = [
        Self::Aborted,
        Self::AuditRecords,
        Self::AuthFailures,
        Self::Bans,
        Self::LimitDecisions,
        Self::MonitorFindings,
        Self::Overflow,
        Self::Refusals,
        Self::Requests,
        Self::Tokens,
        Self::ValidationFailures,
    ];

    pub(super) fn number(self) -> usize {
        self as usize
    }

    /// How it is told.
    pub fn family(self) -> &'static Family {
        &FAMILIES[self.number()]
    }
}

/// One for each [`Counter`].
pub const FAMILIES: [Family; 11] = [
    Family {
        name: "rampart_http_requests_aborted",
        help: "Those of the requests whose answer broke off after it had begun, or whose client went before its end.",
        labels: &["route", "method", "status"],
        most: None,
    },
    Family {
        name: "rampart_audit_records",
        help: "Records of the audit log, by what became of them.",
        labels: &["outcome"],
        most: Some(8),
    },
    Family {
        name: "rampart_auth_failures",
        help: "Requests whose credential was missing, was refused or did not suffice, by the code of the refusal.",
        labels: &["code"],
        most: Some(64),
    },
    Family {
        name: "rampart_bans",
        help: "Bans that limits brought about, by what was banned.",
        labels: &["by"],
        most: Some(8),
    },
    Family {
        name: "rampart_limit_decisions",
        help: "What limits said, by the scope of the limit that decided it.",
        labels: &["scope", "decision"],
        most: Some(512),
    },
    Family {
        name: "rampart_monitor_findings",
        help: "What detectors found.",
        labels: &["detector", "severity"],
        most: Some(256),
    },
    Family {
        name: "rampart_metrics_overflow",
        help: "Additions that were counted under <other>, since their series found no room.",
        labels: &[],
        most: Some(1),
    },
    Family {
        name: "rampart_refusals",
        help: "Refusals, by the code that the peer was told.",
        labels: &["code"],
        most: Some(256),
    },
    Family {
        name: "rampart_http_requests",
        help: "Requests that were answered.",
        labels: &["route", "method", "status"],
        most: None,
    },
    Family {
        name: "rampart_tokens",
        help: "Tokens that were issued, refreshed and revoked, and refresh tokens that came twice.",
        labels: &["event"],
        most: Some(16),
    },
    Family {
        name: "rampart_validation_failures",
        help: "Requests that were not of the shape that was asked for, by the code of the refusal.",
        labels: &["code"],
        most: Some(64),
    },
];

/// The most that all kinds together have whose number is bounded: there is room for all of them, whatever else is counted.
pub(super) const BOUNDED: u64 = {
    let (mut sum, mut number) = (0, 0);
    while number < FAMILIES.len() {
        if let Some(most) = FAMILIES[number].most {
            sum += most;
        }
        number += 1;
    }
    sum
};

/// The one histogram: seconds from the first byte that the edge saw to the end of the answer.
pub(super) const DURATION: Family = Family {
    name: "rampart_http_request_duration_seconds",
    help: "Time from a request's arrival at the edge to the end of its answer.",
    labels: &["route", "method"],
    most: None,
};

/// Upper bounds in microseconds, and as they are written.
pub const HISTOGRAM_BOUNDS: [(u64, &str); 14] = [
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1.0"),
    (2_500_000, "2.5"),
    (5_000_000, "5.0"),
    (10_000_000, "10.0"),
];

/// Whose fault a refusal is, as its code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Credential,
    Shape,
    Other,
}

impl Fault {
    pub fn of(code: &str) -> Self {
        match code.split_once('.') {
            Some((_, "unavailable")) => Self::Other,
            Some(("auth" | "token" | "key" | "proof", _)) => Self::Credential,
            Some(("body" | "cookies" | "files" | "form" | "headers" | "json" | "path" | "query", _)) => {
                Self::Shape
            }
            _ => Self::Other,
        }
    }
}
