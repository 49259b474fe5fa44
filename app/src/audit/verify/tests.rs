use jangbu_projections::Difference;
use jangbu_store::MemoryStore;

use super::*;

/// An audit whose log was read with this result.
fn audit(complete: bool, handed_on: bool) -> Audit {
    let log = Verification {
        events: 9,
        streams: 1,
        roots: 1,
        sealed: Position::new(9),
        root: [0; 32],
        receipts: 0,
        handed_on,
        complete,
        flaws: Vec::new(),
    };
    Audit {
        log,
        auditor: Auditor::default(),
        took: Duration::ZERO,
        read_models: Err("not asked".to_owned()),
        books: Err("not asked".to_owned()),
    }
}

fn compared(mut audit: Audit) -> Audit {
    audit.compare_with_read_models(&[view(Compared::Rows { differences: 0, examples: Vec::new() })]);
    audit.compare_with_gateway("sandbox", &[], Position::new(9));
    audit
}

const fn view(outcome: Compared) -> ComparedView {
    ComparedView { name: "orders", position: Position::new(9), rows: 3, outcome }
}

fn finished(audit: Audit) -> Report {
    audit.finish(End { now: jangbu_kernel::Timestamp::UNIX_EPOCH, patience: chrono::TimeDelta::zero() })
}

/// Every line of the report, in every state an audit can end in: a check that was left out has no
/// result but a reason, and a finding is reported whatever else was left out.
#[test]
fn what_is_not_checked_is_not_broken_0_times() {
    type State = (&'static str, fn() -> Audit, &'static [Ground]);
    let states: [State; 5] = [
        ("all of it", || compared(audit(true, true)), &[]),
        ("the log alone", || audit(true, true), &[Ground::EventsAndBooks, Ground::ReadModels]),
        ("a damaged row", || compared(audit(true, false)), &[Ground::Events, Ground::EventsAndBooks]),
        (
            "a row that is missing",
            || compared(audit(false, false)),
            &[Ground::Rows, Ground::Events, Ground::EventsAndBooks],
        ),
        (
            "nothing",
            || audit(false, false),
            &[Ground::Rows, Ground::Events, Ground::EventsAndBooks, Ground::ReadModels],
        ),
    ];
    for (name, audit, unchecked) in states {
        for invariant in Invariant::ALL {
            let report = finished(audit());
            let code = invariant.code();
            let expected = if unchecked.contains(&invariant.ground()) { None } else { Some(0) };
            assert_eq!(report.invariants.get(code), Some(&expected), "{code}, checked: {name}");
            let why = report.not_checked.get(code).map(String::as_str);
            assert_eq!(why.is_some_and(|why| !why.is_empty()), expected.is_none(), "{code}, checked: {name}: {why:?}");
            assert!(report.ok && report.log_holds, "nothing was found");

            let mut broken = audit();
            broken.auditor.findings().report(*invariant, Position::new(4), None, "broken");
            let report = finished(broken);
            assert_eq!(report.invariants.get(code), Some(&Some(1)), "{code} is broken, checked: {name}");
            assert!(!report.ok && !report.log_holds && report.first_bad_position == Some(Position::new(4)));
        }
        let report = finished(audit());
        assert_eq!(report.invariants.len(), Invariant::ALL.len());
        assert_eq!(report.read_models_agree, (!unchecked.contains(&Ground::ReadModels)).then_some(true));
    }
}

#[test]
fn a_read_model_that_differs_is_no_damage_of_the_log() {
    let example = Difference { id: uuid::Uuid::nil(), what: "different".to_owned() };
    let mut audit = audit(true, true);
    audit.compare_with_read_models(&[view(Compared::Rows { differences: 2, examples: vec![example] })]);
    let report = finished(audit);
    assert_eq!((report.ok, report.log_holds, report.read_models_agree), (false, true, Some(false)));
    assert_eq!((report.first_bad_position, report.invariants.get("P1")), (None, Some(&Some(1))));
}

/// Read models that are ahead of the log prove that its end was lost.
#[test]
fn a_read_model_that_shows_more_than_the_log_proves_a_loss() {
    let mut audit = audit(true, true);
    audit.compare_with_read_models(&[ComparedView { position: Position::new(12), ..view(Compared::Ahead) }]);
    let report = finished(audit);
    assert_eq!((report.ok, report.log_holds, report.first_bad_position), (false, false, Some(Position::new(10))));
    assert_eq!((report.invariants.get("L1"), report.invariants.get("P1")), (Some(&Some(1)), Some(&None)));
    assert_eq!(report.invariants.get("G1"), Some(&None), "the end of the log is not its end");
}

#[test]
fn read_models_of_another_version_are_not_checked() {
    for outcome in [Compared::OtherVersion, Compared::Missing] {
        let mut audit = audit(true, true);
        audit.compare_with_read_models(&[view(outcome)]);
        let report = finished(audit);
        assert_eq!((report.ok, report.read_models_agree, report.invariants.get("P1")), (true, None, Some(&None)));
    }
}

#[tokio::test]
async fn an_empty_log_holds() {
    let report = finished(verify(&MemoryStore::new(), |_| {}).await.unwrap());
    assert!(report.ok && report.events == 0, "{report:?}");
}
