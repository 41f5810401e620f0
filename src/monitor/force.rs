//! What is in force, in the table: put there, found, and tried.
//!
//! What a mark is, and whose place a new one takes, is in `marks` and `share`.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire};

use super::engine::Engine;
use super::key::mixed;
use super::layout::{FIRSTS, MARKED_UNTIL};
use super::marks::{Mark, Marked, Response};
use super::places::{Put, Spot};
use super::share::{self, Held, Party};

impl Engine {
    /// Puts a mark on a subject. False if there was no room, as two workers wanted it at once.
    ///
    /// `pace` is, of what is throttled, milliseconds for each try, and how many may come at once.
    pub fn mark(
        &self,
        words: &[AtomicU64],
        response: Response,
        subject: u64,
        now: u64,
        mark: Mark,
        pace: Option<(u32, u32)>,
    ) -> bool {
        let on = (response, subject, Party::apart(subject));
        self.mark_of(words, on, now, mark, pace).is_some()
    }

    /// The same, of a party's. Says whether it is certain that this one was not in force; None if there was no room.
    ///
    /// Where it took the place of one that had no more than is theirs, it may itself have been pushed out before.
    pub fn mark_of(
        &self,
        words: &[AtomicU64],
        (response, subject, party): (Response, u64, Party),
        now: u64,
        mark: Mark,
        pace: Option<(u32, u32)>,
    ) -> Option<bool> {
        let put = self.put(words, response, Spot::of(mark_name(response, subject)), party, now);
        let marked = Marked::new(words, put.at()?)?;
        let was_here = marked.read(now).is_some();
        marked.set(mark, party, pace);
        if let Some(word) = words.get(MARKED_UNTIL) {
            word.fetch_max(mark.until.div_ceil(1000), AcqRel);
        }
        Some(!was_here && !matches!(put, Put::Instead(_)))
    }

    /// Notes that an account is known in a network. It is so in at most sixteen: the oldest goes for a new one.
    ///
    /// `source` is the wide and the narrow network ([`Keys::source`]). False if there was no room, as two workers wanted it
    /// at once.
    pub fn know(
        &self,
        words: &[AtomicU64],
        [account, network]: [u64; 2],
        source: u32,
        now: u64,
        mark: Mark,
    ) -> bool {
        let party = Party::of(source, account);
        let put = self.put(words, Response::Known, home_of([account, network]), party, now);
        let marked = put.at().and_then(|at| Marked::new(words, at));
        marked.inspect(|marked| marked.set(mark, party, None)).is_some()
    }

    /// Whether an account is known in a network.
    pub fn knows(&self, words: &[AtomicU64], of: [u64; 2], now: u64) -> bool {
        let at = self.layout().marks(Response::Known).find_at(words, home_of(of));
        at.and_then(|at| Marked::new(words, at)?.read(now)).is_some()
    }

    /// Says which pace a throttled account has in all networks together where it is known.
    pub fn pace_homes(&self, words: &[AtomicU64], account: u64, pace: (u32, u32)) {
        if let Some(marked) = self.body(words, Response::Homes, account) {
            marked.set_pace(pace);
        }
    }

    fn put(&self, words: &[AtomicU64], response: Response, spot: Spot, party: Party, now: u64) -> Put {
        let holder = |body: &[AtomicU64]| Marked::holder(body, now, response);
        let pick = |held: &[Held], party| share::shed(held, party, response.most());
        self.layout().marks(response).put_at(words, spot, now / 1000, party, holder, pick)
    }

    /// Whether any response may be in force: one word tells that none is.
    #[inline]
    pub fn any_marked(&self, words: &[AtomicU64], now: u64) -> bool {
        words.get(MARKED_UNTIL).is_some_and(|word| word.load(Acquire) * 1000 > now)
    }

    /// The response in force on a subject.
    pub fn marked(&self, words: &[AtomicU64], response: Response, subject: u64, now: u64) -> Option<Mark> {
        self.body(words, response, subject)?.read(now)
    }

    /// Milliseconds until a throttled subject may try again; 0 if it may now, which is then counted.
    pub fn try_now(&self, words: &[AtomicU64], response: Response, subject: u64, now: u64) -> u64 {
        self.body(words, response, subject).map_or(0, |marked| marked.try_now(now))
    }

    /// Milliseconds until all of these may try again; 0 if they may now, which is then counted of each.
    ///
    /// What one of them refuses is counted of none: who is refused has not used up what is left elsewhere.
    pub fn try_all(&self, words: &[AtomicU64], of: &[(Response, u64)], now: u64) -> u64 {
        match self.wait_all(words, of, now) {
            // Another worker may take the last one meanwhile.
            0 => of
                .iter()
                .map(|(response, subject)| self.try_now(words, *response, *subject, now))
                .max()
                .unwrap_or(0),
            wait => wait,
        }
    }

    /// Milliseconds until all of these may try again. Counts nothing.
    pub fn wait_all(&self, words: &[AtomicU64], of: &[(Response, u64)], now: u64) -> u64 {
        let marks = of.iter().filter_map(|(response, subject)| self.body(words, *response, *subject));
        marks.map(|marked| marked.wait(now)).max().unwrap_or(0)
    }

    /// Takes the attempt that a wide network has free where a full table cannot tell whether it is a first one. Says whether
    /// there was one.
    ///
    /// It is of no account: so whoever makes up accounts has no more of it, and takes it from nobody elsewhere.
    pub fn try_first(&self, words: &[AtomicU64], source: u32, now: u64) -> bool {
        let Some(due) = words.get(FIRSTS.start + share::wide_of(source) as usize % FIRSTS.len()) else {
            return false;
        };
        let seen = due.load(Acquire);
        seen <= now && due.compare_exchange(seen, now + FIRST_EACH, AcqRel, Acquire).is_ok()
    }

    /// Ends a response; says whether it was there.
    pub fn unmark(&self, words: &[AtomicU64], response: Response, subject: u64) -> bool {
        self.layout().marks(response).drop(words, mark_name(response, subject))
    }

    fn body<'a>(&self, words: &'a [AtomicU64], response: Response, subject: u64) -> Option<Marked<'a>> {
        let at = self.layout().marks(response).find(words, mark_name(response, subject))?;
        if response == Response::Homes { Marked::at_home(words, at) } else { Marked::new(words, at) }
    }
}

/// Milliseconds for one such attempt.
const FIRST_EACH: u64 = 300_000;

fn mark_name(response: Response, subject: u64) -> u64 {
    let salt = match response {
        Response::AccountStepUp => 0x6173_7465,
        // A part of it.
        Response::AccountThrottle | Response::Homes => 0x6174_6872,
        Response::Content => 0x636f_6e74,
        Response::Crossing => 0x6372_6f73,
        Response::CrossingLogin => 0x6372_6c6f,
        Response::Granted => 0x6772_616e,
        Response::Known => 0x6b6e_6f77,
        Response::Pace => 0x7061_6365,
        Response::StepUp => 0x7374_6570,
        Response::Throttle => 0x7468_726f,
    };
    mixed(subject, salt)
}

/// Where an account is known: all of that together, of each account.
fn home_of([account, network]: [u64; 2]) -> Spot {
    let among = mark_name(Response::Known, account);
    Spot { among, hash: mixed(network, among) }
}
