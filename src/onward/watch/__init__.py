"""Events and log lines in, calibrated alarms out: what deviates from what a model of normal data expects."""
