"""The targets that a watch can send its notices to: webhooks, Alertmanager, and syslog."""
