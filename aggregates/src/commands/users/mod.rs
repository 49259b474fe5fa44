//! Commands on accounts.

mod change_contact_details;
mod choose_notices;
mod list_administrators;
mod record_login_failure;
mod register;
mod set_roles;
mod unlock;

pub use change_contact_details::ChangeContactDetails;
pub use choose_notices::ChooseNotices;
pub use list_administrators::ListAdministrators;
pub use record_login_failure::RecordLoginFailure;
pub use register::RegisterUser;
pub use set_roles::{RoleChange, SetRoles};
pub use unlock::UnlockUser;
