//! Tests over the whole house. What is tested lives in `tests/`: `house` holds the
//! crates to their floors.
