//! How lists and plans look on a terminal.
