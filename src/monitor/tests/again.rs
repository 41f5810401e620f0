//! What is too much after its response was lost or lifted.

use super::*;

const HOUR: u64 = 3_600_000;

fn guessing(answer: Answer) -> Trial {
    let counts = Signs::LOGIN_FAILED;
    Trial::of(vec![Rule { answer, ..rule("guessing", counts, Subject::Account, Measure::Count, 3, 900) }])
}

fn guess(trial: &Trial, at: u64) -> Vec<Finding> {
    let known = Known { address: &[192, 0, 2, 1], account: b"ada", ..Known::default() };
    let signs = Signs::REQUEST.with(Signs::LOGIN).with(Signs::LOGIN_FAILED);
    trial.fold(&keys().observe(&known, at, NOON + at, signs, 0))
}

fn throttle(trial: &Trial, at: u64) -> bool {
    let mark = Mark { until: at * 1000 + HOUR, since: NOON };
    trial.engine.mark(&trial.words, Response::AccountThrottle, ada(), at * 1000, mark, Some((1000, 5)))
}

fn ada() -> u64 {
    keys().of(b'u', b"ada")
}

fn again(count: u64) -> Finding {
    Finding { is_again: true, ..finding(0, Subject::Account, count) }
}

#[test]
fn what_is_answered_and_no_longer_in_force_is_answered_again_and_not_told_again() {
    let trial = guessing(Answer::Throttle);
    assert_eq!([0; 2].map(|_| guess(&trial, 100).len()), [0, 0]);
    assert_eq!(guess(&trial, 100), [finding(0, Subject::Account, 3)]);
    assert!(guess(&trial, 100).is_empty(), "of the same second: it is being put in force");
    assert!(throttle(&trial, 100));
    assert!(guess(&trial, 101).is_empty());
    assert!(trial.engine.unmark(&trial.words, Response::AccountThrottle, ada()));
    assert_eq!(guess(&trial, 102), [again(6)]);
    assert!(guess(&trial, 102).is_empty(), "once in a second, where nothing comes of it");
    assert_eq!(guess(&trial, 103), [again(8)]);
    assert!(throttle(&trial, 103));
    assert!(guess(&trial, 104).is_empty());
}

#[test]
fn what_is_not_answered_is_told_once() {
    for answer in [Answer::Log, Answer::Ban] {
        let counts = Signs::NOT_FOUND;
        let rule = Rule { answer, ..rule("scan", counts, Subject::Address, Measure::Count, 3, 900) };
        let trial = Trial::of(vec![rule]);
        let found = (0..60).flat_map(|at| trial.fold(&request(1, at, counts))).count();
        assert_eq!(found, 1);
    }
}

#[test]
fn what_is_in_force_by_a_finding_is_what_its_rule_says_of_whom_it_is_about() {
    use Response::{AccountStepUp, AccountThrottle, Content, Crossing, StepUp, Throttle};
    let on = |answer: Answer, subject| answer.on(subject, Source::Sender);
    assert_eq!(on(Answer::StepUp, Subject::Account), Some(AccountStepUp));
    assert_eq!(on(Answer::Throttle, Subject::Account), Some(AccountThrottle));
    assert_eq!(on(Answer::StepUp, Subject::Principal), Some(StepUp));
    assert_eq!(on(Answer::StepUp, Subject::Host), Some(StepUp));
    assert_eq!(on(Answer::StepUp, Subject::Address), Some(Throttle));
    assert_eq!(on(Answer::Ban, Subject::Address), None);
    assert_eq!(on(Answer::Ban, Subject::Principal), Some(Throttle));
    assert_eq!(Answer::Ban.on(Subject::Address, Source::Site), Some(Crossing));
    assert_eq!(Answer::StepUp.on(Subject::Principal, Source::Content), Some(Content));
    assert_eq!(Answer::Log.on(Subject::Address, Source::Site), None);
    assert!(Answer::named("lock").is_err());
}

#[test]
fn what_was_counted_of_a_subject_can_be_forgotten_and_is_told_anew() {
    let counts = Signs::NOT_FOUND;
    let trial = Trial::of(vec![
        rule("scan", counts, Subject::Caller, Measure::Count, 3, 900),
        rule("spread", counts, Subject::Account, Measure::Count, 3, 900),
    ]);
    let scan =
        |address, count: usize| (0..count).map(|_| trial.fold(&request(address, 5, counts)).len()).sum();
    assert_eq!((scan(1, 3), scan(2, 2)), (1, 2 - 2));
    let address = keys().of(b'a', &1_u32.to_be_bytes());
    trial.engine.forget(&trial.words, Subject::Account, address);
    assert_eq!(scan(1, 3), 0);
    trial.engine.forget(&trial.words, Subject::Address, address);
    assert_eq!((scan(1, 2), scan(1, 1)), (0, 1));
    assert_eq!(scan(2, 1), 1, "of others it stays");
}
