//! The run against literal values.
