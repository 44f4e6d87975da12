//! Who is online, on which gateway, since when.
