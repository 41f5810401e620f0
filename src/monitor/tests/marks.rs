use super::*;

const HOUR: u64 = 3_600_000;

#[test]
fn a_response_is_in_force_until_it_is_over_and_on_its_subject_alone() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    assert!(!engine.any_marked(words, 5));
    assert!(engine.mark(words, Response::StepUp, 7, 5, Mark { until: HOUR, since: NOON }, None));
    assert!(engine.any_marked(words, 5));
    let mark = Some(Mark { until: HOUR, since: NOON });
    assert_eq!(engine.marked(words, Response::StepUp, 7, HOUR - 1), mark);
    assert_eq!(engine.marked(words, Response::StepUp, 7, HOUR), None);
    assert_eq!(engine.marked(words, Response::StepUp, 8, 5), None);
    assert_eq!(engine.marked(words, Response::Throttle, 7, 5), None);
    assert!(!engine.any_marked(words, HOUR + 1000));
}

#[test]
fn a_response_that_is_lifted_is_over() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    engine.mark(words, Response::StepUp, 7, 5, Mark { until: HOUR, since: NOON }, None);
    assert!(engine.unmark(words, Response::StepUp, 7));
    assert!(!engine.unmark(words, Response::StepUp, 7));
    assert_eq!(engine.marked(words, Response::StepUp, 7, 5), None);
}

#[test]
fn a_throttle_admits_its_burst_and_then_one_at_a_time_and_tells_the_wait() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    assert_eq!(engine.try_now(words, Response::Throttle, 7, 1000), 0, "nobody is throttled");
    engine.mark(words, Response::Throttle, 7, 1000, Mark { until: HOUR, since: NOON }, Some((2000, 3)));
    assert_eq!([0; 4].map(|_| engine.try_now(words, Response::Throttle, 7, 1000)), [0, 0, 0, 2000]);
    let wait = engine.try_now(words, Response::Throttle, 7, 2500);
    assert_eq!(engine.try_now(words, Response::Throttle, 7, 2500 + wait - 1), 1);
    assert_eq!(
        engine.try_now(words, Response::Throttle, 7, 2500 + wait),
        0,
        "the wait that it told is exact"
    );
    assert_eq!([0; 9].map(|_| engine.try_now(words, Response::Throttle, 7, HOUR)), [0; 9], "when it is over");
}

#[test]
fn neither_homes_nor_paces_nor_accounts_push_out_what_is_in_force_on_others() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    engine.mark(words, Response::StepUp, 7, 5, Mark { until: HOUR, since: NOON }, None);
    engine.mark(words, Response::Throttle, 8, 5, Mark { until: HOUR, since: NOON }, Some((1000, 5)));
    for n in 0..3_000 {
        let known = Mark { until: 30 * 24 * HOUR, since: NOON };
        let hash = u64::MAX / 3_000 * n;
        for response in
            [Response::Pace, Response::Granted, Response::AccountThrottle, Response::AccountStepUp]
        {
            assert!(engine.mark(words, response, hash, 5, known, Some((1000, 5))));
        }
        assert!(engine.know(words, [hash, 1], 0, 5, known));
    }
    assert!(engine.marked(words, Response::StepUp, 7, 5).is_some());
    assert!(engine.marked(words, Response::Throttle, 8, 5).is_some());
}

#[test]
fn an_account_that_is_throttled_is_so_however_many_networks_it_is_tried_from() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    let mark = Mark { until: HOUR, since: NOON };
    engine.mark(words, Response::AccountThrottle, 7, 5, mark, Some((1000, 5)));
    for n in 0..3_000 {
        assert!(engine.mark(words, Response::Pace, u64::MAX / 3_000 * n, 5, mark, Some((1000, 5))));
    }
    assert!(engine.marked(words, Response::AccountThrottle, 7, 5).is_some());
}

#[test]
fn an_account_is_known_in_sixteen_networks_and_the_oldest_of_them_goes() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    for network in 1..=20 {
        let known = Mark { until: HOUR + network, since: NOON };
        assert!(engine.know(words, [7, network], network as u32 * 4096, 5, known));
    }
    let left: Vec<u64> = (1..=20).filter(|&network| engine.knows(words, [7, network], 5)).collect();
    assert_eq!(left, (5..=20).collect::<Vec<u64>>());
    assert!(!engine.knows(words, [8, 20], 5));
    assert!(!engine.knows(words, [7, 20], HOUR + 20));
    assert!(!engine.any_marked(words, 5), "it is no response");
}

#[test]
fn a_throttled_account_has_a_pace_for_its_homes_apart_from_the_other() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    let of = |response| engine.try_now(words, response, 7, 0);
    engine.pace_homes(words, 7, (9000, 1));
    assert_eq!([0; 3].map(|_| of(Response::Homes)), [0; 3], "it is not throttled");
    let mark = Mark { until: HOUR, since: NOON };
    engine.mark(words, Response::AccountThrottle, 7, 5, mark, Some((1000, 1)));
    engine.pace_homes(words, 7, (9000, 2));
    assert_eq!([0; 3].map(|_| of(Response::AccountThrottle)), [0, 1000, 1000]);
    assert_eq!([0; 3].map(|_| of(Response::Homes)), [0, 0, 9000]);
    assert!(engine.unmark(words, Response::AccountThrottle, 7));
    assert_eq!(of(Response::Homes), 0, "it goes with the throttle");
}

#[test]
fn the_book_keeps_the_last_thousand_the_newest_first() {
    let (_, words) = table(1 << 20);
    let book = Book::new(&words);
    for n in 0..1500 {
        book.write(&Entry { count: n, rule: "scan".into(), ..Entry::default() });
    }
    let counts: Vec<u64> = book.read(5000).iter().map(|entry| entry.count).collect();
    assert_eq!(counts, (500..1500).rev().collect::<Vec<u64>>());
    assert_eq!(book.read(2).len(), 2);
    assert_eq!(book.total(), 1500);
}

#[test]
fn the_book_gives_back_what_was_written_cut_to_its_places_at_whole_characters() {
    let (_, words) = table(1 << 20);
    let entry = Entry {
        time: 1.5,
        count: 2,
        threshold: 3,
        severity: 4,
        subject_kind: 5,
        response: 6,
        enforced: true,
        rule: "token_replay".into(),
        subject: "ä".repeat(100),
        route: "/users/<id>".into(),
        request_id: "0123456789abcdef0123456789abcdef".into(),
    };
    Book::new(&words).write(&entry);
    let expected = Entry { subject: "ä".repeat(64), ..entry };
    assert_eq!(Book::new(&words).read(10), [expected]);
}

#[test]
fn a_page_that_its_writer_did_not_finish_is_left_out() {
    let (_, words) = table(1 << 20);
    let book = Book::new(&words);
    book.write(&Entry { count: 1, ..Entry::default() });
    book.write(&Entry { count: 2, ..Entry::default() });
    // As a process leaves it that is killed while it writes the second.
    words[super::super::layout::BOOK + 2 * super::super::book::PAGE]
        .fetch_or(1, std::sync::atomic::Ordering::SeqCst);
    book.write(&Entry { count: 3, ..Entry::default() });
    assert_eq!(book.read(10).iter().map(|entry| entry.count).collect::<Vec<_>>(), [3, 1]);
}

#[test]
fn what_one_of_several_paces_refuses_is_counted_of_none_of_them() {
    let trial = Trial::of(vec![]);
    let (engine, words) = (&trial.engine, &trial.words[..]);
    let mark = Mark { until: HOUR, since: NOON };
    engine.mark(words, Response::Pace, 1, 0, mark, Some((10_000, 4)));
    engine.mark(words, Response::Pace, 2, 0, mark, Some((1000, 2)));
    let both = [(Response::Pace, 1), (Response::Pace, 2)];
    assert_eq!([0; 4].map(|_| engine.try_all(words, &both, 0)), [0, 0, 1000, 1000]);
    // Two of the first are left, which the refused ones have not taken.
    assert_eq!([0; 3].map(|_| engine.try_now(words, Response::Pace, 1, 0)), [0, 0, 10_000]);
    assert_eq!(engine.try_all(words, &both, 1000), 9000, "the longest of the waits");
    assert_eq!(engine.try_all(words, &[], 0), 0);
    assert_eq!(engine.try_all(words, &both, HOUR), 0, "when they are over");
}
