//! Limits for connections that are kept for long, where the caller's configuration has none.

use std::time::Duration;

/// For making a connection.
pub const CONNECT: Duration = Duration::from_secs(5);
/// For how long what was sent may stay unconfirmed, and for how long nothing may come before the other end is probed.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// Between two probes.
pub const PROBE: Duration = Duration::from_secs(5);
/// So many probes without an answer end the connection.
pub const PROBES: u32 = 3;
