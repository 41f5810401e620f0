//! What batches of quota promise, whatever the store elsewhere says.

use super::*;
use crate::limits::batches::{Batch, Batches, Spent};
use crate::limits::remote::Answer;
use crate::limits::{Costs, Now};

const LEASE: u64 = SECOND;

struct Host {
    limits: Limits,
    batches: Arc<Batches>,
    now: u64,
}

impl Host {
    fn on(store: Arc<Store>, quotas: &str) -> Self {
        let naming = local(1);
        let limits =
            Limits::new(naming, vec![entry("scope", quotas, Kind::Text)], Prefix::default(), None).unwrap();
        let batches = Arc::new(Batches::new(store, LEASE).unwrap());
        Self { limits, batches, now: 1_000 * SECOND }
    }

    fn spend(&self, cost: u32) -> Spent {
        let now = Now::from(HostTime(self.now));
        self.batches.spend(&self.limits, &["a"], Costs::Same(cost), now).unwrap()
    }

    fn is_here(&self, cost: u32) -> bool {
        matches!(self.spend(cost), Spent::Told(verdict) if verdict.admitted)
    }

    /// Asks, and is given so many cells of each limit that is lacking.
    fn ask(&self, cost: u32, given: u32) -> (Verdict, Vec<Batch>) {
        let Spent::Wanting(wanting) = self.spend(cost) else { panic!("it was here") };
        let replies: Vec<_> =
            wanting.lacking().map(|_| (Answer { remaining: 9, reset: 1, wait: Some(0) }, given, 7)).collect();
        wanting.answered(&self.limits, &replies, HostTime(self.now)).unwrap()
    }

    fn wants(&self, cost: u32) -> u32 {
        let Spent::Wanting(wanting) = self.spend(cost) else { panic!("it was here") };
        wanting.lacking().map(|(_, want)| want).max().unwrap()
    }
}

fn what_was_given_can_be_spent_once(make: Make) {
    let host = Host::on(make(1000), "100/minute");
    assert!(host.ask(1, 5).0.admitted);
    assert!((0..4).all(|_| host.is_here(1)));
    assert!(!host.is_here(1));
}

fn a_batch_ends_with_its_lease(make: Make) {
    let mut host = Host::on(make(1000), "100/minute");
    host.ask(1, 50);
    host.now += LEASE - SECOND / 50;
    assert!(host.is_here(1));
    host.now += SECOND / 50;
    assert!(!host.is_here(1));
}

fn what_comes_to_a_batch_ends_no_later_than_it(make: Make) {
    let mut host = Host::on(make(1000), "100/minute");
    host.ask(1, 3);
    host.now += LEASE / 4;
    host.ask(5, 50);
    assert!(host.is_here(40));
    host.now += LEASE * 3 / 4;
    assert!(!host.is_here(1));
}

fn what_was_taken_is_put_back_unless_it_is_answered(make: Make) {
    let host = Host::on(make(1000), "100/minute; 50/hour");
    host.ask(1, 5);
    for _ in 0..3 {
        let Spent::Wanting(wanting) = host.spend(5) else { panic!("four are here") };
        assert_eq!(wanting.lacking().count(), 2);
    }
    assert!(host.is_here(4));
}

fn what_is_put_back_to_a_newer_batch_ends_it_no_later_than_its_own(make: Make) {
    for (later, is_here) in [(0, true), (LEASE * 3 / 4, false)] {
        let store = make(1000);
        let (host, mut hour) = (Host::on(store.clone(), "100/minute; 50/hour"), Host::on(store, "50/hour"));
        host.ask(5, 5);
        hour.ask(1, 2);
        let Spent::Wanting(on_its_way) = host.spend(1) else { panic!("of the minute, nothing is here") };
        assert_eq!(on_its_way.lacking().count(), 1);
        hour.now += LEASE / 4;
        hour.ask(1, 5);
        drop(on_its_way);
        hour.now += later;
        assert_eq!(hour.is_here(5), is_here);
    }
}

fn a_refusal_of_one_spends_none(make: Make) {
    let host = Host::on(make(1000), "100/minute; 50/hour");
    host.ask(1, 5);
    let Spent::Wanting(wanting) = host.spend(5) else { panic!("four are here") };
    let no = Answer { remaining: 0, reset: 1, wait: Some(5_000_000) };
    let yes = Answer { remaining: 9, reset: 1, wait: Some(0) };
    let (refused, given) =
        wanting.answered(&host.limits, &[(yes, 0, 7), (no, 0, 7)], HostTime(host.now)).unwrap();
    assert!(!refused.admitted && given.is_empty());
    assert_eq!((refused.limit, refused.retry_after()), (1, 5));
    assert!(host.is_here(4), "and who wants less is not refused for it");
}

fn a_refusal_is_remembered_for_a_lease_and_told_to_the_second(make: Make) {
    let mut host = Host::on(make(1000), "100/minute");
    let Spent::Wanting(wanting) = host.spend(1) else { panic!() };
    let no = Answer { remaining: 0, reset: 1, wait: Some(90_000_000) };
    wanting.answered(&host.limits, &[(no, 0, 7)], HostTime(host.now)).unwrap();
    host.now += LEASE / 2;
    let Spent::Told(refused) = host.spend(1) else { panic!("it is known") };
    assert!(!refused.admitted);
    assert_eq!(refused.wait, 90 * SECOND - LEASE / 2);
    host.now += LEASE / 2;
    assert!(matches!(host.spend(1), Spent::Wanting(_)));
}

fn who_comes_often_wants_more_and_who_comes_seldom_what_it_needs(make: Make) {
    let mut host = Host::on(make(1000), "100000/minute");
    let mut wants = Vec::new();
    for _ in 0..4 {
        let want = host.wants(1);
        wants.push(want);
        host.ask(1, want);
        assert!((1..want).all(|_| host.is_here(1)));
    }
    assert_eq!(wants, [1, 2, 4, 8]);
    host.now += LEASE / 2;
    assert_eq!(host.wants(1), 8, "long enough");
    host.now += 2 * LEASE;
    assert_eq!(host.wants(3), 3);
}

fn where_there_is_less_than_is_wanted_it_is_asked_now_and_then(make: Make) {
    let mut host = Host::on(make(1000), "1000/second");
    host.ask(1, 1);
    let Spent::Wanting(wanting) = host.spend(1) else { panic!() };
    let no = Answer { remaining: 0, reset: 1, wait: Some(1000) };
    wanting.answered(&host.limits, &[(no, 0, 7)], HostTime(host.now)).unwrap();
    assert!(matches!(host.spend(1), Spent::Told(verdict) if !verdict.admitted));
    host.now += LEASE / 16 + (1 << 24);
    assert!(host.ask(4, 4).0.admitted, "it is asked again");
    assert!(host.wants(4) >= 4);
}

fn what_is_idle_is_taken_out_once_and_a_newer_batch_is_left_alone(make: Make) {
    let mut host = Host::on(make(1000), "100/minute");
    let (_, first) = host.ask(1, 5);
    assert!(!first[0].is_due(HostTime(host.now)));
    host.now += LEASE;
    assert!(first[0].is_due(HostTime(host.now)));
    let (_, second) = host.ask(1, 8);
    assert_eq!(host.batches.take_out(&first[0], HostTime(host.now)), 0, "it is over");
    assert_eq!(host.batches.take_out(&second[0], HostTime(host.now)), 7);
    assert_eq!(host.batches.take_out(&second[0], HostTime(host.now)), 0);
    assert!(!host.is_here(1));
}

fn threads_spend_what_was_given_and_no_more(make: Make) {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
    let host = Host::on(make(1000), "100000/minute");
    host.ask(1, 4_001);
    let spent = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    spent.fetch_add(u32::from(host.is_here(1)), SeqCst);
                }
            });
        }
    });
    assert_eq!(spent.load(SeqCst), 4_000);
}

fn without_room_nothing_is_held_and_all_of_it_is_loose(make: Make) {
    let store = make(1);
    let other =
        Limits::new(store.clone(), vec![entry("other", "1/day", Kind::Text)], Prefix::default(), None)
            .unwrap();
    for key in 0..2_000_u32 {
        other.check(&[key.to_le_bytes().as_slice()], NonZeroU32::MIN, HostTime(1_000 * SECOND)).unwrap();
    }
    let host = Host::on(store, "100/minute");
    let (verdict, given) = host.ask(1, 6);
    assert!(verdict.admitted);
    assert_eq!(given[0].loose, 5);
    assert!(!host.is_here(1));
}

on_either_store! {
    what_was_given_can_be_spent_once
    a_batch_ends_with_its_lease
    what_comes_to_a_batch_ends_no_later_than_it
    what_was_taken_is_put_back_unless_it_is_answered
    what_is_put_back_to_a_newer_batch_ends_it_no_later_than_its_own
    a_refusal_of_one_spends_none
    a_refusal_is_remembered_for_a_lease_and_told_to_the_second
    who_comes_often_wants_more_and_who_comes_seldom_what_it_needs
    where_there_is_less_than_is_wanted_it_is_asked_now_and_then
    what_is_idle_is_taken_out_once_and_a_newer_batch_is_left_alone
    threads_spend_what_was_given_and_no_more
    without_room_nothing_is_held_and_all_of_it_is_loose
}
