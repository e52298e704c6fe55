"""Singer tap for the message histories of edna Pulse and of the Qlara partner gateway."""
