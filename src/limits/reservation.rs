//! What an admitted request was charged, and how the charge becomes what it has really cost.
//!
//! 1. What was reserved is one piece; each time that more is charged afterwards is another, where and when it is charged: in a window that is over, it
//!    would cost nothing.
//! 2. What is charged afterwards is charged whether it is there or not, up to as much again as the counter holds. A piece remembers what
//!    was really **added**, and no more than that ever comes back.
//! 3. What is given back comes off the latest piece first, and only as far as time has not repaid it meanwhile.

use crate::time::HostTime;

use super::counters::Place;
use super::gcra::Outcome;
use super::leases::Lease;
use super::quota::Quota;
use super::spot::Spot;
use super::store::Stores;

/// What an admitted request was charged, under each limit.
pub struct Reservation {
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) charges: Vec<Charge>,
}

impl Reservation {
    /// The key of an entry.
    pub fn key(&self, entry: usize) -> &[u8] {
        self.keys.get(entry).map(Vec::as_slice).unwrap_or_default()
    }
}

/// What was charged under one limit.
#[derive(Clone)]
pub(super) struct Charge {
    pub entry: usize,
    pub limit: usize,
    pub spot: Spot,
    /// Cells, all pieces together.
    pub cost: u32,
    pub lease: Option<Lease>,
    reserved: Piece,
    more: Vec<(Spot, Piece)>,
}

/// What was charged to one counter at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    /// Cells that it is about.
    pub cells: u32,
    /// What the counter was raised by: nanoseconds of a rate, cells of a window.
    pub added: u64,
    pub place: Place,
    /// Nanoseconds since boot at which time will have repaid it; of a window, at which it may be forgotten.
    pub paid: u64,
}

impl Piece {
    pub const NOTHING: Self = Self { cells: 0, added: 0, place: Place::Slot, paid: 0 };

    /// Takes `cells` off it, and says how much of what was added comes back.
    pub fn less(&mut self, cells: u32, unit: u64) -> u64 {
        self.cells = self.cells.saturating_sub(cells);
        let rest = self.added.min(u64::from(self.cells).saturating_mul(unit));
        std::mem::replace(&mut self.added, rest) - rest
    }
}

impl Charge {
    pub fn new(entry: usize, limit: usize, spot: Spot, cost: u32) -> Self {
        Self { entry, limit, spot, cost, lease: None, reserved: Piece::NOTHING, more: Vec::new() }
    }

    /// Notes that it was charged.
    pub fn charged(&mut self, quota: &Quota, outcome: &Outcome) {
        let added = u64::from(self.cost).saturating_mul(self.spot.unit(quota));
        let (cells, place, paid) = (self.cost, outcome.place, outcome.paid);
        self.reserved = Piece { cells, added, place, paid };
        self.lease = outcome.lease;
    }

    /// Gives all of it back.
    pub fn take_back(&mut self, stores: &Stores, quota: &Quota, now: HostTime) {
        let cells = self.reserved.cells;
        self.spot.give_back(stores, quota, &mut self.reserved, cells, now);
    }

    /// Makes it `actual` cells. More are charged at `spot`, which is where the key is counted now.
    pub fn settle(&mut self, stores: &Stores, quota: &Quota, actual: u32, now: HostTime, spot: Spot) {
        if let Some(less) = self.cost.checked_sub(actual) {
            self.give_back(stores, quota, less, now);
        } else {
            let piece = spot.overdraw(stores, quota, actual - self.cost, now);
            self.remember(spot, piece);
        }
        self.cost = actual;
    }

    fn give_back(&mut self, stores: &Stores, quota: &Quota, mut less: u32, now: HostTime) {
        while less > 0 {
            let Some((spot, piece)) = self.more.last_mut() else {
                return self.spot.give_back(stores, quota, &mut self.reserved, less, now);
            };
            let cells = less.min(piece.cells);
            spot.give_back(stores, quota, piece, cells, now);
            less -= cells;
            if piece.cells == 0 {
                self.more.pop();
            }
        }
    }

    fn remember(&mut self, spot: Spot, piece: Piece) {
        let is_full = self.more.len() >= MOST_PIECES;
        match self.more.last_mut() {
            Some((last, sum))
                if (is_full || !spot.is_rate()) && last.is(&spot) && sum.place == piece.place =>
            {
                sum.cells = sum.cells.saturating_add(piece.cells);
                sum.added = sum.added.saturating_add(piece.added);
                // The earlier: rather too little comes back than too much.
                sum.paid = sum.paid.min(piece.paid);
            }
            _ => self.more.push((spot, piece)),
        }
    }
}

/// Of a rate. Then the next ones are added to the last.
const MOST_PIECES: usize = 32;
