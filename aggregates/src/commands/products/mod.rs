//! Commands on the catalogue.

mod activate;
mod change;
mod create;
mod deactivate;
mod import;
mod make_single;
mod make_variant;
mod remove;

use jangbu_kernel::ProductId;

use crate::command::{Append, Stop};
use crate::slug::{SlugClaim, SlugCommand, slug_stream};

pub use activate::ActivateProduct;
pub use change::ChangeProduct;
pub use create::CreateProduct;
pub use deactivate::DeactivateProduct;
pub use import::ImportProduct;
pub use make_single::MakeSingle;
pub use make_variant::MakeVariant;
pub use remove::RemoveProduct;

/// Claims the slug that a product gets, and frees the one that it had.
fn give_slug(
    append: &mut Append<'_>,
    product_id: ProductId,
    before: Option<&str>,
    after: Option<&str>,
) -> Result<(), Stop> {
    if before == after {
        return Ok(());
    }
    if let Some(slug) = after {
        let claim = SlugCommand::Claim { product_id, slug: slug.to_owned() };
        append.ask::<SlugClaim>(slug_stream(slug).id, &claim)?;
    }
    if let Some(slug) = before {
        append.ask::<SlugClaim>(slug_stream(slug).id, &SlugCommand::Free { product_id })?;
    }
    Ok(())
}
