//! The client against small servers that misbehave on purpose.
mod learning;
