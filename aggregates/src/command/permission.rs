//! Who may do what: one table of permissions by role. What is not listed is refused.
//!
//! A permission that ends in `:own` covers what belongs to the caller. A caller who holds only that
//! one acts in [`crate::Scope::Own`], and the decision itself then answers "not found" for what
//! belongs to somebody else.

use jangbu_kernel::Role;

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: [$($role:ident),*],)+) => {
        /// What a command or a query can require of its caller.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Permission { $($(#[$doc])* $variant,)+ }

        impl Permission {
            /// All permissions.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in documents, the OpenAPI description and refusals.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The roles that hold it.
            #[must_use]
            pub const fn roles(self) -> &'static [Role] {
                match self { $(Self::$variant => &[$(Role::$role),*],)+ }
            }
        }
    };
}

permissions! {
    /// Create, activate and deactivate products.
    ProductsWrite = "products:write": [Staff, Admin],
    /// See how much of a product can be bought.
    StockRead = "stock:read": [Customer, Staff, Auditor, Admin],
    /// See all numbers of a stock, and their history.
    StockReadAny = "stock:read:any": [Staff, Auditor, Admin],
    /// Receive and adjust stock.
    StockWrite = "stock:write": [Staff, Admin],
    /// Place orders for oneself.
    OrdersPlace = "orders:place": [Customer, Staff, Admin],
    /// Look at one's own orders.
    OrdersReadOwn = "orders:read:own": [Customer, Staff, Auditor, Admin],
    /// Look at anybody's orders.
    OrdersReadAny = "orders:read:any": [Staff, Auditor, Admin],
    /// Cancel one's own orders, confirm their delivery.
    OrdersCancelOwn = "orders:cancel:own": [Customer, Staff, Admin],
    /// Cancel anybody's orders.
    OrdersCancelAny = "orders:cancel:any": [Staff, Admin],
    /// Put orders on hold and release the hold.
    OrdersHold = "orders:hold": [Staff, Admin],
    /// Write notes about orders.
    OrdersNote = "orders:note": [Staff, Admin],
    /// Pay one's own orders, meet a challenge.
    PaymentsCreateOwn = "payments:create:own": [Customer, Staff, Admin],
    /// Look at one's own payments.
    PaymentsReadOwn = "payments:read:own": [Customer, Staff, Auditor, Admin],
    /// Look at anybody's payments.
    PaymentsReadAny = "payments:read:any": [Staff, Auditor, Admin],
    /// Cancel one's own payments.
    PaymentsCancelOwn = "payments:cancel:own": [Customer, Staff, Admin],
    /// Cancel anybody's payments.
    PaymentsCancelAny = "payments:cancel:any": [Staff, Admin],
    /// Have the gateway asked about one's own payments.
    PaymentsSyncOwn = "payments:sync:own": [Customer, Staff, Admin],
    /// Have the gateway asked about anybody's payments.
    PaymentsSyncAny = "payments:sync:any": [Staff, Admin],
    /// Refund money.
    RefundsCreate = "refunds:create": [Staff, Admin],
    /// Look at one's own parcels.
    ShipmentsReadOwn = "shipments:read:own": [Customer, Staff, Auditor, Admin],
    /// Look at anybody's parcels.
    ShipmentsReadAny = "shipments:read:any": [Staff, Auditor, Admin],
    /// Dispatch parcels and record scans.
    ShipmentsWrite = "shipments:write": [Staff, Admin],
    /// Return goods of one's own orders.
    ReturnsRequestOwn = "returns:request:own": [Customer, Staff, Admin],
    /// Look at the returns of one's own orders.
    ReturnsReadOwn = "returns:read:own": [Customer, Staff, Auditor, Admin],
    /// Look at anybody's returns.
    ReturnsReadAny = "returns:read:any": [Staff, Auditor, Admin],
    /// Decide about returns, receive and inspect goods that come back.
    ReturnsWrite = "returns:write": [Staff, Admin],
    /// Look at one's own points.
    PointsReadOwn = "points:read:own": [Customer, Staff, Auditor, Admin],
    /// Look at anybody's points.
    PointsReadAny = "points:read:any": [Staff, Auditor, Admin],
    /// Grant points.
    PointsGrant = "points:grant": [Staff, Admin],
    /// Have notices sent again that were not delivered.
    NoticesSend = "notices:send": [Staff, Admin],
    /// Read the audit trail and verify it.
    AuditRead = "audit:read": [Auditor, Admin],
    /// Look at processes, projections and the health of the parts.
    OperationsRead = "operations:read": [Staff, Auditor, Admin],
    /// Resolve parked processes, rebuild read models.
    OperationsWrite = "operations:write": [Admin],
    /// Look at anybody's account.
    UsersReadAny = "users:read:any": [Staff, Auditor, Admin],
    /// Grant and revoke roles.
    UsersWrite = "users:write": [Admin],
}

/// Whether a user with these roles has this permission.
#[must_use]
pub fn allows(roles: &[Role], permission: Permission) -> bool {
    roles.iter().any(|role| permission.roles().contains(role))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auditor_only_reads_and_nobody_without_a_role_does_anything() {
        for permission in Permission::ALL {
            let reads = permission.name().contains(":read");
            assert_eq!(allows(&[Role::Auditor], *permission), reads, "{}", permission.name());
            assert!(!allows(&[], *permission), "{}", permission.name());
        }
    }

    #[test]
    fn an_admin_holds_everything_and_a_customer_nothing_of_others() {
        for permission in Permission::ALL {
            assert!(allows(&[Role::Admin], *permission), "{}", permission.name());
            if permission.name().ends_with(":any") || permission.name().ends_with(":write") {
                assert!(!allows(&[Role::Customer], *permission), "{}", permission.name());
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = Permission::ALL.iter().map(|permission| permission.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Permission::ALL.len());
    }
}
