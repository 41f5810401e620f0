//! Tells what a page had somebody's browser send from what somebody sent themselves.
//!
//! A page of another site, and what users write into pages of one's own (an image, a style), can have any reader's browser
//! ask for whatever they like: it is no doing of the reader's, nor of whoever shares an address with them. In order:
//! 1. what a page of another site had sent is that [`Source::Site`]'s;
//! 2. what was asked for as a part of a page of one's own, or beside it, is its [`Source::Content`]'s: images, styles,
//!    frames, pings, and what is fetched ahead or blindly (`no-cors`); not a document that somebody goes to, nor what a script of one's own fetches;
//! 3. but what no page can have a browser send is the sender's own, whatever else it says: see [`Sent::can_be_made`]. A page
//!    that CORS admits can have one send all.
//!
//! Whether its user clicked (`Sec-Fetch-User`) is not asked: of one click a page makes as many navigations as it likes.
//!
//! Who is no browser can say all of this. What follows must be such that nothing is gained by it.
//!
//! Sources: W3C Fetch Metadata; Fetch, "CORS-safelisted request-header" and "no-cors"; CSP 3, "report-uri"; Reporting API; HTML,
//! "ping".

/// What a request says of how it came to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sent<'a> {
    /// Whether a page of another site had it sent.
    pub is_foreign: bool,
    /// Whether a page had it sent, by what the browser says.
    pub has_page: bool,
    /// `Sec-Fetch-Dest`: what it is for.
    pub destination: &'a str,
    /// `Sec-Fetch-Mode`: whether the browser tells the page what comes.
    pub mode: &'a str,
    /// Whether nobody waits for it: it is asked for ahead of time (`Sec-Purpose`), or a ping.
    pub is_aside: bool,
    /// In capitals.
    pub method: &'a str,
    /// `Content-Type`; empty if there is none.
    pub content_type: &'a str,
    /// `Authorization`; empty if there is none.
    pub authorization: &'a str,
    /// Whether another field of it carries a credential.
    pub has_field: bool,
    /// Whether it has a cookie.
    pub has_cookie: bool,
    /// Whether that page was told that it may send what it likes (CORS).
    pub is_admitted: bool,
}

/// Whose doing a request was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Source {
    /// What stands in a page of one's own, which its users may have written.
    Content,
    /// Whoever sent it.
    #[default]
    Sender,
    /// A page of another site.
    Site,
}

impl Source {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Content, Self::Sender, Self::Site].into_iter().find(|source| source.name() == name)
    }

    /// How people call it; empty of who sent it themselves.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Sender => "",
            Self::Site => "crossing",
        }
    }
}

impl Sent<'_> {
    /// Whose doing it was.
    pub fn source(&self) -> Source {
        let is_part = match self.destination {
            // As `<link rel=preload as=fetch>` has it, and beacons; scripts that read what comes ask otherwise.
            "" | "empty" => self.mode == "no-cors",
            destination => destination != "document",
        };
        let source = match (self.is_foreign, self.has_page && (is_part || self.is_aside)) {
            (true, _) => Source::Site,
            (_, true) => Source::Content,
            _ => Source::Sender,
        };
        if self.can_be_made() { source } else { Source::Sender }
    }

    /// Whether a page of another site has a credential itself, and sends it: it is then its principal who does, though the
    /// browser is another's. Only one that was admitted can write a field, and only without a cookie, or what proxies make
    /// of that, is it the page's.
    pub fn is_of_principal(&self) -> bool {
        self.is_foreign
            && self.is_admitted
            && matches!(self.mode, "" | "cors")
            && !self.has_cookie
            && self.has_credential()
    }

    /// Whether a page can have a browser send it without asking first: by a method and with a type of body that need no
    /// preflight, and without a credential but those that browsers, and proxies behind them, add by themselves. Or it has
    /// asked, and was admitted.
    fn can_be_made(&self) -> bool {
        if self.is_foreign && self.is_admitted {
            return true;
        }
        let (kind, _) = self.content_type.split_once(';').unwrap_or((self.content_type, ""));
        matches!(self.method, "GET" | "HEAD" | "OPTIONS" | "POST")
            && is_one(&TYPES, kind.trim())
            // A browser that says the mode sends no such field for a page that may not: a proxy has added it.
            && (!self.mode.is_empty() || !self.has_credential())
    }

    /// Whether a field carries a credential that no browser adds by itself.
    fn has_credential(&self) -> bool {
        let word = self.authorization.trim().split(' ').next().unwrap_or_default();
        self.has_field || !is_one(&ADDED, word)
    }
}

fn is_one(of: &[&str], text: &str) -> bool {
    of.iter().any(|one| text.eq_ignore_ascii_case(one))
}

/// Of bodies that need no preflight: none, those of forms, a beacon's, and what browsers report and ping by themselves.
const TYPES: [&str; 7] = [
    "",
    "application/csp-report",
    "application/reports+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "text/ping",
    "text/plain",
];
/// Credentials that browsers add by themselves, and none.
const ADDED: [&str; 5] = ["", "Basic", "Digest", "Negotiate", "NTLM"];
