//! Token verification: pinned algorithms, JWKS, tickets.
