//! What a category answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use jangbu_kernel::{CategoryId, RefusalCode};

use super::*;
use crate::testing::{at, check_table, given, id};

fn below() -> CategoryId {
    id(7)
}

fn created() -> CategoryCreated {
    CategoryCreated { name: "과일".into(), parent_id: None }
}

#[test]
fn every_state_answers_every_command_as_the_table_says() {
    let added = CategoryChildAdded { category_id: below() };
    let states = [
        ("none", vec![]),
        ("empty", vec![created().into()]),
        ("parent", vec![created().into(), added.into()]),
        ("removed", vec![created().into(), CategoryRemoved {}.into()]),
    ];
    let commands = [
        ("create", CategoryCommand::Create(created()), at(0)),
        ("rename", CategoryCommand::Rename("채소".into()), at(0)),
        ("move", CategoryCommand::Move(Some(id(9))), at(0)),
        ("stay", CategoryCommand::Move(None), at(0)),
        ("add", CategoryCommand::AddChild(below()), at(0)),
        ("take", CategoryCommand::RemoveChild(below()), at(0)),
        ("remove", CategoryCommand::Remove, at(0)),
    ];
    let answers = "
        command none      empty parent             removed
        create  +         =     =                  =
        rename  not_found +     +                  not_found
        move    not_found +     +                  not_found
        stay    not_found =     =                  not_found
        add     not_found +     =                  not_found
        take    not_found =     +                  =
        remove  not_found +     category_not_empty =
    ";
    check_table::<Category>(answers, &states, &commands);
}

#[test]
fn i1_a_name_is_within_its_limits() {
    for name in [" ".to_owned(), "가".repeat(101)] {
        let create = CategoryCommand::Create(CategoryCreated { name: name.clone(), parent_id: None });
        given::<Category>(&[]).when(&create).refused(RefusalCode::ValidationFailed);
        let refusal = given::<Category>(&[created().into()])
            .when(&CategoryCommand::Rename(name))
            .refused(RefusalCode::ValidationFailed);
        assert_eq!(refusal.pointer.as_deref(), Some("/name"));
    }
    given::<Category>(&[]).when(&CategoryCommand::Create(CategoryCreated { name: "가".repeat(100), parent_id: None }));
}

#[test]
fn i3_what_stays_as_it_was_is_no_fact() {
    given::<Category>(&[created().into()]).when(&CategoryCommand::Rename("과일".into())).done_already();
    given::<Category>(&[created().into()])
        .when(&CategoryCommand::Rename("채소".into()))
        .records(&[CategoryRenamed { name: "채소".into() }.into()]);
}

#[test]
fn i4_a_category_has_a_limited_number_right_below_it() {
    let mut events: Vec<CategoryEvent> = vec![created().into()];
    events.extend(
        (0..MOST_CHILDREN)
            .map(|number| CategoryChildAdded { category_id: id(u128::try_from(number).unwrap() + 100) }.into()),
    );
    let refusal =
        given::<Category>(&events).when(&CategoryCommand::AddChild(below())).refused(RefusalCode::ValidationFailed);
    assert_eq!(refusal.pointer.as_deref(), Some("/parent_id"));
}
