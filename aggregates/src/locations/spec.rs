//! What the locations answer.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use jangbu_kernel::RefusalCode;

use super::*;
use crate::testing::given;

fn code(text: &str) -> LocationCode {
    LocationCode::parse(text).unwrap()
}

fn open(text: &str) -> LocationsCommand {
    LocationsCommand::Open { code: code(text), name: "판교 매장".into() }
}

fn opened(text: &str) -> LocationsEvent {
    LocationOpened { code: code(text), name: "판교 매장".into() }.into()
}

fn change(text: &str, name: Option<&str>, active: Option<bool>) -> LocationsCommand {
    LocationsCommand::Change { code: code(text), name: name.map(str::to_owned), active }
}

#[test]
fn i1_a_code_is_opened_once() {
    let locations = given::<Locations>(&[]).when(&open("pangyo")).records(&[opened("pangyo")]);
    assert_eq!(locations.get(&code("pangyo")).unwrap().name, "판교 매장");
    for taken in ["pangyo", "main"] {
        let refusal = given::<Locations>(&[opened("pangyo")]).when(&open(taken)).refused(RefusalCode::LocationConflict);
        assert_eq!(refusal.pointer.as_deref(), Some("/code"));
    }
    given::<Locations>(&[]).when(&change("pangyo", None, None)).refused(RefusalCode::NotFound);
    for wrong in ["", "A", "a b", "한 글"] {
        assert_eq!(LocationCode::parse(wrong), None);
    }
    assert_eq!(LocationCode::parse(&"a".repeat(LocationCode::LONGEST + 1)), None);
}

#[test]
fn i1_each_part_that_changes_is_a_fact() {
    let closed = LocationsEvent::from(LocationClosed { code: code("pangyo") });
    let renamed = LocationsEvent::from(LocationRenamed { code: code("pangyo"), name: "창고".into() });
    let both = given::<Locations>(&[opened("pangyo")])
        .when(&change("pangyo", Some("창고"), Some(false)))
        .records(&[renamed, closed.clone()]);
    assert!(!both.get(&code("pangyo")).unwrap().active);
    given::<Locations>(&[opened("pangyo"), closed])
        .when(&change("pangyo", Some("판교 매장"), Some(true)))
        .records(&[LocationReopened { code: code("pangyo") }.into()]);
    given::<Locations>(&[opened("pangyo")]).when(&change("pangyo", None, Some(true))).done_already();
    let refusal = given::<Locations>(&[opened("pangyo")])
        .when(&change("pangyo", Some(" "), None))
        .refused(RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/name"));
}

#[test]
fn i2_there_are_only_so_many() {
    let full: Vec<LocationsEvent> = (1..100).map(|number| opened(&format!("l{number}"))).collect();
    given::<Locations>(&full).when(&open("one-more")).refused(RefusalCode::LocationConflict);
    given::<Locations>(&full[1..]).when(&open("one-more")).records(&[opened("one-more")]);
}

#[test]
fn i3_the_main_location_is_always_open() {
    given::<Locations>(&[]).when(&change("main", None, Some(false))).refused(RefusalCode::LocationConflict);
    let renamed = LocationRenamed { code: code("main"), name: "김포 물류센터".into() };
    given::<Locations>(&[]).when(&change("main", Some("김포 물류센터"), Some(true))).records(&[renamed.into()]);
}
