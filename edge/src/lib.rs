//! The agent in the home.
