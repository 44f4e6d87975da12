//! Who is online, as gateways report it.
