//! The databases read through indexes: asked of their planners.
