//! What ails a home.
