//! What a slug answers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use jangbu_kernel::RefusalCode;

use super::*;
use crate::testing::{given, id};

fn claim(product: u128) -> SlugCommand {
    SlugCommand::Claim { product_id: id(product), slug: "감귤-5kg".into() }
}

fn claimed(product: u128) -> SlugEvent {
    SlugClaimed { product_id: id(product), slug: "감귤-5kg".into() }.into()
}

fn free(product: u128) -> SlugCommand {
    SlugCommand::Free { product_id: id(product) }
}

fn freed(product: u128) -> SlugEvent {
    SlugFreed { product_id: id(product) }.into()
}

#[test]
fn i1_a_slug_belongs_to_the_first_that_claims_it() {
    let slug = given::<SlugClaim>(&[]).when(&claim(1)).records(&[claimed(1)]);
    assert_eq!(slug.product_id(), Some(id(1)));
    given::<SlugClaim>(&[claimed(1)]).when(&claim(1)).done_already();
    let refusal = given::<SlugClaim>(&[claimed(1)]).when(&claim(2)).refused(RefusalCode::SlugTaken);
    assert_eq!(refusal.pointer.as_deref(), Some("/slug"));
    given::<SlugClaim>(&[claimed(1), freed(1)]).when(&claim(2)).records(&[claimed(2)]);
}

#[test]
fn i2_only_the_product_that_has_it_frees_it() {
    given::<SlugClaim>(&[claimed(1)]).when(&free(1)).records(&[freed(1)]);
    given::<SlugClaim>(&[claimed(1)]).when(&free(2)).done_already();
    given::<SlugClaim>(&[]).when(&free(1)).done_already();
    given::<SlugClaim>(&[claimed(1), freed(1)]).when(&free(1)).done_already();
}

#[test]
fn the_stream_of_a_slug_never_changes() {
    assert_eq!(slug_stream("감귤-5kg"), slug_stream("감귤-5kg"));
    assert_ne!(slug_stream("감귤-5kg"), slug_stream("감귤"));
    assert_eq!(slug_stream("감귤-5kg").to_string(), "slug-d16f3cb6-a9cc-51b5-838d-8fb5b7e53dea");
}
