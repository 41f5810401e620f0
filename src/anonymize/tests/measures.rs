//! What is left to find in a table: by hand, in halves, and too large.

use super::*;

fn measured(rows: &[(&str, &str)]) -> Privacy {
    let mut measure = Measure::new([7; 16], 1, 1, 1000).unwrap();
    for (quasi, sensitive) in rows {
        measure.add(&[Cell::Text(quasi)], &[Cell::Text(sensitive)]).unwrap();
    }
    measure.privacy().unwrap()
}

#[test]
fn the_smallest_class_is_k_and_the_poorest_is_l() {
    let privacy = measured(&[("a", "flu"), ("a", "flu"), ("a", "hiv"), ("b", "flu"), ("b", "flu")]);
    assert_eq!((privacy.rows, privacy.classes, privacy.k), (5, 2, 2));
    assert_eq!(privacy.sizes, [(2, 1), (3, 1)]);
    assert_eq!((privacy.rows_below(2), privacy.rows_below(3), privacy.rows_below(9)), (0, 2, 5));
    let flu = &privacy.sensitive[0];
    assert_eq!((flu.values, flu.distinct), (2, 1));
    assert!((flu.entropy - 1.0).abs() < 1e-12);
    // Class b: flu 1 against 0.8, hiv 0 against 0.2.
    assert!((flu.closeness - 0.2).abs() < 1e-12);
    let empty = measured(&[]);
    assert_eq!((empty.rows, empty.k, empty.sensitive[0].distinct), (0, 0, 0));
}

#[test]
fn values_are_one_only_if_they_are_equal() {
    let mut measure = Measure::new([7; 16], 2, 0, 1000).unwrap();
    for row in [
        [Cell::Text("a"), Cell::Text("bc")],
        [Cell::Text("ab"), Cell::Text("c")],
        [Cell::Text("1"), Cell::Null],
        [Cell::Int(1), Cell::Null],
        [Cell::Bool(true), Cell::Null],
        [Cell::Null, Cell::Int(1)],
        [Cell::Text(""), Cell::Null],
        [Cell::Null, Cell::Null],
        [Cell::Float(1.5), Cell::Null],
    ] {
        measure.add(&row, &[]).unwrap();
    }
    assert_eq!(measure.privacy().unwrap().classes, 9);
    measure.add(&[Cell::Float(1.0), Cell::Null], &[]).unwrap();
    measure.add(&[Cell::Null], &[]).unwrap();
    assert_eq!(measure.privacy().unwrap().classes, 9);
    assert_eq!(measure.class_size(&[Cell::Int(1), Cell::Null]), 2);
    assert_eq!(measure.class_size(&[Cell::Int(9), Cell::Null]), 0);
}

#[test]
fn a_table_that_is_too_large_is_refused_and_never_estimated() {
    let mut measure = Measure::new([7; 16], 1, 0, 3).unwrap();
    for number in 0..3 {
        measure.add(&[Cell::Int(number)], &[]).unwrap();
    }
    assert_eq!(measure.add(&[Cell::Int(2)], &[]), Ok(()));
    assert_eq!(measure.add(&[Cell::Int(3)], &[]), Err(TooMany));
    assert_eq!(measure.privacy(), Err(TooMany));
    assert!(Measure::new([7; 16], 0, 1, 3).is_err() && Measure::new([7; 16], 1, 0, 0).is_err());
}

#[test]
fn two_halves_measure_as_the_whole() {
    let rows: Vec<(i64, i64)> = (0..500).map(|n| ((n * n) % 13, (n * 7) % 5)).collect();
    let count = |rows: &[(i64, i64)]| {
        let mut measure = Measure::new([7; 16], 1, 1, 1000).unwrap();
        for (quasi, sensitive) in rows {
            measure.add(&[Cell::Int(*quasi)], &[Cell::Int(*sensitive)]).unwrap();
        }
        measure
    };
    let mut half = count(&rows[..123]);
    half.merge(&count(&rows[123..])).unwrap();
    let (halves, whole) = (half.privacy().unwrap(), count(&rows).privacy().unwrap());
    assert_eq!((halves.rows, &halves.sizes), (whole.rows, &whole.sizes));
    assert!((halves.sensitive[0].entropy - whole.sensitive[0].entropy).abs() < 1e-12);
    assert!((halves.sensitive[0].closeness - whole.sensitive[0].closeness).abs() < 1e-12);
    let other = Measure::new([8; 16], 1, 1, 1000).unwrap();
    assert!(matches!(half.merge(&other), Err(Some(_))));
}

#[test]
fn what_was_written_down_is_counted_on_as_it_was_counted() {
    let counted = |rows: &[(i64, i64, u64)]| {
        let mut measure = Measure::new([7; 16], 1, 1, 1000).unwrap();
        for (quasi, sensitive, times) in rows {
            measure.add_times(&[Cell::Int(*quasi)], &[Cell::Int(*sensitive)], *times).unwrap();
        }
        measure
    };
    let (one, other) =
        (counted(&[(1, 1, 3), (1, 2, 1), (2, 1, 2)]), counted(&[(2, 1, 1), (3, 3, 4), (9, 9, 0)]));
    let whole = counted(&[(1, 1, 3), (1, 2, 1), (2, 1, 3), (3, 3, 4)]);
    let mut put_together = Measure::new([7; 16], 1, 1, 1000).unwrap();
    for entry in other.entries().unwrap().into_iter().chain(one.entries().unwrap()) {
        put_together.add_entry(entry).unwrap();
    }
    assert_eq!(put_together.privacy(), whole.privacy());
    assert_eq!(put_together.entries(), whole.entries());

    // A value of a class that is not there, or of a column that is not here.
    let mut empty = Measure::new([7; 16], 1, 1, 2).unwrap();
    let class = Entry { class: 1, value: None, rows: 1 };
    assert!(empty.add_entry(Entry { value: Some((0, 1)), ..class }).unwrap_err().is_some());
    empty.add_entry(class).unwrap();
    assert!(empty.add_entry(Entry { value: Some((1, 1)), ..class }).unwrap_err().is_some());
    assert!(empty.add_entry(Entry { value: Some((0, 1)), ..class }).unwrap_err().is_none());
    assert_eq!(empty.entries(), Err(TooMany));
}
