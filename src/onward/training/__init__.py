"""Training of a language model on an encoded corpus. A stopped run can be resumed exactly."""
