//! Commands on returns, and what they have in common.

mod approve;
mod close;
mod inspect;
mod lapse;
mod receive;
mod reject;
mod request;
mod send;
mod withdraw;

use jangbu_kernel::{OrderId, ReturnId};

use crate::checks;
use crate::command::{Append, Stop};
use crate::order::{Order, OrderCommand, OrderLine, ReturnedUnits};
use crate::returns::Return;

pub use approve::ApproveReturn;
pub use close::CloseReturn;
pub use inspect::InspectReturn;
pub use lapse::LapseReturn;
pub use receive::ReceiveReturn;
pub use reject::RejectReturn;
pub use request::RequestReturn;
pub use send::SendReturn;
pub use withdraw::WithdrawReturn;

/// The order whose goods come back.
fn order_of(append: &Append<'_>, return_id: ReturnId) -> Result<OrderId, Stop> {
    let order_id = append.before::<Return>(return_id)?.order_id();
    order_id.ok_or_else(|| checks::not_found("return").into())
}

/// The order takes note that a return has ended, and of what came back.
fn end(append: &mut Append<'_>, order_id: OrderId, return_id: ReturnId, lines: &[OrderLine]) -> Result<(), Stop> {
    let units = |line: &OrderLine| ReturnedUnits { product_id: line.product_id, quantity: line.quantity };
    let lines = lines.iter().map(units).collect();
    append.only::<Order>(order_id, &OrderCommand::EndReturn { return_id, lines })
}
